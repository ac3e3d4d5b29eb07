// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/interface_table.h"
#include "config/config.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "report/flow_table.h"
#include "report/merge.h"
#include "report/sort.h"
#include "report/tunnel.h"
#include "supervisor/attach_ops.h"
#include "supervisor/held.h"
#include "supervisor/interface_table_private.h"
#include "supervisor/program.h"
#include "supervisor/shortage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long the first interfaces of a storm wait for others, before the roles of all are resolved.
 */
#define GATHER_NS (250 * NSEC_PER_MSEC)
/* As many maps of ended phases wait to be read with the others: three grace periods each time. */
#define WAITING_MAX 32

int interface_table_new(struct interface_table **ret, const struct monitor *monitor,
			const struct config *config)
{
	struct interface_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->monitor = monitor;
	table->config = config;
	table->admission = (struct admission){.monitor = monitor, .config = config};
	*ret = table;
	return 0;
}

static void table_free_list(struct interface *list)
{
	while (list) {
		struct interface *next = list->next;

		interface_free(list);
		list = next;
	}
}

void interface_table_free(struct interface_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < TABLE_BUCKETS; i++)
		table_free_list(table->buckets[i]);
	table_free_list(table->gone);
	table_free_list(table->ended);
	free(table);
}

struct interface **table_find(struct interface_table *table, uint32_t ifindex)
{
	struct interface **at = &table->buckets[ifindex & (TABLE_BUCKETS - 1)];

	while (*at && (*at)->link.ifindex != ifindex)
		at = &(*at)->next;
	return at;
}

void table_push(struct interface **list, struct interface *interface)
{
	interface->next = *list;
	*list = interface;
}

/* Out of its bucket, so that a new link may come with its index. */
static void table_link_gone(struct interface_table *table, struct interface **at)
{
	struct interface *interface = *at;

	*at = interface->next;
	table->count--;
	interface->gone = true;
	interface->wanted = false;
	table->changed = true;
	table_push(&table->gone, interface);
}

static int table_add(struct interface_table *table, struct interface **at, const struct link *link)
{
	struct interface *interface;
	int err = interface_new(&interface, link);

	if (err)
		return err;
	interface->wanted_from_birth = table->started;
	if (!table->started && table->recovered && link->ifindex > table->known_ifindex) {
		/* it came while nobody looked, and none of its traffic is in a report */
		interface->wanted_from_birth = true;
		interface->at_birth = (struct link_stats){0};
	}
	if (table->started && link->ifindex > table->known_ifindex)
		table->known_ifindex = link->ifindex;
	interface->mentioned = true;
	err = interface_match(interface, table->config);
	if (err) {
		interface_free(interface);
		return err;
	}
	*at = interface;
	table->count++;
	table->changed = true;
	log_debug("%s: ifindex %u, kind %s", link->name, link->ifindex, link_kind(link));
	return 0;
}

static void table_look(struct interface_table *table, struct interface *interface)
{
	if (interface->state != INTERFACE_COUNTING || interface->outrun ||
	    !attach_is_outrun(table->monitor->attacher, &interface->attachment))
		return;
	log_notice("%s: others attached by tcx, which runs before clsact: attaching anew",
		   interface->link.name);
	interface->outrun = true;
	table->changed = true;
}

void interface_table_look(struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface)
		table_look(table, interface);
}

static int table_update(struct interface_table *table, struct interface *interface,
			const struct link *link)
{
	bool changed;
	int err = interface_update(interface, link, &changed);

	/* whoever attaches to a link of a container also changes it */
	table_look(table, interface);
	if (err || !changed)
		return err;
	table->changed = true;
	return interface_match(interface, table->config);
}

/* Whether it is attached in our eyes but not in the kernel's: then this is another link with the
 * index of the one we knew. */
static bool table_is_impostor(const struct interface_table *table,
			      const struct interface *interface)
{
	return table->suspicious && !interface->mentioned && interface->state != INTERFACE_KNOWN &&
	       !attach_check(table->monitor->attacher, &interface->attachment);
}

