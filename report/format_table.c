// SPDX-License-Identifier: GPL-2.0-only
#include "lib/buffer.h"
#include "lib/format.h"
#include "report/format.h"
#include "report/format_common.h"
#include "report/report.h"

#include <string.h>

enum column {
	COLUMN_PROTOCOL,
	COLUMN_LEFT,
	COLUMN_RIGHT,
	COLUMN_BYTES,
	COLUMN_SENT,	 /* by the left end */
	COLUMN_RECEIVED, /* by the left end */
	COLUMN_PACKETS,
	COLUMN_TUNNEL, /* only if there is one */
	COLUMN_INTERFACES,
	COLUMNS,
};

static const struct {
	const char *title;
	bool right; /* aligned: numbers */
} columns[COLUMNS] = {
	[COLUMN_PROTOCOL] = {"PROTO", false},
	[COLUMN_LEFT] = {"LEFT", false},
	[COLUMN_RIGHT] = {"RIGHT", false},
	[COLUMN_BYTES] = {"BYTES", true},
	[COLUMN_SENT] = {"->", true},
	[COLUMN_RECEIVED] = {"<-", true},
	[COLUMN_PACKETS] = {"PACKETS", true},
	[COLUMN_TUNNEL] = {"TUNNEL", false},
	[COLUMN_INTERFACES] = {"INTERFACES", false},
};

static void put_crossed(struct buffer *out, const struct report *report,
			const struct report_flow *flow)
{
	const uint32_t *crossed = report->crossed + flow->interface_first;

	for (uint32_t i = 0; i < flow->interface_count; i++) {
		if (i)
			buffer_char(out, '>');
		format_name(out, report->interfaces[crossed[i]].name);
		if (crossed[i] == flow->counted_at)
			buffer_char(out, '*');
	}
}

/* In brackets: what NAT makes of it. */
static void put_end(struct buffer *out, const struct report *report, const struct report_flow *flow,
		    int end)
{
	const struct report_nat *nat = report_flow_nat(report, flow);
	char text[2 * FORMAT_END_SIZE + 3], *to = format_end(text, &flow->key, end);

	if (nat && nat->translated[end]) {
		to = mempcpy(to, " (", 2);
		to = format_nat_end(to, flow->key.family, &nat->seen_as[end]);
		*to++ = ')';
	}
	buffer_append(out, text, (size_t)(to - text));
}

static void put_cell(struct buffer *out, const struct report *report,
		     const struct report_flow *flow, enum column column)
{
	int left = flow->left;

	switch (column) {
	case COLUMN_PROTOCOL:
		format_protocol_or_number(out, flow->key.protocol);
		break;
	case COLUMN_LEFT:
		put_end(out, report, flow, left);
		break;
	case COLUMN_RIGHT:
		put_end(out, report, flow, !left);
		break;
	case COLUMN_BYTES:
		format_size(out, flow->sent[0].bytes + flow->sent[1].bytes);
		break;
	case COLUMN_SENT:
		format_size(out, flow->sent[left].bytes);
		break;
	case COLUMN_RECEIVED:
		format_size(out, flow->sent[!left].bytes);
		break;
	case COLUMN_PACKETS:
		buffer_u64(out, flow->sent[0].packets + flow->sent[1].packets);
		break;
	case COLUMN_TUNNEL:
		if (flow->tunnel)
			format_name(out, report->interfaces[flow->tunnel - 1].name);
		break;
	case COLUMN_INTERFACES:
		put_crossed(out, report, flow);
		break;
	case COLUMNS:
		break;
	}
}

/* In place of the cell before it. An error stays: buffer_reset() would forget a text that is not
 * the one that the width was found for. */
static void make_cell(struct buffer *cell, const struct report *report,
		      const struct report_flow *flow, enum column column)
{
	cell->size = 0;
	put_cell(cell, report, flow, column);
}

/* A column without width is not shown. */
static void put_aligned(struct buffer *out, enum column column, const char *text, size_t size,
			size_t width)
{
	size_t blanks = width - format_width(text, size);

	if (!width)
		return;
	if (columns[column].right)
		format_pad(out, blanks);
	buffer_append(out, text, size);
	if (column == COLUMNS - 1) {
		buffer_char(out, '\n');
		return;
	}
	if (!columns[column].right)
		format_pad(out, blanks);
	format_pad(out, 2);
}

