/* SPDX-License-Identifier: GPL-2.0-only */
/* How often something may be done whose cost is known: in the long run once in the time that each
 * turn pays for, a few times in a row after a rest. Zeroed it is rested. */
#ifndef FLOWTALLY_PACE_H
#define FLOWTALLY_PACE_H

#include <stdint.h>

struct pace {
	int64_t next_ns; /* when the next turn may be, on the caller's clock */
};

/* A turn at now_ns, which is paid for by turn_ns; in_a_row turns need no rest between them. */
static inline void pace_take(struct pace *pace, int64_t now_ns, int64_t turn_ns, int64_t in_a_row)
{
	int64_t rested_ns = now_ns - (in_a_row - 1) * turn_ns;

	if (pace->next_ns < rested_ns)
		pace->next_ns = rested_ns;
	pace->next_ns += turn_ns;
}

#endif
