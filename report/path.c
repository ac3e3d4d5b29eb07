// SPDX-License-Identifier: GPL-2.0-only
#include "report/path.h"

#include "lib/cleanup.h"
#include "lib/numbers.h"
#include "report/judge.h"
#include "report/merge.h"

#include <errno.h>
#include <stdlib.h>

/* An interface, by its place in the report. */
struct stop {
	uint32_t rank[2]; /* ingress, egress: position on a path */
	uint32_t visited; /* the last flow whose path has it */
};

struct path_finder {
	const struct flow_table *flows; /* borrowed */
	const struct judge *judge;	/* borrowed */
	struct stop *stops;		/* owned */
	uint32_t *by_rank;		/* owned; numbers of stops */
	uint32_t *ranks;		/* owned; of this flow's hooks in one direction */
	uint32_t flow;			/* number of the flow at hand */
};

struct hop {
	enum hook hook;
	int64_t height;
	uint32_t ifindex, stop;
};

/* A packet climbs from ingress to ingress, then descends from egress to egress. */
static int compare_hops(const void *a, const void *b)
{
	const struct hop *x = a, *y = b;

	if (x->hook != y->hook)
		return (int)x->hook - (int)y->hook;
	if (x->height != y->height)
		return x->height < y->height ? -1 : 1;
	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return (x->stop > y->stop) - (x->stop < y->stop);
}

static int rank_hooks(struct path_finder *finder, const struct merge_interface *interfaces,
		      size_t count)
{
	_free_ struct hop *hops = calloc(2 * count + 1, sizeof(*hops));

	if (!hops)
		return -ENOMEM;
	for (size_t i = 0; i < 2 * count; i++) {
		const struct merge_interface *interface = &interfaces[i / 2];
		enum hook hook = i % 2 ? HOOK_EGRESS : HOOK_INGRESS;
		int64_t level = interface->role->level;

		hops[i] = (struct hop){.hook = hook,
				       .height = hook == HOOK_INGRESS ? level : -level,
				       .ifindex = interface->ifindex,
				       .stop = judge_interface(finder->judge, interface->id)};
	}
	qsort(hops, 2 * count, sizeof(*hops), compare_hops);
	for (size_t i = 0; i < 2 * count; i++) {
		finder->stops[hops[i].stop].rank[hops[i].hook] = (uint32_t)i;
		finder->by_rank[i] = hops[i].stop;
	}
	return 0;
}

int path_finder_new(struct path_finder **ret, const struct flow_table *flows,
		    const struct judge *judge, const struct merge_interface *interfaces,
		    size_t count)
{
	struct path_finder *finder = calloc(1, sizeof(*finder));

	if (!finder)
		return -ENOMEM;
	finder->flows = flows;
	finder->judge = judge;
	finder->stops = calloc(count + 1, sizeof(*finder->stops));
	finder->by_rank = calloc(2 * count + 1, sizeof(*finder->by_rank));
	finder->ranks = calloc(FLOW_ALL_CLASSES * count + 1, sizeof(*finder->ranks));
	if (!finder->stops || !finder->by_rank || !finder->ranks ||
	    rank_hooks(finder, interfaces, count)) {
		path_finder_free(finder);
		return -ENOMEM;
	}
	*ret = finder;
	return 0;
}

void path_finder_free(struct path_finder *finder)
{
	if (!finder)
		return;
	free(finder->stops);
	free(finder->by_rank);
	free(finder->ranks);
	free(finder);
}

/* The hooks that saw what one end sent, as ranks in ascending order. */
static size_t find_ranks(struct path_finder *finder, const struct flow_entry *entry,
			 unsigned int sender)
{
	size_t n = 0;

	flow_table_each_cell (cell, finder->flows, entry) {
		const struct stop *stop;

		if (cell->sender != sender)
			continue;
		stop = &finder->stops[judge_interface(finder->judge, cell->id)];
		finder->ranks[n++] = stop->rank[!flow_class_is_ingress(cell->kind)];
	}
	numbers_sort(finder->ranks, n);
	return n;
}

static uint32_t cross(struct path_finder *finder, uint32_t rank, uint32_t *crossed)
{
	uint32_t stop = finder->by_rank[rank];

	if (finder->stops[stop].visited == finder->flow)
		return 0;
	finder->stops[stop].visited = finder->flow;
	*crossed = stop;
	return 1;
}

uint32_t path_find(struct path_finder *finder, const struct flow_entry *entry, unsigned int left,
		   uint32_t *crossed)
{
	uint32_t count = 0;
	size_t n;

	finder->flow++;
	n = find_ranks(finder, entry, left);
	for (size_t i = 0; i < n; i++)
		count += cross(finder, finder->ranks[i], crossed + count);
	n = find_ranks(finder, entry, !left);
	while (n)
		count += cross(finder, finder->ranks[--n], crossed + count);
	return count;
}
