// SPDX-License-Identifier: GPL-2.0-only
#include "bpf/flow_types.h"
#include "config/term.h"
#include "lib/array.h"
#include "lib/filter.h"
#include "report/filtered.h"
#include "report/flow_count.h"
#include "report/report.h"
#include "tests/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct report report;

static int teardown(void **state)
{
	(void)state;
	report_clean(&report);
	return 0;
}

/* What the first bad word, or the end, is said to be; NULL: nothing. */
static const char *read_filter(struct filter *filter, const char *words)
{
	static char problem[256];
	int err;

	*filter = (struct filter){0};
	err = term_add_all(filter, words, problem, sizeof(problem));
	assert_true(!err || err == -EINVAL);
	return err ? problem : NULL;
}

static void assert_refused(const char *words, const char *expected)
{
	struct filter filter;
	const char *problem = read_filter(&filter, words);

	assert_non_null(problem);
	assert_true(strlen(problem) >= strlen(expected));
	/* behind the word that it quotes */
	assert_string_equal(problem + strlen(problem) - strlen(expected), expected);
	filter_clean(&filter);
}

static bool selects(const char *words, uint8_t protocol, const char *a, uint16_t port_a,
		    const char *b, uint16_t port_b)
{
	static const char *const names[] = {"lo", "eth0", "veth1"};
	static const uint32_t crossed[] = {2, 1};
	uint8_t address[2][16];
	struct filter_subject subject = {
		.protocol = protocol,
		.end_count = 2,
		.ends = {{address[0], port_a}, {address[1], port_b}},
		.crossed = crossed,
		.crossed_count = ARRAY_SIZE(crossed),
		.names = names,
	};
	struct filter filter;
	const char *problem = read_filter(&filter, words);
	bool found;

	address_from_text(address[0], a);
	subject.family = address_from_text(address[1], b) ? FLOW_IPV6 : FLOW_IPV4;
	assert_null(problem);
	found = filter_selects(&filter, &subject);
	filter_clean(&filter);
	return found;
}

static bool selects_web(const char *words)
{
	return selects(words, IPPROTO_TCP, "10.1.2.3", 40000, "192.0.2.7", 443);
}

static bool selects_web6(const char *words)
{
	return selects(words, IPPROTO_TCP, "2001:db8::3", 40000, "2001:db8:8000::7", 443);
}

static void test_nets(void **state)
{
	(void)state;
	assert_true(selects_web("net:10.1.2.3"));
	assert_true(selects_web("net:192.0.2.7"));
	assert_false(selects_web("net:10.1.2.4"));
	assert_true(selects_web("net:10.0.0.0/8"));
	assert_true(selects_web("net:10.1.2.2/31"));
	assert_false(selects_web("net:10.1.2.0/31"));
	assert_true(selects_web("net:0.0.0.0/0"));
	assert_false(selects_web("net:11.0.0.0/8"));
	assert_true(selects_web("net:192.0.2.4/30"));
	assert_false(selects_web("net:192.0.2.8/29"));
}

static void test_ipv6_nets(void **state)
{
	(void)state;
	assert_true(selects_web6("net:2001:db8::3"));
	assert_true(selects_web6("net:2001:db8::/33"));
	assert_true(selects_web6("net:2001:db8:8000::/33"));
	assert_false(selects_web6("net:2001:db8:4000::/34"));
	assert_true(selects_web6("net:::/0"));
	assert_false(selects_web6("net:fd00::/8"));
}

/* IPv4 ends stand in keys as ::ffff:a.b.c.d, and are no IPv6 ones for that. */
static void test_a_net_is_of_one_family(void **state)
{
	(void)state;
	assert_false(selects_web("net:::/0"));
	assert_false(selects_web("net:::ffff:10.1.2.3"));
	assert_false(selects_web("net:::ffff:0:0/96"));
	assert_false(selects_web6("net:0.0.0.0/0"));
	assert_true(selects("net:::ffff:10.1.2.3", IPPROTO_UDP, "::ffff:10.1.2.3", 1, "::1", 2));
	assert_false(selects("net:10.1.2.3", IPPROTO_UDP, "::ffff:10.1.2.3", 1, "::1", 2));
}

static void test_ports(void **state)
{
	(void)state;
	assert_true(selects_web("port:443"));
	assert_true(selects_web("port:40000"));
	assert_false(selects_web("port:444"));
	assert_true(selects_web("port:1-443"));
	assert_true(selects_web("port:443-443"));
	assert_true(selects_web("port:1-65535"));
	assert_false(selects_web("port:444-39999"));
	/* not by range either: it has none */
	assert_false(selects("port:1-65535", IPPROTO_ICMP, "10.0.0.1", 0, "10.0.0.2", 0));
}

