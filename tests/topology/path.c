// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/path.h"

#include <assert.h>
#include <linux/if_bonding.h>
#include <linux/if_ether.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HOPS_MAX     64
#define UDP_HEADER   8
#define VXLAN_HEADER 8 /* and that of geneve without options */
#define GRE_HEADER   4
#define WG_HEADER    32 /* and what tells a forgery */
#define TAG_SIZE     4
#define TAGS_MAX     4

struct walk {
	const struct world *world;
	const struct conversation *conversation;
	int sender;
	struct path *path;
	struct packet *packet; /* the stay in the host that goes on; NULL: none */
	unsigned int outer_header, padded_mtu;
	bool sourceless;	 /* the packet is routed before it has an address */
	uint16_t tags[TAGS_MAX]; /* of VLANs, that the frame has now, the outermost last */
	unsigned int tag_count;
	unsigned int hops;
	unsigned int ways; /* as path_find() has it */
	bool in_vrf;	   /* a VRF has routed it */
	bool judged;	   /* some hook tells only with what others counted of the flow */
};

/* Whether what a VLAN of a container sends over that port seems to be born at the master whatever
 * its tag (doc/dedup.md, Limits). */
static bool hides_tags(const struct world *world, const struct device *port)
{
	for (size_t i = 0; i < world->device_count; i++) {
		const struct device *device = &world->devices[i];

		if (device->space == HOST && device->kind == KIND_VLAN && device->lower == port)
			return true;
	}
	return port->master->master;
}

static bool transmit(struct walk *walk, const struct device *device, const struct device *target,
		     struct tuple *tuple);
static bool receive(struct walk *walk, const struct device *device, const struct device *target,
		    struct tuple *tuple);

/* The slaves of a bond in round-robin mode send and receive in turns. */
static bool is_either(const struct device *device)
{
	return device->master && kind_is_bond(device->master->kind) &&
	       device->master->tag == BOND_MODE_ROUNDROBIN;
}

static void see(struct walk *walk, const struct device *device, bool egress,
		const struct tuple *tuple)
{
	struct path *path = walk->path;
	struct packet *packet = walk->packet;

	if (device->space != HOST)
		return;
	if (!packet) {
		assert(path->packet_count < PACKETS_MAX);
		packet = &path->packets[path->packet_count++];
		*packet = (struct packet){.outer_header = walk->outer_header,
					  .padded_mtu = walk->padded_mtu};
		walk->packet = packet;
	}
	if (is_either(device)) {
		const struct device *other = world_other_slave(walk->world, device);

		/* which one, only the bond knows */
		path->beyond |= device->monitored != other->monitored && !device->master->monitored;
		if (device->monitored != other->monitored)
			return;
	}
	assert(packet->sight_count < SIGHTS_MAX);
	packet->sights[packet->sight_count++] =
		(struct sight){.device = device, .egress = egress, .tuple = *tuple};
}

/* The host's NAT before it routes: a packet to where it pretends to be. */
static void translate_destination(const struct walk *walk, struct tuple *tuple)
{
	const struct conversation *c = walk->conversation;
	const struct tuple *real = walk->sender ? &c->sent : &c->arrives;
	int end = walk->sender ? 0 : 1;

	if (walk->outer_header)
		return;
	tuple->address[1] = real->address[end];
	tuple->port[1] = real->port[end];
}

/* And after it: from where it pretends to come. */
static void translate_source(const struct walk *walk, struct tuple *tuple)
{
	const struct conversation *c = walk->conversation;
	const struct tuple *shown = walk->sender ? &c->sent : &c->arrives;
	int end = walk->sender ? 1 : 0;

	if (walk->outer_header)
		return;
	tuple->address[0] = shown->address[end];
	tuple->port[0] = shown->port[end];
}

/* vrf: in its table; from: of a rule for what has that source; both NULL: the main table. */
static const struct route *find_route(const struct world *world, unsigned int space,
				      const struct device *vrf, const struct device *from,
				      uint8_t segment)
{
	for (size_t i = 0; i < world->route_count; i++) {
		const struct route *route = &world->routes[i];

		if (route->space == space && route->segment == segment && route->from == from &&
		    world_vrf(route->device) == vrf && !route->device->gone &&
		    !route->gateway->gone)
			return route;
	}
	return NULL;
}

