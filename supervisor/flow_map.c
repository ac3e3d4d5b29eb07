// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/flow_map.h"
#include "lib/array.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "supervisor/headroom.h"
#include "supervisor/layout.h"
#include "supervisor/pins.h"
#include "supervisor/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Never an interface's: to have something to wait for. */
#define SLOT_SPARE (FLOW_SLOTS - 1)

/* Records read in one system call. The kernel wants room for the longest bucket at least. */
#define READ_BATCH 4096

/* Slots emptied with one grace period. */
#define RELEASE_BATCH 64

/* Kernel memory that maps made ready leave for all else: inodes of pins, the agent's own pages. */
#define HEADROOM ((size_t)2 << 20)

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

static struct flow_key flow_maps_reason_key(enum flow_reason reason)
{
	return (struct flow_key){.family = FLOW_UNATTRIBUTED, .protocol = reason};
}

static int flow_maps_create_empty(uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "flowtally_flows", sizeof(struct flow_key),
				sizeof(struct flow_value), entries, &opts);

	return fd < 0 ? -errno : fd;
}

/* A new map, the reasons in it so that they fit however full it gets. */
static int flow_maps_create(uint32_t entries)
{
	_close_ int fd = flow_maps_create_empty(entries);

	if (fd < 0)
		return fd;
	for (enum flow_reason reason = 0; reason < FLOW_OWN_ENTRIES; reason++) {
		struct flow_key key = flow_maps_reason_key(reason);
		struct flow_value value = {0};

		if (bpf_map_update_elem(fd, &key, &value, BPF_NOEXIST))
			return -errno;
	}
	return TAKE_FD(fd);
}

/*
 * The kernel gives a map 16 bytes for each entry, up to the next power of two: the reasons are
 * among the entries, as four more than 65536 would cost another MiB an interface.
 */
static uint32_t flow_maps_size(uint32_t entries)
{
	return entries > FLOW_OWN_ENTRIES ? entries : FLOW_OWN_ENTRIES + 1;
}

bool flow_map_is_pin(const char *name, struct flow_map *map)
{
	*map = (struct flow_map){.slot = FLOW_MAP_NO_SLOT, .fd = -1};
	return sscanf(name, "flows-%" SCNu32 "-%" SCNu32 "-%" SCNu64, &map->generation, &map->phase,
		      &map->serial) == 3;
}

static void flow_maps_note_serial(void *data, const char *name)
{
	struct flow_maps *maps = data;
	struct flow_map map;

	if (flow_map_is_pin(name, &map) && map.serial > maps->last_serial)
		maps->last_serial = map.serial;
}

int flow_maps_new(struct flow_maps **ret, struct program *program, const struct pins *pins,
		  uint32_t entries)
{
	struct flow_maps *maps = calloc(1, sizeof(*maps));
	int err;

	if (!maps)
		return -ENOMEM;
	maps->program = program;
	maps->pins = pins;
	maps->entries = flow_maps_size(entries);
	for (uint32_t slot = SLOT_SPARE; slot > 0; slot--)
		maps->free_slots[maps->free_count++] = slot - 1;
	maps->keys = calloc(READ_BATCH, sizeof(*maps->keys));
	maps->values = calloc(READ_BATCH, sizeof(*maps->values));
	maps->placeholder_fd = flow_maps_create(flow_maps_size(1));
	if (maps->placeholder_fd < 0)
		err = maps->placeholder_fd;
	else if (!maps->keys || !maps->values)
		err = -ENOMEM;
	else
		err = pins_each(pins, flow_maps_note_serial, maps);
	if (err) {
		flow_maps_free(maps);
		return err;
	}
	*ret = maps;
	return 0;
}

void flow_maps_free(struct flow_maps *maps)
{
	if (!maps)
		return;
	for (size_t i = 0; i < maps->ready_count; i++)
		close(maps->ready[i].fd);
	if (maps->placeholder_fd >= 0)
		close(maps->placeholder_fd);
	free(maps->keys);
	free(maps->values);
	free(maps);
}

