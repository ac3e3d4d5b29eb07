// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/world.h"

#include "lib/array.h"

#include <arpa/inet.h>
#include <assert.h>
#include <linux/if_bonding.h>
#include <stdio.h>
#include <string.h>

const char *kind_to_str(enum kind kind)
{
	static const char *const names[] = {
		[KIND_LOOPBACK] = "loopback",
		[KIND_VETH] = "veth",
		[KIND_BRIDGE] = "bridge",
		[KIND_MACVLAN] = "macvlan",
		[KIND_VXLAN] = "vxlan",
		[KIND_VLAN] = "vlan",
		[KIND_TUN] = "tun",
		[KIND_TAP] = "tap",
		[KIND_IFB] = "ifb",
		[KIND_BOND] = "bond",
		[KIND_IPVLAN] = "ipvlan",
		[KIND_GRE] = "gre",
		[KIND_GRETAP] = "gretap",
		[KIND_GENEVE] = "geneve",
		[KIND_IPIP] = "ipip",
		[KIND_SIT] = "sit",
		[KIND_VRF] = "vrf",
		[KIND_DUMMY] = "dummy",
		[KIND_TEAM] = "team",
		[KIND_NETKIT] = "netkit",
		[KIND_WIREGUARD] = "wireguard",
		[KIND_MACVTAP] = "macvtap",
	};
	_Static_assert(ARRAY_SIZE(names) == KINDS, "every kind has a name");

	return names[kind];
}

struct device *world_add(struct world *world, enum kind kind, unsigned int space, const char *name)
{
	struct device *device = &world->devices[world->device_count];
	const uint8_t mac[6] = {0x02, 0, 0, 0, 0, (uint8_t)(world->device_count + 1)};

	assert(world->device_count < DEVICES_MAX);
	world->device_count++;
	*device = (struct device){.kind = kind, .space = space, .mtu = 1500};
	snprintf(device->name, sizeof(device->name), "%s", name);
	memcpy(device->mac, mac, sizeof(mac));
	return device;
}

struct device *world_add_pair(struct world *world, unsigned int space, const char *name,
			      unsigned int other_space, const char *other_name)
{
	struct device *one = world_add(world, KIND_VETH, space, name);
	struct device *other = world_add(world, KIND_VETH, other_space, other_name);

	one->peer = other;
	other->peer = one;
	return one;
}

unsigned int world_add_space(struct world *world, const char *name)
{
	unsigned int space = world->space_count++;
	struct device *lo;

	assert(space < SPACES_MAX);
	snprintf(world->space_names[space], NAME_SIZE, "%s", name);
	lo = world_add(world, KIND_LOOPBACK, space, "lo");
	lo->mtu = 65535;
	return space;
}

struct route *world_add_route(struct world *world, unsigned int space, uint8_t segment,
			      struct device *device, struct device *gateway)
{
	struct route *route = &world->routes[world->route_count++];

	assert(world->route_count <= ROUTES_MAX);
	*route = (struct route){.space = space,
				.segment = segment,
				.device = device,
				.gateway = gateway};
	return route;
}

struct device *world_find(struct world *world, unsigned int space, const char *name)
{
	for (size_t i = 0; i < world->device_count; i++) {
		struct device *device = &world->devices[i];

		if (device->space == space && !device->gone && !strcmp(device->name, name))
			return device;
	}
	return NULL;
}

bool world_are_neighbours(const struct device *a, const struct device *b)
{
	return a != b && a->segment && a->segment == b->segment && !a->gone && !b->gone &&
	       a->kind != KIND_LOOPBACK && b->kind != KIND_LOOPBACK;
}

bool kind_is_served(enum kind kind)
{
	return kind == KIND_TUN || kind == KIND_TAP;
}

bool kind_is_pair(enum kind kind)
{
	return kind == KIND_VETH || kind == KIND_NETKIT;
}

bool kind_is_cable(enum kind kind)
{
	return kind_is_pair(kind) || kind_is_served(kind);
}

bool kind_is_bond(enum kind kind)
{
	return kind == KIND_BOND || kind == KIND_TEAM;
}

