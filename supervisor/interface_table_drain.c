// SPDX-License-Identifier: GPL-2.0-only
/* Out of the maps and the CPUs' trains into the merge. */
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "report/merge.h"
#include "supervisor/held.h"
#include "supervisor/interface_selection.h"
#include "supervisor/interface_table_private.h"
#include "supervisor/program.h"
#include "supervisor/slot_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the records of a map go. */
struct table_record_target {
	struct merge *merge;
	struct truth *truth; /* NULL: it is only looked at */
	uint32_t id;
	size_t entries; /* that counted anything */
};

static size_t table_count_entries(const struct flow_value *values, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += flow_value_counts(&values[i]);
	return count;
}

static int table_merge_records(void *data, const struct flow_key *keys,
			       const struct flow_value *values, size_t n)
{
	struct table_record_target *target = data;

	target->entries += table_count_entries(values, n);
	truth_add(target->truth, keys, values, n);
	return merge_add(target->merge, target->id, keys, values, n);
}

void table_read_and_close(struct interface_table *table, struct interface *interface,
			  struct flow_map *map, bool for_long)
{
	struct table_record_target target = {
		.merge = table->monitor->merge,
		.truth = interface->truth,
		.id = map->phase,
	};
	struct flow_maps *maps = table->monitor->maps;
	int err = flow_maps_read(maps, map, table_merge_records, &target);

	interface->recorded = true;
	interface->has_counted |= target.entries > 0;
	if (err) {
		table->losses++;
		log_error("%s: flows of this interval are lost: %s", interface->link.name,
			  strerror(-err));
	}
	err = 0;
	if (target.entries && for_long)
		err = flow_maps_shrink(maps, map, target.entries);
	if (err)
		log_debug("%s: its map is held as it is: %s", interface->link.name, strerror(-err));
	if (!target.entries || held_add(table->monitor->held, map))
		flow_maps_forget(maps, map);
	close(map->fd);
	map->fd = -1;
	table->monitor->relieve(table->monitor->data);
}

/* Nothing is in it: to read 65,536 empty buckets takes 0.3 ms, for each of a thousand links that go
 * together. */
static void table_close_idle(struct interface_table *table, struct interface *interface)
{
	interface->recorded = true;
	flow_maps_discard(table->monitor->maps, &interface->map);
}

static int table_by_swap_rank(const void *a, const void *b)
{
	const struct interface *x = *(struct interface *const *)a;
	const struct interface *y = *(struct interface *const *)b;

	return (x->role.swap_rank > y->role.swap_rank) - (x->role.swap_rank < y->role.swap_rank);
}

static bool table_has_slot(const struct interface *interface)
{
	return interface->map.fd >= 0 && interface->map.slot < FLOW_SLOTS;
}

/* Whose is what CPUs hold: an array of FLOW_SLOTS by slot (free()); NULL: no memory. */
static struct interface **table_list_slots(struct interface_table *table)
{
	struct interface **owners = calloc(FLOW_SLOTS, sizeof(struct interface *));

	if (!owners)
		return NULL;
	FOR_EACH_INTERFACE (table, interface)
		if (table_has_slot(interface))
			owners[interface->map.slot] = interface;
	FOR_EACH_IN (table->ended, ended)
		if (table_has_slot(ended))
			owners[ended->map.slot] = ended;
	FOR_EACH_IN (table->gone, gone)
		if (table_has_slot(gone))
			owners[gone->map.slot] = gone;
	return owners;
}

static int table_merge_train(struct merge *merge, struct truth *truth, uint32_t phase,
			     const struct flow_train *train)
{
	struct flow_value value = {0};
	struct flow_key key;
	uint32_t sender;

	if (train->class >= FLOW_CLASSES)
		return -EBADMSG;
	sender = flow_key_order(&train->key, &key);
	value.count[sender][train->class] =
		(struct flow_count){.bytes = train->bytes, .packets = train->packets};
	truth_add(truth, &key, &value, 1);
	return merge_add(merge, phase, &key, &value, 1);
}

