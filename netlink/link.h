/* SPDX-License-Identifier: GPL-2.0-only */
/* A link as RTNETLINK tells of it: RTM_NEWLINK and RTM_DELLINK (rtnetlink(7), linux/if_link.h) made
 * into a struct. */
#ifndef FLOWTALLY_LINK_H
#define FLOWTALLY_LINK_H

#include "netlink/link_tunnel.h"

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#define LINK_ALTNAME_SIZE 128 /* ALTIFNAMSIZ of the kernel, terminator included */
#define LINK_KIND_SIZE	  32

struct nlmsghdr;

/* IFLA_STATS64: bytes as the driver counts them, link headers included. */
struct link_stats {
	uint64_t rx_packets, tx_packets;
	uint64_t rx_bytes, tx_bytes;
};

struct link {
	uint32_t ifindex;
	bool gone;	 /* RTM_DELLINK */
	uint32_t flags;	 /* IFF_* */
	uint16_t type;	 /* ARPHRD_* */
	uint32_t master; /* ifindex of the bridge, bond, ... it is a port of; 0: none */
	uint32_t lower;	 /* IFLA_LINK: ifindex of the device below, or of the veth peer; 0: none */
	/* lower is an index in another network namespace (IFLA_LINK_NETNSID) */
	bool lower_in_other_netns;
	bool has_stats;
	struct link_stats stats;
	struct link_tunnel tunnel; /* how its outer packets look */
	uint8_t address[6];	   /* zero: none, or another size */
	/* a macvlan or macvtap in bridge mode (MACVLAN_MODE_BRIDGE): frames to siblings do not go
	 * to the wire */
	bool macvlan_bridge;
	bool no_queue;	     /* what it sends leaves at once: no queueing discipline keeps it */
	bool vlan_filtering; /* a bridge that gives frames VLAN tags and takes them away */
	char name[IF_NAMESIZE];
	char kind[LINK_KIND_SIZE]; /* IFLA_INFO_KIND as is; "" for a link without a kind */
	char (*altnames)[LINK_ALTNAME_SIZE]; /* owned, altname_count of them */
	unsigned int altname_count;
};

/*
 * Fills link from a RTM_NEWLINK or RTM_DELLINK message; *link is overwritten whole, link_clean()
 * frees what it owns. 0; -EBADMSG if an attribute is malformed or one that every link has is
 * missing; -ENOMEM; -ENOENT if the message is none of a link coming, changing or going: AF_BRIDGE
 * messages tell of ports, not of links (kernel net/bridge/br_netlink.c: a RTM_DELLINK of that
 * family is a port leaving its bridge).
 */
int link_parse(struct link *link, const struct nlmsghdr *message);

/* The counters in a RTM_NEWSTATS message, that has IFLA_STATS_LINK_64. 0; -EBADMSG; -ENOENT if the
 * message is none. */
int link_parse_stats(uint32_t *ifindex, struct link_stats *stats, const struct nlmsghdr *message);

/* Frees what *link owns; a zeroed struct is fine. */
void link_clean(struct link *link);

/* The kind that patterns and people see: kind, or "loopback" for lo, or "physical". Points into
 * link or is static. */
const char *link_kind(const struct link *link);

/* Whether link.tunnel is for netlink/wireguard.h to fill. */
bool link_is_wireguard(const struct link *link);

#endif
