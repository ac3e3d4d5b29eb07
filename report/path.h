/* SPDX-License-Identifier: GPL-2.0-only */
/* In which order a flow crosses the interfaces that saw it: from its left end to its right one. */
#ifndef FLOWTALLY_PATH_H
#define FLOWTALLY_PATH_H

#include "report/flow_table.h"

struct judge;
struct merge_interface;
struct path_finder;

/* flows and judge (which knows the interfaces) are borrowed. 0 or -ENOMEM. */
int path_finder_new(struct path_finder **ret, const struct flow_table *flows,
		    const struct judge *judge, const struct merge_interface *interfaces,
		    size_t count);
void path_finder_free(struct path_finder *finder);

/* Writes where the flow was seen, each interface once, into crossed, which has room for as many as
 * the flow has cells. Returns how many. left: the end that the path begins at. */
uint32_t path_find(struct path_finder *finder, const struct flow_entry *entry, unsigned int left,
		   uint32_t *crossed);

#endif
