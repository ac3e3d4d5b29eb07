// SPDX-License-Identifier: GPL-2.0-only
/* What an interval leaves to the next goes to a later agent as bytes, and from it. */
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "report/debt.h"
#include "tests/unit/stack_fixture.h"

#include <errno.h>

static struct flow_key key;

/* br0 is not watched, and one of its ports is not: what leaves through eth0 is judged by vc1. */
static int setup(void **state)
{
	setup_stack(state);
	key = stack_key("172.17.0.2", 43512, "203.0.113.1", 5201);
	stack_add(&stack, "br0", "bridge");
	stack_add(&stack, "eth0", "physical");
	stack_veth_abroad(&stack, "vc1");
	stack_port(&stack, "vc1", "br0");
	stack_exclude(&stack, "br0");
	stack_veth_abroad(&stack, "vc2");
	stack_port(&stack, "vc2", "br0");
	stack_exclude(&stack, "vc2");
	stack_resolve(&stack);
	return 0;
}

static struct buffer bytes_of_two_packets_under_way(void)
{
	struct buffer bytes = {0};

	stack_in(&stack, "vc1", &key, 0, 2);
	make_report();
	merge_encode_owing(stack.merge, &bytes);
	assert_int_equal(buffer_error(&bytes), 0);
	return bytes;
}

/* The agent dies, and the packets arrive where they are judged. */
static void begin_again(void)
{
	merge_free(stack.merge);
	assert_int_equal(merge_new(&stack.merge), 0);
}

static void test_is_owed_to_another_merge(void **state)
{
	struct buffer bytes = bytes_of_two_packets_under_way();

	(void)state;
	begin_again();
	assert_int_equal(merge_decode_owed(stack.merge, bytes.data, bytes.size), 0);
	stack_out(&stack, "eth0", "br0", &key, 0, 3);
	make_report();
	assert_int_equal(report.total.packets, 1);
	buffer_free(&bytes);
}

static void test_counts_twice_without(void **state)
{
	struct buffer bytes = bytes_of_two_packets_under_way();

	(void)state;
	begin_again();
	stack_out(&stack, "eth0", "br0", &key, 0, 3);
	make_report();
	assert_int_equal(report.total.packets, 3);
	buffer_free(&bytes);
}

static void test_nothing_is_owed(void **state)
{
	struct buffer bytes = {0};

	(void)state;
	merge_encode_owing(stack.merge, &bytes);
	assert_int_equal(merge_decode_owed(stack.merge, bytes.data, bytes.size), 0);
	make_report();
	assert_int_equal(report.flow_count, 0);
	buffer_free(&bytes);
}

static void test_cut_off_anywhere(void **state)
{
	struct buffer bytes = bytes_of_two_packets_under_way();

	(void)state;
	begin_again();
	for (size_t size = 0; size < bytes.size; size++) {
		/* a copy of that size, so that a read behind it is seen */
		_free_ char *cut = malloc(size ? size : 1);

		assert_non_null(cut);
		memcpy(cut, bytes.data, size);
		assert_int_equal(merge_decode_owed(stack.merge, cut, size), -EBADMSG);
	}
	buffer_free(&bytes);
}

/* Any byte may be wrong, by one bit or by all: it is refused or taken, never followed out of
 * bounds, and what was refused owes nothing. */
static void test_any_byte_is_wrong(void **state)
{
	struct buffer bytes = bytes_of_two_packets_under_way();

	(void)state;
	for (size_t i = 0; i < 9 * bytes.size; i++) {
		char *byte = &bytes.data[i / 9], right = *byte;
		int err;

		begin_again();
		*byte = (char)(right ^ (i % 9 < 8 ? 1 << i % 9 : 0xff));
		err = merge_decode_owed(stack.merge, bytes.data, bytes.size);
		*byte = right;
		stack_out(&stack, "eth0", "br0", &key, 0, 3);
		make_report();
		if (!err)
			continue;
		assert_int_equal(err, -EBADMSG);
		assert_int_equal(report.total.packets, 3);
	}
	buffer_free(&bytes);
}

/* A cell of no kind that anything is owed in. */
static void test_unknown_kind(void **state)
{
	struct buffer bytes = {0};
	struct debt debt = {0};

	(void)state;
	for (unsigned int kind = 0; kind < FLOW_CELL_KINDS; kind++) {
		flow_table_init(&debt.flows);
		assert_int_equal(flow_table_reserve(&debt.flows, 1, 1), 0);
		flow_table_append(&debt.flows,
				  flow_table_insert(&debt.flows, &key,
						    flow_table_hash(&debt.flows, &key)),
				  stack.links[1].id, 0, kind, (struct flow_count){100, 1});
		buffer_reset(&bytes);
		debt_encode(&debt, &bytes);
		debt_clean(&debt);
		flow_table_init(&debt.flows);
		assert_int_equal(debt_decode(&debt, bytes.data, bytes.size),
				 kind < OWED_KINDS ? 0 : -EBADMSG);
		debt_clean(&debt);
	}
	buffer_free(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_is_owed_to_another_merge, setup,
						teardown_stack),
		cmocka_unit_test_setup_teardown(test_counts_twice_without, setup, teardown_stack),
		cmocka_unit_test_setup_teardown(test_nothing_is_owed, setup, teardown_stack),
		cmocka_unit_test_setup_teardown(test_cut_off_anywhere, setup, teardown_stack),
		cmocka_unit_test_setup_teardown(test_any_byte_is_wrong, setup, teardown_stack),
		cmocka_unit_test_setup_teardown(test_unknown_kind, setup, teardown_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