static void test_protocols(void **state)
{
	(void)state;
	assert_true(selects_web("proto:tcp"));
	assert_true(selects_web("proto:6"));
	assert_false(selects_web("proto:udp"));
	assert_true(selects("proto:0", 0, "10.0.0.1", 0, "10.0.0.2", 0));
	assert_true(selects("proto:255", 255, "10.0.0.1", 0, "10.0.0.2", 0));
	assert_true(selects("proto:ipv6-icmp", IPPROTO_ICMPV6, "::1", 0, "::2", 0));
	assert_true(selects("proto:icmpv6", IPPROTO_ICMPV6, "::1", 0, "::2", 0));
	assert_true(selects("proto:icmp6", IPPROTO_ICMPV6, "::1", 0, "::2", 0));
	assert_false(selects("proto:icmp", IPPROTO_ICMPV6, "::1", 0, "::2", 0));
}

static void test_interfaces(void **state)
{
	(void)state;
	assert_true(selects_web("interface:eth0"));
	assert_true(selects_web("interface:veth*"));
	assert_false(selects_web("interface:lo"));
	assert_false(selects_web("interface:eth"));
}

static void test_types_and_kinds_of_one(void **state)
{
	(void)state;
	assert_true(selects_web("net:10.0.0.0/8 port:443 proto:tcp interface:eth0"));
	assert_false(selects_web("net:10.0.0.0/8 port:443 proto:udp"));
	assert_false(selects_web("net:10.0.0.0/8 port:80"));
	assert_true(selects_web("net:172.16.0.0/12 net:10.0.0.0/8 port:80 port:443"));
	assert_true(selects_web("proto:udp proto:tcp"));
	/* each term by itself: the port is the other end's */
	assert_true(selects_web("net:10.1.2.3 port:443"));
}

static void test_choices(void **state)
{
	(void)state;
	assert_true(selects_web("port:53 or port:443"));
	assert_true(selects_web("port:443 or port:53"));
	assert_true(selects_web("proto:udp port:443 or net:10.1.2.3"));
	assert_false(selects_web("proto:udp port:443 or net:10.1.2.3 port:80"));
	assert_false(selects_web(""));
	assert_true(selects_web(" port:53\tor \n port:443  "));
}

static void test_refused(void **state)
{
	static const char bad_net[] = "net: wants an IPv4 or IPv6 address, alone or with /LENGTH";
	static const char bad_port[] = "port: wants N or N-M, from 1 to 65535";
	static const char *const nets[] = {
		"net:",		 "net:/8",
		"net:10.1",	 "net:10.0.0.256",
		"net:[::1]",	 "net:10.0.0.0.0/8",
		"net:localhost", "net:10.0.0.1:80",
		"net:::1%eth0",	 "net:010.0.0.0.1/32",
	};
	static const char *const ports[] = {
		"port:",      "port:0",	    "port:65536", "port:-1", "port:1-",	  "port:1-65536",
		"port:https", "port:1-2-3", "port:0x50",  "port:+1", "port:0-10",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nets); i++)
		assert_refused(nets[i], bad_net);
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		assert_refused(ports[i], bad_port);
	assert_refused("net:10.0.0.0/33", "net: wants a length from 0 to 32");
	assert_refused("net:10.0.0.0/", "net: wants a length from 0 to 32");
	assert_refused("net:::/129", "net: wants a length from 0 to 128");
	assert_refused("net:10.0.0.0/8/8", "net: wants a length from 0 to 32");
	assert_refused("net:10.1.0.0/8", "net: the address has bits set behind its length");
	assert_refused("net:2001:db8::1/127", "net: the address has bits set behind its length");
	assert_refused("port:2-1", "port: the range ends before it begins");
	assert_refused("proto:TCP", "proto: wants the name of a protocol as reports have it, or a "
				    "number from 0 to 255");
	assert_refused("proto:256", "proto: wants the name of a protocol as reports have it, or a "
				    "number from 0 to 255");
	assert_refused("interface:", "interface: wants a glob");
	assert_refused("interface:[a", "bad glob: '[' without ']'");
	assert_refused("host:10.0.0.1", "is not net:ADDRESS[/LENGTH], port:N[-M], proto:NAME, "
					"interface:GLOB or 'or'");
	assert_refused("or port:1", "there is no term before it");
	assert_refused("port:1 or or port:2", "there is no term before it");
	assert_refused("port:1 or", "'or' at the end");
}

static struct filter only, ignored;

static void check_report(size_t flows, uint64_t bytes, size_t filtered, uint64_t filtered_bytes)
{
	struct flow_count sum = {0};

	assert_int_equal(report_filter(&report, &only, &ignored), 0);
	assert_int_equal(report.flow_count, flows);
	assert_int_equal(report.named, flows);
	assert_int_equal(report.total.bytes, bytes);
	assert_int_equal(report.filtered.flows, filtered);
	assert_int_equal(report.filtered.count.bytes, filtered_bytes);
	for (size_t i = 0; i < report.flow_count; i++)
		for (int end = 0; end < 2; end++)
			flow_count_add(&sum, &report.flows[i].sent[end]);
	assert_int_equal(sum.bytes, report.total.bytes);
	assert_int_equal(sum.packets, report.total.packets);
	filter_clean(&only);
	filter_clean(&ignored);
}

static struct report_flow *add_flow(uint16_t port, uint64_t bytes)
{
	struct report_flow *flow = &report.flows[report.flow_count++];

