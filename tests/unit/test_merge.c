// SPDX-License-Identifier: GPL-2.0-only
#include "tests/unit/stack_fixture.h"

#define CONTAINER 0 /* the end that sends: the lower address */
#define PEER	  1

static struct flow_key key, translated;

static int setup(void **state)
{
	setup_stack(state);
	key = stack_key("172.17.0.2", 43512, "203.0.113.1", 5201);
	translated = stack_key("192.0.2.7", 43512, "203.0.113.1", 5201);
	return 0;
}

/* The rows of the table in doc/dedup.md, with n packets each. */
static void container_to_container(int n)
{
	stack_in(&stack, "vc1", &key, CONTAINER, n);
	stack_out(&stack, "vc2", "vc1", &key, CONTAINER, n);
}

static void container_to_world(int n)
{
	stack_in(&stack, "vc1", &key, CONTAINER, n);
	stack_in(&stack, "br0", &key, CONTAINER, n);
	stack_out(&stack, "eth0", "br0", &translated, CONTAINER, n);
}

static void world_to_container(int n)
{
	stack_in(&stack, "eth0", &translated, PEER, n);
	stack_out(&stack, "br0", "eth0", &key, PEER, n);
	stack_out(&stack, "vc1", "eth0", &key, PEER, n);
}

static void host_to_container(int n)
{
	stack_out(&stack, "br0", NULL, &key, PEER, n);
	stack_out(&stack, "vc1", NULL, &key, PEER, n);
}

static void container_to_host(int n)
{
	stack_in(&stack, "vc1", &key, CONTAINER, n);
	stack_in(&stack, "br0", &key, CONTAINER, n);
}

static void assert_counted_at(const struct flow_key *flow, const char *name)
{
	for (size_t i = 0; i < report.flow_count; i++)
		if (!memcmp(&report.flows[i].key, flow, sizeof(*flow)))
			assert_string_equal(report.interfaces[report.flows[i].counted_at].name,
					    name);
}

static void where_most_was_counted(void **state)
{
	struct flow_key other = stack_key("172.17.0.3", 43512, "203.0.113.1", 5201);
	struct flow_key another = stack_key("172.17.0.4", 43512, "203.0.113.1", 5201);

	(void)state;
	add_container_host();
	stack_resolve(&stack);

	container_to_container(5);
	make_report();
	assert_int_equal(report.flow_count, 1);
	assert_counted_at(&key, "vc1");
	/* what both ends sent, summed up by interface: 5 at vc1, 4 at br0 */
	host_to_container(4);
	stack_in(&stack, "vc2", &other, CONTAINER, 9);
	make_report();
	assert_counted_at(&key, "vc1");
	host_to_container(2);
	make_report();
	assert_counted_at(&key, "br0");
	assert_counted_at(&other, "vc2");
	/* alike: the first by name */
	container_to_host(1);
	make_report();
	assert_counted_at(&key, "br0");
	/* whichever of them was read first */
	stack_in(&stack, "vc1", &other, CONTAINER, 9);
	stack_in(&stack, "vc1", &another, CONTAINER, 3);
	stack_in(&stack, "vc2", &another, CONTAINER, 3);
	make_report();
	assert_counted_at(&other, "vc1");
	assert_counted_at(&another, "vc1");
}

static void rows_of_the_table(void **state)
{
	(void)state;
	add_container_host();
	stack_resolve(&stack);

	container_to_container(5);
	next_interval();
	assert_only(&key, 5, 0, "vc1>vc2");

	host_to_container(7);
	container_to_host(3);
	next_interval();
	assert_only(&key, 3, 7, "vc1>br0");

	stack_out(&stack, "eth0", NULL, &key, 0, 4);
	stack_in(&stack, "eth0", &key, 1, 2);
	next_interval();
	assert_only(&key, 4, 2, "eth0");

	stack_out(&stack, "lo", NULL, &key, 0, 6);
	stack_in(&stack, "lo", &key, 0, 6);
	next_interval();
	assert_only(&key, 6, 0, "lo");

	next_interval();
	assert_int_equal(report.flow_count, 0);
}

static void masqueraded_counts_under_the_first_tuple(void **state)
{
	(void)state;
	add_container_host();
	stack_resolve(&stack);
	container_to_world(9);
	make_report();
	assert_only(&key, 9, 0, "vc1>br0"); /* the translated tuple is no line */
	assert_int_equal(merge_flow_count(stack.merge), 2);

	/* the reply comes in under the translated tuple: that is where it counts */
	world_to_container(4);
	make_report();
	assert_int_equal(report.flow_count, 2);
	assert_memory_equal(&report.flows[0].key, &key, sizeof(key));
	assert_int_equal(report.flows[0].sent[PEER].packets, 0);
	assert_string_equal(stack_path(&report, &report.flows[0]), "vc1>br0");
	assert_memory_equal(&report.flows[1].key, &translated, sizeof(key));
	assert_int_equal(report.flows[1].sent[PEER].packets, 4);
	assert_string_equal(stack_path(&report, &report.flows[1]), "eth0");
	assert_int_equal(report.total.packets, 13);
}

