// SPDX-License-Identifier: GPL-2.0-only
/* Translated conversations: their faces at the hooks, one flow in the report. */
#include "netlink/conntrack.h"
#include "report/nat.h"
#include "tests/address.h"
#include "tests/unit/stack_fixture.h"

#include <errno.h>
#include <sys/socket.h>

#define CLIENT 0 /* the end of both keys that is the container's */
#define SERVER 1

/* The container's conversation with the world, and what the world sees of it. The ports say that
 * the server was the client. */
#define INSIDE	"172.17.0.2"
#define OUTSIDE "192.0.2.7"
#define WORLD	"203.0.113.1"

static struct flow_key original, translated;

/* The C library's, until memory is said to be short. */
static bool out_of_memory;

void *reallocarray(void *array, size_t count, size_t size)
{
	return out_of_memory ? NULL : realloc(array, count * size);
}

static int setup(void **state)
{
	(void)state;
	stack_init(&stack);
	assert_int_equal(nat_table_new(&stack.nat), 0);
	report = (struct report){0};
	original = stack_key(INSIDE, 700, WORLD, 50000);
	translated = stack_key(OUTSIDE, 700, WORLD, 50000);
	stack_add_container_host(&stack);
	stack_resolve(&stack);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	report_clean(&report);
	nat_table_free(stack.nat);
	stack_clean(&stack);
	return 0;
}

static struct nat_end end_of(const char *address, uint16_t port)
{
	struct nat_end end = {.port = htons(port)};

	address_from_text(end.addr, address);
	return end;
}

static struct conntrack_tuple tuple_of(struct nat_end from, struct nat_end to)
{
	struct conntrack_tuple tuple = {.source_port = from.port, .destination_port = to.port};

	memcpy(tuple.source, from.addr, sizeof(tuple.source));
	memcpy(tuple.destination, to.addr, sizeof(tuple.destination));
	return tuple;
}

static struct conntrack_entry entry_of(struct nat_end client, struct nat_end server,
				       struct nat_end client_seen, struct nat_end server_seen)
{
	return (struct conntrack_entry){.original = tuple_of(client, server),
					.reply = tuple_of(server_seen, client_seen),
					.protocol = 6,
					.family = AF_INET,
					.status = IPS_SRC_NAT,
					.id = 1};
}

static struct conntrack_entry masqueraded(void)
{
	return entry_of(end_of(INSIDE, 700), end_of(WORLD, 50000), end_of(OUTSIDE, 700),
			end_of(WORLD, 50000));
}

static void translate(struct conntrack_entry entry)
{
	assert_int_equal(nat_table_update(stack.nat, &entry), 0);
}

static void assert_nat(int end, const char *address, uint16_t port)
{
	const struct report_nat *nat = report_flow_nat(&report, &report.flows[0]);
	struct nat_end expected = end_of(address, port);

	assert_non_null(nat);
	assert_true(nat->translated[end]);
	assert_memory_equal(&nat->seen_as[end], &expected, sizeof(expected));
}

static void assert_untranslated(int end)
{
	const struct report_nat *nat = report_flow_nat(&report, &report.flows[0]);

	assert_non_null(nat);
	assert_false(nat->translated[end]);
}

static void out_to_world(uint64_t n)
{
	stack_in(&stack, "vc1", &original, CLIENT, n);
	stack_in(&stack, "br0", &original, CLIENT, n);
	stack_out(&stack, "eth0", "br0", &translated, CLIENT, n);
}

static void in_from_world(uint64_t n)
{
	stack_in(&stack, "eth0", &translated, SERVER, n);
	stack_out(&stack, "br0", "eth0", &original, SERVER, n);
	stack_out(&stack, "vc1", "eth0", &original, SERVER, n);
}

static void masquerade_both_ways(void **state)
{
	(void)state;
	translate(masqueraded());
	out_to_world(9);
	in_from_world(4);
	next_interval();
	assert_only(&original, 9, 4, "vc1>br0>eth0");
	assert_int_equal(report.flows[0].left, CLIENT);
	assert_nat(CLIENT, OUTSIDE, 700);
	assert_untranslated(SERVER);

	/* the answer alone, in an interval of its own */
	in_from_world(3);
	next_interval();
	assert_only(&original, 0, 3, "vc1>br0>eth0");
	assert_int_equal(report.flows[0].left, CLIENT);
	next_interval();
	assert_int_equal(report.flow_count, 0);
}