static int table_note_train(void *data, const struct flow_train *train)
{
	bool *in_trains = data;

	if (train->slot < FLOW_SLOTS)
		in_trains[train->slot] = true;
	return 0;
}

int table_mark_trains(struct interface_table *table, bool in_trains[FLOW_SLOTS])
{
	memset(in_trains, 0, FLOW_SLOTS * sizeof(*in_trains));
	return program_peek_trains(table->monitor->program, table_note_train, in_trains);
}

int interface_table_merge_trains(struct merge *merge, const struct held_train *trains, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = table_merge_train(merge, NULL, trains[i].phase, &trains[i].train);
	return err;
}

/* Trains on their way from a set into a merge. */
struct table_trains {
	struct interface **owners;
	struct merge *merge; /* that looks at them */
	struct held_trains held;
};

static struct interface *table_train_owner(const struct table_trains *trains,
					   const struct flow_train *train)
{
	return train->slot < FLOW_SLOTS ? trains->owners[train->slot] : NULL;
}

/* What a CPU held of a flow belongs to the interface whose map is in that slot. */
static int table_find_train(void *data, const struct flow_train *train)
{
	struct table_trains *trains = data;
	struct interface *interface = table_train_owner(trains, train);
	int err = held_trains_add(&trains->held, interface ? interface->map.phase : 0, train);

	if (!err && interface)
		interface->recorded = interface->has_counted = true;
	return err;
}

/* Without it a crash before the report loses what the set had, which is no reason to report
 * nothing. A failure is logged once. */
static void table_hold_trains(struct interface_table *table, const struct held_trains *trains)
{
	const struct monitor *monitor = table->monitor;
	int err = held_put_trains(monitor->held, program_quiet_set(monitor->program), trains->list,
				  trains->count);

	if (err && !table->unheld)
		log_warning("what the CPUs held of flows cannot be pinned: %s; if the agent is "
			    "killed before the next report, it is lost",
			    strerror(-err));
	if (trains->count)
		table->unheld = err;
}

static void table_merge_taken(struct interface_table *table, const struct table_trains *trains)
{
	struct flow_count lost = {0};
	int err = 0;

	for (size_t i = 0; i < trains->held.count; i++) {
		const struct held_train *held = &trains->held.list[i];
		const struct interface *owner = table_train_owner(trains, &held->train);
		/* each has one, see table_find_train() */
		int merge_err = owner ? table_merge_train(table->monitor->merge, owner->truth,
							  held->phase, &held->train)
				      : 0;

		if (!merge_err)
			continue;
		err = merge_err;
		lost.bytes += held->train.bytes;
		lost.packets += held->train.packets;
	}
	if (!err)
		return;
	table->losses++;
	log_error("%llu bytes of flows of this interval are lost: %s", lost.bytes, strerror(-err));
}

/* Of the quiet set: held under its number first, so that it is in one place at least, then emptied.
 */
static int table_take_trains(struct interface_table *table)
{
	const struct monitor *monitor = table->monitor;
	struct table_trains trains = {.owners = table_list_slots(table)};
	int err = trains.owners ? program_read_trains(monitor->program, table_find_train, &trains)
				: -ENOMEM;

	if (!err)
		table_hold_trains(table, &trains.held);
	if (!err && trains.held.count)
		err = program_empty_trains(monitor->program);
	table->untaken = err;
	/* not before: a report that had none of a set must not be taken for having it */
	if (!err && trains.held.count)
		held_note_trains(monitor->held, program_quiet_set(monitor->program));
	if (!err)
		table_merge_taken(table, &trains);
	free(trains.held.list);
	free(trains.owners);
	return err;
}

static void table_flip_epoch(void *data)
{
	struct interface_table *table = data;

	program_flip_epoch(table->monitor->program);
}

/* Swaps the maps of the selected interfaces, and waits for a grace period even if there are none.
 */