static void stacks_of_one_kind(void **state)
{
	static const char *const kinds[] = {"vlan", "macvlan", "ipvlan"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		teardown_stack(NULL);
		setup(NULL);
		stack_add(&stack, "e0", "physical");
		stack_over(&stack, "up", kinds[i], "e0");
		stack_resolve(&stack);
		stack_out(&stack, "up", NULL, &key, 0, 8);
		stack_out(&stack, "e0", NULL, &key, 0, 8);
		stack_in(&stack, "e0", &key, 1, 3);
		stack_in(&stack, "up", &key, 1, 3);
		make_report();
		assert_only(&key, 8, 3, "up>e0");
	}
}

static void balanced_bond(void **state)
{
	(void)state;
	stack_add(&stack, "s1", "physical");
	stack_add(&stack, "s2", "physical");
	stack_add(&stack, "bd", "bond");
	stack_port(&stack, "s1", "bd");
	stack_port(&stack, "s2", "bd");
	for (int excluded = 0; excluded < 2; excluded++) {
		if (excluded)
			stack_exclude(&stack, "bd");
		stack_resolve(&stack);
		stack_out(&stack, "bd", NULL, &key, 0, 4);
		stack_out(&stack, "s1", NULL, &key, 0, 1);
		stack_out(&stack, "s2", NULL, &key, 0, 3);
		stack_in(&stack, "s1", &key, 1, 2);
		stack_in(&stack, "s2", &key, 1, 2);
		stack_in(&stack, "bd", &key, 1, 4);
		next_interval();
		assert_only(&key, 4, 4, excluded ? "s1>s2" : "bd>s1>s2");
	}
}

static void tunnel_outside_is_another_flow(void **state)
{
	struct flow_key outer = stack_key("192.0.2.7", 50000, "192.0.2.9", 4789);

	(void)state;
	outer.protocol = 17;
	stack_veth_abroad(&stack, "cv");
	stack_add(&stack, "br", "bridge");
	stack_add(&stack, "x0", "physical");
	stack_over(&stack, "vx", "vxlan", "x0");
	stack_port(&stack, "cv", "br");
	stack_port(&stack, "vx", "br");
	stack_resolve(&stack);
	stack_in(&stack, "cv", &key, 0, 5);
	stack_out(&stack, "vx", "cv", &key, 0, 5);
	stack_out(&stack, "x0", NULL, &outer, 0, 5);
	make_report();
	assert_int_equal(report.flow_count, 2);
	assert_int_equal(report.total.packets, 10);
}

static void veth_pair_in_one_namespace(void **state)
{
	(void)state;
	stack_veth_pair(&stack, "va", "vb");
	stack_add(&stack, "br0", "bridge");
	stack_add(&stack, "eth0", "physical");
	stack_port(&stack, "vb", "br0");
	stack_port(&stack, "eth0", "br0");
	for (int excluded = 0; excluded < 3; excluded++) {
		static const char *const paths[] = {"vb>va>eth0", "vb>eth0", "va>eth0"};

		stack.links[0].id = excluded == 1 ? 0 : 101;
		stack.links[1].id = excluded == 2 ? 0 : 102;
		stack_resolve(&stack);
		stack_out(&stack, "va", NULL, &key, 0, 5);
		stack_in(&stack, "vb", &key, 0, 5);
		stack_out(&stack, "eth0", "vb", &key, 0, 5);
		next_interval();
		assert_only(&key, 5, 0, paths[excluded]);
	}
}

static void excluded_in_the_middle(void **state)
{
	static const char *const names[] = {"br0", "vc1", "vc2", "eth0", "lo"};

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		bool uplink = !strcmp(names[i], "eth0");

		teardown_stack(NULL);
		setup(NULL);
		add_container_host();
		stack_exclude(&stack, names[i]);
		stack_resolve(&stack);
		container_to_container(5);
		assert_total(5);
		container_to_world(6);
		assert_total(6);
		world_to_container(7);
		assert_total(7);
		host_to_container(8);
		assert_total(8);
		container_to_host(9);
		assert_total(9);
		/* seen at the next hook, under the tuple that it has there */
		world_to_container(3);
		container_to_world(2);
		next_interval();
		assert_int_equal(report.flow_count, uplink ? 1 : 2);
		assert_int_equal(report.flows[0].sent[0].packets + report.flows[0].sent[1].packets,
				 uplink ? 5 : 3);
	}
}

