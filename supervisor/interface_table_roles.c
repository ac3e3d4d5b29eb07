// SPDX-License-Identifier: GPL-2.0-only
/* Every interface's role in the stack of devices, and the phases that end when it changes. */
#include "lib/array.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/numbers.h"
#include "report/device_graph.h"
#include "supervisor/interface_table_private.h"
#include "supervisor/program.h"
#include "supervisor/slot_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* As many maps of ended phases wait to be read with the others: three grace periods each time. */
#define WAITING_MAX 32

/* What comes without an Ethernet header is no flow where it is redirected to, nor is its copy. */
static bool table_is_preceded(const struct interface *interface)
{
	return interface->attachment.preceded && interface_is_ethernet(&interface->link);
}

/*
 * The kernel said so when it was to be attached to; its last message is on its way. In a storm
 * there is always one: as a device that nobody watches it would make the hooks of others judged
 * ones, and end the phases of all.
 */
static bool table_is_away(const struct interface *interface)
{
	return interface->state == INTERFACE_KNOWN && interface->attach_error == -ENODEV;
}

static void table_topology_link(const struct interface *interface, struct topology_link *link)
{
	bool monitored = interface->state == INTERFACE_ATTACHED ||
			 (interface->state == INTERFACE_COUNTING && !table_is_leaving(interface));

	*link = (struct topology_link){
		.ifindex = interface->link.ifindex,
		.id = monitored ? interface->id : 0,
		.master = interface->link.master,
		.lower = interface->link.lower_in_other_netns ? 0 : interface->link.lower,
		.lower_in_other_netns = interface->link.lower_in_other_netns,
		.strangers = table_has_strangers(interface),
		.preceded = monitored && table_is_preceded(interface),
		.diverted = monitored && interface->attachment.diverted,
		.keeps_tags = interface->link.no_queue && !interface->link.vlan_filtering,
		.kind = link_kind(&interface->link),
	};
}

/*
 * Whether a hook is judged by what others saw, in a class that is not empty: that takes counts of
 * one instant, and what a CPU holds in a train would be of another. A port below its monitored
 * master is judged only for what came from where nobody looked, and for tagged frames of which its
 * master shows nothing.
 */
static bool table_is_judged(const struct topology_role *role, bool all_covered)
{
	if (!role->id)
		return false;
	return role->hook[HOOK_INGRESS].sight == SIGHT_JUDGED ||
	       role->hook[HOOK_UNSURE].sight == SIGHT_JUDGED ||
	       role->hook[HOOK_TURNED].sight == SIGHT_JUDGED ||
	       (role->hook[HOOK_EGRESS].sight == SIGHT_JUDGED &&
		!(role->born_repeat && all_covered));
}

/* Whether whatever may be forwarded is shown when it is received: nothing is that was received on
 * lo. roles: in the order of FOR_EACH_INTERFACE. */
static bool table_is_all_covered(const struct interface_table *table,
				 const struct topology_role *roles)
{
	bool all_covered = true;
	size_t i = 0;

	FOR_EACH_INTERFACE (table, interface)
		all_covered &= roles[i++].covered || table_is_away(interface) ||
			       !strcmp(link_kind(&interface->link), "loopback");
	return all_covered;
}

/* Its outer packets have no socket where what they carry has none, and the stack may cut them
 * (ignore_df in drivers/net/wireguard/socket.c, drivers/net/ovpn/udp.c). */
static bool table_is_cut(const struct interface *interface)
{
	static const char *const kinds[] = {"wireguard", "ovpn"};

	return kind_is_one_of(link_kind(&interface->link), kinds, ARRAY_SIZE(kinds));
}

/* As of flow_control: where they may be a tunnel's own it goes by what was received. */
static bool table_fragments_are_covered(const struct interface_table *table, bool all_covered)
{
	FOR_EACH_INTERFACE (table, interface)
		if (table_is_cut(interface))
			return false;
	return all_covered;
}

