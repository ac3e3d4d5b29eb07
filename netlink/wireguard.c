// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/wireguard.h"

#include "netlink/socket.h"
#include "netlink/wireguard_message.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/wireguard.h>
#include <string.h>

#define REQUEST_SIZE (MNL_NLMSG_HDRLEN + GENL_HDRLEN + 32)

/* Zeroed: libmnl before 1.0.5 does not write the padding behind attributes (tc.c). */
static struct nlmsghdr *begin_request(void *buffer, uint16_t family, uint16_t flags,
				      uint8_t command, uint8_t version)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(memset(buffer, 0, REQUEST_SIZE));
	struct genlmsghdr *header;

	request->nlmsg_type = family;
	request->nlmsg_flags = NLM_F_REQUEST | flags;
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->cmd = command;
	header->version = version;
	return request;
}

static int take_family(void *data, const struct nlmsghdr *message)
{
	int r = wireguard_parse_family(data, message);

	return r == -ENOENT ? 0 : r;
}

static int find_family(struct netlink *netlink, uint16_t *family)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_SIZE];
	struct nlmsghdr *request =
		begin_request(buffer, GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY, 1);
	int r;

	*family = 0;
	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	r = netlink_ask(netlink, request, take_family, family);
	return r ?: (*family ? 0 : -ENOENT);
}

/* -EAGAIN: the datagram has no answer. */
static int find_port(const struct netlink *netlink, const struct nlmsghdr *message, ssize_t size,
		     uint16_t family, __be16 *port)
{
	int left = (int)size, r;

	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		if (!netlink_is_answer(netlink, message))
			continue;
		if (netlink_ends_answer(message, &r))
			return r ?: -ENODEV;
		r = wireguard_parse_port(port, family, message);
		if (r != -ENOENT)
			return r;
	}
	return -EAGAIN;
}

/* The first message has it, before any peer, of which there may be thousands: who closes the socket
 * then is not sent them. It has the private key, too. */
static int ask_for_port(struct netlink *netlink, uint32_t ifindex, uint16_t family, __be16 *port)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_SIZE];
	struct nlmsghdr *request =
		begin_request(buffer, family, NLM_F_DUMP, WG_CMD_GET_DEVICE, WG_GENL_VERSION);
	int r;

	mnl_attr_put_u32(request, WGDEVICE_A_IFINDEX, ifindex);
	r = netlink_send(netlink, request);
	if (r < 0)
		return r;
	do {
		const struct nlmsghdr *message;
		ssize_t size = netlink_receive(netlink, 0, &message);

		if (size < 0)
			return (int)size;
		r = find_port(netlink, message, size, family, port);
		netlink_forget(netlink, (size_t)size);
	} while (r == -EAGAIN);
	return r;
}

int wireguard_get_port(uint32_t ifindex, __be16 *port)
{
	struct netlink *netlink;
	uint16_t family;
	int r;

	r = netlink_new(&netlink, NETLINK_GENERIC, 0);
	if (r < 0)
		return r;
	r = find_family(netlink, &family);
	if (!r)
		r = ask_for_port(netlink, ifindex, family, port);
	netlink_free(netlink);
	return r;
}
