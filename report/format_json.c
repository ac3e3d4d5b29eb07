// SPDX-License-Identifier: GPL-2.0-only
#include "lib/buffer.h"
#include "lib/decimal.h"
#include "lib/format.h"
#include "lib/protocol.h"
#include "lib/utf8.h"
#include "report/format.h"
#include "report/format_common.h"
#include "report/report.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A report is one object, its flows are millions. So there are two ways to write: put_*() into the
 * growing buffer, and line_*() into room that was made for a whole line, which return where they
 * end: a third of the time for each flow.
 */
#define put_literal(out, text) buffer_append(out, text, sizeof(text) - 1)
#define line_literal(to, text) mempcpy(to, text, sizeof(text) - 1)

/* "bytes":N,"packets":N */
#define COUNTS_SIZE (20 + 2 * DECIMAL_SIZE)
/* The most that a line has beside its head, its tail and its names: 2 ends, each with another of
 * NAT's, 3 counts, protocol, and what is between them. */
#define LINE_REST (4 * FORMAT_ADDRESS_SIZE + 3 * COUNTS_SIZE + 512)

/* By the number of UTF-16, which is two above U+FFFF. */
static void put_escape(struct buffer *out, uint32_t character)
{
	if (character > UINT16_MAX) {
		buffer_printf(out, "\\u%04x", 0xd800 + ((character - 0x10000) >> 10));
		character = 0xdc00 + (character & 0x3ff);
	}
	buffer_printf(out, "\\u%04x", character);
}

/* A string as RFC 8259 wants it; bytes that are no UTF-8 become U+FFFD. It may be shown by a
 * terminal, so what that would obey is escaped, too. */
static void put_string(struct buffer *out, const char *text)
{
	buffer_char(out, '"');
	while (*text) {
		size_t length = utf8_length(text);

		if (!length)
			put_literal(out, "\xef\xbf\xbd");
		else if (*text == '"' || *text == '\\')
			buffer_printf(out, "\\%c", *text);
		else if (*text != ' ' && !utf8_is_printable(text, length))
			put_escape(out, utf8_code(text, length));
		else
			buffer_append(out, text, length);
		text += length ? length : utf8_broken_length(text);
	}
	buffer_char(out, '"');
}

static void put_number(struct buffer *out, const char *name, size_t name_size, uint64_t number)
{
	buffer_append(out, name, name_size);
	buffer_u64(out, number);
}

#define put_field(out, name, number) put_number(out, name, sizeof(name) - 1, number)
#define line_field(to, name, number) decimal_put(line_literal(to, name), number)

static char *line_counts(char *to, uint64_t bytes, uint64_t packets)
{
	to = line_field(to, "\"bytes\":", bytes);
	return line_field(to, ",\"packets\":", packets);
}

static void put_counts(struct buffer *out, uint64_t bytes, uint64_t packets)
{
	char text[COUNTS_SIZE];

	buffer_append(out, text, (size_t)(line_counts(text, bytes, packets) - text));
}

/* The time stamp and the event, the same in all lines of one kind. */
static void put_event(struct buffer *out, const struct report *report, const char *kind,
		      const char *action)
{
	put_literal(out, "{\"@timestamp\":\"");
	format_time_milliseconds(out, report->end_ns);
	buffer_printf(out, "\",\"event\":{\"kind\":\"%s\",\"action\":\"%s\",\"start\":\"", kind,
		      action);
	format_time_milliseconds(out, report->start_ns);
	put_literal(out, "\",\"end\":\"");
	format_time_milliseconds(out, report->end_ns);
	buffer_printf(out, "\",\"duration\":%lld}", (long long)report->duration_ns);
}

/* name: with the comma before it and the quotes around it. */
static void put_sum(struct buffer *out, const char *name, size_t flows,
		    const struct flow_count *count)
{
	buffer_str(out, name);
	put_field(out, ":{\"flows\":", flows);
	put_literal(out, ",\"network\":{");
	put_counts(out, count->bytes, count->packets);
	put_literal(out, "}}");
}

