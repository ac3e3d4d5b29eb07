// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/grammar.h"
#include "tests/topology/grammar_private.h"
#include "tests/topology/path.h"
#include "tests/topology/traffic.h"

#include "lib/array.h"

#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define LANS_MAX       3
#define CONTAINERS_MAX 3
#define SIZE_WHOLE     1200 /* data of a datagram that no device here cuts */
#define SIZE_CUT       5000
#define SIZE_STREAM    60000
#define PICKS	       200 /* tries to find a conversation that has a way */

#define KINDS_SALT	    0x5bd1e995a5a5a5a5
#define KINDS_CONVERSATIONS 5 /* more, where there is more */

const char *name_of(char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(name, NAME_SIZE, format, args);
	va_end(args);
	return name;
}

struct device *give_address(struct device *device, unsigned int segment, unsigned int address)
{
	device->segment = (uint8_t)segment;
	device->address = (uint8_t)address;
	return device;
}

/* A pair inside the host: one end is a port of the bridge, the other one is returned. */
static struct device *add_inner_pair(struct grammar *g, const char *prefix, unsigned int i,
				     struct device *bridge)
{
	char name[NAME_SIZE], other[NAME_SIZE];
	struct device *port = world_add_pair(g->world, HOST, name_of(name, "%sp%u", prefix, i),
					     HOST, name_of(other, "%se%u", prefix, i));

	port->master = bridge;
	return port->peer;
}

static struct device *add_bridge(struct grammar *g, const char *prefix, unsigned int i)
{
	char name[NAME_SIZE];

	return world_add(g->world, KIND_BRIDGE, HOST, name_of(name, "%s%u", prefix, i));
}

/* The host's address may be on the wire, a bridge over it, a macvlan over it, or a pair of veths
 * into that bridge. */
static struct device *add_uplink_stack(struct grammar *g, unsigned int i, struct device *wire)
{
	char name[NAME_SIZE];
	struct device *device;

	switch (random_below(g->random, 5)) {
	case 0:
		device = add_bridge(g, "ub", i);
		wire->master = device;
		return device;
	case 1:
		device = world_add(g->world, KIND_MACVLAN, HOST, name_of(name, "um%u", i));
		device->lower = wire;
		return device;
	case 2:
		device = add_bridge(g, "ub", i);
		wire->master = device;
		return add_inner_pair(g, "u", i, device);
	default:
		return wire;
	}
}

void add_uplink(struct grammar *g)
{
	unsigned int i = g->uplink_count++;
	char name[NAME_SIZE], other[NAME_SIZE];
	struct device *wire = world_add_pair(g->world, HOST, name_of(name, "u%u", i), WORLD,
					     name_of(other, "w%u", i));

	g->wires[i] = wire;
	g->ends[i] = g->gateways[i] = give_address(wire->peer, UPLINK_SEGMENT + i, 2);
	g->uplinks[i] = give_address(add_uplink_stack(g, i, wire), UPLINK_SEGMENT + i, 1);
}

unsigned int add_container_space(struct grammar *g)
{
	char name[NAME_SIZE];

	return world_add_space(g->world, name_of(name, "c%u", g->container_count++));
}

struct device *add_container(struct grammar *g, unsigned int segment, struct device *bridge)
{
	char name[NAME_SIZE];
	unsigned int i = g->container_count, space = add_container_space(g);
	struct device *eth0 =
		world_add_pair(g->world, space, "eth0", HOST, name_of(name, "p%u", i));

	eth0->peer->master = bridge;
	return give_address(eth0, segment, 10 + i);
}

void add_default_route(struct grammar *g, struct device *device, struct device *gateway)
{
	world_add_route(g->world, device->space, ANY_SEGMENT, device, gateway);
}

/* A container on a routed link of its own. */
static void add_point_to_point(struct grammar *g, unsigned int segment)
{
	struct device *eth0 = add_container(g, segment, NULL);

	add_default_route(g, eth0, give_address(eth0->peer, segment, 1));
}

/* Containers on devices over the wire: the host sees their packets there only. */
static void add_macvlans(struct grammar *g, unsigned int i)
{
	unsigned int uplink = random_below(g->random, g->uplink_count);
	unsigned int count = random_between(g->random, 1, 2);
	struct device *wire = g->wires[uplink];
	char name[NAME_SIZE];

	if (wire->master)
		return;
	while (count--) {
		bool inside = random_chance(g->random, 40);
		unsigned int number = g->container_count;
		unsigned int space = inside ? HOST : add_container_space(g);
		struct device *device;

		if (inside)
			number = 40 + 2 * i + count;
		device = world_add(g->world, KIND_MACVLAN, space, name_of(name, "m%u", number));
		device->lower = wire;
		/* a host with two addresses in one segment would have to be told which to use */
		if (inside)
			continue;
		give_address(device, UPLINK_SEGMENT + uplink, 10 + number);
		add_default_route(g, device, g->gateways[uplink]);
	}
}

