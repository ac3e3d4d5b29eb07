// SPDX-License-Identifier: GPL-2.0-only
#include "lib/log.h"
#include "lib/loop.h"
#include "supervisor/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct loop *loop;
	char directory[32];
	char path[64];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->directory, "/tmp/flowtally-XXXXXX");
	if (!mkdtemp(f->directory) || loop_new(&f->loop))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/reports", f->directory);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	log_set_level(LOG_LEVEL_ERROR);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	rmdir(f->directory);
	loop_free(f->loop);
	free(f);
	return 0;
}

static void assert_content(const char *path, const char *expected)
{
	char content[256] = "";
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	content[fread(content, 1, sizeof(content) - 1, file)] = 0;
	fclose(file);
	assert_string_equal(content, expected);
}

static void test_appends_and_reopens(void **state)
{
	struct fixture *f = *state;
	struct sink *sink;
	char moved[80];
	struct stat st;

	assert_int_equal(sink_new(&sink, f->loop, f->path), 0);
	assert_int_equal(sink_write(sink, "one\n", 4), 0);
	assert_int_equal(sink_write(sink, "two\n", 4), 0);
	assert_content(f->path, "one\ntwo\n");
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777 & ~0640, 0);

	/* as logrotate does it */
	snprintf(moved, sizeof(moved), "%s.1", f->path);
	assert_int_equal(rename(f->path, moved), 0);
	assert_int_equal(sink_write(sink, "three\n", 6), 0);
	assert_int_equal(sink_reopen(sink, f->path), 0);
	assert_int_equal(sink_write(sink, "four\n", 5), 0);
	assert_content(moved, "one\ntwo\nthree\n");
	assert_content(f->path, "four\n");
	unlink(moved);
	sink_free(sink);
}