static void put_unattributed(struct buffer *out, const struct report *report)
{
	put_literal(out, ",\"unattributed\":[");
	for (size_t i = 0; i < report->unattributed_count; i++) {
		const struct report_unattributed *unattributed = &report->unattributed[i];

		if (i)
			buffer_char(out, ',');
		put_literal(out, "{\"interface\":");
		put_string(out, report->interfaces[unattributed->interface].name);
		buffer_printf(out, ",\"reason\":\"%s\",", unattributed->reason);
		put_counts(out, unattributed->count.bytes, unattributed->count.packets);
		buffer_char(out, '}');
	}
	buffer_char(out, ']');
}

/* name: with the comma before it and the quotes around it. */
static void put_sums(struct buffer *out, const char *name, const struct report *report,
		     const struct report_sum *sums, size_t count)
{
	buffer_str(out, name);
	put_literal(out, ":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buffer_char(out, ',');
		put_literal(out, "{\"interface\":");
		put_string(out, report->interfaces[sums[i].interface].name);
		put_field(out, ",\"flows\":", sums[i].flows);
		put_literal(out, ",\"network\":{");
		put_counts(out, sums[i].count.bytes, sums[i].count.packets);
		put_literal(out, "}}");
	}
	buffer_char(out, ']');
}

static void put_report(struct buffer *out, const struct report *report)
{
	put_event(out, report, "metric", "report");
	put_field(out, ",\"flowtally\":{\"report\":{\"id\":", report->id);
	put_field(out, ",\"interfaces\":", report->interface_count);
	put_field(out, ",\"flows\":", report_flow_total(report));
	put_literal(out, ",\"network\":{");
	put_counts(out, report->total.bytes, report->total.packets);
	buffer_char(out, '}');
	if (report->named < report->flow_count)
		put_sum(out, ",\"other\"", report->flow_count - report->named, &report->other);
	if (report->other_count)
		put_sums(out, ",\"others\"", report, report->others, report->other_count);
	if (report->filtered.flows)
		put_sum(out, ",\"filtered\"", report->filtered.flows, &report->filtered.count);
	if (report->tunnel_count)
		put_sums(out, ",\"tunnels\"", report, report->tunnels, report->tunnel_count);
	put_unattributed(out, report);
	put_literal(out, "}}}\n");
}

static char *line_ip(char *to, uint8_t family, const uint8_t bytes[16])
{
	to = line_literal(to, "\"ip\":\"");
	to = format_address(to, family, bytes);
	*to++ = '"';
	return to;
}

/* Protocols without ports have none here. */
static char *line_nat(char *to, uint8_t family, const struct nat_end *end)
{
	to = line_literal(to, ",\"nat\":{");
	to = line_ip(to, family, end->addr);
	if (end->port)
		to = line_field(to, ",\"port\":", ntohs(end->port));
	*to++ = '}';
	return to;
}

static char *line_end(char *to, const struct report *report, const struct report_flow *flow,
		      int end)
{
	const struct report_nat *nat = report_flow_nat(report, flow);

	*to++ = '{';
	to = line_ip(to, flow->key.family, flow->key.addr[end].bytes);
	to = line_field(to, ",\"port\":", ntohs(flow->key.port[end]));
	*to++ = ',';
	to = line_counts(to, flow->sent[end].bytes, flow->sent[end].packets);
	if (nat && nat->translated[end])
		to = line_nat(to, flow->key.family, &nat->seen_as[end]);
	*to++ = '}';
	return to;
}

static char *line_network(char *to, const struct report_flow *flow)
{
	const char *transport = protocol_name(flow->key.protocol);

	to = line_literal(to, ",\"network\":{\"type\":\"ipv");
	*to++ = flow->key.family == FLOW_IPV4 ? '4' : '6';
	if (transport) {
		to = line_literal(to, "\",\"transport\":\"");
		to = stpcpy(to, transport);
	}
	to = line_field(to, "\",\"iana_number\":\"", flow->key.protocol);
	to = line_literal(to, "\",");
	to = line_counts(to, flow->sent[0].bytes + flow->sent[1].bytes,
			 flow->sent[0].packets + flow->sent[1].packets);
	*to++ = '}';
	return to;
}

