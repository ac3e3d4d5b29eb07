// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/script.h"

#include "lib/buffer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int script_device(const struct world *world, const struct device *device)
{
	return device ? (int)(device - world->devices) : -1;
}

int script_route(const struct world *world, const struct route *route)
{
	return (int)(route - world->routes);
}

static int family_number(int family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 6 : 0;
}

static int family_of(int number)
{
	return number == 4 ? AF_INET : number == 6 ? AF_INET6 : 0;
}

static void describe_device(struct buffer *script, const struct world *world,
			    const struct device *device)
{
	if (device->kind == KIND_LOOPBACK) {
		buffer_printf(script, "space %s %u %u\n", world->space_names[device->space],
			      device->segment, device->address);
		return;
	}
	buffer_printf(script, "device %u %s %s %u %u %u %d %d %d %d %u\n", device->space,
		      device->name, kind_to_str(device->kind), device->mtu, device->segment,
		      device->address, script_device(world, device->peer),
		      script_device(world, device->master), script_device(world, device->lower),
		      family_number(device->outer_family), device->tag);
}

static void describe_tuple(struct buffer *script, const struct world *world,
			   const struct tuple *tuple)
{
	for (int end = 0; end < 2; end++)
		buffer_printf(script, " %d %u", script_device(world, tuple->address[end]),
			      tuple->port[end]);
}

static void describe_conversation(struct buffer *script, const struct world *world,
				  const struct conversation *c)
{
	buffer_printf(script, "talk %d %d %u %u %u", family_number(c->sent.family), c->masquerade,
		      c->size, c->count[0], c->count[1]);
	describe_tuple(script, world, &c->sent);
	describe_tuple(script, world, &c->arrives);
	buffer_str(script, c->stream ? " stream\n" : "\n");
}

/* What tc and the bridge are told of it. */
static void describe_detours(struct buffer *script, const struct world *world,
			     const struct device *device)
{
	int number = script_device(world, device);

	if (device->redirect)
		buffer_printf(script, "redirect %d %d\n", number,
			      script_device(world, device->redirect));
	if (device->shaper)
		buffer_printf(script, "shape %d %d\n", number,
			      script_device(world, device->shaper));
	if (device->mirror)
		buffer_printf(script, "mirror %d %d %u\n", number,
			      script_device(world, device->mirror), device->mirror_priority);
	if (device->hairpin)
		buffer_printf(script, "hairpin %d\n", number);
	if (device->queued)
		buffer_printf(script, "queue %d\n", number);
}

static void describe_route(struct buffer *script, const struct world *world,
			   const struct route *route)
{
	buffer_printf(script, "route %u %u %d %d", route->space, route->segment,
		      script_device(world, route->device), script_device(world, route->gateway));
	if (route->other_device)
		buffer_printf(script, " or %d %d", script_device(world, route->other_device),
			      script_device(world, route->other_gateway));
	if (route->from)
		buffer_printf(script, " from %d", script_device(world, route->from));
	buffer_str(script, "\n");
}

void script_describe(struct buffer *script, const struct world *world, struct script_mark *mark)
{
	size_t first = mark->devices;

	for (; mark->devices < world->device_count; mark->devices++)
		describe_device(script, world, &world->devices[mark->devices]);
	for (size_t i = first; i < world->device_count; i++)
		describe_detours(script, world, &world->devices[i]);
	for (; mark->routes < world->route_count; mark->routes++)
		describe_route(script, world, &world->routes[mark->routes]);
	for (; mark->conversations < world->conversation_count; mark->conversations++)
		describe_conversation(script, world, &world->conversations[mark->conversations]);
}

/* A device may be named before it is described: a pair's ends name each other. */
static bool find_device(struct world *world, int number, struct device **ret)
{
	*ret = number < 0 ? NULL : &world->devices[number];
	return number < DEVICES_MAX;
}

static bool find_kind(const char *name, enum kind *ret)
{
	for (enum kind kind = 0; kind < KINDS; kind++)
		if (!strcmp(kind_to_str(kind), name)) {
			*ret = kind;
			return true;
		}
	return false;
}

static bool read_space(struct world *world, const char *line)
{
	unsigned int segment, address;
	struct device *lo;
	char name[NAME_SIZE];

	if (sscanf(line, "space %15s %u %u", name, &segment, &address) != 3 ||
	    world->space_count == SPACES_MAX || world->device_count == DEVICES_MAX)
		return false;
	lo = &world->devices[world->device_count];
	world_add_space(world, name);
	lo->segment = (uint8_t)segment;
	lo->address = (uint8_t)address;
	return true;
}

static bool read_device(struct world *world, const char *line)
{
	unsigned int space, mtu, segment, address, tag;
	int peer, master, lower, family;
	char name[NAME_SIZE], kind_name[16];
	struct device *device;
	enum kind kind;

	if (sscanf(line, "device %u %15s %15s %u %u %u %d %d %d %d %u", &space, name, kind_name,
		   &mtu, &segment, &address, &peer, &master, &lower, &family, &tag) != 11 ||
	    !find_kind(kind_name, &kind) || space >= world->space_count ||
	    world->device_count == DEVICES_MAX)
		return false;
	device = world_add(world, kind, space, name);
	device->mtu = (uint16_t)mtu;
	device->segment = (uint8_t)segment;
	device->address = (uint8_t)address;
	device->outer_family = family_of(family);
	device->tag = (uint16_t)tag;
	return find_device(world, peer, &device->peer) &&
	       find_device(world, master, &device->master) &&
	       find_device(world, lower, &device->lower);
}

