// SPDX-License-Identifier: GPL-2.0-only
/* What CPUs read of the slot table: all of a change or nothing of it. */
#include "supervisor/slot_table.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define CPUS 300 /* more than are on, or ever will be */

struct fixture {
	struct slot_table *table;
	uint64_t words[FLOW_SLOT_TABLE_SIZE * FLOW_BANKS];
	struct flow_control control;
	struct flow_cpu cpus[CPUS];
	cpu_set_t before;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(sched_getaffinity(0, sizeof(f->before), &f->before), 0);
	assert_int_equal(slot_table_new(&f->table, f->words, &f->control, f->cpus, CPUS), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	slot_table_free(f->table);
	free(f);
	return 0;
}

static struct flow_slot slot_of(uint32_t ifindex, uint16_t slot)
{
	return (struct flow_slot){.ifindex = ifindex,
				  .slot = slot,
				  .flags = FLOW_SLOT_COUNTED | FLOW_SLOT_COVERED};
}

/* As the program reads it on that CPU: its slot, or -1. */
static int read_on_cpu(const struct fixture *f, uint32_t cpu, uint32_t ifindex)
{
	for (int second = 0; second <= 1; second++) {
		uint32_t index =
			flow_slot_index(flow_slot_place(ifindex, second), f->cpus[cpu].bank);
		union {
			uint64_t word;
			struct flow_slot slot;
		} entry = {.word = f->words[index]};

		if (entry.slot.ifindex == ifindex)
			return entry.slot.slot;
	}
	return -1;
}

static void expect_on_all(const struct fixture *f, uint32_t ifindex, int slot)
{
	for (uint32_t cpu = 0; cpu < CPUS; cpu++)
		assert_int_equal(read_on_cpu(f, cpu, ifindex), slot);
}

static void set(struct fixture *f, uint32_t ifindex, uint16_t slot)
{
	struct flow_slot entry = slot_of(ifindex, slot);

	assert_int_equal(slot_table_set(f->table, &entry), 0);
}

static void stage(struct fixture *f, uint32_t ifindex, uint16_t slot)
{
	struct flow_slot entry = slot_of(ifindex, slot);

	assert_int_equal(slot_table_stage(f->table, &entry), 0);
}

static void stage_end(struct fixture *f, uint32_t ifindex)
{
	assert_int_equal(slot_table_stage(f->table, &(struct flow_slot){.ifindex = ifindex}), 0);
}

static void test_set_is_seen_at_once(void **state)
{
	struct fixture *f = *state;

	set(f, 5, 1);
	expect_on_all(f, 5, 1);
	set(f, 5, 2);
	expect_on_all(f, 5, 2);
	assert_int_equal(slot_table_get(f->table, 5).slot, 2);
	assert_int_equal(slot_table_set(f->table, &(struct flow_slot){.ifindex = 5}), 0);
	expect_on_all(f, 5, -1);
	assert_int_equal(slot_table_get(f->table, 5).flags, 0);
	/* never there */
	assert_int_equal(slot_table_set(f->table, &(struct flow_slot){.ifindex = 6}), 0);
}

static void test_staged_is_seen_when_shown(void **state)
{
	struct fixture *f = *state;
	cpu_set_t now;

	set(f, 5, 1);
	set(f, 60000, 2);
	for (uint16_t round = 0; round < 4; round++) {
		assert_false(slot_table_is_staged(f->table));
		stage(f, 5, 10 + round);
		stage(f, 70000 + round, 20);
		stage_end(f, 60000);
		assert_true(slot_table_is_staged(f->table));
		expect_on_all(f, 5, round ? 9 + round : 1);
		expect_on_all(f, 70000 + round, -1);
		expect_on_all(f, 60000, 2);
		assert_int_equal(slot_table_get(f->table, 5).slot, 10 + round);
		slot_table_show(f->table);
		expect_on_all(f, 5, 10 + round);
		expect_on_all(f, 70000 + round, 20);
		expect_on_all(f, 60000, -1);
		/* both banks are alike again */
		set(f, 60000, 2);
		expect_on_all(f, 60000, 2);
	}
	assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
	assert_true(CPU_EQUAL(&now, &f->before));
	slot_table_show(f->table);
	expect_on_all(f, 5, 13);
}

static void expect_fragments_covered_on_all(const struct fixture *f, bool covered)
{
	for (uint32_t cpu = 0; cpu < CPUS; cpu++)
		assert_int_equal(f->control.fragments_covered[f->cpus[cpu].bank], covered);
}

/* It changes with the words, and without any. */
static void test_fragments_covered(void **state)
{
	struct fixture *f = *state;

	slot_table_stage_fragments_covered(f->table, false);
	assert_false(slot_table_is_staged(f->table));
	for (int round = 0; round < 3; round++) {
		slot_table_stage_fragments_covered(f->table, true);
		assert_true(slot_table_is_staged(f->table));
		expect_fragments_covered_on_all(f, false);
		slot_table_show(f->table);
		assert_false(slot_table_is_staged(f->table));
		expect_fragments_covered_on_all(f, true);
		stage(f, 5, (uint16_t)(round + 1));
		slot_table_stage_fragments_covered(f->table, false);
		slot_table_show(f->table);
		expect_on_all(f, 5, round + 1);
		expect_fragments_covered_on_all(f, false);
	}
	/* what was staged and never shown is not there for the next agent */
	slot_table_stage_fragments_covered(f->table, true);
	slot_table_free(f->table);
	assert_int_equal(slot_table_new(&f->table, f->words, &f->control, f->cpus, CPUS), 0);
	assert_false(slot_table_is_staged(f->table));
	expect_fragments_covered_on_all(f, false);
}

static void test_places(void **state)
{
	struct fixture *f = *state;
	const uint32_t first = 5, second = first + FLOW_SLOT_TABLE_SIZE;
	/* whose second place is the one that both of the above want first */
	uint32_t third = 6;
	struct flow_slot entry;

	while (flow_slot_place(third, 1) != flow_slot_place(first, 0) ||
	       flow_slot_place(third, 0) != flow_slot_place(second, 1))
		third++;
	set(f, first, 1);
	stage(f, second, 2);
	entry = slot_of(third, 3);
	assert_false(slot_table_has_place(f->table, third));
	assert_int_equal(slot_table_stage(f->table, &entry), -ENOSPC);
	slot_table_show(f->table);
	expect_on_all(f, second, 2);
	/* one goes and another takes its place in the same instant */
	stage_end(f, first);
	assert_true(slot_table_has_place(f->table, third));
	stage(f, third, 3);
	expect_on_all(f, first, 1);
	slot_table_show(f->table);
	expect_on_all(f, first, -1);
	expect_on_all(f, second, 2);
	expect_on_all(f, third, 3);
}

static bool keep_odd(void *data, const struct flow_slot *slot)
{
	(void)data;
	return slot->ifindex % 2;
}

static void test_sweep(void **state)
{
	struct fixture *f = *state;

	for (uint32_t ifindex = 1; ifindex <= 100; ifindex++)
		set(f, ifindex, (uint16_t)ifindex);
	slot_table_sweep(f->table, keep_odd, NULL);
	for (uint32_t ifindex = 1; ifindex <= 100; ifindex++)
		expect_on_all(f, ifindex, ifindex % 2 ? (int)ifindex : -1);
}

/* An agent that died between any two stores of slot_table_show(). */
static void test_goes_on(void **state)
{
	struct fixture *f = *state;

	set(f, 5, 1);
	set(f, 7, 1);
	stage(f, 5, 2);
	stage_end(f, 7);
	slot_table_free(f->table);
	/* before the first of them: nothing was shown */
	assert_int_equal(slot_table_new(&f->table, f->words, &f->control, f->cpus, CPUS), 0);
	expect_on_all(f, 5, 1);
	expect_on_all(f, 7, 1);
	assert_int_equal(slot_table_get(f->table, 7).slot, 1);
	/* after some CPUs */
	for (uint32_t shown = 0; shown <= CPUS; shown += 50) {
		stage(f, 5, (uint16_t)(100 + shown));
		stage_end(f, 7);
		slot_table_free(f->table);
		f->control.bank = (f->control.bank + 1) % FLOW_BANKS;
		for (uint32_t cpu = 0; cpu < shown; cpu++)
			f->cpus[cpu].bank = f->control.bank;
		assert_int_equal(slot_table_new(&f->table, f->words, &f->control, f->cpus, CPUS),
				 0);
		expect_on_all(f, 5, (int)(100 + shown));
		expect_on_all(f, 7, -1);
		set(f, 7, 1);
		expect_on_all(f, 7, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_set_is_seen_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_staged_is_seen_when_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fragments_covered, setup, teardown),
		cmocka_unit_test_setup_teardown(test_places, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_goes_on, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