	*flow = (struct report_flow){
		.key = {.port = {htons(40000), htons(port)},
			.protocol = IPPROTO_TCP,
			.family = FLOW_IPV4},
		.sent = {{.bytes = bytes, .packets = 1}},
		.interface_first = 0,
		.interface_count = 1,
	};
	for (int end = 0; end < 2; end++) {
		uint8_t address[16] = {[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)(end + 1)};

		memcpy(flow->key.addr[end].bytes, address, 16);
	}
	report.total.bytes += bytes;
	report.total.packets++;
	return flow;
}

static void make_report(void)
{
	report.flows = calloc(8, sizeof(*report.flows));
	report.interfaces = calloc(2, sizeof(*report.interfaces));
	report.crossed = calloc(1, sizeof(*report.crossed));
	report.nats = calloc(1, sizeof(*report.nats));
	assert_true(report.flows && report.interfaces && report.crossed && report.nats);
	report.interface_count = 2;
	strcpy(report.interfaces[0].name, "eth0");
	strcpy(report.interfaces[1].name, "vx0");
	add_flow(443, 1000);
	add_flow(80, 500);
	add_flow(53, 100);
	report_limit(&report, 0);
}

static void test_nothing_asked_nothing_filtered(void **state)
{
	(void)state;
	make_report();
	check_report(3, 1600, 0, 0);
}

static void test_only(void **state)
{
	(void)state;
	make_report();
	assert_null(read_filter(&only, "port:80"));
	check_report(1, 500, 2, 1100);
	assert_int_equal(ntohs(report.flows[0].key.port[1]), 80);
}

static void test_ignore(void **state)
{
	(void)state;
	make_report();
	assert_null(read_filter(&ignored, "port:80"));
	check_report(2, 1100, 1, 500);
	/* the order stays */
	assert_int_equal(ntohs(report.flows[0].key.port[1]), 443);
	assert_int_equal(ntohs(report.flows[1].key.port[1]), 53);
}

static void test_ignore_wins_over_only(void **state)
{
	(void)state;
	make_report();
	assert_null(read_filter(&only, "interface:eth0 port:443 port:80"));
	assert_null(read_filter(&ignored, "port:443"));
	check_report(1, 500, 2, 1100);
}

static void test_a_limit_names_the_largest_that_are_left(void **state)
{
	(void)state;
	make_report();
	assert_null(read_filter(&ignored, "port:443"));
	check_report(2, 600, 1, 1000);
	report_limit(&report, 1);
	assert_int_equal(report.named, 1);
	assert_int_equal(report.other.bytes, 100);
}

static void test_both_faces_of_a_translated_flow(void **state)
{
	static const char *const faces[] = {"net:10.0.0.1", "net:198.51.100.9", "port:61000"};

	(void)state;
	make_report();
	report.flows[1].nat = (uint32_t)++report.nat_count;
	report.nats[0] = (struct report_nat){
		.seen_as = {{.addr = {[10] = 0xff, 0xff, 198, 51, 100, 9}, .port = htons(61000)}},
		.translated = {true, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(faces); i++) {
		struct filter filter;
		struct report copy = report;

		assert_null(read_filter(&filter, faces[i]));
		copy.flows = calloc(8, sizeof(*copy.flows));
		assert_non_null(copy.flows);
		memcpy(copy.flows, report.flows, 3 * sizeof(*copy.flows));
		assert_int_equal(report_filter(&copy, &filter, &only), 0);
		assert_int_equal(copy.flow_count, i ? 1 : 3);
		assert_int_equal(copy.flows[i ? 0 : 1].nat, 1);
		free(copy.flows);
		filter_clean(&filter);
	}
}

/* What a tunnel left out is in the sum of the tunnel, and nowhere else. */
static void test_flows_left_out_by_tunnels(void **state)
{
	struct report_walk walk = {0};

	(void)state;
	make_report();
	add_flow(4789, 7000)->tunnel = 2;
	add_flow(443, 6000)->tunnel = 2;
	report.flow_count -= 2;
	report.left_out_count = 2;
	report.total.bytes -= 13000;
	report.total.packets -= 2;
	assert_null(read_filter(&only, "port:443"));
	check_report(1, 1000, 2, 600);
	assert_int_equal(report.left_out_count, 1);
	assert_int_equal(report_walk(&report, &walk)->sent[0].bytes, 6000);
	assert_int_equal(report_walk(&report, &walk)->sent[0].bytes, 1000);
	assert_null(report_walk(&report, &walk));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nets),
		cmocka_unit_test(test_ipv6_nets),
		cmocka_unit_test(test_a_net_is_of_one_family),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_types_and_kinds_of_one),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_refused),
		cmocka_unit_test_teardown(test_nothing_asked_nothing_filtered, teardown),
		cmocka_unit_test_teardown(test_only, teardown),
		cmocka_unit_test_teardown(test_ignore, teardown),
		cmocka_unit_test_teardown(test_ignore_wins_over_only, teardown),
		cmocka_unit_test_teardown(test_a_limit_names_the_largest_that_are_left, teardown),
		cmocka_unit_test_teardown(test_both_faces_of_a_translated_flow, teardown),
		cmocka_unit_test_teardown(test_flows_left_out_by_tunnels, teardown),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