/* Nothing is translated, but it is known who began. */
static void client_of_untranslated(void **state)
{
	const struct conntrack_entry entry = entry_of(end_of(INSIDE, 700), end_of(WORLD, 50000),
						      end_of(INSIDE, 700), end_of(WORLD, 50000));

	(void)state;
	stack_in(&stack, "eth0", &original, SERVER, 4);
	next_interval();
	assert_only(&original, 0, 4, "eth0");
	assert_int_equal(report.flows[0].left, SERVER);

	translate(entry);
	stack_in(&stack, "eth0", &original, SERVER, 4);
	next_interval();
	assert_only(&original, 0, 4, "eth0");
	assert_int_equal(report.flows[0].left, CLIENT);
	assert_null(report_flow_nat(&report, &report.flows[0]));
	assert_int_equal(report.nat_count, 0);
}

static void without_knowledge_two_flows(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		struct nat_table *table = stack.nat;

		out_to_world(9);
		in_from_world(4);
		stack.nat = round ? NULL : table; /* empty, or none */
		next_interval();
		stack.nat = table;
		assert_int_equal(report.flow_count, 2);
		assert_int_equal(report.total.packets, 13);
		assert_int_equal(report.flows[0].nat, 0);
		assert_null(report_flow_nat(&report, &report.flows[1]));
	}
}

static void destination_translated(void **state)
{
	struct flow_key outside = stack_key(OUTSIDE, 80, WORLD, 700);
	struct flow_key inside = stack_key(INSIDE, 50000, WORLD, 700);

	(void)state;
	translate(entry_of(end_of(WORLD, 700), end_of(OUTSIDE, 80), end_of(WORLD, 700),
			   end_of(INSIDE, 50000)));
	stack_in(&stack, "eth0", &outside, 1, 6);
	stack_out(&stack, "br0", "eth0", &inside, 1, 6);
	stack_out(&stack, "vc1", "eth0", &inside, 1, 6);
	stack_in(&stack, "vc1", &inside, 0, 2);
	stack_in(&stack, "br0", &inside, 0, 2);
	stack_out(&stack, "eth0", "br0", &outside, 0, 2);
	make_report();
	assert_only(&outside, 2, 6, "eth0>br0>vc1");
	assert_int_equal(report.flows[0].left, 1);
	assert_nat(0, INSIDE, 50000);
	assert_untranslated(1);
}

/* The translated client is above the server, so the ends change places. */
static void ends_the_other_way_round(void **state)
{
	(void)state;
	translated = stack_key(WORLD, 50000, "203.0.113.9", 2000);
	translate(entry_of(end_of(INSIDE, 700), end_of(WORLD, 50000), end_of("203.0.113.9", 2000),
			   end_of(WORLD, 50000)));
	stack_in(&stack, "vc1", &original, CLIENT, 9);
	stack_in(&stack, "br0", &original, CLIENT, 9);
	stack_out(&stack, "eth0", "br0", &translated, 1, 9);
	stack_in(&stack, "eth0", &translated, 0, 4);
	make_report();
	assert_only(&original, 9, 4, "vc1>br0>eth0");
	assert_nat(CLIENT, "203.0.113.9", 2000);
	make_report();
	assert_only(&original, 9, 4, "vc1>br0>eth0");
}

/* A bridge may show one end translated and the other not yet. */
static void half_translated_faces(void **state)
{
	struct flow_key outside = stack_key(INSIDE, 700, OUTSIDE, 80);
	struct flow_key half = stack_key(INSIDE, 700, "172.17.0.3", 5001);
	struct flow_key inside = stack_key("172.17.0.1", 700, "172.17.0.3", 5001);

	(void)state;
	translate(entry_of(end_of(INSIDE, 700), end_of(OUTSIDE, 80), end_of("172.17.0.1", 700),
			   end_of("172.17.0.3", 5001)));
	stack_in(&stack, "vc1", &outside, 0, 5);
	stack_in(&stack, "br0", &half, 0, 5);
	stack_out(&stack, "vc2", "br0", &inside, 0, 5);
	stack_in(&stack, "vc2", &inside, 1, 3);
	stack_out(&stack, "vc1", "vc2", &half, 1, 3);
	make_report();
	assert_only(&outside, 5, 3, "vc1>br0>vc2");
	assert_nat(0, "172.17.0.1", 700);
	assert_nat(1, "172.17.0.3", 5001);
}