static int table_swap(struct interface_table *table, struct selection *selection,
		      flow_maps_moment moment)
{
	int err;

	qsort(selection->interfaces, selection->count, sizeof(*selection->interfaces),
	      table_by_swap_rank);
	for (size_t i = 0; i < selection->count; i++)
		selection->maps[i] = &selection->interfaces[i]->map;
	err = flow_maps_swap(table->monitor->maps, selection->maps, selection->old,
			     selection->count, moment, table);
	for (size_t i = 0; i < selection->count; i++)
		if (selection->old[i].fd >= 0)
			selection->interfaces[i]->nearly_full = false;
	return err;
}

/* Empty maps for the phases that the selected interfaces are in. 0 or negative errno, then there
 * are none. */
static int table_take_maps(struct interface_table *table, const struct selection *selection,
			   struct flow_map *taken)
{
	struct flow_maps *maps = table->monitor->maps;
	size_t ready = flow_maps_ready(maps), n = 0;
	int err = flow_maps_prepare(maps, selection->count);

	while (!err && n < selection->count) {
		err = flow_maps_take(maps, selection->interfaces[n]->map.phase, &taken[n]);
		n += !err;
	}
	while (err && n--)
		flow_maps_put_back(maps, &taken[n]);
	if (err)
		flow_maps_release(maps, ready);
	return err;
}

/* From the next change of the slot table on it counts in that map. Its word is there and grows by
 * nothing, so that cannot fail. */
static void table_move_to(struct interface_table *table, struct interface *interface,
			  const struct flow_map *map)
{
	interface->map = *map;
	interface->nearly_full = false;
	interface->slot.slot = (uint16_t)map->slot;
	(void)slot_table_stage(program_slots(table->monitor->program), &interface->slot);
}

/*
 * As table_swap(), but at one instant for each CPU, between two packets: all go on in other slots.
 * 0 or negative errno, then nothing has changed.
 */
static int table_exchange(struct interface_table *table, struct selection *selection)
{
	struct flow_maps *maps = table->monitor->maps;
	_free_ struct flow_map *taken = calloc(selection->count + 1, sizeof(*taken));
	_free_ struct flow_map **old = calloc(selection->count + 1, sizeof(*old));
	int err = taken && old ? table_take_maps(table, selection, taken) : -ENOMEM;

	if (err)
		return err;
	for (size_t i = 0; i < selection->count; i++) {
		selection->old[i] = selection->interfaces[i]->map;
		old[i] = &selection->old[i];
		table_move_to(table, selection->interfaces[i], &taken[i]);
	}
	table_flip_epoch(table);
	slot_table_show(program_slots(table->monitor->program));
	/* a program that has read the words of before may still be about to count by them: where
	 * CPUs are left out of the walk over them (supervisor/cpu_walk.h), or it can be interrupted
	 */
	err = flow_maps_synchronize(maps) ?: flow_maps_retire(maps, old, selection->count);
	if (err) {
		log_error("flow maps could not be taken out of their slots, which stay in use: %s",
			  strerror(-err));
		(void)flow_maps_synchronize(maps);
	}
	for (size_t i = 0; i < selection->count; i++)
		selection->old[i].slot = FLOW_MAP_NO_SLOT;
	return 0;
}

static int table_note_any_train(void *data, const struct flow_train *train)
{
	bool *any = data;

	(void)train;
	*any = true;
	return 0;
}

/* Whether CPUs hold anything, or nobody knows. */
static bool table_has_trains(struct interface_table *table)
{
	bool any = false;

	return program_peek_trains(table->monitor->program, table_note_any_train, &any) || any;
}

/*
 * At the end of an interval. What is judged by what others showed takes maps of one instant: hooks
 * are judged by others above them and below, so no order of swapping one after the other is right,
 * and before Linux 6.8 the kernel waits for a grace period after each. Where there is no room for
 * as many maps again in other slots, that is all that can be done; also where CPUs hold what is
 * known by its slot, from before a hook was judged.
 */
