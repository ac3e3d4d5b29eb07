/* SPDX-License-Identifier: GPL-2.0-only */
/* Random hosts, conversations, lists of interfaces and changes. */
#ifndef FLOWTALLY_TOPOLOGY_GRAMMAR_H
#define FLOWTALLY_TOPOLOGY_GRAMMAR_H

#include "tests/random.h"
#include "tests/topology/world.h"

#define LIST_SIZE 1024

/* The device that tells when the agent has seen a change: nothing ever passes it. */
#define SENTINEL_OFF "off0"
#define SENTINEL_ON  "on0"

/* Names that begin so are on every exclude list. */
#define EXCLUDED_PREFIX "z"

/*
 * A zeroed world becomes a host with its surroundings, and conversations. traps: also with packets
 * that are known not to say where they come from. Where the host tracks connections, ip6_fragment()
 * makes a forwarded datagram's fragments anew, sometimes without skb_iif: they look born here.
 * elements_percent: the chance that it has more than uplinks and LANs: routes with two ways, rules
 * by source, one-armed routers, hairpins, devices that a process serves, shapers, mirrors.
 * kinds: a bit for each kind that not every kernel has (grammar_optional_kinds()) and that it may
 * have; the chance is elements_percent again.
 */
void grammar_build(struct random *random, struct world *world, bool traps,
		   unsigned int elements_percent, unsigned int kinds);

/* The kinds that a host can do without, as bits: 1 << KIND_VLAN and so on. */
unsigned int grammar_optional_kinds(void);

/* The agent's lists of patterns. */
struct lists {
	char include[LIST_SIZE], exclude[LIST_SIZE];
};

void grammar_choose_lists(struct random *random, const struct world *world, struct lists *lists);
void grammar_choose_all(struct lists *lists);
/* Marks in the world what the agent monitors with these lists. */
void lists_apply(const struct lists *lists, struct world *world);

enum change_kind {
	CHANGE_LISTS,	/* other include and exclude lists */
	CHANGE_RENAME,	/* a device of the host, out of the lists or back */
	CHANGE_RELEASE, /* a port from its bridge */
	CHANGE_ENSLAVE, /* the same back again */
	CHANGE_ADD,	/* a container */
	CHANGE_MOVE,	/* a container, whose end of the pair is made in the host and then moved */
	CHANGE_DELETE,	/* a container's link */
	CHANGE_ROUTE,	/* what the host or the world sends out, to the other uplink */
	CHANGE_FAIL_OVER, /* a bond is told to use its other wire */
	CHANGE_UNPLUG,	  /* the slave of a bond, at either end: the bonds see it themselves */
	CHANGE_PLUG,	  /* the same back again */
	CHANGES,
};

struct change {
	enum change_kind kind;
	struct device *device; /* that changes; CHANGE_ADD, _MOVE: of a container to be like */
	struct route *route;
	char name[NAME_SIZE]; /* CHANGE_RENAME */
};

/* Whether a bond could fail over to another wire. */
bool grammar_has_backup(const struct world *world);
/* False: there is nothing of that kind to change. */
bool grammar_choose_change(struct random *random, struct world *world, struct change *change);
const char *change_to_str(enum change_kind kind);

/* A container like that one; the new one's device. In the host: not in its own space yet, and
 * without an address. */
struct device *grammar_add_container(struct world *world, struct device *like, bool in_host);
/* Gives the new container the address and the route that it lacks. */
void grammar_settle_container(struct world *world, struct device *like, struct device *device);
/* Turns a route to the other uplink. What the host translates ends: the kernel may forget it. */
void grammar_switch_route(struct world *world, struct route *route);
void grammar_add_conversations(struct random *random, struct world *world, unsigned int count,
			       bool traps);

#endif
