// SPDX-License-Identifier: GPL-2.0-only
#include "control/query.h"
#include "lib/cleanup.h"
#include "lib/number.h"
#include "lib/protocol.h"
#include "report/format_common.h"
#include "report/merge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fnmatch.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_LIMIT 20

static const char *const sort_names[QUERY_SORTS] = {
	[QUERY_BYTES] = "bytes", [QUERY_PACKETS] = "packets",	[QUERY_RATE] = "rate",
	[QUERY_SENT] = "sent",	 [QUERY_RECEIVED] = "received",
};

const char *query_sort_name(enum query_sort sort)
{
	return sort_names[sort];
}

static bool parse_number(const json_t *value, uint32_t min, uint32_t max, uint32_t *ret)
{
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value) || number < min || number > max)
		return false;
	*ret = (uint32_t)number;
	return true;
}

static const char *parse_limit(struct query *query, const json_t *value)
{
	return parse_number(value, 1, QUERY_LIMIT, &query->limit)
		       ? NULL
		       : "limit is a number from 1 to 1000";
}

static const char *parse_sort(struct query *query, const json_t *value)
{
	const char *name = json_string_value(value);

	for (enum query_sort sort = 0; name && sort < QUERY_SORTS; sort++)
		if (!strcmp(name, sort_names[sort])) {
			query->sort = sort;
			return NULL;
		}
	return "sort is bytes, packets, rate, sent or received";
}

/* An address, or the net of all that begin like it. */
static bool parse_net(struct query *query, const char *text)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	size_t length = strcspn(text, "/");
	bool ipv6 = memchr(text, ':', length);
	uint32_t bits = ipv6 ? 128 : 32;
	char address[64];

	if (length >= sizeof(address) ||
	    (text[length] && !number_parse(text + length + 1, 0, bits, &bits)))
		return false;
	memcpy(address, text, length);
	address[length] = 0;
	if (!ipv6)
		memcpy(query->address, mapped, sizeof(mapped));
	query->prefix = (uint8_t)(ipv6 ? bits : 96 + bits);
	query->has_address = true;
	return inet_pton(ipv6 ? AF_INET6 : AF_INET, address, query->address + (ipv6 ? 0 : 12)) == 1;
}

static const char *parse_address(struct query *query, const json_t *value)
{
	return json_is_string(value) && parse_net(query, json_string_value(value))
		       ? NULL
		       : "an address is an IPv4 or IPv6 one, with /LENGTH for a net";
}

static const char *parse_port(struct query *query, const json_t *value)
{
	uint32_t port;

	if (!parse_number(value, 0, UINT16_MAX, &port))
		return "a port is a number from 0 to 65535";
	query->port = (uint16_t)port;
	query->has_port = true;
	return NULL;
}

static const char *parse_protocol(struct query *query, const json_t *value)
{
	const char *text = json_string_value(value);
	uint32_t number;

	query->has_protocol = true;
	if (text && number_parse(text, 0, UINT8_MAX, &number)) {
		query->protocol = (uint8_t)number;
		return NULL;
	}
	for (number = 0; text && number <= UINT8_MAX; number++) {
		const char *name = protocol_name((uint8_t)number);

		query->protocol = (uint8_t)number;
		if (name && !strcmp(name, text))
			return NULL;
	}
	return "a protocol is a name as in reports (tcp, ipv6-icmp, ...) or a number as a string";
}

static const char *parse_interface(struct query *query, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text || !*text || strlen(text) >= sizeof(query->interface))
		return "an interface is a name or a glob of at most 63 bytes";
	strcpy(query->interface, text);
	return NULL;
}

static const struct {
	const char *member;
	const char *word; /* for people, with its colon; NULL: none */
	const char *(*parse)(struct query *query, const json_t *value);
} query_members[] = {
	{"limit", NULL, parse_limit},		{"sort", NULL, parse_sort},
	{"address", "net:", parse_address},	{"port", "port:", parse_port},
	{"protocol", "proto:", parse_protocol}, {"interface", "interface:", parse_interface},
};

static const char *parse_member(struct query *query, const char *member, const json_t *value)
{
	if (!strcmp(member, "request"))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(query_members); i++)
		if (!strcmp(member, query_members[i].member))
			return query_members[i].parse(query, value);
	return "flows takes limit, sort, address, port, protocol and interface";
}

int query_parse(struct query *query, const json_t *request, char *problem, size_t size)
{
	const char *member;
	json_t *value;

	*query = (struct query){.limit = DEFAULT_LIMIT};
	json_object_foreach ((json_t *)request, member, value) {
		const char *wrong = parse_member(query, member, value);

		if (wrong) {
			snprintf(problem, size, "%s", wrong);
			return -EINVAL;
		}
	}
	return 0;
}

int query_add_word(json_t *request, const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(query_members); i++) {
		const char *name = query_members[i].word;
		const char *text = word + (name ? strlen(name) : 0);
		uint32_t port;
		json_t *value;

		if (!name || strncmp(word, name, strlen(name)))
			continue;
		value = query_members[i].parse == parse_port &&
					number_parse(text, 0, UINT16_MAX, &port)
				? json_integer(port)
				: json_string(text);
		if (!value) /* no UTF-8 */
			return -EINVAL;
		return json_object_set_new(request, query_members[i].member, value) ? -ENOMEM : 0;
	}
	return -EINVAL;
}

static bool is_within(const struct query *query, const uint8_t address[16])
{
	unsigned int whole = query->prefix / 8, rest = query->prefix % 8;

	return !memcmp(address, query->address, whole) &&
	       (!rest || !((address[whole] ^ query->address[whole]) >> (8 - rest)));
}

/* As the flow is reported, or as NAT makes it look. */
static bool end_matches(const struct query *query, const struct report *report,
			const struct report_flow *flow, int end)
{
	const struct report_nat *nat = report_flow_nat(report, flow);

	if ((!query->has_address || is_within(query, flow->key.addr[end].bytes)) &&
	    (!query->has_port || ntohs(flow->key.port[end]) == query->port))
		return true;
	return nat && nat->translated[end] &&
	       (!query->has_address || is_within(query, nat->seen_as[end].addr)) &&
	       (!query->has_port || ntohs(nat->seen_as[end].port) == query->port);
}

static bool path_matches(const struct query *query, const struct report *report,
			 const struct report_flow *flow)
{
	for (uint32_t i = 0; i < flow->interface_count; i++)
		if (!fnmatch(query->interface,
			     report->interfaces[report->crossed[flow->interface_first + i]].name,
			     0))
			return true;
	return false;
}

bool query_matches(const struct query *query, const struct report *report,
		   const struct report_flow *flow)
{
	return (!query->has_protocol || flow->key.protocol == query->protocol) &&
	       (end_matches(query, report, flow, 0) || end_matches(query, report, flow, 1)) &&
	       (!query->interface[0] || path_matches(query, report, flow));
}