void interface_table_link(struct interface_table *table, const struct link *link)
{
	struct interface **at = table_find(table, link->ifindex);
	int err = 0;

	if (link->gone) {
		if (*at)
			table_link_gone(table, at);
		return;
	}
	if (*at && table_is_impostor(table, *at)) {
		table_link_gone(table, at);
		at = table_find(table, link->ifindex);
	}
	if (*at)
		err = table_update(table, *at, link);
	else
		err = table_add(table, at, link);
	if (*at)
		(*at)->mentioned = true;
	if (err)
		log_error("%s: %s", link->name, strerror(-err));
}

void interface_table_dump_begin(struct interface_table *table)
{
	table->suspicious = table->started;
	FOR_EACH_INTERFACE (table, interface)
		interface->mentioned = false;
}

void interface_table_dump_end(struct interface_table *table)
{
	for (size_t i = 0; i < TABLE_BUCKETS; i++) {
		struct interface **at = &table->buckets[i];

		while (*at) {
			if ((*at)->link.ifindex > table->known_ifindex)
				table->known_ifindex = (*at)->link.ifindex;
			if ((*at)->mentioned)
				at = &(*at)->next;
			else
				table_link_gone(table, at);
		}
	}
	table->suspicious = false;
	table->started = true;
}

void interface_table_rematch(struct interface_table *table)
{
	table->rematch = true;
	table->changed = true;
}

static void table_match_all(struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface) {
		int err = interface_match(interface, table->config);

		if (err)
			log_error("%s: %s", interface->link.name, strerror(-err));
	}
	table->rematch = false;
}

/* A list of interfaces for the calls that do many at once. */
struct selection {
	struct interface **interfaces;
	struct flow_map **maps; /* as many */
	struct flow_map *old;	/* as many */
	size_t count;
};

static int selection_new(struct selection *selection, size_t capacity)
{
	*selection = (struct selection){
		.interfaces = calloc(capacity + 1, sizeof(*selection->interfaces)),
		.maps = calloc(capacity + 1, sizeof(*selection->maps)),
		.old = calloc(capacity + 1, sizeof(*selection->old)),
	};
	return selection->interfaces && selection->maps && selection->old ? 0 : -ENOMEM;
}

static void selection_clean(struct selection *selection)
{
	free(selection->interfaces);
	free(selection->maps);
	free(selection->old);
}

static void selection_add(struct selection *selection, struct interface *interface)
{
	selection->interfaces[selection->count] = interface;
	selection->maps[selection->count] = &interface->map;
	selection->count++;
}

/* Where the records of a map go. */
struct table_record_target {
	struct merge *merge;
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
	return merge_add(target->merge, target->id, keys, values, n);
}

void table_read_and_close(struct interface_table *table, struct interface *interface,
			  struct flow_map *map, bool for_long)
{
	struct table_record_target target = {.merge = table->monitor->merge, .id = map->phase};
	struct flow_maps *maps = table->monitor->maps;
	int err = flow_maps_read(maps, map->fd, table_merge_records, &target);

	interface->recorded = true;
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
		flow_maps_forget(maps, map->phase, map->serial);
	close(map->fd);
	map->fd = -1;
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
	for (struct interface *ended = table->ended; ended; ended = ended->next)
		if (table_has_slot(ended))
			owners[ended->map.slot] = ended;
	for (struct interface *gone = table->gone; gone; gone = gone->next)
		if (table_has_slot(gone))
			owners[gone->map.slot] = gone;
	return owners;
}

static int table_merge_train(struct merge *merge, uint32_t phase, const struct flow_train *train)
{
	struct flow_value value = {0};
	struct flow_key key;
	uint32_t sender;

	if (train->class >= FLOW_CLASSES)
		return -EBADMSG;
	sender = flow_key_order(&train->key, &key);
	value.count[sender][train->class] =
		(struct flow_count){.bytes = train->bytes, .packets = train->packets};
	return merge_add(merge, phase, &key, &value, 1);
}

int interface_table_merge_trains(struct merge *merge, const struct held_train *trains, size_t n)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = table_merge_train(merge, trains[i].phase, &trains[i].train);
	return err;
}

/* Trains on their way from a set into a merge. */
struct table_trains {
	struct interface **owners;
	struct merge *merge; /* that looks at them */
	struct held_train *list;
	size_t count, capacity;
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

