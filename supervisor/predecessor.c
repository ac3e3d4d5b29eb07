// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/predecessor.h"
#include "lib/array.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "supervisor/cpu_walk.h"
#include "supervisor/flow_map.h"
#include "supervisor/layout.h"
#include "supervisor/pins.h"
#include "supervisor/program.h"
#include "supervisor/slot_table.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A map of theirs. */
struct predecessor_map {
	int fd;
	uint32_t entries;
	size_t stride; /* from one value to the next, in bytes */
	char *values;  /* mapped; NULL: it is not */
};

/* A flow map of theirs, as the kernel numbers it. */
struct predecessor_flows {
	uint32_t id, phase;
};

#define UNKNOWN UINT32_MAX

struct predecessor {
	const struct pins *pins;	     /* borrowed */
	const struct generation *generation; /* borrowed */
	struct predecessor_map slots, cpus, control, trains, flow_maps, turners;
	struct predecessor_flows *flows; /* owned; those that are pinned, by their ids */
	size_t flow_count, flow_capacity;
	uint32_t *phases; /* owned; by slot, 0: none, UNKNOWN: nobody asked */
	int err;	  /* while they are looked for */
};

static int predecessor_open_map(const struct predecessor *predecessor, const char *name,
				struct predecessor_map *map, struct bpf_map_info *info)
{
	struct pin_name pin = program_pin(predecessor->generation->number, name);
	__u32 size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	map->fd = pins_get(predecessor->pins, pin.text);
	if (map->fd < 0)
		return map->fd;
	if (bpf_obj_get_info_by_fd(map->fd, info, &size))
		return -errno;
	map->entries = info->max_entries;
	/* kernel/bpf/arraymap.c */
	map->stride = (info->value_size + 7) & ~(size_t)7;
	return 0;
}

/* An array whose values are of that size at least. */
static int predecessor_map_values(const struct predecessor *predecessor, const char *name,
				  size_t value_size, struct predecessor_map *map)
{
	struct bpf_map_info info;
	int err = predecessor_open_map(predecessor, name, map, &info);
	void *memory;

	if (err)
		return err;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.value_size < value_size)
		return -EBADMSG;
	memory = mmap(NULL, map->stride * map->entries, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd,
		      0);
	if (memory == MAP_FAILED)
		return -errno;
	map->values = memory;
	return 0;
}

static int predecessor_open_turners(struct predecessor *predecessor)
{
	struct bpf_map_info info;
	int err = predecessor_open_map(predecessor, "turners", &predecessor->turners, &info);

	if (!err && info.key_size != predecessor->generation->layout.turner.size)
		err = -EBADMSG;
	return err;
}

static int predecessor_open_maps(struct predecessor *predecessor)
{
	const struct layout *layout = &predecessor->generation->layout;
	struct bpf_map_info info;
	int err = predecessor_map_values(predecessor, "slots", layout->slot.size,
					 &predecessor->slots);

	if (!err)
		err = predecessor_map_values(predecessor, "cpus", layout->cpu.size,
					     &predecessor->cpus);
	if (!err)
		err = predecessor_map_values(predecessor, "control", layout->control.size,
					     &predecessor->control);
	if (!err)
		err = predecessor_map_values(predecessor, "trains", layout->train.size,
					     &predecessor->trains);
	if (!err)
		err = predecessor_open_map(predecessor, "flow_maps", &predecessor->flow_maps,
					   &info);
	if (!err)
		err = predecessor_open_turners(predecessor);
	return err;
}

static int predecessor_note_flows(struct predecessor *predecessor, const char *name, uint32_t phase)
{
	_close_ int fd = pins_get(predecessor->pins, name);
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);
	int err;

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return -errno;
	err = array_reserve(&predecessor->flows, &predecessor->flow_capacity,
			    sizeof(*predecessor->flows), predecessor->flow_count + 1);
	if (!err)
		predecessor->flows[predecessor->flow_count++] =
			(struct predecessor_flows){.id = info.id, .phase = phase};
	return err;
}

static void predecessor_see_pin(void *data, const char *name)
{
	struct predecessor *predecessor = data;
	struct flow_map map;
	int err = 0;

	if (flow_map_is_pin(name, &map) && map.generation == predecessor->generation->number)
		err = predecessor_note_flows(predecessor, name, map.phase);
	if (err)
		predecessor->err = err;
}

