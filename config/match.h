/* SPDX-License-Identifier: GPL-2.0-only */
/* Interface patterns: a shell glob (fnmatch(3)) on the name or an alternative name, kind:GLOB,
 * index:N. */
#ifndef FLOWTALLY_MATCH_H
#define FLOWTALLY_MATCH_H

#include <stddef.h>
#include <stdint.h>

/* What a pattern is matched against; all borrowed. */
struct match_subject {
	uint32_t ifindex;
	const char *name;
	const char *kind;     /* as link_kind() says: "veth", "physical", "loopback", ... */
	const char *altnames; /* altname_count of them, each in altname_size bytes */
	size_t altname_size, altname_count;
};

/* A list of patterns; a zeroed struct is the empty list. */
struct match_list {
	char **patterns; /* owned */
	size_t count;
};

/* NULL if pattern is well formed, else what is wrong with it, as a static string ("empty", "index:
 * wants a number", ...). */
const char *match_check(const char *pattern);

/* The same for a glob alone. */
const char *match_check_glob(const char *glob);

/* Appends a copy of pattern. 0, -EINVAL if match_check() objects, -ENOMEM. */
int match_list_add(struct match_list *list, const char *pattern);
void match_list_clean(struct match_list *list);

/* The first pattern of the list that matches, borrowed from it; NULL if none does. */
const char *match_list_find(const struct match_list *list, const struct match_subject *subject);

#endif
