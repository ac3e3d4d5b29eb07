/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel memory that is left, of the host and of the agent's control group. Maps are charged to it
 * (since Linux 5.11), and one that does not fit is refused; but whoever has none at all left is
 * killed for the next page of his own. So what is left is asked for before it is taken.
 */
#ifndef FLOWTALLY_HEADROOM_H
#define FLOWTALLY_HEADROOM_H

#include <stdbool.h>
#include <stddef.h>

/* Whether that many bytes could be had now. They are taken and given back, which may take the
 * kernel some milliseconds. */
bool headroom_has(size_t bytes);

/* Waits until they can be had, as maps that were let go of come back late: a grace period or two.
 * Touches no new memory. Returns whether they can, after a second at most. */
bool headroom_wait(size_t bytes);

#endif
