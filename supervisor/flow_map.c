// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/flow_map.h"
#include "lib/cleanup.h"
#include "supervisor/flow_map_private.h"
#include "supervisor/headroom.h"
#include "supervisor/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Slots emptied with one grace period. */
#define RELEASE_BATCH 64

/* Kernel memory that maps made ready leave for all else: inodes of pins, the agent's own pages. */
#define HEADROOM ((size_t)2 << 20)

static struct flow_key flow_maps_reason_key(enum flow_reason reason)
{
	return (struct flow_key){.family = FLOW_UNATTRIBUTED, .protocol = reason};
}

int flow_maps_create_empty(uint32_t entries)
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

struct pin_name flow_map_pin(const struct flow_map *map)
{
	return pin_name("flows-%" PRIu32 "-%" PRIu32 "-%" PRIu64, map->generation, map->phase,
			map->serial);
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

/* The last number is the kernel's own ENOTSUPP, which user space has no name for. */
bool flow_maps_lack_batches(int err)
{
	return err == -EINVAL || err == -EOPNOTSUPP || err == -524;
}

size_t flow_maps_install(struct flow_maps *maps, const uint32_t *slots, const uint32_t *fds,
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

/* Creates a map for the slot, and the phase if there is one. *before: how full that was so far. */
static int flow_maps_make(struct flow_maps *maps, struct flow_map *map, struct flow_fill *before)
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
		*before = program_reset_fill(maps->program, map->slot,
					     flow_maps_nearly_full(map->entries));
	return err;
}

/* Makes n maps, their slots and phases given, and installs them. Returns how many; *err says why
 * not all. */
static size_t flow_maps_make_installed(struct flow_maps *maps, struct flow_map *made, size_t n,
				       flow_maps_moment moment, void *data, int *err)
{
	_free_ uint32_t *slots = calloc(n + 1, sizeof(*slots));
	_free_ uint32_t *fds = calloc(n + 1, sizeof(*fds));
	_free_ struct flow_fill *before = calloc(n + 1, sizeof(*before));
	size_t count = 0, installed;
	int install_err;

	*err = slots && fds && before ? 0 : -ENOMEM;
	for (; !*err && count < n; count++) {
		*err = flow_maps_make(maps, &made[count], &before[count]);
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
		program_restore_fill(maps->program, made[i].slot, &before[i]);
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

bool flow_maps_in_place(const struct flow_maps *maps, const struct flow_map *map)
{
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info), id;

	if (bpf_obj_get_info_by_fd(map->fd, &info, &size))
		return true; /* nothing is known */
	return !bpf_map_lookup_elem(program_flow_maps_fd(maps->program), &map->slot, &id) &&
	       id == info.id;
}
