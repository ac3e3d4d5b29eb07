// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interfaces out of a checkpoint and into it. What a dead agent counted goes on as if it had been
 * ours: the same phases in the same slots. What is not there any more ends like an interface whose
 * end was told.
 */
#include "supervisor/interface_table_recover.h"
#include "lib/cleanup.h"
#include "lib/lack.h"
#include "lib/log.h"
#include "netlink/rtnl_query.h"
#include "report/flow_count.h"
#include "supervisor/checkpoint.h"
#include "supervisor/interface_table_private.h"
#include "supervisor/program.h"
#include "supervisor/slot_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool table_is_remembered(const struct interface *interface)
{
	return interface->id || interface->link.tunnel.protocols[0];
}

/* Of a life that is over, with nothing to tell but that it was there: in a storm these are nearly
 * all, and each checkpoint would have all of them again. */
static bool table_is_silent(struct interface_table *table, const struct interface *ended)
{
	const struct interface *now = *table_find(table, ended->link.ifindex);

	return ended->map.fd < 0 && !ended->has_counted && !ended->before_attach.packets &&
	       !ended->before_attach.bytes && !ended->link.tunnel.protocols[0] &&
	       !(now && now->life == ended->life);
}

/* A phase of a life that goes on can be the one that the slot table still names: it needs to be
 * told how to find the hooks. */
static void table_describe_attachment(struct interface_table *table, const struct interface *ended,
				      struct checkpoint_phase *phase)
{
	const struct interface *now = *table_find(table, ended->link.ifindex);

	if (now && now->life == ended->life)
		attach_describe(&now->attachment, &phase->attachment);
}

/* Behind the n that are there, if it is to be remembered. */
static int table_describe_phase(const struct interface *interface, struct checkpoint_phase *phases,
				size_t *n)
{
	int err;

	if (!table_is_remembered(interface))
		return 0;
	err = interface_describe(interface, &phases[*n]);
	*n += !err;
	return err;
}

static size_t table_count_faded(const struct interface_table *table)
{
	size_t count = 0;

	FOR_EACH_IN (table->faded, faded)
		count++;
	return count;
}

static int table_describe_phases(struct interface_table *table, bool silent_too,
				 struct checkpoint_phase **ret, size_t *count)
{
	struct checkpoint_phase *phases =
		calloc(table_count_phases(table) + table_count_faded(table) + 1, sizeof(*phases));
	size_t n = 0;
	int err = phases ? 0 : -ENOMEM;

	FOR_EACH_IN (table->ended, ended) {
		if (err || (!silent_too && table_is_silent(table, ended)))
			continue;
		err = interface_describe(ended, &phases[n]);
		if (!err)
			table_describe_attachment(table, ended, &phases[n++]);
	}
	/* their lives have not ended yet in our eyes */
	FOR_EACH_IN (table->gone, gone)
		err = err ?: table_describe_phase(gone, phases, &n);
	FOR_EACH_IN (table->faded, faded)
		err = err ?: table_describe_phase(faded, phases, &n);
	FOR_EACH_INTERFACE (table, interface)
		err = err ?: table_describe_phase(interface, phases, &n);
	if (err) {
		checkpoint_clean_phases(phases, n);
		return err;
	}
	*ret = phases;
	*count = n;
	return 0;
}

int interface_table_describe(struct interface_table *table, struct checkpoint_phase **ret,
			     size_t *count)
{
	return table_describe_phases(table, true, ret, count);
}

int interface_table_save(struct interface_table *table, struct checkpoint *checkpoint)
{
	checkpoint->last_id = table->admission.last_id;
	checkpoint->era = table->era;
	checkpoint->known_ifindex = table->known_ifindex;
	return table_describe_phases(table, false, &checkpoint->phases, &checkpoint->phase_count);
}

void recovery_clean(struct recovery *recovery)
{
	for (size_t i = 0; i < recovery->map_count; i++)
		cleanup_close(&recovery->maps[i].fd);
	free(recovery->maps);
}

static struct flow_map *recovery_map_in_slot(const struct recovery *recovery,
					     const struct flow_slot *word)
{
	for (size_t i = 0; i < recovery->map_count && word->flags & FLOW_SLOT_COUNTED; i++)
		if (recovery->maps[i].fd >= 0 && recovery->maps[i].slot == word->slot)
			return &recovery->maps[i];
	return NULL;
}

static const struct checkpoint_phase *recovery_find_phase(const struct recovery *recovery,
							  uint32_t id)
{
	for (size_t i = 0; i < recovery->checkpoint->phase_count; i++)
		if (recovery->checkpoint->phases[i].id == id)
			return &recovery->checkpoint->phases[i];
	return NULL;
}

