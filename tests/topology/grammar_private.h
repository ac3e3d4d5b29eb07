/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the grammar share. */
#ifndef FLOWTALLY_TOPOLOGY_GRAMMAR_PRIVATE_H
#define FLOWTALLY_TOPOLOGY_GRAMMAR_PRIVATE_H

#include "tests/random.h"
#include "tests/topology/world.h"

#define WORLD 1

#define UPLINKS_MAX	2
#define SERVICE_WORLD	200 /* segments of the addresses on lo */
#define SERVICE_HOST	201
#define UPLINK_SEGMENT	100
#define LAN_SEGMENT	10
#define TUNNEL_OVERHEAD 70

/* What a host is made of so far. */
struct grammar {
	struct random *random;
	struct world *world;
	struct device *uplinks[UPLINKS_MAX];  /* that have the host's address */
	struct device *gateways[UPLINKS_MAX]; /* the other ends, in the world */
	struct device *wires[UPLINKS_MAX];    /* the lowest devices of the host, or VLANs on them */
	struct device *ends[UPLINKS_MAX];     /* what these reach in the world */
	unsigned int kinds;		      /* a bit for each optional one that it may have */
	unsigned int uplink_count;
	unsigned int container_count;
};

const char *name_of(char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct device *give_address(struct device *device, unsigned int segment, unsigned int address);

void add_uplink(struct grammar *g);
unsigned int add_container_space(struct grammar *g);
/* eth0 of a new container, and its other end in the host. */
struct device *add_container(struct grammar *g, unsigned int segment, struct device *bridge);
void add_one_armed(struct grammar *g);
void add_default_route(struct grammar *g, struct device *device, struct device *gateway);
/* It has the address of an uplink, or of its other end. */
bool is_uplink(const struct device *device);
/* Of a container, to a bridge of the host. */
bool is_container_wire(const struct device *device);

/*
 * What a host may have beside uplinks and LANs: devices before the routes are there, then other
 * ways than these.
 */
void elements_add_devices(struct grammar *g);
void elements_add_ways(struct grammar *g);

/* What only some kernels have. */
void kinds_add_devices(struct grammar *g);

#endif
