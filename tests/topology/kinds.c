// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/grammar.h"
#include "tests/topology/grammar_private.h"

#include <linux/if_bonding.h>
#include <sys/socket.h>

#define TRUNK_SEGMENT	  60 /* a LAN on a VLAN of an uplink's wire */
#define TAGGED_SEGMENT	  70 /* a VLAN on a LAN's bridge and its containers */
#define IP_TUNNEL_SEGMENT 80
#define WIREGUARD_SEGMENT 85
#define VRF_SEGMENT	  90 /* the uplink of a VRF; its LANs follow */
#define DUMMY_SEGMENT	  95
#define PARTS_MAX	  2  /* of each of them */
#define SPACES_LEFT	  10 /* for what is added later */
#define PICKS		  50
#define TAG_LAN		  5
#define TAG_UPLINK	  100
#define TAG_TRUNK	  200
#define TAG_VRF		  300
#define TAG_INNER	  7
#define TAG_SIZE	  4
#define VRF_TABLE	  10
#define GENEVE_ID	  300
#define LAN_MTU		  1400 /* with tag and VXLAN header not more than a wire takes */

unsigned int grammar_optional_kinds(void)
{
	return 1 << KIND_VLAN | 1 << KIND_BOND | 1 << KIND_IPVLAN | 1 << KIND_GRE |
	       1 << KIND_GRETAP | 1 << KIND_GENEVE | 1 << KIND_IPIP | 1 << KIND_SIT |
	       1 << KIND_VRF | 1 << KIND_DUMMY | 1 << KIND_TEAM | 1 << KIND_NETKIT |
	       1 << KIND_WIREGUARD | 1 << KIND_MACVTAP;
}

static bool has(const struct grammar *g, enum kind kind)
{
	return g->kinds >> kind & 1;
}

static bool is_full(const struct grammar *g)
{
	return g->world->space_count + SPACES_LEFT > SPACES_MAX;
}

/* The world has an address there: which of two it would use is not told. */
static bool world_is_in(const struct world *world, unsigned int segment)
{
	for (size_t i = 0; i < world->device_count; i++)
		if (world->devices[i].space == WORLD && world->devices[i].segment == segment)
			return true;
	return false;
}

static struct device *add_vlan(struct grammar *g, struct device *lower, unsigned int space,
			       unsigned int tag)
{
	char name[NAME_SIZE];
	struct device *vlan =
		world_add(g->world, KIND_VLAN, space, name_of(name, "%.8s.%u", lower->name, tag));

	vlan->lower = lower;
	vlan->tag = (uint16_t)tag;
	vlan->mtu = lower->mtu;
	return vlan;
}

/* Both ends of a link with VLANs on them, perhaps of two tags. Sets *here and *there to these. */
static void add_vlans(struct grammar *g, struct device **here, struct device **there,
		      unsigned int tag)
{
	*here = add_vlan(g, *here, HOST, tag);
	*there = add_vlan(g, *there, WORLD, tag);
	if (!random_chance(g->random, 25))
		return;
	*here = add_vlan(g, *here, HOST, TAG_INNER);
	*there = add_vlan(g, *there, WORLD, TAG_INNER);
	(*here)->mtu = (*there)->mtu = (uint16_t)((*here)->mtu - TAG_SIZE);
}

static void add_wires(struct grammar *g, struct device *bond, struct device *there)
{
	char name[NAME_SIZE], other[NAME_SIZE];

	for (unsigned int wire = 0; wire < 2; wire++) {
		struct device *slave =
			world_add_pair(g->world, HOST, name_of(name, "%.8ss%u", bond->name, wire),
				       WORLD, name_of(other, "%.8ss%u", there->name, wire));

		slave->master = bond;
		slave->peer->master = there;
	}
}

