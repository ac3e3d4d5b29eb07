/* SPDX-License-Identifier: GPL-2.0-only */
/* A timer of the loop, on the boot clock. */
#ifndef FLOWTALLY_TIMER_H
#define FLOWTALLY_TIMER_H

#include <stdint.h>

struct loop;
struct timer;

/* periods: how often it was due since the last call. A negative errno ends the loop. */
typedef int (*timer_callback)(void *data, uint64_t periods);

/* Not set yet; loop is borrowed. 0 or negative errno. */
int timer_new(struct timer **ret, struct loop *loop, timer_callback callback, void *data);
void timer_free(struct timer *timer);

/* Due at first_ns and then every period_ns (0: once); first_ns 0 stops it. 0 or negative errno. */
int timer_set(struct timer *timer, int64_t first_ns, int64_t period_ns);

#endif