static bool table_has_judged(const struct interface_table *table, const struct topology_role *roles,
			     bool all_covered)
{
	bool judged = false;

	for (size_t i = 0; i < table->count; i++)
		judged |= table_is_judged(&roles[i], all_covered);
	return judged;
}

/* What is received on a device that went may be on its way: that others see it stays. */
static struct topology_role role_of_one_away(const struct topology_role *last)
{
	return (struct topology_role){.covered = last->covered, .partial = last->partial};
}

/* Roles of those that are not away, in the order of FOR_EACH_INTERFACE, each to its place. */
static void table_spread_roles(struct interface_table *table, const struct topology_role *resolved,
			       struct topology_role *roles)
{
	size_t i = 0, n = 0;

	FOR_EACH_INTERFACE (table, interface)
		roles[i++] = table_is_away(interface) ? role_of_one_away(&interface->role)
						      : resolved[n++];
}

/* Looks at the whole stack of devices: every interface's role in it, in the order of
 * FOR_EACH_INTERFACE. */
static int table_resolve_roles(struct interface_table *table, struct topology_role **ret)
{
	_free_ struct topology_link *links = calloc(table->count + 1, sizeof(*links));
	_free_ struct topology_role *resolved = calloc(table->count + 1, sizeof(*resolved));
	_free_ struct topology_role *roles = calloc(table->count + 1, sizeof(*roles));
	size_t n = 0;
	int err;

	if (!links || !resolved || !roles)
		return -ENOMEM;
	FOR_EACH_INTERFACE (table, interface)
		if (!table_is_away(interface))
			table_topology_link(interface, &links[n++]);
	err = topology_resolve(links, n, resolved);
	if (err)
		return err;
	table_spread_roles(table, resolved, roles);
	*ret = TAKE_PTR(roles);
	return 0;
}

/* Takes over roles, and frees the list. */
static void table_set_roles(struct interface_table *table, struct topology_role *roles)
{
	size_t i = 0;

	FOR_EACH_INTERFACE (table, interface) {
		topology_role_clean(&interface->role);
		interface->role = roles[i++];
	}
	free(roles);
}

/* Whether a reference of the role is one of the sorted ids. */
static bool role_refers_to(const struct topology_role *role, const uint32_t *ids, size_t count)
{
	for (int h = 0; h < HOOKS; h++)
		for (size_t r = 0; r < role->hook[h].reference_count; r++)
			if (numbers_find(ids, count, role->hook[h].references[r].id))
				return true;
	return false;
}

/*
 * Whether the role over its phase ends with this change. other_ids: those of interfaces whose
 * phases end, as they will have other ids; all: a hook is or was judged, and what it is judged by
 * must be of its time, so every phase ends with every change.
 */
static bool table_is_changed(const struct interface *interface, const struct topology_role *now,
			     const uint32_t *other_ids, size_t count, bool all)
{
	return !topology_role_same(&interface->role, now) ||
	       role_refers_to(now, other_ids, count) || all;
}

/* What hooks show of a device's packets changes its class with it, the device monitored or not. */
static bool table_classes_change(struct interface_table *table, const struct topology_role *roles)
{
	bool change = false;
	size_t i = 0;

	FOR_EACH_INTERFACE (table, interface)
		change |= !topology_class_same(&interface->role, &roles[i++]);
	return change;
}

/* Whether interfaces begin to count with this change, leave, or have ended since the last one. */
static bool table_monitors_others(struct interface_table *table)
{
	bool others = table->monitored_changed;

	FOR_EACH_INTERFACE (table, interface)
		others |= interface->state == INTERFACE_ATTACHED || table_is_leaving(interface);
	return others;
}

/* Marks the counting interfaces whose phases end. judged: some hook is or was. Returns how many, or
 * a negative errno. */