	if (!interface) {
		log_error("%llu bytes in slot %u belong to no interface", train->bytes,
			  train->slot);
		return 0;
	}
	if (trains->count == trains->capacity) {
		size_t capacity = trains->capacity ? 2 * trains->capacity : 32;
		void *grown = reallocarray(trains->list, capacity, sizeof(*trains->list));

		if (!grown)
			return -ENOMEM;
		trains->list = grown;
		trains->capacity = capacity;
	}
	interface->recorded = true;
	trains->list[trains->count++] =
		(struct held_train){.phase = interface->map.phase, .train = *train};
	return 0;
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
		err = held_put_trains(monitor->held, program_quiet_set(monitor->program),
				      trains.list, trains.count);
	if (!err && trains.count)
		err = program_empty_trains(monitor->program);
	table->untaken = err;
	if (!err)
		err = interface_table_merge_trains(monitor->merge, trains.list, trains.count);
	free(trains.list);
	free(trains.owners);
	return err;
}

/* Swaps the maps of the selected interfaces, and waits for a grace period even if there are none.
 */
static int table_swap(struct interface_table *table, struct selection *selection,
		      flow_maps_moment moment)
{
	qsort(selection->interfaces, selection->count, sizeof(*selection->interfaces),
	      table_by_swap_rank);
	for (size_t i = 0; i < selection->count; i++) {
		selection->maps[i] = &selection->interfaces[i]->map;
		selection->interfaces[i]->nearly_full = false;
	}
	return flow_maps_swap(table->monitor->maps, selection->maps, selection->old,
			      selection->count, moment, table);
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

/*
 * An idle map need not be swapped, unless a hook is judged by what others saw: the next packet may
 * pass a reference while maps are made for the swap, and a judged hook before its map is swapped.
 */
static bool table_takes_part(const struct interface_table *table, const struct interface *interface)
{
	return interface->state == INTERFACE_COUNTING &&
	       (table->judged || !flow_maps_idle(table->monitor->maps, &interface->map));
}

/* Keeps the interfaces in the selection whose maps could not be swapped. */
static void selection_keep_unswapped(struct selection *selection)
{
	size_t kept = 0;

	for (size_t i = 0; i < selection->count; i++)
		if (selection->old[i].slot != FLOW_MAP_NO_SLOT)
			selection->interfaces[kept++] = selection->interfaces[i];
	selection->count = kept;
}

static void table_flip_epoch(void *data)
{
	struct interface_table *table = data;

	program_flip_epoch(table->monitor->program);
}

/*
 * The maps of ended phases: out of their slots, into the merge. Nobody counts for them, and no CPU
 * holds anything of them that could still be put into their maps.
 */
static void table_retire_ended(struct interface_table *table, bool for_long)
{
	struct selection selection;
	int err = selection_new(&selection, table->waiting);

	for (struct interface *ended = table->ended; ended && !err; ended = ended->next)
		if (ended->map.fd >= 0)
			selection_add(&selection, ended);
	if (!err)
		err = flow_maps_retire(table->monitor->maps, selection.maps, selection.count);
	if (err)
		log_error("flow maps could not be taken out of their slots: %s; trying again",
			  strerror(-err));
	for (size_t i = 0; i < selection.count && !err; i++) {
		table_read_and_close(table, selection.interfaces[i], selection.maps[i], for_long);
		table->waiting--;
	}
	selection_clean(&selection);
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
		err = table_swap(table, selection, table_flip_epoch);
		/* without a grace period the set is not quiet: it waits for the next time */
		if (!err)
			err = table_take_trains(table);
		table_read_selected(table, selection, for_long);
	}
	if (!err && table->waiting)
		table_retire_ended(table, for_long);
	return err;
}

/* All at one instant; but if there is no room for as many maps again, some by some, as those that
 * were read make room for others. */
static int table_drain_by_rounds(struct interface_table *table, struct selection *selection)
{
	size_t before;
	int err;

	do {
		before = selection->count;
		err = table_drain(table, selection, false);
		if (err)
			selection_keep_unswapped(selection);
	} while (err && selection->count && selection->count < before);
	return err;
}

