// SPDX-License-Identifier: GPL-2.0-only
/* Looks at a running interval: what the interfaces showed, and copies of a merge. */
#include "config/term.h"
#include "lib/cleanup.h"
#include "lib/filter.h"
#include "report/filtered.h"
#include "report/rates.h"
#include "tests/unit/stack_fixture.h"

static struct flow_key key, other;

static int setup(void **state)
{
	setup_stack(state);
	key = stack_key("172.17.0.2", 43512, "203.0.113.1", 5201);
	other = stack_key("172.17.0.2", 43513, "203.0.113.1", 5201);
	stack_add(&stack, "br0", "bridge");
	stack_add(&stack, "eth0", "physical");
	stack_veth_abroad(&stack, "vc1");
	stack_port(&stack, "vc1", "br0");
	stack_resolve(&stack);
	return 0;
}

/* From the container to the world, routed. */
static void cross(const struct flow_key *flow, uint64_t packets)
{
	stack_in(&stack, "vc1", flow, 0, packets);
	stack_in(&stack, "br0", flow, 0, packets);
	stack_out(&stack, "eth0", "br0", flow, 0, packets);
}

static void assert_shown(size_t interface, const char *name, uint64_t flows, uint64_t in,
			 uint64_t out)
{
	const struct report_interface *shown = &report.interfaces[interface];

	assert_string_equal(shown->name, name);
	assert_int_equal(shown->flows, flows);
	assert_int_equal(shown->in.packets, in);
	assert_int_equal(shown->in.bytes, 100 * in);
	assert_int_equal(shown->out.packets, out);
	assert_int_equal(shown->out.bytes, 100 * out);
}

/* A packet counts once in the totals, and is shown by every interface that it crosses. */
static void test_shown_by_each_interface(void **state)
{
	(void)state;
	cross(&key, 3);
	cross(&other, 1);
	stack_out(&stack, "eth0", NULL, &other, 1, 2);
	make_report();
	assert_int_equal(report.total.packets, 6);
	assert_shown(0, "br0", 2, 4, 0);
	assert_shown(1, "eth0", 2, 0, 6);
	assert_shown(2, "vc1", 2, 4, 0);
}

static void test_unattributed_is_not_shown(void **state)
{
	const struct flow_key non_ip = {.family = FLOW_UNATTRIBUTED, .protocol = FLOW_NON_IP};

	(void)state;
	stack_in(&stack, "eth0", &non_ip, 0, 1);
	make_report();
	assert_int_equal(report.unattributed_count, 1);
	assert_shown(1, "eth0", 0, 0, 0);
}

/* Phases of one interface show what they show together; a flow in both is one. */
static void test_phases_are_one_interface(void **state)
{
	const struct topology_role roles[] = {{.id = 1}, {.id = 2}};
	const struct merge_interface interfaces[] = {
		{.id = 1, .life = 1, .ifindex = 7, .name = "eth0", .role = &roles[0]},
		{.id = 2, .life = 1, .ifindex = 7, .name = "eth0", .role = &roles[1]},
	};
	const struct merge_ends ends = {.locals = stack.locals};
	struct flow_value value = {0};

	(void)state;
	value.count[0][FLOW_INGRESS] = (struct flow_count){.bytes = 100, .packets = 1};
	assert_int_equal(merge_add(stack.merge, 1, &key, &value, 1), 0);
	assert_int_equal(merge_add(stack.merge, 2, &key, &value, 1), 0);
	assert_int_equal(merge_report(stack.merge, interfaces, 2, &ends, &report), 0);
	assert_int_equal(report.interface_count, 1);
	assert_shown(0, "eth0", 1, 2, 0);
}

/* What is added to the copy, and reported of it, leaves the original alone. */
static void test_copy_is_another_one(void **state)
{
	struct merge *original = stack.merge, *copy;

	(void)state;
	cross(&key, 3);
	assert_int_equal(merge_copy(&copy, original), 0);
	stack.merge = copy;
	cross(&key, 2);
	cross(&other, 1);
	make_report();
	assert_int_equal(report.flow_count, 2);
	assert_int_equal(report.total.packets, 6);
	merge_next_interval(copy);
	merge_free(copy);
	stack.merge = original;
	assert_int_equal(merge_flow_count(original), 1);
	make_report();
	assert_int_equal(report.flow_count, 1);
	assert_int_equal(report.total.packets, 3);
}

