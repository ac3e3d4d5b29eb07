// SPDX-License-Identifier: GPL-2.0-only
#include "report/tunnel.h"

#include "netlink/link_tunnel.h"
#include "tests/address.h"
#include "tests/unit/stack.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define VXLAN_PORT 4789

static struct stack stack;
static struct report report;
static struct tunnel_set *set;

static void add_local(const char *text)
{
	uint8_t address[16];

	address_from_text(address, text);
	assert_int_equal(local_set_add(stack.locals, 1, address), 0);
}

static int setup(void **state)
{
	(void)state;
	stack_init(&stack);
	assert_int_equal(tunnel_set_new(&set), 0);
	report = (struct report){0};
	add_local("10.0.0.1");
	add_local("10.0.1.1");
	add_local("fd00::1");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	report_clean(&report);
	tunnel_set_free(set);
	stack_clean(&stack);
	return 0;
}

/* "": any address */
static void add_tunnel(uint32_t id, uint8_t protocol, const char *local, const char *remote)
{
	struct link_tunnel outer = {.protocols = {protocol}};

	address_from_text(outer.local, local);
	address_from_text(outer.remote, remote);
	assert_int_equal(tunnel_set_add(set, id, &outer), 0);
}

static void add_udp(uint32_t id, const char *local, const char *remote, uint16_t port,
		    bool other_remotes)
{
	struct link_tunnel outer = {.protocols = {IPPROTO_UDP},
				    .port = htons(port),
				    .other_remotes = other_remotes};

	address_from_text(outer.local, local);
	address_from_text(outer.remote, remote);
	assert_int_equal(tunnel_set_add(set, id, &outer), 0);
}

static void add_vxlan(uint32_t id, const char *local, const char *remote)
{
	add_udp(id, local, remote, VXLAN_PORT, true);
}

/* a's packets to b, the key in order whichever is the lower address. */
static struct flow_key make_key(uint8_t protocol, const char *a, uint16_t port_a, const char *b,
				uint16_t port_b)
{
	struct flow_key key = {.family = strchr(a, ':') ? FLOW_IPV6 : FLOW_IPV4,
			       .protocol = protocol};
	uint8_t address[2][16];
	int first;

	address_from_text(address[0], a);
	address_from_text(address[1], b);
	first = memcmp(address[0], address[1], 16) > 0;
	for (int end = 0; end < 2; end++) {
		memcpy(key.addr[end].bytes, address[end ^ first], 16);
		key.port[end] = htons((end ^ first) ? port_b : port_a);
	}
	return key;
}

static uint32_t find(uint8_t protocol, const char *a, uint16_t port_a, const char *b,
		     uint16_t port_b)
{
	struct flow_key key = make_key(protocol, a, port_a, b, port_b);

	return tunnel_set_find(set, &key, stack.locals);
}

static uint32_t find_udp(const char *a, uint16_t port_a, const char *b, uint16_t port_b)
{
	return find(IPPROTO_UDP, a, port_a, b, port_b);
}

static uint32_t find_plain(uint8_t protocol, const char *a, const char *b)
{
	return find(protocol, a, 0, b, 0);
}

static void no_tunnels(void **state)
{
	static const struct link_tunnel none;

	(void)state;
	assert_int_equal(tunnel_set_add(set, 1, &none), 0);
	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.0.2", VXLAN_PORT), 0);
	assert_int_equal(find_udp("10.0.0.1", 0, "10.0.0.2", 0), 0);
	assert_int_equal(find_plain(0, "10.0.0.1", "10.0.0.2"), 0);
}

static void both_directions_of_a_vxlan(void **state)
{
	(void)state;
	add_vxlan(7, "", "");
	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.0.2", VXLAN_PORT), 7);
	assert_int_equal(find_udp("10.0.0.2", 40001, "10.0.0.1", VXLAN_PORT), 7);
	assert_int_equal(find_udp("fd00::1", 40000, "fd00::2", VXLAN_PORT), 7);
	assert_int_equal(find_udp("10.0.0.1", VXLAN_PORT, "10.0.0.2", VXLAN_PORT), 7);

	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.0.2", VXLAN_PORT + 1), 0);
	assert_int_equal(find(IPPROTO_TCP, "10.0.0.1", 40000, "10.0.0.2", VXLAN_PORT), 0);
	/* 4789 read in the other byte order */
	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.0.2", 46354), 0);
}