static void flood_from_the_host(void **state)
{
	struct flow_key broadcast = stack_key("172.17.0.1", 138, "172.17.255.255", 138);

	(void)state;
	add_container_host();
	stack_resolve(&stack);
	stack_out(&stack, "br0", NULL, &broadcast, 0, 2);
	stack_out(&stack, "vc1", NULL, &broadcast, 0, 2);
	stack_out(&stack, "vc2", NULL, &broadcast, 0, 2);
	make_report();
	assert_only(&broadcast, 2, 0, "br0>vc1>vc2");
}

/* The same tuple born on the NIC itself and on its macvlan, as DHCP does. */
static void own_traffic_below_a_macvlan(void **state)
{
	struct flow_key dhcp = stack_key("0.0.0.0", 68, "255.255.255.255", 67);

	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "mv", "macvlan", "eth0");
	stack_resolve(&stack);
	stack_out(&stack, "mv", NULL, &dhcp, 0, 5);
	stack_out(&stack, "eth0", NULL, &dhcp, 0, 5 + 3);
	make_report();
	assert_only(&dhcp, 8, 0, "mv>eth0");
}

static void macvlan_to_its_sibling_in_a_container(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "mv", "macvlan", "eth0");
	stack_veth_abroad(&stack, "vc");
	stack_resolve(&stack);
	stack_out(&stack, "mv", NULL, &key, 0, 5);
	stack_in(&stack, "eth0", &key, 0, 5);
	next_interval();
	assert_only(&key, 5, 0, "eth0>mv");
	/* forwarded there: counted at vc */
	stack_in(&stack, "vc", &key, 0, 4);
	stack_out(&stack, "mv", "vc", &key, 0, 4);
	stack_in(&stack, "eth0", &key, 0, 4);
	assert_total(4);
	/* a router on a stick: in and out by the macvlan, counted at eth0 */
	stack_in(&stack, "eth0", &key, 0, 6);
	stack_in(&stack, "mv", &key, 0, 6);
	stack_out(&stack, "mv", "mv", &key, 0, 6);
	stack_out(&stack, "eth0", "mv", &key, 0, 6);
	assert_total(6);
}

static void add_macvlan_host(void)
{
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "mv", "macvlan", "eth0");
	stack_veth_abroad(&stack, "vc");
	stack_resolve(&stack);
}

static void forwarded_by_a_macvlan(void **state)
{
	(void)state;
	add_macvlan_host();
	/* counted at vc, and out */
	stack_in(&stack, "vc", &key, 0, 3);
	stack_out(&stack, "mv", "vc", &key, 0, 3);
	stack_out(&stack, "eth0", "vc", &key, 0, 3);
	assert_total(3);
	/* the same without the macvlan: nothing that is waited for */
	stack_in(&stack, "vc", &key, 0, 4);
	stack_out(&stack, "eth0", "vc", &key, 0, 4);
	assert_total(4);
	stack_in(&stack, "eth0", &key, 0, 6);
	assert_total(6);
	/* to a sibling in a container: eth0 receives it twice */
	stack_in(&stack, "eth0", &key, 0, 5);
	stack_in(&stack, "mv", &key, 0, 5);
	stack_out(&stack, "mv", "mv", &key, 0, 5);
	stack_in(&stack, "eth0", &key, 0, 5);
	assert_total(5);
}

/* Frames say by their source that a macvlan turned them back, not where they were before. */
static void turned_back_by_an_unwatched_macvlan(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "mv", "macvlan", "eth0");
	stack_veth_abroad(&stack, "vc");
	stack_exclude(&stack, "mv");
	stack_resolve(&stack);
	/* born here */
	stack_turn(&stack, "eth0", "mv", &key, 0, 5);
	assert_total(5);
	assert_string_equal(report.interfaces[0].name, "eth0");
	assert_int_equal(report.interfaces[0].in.packets, 5);
	/* forwarded */
	stack_in(&stack, "vc", &key, 0, 5);
	stack_turn(&stack, "eth0", "mv", &key, 0, 5);
	assert_total(5);
	stack_in(&stack, "vc", &key, 0, 2);
	assert_total(2);
	stack_turn(&stack, "eth0", "mv", &key, 0, 2); /* after the swap */
	assert_total(0);
	/* a router on a stick */
	stack_in(&stack, "eth0", &key, 0, 6);
	stack_turn(&stack, "eth0", "mv", &key, 0, 6);
	assert_total(6);
	/* out, and back from the wire: twice */
	stack_in(&stack, "vc", &key, 0, 3);
	stack_out(&stack, "eth0", "vc", &key, 0, 3);
	stack_in(&stack, "eth0", &key, 0, 3);
	assert_total(6);
}

