/* SPDX-License-Identifier: GPL-2.0-only */
/* The stack of a test file and the report about it. */
#ifndef FLOWTALLY_TESTS_STACK_FIXTURE_H
#define FLOWTALLY_TESTS_STACK_FIXTURE_H

#include "tests/unit/stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct stack stack;
static struct report report;

static inline int setup_stack(void **state)
{
	(void)state;
	stack_init(&stack);
	report = (struct report){0};
	return 0;
}

static inline int teardown_stack(void **state)
{
	(void)state;
	report_clean(&report);
	stack_clean(&stack);
	return 0;
}

static inline void add_container_host(void)
{
	stack_add(&stack, "lo", "loopback");
	stack_add_container_host(&stack);
}

static inline void make_report(void)
{
	report_clean(&report);
	stack_report(&stack, &report);
}

static inline void next_interval(void)
{
	make_report();
	merge_next_interval(stack.merge);
}

/* The interval that ends has so many packets, of 100 bytes each, in all. */
static inline void assert_total(uint64_t packets)
{
	next_interval();
	assert_int_equal(report.total.packets, packets);
	assert_int_equal(report.total.bytes, 100 * packets);
}

/* The report has that one flow, seen on path. */
static inline void assert_only(const struct flow_key *flow, uint64_t from_0, uint64_t from_1,
			       const char *path)
{
	assert_int_equal(report.flow_count, 1);
	assert_memory_equal(&report.flows[0].key, flow, sizeof(*flow));
	assert_int_equal(report.flows[0].sent[0].packets, from_0);
	assert_int_equal(report.flows[0].sent[1].packets, from_1);
	assert_int_equal(report.flows[0].sent[0].bytes, 100 * from_0);
	assert_int_equal(report.flows[0].sent[1].bytes, 100 * from_1);
	assert_int_equal(report.total.packets, from_0 + from_1);
	assert_int_equal(report.total.bytes, 100 * (from_0 + from_1));
	assert_string_equal(stack_path(&report, &report.flows[0]), path);
}

#endif
