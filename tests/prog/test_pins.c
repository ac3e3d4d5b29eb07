// SPDX-License-Identifier: GPL-2.0-only
/* Bytes that outlive the agent, however many there are. */
#include "lib/buffer.h"
#include "supervisor/pins.h"
#include "tests/prog/skip.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static void expect_kept(const struct pins *pins, const uint8_t *bytes, size_t size)
{
	struct buffer got = {0};

	assert_int_equal(pins_put_bytes(pins, "bytes", bytes, size), 0);
	assert_int_equal(pins_get_bytes(pins, "bytes", &got), 0);
	assert_int_equal(got.size, size);
	assert_memory_equal(got.data, bytes, size);
	buffer_free(&got);
}

/* As many as trains of many CPUs, or a checkpoint of ten thousand interfaces, take. */
static void test_bytes(void **state)
{
	static const size_t sizes[] = {1,      7,      65535,  65536,  65537,
				       131063, 131064, 131065, 131072, 16 << 20};
	uint8_t *bytes = malloc(16 << 20);
	struct buffer none = {0};
	struct pins *pins;

	(void)state;
	assert_non_null(bytes);
	skip_unless_root();
	/* a folder of pins of its own */
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	for (size_t i = 0; i < 16 << 20; i++)
		bytes[i] = (uint8_t)(i * 2654435761U >> 13);
	assert_int_equal(pins_new(&pins), 0);
	/* before 5.14 it may be that of a namespace that is gone */
	assert_true(pins_clear(pins) >= 0);
	assert_int_equal(pins_get_bytes(pins, "bytes", &none), -ENOENT);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		expect_kept(pins, bytes, sizes[i]);
	assert_int_equal(pins_remove_all(pins), 1);
	pins_free(pins);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests_name("pins", tests, NULL, NULL);
}
