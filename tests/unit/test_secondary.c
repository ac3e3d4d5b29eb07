// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/secondary.h"
#include "tests/message.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static _Alignas(struct nlmsghdr) char buffer[512];
static const uint8_t unicast[] = {2, 0, 0, 0, 0, 7};

static struct nlmsghdr *message(void)
{
	return (struct nlmsghdr *)buffer;
}

static struct ndmsg *entry(void)
{
	return mnl_nlmsg_get_payload(message());
}

/* As the kernel tells a macvlan's address of the device below, number 7. */
static struct nlmsghdr *put_entry(void)
{
	const struct ndmsg nd = {.ndm_family = AF_BRIDGE,
				 .ndm_ifindex = 7,
				 .ndm_flags = NTF_SELF,
				 .ndm_state = NUD_PERMANENT};

	return message_begin(buffer, sizeof(buffer), RTM_NEWNEIGH, &nd, sizeof(nd));
}

static void assert_parses(int expected)
{
	struct secondary secondary;

	assert_int_equal(secondary_parse(&secondary, message()), expected);
}

static void an_address_of_a_macvlan(void **state)
{
	struct secondary secondary;

	(void)state;
	mnl_attr_put(put_entry(), NDA_LLADDR, sizeof(unicast), unicast);
	mnl_attr_put_u16(message(), NDA_VLAN, 5);
	assert_int_equal(secondary_parse(&secondary, message()), 0);
	assert_int_equal(secondary.ifindex, 7);
	assert_memory_equal(secondary.address, unicast, sizeof(unicast));
}

static void other_entries(void **state)
{
	static const uint8_t multicast[] = {1, 0, 0x5e, 0, 0, 1}, infiniband[20];

	(void)state;
	mnl_attr_put(put_entry(), NDA_LLADDR, sizeof(multicast), multicast);
	assert_parses(-ENOENT);
	mnl_attr_put(put_entry(), NDA_LLADDR, sizeof(infiniband), infiniband);
	assert_parses(-ENOENT);
	put_entry();
	assert_parses(-ENOENT);
	/* a bridge learned it */
	mnl_attr_put(put_entry(), NDA_LLADDR, sizeof(unicast), unicast);
	entry()->ndm_flags = NTF_MASTER;
	assert_parses(-ENOENT);
	/* a VXLAN device sends to there */
	mnl_attr_put(put_entry(), NDA_LLADDR, sizeof(unicast), unicast);
	mnl_attr_put_u32(message(), NDA_DST, 1);
	assert_parses(-ENOENT);
	/* a neighbour */
	mnl_attr_put(put_entry(), NDA_LLADDR, sizeof(unicast), unicast);
	entry()->ndm_family = AF_INET;
	assert_parses(-ENOENT);
	put_entry()->nlmsg_type = RTM_DELNEIGH;
	assert_parses(-ENOENT);
}

static void malformed(void **state)
{
	(void)state;
	put_entry()->nlmsg_len -= 1;
	assert_parses(-EBADMSG);
	put_entry();
	entry()->ndm_ifindex = 0;
	assert_parses(-EBADMSG);
	mnl_attr_put(put_entry(), NDA_LLADDR, sizeof(unicast), unicast);
	message()->nlmsg_len -= 3;
	assert_parses(-EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_of_a_macvlan),
		cmocka_unit_test(other_entries),
		cmocka_unit_test(malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
