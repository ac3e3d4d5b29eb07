// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/cpu_walk.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define CPUS 300 /* more than are on, or ever will be */

struct word {
	uint64_t neighbour;
	uint32_t number;
};

struct fixture {
	struct cpu_walk *walk;
	struct word words[CPUS];
	cpu_set_t before;
};

static cpu_set_t visited; /* where the agent wanted to be alone */
static bool refuses;

/* The linker's names: --wrap=sched_setaffinity makes a call of it one of this. */
int __real_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);
int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);
int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	if (refuses) {
		errno = EPERM;
		return -1;
	}
	for (int cpu = 0; CPU_COUNT_S(size, set) == 1 && cpu < CPUS; cpu++)
		if (CPU_ISSET_S(cpu, size, set))
			CPU_SET(cpu, &visited);
	return __real_sched_setaffinity(pid, size, set);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(sched_getaffinity(0, sizeof(f->before), &f->before), 0);
	assert_int_equal(cpu_walk_new(&f->walk, CPUS), 0);
	CPU_ZERO(&visited);
	refuses = false;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cpu_walk_free(f->walk);
	assert_int_equal(__real_sched_setaffinity(0, sizeof(f->before), &f->before), 0);
	free(f);
	return 0;
}

static void store(struct fixture *f, uint32_t number)
{
	cpu_walk_store(f->walk, &f->words[0].number, sizeof(f->words[0]), number);
	for (int cpu = 0; cpu < CPUS; cpu++) {
		assert_int_equal(f->words[cpu].number, number);
		assert_int_equal(f->words[cpu].neighbour, 0);
	}
}

static void expect_affinity(const cpu_set_t *expected)
{
	cpu_set_t now;

	assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
	assert_true(CPU_EQUAL(&now, expected));
}

static int first_of(const cpu_set_t *set)
{
	int cpu = 0;

	while (!CPU_ISSET(cpu, set))
		cpu++;
	return cpu;
}

static void test_goes_to_all_and_comes_back(void **state)
{
	struct fixture *f = *state;

	store(f, 1);
	/* of one alone it is the way back that was seen */
	assert_true(CPU_EQUAL(&visited, &f->before));
	expect_affinity(&f->before);
}

/* Who has the number is not visited again. */
static void test_goes_where_something_changes(void **state)
{
	struct fixture *f = *state;
	int first = first_of(&f->before);

	store(f, 1);
	CPU_ZERO(&visited);
	f->words[first].number = 0;
	store(f, 1);
	assert_int_equal(CPU_COUNT(&visited), 1);
	assert_true(CPU_ISSET(first, &visited));
}

static void test_keeps_to_its_affinity(void **state)
{
	struct fixture *f = *state;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(first_of(&f->before), &one);
	assert_int_equal(__real_sched_setaffinity(0, sizeof(one), &one), 0);
	store(f, 7);
	assert_true(CPU_EQUAL(&visited, &one));
	expect_affinity(&one);
}

static void test_stores_where_it_may_not_go(void **state)
{
	struct fixture *f = *state;

	refuses = true;
	store(f, 3);
	assert_int_equal(CPU_COUNT(&visited), 0);
	expect_affinity(&f->before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_to_all_and_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_goes_where_something_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keeps_to_its_affinity, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stores_where_it_may_not_go, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