static bool read_detour(struct world *world, const char *numbers, struct device **ret_from,
			struct device **ret_to)
{
	int from, to;

	return sscanf(numbers, "%d %d", &from, &to) == 2 && find_device(world, from, ret_from) &&
	       find_device(world, to, ret_to) && *ret_from && *ret_to;
}

static bool read_redirect(struct world *world, const char *line)
{
	struct device *from, *to;

	if (!read_detour(world, line + strlen("redirect "), &from, &to))
		return false;
	from->redirect = to;
	return true;
}

static bool read_shape(struct world *world, const char *line)
{
	struct device *from, *to;

	if (!read_detour(world, line + strlen("shape "), &from, &to))
		return false;
	from->shaper = to;
	return true;
}

static bool read_mirror(struct world *world, const char *line)
{
	struct device *from, *to;

	if (!read_detour(world, line + strlen("mirror "), &from, &to) ||
	    sscanf(line, "mirror %*d %*d %u", &from->mirror_priority) != 1)
		return false;
	from->mirror = to;
	return true;
}

/* The device that the number is of, or NULL. */
static struct device *read_number(struct world *world, const char *text)
{
	struct device *device;
	int number;

	return sscanf(text, "%d", &number) == 1 && find_device(world, number, &device) ? device
										       : NULL;
}

static bool read_hairpin(struct world *world, const char *line)
{
	struct device *device = read_number(world, line + strlen("hairpin "));

	if (device)
		device->hairpin = true;
	return device;
}

static bool read_queue(struct world *world, const char *line)
{
	struct device *device = read_number(world, line + strlen("queue "));

	if (device)
		device->queued = true;
	return device;
}

static bool read_route(struct world *world, const char *line)
{
	int device, gateway, other = -1, other_gateway = -1, from = -1;
	const char *more = strstr(line, " or "), *source = strstr(line, " from ");
	struct device *devices[5];
	unsigned int space, segment;
	struct route *route;

	if (sscanf(line, "route %u %u %d %d", &space, &segment, &device, &gateway) != 4 ||
	    (more && sscanf(more, " or %d %d", &other, &other_gateway) != 2) ||
	    (source && sscanf(source, " from %d", &from) != 1) || device < 0 || gateway < 0 ||
	    !find_device(world, device, &devices[0]) || !find_device(world, gateway, &devices[1]) ||
	    !find_device(world, other, &devices[2]) ||
	    !find_device(world, other_gateway, &devices[3]) ||
	    !find_device(world, from, &devices[4]) || world->route_count == ROUTES_MAX)
		return false;
	route = world_add_route(world, space, (uint8_t)segment, devices[0], devices[1]);
	route->other_device = devices[2];
	route->other_gateway = devices[3];
	route->from = devices[4];
	return true;
}

static bool set_tuple(struct world *world, struct tuple *tuple, int family, const int *devices,
		      const unsigned int *ports)
{
	tuple->family = family_of(family);
	for (int end = 0; end < 2; end++) {
		if (devices[end] < 0 || !find_device(world, devices[end], &tuple->address[end]))
			return false;
		tuple->port[end] = (uint16_t)ports[end];
	}
	return true;
}

static bool read_conversation(struct world *world, const char *line)
{
	struct conversation *c = &world->conversations[world->conversation_count];
	int family, masquerade, devices[4];
	unsigned int ports[4];

	if (world->conversation_count == CONVERSATIONS_MAX)
		return false;
	*c = (struct conversation){.fd = {-1, -1}};
	if (sscanf(line, "talk %d %d %u %u %u %d %u %d %u %d %u %d %u", &family, &masquerade,
		   &c->size, &c->count[0], &c->count[1], &devices[0], &ports[0], &devices[1],
		   &ports[1], &devices[2], &ports[2], &devices[3], &ports[3]) != 13 ||
	    !set_tuple(world, &c->sent, family, devices, ports) ||
	    !set_tuple(world, &c->arrives, family, devices + 2, ports + 2))
		return false;
	c->masquerade = masquerade;
	c->stream = strstr(line, " stream");
	c->client = c->sent.address[0];
	c->server = c->arrives.address[1];
	world->conversation_count++;
	return true;
}

int script_read_world(struct world *world, const char *line)
{
	static const struct {
		const char *word;
		bool (*read)(struct world *world, const char *line);
	} words[] = {
		{"space ", read_space}, {"device ", read_device},     {"redirect ", read_redirect},
		{"shape ", read_shape}, {"mirror ", read_mirror},     {"hairpin ", read_hairpin},
		{"route ", read_route}, {"talk ", read_conversation}, {"queue ", read_queue},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strncmp(line, words[i].word, strlen(words[i].word)))
			return words[i].read(world, line) ? 1 : -EINVAL;
	return 0;
}