static int table_mark_changed(struct interface_table *table, const struct topology_role *roles,
			      bool judged)
{
	_free_ uint32_t *ids = calloc(table->count + 1, sizeof(*ids));
	bool all = judged && (table_monitors_others(table) || table_classes_change(table, roles));
	size_t count = 0, before = SIZE_MAX, i;

	if (!ids)
		return -ENOMEM;
	FOR_EACH_INTERFACE (table, interface)
		interface->changed = false;
	while (count != before) {
		before = count;
		i = 0;
		FOR_EACH_INTERFACE (table, interface) {
			const struct topology_role *now = &roles[i++];

			if (interface->state != INTERFACE_COUNTING || interface->changed ||
			    table_is_leaving(interface) ||
			    !table_is_changed(interface, now, ids, before,
					      all || (judged && before)))
				continue;
			interface->changed = true;
			ids[count++] = interface->id;
		}
		numbers_sort(ids, count);
	}
	return (int)count;
}

static int table_apply_role(struct interface_table *table, struct interface *interface)
{
	if (interface->state == INTERFACE_ATTACHED)
		return interface_start(interface, table->monitor);
	if (table_is_leaving(interface))
		return interface_leave(interface, table->monitor);
	return interface_apply_role(interface, table->monitor);
}

/*
 * New interfaces begin to count, others leave, and the program knows the new roles, all of them
 * between the same two packets of a CPU: a packet that passes two hooks must not find two roles
 * that do not belong together. What is judged is in no train.
 */
static void table_apply_roles(struct interface_table *table)
{
	struct program *program = table->monitor->program;

	if (table->judged)
		program_use_trains(program, false);
	FOR_EACH_INTERFACE (table, interface) {
		int err = table_apply_role(table, interface);

		if (err)
			log_error("%s: no place in the slot table, it is not counted: %s",
				  interface->link.name, strerror(-err));
	}
	slot_table_stage_fragments_covered(program_slots(program), table->fragments_covered);
	slot_table_show(program_slots(program));
	program_use_trains(program, !table->judged);
	FOR_EACH_INTERFACE (table, interface) {
		interface_complete(interface, table->monitor);
		interface_apply_turner(interface, table->monitor);
	}
}

/*
 * Notes which of the changed interfaces have counted nothing in their maps, nor will before the
 * program has the new roles: a packet that came until then would be taken for one of the new phase.
 */
static int table_find_idle(struct interface_table *table)
{
	bool in_trains[FLOW_SLOTS];
	int err = table_mark_trains(table, in_trains);

	if (err)
		return err;
	FOR_EACH_INTERFACE (table, interface)
		if (interface->changed)
			interface->idle = !(interface->link.flags & IFF_UP) &&
					  flow_maps_idle(table->monitor->maps, &interface->map) &&
					  !in_trains[interface->map.slot];
	return 0;
}

/*
 * Makes ready what the changed interfaces need. together: none is taken for idle, as phases of
 * judged hooks and of what they are judged by begin at one instant, when the slot table says so:
 * what an idle one counts from now until then would be of its next phase, and at the others of the
 * last.
 */
static int table_prepare_phases(struct interface_table *table, bool together)
{
	size_t busy = 0;
	int err = 0;

	FOR_EACH_INTERFACE (table, interface)
		interface->idle = false;
	if (!together)
		err = table_find_idle(table);
	FOR_EACH_INTERFACE (table, interface)
		busy += interface->changed && !interface->idle;
	return err ?: flow_maps_prepare(table->monitor->maps, busy);
}

/*
 * What was counted until now keeps the id, the role and the map that it was counted under; the rest
 * has new ones. A map in which nothing was counted goes on, and without any records there is no
 * past to be told from.
 */
static int table_begin_phase(struct interface_table *table, struct interface *interface)
{
	struct flow_maps *maps = table->monitor->maps;
	uint32_t id = table->admission.last_id + 1;
	struct flow_map map = interface->map;
	struct interface *ended = NULL;
	int err = 0;

	if (interface->recorded || !interface->idle)
		err = interface_new(&ended, &interface->link);
	if (!err)
		err = interface->idle ? flow_maps_rename(maps, &map, id)
				      : flow_maps_take(maps, id, &map);
	if (err) {
		interface_free(ended);
		return err;
	}
	if (interface->idle)
		interface->map.fd = -1;
	if (ended)
		table_move_phase(table, interface, ended);
	topology_role_clean(&interface->interval_role);
	table->admission.last_id = interface->id = id;
	interface->map = map;
	interface->recorded = false;
	interface->era = table->era;
	return 0;
}

