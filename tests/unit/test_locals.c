// SPDX-License-Identifier: GPL-2.0-only
#include "report/locals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct local_set *set;

static int setup(void **state)
{
	(void)state;
	return local_set_new(&set);
}

static int teardown(void **state)
{
	(void)state;
	local_set_free(set);
	return 0;
}

static const uint8_t *address(uint32_t number)
{
	static uint8_t addr[16];

	memset(addr, 0, sizeof(addr));
	addr[0] = 0x20;
	memcpy(addr + 12, &number, sizeof(number));
	return addr;
}

static void loopback_is_always_local(void **state)
{
	static const struct {
		uint8_t addr[16];
		bool local;
	} cases[] = {
		{{[10] = 0xff, 0xff, 127, 0, 0, 1}, true},
		{{[10] = 0xff, 0xff, 127, 255, 255, 255}, true},
		{{[10] = 0xff, 0xff, 126, 255, 255, 255}, false},
		{{[10] = 0xff, 0xff, 128, 0, 0, 0}, false},
		{{[12] = 127, 0, 0, 1}, false},
		{{[15] = 1}, true},
		{{[15] = 2}, false},
		{{0}, false},
		{{[0] = 1, [15] = 1}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(local_set_has(set, cases[i].addr), cases[i].local);
	local_set_free(NULL);
}

static void stays_until_the_last_interface_lost_it(void **state)
{
	(void)state;
	assert_false(local_set_has(set, address(1)));
	assert_int_equal(local_set_add(set, 5, address(1)), 0);
	assert_int_equal(local_set_add(set, 5, address(1)), 0);
	assert_int_equal(local_set_add(set, 6, address(1)), 0);
	local_set_remove(set, 5, address(1));
	local_set_remove(set, 5, address(1));
	assert_true(local_set_has(set, address(1)));
	local_set_remove(set, 7, address(1));
	local_set_remove(set, 6, address(2));
	assert_true(local_set_has(set, address(1)));
	local_set_remove(set, 6, address(1));
	assert_false(local_set_has(set, address(1)));
}

static void no_interface_has_index_0(void **state)
{
	(void)state;
	assert_true(local_set_add(set, 0, address(1)) < 0);
	assert_false(local_set_has(set, address(1)));
	assert_int_equal(local_set_add(set, 1, address(1)), 0);
	local_set_remove(set, 0, address(1));
	local_set_remove_interface(set, 0);
	assert_true(local_set_has(set, address(1)));
}

static void interface_goes_with_its_addresses(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(local_set_add(set, 1 + i % 3, address(i)), 0);
		assert_int_equal(local_set_add(set, 9, address(i / 2)), 0);
	}
	local_set_remove_interface(set, 9);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(local_set_has(set, address(i)));
	local_set_remove_interface(set, 2);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(local_set_has(set, address(i)), i % 3 != 1);
}

/* Every fifth address is mentioned again, and one that is new. */
static void dump(uint32_t n)
{
	local_set_dump_begin(set);
	for (uint32_t i = 0; i < n; i += 5)
		assert_int_equal(local_set_add(set, 1 + i % 3, address(i)), 0);
	assert_int_equal(local_set_add(set, 1, address(n)), 0);
}

/* One that is not finished takes nothing away: the addresses are needed until the next one is. */
static void what_a_dump_does_not_mention_goes_when_it_ends(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(local_set_add(set, 1 + i % 3, address(i)), 0);
	dump(500);
	dump(1000);
	for (uint32_t i = 0; i <= 1000; i++)
		assert_true(local_set_has(set, address(i)));
	local_set_dump_end(set);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(local_set_has(set, address(i)), i % 5 == 0);
	assert_true(local_set_has(set, address(1000)));
	local_set_dump_begin(set);
	local_set_dump_end(set);
	for (uint32_t i = 0; i <= 1000; i++)
		assert_false(local_set_has(set, address(i)));
	assert_int_equal(local_set_add(set, 1, address(3)), 0);
	assert_true(local_set_has(set, address(3)));
}

/* Random adding and removing against a plain table. */
static void like_a_plain_table(void **state)
{
	enum { ADDRESSES = 60, INTERFACES = 5 };
	static bool has[ADDRESSES][INTERFACES];
	uint32_t random = 1;

	(void)state;
	memset(has, 0, sizeof(has));
	for (int n = 0; n < 200000; n++) {
		uint32_t a, i;
		bool any = false;

		random = random * 1664525 + 1013904223;
		a = (random >> 8) % ADDRESSES;
		i = (random >> 16) % INTERFACES;
		if (random >> 31) {
			assert_int_equal(local_set_add(set, i + 1, address(a)), 0);
			has[a][i] = true;
		} else {
			local_set_remove(set, i + 1, address(a));
			has[a][i] = false;
		}
		if (n % 5000 == 0) {
			local_set_remove_interface(set, i + 1);
			for (int other = 0; other < ADDRESSES; other++)
				has[other][i] = false;
		}
		for (i = 0; i < INTERFACES; i++)
			any |= has[a][i];
		assert_int_equal(local_set_has(set, address(a)), any);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(loopback_is_always_local),
		test(stays_until_the_last_interface_lost_it),
		test(no_interface_has_index_0),
		test(interface_goes_with_its_addresses),
		test(what_a_dump_does_not_mention_goes_when_it_ends),
		test(like_a_plain_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
