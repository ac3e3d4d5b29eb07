// SPDX-License-Identifier: GPL-2.0-only
#include "report/flow_table.h"
#include "lib/array.h"
#include "lib/cleanup.h"
#include "lib/numbers.h"
#include "report/flow_count.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_FIRST   1024
#define ENTRIES_LIMIT ((size_t)1 << 31) /* an entry's index plus 1 fits 32 bits */
#define CELLS_LIMIT   ((size_t)FLOW_CELL_NONE)

#define PREFETCH_CELLS 4 /* of an entry */
#define PREFETCH_AHEAD 8 /* entries from one of them to the next */

void flow_table_init(struct flow_table *table)
{
	*table = (struct flow_table){0};
	flow_hash_init(&table->hash);
}

void flow_table_clean(struct flow_table *table)
{
	free(table->slots);
	free(table->entries);
	free(table->cells);
	table->slots = NULL;
	table->entries = NULL;
	table->cells = NULL;
	table->slot_count = table->entry_count = table->entry_capacity = 0;
	table->cell_count = table->cell_capacity = 0;
}

/* A copy of count elements with no room to spare; NULL if there are none. */
static int copy_array(void *ret, const void *array, size_t count, size_t size)
{
	void *copy = NULL;

	if (count) {
		copy = reallocarray(NULL, count, size);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, array, count * size);
	}
	*(void **)ret = copy;
	return 0;
}

int flow_table_copy(struct flow_table *to, const struct flow_table *from)
{
	struct flow_table copy = *from;
	int err;

	copy.slots = NULL;
	copy.entries = NULL;
	copy.cells = NULL;
	copy.entry_capacity = from->entry_count;
	copy.cell_capacity = from->cell_count;
	err = copy_array(&copy.slots, from->slots, from->slot_count, sizeof(*from->slots));
	if (!err)
		err = copy_array(&copy.entries, from->entries, from->entry_count,
				 sizeof(*from->entries));
	if (!err)
		err = copy_array(&copy.cells, from->cells, from->cell_count, sizeof(*from->cells));
	if (err)
		flow_table_clean(&copy);
	*to = copy;
	return err;
}

void flow_table_reset(struct flow_table *table)
{
	/* one interval with a scan in it must not cost its memory for ever */
	if (table->slot_count > SLOTS_FIRST && table->entry_count < table->slot_count / 16) {
		flow_table_clean(table);
		return;
	}
	if (table->slot_count)
		memset(table->slots, 0, table->slot_count * sizeof(*table->slots));
	table->entry_count = 0;
	table->cell_count = 0;
}

uint32_t flow_table_hash(const struct flow_table *table, const struct flow_key *key)
{
	return flow_hash_key(&table->hash, key);
}

static size_t free_slot(const struct flow_slot_hash *slots, size_t count, uint32_t hash)
{
	size_t i = hash & (count - 1);

	while (slots[i].entry)
		i = (i + 1) & (count - 1);
	return i;
}

/* Slots for that many entries, three quarters full at most. */
static int reserve_slots(struct flow_table *table, size_t entries)
{
	size_t count = table->slot_count ? table->slot_count : SLOTS_FIRST;
	struct flow_slot_hash *slots;

	while (count / 4 * 3 < entries)
		count *= 2;
	if (count == table->slot_count)
		return 0;
	slots = calloc(count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < table->slot_count; i++)
		if (table->slots[i].entry)
			slots[free_slot(slots, count, table->slots[i].hash)] = table->slots[i];
	free(table->slots);
	table->slots = slots;
	table->slot_count = count;
	return 0;
}

int flow_table_reserve(struct flow_table *table, size_t entries, size_t cells)
{
	int err;

	entries += table->entry_count;
	cells += table->cell_count;
	if (entries > ENTRIES_LIMIT || cells > CELLS_LIMIT)
		return -ENOMEM;
	err = array_reserve(&table->entries, &table->entry_capacity, sizeof(*table->entries),
			    entries);
	if (!err)
		err = array_reserve(&table->cells, &table->cell_capacity, sizeof(*table->cells),
				    cells);
	if (err)
		return err;
	return reserve_slots(table, entries);
}