void flow_maps_set_entries(struct flow_maps *maps, uint32_t entries)
{
	if (flow_maps_size(entries) == maps->entries)
		return;
	maps->entries = flow_maps_size(entries);
	flow_maps_release(maps, 0);
}

static struct pin_name flow_map_pin(const struct flow_map *map)
{
	return pin_name("flows-%" PRIu32 "-%" PRIu32 "-%" PRIu64, map->generation, map->phase,
			map->serial);
}

/* Gives the map a serial number and holds it for a crash. */
static int flow_maps_hold(struct flow_maps *maps, struct flow_map *map)
{
	struct pin_name pin;

	map->serial = ++maps->last_serial;
	map->generation = program_generation(maps->program);
	pin = flow_map_pin(map);
	return pins_put(maps->pins, map->fd, pin.text);
}

void flow_maps_forget(struct flow_maps *maps, const struct flow_map *map)
{
	struct pin_name pin = flow_map_pin(map);

	pins_forget(maps->pins, pin.text);
}

/* Whether the error tells that the kernel has no batches of such a map; the last number is its own
 * ENOTSUPP, which user space has no name for. */
static bool flow_maps_lack_batches(int err)
{
	return err == -EINVAL || err == -EOPNOTSUPP || err == -524;
}

/*
 * Puts fds into slots of the outer map and waits until no program uses what was there. Returns how
 * many of them are in, from the first on; *err says why it is not all.
 */
static size_t flow_maps_install(struct flow_maps *maps, const uint32_t *slots, const uint32_t *fds,
				size_t n, int *err)
{
	int outer = program_flow_maps_fd(maps->program);
	__u32 count = (__u32)n;

	*err = 0;
	if (!n)
		return 0;
	/* one grace period for all of them from Linux 6.8 on (kernel/bpf/syscall.c:
	 * generic_map_update_batch()), before that one each */
	if (!maps->no_batch_update && n > 1) {
		if (!bpf_map_update_batch(outer, slots, fds, &count, NULL))
			return n;
		*err = -errno;
		/* who finds no memory to begin with leaves the count as it was */
		if (!flow_maps_lack_batches(*err))
			return count < n ? count : 0;
		maps->no_batch_update = true;
		*err = 0;
	}
	for (size_t i = 0; i < n; i++)
		if (bpf_map_update_elem(outer, &slots[i], &fds[i], BPF_ANY)) {
			*err = -errno;
			return i;
		}
	return n;
}

/* Three quarters: the last one is for what comes until the map is swapped. */
static uint32_t flow_maps_nearly_full(uint32_t entries)
{
	uint32_t flows = entries - FLOW_OWN_ENTRIES;

	return flows - flows / 4;
}

void flow_maps_discard(struct flow_maps *maps, struct flow_map *map)
{
	if (map->phase)
		flow_maps_forget(maps, map);
	close(map->fd);
	map->fd = -1;
}

/* Creates a map for the slot, and the phase if there is one. */
static int flow_maps_make(struct flow_maps *maps, struct flow_map *map)
{
	int err;

	map->entries = maps->entries;
	map->fd = flow_maps_create(map->entries);
	if (map->fd < 0)
		return map->fd;
	err = map->phase ? flow_maps_hold(maps, map) : 0;
	if (err)
		flow_maps_discard(maps, map);
	else
		program_reset_fill(maps->program, map->slot, flow_maps_nearly_full(map->entries));
	return err;
}

/* Makes n maps, their slots and phases given, and installs them. Returns how many; *err says why
 * not all. */
static size_t flow_maps_make_installed(struct flow_maps *maps, struct flow_map *made, size_t n,
				       flow_maps_moment moment, void *data, int *err)
{
	_free_ uint32_t *slots = calloc(n + 1, sizeof(*slots));
	_free_ uint32_t *fds = calloc(n + 1, sizeof(*fds));
	size_t count = 0, installed;
	int install_err;

	*err = slots && fds ? 0 : -ENOMEM;
	for (; !*err && count < n; count++) {
		*err = flow_maps_make(maps, &made[count]);
		if (*err)
			break;
		slots[count] = made[count].slot;
		fds[count] = (uint32_t)made[count].fd;
	}
	if (moment)
		moment(data);
	installed = flow_maps_install(maps, slots, fds, count, &install_err);
	for (size_t i = installed; i < count; i++) {
		flow_maps_discard(maps, &made[i]);
		/* what is in the slot still may hold entries, though its count was reset */
		program_touch_fill(maps->program, made[i].slot);
	}
	if (install_err)
		*err = install_err;
	return installed;
}

