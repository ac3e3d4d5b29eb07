// SPDX-License-Identifier: GPL-2.0-only
#include "report/report.h"

#include "report/flow_count.h"
#include "report/sort.h"

#include <stdlib.h>

#define PREFETCH_AHEAD 8 /* flows from one whose crossings are loaded to the one at hand */

void report_interface_add(struct report_interface *to, const struct report_interface *from)
{
	to->flows += from->flows;
	flow_count_add(&to->in, &from->in);
	flow_count_add(&to->out, &from->out);
	for (int out = 0; out < 2; out++)
		flow_count_add(&to->counted[out], &from->counted[out]);
}

void report_sum_add(struct report_sum *to, const struct report_sum *from)
{
	to->flows += from->flows;
	flow_count_add(&to->count, &from->count);
}

void report_sum_add_flow(struct report_sum *sum, const struct report_flow *flow)
{
	sum->flows++;
	for (int end = 0; end < 2; end++)
		flow_count_add(&sum->count, &flow->sent[end]);
}

/* Where flows to come were seen: they are sorted, and that is not. (Inline, as gcc takes a function
 * that only prefetches for one that does nothing.) */
static inline __attribute__((always_inline)) void prefetch_crossed(const struct report *report,
								   size_t i)
{
	size_t ahead = i + PREFETCH_AHEAD;

	if (ahead < report->flow_count + report->left_out_count)
		__builtin_prefetch(&report->crossed[report->flows[ahead].interface_first]);
}

void report_count_crossings(struct report *report)
{
	size_t flows = report->flow_count + report->left_out_count;

	for (size_t f = 0; f < flows; f++) {
		const struct report_flow *flow = &report->flows[f];

		prefetch_crossed(report, f);
		for (uint32_t i = 0; i < flow->interface_count; i++)
			report->interfaces[report->crossed[flow->interface_first + i]].flows++;
	}
}

void report_limit(struct report *report, size_t n)
{
	report->named = n && n < report->flow_count ? n : report->flow_count;
	report->other = (struct flow_count){0};
	for (size_t i = report->named; i < report->flow_count; i++)
		for (int end = 0; end < 2; end++)
			flow_count_add(&report->other, &report->flows[i].sent[end]);
	report->left_out_named = n && n < report->left_out_count ? n : report->left_out_count;
}

const struct report_flow *report_walk(const struct report *report, struct report_walk *walk)
{
	const struct report_flow *counted = &report->flows[walk->counted];
	const struct report_flow *left_out = &report->flows[report->flow_count + walk->left_out];

	prefetch_crossed(report, walk->counted);
	if (walk->left_out == report->left_out_named ||
	    (walk->counted < report->named && sort_is_before(counted, left_out)))
		return walk->counted < report->named ? report->flows + walk->counted++ : NULL;
	walk->left_out++;
	return left_out;
}

void report_clean(struct report *report)
{
	free(report->interfaces);
	free(report->flows);
	free(report->crossed);
	free(report->nats);
	free(report->unattributed);
	free(report->tunnels);
	free(report->others);
	*report = (struct report){0};
}