static int predecessor_by_id(const void *a, const void *b)
{
	const struct predecessor_flows *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* What it takes to tell which phase is counted in a slot. */
static int predecessor_list_flows(struct predecessor *predecessor)
{
	int err = pins_each(predecessor->pins, predecessor_see_pin, predecessor);

	if (!err)
		err = predecessor->err;
	if (err)
		return err;
	predecessor->phases =
		calloc(predecessor->flow_maps.entries + 1, sizeof(*predecessor->phases));
	if (!predecessor->phases)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < predecessor->flow_maps.entries; slot++)
		predecessor->phases[slot] = UNKNOWN;
	if (predecessor->flow_count)
		qsort(predecessor->flows, predecessor->flow_count, sizeof(*predecessor->flows),
		      predecessor_by_id);
	return 0;
}

int predecessor_new(struct predecessor **ret, const struct pins *pins,
		    const struct generation *generation)
{
	struct predecessor *predecessor = calloc(1, sizeof(*predecessor));
	int err;

	if (!predecessor)
		return -ENOMEM;
	predecessor->pins = pins;
	predecessor->generation = generation;
	predecessor->slots.fd = predecessor->cpus.fd = predecessor->control.fd = -1;
	predecessor->trains.fd = predecessor->flow_maps.fd = predecessor->turners.fd = -1;
	err = predecessor_open_maps(predecessor);
	if (!err)
		err = predecessor_list_flows(predecessor);
	if (err) {
		predecessor_free(predecessor);
		return err;
	}
	*ret = predecessor;
	return 0;
}

static void predecessor_close_map(struct predecessor_map *map)
{
	if (map->values)
		munmap(map->values, map->stride * map->entries);
	cleanup_close(&map->fd);
}

void predecessor_free(struct predecessor *predecessor)
{
	if (!predecessor)
		return;
	predecessor_close_map(&predecessor->slots);
	predecessor_close_map(&predecessor->cpus);
	predecessor_close_map(&predecessor->control);
	predecessor_close_map(&predecessor->trains);
	predecessor_close_map(&predecessor->flow_maps);
	predecessor_close_map(&predecessor->turners);
	free(predecessor->flows);
	free(predecessor->phases);
	free(predecessor);
}

static uint32_t predecessor_look_up_phase(const struct predecessor *predecessor, uint32_t slot)
{
	struct predecessor_flows wanted = {0}, *found;

	if (!predecessor->flow_count ||
	    bpf_map_lookup_elem(predecessor->flow_maps.fd, &slot, &wanted.id))
		return 0;
	found = bsearch(&wanted, predecessor->flows, predecessor->flow_count,
			sizeof(*predecessor->flows), predecessor_by_id);
	return found ? found->phase : 0;
}

/* 0: none that is known. Only slots that something tells of are looked at, as each look takes a
 * grace period before Linux 6.8 (flow_map.c). */
static uint32_t predecessor_phase(const struct predecessor *predecessor, uint32_t slot)
{
	if (slot >= predecessor->flow_maps.entries)
		return 0;
	if (predecessor->phases[slot] == UNKNOWN)
		predecessor->phases[slot] = predecessor_look_up_phase(predecessor, slot);
	return predecessor->phases[slot];
}

static uint32_t predecessor_bank(const struct predecessor *predecessor)
{
	const struct layout *layout = &predecessor->generation->layout;

	return (uint32_t)layout_get(&layout->control_bank, predecessor->control.values) %
	       layout->banks.at;
}

/* What it had begun to show some of its CPUs is shown to all, as slot_table_new() does it. */
static int predecessor_finish_switch(struct predecessor *predecessor)
{
	const struct layout *layout = &predecessor->generation->layout;
	uint64_t bank = layout_get(&layout->control_bank, predecessor->control.values);
	struct cpu_walk *walk;
	int err = cpu_walk_new(&walk, predecessor->cpus.entries);

	if (err)
		return err;
	cpu_walk_store(walk, predecessor->cpus.values + layout->cpu_bank.at,
		       predecessor->cpus.stride, (uint32_t)bank);
	cpu_walk_free(walk);
	return 0;
}

/* Words of the slot table that are to be ours. */
struct predecessor_words {
	struct flow_slot *list; /* owned */
	size_t count, counted;
};

/* What is counted in a map that is not held was not yet, or not any more. */
static bool predecessor_keeps_word(const struct predecessor *predecessor,
				   const struct flow_slot *word)
{
	if (!word->ifindex || !word->flags)
		return false;
	return !(word->flags & FLOW_SLOT_COUNTED) || predecessor_phase(predecessor, word->slot);
}

static int predecessor_read_words(const struct predecessor *predecessor,
				  struct predecessor_words *words)
{
	const struct layout *layout = &predecessor->generation->layout;
	uint32_t places = predecessor->slots.entries / layout->banks.at;