/* A port of the bridge that is a tunnel; its other end in the world is another host of the segment.
 */
static void add_tunnel(struct grammar *g, unsigned int i, struct device *bridge)
{
	unsigned int uplink = random_below(g->random, g->uplink_count);
	char name[NAME_SIZE], other[NAME_SIZE];
	struct device *here = world_add(g->world, KIND_VXLAN, HOST, name_of(name, "vx%u", i));
	struct device *there = world_add(g->world, KIND_VXLAN, WORLD, name_of(other, "wx%u", i));

	here->peer = there;
	there->peer = here;
	here->lower = g->uplinks[uplink];
	there->lower = g->gateways[uplink];
	here->outer_family = there->outer_family =
		random_chance(g->random, 50) ? AF_INET : AF_INET6;
	here->tag = there->tag = (uint16_t)(1000 + i);
	here->mtu = there->mtu = 1500 - TUNNEL_OVERHEAD;
	here->master = bridge;
	give_address(there, LAN_SEGMENT + i, 90);
}

static bool is_container_port(const struct device *device, const struct device *bridge)
{
	return device->master == bridge && kind_is_pair(device->kind) && device->space == HOST &&
	       device->peer->space != HOST;
}

/* From each container's port past the bridge to another one. */
static void add_redirects(struct grammar *g, const struct device *bridge)
{
	struct device *before = NULL;

	for (size_t i = 0; i < g->world->device_count; i++) {
		struct device *port = &g->world->devices[i];

		if (!is_container_port(port, bridge))
			continue;
		if (before)
			before->redirect = port;
		before = port;
	}
	if (before && random_chance(g->random, 50))
		for (size_t i = 0; i < g->world->device_count && !before->redirect; i++)
			if (is_container_port(&g->world->devices[i], bridge) &&
			    &g->world->devices[i] != before)
				before->redirect = &g->world->devices[i];
}

static void add_lan(struct grammar *g, unsigned int i)
{
	unsigned int segment = LAN_SEGMENT + i;
	unsigned int containers = random_between(g->random, 1, CONTAINERS_MAX);
	struct device *bridges[2], *gateway = NULL;
	unsigned int bridge_count = 1;

	bridges[0] = add_bridge(g, "b", i);
	if (random_chance(g->random, 30)) {
		bridges[1] = add_bridge(g, "n", i);
		bridge_count = 2;
		add_inner_pair(g, "x", i, bridges[0])->master = bridges[1];
	}
	if (random_chance(g->random, 80)) {
		gateway = random_chance(g->random, 70) ? bridges[0]
						       : add_inner_pair(g, "h", i, bridges[0]);
		give_address(gateway, segment, 1);
	}
	while (containers--) {
		struct device *eth0 =
			add_container(g, segment, bridges[random_below(g->random, bridge_count)]);

		if (gateway)
			add_default_route(g, eth0, gateway);
	}
	if (random_chance(g->random, 15))
		add_redirects(g, bridges[0]);
	if (random_chance(g->random, 30))
		add_tunnel(g, i, bridges[random_below(g->random, bridge_count)]);
}

static void add_part(struct grammar *g, unsigned int i)
{
	switch (random_below(g->random, 6)) {
	case 0:
		add_point_to_point(g, LAN_SEGMENT + i);
		break;
	case 1:
		add_macvlans(g, i);
		break;
	default:
		add_lan(g, i);
		break;
	}
}

static void add_routes(struct grammar *g)
{
	unsigned int out = random_below(g->random, g->uplink_count);
	unsigned int back = random_below(g->random, g->uplink_count);

	world_add_route(g->world, HOST, SERVICE_WORLD, g->uplinks[out], g->gateways[out]);
	/* two uplinks may be used one for each direction */
	world_add_route(g->world, WORLD, ANY_SEGMENT, g->gateways[back], g->uplinks[back]);
}

static struct device *pick_address(struct grammar *g, bool containers)
{
	struct world *world = g->world;

	for (;;) {
		struct device *device =
			&world->devices[random_below(g->random, (unsigned int)world->device_count)];

		if (device->segment && !device->gone && (!containers || device->space > WORLD))
			return device;
	}
}