static int table_begin_phases(struct interface_table *table)
{
	struct topology_role *renamed;
	int err = 0;

	FOR_EACH_INTERFACE (table, interface)
		if (interface->changed && !err)
			err = table_begin_phase(table, interface);
	if (!err)
		err = table_resolve_roles(table, &renamed);
	if (!err)
		table_set_roles(table, renamed);
	return err;
}

static int table_note_interval_roles(struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface) {
		int err = 0;

		if (interface->id && interface->interval_role.id != interface->role.id &&
		    !table_is_leaving(interface)) {
			topology_role_clean(&interface->interval_role);
			err = topology_role_copy(&interface->interval_role, &interface->role);
		}
		if (err)
			return err;
	}
	return 0;
}

bool interface_table_judges(const struct interface_table *table)
{
	return table->judged;
}

/* What is to hold from now on. */
struct role_change {
	struct topology_role *roles; /* owned; in the order of FOR_EACH_INTERFACE */
	bool fragments_covered, judged;
	bool ends_phases; /* of the interfaces that are marked as changed */
};

static void table_drop_roles(const struct interface_table *table, struct topology_role *roles)
{
	for (size_t i = 0; i < table->count; i++)
		topology_role_clean(&roles[i]);
	free(roles);
}

/* Looks at the stack, and makes ready what it takes to go by it. Nothing has changed so far, and
 * where something is missing nothing does: what was counted under old roles must not end under new
 * ones. */
static int table_plan_change(struct interface_table *table, struct role_change *change)
{
	bool all_covered, together;
	int count, err = table_resolve_roles(table, &change->roles);

	if (err)
		return err;
	all_covered = table_is_all_covered(table, change->roles);
	change->fragments_covered = table_fragments_are_covered(table, all_covered);
	change->judged = table_has_judged(table, change->roles, all_covered);
	together = change->judged || table->judged;
	count = table_mark_changed(table, change->roles, together);
	change->ends_phases = count > 0;
	err = count > 0 ? table_prepare_phases(table, together) : count;
	if (err)
		table_drop_roles(table, change->roles);
	return err;
}

/* What passes from here until the roles hold is not known to the byte. */
static void table_note_moments(struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_ATTACHED)
			interface_note_missed(interface, table->monitor);
		else if (table_is_leaving(interface))
			interface_read_counters(interface, table->monitor, TRUTH_BEFORE);
}

static void table_begin_era(struct interface_table *table, const struct role_change *change)
{
	table->era += change->ends_phases || table_monitors_others(table);
	table->monitored_changed = false;
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_ATTACHED)
			interface->era = table->era;
}

/* Takes over the change. */
static int table_make_change(struct interface_table *table, struct role_change *change)
{
	int err = 0;

	table_note_moments(table);
	table_begin_era(table, change);
	table->fragments_covered = change->fragments_covered;
	table->judged = change->judged;
	table_set_roles(table, change->roles);
	if (change->ends_phases)
		err = table_begin_phases(table);
	if (!err)
		err = table_note_interval_roles(table);
	table->monitor->checkpoint(table->monitor->data);
	table_apply_roles(table);
	table_sweep(table);
	return err;
}

int table_update_roles(struct interface_table *table)
{
	struct role_change change;
	bool full;
	int err;

	if (table->look_ns)
		table_find_strangers(table, false);
	err = table_plan_change(table, &change);
	full = err == -ENOMEM || err == -ENOSPC;
	if (!err)
		err = table_make_change(table, &change);
	/* what ended holds maps until it is read */
	if (table->waiting >= WAITING_MAX || (full && table->waiting))
		table_drain_ended_early(table);
	return err;
}
