/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside of continuity*.c only. */
#ifndef FLOWTALLY_CONTINUITY_PRIVATE_H
#define FLOWTALLY_CONTINUITY_PRIVATE_H

#include "supervisor/continuity.h"

struct buffer;
struct held_train;
struct predecessor;

struct continuity {
	struct pins *pins;
	int pins_error;
	int checkpoint_fd; /* of the bytes that are pinned; -1: none */
	bool given_up;	   /* what is pinned, as no more can be */
	struct held *held;
	struct interface_table *table; /* borrowed */
	bool found;
	struct checkpoint left;		 /* by a dead agent, until it is recovered */
	struct predecessor *predecessor; /* whose program is to be replaced */
	uint32_t generation;		 /* of our program's maps */
	struct checkpoint_report report; /* on its way */
	size_t report_held;		 /* so many of the first maps held are in it */
	struct merge *doubt;		 /* what is in it, if it is not ours */
	struct checkpoint_list done_maps;
	uint64_t reported_train_set, folded_train_set;
	uint64_t owed, folded; /* what is pinned for the running interval (checkpoint.h) */
	bool begins_report;    /* it has all before_attach that the table still knows of */
	bool recovered;	       /* or there was nothing to be */
	int save_error;	       /* said once */
	bool fold_failed;
};

/* Pins the checkpoint in place of the last one. 0 or negative errno, then the last one stays. */
int continuity_put_checkpoint(struct continuity *continuity, const struct checkpoint *checkpoint);

/* Bytes that merges hand on, pinned under what they are, "owed" or "folded", and a number: appends
 * them to bytes. 0 or negative errno; -ENOENT: there are none. */
int continuity_get_bytes(const struct continuity *continuity, const char *what, uint64_t number,
			 struct buffer *bytes);

/* Whether it is the number of the program's maps, or of an earlier program's. */
bool continuity_has_generation(const struct continuity *continuity, uint32_t generation);
/* Lists in the checkpoint the earlier ones of which a map is held. 0 or -ENOMEM. */
int continuity_list_earlier(const struct continuity *continuity, struct checkpoint *checkpoint);
/* Reads what the CPUs hold for programs of other versions, which are on no hook any more, into the
 * merge. 0 or negative errno. */
int continuity_take_earlier(struct continuity *continuity, struct flow_maps *maps,
			    struct merge *merge);

/* Keeps the trains of phases that the checkpoint knows, and returns how many. Others can be in no
 * report, which would be a mistake of ours: it is told. */
size_t continuity_keep_known(const struct checkpoint_phase *phases, size_t phase_count,
			     struct held_train *trains, size_t n);

#endif