static void forwarded_vxlan_is_not_ours(void **state)
{
	(void)state;
	add_vxlan(7, "", "");
	assert_int_equal(find_udp("10.0.0.3", 40000, "10.0.0.2", VXLAN_PORT), 0);
}

static void groups(void **state)
{
	(void)state;
	add_vxlan(7, "10.0.0.1", "");
	assert_int_equal(find_udp("10.0.0.1", 40000, "239.1.1.1", VXLAN_PORT), 7);
	/* what another member sent to the group */
	assert_int_equal(find_udp("10.0.0.2", 40000, "239.1.1.1", VXLAN_PORT), 7);

	add_tunnel(8, IPPROTO_GRE, "10.0.0.1", "10.0.0.2");
	assert_int_equal(find_plain(IPPROTO_GRE, "10.0.0.2", "239.1.1.1"), 0);
	assert_int_equal(find_plain(IPPROTO_GRE, "10.0.0.1", "239.1.1.1"), 0);
}

/* A VXLAN device sends to those in its forwarding table too, and takes from everybody. */
static void other_remotes(void **state)
{
	(void)state;
	add_vxlan(7, "10.0.0.1", "10.0.0.2");
	add_udp(8, "", "10.0.0.2", 6081, false);
	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.0.2", VXLAN_PORT), 7);
	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.0.3", VXLAN_PORT), 7);
	assert_int_equal(find_udp("10.0.0.3", 40000, "10.0.1.1", VXLAN_PORT), 7);

	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.0.2", 6081), 8);
	assert_int_equal(find_udp("10.0.0.2", 40000, "10.0.1.1", 6081), 8);
	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.0.3", 6081), 0);
}

/* Any peer's, but only where the port is ours. */
static void wireguard(void **state)
{
	struct link_tunnel outer;

	(void)state;
	link_tunnel_of_wireguard(&outer, 0);
	assert_int_equal(outer.protocols[0], 0);
	link_tunnel_of_wireguard(&outer, htons(51820));
	assert_int_equal(tunnel_set_add(set, 7, &outer), 0);
	assert_int_equal(find_udp("10.0.0.1", 51820, "10.0.0.2", 51820), 7);
	assert_int_equal(find_udp("10.0.0.1", 51820, "10.0.0.9", 40000), 7);
	assert_int_equal(find_udp("10.0.0.9", 40000, "10.0.1.1", 51820), 7);
	assert_int_equal(find_udp("fd00::9", 40000, "fd00::1", 51820), 7);
	/* from one address of this host to another */
	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.1.1", 51820), 7);

	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.0.2", 51820), 0);
	assert_int_equal(find_udp("10.0.0.3", 51820, "10.0.0.2", 51820), 0);
	assert_int_equal(find_udp("10.0.0.1", 51821, "10.0.0.2", 51821), 0);
	assert_int_equal(find(IPPROTO_TCP, "10.0.0.1", 51820, "10.0.0.2", 40000), 0);
}

static void fixed_ends(void **state)
{
	(void)state;
	add_tunnel(7, IPPROTO_GRE, "10.0.0.1", "10.0.0.2");
	add_tunnel(8, IPPROTO_IPV6, "", "10.0.0.2");
	assert_int_equal(find_plain(IPPROTO_GRE, "10.0.0.1", "10.0.0.2"), 7);
	assert_int_equal(find_plain(IPPROTO_GRE, "10.0.1.1", "10.0.0.2"), 0);
	assert_int_equal(find_plain(IPPROTO_GRE, "10.0.0.1", "10.0.0.3"), 0);
	assert_int_equal(find_plain(IPPROTO_IPIP, "10.0.0.1", "10.0.0.2"), 0);

	assert_int_equal(find_plain(IPPROTO_IPV6, "10.0.1.1", "10.0.0.2"), 8);
	assert_int_equal(find_plain(IPPROTO_IPV6, "10.0.0.9", "10.0.0.2"), 0);
}

