/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps of a program of another version, which an agent has left, and how they are replaced
 * while packets pass. The new program gets a table that says of each interface what theirs says,
 * and an empty flow map of the same phase. So it does not matter to a packet which of the two
 * programs it meets on a hook, and one hook after the other changes from theirs to ours
 * (attach_adopt()). When theirs is on none, what it counted is read like any map of a phase.
 */
#ifndef FLOWTALLY_PREDECESSOR_H
#define FLOWTALLY_PREDECESSOR_H

#include "bpf/flow_types.h"

#include <stdbool.h>
#include <stdint.h>

struct flow_maps;
struct generation;
struct pins;
struct predecessor;
struct program;

/* Opens what is pinned under that number; generation is borrowed. 0; -ENOENT: not all of it is
 * there; -EBADMSG: it is not laid out as it is said; or another negative errno. */
int predecessor_new(struct predecessor **ret, const struct pins *pins,
		    const struct generation *generation);
void predecessor_free(struct predecessor *predecessor);

/* Whether we know all that its table says of interfaces. 0; -EPROTO: we do not; -ENOMEM. */
int predecessor_check(const struct predecessor *predecessor);

/* Makes the program, which no hook has yet, ready to go on where theirs ends. 0 or negative errno.
 */
int predecessor_prepare(struct predecessor *predecessor, struct program *program,
			struct flow_maps *maps);

/* The number of the set that its CPUs kept trains in last; the quiet one is the one before. */
uint32_t predecessor_last_set(const struct predecessor *predecessor);
/*
 * Calls found for each train of the last set, or of the one before, and the phase that it was
 * counted for (0: none is known), until it returns a negative errno. The program must be on no
 * hook. 0 or negative errno.
 */
typedef int (*predecessor_train_found)(void *data, uint32_t phase, const struct flow_train *train);
int predecessor_each_train(const struct predecessor *predecessor, bool last,
			   predecessor_train_found found, void *data);

#endif
