/* SPDX-License-Identifier: GPL-2.0-only */
/* The real BPF object on lo of a network namespace of the test's own, fed through
 * BPF_PROG_TEST_RUN. */
#ifndef FLOWTALLY_TESTS_HARNESS_H
#define FLOWTALLY_TESTS_HARNESS_H

#include <errno.h>
#include <linux/pkt_cls.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/flow_types.h"
#include "lib/array.h"
#include "tests/prog/packet.h"

#define LOOPBACK     1
#define TEST_SLOT    7
#define TEST_ENTRIES 512
#define COUNTED	     (FLOW_SLOT_COUNTED | FLOW_SLOT_ETHERNET)

extern const char flow_object[], flow_object_end[];

struct harness {
	struct bpf_object *object;
	int in, out; /* programs; borrowed from the object, as are the next three */
	int slots, flow_maps, fill;
	int map; /* in TEST_SLOT; owned */
};

struct entry {
	struct flow_key key;
	struct flow_value value;
};

static inline int harness_fd(const struct harness *h, const char *map)
{
	int fd = bpf_object__find_map_fd_by_name(h->object, map);

	assert_true(fd >= 0);
	return fd;
}

static inline void harness_set_slot(const struct harness *h, uint32_t place, uint32_t ifindex,
				    uint8_t flags)
{
	struct flow_slot slot = {.ifindex = ifindex, .slot = TEST_SLOT, .flags = flags};
	uint32_t index = flow_slot_index(place, 0);

	assert_int_equal(bpf_map_update_elem(h->slots, &index, &slot, BPF_ANY), 0);
}

static inline struct flow_key reason_key(enum flow_reason reason)
{
	return (struct flow_key){.family = FLOW_UNATTRIBUTED, .protocol = reason};
}

static inline void harness_reset_fill(const struct harness *h)
{
	uint32_t slot = TEST_SLOT;
	struct flow_fill none = {0};

	assert_int_equal(bpf_map_update_elem(h->fill, &slot, &none, BPF_ANY), 0);
}

static inline void add_own_entries(const struct harness *h)
{
	for (int reason = 0; reason < FLOW_OWN_ENTRIES; reason++) {
		struct flow_key key = reason_key(reason);
		struct flow_value zero = {0};

		assert_int_equal(bpf_map_update_elem(h->map, &key, &zero, BPF_ANY), 0);
	}
}

/* Empties the map: nobody counts meanwhile, so there is no need to wait for a fresh one. */
static inline void harness_clear(const struct harness *h)
{
	struct flow_key key;

	while (!bpf_map_get_next_key(h->map, NULL, &key))
		assert_int_equal(bpf_map_delete_elem(h->map, &key), 0);
	add_own_entries(h);
	harness_reset_fill(h);
}

/* Puts a fresh map with its own entries where the program looks for it. */
static inline void harness_renew_map(struct harness *h, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	uint32_t slot = TEST_SLOT;

	if (h->map >= 0)
		close(h->map);
	h->map = bpf_map_create(BPF_MAP_TYPE_HASH, "flows", sizeof(struct flow_key),
				sizeof(struct flow_value), entries, &options);
	assert_true(h->map >= 0);
	add_own_entries(h);
	assert_int_equal(bpf_map_update_elem(h->flow_maps, &slot, &h->map, BPF_ANY), 0);
	harness_reset_fill(h);
}

static inline uint64_t harness_fill(const struct harness *h)
{
	uint32_t slot = TEST_SLOT;
	struct flow_fill fill;

	assert_int_equal(bpf_map_lookup_elem(h->fill, &slot, &fill), 0);
	return fill.inserted;
}

static inline void harness_free(struct harness *h)
{
	if (!h)
		return;
	if (h->map >= 0)
		close(h->map);
	bpf_object__close(h->object);
	free(h);
}

/* Every packet is in the map at once, for tests to look for; test_trains.c tests trains. */
static inline void harness_without_trains(const struct harness *h)
{
	struct flow_control control = {0};
	uint32_t key = 0;

	assert_int_equal(bpf_map_update_elem(harness_fd(h, ".data.control"), &key, &control,
					     BPF_ANY),
			 0);
}

