// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/path.h"

#include <assert.h>
#include <net/ethernet.h>
#include <stdio.h>
#include <sys/socket.h>

#define HOPS_MAX     64
#define UDP_HEADER   8
#define VXLAN_HEADER 8

struct walk {
	const struct world *world;
	const struct conversation *conversation;
	int sender;
	struct path *path;
	struct packet *packet; /* the stay in the host that goes on; NULL: none */
	unsigned int outer_header;
	unsigned int hops;
	unsigned int ways; /* as path_find() has it */
	bool judged;	   /* some hook tells only with what others counted of the flow */
};

static bool transmit(struct walk *walk, const struct device *device, const struct device *target,
		     struct tuple *tuple);
static bool receive(struct walk *walk, const struct device *device, const struct device *target,
		    struct tuple *tuple);

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
		*packet = (struct packet){.outer_header = walk->outer_header};
		walk->packet = packet;
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

/* from: of a rule for what has that source, NULL: the main table. */
static const struct route *find_route(const struct world *world, unsigned int space,
				      const struct device *from, uint8_t segment)
{
	for (size_t i = 0; i < world->route_count; i++) {
		const struct route *route = &world->routes[i];

		if (route->space == space && route->segment == segment && route->from == from &&
		    !route->device->gone && !route->gateway->gone)
			return route;
	}
	return NULL;
}

static const struct device *find_neighbour(const struct world *world, unsigned int space,
					   const struct device *address)
{
	for (size_t i = 0; i < world->device_count; i++) {
		const struct device *device = &world->devices[i];

		if (device->space == space && world_are_neighbours(device, address))
			return device;
	}
	return NULL;
}

/* Where space sends what has these addresses: by *device to the MAC address of *next. Returns the
 * route, NULL if it needs none, or there is none: then *device is NULL. */
