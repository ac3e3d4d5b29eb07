// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/self_check.h"
#include "lib/clock.h"
#include "lib/timer.h"
#include "supervisor/interface_table.h"

#include <errno.h>
#include <stdlib.h>

#define PERIOD_NS (60 * NSEC_PER_SEC)

struct self_check {
	struct interface_table *table; /* borrowed */
	struct timer *timer;
};

static int self_check_on_timer(void *data, uint64_t periods)
{
	struct self_check *check = data;

	(void)periods;
	interface_table_begin_check(check->table);
	return 0;
}

int self_check_new(struct self_check **ret, struct loop *loop, struct interface_table *table)
{
	struct self_check *check = calloc(1, sizeof(*check));
	int err;

	if (!check)
		return -ENOMEM;
	check->table = table;
	err = timer_new(&check->timer, loop, self_check_on_timer, check);
	if (!err)
		err = timer_set(check->timer, clock_boottime_ns() + PERIOD_NS, PERIOD_NS);
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
	timer_free(check->timer);
	free(check);
}
