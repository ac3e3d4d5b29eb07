/* SPDX-License-Identifier: GPL-2.0-only */
/* Sends conversations for real, one datagram at a time, and books what must be counted. */
#ifndef FLOWTALLY_TOPOLOGY_TRAFFIC_H
#define FLOWTALLY_TOPOLOGY_TRAFFIC_H

#include "tests/topology/path.h"
#include "tests/topology/tally.h"

struct kernel;

/* Where the packets of a conversation go, both ways. False: not both arrive. */
bool traffic_paths(const struct world *world, const struct conversation *conversation,
		   struct path paths[2]);

/*
 * Sends all conversations that have paths now. What the agent must count goes into the tally; join:
 * with one line for each conversation, however it is translated. 0 or
 * -errno: -ETIMEDOUT when a datagram does not arrive, then *failed is its conversation.
 */
int traffic_send(struct world *world, struct kernel *kernel, bool join, struct tally *expected,
		 const struct conversation **failed);
void traffic_close(struct world *world);

void traffic_print(const struct world *world, const struct conversation *conversation);

#endif
