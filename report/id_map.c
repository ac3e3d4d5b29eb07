// SPDX-License-Identifier: GPL-2.0-only
#include "report/id_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t id_map_home(const struct id_map *map, uint32_t id)
{
	return (id * 2654435761U >> 7) & (map->slot_count - 1);
}

static struct id_map_slot *id_map_find(const struct id_map *map, uint32_t id)
{
	size_t i = id_map_home(map, id);

	while (map->slots[i].id && map->slots[i].id != id)
		i = (i + 1) & (map->slot_count - 1);
	return &map->slots[i];
}

int id_map_reserve(struct id_map *map, size_t count)
{
	struct id_map bigger = {.slot_count = map->slot_count ? map->slot_count : 64,
				.used = map->used};

	while (bigger.slot_count / 2 < map->used + count)
		bigger.slot_count *= 2;
	if (bigger.slot_count == map->slot_count)
		return 0;
	bigger.slots = calloc(bigger.slot_count, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < map->slot_count; i++)
		if (map->slots[i].id)
			*id_map_find(&bigger, map->slots[i].id) = map->slots[i];
	free(map->slots);
	*map = bigger;
	return 0;
}

void id_map_put(struct id_map *map, uint32_t id, uint32_t value)
{
	struct id_map_slot *slot = id_map_find(map, id);

	map->used += !slot->id;
	*slot = (struct id_map_slot){.id = id, .value = value};
}

void id_map_clean(struct id_map *map)
{
	free(map->slots);
	*map = (struct id_map){0};
}

int id_map_copy(struct id_map *to, const struct id_map *from)
{
	*to = (struct id_map){0};
	if (!from->slot_count)
		return 0;
	to->slots = calloc(from->slot_count, sizeof(*to->slots));
	if (!to->slots)
		return -ENOMEM;
	memcpy(to->slots, from->slots, from->slot_count * sizeof(*to->slots));
	to->slot_count = from->slot_count;
	to->used = from->used;
	return 0;
}

uint32_t id_map_get(const struct id_map *map, uint32_t id)
{
	const struct id_map_slot *slot = map->slot_count ? id_map_find(map, id) : NULL;

	return slot && slot->id ? slot->value : ID_MAP_NONE;
}