void flow_table_prefetch_slot(const struct flow_table *table, uint32_t hash)
{
	if (table->slot_count)
		__builtin_prefetch(&table->slots[hash & (table->slot_count - 1)]);
}

void flow_table_prefetch_entry(const struct flow_table *table, uint32_t hash)
{
	const struct flow_slot_hash *slot;

	if (!table->slot_count)
		return;
	slot = &table->slots[hash & (table->slot_count - 1)];
	if (slot->hash == hash && slot->entry)
		__builtin_prefetch(&table->entries[slot->entry - 1]);
}

/* A step deeper with each entry that is nearer, as one cell leads to the next: as many as a flow
 * has that two interfaces showed both ways. */
void flow_table_prefetch_cells(const struct flow_table *table, size_t entry)
{
	for (size_t depth = 0; depth < PREFETCH_CELLS; depth++) {
		size_t ahead = entry + (PREFETCH_CELLS - depth) * PREFETCH_AHEAD;
		const struct flow_cell *cell;

		if (ahead >= table->entry_count)
			continue;
		cell = flow_table_cell(table, table->entries[ahead].first_cell);
		for (size_t step = 0; cell && step < depth; step++)
			cell = flow_table_cell(table, cell->next);
		__builtin_prefetch(cell);
	}
}

/* The slot of the key, or the free one where it would be. */
static struct flow_slot_hash *find_slot(const struct flow_table *table, const struct flow_key *key,
					uint32_t hash)
{
	size_t i = hash & (table->slot_count - 1);

	for (;; i = (i + 1) & (table->slot_count - 1)) {
		struct flow_slot_hash *slot = &table->slots[i];

		if (!slot->entry || (slot->hash == hash &&
				     !memcmp(&table->entries[slot->entry - 1], key, sizeof(*key))))
			return slot;
	}
}

struct flow_entry *flow_table_find(const struct flow_table *table, const struct flow_key *key,
				   uint32_t hash)
{
	const struct flow_slot_hash *slot;

	if (!table->slot_count)
		return NULL;
	slot = find_slot(table, key, hash);
	return slot->entry ? &table->entries[slot->entry - 1] : NULL;
}

struct flow_entry *flow_table_insert(struct flow_table *table, const struct flow_key *key,
				     uint32_t hash)
{
	struct flow_slot_hash *slot = find_slot(table, key, hash);

	if (!slot->entry) {
		table->entries[table->entry_count++] =
			(struct flow_entry){.key = *key, .first_cell = FLOW_CELL_NONE};
		slot->hash = hash;
		slot->entry = (uint32_t)table->entry_count;
	}
	return &table->entries[slot->entry - 1];
}

void flow_table_append(struct flow_table *table, struct flow_entry *entry, uint32_t id,
		       unsigned int sender, unsigned int kind, struct flow_count count)
{
	table->cells[table->cell_count] = (struct flow_cell){.bytes = count.bytes,
							     .packets = count.packets,
							     .kind = kind,
							     .sender = sender,
							     .id = id,
							     .next = entry->first_cell};
	entry->first_cell = (uint32_t)table->cell_count++;
	entry->first_id = id;
}

/* In the list that begins with first; of cells with that id only, if the list begins with those. */
static struct flow_cell *find_cell(const struct flow_table *table, uint32_t first, uint32_t id,
				   unsigned int sender, unsigned int kind, bool latest)
{
	for (uint32_t i = first; i != FLOW_CELL_NONE; i = table->cells[i].next) {
		struct flow_cell *cell = &table->cells[i];

		if (latest && cell->id != id)
			break;
		if (cell->id == id && cell->sender == sender && cell->kind == kind)
			return cell;
	}
	return NULL;
}

void flow_table_add(struct flow_table *table, struct flow_entry *entry, uint32_t id,
		    unsigned int sender, unsigned int kind, struct flow_count count, bool latest)
{
	struct flow_cell *cell = find_cell(table, entry->first_cell, id, sender, kind, latest);

	if (!cell) {
		flow_table_append(table, entry, id, sender, kind, count);
		return;
	}
	cell->bytes += count.bytes;
	cell->packets += count.packets;
}

