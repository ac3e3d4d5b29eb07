/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flow maps: one hash an interface, each in a slot of the program's ARRAY_OF_MAPS.
 *
 * Nothing is ever deleted from a map that the program can reach. To read one, a fresh map is
 * swapped into its slot; the kernel waits for an RCU grace period, after which no program holds a
 * pointer into the old one; then the old one is read. So an update can neither be lost nor be
 * credited to another flow.
 *
 * A map that an interface has or had is pinned, from before the program can reach it until its
 * records are in a report that was written: flow_maps_forget(). So a crash loses none of them.
 */
#ifndef FLOWTALLY_FLOW_MAP_H
#define FLOWTALLY_FLOW_MAP_H

#include "bpf/flow_types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow_maps;
struct generation;
struct layout;
struct pins;
struct program;

/* In no slot. */
#define FLOW_MAP_NO_SLOT FLOW_SLOTS

/* An interface's map. A zeroed one with fd -1 is none. */
struct flow_map {
	uint32_t slot;
	int fd;		     /* owned by whoever took it */
	uint32_t entries;    /* that it has room for */
	uint32_t phase;	     /* id of the interface's phase (interface.h) that it counts for */
	uint64_t serial;     /* no other map has it */
	uint32_t generation; /* of the program that counted in it (program.h) */
	const struct layout *layout; /* NULL: ours; else an earlier generation's; borrowed */
};

/*
 * entries: of each map made from now on, those of the unattributed reasons among them, and at least
 * one more than those. program and pins are borrowed; pins may be NULL. 0, or a negative errno: no
 * memory, no map to be had, or pins that cannot be listed.
 */
int flow_maps_new(struct flow_maps **ret, struct program *program, const struct pins *pins,
		  uint32_t entries);
void flow_maps_free(struct flow_maps *maps);
void flow_maps_set_entries(struct flow_maps *maps, uint32_t entries);

/*
 * Makes n maps ready in their slots, if there are fewer: from Linux 6.8 on one RCU grace period
 * for all of them instead of one for each flow_maps_take(). On failure there may be fewer; -ENOSPC:
 * all FLOW_SLOTS are in use then; -ENOMEM: some of the last memory was given back (headroom.h).
 */
int flow_maps_prepare(struct flow_maps *maps, size_t n);

/* How many are ready, and freeing of all but n of them. */
size_t flow_maps_ready(const struct flow_maps *maps);
void flow_maps_release(struct flow_maps *maps, size_t n);

/* Whether there is memory to make n ready. */
bool flow_maps_have_memory(const struct flow_maps *maps, size_t n);

/* Gives an empty map in a slot of its own for that phase. -ENOSPC: all FLOW_SLOTS are in use. */
int flow_maps_take(struct flow_maps *maps, uint32_t phase, struct flow_map *ret);

/* Makes it the map of another phase: nothing was counted in it. 0 or negative errno, then it is as
 * before. */
int flow_maps_rename(struct flow_maps *maps, struct flow_map *map, uint32_t phase);

/* Gives back a map that was taken and not used. */
void flow_maps_put_back(struct flow_maps *maps, struct flow_map *map);

/*
 * Swaps a fresh map into the slot of each of the n maps. old[i] is then the map that was in
 * swapped[i], unreachable for programs, owned by the caller; or its fd is -1 where the swap failed,
 * then the interface goes on with its map, nothing is lost, and the first error is returned.
 * moment, if any, is called when all is made and just before it is put in place; also if n is 0,
 * and the grace period is waited for then, too.
 */
typedef void (*flow_maps_moment)(void *data);
int flow_maps_swap(struct flow_maps *maps, struct flow_map *const *swapped, struct flow_map *old,
		   size_t n, flow_maps_moment moment, void *data);

/*
 * Takes the n maps out of their slots, which are free again; what remains in retired[i]->fd can be
 * read, and is the caller's to close. No program may find the slots through the slot table any
 * more. On failure nothing has changed.
 */
int flow_maps_retire(struct flow_maps *maps, struct flow_map *const *retired, size_t n);

/* Waits for an RCU grace period: every program that runs when it is called has ended when it
 * returns. */
int flow_maps_synchronize(struct flow_maps *maps);

/* Whether the slot has this map: nobody else took it out. */
bool flow_maps_in_place(const struct flow_maps *maps, const struct flow_map *map);

/* Whether it has the room that maps are made with now (flow_maps_set_entries()). */
bool flow_maps_is_sized(const struct flow_maps *maps, const struct flow_map *map);

/* Whether nothing at all was put into it. (What a CPU still holds of its flows was not:
 * program_read_trains().) */
bool flow_maps_idle(const struct flow_maps *maps, const struct flow_map *map);

/* Calls found with runs of records until all of the map was read, or found returned a negative
 * errno, which is returned. */
typedef int (*flow_map_found)(void *data, const struct flow_key *keys,
			      const struct flow_value *values, size_t n);
int flow_maps_read(struct flow_maps *maps, const struct flow_map *map, flow_map_found found,
		   void *data);

/* Whether anything was counted there; the reasons are in a map from its beginning. */
bool flow_value_counts(const struct flow_value *value);

/*
 * Holds the entries that count of a map that is in no slot in a map just large enough for that
 * many, as a hash of 64K buckets is large even when it is empty. 0 or negative errno, then it is
 * held as it is; -EOPNOTSUPP: it is not laid out as ours.
 */
int flow_maps_shrink(struct flow_maps *maps, const struct flow_map *map, size_t entries);

/* Lets go of what was held for a crash; the number is not known any more. */
void flow_maps_forget(struct flow_maps *maps, const struct flow_map *map);

/* The same with a map whose records nobody needs, which is closed, too. */
void flow_maps_discard(struct flow_maps *maps, struct flow_map *map);

/* Whether the name is that of a pinned map, and of which one. */
bool flow_map_is_pin(const char *name, struct flow_map *map);

/*
 * Opens all maps that a dead agent left, into an array (free()), the descriptors the caller's.
 * Those that are in a slot have it and are reached by the program; the slots of all others are free
 * again. earlier, borrowed by the maps: the generations that there are beside the program's. 0 or
 * negative errno.
 */
int flow_maps_recover(struct flow_maps *maps, const struct generation *earlier,
		      size_t earlier_count, struct flow_map **ret, size_t *count);

#endif
