// SPDX-License-Identifier: GPL-2.0-only
#include "report/sort.h"

#include "lib/cleanup.h"
#include "report/report.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SORT_SMALL 32
#define SORT_AHEAD 8
#define CACHE_LINE 64

/* One byte at a time, highest first: how many of those that begin alike go on with each value. */
uint64_t sort_select(const uint64_t *numbers, size_t n, size_t k)
{
	uint64_t mask = 0, begin = 0;

	for (int shift = 56; shift >= 0; shift -= 8) {
		size_t with[256] = {0};
		unsigned int value = 0;

		for (size_t i = 0; i < n; i++)
			with[numbers[i] >> shift & 0xff] += (numbers[i] & mask) == begin;
		while (k >= with[value])
			k -= with[value++];
		begin |= (uint64_t)value << shift;
		mask |= (uint64_t)0xff << shift;
	}
	return begin;
}

/* A flow to be sorted by number, ascending. */
struct sort_item {
	uint64_t number;
	uint32_t flow;
};

/* One byte of the number at a time, lowest first, without those that all have in common. */
static void radix_sort(struct sort_item *items, struct sort_item *scratch, size_t n)
{
	struct sort_item *from = items, *to = scratch;

	for (int shift = 0; shift < 64; shift += 8) {
		size_t at[256] = {0}, sum = 0;

		for (size_t i = 0; i < n; i++)
			at[from[i].number >> shift & 0xff]++;
		if (at[from[0].number >> shift & 0xff] == n)
			continue;
		for (int value = 0; value < 256; value++) {
			size_t count = at[value];

			at[value] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[at[from[i].number >> shift & 0xff]++] = from[i];
		from = to;
		to = from == items ? scratch : items;
	}
	if (from != items)
		memcpy(items, from, n * sizeof(*items));
}

static const uint8_t *key_bytes(const struct report_flow *flows, const struct sort_item *item)
{
	return (const uint8_t *)&flows[item->flow].key;
}

/* How many bytes from the first on all keys have in common. */
static size_t common_prefix(const struct report_flow *flows, const struct sort_item *items,
			    size_t n)
{
	const uint8_t *first = key_bytes(flows, &items[0]);
	size_t common = sizeof(struct flow_key);

	for (size_t i = 1; i < n; i++) {
		const uint8_t *key = key_bytes(flows, &items[i]);

		for (size_t at = 0; at < common; at++)
			if (key[at] != first[at])
				common = at;
	}
	return common;
}

static void insertion_sort(const struct report_flow *flows, struct sort_item *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct sort_item item = items[i];
		size_t at = i;

		for (; at && memcmp(key_bytes(flows, &items[at - 1]), key_bytes(flows, &item),
				    sizeof(struct flow_key)) > 0;
		     at--)
			items[at] = items[at - 1];
		items[at] = item;
	}
}

/* Ties will be compared by their keys, which are anywhere. */
static void prefetch_tie(const struct report_flow *flows, const struct sort_item *item)
{
	if (item[0].number == item[-1].number || item[0].number == item[1].number)
		__builtin_prefetch(key_bytes(flows, item));
}

/* Items of equal number follow each other: puts them in the order of their keys, eight bytes at a
 * time, so at most six deep. */
static void sort_ties(const struct report_flow *flows, struct sort_item *items,
		      struct sort_item *scratch, size_t n)
{
	for (size_t first = 0, end; first < n; first = end) {
		struct sort_item *run = &items[first];
		size_t count, from;

		for (end = first + 1; end < n && items[end].number == run->number; end++)
			if (end + SORT_AHEAD + 1 < n)
				prefetch_tie(flows, &items[end + SORT_AHEAD]);
		count = end - first;
		if (count <= SORT_SMALL) {
			insertion_sort(flows, run, count);
			continue;
		}
		from = common_prefix(flows, run, count);
		if (from > sizeof(struct flow_key) - 8)
			from = sizeof(struct flow_key) - 8;
		for (size_t i = 0; i < count; i++) {
			memcpy(&run[i].number, key_bytes(flows, &run[i]) + from, 8);
			run[i].number = be64toh(run[i].number);
		}
		radix_sort(run, scratch, count);
		sort_ties(flows, run, scratch, count);
	}
}

/* It begins in one cache line and ends in the next, or the one after that. */
static void prefetch_flow(const struct report_flow *flow)
{
	for (size_t at = 0; at < sizeof(*flow); at += CACHE_LINE)
		__builtin_prefetch((const char *)flow + at, 1);
	__builtin_prefetch((const char *)(flow + 1) - 1, 1);
}

/*
 * Moves the flows themselves, each to its place from where from says, in place: there may be a
 * million. They go round in cycles, each to where the one before came from, which is anywhere: so
 * the way is walked ahead, and what stands there is in the cache when its turn comes.
 */
static void permute(struct report_flow *flows, uint32_t *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct report_flow flow = flows[i];
		size_t at = i, ahead = i;

		for (int step = 0; step < SORT_AHEAD; step++)
			ahead = from[ahead];
		while (from[at] != i) {
			size_t next = from[at];

			ahead = from[ahead];
			prefetch_flow(&flows[ahead]);
			flows[at] = flows[next];
			from[at] = (uint32_t)at;
			at = next;
		}
		flows[at] = flow;
		from[at] = (uint32_t)at;
	}
}

static uint64_t flow_bytes(const struct report_flow *flow)
{
	return flow->sent[0].bytes + flow->sent[1].bytes;
}

bool sort_is_before(const struct report_flow *a, const struct report_flow *b)
{
	if (flow_bytes(a) != flow_bytes(b))
		return flow_bytes(a) > flow_bytes(b);
	return memcmp(&a->key, &b->key, sizeof(a->key)) < 0;
}

int sort_flows(struct report_flow *flows, size_t n)
{
	_free_ struct sort_item *items = malloc((n + 1) * sizeof(*items));
	_free_ struct sort_item *scratch = malloc((n + 1) * sizeof(*scratch));
	_free_ uint32_t *from = malloc((n + 1) * sizeof(*from));

	if (!items || !scratch || !from)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		items[i].number = ~flow_bytes(&flows[i]);
		items[i].flow = (uint32_t)i;
	}
	if (!n)
		return 0;
	radix_sort(items, scratch, n);
	sort_ties(flows, items, scratch, n);
	/* a quarter of the memory to walk */
	for (size_t i = 0; i < n; i++)
		from[i] = items[i].flow;
	permute(flows, from, n);
	return 0;
}
