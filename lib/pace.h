/* SPDX-License-Identifier: GPL-2.0-only */
/* A rate limit (token bucket): on average one turn in the time that a turn costs, after a rest a
 * few in a row. Zeroed it is rested. */
#ifndef FLOWTALLY_PACE_H
#define FLOWTALLY_PACE_H

#include <stdint.h>

struct pace {
	int64_t next_ns; /* when the next turn may be, on the caller's clock */
};

/* Takes a turn at now_ns, which costs turn_ns; after a rest, in_a_row of them need no wait. */
static inline void pace_take(struct pace *pace, int64_t now_ns, int64_t turn_ns, int64_t in_a_row)
{
	int64_t rested_ns = now_ns - (in_a_row - 1) * turn_ns;

	if (pace->next_ns < rested_ns)
		pace->next_ns = rested_ns;
	pace->next_ns += turn_ns;
}

#endif
