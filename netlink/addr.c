// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/addr.h"

#include "lib/address.h"
#include "netlink/attr.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

struct found {
	unsigned int size; /* of an address of this family */
	const void *local; /* into the message */
	const void *address;
};

static int parse_attribute(const struct nlattr *attr, void *data)
{
	struct found *found = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type != IFA_LOCAL && type != IFA_ADDRESS)
		return 0;
	if (mnl_attr_get_payload_len(attr) != found->size)
		return -EBADMSG;
	if (type == IFA_LOCAL)
		found->local = mnl_attr_get_payload(attr);
	else
		found->address = mnl_attr_get_payload(attr);
	return 0;
}

int addr_parse(struct addr *addr, const struct nlmsghdr *message)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(message);
	struct found found = {0};
	int r;

	memset(addr, 0, sizeof(*addr));
	if (message->nlmsg_type != RTM_NEWADDR && message->nlmsg_type != RTM_DELADDR)
		return -ENOENT;
	if (message->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*info))
		return -EBADMSG;
	if (info->ifa_family != AF_INET && info->ifa_family != AF_INET6)
		return -ENOENT;
	found.size = info->ifa_family == AF_INET ? 4 : 16;
	if (!info->ifa_index || info->ifa_prefixlen > 8 * found.size)
		return -EBADMSG;
	r = attr_each(message, sizeof(*info), parse_attribute, &found);
	if (r < 0)
		return r;
	/* On a point-to-point link IFA_ADDRESS is the other end. */
	if (!found.local)
		found.local = found.address;
	if (!found.local)
		return -EBADMSG;

	if (info->ifa_family == AF_INET)
		address_from_ipv4(addr->local, found.local);
	else
		memcpy(addr->local, found.local, sizeof(addr->local));
	addr->prefix = 8 * (sizeof(addr->local) - found.size) + info->ifa_prefixlen;
	addr->ifindex = info->ifa_index;
	addr->gone = message->nlmsg_type == RTM_DELADDR;
	return 0;
}
