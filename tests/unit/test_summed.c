// SPDX-License-Identifier: GPL-2.0-only
/* A merge with a limit: the smallest flows are sums, and all sums are what they would be without.
 */
#include "report/summed.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/filter.h"
#include "netlink/link_tunnel.h"
#include "report/sort.h"
#include "report/tunnel.h"
#include "tests/random.h"
#include "tests/unit/stack_fixture.h"

#include <errno.h>
#include <netinet/in.h>

#define ROUNDS	   300
#define FLOWS	   200
#define FLOW_WAYS  4
#define VXLAN_PORT 4789

static struct random dice = {.state = 1};

/* Nothing is judged here. */
static void add_plain_host(void)
{
	add_container_host();
	stack_resolve(&stack);
}

/* What leaves by eth0 is judged by what left through the VLAN on it. */
static void add_vlan_host(void)
{
	stack_add(&stack, "eth0", "physical");
	stack_over(&stack, "eth0.5", "vlan", "eth0");
	stack_resolve(&stack);
}

static struct flow_key flow_number(unsigned int number)
{
	struct flow_key key = stack_key("10.0.0.1", 0, "10.0.0.2", 80);

	key.addr[0].bytes[14] = (uint8_t)(number >> 8);
	key.addr[0].bytes[15] = (uint8_t)number;
	return key;
}

/* Flows of 1, 2, 3 and 4 packets, of which the limit leaves the last two. */
static void sum_two_of_four(void)
{
	add_plain_host();
	merge_set_max_flows(stack.merge, 2);
	for (unsigned int i = 1; i <= 4; i++) {
		struct flow_key key = flow_number(i);

		stack_in(&stack, "eth0", &key, 0, i);
	}
	stack_sum_smallest(&stack);
}

static const struct report_sum *find_other(const char *name)
{
	for (size_t i = 0; i < report.other_count; i++)
		if (!strcmp(report.interfaces[report.others[i].interface].name, name))
			return &report.others[i];
	return NULL;
}

static void assert_other(const char *name, size_t flows, uint64_t packets)
{
	const struct report_sum *other = find_other(name);

	assert_non_null(other);
	assert_int_equal(other->flows, flows);
	assert_int_equal(other->count.packets, packets);
	assert_int_equal(other->count.bytes, 100 * packets);
}

/* What is named and what is in the others is the total. */
static void assert_adds_up(void)
{
	const struct flow_count summed = summed_count(&report);
	struct flow_count sum = {0}, others = {0};
	size_t flows = report.flow_count;

	for (size_t i = 0; i < report.flow_count; i++)
		for (int end = 0; end < 2; end++)
			flow_count_add(&sum, &report.flows[i].sent[end]);
	for (size_t i = 0; i < report.other_count; i++) {
		flow_count_add(&others, &report.others[i].count);
		flows += report.others[i].flows;
		assert_true(!i || report.others[i - 1].interface < report.others[i].interface);
	}
	assert_int_equal(summed.bytes, others.bytes);
	assert_int_equal(summed.packets, others.packets);
	flow_count_add(&sum, &others);
	assert_int_equal(sum.bytes, report.total.bytes);
	assert_int_equal(sum.packets, report.total.packets);
	assert_int_equal(flows, report_flow_total(&report));
}

static void smallest_are_summed(void **state)
{
	(void)state;
	add_plain_host();
	merge_set_max_flows(stack.merge, 4);
	for (unsigned int i = 1; i <= 6; i++) {
		struct flow_key key = flow_number(i);

		stack_in(&stack, "vc1", &key, 0, i);
		stack_in(&stack, "br0", &key, 0, i);
		stack_out(&stack, "eth0", "br0", &key, 0, i);
	}
	assert_false(merge_is_over(stack.merge));
	stack_sum_smallest(&stack);
	make_report();
	/* only the report was cut */
	assert_int_equal(report.flow_count, 4);
	assert_other("vc1", 2, 1 + 2);
	assert_adds_up();

	for (unsigned int i = 7; i <= 8; i++) {
		struct flow_key key = flow_number(i);

		stack_in(&stack, "eth0", &key, 1, 10 * i);
	}
	assert_true(merge_is_over(stack.merge));
	stack_sum_smallest(&stack);
	assert_false(merge_is_over(stack.merge));
	assert_int_equal(merge_flow_count(stack.merge), 8);
	make_report();
	assert_int_equal(report.flow_count, 4);
	assert_int_equal(report.named, 4);
	assert_int_equal(report.flows[0].sent[1].packets, 80);
	assert_int_equal(report.flows[3].sent[0].packets, 5);
	assert_string_equal(stack_path(&report, &report.flows[3]), "vc1>br0>eth0");
	assert_int_equal(report.other_count, 1);
	assert_other("vc1", 4, 1 + 2 + 3 + 4);
	assert_int_equal(report.total.packets, 1 + 2 + 3 + 4 + 5 + 6 + 70 + 80);
	assert_adds_up();
	/* of summed flows, too, it is told what the interfaces showed */
	for (size_t i = 0; i < report.interface_count; i++) {
		if (!strcmp(report.interfaces[i].name, "br0")) {
			assert_int_equal(report.interfaces[i].flows, 6);
			assert_int_equal(report.interfaces[i].in.packets, 1 + 2 + 3 + 4 + 5 + 6);
		}
	}
	merge_next_interval(stack.merge);
	make_report();
	assert_int_equal(report.other_count, 0);
	assert_int_equal(report_flow_total(&report), 0);
}

