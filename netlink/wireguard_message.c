// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/wireguard_message.h"

#include "netlink/attr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <stdbool.h>

/* An attribute that is looked for: a number of 16 bits, of this host's byte order. */
struct wanted {
	uint16_t type;
	uint16_t number;
	bool found;
};

static int take_number(const struct nlattr *attr, void *data)
{
	struct wanted *wanted = data;
	int r;

	if (mnl_attr_get_type(attr) != wanted->type)
		return 0;
	r = attr_u16(attr, &wanted->number);
	wanted->found = !r;
	return r;
}

static int parse_number(struct wanted *wanted, const struct nlmsghdr *message, uint16_t family,
			uint8_t command)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(message);
	int r;

	if (message->nlmsg_type != family)
		return -ENOENT;
	if (message->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*header))
		return -EBADMSG;
	if (header->cmd != command)
		return -ENOENT;
	r = attr_each(message, sizeof(*header), take_number, wanted);
	return r ?: (wanted->found ? 0 : -ENOENT);
}

int wireguard_parse_family(uint16_t *family, const struct nlmsghdr *message)
{
	struct wanted wanted = {.type = CTRL_ATTR_FAMILY_ID};
	int r = parse_number(&wanted, message, GENL_ID_CTRL, CTRL_CMD_NEWFAMILY);

	if (!r)
		*family = wanted.number;
	return r;
}

int wireguard_parse_port(__be16 *port, uint16_t family, const struct nlmsghdr *message)
{
	struct wanted wanted = {.type = WGDEVICE_A_LISTEN_PORT};
	int r = parse_number(&wanted, message, family, WG_CMD_GET_DEVICE);

	if (!r)
		*port = htons(wanted.number);
	return r;
}
