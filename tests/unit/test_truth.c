// SPDX-License-Identifier: GPL-2.0-only
/* What links say, beside what was seen. */
#include "lib/array.h"
#include "supervisor/truth.h"

#include <linux/if_arp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct truth_sum sum;

static struct link a_link(const char *kind, uint16_t type)
{
	struct link link = {.type = type, .name = "x0"};

	strcpy(link.kind, kind);
	return link;
}

static struct truth_moment at(uint64_t packets, uint64_t bytes)
{
	struct link_stats stats = {packets, packets, bytes, bytes};

	return (struct truth_moment){.stats = {stats, stats}, .known = true};
}

static struct truth *begin(const char *kind)
{
	struct link link = a_link(kind, ARPHRD_ETHER);
	struct truth_moment moment = at(100, 10000);
	struct truth *truth;

	memset(&sum, 0, sizeof(sum));
	assert_int_equal(truth_new(&truth, &link, &moment, &sum), 0);
	return truth;
}

static void see(struct truth *truth, enum flow_class class, uint64_t packets, uint64_t bytes)
{
	struct flow_key key = {.family = FLOW_IPV4};
	struct flow_value value = {0};

	value.count[1][class] = (struct flow_count){bytes, packets};
	truth_add(truth, &key, &value, 1);
}

/* A super-packet of that many segments, whose headers of 40 bytes it repeats. */
static void see_segments(struct truth *truth, uint64_t segments)
{
	struct flow_key key = {.family = FLOW_UNATTRIBUTED, .protocol = FLOW_FRAMES};
	struct flow_value value = {0};

	see(truth, FLOW_INGRESS, segments, segments * 1500);
	value.count[0][FLOW_INGRESS] = (struct flow_count){-(segments - 1) * 40, 1 - segments};
	truth_add(truth, &key, &value, 1);
}

static void assert_way(const struct truth *truth, enum truth_way way, uint64_t seen_packets,
		       uint64_t seen_bytes, uint64_t missed_packets, uint64_t missed_bytes)
{
	struct truth_verdict verdict = truth_verdict(truth, way);

	assert_true(verdict.known);
	assert_int_equal(verdict.seen.packets, seen_packets);
	assert_int_equal(verdict.seen.bytes, seen_bytes);
	assert_int_equal(verdict.missed.packets, missed_packets);
	assert_int_equal(verdict.missed.bytes, missed_bytes);
}

static void test_all_is_seen(void **state)
{
	struct truth *truth = begin("veth");
	struct truth_moment now = at(110, 10000 + 10 * 114);

	(void)state;
	assert_true(truth_coverage(truth) < 0);
	see(truth, FLOW_INGRESS, 10, 1000);
	see(truth, FLOW_EGRESS, 6, 600);
	see(truth, FLOW_EGRESS_REPEAT, 4, 400);
	truth_look(truth, &now);
	assert_way(truth, TRUTH_IN, 10, 1140, 0, 0);
	assert_way(truth, TRUTH_OUT, 10, 1140, 0, 0);
	assert_true(truth_coverage(truth) == 100);
	truth_end(truth, &now);
	truth_release(truth);
	assert_int_equal(sum.interfaces, 1);
	assert_int_equal(sum.unknown, 0);
	assert_int_equal(sum.missed.packets, 0);
}

static void test_some_is_missed(void **state)
{
	struct truth *truth = begin("veth");
	struct truth_moment now = at(110, 10000 + 10 * 114);
	struct flow_count gap;

	(void)state;
	see(truth, FLOW_INGRESS, 9, 900);
	see(truth, FLOW_EGRESS, 10, 1000);
	truth_look(truth, &now);
	assert_way(truth, TRUTH_IN, 9, 9 * 114, 1, 114);
	assert_true(truth_coverage(truth) == 95);
	truth_end(truth, &now);
	assert_ptr_equal(truth_hold(truth), truth);
	truth_release(truth);
	assert_int_equal(sum.interfaces, 0);
	gap = truth_take_gap(truth);
	assert_int_equal(gap.packets, 1);
	assert_int_equal(gap.bytes, 100);
	truth_release(truth);
	/* it is accounted for */
	assert_int_equal(sum.interfaces, 1);
	assert_int_equal(sum.missed.packets, 0);
}

