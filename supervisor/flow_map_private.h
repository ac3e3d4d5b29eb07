/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside of flow_map*.c only. */
#ifndef FLOWTALLY_FLOW_MAP_PRIVATE_H
#define FLOWTALLY_FLOW_MAP_PRIVATE_H

#include "supervisor/flow_map.h"
#include "supervisor/pins.h"

/* Never an interface's: to have something to wait for. */
#define SLOT_SPARE (FLOW_SLOTS - 1)

/* Records read in one system call. The kernel wants room for the longest bucket at least. */
#define READ_BATCH 4096

struct flow_maps {
	struct program *program; /* borrowed */
	const struct pins *pins; /* borrowed */
	uint64_t last_serial;
	uint32_t entries;
	struct flow_map ready[FLOW_SLOTS]; /* empty, in their slots */
	size_t ready_count;
	uint32_t free_slots[FLOW_SLOTS]; /* a stack; the lowest number on top */
	size_t free_count;
	int placeholder_fd;   /* stands in free slots, so that they keep no big map alive */
	bool no_batch_update; /* the kernel lacks it for maps of maps */
	bool no_batch_read;
	struct flow_key *keys; /* READ_BATCH of each */
	struct flow_value *values;
};

/* A map without anything in it. A descriptor, the caller's, or negative errno. */
int flow_maps_create_empty(uint32_t entries);

/* The name under which it is held for a crash. */
struct pin_name flow_map_pin(const struct flow_map *map);

/* Whether the error tells that the kernel has no batches of such a map. */
bool flow_maps_lack_batches(int err);

/*
 * Puts fds into slots of the outer map and waits until no program uses what was there. Returns how
 * many of them are in, from the first on; *err says why it is not all.
 */
size_t flow_maps_install(struct flow_maps *maps, const uint32_t *slots, const uint32_t *fds,
			 size_t n, int *err);

/* In bytes, as whoever made the map lays them out. */
size_t flow_maps_key_size(const struct flow_map *map);
size_t flow_maps_value_size(const struct flow_map *map);

#endif
