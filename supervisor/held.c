// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/held.h"
#include "lib/array.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/record.h"
#include "report/flow_bytes.h"
#include "supervisor/flow_map.h"
#include "supervisor/pins.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of trains, behind a head. */
struct train_bytes {
	struct key_bytes key; /* end 0 sent */
	struct count_bytes count;
	uint32_t phase, class;
};

struct held {
	struct flow_maps *maps;
	const struct pins *pins;
	struct flow_map *list; /* without descriptors */
	size_t count, capacity;
	uint64_t first_train_set, last_train_set; /* pinned are at most those behind the first */
};

static struct pin_name held_train_pin(uint64_t set)
{
	return pin_name("trains-%" PRIu64, set);
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

int held_trains_add(struct held_trains *trains, uint32_t phase, const struct flow_train *train)
{
	int err;

	if (!phase) {
		log_error("%llu bytes in slot %u belong to no interface", train->bytes,
			  train->slot);
		return 0;
	}
	err = array_reserve(&trains->list, &trains->capacity, sizeof(*trains->list),
			    trains->count + 1);
	if (!err)
		trains->list[trains->count++] =
			(struct held_train){.phase = phase, .train = *train};
	return err;
}

int held_add(struct held *held, const struct flow_map *map)
{
	int err;

	if (!pins_are_kept(held->pins))
		return 0;
	err = array_reserve(&held->list, &held->capacity, sizeof(*held->list), held->count + 1);
	if (err)
		return err;
	held->list[held->count] = *map;
	held->list[held->count++].fd = -1;
	return 0;
}

void held_note_trains(struct held *held, uint64_t set)
{
	if (held->first_train_set == held->last_train_set)
		held->first_train_set = held->last_train_set = set - 1;
	if (set <= held->first_train_set)
		held->first_train_set = set - 1;
	if (set > held->last_train_set)
		held->last_train_set = set;
}

static void held_encode_trains(const struct held_train *trains, size_t n, struct buffer *bytes)
{
	const struct record_head head = {.count = n, .size = sizeof(struct train_bytes)};

	buffer_append(bytes, &head, sizeof(head));
	for (size_t i = 0; i < n; i++) {
		const struct train_bytes coded = {
			.key = key_bytes_from(&trains[i].train.key),
			.count = {.bytes = trains[i].train.bytes,
				  .packets = trains[i].train.packets},
			.phase = trains[i].phase,
			.class = trains[i].train.class,
		};

		buffer_append(bytes, &coded, sizeof(coded));
	}
}

int held_put_trains(struct held *held, uint32_t set, const struct held_train *trains, size_t n)
{
	struct pin_name pin = held_train_pin(set);
	struct buffer bytes = {0};
	int err;

	if (!pins_are_kept(held->pins) || !n)
		return 0;
	held_encode_trains(trains, n, &bytes);
	err = buffer_error(&bytes);
	if (!err)
		err = pins_put_bytes(held->pins, pin.text, bytes.data, bytes.size);
	buffer_free(&bytes);
	return err;
}

static int held_decode_trains(const struct buffer *bytes, struct held_train **ret, size_t *n)
{
	struct record_head head;
	struct held_train *trains;

	if (bytes->size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, bytes->data, sizeof(head));
	if (!record_fits(&head, bytes->size - sizeof(head)))
		return -EBADMSG;
	trains = calloc(head.count + 1, sizeof(*trains));
	if (!trains)
		return -ENOMEM;
	for (size_t i = 0; i < head.count; i++) {
		struct train_bytes coded;

		record_take(&coded, sizeof(coded), bytes->data + sizeof(head) + i * head.size,
			    head.size);
		trains[i] = (struct held_train){
			.phase = coded.phase,
			.train = {.key = key_bytes_to_key(&coded.key),
				  .bytes = coded.count.bytes,
				  .packets = coded.count.packets,
				  .class = (uint16_t)coded.class},
		};
	}
	*ret = trains;
	*n = head.count;
	return 0;
}

int held_has_trains(const struct held *held, uint32_t set, bool *has)
{
	struct pin_name pin = held_train_pin(set);
	_close_ int fd = pins_get(held->pins, pin.text);

	*has = fd >= 0;
	return fd < 0 && fd != -ENOENT ? fd : 0;
}

int held_get_trains(struct held *held, uint32_t set, struct held_train **ret, size_t *n)
{
	struct pin_name pin = held_train_pin(set);
	struct buffer bytes = {0};
	int err = pins_get_bytes(held->pins, pin.text, &bytes);

	if (!err)
		err = held_decode_trains(&bytes, ret, n);
	buffer_free(&bytes);
	if (!err)
		held_note_trains(held, set);
	return err;
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

size_t held_count_train_sets(const struct held *held, uint64_t after_train_set)
{
	if (after_train_set < held->first_train_set)
		after_train_set = held->first_train_set;
	return held->last_train_set > after_train_set ? held->last_train_set - after_train_set : 0;
}

bool held_has_generation(const struct held *held, uint32_t generation)
{
	for (size_t i = 0; i < held->count; i++)
		if (held->list[i].generation == generation)
			return true;
	return false;
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
	struct pin_name pin = held_train_pin(set);

	pins_forget(held->pins, pin.text);
}

void held_release(struct held *held, size_t first, size_t n, uint64_t after_train_set,
		  uint64_t last_train_set)
{
	for (size_t i = first; i < first + n; i++)
		flow_maps_forget(held->maps, &held->list[i]);
	held->count -= n;
	if (held->count > first)
		memmove(held->list + first, held->list + first + n,
			(held->count - first) * sizeof(*held->list));
	if (after_train_set < held->first_train_set)
		after_train_set = held->first_train_set;
	/* what a checkpoint says may be of long ago */
	if (last_train_set > held->last_train_set)
		last_train_set = held->last_train_set;
	for (uint64_t set = after_train_set; set < last_train_set;)
		held_forget_trains(held, ++set);
	if (held->first_train_set == after_train_set && last_train_set > after_train_set)
		held->first_train_set = last_train_set;
}
