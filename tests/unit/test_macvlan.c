// SPDX-License-Identifier: GPL-2.0-only
/* What macvlans send, out or to each other, where the device that it was received on shows only a
 * part of what it receives. */
#include "tests/unit/stack_fixture.h"

static struct flow_key key;

static int setup(void **state)
{
	setup_stack(state);
	key = stack_key("172.17.0.2", 43512, "203.0.113.1", 5201);
	return 0;
}

static void add_macvlan(void)
{
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "mv", "macvlan", "eth0");
}

/* Received on red, so by eth0, which shows it, or by eth1, which does not. */
static void add_vrf(void)
{
	add_macvlan();
	stack_add(&stack, "eth1", "physical");
	stack_add(&stack, "red", "vrf");
	stack_port(&stack, "eth0", "red");
	stack_port(&stack, "eth1", "red");
	stack_exclude(&stack, "eth1");
	stack_resolve(&stack);
	assert_true(stack.roles[stack_find(&stack, "red")].partial);
}

static void out_by_the_macvlan(int seen, int unseen)
{
	stack_in(&stack, "eth0", &key, 0, seen);
	stack_out(&stack, "mv", "red", &key, 0, seen + unseen);
	stack_out(&stack, "eth0", "red", &key, 0, seen + unseen);
}

static void to_a_sibling(int seen, int unseen)
{
	stack_in(&stack, "eth0", &key, 0, seen);
	stack_out(&stack, "mv", "red", &key, 0, seen + unseen);
	stack_in(&stack, "eth0", &key, 0, seen + unseen);
}

static void received_by_a_vrf_covered_in_part(void **state)
{
	(void)state;
	add_vrf();
	out_by_the_macvlan(5, 0);
	assert_total(5);
	out_by_the_macvlan(0, 4);
	assert_total(4);
	to_a_sibling(3, 0);
	assert_total(3);
	to_a_sibling(0, 2);
	assert_total(2);
}

static void under_way_below_such_a_vrf(void **state)
{
	(void)state;
	add_vrf();
	/* received before the swap, out after it */
	stack_in(&stack, "eth0", &key, 0, 5);
	assert_total(5);
	stack_out(&stack, "mv", "red", &key, 0, 5);
	stack_out(&stack, "eth0", "red", &key, 0, 5);
	assert_total(0);
	/* seen above before the swap, below after it */
	stack_out(&stack, "mv", "red", &key, 0, 4);
	assert_total(4);
	stack_out(&stack, "eth0", "red", &key, 0, 4);
	assert_total(0);
}

/* What went to a sibling in the interval before may be on its way out still, and so much may count
 * twice (doc/dedup.md, Limits); of no interval before that one. */
static void to_siblings_and_then_out_past_the_macvlan(void **state)
{
	(void)state;
	add_vrf();
	to_a_sibling(3, 0);
	assert_total(3);
	to_a_sibling(1, 0);
	assert_total(1);
	stack_in(&stack, "eth0", &key, 0, 4);
	stack_out(&stack, "eth0", "red", &key, 0, 4);
	assert_total(4 + 1);
}

/* Received on br0, so by the VLAN over eth0, which shows it, or by another port. */
static void received_by_a_bridge_covered_by_a_vlan(void **state)
{
	(void)state;
	add_macvlan();
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_veth_abroad(&stack, "vc");
	stack_add(&stack, "br0", "bridge");
	stack_port(&stack, "eth0.5", "br0");
	stack_port(&stack, "vc", "br0");
	stack_exclude(&stack, "eth0.5");
	stack_exclude(&stack, "vc");
	stack_exclude(&stack, "br0");
	stack_resolve(&stack);
	/* unseen, and to a sibling */
	stack_out(&stack, "mv", "br0", &key, 0, 5);
	stack_in(&stack, "eth0", &key, 0, 5);
	assert_total(5);
	/* unseen, and out */
	stack_out(&stack, "mv", "br0", &key, 0, 4);
	stack_out(&stack, "eth0", "br0", &key, 0, 4);
	assert_total(4);
	/* seen */
	stack_in(&stack, "eth0", &key, 0, 3);
	stack_out(&stack, "mv", "br0", &key, 0, 3);
	stack_in(&stack, "eth0", &key, 0, 3);
	assert_total(3);
}

static void born_above(int count)
{
	stack_out(&stack, "mv", NULL, &key, 0, count);
}