static void under_way_below_a_macvlan(void **state)
{
	(void)state;
	add_macvlan_host();
	/* a router on a stick; one did not go out before the swap */
	stack_in(&stack, "eth0", &key, 0, 5);
	stack_in(&stack, "mv", &key, 0, 5);
	stack_out(&stack, "mv", "mv", &key, 0, 5);
	stack_out(&stack, "eth0", "mv", &key, 0, 4);
	assert_total(4);
	stack_out(&stack, "eth0", "mv", &key, 0, 1);
	assert_total(1);
	/* to a sibling; one did not come back before the swap */
	stack_in(&stack, "eth0", &key, 0, 5 + 4);
	stack_in(&stack, "mv", &key, 0, 5);
	stack_out(&stack, "mv", "mv", &key, 0, 5);
	assert_total(4);
	stack_in(&stack, "eth0", &key, 0, 1);
	assert_total(1);
	/* from vc: to a sibling, then out; the last one after the swap */
	stack_in(&stack, "vc", &key, 0, 2);
	stack_out(&stack, "mv", "vc", &key, 0, 2);
	stack_in(&stack, "eth0", &key, 0, 1);
	assert_total(2);
	stack_in(&stack, "eth0", &key, 0, 1);
	assert_total(0);
	stack_in(&stack, "vc", &key, 0, 2);
	stack_out(&stack, "mv", "vc", &key, 0, 2);
	stack_out(&stack, "eth0", "vc", &key, 0, 1);
	assert_total(2);
	stack_out(&stack, "eth0", "vc", &key, 0, 1);
	assert_total(0);
}

/* What comes by a pair may go on another way than by the judged bridge. */
static void pair_below_a_bridge_covered_in_part(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "eth1", "physical");
	stack_add(&stack, "br0", "bridge");
	stack_veth_pair(&stack, "va", "vb");
	stack_port(&stack, "eth1", "br0");
	stack_port(&stack, "va", "br0");
	stack_exclude(&stack, "eth1");
	stack_resolve(&stack);
	stack_in(&stack, "br0", &key, 0, 6);
	stack_out(&stack, "vb", "br0", &key, 0, 6);
	stack_in(&stack, "va", &key, 0, 6); /* and by the bridge to eth1 */
	assert_total(6);
	stack_in(&stack, "eth0", &key, 0, 4);
	stack_out(&stack, "vb", "eth0", &key, 0, 4);
	stack_in(&stack, "va", &key, 0, 4);
	stack_in(&stack, "br0", &key, 0, 4);
	assert_total(4);
}

static void bridge_of_covered_and_uncovered_ports(void **state)
{
	(void)state;
	add_container_host();
	stack_exclude(&stack, "vc1");
	stack_resolve(&stack);
	/* the same flow, through both */
	container_to_host(4);
	stack_in(&stack, "vc2", &key, CONTAINER, 3);
	stack_in(&stack, "br0", &key, CONTAINER, 3);
	make_report();
	assert_only(&key, 7, 0, "vc2>br0");
	merge_next_interval(stack.merge);

	/* from the uncovered port to the covered one: bridged, then routed in */
	stack_out(&stack, "vc2", "vc1", &key, 0, 5);
	make_report();
	assert_only(&key, 5, 0, "vc2");
}

static void excluded_bridge_covered_in_part(void **state)
{
	(void)state;
	add_container_host();
	stack_exclude(&stack, "br0");
	stack_exclude(&stack, "vc1");
	stack_resolve(&stack);
	stack_in(&stack, "vc2", &key, CONTAINER, 3);
	stack_out(&stack, "eth0", "br0", &key, CONTAINER, 3 + 4); /* 4 came from vc1 */
	make_report();
	assert_only(&key, 7, 0, "vc2>eth0");
}

static void vlan_nic(void)
{
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_resolve(&stack);
}

static void under_way_at_the_swap(void **state)
{
	(void)state;
	vlan_nic();
	/* one packet is between the two hooks at each of two swaps */
	stack_out(&stack, "eth0.5", NULL, &key, 0, 10);
	stack_out(&stack, "eth0", NULL, &key, 0, 9);
	next_interval();
	assert_only(&key, 10, 0, "eth0.5>eth0");
	stack_out(&stack, "eth0.5", NULL, &key, 0, 10);
	stack_out(&stack, "eth0", NULL, &key, 0, 10);
	assert_total(10);
	stack_out(&stack, "eth0", NULL, &key, 0, 1);
	next_interval();
	assert_int_equal(report.flow_count, 0);
	/* owed for one interval only */
	stack_out(&stack, "eth0", NULL, &key, 0, 1);
	next_interval();
	assert_only(&key, 1, 0, "eth0");
}

