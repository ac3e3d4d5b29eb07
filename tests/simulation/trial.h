/* SPDX-License-Identifier: GPL-2.0-only */
/* One random host, the conversations that pass it, and what the reports say of them. */
#ifndef FLOWTALLY_SIMULATION_TRIAL_H
#define FLOWTALLY_SIMULATION_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trial;

struct trial_sums {
	uint64_t packets;   /* that some monitored hook saw */
	uint64_t reports;   /* written ones */
	uint64_t under_way; /* packets that were between two hooks at a swap */
	uint64_t changes;
	uint64_t summed; /* flows beyond a limit */
};

struct trial *trial_new(void);
void trial_free(struct trial *trial);

/* Whether every line and total was right, to the byte. verbose: tells what happens and what is
 * wrong. */
bool trial_run(struct trial *trial, uint64_t seed, bool verbose, struct trial_sums *sums);

#endif
