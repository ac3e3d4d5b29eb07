// SPDX-License-Identifier: GPL-2.0-only
/* IPv6 fragments that do not say where they were received: of what was born here, or forwarded. */
#include "netlink/conntrack.h"
#include "report/nat.h"
#include "tests/unit/stack_fixture.h"

static struct flow_key key;

/* c1 eth0 --- vc1, and eth0 with a VLAN to the world. */
static int setup(void **state)
{
	setup_stack(state);
	key = stack_key("10.2.0.2", 40000, "10.3.0.2", 5001);
	stack_veth_abroad(&stack, "vc1");
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_resolve(&stack);
	return 0;
}

/* As fragments that ip6_fragment() made. */
static void out_rebuilt(const char *name, int packets)
{
	struct flow_key rebuilt = key;

	rebuilt.unsure = FLOW_REBUILT;
	stack_out(&stack, name, NULL, &rebuilt, 0, packets);
}

static void out_by_the_vlan(int packets)
{
	out_rebuilt("eth0.5", packets);
	out_rebuilt("eth0", packets);
}

static void be_local(const char *address)
{
	struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	assert_int_equal(inet_pton(AF_INET, address, mapped.s6_addr + 12), 1);
	assert_int_equal(local_set_add(stack.locals, 1, mapped.s6_addr), 0);
}

static void assert_total(uint64_t packets)
{
	next_interval();
	assert_int_equal(report.total.packets, packets);
}

static void forwarded(void **state)
{
	(void)state;
	assert_true(stack.roles[0].all_covered);
	be_local("10.2.0.1");
	stack_in(&stack, "vc1", &key, 0, 5);
	out_by_the_vlan(6);
	make_report();
	assert_only(&key, 5, 0, "vc1>eth0.5>eth0");
	merge_next_interval(stack.merge);
	/* what came in before the swap */
	out_by_the_vlan(2);
	assert_total(0);
}

static void born_here(void **state)
{
	(void)state;
	be_local("10.2.0.2");
	out_by_the_vlan(6);
	make_report();
	assert_only(&key, 6, 0, "eth0.5>eth0");
}

static void received_where_nobody_looked(void **state)
{
	(void)state;
	stack_exclude(&stack, "vc1");
	stack_resolve(&stack);
	assert_false(stack.roles[1].all_covered);
	out_by_the_vlan(6);
	assert_total(6);
	/* other devices show what they receive */
	stack_add(&stack, "vc2", "physical");
	stack_resolve(&stack);
	stack_in(&stack, "vc2", &key, 0, 5);
	out_by_the_vlan(6);
	assert_total(5);
}

static void translated(bool client)
{
	struct conntrack_entry entry = {.protocol = IPPROTO_TCP,
					.family = AF_INET,
					.status = client ? IPS_SRC_NAT : IPS_DST_NAT};
	struct flow_key face = client ? stack_key("10.2.9.1", 40000, "10.3.0.2", 5001)
				      : stack_key("10.2.0.2", 40000, "10.2.9.1", 80);
	struct flow_key original = client ? key : face, shown = client ? face : key;

	memcpy(entry.original.source, original.addr[0].bytes, 16);
	memcpy(entry.original.destination, original.addr[1].bytes, 16);
	entry.original.source_port = original.port[0];
	entry.original.destination_port = original.port[1];
	memcpy(entry.reply.source, shown.addr[1].bytes, 16);
	memcpy(entry.reply.destination, shown.addr[0].bytes, 16);
	entry.reply.source_port = shown.port[1];
	entry.reply.destination_port = shown.port[0];
	assert_int_equal(nat_table_new(&stack.nat), 0);
	assert_int_equal(nat_table_update(stack.nat, &entry), 0);
	be_local("10.2.9.1");
	if (client) {
		/* the container's, with the host's address */
		stack_in(&stack, "vc1", &key, 0, 5);
		key = face;
		out_by_the_vlan(6);
	} else {
		/* a container answers, in the host's name */
		struct flow_key rebuilt = face;

		rebuilt.unsure = FLOW_REBUILT;
		stack_in(&stack, "vc1", &key, 1, 5);
		stack_out(&stack, "eth0", NULL, &rebuilt, 1, 6);
	}
	assert_total(5);
	nat_table_free(stack.nat);
}

static void masqueraded(void **state)
{
	(void)state;
	translated(true);
}

static void answered_behind_a_published_port(void **state)
{
	(void)state;
	translated(false);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown_stack)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(forwarded),
		test(born_here),
		test(received_where_nobody_looked),
		test(masqueraded),
		test(answered_behind_a_published_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