void flow_table_move(struct flow_table *table, struct flow_entry *to, struct flow_entry *from,
		     bool turned)
{
	const uint32_t own = to->first_cell; /* no two of those that move are alike */
	uint32_t next;

	for (uint32_t i = from->first_cell; i != FLOW_CELL_NONE; i = next) {
		struct flow_cell *cell = &table->cells[i], *same;

		next = cell->next;
		cell->sender ^= turned;
		same = find_cell(table, own, cell->id, cell->sender, cell->kind, false);
		if (same) {
			same->bytes += cell->bytes;
			same->packets += cell->packets;
			continue;
		}
		cell->next = to->first_cell;
		to->first_cell = i;
		to->first_id = cell->id;
	}
	from->first_cell = FLOW_CELL_NONE;
}

bool flow_table_keep_ids(struct flow_table *table, struct flow_entry *entry, const uint32_t *ids,
			 size_t count, struct flow_count *dropped)
{
	uint32_t *at = &entry->first_cell;
	bool any = false;

	while (*at != FLOW_CELL_NONE) {
		struct flow_cell *cell = &table->cells[*at];
		const struct flow_count lost = flow_cell_count(cell);

		if (numbers_find(ids, count, cell->id)) {
			at = &cell->next;
			continue;
		}
		flow_count_add(dropped, &lost);
		*at = cell->next;
		any = true;
	}
	if (any && entry->first_cell != FLOW_CELL_NONE)
		entry->first_id = table->cells[entry->first_cell].id;
	return any;
}

/* The numbers that the cells of entries not marked will have; FLOW_CELL_NONE: it will not be. */
static void renumber_cells(const struct flow_table *table, const bool *marked, uint32_t *numbers)
{
	uint32_t kept = 0;

	memset(numbers, 0xff, table->cell_count * sizeof(*numbers));
	for (size_t i = 0; i < table->entry_count; i++)
		if (!marked[i])
			flow_table_each_cell (cell, table, &table->entries[i])
				numbers[cell - table->cells] = 0;
	for (size_t i = 0; i < table->cell_count; i++)
		if (numbers[i] != FLOW_CELL_NONE)
			numbers[i] = kept++;
}

static void move_cells(struct flow_table *table, const uint32_t *numbers)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->cell_count; i++) {
		struct flow_cell cell = table->cells[i];

		if (numbers[i] == FLOW_CELL_NONE)
			continue;
		if (cell.next != FLOW_CELL_NONE)
			cell.next = numbers[cell.next];
		table->cells[kept++] = cell;
	}
	table->cell_count = kept;
}

static void move_entries(struct flow_table *table, const bool *marked, const uint32_t *numbers)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->entry_count; i++) {
		struct flow_entry entry = table->entries[i];

		if (marked[i])
			continue;
		if (entry.first_cell != FLOW_CELL_NONE)
			entry.first_cell = numbers[entry.first_cell];
		table->entries[kept++] = entry;
	}
	table->entry_count = kept;
}

static void fill_slots(struct flow_table *table)
{
	memset(table->slots, 0, table->slot_count * sizeof(*table->slots));
	for (size_t i = 0; i < table->entry_count; i++) {
		uint32_t hash = flow_table_hash(table, &table->entries[i].key);

		table->slots[free_slot(table->slots, table->slot_count, hash)] =
			(struct flow_slot_hash){.hash = hash, .entry = (uint32_t)i + 1};
	}
}

int flow_table_drop(struct flow_table *table, const bool *marked)
{
	_free_ uint32_t *numbers = calloc(table->cell_count + 1, sizeof(*numbers));

	if (!numbers)
		return -ENOMEM;
	renumber_cells(table, marked, numbers);
	move_cells(table, numbers);
	move_entries(table, marked, numbers);
	if (table->slot_count)
		fill_slots(table);
	return 0;
}