static const struct device *find_neighbour(const struct world *world, unsigned int space,
					   const struct device *vrf, const struct device *address)
{
	for (size_t i = 0; i < world->device_count; i++) {
		const struct device *device = &world->devices[i];

		if (device->space == space && world_vrf(device) == vrf &&
		    world_are_neighbours(device, address))
			return device;
	}
	return NULL;
}

/* Where space sends what has these addresses: by *device to the MAC address of *next. Returns the
 * route, NULL if it needs none, or there is none: then *device is NULL. */
static const struct route *find_way(const struct world *world, unsigned int space,
				    const struct device *vrf, const struct device *from,
				    const struct device *to, const struct device **device,
				    const struct device **next)
{
	const struct route *route = NULL;

	/* rules come before links and the main table */
	if (from)
		route = find_route(world, space, vrf, from, to->segment)
				?: find_route(world, space, vrf, from, ANY_SEGMENT);
	*next = to;
	*device = route ? NULL : find_neighbour(world, space, vrf, to);
	if (*device)
		return NULL;
	if (!route)
		route = find_route(world, space, vrf, NULL, to->segment)
				?: find_route(world, space, vrf, NULL, ANY_SEGMENT);
	if (route) {
		*device = route->device;
		*next = route->gateway;
	}
	return route;
}

const struct device *path_route_device(const struct world *world, unsigned int space,
				       const struct device *from, const struct device *to)
{
	const struct device *device, *next;
	const struct route *route =
		find_way(world, space, world_vrf(from), from, to, &device, &next);

	return route && route->other_device ? NULL : device;
}

/* Whether the route's other way is taken, or -errno. */
static int choose_way(struct walk *walk, const struct route *route, const struct device *in,
		      const struct tuple *tuple)
{
	const struct world *world = walk->world;

	walk->path->chosen = true;
	if (!world->choose)
		return walk->ways >> route->space & 1;
	return world->choose(world->choose_data, route, in, tuple, walk->conversation->stream);
}

/* Nothing is translated in a VRF. */
static bool may_route(const struct walk *walk, const struct device *device)
{
	return !world_vrf(device) || !conversation_is_translated(walk->conversation);
}

/* What delivers packets between addresses of the space that have the same routing table. */
static const struct device *find_loopback(const struct world *world, unsigned int space,
					  const struct device *vrf)
{
	size_t i = 0;

	if (vrf)
		return vrf;
	while (world->devices[i].kind != KIND_LOOPBACK || world->devices[i].space != space)
		i++;
	return &world->devices[i];
}

/* in: where it was received, NULL: it is born in that space. */
static bool send_ip(struct walk *walk, unsigned int space, const struct device *in,
		    struct tuple *tuple)
{
	const struct device *meant = tuple->address[1], *to = meant, *next, *device;
	const struct device *at = in ? in : tuple->address[0], *vrf = world_vrf(at);
	const struct route *route;
	int other;

	/* the host's rules for what it sends itself, before its own addresses are looked at */
	if (space == HOST && !walk->packet) {
		translate_destination(walk, tuple);
		to = tuple->address[1];
	}
	walk->in_vrf |= !!vrf;
	if (to->gone || !may_route(walk, at))
		return false;
	if (to->space == space) {
		const struct device *lo = find_loopback(walk->world, space, vrf);

		if (world_vrf(to) != vrf)
			return false;
		see(walk, lo, true, tuple);
		see(walk, lo, false, tuple);
		walk->packet = NULL;
		return true;
	}
	route = find_way(walk->world, space, vrf, walk->sourceless ? NULL : tuple->address[0], to,
			 &device, &next);
	if (!device)
		return false;
	if (route && route->other_device) {
		/* ip6_route_me_harder() forgets the protocol, which is a part of the choice */
		if (to != meant && tuple->family == AF_INET6)
			return false;
		other = choose_way(walk, route, in, tuple);
		if (other < 0)
			return false;
		device = other ? route->other_device : device;
		next = other ? route->other_gateway : next;
	}
	if (vrf && !in && vrf->queued) {
		see(walk, vrf, true, tuple);
		walk->path->uncut = true;
	}
	if (space == HOST)
		translate_source(walk, tuple);
	if (!walk->outer_header && !walk->path->own_mtu)
		walk->path->own_mtu = world_mtu(walk->world, device);
	return transmit(walk, device, next, tuple);
}