static int table_swap_all(struct interface_table *table, struct selection *selection)
{
	if (table->judged && selection->count && !table_has_trains(table) &&
	    !table_exchange(table, selection))
		return 0;
	return table_swap(table, selection, table_flip_epoch);
}

static void table_read_selected(struct interface_table *table, const struct selection *selection,
				bool for_long)
{
	for (size_t i = 0; i < selection->count; i++)
		if (selection->old[i].fd >= 0)
			table_read_and_close(table, selection->interfaces[i], &selection->old[i],
					     for_long);
}

static void table_note_unread(int err)
{
	if (err)
		log_error("not all that was counted could be read, the rest follows in the next "
			  "report: %s",
			  strerror(-err));
}

static bool table_is_outdated(const struct interface_table *table,
			      const struct interface *interface)
{
	return interface->state == INTERFACE_COUNTING &&
	       !flow_maps_is_sized(table->monitor->maps, &interface->map);
}

/* Whether there are maps of another size than they are made with now, and memory for as many. */
static bool table_can_renew(const struct interface_table *table)
{
	size_t outdated = 0;

	FOR_EACH_INTERFACE (table, interface)
		outdated += table_is_outdated(table, interface);
	return outdated && flow_maps_have_memory(table->monitor->maps, outdated);
}

/*
 * An idle map need not be swapped, unless it is to be renewed or a hook is judged by what others
 * saw: the next packet may pass a reference while maps are made for the swap, and a judged hook
 * before its map is swapped.
 */
static bool table_takes_part(const struct interface_table *table, const struct interface *interface,
			     bool renew)
{
	return interface->state == INTERFACE_COUNTING &&
	       (table->judged || (renew && table_is_outdated(table, interface)) ||
		!flow_maps_idle(table->monitor->maps, &interface->map));
}

/*
 * The maps of ended phases: out of their slots, into the merge. Nobody counts for them, and no CPU
 * holds anything of them that could still be put into their maps.
 */
static int table_retire_ended(struct interface_table *table, bool for_long)
{
	struct selection selection;
	int err = selection_init(&selection, table->waiting);

	FOR_EACH_IN (table->ended, ended) {
		if (err || ended->map.fd < 0)
			continue;
		ended->idle = flow_maps_idle(table->monitor->maps, &ended->map);
		selection_add(&selection, ended);
	}
	if (!err)
		err = flow_maps_retire(table->monitor->maps, selection.maps, selection.count);
	for (size_t i = 0; i < selection.count && !err; i++) {
		struct interface *ended = selection.interfaces[i];

		if (ended->idle)
			table_close_idle(table, ended);
		else
			table_read_and_close(table, ended, selection.maps[i], for_long);
		table->waiting--;
	}
	selection_clean(&selection);
	return err;
}

/*
 * Reads the selected maps, those of ended phases and what the CPUs hold into the merge. Before the
 * epoch changes a grace period has to pass in which nobody counts for the ended ones: what the CPUs
 * hold of them is then in the set that becomes quiet.
 */
static int table_drain(struct interface_table *table, struct selection *selection, bool for_long)
{
	int err =
		table->waiting || table->untaken ? flow_maps_synchronize(table->monitor->maps) : 0;

	if (!err && table->untaken)
		err = table_take_trains(table);
	if (!err) {
		table->untaken = true;
		err = table_swap_all(table, selection);
		/* without a grace period the set is not quiet: it waits for the next time */
		if (!err)
			err = table_take_trains(table);
		table_read_selected(table, selection, for_long);
	}
	if (!err && table->waiting)
		err = table_retire_ended(table, for_long);
	if (!err && !table->waiting)
		table_tell_ended_gaps(table);
	return err;
}

/* All at one instant; but if there is no room for as many maps again, some by some, as those that
 * were read make room for others. */