/* A connection of the host is translated before any hook. */
static void original_face_on_no_wire(void **state)
{
	struct flow_key service = stack_key(OUTSIDE, 700, "198.51.100.1", 50000);

	(void)state;
	translated = stack_key(OUTSIDE, 700, WORLD, 5001);
	translate(entry_of(end_of(OUTSIDE, 700), end_of("198.51.100.1", 50000),
			   end_of(OUTSIDE, 700), end_of(WORLD, 5001)));
	for (int round = 0; round < 2; round++) {
		/* the second time there is an entry for it */
		stack_out(&stack, "eth0", NULL, &translated, 0, 7);
		stack_in(&stack, "eth0", &translated, 1, 2);
		make_report();
		assert_only(&service, 7 * (round + 1), 2 * (round + 1), "eth0");
		assert_nat(1, WORLD, 5001);
		assert_int_equal(report.flows[0].left, 0);
	}
}

/* Redirected: nothing is to be joined, but conntrack knows the client. */
static void only_the_original_face(void **state)
{
	(void)state;
	stack_in(&stack, "eth0", &original, CLIENT, 2);
	make_report();
	assert_int_equal(report.flows[0].left, SERVER); /* by the ports */
	translate(entry_of(end_of(INSIDE, 700), end_of(WORLD, 50000), end_of(INSIDE, 700),
			   end_of(OUTSIDE, 5001)));
	make_report();
	assert_only(&original, 2, 0, "eth0");
	assert_int_equal(report.flows[0].left, CLIENT);
	assert_nat(SERVER, OUTSIDE, 5001);
}

static void without_ports(void **state)
{
	struct conntrack_entry ping =
		entry_of(end_of(INSIDE, 0), end_of(WORLD, 0), end_of(OUTSIDE, 0), end_of(WORLD, 0));

	(void)state;
	original = stack_key(INSIDE, 0, WORLD, 0);
	translated = stack_key(OUTSIDE, 0, WORLD, 0);
	original.protocol = translated.protocol = ping.protocol = 1;
	translate(ping);
	out_to_world(3);
	in_from_world(3);
	make_report();
	assert_only(&original, 3, 3, "vc1>br0>eth0");
	assert_nat(CLIENT, OUTSIDE, 0);

	/* a second client behind the same address: whose are the replies? */
	ping.original = tuple_of(end_of("172.17.0.3", 0), end_of(WORLD, 0));
	ping.id = 2;
	translate(ping);
	merge_next_interval(stack.merge);
	out_to_world(3);
	in_from_world(3);
	make_report();
	assert_int_equal(report.flow_count, 2);
	assert_int_equal(report.total.packets, 6);
}

/* The same tuple in two zones is two conversations with one key. */
static void zones_are_not_joined(void **state)
{
	struct conntrack_entry entry = masqueraded();

	(void)state;
	entry.zone[0] = 1;
	translate(entry);
	entry.zone[0] = 2;
	entry.reply.destination_port = htons(1024);
	translate(entry);
	out_to_world(9);
	in_from_world(4);
	translated = stack_key(OUTSIDE, 1024, WORLD, 50000);
	out_to_world(2);
	in_from_world(1);
	make_report();
	assert_int_equal(report.flow_count, 3);
	assert_int_equal(report.total.packets, 16);
}

static void exclude_only(const char *excluded)
{
	static const char *const names[] = {"eth0", "br0", "vc1", "vc2"};

	for (size_t i = 0; i < 4; i++)
		stack.links[i].id = strstr(excluded, names[i]) ? 0 : (uint32_t)i + 101;
	stack_resolve(&stack);
}