bool kind_is_ip_tunnel(enum kind kind)
{
	return kind == KIND_GRE || kind == KIND_IPIP || kind == KIND_SIT || kind == KIND_WIREGUARD;
}

bool kind_is_macvlan(enum kind kind)
{
	return kind == KIND_MACVLAN || kind == KIND_MACVTAP;
}

/* What a device stands on, as a virtual machine on its macvtap; or NULL. */
static const struct device *device_below(const struct device *device)
{
	if (device->kind == KIND_TAP && device->peer->kind == KIND_MACVTAP)
		return device->peer;
	return device->lower;
}

const struct device *world_mac_owner(const struct device *device)
{
	while (device->kind == KIND_VLAN || device->kind == KIND_IPVLAN ||
	       (device->kind == KIND_TAP && device_below(device)))
		device = device_below(device);
	return device;
}

struct device *world_active_slave(const struct world *world, const struct device *bond)
{
	if (bond->active)
		return bond->active;
	for (size_t i = 0; i < world->device_count; i++)
		if (world->devices[i].master == bond)
			return (struct device *)&world->devices[i];
	return NULL;
}

struct device *world_other_slave(const struct world *world, const struct device *slave)
{
	for (size_t i = 0; i < world->device_count; i++)
		if (world->devices[i].master == slave->master && &world->devices[i] != slave)
			return (struct device *)&world->devices[i];
	return NULL;
}

bool world_is_backed_up(const struct device *device)
{
	return device->master && kind_is_bond(device->master->kind) &&
	       device->master->tag == BOND_MODE_ACTIVEBACKUP;
}

void world_fail_over(struct world *world, struct device *slave)
{
	struct device *other = world_other_slave(world, slave);

	slave->master->active = other;
	slave->peer->master->active = other->peer;
}

void world_unplug(struct world *world, struct device *slave)
{
	slave->down = true;
	if (world_active_slave(world, slave->master) == slave)
		world_fail_over(world, slave);
}

const struct device *world_wire(const struct world *world, const struct device *device)
{
	for (;;) {
		if (device->kind == KIND_VLAN)
			device = device->lower;
		else if (kind_is_bond(device->kind))
			device = world_active_slave(world, device);
		else
			return device;
	}
}

struct device *world_vrf(const struct device *device)
{
	return device->master && device->master->kind == KIND_VRF ? device->master : NULL;
}

bool world_is_service_vlan(const struct world *world, const struct device *device)
{
	for (size_t i = 0; i < world->device_count && device->kind == KIND_VLAN; i++)
		if (world->devices[i].kind == KIND_VLAN && world->devices[i].lower == device)
			return true;
	return false;
}

static void remove_vlans(struct world *world, const struct device *device)
{
	for (size_t i = 0; i < world->device_count; i++)
		if (world->devices[i].kind == KIND_VLAN && world->devices[i].lower == device)
			world->devices[i].gone = true;
}

void world_remove(struct world *world, struct device *device)
{
	device->gone = true;
	remove_vlans(world, device);
	if (!kind_is_cable(device->kind))
		return;
	device->peer->gone = true;
	remove_vlans(world, device->peer);
}

bool world_is_reflected(const struct device *macvlan)
{
	return kind_is_macvlan(macvlan->kind) && macvlan->lower->peer &&
	       macvlan->lower->peer->hairpin;
}

static bool leads_to(const struct world *world, const struct device *out,
		     const struct device *target);

static bool is_above(const struct device *target, const struct device *device)
{
	while (target && target != device)
		target = device_below(target);
	return target;
}

/* A frame that device receives gets to the target. */
static bool received_leads_to(const struct world *world, const struct device *device,
			      const struct device *target)
{
	if (device->gone)
		return false;
	if (is_above(target, device))
		return true;
	if (!device->master || world_vrf(device))
		return false;
	if (is_above(target, device->master))
		return true;
	if (kind_is_bond(device->master->kind))
		return received_leads_to(world, device->master, target);
	for (size_t i = 0; i < world->device_count; i++) {
		const struct device *port = &world->devices[i];

		if (port->master == device->master && port != device &&
		    leads_to(world, port, target))
			return true;
	}
	return false;
}

