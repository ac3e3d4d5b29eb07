// SPDX-License-Identifier: GPL-2.0-only
#include "control/columns.h"
#include "control/query.h"
#include "control/text.h"
#include "control/view.h"
#include "lib/array.h"
#include "lib/format.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <jansson.h>
#include <netdb.h>
#include <string.h>

#define BAR_WIDTH 10

static const struct column flow_columns[] = {
	{"PROTO", COLUMN_TEXT},	    {"LEFT", COLUMN_SHRINKING}, {"RIGHT", COLUMN_SHRINKING},
	{"->/s", COLUMN_NUMBER},    {"<-/s", COLUMN_NUMBER},	{"BYTES", COLUMN_NUMBER},
	{"PACKETS", COLUMN_NUMBER}, {"SHARE", COLUMN_TEXT},	{"INTERFACES", COLUMN_TEXT},
};
/* Up to BYTES: the others may stand beyond the edge. */
#define FLOW_COLUMNS_FITTING 6

static void put_port(struct buffer *out, uint64_t port, const char *protocol, bool names)
{
	const struct servent *service =
		names && port ? getservbyport(htons((uint16_t)port), protocol) : NULL;

	buffer_char(out, ':');
	if (service)
		format_name(out, service->s_name);
	else
		buffer_u64(out, port);
}

static void put_end(struct buffer *out, const json_t *end, const char *protocol, bool names)
{
	const char *address = control_text(end, "ip");
	bool brackets = strchr(address, ':');

	buffer_str(out, brackets ? "[" : "");
	format_name(out, address);
	buffer_str(out, brackets ? "]" : "");
	put_port(out, control_u64(end, "port"), protocol, names);
}

static void put_rate(struct buffer *out, double rate)
{
	format_size(out, control_whole(rate));
}

/* What the flow is sorted by. */
static double sort_value(const json_t *flow, enum query_sort sort)
{
	switch (sort) {
	case QUERY_PACKETS:
		return control_real(flow, "network.packets");
	case QUERY_RATE:
		return control_real(flow, "source.rate") + control_real(flow, "destination.rate");
	case QUERY_SENT:
		return control_real(flow, "source.bytes");
	case QUERY_RECEIVED:
		return control_real(flow, "destination.bytes");
	case QUERY_BYTES:
	case QUERY_SORTS:
		break;
	}
	return control_real(flow, "network.bytes");
}

/* Against the largest, with at least a little of a bar. */
static void put_bar(struct buffer *out, double value, double largest)
{
	double share = largest > 0 && value > 0 ? value / largest : 0;
	unsigned int width = share < 1 ? (unsigned int)(share * BAR_WIDTH + 0.5) : BAR_WIDTH;

	if (value > 0 && !width)
		width = 1;
	while (width--)
		buffer_char(out, '#');
}

static void put_path(struct buffer *out, const json_t *flow)
{
	const json_t *path = control_at(flow, "flowtally.interfaces"), *name;
	size_t i;

	json_array_foreach (path, i, name) {
		buffer_str(out, i ? ">" : "");
		format_name(out, control_text(name, ""));
	}
}

static void put_flow(struct columns *columns, const json_t *flow, double value, double largest,
		     bool names)
{
	const char *protocol = control_text(flow, "network.transport");
	struct buffer *out = &columns->text;

	format_name(out, *protocol ? protocol : control_text(flow, "network.iana_number"));
	columns_end_cell(columns);
	put_end(out, control_at(flow, "source"), protocol, names);
	columns_end_cell(columns);
	put_end(out, control_at(flow, "destination"), protocol, names);
	columns_end_cell(columns);
	put_rate(out, control_real(flow, "source.rate"));
	columns_end_cell(columns);
	put_rate(out, control_real(flow, "destination.rate"));
	columns_end_cell(columns);
	format_size(out, control_u64(flow, "network.bytes"));
	columns_end_cell(columns);
	buffer_u64(out, control_u64(flow, "network.packets"));
	columns_end_cell(columns);
	put_bar(out, value, largest);
	columns_end_cell(columns);
	put_path(out, flow);
	columns_end_cell(columns);
}

/* The most important first: a screen cuts its end off. */
static void put_summary(struct buffer *out, const json_t *answer)
{
	buffer_printf(out, "%" PRIu64 " flows by ", control_u64(answer, "matched"));
	format_name(out, control_text(answer, "sort"));
	buffer_str(out, "; now ");
	put_rate(out, control_real(answer, "rate.sent"));
	buffer_str(out, "/s -> and ");
	put_rate(out, control_real(answer, "rate.received"));
	buffer_str(out, "/s <-; ");
	format_size(out, control_u64(answer, "network.bytes"));
	buffer_printf(out, " in %" PRIu64 " packets, %.1f s since ",
		      control_u64(answer, "network.packets"),
		      control_real(answer, "interval.seconds"));
	format_name(out, control_text(answer, "interval.start"));
	if (control_u64(answer, "interval.summed.flows")) {
		buffer_printf(out, "; beyond max_flows %" PRIu64 ", ",
			      control_u64(answer, "interval.summed.flows"));
		format_size(out, control_u64(answer, "interval.summed.network.bytes"));
	}
	buffer_char(out, '\n');
}

void view_flows(struct buffer *out, const json_t *answer, bool names, size_t width)
{
	const json_t *flows = control_at(answer, "flows"), *flow;
	enum query_sort sort = QUERY_BYTES;
	struct columns columns;
	double largest;
	size_t i;

	/* another version's agent may know other orders */
	(void)query_sort_from_name(control_text(answer, "sort"), &sort);
	largest = sort_value(json_array_get(flows, 0), sort);
	put_summary(out, answer);
	columns_init(&columns, flow_columns, ARRAY_SIZE(flow_columns));
	columns.width = width;
	columns.fitting = FLOW_COLUMNS_FITTING;
	json_array_foreach (flows, i, flow)
		put_flow(&columns, flow, sort_value(flow, sort), largest, names);
	columns_print(&columns, out);
	columns_clean(&columns);
}
