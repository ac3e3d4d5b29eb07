/* SPDX-License-Identifier: GPL-2.0-only */
/* Ids of interfaces' phases (merge.h) to numbers. Zeroed it is empty. */
#ifndef FLOWTALLY_ID_MAP_H
#define FLOWTALLY_ID_MAP_H

#include <stddef.h>
#include <stdint.h>

#define ID_MAP_NONE UINT32_MAX

struct id_map_slot {
	uint32_t id; /* 0: free */
	uint32_t value;
};

/* Open addressing, never more than half full. */
struct id_map {
	struct id_map_slot *slots; /* owned */
	size_t slot_count, used;
};

/* Room for that many more. 0 or -ENOMEM. */
int id_map_reserve(struct id_map *map, size_t count);
void id_map_clean(struct id_map *map);
/* *to is overwritten. 0, or -ENOMEM, then it is empty. */
int id_map_copy(struct id_map *to, const struct id_map *from);

/* Room must be reserved. */
void id_map_put(struct id_map *map, uint32_t id, uint32_t value);

/* ID_MAP_NONE: not there. */
uint32_t id_map_get(const struct id_map *map, uint32_t id);

#endif
