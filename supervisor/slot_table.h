/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slot table as the program reads it: which interfaces are counted, and in which role
 * (flow_types.h). It is there twice, and each CPU reads one of the two banks. What roles several
 * interfaces have from now on is staged in the bank that nobody reads, and then shown to one CPU
 * after the other, each time while the agent itself runs on it. The kernel carries a packet from
 * hook to hook without leaving the CPU to a process (net/core/dev.c: with bottom halves off), so
 * every hook of a packet goes by the same bank: by the roles of before or by those of after.
 */
#ifndef FLOWTALLY_SLOT_TABLE_H
#define FLOWTALLY_SLOT_TABLE_H

#include "bpf/flow_types.h"

#include <stdbool.h>
#include <stdint.h>

struct slot_table;

/*
 * words: FLOW_SLOT_TABLE_SIZE pairs of words, control, and cpus: as many as there may be, as the
 * program reads them; all borrowed. What an agent that died has staged and shown to some CPUs
 * is shown to all; what it has shown to none is dropped. 0 or -ENOMEM.
 */
int slot_table_new(struct slot_table **ret, uint64_t *words, struct flow_control *control,
		   struct flow_cpu *cpus, uint32_t cpu_count);
void slot_table_free(struct slot_table *table);

/*
 * Makes it say slot for slot->ifindex, or forget the ifindex if slot->flags is 0. One store, seen
 * by all CPUs at once; not while something is staged. -ENOSPC: both places that the ifindex may
 * stand in are taken by others.
 */
int slot_table_set(struct slot_table *table, const struct flow_slot *slot);

/* The same, but no CPU sees it until slot_table_show(). */
int slot_table_stage(struct slot_table *table, const struct flow_slot *slot);
/* Stages flow_control.fragments_covered, likewise. */
void slot_table_stage_fragments_covered(struct slot_table *table, bool covered);
/* Whether something is staged. */
bool slot_table_is_staged(const struct slot_table *table);
/* Shows to all CPUs what is staged. Those that the agent may not run on see it between any two
 * instructions. */
void slot_table_show(struct slot_table *table);

/* What it says of the ifindex, once all that is staged is shown; flags 0: nothing. */
struct flow_slot slot_table_get(const struct slot_table *table, uint32_t ifindex);

/* Empties the words of all that keep() does not want. */
void slot_table_sweep(struct slot_table *table,
		      bool (*keep)(void *data, const struct flow_slot *slot), void *data);

/* Whether there is a place for the ifindex. */
bool slot_table_has_place(const struct slot_table *table, uint32_t ifindex);

#endif