void interface_table_drain(struct interface_table *table)
{
	struct selection selection;
	int err = selection_new(&selection, table->count);

	if (!err) {
		FOR_EACH_INTERFACE (table, interface)
			if (table_takes_part(table, interface))
				selection_add(&selection, interface);
		err = table_drain_by_rounds(table, &selection);
	}
	table_note_unread(err);
	selection_clean(&selection);
}

/* Reads the maps of ended phases before their time, when there are many. */
static void table_settle_ended(struct interface_table *table)
{
	struct selection none;
	int err = selection_new(&none, 0);

	if (!err)
		err = table_drain(table, &none, true);
	table_note_unread(err);
	selection_clean(&none);
}

static void table_note_full(void *data, uint32_t slot)
{
	struct interface_table *table = data;

	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_COUNTING && interface->map.slot == slot)
			interface->nearly_full = true;
}

int interface_table_drain_full(struct interface_table *table)
{
	struct selection selection;
	int taken = program_take_full(table->monitor->program, table_note_full, table);
	int err = selection_new(&selection, table->count);

	if (!err) {
		FOR_EACH_INTERFACE (table, interface)
			if (interface->state == INTERFACE_COUNTING && interface->nearly_full)
				selection_add(&selection, interface);
		if (selection.count)
			err = table_swap(table, &selection, NULL);
		table_read_selected(table, &selection, true);
	}
	table_note_unread(err);
	selection_clean(&selection);
	return taken;
}

void table_push_ended(struct interface_table *table, struct interface *ended)
{
	table->waiting += ended->map.fd >= 0;
	table_push(&table->ended, ended);
}

/*
 * What was counted under an id goes into the report with the role of that time. It becomes an
 * object of its own, so that the interface may go on under another id in the same interval.
 */
static int table_end_phase(struct interface_table *table, struct interface *interface)
{
	struct interface *ended;
	int err = interface_new(&ended, &interface->link);

	if (err)
		return err;
	ended->life = interface->life;
	ended->id = interface->id;
	ended->era = interface->era;
	ended->was_up = interface->was_up;
	ended->before_attach = interface->before_attach;
	ended->interval_role = interface->interval_role;
	ended->map = interface->map;
	interface->before_attach = (struct flow_count){0};
	interface->interval_role = (struct topology_role){0};
	interface->map = (struct flow_map){.fd = -1};
	interface->id = 0;
	table_push_ended(table, ended);
	return 0;
}

static int table_end_life(struct interface_table *table, struct interface *interface)
{
	int err = interface->id ? table_end_phase(table, interface) : 0;

	if (err)
		return err;
	/* one that is attached anew goes on with its life */
	if (!interface->outrun)
		interface->life = 0;
	interface->outrun = false;
	interface->state = INTERFACE_KNOWN;
	return 0;
}

static bool table_should_stop(const struct interface *interface)
{
	/* STOPPED and wanted: it found no place in the slot table */
	return interface->state != INTERFACE_KNOWN &&
	       (!interface->wanted || interface->outrun || interface->state == INTERFACE_STOPPED);
}

static void table_stop_selected(struct interface_table *table, struct selection *selection)
{
	const struct monitor *monitor = table->monitor;

	for (size_t i = 0; i < selection->count; i++) {
		struct interface *interface = selection->interfaces[i];

		/* nothing was counted under it */
		if (interface->state == INTERFACE_ATTACHED) {
			flow_maps_put_back(monitor->maps, &interface->map);
			interface->id = 0;
		}
		interface_stop(interface, monitor, interface->gone || interface->outrun);
		if (interface->outrun)
			interface_begin_gap(interface, monitor);
	}
	interface_detach_each(selection->interfaces, selection->count, monitor);
}

