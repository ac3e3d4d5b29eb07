/* SPDX-License-Identifier: GPL-2.0-only */
/* Sums of bytes and packets. */
#ifndef FLOWTALLY_FLOW_COUNT_H
#define FLOWTALLY_FLOW_COUNT_H

#include "bpf/flow_types.h"

#include <stdbool.h>
#include <stdint.h>

static inline bool flow_count_is_zero(const struct flow_count *count)
{
	return !count->bytes && !count->packets;
}

static inline void flow_count_add(struct flow_count *sum, const struct flow_count *count)
{
	sum->bytes += count->bytes;
	sum->packets += count->packets;
}

/* Takes off what is part of the sum. */
static inline void flow_count_subtract(struct flow_count *sum, const struct flow_count *count)
{
	sum->bytes -= count->bytes;
	sum->packets -= count->packets;
}

/* By how much a is more than b; 0: it is not. */
static inline uint64_t excess(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Bytes and packets each by themselves, here and below. */
static inline struct flow_count flow_count_excess(struct flow_count a, struct flow_count b)
{
	return (struct flow_count){.bytes = excess(a.bytes, b.bytes),
				   .packets = excess(a.packets, b.packets)};
}

static inline struct flow_count flow_count_smaller(struct flow_count a, struct flow_count b)
{
	return (struct flow_count){.bytes = a.bytes < b.bytes ? a.bytes : b.bytes,
				   .packets = a.packets < b.packets ? a.packets : b.packets};
}

static inline struct flow_count flow_count_sum(struct flow_count a, struct flow_count b)
{
	flow_count_add(&a, &b);
	return a;
}

#endif
