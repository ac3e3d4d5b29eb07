/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent's life: from the command line to the last report. */
#ifndef FLOWTALLY_SUPERVISOR_H
#define FLOWTALLY_SUPERVISOR_H

struct options;

/* Exit status of the program (flowtally(8)). */
enum {
	SUPERVISOR_ENDED = 0,
	SUPERVISOR_FAILED = 1,
	SUPERVISOR_MISUSE = 2,
};

/* Runs until it is told to stop. Returns the exit status; what went wrong is on standard error. */
int supervisor_run(const struct options *options);

#endif
