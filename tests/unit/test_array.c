// SPDX-License-Identifier: GPL-2.0-only
/* An array grows when it must, keeps what is in it, and is left alone when it cannot. */
#include "lib/array.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_grows(void **state)
{
	uint32_t *array = NULL;
	size_t capacity = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(array_reserve(&array, &capacity, sizeof(*array), i + 1), 0);
		assert_true(capacity > i);
		array[i] = i;
	}
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(array[i], i);
	free(array);
}

static void test_has_room(void **state)
{
	uint64_t *array = NULL, *before;
	size_t capacity = 0;

	(void)state;
	assert_int_equal(array_reserve(&array, &capacity, sizeof(*array), 10), 0);
	before = array;
	assert_int_equal(array_reserve(&array, &capacity, sizeof(*array), capacity), 0);
	assert_ptr_equal(array, before);
	free(array);
}

static void test_too_large(void **state)
{
	uint64_t *array = NULL, *before;
	size_t capacity = 0, had;

	(void)state;
	assert_int_equal(array_reserve(&array, &capacity, sizeof(*array), 10), 0);
	before = array;
	had = capacity;
	assert_int_equal(array_reserve(&array, &capacity, sizeof(*array), SIZE_MAX), -ENOMEM);
	assert_int_equal(array_reserve(&array, &capacity, sizeof(*array), SIZE_MAX / 9), -ENOMEM);
	assert_ptr_equal(array, before);
	assert_int_equal(capacity, had);
	free(array);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_has_room),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
