/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model of a small network: the host under test and everything around it. Nothing here talks
 * to the kernel; kernel.h makes a world real, path.h says which hooks of the host a packet passes.
 *
 * Namespace 0 is the host. A segment is a set of devices with addresses that reach each other
 * without a router; segment S has 10.S.0.0/24 and fd00:S::/64.
 */
#ifndef FLOWTALLY_TOPOLOGY_WORLD_H
#define FLOWTALLY_TOPOLOGY_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST 0

#define SPACES_MAX	  32
#define DEVICES_MAX	  128
#define ROUTES_MAX	  96
#define CONVERSATIONS_MAX 24
#define NAME_SIZE	  16
#define ANY_SEGMENT	  0

enum kind {
	KIND_LOOPBACK,
	KIND_VETH,
	KIND_BRIDGE,
	KIND_MACVLAN,
	KIND_VXLAN,
	KIND_VLAN,
	KIND_TUN, /* IP packets to and from a process, which carries them to the peer */
	KIND_TAP, /* the same with frames, as of a virtual machine */
	KIND_IFB,
	KIND_BOND,
	KIND_IPVLAN,
	KIND_GRE,
	KIND_GRETAP,
	KIND_GENEVE,
	KIND_IPIP,
	KIND_SIT,
	KIND_VRF,
	KIND_DUMMY, /* what it sends is lost */
	KIND_TEAM,
	KIND_NETKIT, /* in its mode l2: a pair as of veths */
	KIND_WIREGUARD,
	KIND_MACVTAP, /* a macvlan, or with a peer: that is a virtual machine's tap */
	KINDS
};

struct device {
	enum kind kind;
	unsigned int space;
	char name[NAME_SIZE];
	uint8_t mac[6];
	uint16_t mtu;		  /* but for bridges: see world_mtu() */
	uint8_t segment, address; /* the last byte of its address in that segment; 0: none */
	struct device *peer;	  /* pairs, tun, tap: the other end; tunnels: the other one's end;
				     macvtap: what a process carries its frames to */
	struct device *master;	  /* a bridge, bond, team or VRF */
	struct device *lower;	  /* macvlan, vlan, ipvlan: the device below; tunnels: the one whose
				     address the outer packets have */
	int outer_family;	  /* tunnels: AF_INET or AF_INET6 */
	uint16_t tag; /* vlan: its tag; vxlan, geneve: its network identifier; bond, team:
			 its mode, as bonds have it; vrf: its table */

	/* by tc, of all that comes in */
	struct device *redirect;      /* it leaves there, behind the agent's hook */
	struct device *shaper;	      /* an ifb, by which it makes a round; likewise behind */
	struct device *mirror;	      /* a copy leaves there */
	unsigned int mirror_priority; /* 1: in front of the agent's hook, if it was first */

	struct device *active; /* a bond in active-backup mode: its slave that sends and receives;
				  NULL: the first one */
	bool down;	       /* a slave's, while it is unplugged */
	bool hairpin;	       /* a bridge port: frames may leave by the port that they came by */
	bool queued;	       /* a VRF: what its sockets send passes it, by a queue */
	struct device *former_master; /* that it was released from */
	bool gone;
	bool monitored; /* by the agent; only for devices of the host */
	uint32_t ifindex;
};

/* What goes to the segment leaves by device, to the MAC address of the gateway; or, where there is
 * another way, by that one: which of them the kernel chooses by the packet's addresses. */
struct route {
	unsigned int space;
	uint8_t segment; /* ANY_SEGMENT: default route */
	struct device *device;
	struct device *gateway;
	struct device *other_device; /* NULL: there is one way only */
	struct device *other_gateway;
	struct device *from; /* by a rule, before all others: only what has that address as its
				source; NULL: all */
};

struct tuple {
	struct device *address[2]; /* source, destination: an address is known by its device */
	uint16_t port[2];
	int family;
};

/* A packet is to be routed in that space by a route that has two ways; in: where it was received,
 * NULL: born there. Whether it takes the other one, or -errno. */
typedef int (*world_choice)(void *data, const struct route *route, const struct device *in,
			    const struct tuple *tuple, bool stream);

/* In wire packets, in IP bytes. */
struct sent {
	uint64_t packets, bytes;
};

