// SPDX-License-Identifier: GPL-2.0-only
/* What runs short is said once, with its name and how to get more. */
#include "supervisor/shortage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#include "tests/unit/capture.h"

static struct rlimit before;
static char logged[1024];

static int setup(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	return getrlimit(RLIMIT_NOFILE, &before);
}

static int teardown(void **state)
{
	(void)state;
	return setrlimit(RLIMIT_NOFILE, &before);
}

static void allow_descriptors(rlim_t count)
{
	struct rlimit limit = before;

	limit.rlim_cur = count;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_room(void **state)
{
	(void)state;
	/* 64 for the rest, 96 for clients, 1000 for 500 that are attached, 8 for the links of four
	 * of them */
	allow_descriptors(64 + 96 + 1000 + 8);
	assert_int_equal(shortage_room(500, 4, false), 0);
	assert_int_equal(shortage_room(500, 4, true), 0);
	assert_int_equal(shortage_room(501, 4, false), 0);
	allow_descriptors(64 + 96 + 1000 + 8 + 12);
	assert_int_equal(shortage_room(500, 4, false), 6);
	assert_int_equal(shortage_room(500, 4, true), 3);
	allow_descriptors(64 + 96 + 1000 + 8 + 11);
	assert_int_equal(shortage_room(500, 4, false), 5);
	assert_int_equal(shortage_room(500, 4, true), 2);
	/* an eighth for clients */
	allow_descriptors(160);
	assert_int_equal(shortage_room(10, 0, false), (160 - 64 - 20) / 2 - 10);
}

/* What is logged of err, that many interfaces being left out. */
static void note(struct shortage *shortage, int err, size_t interfaces)
{
	struct capture capture = capture_begin();

	shortage_note(shortage, err, interfaces);
	capture_end(&capture, logged, sizeof(logged));
}

static void assert_note(int err, const char *words)
{
	struct shortage shortage = {0};

	note(&shortage, err, 7);
	assert_non_null(strstr(logged, "7 interfaces are wanted and not monitored: "));
	if (!strstr(logged, words))
		fail_msg("'%s' is not in '%s'", words, logged);
	assert_non_null(strstr(logged, "when there is room\n"));
}

static void test_words(void **state)
{
	(void)state;
	allow_descriptors(300);
	assert_note(-EMFILE, "RLIMIT_NOFILE allows 300 descriptors (LimitNOFILE= of the service, "
			     "or prlimit --nofile), and each takes 2, or 4 with tcx;");
	assert_note(-ENFILE, "fs.file-max");
	assert_note(-ENOSPC, " can be at once;");
	assert_note(-EPERM, "RLIMIT_MEMLOCK");
	assert_note(-ENOMEM, "map_entries");
	assert_note(-EIO, strerror(EIO));
}

static void test_said_once(void **state)
{
	struct shortage shortage = {0};

	(void)state;
	note(&shortage, 0, 0);
	assert_string_equal(logged, "");
	note(&shortage, -ENOMEM, 1);
	assert_non_null(strstr(logged, "1 interfaces"));
	note(&shortage, -ENOMEM, 2);
	assert_string_equal(logged, "");
	note(&shortage, -ENOSPC, 2);
	assert_non_null(strstr(logged, "2 interfaces"));
	note(&shortage, 0, 0);
	assert_non_null(strstr(logged, "there is room again"));
	note(&shortage, 0, 0);
	assert_string_equal(logged, "");
	note(&shortage, -ENOSPC, 3);
	assert_non_null(strstr(logged, "3 interfaces"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_said_once),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
