/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which hooks of the host a datagram passes: the truth, by the construction of the world and by how
 * the kernel forwards, without asking either the kernel or the agent.
 */
#ifndef FLOWTALLY_TOPOLOGY_PATH_H
#define FLOWTALLY_TOPOLOGY_PATH_H

#include "tests/topology/world.h"

#define SIGHTS_MAX  32
#define PACKETS_MAX 24

#define TUNNEL_SOURCE_PORT 50000
#define TUNNEL_PORT	   4789
#define WIREGUARD_PORT	   51820 /* at both ends */
#define GENEVE_PORT	   6081	 /* and the source's is 0 here: a hash that nobody knows */

struct sight {
	const struct device *device;
	bool egress;
	struct tuple tuple; /* as the packet looks there */
};

/* One stay of a packet in the host: from where it is received or born to where it leaves or is
 * delivered. A tunnel's outer packet is another packet. */
struct packet {
	struct sight sights[SIGHTS_MAX];
	size_t sight_count;
	unsigned int outer_header; /* bytes that a tunnel puts before the datagram's IP packet */
	unsigned int padded_mtu;   /* of a WireGuard device, which pads up to it; 0: not padded */
	bool copy;		   /* a mirrored one, which counts where it came in */
};

struct path {
	struct packet packets[PACKETS_MAX];
	size_t packet_count;
	unsigned int mtu;	      /* the least on the way */
	unsigned int own_mtu;	      /* of the sender's own device: where datagrams are cut */
	const struct device *lost_at; /* the dummy that it ends at; NULL: it arrives */
	bool uncut;		      /* a hook shows datagrams before they are cut */
	bool chosen;		      /* a route with two ways is on it */
	bool beyond;		      /* what the agent makes of it is a limit of what it can see */
};

/*
 * The path of what the client (sender 0) or the server (1) sends. False: it does not arrive, nor is
 * it lost at a dummy. ways: where a route has two and world->choose is not set, bit SPACE says
 * whether it is the other.
 */
bool path_find(const struct world *world, const struct conversation *conversation, int sender,
	       unsigned int ways, struct path *path);

/* The one device by which space sends what has these addresses, or NULL. */
const struct device *path_route_device(const struct world *world, unsigned int space,
				       const struct device *from, const struct device *to);

void path_print(const struct path *path);

#endif
