/* SPDX-License-Identifier: GPL-2.0-only */
/* The orders of a report, for a million flows as for ten. */
#ifndef FLOWTALLY_SORT_H
#define FLOWTALLY_SORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct report_flow;

/* Flows by bytes, largest first; equal ones by key (memcmp). 0 or -ENOMEM. */
int sort_flows(struct report_flow *flows, size_t n);
/* Whether a comes before b in that order. */
bool sort_is_before(const struct report_flow *a, const struct report_flow *b);

/* The one at index k when they are sorted, smallest first, in a time that no choice of numbers
 * makes longer. k < n. */
uint64_t sort_select(const uint64_t *numbers, size_t n, size_t k);

#endif
