// SPDX-License-Identifier: GPL-2.0-only
#include "lib/timer.h"
#include "lib/clock.h"
#include "lib/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct timer {
	struct loop *loop; /* borrowed */
	int fd;
	timer_callback callback;
	void *data;
};

static int timer_on_due(void *data, uint32_t events)
{
	const struct timer *timer = data;
	uint64_t periods;

	(void)events;
	/* it may have been set anew since it was due */
	if (read(timer->fd, &periods, sizeof(periods)) != sizeof(periods))
		return errno == EAGAIN ? 0 : -errno;
	return timer->callback(timer->data, periods);
}

int timer_new(struct timer **ret, struct loop *loop, timer_callback callback, void *data)
{
	struct timer *timer = calloc(1, sizeof(*timer));
	int err;

	if (!timer)
		return -ENOMEM;
	*timer = (struct timer){.loop = loop, .callback = callback, .data = data};
	timer->fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	err = timer->fd < 0 ? -errno : loop_add(loop, timer->fd, EPOLLIN, timer_on_due, timer);
	if (err) {
		timer_free(timer);
		return err;
	}
	*ret = timer;
	return 0;
}

void timer_free(struct timer *timer)
{
	if (!timer)
		return;
	loop_remove(timer->loop, timer->fd);
	if (timer->fd >= 0)
		close(timer->fd);
	free(timer);
}

static struct timespec timer_spec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC};
}

int timer_set(struct timer *timer, int64_t first_ns, int64_t period_ns)
{
	const struct itimerspec spec = {
		.it_value = timer_spec(first_ns),
		.it_interval = timer_spec(period_ns),
	};

	return timerfd_settime(timer->fd, TFD_TIMER_ABSTIME, &spec, NULL) ? -errno : 0;
}
