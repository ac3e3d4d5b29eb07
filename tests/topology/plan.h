/* SPDX-License-Identifier: GPL-2.0-only */
/* From a seed to the script of a random case: a host, then what happens. No kernel is needed. */
#ifndef FLOWTALLY_TOPOLOGY_PLAN_H
#define FLOWTALLY_TOPOLOGY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

struct buffer;

struct plan_options {
	bool join;  /* the agent joins what NAT translates, else each face is a line */
	bool traps; /* grammar.h */
	unsigned int elements_percent; /* grammar.h */
	unsigned int kinds;	       /* grammar.h */
};

/* 0 or -ENOMEM. */
int plan_write(struct buffer *script, uint64_t seed, const struct plan_options *options);

#endif
