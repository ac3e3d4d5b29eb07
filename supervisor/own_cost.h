/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent itself costs the host, as far as the kernel tells. */
#ifndef FLOWTALLY_OWN_COST_H
#define FLOWTALLY_OWN_COST_H

#include <stdbool.h>
#include <stdint.h>

struct program;

struct own_cost {
	int64_t user_ns, system_ns; /* CPU time; what the BPF program takes is not in it */
	uint64_t resident;	    /* bytes of memory */
	uint64_t kernel;	    /* bytes of our maps and programs in the kernel */
	bool measured;		    /* the kernel measures the program (kernel.bpf_stats_enabled) */
	uint64_t run_ns, runs;	    /* if so: of the program, since it was loaded */
};

void own_cost_read(struct own_cost *cost, const struct program *program);

#endif