static bool leads_to(const struct world *world, const struct device *out,
		     const struct device *target)
{
	const struct device *wire = world_wire(world, out);

	return !out->gone && !wire->gone && wire->peer &&
	       received_leads_to(world, wire->peer, target);
}

struct device *world_bridge_port(const struct world *world, const struct device *bridge,
				 const struct device *target)
{
	for (size_t i = 0; i < world->device_count; i++) {
		const struct device *port = &world->devices[i];

		if (port->master == bridge && leads_to(world, port, target))
			return (struct device *)port;
	}
	return NULL;
}

uint16_t world_mtu(const struct world *world, const struct device *device)
{
	uint16_t least = 0;

	if (device->kind != KIND_BRIDGE)
		return device->mtu;
	for (size_t i = 0; i < world->device_count; i++) {
		const struct device *port = &world->devices[i];

		if (port->master == device && !port->gone && (!least || port->mtu < least))
			least = port->mtu;
	}
	return least ? least : device->mtu;
}

void device_address_bytes(const struct device *device, int family, uint8_t *bytes)
{
	uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, 10, device->segment, 0, device->address};
	uint8_t v6[16] = {0xfd, 0, 0, device->segment, [15] = device->address};

	memcpy(bytes, family == AF_INET ? v4 : v6, 16);
}

const char *device_address(const struct device *device, int family, char *text, size_t size)
{
	uint8_t bytes[16];

	device_address_bytes(device, family, bytes);
	inet_ntop(family, family == AF_INET ? bytes + 12 : bytes, text, (socklen_t)size);
	return text;
}

bool conversation_end_is_translated(const struct conversation *c, int end)
{
	return c->sent.address[end] != c->arrives.address[end] ||
	       c->sent.port[end] != c->arrives.port[end];
}

bool conversation_is_translated(const struct conversation *c)
{
	return conversation_end_is_translated(c, 0) || conversation_end_is_translated(c, 1);
}

bool world_translates(const struct world *world)
{
	for (size_t i = 0; i < world->conversation_count; i++)
		if (conversation_is_translated(&world->conversations[i]))
			return true;
	return false;
}

static void print_device(const struct world *world, const struct device *device)
{
	char address[INET6_ADDRSTRLEN];

	printf("#   %-5s %-6s %-8s", world->space_names[device->space], device->name,
	       kind_to_str(device->kind));
	if (device->peer)
		printf(" peer %s/%s", world->space_names[device->peer->space], device->peer->name);
	if (device->master)
		printf(" master %s", device->master->name);
	if (device->lower)
		printf(" lower %s/%s", world->space_names[device->lower->space],
		       device->lower->name);
	if (device->kind == KIND_VLAN)
		printf(" tag %u", device->tag);
	if (device->redirect)
		printf(" redirected to %s", device->redirect->name);
	if (device->shaper)
		printf(" shaped by %s", device->shaper->name);
	if (device->mirror)
		printf(" mirrored to %s", device->mirror->name);
	if (device->hairpin)
		printf(" hairpin");
	if (device->segment)
		printf(" %s", device_address(device, AF_INET, address, sizeof(address)));
	if (device->space == HOST)
		printf(" %s", device->monitored ? "monitored" : "NOT monitored");
	printf("\n");
}

void world_print(const struct world *world)
{
	char address[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < world->device_count; i++) {
		const struct device *device = &world->devices[i];

		if (!device->gone &&
		    (device->space == HOST || device->kind != KIND_LOOPBACK || device->segment))
			print_device(world, device);
	}
	for (size_t i = 0; i < world->route_count; i++) {
		const struct route *route = &world->routes[i];

		printf("#   %-5s route to ", world->space_names[route->space]);
		if (route->segment == ANY_SEGMENT)
			printf("all");
		else
			printf("10.%u.0.0/24", route->segment);
		if (route->from)
			printf(" from %s",
			       device_address(route->from, AF_INET, address, sizeof(address)));
		printf(" via %s dev %s",
		       device_address(route->gateway, AF_INET, address, sizeof(address)),
		       route->device->name);
		if (route->other_device)
			printf(", or by %s", route->other_device->name);
		printf("\n");
	}
}