/* Sets the client's NAT: its packets leave with the address of a device of the host. */
static void translate_client(struct grammar *g, struct conversation *c)
{
	struct device *shown;

	do
		shown = pick_address(g, false);
	while (shown->space != HOST || shown->kind == KIND_LOOPBACK);
	c->arrives.address[0] = shown;
	/* masquerading takes the address of the device that the packet leaves by */
	c->masquerade = random_chance(g->random, 50) &&
			path_route_device(g->world, HOST, c->client, c->server) == shown;
}

static void translate_server(struct grammar *g, struct conversation *c)
{
	c->sent.address[1] = g->uplinks[random_below(g->random, g->uplink_count)];
	if (random_chance(g->random, 50))
		c->sent.port[1] = (uint16_t)(c->sent.port[1] + 1000);
}

/* Sources are rewritten when they leave the host: not those of what it receives itself. */
static bool may_translate_client(const struct conversation *c)
{
	return c->server->space != HOST;
}

/* What the host sends to itself passes both kinds of rules, and only lo. */
static bool may_translate_server(const struct conversation *c)
{
	/* of an address of its own the host thinks that it is on lo, where segments are large */
	if (c->stream && c->client->space == HOST)
		return false;
	return c->client->space != HOST || c->server->space != HOST;
}

static bool add_conversation(struct grammar *g, bool nat)
{
	struct world *world = g->world;
	unsigned int i = (unsigned int)world->conversation_count;
	struct conversation *c = &world->conversations[i];
	struct path paths[2];

	*c = (struct conversation){
		.client = pick_address(g, false),
		.server = pick_address(g, false),
		.size = random_chance(g->random, 85)
				? random_between(g->random, 1, SIZE_WHOLE)
				: random_between(g->random, SIZE_WHOLE + 1, SIZE_CUT),
		.fd = {-1, -1},
	};
	c->sent = (struct tuple){
		.address = {c->client, c->server},
		.port = {(uint16_t)(40000 + i), (uint16_t)(7000 + i)},
		.family = random_chance(g->random, 60) ? AF_INET : AF_INET6,
	};
	c->count[0] = random_between(g->random, 1, 5);
	c->count[1] = random_below(g->random, 5);
	c->stream = random_chance(g->random, 25);
	if (c->stream)
		c->size = random_between(g->random, 1, SIZE_STREAM);
	c->arrives = c->sent;
	if (nat && may_translate_client(c) && random_chance(g->random, 50))
		translate_client(g, c);
	if (nat && may_translate_server(c) && random_chance(g->random, 50))
		translate_server(g, c);
	if (!traffic_paths(world, c, paths) || !(paths[0].packet_count + paths[1].packet_count))
		return false;
	world->conversation_count++;
	return true;
}

static void add_conversations(struct grammar *g, unsigned int count, bool nat)
{
	for (unsigned int i = 0;
	     i < PICKS && count && g->world->conversation_count < CONVERSATIONS_MAX; i++)
		count -= add_conversation(g, nat);
}

/* Of these no conversation is left that is cut on its way and tracked. */
static void avoid_traps(struct world *world)
{
	for (size_t i = 0; i < world->conversation_count; i++) {
		struct conversation *c = &world->conversations[i];

		if (c->sent.family == AF_INET6 && !c->stream && c->size > SIZE_WHOLE)
			c->size = SIZE_WHOLE;
	}
}

void grammar_build(struct random *random, struct world *world, bool traps,
		   unsigned int elements_percent, unsigned int kinds)
{
	/* numbers of their own, so that the other hosts stay what they are */
	struct random more = {.state = ~random->state};
	struct random kind_random = {.state = random->state ^ KINDS_SALT};
	struct grammar g = {.random = random, .world = world, .kinds = kinds};
	bool elements = random_chance(&more, elements_percent);
	bool has_kinds = kinds && random_chance(&kind_random, elements_percent);
	bool nat = random_chance(random, 40);
	unsigned int parts, i;

	world_add_space(world, "host");
	world_add_space(world, "world");
	give_address(world_find(world, WORLD, "lo"), SERVICE_WORLD, 1);
	give_address(world_find(world, HOST, "lo"), SERVICE_HOST, 1);
	world_add(world, KIND_BRIDGE, HOST, SENTINEL_OFF);
	add_uplink(&g);
	if (random_chance(random, 50))
		add_uplink(&g);
	parts = random_between(random, 1, LANS_MAX);
	for (i = 0; i < parts; i++)
		add_part(&g, i);
	g.random = &more;
	if (elements)
		elements_add_devices(&g);
	g.random = &kind_random;
	if (has_kinds)
		kinds_add_devices(&g);
	g.random = random;
	add_routes(&g);
	g.random = &more;
	if (elements)
		elements_add_ways(&g);
	g.random = random;
	add_conversations(&g, random_between(random, 5, 12), nat);
	g.random = &kind_random;
	if (has_kinds)
		add_conversations(&g, KINDS_CONVERSATIONS, nat);
	if (world_translates(world) && !traps)
		avoid_traps(world);
}