/* Of the last memory half is given back, as who has none left is killed by the kernel. */
static void flow_maps_leave_room(struct flow_maps *maps, size_t made)
{
	flow_maps_release(maps, maps->ready_count - (made + 1) / 2);
	(void)headroom_wait(HEADROOM);
}

int flow_maps_prepare(struct flow_maps *maps, size_t n)
{
	_free_ struct flow_map *made = NULL;
	size_t wanted, installed;
	bool clipped;
	int err;

	if (n <= maps->ready_count)
		return 0;
	wanted = n - maps->ready_count;
	clipped = wanted > maps->free_count;
	if (clipped)
		wanted = maps->free_count;
	if (!wanted)
		return -ENOSPC;
	made = calloc(wanted, sizeof(*made));
	if (!made)
		return -ENOMEM;
	for (size_t i = 0; i < wanted; i++)
		made[i].slot = maps->free_slots[maps->free_count - 1 - i];
	installed = flow_maps_make_installed(maps, made, wanted, NULL, NULL, &err);
	maps->free_count -= installed;
	/* the slots that were not used are below the used ones on the stack: order does not matter,
	 * identity does */
	for (size_t i = 0; i < installed; i++)
		maps->ready[maps->ready_count++] = made[i];
	if (!err && !headroom_has(HEADROOM))
		err = -ENOMEM;
	if (err == -ENOMEM)
		flow_maps_leave_room(maps, installed);
	return !err && clipped ? -ENOSPC : err;
}

size_t flow_maps_ready(const struct flow_maps *maps)
{
	return maps->ready_count;
}

bool flow_maps_have_memory(const struct flow_maps *maps, size_t n)
{
	size_t buckets = 1;

	if (n <= maps->ready_count)
		return true;
	/* 16 bytes each (kernel/bpf/hashtab.c: htab_map_alloc()) */
	while (buckets < maps->entries)
		buckets *= 2;
	return headroom_has(HEADROOM + 16 * buckets * (n - maps->ready_count));
}

void flow_maps_release(struct flow_maps *maps, size_t n)
{
	uint32_t slots[RELEASE_BATCH], fds[RELEASE_BATCH];

	while (maps->ready_count > n) {
		size_t count = 0;
		int err;

		while (maps->ready_count > n && count < RELEASE_BATCH) {
			struct flow_map *map = &maps->ready[--maps->ready_count];

			close(map->fd);
			fds[count] = (uint32_t)maps->placeholder_fd;
			slots[count++] = map->slot;
			maps->free_slots[maps->free_count++] = map->slot;
		}
		/* what the outer map keeps after a failure goes when the slot is used again */
		flow_maps_install(maps, slots, fds, count, &err);
	}
}

int flow_maps_take(struct flow_maps *maps, uint32_t phase, struct flow_map *ret)
{
	int err = maps->ready_count ? 0 : flow_maps_prepare(maps, 1);
	struct flow_map map;

	if (!maps->ready_count)
		return err;
	map = maps->ready[maps->ready_count - 1];
	map.phase = phase;
	err = flow_maps_hold(maps, &map);
	if (err)
		return err;
	maps->ready_count--;
	*ret = map;
	return 0;
}

int flow_maps_rename(struct flow_maps *maps, struct flow_map *map, uint32_t phase)
{
	struct flow_map renamed = *map;
	struct pin_name from = flow_map_pin(map), to;
	int err;

	renamed.phase = phase;
	to = flow_map_pin(&renamed);
	err = pins_rename(maps->pins, from.text, to.text);
	if (!err)
		map->phase = phase;
	return err;
}