/* The names of all interfaces as JSON strings, behind each other; at[i] is where i's begins. */
struct names {
	struct buffer text;
	size_t *at; /* owned; one more than interfaces */
	size_t longest;
};

/* What all lines of a report have in common. */
struct line {
	const struct report *report; /* borrowed */
	const struct names *names;   /* borrowed */
	struct buffer head, crossed; /* the beginning, and what is before the interfaces */
};

static char *line_name(char *to, const struct names *names, uint32_t interface)
{
	size_t at = names->at[interface];

	return mempcpy(to, names->text.data + at, names->at[interface + 1] - at);
}

static char *line_crossed(char *to, const struct line *line, const struct report_flow *flow)
{
	const uint32_t *crossed = line->report->crossed + flow->interface_first;

	to = mempcpy(to, line->crossed.data, line->crossed.size);
	for (uint32_t i = 0; i < flow->interface_count; i++) {
		if (i)
			*to++ = ',';
		to = line_name(to, line->names, crossed[i]);
	}
	to = line_literal(to, "],\"counted_at\":");
	to = line_name(to, line->names, flow->counted_at);
	if (flow->tunnel) {
		to = line_literal(to, ",\"tunnel\":");
		to = line_name(to, line->names, flow->tunnel - 1);
	}
	return to;
}

static size_t line_size(const struct line *line, const struct report_flow *flow)
{
	size_t names = (size_t)flow->interface_count + 2; /* counted_at, tunnel */

	return line->head.size + line->crossed.size + LINE_REST +
	       names * (line->names->longest + 1);
}

static char *line_flow(char *to, const struct line *line, const struct report_flow *flow)
{
	to = mempcpy(to, line->head.data, line->head.size);
	to = line_end(to, line->report, flow, flow->left);
	to = line_literal(to, ",\"destination\":");
	to = line_end(to, line->report, flow, !flow->left);
	to = line_network(to, flow);
	to = line_crossed(to, line, flow);
	return line_literal(to, "}}\n");
}

static void put_flows(struct buffer *out, const struct report *report, const struct names *names)
{
	struct line line = {.report = report, .names = names};
	const struct report_flow *flow;
	struct report_walk walk = {0};

	put_event(&line.head, report, "event", "flow");
	put_literal(&line.head, ",\"source\":");
	put_field(&line.crossed, ",\"flowtally\":{\"report\":{\"id\":", report->id);
	put_literal(&line.crossed, "},\"interfaces\":[");
	if (buffer_error(&line.head) || buffer_error(&line.crossed))
		out->error = -ENOMEM;
	while ((flow = report_walk(report, &walk))) {
		size_t size = line_size(&line, flow);
		char *to = buffer_reserve(out, size), *end;

		if (!to)
			break;
		end = line_flow(to, &line, flow);
		assert((size_t)(end - to) <= size);
		buffer_end(out, end);
	}
	buffer_free(&line.head);
	buffer_free(&line.crossed);
}

static void names_init(struct names *names, const struct report *report)
{
	*names = (struct names){.at = calloc(report->interface_count + 1, sizeof(*names->at))};
	if (!names->at) {
		names->text.error = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < report->interface_count; i++) {
		put_string(&names->text, report->interfaces[i].name);
		names->at[i + 1] = names->text.size;
		if (names->longest < names->text.size - names->at[i])
			names->longest = names->text.size - names->at[i];
	}
}

void format_json(struct buffer *out, const struct report *report)
{
	struct names names;

	names_init(&names, report);
	if (buffer_error(&names.text))
		out->error = buffer_error(&names.text);
	put_report(out, report);
	put_flows(out, report, &names);
	buffer_free(&names.text);
	free(names.at);
}
