/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looks at the running interval, for whoever asks: a report of what was counted until now, which
 * disturbs nothing. Looking takes time on a host with many flows. So a look serves all who ask
 * within a second, and those who ask more often than a twentieth of our time allows get an older
 * one.
 */
#ifndef FLOWTALLY_LIVE_H
#define FLOWTALLY_LIVE_H

#include <stdint.h>

struct live;
struct rates;
struct report;

/* Makes the report of the running interval as it is. 0 or negative errno. */
typedef int (*live_look)(void *data, struct report *report);

/* look is called with data. 0 or -ENOMEM. */
int live_new(struct live **ret, live_look look, void *data);
void live_free(struct live *live);

/* Borrowed until the next call or live_next_interval(). 0, or what the look came to, then *ret is
 * left alone. */
int live_report(struct live *live, const struct report **ret);

/* What the look before the one of live_report() saw of this interval, if it is not too old. */
const struct rates *live_rates(const struct live *live);

/* The interval is over, and what was seen of it. */
void live_next_interval(struct live *live);

/* How long to wait after a look that took so long: it gets at most a twentieth of our time. */
int64_t live_pause_ns(int64_t cost_ns);

#endif
