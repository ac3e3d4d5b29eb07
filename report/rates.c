// SPDX-License-Identifier: GPL-2.0-only
#include "report/rates.h"
#include "report/report.h"

#define RATES_ID 1 /* cells have one; here it means nothing */

void rates_clean(struct rates *rates)
{
	flow_table_clean(&rates->flows);
	*rates = (struct rates){0};
}

int rates_note(struct rates *rates, const struct report *report)
{
	int err;

	rates_clean(rates);
	flow_table_init(&rates->flows);
	err = flow_table_reserve(&rates->flows, report->flow_count, 2 * report->flow_count);
	if (err) {
		rates_clean(rates);
		return err;
	}
	for (size_t i = 0; i < report->flow_count; i++) {
		const struct report_flow *flow = &report->flows[i];
		struct flow_entry *entry =
			flow_table_insert(&rates->flows, &flow->key,
					  flow_table_hash(&rates->flows, &flow->key));

		for (unsigned int end = 0; end < 2; end++)
			flow_table_append(&rates->flows, entry, RATES_ID, end, 0, flow->sent[end]);
	}
	rates->at_ns = report->duration_ns;
	return 0;
}

static uint64_t bytes_before(const struct rates *rates, const struct report_flow *flow, int end)
{
	const struct flow_entry *entry;

	if (!rates->flows.entry_count)
		return 0;
	entry = flow_table_find(&rates->flows, &flow->key,
				flow_table_hash(&rates->flows, &flow->key));
	if (!entry)
		return 0;
	flow_table_each_cell (cell, &rates->flows, entry)
		if (cell->sender == (unsigned int)end)
			return cell->bytes;
	return 0;
}

double rates_of(const struct rates *rates, const struct report *report,
		const struct report_flow *flow, int end)
{
	uint64_t now = flow->sent[end].bytes, before = bytes_before(rates, flow, end);
	int64_t passed_ns = report->duration_ns - rates->at_ns;

	/* a conversation that is joined or judged anew may have less than it had */
	if (passed_ns <= 0 || now <= before)
		return 0;
	return (double)(now - before) * 1e9 / (double)passed_ns;
}