static void owed_by_a_hook_that_did_not_see_the_flow(void **state)
{
	(void)state;
	vlan_nic();
	stack_out(&stack, "eth0.5", NULL, &key, 0, 2);
	assert_total(2);
	stack_out(&stack, "eth0", NULL, &key, 0, 2 + 1);
	assert_total(1);

	/* nothing came: forgotten after one interval */
	stack_out(&stack, "eth0.5", NULL, &key, 0, 2);
	next_interval();
	next_interval();
	stack_out(&stack, "eth0", NULL, &key, 0, 2);
	assert_total(2);
}

/* A container moves from a port to another one that is not watched, and whose frames are routed. */
static void repeats_are_not_owed(void **state)
{
	(void)state;
	stack_add(&stack, "b0", "bridge");
	stack_veth_abroad(&stack, "p0");
	stack_veth_abroad(&stack, "p1");
	stack_add(&stack, "u0", "physical");
	stack_port(&stack, "p0", "b0");
	stack_port(&stack, "p1", "b0");
	stack_port(&stack, "u0", "b0");
	stack_exclude(&stack, "b0");
	stack_exclude(&stack, "p1");
	stack_resolve(&stack);
	assert_int_equal(stack.roles[stack_find(&stack, "u0")].hook[HOOK_UNSURE].sight,
			 SIGHT_JUDGED);
	stack_in(&stack, "p0", &key, 0, 8);
	stack_out(&stack, "u0", "p0", &key, 0, 8);
	next_interval();
	assert_only(&key, 8, 0, "p0>u0");
	stack_out(&stack, "u0", "b0", &key, 0, 8);
	next_interval();
	assert_only(&key, 8, 0, "u0");
}

/*
 * Nobody sees what comes out of the pair, so that it may have been counted before. Of what is born
 * here, or comes from where nothing is watched at all, this is not to be asked, even if the flow
 * was counted elsewhere: it left the host and came back.
 */
static void born_beside_an_unwatched_pair(void **state)
{
	(void)state;
	stack_veth_abroad(&stack, "u0");
	stack_veth_abroad(&stack, "p0");
	stack_veth_pair(&stack, "va", "vb");
	stack_exclude(&stack, "p0");
	stack_exclude(&stack, "va");
	stack_exclude(&stack, "vb");
	stack_resolve(&stack);
	stack_out(&stack, "u0", NULL, &key, 0, 2);
	stack_in(&stack, "u0", &key, 0, 2);
	assert_total(4);
	stack_out(&stack, "u0", "p0", &key, 0, 3);
	stack_in(&stack, "u0", &key, 0, 3);
	assert_total(6);
	stack_in(&stack, "u0", &key, 1, 5); /* and through the pair */
	stack_out(&stack, "u0", "vb", &key, 1, 5);
	assert_total(5);
}

static void owed_to_a_vanished_reference(void **state)
{
	(void)state;
	vlan_nic();
	stack_out(&stack, "eth0.5", NULL, &key, 0, 2);
	next_interval();
	/* eth0.5 is gone; eth0's role over the interval still refers to it */
	stack.links[1].id = 0;
	stack_out(&stack, "eth0", NULL, &key, 0, 2);
	make_report();
	assert_int_equal(report.interface_count, 1);
	assert_int_equal(report.flow_count, 0);
}

static void reports_can_be_repeated(void **state)
{
	struct report first;

	(void)state;
	vlan_nic();
	stack_out(&stack, "eth0.5", NULL, &key, 0, 10);
	stack_out(&stack, "eth0", NULL, &key, 0, 9);
	stack_report(&stack, &first);
	for (int i = 0; i < 3; i++)
		make_report();
	assert_int_equal(first.flow_count, report.flow_count);
	assert_memory_equal(first.flows, report.flows, sizeof(*first.flows));
	report_clean(&first);
	/* a report that was not written, then more of the same interval */
	stack_out(&stack, "eth0", NULL, &key, 0, 1);
	stack_out(&stack, "eth0.5", NULL, &key, 0, 1);
	next_interval();
	assert_only(&key, 11, 0, "eth0.5>eth0");
	stack_out(&stack, "eth0", NULL, &key, 0, 2);
	make_report();
	make_report();
	assert_only(&key, 1, 0, "eth0");
}

static void add_unattributed(const char *name, enum flow_reason reason, enum flow_class class,
			     uint64_t packets)
{
	struct flow_key unattributed = {.protocol = reason};
	struct flow_value value = {0};
	uint32_t id = stack.links[stack_find(&stack, name)].id;

	value.count[0][class] = (struct flow_count){.bytes = 60 * packets, .packets = packets};
	assert_int_equal(merge_add(stack.merge, id, &unattributed, &value, 1), 0);
}

