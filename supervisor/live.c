// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/live.h"
#include "lib/clock.h"
#include "report/rates.h"
#include "report/report.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

struct live {
	live_look look;
	void *data;
	bool present;
	struct report report; /* if present */
	struct rates before;  /* of the look before that */
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
	rates_clean(&live->before);
}

/* The look that was the last one is now the one before. Without memory, or when it is too old,
 * rates are those since the interval began. */
static void live_keep_rates(struct live *live, const struct report *now)
{
	if (live->present && now->duration_ns - live->report.duration_ns < RATES_MAX_AGE_NS)
		(void)rates_note(&live->before, &live->report);
	else
		rates_clean(&live->before);
	if (live->present)
		report_clean(&live->report);
}

const struct rates *live_rates(const struct live *live)
{
	return &live->before;
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

int live_report(struct live *live, const struct report **ret)
{
	int64_t begin_ns = clock_boottime_ns(), end_ns;
	struct report report = {0};
	int err;

	if (live->present && begin_ns < live->again_ns) {
		*ret = &live->report;
		return 0;
	}
	err = live->look(live->data, &report);
	if (err)
		return err;
	live_keep_rates(live, &report);
	live->report = report;
	live->present = true;
	end_ns = clock_boottime_ns();
	live->again_ns = end_ns + live_pause_ns(end_ns - begin_ns);
	*ret = &live->report;
	return 0;
}