static struct interface *table_find_ended(struct interface_table *table, uint32_t phase)
{
	FOR_EACH_IN (table->ended, ended)
		if (ended->id == phase)
			return ended;
	return NULL;
}

static void table_enter(struct interface_table *table, struct interface *interface)
{
	table_push(table_find(table, interface->link.ifindex), interface);
	table->count++;
}

/* Of which there is no phase any more, or not yet. */
static int recovery_new_interface(struct interface **ret, const struct checkpoint_phase *phase,
				  const struct flow_slot *word)
{
	int err = interface_from_description(ret, phase);

	if (err)
		return err;
	(*ret)->id = 0;
	(*ret)->slot = *word;
	(*ret)->before_attach = (struct flow_count){0};
	topology_role_clean(&(*ret)->interval_role);
	return 0;
}

/* Goes on counting in the map that the slot table names. What has ended is no error. */
static int recovery_go_on(struct recovery *recovery, struct interface *interface,
			  const struct checkpoint_phase *phase, const struct flow_slot *word,
			  struct flow_map *map)
{
	struct interface_table *table = recovery->table;
	const struct monitor *monitor = table->monitor;
	int err = attach_adopt(monitor->attacher, phase->ifindex, phase->life, &phase->attachment,
			       &interface->attachment);

	interface->map = *map;
	interface->slot = *word;
	interface->recorded = true;
	map->fd = -1;
	if (!err) {
		interface->state = INTERFACE_COUNTING;
		table_enter(table, interface);
		return 0;
	}
	table_push_ended(table, interface);
	if (is_lack(err))
		return err;
	log_debug("%s: not attached any more: %s", phase->name, strerror(-err));
	interface_stop(interface, monitor, false);
	return 0;
}

static int recovery_note_records(void *data, const struct flow_key *keys,
				 const struct flow_value *values, size_t n)
{
	bool *found = data;

	(void)keys;
	for (size_t i = 0; i < n; i++)
		*found |= flow_value_counts(&values[i]);
	return 0;
}

/* Whether anything was counted in that phase, as far as maps and CPUs tell. in_trains: by slot,
 * whether CPUs hold something for it. */
static int recovery_find_records(const struct recovery *recovery, const bool *in_trains,
				 uint32_t phase, bool *found)
{
	int err = 0;

	*found = false;
	for (size_t i = 0; i < recovery->map_count && !err && !*found; i++) {
		const struct flow_map *map = &recovery->maps[i];

		if (map->fd < 0 || map->phase != phase)
			continue;
		*found = map->slot != FLOW_MAP_NO_SLOT && in_trains[map->slot];
		if (!*found)
			err = flow_maps_read(recovery->table->monitor->maps, map,
					     recovery_note_records, found);
	}
	return err;
}

static bool recovery_is_gone(const struct recovery *recovery, const struct interface *interface)
{
	struct link_stats stats;

	return rtnl_query_stats(recovery->table->monitor->query, interface->link.ifindex, &stats) ==
	       -ENODEV;
}

/*
 * It was attached, and does not count. It had not begun to, and what it carried since its birth is
 * still to be told when it begins; or it began and ended again before that was written down, and
 * what there is of its phase is to be told.
 */
static int recovery_begin_again(struct recovery *recovery, const bool *in_trains,
				struct interface *before, const struct checkpoint_phase *phase,
				const struct flow_slot *word)
{
	struct interface_table *table = recovery->table;
	struct interface *interface;
	bool counted;
	int err = recovery_find_records(recovery, in_trains, phase->id, &counted);

	if (!err)
		err = recovery_new_interface(&interface, phase, word);
	if (err)
		return err;
	if (counted)
		interface->wanted_from_birth = false;
	else if (!recovery_is_gone(recovery, interface))
		before->before_attach = (struct flow_count){0};
	err = attach_adopt(table->monitor->attacher, phase->ifindex, phase->life,
			   &phase->attachment, &interface->attachment);
	if (is_lack(err)) {
		interface_free(interface);
		return err;
	}
	if (!err)
		interface_detach_each(&interface, 1, table->monitor);
	interface->recalled = err;
	if (*table_find(table, phase->ifindex)) {
		interface_free(interface);
		return 0;
	}
	table_enter(table, interface);
	return 0;
}

/* Its phase ended, and it may be there yet: if it is monitored again it is the same interface. Of
 * phases with one index the last one comes first. */