static void find_widths(const struct report *report, struct buffer *cell, size_t width[COLUMNS])
{
	struct report_walk walk = {0};
	const struct report_flow *flow;

	memset(width, 0, COLUMNS * sizeof(*width));
	while ((flow = report_walk(report, &walk))) {
		for (int c = 0; c < COLUMNS; c++) {
			size_t needed;

			make_cell(cell, report, flow, c);
			needed = format_width(cell->data, cell->size);
			if (width[c] < needed)
				width[c] = needed;
		}
	}
	for (int c = 0; c < COLUMNS; c++) {
		size_t title = strlen(columns[c].title);

		if (width[c] < title && (width[c] || c != COLUMN_TUNNEL))
			width[c] = title;
	}
}

static void put_flows(struct buffer *out, const struct report *report, struct buffer *cell)
{
	struct report_walk walk = {0};
	const struct report_flow *flow;
	size_t width[COLUMNS];

	find_widths(report, cell, width);
	for (int c = 0; c < COLUMNS; c++)
		put_aligned(out, c, columns[c].title, strlen(columns[c].title), width[c]);
	while ((flow = report_walk(report, &walk)) && !buffer_error(out)) {
		for (int c = 0; c < COLUMNS; c++) {
			make_cell(cell, report, flow, c);
			put_aligned(out, c, cell->data, cell->size, width[c]);
		}
	}
}

static void put_sum(struct buffer *out, const char *what, size_t flows,
		    const struct flow_count *count)
{
	buffer_printf(out, "%s: %zu flow%s, ", what, flows, flows == 1 ? "" : "s");
	format_size(out, count->bytes);
	buffer_printf(out, ", %llu packets\n", count->packets);
}

static void put_interface_sum(struct buffer *out, const char *what, const struct report *report,
			      const struct report_sum *sum, const char *kind)
{
	buffer_printf(out, "%s: ", what);
	format_name(out, report->interfaces[sum->interface].name);
	buffer_printf(out, "%s, %zu flow%s, ", kind, sum->flows, sum->flows == 1 ? "" : "s");
	format_size(out, sum->count.bytes);
	buffer_printf(out, ", %llu packets\n", sum->count.packets);
}

static void put_summary(struct buffer *out, const struct report *report)
{
	if (report->named < report->flow_count)
		put_sum(out, "other", report->flow_count - report->named, &report->other);
	for (size_t i = 0; i < report->other_count; i++)
		put_interface_sum(out, "other", report, &report->others[i], "");
	put_sum(out, "total", report_flow_total(report), &report->total);
	if (report->filtered.flows)
		put_sum(out, "filtered", report->filtered.flows, &report->filtered.count);
	for (size_t i = 0; i < report->tunnel_count; i++)
		put_interface_sum(out, "left out", report, &report->tunnels[i], " tunnel");
	for (size_t i = 0; i < report->unattributed_count; i++) {
		const struct report_unattributed *unattributed = &report->unattributed[i];

		buffer_str(out, "unattributed: ");
		format_name(out, report->interfaces[unattributed->interface].name);
		buffer_printf(out, " %s, ", unattributed->reason);
		format_size(out, unattributed->count.bytes);
		buffer_printf(out, ", %llu packets\n", unattributed->count.packets);
	}
}

void format_table(struct buffer *out, const struct report *report)
{
	struct buffer cell = {0};

	buffer_str(out, "flowtally ");
	format_time_seconds(out, report->start_ns);
	buffer_str(out, " - ");
	format_time_seconds(out, report->end_ns);
	buffer_printf(out, ", %zu interface%s\n", report->interface_count,
		      report->interface_count == 1 ? "" : "s");
	put_flows(out, report, &cell);
	put_summary(out, report);
	buffer_char(out, '\n');
	if (buffer_error(&cell))
		out->error = buffer_error(&cell);
	buffer_free(&cell);
}