/* The wire becomes two, and at both ends a bond or team of them what it was. */
static void add_bond(struct grammar *g)
{
	unsigned int i = random_below(g->random, g->uplink_count);
	struct device *here = g->wires[i], *there = here->peer;

	enum kind kind = has(g, KIND_TEAM) && (!has(g, KIND_BOND) || random_chance(g->random, 40))
				 ? KIND_TEAM
				 : KIND_BOND;

	if (!has(g, kind) || here->kind != KIND_VETH)
		return;
	here->kind = there->kind = kind;
	here->peer = there->peer = NULL;
	here->tag = there->tag =
		random_chance(g->random, 70) ? BOND_MODE_ACTIVEBACKUP : BOND_MODE_ROUNDROBIN;
	add_wires(g, here, there);
}

/* The second uplink: on wires of its own, or by a VLAN on those of the first. */
static void add_uplink_of_kinds(struct grammar *g)
{
	unsigned int i = g->uplink_count;
	struct device *here = g->wires[0], *there = g->ends[0], *top;
	bool shared = has(g, KIND_VLAN) && random_chance(g->random, 40);
	char name[NAME_SIZE], other[NAME_SIZE];

	if (i == UPLINKS_MAX)
		return;
	if (shared) {
		if (here->master && random_chance(g->random, 50))
			here = here->master;
	} else {
		here = world_add_pair(g->world, HOST, name_of(name, "u%u", i), WORLD,
				      name_of(other, "w%u", i));
		there = here->peer;
	}
	if (has(g, KIND_VLAN) && (shared || random_chance(g->random, 60)))
		add_vlans(g, &here, &there, TAG_UPLINK + i);
	top = here;
	if (random_chance(g->random, 35)) {
		top = world_add(g->world, KIND_BRIDGE, HOST, name_of(name, "ub%u", i));
		top->mtu = here->mtu;
		here->master = top;
	} else if (random_chance(g->random, 20)) {
		top = world_add(g->world, KIND_MACVLAN, HOST, name_of(name, "um%u", i));
		top->mtu = here->mtu;
		top->lower = here;
	}
	g->uplink_count++;
	g->wires[i] = here;
	g->ends[i] = there;
	g->gateways[i] = give_address(there, UPLINK_SEGMENT + i, 2);
	g->uplinks[i] = give_address(top, UPLINK_SEGMENT + i, 1);
	if (top != here && !is_full(g))
		add_one_armed(g);
}

static struct device *add_on_wire(struct grammar *g, enum kind kind, struct device *lower,
				  unsigned int segment, struct device *gateway)
{
	unsigned int number = g->container_count;
	char name[NAME_SIZE];
	struct device *device =
		world_add(g->world, kind, add_container_space(g), name_of(name, "k%u", number));

	device->lower = lower;
	device->mtu = lower->mtu;
	give_address(device, segment, 10 + number);
	add_default_route(g, device, gateway);
	return device;
}

/* The VLAN is the container's own device. */
static void add_vlan_container(struct grammar *g, struct device *here, struct device *there,
			       unsigned int segment, unsigned int tag)
{
	unsigned int number = g->container_count;
	struct device *vlan = add_vlan(g, here, add_container_space(g), tag);
	struct device *gateway = give_address(add_vlan(g, there, WORLD, tag), segment, 2);

	add_default_route(g, give_address(vlan, segment, 10 + number), gateway);
}

/* The VLAN is a port of a bridge, that containers are ports of, too. */
static void add_vlan_bridge(struct grammar *g, struct device *here, struct device *there,
			    unsigned int segment, const char *name)
{
	struct device *bridge = world_add(g->world, KIND_BRIDGE, HOST, name), *router = there;
	unsigned int count = random_between(g->random, 1, 2);

	bridge->mtu = here->mtu;
	here->master = bridge;
	if (random_chance(g->random, 60))
		router = give_address(bridge, segment, 1);
	while (count--) {
		struct device *eth0 = add_container(g, segment, bridge);

		eth0->mtu = eth0->peer->mtu = here->mtu;
		add_default_route(g, eth0, random_chance(g->random, 50) ? router : there);
	}
}