static void append(char *list, const char *word)
{
	size_t size = strlen(list);

	snprintf(list + size, LIST_SIZE - size, " %s", word);
}

void grammar_choose_all(struct lists *lists)
{
	snprintf(lists->include, LIST_SIZE, "*");
	snprintf(lists->exclude, LIST_SIZE, SENTINEL_OFF " " EXCLUDED_PREFIX "*");
}

/* Kinds of lists: everything, twice; all but some; some. */
void grammar_choose_lists(struct random *random, const struct world *world, struct lists *lists)
{
	unsigned int kind = random_below(random, 4);
	unsigned int percent = random_between(random, 10, 70);

	grammar_choose_all(lists);
	if (kind == 3)
		snprintf(lists->include, LIST_SIZE, SENTINEL_ON);
	for (size_t i = 0; i < world->device_count && kind >= 2; i++) {
		const struct device *device = &world->devices[i];

		if (device->space == HOST && !device->gone && random_chance(random, percent))
			append(kind == 2 ? lists->exclude : lists->include, device->name);
	}
}

static bool list_has(const char *list, const char *name)
{
	char copy[LIST_SIZE], *rest = copy, *pattern;

	snprintf(copy, sizeof(copy), "%s", list);
	while ((pattern = strsep(&rest, " ")))
		if (!fnmatch(pattern, name, 0))
			return true;
	return false;
}

void lists_apply(const struct lists *lists, struct world *world)
{
	for (size_t i = 0; i < world->device_count; i++) {
		struct device *device = &world->devices[i];

		device->monitored = device->space == HOST && !device->gone &&
				    list_has(lists->include, device->name) &&
				    !list_has(lists->exclude, device->name);
	}
}

const char *change_to_str(enum change_kind kind)
{
	static const char *const names[] = {
		[CHANGE_LISTS] = "other lists",
		[CHANGE_RENAME] = "rename",
		[CHANGE_RELEASE] = "release from its bridge",
		[CHANGE_ENSLAVE] = "back into its bridge",
		[CHANGE_ADD] = "one more container like",
		[CHANGE_MOVE] = "one more container, moved out of the host, like",
		[CHANGE_DELETE] = "delete",
		[CHANGE_ROUTE] = "route over the other uplink, not",
		[CHANGE_FAIL_OVER] = "the other wire, not",
		[CHANGE_UNPLUG] = "unplug",
		[CHANGE_PLUG] = "plug in again",
	};
	_Static_assert(ARRAY_SIZE(names) == CHANGES, "every kind has words");

	return names[kind];
}

bool is_uplink(const struct device *device)
{
	return device->space <= WORLD && device->segment >= UPLINK_SEGMENT &&
	       device->segment < UPLINK_SEGMENT + UPLINKS_MAX;
}

bool is_container_wire(const struct device *device)
{
	return device->space > WORLD && kind_is_cable(device->kind) && device->peer->master &&
	       device->peer->master->kind == KIND_BRIDGE && !device->peer->hairpin;
}

static bool is_plugged(const struct device *slave)
{
	return !slave->down && !slave->peer->down;
}

/* There is another wire that could take over. */
static bool has_backup(const struct world *world, const struct device *device)
{
	return world_is_backed_up(device) && is_plugged(device) &&
	       is_plugged(world_other_slave(world, device));
}

static bool may_change(const struct world *world, const struct device *device,
		       enum change_kind kind)
{
	bool in_host = device->space == HOST && device->kind != KIND_LOOPBACK;

	if (device->gone || !strcmp(device->name, SENTINEL_OFF))
		return false;
	switch (kind) {
	case CHANGE_RENAME:
		return in_host;
	case CHANGE_RELEASE:
		return in_host && device->master && device->master->kind == KIND_BRIDGE;
	case CHANGE_ENSLAVE:
		return in_host && device->former_master && !device->master;
	case CHANGE_ADD:
	case CHANGE_MOVE:
	case CHANGE_DELETE:
		return is_container_wire(device);
	case CHANGE_FAIL_OVER:
		return has_backup(world, device) &&
		       world_active_slave(world, device->master) == device;
	case CHANGE_UNPLUG:
		return has_backup(world, device);
	case CHANGE_PLUG:
		return device->down;
	case CHANGE_LISTS:
	case CHANGE_ROUTE:
	case CHANGES:
		break;
	}
	return true;
}

