/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A case as text: a host with its surroundings, who talks, what the agent watches, and what
 * happens. A seed is made into one before anything is done, and a file of tests/topology/named is
 * one, which stays what it is while the grammar of random cases grows. A line each, words separated
 * by blanks, things known by the number that they were described in, from 0 up; -1: none. Lines
 * that begin with # are comments.
 *
 *   space NAME SEGMENT ADDRESS                a network namespace, and the address on its lo
 *   device SPACE NAME KIND MTU SEGMENT ADDRESS PEER MASTER LOWER FAMILY TAG
 *   redirect DEVICE DEVICE                    by tc, of all that the first one receives
 *   shape DEVICE IFB                          likewise, and back again
 *   mirror DEVICE DEVICE PRIORITY             likewise, of copies
 *   hairpin DEVICE                            a bridge port
 *   queue DEVICE                              by tc, a VRF
 *   route SPACE SEGMENT DEVICE GATEWAY [or DEVICE GATEWAY] [from DEVICE]
 *   talk FAMILY MASQUERADE SIZE THERE BACK  CLIENT PORT SERVER PORT  and the same as it arrives,
 *                                           then "stream" if it is TCP
 *   join YES, attach MODE, include PATTERNS, exclude PATTERNS
 *
 *   start                    makes all that is described, and starts the agent
 *   create                   makes what was described since
 *   send, report, reload
 *   storm ROUNDS             sends, and asks for reports all the time
 *   rename DEVICE NAME, enslave DEVICE MASTER, move DEVICE SPACE, delete DEVICE
 *   settle DEVICE SEGMENT ADDRESS
 *   reroute ROUTE DEVICE GATEWAY
 *   failover DEVICE          the slave of a bond, and the one that it is wired to: others take over
 *   unplug DEVICE, plug DEVICE  a slave goes down, and up again
 *   end TALK                 nothing more is sent
 *   seen                     waits until the agent knows
 *   stop                     ends the agent, and compares
 */
#ifndef FLOWTALLY_TOPOLOGY_SCRIPT_H
#define FLOWTALLY_TOPOLOGY_SCRIPT_H

#include "tests/topology/world.h"

struct buffer;

/* How much of a world is described already. */
struct script_mark {
	size_t devices, routes, conversations;
};

/* Describes what the world has beyond the mark, and moves it. */
void script_describe(struct buffer *script, const struct world *world, struct script_mark *mark);

/* Numbers of things. device: NULL: -1. */
int script_device(const struct world *world, const struct device *device);
int script_route(const struct world *world, const struct route *route);

/* Adds what the line describes. 1; 0: it describes nothing of a world; -EINVAL: it is wrong. */
int script_read_world(struct world *world, const char *line);

#endif
