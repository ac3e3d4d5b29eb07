// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/flow_map.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "supervisor/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Never an interface's: to have something to wait for. */
#define SLOT_SPARE (FLOW_SLOTS - 1)

/* Records read in one system call. The kernel wants room for the longest bucket at least. */
#define READ_BATCH 4096

struct flow_maps {
	struct program *program; /* borrowed */
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

/* A new map, the reasons in it so that they fit however full it gets. */
static int flow_maps_create(uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	_close_ int fd =
		bpf_map_create(BPF_MAP_TYPE_HASH, "flowtally_flows", sizeof(struct flow_key),
			       sizeof(struct flow_value), entries + FLOW_REASONS, &opts);

	if (fd < 0)
		return -errno;
	for (enum flow_reason reason = 0; reason < FLOW_REASONS; reason++) {
		struct flow_key key = flow_maps_reason_key(reason);
		struct flow_value value = {0};

		if (bpf_map_update_elem(fd, &key, &value, BPF_NOEXIST))
			return -errno;
	}
	return TAKE_FD(fd);
}

int flow_maps_new(struct flow_maps **ret, struct program *program, uint32_t entries)
{
	struct flow_maps *maps = calloc(1, sizeof(*maps));

	if (!maps)
		return -ENOMEM;
	maps->program = program;
	maps->entries = entries;
	for (uint32_t slot = SLOT_SPARE; slot > 0; slot--)
		maps->free_slots[maps->free_count++] = slot - 1;
	maps->keys = calloc(READ_BATCH, sizeof(*maps->keys));
	maps->values = calloc(READ_BATCH, sizeof(*maps->values));
	maps->placeholder_fd = flow_maps_create(1);
	if (!maps->keys || !maps->values || maps->placeholder_fd < 0) {
		int err = maps->placeholder_fd < 0 ? maps->placeholder_fd : -ENOMEM;

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
	if (entries == maps->entries)
		return;
	maps->entries = entries;
	while (maps->ready_count) {
		struct flow_map *map = &maps->ready[--maps->ready_count];

		close(map->fd);
		maps->free_slots[maps->free_count++] = map->slot;
	}
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
	/* one grace period for all of them (kernel/bpf/syscall.c: maybe_wait_bpf_programs) */
	if (!maps->no_batch_update && n > 1) {
		if (!bpf_map_update_batch(outer, slots, fds, &count, NULL))
			return n;
		*err = -errno;
		if (*err != -EINVAL && *err != -EOPNOTSUPP && *err != -524 /* ENOTSUPP */)
			return count;
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
	uint32_t threshold = entries - entries / 4;

	return threshold ? threshold : 1;
}

/* Creates n maps and installs them in slots. Returns how many, with their descriptors in fds; *err
 * says why not all. */
static size_t flow_maps_create_in(struct flow_maps *maps, const uint32_t *slots, uint32_t *fds,
				  size_t n, flow_maps_moment moment, void *data, int *err)
{
	size_t made, installed;
	int install_err;

	*err = 0;
	for (made = 0; made < n; made++) {
		int fd = flow_maps_create(maps->entries);

		if (fd < 0) {
			*err = fd;
			break;
		}
		fds[made] = (uint32_t)fd;
		program_reset_fill(maps->program, slots[made],
				   flow_maps_nearly_full(maps->entries));
	}
	if (moment)
		moment(data);
	installed = flow_maps_install(maps, slots, fds, made, &install_err);
	for (size_t i = installed; i < made; i++) {
		close((int)fds[i]);
		/* what is in the slot still may hold entries, though its count was reset */
		program_touch_fill(maps->program, slots[i]);
	}
	if (install_err)
		*err = install_err;
	return installed;
}

int flow_maps_prepare(struct flow_maps *maps, size_t n)
{
	_free_ uint32_t *slots = NULL;
	_free_ uint32_t *fds = NULL;
	size_t wanted, installed;
	int err;

	if (n <= maps->ready_count)
		return 0;
	wanted = n - maps->ready_count;
	if (wanted > maps->free_count)
		wanted = maps->free_count;
	if (!wanted)
		return -ENOSPC;
	slots = calloc(wanted, sizeof(*slots));
	fds = calloc(wanted, sizeof(*fds));
	if (!slots || !fds)
		return -ENOMEM;
	for (size_t i = 0; i < wanted; i++)
		slots[i] = maps->free_slots[maps->free_count - 1 - i];
	installed = flow_maps_create_in(maps, slots, fds, wanted, NULL, NULL, &err);
	maps->free_count -= installed;
	/* the slots that were not used are below the used ones on the stack: order does not matter,
	 * identity does */
	for (size_t i = 0; i < installed; i++)
		maps->ready[maps->ready_count++] =
			(struct flow_map){.slot = slots[i], .fd = (int)fds[i]};
	return err;
}

int flow_maps_take(struct flow_maps *maps, struct flow_map *ret)
{
	int err = maps->ready_count ? 0 : flow_maps_prepare(maps, 1);

	if (!maps->ready_count)
		return err;
	*ret = maps->ready[--maps->ready_count];
	return 0;
}

void flow_maps_put_back(struct flow_maps *maps, struct flow_map *map)
{
	maps->ready[maps->ready_count++] = *map;
	*map = (struct flow_map){.fd = -1};
}

int flow_maps_swap(struct flow_maps *maps, struct flow_map *const *swapped, int *old_fds, size_t n,
		   flow_maps_moment moment, void *data)
{
	_free_ uint32_t *slots = calloc(n + 1, sizeof(*slots));
	_free_ uint32_t *fds = calloc(n + 1, sizeof(*fds));
	size_t installed = 0;
	int err = -ENOMEM;

	if (slots && fds) {
		for (size_t i = 0; i < n; i++)
			slots[i] = swapped[i]->slot;
		installed = flow_maps_create_in(maps, slots, fds, n, moment, data, &err);
	} else if (moment) {
		moment(data);
	}
	for (size_t i = 0; i < n; i++) {
		old_fds[i] = i < installed ? swapped[i]->fd : -1;
		if (i < installed)
			swapped[i]->fd = (int)fds[i];
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
	for (size_t i = 0; i < n; i++)
		maps->free_slots[maps->free_count++] = slots[i];
	return 0;
}

int flow_maps_synchronize(struct flow_maps *maps)
{
	const uint32_t slot = SLOT_SPARE, fd = (uint32_t)maps->placeholder_fd;
	int err;

	flow_maps_install(maps, &slot, &fd, 1, &err);
	return err;
}

bool flow_maps_idle(const struct flow_maps *maps, const struct flow_map *map)
{
	static const struct flow_value nothing;

	if (program_fill(maps->program, map->slot))
		return false;
	for (enum flow_reason reason = 0; reason < FLOW_REASONS; reason++) {
		struct flow_key key = flow_maps_reason_key(reason);
		struct flow_value value;

		if (bpf_map_lookup_elem(map->fd, &key, &value) ||
		    memcmp(&value, &nothing, sizeof(value)))
			return false;
	}
	return true;
}

static int flow_maps_read_one_by_one(struct flow_maps *maps, int fd, flow_map_found found,
				     void *data)
{
	struct flow_key key;
	const struct flow_key *previous = NULL;

	while (!bpf_map_get_next_key(fd, previous, &key)) {
		int err;

		if (bpf_map_lookup_elem(fd, &key, &maps->values[0]))
			return -errno;
		err = found(data, &key, &maps->values[0], 1);
		if (err)
			return err;
		previous = &key;
	}
	return errno == ENOENT ? 0 : -errno;
}

int flow_maps_read(struct flow_maps *maps, int fd, flow_map_found found, void *data)
{
	__u32 position; /* the kernel's: a bucket number */
	bool first = true;

	if (maps->no_batch_read)
		return flow_maps_read_one_by_one(maps, fd, found, data);
	for (;;) {
		__u32 count = READ_BATCH;
		int failed = bpf_map_lookup_batch(fd, first ? NULL : &position, &position,
						  maps->keys, maps->values, &count, NULL);
		bool last = failed && errno == ENOENT;
		int err;

		if (failed && !last) {
			if (!first || (errno != EINVAL && errno != EOPNOTSUPP && errno != 524))
				return -errno;
			maps->no_batch_read = true;
			return flow_maps_read_one_by_one(maps, fd, found, data);
		}
		err = found(data, maps->keys, maps->values, count);
		if (err || last)
			return err;
		first = false;
	}
}
