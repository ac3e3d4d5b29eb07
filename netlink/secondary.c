// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/secondary.h"

#include "netlink/attr.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define MULTICAST 0x01 /* in the first byte of a MAC address */

struct found {
	const uint8_t *address; /* into the message */
	bool forwards;		/* to another host: not an address of this link */
};

static int parse_attribute(const struct nlattr *attr, void *data)
{
	struct found *found = data;

	switch (mnl_attr_get_type(attr)) {
	case NDA_LLADDR:
		if (mnl_attr_get_payload_len(attr) == sizeof(((struct secondary *)0)->address))
			found->address = mnl_attr_get_payload(attr);
		break;
	case NDA_DST:
		found->forwards = true;
		break;
	}
	return 0;
}

int secondary_parse(struct secondary *secondary, const struct nlmsghdr *message)
{
	const struct ndmsg *entry = mnl_nlmsg_get_payload(message);
	struct found found = {0};
	int r;

	memset(secondary, 0, sizeof(*secondary));
	if (message->nlmsg_type != RTM_NEWNEIGH)
		return -ENOENT;
	if (message->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*entry))
		return -EBADMSG;
	/* what a bridge learned of its ports has not NTF_SELF */
	if (entry->ndm_family != AF_BRIDGE || !(entry->ndm_flags & NTF_SELF))
		return -ENOENT;
	if (entry->ndm_ifindex <= 0)
		return -EBADMSG;
	r = attr_each(message, sizeof(*entry), parse_attribute, &found);
	if (r < 0)
		return r;
	if (!found.address || found.forwards || found.address[0] & MULTICAST)
		return -ENOENT;
	secondary->ifindex = (uint32_t)entry->ndm_ifindex;
	memcpy(secondary->address, found.address, sizeof(secondary->address));
	return 0;
}
