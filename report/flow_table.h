/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts by flow, interface, sender and class, kept small: a flow costs its key and 8 to 32 bytes
 * of index, each count that is not zero a cell of 24 bytes. The merge's; what is owed
 * (report/debt.h) and rates (report/rates.h) are in such tables, too.
 */
#ifndef FLOWTALLY_FLOW_TABLE_H
#define FLOWTALLY_FLOW_TABLE_H

#include "bpf/flow_types.h"
#include "report/flow_hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a cell counts: an enum flow_class, or what the owner adds to it. */
#define FLOW_CELL_KINDS 16
#define FLOW_CELL_NONE	UINT32_MAX

struct flow_cell {
	uint64_t bytes;
	uint64_t packets : 59;
	uint64_t kind : 4;
	uint64_t sender : 1;
	uint32_t id;   /* of the interface's phase (merge.h) */
	uint32_t next; /* cell of the same flow, or FLOW_CELL_NONE */
};

struct flow_entry {
	struct flow_key key;
	uint32_t first_cell;
	uint32_t first_id; /* of that cell, so that adding need not look there */
};

struct flow_slot_hash {
	uint32_t hash;
	uint32_t entry; /* plus 1; 0: free */
};

/* Zeroed but for the secret of its hash it is empty. */
struct flow_table {
	struct flow_hash hash;
	struct flow_slot_hash *slots; /* owned */
	size_t slot_count;	      /* a power of two, or 0 */
	struct flow_entry *entries;   /* owned */
	size_t entry_count, entry_capacity;
	struct flow_cell *cells; /* owned */
	size_t cell_count, cell_capacity;
};

void flow_table_init(struct flow_table *table);
void flow_table_clean(struct flow_table *table);

/* *to is overwritten; it has the same secret, so one hash serves both. 0, or -ENOMEM, then it is
 * empty. */
int flow_table_copy(struct flow_table *to, const struct flow_table *from);

/* Empties it. Memory far beyond what was used is given back. */
void flow_table_reset(struct flow_table *table);

/* Room for that many more entries and cells. 0 or -ENOMEM. */
int flow_table_reserve(struct flow_table *table, size_t entries, size_t cells);

uint32_t flow_table_hash(const struct flow_table *table, const struct flow_key *key);

/* Starts to load into the processor's cache what a find will look at: first the slot, later, when
 * that has come, the entry. */
void flow_table_prefetch_slot(const struct flow_table *table, uint32_t hash);
void flow_table_prefetch_entry(const struct flow_table *table, uint32_t hash);
/* Called at each entry of a walk over all in their order: loads the cells of entries to come. */
void flow_table_prefetch_cells(const struct flow_table *table, size_t entry);

/* NULL: not there. */
struct flow_entry *flow_table_find(const struct flow_table *table, const struct flow_key *key,
				   uint32_t hash);

/* The flow's entry, new if it was not there. Room must be reserved. */
struct flow_entry *flow_table_insert(struct flow_table *table, const struct flow_key *key,
				     uint32_t hash);

/*
 * Adds to the cell of the entry for (id, sender, kind), a new one if there is none. Room must be
 * reserved. latest: if the entry has cells of this id, they are its newest. So the search ends at
 * the first of another id: a broadcast flow may have cells of thousands of ids.
 */
void flow_table_add(struct flow_table *table, struct flow_entry *entry, uint32_t id,
		    unsigned int sender, unsigned int kind, struct flow_count count, bool latest);

/* Adds a cell that the entry does not have yet. Room must be reserved. */
void flow_table_append(struct flow_table *table, struct flow_entry *entry, uint32_t id,
		       unsigned int sender, unsigned int kind, struct flow_count count);

/* Moves all cells of an entry to another one, which adds them to its own. turned: the ends of the
 * two keys are the other way round. Needs no room. */
void flow_table_move(struct flow_table *table, struct flow_entry *to, struct flow_entry *from,
		     bool turned);

/* Takes out of an entry the cells of all but these ids, which are sorted, and adds what was in them
 * to *dropped. Returns whether there were any. */
bool flow_table_keep_ids(struct flow_table *table, struct flow_entry *entry, const uint32_t *ids,
			 size_t count, struct flow_count *dropped);

/* Drops the entries whose indices are marked, and their cells; the others keep their order. 0, or
 * -ENOMEM, then none is dropped. */
int flow_table_drop(struct flow_table *table, const bool *marked);

static inline const struct flow_cell *flow_table_cell(const struct flow_table *table, uint32_t cell)
{
	return cell == FLOW_CELL_NONE ? NULL : &table->cells[cell];
}

static inline struct flow_count flow_cell_count(const struct flow_cell *cell)
{
	return (struct flow_count){.bytes = cell->bytes, .packets = cell->packets};
}

/* Walks the cells of an entry. */
#define flow_table_each_cell(cell, table, entry)                                               \
	for (const struct flow_cell *cell = flow_table_cell(table, (entry)->first_cell); cell; \
	     cell = flow_table_cell(table, cell->next))

#endif