void flow_maps_put_back(struct flow_maps *maps, struct flow_map *map)
{
	flow_maps_forget(maps, map);
	map->phase = 0;
	maps->ready[maps->ready_count++] = *map;
	*map = (struct flow_map){.fd = -1};
}

int flow_maps_swap(struct flow_maps *maps, struct flow_map *const *swapped, struct flow_map *old,
		   size_t n, flow_maps_moment moment, void *data)
{
	_free_ struct flow_map *made = calloc(n + 1, sizeof(*made));
	size_t installed = 0;
	int err = -ENOMEM;

	if (made) {
		for (size_t i = 0; i < n; i++)
			made[i] = (struct flow_map){.slot = swapped[i]->slot,
						    .phase = swapped[i]->phase};
		installed = flow_maps_make_installed(maps, made, n, moment, data, &err);
	} else if (moment) {
		moment(data);
	}
	for (size_t i = 0; i < n; i++) {
		old[i] = (struct flow_map){.fd = -1};
		if (i >= installed)
			continue;
		old[i] = *swapped[i];
		old[i].slot = FLOW_MAP_NO_SLOT;
		*swapped[i] = made[i];
	}
	return n || err ? err : flow_maps_synchronize(maps);
}

int flow_maps_retire(struct flow_maps *maps, struct flow_map *const *retired, size_t n)
{
	_free_ uint32_t *slots = calloc(n + 1, sizeof(*slots));
	_free_ uint32_t *fds = calloc(n + 1, sizeof(*fds));
	int err;

	if (!slots || !fds)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		slots[i] = retired[i]->slot;
		fds[i] = (uint32_t)maps->placeholder_fd;
	}
	/* one that is out while the next failed stays readable, and its slot is not reached: no
	 * harm in trying again */
	flow_maps_install(maps, slots, fds, n, &err);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		maps->free_slots[maps->free_count++] = slots[i];
		retired[i]->slot = FLOW_MAP_NO_SLOT;
	}
	return 0;
}

int flow_maps_synchronize(struct flow_maps *maps)
{
	const uint32_t slot = SLOT_SPARE, fd = (uint32_t)maps->placeholder_fd;
	int err;

	flow_maps_install(maps, &slot, &fd, 1, &err);
	return err;
}

bool flow_value_counts(const struct flow_value *value)
{
	static const struct flow_value nothing;

	return memcmp(value, &nothing, sizeof(nothing)) != 0;
}

bool flow_maps_is_sized(const struct flow_maps *maps, const struct flow_map *map)
{
	return map->entries == maps->entries;
}

bool flow_maps_idle(const struct flow_maps *maps, const struct flow_map *map)
{
	if (program_fill(maps->program, map->slot))
		return false;
	for (enum flow_reason reason = 0; reason < FLOW_OWN_ENTRIES; reason++) {
		struct flow_key key = flow_maps_reason_key(reason);
		struct flow_value value;

		if (bpf_map_lookup_elem(map->fd, &key, &value) || flow_value_counts(&value))
			return false;
	}
	return true;
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

static size_t flow_maps_key_size(const struct flow_map *map)
{
	return map->layout ? map->layout->key.size : sizeof(struct flow_key);
}

static size_t flow_maps_value_size(const struct flow_map *map)
{
	return map->layout ? map->layout->value.size : sizeof(struct flow_value);
}

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

bool flow_maps_in_place(const struct flow_maps *maps, const struct flow_map *map)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info), id;

	if (bpf_obj_get_info_by_fd(map->fd, &info, &size))
		return true; /* nothing is known */
	return !bpf_map_lookup_elem(program_flow_maps_fd(maps->program), &map->slot, &id) &&
	       id == info.id;
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
	if (!maps->pins)
		return 0;
	fd = flow_maps_create_empty(entries ? (uint32_t)entries : 1);
	if (fd < 0)
		return fd;
	err = flow_maps_read(maps, map, flow_maps_copy_records, &fd);
	return err ? err : pins_replace(maps->pins, fd, pin.text);
}

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
