// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/live.h"
#include "lib/clock.h"
#include "report/merge.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

struct live {
	live_look look;
	void *data;
	bool present;
	struct report report; /* if present */
	int64_t again_ns;     /* when the next look may be, boot clock */
};

int live_new(struct live **ret, live_look look, void *data)
{
	struct live *live = calloc(1, sizeof(*live));

	if (!live)
		return -ENOMEM;
	live->look = look;
	live->data = data;
	*ret = live;
	return 0;
}

void live_next_interval(struct live *live)
{
	if (live->present)
		report_clean(&live->report);
	live->present = false;
}

void live_free(struct live *live)
{
	if (!live)
		return;
	live_next_interval(live);
	free(live);
}

int64_t live_pause_ns(int64_t cost_ns)
{
	return cost_ns > NSEC_PER_SEC / 20 ? 20 * cost_ns : NSEC_PER_SEC;
}

const struct report *live_report(struct live *live, int *err)
{
	int64_t begin_ns = clock_boottime_ns(), end_ns;
	struct report report = {0};

	if (live->present && begin_ns < live->again_ns)
		return &live->report;
	*err = live->look(live->data, &report);
	if (*err)
		return NULL;
	live_next_interval(live);
	live->report = report;
	live->present = true;
	end_ns = clock_boottime_ns();
	live->again_ns = end_ns + live_pause_ns(end_ns - begin_ns);
	return &live->report;
}
