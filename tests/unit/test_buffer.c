// SPDX-License-Identifier: GPL-2.0-only
#include "lib/buffer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_holds(const struct buffer *b, const char *text)
{
	assert_int_equal(buffer_error(b), 0);
	assert_int_equal(b->size, strlen(text));
	assert_memory_equal(b->data, text, b->size);
}

static void test_zeroed_is_empty(void **state)
{
	struct buffer b = {0};

	(void)state;
	assert_int_equal(b.size, 0);
	assert_int_equal(buffer_error(&b), 0);
	buffer_free(&b);
	buffer_str(&b, "");
	buffer_append(&b, "unread", 0);
	assert_int_equal(b.size, 0);
	assert_int_equal(buffer_error(&b), 0);
	buffer_free(&b);
	buffer_free(&b);
}

static void test_appends_in_order(void **state)
{
	struct buffer b = {0};

	(void)state;
	buffer_str(&b, "eth0");
	buffer_char(&b, ' ');
	buffer_u64(&b, 17);
	buffer_append(&b, "\n#xyz", 2);
	buffer_printf(&b, " %s=%d", "a", -5);
	buffer_str(&b, ".");
	assert_holds(&b, "eth0 17\n# a=-5.");
	buffer_free(&b);
	assert_null(b.data);
	assert_int_equal(b.size, 0);
}

static void test_holds_nul_bytes(void **state)
{
	static const char bytes[] = {'a', '\0', 'b'};
	struct buffer b = {0};

	(void)state;
	buffer_append(&b, bytes, sizeof(bytes));
	buffer_char(&b, '\0');
	assert_int_equal(b.size, 4);
	assert_memory_equal(b.data, "a\0b\0", 4);
	buffer_free(&b);
}

static void assert_number(uint64_t number)
{
	struct buffer b = {0};
	char text[32];

	buffer_u64(&b, number);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	assert_holds(&b, text);
	buffer_free(&b);
}

/* On both sides of each power of ten, where a number gets longer. */
static void test_numbers(void **state)
{
	uint64_t power = 1;

	(void)state;
	for (int zeros = 0; zeros < 20; zeros++, power *= 10) {
		assert_number(power - 1);
		assert_number(power);
		assert_number(power + 1);
	}
	assert_number(UINT64_MAX - 1);
	assert_number(UINT64_MAX);
	for (uint64_t number = 0; number < 10000; number++)
		assert_number(number);
}

static void test_written_in_place(void **state)
{
	struct buffer b = {0};
	char *to;

	(void)state;
	buffer_str(&b, "a");
	to = buffer_reserve(&b, 100000);
	assert_non_null(to);
	memset(to, 'b', 100000);
	buffer_end(&b, to + 2);
	buffer_str(&b, "c");
	assert_holds(&b, "abbc");
	b.error = -ENOMEM;
	assert_null(buffer_reserve(&b, 1));
	buffer_free(&b);
}

static void test_reset_keeps_the_memory(void **state)
{
	struct buffer b = {0};
	char *data;

	(void)state;
	buffer_str(&b, "first");
	data = b.data;
	buffer_reset(&b);
	assert_int_equal(b.size, 0);
	buffer_str(&b, "2nd");
	assert_ptr_equal(b.data, data);
	assert_holds(&b, "2nd");
	buffer_free(&b);
}

static void test_reset_gives_back_what_is_far_too_much(void **state)
{
	struct buffer b = {0};

	(void)state;
	buffer_reserve(&b, 16 << 20);
	buffer_str(&b, "little of it is used");
	buffer_reset(&b);
	assert_int_equal(b.capacity, 0);
	buffer_str(&b, "again");
	assert_holds(&b, "again");
	buffer_free(&b);
}

/* Every size on both sides of each doubling, by each way to append. */
static void test_grows(void **state)
{
	char expected[20000];
	struct buffer b = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(expected); i++)
		expected[i] = (char)('a' + i % 26);
	for (size_t i = 0; i < sizeof(expected); i += 10) {
		buffer_append(&b, expected + i, 3);
		buffer_printf(&b, "%.*s", 4, expected + i + 3);
		buffer_char(&b, expected[i + 7]);
		buffer_append(&b, expected + i + 8, 2);
	}
	assert_int_equal(buffer_error(&b), 0);
	assert_int_equal(b.size, sizeof(expected));
	assert_memory_equal(b.data, expected, sizeof(expected));
	buffer_free(&b);
}

static void test_printf_at_the_edge(void **state)
{
	struct buffer b = {0};

	(void)state;
	/* the terminator of vsnprintf must never fall outside */
	for (int size = 4090; size < 4100; size++) {
		buffer_free(&b);
		buffer_printf(&b, "%*d", size, 7);
		assert_int_equal(buffer_error(&b), 0);
		assert_int_equal(b.size, size);
		assert_int_equal(b.data[0], ' ');
		assert_int_equal(b.data[size - 1], '7');
	}
	buffer_free(&b);
}

static void test_large_append(void **state)
{
	static char block[3 * 1024 * 1024];
	struct buffer b = {0};

	(void)state;
	memset(block, 'x', sizeof(block));
	buffer_append(&b, block, sizeof(block));
	assert_int_equal(buffer_error(&b), 0);
	assert_int_equal(b.size, sizeof(block));
	assert_memory_equal(b.data, block, sizeof(block));
	buffer_free(&b);
}

/* AddressSanitizer aborts at a size that realloc(3) refuses, unless told not to. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void test_failure_sticks_until_reset(void **state)
{
	struct buffer b = {0};

	(void)state;
	buffer_str(&b, "kept");
	buffer_append(&b, "", SIZE_MAX / 4); /* more than any machine has */
	assert_int_equal(buffer_error(&b), -ENOMEM);
	buffer_str(&b, "not appended");
	buffer_char(&b, 'x');
	buffer_u64(&b, 1);
	buffer_printf(&b, "%d", 1);
	assert_int_equal(buffer_error(&b), -ENOMEM);
	assert_int_equal(b.size, 4);
	assert_memory_equal(b.data, "kept", 4);

	buffer_reset(&b);
	assert_int_equal(buffer_error(&b), 0);
	buffer_str(&b, "again");
	assert_holds(&b, "again");
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeroed_is_empty),
		cmocka_unit_test(test_appends_in_order),
		cmocka_unit_test(test_holds_nul_bytes),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_reset_keeps_the_memory),
		cmocka_unit_test(test_reset_gives_back_what_is_far_too_much),
		cmocka_unit_test(test_written_in_place),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_printf_at_the_edge),
		cmocka_unit_test(test_large_append),
		cmocka_unit_test(test_failure_sticks_until_reset),
	};

	return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