static int recovery_recall(struct recovery *recovery, const struct checkpoint_phase *phase)
{
	struct interface_table *table = recovery->table;
	struct interface *interface;
	struct flow_slot word;
	int err;

	if (!phase->id || *table_find(table, phase->ifindex))
		return 0;
	word = slot_table_get(program_slots(table->monitor->program), phase->ifindex);
	err = recovery_new_interface(&interface, phase, &word);
	if (err)
		return err;
	/* what it carried meanwhile nobody was to count */
	interface->wanted_from_birth = false;
	interface->recalled = true;
	table_enter(table, interface);
	return 0;
}

static bool table_has_faded(const struct interface_table *table,
			    const struct checkpoint_phase *phase)
{
	FOR_EACH_IN (table->faded, faded)
		if (faded->was_up == phase->was_up &&
		    faded->link.lower_in_other_netns == phase->lower_in_other_netns &&
		    !memcmp(&faded->link.tunnel, &phase->tunnel, sizeof(phase->tunnel)))
			return true;
	return false;
}

/* A tunnel that nobody watched: its outer packets are not another one's, though it may be gone. */
static int recovery_fade(struct recovery *recovery, const struct checkpoint_phase *phase)
{
	struct interface_table *table = recovery->table;
	struct interface *interface;
	int err;

	if (phase->id || table_has_faded(table, phase))
		return 0;
	err = interface_from_description(&interface, phase);
	if (!err)
		table_push(&table->faded, interface);
	return err;
}

/*
 * An idle map went on into a phase that never began: what was counted in it since is of the phase
 * before. Where another version's map was replaced there are two; the one that tells of it comes
 * last.
 */
static int recovery_rename_maps(const struct recovery *recovery, struct flow_map *last,
				uint32_t phase)
{
	struct flow_maps *maps = recovery->table->monitor->maps;
	uint32_t never_began = last->phase;
	int err = 0;

	for (size_t i = 0; i < recovery->map_count && !err; i++) {
		struct flow_map *map = &recovery->maps[i];

		if (map != last && map->fd >= 0 && map->phase == never_began)
			err = flow_maps_rename(maps, map, phase);
	}
	return err ? err : flow_maps_rename(maps, last, phase);
}

/* Whether what the slot table names is what was counted in that phase. */
static bool recovery_is_last_phase(const struct recovery *recovery,
				   const struct checkpoint_phase *phase, struct flow_map *map)
{
	if (!map)
		return false;
	if (map->phase == phase->id)
		return true;
	return phase->live && !recovery_find_phase(recovery, map->phase) &&
	       !recovery_rename_maps(recovery, map, phase->id);
}

static int recovery_take_phase(struct recovery *recovery, const bool *in_trains,
			       const struct checkpoint_phase *phase)
{
	struct interface_table *table = recovery->table;
	struct flow_slot word =
		slot_table_get(program_slots(table->monitor->program), phase->ifindex);
	struct flow_map *map = recovery_map_in_slot(recovery, &word);
	struct interface *interface;
	int err = interface_from_description(&interface, phase);

	if (err)
		return err;
	if (recovery_is_last_phase(recovery, phase, map))
		return recovery_go_on(recovery, interface, phase, &word, map);
	if (phase->live && !phase->counting)
		err = recovery_begin_again(recovery, in_trains, interface, phase, &word);
	table_push_ended(table, interface);
	return err;
}

/* An end that was not finished: the map is in a slot yet, and CPUs may hold what belongs to it. */
static void recovery_wait(struct interface_table *table, struct interface *ended,
			  struct flow_map *map)
{
	ended->map = *map;
	map->fd = -1;
	table->waiting++;
}

static int recovery_add_lost(void *data, const struct flow_key *keys,
			     const struct flow_value *values, size_t n)
{
	struct recovery *recovery = data;

	for (size_t i = 0; i < n; i++) {
		if (!flow_value_counts(&values[i]) || flow_key_is_frames(&keys[i]))
			continue;
		recovery->lost_flows += keys[i].family != FLOW_UNATTRIBUTED;
		for (int end = 0; end < 2; end++)
			for (int class = 0; class < FLOW_CLASSES; ++class)
				flow_count_add(&recovery->lost, &values[i].count[end][class]);
	}
	return 0;
}

/* It was made for a phase that never began: that there is anything in it would be a mistake of
 * ours, and is told. */
static void recovery_discard(struct recovery *recovery, struct flow_map *map)
{
	struct flow_maps *maps = recovery->table->monitor->maps;
	int err = flow_maps_read(maps, map, recovery_add_lost, recovery);

	if (err)
		log_error("what was counted in phase %" PRIu32
			  " belongs to no interface, and cannot be read: %s",
			  map->phase, strerror(-err));
	flow_maps_discard(maps, map);
}

