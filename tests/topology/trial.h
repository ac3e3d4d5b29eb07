/* SPDX-License-Identifier: GPL-2.0-only */
/* Plays a script (script.h) on the real kernel: is every packet counted once, to the byte? */
#ifndef FLOWTALLY_TOPOLOGY_TRIAL_H
#define FLOWTALLY_TOPOLOGY_TRIAL_H

#include <stdbool.h>

struct trial_options {
	const char *agent; /* the program under test */
	bool verbose;	   /* the world, the paths and the agent's words, of good cases too */
	bool steps;	   /* waits before each change */
	bool keep;	   /* waits before it takes down what failed */
};

/* Whether all was counted as it was sent; says on standard output what was not. */
bool trial_play(const char *script, const struct trial_options *options);

#endif
