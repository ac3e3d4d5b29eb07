/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where things stand in the maps of flow_types.h, as numbers that an agent leaves in its
 * checkpoint. So the next one, of another version, can read maps that are laid out otherwise than
 * its own. Pure: bytes in, structs of ours out.
 *
 * It tells of places and sizes. What has no place in it has one meaning for all versions: what is
 * in an enum of flow_types.h or in the flags of a slot keeps its number, and no other thing gets
 * it. Where that cannot be held, CHECKPOINT_VERSION is another, and nobody else reads what is left.
 */
#ifndef FLOWTALLY_LAYOUT_H
#define FLOWTALLY_LAYOUT_H

#include "bpf/flow_types.h"

#include <stdbool.h>
#include <stdint.h>

/* Of an integer in the order of bytes of this machine, or of an address. A struct stands at 0. */
struct layout_field {
	uint16_t at, size; /* in bytes; size 0: at is a number, not a place */
};

/* Stands in checkpoints: fields are added at the end only. */
struct layout {
	struct layout_field version; /* a number: FLOW_LAYOUT */
	struct layout_field key;
	struct layout_field address[2], port[2], protocol, family, unsure; /* in a key */
	struct layout_field reason[4]; /* numbers: of enum flow_reason */
	struct layout_field value;
	struct layout_field bytes[6], packets[6]; /* in a value: by end, by enum flow_class */
	struct layout_field train;
	struct layout_field train_key, train_bytes, train_packets, train_slot, train_class;
	struct layout_field slot;
	struct layout_field slot_ifindex, slot_slot, slot_flags;
	struct layout_field banks; /* a number: of the slot table */
	struct layout_field control;
	struct layout_field control_epoch, control_trains, control_bank;
	struct layout_field control_fragments_covered; /* of the first bank, the others behind it */
	struct layout_field cpu;
	struct layout_field cpu_bank;
	struct layout_field turner;
	struct layout_field turner_ifindex, turner_address;
};

/* Some maps, and the number that they are pinned under (program.h, flow_map.h). */
struct generation {
	uint32_t number;
	struct layout layout;
};

/* Ours. */
const struct layout *layout_own(void);
bool layout_is_own(const struct layout *layout);
/* Whether each field lies within its struct, and is no larger than ours. The functions below take
 * only layouts that are sound. */
bool layout_is_sound(const struct layout *layout);

/* An integer of at most eight bytes. */
uint64_t layout_get(const struct layout_field *field, const void *bytes);

/*
 * The functions below make one of ours out of the bytes of one of theirs. False: it has something
 * in it that we know nothing of.
 */
/* An entry of a flow map. */
bool layout_get_flow(const struct layout *layout, const void *key_bytes, const void *value_bytes,
		     struct flow_key *key, struct flow_value *value);
bool layout_get_train(const struct layout *layout, const void *bytes, struct flow_train *train);
bool layout_get_slot(const struct layout *layout, const void *bytes, struct flow_slot *slot);
void layout_get_turner(const struct layout *layout, const void *bytes, struct flow_turner *turner);

#endif
