// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/link.h"

#include "netlink/attr.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int parse_kind(const struct nlattr *attr, void *data)
{
	struct link *link = data;

	if (mnl_attr_get_type(attr) != IFLA_INFO_KIND)
		return 0;
	return attr_string(attr, link->kind, sizeof(link->kind));
}

static int parse_macvlan(const struct nlattr *attr, void *data)
{
	struct link *link = data;
	uint32_t mode;
	int r;

	if (mnl_attr_get_type(attr) != IFLA_MACVLAN_MODE)
		return 0;
	r = attr_u32(attr, &mode);
	link->macvlan_bridge = !r && mode == MACVLAN_MODE_BRIDGE;
	return r;
}

static int parse_bridge(const struct nlattr *attr, void *data)
{
	struct link *link = data;
	uint8_t filtering;
	int r;

	if (mnl_attr_get_type(attr) != IFLA_BR_VLAN_FILTERING)
		return 0;
	r = attr_u8(attr, &filtering);
	link->vlan_filtering = !r && filtering;
	return r;
}

/* One that is down has "noop", and sends nothing. */
static int parse_qdisc(struct link *link, const struct nlattr *attr)
{
	char qdisc[16]; /* IFNAMSIZ of the kernel (include/net/sch_generic.h: struct Qdisc_ops) */
	int r = attr_string(attr, qdisc, sizeof(qdisc));

	link->no_queue = !r && (!strcmp(qdisc, "noqueue") || !strcmp(qdisc, "noop"));
	return r;
}

static int parse_kind_data(const struct nlattr *attr, void *data)
{
	struct link *link = data;

	if (mnl_attr_get_type(attr) != IFLA_INFO_DATA)
		return 0;
	if (!strcmp(link->kind, "macvlan") || !strcmp(link->kind, "macvtap"))
		return attr_each_nested(attr, parse_macvlan, link);
	if (!strcmp(link->kind, "bridge"))
		return attr_each_nested(attr, parse_bridge, link);
	return link_tunnel_parse(&link->tunnel, link->kind, attr);
}

/* The data can be read when the kind is known. */
static int parse_linkinfo(struct link *link, const struct nlattr *info)
{
	int r = attr_each_nested(info, parse_kind, link);

	return r < 0 ? r : attr_each_nested(info, parse_kind_data, link);
}

static int parse_altname(const struct nlattr *attr, void *data)
{
	struct link *link = data;
	void *grown;
	int r;

	if (mnl_attr_get_type(attr) != IFLA_ALT_IFNAME)
		return 0;
	grown = reallocarray(link->altnames, link->altname_count + 1, sizeof(*link->altnames));
	if (!grown)
		return -ENOMEM;
	link->altnames = grown;
	r = attr_string(attr, link->altnames[link->altname_count], LINK_ALTNAME_SIZE);
	/* the kernel takes an empty one, too: no reason not to know the link */
	if (!r)
		link->altname_count++;
	return 0;
}

static int parse_counters(const struct nlattr *attr, struct link_stats *stats)
{
	/* The kernel appends fields with time, the first four stay; the attribute is aligned to 4
	 * bytes only. */
	uint64_t counters[4];

	if (mnl_attr_get_payload_len(attr) < sizeof(counters))
		return -EBADMSG;
	memcpy(counters, mnl_attr_get_payload(attr), sizeof(counters));
	*stats = (struct link_stats){
		.rx_packets = counters[0],
		.tx_packets = counters[1],
		.rx_bytes = counters[2],
		.tx_bytes = counters[3],
	};
	return 0;
}

static int parse_stats(struct link *link, const struct nlattr *attr)
{
	int r = parse_counters(attr, &link->stats);

	link->has_stats = !r;
	return r;
}

static int parse_attribute(const struct nlattr *attr, void *data)
{
	struct link *link = data;

	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		return attr_string(attr, link->name, sizeof(link->name));
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(attr) == sizeof(link->address))
			memcpy(link->address, mnl_attr_get_payload(attr), sizeof(link->address));
		return 0;
	case IFLA_MASTER:
		return attr_u32(attr, &link->master);
	case IFLA_LINK:
		return attr_u32(attr, &link->lower);
	case IFLA_LINK_NETNSID:
		/* The id is signed and may be unknown (-1); that it is told is what counts. */
		link->lower_in_other_netns = true;
		return 0;
	case IFLA_QDISC:
		return parse_qdisc(link, attr);
	case IFLA_LINKINFO:
		return parse_linkinfo(link, attr);
	case IFLA_PROP_LIST:
		return attr_each_nested(attr, parse_altname, link);
	case IFLA_STATS64:
		return parse_stats(link, attr);
	case IFLA_WIRELESS:
		/* A wireless event (kernel net/wireless/wext-core.c) carries the name and nothing
		 * else: taken for a link it would have lost its master and kind. */
		return -ENOENT;
	default:
		return 0;
	}
}

static int parse_link(struct link *link, const struct nlmsghdr *message)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	int r;

	if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK)
		return -ENOENT;
	if (message->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*info))
		return -EBADMSG;
	if (info->ifi_family != AF_UNSPEC)
		return -ENOENT;
	if (info->ifi_index <= 0)
		return -EBADMSG;

	link->ifindex = info->ifi_index;
	link->gone = message->nlmsg_type == RTM_DELLINK;
	link->flags = info->ifi_flags;
	link->type = info->ifi_type;
	r = attr_each(message, sizeof(*info), parse_attribute, link);
	if (r < 0)
		return r;
	if (!link->name[0])
		return -EBADMSG;
	/* An index of another namespace may be the same number by chance. */
	if (link->lower == link->ifindex && !link->lower_in_other_netns)
		link->lower = 0;
	return 0;
}

int link_parse(struct link *link, const struct nlmsghdr *message)
{
	int r;

	memset(link, 0, sizeof(*link));
	r = parse_link(link, message);
	if (r < 0)
		link_clean(link);
	return r;
}

static int parse_link_stats(const struct nlattr *attr, void *data)
{
	return mnl_attr_get_type(attr) == IFLA_STATS_LINK_64 ? parse_counters(attr, data) : 0;
}

int link_parse_stats(uint32_t *ifindex, struct link_stats *stats, const struct nlmsghdr *message)
{
	const struct if_stats_msg *info = mnl_nlmsg_get_payload(message);

	if (message->nlmsg_type != RTM_NEWSTATS)
		return -ENOENT;
	if (message->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*info))
		return -EBADMSG;
	*ifindex = info->ifindex;
	return attr_each(message, sizeof(*info), parse_link_stats, stats);
}

void link_clean(struct link *link)
{
	free(link->altnames);
	link->altnames = NULL;
	link->altname_count = 0;
}

bool link_is_wireguard(const struct link *link)
{
	return !strcmp(link->kind, "wireguard");
}

const char *link_kind(const struct link *link)
{
	if (link->kind[0])
		return link->kind;
	return link->flags & IFF_LOOPBACK ? "loopback" : "physical";
}
