/* SPDX-License-Identifier: GPL-2.0-only */
/* What the configuration names, and this host does not have. */
#ifndef FLOWTALLY_ABSENT_H
#define FLOWTALLY_ABSENT_H

struct interface_table;
struct match_list;

/* Warns of each pattern of an include list that means one interface, which is not there (yet):
 * often it is misspelt. */
void absent_warn(const struct match_list *include, const struct interface_table *table);

#endif
