/* SPDX-License-Identifier: GPL-2.0-only */
/* Sends conversations for real, one datagram at a time, and books what must be counted. */
#ifndef FLOWTALLY_TOPOLOGY_TRAFFIC_H
#define FLOWTALLY_TOPOLOGY_TRAFFIC_H

#include "tests/topology/path.h"
#include "tests/topology/tally.h"

struct kernel;

/* Where the packets of a conversation go, both ways. False: not both arrive. Nobody answers what is
 * lost at a dummy. */
bool traffic_paths(const struct world *world, const struct conversation *conversation,
		   struct path paths[2]);

/* Called after each datagram and connection. 0 or -errno. */
typedef int (*traffic_pause)(void *data);

struct traffic {
	struct world *world;
	struct kernel *kernel;
	bool join;		/* one line for each conversation, however it is translated */
	struct tally *expected; /* what the agent must count is added */
	traffic_pause pause;	/* or NULL */
	void *pause_data;
	const struct conversation *failed; /* out: the one that something went wrong with */
};

/* Sends all conversations that have paths now. 0 or -errno: -ETIMEDOUT when something does not
 * arrive. */
int traffic_send(struct traffic *traffic);
void traffic_close(struct world *world);

void traffic_print(const struct world *world, const struct conversation *conversation);

#endif