/* Containers and perhaps the host behind a VLAN of an uplink's wire, in one of several ways. */
static void add_trunk_lan(struct grammar *g)
{
	unsigned int i = random_below(g->random, g->uplink_count);
	unsigned int part = random_below(g->random, PARTS_MAX), segment = TRUNK_SEGMENT + part;
	unsigned int count = random_between(g->random, 1, 2), way = random_below(g->random, 6);
	struct device *here = g->wires[i], *there = g->ends[i];
	char name[NAME_SIZE];

	if (!has(g, KIND_VLAN) || world_is_in(g->world, segment))
		return;
	if (way == 0) {
		add_vlan_container(g, here, there, segment, TAG_TRUNK + part);
		return;
	}
	add_vlans(g, &here, &there, TAG_TRUNK + part);
	give_address(there, segment, 2);
	if (way <= 3) {
		add_vlan_bridge(g, here, there, segment, name_of(name, "tb%u", part));
		return;
	}
	if (random_chance(g->random, 50))
		give_address(here, segment, 1);
	while (count--)
		add_on_wire(g, way == 4 && has(g, KIND_IPVLAN) ? KIND_IPVLAN : KIND_MACVLAN, here,
			    segment, there);
}

/* Of a container to a bridge. */
static struct device *pick_wire(struct grammar *g)
{
	for (unsigned int i = 0; i < PICKS; i++) {
		struct device *wire =
			&g->world->devices[random_below(g->random,
							(unsigned int)g->world->device_count)];

		if (is_container_wire(wire))
			return wire;
	}
	return NULL;
}

static bool has_default_route(const struct world *world, unsigned int space)
{
	for (size_t i = 0; i < world->route_count; i++)
		if (world->routes[i].space == space)
			return true;
	return false;
}

/* On the bridge of containers and in some of them. */
static void add_tagged_lan(struct grammar *g)
{
	struct device *wire = has(g, KIND_VLAN) ? pick_wire(g) : NULL, *bridge, *router;
	size_t count = g->world->device_count;

	if (!wire)
		return;
	bridge = wire->peer->master;
	router = give_address(add_vlan(g, bridge, HOST, TAG_LAN), TAGGED_SEGMENT, 1);
	router->mtu = LAN_MTU;
	for (size_t i = 0; i < count; i++) {
		struct device *eth0 = &g->world->devices[i], *vlan;

		if (!is_container_wire(eth0) || eth0->peer->master != bridge ||
		    !random_chance(g->random, 75))
			continue;
		vlan = add_vlan(g, eth0, eth0->space, TAG_LAN);
		vlan->mtu = LAN_MTU;
		give_address(vlan, TAGGED_SEGMENT, eth0->address);
		if (!has_default_route(g->world, eth0->space))
			add_default_route(g, vlan, router);
	}
}

/* Macvlans, or ipvlans: the other ones cannot be on it, too. */
static bool has_on_it(const struct world *world, const struct device *lower, bool macvlans)
{
	for (size_t i = 0; i < world->device_count; i++) {
		const struct device *device = &world->devices[i];

		if (device->lower == lower &&
		    (macvlans ? kind_is_macvlan(device->kind) : device->kind == KIND_IPVLAN))
			return true;
	}
	return false;
}

/* Containers that share the address of the wire. */
static void add_ipvlans(struct grammar *g)
{
	unsigned int i = random_below(g->random, g->uplink_count);
	unsigned int count = random_between(g->random, 1, 2);

	if (!has(g, KIND_IPVLAN) || g->uplinks[i] != g->wires[i] ||
	    has_on_it(g->world, g->wires[i], true))
		return;
	while (count--)
		add_on_wire(g, KIND_IPVLAN, g->wires[i], UPLINK_SEGMENT + i, g->gateways[i]);
}

/* At both ends over the uplink. */
static struct device *add_tunnel_pair(struct grammar *g, enum kind kind, const char *name)
{
	unsigned int i = random_below(g->random, g->uplink_count);
	struct device *here = world_add(g->world, kind, HOST, name), *there;
	char other[NAME_SIZE];

