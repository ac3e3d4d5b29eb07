// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/addr.h"
#include "tests/address.h"
#include "tests/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static _Alignas(struct nlmsghdr) char buffer[512];

/* The header of an address of link 7; attributes are put behind it. */
static struct nlmsghdr *put_addr(uint16_t type, unsigned char family, unsigned char prefix)
{
	const struct ifaddrmsg info = {.ifa_family = family,
				       .ifa_prefixlen = prefix,
				       .ifa_index = 7};

	return message_begin(buffer, sizeof(buffer), type, &info, sizeof(info));
}

static void assert_parses(int expected)
{
	struct addr addr;

	assert_int_equal(addr_parse(&addr, (struct nlmsghdr *)buffer), expected);
}

static void test_ipv4(void **state)
{
	struct nlmsghdr *message = put_addr(RTM_NEWADDR, AF_INET, 24);
	struct addr addr;

	(void)state;
	message_put_address(message, IFA_ADDRESS, "192.0.2.1");
	message_put_address(message, IFA_LOCAL, "192.0.2.1");
	message_put_address(message, IFA_BROADCAST, "192.0.2.255");
	mnl_attr_put_strz(message, IFA_LABEL, "eth0:1");
	mnl_attr_put_u32(message, 500, 1);
	assert_int_equal(addr_parse(&addr, message), 0);
	assert_int_equal(addr.ifindex, 7);
	assert_false(addr.gone);
	assert_address(addr.local, "::ffff:192.0.2.1");
	assert_int_equal(addr.prefix, 120);
}

static void test_ipv6(void **state)
{
	struct nlmsghdr *message = put_addr(RTM_DELADDR, AF_INET6, 64);
	struct addr addr;

	(void)state;
	message_put_address(message, IFA_ADDRESS, "2001:db8::1");
	assert_int_equal(addr_parse(&addr, message), 0);
	assert_true(addr.gone);
	assert_address(addr.local, "2001:db8::1");
	assert_int_equal(addr.prefix, 64);
}

static void test_the_own_end_of_a_point_to_point_link(void **state)
{
	struct nlmsghdr *message;
	struct addr addr;

	(void)state;
	message = put_addr(RTM_NEWADDR, AF_INET, 32);
	message_put_address(message, IFA_ADDRESS, "198.51.100.2");
	message_put_address(message, IFA_LOCAL, "198.51.100.1");
	assert_int_equal(addr_parse(&addr, message), 0);
	assert_address(addr.local, "::ffff:198.51.100.1");
	assert_int_equal(addr.prefix, 128);

	/* IPv6 puts them the other way round */
	message = put_addr(RTM_NEWADDR, AF_INET6, 128);
	message_put_address(message, IFA_LOCAL, "2001:db8::1");
	message_put_address(message, IFA_ADDRESS, "2001:db8::2");
	assert_int_equal(addr_parse(&addr, message), 0);
	assert_address(addr.local, "2001:db8::1");
}

static void test_other_families(void **state)
{
	struct nlmsghdr *message;

	(void)state;
	message = put_addr(RTM_NEWADDR, AF_UNSPEC, 0);
	message_put_address(message, IFA_LOCAL, "192.0.2.1");
	assert_parses(-ENOENT);
	/* AF_MCTP, AF_PHONET: other lengths, too */
	message = put_addr(RTM_NEWADDR, 45, 0);
	mnl_attr_put_u8(message, IFA_LOCAL, 8);
	assert_parses(-ENOENT);
	message = put_addr(RTM_NEWLINK, AF_INET, 24);
	message_put_address(message, IFA_LOCAL, "192.0.2.1");
	assert_parses(-ENOENT);
}

static void test_malformed(void **state)
{
	struct nlmsghdr *message;
	struct nlattr *attr;

	(void)state;
	put_addr(RTM_NEWADDR, AF_INET, 24);
	assert_parses(-EBADMSG);

	message = put_addr(RTM_NEWADDR, AF_INET, 24);
	message_put_address(message, IFA_LOCAL, "2001:db8::1");
	assert_parses(-EBADMSG);

	message = put_addr(RTM_NEWADDR, AF_INET6, 24);
	message_put_address(message, IFA_LOCAL, "192.0.2.1");
	assert_parses(-EBADMSG);

	message = put_addr(RTM_NEWADDR, AF_INET, 33);
	message_put_address(message, IFA_LOCAL, "192.0.2.1");
	assert_parses(-EBADMSG);

	message = put_addr(RTM_NEWADDR, AF_INET6, 129);
	message_put_address(message, IFA_LOCAL, "2001:db8::1");
	assert_parses(-EBADMSG);

	message = put_addr(RTM_NEWADDR, AF_INET, 24);
	message_put_address(message, IFA_LOCAL, "192.0.2.1");
	((struct ifaddrmsg *)mnl_nlmsg_get_payload(message))->ifa_index = 0;
	assert_parses(-EBADMSG);

	message = put_addr(RTM_NEWADDR, AF_INET, 24);
	message_put_address(message, IFA_LOCAL, "192.0.2.1");
	attr = mnl_nlmsg_get_payload_tail(message);
	mnl_attr_put_u32(message, IFA_FLAGS, 0);
	attr->nla_len += 4;
	assert_parses(-EBADMSG);
}

/* The copy has exactly the size that the message claims, so that a sanitizer sees what is read
 * beyond. */
static void test_truncated_at_every_length(void **state)
{
	struct nlmsghdr *message = put_addr(RTM_NEWADDR, AF_INET6, 64), *copy;
	uint32_t length, whole;
	struct addr addr;

	(void)state;
	message_put_address(message, IFA_ADDRESS, "2001:db8::1");
	whole = message->nlmsg_len;
	for (length = MNL_NLMSG_HDRLEN; length <= whole; length++) {
		copy = malloc(length);
		assert_non_null(copy);
		memcpy(copy, message, length);
		copy->nlmsg_len = length;
		assert_int_equal(addr_parse(&addr, copy), length == whole ? 0 : -EBADMSG);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ipv4),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_the_own_end_of_a_point_to_point_link),
		cmocka_unit_test(test_other_families),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_truncated_at_every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
