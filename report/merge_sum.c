// SPDX-License-Identifier: GPL-2.0-only
/* Flows beyond the limit: the smallest are chosen, and their sums kept. */
#include "report/merge_private.h"

#include "lib/cleanup.h"
#include "report/sort.h"

#include <errno.h>
#include <stdlib.h>

#define KEPT UINT64_MAX /* the size of a flow that cannot be summed */

/* Bytes of each flow that can be summed now. */
static int measure_flows(const struct merge_view *view, const struct report *report,
			 uint64_t *sizes)
{
	const struct flow_table *flows = view->judged.flows;
	struct judge *judge;
	int err = merge_view_judge(&judge, view, report);

	if (err)
		return err;
	for (size_t i = 0; i < flows->entry_count && !err; i++) {
		const struct flow_entry *entry = &flows->entries[i];
		struct flow_count sent[2];

		flow_table_prefetch_cells(flows, i);
		sizes[i] = KEPT;
		if (entry->key.family == FLOW_UNATTRIBUTED || !judge_is_certain(judge, entry))
			continue;
		err = judge_flow(judge, entry, sent);
		sizes[i] = sent[0].bytes + sent[1].bytes;
	}
	judge_free(judge);
	return err;
}

/* The n smallest, as far as they can be summed. Returns how many. */
static size_t choose_smallest(const uint64_t *sizes, size_t count, size_t n, bool *chosen)
{
	uint64_t threshold = sort_select(sizes, count, n - 1);
	size_t left = n;

	for (size_t i = 0; i < count; i++) {
		chosen[i] = sizes[i] < threshold;
		left -= chosen[i];
	}
	for (size_t i = 0; i < count && left && threshold != KEPT; i++) {
		if (sizes[i] != threshold)
			continue;
		chosen[i] = true;
		left--;
	}
	return n - left;
}

/* Chooses the n smallest flows, as far as they can be summed. *ret: how many. 0 or -ENOMEM. */
static int choose_flows(struct merge_view *view, const struct report *report, size_t n, size_t *ret)
{
	size_t entries = view->judged.flows->entry_count;
	_free_ uint64_t *sizes = calloc(entries, sizeof(*sizes));
	int err;

	view->chosen = calloc(entries, sizeof(*view->chosen));
	if (!sizes || !view->chosen)
		return -ENOMEM;
	err = measure_flows(view, report, sizes);
	if (!err)
		*ret = choose_smallest(sizes, entries, n, view->chosen);
	return err;
}

/* Keeps the sums of the chosen flows instead of them. 0 or -ENOMEM, then they stay. */
static int sum_chosen(struct merge *merge, struct merge_view *view, struct report *report)
{
	int err = merge_view_fill(view, report);

	if (err)
		return err;
	report_count_crossings(report);
	err = merge_filter_report(view->ends, report)
		      ?: summed_reserve(&merge->summed, view->interface_count)
		      ?: flow_table_drop(&merge->flows, view->chosen);
	if (!err)
		summed_add(&merge->summed, report);
	return err;
}

int merge_sum_smallest(struct merge *merge, const struct merge_interface *interfaces, size_t count,
		       const struct merge_ends *ends)
{
	struct merge_view view = {
		/* what can be summed owes nothing */
		.judged = {.flows = &merge->flows, .owed = &merge->owed},
		.interfaces = interfaces,
		.interface_count = count,
		.ends = ends,
	};
	struct report report = {0};
	size_t chosen = 0;
	int err = merge_view_join(&view, merge);

	if (err || !merge_is_over(merge))
		return err;
	err = merge_view_list_interfaces(&view, &report)
		      ?: choose_flows(&view, &report, merge_held_flows(merge) - merge->max_flows,
				      &chosen);
	if (!err && chosen)
		err = sum_chosen(merge, &view, &report);
	merge_view_clean(&view);
	report_clean(&report);
	if (!err)
		merge->kept = merge_held_flows(merge);
	return err;
}