/* Some carry one kind of packets only. */
static bool tunnel_takes(const struct device *device, int family)
{
	if (device->kind == KIND_IPIP)
		return family == AF_INET;
	return device->kind != KIND_SIT || family == AF_INET6;
}

/* Up to the inner IP header. */
static unsigned int outer_header_size(const struct walk *walk, const struct device *device)
{
	unsigned int size = device->outer_family == AF_INET ? 20 : 40;

	if (device->kind == KIND_VXLAN || device->kind == KIND_GENEVE)
		size += UDP_HEADER + VXLAN_HEADER;
	else if (device->kind == KIND_WIREGUARD)
		size += UDP_HEADER + WG_HEADER;
	else if (device->kind == KIND_GRE || device->kind == KIND_GRETAP)
		size += GRE_HEADER;
	if (kind_is_ip_tunnel(device->kind))
		return size;
	return size + ETH_HLEN + walk->tag_count * TAG_SIZE;
}

static struct tuple outer_tuple(const struct device *device)
{
	struct tuple outer = {.address = {device->lower, device->peer->lower},
			      .family = device->outer_family};

	if (device->kind == KIND_VXLAN) {
		outer.port[0] = TUNNEL_SOURCE_PORT;
		outer.port[1] = TUNNEL_PORT;
	} else if (device->kind == KIND_WIREGUARD) {
		outer.port[0] = outer.port[1] = WIREGUARD_PORT;
	} else if (device->kind == KIND_GENEVE) {
		outer.port[1] = GENEVE_PORT;
	}
	return outer;
}

/* WireGuard does not always send from one address, and so by other rules at times. */
static bool is_ruled(const struct world *world, const struct device *address)
{
	for (size_t i = 0; i < world->route_count; i++)
		if (world->routes[i].from == address)
			return true;
	return false;
}

/* The datagram becomes the load of another packet, born here, and comes out at the other end. */
static bool send_through_tunnel(struct walk *walk, const struct device *device,
				const struct device *target, struct tuple *tuple)
{
	struct tuple outer = outer_tuple(device);
	bool wireguard = device->kind == KIND_WIREGUARD;
	unsigned int tag_count = walk->tag_count;
	uint16_t tags[TAGS_MAX];
	bool arrives;

	if (walk->outer_header || device->gone || device->peer->gone ||
	    !tunnel_takes(device, tuple->family))
		return false;
	if (wireguard &&
	    (is_ruled(walk->world, device->lower) || is_ruled(walk->world, device->peer->lower)))
		return false;
	memcpy(tags, walk->tags, sizeof(tags));
	walk->packet = NULL;
	walk->outer_header = outer_header_size(walk, device);
	walk->padded_mtu = wireguard ? device->mtu : 0;
	walk->sourceless = wireguard || device->kind == KIND_GENEVE;
	walk->tag_count = 0;
	arrives = send_ip(walk, device->space, NULL, &outer);
	walk->outer_header = walk->padded_mtu = 0;
	walk->sourceless = false;
	memcpy(walk->tags, tags, sizeof(tags));
	walk->tag_count = tag_count;
	walk->packet = NULL;
	return arrives && receive(walk, device->peer, target, tuple);
}

