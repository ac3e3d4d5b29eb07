/* SPDX-License-Identifier: GPL-2.0-only */
/* A connection as ctnetlink tells of it: IPCTNL_MSG_CT_NEW and IPCTNL_MSG_CT_DELETE (kernel
 * net/netfilter/nf_conntrack_netlink.c) made into a struct. */
#ifndef FLOWTALLY_CONNTRACK_ENTRY_H
#define FLOWTALLY_CONNTRACK_ENTRY_H

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

struct nlmsghdr;

/* One direction. */
struct conntrack_tuple {
	uint8_t source[16], destination[16]; /* network byte order; IPv4 as ::ffff:a.b.c.d */
	__be16 source_port, destination_port;
};

struct conntrack_entry {
	struct conntrack_tuple original; /* as the client's packets come in */
	struct conntrack_tuple reply;	 /* as the server's packets come in */
	/* Of the original and of the reply direction; 0 is the default zone. Tuples of a direction
	 * are unique within its zone. */
	uint16_t zone[2];
	uint32_t id;	  /* CTA_ID: tells entries apart whose tuples look alike here */
	uint32_t status;  /* IPS_*; of interest: IPS_SRC_NAT, IPS_DST_NAT. IPVS sets neither */
	uint8_t protocol; /* IANA number. Ports are 0 but for TCP, UDP, UDP-Lite, SCTP and DCCP */
	uint8_t family;	  /* AF_INET or AF_INET6 */
	bool gone;	  /* IPCTNL_MSG_CT_DELETE */
};

/* Fills entry from a message; *entry is overwritten whole. 0; -EBADMSG if it is malformed or lacks
 * what every entry has; -ENOENT if it is not about an entry of IPv4 or IPv6. */
int conntrack_parse(struct conntrack_entry *entry, const struct nlmsghdr *message);

#endif