/* What is read of a flow after it was summed is another one; its repeats count nowhere. */
static void summed_flow_comes_again(void **state)
{
	struct flow_key key = flow_number(1);

	(void)state;
	add_plain_host();
	merge_set_max_flows(stack.merge, 2);
	stack_in(&stack, "vc1", &key, 0, 1);
	for (unsigned int i = 2; i <= 4; i++) {
		struct flow_key larger = flow_number(i);

		stack_in(&stack, "vc1", &larger, 0, 10 * i);
	}
	stack_sum_smallest(&stack);
	stack_in(&stack, "br0", &key, 0, 1);
	stack_out(&stack, "eth0", "br0", &key, 0, 1);
	make_report();
	assert_int_equal(report.total.packets, 1 + 20 + 30 + 40);
	assert_int_equal(report.flow_count, 2);
	assert_other("vc1", 2, 1 + 20);
	stack_in(&stack, "vc1", &key, 0, 100);
	make_report();
	assert_int_equal(report.total.packets, 101 + 20 + 30 + 40);
	assert_int_equal(report.flows[0].sent[0].packets, 100);
	assert_other("vc1", 3, 1 + 20 + 30);
	assert_adds_up();
}

/* A look and the report are alike, and looking changes nothing. */
static void copy_has_the_sums(void **state)
{
	struct merge *original = stack.merge, *copy;

	(void)state;
	sum_two_of_four();
	assert_int_equal(merge_copy(&copy, stack.merge), 0);
	stack.merge = copy;
	make_report();
	assert_other("eth0", 2, 1 + 2);
	assert_adds_up();
	merge_free(copy);
	stack.merge = original;
	make_report();
	assert_other("eth0", 2, 1 + 2);
}

/* Which part of a VLAN's flow is a first sight below it is known when all of it is. */
static void judged_flows_stay(void **state)
{
	(void)state;
	add_vlan_host();
	merge_set_max_flows(stack.merge, 2);
	for (unsigned int i = 1; i <= 6; i++) {
		struct flow_key key = flow_number(i);

		stack_out(&stack, "eth0.5", NULL, &key, 0, i);
		if (i == 4)
			stack_sum_smallest(&stack);
	}
	assert_int_equal(merge_flow_count(stack.merge), 6);
	stack_sum_smallest(&stack);
	assert_true(merge_must_report(stack.merge));
	/* each went out below, and as many packets again that were born there */
	for (unsigned int i = 1; i <= 6; i++) {
		struct flow_key key = flow_number(i);

		stack_out(&stack, "eth0", NULL, &key, 0, 2 * i);
	}
	make_report();
	assert_int_equal(report.total.packets, 2 * (1 + 2 + 3 + 4 + 5 + 6));
	assert_int_equal(report.flow_count, 2);
	assert_int_equal(report.flows[0].sent[0].packets, 12);
	assert_adds_up();
	merge_next_interval(stack.merge);
	assert_false(merge_must_report(stack.merge));
}

