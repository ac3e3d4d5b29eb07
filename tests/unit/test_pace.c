// SPDX-License-Identifier: GPL-2.0-only
/* A few turns at once, then one in the time that each pays for, whatever the caller does. */
#include "lib/pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TURN 100

static int turns_until(struct pace *pace, int64_t from, int64_t to, int64_t in_a_row)
{
	int turns = 0;

	for (int64_t now = from; now < to; now++) {
		if (now < pace->next_ns)
			continue;
		pace_take(pace, now, TURN, in_a_row);
		turns++;
	}
	return turns;
}

static void test_one_after_the_other(void **state)
{
	struct pace pace = {0};

	(void)state;
	assert_int_equal(turns_until(&pace, 100000, 101000, 1), 10);
}

static void test_some_in_a_row(void **state)
{
	struct pace pace = {0};

	(void)state;
	assert_int_equal(turns_until(&pace, 100000, 100008, 8), 8);
	assert_int_equal(pace.next_ns, 100100);
	assert_int_equal(turns_until(&pace, 100008, 101000, 8), 9);
}

static void test_rests(void **state)
{
	struct pace pace = {0};

	(void)state;
	assert_int_equal(turns_until(&pace, 100000, 101000, 8), 8 + 9);
	/* however long */
	assert_int_equal(turns_until(&pace, 900000, 900008, 8), 8);
	assert_true(pace.next_ns > 900008);
}

static void test_turns_of_other_length(void **state)
{
	struct pace pace = {0};

	(void)state;
	pace_take(&pace, 1000, 500, 1);
	assert_int_equal(pace.next_ns, 1500);
	pace_take(&pace, 1500, 0, 8);
	assert_int_equal(pace.next_ns, 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_some_in_a_row),
		cmocka_unit_test(test_rests),
		cmocka_unit_test(test_turns_of_other_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