static void back_from_the_world(int count)
{
	stack_in(&stack, "eth0", &key, 0, count);
	stack_in(&stack, "mv2", &key, 0, count);
}

/* A virtual machine on a macvtap talks to its host, or to another one: by way of a router of the
 * world, or straight. */
static void from_a_machine(void **state)
{
	(void)state;
	add_macvlan();
	stack_over(&stack, "mv2", "macvlan", "eth0");
	stack_resolve(&stack);
	born_above(5);
	stack_out(&stack, "eth0", NULL, &key, 0, 5);
	back_from_the_world(5);
	assert_total(10);
	born_above(4);
	stack_turn(&stack, "eth0", "mv", &key, 0, 4);
	assert_total(4);
	born_above(3);
	stack_out(&stack, "eth0", NULL, &key, 0, 3);
	assert_total(3);
	/* the interval ends on the way */
	born_above(2);
	assert_total(2);
	stack_out(&stack, "eth0", NULL, &key, 0, 2);
	back_from_the_world(2);
	assert_total(2);
	born_above(1);
	stack_out(&stack, "eth0", NULL, &key, 0, 1);
	assert_total(1);
	back_from_the_world(1);
	assert_total(1);
	born_above(6);
	assert_total(6);
	stack_turn(&stack, "eth0", "mv", &key, 0, 6);
	assert_total(0);
}

/* One copy of a flood to a sibling, another one, which looks born here, out by a VLAN. */
static void copies_of_both_origins(void **state)
{
	(void)state;
	add_macvlan();
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_add(&stack, "in0", "physical");
	stack_resolve(&stack);
	stack_in(&stack, "in0", &key, 0, 5);
	stack_out(&stack, "mv", "in0", &key, 0, 5);
	stack_turn(&stack, "eth0", "mv", &key, 0, 5);
	stack_out(&stack, "eth0.5", NULL, &key, 0, 5);
	stack_out(&stack, "eth0", NULL, &key, 0, 5);
	assert_total(10);
}

static void see(const char *name, enum flow_class class, uint64_t packets, uint64_t bytes)
{
	struct flow_value value = {0};

	value.count[0][class] = (struct flow_count){.bytes = bytes, .packets = packets};
	assert_int_equal(merge_add(stack.merge, stack.links[stack_find(&stack, name)].id, &key,
				   &value, 1),
			 0);
}

static void add_reported(struct flow_count *sum)
{
	next_interval();
	flow_count_add(sum, &report.total);
	for (size_t i = 0; i < report.unattributed_count; i++)
		flow_count_add(sum, &report.unattributed[i].count);
}

/* Two packets, each in by eth0, in and out by the macvlan, and back in; the intervals end before
 * that last step. Between two packets of different sizes bytes remain, and no packet. */
static void sum_of_packets_of_different_sizes_under_way(void)
{
	struct flow_count sum = {0};

	see("eth0", FLOW_INGRESS, 1, 1287);
	see("mv", FLOW_EGRESS_REPEAT, 1, 1287);
	add_reported(&sum);
	see("eth0", FLOW_INGRESS, 1, 1287);
	see("mv", FLOW_EGRESS_REPEAT, 1, 414);
	add_reported(&sum);
	see("eth0", FLOW_INGRESS, 2, 414 + 414);
	add_reported(&sum);
	assert_int_equal(sum.packets, 2);
	assert_int_equal(sum.bytes, 1287 + 414);
}

static void bytes_under_way(void **state)
{
	(void)state;
	add_macvlan();
	stack_resolve(&stack);
	sum_of_packets_of_different_sizes_under_way();
}

static void bytes_of_no_flow_under_way(void **state)
{
	(void)state;
	key = (struct flow_key){.family = FLOW_UNATTRIBUTED, .protocol = FLOW_NON_IP};
	add_macvlan();
	stack_resolve(&stack);
	sum_of_packets_of_different_sizes_under_way();
}

int main(void)
{
#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown_stack)
	static const struct CMUnitTest tests[] = {
		test(received_by_a_vrf_covered_in_part),
		test(under_way_below_such_a_vrf),
		test(to_siblings_and_then_out_past_the_macvlan),
		test(received_by_a_bridge_covered_by_a_vlan),
		test(from_a_machine),
		test(copies_of_both_origins),
		test(bytes_under_way),
		test(bytes_of_no_flow_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