static void assert_unattributed(size_t i, const char *name, const char *reason, uint64_t packets)
{
	assert_true(i < report.unattributed_count);
	assert_string_equal(report.interfaces[report.unattributed[i].interface].name, name);
	assert_string_equal(report.unattributed[i].reason, reason);
	assert_int_equal(report.unattributed[i].count.packets, packets);
}

static void unattributed_packets(void **state)
{
	(void)state;
	add_container_host();
	stack.before_attach[stack_find(&stack, "vc1")] =
		(struct flow_count){.bytes = 1000, .packets = 10};
	stack_resolve(&stack);
	/* ARP of a container to the host, flooded; of the host; one frame was cut off */
	add_unattributed("vc1", FLOW_NON_IP, FLOW_INGRESS, 3);
	add_unattributed("br0", FLOW_NON_IP, FLOW_INGRESS, 3);
	add_unattributed("vc2", FLOW_NON_IP, FLOW_EGRESS_REPEAT, 3);
	add_unattributed("br0", FLOW_NON_IP, FLOW_EGRESS, 2);
	add_unattributed("vc1", FLOW_NON_IP, FLOW_EGRESS_REPEAT, 2);
	add_unattributed("eth0", FLOW_MALFORMED, FLOW_INGRESS, 1);
	add_unattributed("eth0", FLOW_MAP_FULL, FLOW_EGRESS, 5);
	add_unattributed("eth0", FLOW_NON_IP, FLOW_INGRESS, 0);
	make_report();
	assert_int_equal(report.flow_count, 0);
	assert_int_equal(merge_flow_count(stack.merge), 0);
	assert_int_equal(report.total.packets, 0);
	assert_int_equal(report.unattributed_count, 5);
	assert_unattributed(0, "br0", "non_ip", 2);
	assert_unattributed(1, "eth0", "malformed", 1);
	assert_unattributed(2, "eth0", "map_full", 5);
	assert_unattributed(3, "vc1", "non_ip", 3);
	assert_unattributed(4, "vc1", "before_attach", 10);
	assert_int_equal(report.unattributed[4].count.bytes, 1000);
}

static void unattributed_is_judged_too(void **state)
{
	(void)state;
	vlan_nic();
	add_unattributed("eth0.5", FLOW_NON_IP, FLOW_EGRESS, 3);
	add_unattributed("eth0", FLOW_NON_IP, FLOW_EGRESS, 4);
	make_report();
	assert_int_equal(report.unattributed_count, 2);
	assert_unattributed(0, "eth0", "non_ip", 1);
	assert_unattributed(1, "eth0.5", "non_ip", 3);
}

static uint8_t left_of(const char *a, uint16_t port_a, const char *b, uint16_t port_b,
		       uint8_t protocol)
{
	struct flow_key flow = stack_key(a, port_a, b, port_b);
	uint8_t left;

	flow.protocol = protocol;
	stack_in(&stack, "eth0", &flow, 0, 1);
	next_interval();
	assert_int_equal(report.flow_count, 1);
	left = report.flows[0].left;
	return left;
}

static void left_ends(void **state)
{
	static const uint8_t local[16] = {[10] = 0xff, 0xff, 192, 0, 2, 7};

	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_resolve(&stack);
	assert_int_equal(local_set_add(stack.locals, 1, local), 0);
	/* the client's port tells, wherever the addresses are */
	assert_int_equal(left_of("192.0.2.7", 443, "198.51.100.1", 40000, 6), 1);
	assert_int_equal(left_of("10.0.0.1", 40000, "192.0.2.7", 443, 17), 0);
	assert_int_equal(left_of("10.0.0.1", 32767, "10.0.0.2", 32768, 132), 1);
	assert_int_equal(left_of("10.0.0.1", 60999, "10.0.0.2", 61000, 33), 0);
	/* both or none have one: the local end */
	assert_int_equal(left_of("10.0.0.1", 40000, "192.0.2.7", 40000, 6), 1);
	assert_int_equal(left_of("10.0.0.1", 53, "192.0.2.7", 53, 17), 1);
	assert_int_equal(left_of("192.0.2.7", 53, "198.51.100.1", 53, 17), 0);
	/* no ports: numbers there mean nothing */
	assert_int_equal(left_of("10.0.0.1", 40000, "192.0.2.7", 0, 1), 1);
	/* nothing tells: the lower one */
	assert_int_equal(left_of("10.0.0.1", 53, "10.0.0.2", 53, 17), 0);
	assert_int_equal(left_of("127.0.0.1", 53, "192.0.2.7", 53, 17), 0);
}

