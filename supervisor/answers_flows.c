// SPDX-License-Identifier: GPL-2.0-only
#include "control/query.h"
#include "control/text.h"
#include "lib/cleanup.h"
#include "lib/protocol.h"
#include "report/filtered.h"
#include "report/flow_count.h"
#include "report/format_common.h"
#include "report/rates.h"
#include "report/report.h"
#include "supervisor/answers.h"
#include "supervisor/answers_private.h"
#include "supervisor/live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

/* A flow that is wanted, and what it is sorted by. */
struct choice {
	const struct report_flow *flow;
	double key;
};

struct choices {
	struct choice *list; /* owned; the first of all, as many as are asked for */
	size_t count, limit;
	uint64_t matched; /* all of them, as are the next two */
	struct flow_count total;
	double rate[2]; /* from their left and from their right ends */
};

static double sort_key(const struct query *query, const struct report_flow *flow,
		       const double rate[2])
{
	const struct flow_count *sent = flow->sent;

	switch (query->sort) {
	case QUERY_BYTES:
		return (double)(sent[0].bytes + sent[1].bytes);
	case QUERY_PACKETS:
		return (double)(sent[0].packets + sent[1].packets);
	case QUERY_RATE:
		return rate[0] + rate[1];
	case QUERY_SENT:
		return (double)sent[flow->left].bytes;
	case QUERY_RECEIVED:
		return (double)sent[!flow->left].bytes;
	case QUERY_SORTS:
		break;
	}
	return 0;
}

/* Equal ones as in a report. */
static int compare_choices(const void *a, const void *b)
{
	const struct choice *x = a, *y = b;
	int order = (x->key < y->key) - (x->key > y->key);

	return order ? order : (x->flow > y->flow) - (x->flow < y->flow);
}

static void swap_choices(struct choice *a, struct choice *b)
{
	struct choice old = *a;

	*a = *b;
	*b = old;
}

/* The list is a heap with its last one on top, which gives way to those before it: whoever asks for
 * ten of a million flows does not have all of them sorted. */
static void keep_choice(struct choices *choices, struct choice choice)
{
	struct choice *list = choices->list;
	size_t at = 0, below;

	if (choices->count < choices->limit) {
		at = choices->count++;
		list[at] = choice;
		for (; at && compare_choices(&list[at], &list[(at - 1) / 2]) > 0; at = (at - 1) / 2)
			swap_choices(&list[at], &list[(at - 1) / 2]);
		return;
	}
	if (compare_choices(&choice, &list[0]) > 0)
		return;
	list[0] = choice;
	while ((below = 2 * at + 1) < choices->count) {
		if (below + 1 < choices->count &&
		    compare_choices(&list[below + 1], &list[below]) > 0)
			below++;
		if (compare_choices(&list[at], &list[below]) > 0)
			break;
		swap_choices(&list[at], &list[below]);
		at = below;
	}
}

static int choose(struct choices *choices, const struct query *query, const struct report *report,
		  const struct rates *rates)
{
	_free_ const char **names = report_interface_names(report);

	*choices = (struct choices){
		.list = calloc(query->limit, sizeof(*choices->list)),
		.limit = query->limit,
	};
	if (!choices->list || !names)
		return -ENOMEM;
	for (size_t i = 0; i < report->flow_count; i++) {
		const struct report_flow *flow = &report->flows[i];
		double rate[2];

		if (!report_flow_is_selected(report, names, flow, &query->filter))
			continue;
		for (int end = 0; end < 2; end++) {
			flow_count_add(&choices->total, &flow->sent[end]);
			rate[end] = rates_of(rates, report, flow, end);
			choices->rate[end != flow->left] += rate[end];
		}
		choices->matched++;
		keep_choice(choices,
			    (struct choice){.flow = flow, .key = sort_key(query, flow, rate)});
	}
	qsort(choices->list, choices->count, sizeof(*choices->list), compare_choices);
	return 0;
}