/* Our program was off the hook at ingress, and counting goes on. */
static void test_gap_while_it_counts(void **state)
{
	struct truth *truth = begin("veth");
	struct truth_moment now = at(110, 10000 + 10 * 114), later = at(112, 10000 + 12 * 114);
	struct flow_count gap;

	(void)state;
	assert_false(truth_has_gap(truth));
	truth_expect_gap(truth, TRUTH_IN);
	assert_true(truth_has_gap(truth));
	see(truth, FLOW_INGRESS, 4, 400);
	see(truth, FLOW_EGRESS, 9, 900);
	/* one may be on either side */
	now.stats[TRUTH_AFTER].rx_packets++;
	now.stats[TRUTH_AFTER].rx_bytes += 114;
	gap = truth_tell_gap(truth, &now);
	assert_int_equal(gap.packets, 6);
	assert_int_equal(gap.bytes, 600);
	assert_way(truth, TRUTH_IN, 4, 4 * 114, 0, 0);
	assert_way(truth, TRUTH_OUT, 9, 9 * 114, 1, 114);
	/* it was not seen either */
	assert_true(truth_has_gap(truth));
	see(truth, FLOW_INGRESS, 1, 100);
	see(truth, FLOW_EGRESS, 2, 200);
	gap = truth_tell_gap(truth, &later);
	assert_int_equal(gap.packets, 1);
	assert_int_equal(gap.bytes, 100);
	assert_way(truth, TRUTH_IN, 5, 5 * 114, 0, 0);
	assert_int_equal(truth_verdict(truth, TRUTH_IN).link.packets, 5);
	assert_false(truth_has_gap(truth));
	/* what is missed from now on is missed */
	now = at(113, 10000 + 13 * 114);
	truth_look(truth, &now);
	assert_way(truth, TRUTH_IN, 5, 5 * 114, 1, 114);
	truth_release(truth);
}

/* It ended before anybody looked: told once. */
static void test_gap_until_the_end(void **state)
{
	struct truth *truth = begin("veth");
	struct truth_moment now = at(110, 10000 + 10 * 114);
	struct flow_count gap;

	(void)state;
	truth_expect_gap(truth, TRUTH_OUT);
	truth_expect_gap(NULL, TRUTH_OUT);
	see(truth, FLOW_INGRESS, 10, 1000);
	see(truth, FLOW_EGRESS, 7, 700);
	assert_false(truth_ended_with_gap(truth));
	truth_end(truth, &now);
	assert_true(truth_ended_with_gap(truth));
	assert_false(truth_ended_with_gap(NULL));
	gap = truth_take_gap(truth);
	assert_int_equal(gap.packets, 3);
	assert_int_equal(gap.bytes, 300);
	assert_false(truth_ended_with_gap(truth));
	assert_int_equal(truth_take_gap(truth).packets, 0);
	truth_release(truth);
	assert_int_equal(sum.missed.packets, 0);
}

static void test_little_is_missed_of_much(void **state)
{
	struct truth *truth = begin("veth");
	struct truth_moment now = at(100 + 1000001, 10000 + 1000001ULL * 114);

	(void)state;
	see(truth, FLOW_INGRESS, 1000000, 100000000);
	see(truth, FLOW_EGRESS, 1000001, 100000100);
	truth_look(truth, &now);
	assert_true(truth_coverage(truth) < 100);
	assert_true(truth_coverage(truth) > 99.98);
	truth_end(truth, &now);
	truth_release(truth);
	assert_int_equal(sum.missed.packets, 1);
	assert_int_equal(sum.missed.bytes, 114);
}

/* A link counts it as one frame, or as its segments where it is cut up first; more is missed. */
static void test_segments(void **state)
{
	struct truth *truth = begin("veth");
	struct truth_moment whole = at(101, 10000 + 10 * 1500 - 9 * 40 + 14);
	struct truth_moment cut = at(110, 10000 + 10 * 1514);
	struct truth_moment more = at(111, 10000 + 11 * 1514);

	(void)state;
	see_segments(truth, 10);
	truth_look(truth, &whole);
	assert_way(truth, TRUTH_IN, 1, 10 * 1500 - 9 * 40 + 14, 0, 0);
	truth_look(truth, &cut);
	assert_way(truth, TRUTH_IN, 1, 10 * 1500 - 9 * 40 + 14, 0, 0);
	truth_look(truth, &more);
	assert_way(truth, TRUTH_IN, 1, 10 * 1500 - 9 * 40 + 14, 1, 1514);
	truth_release(truth);
}