/* The fallback device that the kernel makes (gre0) takes what no other one does. */
static void the_one_that_fits_best(void **state)
{
	(void)state;
	add_tunnel(5, IPPROTO_GRE, "", "");
	add_tunnel(7, IPPROTO_GRE, "10.0.0.1", "10.0.0.2");
	add_tunnel(0, IPPROTO_GRE, "10.0.0.1", "10.0.0.3");
	assert_int_equal(find_plain(IPPROTO_GRE, "10.0.0.1", "10.0.0.2"), 7);
	assert_int_equal(find_plain(IPPROTO_GRE, "10.0.0.1", "10.0.0.4"), 5);
	/* that is an excluded one: what is inside is not counted */
	assert_int_equal(find_plain(IPPROTO_GRE, "10.0.0.1", "10.0.0.3"), 0);
}

/* Two networks over one pair of ends, one of them excluded: the flow carries both. */
static void one_of_two_is_excluded(void **state)
{
	(void)state;
	add_vxlan(0, "", "10.0.0.2");
	add_vxlan(9, "", "10.0.0.2");
	add_vxlan(7, "", "10.0.0.2");
	assert_int_equal(find_udp("10.0.0.1", 40000, "10.0.0.2", VXLAN_PORT), 7);
}

static void any_of_its_protocols(void **state)
{
	static const struct link_tunnel outer = {.protocols = {IPPROTO_IPV6, IPPROTO_IPIP}};

	(void)state;
	assert_int_equal(tunnel_set_add(set, 7, &outer), 0);
	assert_int_equal(find_plain(IPPROTO_IPV6, "fd00::1", "fd00::2"), 7);
	assert_int_equal(find_plain(IPPROTO_IPIP, "fd00::1", "fd00::2"), 7);
	assert_int_equal(find_plain(IPPROTO_GRE, "fd00::1", "fd00::2"), 0);
	assert_int_equal(find_plain(0, "fd00::1", "fd00::2"), 0);
}

/* vx on eth0: 6 inner packets, two outer flows of 4 and 2 packets, and one of the host's own. */
static void show_tunnel(void)
{
	struct flow_key inner = make_key(IPPROTO_TCP, "10.5.0.1", 40000, "10.5.0.2", 80);
	struct flow_key there = make_key(IPPROTO_UDP, "10.0.0.1", 40001, "10.0.0.2", VXLAN_PORT);
	struct flow_key back = make_key(IPPROTO_UDP, "10.0.0.2", 40002, "10.0.0.1", VXLAN_PORT);
	struct flow_key own = make_key(IPPROTO_UDP, "10.0.0.1", 40000, "10.0.0.2", 53);

	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "vx", "vxlan");
	stack_resolve(&stack);
	stack_out(&stack, "vx", NULL, &inner, 0, 4);
	stack_in(&stack, "vx", &inner, 1, 2);
	stack_out(&stack, "eth0", NULL, &there, 0, 4);
	stack_in(&stack, "eth0", &back, 1, 2);
	stack_out(&stack, "eth0", NULL, &own, 0, 3);
	add_vxlan(102, "", "10.0.0.2");
	stack.tunnels = set;
}

static uint16_t server_port(const struct report_flow *flow)
{
	return ntohs(flow->key.port[!flow->left]);
}

static void outer_packets_are_left_out(void **state)
{
	struct report_walk walk = {0};
	const struct report_flow *flow;

	(void)state;
	show_tunnel();
	stack_report(&stack, &report);
	assert_int_equal(report.flow_count, 2);
	assert_int_equal(report.total.packets, 9);
	assert_int_equal(report.total.bytes, 900);
	assert_int_equal(report.left_out_count, 2);
	assert_int_equal(report.tunnel_count, 1);
	assert_string_equal(report.interfaces[report.tunnels[0].interface].name, "vx");
	assert_int_equal(report.tunnels[0].flows, 2);
	assert_int_equal(report.tunnels[0].count.packets, 6);
	assert_int_equal(report.tunnels[0].count.bytes, 600);

	/* all by size: 600 inside, 400 outside, 300 of its own, 200 outside */
	flow = report_walk(&report, &walk);
	assert_int_equal(server_port(flow), 80);
	assert_int_equal(flow->tunnel, 0);
	flow = report_walk(&report, &walk);
	assert_int_equal(flow->sent[0].packets, 4);
	assert_string_equal(report.interfaces[flow->tunnel - 1].name, "vx");
	assert_string_equal(report.interfaces[flow->counted_at].name, "eth0");
	assert_string_equal(stack_path(&report, flow), "eth0");
	flow = report_walk(&report, &walk);
	assert_int_equal(server_port(flow), 53);
	assert_int_equal(flow->tunnel, 0);
	flow = report_walk(&report, &walk);
	assert_int_equal(flow->sent[1].packets, 2);
	assert_int_not_equal(flow->tunnel, 0);
	assert_null(report_walk(&report, &walk));
}

