// SPDX-License-Identifier: GPL-2.0-only
/* Who is called when, and when nobody is: what was removed in the same round, what idle left. */
#include "lib/loop.h"

#include "lib/clock.h"
#include "lib/timer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#define PLACES 32 /* LOOP_SOURCES */

/* An eventfd that stays readable. */
struct source {
	struct loop *loop;
	int fd;
	const struct source *removes;
	bool stops;
	int result;
	unsigned int calls;
};

struct idler {
	struct loop *loop;
	unsigned int calls, ends_at; /* work is left before */
};

static int setup(void **state)
{
	return loop_new((struct loop **)state);
}

static int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

static int on_ready(void *data, uint32_t events)
{
	struct source *source = data;

	assert_int_equal(events, EPOLLIN);
	source->calls++;
	if (source->removes)
		loop_remove(source->loop, source->removes->fd);
	if (source->stops)
		loop_stop(source->loop);
	return source->result;
}

static void add_source(struct source *source, struct loop *loop)
{
	*source = (struct source){.loop = loop, .fd = eventfd(1, EFD_CLOEXEC)};
	assert_true(source->fd >= 0);
	assert_int_equal(loop_add(loop, source->fd, EPOLLIN, on_ready, source), 0);
}

static int on_timer(void *data, uint64_t periods)
{
	(void)periods;
	loop_stop(data);
	return 0;
}

static bool idle(void *data)
{
	struct idler *idler = data;

	if (++idler->calls == idler->ends_at)
		loop_stop(idler->loop);
	return idler->calls < idler->ends_at;
}

static void test_an_error_ends_it(void **state)
{
	struct source source;

	add_source(&source, *state);
	source.result = -EPROTO;
	assert_int_equal(loop_run(*state), -EPROTO);
	assert_int_equal(source.calls, 1);
	close(source.fd);
}

static void test_a_stop_ends_the_round(void **state)
{
	struct source sources[2];

	for (int i = 0; i < 2; i++) {
		add_source(&sources[i], *state);
		sources[i].stops = true;
	}
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(sources[0].calls + sources[1].calls, 1);
	for (int i = 0; i < 2; i++)
		close(sources[i].fd);
}

/* Both are ready when the first of them removes the other, whose memory may be freed by then. */
static void test_removed_in_the_same_round(void **state)
{
	struct idler idler = {.loop = *state, .ends_at = 2};
	struct source sources[2];

	for (int i = 0; i < 2; i++) {
		add_source(&sources[i], *state);
		sources[i].removes = &sources[!i];
	}
	loop_set_idle(*state, idle, &idler);
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(sources[0].calls + sources[1].calls, 1);
	for (int i = 0; i < 2; i++)
		close(sources[i].fd);
}

static void test_places(void **state)
{
	struct source sources[PLACES + 1];

	for (int i = 0; i < PLACES; i++)
		add_source(&sources[i], *state);
	assert_int_equal(loop_add(*state, sources[0].fd, EPOLLIN, on_ready, NULL), -ENOSPC);
	loop_remove(*state, -1);
	loop_remove(*state, sources[3].fd);
	add_source(&sources[PLACES], *state);
	for (int i = 0; i <= PLACES; i++)
		close(sources[i].fd);
}

/* Nothing is ready, but idle is called for as long as it leaves work. */
static void test_idle_leaves_work(void **state)
{
	struct idler idler = {.loop = *state, .ends_at = 5};
	struct timer *deadline;

	assert_int_equal(timer_new(&deadline, *state, on_timer, *state), 0);
	assert_int_equal(timer_set(deadline, clock_boottime_ns() + 20 * NSEC_PER_SEC, 0), 0);
	loop_set_idle(*state, idle, &idler);
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(idler.calls, 5);
	timer_free(deadline);
}

/* Once before the wait and once after the timer: in between the loop sleeps. */
static void test_idle_leaves_none(void **state)
{
	struct idler idler = {.loop = *state};
	struct timer *timer;

	assert_int_equal(timer_new(&timer, *state, on_timer, *state), 0);
	assert_int_equal(timer_set(timer, clock_boottime_ns() + 100 * NSEC_PER_MSEC, 0), 0);
	loop_set_idle(*state, idle, &idler);
	assert_int_equal(loop_run(*state), 0);
	assert_int_equal(idler.calls, 2);
	timer_free(timer);
}

int main(void)
{
#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		LOOP_TEST(test_an_error_ends_it),	   LOOP_TEST(test_a_stop_ends_the_round),
		LOOP_TEST(test_removed_in_the_same_round), LOOP_TEST(test_places),
		LOOP_TEST(test_idle_leaves_work),	   LOOP_TEST(test_idle_leaves_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
