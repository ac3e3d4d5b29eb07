/* SPDX-License-Identifier: GPL-2.0-only */
/* A conversation: the tuples that it shows, the ways of its packets, the report lines that it
 * should make. */
#ifndef FLOWTALLY_SIMULATION_FLOW_H
#define FLOWTALLY_SIMULATION_FLOW_H

#include "bpf/flow_types.h"
#include "tests/simulation/path.h"

#define FLOWS_MAX 12
#define WAYS	  2 /* that packets of one sender take at once: ECMP, balance-rr */

#define OUTER_HEADERS 50
#define OUTER_PORT    4789

/* Of a report: one for the conversation, one for each face of outer packets. */
#define LINES (1 + FACES - FACE_OUTER)

struct line {
	struct flow_key key;
	struct flow_count sent[2], counted[2]; /* by end of the key */
};

struct flow {
	struct flow_key keys[FACES];
	uint8_t ends[FACES]; /* of each key: the one that is sender 0 */
	struct line lines[LINES];
	struct random routes[2][WAYS];
	struct path paths[2][WAYS];
	bool beyond[2][WAYS]; /* what takes that way cannot be counted right */
	bool judged;	      /* a hook on its way is: then it has one way only */
	bool judged_early;
	bool translated;
	bool tracked; /* translated or not, conntrack knows it */
	struct turns turns;
	bool non_ip;
	bool ended;
};

void flow_init(struct flow *flow, struct random *random, size_t number, bool may_translate);

static inline unsigned int flow_line(enum face face)
{
	return face < FACE_OUTER ? 0 : 1 + face - FACE_OUTER;
}

/* The line that a key is of: flow number * LINES + line. */
unsigned int flow_line_number(const struct flow_key *key);

/* This host's end of all tunnels, as 16 bytes. */
void flow_outer_address(uint8_t *address);

struct conntrack_entry;
void flow_conntrack_entry(const struct flow *flow, struct conntrack_entry *entry);

bool flow_same_ways(const struct flow *a, const struct flow *b);

#endif