	there = world_add(g->world, kind, WORLD, name_of(other, "w%.8s", name));
	here->peer = there;
	there->peer = here;
	here->lower = g->uplinks[i];
	there->lower = g->gateways[i];
	here->outer_family = there->outer_family = AF_INET;
	here->mtu = there->mtu = LAN_MTU;
	return here;
}

/* A port of containers' bridge, behind which there is one more host. */
static void add_far_port(struct grammar *g)
{
	enum kind kind = random_chance(g->random, 50) ? KIND_GRETAP : KIND_GENEVE;
	struct device *wire = has(g, kind) ? pick_wire(g) : NULL, *here;

	if (!wire || world_is_in(g->world, wire->segment))
		return;
	here = add_tunnel_pair(g, kind, "far");
	here->tag = here->peer->tag = kind == KIND_GENEVE ? GENEVE_ID : 0;
	here->mtu = here->peer->mtu = LAN_MTU + TAG_SIZE;
	here->master = wire->peer->master;
	give_address(here->peer, wire->segment, 91);
}

/* A routed link to the world. */
static void add_ip_tunnel(struct grammar *g)
{
	static const enum kind kinds[] = {KIND_GRE, KIND_IPIP, KIND_SIT};
	unsigned int which = random_below(g->random, 3);
	struct device *here;
	char name[NAME_SIZE];

	if (!has(g, kinds[which]) || world_find(g->world, HOST, name_of(name, "t%u", which)))
		return;
	here = add_tunnel_pair(g, kinds[which], name);
	give_address(here, IP_TUNNEL_SEGMENT + which, 1);
	give_address(here->peer, IP_TUNNEL_SEGMENT + which, 90);
}

/* A wire to the world, or a VLAN on one of an uplink; perhaps with a bridge over it. Sets *there to
 * what it reaches. */
static struct device *add_vrf_uplink(struct grammar *g, struct device **there)
{
	struct device *here = g->wires[0], *bridge;

	*there = g->ends[0];
	if (has(g, KIND_VLAN) && random_chance(g->random, 30)) {
		add_vlans(g, &here, there, TAG_VRF);
	} else {
		here = world_add_pair(g->world, HOST, "vu", WORLD, "vw");
		*there = here->peer;
	}
	if (random_chance(g->random, 60))
		return here;
	bridge = world_add(g->world, KIND_BRIDGE, HOST, "vub");
	bridge->mtu = here->mtu;
	here->master = bridge;
	return bridge;
}

/* A container on a link of its own, some on a bridge, or none. Returns what has the host's address.
 */
static struct device *add_vrf_lan(struct grammar *g, unsigned int segment)
{
	unsigned int count = random_below(g->random, 3);
	struct device *gateway, *eth0;
	char name[NAME_SIZE];

	if (has(g, KIND_DUMMY) && random_chance(g->random, 25)) {
		gateway = world_add(g->world, KIND_DUMMY, HOST, name_of(name, "vd%u", segment));
		count = 0;
	} else if (!count) {
		eth0 = add_container(g, segment, NULL);
		gateway = eth0->peer;
		add_default_route(g, eth0, gateway);
	} else {
		gateway = world_add(g->world, KIND_BRIDGE, HOST, name_of(name, "vb%u", segment));
	}
	while (count--) {
		eth0 = add_container(g, segment, gateway);
		add_default_route(g, eth0, gateway);
	}
	return give_address(gateway, segment, 1);
}

/* An uplink and LANs that the main table has no way to, but perhaps through the world. */
static void add_vrf(struct grammar *g)
{
	unsigned int parts = random_between(g->random, 1, PARTS_MAX), i;
	struct device *vrf, *top, *there;

	if (!has(g, KIND_VRF))
		return;
	vrf = world_add(g->world, KIND_VRF, HOST, "red");
	vrf->tag = VRF_TABLE;
	vrf->mtu = UINT16_MAX;
	vrf->queued = random_chance(g->random, 40);
	top = give_address(add_vrf_uplink(g, &there), VRF_SEGMENT, 1);
	give_address(there, VRF_SEGMENT, 2);
	top->master = vrf;
	add_default_route(g, top, there);
	while (parts--) {
		unsigned int segment = VRF_SEGMENT + 1 + parts;

		add_vrf_lan(g, segment)->master = vrf;
		world_add_route(g->world, WORLD, (uint8_t)segment, there, top);
		i = random_below(g->random, g->uplink_count);
		if (random_chance(g->random, 60))
			world_add_route(g->world, HOST, (uint8_t)segment, g->uplinks[i],
					g->gateways[i]);
	}
}

