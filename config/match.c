// SPDX-License-Identifier: GPL-2.0-only
#include "config/match.h"

#include "lib/decimal.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* What follows prefix in pattern, or NULL if pattern does not begin with it. */
static const char *match_after(const char *pattern, const char *prefix)
{
	size_t size = strlen(prefix);

	return strncmp(pattern, prefix, size) ? NULL : pattern + size;
}

static bool match_parse_index(const char *text, uint32_t *ifindex)
{
	/* the kernel's ifindex is an int */
	return decimal_parse(text, 1, INT32_MAX, ifindex);
}

static bool match_has_blank(const char *pattern)
{
	for (; *pattern; pattern++)
		if (isspace((unsigned char)*pattern))
			return true;
	return false;
}

/* Behind the class at p ("[:alpha:]", "[.x.]", "[=x=]"), or behind its '[' if it is none. */
static const char *match_class_end(const char *p)
{
	const char closing[] = {p[1], ']', '\0'};
	const char *end;

	if (!p[1] || !strchr(":.=", p[1]))
		return p + 1;
	end = strstr(p + 2, closing);
	return end ? end + strlen(closing) : p + 1;
}

/* Behind the bracket expression whose '[' is before p, or NULL if it has no ']'. */
static const char *match_bracket_end(const char *p)
{
	if (*p == '!' || *p == '^')
		p++;
	if (*p == ']') /* in the first place it stands for itself */
		p++;
	while (*p && *p != ']') {
		if (*p == '\\' && p[1])
			p += 2;
		else if (*p == '[')
			p = match_class_end(p);
		else
			p++;
	}
	return *p ? p + 1 : NULL;
}

/* fnmatch(3) takes a '[' that is never closed as a plain character, and a '\' at the end matches
 * nothing. Nobody means that. */
const char *match_check_glob(const char *glob)
{
	while (*glob) {
		if (*glob == '\\') {
			if (!glob[1])
				return "bad glob: '\\' at the end";
			glob += 2;
		} else if (*glob == '[') {
			glob = match_bracket_end(glob + 1);
			if (!glob)
				return "bad glob: '[' without ']'";
		} else {
			glob++;
		}
	}
	return NULL;
}

const char *match_check(const char *pattern)
{
	const char *rest;
	uint32_t ifindex;

	if (!*pattern)
		return "empty";
	if (match_has_blank(pattern))
		return "has a blank in it";
	rest = match_after(pattern, "index:");
	if (rest)
		return match_parse_index(rest, &ifindex)
			       ? NULL
			       : "index: wants a number from 1 to 2147483647";
	rest = match_after(pattern, "kind:");
	if (rest && !*rest)
		return "kind: wants a glob";
	return match_check_glob(rest ? rest : pattern);
}

int match_list_add(struct match_list *list, const char *pattern)
{
	char **patterns;

	if (match_check(pattern))
		return -EINVAL;
	patterns = reallocarray(list->patterns, list->count + 1, sizeof(*patterns));
	if (!patterns)
		return -ENOMEM;
	list->patterns = patterns;
	patterns[list->count] = strdup(pattern);
	if (!patterns[list->count])
		return -ENOMEM;
	list->count++;
	return 0;
}

void match_list_clean(struct match_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->patterns[i]);
	free(list->patterns);
	*list = (struct match_list){0};
}

static bool match_glob(const char *glob, const char *text)
{
	return !fnmatch(glob, text, 0);
}

static bool match_pattern(const char *pattern, const struct match_subject *subject)
{
	const char *rest;
	uint32_t ifindex;

	rest = match_after(pattern, "index:");
	if (rest)
		return match_parse_index(rest, &ifindex) && ifindex == subject->ifindex;
	rest = match_after(pattern, "kind:");
	if (rest)
		return match_glob(rest, subject->kind);
	if (match_glob(pattern, subject->name))
		return true;
	for (size_t i = 0; i < subject->altname_count; i++)
		if (match_glob(pattern, subject->altnames + i * subject->altname_size))
			return true;
	return false;
}

const char *match_list_find(const struct match_list *list, const struct match_subject *subject)
{
	for (size_t i = 0; i < list->count; i++)
		if (match_pattern(list->patterns[i], subject))
			return list->patterns[i];
	return NULL;
}