static json_t *make_address(uint8_t family, const uint8_t bytes[16])
{
	char text[FORMAT_ADDRESS_SIZE];

	return json_stringn(text, (size_t)(format_address(text, family, bytes) - text));
}

/* What has no ports is not translated to one. */
static json_t *make_nat_end(uint8_t family, const struct nat_end *end)
{
	json_t *ip = make_address(family, end->addr);

	return end->port ? json_pack("{s:o,s:i}", "ip", ip, "port", ntohs(end->port))
			 : json_pack("{s:o}", "ip", ip);
}

static json_t *make_end(const struct report *report, const struct rates *rates,
			const struct report_flow *flow, int end)
{
	const struct report_nat *nat = report_flow_nat(report, flow);
	json_t *object =
		json_pack("{s:o,s:i,s:I,s:I,s:f}", "ip",
			  make_address(flow->key.family, flow->key.addr[end].bytes), "port",
			  ntohs(flow->key.port[end]), "bytes", (json_int_t)flow->sent[end].bytes,
			  "packets", (json_int_t)flow->sent[end].packets, "rate",
			  rates_of(rates, report, flow, end));

	if (object && nat && nat->translated[end] &&
	    json_object_set_new(object, "nat",
				make_nat_end(flow->key.family, &nat->seen_as[end]))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *make_path(const struct report *report, const struct report_flow *flow)
{
	json_t *path = json_array();

	for (uint32_t i = 0; i < flow->interface_count; i++) {
		uint32_t interface = report->crossed[flow->interface_first + i];

		if (json_array_append_new(path,
					  control_string(report->interfaces[interface].name))) {
			json_decref(path);
			return NULL;
		}
	}
	return path;
}

static json_t *make_network(const struct report_flow *flow)
{
	struct flow_count sum = flow->sent[0];

	flow_count_add(&sum, &flow->sent[1]);
	return json_pack("{s:s,s:s*,s:o,s:I,s:I}", "type",
			 flow->key.family == FLOW_IPV4 ? "ipv4" : "ipv6", "transport",
			 protocol_name(flow->key.protocol), "iana_number",
			 json_sprintf("%u", flow->key.protocol), "bytes", (json_int_t)sum.bytes,
			 "packets", (json_int_t)sum.packets);
}

static json_t *make_crossing(const struct report *report, const struct report_flow *flow)
{
	return json_pack("{s:o,s:o}", "interfaces", make_path(report, flow), "counted_at",
			 control_string(report->interfaces[flow->counted_at].name));
}

static json_t *make_flow(const struct report *report, const struct rates *rates,
			 const struct report_flow *flow)
{
	return json_pack("{s:o,s:o,s:o,s:o}", "source", make_end(report, rates, flow, flow->left),
			 "destination", make_end(report, rates, flow, !flow->left), "network",
			 make_network(flow), "flowtally", make_crossing(report, flow));
}

static json_t *make_list(const struct choices *choices, const struct report *report,
			 const struct rates *rates)
{
	json_t *list = json_array();

	for (size_t i = 0; i < choices->count; i++)
		if (json_array_append_new(list, make_flow(report, rates, choices->list[i].flow))) {
			json_decref(list);
			return NULL;
		}
	return list;
}

json_t *answers_flows(const struct answers *state, const struct query *query)
{
	const struct report *report;
	const struct rates *rates;
	struct choices choices;
	json_t *answer = NULL;
	int err = live_report(state->live, &report);

	if (err)
		return answers_error("the running interval cannot be read", err);
	rates = live_rates(state->live);
	if (!choose(&choices, query, report, rates))
		answer = json_pack("{s:o,s:s,s:I,s:o,s:{s:f,s:f},s:o}", "interval",
				   answers_interval(state, report), "sort",
				   query_sort_name(query->sort), "matched",
				   (json_int_t)choices.matched, "network",
				   answers_network(&choices.total), "rate", "sent", choices.rate[0],
				   "received", choices.rate[1], "flows",
				   make_list(&choices, report, rates));
	free(choices.list);
	return answer;
}