/* To a sibling past the device below, whose MAC address all of them have. */
static bool transmit_ipvlan(struct walk *walk, const struct device *device,
			    const struct device *target, struct tuple *tuple)
{
	const struct device *to = target;

	if (device->lower->space != device->space)
		walk->packet = NULL;
	if (world_mac_owner(target) != world_mac_owner(device))
		return transmit(walk, device->lower, target, tuple);
	if (target->kind != KIND_IPVLAN || target->lower != device->lower)
		to = device->lower;
	if (to->space != device->lower->space)
		walk->packet = NULL;
	return receive(walk, to, target, tuple);
}

/* A frame for the target leaves by the device. */
static bool transmit(struct walk *walk, const struct device *device, const struct device *target,
		     struct tuple *tuple)
{
	uint16_t mtu = world_mtu(walk->world, device);
	const struct device *owner = world_mac_owner(target), *port;

	if (device->gone || ++walk->hops > HOPS_MAX)
		return false;
	see(walk, device, true, tuple);
	if (!walk->outer_header && mtu < walk->path->mtu)
		walk->path->mtu = mtu;
	switch (device->kind) {
	case KIND_VETH:
	case KIND_NETKIT:
		if (device->peer->space != device->space)
			walk->packet = NULL;
		return receive(walk, device->peer, target, tuple);
	case KIND_TUN:
	case KIND_TAP:
		/* what the process writes is another packet */
		walk->packet = NULL;
		if (device->peer->kind == KIND_MACVTAP)
			return transmit(walk, device->peer, target, tuple);
		return receive(walk, device->peer, target, tuple);
	case KIND_BRIDGE:
		port = world_bridge_port(walk->world, device, target);
		return port && transmit(walk, port, target, tuple);
	case KIND_MACVLAN:
	case KIND_MACVTAP:
		if (device->lower->space != device->space)
			walk->packet = NULL;
		/* to its siblings over the device below, which receives it, as if from the wire */
		if (kind_is_macvlan(owner->kind) && owner->lower == device->lower &&
		    !world_is_reflected(device))
			return receive(walk, device->lower, target, tuple);
		return transmit(walk, device->lower, target, tuple);
	case KIND_VLAN:
		if (walk->tag_count == TAGS_MAX)
			return false;
		walk->tags[walk->tag_count++] = device->tag;
		if (device->lower->space != device->space) {
			walk->packet = NULL;
			walk->path->beyond |= device->lower->space == HOST &&
					      device->lower->master &&
					      hides_tags(walk->world, device->lower);
		}
		return transmit(walk, device->lower, target, tuple);
	case KIND_BOND:
	case KIND_TEAM:
		return transmit(walk, world_active_slave(walk->world, device), target, tuple);
	case KIND_IPVLAN:
		return transmit_ipvlan(walk, device, target, tuple);
	case KIND_VXLAN:
	case KIND_GRE:
	case KIND_GRETAP:
	case KIND_GENEVE:
	case KIND_IPIP:
	case KIND_SIT:
	case KIND_WIREGUARD:
		return send_through_tunnel(walk, device, target, tuple);
	case KIND_DUMMY:
		walk->path->lost_at = device;
		return true;
	case KIND_LOOPBACK:
	case KIND_IFB:
	case KIND_VRF:
	case KINDS:
		break;
	}
	return false;
}

/* An address of the host that another table has: as a source it is a martian, and as a target of no
 * socket there. */
static bool is_of_other_table(const struct device *address, const struct device *device)
{
	return address->space == device->space && world_vrf(address) != world_vrf(device);
}

static bool receive_ip(struct walk *walk, const struct device *device, struct tuple *tuple)
{
	if (device->space == HOST)
		translate_destination(walk, tuple);
	if (is_of_other_table(tuple->address[0], device) ||
	    is_of_other_table(tuple->address[1], device) || !may_route(walk, device))
		return false;
	if (tuple->address[1]->space == device->space) {
		if (device->space == HOST)
			translate_source(walk, tuple);
		walk->packet = NULL;
		return !tuple->address[1]->gone;
	}
	return send_ip(walk, device->space, device, tuple);
}

/* A copy of what comes in. Where nobody looks at the device that it came in by, the copy is a first
 * sight, and so is the original where it is seen. */
