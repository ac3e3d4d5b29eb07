/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In which order the maps of interfaces are swapped at an interval's end, where that is done one
 * after the other. Pure.
 *
 * A packet may be between two hooks then. If the map of the judged hook is swapped first, such a
 * packet is at its reference in the old interval and at the judged hook in the new one, which then
 * owes it (judge.h). The other way round nobody would know.
 */
#ifndef FLOWTALLY_SWAP_ORDER_H
#define FLOWTALLY_SWAP_ORDER_H

#include <stddef.h>

struct topology_role;

/*
 * Sets the roles' swap_rank: judged hooks before their references, as far as they are not each
 * other's. 0 or -ENOMEM.
 */
int swap_order_rank(struct topology_role *roles, size_t count);

#endif
