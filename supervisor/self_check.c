// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/self_check.h"
#include "lib/clock.h"
#include "supervisor/interface_table.h"
#include "supervisor/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define PERIOD_NS (60 * NSEC_PER_SEC)

struct self_check {
	struct loop *loop;
	struct interface_table *table;
	int timer_fd;
};

static int self_check_on_timer(void *data, uint32_t events)
{
	struct self_check *check = data;
	uint64_t periods;

	(void)events;
	if (read(check->timer_fd, &periods, sizeof(periods)) != sizeof(periods))
		return errno == EAGAIN ? 0 : -errno;
	interface_table_begin_check(check->table);
	return 0;
}

int self_check_new(struct self_check **ret, struct loop *loop, struct interface_table *table)
{
	struct self_check *check = calloc(1, sizeof(*check));
	int err;

	if (!check)
		return -ENOMEM;
	check->loop = loop;
	check->table = table;
	check->timer_fd = loop_timer(clock_boottime_ns() + PERIOD_NS, PERIOD_NS);
	err = check->timer_fd < 0
		      ? check->timer_fd
		      : loop_add(loop, check->timer_fd, EPOLLIN, self_check_on_timer, check);
	if (err) {
		self_check_free(check);
		return err;
	}
	*ret = check;
	return 0;
}

void self_check_free(struct self_check *check)
{
	if (!check)
		return;
	if (check->timer_fd >= 0) {
		loop_remove(check->loop, check->timer_fd);
		close(check->timer_fd);
	}
	free(check);
}
