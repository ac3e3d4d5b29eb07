/* SPDX-License-Identifier: GPL-2.0-only */
/* The two clocks, and nanoseconds. */
#ifndef FLOWTALLY_CLOCK_H
#define FLOWTALLY_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC  1000000000LL
#define NSEC_PER_MSEC 1000000LL

/* Nanoseconds since boot, time suspended included: for intervals; never steps. */
static inline int64_t clock_boottime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Nanoseconds since 1970-01-01 UTC: for what people read; may step. */
static inline int64_t clock_realtime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* The earlier of two times of one clock; 0 is never. */
static inline int64_t clock_earlier_ns(int64_t a_ns, int64_t b_ns)
{
	return a_ns && (!b_ns || a_ns < b_ns) ? a_ns : b_ns;
}

#endif
