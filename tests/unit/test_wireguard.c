// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/wireguard_message.h"
#include "tests/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FAMILY 31 /* as a kernel might number it */

static _Alignas(struct nlmsghdr) char buffer[1024];

static struct nlmsghdr *begin(uint16_t type, uint8_t command)
{
	const struct genlmsghdr header = {.cmd = command, .version = 1};

	return message_begin(buffer, sizeof(buffer), type, &header, sizeof(header));
}

/* What the controller says of the family, as Linux 6.1 orders it. */
static struct nlmsghdr *put_family(uint8_t command)
{
	struct nlmsghdr *message = begin(GENL_ID_CTRL, command);

	mnl_attr_put_strz(message, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	mnl_attr_put_u16(message, CTRL_ATTR_FAMILY_ID, FAMILY);
	mnl_attr_put_u32(message, CTRL_ATTR_VERSION, 1);
	mnl_attr_put_u32(message, CTRL_ATTR_HDRSIZE, 0);
	mnl_attr_put_u32(message, CTRL_ATTR_MAXATTR, WGDEVICE_A_MAX);
	return message;
}

static void test_family(void **state)
{
	uint16_t family = 7;

	(void)state;
	assert_int_equal(wireguard_parse_family(&family, put_family(CTRL_CMD_DELFAMILY)), -ENOENT);
	assert_int_equal(wireguard_parse_family(&family, begin(GENL_ID_CTRL, CTRL_CMD_NEWFAMILY)),
			 -ENOENT);
	assert_int_equal(wireguard_parse_family(&family, begin(FAMILY, CTRL_CMD_NEWFAMILY)),
			 -ENOENT);
	assert_int_equal(family, 7);
	assert_int_equal(wireguard_parse_family(&family, put_family(CTRL_CMD_NEWFAMILY)), 0);
	assert_int_equal(family, FAMILY);
}

/* A device with one peer, as Linux 6.1 tells of it (drivers/net/wireguard/netlink.c). */
static struct nlmsghdr *put_device(uint16_t port)
{
	struct nlmsghdr *message = begin(FAMILY, WG_CMD_GET_DEVICE);
	uint8_t key[WG_KEY_LEN] = {1, 2, 3};
	struct nlattr *peers, *peer;

	mnl_attr_put_u16(message, WGDEVICE_A_LISTEN_PORT, port);
	mnl_attr_put_u32(message, WGDEVICE_A_FWMARK, 0);
	mnl_attr_put_u32(message, WGDEVICE_A_IFINDEX, 7);
	mnl_attr_put_strz(message, WGDEVICE_A_IFNAME, "wg0");
	mnl_attr_put(message, WGDEVICE_A_PRIVATE_KEY, sizeof(key), key);
	mnl_attr_put(message, WGDEVICE_A_PUBLIC_KEY, sizeof(key), key);
	peers = mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
	peer = mnl_attr_nest_start(message, 0);
	/* as if its number were the device's */
	mnl_attr_put_u16(message, WGDEVICE_A_LISTEN_PORT, 4444);
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, peers);
	return message;
}

static void test_port(void **state)
{
	__be16 port = 0;

	(void)state;
	assert_int_equal(wireguard_parse_port(&port, FAMILY, put_device(51820)), 0);
	assert_int_equal(port, htons(51820));
	assert_int_equal(wireguard_parse_port(&port, FAMILY, put_device(0)), 0);
	assert_int_equal(port, 0);
}

static void test_other_messages(void **state)
{
	struct nlmsghdr *message;
	__be16 port = 7;

	(void)state;
	assert_int_equal(wireguard_parse_port(&port, FAMILY + 1, put_device(51820)), -ENOENT);
	assert_int_equal(wireguard_parse_port(&port, FAMILY, begin(FAMILY, WG_CMD_SET_DEVICE)),
			 -ENOENT);
	/* more of a device's peers */
	message = begin(FAMILY, WG_CMD_GET_DEVICE);
	mnl_attr_put_strz(message, WGDEVICE_A_IFNAME, "wg0");
	assert_int_equal(wireguard_parse_port(&port, FAMILY, message), -ENOENT);
	assert_int_equal(port, 7);
}

static void test_malformed(void **state)
{
	struct nlmsghdr *message = begin(FAMILY, WG_CMD_GET_DEVICE);
	uint16_t family = 7;
	__be16 port = 7;

	(void)state;
	mnl_attr_put_u32(message, WGDEVICE_A_LISTEN_PORT, 51820);
	assert_int_equal(wireguard_parse_port(&port, FAMILY, message), -EBADMSG);
	message = begin(GENL_ID_CTRL, CTRL_CMD_NEWFAMILY);
	mnl_attr_put_u8(message, CTRL_ATTR_FAMILY_ID, FAMILY);
	assert_int_equal(wireguard_parse_family(&family, message), -EBADMSG);
	message = put_device(51820);
	message->nlmsg_len = MNL_NLMSG_HDRLEN + 3;
	assert_int_equal(wireguard_parse_port(&port, FAMILY, message), -EBADMSG);
	message = put_device(51820);
	message->nlmsg_len--;
	assert_int_equal(wireguard_parse_port(&port, FAMILY, message), -EBADMSG);
	assert_int_equal(port, 7);
	assert_int_equal(family, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_family),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_other_messages),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
