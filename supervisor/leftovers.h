/* SPDX-License-Identifier: GPL-2.0-only */
/* What a dead agent left, for `flowtally cleanup`. */
#ifndef FLOWTALLY_LEFTOVERS_H
#define FLOWTALLY_LEFTOVERS_H

/* Removes what a dead agent left in this network namespace, instead of going on with it. 0, or a
 * negative errno, which is logged; -EADDRINUSE: an agent runs here, and keeps what it has. */
int leftovers_remove(void);

#endif