static const struct route *find_way(const struct world *world, unsigned int space,
				    const struct device *from, const struct device *to,
				    const struct device **device, const struct device **next)
{
	const struct route *route = find_route(world, space, from, to->segment)
					    ?: find_route(world, space, from, ANY_SEGMENT);

	*next = to;
	*device = route ? NULL : find_neighbour(world, space, to);
	if (*device)
		return NULL;
	if (!route)
		route = find_route(world, space, NULL, to->segment)
				?: find_route(world, space, NULL, ANY_SEGMENT);
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
	const struct route *route = find_way(world, space, from, to, &device, &next);

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

/* in: where it was received, NULL: it is born in that space. */
static bool send_ip(struct walk *walk, unsigned int space, const struct device *in,
		    struct tuple *tuple)
{
	const struct device *meant = tuple->address[1], *to = meant, *next, *device;
	const struct route *route;
	int other;

	/* the host's rules for what it sends itself, before its own addresses are looked at */
	if (space == HOST && !walk->packet) {
		translate_destination(walk, tuple);
		to = tuple->address[1];
	}
	if (to->gone)
		return false;
	if (to->space == space) {
		const struct device *lo = NULL;

		for (size_t i = 0; !lo; i++)
			if (walk->world->devices[i].kind == KIND_LOOPBACK &&
			    walk->world->devices[i].space == space)
				lo = &walk->world->devices[i];
		see(walk, lo, true, tuple);
		see(walk, lo, false, tuple);
		walk->packet = NULL;
		return true;
	}
	route = find_way(walk->world, space, tuple->address[0], to, &device, &next);
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
	if (space == HOST)
		translate_source(walk, tuple);
	if (!walk->outer_header && !walk->path->own_mtu)
		walk->path->own_mtu = world_mtu(walk->world, device);
	return transmit(walk, device, next, tuple);
}

/* The datagram becomes the load of another packet, born here, and comes out at the other end. */
static bool send_through_tunnel(struct walk *walk, const struct device *device,
				const struct device *target, struct tuple *tuple)
{
	struct tuple outer = {
		.address = {device->lower, device->peer->lower},
		.port = {TUNNEL_SOURCE_PORT, TUNNEL_PORT},
		.family = device->outer_family,
	};
	bool arrives;

	if (walk->outer_header || device->gone || device->peer->gone)
		return false;
	walk->packet = NULL;
	walk->outer_header =
		(outer.family == AF_INET ? 20 : 40) + UDP_HEADER + VXLAN_HEADER + ETHER_HDR_LEN;
	arrives = send_ip(walk, device->space, NULL, &outer);
	walk->outer_header = 0;
	walk->packet = NULL;
	return arrives && receive(walk, device->peer, target, tuple);
}

/* A frame for the target leaves by the device. */
static bool transmit(struct walk *walk, const struct device *device, const struct device *target,
		     struct tuple *tuple)
{
	uint16_t mtu = world_mtu(walk->world, device);
	const struct device *port;

	if (device->gone || ++walk->hops > HOPS_MAX)
		return false;
	see(walk, device, true, tuple);
	if (!walk->outer_header && mtu < walk->path->mtu)
		walk->path->mtu = mtu;
	switch (device->kind) {
	case KIND_VETH:
		if (device->peer->space != device->space)
			walk->packet = NULL;
		return receive(walk, device->peer, target, tuple);
	case KIND_TUN:
	case KIND_TAP:
		/* what the process writes is another packet */
		walk->packet = NULL;
		return receive(walk, device->peer, target, tuple);
	case KIND_BRIDGE:
		port = world_bridge_port(walk->world, device, target);
		return port && transmit(walk, port, target, tuple);
	case KIND_MACVLAN:
		if (device->lower->space != device->space)
			walk->packet = NULL;
		/* to its siblings over the device below, which receives it, as if from the wire */
		if (target->kind == KIND_MACVLAN && target->lower == device->lower &&
		    !world_is_reflected(device))
			return receive(walk, device->lower, target, tuple);
		return transmit(walk, device->lower, target, tuple);
	case KIND_VXLAN:
		return send_through_tunnel(walk, device, target, tuple);
	case KIND_LOOPBACK:
	case KIND_VLAN:
	case KIND_IFB:
	case KINDS:
		break;
	}
	return false;
}

static bool receive_ip(struct walk *walk, const struct device *device, struct tuple *tuple)
{
	if (device->space == HOST)
		translate_destination(walk, tuple);
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

/* A frame for the target comes in on the device. */
static bool receive(struct walk *walk, const struct device *device, const struct device *target,
		    struct tuple *tuple)
{
	const struct device *port;

	if (device->gone || ++walk->hops > HOPS_MAX)
		return false;
	see(walk, device, false, tuple);
	take_detours(walk, device, tuple);
	if (device->redirect)
		return transmit(walk, device->redirect, target, tuple);
	if (device->master) {
		if (target == device->master || target->lower == device->master)
			return receive(walk, device->master, target, tuple);
		port = world_bridge_port(walk->world, device->master, target);
		return port && (port != device || device->hairpin) &&
		       transmit(walk, port, target, tuple);
	}
	if (target->kind == KIND_MACVLAN && target->lower == device && !target->gone) {
		if (target->space != device->space)
			walk->packet = NULL;
		return receive(walk, target, target, tuple);
	}
	return target == device && receive_ip(walk, device, tuple);
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
static bool was_bridged_out(const struct packet *packet)
{
	const struct sight *first = &packet->sights[0];
	const struct sight *last = &packet->sights[packet->sight_count - 1];

	return !first->egress && first->device->master && last->egress &&
	       last->device->master == first->device->master && last->device->peer->space != HOST;
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

/* What leaves by a bridge and comes back in by the same: one flow and sender over two paths at
 * once, and where a part is watched one of them is judged by the other. */
static bool comes_back_to_bridge(const struct path *path)
{
	bool bridged = false;

	for (size_t i = 0; i + 1 < path->packet_count; i++)
		bridged |= !path->packets[i].copy && was_bridged_out(&path->packets[i]);
	return bridged && count_stays(path, false) > 1 && is_watched_in_part(path);
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
	path->chosen = path->beyond = false;
	if (from->gone || !send_ip(&walk, from->space, NULL, &tuple))
		return false;
	path->beyond |=
		walk.judged && (count_stays(path, false) > 1 || count_stays(path, true) > 1);
	path->beyond |= comes_back_to_bridge(path);
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