/* Ends the monitoring of all that went or is not wanted any more. */
static int table_end_unwanted(struct interface_table *table)
{
	struct selection selection;
	size_t capacity = table->count;
	int err;

	for (struct interface *interface = table->gone; interface; interface = interface->next)
		capacity++;
	err = selection_new(&selection, capacity);
	if (err) {
		selection_clean(&selection);
		return err;
	}
	for (struct interface *interface = table->gone; interface; interface = interface->next)
		if (table_should_stop(interface))
			selection_add(&selection, interface);
	FOR_EACH_INTERFACE (table, interface)
		if (table_should_stop(interface))
			selection_add(&selection, interface);
	table->monitored_changed |= selection.count > 0;
	table_stop_selected(table, &selection);
	for (size_t i = 0; i < selection.count && !err; i++)
		if (!selection.interfaces[i]->gone)
			err = table_end_life(table, selection.interfaces[i]);
	selection_clean(&selection);

	while (table->gone) {
		struct interface *interface = table->gone;

		table->gone = interface->next;
		interface_apply_turner(interface, table->monitor);
		if (interface->id)
			table_push_ended(table, interface);
		else
			interface_free(interface);
	}
	return err;
}

static size_t table_list_waiting(struct interface_table *table, bool retry,
				 struct interface **waiting)
{
	size_t count = 0;

	FOR_EACH_INTERFACE (table, interface)
		if (interface->wanted && interface->state == INTERFACE_KNOWN &&
		    (retry || !interface->attach_error))
			waiting[count++] = interface;
	return count;
}

/* Attaches the program to wanted interfaces, until the deadline. Returns whether some are left. */
static bool table_attach_wanted(struct interface_table *table, int64_t deadline_ns, bool retry)
{
	_free_ struct interface **waiting = calloc(table->count + 1, sizeof(struct interface *));
	struct interface_table_counts counts = interface_table_count(table);
	size_t count;

	if (!waiting) {
		admission_retry(&table->admission);
		return false;
	}
	count = table_list_waiting(table, retry, waiting);
	if (count && !table->gathering_ns)
		table->gathering_ns = clock_boottime_ns();
	return admission_let_in(&table->admission, waiting, count, counts.attached, counts.tcx,
				deadline_ns);
}

static void table_describe(const struct interface *interface, struct topology_link *link)
{
	bool monitored =
		interface->state == INTERFACE_ATTACHED || interface->state == INTERFACE_COUNTING;

	*link = (struct topology_link){
		.ifindex = interface->link.ifindex,
		.id = monitored ? interface->id : 0,
		.master = interface->link.master,
		.lower = interface->link.lower_abroad ? 0 : interface->link.lower,
		.lower_abroad = interface->link.lower_abroad,
		.kind = link_kind(&interface->link),
	};
}

/*
 * Whether a hook is judged by what others saw, in a class that is not empty: that takes counts of
 * one instant, and what a CPU holds in a train would be of another. A port below its monitored
 * master is judged only for what came from where nobody looked.
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

/* roles: in the order of FOR_EACH_INTERFACE. */
static bool table_has_judged(const struct interface_table *table, const struct topology_role *roles)
{
	bool all_covered = true, judged = false;
	size_t i = 0;

	/* nothing is forwarded that was received on lo */
	FOR_EACH_INTERFACE (table, interface)
		all_covered &=
			roles[i++].covered || !strcmp(link_kind(&interface->link), "loopback");
	for (size_t r = 0; r < i; r++)
		judged |= table_is_judged(&roles[r], all_covered);
	return judged;
}

/* Looks at the whole stack of devices: every interface's role in it, in the order of
 * FOR_EACH_INTERFACE. */
static int table_resolve_roles(struct interface_table *table, struct topology_role **ret)
{
	_free_ struct topology_link *links = calloc(table->count + 1, sizeof(*links));
	_free_ struct topology_role *roles = calloc(table->count + 1, sizeof(*roles));
	size_t i = 0;
	int err;

	if (!links || !roles)
		return -ENOMEM;
	FOR_EACH_INTERFACE (table, interface)
		table_describe(interface, &links[i++]);
	err = topology_resolve(links, i, roles);
	if (!err)
		*ret = TAKE_PTR(roles);
	return err;
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
			if (sort_find(ids, count, role->hook[h].references[r].id))
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

/* Marks the counting interfaces whose phases end. judged: some hook is or was. Returns how many, or
 * a negative errno. */
static int table_mark_changed(struct interface_table *table, const struct topology_role *roles,
			      bool judged)
{
	_free_ uint32_t *ids = calloc(table->count + 1, sizeof(*ids));
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
			    !table_is_changed(interface, now, ids, before,
					      judged && (before || table->monitored_changed)))
				continue;
			interface->changed = true;
			ids[count++] = interface->id;
		}
		sort_numbers(ids, count);
	}
	return (int)count;
}

