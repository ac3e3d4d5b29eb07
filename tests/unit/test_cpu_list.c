// SPDX-License-Identifier: GPL-2.0-only
#include "lib/array.h"
#include "lib/cpu_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_end(void **state)
{
	static const struct {
		const char *list;
		uint32_t end;
	} cases[] = {
		{"0\n", 1},
		{"0-3\n", 4},
		{"0-127", 128},
		/* with gaps */
		{"0-3,8-11\n", 12},
		{"0,2,4\n", 5},
		{"0-1,63\nwhatever", 64},
		{"1048576", 1048577},
		/* none */
		{"", 0},
		{"\n", 0},
		{"0-\n", 0},
		{"0-3,\n", 0},
		{"0x3\n", 0},
		{"1048577", 0},
		{"0-18446744073709551616\n", 0},
		{"0000000000000000000000000000001\n", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cpu_list_end(cases[i].list), cases[i].end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