/* The end of the other uplink in the space of the device, or NULL. */
static struct device *other_uplink(struct world *world, const struct device *device)
{
	for (size_t i = 0; i < world->device_count; i++) {
		struct device *other = &world->devices[i];

		if (other->space == device->space && other->address == device->address &&
		    other->segment != device->segment && is_uplink(other) && !other->gone)
			return other;
	}
	return NULL;
}

static bool choose_route(struct random *random, struct world *world, struct change *change)
{
	for (unsigned int i = 0; i < PICKS; i++) {
		struct route *route =
			&world->routes[random_below(random, (unsigned int)world->route_count)];

		change->route = route;
		change->device = route->device;
		if (is_uplink(route->device) && other_uplink(world, route->device))
			return true;
	}
	return false;
}

static bool choose_device(struct random *random, struct world *world, struct change *change)
{
	for (unsigned int i = 0; i < PICKS; i++) {
		change->device =
			&world->devices[random_below(random, (unsigned int)world->device_count)];
		if (may_change(world, change->device, change->kind))
			return true;
	}
	return false;
}

bool grammar_has_backup(const struct world *world)
{
	for (size_t i = 0; i < world->device_count; i++)
		if (world_is_backed_up(&world->devices[i]))
			return true;
	return false;
}

/* What bonds can do they do often; others do not know of it. */
static enum change_kind choose_change_kind(struct random *random, const struct world *world)
{
	if (grammar_has_backup(world) && random_chance(random, 40))
		return CHANGE_FAIL_OVER + random_below(random, CHANGES - CHANGE_FAIL_OVER);
	return random_below(random, CHANGE_FAIL_OVER);
}

bool grammar_choose_change(struct random *random, struct world *world, struct change *change)
{
	*change = (struct change){.kind = choose_change_kind(random, world)};
	switch (change->kind) {
	case CHANGE_LISTS:
		return true;
	case CHANGE_ROUTE:
		return choose_route(random, world, change);
	case CHANGE_ADD:
	case CHANGE_MOVE:
		if (world->space_count == SPACES_MAX || world->device_count + 3 > DEVICES_MAX)
			return false;
		break;
	case CHANGE_RENAME:
	case CHANGE_RELEASE:
	case CHANGE_ENSLAVE:
	case CHANGE_DELETE:
	case CHANGE_FAIL_OVER:
	case CHANGE_UNPLUG:
	case CHANGE_PLUG:
	case CHANGES:
		break;
	}
	if (!choose_device(random, world, change))
		return false;
	if (strchr(EXCLUDED_PREFIX, change->device->name[0]))
		name_of(change->name, "%s", change->device->name + 1);
	else
		name_of(change->name, EXCLUDED_PREFIX "%.10s", change->device->name);
	return true;
}

struct device *grammar_add_container(struct world *world, struct device *like, bool in_host)
{
	struct grammar g = {.world = world, .container_count = world->space_count - 2};
	char name[NAME_SIZE];
	unsigned int number = g.container_count;
	struct device *eth0;

	if (!in_host) {
		eth0 = add_container(&g, like->segment, like->peer->master);
		grammar_settle_container(world, like, eth0);
		return eth0;
	}
	add_container_space(&g);
	eth0 = add_inner_pair(&g, "t", number, like->peer->master);
	name_of(name, "t%u", number);
	snprintf(eth0->name, sizeof(eth0->name), "%s", name);
	return eth0;
}

void grammar_settle_container(struct world *world, struct device *like, struct device *device)
{
	size_t count = world->route_count;

	give_address(device, like->segment, 10 + world->space_count - 3);
	for (size_t i = 0; i < count; i++) {
		const struct route *route = &world->routes[i];

		if (route->device == like)
			world_add_route(world, device->space, route->segment, device,
					route->gateway);
	}
}

void grammar_switch_route(struct world *world, struct route *route)
{
	route->gateway = other_uplink(world, route->gateway);
	route->device = other_uplink(world, route->device);
	route->other_device = route->other_gateway = NULL;
	for (size_t i = 0; i < world->conversation_count; i++)
		if (conversation_is_translated(&world->conversations[i]))
			world->conversations[i].ended = true;
}

void grammar_add_conversations(struct random *random, struct world *world, unsigned int count,
			       bool traps)
{
	struct grammar g = {.random = random, .world = world};

	add_conversations(&g, count, false);
	if (world_translates(world) && !traps)
		avoid_traps(world);
}
