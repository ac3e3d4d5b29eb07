/* SPDX-License-Identifier: GPL-2.0-only */
/* Random hosts: devices in stacks, some of them monitored, and how both change. No kernel. */
#ifndef FLOWTALLY_SIMULATION_HOST_H
#define FLOWTALLY_SIMULATION_HOST_H

#include "report/topology.h"
#include "tests/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINKS_MAX 24
#define NO_LINK	  SIZE_MAX

enum kind {
	KIND_LOOPBACK,
	KIND_PHYSICAL,
	KIND_VETH,
	KIND_IFB,
	KIND_BRIDGE,
	KIND_BOND,
	KIND_TEAM,
	KIND_NETVSC, /* has a virtual function as its port, and receives by itself as well */
	KIND_VRF,
	KIND_VLAN,
	KIND_MACVLAN,
	KIND_MACVTAP,
	KIND_IPVLAN,
	KIND_VXLAN,
	KIND_WIREGUARD,
	KINDS
};

struct host {
	/* ifindex is the place plus 1; id is the watch's (watch.h) */
	struct topology_link links[LINKS_MAX];
	enum kind kinds[LINKS_MAX];
	bool monitored[LINKS_MAX];
	bool gone[LINKS_MAX];	     /* deleted; its place is not used again */
	size_t shapers[LINKS_MAX];   /* the ifb that received packets detour by, or NO_LINK */
	size_t diverters[LINKS_MAX]; /* where tc sends some of what leaves, or NO_LINK */
	size_t count;
};

void host_build(struct host *host, struct random *random, unsigned int monitored_percent);

/* Changes what is monitored, enslaves or releases a port, adds or deletes a device. Returns which,
 * for people; NULL: nothing was changed. */
const char *host_change(struct host *host, struct random *random);

bool host_is_tunnel(const struct host *host, size_t link);

/* The ifb that packets received there detour by, or NO_LINK. */
size_t host_shaper(const struct host *host, size_t link);

/* The device to which tc sends some of what leaves by a watched one, in front of our hook there; or
 * NO_LINK. */
size_t host_diverter(const struct host *host, size_t link);

/* Its packets come from and go to the outside. */
bool host_is_edge(const struct host *host, size_t link);

/* Its packets come from macvlans of other namespaces over it. */
bool host_has_strangers(const struct host *host, size_t link);

/* A random port of that master, upper device of that lower one, and so on; NO_LINK: none. */
size_t host_pick_port(const struct host *host, struct random *random, size_t master, size_t except);
size_t host_pick_upper(const struct host *host, struct random *random, size_t lower);
size_t host_pick_sibling(const struct host *host, struct random *random, size_t link);
size_t host_pick_macvlan(const struct host *host, struct random *random, size_t lower);
size_t host_pick_tunnel(const struct host *host, struct random *random);

/* One line a device. */
void host_print(const struct host *host);

#endif