/*
 * Where not all is watched, the uplink's egress hook is judged by what the others saw, under the
 * other face.
 */
static void faces_meet_before_judging(void **state)
{
	static const struct {
		const char *excluded, *path;
	} cases[] = {
		{"vc1", "br0>eth0"},	 {"vc2", "vc1>br0>eth0"}, {"br0", "vc1>eth0"},
		{"br0 vc2", "vc1>eth0"}, {"br0 vc1", "eth0"},	  {"br0 vc1 vc2", "eth0"},
		{"vc1 vc2", "br0>eth0"}, {"eth0", "vc1>br0"},
	};

	(void)state;
	translate(masqueraded());
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		exclude_only(cases[i].excluded);
		out_to_world(9);
		in_from_world(4);
		next_interval();
		assert_only(&original, 9, 4, cases[i].path);
	}
	/* and what it is good for */
	exclude_only("br0 vc2");
	nat_table_free(stack.nat);
	stack.nat = NULL;
	out_to_world(9);
	assert_total(18);
}

/* Packets between the container's port and the uplink when the maps are swapped. */
static void under_way_with_another_face(void **state)
{
	(void)state;
	translate(masqueraded());
	exclude_only("br0 vc2");
	stack_in(&stack, "vc1", &original, CLIENT, 8);
	stack_out(&stack, "eth0", "br0", &translated, CLIENT, 3);
	next_interval();
	assert_only(&original, 8, 0, "vc1>eth0");
	stack_in(&stack, "vc1", &original, CLIENT, 2);
	stack_out(&stack, "eth0", "br0", &translated, CLIENT, 5 + 2);
	make_report();
	assert_only(&original, 2, 0, "vc1>eth0");
	make_report();
	assert_only(&original, 2, 0, "vc1>eth0");
	merge_next_interval(stack.merge);

	/* the uplink has seen none of it when the interval ends */
	stack_in(&stack, "vc1", &original, CLIENT, 4);
	next_interval();
	next_interval();
	stack_in(&stack, "vc1", &original, CLIENT, 4);
	next_interval();
	stack_out(&stack, "eth0", "br0", &translated, CLIENT, 4);
	assert_total(0);
}

/* What was owed before the kernel told of the translation is owed under the other face. */
static void owed_under_another_face(void **state)
{
	(void)state;
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_resolve(&stack);
	stack_out(&stack, "eth0.5", NULL, &translated, CLIENT, 5);
	stack_out(&stack, "eth0", NULL, &translated, CLIENT, 2);
	next_interval();
	assert_only(&translated, 5, 0, "eth0>eth0.5"); /* the ports say so */
	translate(masqueraded());
	stack_out(&stack, "eth0", NULL, &translated, CLIENT, 3);
	make_report();
	assert_int_equal(report.total.packets, 0);
	stack_out(&stack, "eth0", NULL, &translated, CLIENT, 1);
	make_report();
	assert_only(&original, 1, 0, "eth0");
}

/* Records may come after a report that was not the interval's last, under either key, from
 * interfaces that were read before and from new ones. */
static void reports_in_between(void **state)
{
	(void)state;
	translate(masqueraded());
	stack_in(&stack, "vc1", &original, CLIENT, 1);
	stack_in(&stack, "eth0", &translated, SERVER, 1);
	make_report();
	assert_only(&original, 1, 1, "vc1>eth0");
	for (uint64_t i = 2; i <= 5; i++) {
		stack_in(&stack, "eth0", &translated, SERVER, 1);
		stack_in(&stack, "vc1", &original, CLIENT, 1);
		stack_in(&stack, i % 2 ? "br0" : "vc1", &original, CLIENT, 0);
		if (i % 2)
			make_report();
		stack_out(&stack, "eth0", "br0", &translated, CLIENT, 1);
		make_report();
		assert_only(&original, i, i, "vc1>eth0");
		make_report();
		assert_only(&original, i, i, "vc1>eth0");
		/* one place for each hook and sender, however often it was added to */
		assert_int_equal(report.crossed_count, 2);
	}
	in_from_world(2);
	next_interval();
	assert_only(&original, 5, 7, "vc1>eth0>br0");
	next_interval();
	assert_int_equal(report.flow_count, 0);
}