/* New interfaces begin to count, and the program knows the new roles. */
static void table_apply_roles(struct interface_table *table)
{
	program_use_trains(table->monitor->program, !table->judged);
	FOR_EACH_INTERFACE (table, interface) {
		int err;

		if (interface->state == INTERFACE_ATTACHED)
			err = interface_start(interface, table->monitor);
		else
			err = interface_apply_role(interface, table->monitor);
		interface_apply_turner(interface, table->monitor);
		if (err)
			log_error("%s: no place in the slot table, it is not counted: %s",
				  interface->link.name, strerror(-err));
	}
}

static int table_note_train(void *data, const struct flow_train *train)
{
	bool *in_trains = data;

	if (train->slot < FLOW_SLOTS)
		in_trains[train->slot] = true;
	return 0;
}

/* Notes which of the changed interfaces have counted nothing in their maps. Returns how many have,
 * or a negative errno. */
static int table_find_idle(struct interface_table *table)
{
	bool in_trains[FLOW_SLOTS] = {false};
	int busy = 0;
	int err = program_peek_trains(table->monitor->program, table_note_train, in_trains);

	if (err)
		return err;
	FOR_EACH_INTERFACE (table, interface) {
		if (!interface->changed)
			continue;
		interface->idle = flow_maps_idle(table->monitor->maps, &interface->map) &&
				  !in_trains[interface->map.slot];
		busy += !interface->idle;
	}
	return busy;
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
	int err =
		interface->idle ? flow_maps_rename(maps, &map, id) : flow_maps_take(maps, id, &map);

	if (err)
		return err;
	if (interface->idle)
		interface->map.fd = -1;
	err = interface->recorded || !interface->idle ? table_end_phase(table, interface) : 0;
	if (err && interface->idle)
		interface->map = map; /* of a phase that the checkpoint does not know: no harm */
	else if (err)
		flow_maps_put_back(maps, &map);
	if (err)
		return err;
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
	int busy = table_find_idle(table);
	int err = busy > 0 ? flow_maps_prepare(table->monitor->maps, (size_t)busy) : busy;

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

		if (interface->id && interface->interval_role.id != interface->role.id) {
			topology_role_clean(&interface->interval_role);
			err = topology_role_copy(&interface->interval_role, &interface->role);
		}
		if (err)
			return err;
	}
	return 0;
}

/* Every interface, and the program, gets the role that it has now. */
static int table_update_roles(struct interface_table *table)
{
	struct topology_role *roles;
	int changed, err = table_resolve_roles(table, &roles);
	bool judged;

	if (err)
		return err;
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_ATTACHED) {
			interface_note_missed(interface, table->monitor);
			table->monitored_changed = true;
		}
	judged = table_has_judged(table, roles);
	changed = table_mark_changed(table, roles, judged || table->judged);
	table->judged = judged;
	table->era += changed > 0 || table->monitored_changed;
	table->monitored_changed = false;
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_ATTACHED)
			interface->era = table->era;
	table_set_roles(table, roles);
	if (changed > 0)
		err = table_begin_phases(table);
	if (!err)
		err = table_note_interval_roles(table);
	table->monitor->checkpoint(table->monitor->data);
	table_apply_roles(table);
	if (table->waiting >= WAITING_MAX)
		table_settle_ended(table);
	return changed < 0 ? changed : err;
}

/* Whether the roles may wait for interfaces that are still to be attached: resolving them looks at
 * all interfaces, and ends phases. */
static bool table_gathers(const struct interface_table *table, bool more)
{
	return more && table->gathering_ns && clock_boottime_ns() - table->gathering_ns < GATHER_NS;
}

static bool table_reconcile(struct interface_table *table, int64_t deadline_ns, bool retry)
{
	int err;
	bool more;

	if (retry)
		table->admission.retry_ns = 0;
	if (table->rematch)
		table_match_all(table);
	err = table_end_unwanted(table);
	more = table_attach_wanted(table, deadline_ns, retry);
	if (!err && !table_gathers(table, more)) {
		table->gathering_ns = 0;
		err = table_update_roles(table);
	}
	if (err) {
		log_error("interfaces could not all be reconciled: %s; trying again",
			  strerror(-err));
		admission_retry(&table->admission);
	}
	return more;
}

