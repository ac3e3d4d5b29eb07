// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/held.h"
#include "lib/array.h"
#include "lib/buffer.h"
#include "supervisor/flow_map.h"
#include "supervisor/pins.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct held_map {
	uint32_t phase;
	uint64_t serial;
};

struct held {
	struct flow_maps *maps;
	const struct pins *pins;
	struct held_map *list;
	size_t count, capacity;
	uint64_t first_train_set, last_train_set; /* pinned are at most those behind the first */
};

struct held_pin {
	char name[64];
};

static struct held_pin held_train_pin(uint64_t set)
{
	struct held_pin pin;

	snprintf(pin.name, sizeof(pin.name), "trains-%" PRIu64, set);
	return pin;
}

int held_new(struct held **ret, struct flow_maps *maps, const struct pins *pins)
{
	struct held *held = calloc(1, sizeof(*held));

	if (!held)
		return -ENOMEM;
	held->maps = maps;
	held->pins = pins;
	*ret = held;
	return 0;
}

void held_free(struct held *held)
{
	if (!held)
		return;
	free(held->list);
	free(held);
}

int held_add(struct held *held, const struct flow_map *map)
{
	int err;

	if (!held->pins)
		return 0;
	err = array_reserve(&held->list, &held->capacity, sizeof(*held->list), held->count + 1);
	if (err)
		return err;
	held->list[held->count++] = (struct held_map){.phase = map->phase, .serial = map->serial};
	return 0;
}

static void held_note_set(struct held *held, uint64_t set)
{
	if (held->first_train_set == held->last_train_set)
		held->first_train_set = held->last_train_set = set - 1;
	if (set <= held->first_train_set)
		held->first_train_set = set - 1;
	if (set > held->last_train_set)
		held->last_train_set = set;
}

int held_put_trains(struct held *held, uint32_t set, const struct held_train *trains, size_t n)
{
	struct held_pin pin = held_train_pin(set);
	int err;

	if (!held->pins || !n)
		return 0;
	err = pins_put_bytes(held->pins, pin.name, trains, n * sizeof(*trains));
	if (!err)
		held_note_set(held, set);
	return err;
}

int held_get_trains(struct held *held, uint32_t set, struct held_train **ret, size_t *n)
{
	struct held_pin pin = held_train_pin(set);
	struct buffer bytes = {0};
	int err = pins_get_bytes(held->pins, pin.name, &bytes);

	if (!err && (!bytes.size || bytes.size % sizeof(**ret)))
		err = -EBADMSG;
	if (err) {
		buffer_free(&bytes);
		return err;
	}
	held_note_set(held, set);
	/* malloc() made it: aligned for anything */
	*ret = (struct held_train *)(void *)bytes.data;
	*n = bytes.size / sizeof(**ret);
	return 0;
}

struct held_train_walk {
	int (*found)(void *data, uint32_t set);
	void *data;
	int err;
};

static void held_see_name(void *data, const char *name)
{
	struct held_train_walk *walk = data;
	uint32_t set;

	if (!walk->err && sscanf(name, "trains-%" SCNu32, &set) == 1)
		walk->err = walk->found(walk->data, set);
}

int held_each_train_set(struct held *held, int (*found)(void *data, uint32_t set), void *data)
{
	struct held_train_walk walk = {.found = found, .data = data};
	int err = pins_each(held->pins, held_see_name, &walk);

	return err ? err : walk.err;
}

size_t held_count(const struct held *held)
{
	return held->count;
}

int held_list(const struct held *held, size_t first, struct checkpoint_list *maps,
	      uint64_t *last_train_set)
{
	size_t count = held->count - first;
	uint64_t *numbers = calloc(count + 1, sizeof(*numbers));

	if (!numbers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		numbers[i] = held->list[first + i].serial;
	*maps = (struct checkpoint_list){.numbers = numbers, .count = count};
	*last_train_set = held->last_train_set;
	return 0;
}

void held_forget_trains(struct held *held, uint64_t set)
{
	struct held_pin pin = held_train_pin(set);

	pins_forget(held->pins, pin.name);
}

void held_release(struct held *held, size_t first, size_t n, uint64_t after_train_set,
		  uint64_t last_train_set)
{
	for (size_t i = first; i < first + n; i++)
		flow_maps_forget(held->maps, held->list[i].phase, held->list[i].serial);
	held->count -= n;
	if (held->count > first)
		memmove(held->list + first, held->list + first + n,
			(held->count - first) * sizeof(*held->list));
	if (after_train_set < held->first_train_set)
		after_train_set = held->first_train_set;
	for (uint64_t set = after_train_set; set < last_train_set;)
		held_forget_trains(held, ++set);
	if (held->first_train_set == after_train_set && last_train_set > after_train_set)
		held->first_train_set = last_train_set;
}