static void unattributed_packets_stay(void **state)
{
	struct flow_key non_ip = {.protocol = FLOW_NON_IP};
	struct flow_value value = {.count[0][FLOW_INGRESS] = {60, 1}};

	(void)state;
	translate(masqueraded());
	out_to_world(1);
	assert_int_equal(merge_add(stack.merge, 101, &non_ip, &value, 1), 0);
	make_report();
	assert_only(&original, 1, 0, "vc1>br0>eth0");
	assert_int_equal(report.unattributed_count, 1);
	assert_int_equal(report.unattributed[0].count.bytes, 60);
}

/* Enough to grow all tables; of every third conversation only the translated face is seen. */
static void many_conversations(void **state)
{
	enum { COUNT = 30000 };

	(void)state;
	for (uint32_t i = 0; i < COUNT; i++) {
		struct conntrack_entry entry = masqueraded();
		struct flow_key a = original, b = translated;

		memcpy(entry.original.source + 12, &i, sizeof(i));
		memcpy(a.addr[0].bytes + 12, &i, sizeof(i));
		entry.reply.destination_port = b.port[0] = htons((uint16_t)(1000 + i));
		if (memcmp(a.addr[0].bytes, a.addr[1].bytes, 16) > 0)
			continue;
		translate(entry);
		if (i % 3)
			stack_in(&stack, "vc1", &a, 0, 1);
		stack_in(&stack, "eth0", &b, 1, i % 3 + 1);
	}
	for (int round = 0; round < 2; round++) {
		size_t count = nat_table_count(stack.nat);

		make_report();
		assert_true(count > COUNT / 2);
		assert_int_equal(report.flow_count, count);
		assert_int_equal(report.nat_count, count);
		for (size_t f = 0; f < report.flow_count; f++) {
			const struct report_flow *flow = &report.flows[f];
			uint32_t i;

			memcpy(&i, flow->key.addr[0].bytes + 12, sizeof(i));
			assert_int_equal(flow->sent[0].packets, i % 3 ? 1 : 0);
			assert_int_equal(flow->sent[1].packets, i % 3 + 1);
			assert_int_equal(report_flow_nat(&report, flow)->seen_as[0].port,
					 htons((uint16_t)(1000 + i)));
		}
	}
}

/* Enough for some to be moved before the table would have to grow. */
static void out_of_memory_loses_nothing(void **state)
{
	enum { COUNT = 700 };
	struct merge_interface eth0 = {.id = 101,
				       .ifindex = 1,
				       .name = "eth0",
				       .role = &stack.roles[0]};
	struct merge_ends ends = {.nat = stack.nat, .locals = stack.locals};

	(void)state;
	for (uint16_t i = 1; i <= COUNT; i++) {
		struct conntrack_entry entry = masqueraded();

		entry.original.source_port = entry.reply.destination_port = htons(i);
		translate(entry);
		translated.port[CLIENT] = htons(i);
		stack_in(&stack, "eth0", &translated, SERVER, 1);
	}
	out_of_memory = true;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(merge_report(stack.merge, &eth0, 1, &ends, &report), -ENOMEM);
		assert_true(merge_flow_count(stack.merge) > COUNT);
		assert_true(merge_flow_count(stack.merge) < 2 * COUNT);
	}
	out_of_memory = false;
	make_report();
	assert_int_equal(merge_flow_count(stack.merge), 2 * COUNT);
	assert_int_equal(report.flow_count, COUNT);
	assert_int_equal(report.nat_count, COUNT);
	assert_int_equal(report.total.packets, COUNT);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(masquerade_both_ways),
		test(client_of_untranslated),
		test(without_knowledge_two_flows),
		test(destination_translated),
		test(ends_the_other_way_round),
		test(half_translated_faces),
		test(original_face_on_no_wire),
		test(only_the_original_face),
		test(without_ports),
		test(zones_are_not_joined),
		test(faces_meet_before_judging),
		test(under_way_with_another_face),
		test(owed_under_another_face),
		test(reports_in_between),
		test(unattributed_packets_stay),
		test(many_conversations),
		test(out_of_memory_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