/* What passed between two readings may have been seen or not. */
static void test_under_way(void **state)
{
	struct truth *truth = begin("veth");
	struct truth_moment now = at(110, 10000 + 10 * 114);

	(void)state;
	now.stats[TRUTH_AFTER].rx_packets += 5;
	now.stats[TRUTH_AFTER].rx_bytes += 5 * 114;
	see(truth, FLOW_INGRESS, 12, 1200);
	see(truth, FLOW_EGRESS, 10, 1000);
	truth_look(truth, &now);
	assert_way(truth, TRUTH_IN, 12, 12 * 114, 0, 0);
	assert_true(truth_coverage(truth) == 100);
	truth_release(truth);
}

/* A counter that went back, or that could not be read at the end: the last look holds. */
static void test_unknown(void **state)
{
	struct truth *truth = begin("veth");
	struct truth_moment now = at(101, 10114), back = at(1, 114);

	(void)state;
	truth_look(truth, &back);
	assert_true(truth_coverage(truth) < 0);
	truth_look(truth, &now);
	assert_true(truth_coverage(truth) == 0);
	truth_release(truth);
	assert_int_equal(sum.unknown, 1);
	assert_int_equal(sum.missed.packets, 2);
}

static void test_drivers(void **state)
{
	const struct {
		const char *kind;
		uint16_t type;
		bool frames;
		int in, out;
	} cases[] = {
		{"veth", ARPHRD_ETHER, true, 14, 14}, {"bridge", ARPHRD_ETHER, true, 0, 14},
		{"tun", ARPHRD_ETHER, true, 14, 14},  {"tun", ARPHRD_NONE, true, 0, 0},
		{"", ARPHRD_ETHER, false, 14, 14},    {"wireguard", ARPHRD_NONE, false, 0, 0},
	};
	struct truth *truth = begin("");
	struct truth_moment now = at(110, 99999);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct link link = a_link(cases[i].kind, cases[i].type);
		struct truth_ruler ruler = truth_ruler_of(&link);

		assert_int_equal(ruler.frames, cases[i].frames);
		assert_int_equal(ruler.header[TRUTH_IN], cases[i].in);
		assert_int_equal(ruler.header[TRUTH_OUT], cases[i].out);
	}
	/* of hardware only packets are compared */
	see(truth, FLOW_INGRESS, 10, 1000);
	see(truth, FLOW_EGRESS, 8, 1000);
	truth_look(truth, &now);
	assert_false(truth_verdict(truth, TRUTH_IN).bytes);
	assert_way(truth, TRUTH_IN, 10, 0, 0, 0);
	assert_way(truth, TRUTH_OUT, 8, 0, 2, 0);
	truth_release(truth);
}

/* A reset of the hardware must not make 2^64 bytes of what a link carried. */
static void test_carried(void **state)
{
	struct link_stats from = {.rx_packets = 5,
				  .rx_bytes = 500,
				  .tx_packets = 7,
				  .tx_bytes = 700};
	struct link_stats to = {.rx_packets = 6,
				.rx_bytes = 650,
				.tx_packets = 9,
				.tx_bytes = 1000};
	struct flow_count carried = truth_carried(&from, &to);

	(void)state;
	assert_int_equal(carried.packets, 1 + 2);
	assert_int_equal(carried.bytes, 150 + 300);
	to.tx_packets = 3;
	to.tx_bytes = 200;
	carried = truth_carried(&from, &to);
	assert_int_equal(carried.packets, 1 + 3);
	assert_int_equal(carried.bytes, 150 + 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_is_seen),
		cmocka_unit_test(test_some_is_missed),
		cmocka_unit_test(test_gap_while_it_counts),
		cmocka_unit_test(test_gap_until_the_end),
		cmocka_unit_test(test_little_is_missed_of_much),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_under_way),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_drivers),
		cmocka_unit_test(test_carried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
