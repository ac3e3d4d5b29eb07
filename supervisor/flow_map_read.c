// SPDX-License-Identifier: GPL-2.0-only
/* Reading flow maps, ours and those of other versions. */
#include "lib/cleanup.h"
#include "lib/log.h"
#include "supervisor/flow_map_private.h"
#include "supervisor/layout.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool flow_value_counts(const struct flow_value *value)
{
	static const struct flow_value nothing;

	return memcmp(value, &nothing, sizeof(nothing)) != 0;
}

size_t flow_maps_key_size(const struct flow_map *map)
{
	return map->layout ? map->layout->key.size : sizeof(struct flow_key);
}

size_t flow_maps_value_size(const struct flow_map *map)
{
	return map->layout ? map->layout->value.size : sizeof(struct flow_value);
}

/* A map on its way to whoever asked for it. */
struct flow_map_reading {
	struct flow_maps *maps;
	const struct flow_map *map;
	void *keys, *values; /* READ_BATCH of each, as the map has them; borrowed */
	flow_map_found found;
	void *data;
	size_t unknown; /* entries that say what we know nothing of */
};

/* Hands on what was read. */
static int flow_maps_hand_on(struct flow_map_reading *reading, size_t n)
{
	const struct flow_map *map = reading->map;
	struct flow_maps *maps = reading->maps;
	size_t known = 0;

	if (!map->layout)
		return reading->found(reading->data, maps->keys, maps->values, n);
	for (size_t i = 0; i < n; i++) {
		const char *key = (const char *)reading->keys + i * map->layout->key.size;
		const char *value = (const char *)reading->values + i * map->layout->value.size;

		known += layout_get_flow(map->layout, key, value, &maps->keys[known],
					 &maps->values[known]);
	}
	reading->unknown += n - known;
	return reading->found(reading->data, maps->keys, maps->values, known);
}

static int flow_maps_read_one_by_one(struct flow_map_reading *reading)
{
	size_t key_size = flow_maps_key_size(reading->map);
	_free_ void *previous = malloc(key_size);
	bool first = true;
	int fd = reading->map->fd;

	if (!previous)
		return -ENOMEM;
	while (!bpf_map_get_next_key(fd, first ? NULL : previous, reading->keys)) {
		int err;

		memcpy(previous, reading->keys, key_size);
		if (bpf_map_lookup_elem(fd, reading->keys, reading->values))
			return -errno;
		err = flow_maps_hand_on(reading, 1);
		if (err)
			return err;
		first = false;
	}
	return errno == ENOENT ? 0 : -errno;
}

static int flow_maps_read_batches(struct flow_map_reading *reading)
{
	struct flow_maps *maps = reading->maps;
	__u32 position; /* the kernel's: a bucket number */
	bool first = true;

	if (maps->no_batch_read)
		return flow_maps_read_one_by_one(reading);
	for (;;) {
		__u32 count = READ_BATCH;
		int failed =
			bpf_map_lookup_batch(reading->map->fd, first ? NULL : &position, &position,
					     reading->keys, reading->values, &count, NULL);
		bool last = failed && errno == ENOENT;
		int err;

		if (failed && !last) {
			/* the kernel has no memory for a key, or for a bucket */
			if (first && errno == ENOMEM)
				return flow_maps_read_one_by_one(reading);
			if (!first || !flow_maps_lack_batches(-errno))
				return -errno;
			maps->no_batch_read = true;
			return flow_maps_read_one_by_one(reading);
		}
		err = flow_maps_hand_on(reading, count);
		if (err || last)
			return err;
		first = false;
	}
}

/* By way of memory for as many of theirs. */
static int flow_maps_read_foreign(struct flow_map_reading *reading)
{
	_free_ void *keys = calloc(READ_BATCH, reading->map->layout->key.size);
	_free_ void *values = calloc(READ_BATCH, reading->map->layout->value.size);
	int err;

	if (!keys || !values)
		return -ENOMEM;
	reading->keys = keys;
	reading->values = values;
	err = flow_maps_read_batches(reading);
	if (reading->unknown)
		log_error("%zu flows of another version are lost: they are of a kind that this "
			  "one does not know",
			  reading->unknown);
	return err;
}

int flow_maps_read(struct flow_maps *maps, const struct flow_map *map, flow_map_found found,
		   void *data)
{
	struct flow_map_reading reading = {.maps = maps,
					   .map = map,
					   .keys = maps->keys,
					   .values = maps->values,
					   .found = found,
					   .data = data};

	return map->layout ? flow_maps_read_foreign(&reading) : flow_maps_read_batches(&reading);
}

static int flow_maps_copy_records(void *data, const struct flow_key *keys,
				  const struct flow_value *values, size_t n)
{
	const int *to_fd = data;

	for (size_t i = 0; i < n; i++)
		if (flow_value_counts(&values[i]) &&
		    bpf_map_update_elem(*to_fd, &keys[i], &values[i], BPF_ANY))
			return -errno;
	return 0;
}

int flow_maps_shrink(struct flow_maps *maps, const struct flow_map *map, size_t entries)
{
	struct pin_name pin = flow_map_pin(map);
	_close_ int fd = -1;
	int err;

	if (map->layout)
		return -EOPNOTSUPP;
	if (!pins_are_kept(maps->pins))
		return 0;
	fd = flow_maps_create_empty(entries ? (uint32_t)entries : 1);
	if (fd < 0)
		return fd;
	err = flow_maps_read(maps, map, flow_maps_copy_records, &fd);
	return err ? err : pins_replace(maps->pins, fd, pin.text);
}
