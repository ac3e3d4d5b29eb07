/* SPDX-License-Identifier: GPL-2.0-only */
/* What a dead agent left of its interval, on its way into the table. */
#ifndef FLOWTALLY_INTERFACE_TABLE_RECOVER_H
#define FLOWTALLY_INTERFACE_TABLE_RECOVER_H

#include "bpf/flow_types.h"

#include <stddef.h>

struct checkpoint;
struct flow_map;
struct interface_table;

struct recovery {
	struct interface_table *table;	     /* borrowed */
	const struct checkpoint *checkpoint; /* borrowed */
	struct flow_map *maps;		     /* owned; a descriptor that was taken over is -1 */
	size_t map_count;
	/* what maps had of no phase that the checkpoint names; zero to begin with */
	size_t lost_flows;
	struct flow_count lost;
};

/* The ids of its phases are not given to others from now on, whatever can be read of them. */
void recovery_begin(struct recovery *recovery, struct interface_table *table,
		    const struct checkpoint *checkpoint);
void recovery_clean(struct recovery *recovery);

/*
 * Goes on where the checkpoint ends; before the first dump. First with the maps that are counted
 * in: then our program is on all hooks of theirs. Second with all others. 0 or negative errno: not
 * all of it could be.
 */
int interface_table_recover(struct recovery *recovery);
int interface_table_recover_maps(struct recovery *recovery);

#endif