/* Beside the host's address there is one that nobody answers for. */
static void add_dummy(struct grammar *g)
{
	struct device *here, *sink;

	if (!has(g, KIND_DUMMY))
		return;
	here = world_add(g->world, KIND_DUMMY, HOST, "d0");
	sink = world_add(g->world, KIND_DUMMY, add_container_space(g), "sink");
	give_address(here, DUMMY_SEGMENT, 1);
	give_address(sink, DUMMY_SEGMENT, 9);
}

/* Instead of veths. */
static void make_netkits(struct grammar *g)
{
	for (size_t i = 0; i < g->world->device_count && has(g, KIND_NETKIT); i++) {
		struct device *eth0 = &g->world->devices[i];

		if (eth0->space > WORLD && eth0->kind == KIND_VETH && random_chance(g->random, 60))
			eth0->kind = eth0->peer->kind = KIND_NETKIT;
	}
}

/* A routed link to the world, too, whose ends also say something on their own. */
static void add_wireguard(struct grammar *g)
{
	struct device *here;

	if (!has(g, KIND_WIREGUARD))
		return;
	here = add_tunnel_pair(g, KIND_WIREGUARD, "wg0");
	if (random_chance(g->random, 40))
		here->outer_family = here->peer->outer_family = AF_INET6;
	give_address(here, WIREGUARD_SEGMENT, 1);
	give_address(here->peer, WIREGUARD_SEGMENT, 90);
}

/* A virtual machine on an uplink's wire. */
static void add_macvtap(struct grammar *g)
{
	unsigned int i = random_below(g->random, g->uplink_count), number = g->container_count;
	struct device *wire = g->wires[i], *macvtap, *eth0;
	char name[NAME_SIZE];

	if (!has(g, KIND_MACVTAP) || wire->master || has_on_it(g->world, wire, false))
		return;
	macvtap = world_add(g->world, KIND_MACVTAP, HOST, name_of(name, "mt%u", number));
	eth0 = world_add(g->world, KIND_TAP, add_container_space(g), "eth0");
	macvtap->lower = wire;
	macvtap->peer = eth0;
	eth0->peer = macvtap;
	macvtap->mtu = eth0->mtu = wire->mtu;
	give_address(eth0, UPLINK_SEGMENT + i, 10 + number);
	add_default_route(g, eth0, g->gateways[i]);
}

/* Instead of macvlans: as long as no process opens them they are nothing else. */
static void make_macvtaps(struct grammar *g)
{
	for (size_t i = 0; i < g->world->device_count && has(g, KIND_MACVTAP); i++) {
		struct device *device = &g->world->devices[i];

		if (device->kind == KIND_MACVLAN && random_chance(g->random, 40))
			device->kind = KIND_MACVTAP;
	}
}

void kinds_add_devices(struct grammar *g)
{
	static const struct {
		unsigned int percent;
		void (*add)(struct grammar *g);
	} kinds[] = {
		{50, add_bond},	     {80, add_uplink_of_kinds}, {60, add_trunk_lan},
		{40, add_trunk_lan}, {50, add_tagged_lan},	{40, add_ipvlans},
		{40, add_far_port},  {40, add_ip_tunnel},	{40, add_ip_tunnel},
		{50, add_vrf},	     {40, add_dummy},		{50, make_netkits},
		{50, add_wireguard}, {60, add_macvtap},		{40, make_macvtaps},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (random_chance(g->random, kinds[i].percent) && !is_full(g))
			kinds[i].add(g);
}
