/* SPDX-License-Identifier: GPL-2.0-only */
/* The hooks that a packet passes on its way through a host, in order, and what NAT and tunnels make
 * of it there. */
#ifndef FLOWTALLY_SIMULATION_PATH_H
#define FLOWTALLY_SIMULATION_PATH_H

#include "tests/simulation/host.h"

#define STEPS_MAX 24
#define STRANGER  UINT8_MAX

/* The tuples that one conversation shows. */
enum face {
	FACE_ORIGINAL,
	FACE_CLIENT, /* the client's end is translated */
	FACE_SERVER,
	FACE_BOTH,
	FACE_OUTER, /* from here on: outer packets, by sender and by whether they leave */
	FACES = FACE_OUTER + 4
};

struct step {
	uint8_t link;
	uint8_t hook; /* enum hook */
	uint8_t iif;  /* ifindex; 0: born here */
	uint8_t face;
	uint8_t turner; /* ifindex of the macvlan above that sent it to a sibling; 0: none did;
			   STRANGER: one of another namespace */
};

/* NAT turns a packet from its original face to its last one, by way of a half translated one. */
struct turns {
	enum face half, last;
	uint8_t at[2]; /* the hooks of this packet where it is so, for the client's packets; the
			  server's come the other way */
};

struct path {
	struct step steps[STEPS_MAX];
	uint8_t count;
	uint8_t fork; /* where a bridge makes two of one, and ... */
	uint8_t copy; /* where the second one begins; 0: it does not */
	bool cut;     /* too long: a forwarding loop */
};

/* The way of all packets with this route. turns: NULL: nobody translates. */
void path_walk(const struct host *host, struct random route, unsigned int sender,
	       const struct turns *turns, struct path *path);

/* Whether some monitored hook shows the packet itself. */
bool path_is_visible(const struct host *host, const struct path *path);
/* Whether one shows that face. */
bool path_shows(const struct host *host, const struct path *path, enum face face);

/* What the reports cannot tell: doc/dedup.md, limits. */
bool path_is_beyond(const struct host *host, const struct topology_role *roles,
		    const struct path *path);

/* Whether the program puts what this hook shows under the unsure key. */
bool step_is_unsure(const struct host *host, const struct topology_role *roles,
		    const struct step *step);

bool path_is_judged(const struct host *host, const struct topology_role *roles,
		    const struct path *path);

/* A judged hook sees it before the hooks do that this one is judged by: in by a device below
 * macvlans and out by it again, or by an ifb. */
bool path_is_judged_early(const struct host *host, const struct topology_role *roles,
			  const struct path *path);

bool path_same(const struct path *a, const struct path *b);

void path_print(const struct path *path);

#endif
