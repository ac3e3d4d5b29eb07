// SPDX-License-Identifier: GPL-2.0-only
/* Numbers of reports grow by one, over restarts too, whatever becomes of the file. */
#include "supervisor/report_id.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static char directory[64], path[96];

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/test_report_id.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/report-id", directory);
	return setenv("STATE_DIRECTORY", directory, 1);
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void put_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* The first number of an agent that starts now, which is given if it is to be. */
static uint64_t start_and_give(bool give)
{
	struct report_id *id;
	uint64_t number;

	assert_int_equal(report_id_new(&id), 0);
	number = report_id_next(id);
	if (give)
		report_id_commit(id, number);
	report_id_free(id);
	return number;
}

static void test_numbers_go_on(void **state)
{
	(void)state;
	assert_int_equal(start_and_give(true), 1);
	assert_int_equal(start_and_give(false), 2);
	assert_int_equal(start_and_give(true), 2);
	assert_int_equal(start_and_give(true), 3);
	/* systemd's list: the first is ours */
	assert_int_equal(setenv("STATE_DIRECTORY", strcat(directory, ":/nowhere"), 1), 0);
	*strchr(directory, ':') = 0;
	assert_int_equal(start_and_give(true), 4);
}

static void test_file_of_others(void **state)
{
	static const char *const texts[] = {
		"what is this?\n",
		"-5\n",
		"+5\n",
		"5 apples\n",
		"0x10\n",
		"9223372036854775807\n",
		"18446744073709551616\n",
	};
	struct report_id *id;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		put_file(texts[i]);
		assert_int_equal(start_and_give(true), 1);
	}
	put_file("");
	assert_int_equal(start_and_give(true), 1);
	/* an agent of another namespace that has the same folder is further */
	assert_int_equal(report_id_new(&id), 0);
	report_id_commit(id, report_id_next(id));
	put_file("40\n");
	assert_int_equal(report_id_next(id), 41);
	/* and the file may be set back */
	report_id_commit(id, 41);
	put_file("7\n");
	assert_int_equal(report_id_next(id), 42);
	report_id_free(id);
}

/* Numbers are not kept, but grow as long as this agent lives. */
static void assert_grows(void)
{
	struct report_id *id;

	assert_int_equal(report_id_new(&id), 0);
	for (uint64_t number = 1; number < 4; number++) {
		assert_int_equal(report_id_next(id), number);
		report_id_commit(id, number);
	}
	report_id_free(id);
}

static void test_no_file(void **state)
{
	(void)state;
	assert_int_equal(setenv("STATE_DIRECTORY", "/dev/null/none", 1), 0);
	assert_grows();
	/* what a symlink points to is nobody's to write to */
	assert_int_equal(setenv("STATE_DIRECTORY", directory, 1), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_grows();
	report_id_free(NULL);
}

static void test_no_room(void **state)
{
	struct rlimit before, none;
	struct stat st;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_grows();
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(start_and_give(true), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_of_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