/* What only arrives there is not judged, however its answers are. */
static void flows_beside_judged_ones_are_summed(void **state)
{
	struct flow_key judged = flow_number(100);

	(void)state;
	add_vlan_host();
	merge_set_max_flows(stack.merge, 2);
	stack_out(&stack, "eth0", NULL, &judged, 0, 1);
	for (unsigned int i = 1; i <= 6; i++) {
		struct flow_key key = flow_number(i);

		stack_in(&stack, "eth0", &key, 1, 10 * i);
		stack_in(&stack, "eth0.5", &key, 1, 10 * i);
	}
	stack_sum_smallest(&stack);
	assert_false(merge_is_over(stack.merge));
	assert_false(merge_must_report(stack.merge));
	stack_out(&stack, "eth0", NULL, &judged, 0, 99);
	make_report();
	assert_int_equal(report.flow_count, 2);
	assert_int_equal(report.flows[0].sent[0].packets, 100);
	assert_other("eth0", 5, 10 + 20 + 30 + 40 + 50);
	assert_adds_up();
}

/* Where a hook is judged by anything that was counted, nothing is certain. */
static void nothing_is_summed_beside_anything(void **state)
{
	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "a", "veth");
	stack_veth_pair(&stack, "b", "c");
	stack_exclude(&stack, "b");
	stack_resolve(&stack);
	merge_set_max_flows(stack.merge, 2);
	for (unsigned int i = 1; i <= 6; i++) {
		struct flow_key key = flow_number(i);

		stack_in(&stack, "eth0", &key, 0, i);
	}
	stack_sum_smallest(&stack);
	assert_true(merge_must_report(stack.merge));
	for (unsigned int i = 1; i <= 6; i++) {
		struct flow_key key = flow_number(i);

		stack_in(&stack, "c", &key, 0, i);
	}
	make_report();
	assert_int_equal(report.total.packets, 1 + 2 + 3 + 4 + 5 + 6);
	assert_adds_up();
}

/* Outer packets are in the sum of their tunnel, and in no other. */
static void summed_outer_packets(void **state)
{
	struct link_tunnel outer = {.protocols = {IPPROTO_UDP}, .port = htons(VXLAN_PORT)};
	struct tunnel_set *set;

	(void)state;
	stack_add(&stack, "eth0", "physical");
	stack_add(&stack, "vx0", "vxlan");
	stack_resolve(&stack);
	assert_int_equal(tunnel_set_new(&set), 0);
	outer.other_remotes = true;
	memcpy(outer.local, stack_key("10.0.0.9", 0, "10.0.0.9", 0).addr[0].bytes, 16);
	assert_int_equal(local_set_add(stack.locals, 1, outer.local), 0);
	assert_int_equal(tunnel_set_add(set, stack.links[stack_find(&stack, "vx0")].id, &outer), 0);
	stack.tunnels = set;
	merge_set_max_flows(stack.merge, 4);
	for (unsigned int i = 1; i <= 10; i++) {
		struct flow_key key =
			stack_key("10.0.0.9", (uint16_t)(1000 + i), "10.0.0.10", VXLAN_PORT);
		struct flow_key inner = flow_number(i);

		key.protocol = IPPROTO_UDP;
		stack_out(&stack, "eth0", NULL, &key, 0, i);
		stack_out(&stack, "vx0", NULL, &inner, 0, i);
		stack_sum_smallest(&stack);
	}
	make_report();
	assert_int_equal(report.total.packets, 55);
	assert_int_equal(report.tunnel_count, 1);
	assert_int_equal(report.tunnels[0].count.packets, 55);
	assert_int_equal(report.tunnels[0].flows, 10);
	assert_int_equal(report.interfaces[report.tunnels[0].interface].name[0], 'v');
	assert_true(report.flow_count <= 4);
	assert_true(report.left_out_count <= 4);
	assert_adds_up();
	tunnel_set_free(set);
}

static void summed_and_filtered(void **state)
{
	struct filter only = {0}, ignore = {0};

	(void)state;
	add_plain_host();
	assert_int_equal(filter_add_ports(&only, 80, 80), 0);
	assert_int_equal(filter_add_protocol(&ignore, IPPROTO_UDP), 0);
	stack.only = &only;
	stack.ignore = &ignore;
	merge_set_max_flows(stack.merge, 2);
	for (unsigned int i = 1; i <= 9; i++) {
		struct flow_key key = flow_number(i);

		if (i % 3 == 1)
			key.port[1] = htons(81);
		if (i % 3 == 2)
			key.protocol = IPPROTO_UDP;
		stack_in(&stack, "eth0", &key, 0, i);
		stack_sum_smallest(&stack);
	}
	make_report();
	assert_int_equal(report.total.packets, 3 + 6 + 9);
	assert_int_equal(report.filtered.count.packets, 1 + 2 + 4 + 5 + 7 + 8);
	assert_int_equal(report.filtered.flows, 6);
	assert_int_equal(report_flow_total(&report), 3);
	assert_adds_up();
	filter_clean(&only);
	filter_clean(&ignore);
}