bool interface_table_reconcile(struct interface_table *table, int64_t budget_ns)
{
	int64_t now_ns = clock_boottime_ns();
	bool retry = table->admission.retry_ns && now_ns >= table->admission.retry_ns;

	if (!table->changed && !retry) {
		/* so that the next link need not wait for it */
		admission_refill(&table->admission);
		return false;
	}
	table->changed = table_reconcile(table, now_ns + budget_ns, retry);
	return table->changed || admission_is_low(&table->admission);
}

int64_t interface_table_retry_ns(const struct interface_table *table)
{
	return table->admission.retry_ns;
}

void interface_table_stop(struct interface_table *table)
{
	int err = 0;

	/*
	 * First nobody counts any more, then nobody is covered any more: a packet that was counted
	 * where it was received must not find its egress hook counting and not knowing.
	 */
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_COUNTING)
			interface_stop(interface, table->monitor, true);
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_STOPPED)
			interface_stop(interface, table->monitor, false);
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_STOPPED && !err)
			err = table_end_life(table, interface);
	if (err)
		log_error("flows of the last interval are lost: %s", strerror(-err));
	if (table->waiting)
		table_settle_ended(table);
}

void interface_table_detach(struct interface_table *table)
{
	struct selection selection;
	int err = selection_new(&selection, table->count);

	if (err)
		log_error("cannot detach: %s", strerror(-err));
	else
		FOR_EACH_INTERFACE (table, interface)
			if (interface->attachment.ops)
				selection_add(&selection, interface);
	interface_detach_each(selection.interfaces, selection.count, table->monitor);
	selection_clean(&selection);
}

static int table_peek_map(struct interface_table *table, const struct interface *interface,
			  struct merge *merge)
{
	struct table_record_target target = {.merge = merge, .id = interface->map.phase};

	if (interface->map.fd < 0 || flow_maps_idle(table->monitor->maps, &interface->map))
		return 0;
	return flow_maps_read(table->monitor->maps, interface->map.fd, table_merge_records,
			      &target);
}

static int table_peek_train(void *data, const struct flow_train *train)
{
	const struct table_trains *trains = data;
	const struct interface *interface = table_train_owner(trains, train);

	return interface ? table_merge_train(trains->merge, interface->map.phase, train) : 0;
}

int interface_table_peek(struct interface_table *table, struct merge *merge)
{
	struct table_trains trains = {.owners = table_list_slots(table), .merge = merge};
	int err = trains.owners ? 0 : -ENOMEM;

	for (const struct interface *ended = table->ended; ended && !err; ended = ended->next)
		err = table_peek_map(table, ended, merge);
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_COUNTING && !err)
			err = table_peek_map(table, interface, merge);
	if (!err)
		err = program_peek_trains(table->monitor->program, table_peek_train, &trains);
	free(trains.owners);
	return err;
}

static struct merge_interface table_merge_interface(const struct interface *interface)
{
	return (struct merge_interface){
		.id = interface->id,
		.life = interface->life,
		.era = interface->era,
		.ifindex = interface->link.ifindex,
		.name = interface->link.name,
		.role = &interface->interval_role,
		.before_attach = interface->before_attach,
	};
}

struct merge_interface *interface_table_interval(struct interface_table *table, size_t *count)
{
	struct merge_interface *list;
	size_t capacity = table->count;

	for (const struct interface *ended = table->ended; ended; ended = ended->next)
		capacity++;
	list = calloc(capacity + 1, sizeof(*list));
	if (!list)
		return NULL;
	*count = 0;
	for (const struct interface *ended = table->ended; ended; ended = ended->next) {
		const struct interface *now = *table_find(table, ended->link.ifindex);

		list[*count] = table_merge_interface(ended);
		/* a phase of an interface that was renamed since */
		if (now && now->life == ended->life)
			list[*count].name = now->link.name;
		++*count;
	}
	FOR_EACH_INTERFACE (table, interface)
		if (interface->id)
			list[(*count)++] = table_merge_interface(interface);
	return list;
}

