/* SPDX-License-Identifier: GPL-2.0-only */
/* How the outer packets of a tunnel device look: IFLA_INFO_DATA of its kind (linux/if_link.h,
 * linux/if_tunnel.h) made into a struct. */
#ifndef FLOWTALLY_LINK_TUNNEL_H
#define FLOWTALLY_LINK_TUNNEL_H

#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>

struct nlattr;

/* Addresses are in network byte order, IPv4 as ::ffff:a.b.c.d; all zero: any. */
struct link_tunnel {
	uint8_t protocols[4]; /* IANA numbers that outer packets may have, up to the first 0; none:
				 no tunnel, or not one that is known here */
	__be16 port;	      /* UDP: one end has it */
	bool port_is_local;   /* that end is this host's */
	bool other_remotes;   /* there may be remote ends beside the one that it is set to */
	uint8_t local[16];
	uint8_t remote[16];
};

/*
 * Overwrites *tunnel with what the data of a link of that kind says. A kind that is no tunnel
 * leaves it empty. 0, or -EBADMSG if an attribute is malformed, then it is empty.
 */
int link_tunnel_parse(struct link_tunnel *tunnel, const char *kind, const struct nlattr *data);

/* Overwrites *tunnel with what a WireGuard device with that port has, which RTNETLINK does not tell
 * (netlink/wireguard.h). 0: it has none yet, so *tunnel is empty. */
void link_tunnel_of_wireguard(struct link_tunnel *tunnel, __be16 port);

#endif