	words->list = calloc(places + 1, sizeof(*words->list));
	if (!words->list)
		return -ENOMEM;
	for (uint32_t place = 0; place < places; place++) {
		uint32_t index = place * layout->banks.at + predecessor_bank(predecessor);
		struct flow_slot word;

		if (!layout_get_slot(layout,
				     predecessor->slots.values + index * predecessor->slots.stride,
				     &word))
			return -EPROTO;
		if (!predecessor_keeps_word(predecessor, &word))
			continue;
		words->list[words->count++] = word;
		words->counted += !!(word.flags & FLOW_SLOT_COUNTED);
	}
	return 0;
}

int predecessor_check(const struct predecessor *predecessor)
{
	struct predecessor_words words = {0};
	int err = predecessor_read_words(predecessor, &words);

	free(words.list);
	return err;
}

/* For what the word counts a map of ours. */
static int predecessor_prepare_map(const struct predecessor *predecessor, struct flow_maps *maps,
				   struct flow_slot *word)
{
	struct flow_map map;
	int err = flow_maps_take(maps, predecessor_phase(predecessor, word->slot), &map);

	if (err)
		return err;
	/* pinned, and in its slot */
	close(map.fd);
	word->slot = (uint16_t)map.slot;
	return 0;
}

static int predecessor_prepare_words(const struct predecessor *predecessor,
				     struct slot_table *slots, struct flow_maps *maps,
				     const struct predecessor_words *words)
{
	struct layout_field fragments_covered =
		predecessor->generation->layout.control_fragments_covered;
	int err = flow_maps_prepare(maps, words->counted);

	for (size_t i = 0; i < words->count && !err; i++) {
		if (words->list[i].flags & FLOW_SLOT_COUNTED)
			err = predecessor_prepare_map(predecessor, maps, &words->list[i]);
		if (!err)
			err = slot_table_stage(slots, &words->list[i]);
	}
	if (err)
		return err;
	fragments_covered.at = (uint16_t)(fragments_covered.at +
					  predecessor_bank(predecessor) * fragments_covered.size);
	slot_table_stage_fragments_covered(slots, layout_get(&fragments_covered,
							     predecessor->control.values));
	slot_table_show(slots);
	return 0;
}

static int predecessor_prepare_turners(const struct predecessor *predecessor,
				       struct program *program)
{
	const struct layout *layout = &predecessor->generation->layout;
	_free_ char *key = calloc(1, layout->turner.size);
	_free_ char *next = calloc(1, layout->turner.size);
	bool more;
	int err = 0;

	if (!key || !next)
		return -ENOMEM;
	more = !bpf_map_get_next_key(predecessor->turners.fd, NULL, next);
	while (more && !err) {
		struct flow_turner turner;

		memcpy(key, next, layout->turner.size);
		layout_get_turner(layout, key, &turner);
		err = program_add_turner(program, &turner);
		more = !bpf_map_get_next_key(predecessor->turners.fd, key, next);
	}
	return err;
}

int predecessor_prepare(struct predecessor *predecessor, struct program *program,
			struct flow_maps *maps)
{
	const struct layout *layout = &predecessor->generation->layout;
	struct predecessor_words words = {0};
	int err = predecessor_finish_switch(predecessor);

	if (!err)
		err = predecessor_read_words(predecessor, &words);
	if (!err)
		err = predecessor_prepare_words(predecessor, program_slots(program), maps, &words);
	if (!err)
		err = predecessor_prepare_turners(predecessor, program);
	if (!err) {
		program_begin_epoch(program, predecessor_last_set(predecessor) + 1);
		program_use_trains(program, layout_get(&layout->control_trains,
						       predecessor->control.values));
	}
	free(words.list);
	return err;
}

uint32_t predecessor_last_set(const struct predecessor *predecessor)
{
	const struct layout *layout = &predecessor->generation->layout;

	return (uint32_t)layout_get(&layout->control_epoch, predecessor->control.values) + 1;
}

int predecessor_each_train(const struct predecessor *predecessor, bool last,
			   predecessor_train_found found, void *data)
{
	const struct layout *layout = &predecessor->generation->layout;
	uint32_t sets = predecessor->cpus.entries * FLOW_EPOCHS;
	uint32_t size = sets ? predecessor->trains.entries / sets : 0;
	uint32_t epoch = (predecessor_last_set(predecessor) - (last ? 1 : 2)) % FLOW_EPOCHS;
	size_t unknown = 0;
	int err = 0;

	for (uint32_t i = 0; i < sets * size && !err; i++) {
		const char *bytes = predecessor->trains.values + i * predecessor->trains.stride;
		struct flow_train train;

		if (i / size % FLOW_EPOCHS != epoch || !layout_get(&layout->train_packets, bytes))
			continue;
		if (layout_get_train(layout, bytes, &train))
			err = found(data, predecessor_phase(predecessor, train.slot), &train);
		else
			unknown++;
	}
	if (unknown)
		log_error("%zu flows of another version are lost: they are of a kind that this "
			  "one does not know",
			  unknown);
	return err;
}
