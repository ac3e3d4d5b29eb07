// SPDX-License-Identifier: GPL-2.0-only
#include "report/filtered.h"

#include "lib/cleanup.h"
#include "lib/filter.h"
#include "report/flow_count.h"
#include "report/report.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

struct filters {
	const struct filter *only, *ignore; /* borrowed */
	const char *const *names;	    /* borrowed; of the report's interfaces */
};

static void add_end(struct filter_subject *subject, const uint8_t *address, __be16 port)
{
	subject->ends[subject->end_count++] =
		(struct filter_end){.address = address, .port = ntohs(port)};
}

static struct filter_subject make_subject(const struct report *report, const char *const *names,
					  const struct report_flow *flow)
{
	const struct report_nat *nat = report_flow_nat(report, flow);
	struct filter_subject subject = {
		.family = flow->key.family,
		.protocol = flow->key.protocol,
		.crossed = report->crossed + flow->interface_first,
		.crossed_count = flow->interface_count,
		.names = names,
	};

	for (int end = 0; end < 2; end++) {
		add_end(&subject, flow->key.addr[end].bytes, flow->key.port[end]);
		if (nat && nat->translated[end])
			add_end(&subject, nat->seen_as[end].addr, nat->seen_as[end].port);
	}
	return subject;
}

bool report_flow_is_selected(const struct report *report, const char *const *names,
			     const struct report_flow *flow, const struct filter *only)
{
	const struct filter_subject subject = make_subject(report, names, flow);

	return !only->count || filter_selects(only, &subject);
}

static bool is_wanted(const struct filters *filters, const struct report *report,
		      const struct report_flow *flow)
{
	const struct filter_subject subject = make_subject(report, filters->names, flow);

	return (!filters->only->count || filter_selects(filters->only, &subject)) &&
	       !filter_selects(filters->ignore, &subject);
}

static void take_out(struct report *report, const struct report_flow *flow)
{
	report->filtered.flows++;
	for (int end = 0; end < 2; end++) {
		flow_count_add(&report->filtered.count, &flow->sent[end]);
		flow_count_subtract(&report->total, &flow->sent[end]);
	}
}

/* Those left out by tunnels stand behind the others, and go on to do so. */
static void take_out_unwanted(struct report *report, const struct filters *filters)
{
	size_t counted = report->flow_count, all = counted + report->left_out_count, kept = 0;

	report->flow_count = 0;
	for (size_t i = 0; i < all; i++) {
		const struct report_flow *flow = &report->flows[i];

		if (is_wanted(filters, report, flow)) {
			report->flows[kept++] = *flow;
			report->flow_count += i < counted;
		} else if (i < counted) {
			take_out(report, flow);
		}
	}
	report->left_out_count = kept - report->flow_count;
}

const char **report_interface_names(const struct report *report)
{
	const char **names = calloc(report->interface_count + 1, sizeof(*names));

	for (size_t i = 0; names && i < report->interface_count; i++)
		names[i] = report->interfaces[i].name;
	return names;
}

int report_filter(struct report *report, const struct filter *only, const struct filter *ignore)
{
	_free_ const char **names = NULL;

	if (!only->count && !ignore->count)
		return 0;
	names = report_interface_names(report);
	if (!names)
		return -ENOMEM;
	take_out_unwanted(report, &(struct filters){only, ignore, names});
	report_limit(report, 0);
	return 0;
}
