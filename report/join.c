// SPDX-License-Identifier: GPL-2.0-only
#include "report/join.h"

#include "report/nat.h"

#include <string.h>

static int move_to_original(struct flow_table *flows, size_t from,
			    const struct nat_conversation *conversation)
{
	const struct flow_key *original = &conversation->original;
	struct flow_entry *to;
	/* one of the host itself may never have shown its original face */
	int err = flow_table_reserve(flows, 1, 0);

	if (err)
		return err;
	to = flow_table_insert(flows, original, flow_table_hash(flows, original));
	flow_table_move(flows, to, &flows->entries[from], conversation->swapped);
	return 0;
}

int join_faces(struct flow_table *flows, const struct nat_table *nat)
{
	size_t count = flows->entry_count; /* those that come are original */
	struct nat_conversation conversation;
	int moved = 0;

	for (size_t i = 0; i < count; i++) {
		const struct flow_entry *entry = &flows->entries[i];
		int err;

		if (entry->first_cell == FLOW_CELL_NONE ||
		    !nat_table_find(nat, &entry->key, &conversation) ||
		    !memcmp(&conversation.original, &entry->key, sizeof(entry->key)))
			continue;
		err = move_to_original(flows, i, &conversation);
		if (err)
			return err;
		moved = 1;
	}
	return moved;
}
