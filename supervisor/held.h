/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was read into the merge and is not in a written report yet: its maps stay pinned, and so do
 * copies of the trains, which are emptied when they are read. A crash loses the merge, and the next
 * agent reads them again.
 */
#ifndef FLOWTALLY_HELD_H
#define FLOWTALLY_HELD_H

#include "bpf/flow_types.h"
#include "supervisor/checkpoint.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow_map;
struct flow_maps;
struct held;
struct pins;

/* A train that was taken from a CPU, and for which phase of an interface. */
struct held_train {
	uint32_t phase;
	struct flow_train train; /* its slot may be another's by now */
};

struct held_trains {
	struct held_train *list; /* owned */
	size_t count, capacity;
};

/* Phase 0: it belongs to no interface and is lost, which is logged. 0 or -ENOMEM. */
int held_trains_add(struct held_trains *trains, uint32_t phase, const struct flow_train *train);

/* maps and pins are borrowed; pins may be NULL, then nothing is held. 0 or -ENOMEM. */
int held_new(struct held **ret, struct flow_maps *maps, const struct pins *pins);
void held_free(struct held *held);

/* Holds a map whose records were read; its descriptor is not needed. 0 or -ENOMEM. */
int held_add(struct held *held, const struct flow_map *map);

/* Pins what was read from a set of trains. 0, or negative errno: the set must not be emptied. */
int held_put_trains(struct held *held, uint32_t set, const struct held_train *trains, size_t n);
/* What was read from the set is merged: the next report has it. */
void held_note_trains(struct held *held, uint64_t set);
/* Whether a set is held under that number. 0 or negative errno. */
int held_has_trains(const struct held *held, uint32_t set, bool *has);
/* The trains under that number, an array (free()). 0 or negative errno; -ENOENT: there are none. */
int held_get_trains(struct held *held, uint32_t set, struct held_train **ret, size_t *n);
/* Calls found with the number of each set that is held. 0 or negative errno. */
int held_each_train_set(struct held *held, int (*found)(void *data, uint32_t set), void *data);

/* Lets go of the trains under that number, if there are any. */
void held_forget_trains(struct held *held, uint64_t set);

/* How many maps are held now, and whether one of that generation is. */
size_t held_count(const struct held *held);
bool held_has_generation(const struct held *held, uint32_t generation);
/* The most sets of trains there can be after that one. */
size_t held_count_train_sets(const struct held *held, uint64_t after_train_set);
/* Those from the first on, to be done with together: the serial numbers of maps (free()), and the
 * last set of trains. */
int held_list(const struct held *held, size_t first, struct checkpoint_list *maps,
	      uint64_t *last_train_set);
/* Lets go of n maps from the first on, and of the sets behind that one up to the last one. */
void held_release(struct held *held, size_t first, size_t n, uint64_t after_train_set,
		  uint64_t last_train_set);

#endif