static void test_renews_what_was_removed(void **state)
{
	struct fixture *f = *state;
	char directory[48], path[64];
	struct sink *sink;

	snprintf(directory, sizeof(directory), "%s/in", f->directory);
	snprintf(path, sizeof(path), "%s/in/reports", f->directory);
	assert_int_equal(mkdir(directory, 0700), 0);
	assert_int_equal(sink_new(&sink, f->loop, path), 0);
	assert_int_equal(sink_write(sink, "one\n", 4), 0);
	assert_int_equal(sink_renew(sink), 0);
	assert_int_equal(sink_write(sink, "two\n", 4), 0);
	assert_content(path, "one\ntwo\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sink_renew(sink), 0);
	assert_int_equal(sink_write(sink, "three\n", 6), 0);
	assert_content(path, "three\n");

	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
	assert_int_equal(sink_renew(sink), -ENOENT);
	assert_int_equal(sink_renew(sink), -ENOENT);
	assert_int_equal(mkdir(directory, 0700), 0);
	assert_int_equal(sink_renew(sink), 0);
	assert_int_equal(sink_write(sink, "four\n", 5), 0);
	assert_content(path, "four\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
	sink_free(sink);
}

static void test_keeps_the_old_output_if_the_new_one_fails(void **state)
{
	struct fixture *f = *state;
	struct sink *sink;

	assert_int_equal(sink_new(&sink, f->loop, "/nowhere/at/all"), -ENOENT);
	assert_int_equal(sink_new(&sink, f->loop, f->path), 0);
	assert_int_equal(sink_reopen(sink, f->directory), -EISDIR);
	assert_int_equal(sink_write(sink, "still here\n", 11), 0);
	assert_content(f->path, "still here\n");
	sink_free(sink);
}

/* A full disk, made with a limit on the file's size: the part that fitted is taken back. */
static void test_takes_back_what_did_not_fit(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, small;
	struct sink *sink;

	assert_int_equal(sink_new(&sink, f->loop, f->path), 0);
	assert_int_equal(sink_write(sink, "first\n", 6), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = (struct rlimit){.rlim_cur = 10, .rlim_max = before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(sink_write(sink, "second, which is longer\n", 24), -EFBIG);
	assert_content(f->path, "first\n");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(sink_write(sink, "third\n", 6), 0);
	assert_content(f->path, "first\nthird\n");
	sink_free(sink);
}

/* A long of 32 bits does not reach its end. */
static void test_large_file(void **state)
{
	const off_t size = (off_t)3 << 30;
	struct fixture *f = *state;
	struct sink_position position;
	struct sink *sink;
	struct stat st;

	assert_int_equal(sink_new(&sink, f->loop, f->path), 0);
	assert_int_equal(truncate(f->path, size), 0);
	assert_true(sink_position(sink, &position));
	assert_true(position.offset == (uint64_t)size);
	assert_int_equal(sink_write(sink, "report\n", 7), 0);
	assert_true(sink_has_whole(sink, &position, 7, sink_checksum("report\n", 7)));
	assert_int_equal(sink_reopen(sink, f->path), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(st.st_size == size + 7);
	sink_free(sink);
}

static void test_dev_full(void **state)
{
	struct fixture *f = *state;
	struct sink *sink;

	assert_int_equal(sink_new(&sink, f->loop, "/dev/full"), 0);
	assert_int_equal(sink_write(sink, "x\n", 2), -ENOSPC);
	sink_free(sink);
}

/* Standard output of this process, replaced for a while. */
static int redirect_stdout(int fd)
{
	int saved = dup(STDOUT_FILENO);

	fflush(stdout);
	assert_return_code(dup2(fd, STDOUT_FILENO), errno);
	close(fd);
	return saved;
}

static void restore_stdout(int saved)
{
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
}

/* A pipe as standard output of a sink; returns the end to read from. */
static int open_pipe_sink(struct fixture *f, struct sink **sink)
{
	int ends[2], saved;

	assert_int_equal(pipe(ends), 0);
	saved = redirect_stdout(ends[1]);
	assert_int_equal(sink_new(sink, f->loop, "-"), 0);
	restore_stdout(saved);
	return ends[0];
}

/* The slow reader of a pipe, in the same loop. */
struct reader {
	struct loop *loop;
	int fd;
	size_t got, wanted;
};

static int read_slowly(void *data, uint32_t events)
{
	struct reader *reader = data;
	char chunk[5000];
	ssize_t n = read(reader->fd, chunk, sizeof(chunk));

	(void)events;
	assert_true(n > 0);
	reader->got += (size_t)n;
	if (reader->got >= reader->wanted)
		loop_stop(reader->loop);
	return 0;
}

static void test_finishes_what_a_slow_pipe_has_begun(void **state)
{
	static char report[300000], got[sizeof(report) + 1];
	struct fixture *f = *state;
	struct sink *sink;
	size_t size = 0;
	int fd = open_pipe_sink(f, &sink);

	memset(report, 'x', sizeof(report));
	report[sizeof(report) - 1] = '\n';

	/* the pipe takes a part; the rest is the sink's to deliver, and nothing comes in between */
	assert_int_equal(sink_write(sink, report, sizeof(report)), 0);
	assert_int_equal(sink_write(sink, "late\n", 5), -EAGAIN);
	assert_int_equal(sink_finish(sink, 10), -ETIMEDOUT);
	while (size < sizeof(report)) {
		ssize_t n = read(fd, got + size, sizeof(got) - size);

		assert_true(n > 0);
		size += (size_t)n;
		(void)sink_finish(sink, 10);
	}
	assert_int_equal(sink_finish(sink, 1000), 0);
	assert_memory_equal(got, report, sizeof(report));
	assert_int_equal(sink_write(sink, "next\n", 5), 0);
	assert_int_equal(read(fd, got, sizeof(got)), 5);
	close(fd);
	sink_free(sink);
}

/* All of the report before has left, and fills the pipe: the next one waits for its reader. */
static void test_makes_room_for_the_last_report(void **state)
{
	static char report[65536], got[sizeof(report)];
	struct fixture *f = *state;
	struct sink *sink;
	int fd = open_pipe_sink(f, &sink);

	assert_int_equal(fcntl(fd, F_SETPIPE_SZ, sizeof(report)), sizeof(report));
	assert_int_equal(sink_make_room(sink, 0), 0);
	assert_int_equal(sink_write(sink, report, sizeof(report)), 0);
	assert_false(sink_is_busy(sink));
	assert_int_equal(sink_finish(sink, 10), 0);
	assert_int_equal(sink_make_room(sink, 10), -ETIMEDOUT);
	assert_int_equal(sink_write(sink, "last\n", 5), -EAGAIN);
	assert_int_equal(read(fd, got, sizeof(got)), sizeof(got));
	assert_int_equal(sink_make_room(sink, 10), 0);
	assert_int_equal(sink_write(sink, "last\n", 5), 0);
	close(fd);
	assert_int_equal(sink_make_room(sink, 10), 0);
	assert_int_equal(sink_write(sink, "late\n", 5), -EPIPE);
	sink_free(sink);
}

static void test_delivers_the_rest_from_the_loop(void **state)
{
	static char report[200000];
	struct fixture *f = *state;
	struct reader reader = {.loop = f->loop, .wanted = sizeof(report)};
	struct sink *sink;

	reader.fd = open_pipe_sink(f, &sink);
	assert_int_equal(sink_write(sink, report, sizeof(report)), 0);
	assert_int_equal(loop_add(f->loop, reader.fd, EPOLLIN, read_slowly, &reader), 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(reader.got, sizeof(report));
	assert_int_equal(sink_write(sink, "next\n", 5), 0);
	loop_remove(f->loop, reader.fd);
	close(reader.fd);
	sink_free(sink);
}

static void test_broken_pipe(void **state)
{
	struct fixture *f = *state;
	struct sink *sink;

	close(open_pipe_sink(f, &sink));
	assert_int_equal(sink_write(sink, "x\n", 2), -EPIPE);
	assert_int_equal(sink_write(sink, "x\n", 2), -EPIPE);
	assert_true(sink_is_unread(sink, -EPIPE));
	assert_false(sink_is_unread(sink, -EAGAIN));
	/* what else breaks may be mended */
	assert_int_equal(sink_reopen(sink, f->path), 0);
	assert_false(sink_is_unread(sink, -EPIPE));
	sink_free(sink);
}

/* What it had promised to finish did not leave: whoever waits for that is told. */
static void test_reader_goes_in_the_middle(void **state)
{
	static char report[300000];
	struct fixture *f = *state;
	struct sink *sink;
	int fd = open_pipe_sink(f, &sink);

	assert_int_equal(sink_write(sink, report, sizeof(report)), 0);
	close(fd);
	assert_int_equal(sink_finish(sink, 1000), -EPIPE);
	assert_true(sink_is_busy(sink));
	sink_free(sink);
}

/* The configuration is read again while a reader is slow: the report in the pipe stays whole. */
static void test_reopened_in_the_middle(void **state)
{
	static char report[300000], got[sizeof(report)];
	struct fixture *f = *state;
	struct sink *sink;
	size_t size = 0;
	int fd;

	assert_int_equal(mkfifo(f->path, 0600), 0);
	fd = open(f->path, O_RDONLY | O_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(sink_new(&sink, f->loop, f->path), 0);
	memset(report, 'x', sizeof(report));
	assert_int_equal(sink_write(sink, report, sizeof(report)), 0);
	assert_int_equal(sink_reopen(sink, f->path), 0);
	while (sink_is_busy(sink)) {
		ssize_t n = read(fd, got + size, sizeof(got) - size);

		assert_true(n > 0);
		size += (size_t)n;
		(void)sink_finish(sink, 1);
	}
	/* and another output gets the next one */
	assert_int_equal(sink_reopen(sink, "/dev/null"), 0);
	assert_int_equal(sink_write(sink, "next\n", 5), 0);
	for (ssize_t n; (n = read(fd, got + size, sizeof(got) - size)) > 0;)
		size += (size_t)n;
	assert_int_equal(size, sizeof(report));
	assert_memory_equal(got, report, sizeof(report));
	close(fd);
	sink_free(sink);
}

/* The standard output of a child is a terminal that nobody reads from. Ends with what sink_write()
 * says, or by a signal where it waits. */
static void write_to_terminal(struct loop *loop, int fd)
{
	static char report[200000];
	struct sink *sink;

	for (size_t i = 0; i < sizeof(report); i++)
		report[i] = i % 61 == 60 ? '\n' : 'x';
	alarm(5);
	(void)redirect_stdout(fd);
	if (sink_new(&sink, loop, "-"))
		_exit(1);
	_exit(sink_write(sink, report, sizeof(report)) || !sink_is_busy(sink) ? 2 : 0);
}

static void test_never_waits_for_a_terminal(void **state)
{
	struct fixture *f = *state;
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), fd, status;
	pid_t child;

	assert_true(terminal >= 0);
	assert_int_equal(grantpt(terminal) | unlockpt(terminal), 0);
	fd = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	assert_true(fd >= 0);
	child = fork();
	if (!child)
		write_to_terminal(f->loop, fd);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	/* it is not blocking for the agent alone */
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	close(terminal);
}

static void test_closed_standard_output(void **state)
{
	struct fixture *f = *state;
	struct sink *sink;
	int null = open("/dev/null", O_RDONLY), saved = redirect_stdout(null);
	int err = sink_new(&sink, f->loop, "-");

	restore_stdout(saved);
	assert_int_equal(err, -EBADF);
}

/* What an agent that died, others, or both have written behind the position where its report was to
 * begin. */
static void test_report_of_a_dead_agent(void **state)
{
	static const char report[] = "a whole report\n";
	static const struct {
		const char *found, *left; /* of the file, when a part was cut off */
		bool whole;
	} cases[] = {
		{"", "", false},
		{"a whole report\n", "a whole report\n", true},
		{"a whole report\nmine", "a whole report\nmine", true},
		{"a whole r", "", false},
		{"a message", "a message", false},
		{"a message that is longer", "a message that is longer", false},
		{"a whole r and a message", "a whole r and a message", false},
	};
	struct fixture *f = *state;
	uint64_t checksum = sink_checksum(report, strlen(report));

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sink_position position;
		struct sink *sink;
		char expected[64];

		unlink(f->path);
		assert_int_equal(sink_new(&sink, f->loop, f->path), 0);
		assert_int_equal(sink_write(sink, "old\n", 4), 0);
		assert_true(sink_position(sink, &position));
		assert_int_equal(sink_write(sink, cases[i].found, strlen(cases[i].found)), 0);
		assert_int_equal(sink_has_whole(sink, &position, strlen(report), checksum),
				 cases[i].whole);
		if (!cases[i].whole)
			sink_cut_part(sink, &position, report, strlen(report));
		snprintf(expected, sizeof(expected), "old\n%s", cases[i].left);
		assert_content(f->path, expected);
		sink_free(sink);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_appends_and_reopens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_renews_what_was_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keeps_the_old_output_if_the_new_one_fails,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_takes_back_what_did_not_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dev_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_finishes_what_a_slow_pipe_has_begun, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_delivers_the_rest_from_the_loop, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_makes_room_for_the_last_report, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_broken_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader_goes_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reopened_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_never_waits_for_a_terminal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_report_of_a_dead_agent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_standard_output, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