/* The agent dies, and another one goes on with what was kept. */
static void go_on_elsewhere(size_t limit)
{
	struct buffer bytes = {0};

	merge_encode(stack.merge, &bytes);
	assert_int_equal(buffer_error(&bytes), 0);
	merge_free(stack.merge);
	assert_int_equal(merge_new(&stack.merge), 0);
	merge_set_max_flows(stack.merge, limit);
	assert_int_equal(merge_decode(stack.merge, bytes.data, bytes.size), 0);
	buffer_free(&bytes);
}

static size_t kept_size(void)
{
	struct buffer bytes = {0};
	size_t size;

	merge_encode(stack.merge, &bytes);
	assert_int_equal(buffer_error(&bytes), 0);
	size = bytes.size;
	buffer_free(&bytes);
	return size;
}

/* However often the maps of interfaces are read in turn, a flow takes the room of its first time;
 * in another process, too. */
static void maps_read_in_turn(void **state)
{
	struct flow_key key = flow_number(1);
	size_t size = 0;

	(void)state;
	add_plain_host();
	for (int round = 1; round <= 6; round++) {
		stack_in(&stack, "eth0", &key, 0, 1);
		stack_in(&stack, "vc1", &key, 0, 1);
		if (round == 1)
			size = kept_size();
		assert_int_equal(kept_size(), size);
		if (round == 3)
			go_on_elsewhere(0);
	}
	make_report();
	assert_int_equal(report.flow_count, 1);
	assert_int_equal(report.total.packets, 12);
}

static struct buffer bytes_of_a_merge_with_sums(void)
{
	struct buffer bytes = {0};

	sum_two_of_four();
	merge_encode(stack.merge, &bytes);
	assert_int_equal(buffer_error(&bytes), 0);
	merge_next_interval(stack.merge);
	return bytes;
}

/* What is refused leaves nothing behind. */
static void cut_off_anywhere(void **state)
{
	struct buffer bytes = bytes_of_a_merge_with_sums();

	(void)state;
	for (size_t size = 0; size < bytes.size; size++) {
		/* a copy of that size, so that a read behind it is seen */
		_free_ char *cut = malloc(size ? size : 1);

		assert_non_null(cut);
		memcpy(cut, bytes.data, size);
		assert_int_equal(merge_decode(stack.merge, cut, size), -EBADMSG);
		assert_int_equal(merge_flow_count(stack.merge), 0);
	}
	assert_int_equal(merge_decode(stack.merge, bytes.data, bytes.size), 0);
	make_report();
	assert_other("eth0", 2, 1 + 2);
	assert_int_equal(report.total.packets, 1 + 2 + 3 + 4);
	buffer_free(&bytes);
}

/* Of all that was decoded what interfaces of the host showed stays. Returns how many flows had
 * something of the rest. */
static size_t keep_what_is_known(struct flow_count *dropped)
{
	uint32_t ids[STACK_MAX];
	size_t n = 0;

	for (size_t i = 0; i < stack.count; i++)
		if (stack.links[i].id)
			ids[n++] = stack.links[i].id;
	return merge_keep_ids(stack.merge, ids, n, dropped);
}

/* Adds up as a report or does not, but it is one. */
static void make_report_of_anything(void)
{
	struct merge_interface interfaces[STACK_MAX];
	const struct merge_ends ends = stack_ends(&stack);
	size_t n = stack_interfaces(&stack, interfaces);

	report_clean(&report);
	assert_int_equal(merge_report(stack.merge, interfaces, n, &ends, &report), 0);
}

/* Any byte may be wrong, by one bit or by all: it is refused or taken, never followed out of
 * bounds, and what is taken makes a report. */
static void any_byte_wrong(void **state)
{
	struct buffer bytes = bytes_of_a_merge_with_sums();

	(void)state;
	for (size_t i = 0; i < 9 * bytes.size; i++) {
		char *byte = &bytes.data[i / 9], right = *byte;
		struct flow_count dropped;

		*byte = (char)(right ^ (i % 9 < 8 ? 1 << i % 9 : 0xff));
		if (!merge_decode(stack.merge, bytes.data, bytes.size)) {
			(void)keep_what_is_known(&dropped);
			make_report_of_anything();
		}
		merge_next_interval(stack.merge);
		*byte = right;
	}
	buffer_free(&bytes);
}