static void copy_to(struct walk *walk, const struct device *device, const struct device *mirror,
		    const struct tuple *tuple)
{
	struct packet *original = walk->packet;

	walk->packet = NULL;
	see(walk, mirror, true, tuple);
	walk->packet->copy = true;
	walk->packet = original;
	walk->path->beyond |= mirror->monitored && !device->monitored;
}

/* What tc does with a frame that comes in, behind our hook. */
static void take_detours(struct walk *walk, const struct device *device, const struct tuple *tuple)
{
	if (device->mirror)
		copy_to(walk, device, device->mirror, tuple);
	if (!device->shaper)
		return;
	see(walk, device->shaper, true, tuple);
	if (!device->shaper->monitored || device->monitored)
		return;
	/* without a link header it is no IP packet there; and what makes two rounds is there twice
	 */
	walk->path->beyond |= walk->judged || device->kind == KIND_TUN;
	walk->judged = true;
}

/* The VLAN that takes the frame, as it is tagged now, from the device; or NULL. */
static const struct device *find_vlan(const struct walk *walk, const struct device *device)
{
	for (size_t i = 0; i < walk->world->device_count && walk->tag_count; i++) {
		const struct device *vlan = &walk->world->devices[i];

		if (vlan->kind == KIND_VLAN && vlan->lower == device && !vlan->gone &&
		    vlan->tag == walk->tags[walk->tag_count - 1])
			return vlan;
	}
	return NULL;
}

/* Up the stack. */
static bool receive_above(struct walk *walk, const struct device *device,
			  const struct device *upper, const struct device *target,
			  struct tuple *tuple)
{
	if (upper->space != device->space)
		walk->packet = NULL;
	return receive(walk, upper, target, tuple);
}

/* From the port of a bridge or bond. */
static bool receive_from_port(struct walk *walk, const struct device *device,
			      const struct device *target, struct tuple *tuple)
{
	const struct device *master = device->master, *owner = world_mac_owner(target), *port;

	if (kind_is_bond(master->kind))
		return (master->tag == BOND_MODE_ROUNDROBIN ||
			device == world_active_slave(walk->world, master)) &&
		       receive(walk, master, target, tuple);
	if (owner == master || owner->lower == master)
		return receive(walk, master, target, tuple);
	port = world_bridge_port(walk->world, master, target);
	return port && (port != device || device->hairpin) && transmit(walk, port, target, tuple);
}

/* A frame for the target comes in on the device. */
static bool receive(struct walk *walk, const struct device *device, const struct device *target,
		    struct tuple *tuple)
{
	const struct device *owner = world_mac_owner(target), *vlan;

	if (device->gone || ++walk->hops > HOPS_MAX)
		return false;
	see(walk, device, false, tuple);
	take_detours(walk, device, tuple);
	if (device->redirect)
		return transmit(walk, device->redirect, target, tuple);
	vlan = find_vlan(walk, device);
	if (vlan) {
		walk->tag_count--;
		return receive_above(walk, device, vlan, target, tuple);
	}
	if (device->master && !world_vrf(device))
		return receive_from_port(walk, device, target, tuple);
	if (kind_is_macvlan(owner->kind) && owner->lower == device && !owner->gone)
		return receive_above(walk, device, owner, target, tuple);
	if (device->kind == KIND_MACVTAP && target == device->peer) {
		/* what the process writes is another packet */
		walk->packet = NULL;
		return receive(walk, target, target, tuple);
	}
	if (target->kind == KIND_IPVLAN && target->lower == device && !target->gone &&
	    !walk->tag_count)
		return receive_above(walk, device, target, target, tuple);
	return target == device && !walk->tag_count && receive_ip(walk, device, tuple);
}

static struct tuple reverse(const struct tuple *tuple)
{
	return (struct tuple){.address = {tuple->address[1], tuple->address[0]},
			      .port = {tuple->port[1], tuple->port[0]},
			      .family = tuple->family};
}

