// SPDX-License-Identifier: GPL-2.0-only
#include "lib/buffer.h"
#include "lib/format.h"
#include "lib/protocol.h"
#include "report/format.h"
#include "report/format_common.h"
#include "report/report.h"
#include "tests/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct buffer out;

/* The report that is the example in flowtally(8). */
static struct report_interface interfaces[] = {
	{.id = 1, .ifindex = 3, .name = "br0"},	  {.id = 2, .ifindex = 2, .name = "eth0"},
	{.id = 3, .ifindex = 1, .name = "lo"},	  {.id = 4, .ifindex = 5, .name = "veth1"},
	{.id = 5, .ifindex = 7, .name = "veth2"},
};
static uint32_t crossed[] = {3, 0, 1, 1};
static struct report_flow flows[2];
static struct report_unattributed unattributed[2];
static struct report report;

static void set_address(struct flow_key *key, int end, const char *text)
{
	key->family = address_from_text(key->addr[end].bytes, text) ? FLOW_IPV6 : FLOW_IPV4;
}

static int setup(void **state)
{
	(void)state;
	memset(flows, 0, sizeof(flows));
	set_address(&flows[0].key, 0, "172.17.0.2");
	set_address(&flows[0].key, 1, "203.0.113.1");
	flows[0].key.port[0] = htons(43512);
	flows[0].key.port[1] = htons(5201);
	flows[0].key.protocol = 6;
	flows[0].sent[0] = (struct flow_count){.bytes = 217670992, .packets = 145468};
	flows[0].sent[1] = (struct flow_count){.bytes = 110447, .packets = 2113};
	flows[0].counted_at = 3;
	flows[0].interface_count = 3;

	set_address(&flows[1].key, 0, "2001:db8::1");
	set_address(&flows[1].key, 1, "2001:db8::2");
	flows[1].key.port[0] = htons(443);
	flows[1].key.port[1] = htons(53124);
	flows[1].key.protocol = 17;
	flows[1].left = 1;
	flows[1].sent[1] = (struct flow_count){.bytes = 220000, .packets = 200};
	flows[1].interface_first = 3;
	flows[1].counted_at = 1;
	flows[1].interface_count = 1;

	unattributed[0] = (struct report_unattributed){.interface = 0,
						       .reason = "non_ip",
						       .count = {.bytes = 420, .packets = 15}};
	unattributed[1] = (struct report_unattributed){.interface = 1,
						       .reason = "map_full",
						       .count = {.bytes = 60, .packets = 1}};
	for (size_t i = 0; i < 5; i++)
		interfaces[i].name[15] = 0;
	strcpy(interfaces[0].name, "br0");
	report = (struct report){
		.id = 17,
		.start_ns = 1795341600000000000,
		.end_ns = 1795341660000000000,
		.duration_ns = 60000000000,
		.interfaces = interfaces,
		.interface_count = 5,
		.flows = flows,
		.flow_count = 2,
		.crossed = crossed,
		.crossed_count = 4,
		.unattributed = unattributed,
		.unattributed_count = 1,
		.total = {.bytes = 218001439, .packets = 147781},
		.named = 2,
	};
	out = (struct buffer){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buffer_free(&out);
	return 0;
}

static const char *text_of(void (*format)(struct buffer *, const struct report *))
{
	buffer_reset(&out);
	format(&out, &report);
	buffer_char(&out, 0);
	assert_int_equal(buffer_error(&out), 0);
	return out.data;
}

static void text(void **state)
{
	(void)state;
	assert_string_equal(
		text_of(format_text),
		"# flowtally 2026-11-22T10:00:00Z - 2026-11-22T10:01:00Z interval=60.0s "
		"interfaces=5 flows=2 bytes=218001439 packets=147781\n"
		"172.17.0.2:43512 - 203.0.113.1:5201 Bytes: 217781439\n"
		"[2001:db8::2]:53124 - [2001:db8::1]:443 Bytes: 220000\n"
		"# unattributed interface=br0 reason=non_ip bytes=420 packets=15\n");
}

static void set_limit(void)
{
	report_limit(&report, 1);
	report.unattributed_count = 2;
}

static void text_limited(void **state)
{
	(void)state;
	set_limit();
	assert_string_equal(
		text_of(format_text),
		"# flowtally 2026-11-22T10:00:00Z - 2026-11-22T10:01:00Z interval=60.0s "
		"interfaces=5 flows=2 bytes=218001439 packets=147781\n"
		"172.17.0.2:43512 - 203.0.113.1:5201 Bytes: 217781439\n"
		"# other flows=1 bytes=220000 packets=200\n"
		"# unattributed interface=br0 reason=non_ip bytes=420 packets=15\n"
		"# unattributed interface=eth0 reason=map_full bytes=60 packets=1\n");
}

static void text_empty(void **state)
{
	(void)state;
	report = (struct report){.start_ns = 999999999,
				 .end_ns = 4102444799999999999,
				 .duration_ns = 1449999999};
	assert_string_equal(text_of(format_text),
			    "# flowtally 1970-01-01T00:00:00Z - 2099-12-31T23:59:59Z "
			    "interval=1.4s interfaces=0 flows=0 bytes=0 packets=0\n");
}

#define TIMES                                                                          \
	"\"start\":\"2026-11-22T10:00:00.000Z\",\"end\":\"2026-11-22T10:01:00.000Z\"," \
	"\"duration\":60000000000}"
#define REPORT_HEAD                                                                              \
	"{\"@timestamp\":\"2026-11-22T10:01:00.000Z\",\"event\":{\"kind\":\"metric\","           \
	"\"action\":\"report\"," TIMES ",\"flowtally\":{\"report\":{\"id\":17,\"interfaces\":5," \
	"\"flows\":2,\"network\":{\"bytes\":218001439,\"packets\":147781}"
#define FLOW_HEAD                                                                     \
	"{\"@timestamp\":\"2026-11-22T10:01:00.000Z\",\"event\":{\"kind\":\"event\"," \
	"\"action\":\"flow\"," TIMES
#define FIRST_FLOW                                                                             \
	FLOW_HEAD ",\"source\":{\"ip\":\"172.17.0.2\",\"port\":43512,\"bytes\":217670992,"     \
		  "\"packets\":145468},\"destination\":{\"ip\":\"203.0.113.1\",\"port\":5201," \
		  "\"bytes\":110447,\"packets\":2113},\"network\":{\"type\":\"ipv4\","         \
		  "\"transport\":\"tcp\",\"iana_number\":\"6\",\"bytes\":217781439,"           \
		  "\"packets\":147581},\"flowtally\":{\"report\":{\"id\":17},"                 \
		  "\"interfaces\":[\"veth1\",\"br0\",\"eth0\"],\"counted_at\":\"veth1\"}}\n"
#define NON_IP "{\"interface\":\"br0\",\"reason\":\"non_ip\",\"bytes\":420,\"packets\":15}"

static void json(void **state)
{
	(void)state;
	assert_string_equal(text_of(format_json), REPORT_HEAD
			    ",\"unattributed\":[" NON_IP "]}}}\n" FIRST_FLOW FLOW_HEAD
			    ",\"source\":{\"ip\":\"2001:db8::2\",\"port\":53124,\"bytes\":220000,"
			    "\"packets\":200},\"destination\":{\"ip\":\"2001:db8::1\",\"port\":443,"
			    "\"bytes\":0,\"packets\":0},\"network\":{\"type\":\"ipv6\","
			    "\"transport\":\"udp\",\"iana_number\":\"17\",\"bytes\":220000,"
			    "\"packets\":200},\"flowtally\":{\"report\":{\"id\":17},"
			    "\"interfaces\":[\"eth0\"],\"counted_at\":\"eth0\"}}\n");
}

static struct nat_end nat_end(const char *address, uint16_t port)
{
	struct flow_key key = {0};
	struct nat_end end = {.port = htons(port)};

	set_address(&key, 0, address);
	memcpy(end.addr, key.addr[0].bytes, sizeof(end.addr));
	return end;
}

/* The first flow's client and the second one's both ends. */
static void set_nats(void)
{
	static struct report_nat nats[2];

	nats[0] = (struct report_nat){.seen_as = {nat_end("192.0.2.7", 1024)},
				      .translated = {true, false}};
	nats[1] = (struct report_nat){.seen_as = {nat_end("fd00::8", 8443), nat_end("fd00::7", 0)},
				      .translated = {true, true}};
	report.nats = nats;
	report.nat_count = 2;
	flows[0].nat = 1;
	flows[1].nat = 2;
}

static void text_translated(void **state)
{
	char *expected = strdup(text_of(format_text));

	(void)state;
	set_nats();
	assert_string_equal(text_of(format_text), expected);
	free(expected);
}

static void json_translated(void **state)
{
	const char *got;

	(void)state;
	set_nats();
	got = text_of(format_json);
	assert_non_null(strstr(got, "\"source\":{\"ip\":\"172.17.0.2\",\"port\":43512,"
				    "\"bytes\":217670992,\"packets\":145468,"
				    "\"nat\":{\"ip\":\"192.0.2.7\",\"port\":1024}},"
				    "\"destination\":{\"ip\":\"203.0.113.1\",\"port\":5201,"
				    "\"bytes\":110447,\"packets\":2113},"));
	/* without a port where the protocol has none */
	assert_non_null(strstr(got, "\"source\":{\"ip\":\"2001:db8::2\",\"port\":53124,"
				    "\"bytes\":220000,\"packets\":200,\"nat\":{\"ip\":"
				    "\"fd00::7\"}},\"destination\":{\"ip\":\"2001:db8::1\","
				    "\"port\":443,\"bytes\":0,\"packets\":0,\"nat\":{\"ip\":"
				    "\"fd00::8\",\"port\":8443}},"));
}

static void table_translated(void **state)
{
	const char *got;

	(void)state;
	set_nats();
	got = text_of(format_table);
	assert_non_null(strstr(got, "\ntcp    172.17.0.2:43512 (192.0.2.7:1024)  "
				    "203.0.113.1:5201 "));
	assert_non_null(strstr(got, "\nudp    [2001:db8::2]:53124 ([fd00::7]:0)  "
				    "[2001:db8::1]:443 ([fd00::8]:8443)  "));
}

/* The second flow carries a tunnel, which is counted inside. */
static void set_tunnel(void)
{
	static struct report_sum tunnel;

	flows[1].tunnel = 1;
	tunnel = (struct report_sum){.interface = 0,
				     .flows = 1,
				     .count = {.bytes = 220000, .packets = 200}};
	report.flow_count = report.named = 1;
	report.left_out_count = report.left_out_named = 1;
	report.tunnels = &tunnel;
	report.tunnel_count = 1;
	report.total = (struct flow_count){.bytes = 217781439, .packets = 147581};
}

static void text_tunnel(void **state)
{
	(void)state;
	set_tunnel();
	assert_string_equal(
		text_of(format_text),
		"# flowtally 2026-11-22T10:00:00Z - 2026-11-22T10:01:00Z interval=60.0s "
		"interfaces=5 flows=1 bytes=217781439 packets=147581\n"
		"172.17.0.2:43512 - 203.0.113.1:5201 Bytes: 217781439\n"
		"# tunnel interface=br0 flows=1 bytes=220000 packets=200\n"
		"# unattributed interface=br0 reason=non_ip bytes=420 packets=15\n");
}

static void json_tunnel(void **state)
{
	const char *got;

	(void)state;
	set_tunnel();
	got = text_of(format_json);
	assert_non_null(strstr(got, "\"flows\":1,\"network\":{\"bytes\":217781439,"
				    "\"packets\":147581},\"tunnels\":[{\"interface\":\"br0\","
				    "\"flows\":1,\"network\":{\"bytes\":220000,\"packets\":200}}],"
				    "\"unattributed\":["));
	assert_non_null(
		strstr(got, "}]}}}\n" FIRST_FLOW FLOW_HEAD ",\"source\":{\"ip\":\"2001:db8::2\""));
	assert_non_null(strstr(got, "\"interfaces\":[\"eth0\"],\"counted_at\":\"eth0\","
				    "\"tunnel\":\"br0\"}}\n"));
	/* in the order of size, whichever counts */
	flows[1].sent[1].bytes = 300000000;
	got = text_of(format_json);
	assert_true(strstr(got, "2001:db8::2") < strstr(got, "172.17.0.2"));
}

static void table_tunnel(void **state)
{
	(void)state;
	set_tunnel();
	assert_string_equal(
		text_of(format_table),
		"flowtally 2026-11-22T10:00:00Z - 2026-11-22T10:01:00Z, 5 interfaces\n"
		"PROTO  LEFT                 RIGHT                  BYTES         ->         <-  "
		"PACKETS  TUNNEL  INTERFACES\n"
		"tcp    172.17.0.2:43512     203.0.113.1:5201   207.7 MiB  207.6 MiB  107.9 KiB  "
		" 147581          veth1*>br0>eth0\n"
		"udp    [2001:db8::2]:53124  [2001:db8::1]:443  214.8 KiB  214.8 KiB        0 B  "
		"    200  br0     eth0*\n"
		"total: 1 flow, 207.7 MiB, 147581 packets\n"
		"left out: br0 tunnel, 1 flow, 214.8 KiB, 200 packets\n"
		"unattributed: br0 non_ip, 420 B, 15 packets\n\n");
}

/* What was filtered out is one line, in no sum. */
static void filtered(void **state)
{
	(void)state;
	report.filtered.flows = 3;
	report.filtered.count = (struct flow_count){.bytes = 5000, .packets = 40};
	assert_non_null(strstr(text_of(format_text),
			       "Bytes: 220000\n# filtered flows=3 bytes=5000 packets=40\n"
			       "# unattributed "));
	assert_non_null(strstr(text_of(format_json),
			       "\"packets\":147781},\"filtered\":{\"flows\":3,\"network\":"
			       "{\"bytes\":5000,\"packets\":40}},\"unattributed\":["));
	assert_non_null(strstr(text_of(format_table),
			       "147781 packets\nfiltered: 3 flows, 4.9 KiB, 40 packets\n"));
}

/* Flows beyond max_flows, and those beyond top. */
static void summed(void **state)
{
	static struct report_sum others[] = {
		{.interface = 1, .flows = 5, .count = {.bytes = 5000, .packets = 40}},
		{.interface = 3, .flows = 1, .count = {.bytes = 28, .packets = 1}},
	};

	(void)state;
	report_limit(&report, 1);
	report.others = others;
	report.other_count = 2;
	report.summed_flows = 6;
	assert_non_null(strstr(text_of(format_text), " interfaces=5 flows=8 bytes=218001439 "));
	assert_non_null(strstr(text_of(format_text),
			       "# other flows=1 bytes=220000 packets=200\n"
			       "# other interface=eth0 flows=5 bytes=5000 packets=40\n"
			       "# other interface=veth1 flows=1 bytes=28 packets=1\n"
			       "# unattributed "));
	assert_non_null(strstr(text_of(format_json), "\"interfaces\":5,\"flows\":8,\"network\""));
	assert_non_null(
		strstr(text_of(format_json),
		       ",\"others\":[{\"interface\":\"eth0\",\"flows\":5,\"network\":{"
		       "\"bytes\":5000,\"packets\":40}},{\"interface\":\"veth1\",\"flows\":1,"
		       "\"network\":{\"bytes\":28,\"packets\":1}}],\"unattributed\":["));
	assert_non_null(strstr(text_of(format_table), "other: 1 flow, 214.8 KiB, 200 packets\n"
						      "other: eth0, 5 flows, 4.9 KiB, 40 packets\n"
						      "other: veth1, 1 flow, 28 B, 1 packets\n"
						      "total: 8 flows, "));
}

static void json_limited(void **state)
{
	(void)state;
	set_limit();
	assert_string_equal(text_of(format_json), REPORT_HEAD
			    ",\"other\":{\"flows\":1,\"network\":{\"bytes\":220000,"
			    "\"packets\":200}},\"unattributed\":[" NON_IP
			    ",{\"interface\":\"eth0\","
			    "\"reason\":\"map_full\",\"bytes\":60,\"packets\":1}]}}}\n" FIRST_FLOW);
}

static void json_empty(void **state)
{
	(void)state;
	report = (struct report){.start_ns = 1999999, .end_ns = 1001999999, .duration_ns = 1};
	assert_string_equal(text_of(format_json),
			    "{\"@timestamp\":\"1970-01-01T00:00:01.001Z\",\"event\":{\"kind\":"
			    "\"metric\",\"action\":\"report\",\"start\":\"1970-01-01T00:00:00.001Z"
			    "\",\"end\":\"1970-01-01T00:00:01.001Z\",\"duration\":1},\"flowtally\":"
			    "{\"report\":{\"id\":0,\"interfaces\":0,\"flows\":0,\"network\":{"
			    "\"bytes\":0,\"packets\":0},\"unattributed\":[]}}}\n");
}

static void json_protocol_without_name(void **state)
{
	(void)state;
	flows[0].key.protocol = 253;
	assert_non_null(strstr(text_of(format_json),
			       "\"network\":{\"type\":\"ipv4\",\"iana_number\":\"253\",\"bytes\""));
}

static void names_of_protocols(void **state)
{
	static const struct {
		uint8_t number;
		const char *name;
	} cases[] = {{1, "icmp"},   {2, "igmp"},   {6, "tcp"},	    {17, "udp"},       {33, "dccp"},
		     {47, "gre"},   {50, "esp"},   {51, "ah"},	    {58, "ipv6-icmp"}, {89, "ospf"},
		     {112, "vrrp"}, {132, "sctp"}, {136, "udplite"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(protocol_name(cases[i].number), cases[i].name);
	assert_null(protocol_name(255));
}

static void table(void **state)
{
	(void)state;
	set_limit();
	report_limit(&report, 0);
	assert_string_equal(
		text_of(format_table),
		"flowtally 2026-11-22T10:00:00Z - 2026-11-22T10:01:00Z, 5 interfaces\n"
		"PROTO  LEFT                 RIGHT                  BYTES         ->         <-  "
		"PACKETS  INTERFACES\n"
		"tcp    172.17.0.2:43512     203.0.113.1:5201   207.7 MiB  207.6 MiB  107.9 KiB  "
		" 147581  veth1*>br0>eth0\n"
		"udp    [2001:db8::2]:53124  [2001:db8::1]:443  214.8 KiB  214.8 KiB        0 B  "
		"    200  eth0*\n"
		"total: 2 flows, 207.9 MiB, 147781 packets\n"
		"unattributed: br0 non_ip, 420 B, 15 packets\n"
		"unattributed: eth0 map_full, 60 B, 1 packets\n\n");
}

static void table_limited(void **state)
{
	(void)state;
	report_limit(&report, 1);
	flows[0].key.protocol = 253;
	assert_non_null(strstr(text_of(format_table), "\n253  "));
	assert_null(strstr(text_of(format_table), "2001:db8"));
	assert_non_null(strstr(text_of(format_table), "other: 1 flow, 214.8 KiB, 200 packets\n"));
}

static void sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{1023, " 1023 B "},     {1024, " 1.0 KiB "},	{1048524, " 1023.9 KiB "},
		     {1048575, " 1.0 MiB "}, {1ull << 40, " 1.0 TiB "}, {UINT64_MAX, " 16.0 EiB "}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		flows[0].sent[0].bytes = cases[i].bytes;
		flows[0].sent[1].bytes = 0;
		assert_non_null(strstr(text_of(format_table), cases[i].text));
	}
}

static void largest_numbers(void **state)
{
	(void)state;
	flows[0].sent[0].bytes = UINT64_MAX - 110447;
	assert_non_null(strstr(text_of(format_text), "Bytes: 18446744073709551615\n"));
	assert_non_null(strstr(text_of(format_json), "\"bytes\":18446744073709441168,"));
}

static const char *address_of(const char *address)
{
	static char text_out[FORMAT_ADDRESS_SIZE + 1];
	struct flow_key key = {0};

	set_address(&key, 0, address);
	*format_address(text_out, key.family, key.addr[0].bytes) = 0;
	return text_out;
}

static void addresses(void **state)
{
	static const char *const same[] = {
		"0.0.0.0",
		"255.255.255.255",
		"10.0.200.9",
		"::",
		"::1",
		"1::",
		"2001:db8::1",
		"2001:db8:0:1:1:1:1:1", /* one group is not shortened (4.2.2) */
		"2001:0:0:1::1",
		"2001:db8::1:0:0:1", /* the longest; the first (4.2.3) */
		"::ffff:1.2.3.4",
		"::ffff:0.0.0.0",
		"fe80::abcd:ef01:2345:6789",
		"1:2:3:4:5:6:7:0",
		"0:1:2:3:4:5:6:7",
		"1:0:0:2::",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_string_equal(address_of(same[i]), same[i]);
	assert_string_equal(address_of("2001:DB8:0:0:0:0:0:00AB"), "2001:db8::ab");
	assert_string_equal(address_of("0:0:1:2:3:4:0:0"), "::1:2:3:4:0:0");
	assert_string_equal(address_of("::1.2.3.4"), "::102:304");
}

/* glibc writes IPv6 as RFC 5952 wants, but for the deprecated ::/96. */
static void addresses_as_glibc_does(void **state)
{
	uint32_t random = 7;

	(void)state;
	for (int n = 0; n < 100000; n++) {
		struct flow_key key = {.family = n % 4 ? FLOW_IPV6 : FLOW_IPV4};
		char text_out[FORMAT_ADDRESS_SIZE + 1], expected[INET6_ADDRSTRLEN];
		uint8_t *bytes = key.addr[1].bytes;

		for (int i = 0; i < 16; i++) {
			random = random * 1664525 + 1013904223;
			/* many zeros */
			if (random >> 30 || i == 0)
				bytes[i] = (random >> 29 & 1) ? (uint8_t)(random >> 16) : 0;
		}
		bytes[0] |= 1;
		*format_address(text_out, key.family, key.addr[1].bytes) = 0;
		if (key.family == FLOW_IPV6)
			inet_ntop(AF_INET6, bytes, expected, sizeof(expected));
		else
			inet_ntop(AF_INET, bytes + 12, expected, sizeof(expected));
		assert_string_equal(text_out, expected);
	}
}

static void names_are_escaped(void **state)
{
	static const struct {
		const char *name, *text, *json;
	} cases[] = {
		{"br0", "br0", "br0"},
		{"a\"b", "a\"b", "a\\\"b"},
		{"a\\b", "a\\x5Cb", "a\\\\b"},
		{"\x1b[2J", "\\x1B[2J", "\\u001b[2J"},
		{"a\nb\x7f", "a\\x0Ab\\x7F", "a\\u000ab\\u007f"},
		{"\xc3\xa4", "\xc3\xa4", "\xc3\xa4"},
		{"\xe2\x82\xac", "\xe2\x82\xac", "\xe2\x82\xac"},
		{"\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7"},
		{"\xc2\x9b", "\\xC2\\x9B", "\\u009b"},		      /* CSI */
		{"\xe2\x80\xae", "\\xE2\\x80\\xAE", "\\u202e"},	      /* right-to-left override */
		{"\xd8\x9c", "\\xD8\\x9C", "\\u061c"},		      /* Arabic letter mark */
		{"a\xe3\x80\x80z", "a\\xE3\\x80\\x80z", "a\\u3000z"}, /* wide blank */
		{"\xf3\xa0\x81\x81", "\\xF3\\xA0\\x81\\x81", "\\udb40\\udc41"}, /* tag */
		{"\xe2\x80\xa6", "\xe2\x80\xa6", "\xe2\x80\xa6"},
		{"a\xff", "a\\xFF", "a\xef\xbf\xbd"},
		{"\xc3", "\\xC3", "\xef\xbf\xbd"},
		{"\xe2\x82", "\\xE2\\x82", "\xef\xbf\xbd"}, /* cut off */
		{"\xf0\x9f\x98z", "\\xF0\\x9F\\x98z", "\xef\xbf\xbdz"},
		{"\xc0\xaf", "\\xC0\\xAF", "\xef\xbf\xbd\xef\xbf\xbd"}, /* too long */
		{"\xed\xa0\x80", "\\xED\\xA0\\x80",
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
		{"\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80",
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* too large */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[128];

		strcpy(interfaces[0].name, cases[i].name);
		snprintf(expected, sizeof(expected), "interface=%s reason=non_ip", cases[i].text);
		assert_non_null(strstr(text_of(format_text), expected));
		snprintf(expected, sizeof(expected), ">%s>eth0\n", cases[i].text);
		assert_non_null(strstr(text_of(format_table), expected));
		snprintf(expected, sizeof(expected), "[\"veth1\",\"%s\",\"eth0\"]", cases[i].json);
		assert_non_null(strstr(text_of(format_json), expected));
		snprintf(expected, sizeof(expected), "{\"interface\":\"%s\",", cases[i].json);
		assert_non_null(strstr(text_of(format_json), expected));
	}
}

static void times(void **state)
{
	static const struct {
		int64_t ns;
		const char *seconds, *milliseconds;
	} cases[] = {
		{0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"},
		{1795341660999999999, "2026-11-22T10:01:00Z", "2026-11-22T10:01:00.999Z"},
		{951782400000000000, "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z"},
		{-1, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.999Z"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_reset(&out);
		format_time_seconds(&out, cases[i].ns);
		assert_int_equal(out.size, strlen(cases[i].seconds));
		assert_memory_equal(out.data, cases[i].seconds, out.size);
		buffer_reset(&out);
		format_time_milliseconds(&out, cases[i].ns);
		assert_int_equal(out.size, strlen(cases[i].milliseconds));
		assert_memory_equal(out.data, cases[i].milliseconds, out.size);
	}
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(text),
		test(text_limited),
		test(text_empty),
		test(json),
		test(text_tunnel),
		test(json_tunnel),
		test(table_tunnel),
		test(filtered),
		test(summed),
		test(json_limited),
		test(text_translated),
		test(json_translated),
		test(table_translated),
		test(json_empty),
		test(json_protocol_without_name),
		test(names_of_protocols),
		test(table),
		test(table_limited),
		test(sizes),
		test(largest_numbers),
		test(addresses),
		test(addresses_as_glibc_does),
		test(names_are_escaped),
		test(times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