static void test_copy_of_nothing(void **state)
{
	struct merge *copy;

	(void)state;
	assert_int_equal(merge_copy(&copy, stack.merge), 0);
	assert_int_equal(merge_flow_count(copy), 0);
	merge_free(copy);
}

/* What a judged hook is owed from the interval before is owed in the copy too: a packet that was
 * between two hooks when the maps were swapped is not counted again. */
static void test_copy_owes_the_same(void **state)
{
	struct merge *original = stack.merge, *copy;

	(void)state;
	stack_exclude(&stack, "br0");
	stack_veth_abroad(&stack, "vc2");
	stack_port(&stack, "vc2", "br0");
	stack_exclude(&stack, "vc2");
	stack_resolve(&stack);
	stack_in(&stack, "vc1", &key, 0, 2);
	make_report();
	merge_next_interval(original);
	stack_out(&stack, "eth0", "br0", &key, 0, 2);
	assert_int_equal(merge_copy(&copy, original), 0);
	stack.merge = copy;
	make_report();
	assert_int_equal(report.total.packets, 0);
	merge_free(copy);
	stack.merge = original;
}

/* The same flow seen at two times, and one that is new. */
static void test_rates(void **state)
{
	struct rates rates = {0};

	(void)state;
	cross(&key, 10);
	make_report();
	report.duration_ns = 2000000000;
	/* since the interval began */
	assert_true(rates_of(&rates, &report, &report.flows[0], 0) == 500);
	assert_true(rates_of(&rates, &report, &report.flows[0], 1) == 0);
	assert_int_equal(rates_note(&rates, &report), 0);
	/* no time has passed */
	assert_true(rates_of(&rates, &report, &report.flows[0], 0) == 0);
	cross(&key, 30);
	cross(&other, 5);
	make_report();
	report.duration_ns = 3000000000;
	assert_int_equal(report.flow_count, 2);
	assert_true(rates_of(&rates, &report, &report.flows[0], 0) == 3000);
	assert_true(rates_of(&rates, &report, &report.flows[1], 0) == 500);
	/* less than before: not backwards */
	report.flows[0].sent[0].bytes = 1;
	assert_true(rates_of(&rates, &report, &report.flows[0], 0) == 0);
	rates_clean(&rates);
}

static bool is_selected(const char *words)
{
	_free_ const char **names = report_interface_names(&report);
	struct filter filter = {0};
	char problem[256];
	bool selected;

	assert_non_null(names);
	assert_int_equal(term_add_all(&filter, words, problem, sizeof(problem)), 0);
	selected = report_flow_is_selected(&report, names, &report.flows[0], &filter);
	filter_clean(&filter);
	return selected;
}

/* What top shows is chosen as what reports do. */
static void test_filters(void **state)
{
	(void)state;
	cross(&key, 1);
	make_report();
	assert_true(is_selected(""));
	assert_true(is_selected("net:172.16.0.0/12 port:43512 proto:tcp interface:vc*"));
	assert_true(is_selected("net:0.0.0.0/0 proto:6"));
	assert_false(is_selected("net:::/0"));
	/* each term by itself: the port is the other end's */
	assert_true(is_selected("net:172.17.0.2 port:5201"));
	assert_false(is_selected("port:5202-43511"));
	assert_true(is_selected("port:5202-43511 or interface:eth0"));
	assert_false(is_selected("interface:eth1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_shown_by_each_interface, setup,
						teardown_stack),
		cmocka_unit_test_setup_teardown(test_unattributed_is_not_shown, setup,
						teardown_stack),
		cmocka_unit_test_setup_teardown(test_phases_are_one_interface, setup,
						teardown_stack),
		cmocka_unit_test_setup_teardown(test_copy_is_another_one, setup, teardown_stack),
		cmocka_unit_test_setup_teardown(test_copy_of_nothing, setup, teardown_stack),
		cmocka_unit_test_setup_teardown(test_copy_owes_the_same, setup, teardown_stack),
		cmocka_unit_test_setup_teardown(test_rates, setup, teardown_stack),
		cmocka_unit_test_setup_teardown(test_filters, setup, teardown_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
