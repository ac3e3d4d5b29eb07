// SPDX-License-Identifier: GPL-2.0-only
#include "lib/buffer.h"
#include "lib/protocol.h"
#include "lib/utf8.h"
#include "report/format.h"
#include "report/format_common.h"
#include "report/merge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#define put_literal(out, text) buffer_append(out, text, sizeof(text) - 1)

/* A string as RFC 8259 wants it; bytes that are no UTF-8 become U+FFFD. */
static void put_string(struct buffer *out, const char *text)
{
	buffer_char(out, '"');
	while (*text) {
		size_t length = utf8_length(text);

		if (!length)
			put_literal(out, "\xef\xbf\xbd");
		else if (*text == '"' || *text == '\\')
			buffer_printf(out, "\\%c", *text);
		else if ((unsigned char)*text < ' ')
			buffer_printf(out, "\\u%04x", (unsigned int)*text);
		else
			buffer_append(out, text, length);
		text += length ? length : 1;
	}
	buffer_char(out, '"');
}

static void put_number(struct buffer *out, const char *name, size_t name_size, uint64_t number)
{
	buffer_append(out, name, name_size);
	buffer_u64(out, number);
}

#define put_field(out, name, number) put_number(out, name, sizeof(name) - 1, number)

static void put_counts(struct buffer *out, uint64_t bytes, uint64_t packets)
{
	put_field(out, "\"bytes\":", bytes);
	put_field(out, ",\"packets\":", packets);
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

static void put_ip(struct buffer *out, uint8_t family, const uint8_t bytes[16])
{
	char address[FORMAT_ADDRESS_SIZE];
	size_t size = format_address(address, family, bytes);

	put_literal(out, "\"ip\":\"");
	buffer_append(out, address, size);
	buffer_char(out, '"');
}

/* Protocols without ports have none here. */
static void put_nat(struct buffer *out, uint8_t family, const struct nat_end *end)
{
	put_literal(out, ",\"nat\":{");
	put_ip(out, family, end->addr);
	if (end->port)
		put_field(out, ",\"port\":", ntohs(end->port));
	buffer_char(out, '}');
}

static void put_end(struct buffer *out, const struct report *report, const struct report_flow *flow,
		    int end)
{
	const struct report_nat *nat = report_flow_nat(report, flow);

	buffer_char(out, '{');
	put_ip(out, flow->key.family, flow->key.addr[end].bytes);
	put_field(out, ",\"port\":", ntohs(flow->key.port[end]));
	buffer_char(out, ',');
	put_counts(out, flow->sent[end].bytes, flow->sent[end].packets);
	if (nat && nat->translated[end])
		put_nat(out, flow->key.family, &nat->seen_as[end]);
	buffer_char(out, '}');
}

static void put_network(struct buffer *out, const struct report_flow *flow)
{
	const char *transport = protocol_name(flow->key.protocol);

	put_literal(out, ",\"network\":{\"type\":\"ipv");
	buffer_char(out, flow->key.family == FLOW_IPV4 ? '4' : '6');
	if (transport) {
		put_literal(out, "\",\"transport\":\"");
		buffer_str(out, transport);
	}
	put_field(out, "\",\"iana_number\":\"", flow->key.protocol);
	put_literal(out, "\",");
	put_counts(out, flow->sent[0].bytes + flow->sent[1].bytes,
		   flow->sent[0].packets + flow->sent[1].packets);
	buffer_char(out, '}');
}

/* The names of all interfaces as JSON strings, behind each other; at[i] is where i's begins. */
struct names {
	struct buffer text;
	size_t *at; /* owned; one more than interfaces */
};

static void put_name(struct buffer *out, const struct names *names, uint32_t interface)
{
	size_t at = names->at[interface];

	buffer_append(out, names->text.data + at, names->at[interface + 1] - at);
}

static void put_crossed(struct buffer *out, const struct report *report,
			const struct report_flow *flow, const struct names *names)
{
	const uint32_t *crossed = report->crossed + flow->interface_first;

	for (uint32_t i = 0; i < flow->interface_count; i++) {
		if (i)
			buffer_char(out, ',');
		put_name(out, names, crossed[i]);
	}
	put_literal(out, "],\"counted_at\":");
	put_name(out, names, flow->counted_at);
	if (flow->tunnel) {
		put_literal(out, ",\"tunnel\":");
		put_name(out, names, flow->tunnel - 1);
	}
}

static void put_flows(struct buffer *out, const struct report *report, const struct names *names)
{
	struct buffer head = {0}, tail = {0};
	const struct report_flow *flow;
	struct report_walk walk = {0};

	put_event(&head, report, "event", "flow");
	put_literal(&head, ",\"source\":");
	put_field(&tail, ",\"flowtally\":{\"report\":{\"id\":", report->id);
	put_literal(&tail, "},\"interfaces\":[");
	if (buffer_error(&head) || buffer_error(&tail))
		out->error = -ENOMEM;
	while ((flow = report_walk(report, &walk)) && !buffer_error(out)) {
		buffer_append(out, head.data, head.size);
		put_end(out, report, flow, flow->left);
		put_literal(out, ",\"destination\":");
		put_end(out, report, flow, !flow->left);
		put_network(out, flow);
		buffer_append(out, tail.data, tail.size);
		put_crossed(out, report, flow, names);
		put_literal(out, "}}\n");
	}
	buffer_free(&head);
	buffer_free(&tail);
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
