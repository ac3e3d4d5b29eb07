// SPDX-License-Identifier: GPL-2.0-only
/* An interface whose role changes within an interval is judged phase by phase, and is one interface
 * in the report. */
#include "netlink/link_tunnel.h"
#include "report/locals.h"
#include "report/merge.h"
#include "report/tunnel.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct merge *merge;
static struct local_set *locals;
static struct report report;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(merge_new(&merge), 0);
	assert_int_equal(local_set_new(&locals), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	report_clean(&report);
	local_set_free(locals);
	merge_free(merge);
	return 0;
}

static const struct flow_key key = {
	.family = FLOW_IPV4,
	.protocol = 17,
	.addr = {{.bytes = {[10] = 0xff, 0xff, 10, 0, 0, 1}},
		 {.bytes = {[10] = 0xff, 0xff, 10, 0, 0, 2}}},
};

static void see_flow(uint32_t id, const struct flow_key *flow, enum flow_class class,
		     uint64_t packets)
{
	struct flow_value value = {0};

	value.count[0][class] = (struct flow_count){.bytes = 100 * packets, .packets = packets};
	assert_int_equal(merge_add(merge, id, flow, &value, 1), 0);
}

static void see(uint32_t id, enum flow_class class, uint64_t packets)
{
	see_flow(id, &key, class, packets);
}

static void make_report(const struct merge_interface *interfaces, size_t count)
{
	const struct merge_ends ends = {.locals = locals, .client_ports = {32768, 65535}};

	report_clean(&report);
	assert_int_equal(merge_report(merge, interfaces, count, &ends, &report), 0);
}

/*
 * At first only hp0 was watched, and its egress was a first sight; then p1 was included, which
 * shows the same packets before it does, and hp0's egress is judged against it.
 */
static void test_list_changes_within_an_interval(void **state)
{
	struct topology_reference p1 = {.id = 2, .hook = HOOK_INGRESS};
	const struct topology_role first = {.id = 1}, second = {.id = 2};
	const struct topology_role judged = {
		.id = 3,
		.hook[HOOK_EGRESS] = {SIGHT_JUDGED, &p1, 1},
	};
	const struct merge_interface interfaces[] = {
		{.id = 1, .life = 1, .ifindex = 7, .name = "hp0", .role = &first},
		{.id = 3, .life = 1, .ifindex = 7, .name = "hp0", .role = &judged},
		{.id = 2, .life = 2, .ifindex = 5, .name = "p1", .role = &second},
	};

	(void)state;
	see(1, FLOW_EGRESS, 4);
	see(2, FLOW_INGRESS, 2);
	see(3, FLOW_EGRESS, 2);
	make_report(interfaces, 3);
	assert_int_equal(report.flow_count, 1);
	assert_int_equal(report.total.packets, 6);
	assert_int_equal(report.interface_count, 2);
	assert_string_equal(report.interfaces[0].name, "hp0");
	assert_string_equal(report.interfaces[1].name, "p1");
	assert_int_equal(report.flows[0].interface_count, 2);
	assert_int_equal(report.crossed[report.flows[0].interface_first], 1);
	assert_int_equal(report.crossed[report.flows[0].interface_first + 1], 0);
	assert_int_equal(report.flows[0].counted_at, 0);
	/* counted at hp0's egress in the first phase, at p1's ingress in the second */
	assert_int_equal(report.interfaces[0].counted[0].packets, 0);
	assert_int_equal(report.interfaces[0].counted[1].packets, 4);
	assert_int_equal(report.interfaces[1].counted[0].packets, 2);
	assert_int_equal(report.interfaces[1].counted[1].bytes, 0);
}

static void test_counts_of_phases_add_up(void **state)
{
	const struct topology_role roles[] = {{.id = 1}, {.id = 2}};
	const struct merge_interface interfaces[] = {
		{.id = 1, .life = 1, .ifindex = 7, .name = "a", .role = &roles[0]},
		{.id = 2, .life = 1, .ifindex = 7, .name = "a", .role = &roles[1]},
	};

	(void)state;
	see(1, FLOW_INGRESS, 1);
	see(1, FLOW_EGRESS, 2);
	see(2, FLOW_INGRESS, 4);
	see(2, FLOW_EGRESS, 8);
	make_report(interfaces, 2);
	assert_int_equal(report.interface_count, 1);
	assert_int_equal(report.interfaces[0].in.packets, 5);
	assert_int_equal(report.interfaces[0].out.packets, 10);
	assert_int_equal(report.interfaces[0].counted[0].packets, 5);
	assert_int_equal(report.interfaces[0].counted[1].packets, 10);
	assert_int_equal(report.total.bytes, 1500);
}

