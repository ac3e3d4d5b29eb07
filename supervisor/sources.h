/* SPDX-License-Identifier: GPL-2.0-only */
/* What a report is made of beside its records: the interfaces that there are records of, and the
 * tunnels of its time. */
#ifndef FLOWTALLY_SOURCES_H
#define FLOWTALLY_SOURCES_H

#include <stddef.h>

struct checkpoint_report;
struct interface_table;
struct merge_interface;
struct tunnel_set;

/* Zeroed: empty. */
struct sources {
	struct merge_interface *interfaces; /* owned, what they point to is not */
	size_t count;
	struct tunnel_set *tunnels; /* owned */
};

/* Of the running interval. 0 or -ENOMEM; sources_clean() in either case. */
int sources_of_table(struct sources *sources, struct interface_table *table);
/* Of a report that an agent that died has left. Likewise. */
int sources_of_checkpoint(struct sources *sources, const struct checkpoint_report *left);
void sources_clean(struct sources *sources);

#endif