/* Returns 0, or -errno where this process may not or this kernel cannot. */
static inline int harness_new(struct harness **ret)
{
	struct harness *h = calloc(1, sizeof(*h));
	int r;

	assert_non_null(h);
	h->map = -1;
	/* cppcheck-suppress comparePointers; the assembler puts one behind the other */
	h->object = bpf_object__open_mem(flow_object, flow_object_end - flow_object, NULL);
	r = h->object ? bpf_object__load(h->object) : -errno;
	if (r) {
		harness_free(h);
		return r;
	}
	harness_without_trains(h);
	h->in = bpf_program__fd(bpf_object__find_program_by_name(h->object, "flowtally_in"));
	h->out = bpf_program__fd(bpf_object__find_program_by_name(h->object, "flowtally_out"));
	h->slots = harness_fd(h, "slots");
	h->flow_maps = harness_fd(h, "flow_maps");
	h->fill = harness_fd(h, "fill");
	harness_renew_map(h, TEST_ENTRIES);
	harness_set_slot(h, LOOPBACK, LOOPBACK, COUNTED);
	*ret = h;
	return 0;
}

/*
 * Why nothing can be tested here, or NULL. Enters a network namespace with nothing but lo. Tries
 * the smallest program: the real one refused is a failure, which has the same errno.
 */
static inline const char *harness_denied(void)
{
	const struct bpf_insn least[] = {
		{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, TC_ACT_UNSPEC},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};
	int fd;

	if (geteuid() != 0)
		return "not root";
	if (unshare(CLONE_NEWNET))
		return "no new network namespace";
	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "least", "GPL", least, ARRAY_SIZE(least), NULL);
	if (fd < 0)
		return "BPF is denied";
	close(fd);
	return NULL;
}

/* Runs a program and checks that it neither decides about the packet nor changes it. */
static inline int try_program(int program, const struct packet *p, const struct __sk_buff *ctx,
			      int repeat)
{
	uint8_t out[PACKET_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = p->data, .data_size_in = p->size,
		    .data_out = out, .data_size_out = sizeof(out), .ctx_in = ctx,
		    .ctx_size_in = ctx ? sizeof(*ctx) : 0, .repeat = repeat);
	int r = bpf_prog_test_run_opts(program, &run);

	if (r)
		return r;
	assert_int_equal((int)run.retval, TC_ACT_UNSPEC);
	assert_int_equal(run.data_size_out, p->size);
	assert_memory_equal(out, p->data, p->size);
	return 0;
}

static inline void run_program(int program, const struct packet *p, const struct __sk_buff *ctx)
{
	assert_int_equal(try_program(program, p, ctx, 1), 0);
}

static inline void set_count(struct entry *e, int sender, enum flow_class class, uint64_t bytes,
			     uint64_t packets)
{
	e->value.count[sender][class] = (struct flow_count){bytes, packets};
}

/* The map holds these entries, its own other ones, which are empty, and nothing else. */
static inline void expect_entries(const struct harness *h, const struct entry *entries, int count)
{
	struct flow_key key, *previous = NULL;
	int found = 0, own = 0;

	while (!bpf_map_get_next_key(h->map, previous, &key)) {
		struct flow_value value, expected = {0};

		for (int i = 0; i < count; i++) {
			if (memcmp(&entries[i].key, &key, sizeof(key)) == 0) {
				expected = entries[i].value;
				found++;
			}
		}
		if (key.family == FLOW_UNATTRIBUTED)
			own++;
		assert_int_equal(bpf_map_lookup_elem(h->map, &key, &value), 0);
		for (int i = 0; i < 2 * FLOW_CLASSES; i++) {
			const struct flow_count *got =
				&value.count[i / FLOW_CLASSES][i % FLOW_CLASSES];
			const struct flow_count *want =
				&expected.count[i / FLOW_CLASSES][i % FLOW_CLASSES];

			if (got->bytes != want->bytes || got->packets != want->packets)
				fail_msg("family %d protocol %d ports %d %d sender %d class %d: "
					 "%llu bytes %llu packets, expected %llu and %llu",
					 key.family, key.protocol, ntohs(key.port[0]),
					 ntohs(key.port[1]), i / FLOW_CLASSES, i % FLOW_CLASSES,
					 got->bytes, got->packets, want->bytes, want->packets);
		}
		previous = &key;
	}
	if (found != count)
		fail_msg("%d of %d expected entries are there", found, count);
	assert_int_equal(own, FLOW_OWN_ENTRIES);
}

#endif
