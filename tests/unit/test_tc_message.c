// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/tc_message.h"
#include "tests/message.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static _Alignas(struct nlmsghdr) char buffer[1024];
static struct tc_filter filter;

/* What the kernel says of a qdisc or filter on link 7; attributes are put behind it. */
static struct nlmsghdr *put_tc(uint16_t type, const char *kind)
{
	const struct tcmsg info = {.tcm_ifindex = 7,
				   .tcm_handle = 0x1234,
				   .tcm_info = TC_H_MAKE(49152U << 16, 0x0300)};
	struct nlmsghdr *message = message_begin(buffer, sizeof(buffer), type, &info, sizeof(info));

	if (kind)
		mnl_attr_put_strz(message, TCA_KIND, kind);
	return message;
}

static void test_clsact(void **state)
{
	uint32_t ifindex = 0;

	(void)state;
	assert_int_equal(tc_clsact_parse(&ifindex, put_tc(RTM_NEWQDISC, "clsact")), 0);
	assert_int_equal(ifindex, 7);
	assert_int_equal(tc_clsact_parse(&ifindex, put_tc(RTM_NEWQDISC, "noqueue")), -ENOENT);
	assert_int_equal(tc_clsact_parse(&ifindex, put_tc(RTM_NEWQDISC, NULL)), -ENOENT);
	assert_int_equal(tc_clsact_parse(&ifindex, put_tc(RTM_NEWTFILTER, "clsact")), -ENOENT);
	/* longer than any kind */
	assert_int_equal(tc_clsact_parse(&ifindex, put_tc(RTM_NEWQDISC, "0123456789abcdef")),
			 -EBADMSG);
}

static struct nlmsghdr *put_bpf_filter(const char *name, size_t name_size)
{
	struct nlmsghdr *message = put_tc(RTM_NEWTFILTER, "bpf");
	struct nlattr *options = mnl_attr_nest_start(message, TCA_OPTIONS);

	mnl_attr_put(message, TCA_BPF_NAME, name_size, name);
	mnl_attr_put_u32(message, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_put_u32(message, TCA_BPF_ID, 99);
	mnl_attr_nest_end(message, options);
	mnl_attr_put_u32(message, TCA_CHAIN, 3);
	return message;
}

static void test_bpf_filter(void **state)
{
	(void)state;
	assert_int_equal(tc_filter_parse(&filter, put_bpf_filter("flowtally", 10)), 0);
	assert_string_equal(filter.kind, "bpf");
	assert_string_equal(filter.name, "flowtally");
	assert_int_equal(filter.program_id, 99);
	assert_int_equal(filter.chain, 3);
	assert_int_equal(filter.priority, 49152);
	assert_int_equal(filter.handle, 0x1234);
}

/* The beginning of what others chose, whether it is terminated or not. */
static void test_long_name(void **state)
{
	char name[256];

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_int_equal(tc_filter_parse(&filter, put_bpf_filter(name, sizeof(name))), 0);
	assert_int_equal(strlen(filter.name), sizeof(filter.name) - 1);
	assert_int_equal(tc_filter_parse(&filter, put_bpf_filter(name, 3)), 0);
	assert_string_equal(filter.name, "xxx");
	assert_int_equal(tc_filter_parse(&filter, put_bpf_filter(name, 0)), 0);
	assert_string_equal(filter.name, "");
}

static void test_other_filters(void **state)
{
	struct nlmsghdr *message = put_tc(RTM_NEWTFILTER, "u32");
	struct nlattr *options = mnl_attr_nest_start(message, TCA_OPTIONS);

	(void)state;
	/* by the same number another kind means something else */
	mnl_attr_put_u8(message, TCA_BPF_ID, 1);
	mnl_attr_nest_end(message, options);
	assert_int_equal(tc_filter_parse(&filter, message), 0);
	assert_string_equal(filter.kind, "u32");
	assert_int_equal(filter.program_id, 0);
	assert_int_equal(tc_filter_parse(&filter, put_tc(RTM_NEWQDISC, "bpf")), -ENOENT);
}

static bool has_mirred(const char *kind, uint16_t option, const char *first, const char *second)
{
	const char *const actions[] = {first, second};
	struct nlmsghdr *message = put_tc(RTM_NEWTFILTER, kind);
	struct nlattr *options = mnl_attr_nest_start(message, TCA_OPTIONS);
	struct nlattr *list = mnl_attr_nest_start(message, option);

	for (uint16_t i = 0; i < 2 && actions[i]; i++) {
		struct nlattr *action = mnl_attr_nest_start(message, i + 1);

		mnl_attr_put_strz(message, TCA_ACT_KIND, actions[i]);
		mnl_attr_nest_end(message, action);
	}
	mnl_attr_nest_end(message, list);
	mnl_attr_nest_end(message, options);
	assert_int_equal(tc_filter_parse(&filter, message), 0);
	return filter.mirred;
}

static void test_mirred(void **state)
{
	(void)state;
	assert_true(has_mirred("u32", TCA_U32_ACT, "mirred", NULL));
	assert_true(has_mirred("flower", TCA_FLOWER_ACT, "skbedit", "mirred"));
	assert_true(has_mirred("bpf", TCA_BPF_ACT, "mirred", NULL));
	assert_false(has_mirred("matchall", TCA_MATCHALL_ACT, "gact", "skbedit"));
	/* another option of that kind, and a kind that nobody knows */
	assert_false(has_mirred("u32", TCA_U32_SEL, "mirred", NULL));
	assert_false(has_mirred("newer", TCA_U32_ACT, "mirred", NULL));
}

/* What is malformed leaves nothing of itself. */
static void test_malformed(void **state)
{
	struct nlmsghdr *message = put_tc(RTM_NEWTFILTER, "bpf");
	struct nlattr *options = mnl_attr_nest_start(message, TCA_OPTIONS);
	uint32_t ifindex;

	(void)state;
	mnl_attr_put_u8(message, TCA_BPF_ID, 1);
	mnl_attr_nest_end(message, options);
	assert_int_equal(tc_filter_parse(&filter, message), -EBADMSG);
	assert_string_equal(filter.kind, "");
	assert_int_equal(filter.handle, 0);

	message = put_tc(RTM_NEWTFILTER, NULL);
	mnl_attr_put_u16(message, TCA_CHAIN, 1);
	assert_int_equal(tc_filter_parse(&filter, message), -EBADMSG);

	message = put_tc(RTM_NEWTFILTER, "bpf");
	message->nlmsg_len = MNL_NLMSG_HDRLEN + sizeof(struct tcmsg) - 1;
	assert_int_equal(tc_filter_parse(&filter, message), -EBADMSG);
	message->nlmsg_type = RTM_NEWQDISC;
	assert_int_equal(tc_clsact_parse(&ifindex, message), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clsact),	  cmocka_unit_test(test_bpf_filter),
		cmocka_unit_test(test_long_name), cmocka_unit_test(test_other_filters),
		cmocka_unit_test(test_mirred),	  cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests_name("tc_message", tests, NULL, NULL);
}
