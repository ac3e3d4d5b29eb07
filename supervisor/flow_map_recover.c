// SPDX-License-Identifier: GPL-2.0-only
/* The flow maps that a dead agent left, and the slots that they are in. */
#include "lib/array.h"
#include "lib/cleanup.h"
#include "supervisor/flow_map_private.h"
#include "supervisor/layout.h"
#include "supervisor/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* What is in a slot, as the kernel numbers it. */
struct flow_map_slot {
	uint32_t map_id;
	uint32_t slot;
};

static int flow_maps_by_id(const void *a, const void *b)
{
	const struct flow_map_slot *x = a, *y = b;

	return (x->map_id > y->map_id) - (x->map_id < y->map_id);
}

/*
 * All slots that have a map, by the map's id. A slot that none was ever made for is not looked at:
 * before Linux 6.8 each look waits for a grace period (kernel/bpf/syscall.c: bpf_map_copy_value()),
 * minutes for all of them.
 */
static struct flow_map_slot *flow_maps_list_slots(const struct flow_maps *maps, size_t *count)
{
	struct flow_map_slot *slots = calloc(FLOW_SLOTS, sizeof(*slots));

	*count = 0;
	for (uint32_t slot = 0; slots && slot < SLOT_SPARE; slot++) {
		struct flow_map_slot *at = &slots[*count];

		if (!program_slot_was_used(maps->program, slot))
			continue;
		at->slot = slot;
		if (!bpf_map_lookup_elem(program_flow_maps_fd(maps->program), &slot, &at->map_id))
			++*count;
	}
	if (slots)
		qsort(slots, *count, sizeof(*slots), flow_maps_by_id);
	return slots;
}

struct flow_map_recovery {
	struct flow_maps *maps;
	const struct generation *earlier;
	size_t earlier_count;
	struct flow_map *found;
	size_t count, capacity;
	int err;
};

static int flow_maps_open_pinned(struct flow_map_recovery *recovery, const char *name,
				 struct flow_map *map)
{
	int err = array_reserve(&recovery->found, &recovery->capacity, sizeof(*recovery->found),
				recovery->count + 1);

	if (err)
		return err;
	map->fd = pins_get(recovery->maps->pins, name);
	if (map->fd < 0)
		return map->fd;
	recovery->found[recovery->count++] = *map;
	return 0;
}

/* False: nobody got so far as to count in it. */
static bool flow_maps_find_layout(const struct flow_map_recovery *recovery, struct flow_map *map)
{
	for (size_t i = 0; i < recovery->earlier_count; i++)
		if (recovery->earlier[i].number == map->generation)
			map->layout = &recovery->earlier[i].layout;
	return map->layout || map->generation == program_generation(recovery->maps->program);
}

static void flow_maps_recover_one(void *data, const char *name)
{
	struct flow_map_recovery *recovery = data;
	struct flow_map map;
	int err;

	if (!flow_map_is_pin(name, &map) || !flow_maps_find_layout(recovery, &map))
		return;
	err = flow_maps_open_pinned(recovery, name, &map);
	if (err)
		recovery->err = err;
}

static int flow_maps_find_slot(struct flow_map *map, struct flow_map_slot *slots, size_t count)
{
	struct bpf_map_info info = {0};
	struct flow_map_slot wanted, *slot;
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(map->fd, &info, &size))
		return -errno;
	if (info.type != BPF_MAP_TYPE_HASH || info.key_size != flow_maps_key_size(map) ||
	    info.value_size != flow_maps_value_size(map))
		return -EBADMSG;
	map->entries = info.max_entries;
	wanted.map_id = info.id;
	slot = bsearch(&wanted, slots, count, sizeof(*slots), flow_maps_by_id);
	if (!slot)
		return 0;
	/* it is pinned twice */
	if (slot->slot == SLOT_SPARE)
		return -EBADMSG;
	map->slot = slot->slot;
	slot->slot = SLOT_SPARE; /* claimed */
	return 0;
}

/* Who died while he swapped it may have set its count to zero before. */
static void flow_maps_distrust_fill(const struct flow_maps *maps, const struct flow_map *found,
				    size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (found[i].slot != FLOW_MAP_NO_SLOT)
			program_touch_fill(maps->program, found[i].slot);
}

static void flow_maps_claim_slots(struct flow_maps *maps, const struct flow_map *found, size_t n)
{
	bool claimed[FLOW_SLOTS] = {false};

	for (size_t i = 0; i < n; i++)
		if (found[i].slot != FLOW_MAP_NO_SLOT)
			claimed[found[i].slot] = true;
	maps->free_count = 0;
	for (uint32_t slot = SLOT_SPARE; slot > 0; slot--)
		if (!claimed[slot - 1])
			maps->free_slots[maps->free_count++] = slot - 1;
}

/* The placeholder into slots that nobody claimed. */
static int flow_maps_clear_slots(struct flow_maps *maps, const struct flow_map_slot *slots,
				 size_t count)
{
	_free_ uint32_t *left = calloc(count + 1, sizeof(*left));
	_free_ uint32_t *fds = calloc(count + 1, sizeof(*fds));
	size_t n = 0;
	int err;

	if (!left || !fds)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (slots[i].slot != SLOT_SPARE) {
			left[n] = slots[i].slot;
			fds[n++] = (uint32_t)maps->placeholder_fd;
		}
	flow_maps_install(maps, left, fds, n, &err);
	return err;
}

int flow_maps_recover(struct flow_maps *maps, const struct generation *earlier,
		      size_t earlier_count, struct flow_map **ret, size_t *count)
{
	struct flow_map_recovery recovery = {.maps = maps,
					     .earlier = earlier,
					     .earlier_count = earlier_count};
	size_t slot_count;
	_free_ struct flow_map_slot *slots = flow_maps_list_slots(maps, &slot_count);
	int err = slots ? pins_each(maps->pins, flow_maps_recover_one, &recovery) : -ENOMEM;

	if (!err)
		err = recovery.err;
	for (size_t i = 0; i < recovery.count && !err; i++)
		err = flow_maps_find_slot(&recovery.found[i], slots, slot_count);
	if (!err)
		err = flow_maps_clear_slots(maps, slots, slot_count);
	if (err) {
		for (size_t i = 0; i < recovery.count; i++)
			close(recovery.found[i].fd);
		free(recovery.found);
		return err;
	}
	flow_maps_claim_slots(maps, recovery.found, recovery.count);
	flow_maps_distrust_fill(maps, recovery.found, recovery.count);
	*ret = recovery.found;
	*count = recovery.count;
	return 0;
}