static void outer_packets_are_counted(void **state)
{
	(void)state;
	show_tunnel();
	stack.count_tunnels = true;
	stack_report(&stack, &report);
	assert_int_equal(report.flow_count, 4);
	assert_int_equal(report.total.packets, 15);
	assert_int_equal(report.left_out_count, 0);
	assert_int_equal(report.tunnel_count, 0);
	assert_int_equal(report.flows[0].tunnel, 0);
	assert_int_not_equal(report.flows[1].tunnel, 0);
	assert_int_equal(report.flows[2].tunnel, 0);
	assert_int_not_equal(report.flows[3].tunnel, 0);
}

static void excluded_tunnels_leave_nothing_out(void **state)
{
	struct flow_key key = make_key(IPPROTO_UDP, "10.0.0.1", 40001, "10.0.0.2", VXLAN_PORT);

	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "vx", "vxlan");
	stack_exclude(&stack, "vx");
	stack_resolve(&stack);
	stack_out(&stack, "eth0", NULL, &key, 0, 4);
	add_vxlan(0, "", "10.0.0.2");
	add_tunnel(102, IPPROTO_GRE, "", "");
	stack.tunnels = set;
	stack_report(&stack, &report);
	assert_int_equal(report.flow_count, 1);
	assert_int_equal(report.flows[0].tunnel, 0);
	assert_int_equal(report.total.packets, 4);
	assert_int_equal(report.left_out_count, 0);
	assert_int_equal(report.tunnel_count, 0);
}

/* The limit is one of the flows that count; of the others as many are named. */
static void limited(void **state)
{
	struct report_walk walk = {0};

	(void)state;
	show_tunnel();
	stack_report(&stack, &report);
	report_limit(&report, 1);
	assert_int_equal(report.named, 1);
	assert_int_equal(report.other.packets, 3);
	assert_int_equal(report.left_out_named, 1);
	assert_int_equal(report.tunnels[0].count.packets, 6);
	assert_int_equal(server_port(report_walk(&report, &walk)), 80);
	assert_int_not_equal(report_walk(&report, &walk)->tunnel, 0);
	assert_null(report_walk(&report, &walk));

	report_limit(&report, 0);
	assert_int_equal(report.named, 2);
	assert_int_equal(report.left_out_named, 2);
}

/* Nothing but a tunnel's outer packets: the report has no flows, and says why. */
static void all_is_left_out(void **state)
{
	struct flow_key key = make_key(IPPROTO_UDP, "10.0.0.1", 40001, "10.0.0.2", VXLAN_PORT);
	struct report_walk walk = {0};

	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "vx", "vxlan");
	stack_resolve(&stack);
	stack_out(&stack, "eth0", NULL, &key, 0, 4);
	add_vxlan(102, "", "");
	stack.tunnels = set;
	stack_report(&stack, &report);
	assert_int_equal(report.flow_count, 0);
	assert_int_equal(report.total.bytes, 0);
	assert_int_equal(report.tunnels[0].count.bytes, 400);
	assert_non_null(report_walk(&report, &walk));
	assert_null(report_walk(&report, &walk));
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(no_tunnels),
		test(both_directions_of_a_vxlan),
		test(forwarded_vxlan_is_not_ours),
		test(groups),
		test(other_remotes),
		test(wireguard),
		test(fixed_ends),
		test(the_one_that_fits_best),
		test(one_of_two_is_excluded),
		test(any_of_its_protocols),
		test(outer_packets_are_left_out),
		test(outer_packets_are_counted),
		test(excluded_tunnels_leave_nothing_out),
		test(limited),
		test(all_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