/* Where the phases of another interface stand before it, the tunnel device has another number. */
static void test_tunnel_behind_phases(void **state)
{
	const struct topology_role roles[] = {{.id = 1}, {.id = 2}, {.id = 3}};
	const struct merge_interface interfaces[] = {
		{.id = 1, .life = 1, .ifindex = 7, .name = "a", .role = &roles[0]},
		{.id = 2, .life = 1, .ifindex = 7, .name = "a", .role = &roles[1]},
		{.id = 3, .life = 3, .ifindex = 8, .name = "vx", .role = &roles[2]},
	};
	struct link_tunnel outer = {.protocols = {IPPROTO_UDP}, .other_remotes = true};
	struct tunnel_set *tunnels;
	struct merge_ends ends = {.locals = locals, .count_tunnels = true};

	(void)state;
	memcpy(outer.local, key.addr[0].bytes, sizeof(outer.local));
	assert_int_equal(local_set_add(locals, 1, outer.local), 0);
	assert_int_equal(tunnel_set_new(&tunnels), 0);
	assert_int_equal(tunnel_set_add(tunnels, 3, &outer), 0);
	ends.tunnels = tunnels;
	see(2, FLOW_EGRESS, 1);
	assert_int_equal(merge_report(merge, interfaces, 3, &ends, &report), 0);
	assert_int_equal(report.flow_count, 1);
	assert_int_equal(report.flows[0].tunnel, 2);
	tunnel_set_free(tunnels);
}

static void test_reasons_of_phases_add_up(void **state)
{
	const struct flow_key non_ip = {.family = FLOW_UNATTRIBUTED, .protocol = FLOW_NON_IP};
	const struct topology_role roles[] = {{.id = 1}, {.id = 2}, {.id = 3}};
	struct merge_interface interfaces[3];

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		struct flow_value value = {0};

		interfaces[i] = (struct merge_interface){.id = i + 1,
							 .life = i < 2 ? 1 : 3,
							 .ifindex = i,
							 .name = i < 2 ? "a" : "b",
							 .role = &roles[i],
							 .before_attach = {50, i == 0}};
		value.count[0][FLOW_INGRESS] = (struct flow_count){.bytes = 28, .packets = 1};
		assert_int_equal(merge_add(merge, i + 1, &non_ip, &value, 1), 0);
	}
	make_report(interfaces, 3);
	assert_int_equal(report.interface_count, 2);
	assert_int_equal(report.unattributed_count, 3);
	assert_string_equal(report.unattributed[0].reason, "non_ip");
	assert_int_equal(report.unattributed[0].count.packets, 2);
	assert_string_equal(report.unattributed[1].reason, "before_attach");
	assert_int_equal(report.unattributed[1].interface, 0);
	assert_int_equal(report.unattributed[2].interface, 1);
	assert_int_equal(report.unattributed[2].count.packets, 1);
}

/* A new interface with the name of one that went in the same interval is another one. */
static void test_lives_stay_apart(void **state)
{
	const struct topology_role roles[] = {{.id = 1}, {.id = 2}};
	const struct merge_interface interfaces[] = {
		{.id = 1, .life = 1, .ifindex = 7, .name = "veth0", .role = &roles[0]},
		{.id = 2, .life = 2, .ifindex = 7, .name = "veth0", .role = &roles[1]},
	};

	(void)state;
	see(1, FLOW_INGRESS, 1);
	see(2, FLOW_INGRESS, 1);
	make_report(interfaces, 2);
	assert_int_equal(report.interface_count, 2);
	assert_int_equal(report.total.packets, 2);
}

/* However often roles change within an interval, a flow costs what was seen of it, with no look at
 * all that there was. */
static void test_flows_of_many_eras(void **state)
{
	enum { ERAS = 100000 };
	struct topology_reference any = {.id = TOPOLOGY_ANY};
	const struct topology_role judged = {.hook[HOOK_EGRESS] = {SIGHT_JUDGED, &any, 1}};
	const struct topology_role first = {0};
	struct merge_interface *phases = calloc(2 * ERAS, sizeof(*phases));
	struct flow_key flow = key;

	(void)state;
	assert_non_null(phases);
	for (uint32_t i = 0; i < ERAS; i++) {
		phases[2 * i] = (struct merge_interface){.id = 2 * i + 1,
							 .life = 1,
							 .era = i,
							 .ifindex = 7,
							 .name = "s0",
							 .role = &judged};
		phases[2 * i + 1] = (struct merge_interface){.id = 2 * i + 2,
							     .life = 2,
							     .era = i,
							     .ifindex = 8,
							     .name = "s1",
							     .role = &first};
		memcpy(flow.addr[1].bytes + 12, &i, sizeof(i));
		see_flow(2 * i + 2, &flow, FLOW_INGRESS, 2);
		see_flow(2 * i + 1, &flow, FLOW_EGRESS, 3);
		/* of another era */
		if (i)
			see_flow(2 * i - 1, &flow, FLOW_EGRESS, 1);
	}
	make_report(phases, (size_t)2 * ERAS);
	assert_int_equal(report.flow_count, ERAS);
	assert_int_equal(report.interface_count, 2);
	assert_int_equal(report.total.packets, 3 * ERAS + (ERAS - 1));
	free(phases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_list_changes_within_an_interval, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_counts_of_phases_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tunnel_behind_phases, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reasons_of_phases_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lives_stay_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flows_of_many_eras, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
