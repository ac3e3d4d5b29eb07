/* SPDX-License-Identifier: GPL-2.0-only */
/* Tells each CPU something between two packets: a process runs on a CPU only while that carries
 * none (slot_table.h). */
#ifndef FLOWTALLY_CPU_WALK_H
#define FLOWTALLY_CPU_WALK_H

#include <stddef.h>
#include <stdint.h>

struct cpu_walk;

/* For so many CPUs as there may be. 0 or -ENOMEM. */
int cpu_walk_new(struct cpu_walk **ret, uint32_t cpu_count);
void cpu_walk_free(struct cpu_walk *walk);

/*
 * Stores the number in each CPU's word that has another, while the agent runs on that CPU. words:
 * the first one's, those of the others stride bytes behind each other. CPUs that the agent may not
 * run on, or is kept from by its affinity, see it between any two instructions.
 */
void cpu_walk_store(struct cpu_walk *walk, void *words, size_t stride, uint32_t number);

#endif