/* Maps that nobody counts in. */
static int recovery_take_map(struct recovery *recovery, struct flow_map *map)
{
	struct interface_table *table = recovery->table;
	const struct checkpoint_phase *phase = recovery_find_phase(recovery, map->phase);
	struct interface *ended = table_find_ended(table, map->phase);
	struct interface *interface = ended;
	bool in_slot = map->slot != FLOW_MAP_NO_SLOT;

	if (phase && !ended)
		interface = *table_find(table, phase->ifindex);
	if (in_slot && ended && ended->map.fd < 0) {
		recovery_wait(table, ended, map);
		return 0;
	}
	if (in_slot) {
		struct flow_map *const retired[] = {map};
		int err = flow_maps_retire(table->monitor->maps, retired, 1);

		if (err)
			return err;
	}
	if (interface && interface->id == map->phase)
		table_read_and_close(table, interface, map, true);
	else
		recovery_discard(recovery, map);
	return 0;
}

/* A word that only says that others see the packets of an interface is right until the roles are
 * known: without it they count twice. */
static bool recovery_keeps_slot(void *data, const struct flow_slot *slot)
{
	struct interface_table *table = data;
	const struct interface *interface = *table_find(table, slot->ifindex);

	return !(slot->flags & FLOW_SLOT_COUNTED) ||
	       (interface && interface->state == INTERFACE_COUNTING);
}

void recovery_begin(struct recovery *recovery, struct interface_table *table,
		    const struct checkpoint *checkpoint)
{
	*recovery = (struct recovery){.table = table, .checkpoint = checkpoint};
	table->admission.last_id = checkpoint->last_id;
	table->era = checkpoint->era;
	table->known_ifindex = checkpoint->known_ifindex;
}

int interface_table_recover(struct recovery *recovery)
{
	struct interface_table *table = recovery->table;
	const struct checkpoint *checkpoint = recovery->checkpoint;
	bool in_trains[FLOW_SLOTS];
	int err = table_mark_trains(table, in_trains);

	table->recovered = table->untaken = table->unswept = true;
	for (size_t i = 0; i < checkpoint->phase_count && !err; i++)
		if (checkpoint->phases[i].id)
			err = recovery_take_phase(recovery, in_trains, &checkpoint->phases[i]);
	for (size_t i = 0; i < checkpoint->phase_count && !err; i++)
		err = recovery_recall(recovery, &checkpoint->phases[i]);
	for (size_t i = 0; i < checkpoint->phase_count && !err; i++)
		err = recovery_fade(recovery, &checkpoint->phases[i]);
	return err;
}

int interface_table_recover_maps(struct recovery *recovery)
{
	struct interface_table *table = recovery->table;
	int err = 0;

	for (size_t i = 0; i < recovery->map_count && !err; i++)
		if (recovery->maps[i].fd >= 0)
			err = recovery_take_map(recovery, &recovery->maps[i]);
	if (recovery->lost.packets)
		log_error("%zu flows that a dead agent had counted, %llu bytes, belong to no "
			  "interface",
			  recovery->lost_flows, recovery->lost.bytes);
	slot_table_sweep(program_slots(table->monitor->program), recovery_keeps_slot, table);
	/* the patterns may be others, and the links are not what they were */
	interface_table_rematch(table);
	return err;
}

static bool table_keeps_slot(void *data, const struct flow_slot *slot)
{
	return *table_find(data, slot->ifindex);
}

static bool table_keeps_turner(void *data, const struct flow_turner *turner)
{
	struct interface_table *table = data;

	FOR_EACH_INTERFACE (table, interface)
		if (!memcmp(&interface->turner, turner, sizeof(*turner)) ||
		    table_has_stranger(interface, turner))
			return true;
	return false;
}

void table_sweep(struct interface_table *table)
{
	struct program *program = table->monitor->program;
	int err;

	if (!table->unswept || !table->started)
		return;
	slot_table_sweep(program_slots(program), table_keeps_slot, table);
	err = program_sweep_turners(program, table_keeps_turner, table);
	if (err)
		log_error("devices that send to their siblings and are gone are not forgotten: %s",
			  strerror(-err));
	table->unswept = false;
}

bool interface_table_has_attached(struct interface_table *table, uint32_t ifindex)
{
	const struct interface *interface = *table_find(table, ifindex);

	return interface && attach_is_on(&interface->attachment);
}

bool interface_table_has_life(struct interface_table *table, uint32_t life)
{
	FOR_EACH_INTERFACE (table, interface)
		if (interface->life == life && attach_is_on(&interface->attachment))
			return true;
	return false;
}
