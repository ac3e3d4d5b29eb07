/* SPDX-License-Identifier: GPL-2.0-only */
/* Questions to RTNETLINK, each with its answer, on a socket of its own. What changes without a
 * question netlink/rtnl.h tells. */
#ifndef FLOWTALLY_RTNL_QUERY_H
#define FLOWTALLY_RTNL_QUERY_H

#include <stdint.h>

struct link_stats;
struct rtnl_query;
struct secondary;

/* 0 or negative errno. */
int rtnl_query_new(struct rtnl_query **ret);
void rtnl_query_free(struct rtnl_query *query);

/* A link's counters as they are now; of all links, found is called for each. 0 or negative errno;
 * -ENODEV: there is no such link. */
int rtnl_query_stats(struct rtnl_query *query, uint32_t ifindex, struct link_stats *stats);
typedef void (*rtnl_query_stats_found)(void *data, uint32_t ifindex,
				       const struct link_stats *stats);
int rtnl_query_each_stats(struct rtnl_query *query, rtnl_query_stats_found found, void *data);

/* Calls found for each secondary unicast address of a link, or of all for index 0, until it returns
 * a negative errno, which is returned. Of a bridge the kernel sends its whole forwarding table. */
typedef int (*rtnl_query_secondary_found)(void *data, const struct secondary *secondary);
int rtnl_query_each_secondary(struct rtnl_query *query, uint32_t ifindex,
			      rtnl_query_secondary_found found, void *data);

#endif
