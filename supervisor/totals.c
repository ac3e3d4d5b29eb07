// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/totals.h"
#include "report/flow_count.h"
#include "report/report.h"
#include "report/summed.h"

void totals_add(struct totals *totals, const struct report *report)
{
	const struct flow_count summed = summed_count(report);

	totals->reports++;
	totals->flows += report_flow_total(report);
	totals->summed_flows += report->summed_flows;
	flow_count_add(&totals->summed, &summed);
	flow_count_add(&totals->count, &report->total);
	unattributed_add(&totals->unattributed, report);
	totals->last = (struct unattributed){0};
	unattributed_add(&totals->last, report);
}
