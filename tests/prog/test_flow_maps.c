// SPDX-License-Identifier: GPL-2.0-only
/* Slots and their maps, up to the last one. */
#include "lib/clock.h"
#include "supervisor/flow_map.h"
#include "supervisor/program.h"
#include "tests/prog/skip.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define ALL	   (FLOW_SLOTS - 1) /* one is the flow maps' own */
#define TRIED	   100
#define PATIENT_NS (4 * NSEC_PER_MSEC) /* a map: a minute for all */

/* Before Linux 6.8 the kernel waits for a grace period with each map that it puts into a slot. */
static bool is_slow(struct flow_maps *maps)
{
	size_t ready = flow_maps_ready(maps);
	int64_t begin_ns = clock_boottime_ns(), each_ns;

	assert_int_equal(flow_maps_prepare(maps, ready + TRIED), 0);
	each_ns = (clock_boottime_ns() - begin_ns) / TRIED;
	flow_maps_release(maps, ready);
	if (each_ns > PATIENT_NS)
		print_message("a slot takes %d ms here, and there are %d\n",
			      (int)(each_ns / NSEC_PER_MSEC), ALL);
	return each_ns > PATIENT_NS;
}

static void test_all_slots(void **state)
{
	struct rlimit limit;
	struct program *program;
	struct flow_maps *maps;
	struct flow_map map;

	(void)state;
	skip_unless_root();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < ALL + 100)
		skip_because("RLIMIT_NOFILE allows fewer descriptors than there are slots");
	assert_int_equal(program_new(&program, NULL, 0, false), 0);
	assert_int_equal(flow_maps_new(&maps, program, NULL, 1), 0);
	assert_int_equal(flow_maps_prepare(maps, 2), 0);
	assert_int_equal(flow_maps_ready(maps), 2);
	if (is_slow(maps)) {
		flow_maps_free(maps);
		program_free(program);
		skip();
	}

	/* what there is is made, and it is said that it is not all */
	assert_int_equal(flow_maps_prepare(maps, FLOW_SLOTS), -ENOSPC);
	assert_int_equal(flow_maps_ready(maps), ALL);
	assert_int_equal(flow_maps_prepare(maps, ALL), 0);
	assert_int_equal(flow_maps_take(maps, 1, &map), 0);
	assert_int_equal(flow_maps_prepare(maps, ALL), -ENOSPC);

	/* given back, they can be had again */
	flow_maps_release(maps, 0);
	assert_int_equal(flow_maps_ready(maps), 0);
	assert_int_equal(flow_maps_prepare(maps, 100), 0);
	flow_maps_put_back(maps, &map);
	assert_int_equal(flow_maps_ready(maps), 101);
	flow_maps_free(maps);
	program_free(program);
}

/* What a swap meets that has made its map: another file in the place of the map of maps. */
struct refusal {
	struct program *program;
	uint32_t slot;
	int other, outer;
};

static void refuse(void *data)
{
	struct refusal *refusal = data;
	int fd = program_flow_maps_fd(refusal->program);

	/* the program counts on meanwhile */
	program_touch_fill(refusal->program, refusal->slot);
	refusal->outer = dup(fd);
	assert_true(refusal->outer >= 0);
	assert_int_equal(dup2(refusal->other, fd), fd);
}

static void put_back(struct refusal *refusal)
{
	int fd = program_flow_maps_fd(refusal->program);

	assert_int_equal(dup2(refusal->outer, fd), fd);
	close(refusal->outer);
}

/* The map that stays is as full as before. */
static void test_swap_fails(void **state)
{
	struct refusal refusal = {.other = eventfd(0, EFD_CLOEXEC)};
	struct flow_maps *maps;
	struct flow_map map, old, *swapped[] = {&map};

	(void)state;
	skip_unless_root();
	assert_int_equal(program_new(&refusal.program, NULL, 0, false), 0);
	assert_int_equal(flow_maps_new(&maps, refusal.program, NULL, 64), 0);
	assert_int_equal(flow_maps_prepare(maps, 1), 0);
	assert_int_equal(flow_maps_take(maps, 1, &map), 0);
	refusal.slot = map.slot;
	assert_int_equal(program_fill(refusal.program, map.slot), 0);
	for (int i = 0; i < 3; i++)
		program_touch_fill(refusal.program, map.slot);
	assert_true(flow_maps_swap(maps, swapped, &old, 1, refuse, &refusal) < 0);
	put_back(&refusal);
	assert_int_equal(old.fd, -1);
	assert_int_equal(program_fill(refusal.program, map.slot), 4);
	assert_false(flow_maps_idle(maps, &map));

	assert_int_equal(flow_maps_swap(maps, swapped, &old, 1, NULL, NULL), 0);
	assert_true(old.fd >= 0);
	close(old.fd);
	assert_int_equal(program_fill(refusal.program, map.slot), 0);
	flow_maps_put_back(maps, &map);
	flow_maps_free(maps);
	program_free(refusal.program);
	close(refusal.other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_swap_fails),
		cmocka_unit_test(test_all_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