static bool tuples_equal(const struct tuple *a, const struct tuple *b)
{
	return a->address[0] == b->address[0] && a->address[1] == b->address[1] &&
	       a->port[0] == b->port[0] && a->port[1] == b->port[1];
}

/* Stays in the host of packets of one flow. */
static unsigned int count_stays(const struct path *path, bool outer)
{
	unsigned int count = 0;

	for (size_t i = 0; i < path->packet_count; i++)
		count += !path->packets[i].copy && !path->packets[i].outer_header == !outer;
	return count;
}

/* A container on the bridge of an uplink sent it out there, without a router of this host. */
static bool was_bridged_out(const struct world *world, const struct packet *packet)
{
	const struct sight *first = &packet->sights[0];

	if (!packet->sight_count || first->egress || !first->device->master ||
	    first->device->master->kind != KIND_BRIDGE)
		return false;
	for (size_t i = 1; i < packet->sight_count; i++) {
		const struct sight *sight = &packet->sights[i];

		if (sight->egress && sight->device->master == first->device->master &&
		    world_wire(world, sight->device)->peer->space != HOST)
			return true;
	}
	return false;
}

/* A virtual machine sent it out by its macvtap, or to a sibling of that. */
static bool was_sent_by_a_macvtap(const struct packet *packet)
{
	const struct sight *first = &packet->sights[0];

	return packet->sight_count && first->egress && first->device->kind == KIND_MACVTAP &&
	       first->device->peer;
}

static bool is_watched_in_part(const struct path *path)
{
	bool watched = false, unwatched = false;

	for (size_t i = 0; i < path->packet_count; i++)
		for (size_t s = 0; s < path->packets[i].sight_count; s++) {
			watched |= path->packets[i].sights[s].device->monitored;
			unwatched |= !path->packets[i].sights[s].device->monitored;
		}
	return watched && unwatched;
}

/* What leaves by a bridge or macvtap and comes back in by the same, or goes through the world from
 * a VRF to the main table or back: one flow and sender over two paths at once, and where a part is
 * watched one of them is judged by the other. */
static bool comes_back(const struct walk *walk, const struct path *path)
{
	bool back = walk->in_vrf;

	for (size_t i = 0; i + 1 < path->packet_count; i++)
		back |= !path->packets[i].copy &&
			(was_bridged_out(walk->world, &path->packets[i]) ||
			 was_sent_by_a_macvtap(&path->packets[i]));
	return back && count_stays(path, false) > 1 && is_watched_in_part(path);
}

bool path_find(const struct world *world, const struct conversation *conversation, int sender,
	       unsigned int ways, struct path *path)
{
	struct walk walk = {.world = world,
			    .conversation = conversation,
			    .sender = sender,
			    .path = path,
			    .ways = ways};
	struct tuple tuple = sender ? reverse(&conversation->arrives) : conversation->sent;
	struct tuple meant = sender ? reverse(&conversation->sent) : conversation->arrives;
	const struct device *from = sender ? conversation->server : conversation->client;

	path->packet_count = 0;
	path->mtu = UINT16_MAX;
	path->own_mtu = 0;
	path->lost_at = NULL;
	path->uncut = path->chosen = path->beyond = false;
	if (from->gone || !send_ip(&walk, from->space, NULL, &tuple))
		return false;
	path->beyond |=
		walk.judged && (count_stays(path, false) > 1 || count_stays(path, true) > 1);
	path->beyond |= comes_back(&walk, path);
	if (!path->own_mtu)
		path->own_mtu = UINT16_MAX;
	return tuples_equal(&tuple, &meant);
}

void path_print(const struct path *path)
{
	for (size_t i = 0; i < path->packet_count; i++) {
		const struct packet *packet = &path->packets[i];

		printf("#       %s%s:", packet->outer_header ? "tunnel's" : "in the host",
		       packet->copy ? ", copy" : "");
		for (size_t s = 0; s < packet->sight_count; s++)
			printf(" %s %s%s", packet->sights[s].egress ? "out" : "in",
			       packet->sights[s].device->name,
			       packet->sights[s].device->monitored ? "*" : "");
		printf("\n");
	}
}
