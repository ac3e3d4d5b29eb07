// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/grammar_private.h"

#include <string.h>

#define PICKS	     50 /* tries to find a device for something */
#define TUN_SEGMENT  30
#define MIRROR_FIRST 1
#define MIRROR_LAST  100

typedef bool (*device_test)(const struct device *device);

/* NULL: none was found. */
static struct device *pick(struct grammar *g, device_test accepts)
{
	struct world *world = g->world;

	for (unsigned int i = 0; i < PICKS; i++) {
		struct device *device =
			&world->devices[random_below(g->random, (unsigned int)world->device_count)];

		if (accepts(device))
			return device;
	}
	return NULL;
}

static void copy_routes(struct grammar *g, const struct device *like, struct device *device)
{
	size_t count = g->world->route_count;

	for (size_t i = 0; i < count; i++)
		if (g->world->routes[i].device == like)
			add_default_route(g, device, g->world->routes[i].gateway);
}

/* A container in the segment of an uplink, whose router is the host: in and out by one device. */
void add_one_armed(struct grammar *g)
{
	unsigned int i = random_below(g->random, g->uplink_count), number = g->container_count;
	struct device *router = random_chance(g->random, 75) ? g->uplinks[i] : g->gateways[i];
	char name[NAME_SIZE];
	struct device *device;

	if (g->wires[i]->master) {
		device = add_container(g, UPLINK_SEGMENT + i, g->wires[i]->master);
	} else if (g->uplinks[i]->kind == KIND_MACVLAN) {
		device = world_add(g->world, KIND_MACVLAN, add_container_space(g),
				   name_of(name, "m%u", number));
		device->lower = g->wires[i];
		device->mtu = g->wires[i]->mtu;
		give_address(device, UPLINK_SEGMENT + i, 10 + number);
	} else {
		return;
	}
	add_default_route(g, device, router);
}

/* Behind one port a container and others over its device, which leave it to the bridge to send
 * back what is for their siblings. */
static void add_hairpin(struct grammar *g)
{
	struct device *like = pick(g, is_container_wire), *eth0;
	unsigned int count = 2;

	if (!like)
		return;
	eth0 = add_container(g, like->segment, like->peer->master);
	eth0->peer->hairpin = true;
	copy_routes(g, like, eth0);
	while (count--) {
		unsigned int number = g->container_count;
		struct device *device =
			world_add(g->world, KIND_MACVLAN, add_container_space(g), "v0");

		device->lower = eth0;
		give_address(device, like->segment, 10 + number);
		copy_routes(g, like, device);
	}
}

/* A virtual machine: its tap is a port. */
static void add_machine(struct grammar *g)
{
	struct device *like = pick(g, is_container_wire), *eth0;

	if (!like)
		return;
	eth0 = add_container(g, like->segment, like->peer->master);
	eth0->kind = eth0->peer->kind = KIND_TAP;
	copy_routes(g, like, eth0);
}

/* A routed link that a process serves, as a virtual private network's. */
static void add_tun(struct grammar *g)
{
	struct device *eth0 = add_container(g, TUN_SEGMENT, NULL);

	eth0->kind = eth0->peer->kind = KIND_TUN;
	if (random_chance(g->random, 50))
		eth0->mtu = eth0->peer->mtu = 1500 - TUNNEL_OVERHEAD;
	add_default_route(g, eth0, give_address(eth0->peer, TUN_SEGMENT, 1));
}

/* The first bridge may be it, too: the sentinel, which nothing passes. */
static bool may_be_mirrored(const struct device *device)
{
	return device->space == HOST && device->kind != KIND_LOOPBACK && device->kind != KIND_IFB &&
	       !device->redirect;
}

static bool may_be_shaped(const struct device *device)
{
	return may_be_mirrored(device) && !device->shaper;
}

static void add_shaper(struct grammar *g)
{
	struct device *ifb = world_add(g->world, KIND_IFB, HOST, "i0"), *device;
	unsigned int count = random_between(g->random, 1, 2);

	while (count--) {
		device = pick(g, may_be_shaped);
		if (device)
			device->shaper = ifb;
	}
}

/* To somebody who looks on. */
static void add_mirror(struct grammar *g)
{
	struct device *device = pick(g, may_be_mirrored);

	if (!device)
		return;
	device->mirror = world_add_pair(g->world, HOST, "look0", add_container_space(g), "look");
	device->mirror_priority = random_chance(g->random, 50) ? MIRROR_FIRST : MIRROR_LAST;
}

void elements_add_devices(struct grammar *g)
{
	static const struct {
		unsigned int percent;
		void (*add)(struct grammar *g);
	} elements[] = {
		{40, add_one_armed}, {30, add_hairpin}, {40, add_machine},
		{40, add_tun},	     {40, add_shaper},	{30, add_mirror},
	};

	if (g->uplink_count < UPLINKS_MAX && random_chance(g->random, 60))
		add_uplink(g);
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		if (random_chance(g->random, elements[i].percent))
			elements[i].add(g);
}

static bool may_be_ruled(const struct device *device)
{
	return device->segment && device->space != WORLD;
}

static bool may_be_ruled_in_world(const struct device *device)
{
	return device->segment && device->space == WORLD;
}

/* What has one source goes by another uplink than the rest, perhaps. */
static void add_rules(struct grammar *g)
{
	unsigned int count = random_between(g->random, 1, 2), i;
	struct device *from;

	while (count--) {
		i = random_below(g->random, UPLINKS_MAX);
		from = pick(g, may_be_ruled);
		if (from)
			world_add_route(g->world, HOST, SERVICE_WORLD, g->uplinks[i],
					g->gateways[i])
				->from = from;
	}
	i = random_below(g->random, UPLINKS_MAX);
	from = pick(g, may_be_ruled_in_world);
	if (from && random_chance(g->random, 50))
		world_add_route(g->world, WORLD, ANY_SEGMENT, g->gateways[i], g->uplinks[i])->from =
			from;
}

/* Of the routes between host and world, one or both get the other uplink as well. */
static void add_other_ways(struct grammar *g)
{
	unsigned int spaces = random_between(g->random, 1, 3);

	for (size_t i = 0; i < g->world->route_count; i++) {
		struct route *route = &g->world->routes[i];
		unsigned int other;

		if (!is_uplink(route->device) || !(spaces >> route->space & 1))
			continue;
		other = route->device == (route->space == HOST ? g->uplinks : g->gateways)[0];
		route->other_device = (route->space == HOST ? g->uplinks : g->gateways)[other];
		route->other_gateway = (route->space == HOST ? g->gateways : g->uplinks)[other];
	}
}

void elements_add_ways(struct grammar *g)
{
	if (g->uplink_count < UPLINKS_MAX)
		return;
	if (random_chance(g->random, 50))
		add_other_ways(g);
	if (random_chance(g->random, 50))
		add_rules(g);
}
