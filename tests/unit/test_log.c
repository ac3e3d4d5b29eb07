// SPDX-License-Identifier: GPL-2.0-only
/* What the log says: lines for a file, for the journal and for a terminal. */
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#include "tests/unit/capture.h"

static char logged[4096];

/* What the log says on standard error. */
static void log_name(const char *name)
{
	struct capture capture = capture_begin();

	log_warning("%s: cannot attach: %s", name, strerror(ENOMEM));
	capture_end(&capture, logged, sizeof(logged));
}

static void assert_logged(const char *name, const char *shown)
{
	char expected[256];

	log_name(name);
	snprintf(expected, sizeof(expected), "flowtally: %s: cannot attach: %s\n", shown,
		 strerror(ENOMEM));
	assert_string_equal(logged, expected);
}

static void test_log_lines(void **state)
{
	static char longest[2000];
	(void)state;
	unsetenv("JOURNAL_STREAM");
	assert_logged("br0", "br0");
	assert_logged("%n%s", "%n%s");
	assert_logged("a b\\c\"", "a b\\c\"");
	assert_logged("\x1b[2J\x07.\n<3>\x7f", "?[2J?.?<3>?");
	assert_logged("\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac");
	assert_logged("\xc2\x9b"
		      "2J",
		      "??2J"); /* CSI of Latin-1 */
	assert_logged("\xff\xc3", "??");
	assert_logged("\xe2\x80\xae"
		      "abc",
		      "???abc");
	assert_logged("\xd8\x9c", "??"); /* U+061C, which turns the direction too */
	/* a line is cut off, never in the middle of a character */
	memset(longest, 'x', sizeof(longest) - 1);
	for (size_t at = 1000; at < 1040; at += 2)
		memcpy(longest + at, "\xc3\xa4", 2);
	log_name(longest);
	assert_int_equal(strlen(logged), strlen("flowtally: ") + 1023 + 1);
	assert_string_equal(logged + strlen(logged) - 4, "\xc3\xa4?\n");
}

static void test_levels(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	assert_false(log_enabled(LOG_LEVEL_WARNING));
	log_name("br0");
	assert_string_equal(logged, "");
	log_set_level(LOG_LEVEL_NOTICE);
	assert_true(log_enabled(LOG_LEVEL_WARNING));
}

/* A pseudo terminal as standard error of what is done. */
static int terminal_fd, kept_fd;

static void begin_terminal(void)
{
	int fd;

	terminal_fd = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(terminal_fd >= 0);
	assert_int_equal(grantpt(terminal_fd) | unlockpt(terminal_fd), 0);
	fd = open(ptsname(terminal_fd), O_RDWR | O_NOCTTY);
	assert_true(fd >= 0);
	kept_fd = dup(STDERR_FILENO);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	close(fd);
}

/* A line is read up to its end: the terminal makes "\r\n" of it. */
static void end_terminal(void)
{
	ssize_t size = 0, n;

	fputs("end\n", stderr);
	do {
		n = read(terminal_fd, logged + size, sizeof(logged) - 1 - (size_t)size);
		assert_true(n > 0);
		size += n;
		logged[size] = 0;
	} while (!strstr(logged, "end\r\n"));
	*strstr(logged, "end\r\n") = 0;
	assert_true(dup2(kept_fd, STDERR_FILENO) >= 0);
	close(kept_fd);
	close(terminal_fd);
}

/* The live line stays below the others, and goes without a trace. */
static void test_live_line(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	setenv("TERM", "xterm", 1);
	begin_terminal();
	assert_true(log_on_terminal());
	log_live("3 flows");
	log_warning("eth0: gone");
	log_live("");
	log_live("");
	log_warning("eth1: gone");
	end_terminal();
	assert_string_equal(logged, "\r\033[K3 flows"
				    "\r\033[Kflowtally: eth0: gone\r\n3 flows"
				    "\r\033[K"
				    "flowtally: eth1: gone\r\n");
}

/* ^S: the line is not worth waiting for ^Q. */
static void test_live_line_of_a_stopped_terminal(void **state)
{
	(void)state;
	setenv("TERM", "xterm", 1);
	begin_terminal();
	log_live("3 flows");
	assert_int_equal(tcflow(STDERR_FILENO, TCOOFF), 0);
	alarm(5);
	log_live("4 flows");
	alarm(0);
	assert_int_equal(tcflow(STDERR_FILENO, TCOON), 0);
	log_live("5 flows");
	log_live("");
	end_terminal();
	assert_string_equal(logged, "\r\033[K3 flows\r\033[K5 flows\r\033[K");
}

/* Nor are others, and that they are lost is said when it takes some again. */
static void test_lines_of_a_stopped_terminal(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	begin_terminal();
	assert_int_equal(tcflow(STDERR_FILENO, TCOOFF), 0);
	alarm(10);
	log_warning("eth0: gone");
	log_warning("eth1: gone");
	alarm(0);
	assert_int_equal(tcflow(STDERR_FILENO, TCOON), 0);
	log_warning("eth2: gone");
	log_warning("eth3: gone");
	end_terminal();
	assert_string_equal(logged, "flowtally: 2 lines were lost, as standard error took none\r\n"
				    "flowtally: eth2: gone\r\n"
				    "flowtally: eth3: gone\r\n");
}

/* It is called ready as long as it takes anything, if it is less than a line. */
static void test_lines_of_an_unread_terminal(void **state)
{
	unsigned int lost;

	(void)state;
	unsetenv("JOURNAL_STREAM");
	begin_terminal();
	alarm(30);
	for (int i = 0; i < 5000; i++)
		log_warning("eth%d: gone", i);
	alarm(0);
	tcflush(STDERR_FILENO, TCOFLUSH);
	tcflush(terminal_fd, TCIFLUSH);
	log_warning("eth0: back");
	log_warning("eth1: back");
	end_terminal();
	assert_int_equal(sscanf(logged, " flowtally: %u lines were lost, ", &lost), 1);
	assert_in_range(lost, 1, 4999);
	assert_string_equal(strchr(logged, ','), ", as standard error took none\r\n"
						 "flowtally: eth0: back\r\n"
						 "flowtally: eth1: back\r\n");
}

static void test_no_live_line(void **state)
{
	(void)state;
	setenv("TERM", "dumb", 1);
	begin_terminal();
	assert_false(log_on_terminal());
	log_live("3 flows");
	log_warning("eth0: gone");
	end_terminal();
	assert_string_equal(logged, "flowtally: eth0: gone\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_lines),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_live_line),
		cmocka_unit_test(test_live_line_of_a_stopped_terminal),
		cmocka_unit_test(test_lines_of_a_stopped_terminal),
		cmocka_unit_test(test_lines_of_an_unread_terminal),
		cmocka_unit_test(test_no_live_line),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