static void path_is_from_left_to_right(void **state)
{
	(void)state;
	add_container_host();
	stack_resolve(&stack);
	/* the left end sent nothing: the reverse of the right end's path */
	stack_in(&stack, "eth0", &key, PEER, 2);
	stack_out(&stack, "br0", "eth0", &key, PEER, 2);
	stack_out(&stack, "vc1", "eth0", &key, PEER, 2);
	make_report();
	assert_only(&key, 0, 2, "vc1>br0>eth0");
	/* seen in the other direction only: appended */
	stack_in(&stack, "vc1", &key, CONTAINER, 1);
	stack_in(&stack, "br0", &key, CONTAINER, 1);
	make_report();
	assert_only(&key, 1, 2, "vc1>br0>eth0");
}

static void add_flow(uint8_t last, uint64_t packets)
{
	char address[20];
	struct flow_key flow;

	snprintf(address, sizeof(address), "10.0.0.%u", last);
	flow = stack_key(address, 1, "10.1.0.0", 80);
	stack_in(&stack, "eth0", &flow, last % 2, packets);
}

static void largest_first_ties_by_key(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_resolve(&stack);
	for (int i = 200; i >= 1; i--)
		add_flow((uint8_t)i, i % 3 == 0 ? 1 : i % 3 == 1 ? 7 : 300);
	make_report();
	assert_int_equal(report.flow_count, 200);
	for (size_t i = 1; i < report.flow_count; i++) {
		const struct report_flow *a = &report.flows[i - 1], *b = &report.flows[i];
		uint64_t bytes_a = a->sent[0].bytes + a->sent[1].bytes;
		uint64_t bytes_b = b->sent[0].bytes + b->sent[1].bytes;

		assert_true(bytes_a >= bytes_b);
		if (bytes_a == bytes_b)
			assert_true(memcmp(&a->key, &b->key, sizeof(a->key)) < 0);
	}
	assert_int_equal(report.flows[0].key.addr[0].bytes[15], 2);
}

/* Ties that differ in the last bytes only, more of them than are sorted by insertion. */
static void ties_in_ports_and_protocol(void **state)
{
	struct flow_key flow = stack_key("10.0.0.1", 0, "10.0.0.2", 0);

	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_resolve(&stack);
	for (int i = 2999; i >= 0; i--) {
		flow.port[0] = htons((uint16_t)(i / 30));
		flow.port[1] = htons((uint16_t)(i / 3 % 10));
		flow.protocol = (uint8_t)(i % 3);
		stack_in(&stack, "eth0", &flow, 0, 1);
	}
	make_report();
	assert_int_equal(report.flow_count, 3000);
	for (size_t i = 1; i < report.flow_count; i++)
		assert_true(memcmp(&report.flows[i - 1].key, &report.flows[i].key,
				   sizeof(struct flow_key)) < 0);
}

static void limit(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_resolve(&stack);
	for (uint8_t i = 1; i <= 5; i++)
		add_flow(i, i);
	make_report();
	assert_int_equal(report.named, 5);
	assert_int_equal(report.other.packets, 0);
	report_limit(&report, 2);
	assert_int_equal(report.named, 2);
	assert_int_equal(report.flow_count, 5);
	assert_int_equal(report.other.packets, 3 + 2 + 1);
	assert_int_equal(report.other.bytes, 600);
	assert_int_equal(report.total.packets, 15);
	report_limit(&report, 99);
	assert_int_equal(report.named, 5);
	assert_int_equal(report.other.packets, 0);
	report_limit(&report, 0);
	assert_int_equal(report.named, 5);
}

static void reused_index_and_name(void **state)
{
	(void)state;
	stack_veth_abroad(&stack, "vc1");
	stack_veth_abroad(&stack, "vc1");
	stack_add(&stack, "a", "physical");
	stack.links[1].ifindex = 2;
	stack_resolve(&stack);
	stack.links[1].ifindex = 1; /* came back with the old index and name, as another life */
	for (size_t i = 0; i < 2; i++) {
		struct flow_value value = {.count[0][FLOW_INGRESS] = {100, 1}};

		assert_int_equal(merge_add(stack.merge, stack.links[i].id, &key, &value, 1), 0);
	}
	make_report();
	assert_int_equal(report.interface_count, 3);
	assert_string_equal(report.interfaces[0].name, "a");
	assert_int_equal(report.interfaces[1].id, 101);
	assert_int_equal(report.interfaces[2].id, 102);
	assert_only(&key, 2, 0, "vc1>vc1");
}

static void drained_twice_adds_up(void **state)
{
	struct flow_key keys[3] = {key, translated, key};
	struct flow_value values[3] = {0};

	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "eth1", "physical");
	stack_resolve(&stack);
	for (int i = 0; i < 3; i++)
		values[i].count[0][FLOW_INGRESS] = (struct flow_count){.bytes = 100, .packets = 1};
	for (int round = 0; round < 4; round++)
		assert_int_equal(merge_add(stack.merge, 101 + round % 2, keys, values, 3), 0);
	make_report();
	assert_int_equal(report.flow_count, 2);
	assert_memory_equal(&report.flows[0].key, &key, sizeof(key));
	assert_int_equal(report.flows[0].sent[0].packets, 8);
	assert_int_equal(report.flows[1].sent[0].packets, 4);
	assert_string_equal(stack_path(&report, &report.flows[0]), "eth0>eth1");
}