/* What is of no interface that is known is in no report, and it is known how much that was. */
static void of_unknown_interfaces(void **state)
{
	struct buffer bytes = bytes_of_a_merge_with_sums();
	struct flow_key key = flow_number(9);
	struct flow_count dropped;

	(void)state;
	merge_set_max_flows(stack.merge, 0);
	/* one that eth0 shows too */
	assert_int_equal(merge_decode(stack.merge, bytes.data, bytes.size), 0);
	stack_in(&stack, "eth0", &key, 0, 5);
	stack_out(&stack, "vc1", "eth0", &key, 0, 5);
	stack_exclude(&stack, "vc1");
	assert_int_equal(keep_what_is_known(&dropped), 1);
	assert_int_equal(dropped.packets, 5);
	make_report();
	assert_other("eth0", 2, 1 + 2);
	assert_int_equal(report.total.packets, 1 + 2 + 3 + 4 + 5);

	stack_exclude(&stack, "eth0");
	/* two flows and the sum of two, and the one above */
	assert_int_equal(keep_what_is_known(&dropped), 5);
	assert_int_equal(dropped.packets, 1 + 2 + 3 + 4 + 5);
	make_report();
	assert_int_equal(report.total.packets, 0);
	assert_int_equal(report_flow_total(&report), 0);
	buffer_free(&bytes);
}

/* What one flow sends, by a way on which it is counted at one interface. */
struct model {
	uint64_t packets;
	bool shown;
};

static const struct {
	const char *counted_at;
	unsigned int end;
} ways[FLOW_WAYS] = {{"vc1", 0}, {"eth0", 1}, {"br0", 1}, {"lo", 0}};

static void go(unsigned int way, const struct flow_key *key, uint64_t packets)
{
	unsigned int end = ways[way].end;

	switch (way) {
	case 0:
		stack_in(&stack, "vc1", key, (int)end, packets);
		stack_in(&stack, "br0", key, (int)end, packets);
		stack_out(&stack, "eth0", "br0", key, (int)end, packets);
		break;
	case 1:
		stack_in(&stack, "eth0", key, (int)end, packets);
		stack_out(&stack, "br0", "eth0", key, (int)end, packets);
		stack_out(&stack, "vc1", "eth0", key, (int)end, packets);
		break;
	case 2:
		stack_out(&stack, "br0", NULL, key, (int)end, packets);
		stack_out(&stack, "vc2", NULL, key, (int)end, packets);
		break;
	case 3:
		stack_out(&stack, "lo", NULL, key, (int)end, packets);
		stack_in(&stack, "lo", key, (int)end, packets);
		break;
	}
}