static int table_drain_by_rounds(struct interface_table *table, struct selection *selection,
				 bool for_long)
{
	size_t before;
	int err;

	do {
		before = selection->count;
		err = table_drain(table, selection, for_long);
		if (err)
			selection_keep_unswapped(selection);
	} while (err && selection->count && selection->count < before);
	return err;
}

void interface_table_drain(struct interface_table *table, bool for_long)
{
	struct selection selection;
	int err = selection_init(&selection, table->count);

	table_read_counters(table, TRUTH_BEFORE);
	if (!err) {
		bool renew = table_can_renew(table);

		FOR_EACH_INTERFACE (table, interface)
			if (table_takes_part(table, interface, renew))
				selection_add(&selection, interface);
		err = table_drain_by_rounds(table, &selection, for_long);
	}
	if (!err && !table->waiting) {
		table_read_counters(table, TRUTH_AFTER);
		table_tell_truth(table);
	}
	table->drain_error = err;
	table_note_unread(err);
	selection_clean(&selection);
}

int table_drain_ended(struct interface_table *table)
{
	struct selection none;
	int err = selection_init(&none, 0);

	if (!err)
		err = table_drain(table, &none, true);
	selection_clean(&none);
	return err;
}

void table_drain_ended_early(struct interface_table *table)
{
	table_note_unread(table_drain_ended(table));
}

static void table_note_full(void *data, uint32_t slot)
{
	struct interface_table *table = data;

	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_COUNTING && interface->map.slot == slot)
			interface->nearly_full = true;
}

/* How the swap went. Where memory or descriptors were short, it is tried again soon. */
static void table_note_full_swapped(struct interface_table *table,
				    const struct selection *selection, int err)
{
	for (size_t i = 0; i < selection->count; i++)
		table->monitor->counts->early_swaps += selection->old[i].fd >= 0;
	if (err && !table->full_retry_ns)
		log_error("maps that are nearly full cannot be swapped, to be tried again each "
			  "second: %s",
			  strerror(-err));
	if (!err && table->full_retry_ns)
		log_notice("no map is nearly full any more");
	table->full_retry_ns = err ? clock_boottime_ns() + NSEC_PER_SEC : 0;
}

int interface_table_drain_full(struct interface_table *table)
{
	struct selection selection;
	int taken = program_take_full(table->monitor->program, table_note_full, table);
	int err = selection_init(&selection, table->count);

	if (!err) {
		FOR_EACH_INTERFACE (table, interface)
			if (interface->state == INTERFACE_COUNTING && interface->nearly_full)
				selection_add(&selection, interface);
		if (selection.count)
			err = table_swap(table, &selection, NULL);
	}
	table_note_full_swapped(table, &selection, err);
	table_read_selected(table, &selection, true);
	selection_clean(&selection);
	return taken;
}

static int table_peek_map(struct interface_table *table, const struct interface *interface,
			  struct merge *merge)
{
	struct table_record_target target = {.merge = merge, .id = interface->map.phase};

	if (interface->map.fd < 0 || flow_maps_idle(table->monitor->maps, &interface->map))
		return 0;
	return flow_maps_read(table->monitor->maps, &interface->map, table_merge_records, &target);
}

static int table_peek_train(void *data, const struct flow_train *train)
{
	const struct table_trains *trains = data;
	const struct interface *interface = table_train_owner(trains, train);

	return interface ? table_merge_train(trains->merge, NULL, interface->map.phase, train) : 0;
}

int interface_table_peek(struct interface_table *table, struct merge *merge)
{
	struct table_trains trains = {.owners = table_list_slots(table), .merge = merge};
	int err = trains.owners ? 0 : -ENOMEM;

	FOR_EACH_IN (table->ended, ended)
		err = err ?: table_peek_map(table, ended, merge);
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_COUNTING && !err)
			err = table_peek_map(table, interface, merge);
	if (!err)
		err = program_peek_trains(table->monitor->program, table_peek_train, &trains);
	free(trains.owners);
	return err;
}