static void zeros_are_no_flows(void **state)
{
	struct flow_value value = {0};

	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_resolve(&stack);
	assert_int_equal(merge_add(stack.merge, 101, &key, &value, 1), 0);
	assert_int_equal(merge_add(stack.merge, 101, NULL, NULL, 0), 0);
	assert_int_equal(merge_flow_count(stack.merge), 0);
	make_report();
	assert_int_equal(report.flow_count, 0);
	assert_int_equal(report.unattributed_count, 0);
	assert_int_equal(report.interface_count, 1);
}

/* What the driver counts otherwise is for the comparison with it (FLOW_SLOT_FRAMES). */
static void frames_are_in_no_report(void **state)
{
	const struct flow_key frames = {.family = FLOW_UNATTRIBUTED, .protocol = FLOW_FRAMES};
	struct flow_value value = {0};

	(void)state;
	add_container_host();
	value.count[0][FLOW_INGRESS] = (struct flow_count){.bytes = 60, .packets = 1};
	assert_int_equal(merge_add(stack.merge, 101, &frames, &value, 1), 0);
	assert_int_equal(merge_flow_count(stack.merge), 0);
	make_report();
	assert_int_equal(report.flow_count, 0);
	assert_int_equal(report.unattributed_count, 0);
	assert_int_equal(report.total.packets, 0);
}

/* Enough to grow all tables, on two interfaces, against plain sums. */
static void many_flows(void **state)
{
	enum { COUNT = 50000 };
	struct flow_key *keys = calloc(COUNT, sizeof(*keys));
	struct flow_value *values = calloc(COUNT, sizeof(*values));
	uint64_t packets = 0;

	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "eth1", "physical");
	stack_resolve(&stack);
	for (uint32_t i = 0; i < COUNT; i++) {
		keys[i] = key;
		memcpy(keys[i].addr[0].bytes + 12, &i, sizeof(i));
		values[i].count[i % 2][FLOW_INGRESS].packets = i % 5;
		values[i].count[i % 2][FLOW_INGRESS].bytes = i % 5 * 1000ull;
		packets += i % 5;
	}
	for (int round = 0; round < 2; round++) {
		assert_int_equal(merge_add(stack.merge, 101, keys, values, COUNT), 0);
		assert_int_equal(merge_add(stack.merge, 102, keys, values, COUNT), 0);
		make_report();
		assert_int_equal(report.flow_count, COUNT / 5 * 4);
		assert_int_equal(report.total.packets, 2 * packets);
		assert_int_equal(report.total.bytes, 2000 * packets);
		assert_int_equal(report.crossed_count, 2 * report.flow_count);
		merge_next_interval(stack.merge);
		assert_int_equal(merge_flow_count(stack.merge), 0);
		/* a quiet interval, then again */
		make_report();
		assert_int_equal(report.flow_count, 0);
		merge_next_interval(stack.merge);
	}
	free(keys);
	free(values);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown_stack)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(rows_of_the_table),
		test(where_most_was_counted),
		test(masqueraded_counts_under_the_first_tuple),
		test(stacks_of_one_kind),
		test(balanced_bond),
		test(tunnel_outside_is_another_flow),
		test(veth_pair_in_one_namespace),
		test(excluded_in_the_middle),
		test(flood_from_the_host),
		test(own_traffic_below_a_macvlan),
		test(macvlan_to_its_sibling_in_a_container),
		test(forwarded_by_a_macvlan),
		test(turned_back_by_an_unwatched_macvlan),
		test(under_way_below_a_macvlan),
		test(pair_below_a_bridge_covered_in_part),
		test(bridge_of_covered_and_uncovered_ports),
		test(excluded_bridge_covered_in_part),
		test(under_way_at_the_swap),
		test(owed_by_a_hook_that_did_not_see_the_flow),
		test(repeats_are_not_owed),
		test(born_beside_an_unwatched_pair),
		test(owed_to_a_vanished_reference),
		test(reports_can_be_repeated),
		test(unattributed_packets),
		test(unattributed_is_judged_too),
		test(left_ends),
		test(path_is_from_left_to_right),
		test(largest_first_ties_by_key),
		test(ties_in_ports_and_protocol),
		test(limit),
		test(reused_index_and_name),
		test(drained_twice_adds_up),
		test(zeros_are_no_flows),
		test(frames_are_in_no_report),
		test(many_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