static int compare_packets(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

/* Each flow by one way and read once: the largest are named, the others are where they belong. */
static void compare_with_model(size_t limit, const uint64_t packets[FLOWS],
			       const unsigned int way[FLOWS], unsigned int flows)
{
	uint64_t sums[FLOW_WAYS] = {0}, sorted[FLOWS], total = 0;
	size_t named = flows < limit ? flows : limit;

	memcpy(sorted, packets, flows * sizeof(*sorted));
	qsort(sorted, flows, sizeof(*sorted), compare_packets);
	for (unsigned int i = 0; i < flows; i++) {
		sums[way[i]] += packets[i];
		total += packets[i];
	}
	assert_int_equal(report.total.packets, total);
	assert_int_equal(report_flow_total(&report), flows);
	assert_int_equal(report.flow_count, named);
	for (size_t i = 0; i < named; i++) {
		const struct report_flow *flow = &report.flows[i];
		const struct flow_key *key = &flow->key;
		unsigned int number = key->addr[0].bytes[14] << 8U | key->addr[0].bytes[15];

		assert_int_equal(flow->sent[0].packets + flow->sent[1].packets, sorted[i]);
		assert_int_equal(flow->sent[ways[way[number]].end].packets, packets[number]);
		sums[way[number]] -= packets[number];
	}
	for (unsigned int w = 0; w < FLOW_WAYS; w++) {
		const struct report_sum *other = find_other(ways[w].counted_at);

		assert_int_equal(other ? other->count.packets : 0, sums[w]);
	}
	assert_adds_up();
}

static void largest_are_named(void **state)
{
	(void)state;
	add_plain_host();
	for (int round = 0; round < ROUNDS; round++) {
		unsigned int flows = 1 + random_below(&dice, FLOWS), way[FLOWS];
		unsigned int most = 1 + random_below(&dice, 50); /* many are alike */
		size_t limit = 1 + random_below(&dice, FLOWS);
		uint64_t packets[FLOWS];

		merge_set_max_flows(stack.merge, limit);
		for (unsigned int i = 0; i < flows; i++) {
			struct flow_key key = flow_number(i);

			packets[i] = 1 + random_below(&dice, most);
			way[i] = random_below(&dice, FLOW_WAYS);
			go(way[i], &key, packets[i]);
			if (random_below(&dice, 2))
				stack_sum_smallest(&stack);
			if (!random_below(&dice, 40))
				go_on_elsewhere(limit);
			assert_true(merge_flow_count(stack.merge) == i + 1);
		}
		make_report();
		compare_with_model(limit, packets, way, flows);
		merge_next_interval(stack.merge);
	}
}

/* Flows by all ways, read bit by bit: whatever is summed when, the sums are right. */
static void sums_are_exact(void **state)
{
	(void)state;
	add_plain_host();
	for (int round = 0; round < ROUNDS; round++) {
		size_t limit = 1 + random_below(&dice, FLOWS);
		uint64_t sent[2] = {0}, counted[2] = {0};

		merge_set_max_flows(stack.merge, limit);
		for (int i = 0; i < 2 * FLOWS; i++) {
			struct flow_key key = flow_number(random_below(&dice, FLOWS));
			unsigned int way = random_below(&dice, FLOW_WAYS);
			uint64_t packets = 1 + random_below(&dice, 1000);

			go(way, &key, packets);
			sent[0] += packets;
			sent[1] += ways[way].end ? 0 : packets;
			if (merge_is_over(stack.merge))
				stack_sum_smallest(&stack);
			if (!random_below(&dice, 40))
				go_on_elsewhere(limit);
		}
		make_report();
		assert_true(report.flow_count <= limit);
		assert_int_equal(report.total.packets, sent[0]);
		assert_int_equal(report.total.bytes, 100 * sent[0]);
		assert_adds_up();
		for (size_t i = 0; i < report.interface_count; i++)
			for (int out = 0; out < 2; out++)
				counted[out] += report.interfaces[i].counted[out].packets;
		assert_int_equal(counted[0] + counted[1], sent[0]);
		merge_next_interval(stack.merge);
	}
}

static int compare_numbers(const void *a, const void *b)
{
	return -compare_packets(a, b);
}

static void select_is_like_sort(void **state)
{
	uint64_t numbers[FLOWS], sorted[FLOWS];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		size_t n = 1 + random_below(&dice, FLOWS), k = random_below(&dice, (uint32_t)n);
		unsigned int shift = random_below(&dice, 64);

		for (size_t i = 0; i < n; i++)
			numbers[i] = random_below(&dice, 8)
					     ? (uint64_t)random_below(&dice, 100) << shift
					     : UINT64_MAX;
		memcpy(sorted, numbers, n * sizeof(*sorted));
		qsort(sorted, n, sizeof(*sorted), compare_numbers);
		assert_true(sort_select(numbers, n, k) == sorted[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(smallest_are_summed, setup_stack, teardown_stack),
		cmocka_unit_test_setup_teardown(summed_flow_comes_again, setup_stack,
						teardown_stack),
		cmocka_unit_test_setup_teardown(copy_has_the_sums, setup_stack, teardown_stack),
		cmocka_unit_test_setup_teardown(judged_flows_stay, setup_stack, teardown_stack),
		cmocka_unit_test_setup_teardown(flows_beside_judged_ones_are_summed, setup_stack,
						teardown_stack),
		cmocka_unit_test_setup_teardown(nothing_is_summed_beside_anything, setup_stack,
						teardown_stack),
		cmocka_unit_test_setup_teardown(summed_outer_packets, setup_stack, teardown_stack),
		cmocka_unit_test_setup_teardown(summed_and_filtered, setup_stack, teardown_stack),
		cmocka_unit_test_setup_teardown(maps_read_in_turn, setup_stack, teardown_stack),
		cmocka_unit_test_setup_teardown(cut_off_anywhere, setup_stack, teardown_stack),
		cmocka_unit_test_setup_teardown(of_unknown_interfaces, setup_stack, teardown_stack),
		cmocka_unit_test_setup_teardown(any_byte_wrong, setup_stack, teardown_stack),
		cmocka_unit_test_setup_teardown(largest_are_named, setup_stack, teardown_stack),
		cmocka_unit_test_setup_teardown(sums_are_exact, setup_stack, teardown_stack),
		cmocka_unit_test(select_is_like_sort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
