// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/slot_table.h"
#include "supervisor/cpu_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct slot_table {
	uint64_t *words; /* those of a place are neighbours */
	struct flow_control *control;
	struct flow_cpu *cpus;
	struct cpu_walk *walk;
	/* places that were staged, the second excluded; none if they are equal */
	uint32_t staged_from, staged_to;
};

static uint32_t slot_table_bank(const struct slot_table *table)
{
	return table->control->bank % FLOW_BANKS;
}

/* In the bank that CPUs read, or else in the one where what is next is staged. */
static uint64_t *slot_table_word(const struct slot_table *table, uint32_t place, bool next)
{
	return &table->words[flow_slot_index(place, slot_table_bank(table) + next)];
}

/* Likewise. */
static uint8_t *slot_table_fragments_covered(const struct slot_table *table, bool next)
{
	return &table->control->fragments_covered[(slot_table_bank(table) + next) % FLOW_BANKS];
}

bool slot_table_is_staged(const struct slot_table *table)
{
	return table->staged_from < table->staged_to ||
	       *slot_table_fragments_covered(table, false) !=
		       *slot_table_fragments_covered(table, true);
}

/* What it says of the place once all is shown. */
static struct flow_slot slot_table_read(const struct slot_table *table, uint32_t place)
{
	struct flow_slot slot;

	memcpy(&slot, slot_table_word(table, place, slot_table_is_staged(table)), sizeof(slot));
	return slot;
}

/* Makes all CPUs read the bank, each between two packets. No packet is carried by a CPU that is
 * off.
 */
static void slot_table_switch_bank(struct slot_table *table, uint32_t bank)
{
	/* said first: an agent that dies under way has begun it */
	__atomic_store_n(&table->control->bank, bank, __ATOMIC_SEQ_CST);
	cpu_walk_store(table->walk, (void *)&table->cpus->bank, sizeof(*table->cpus), bank);
}

/* The bank that is not read becomes as the other in these places. */
static void slot_table_follow(struct slot_table *table, uint32_t from, uint32_t to)
{
	for (uint32_t place = from; place < to; place++) {
		uint64_t word = *slot_table_word(table, place, false);
		uint64_t *next = slot_table_word(table, place, true);

		if (*next != word)
			__atomic_store_n(next, word, __ATOMIC_RELEASE);
	}
	__atomic_store_n(slot_table_fragments_covered(table, true),
			 *slot_table_fragments_covered(table, false), __ATOMIC_RELEASE);
}

int slot_table_new(struct slot_table **ret, uint64_t *words, struct flow_control *control,
		   struct flow_cpu *cpus, uint32_t cpu_count)
{
	struct slot_table *table = calloc(1, sizeof(*table));
	int err;

	if (!table)
		return -ENOMEM;
	*table = (struct slot_table){.words = words, .control = control, .cpus = cpus};
	err = cpu_walk_new(&table->walk, cpu_count);
	if (err) {
		slot_table_free(table);
		return err;
	}
	slot_table_switch_bank(table, slot_table_bank(table));
	slot_table_follow(table, 0, FLOW_SLOT_TABLE_SIZE);
	*ret = table;
	return 0;
}

void slot_table_free(struct slot_table *table)
{
	if (!table)
		return;
	cpu_walk_free(table->walk);
	free(table);
}

/* The place where ifindex stands, or else a free one of its two, when all is shown.
 * FLOW_SLOT_TABLE_SIZE if neither. */
static uint32_t slot_table_place(const struct slot_table *table, uint32_t ifindex)
{
	uint32_t free_place = FLOW_SLOT_TABLE_SIZE;

	for (int second = 0; second <= 1; second++) {
		uint32_t place = flow_slot_place(ifindex, second);
		struct flow_slot slot = slot_table_read(table, place);

		if (slot.ifindex == ifindex)
			return place;
		if (!slot.ifindex && free_place == FLOW_SLOT_TABLE_SIZE)
			free_place = place;
	}
	return free_place;
}

bool slot_table_has_place(const struct slot_table *table, uint32_t ifindex)
{
	return slot_table_place(table, ifindex) < FLOW_SLOT_TABLE_SIZE;
}

/* Into the bank that is not read. *place: FLOW_SLOT_TABLE_SIZE if there is nothing to forget. */
static int slot_table_write(struct slot_table *table, const struct flow_slot *slot, uint32_t *place)
{
	uint64_t word = 0;

	*place = slot_table_place(table, slot->ifindex);
	if (*place == FLOW_SLOT_TABLE_SIZE)
		return slot->flags ? -ENOSPC : 0;
	if (slot->flags)
		memcpy(&word, slot, sizeof(word));
	__atomic_store_n(slot_table_word(table, *place, true), word, __ATOMIC_RELEASE);
	return 0;
}

int slot_table_set(struct slot_table *table, const struct flow_slot *slot)
{
	uint32_t place;
	int err = slot_table_write(table, slot, &place);

	if (!err && place < FLOW_SLOT_TABLE_SIZE)
		__atomic_store_n(slot_table_word(table, place, false),
				 *slot_table_word(table, place, true), __ATOMIC_RELEASE);
	return err;
}

int slot_table_stage(struct slot_table *table, const struct flow_slot *slot)
{
	uint32_t place;
	int err = slot_table_write(table, slot, &place);

	if (err || place == FLOW_SLOT_TABLE_SIZE)
		return err;
	if (table->staged_from == table->staged_to)
		table->staged_from = table->staged_to = place;
	if (place < table->staged_from)
		table->staged_from = place;
	if (place >= table->staged_to)
		table->staged_to = place + 1;
	return 0;
}

void slot_table_stage_fragments_covered(struct slot_table *table, bool covered)
{
	__atomic_store_n(slot_table_fragments_covered(table, true), covered, __ATOMIC_RELEASE);
}

void slot_table_show(struct slot_table *table)
{
	if (!slot_table_is_staged(table))
		return;
	slot_table_switch_bank(table, (slot_table_bank(table) + 1) % FLOW_BANKS);
	slot_table_follow(table, table->staged_from, table->staged_to);
	table->staged_from = table->staged_to = 0;
}

struct flow_slot slot_table_get(const struct slot_table *table, uint32_t ifindex)
{
	uint32_t place = slot_table_place(table, ifindex);

	return place < FLOW_SLOT_TABLE_SIZE ? slot_table_read(table, place) : (struct flow_slot){0};
}

void slot_table_sweep(struct slot_table *table,
		      bool (*keep)(void *data, const struct flow_slot *slot), void *data)
{
	for (uint32_t place = 0; place < FLOW_SLOT_TABLE_SIZE; place++) {
		struct flow_slot slot = slot_table_read(table, place);

		if (slot.ifindex && !keep(data, &slot)) {
			slot.flags = 0;
			(void)slot_table_set(table, &slot); /* to forget cannot fail */
		}
	}
}
