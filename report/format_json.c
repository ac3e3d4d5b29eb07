// SPDX-License-Identifier: GPL-2.0-only
#include "lib/buffer.h"
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
		size_t length = format_utf8_length(text);

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

static void put_other(struct buffer *out, const struct report *report)
{
	put_field(out, ",\"other\":{\"flows\":", report->flow_count - report->named);
	put_literal(out, ",\"network\":{");
	put_counts(out, report->other.bytes, report->other.packets);
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

static void put_report(struct buffer *out, const struct report *report)
{
	put_event(out, report, "metric", "report");
	put_field(out, ",\"flowtally\":{\"report\":{\"id\":", report->id);
	put_field(out, ",\"interfaces\":", report->interface_count);
	put_field(out, ",\"flows\":", report->flow_count);
	put_literal(out, ",\"network\":{");
	put_counts(out, report->total.bytes, report->total.packets);
	buffer_char(out, '}');
	if (report->named < report->flow_count)
		put_other(out, report);
	put_unattributed(out, report);
	put_literal(out, "}}}\n");
}

static void put_end(struct buffer *out, const struct report_flow *flow, int end)
{
	char address[FORMAT_ADDRESS_SIZE];
	size_t size = format_address(address, &flow->key, end);

	put_literal(out, "{\"ip\":\"");
	buffer_append(out, address, size);
	put_field(out, "\",\"port\":", ntohs(flow->key.port[end]));
	buffer_char(out, ',');
	put_counts(out, flow->sent[end].bytes, flow->sent[end].packets);
	buffer_char(out, '}');
}

static void put_network(struct buffer *out, const struct report_flow *flow)
{
	const char *transport = format_protocol(flow->key.protocol);

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

static void put_crossed(struct buffer *out, const struct report *report,
			const struct report_flow *flow, const struct names *names)
{
	const uint32_t *crossed = report->crossed + flow->interface_first;

	for (uint32_t i = 0; i < flow->interface_count; i++) {
		size_t at = names->at[crossed[i]];

		if (i)
			buffer_char(out, ',');
		buffer_append(out, names->text.data + at, names->at[crossed[i] + 1] - at);
	}
}

static void put_flows(struct buffer *out, const struct report *report, const struct names *names)
{
	struct buffer head = {0}, tail = {0};

	put_event(&head, report, "event", "flow");
	put_literal(&head, ",\"source\":");
	put_field(&tail, ",\"flowtally\":{\"report\":{\"id\":", report->id);
	put_literal(&tail, "},\"interfaces\":[");
	if (buffer_error(&head) || buffer_error(&tail))
		out->error = -ENOMEM;
	for (size_t i = 0; i < report->named && !buffer_error(out); i++) {
		const struct report_flow *flow = &report->flows[i];

		buffer_append(out, head.data, head.size);
		put_end(out, flow, flow->left);
		put_literal(out, ",\"destination\":");
		put_end(out, flow, !flow->left);
		put_network(out, flow);
		buffer_append(out, tail.data, tail.size);
		put_crossed(out, report, flow, names);
		put_literal(out, "]}}\n");
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
