// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/absent.h"
#include "config/match.h"
#include "lib/log.h"
#include "supervisor/interface_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct absent_search {
	const char *pattern;
	bool found;
};

static bool absent_is_exact(const char *pattern)
{
	return !strpbrk(pattern, "*?[\\") && strncmp(pattern, "kind:", 5) != 0;
}

static void absent_compare(void *data, const struct interface *interface)
{
	struct absent_search *search = data;
	const struct link *link = &interface->link;
	char index[32];

	snprintf(index, sizeof(index), "index:%u", link->ifindex);
	search->found |= !strcmp(search->pattern, link->name) || !strcmp(search->pattern, index);
	for (unsigned int i = 0; i < link->altname_count; i++)
		search->found |= !strcmp(search->pattern, link->altnames[i]);
}

void absent_warn(const struct match_list *include, const struct interface_table *table)
{
	for (size_t i = 0; i < include->count; i++) {
		struct absent_search search = {.pattern = include->patterns[i]};

		if (!absent_is_exact(search.pattern))
			continue;
		interface_table_each(table, absent_compare, &search);
		if (!search.found)
			log_warning("include '%s': there is no such interface now; it will be "
				    "watched when it comes",
				    search.pattern);
	}
}