/* Datagrams between a socket of the client's and one of the server's, or a TCP connection. */
struct conversation {
	struct device *client, *server;
	struct tuple sent;    /* as the client sends */
	struct tuple arrives; /* as the server receives; another one if the host translates */
	bool masquerade;      /* else a translated source is SNAT */
	bool stream;	      /* TCP: size times count is what is sent */
	unsigned int size;    /* of the datagrams' data */
	unsigned int count[2];
	bool ended;	       /* nothing more is sent */
	int fd[2];	       /* client, server; -1: not open */
	struct sent before[2]; /* of a stream: in rounds before this one */
};

struct world {
	struct device devices[DEVICES_MAX];
	size_t device_count;
	struct route routes[ROUTES_MAX];
	size_t route_count;
	struct conversation conversations[CONVERSATIONS_MAX];
	size_t conversation_count;
	unsigned int space_count;
	char space_names[SPACES_MAX][NAME_SIZE];
	world_choice choose; /* NULL: nobody knows yet */
	void *choose_data;
};

const char *kind_to_str(enum kind kind);

struct device *world_add(struct world *world, enum kind kind, unsigned int space, const char *name);
/* A veth pair; the first end is returned. */
struct device *world_add_pair(struct world *world, unsigned int space, const char *name,
			      unsigned int other_space, const char *other_name);
unsigned int world_add_space(struct world *world, const char *name);
struct route *world_add_route(struct world *world, unsigned int space, uint8_t segment,
			      struct device *device, struct device *gateway);
struct device *world_find(struct world *world, unsigned int space, const char *name);

/* Whether two devices with addresses reach each other without a router. */
bool world_are_neighbours(const struct device *a, const struct device *b);

/* Or a macvtap. */
bool kind_is_macvlan(enum kind kind);
/* Whether a macvlan leaves it to the switch to send back to its siblings (VEPA). */
bool world_is_reflected(const struct device *macvlan);

/* Made as a pair. */
bool kind_is_pair(enum kind kind);
/* The ends are those of one cable, whoever carries what goes over it. */
bool kind_is_cable(enum kind kind);
bool kind_is_served(enum kind kind);	/* by a process */
bool kind_is_bond(enum kind kind);	/* or a team */
bool kind_is_ip_tunnel(enum kind kind); /* without link headers inside */

/* The one whose MAC address the device has: a VLAN or ipvlan has that of the device below, a
 * virtual machine that of its macvtap. */
const struct device *world_mac_owner(const struct device *device);

/* Of a bond in active-backup mode the slave that sends and receives; of another bond the first one.
 */
struct device *world_active_slave(const struct world *world, const struct device *bond);
struct device *world_other_slave(const struct world *world, const struct device *slave);
/* It is a slave of a bond in active-backup mode. */
bool world_is_backed_up(const struct device *device);
/* At both ends the other wire takes over from the slave's. */
void world_fail_over(struct world *world, struct device *slave);
/* The slave goes down, and so does its wire. */
void world_unplug(struct world *world, struct device *slave);
/* What a frame leaves by at last: the device itself, or of a VLAN or bond what is below. */
const struct device *world_wire(const struct world *world, const struct device *device);

/* The VRF by whose table is routed what the device receives, and what is sent from its address;
 * NULL: by the main one. */
struct device *world_vrf(const struct device *device);

/* Its frames have the service tag of 802.1ad, as other VLANs stand on it. */
bool world_is_service_vlan(const struct world *world, const struct device *device);

/* The device ends, and so does what cannot be without it. */
void world_remove(struct world *world, struct device *device);

/* The port of the bridge behind which the target is, or NULL. */
struct device *world_bridge_port(const struct world *world, const struct device *bridge,
				 const struct device *target);

/* A bridge's is the least of its ports' as they are now. */
uint16_t world_mtu(const struct world *world, const struct device *device);

/* Whether the host rewrites that end (0: the client's), or any. */
bool conversation_end_is_translated(const struct conversation *c, int end);
bool conversation_is_translated(const struct conversation *c);
bool world_translates(const struct world *world);

/* As text, "10.2.0.1" or "fd00:2::1". */
const char *device_address(const struct device *device, int family, char *text, size_t size);
/* 16 bytes, IPv4 as ::ffff:a.b.c.d. */
void device_address_bytes(const struct device *device, int family, uint8_t *bytes);

/* One line a link. */
void world_print(const struct world *world);

#endif
