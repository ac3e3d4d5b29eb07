// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/rtnl_query.h"

#include "netlink/link.h"
#include "netlink/secondary.h"
#include "netlink/socket.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>

#define REQUEST_SIZE 64 /* a header, an ifinfomsg or an if_stats_msg */

struct rtnl_query {
	struct netlink *netlink; /* owned */
};

int rtnl_query_new(struct rtnl_query **ret)
{
	struct rtnl_query *query = calloc(1, sizeof(*query));
	int r;

	if (!query)
		return -ENOMEM;
	r = netlink_new(&query->netlink, NETLINK_ROUTE, 0);
	if (r < 0) {
		rtnl_query_free(query);
		return r;
	}
	*ret = query;
	return 0;
}

void rtnl_query_free(struct rtnl_query *query)
{
	if (!query)
		return;
	netlink_free(query->netlink);
	free(query);
}

static struct nlmsghdr *put_stats_request(void *buffer, uint16_t flags, uint32_t ifindex)
{
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct if_stats_msg *info;

	request->nlmsg_type = RTM_GETSTATS;
	request->nlmsg_flags = NLM_F_REQUEST | flags;
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->ifindex = ifindex;
	info->filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
	return request;
}

struct stats_taker {
	rtnl_query_stats_found found;
	void *data;
};

static int take_stats(void *data, const struct nlmsghdr *message)
{
	const struct stats_taker *taker = data;
	struct link_stats stats = {0};
	uint32_t ifindex;
	int r = link_parse_stats(&ifindex, &stats, message);

	if (r == 0)
		taker->found(taker->data, ifindex, &stats);
	return r;
}

static void copy_stats(void *data, uint32_t ifindex, const struct link_stats *stats)
{
	(void)ifindex;
	*(struct link_stats *)data = *stats;
}

int rtnl_query_stats(struct rtnl_query *query, uint32_t ifindex, struct link_stats *stats)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_SIZE];
	struct stats_taker taker = {.found = copy_stats, .data = stats};

	return netlink_ask(query->netlink, put_stats_request(buffer, NLM_F_ACK, ifindex),
			   take_stats, &taker);
}

int rtnl_query_each_stats(struct rtnl_query *query, rtnl_query_stats_found found, void *data)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_SIZE];
	struct stats_taker taker = {.found = found, .data = data};
	int r = netlink_ask(query->netlink, put_stats_request(buffer, NLM_F_DUMP, 0), take_stats,
			    &taker);

	/* links came or went meanwhile; what was told of the others is right */
	return r == -EINTR ? 0 : r;
}

struct secondary_taker {
	uint32_t ifindex;
	rtnl_query_secondary_found found;
	void *data;
};

static int take_secondary(void *data, const struct nlmsghdr *message)
{
	const struct secondary_taker *taker = data;
	struct secondary secondary;
	int r = secondary_parse(&secondary, message);

	if (r == -ENOENT || (r == 0 && taker->ifindex && secondary.ifindex != taker->ifindex))
		return 0;
	return r < 0 ? r : taker->found(taker->data, &secondary);
}

int rtnl_query_each_secondary(struct rtnl_query *query, uint32_t ifindex,
			      rtnl_query_secondary_found found, void *data)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_SIZE];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct secondary_taker taker = {.ifindex = ifindex, .found = found, .data = data};
	struct ifinfomsg *info;

	request->nlmsg_type = RTM_GETNEIGH;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	/* of a struct ndmsg the kernel would not look at the index (valid_fdb_dump_legacy()) */
	info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	info->ifi_family = AF_BRIDGE;
	info->ifi_index = (int)ifindex;
	return netlink_ask(query->netlink, request, take_secondary, &taker);
}