/*
 * A device that was not up carried nothing, so outer packets are not its own: the kernel makes some
 * (gre0, tunl0) that would take any. Those of a device that was made in another network namespace
 * are there.
 */
static int table_add_tunnel(const struct interface *interface, struct tunnel_set *tunnels)
{
	if (!interface->was_up || interface->link.lower_abroad)
		return 0;
	return tunnel_set_add(tunnels, interface->id, &interface->link.tunnel);
}

int interface_table_tunnels(const struct interface_table *table, struct tunnel_set *tunnels)
{
	int err = 0;

	for (const struct interface *ended = table->ended; ended && !err; ended = ended->next)
		err = table_add_tunnel(ended, tunnels);
	FOR_EACH_INTERFACE (table, interface)
		if (!err)
			err = table_add_tunnel(interface, tunnels);
	return err;
}

/* The interface that a report tells of, if it still is monitored. */
static struct interface *table_find_reported(struct interface_table *table,
					     const struct report_interface *reported)
{
	struct interface *interface = *table_find(table, reported->ifindex);

	return interface && interface->life == reported->life ? interface : NULL;
}

void interface_table_add_totals(struct interface_table *table, const struct report *report)
{
	for (size_t i = 0; i < report->interface_count; i++) {
		struct interface *interface = table_find_reported(table, &report->interfaces[i]);

		if (!interface)
			continue;
		flow_count_add(&interface->total.in, &report->interfaces[i].in);
		flow_count_add(&interface->total.out, &report->interfaces[i].out);
	}
	for (size_t i = 0; i < report->unattributed_count; i++) {
		const struct report_unattributed *item = &report->unattributed[i];
		struct interface *interface =
			table_find_reported(table, &report->interfaces[item->interface]);

		if (interface)
			unattributed_add_item(&interface->total.unattributed, item);
	}
}

/* The slot table may still say that what was received on a vanished interface was seen: for packets
 * that were on their way. */
static void table_forget(struct interface_table *table, struct interface *ended)
{
	if (ended->slot.flags && !*table_find(table, ended->link.ifindex))
		interface_stop(ended, table->monitor, false);
	interface_free(ended);
}

void interface_table_next_interval(struct interface_table *table)
{
	struct interface *ended = table->ended;

	table->ended = NULL;
	while (ended) {
		struct interface *next = ended->next;

		/* one that could not be read yet belongs to the next report */
		if (ended->map.fd >= 0) {
			ended->before_attach = (struct flow_count){0};
			table_push(&table->ended, ended);
		} else {
			table_forget(table, ended);
		}
		ended = next;
	}
	FOR_EACH_INTERFACE (table, interface) {
		interface->before_attach = (struct flow_count){0};
		interface->was_up = interface->link.flags & IFF_UP;
		topology_role_clean(&interface->interval_role);
		if (interface->id &&
		    topology_role_copy(&interface->interval_role, &interface->role))
			log_error("%s: its place in the stack of devices is not known: %s",
				  interface->link.name, strerror(ENOMEM));
	}
}

void interface_table_each(const struct interface_table *table,
			  void (*found)(void *data, const struct interface *interface), void *data)
{
	FOR_EACH_INTERFACE (table, interface)
		found(data, interface);
}

uint64_t interface_table_fill(const struct interface_table *table,
			      const struct interface *interface)
{
	return interface->state == INTERFACE_COUNTING
		       ? program_fill(table->monitor->program, interface->map.slot)
		       : 0;
}

uint64_t interface_table_losses(const struct interface_table *table)
{
	return table->losses;
}

struct interface_table_counts interface_table_count(const struct interface_table *table)
{
	struct interface_table_counts counts = {
		.links = table->count,
		.attach_error = table->admission.shortage.err,
	};

	FOR_EACH_INTERFACE (table, interface) {
		counts.wanted += interface->wanted;
		if (interface->attach_error)
			counts.attach_error = interface->attach_error;
		counts.attached += interface->attachment.ops != NULL;
		counts.monitored += interface->state == INTERFACE_COUNTING;
		counts.tcx += interface->attachment.ops == &attach_tcx;
		counts.clsact += interface->attachment.ops == &attach_clsact;
	}
	return counts;
}
