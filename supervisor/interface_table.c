// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/interface_table.h"
#include "config/config.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "metrics/metrics.h"
#include "report/merge.h"
#include "report/sort.h"
#include "report/tunnel.h"
#include "supervisor/attach_ops.h"
#include "supervisor/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE_BUCKETS 4096 /* a power of two */
#define RETRY_NS      (2 * NSEC_PER_SEC)
/* Maps made ready at once before a run of attaches. */
#define PREPARE_MAPS 32

struct interface_table {
	const struct monitor *monitor;
	const struct config *config;
	struct interface *buckets[TABLE_BUCKETS]; /* present links, by ifindex */
	size_t count;
	struct interface *gone;	 /* links that went, not looked at yet */
	struct interface *ended; /* monitored lives that ended in this interval, for its report */
	uint32_t last_id;
	uint32_t era;		/* counts the changes of roles, and of who is monitored */
	bool monitored_changed; /* who is monitored changed since the last of them */
	bool started;		/* the first dump is done */
	bool suspicious; /* this dump follows a loss: a link with a known index may be another one
			  */
	struct merge *into; /* where trains that are being read go */
	bool changed;	    /* since the last reconciliation */
	bool rematch;
	int64_t retry_ns;
};

#define FOR_EACH_INTERFACE(table, entry)                                         \
	for (size_t bucket_ = 0; bucket_ < TABLE_BUCKETS; bucket_++)             \
		for (struct interface *entry = (table)->buckets[bucket_]; entry; \
		     entry = entry->next)

int interface_table_new(struct interface_table **ret, const struct monitor *monitor,
			const struct config *config)
{
	struct interface_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->monitor = monitor;
	table->config = config;
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

/* The pointer that points to the interface with this index, or to the end of its bucket. */
static struct interface **table_find(struct interface_table *table, uint32_t ifindex)
{
	struct interface **at = &table->buckets[ifindex & (TABLE_BUCKETS - 1)];

	while (*at && (*at)->link.ifindex != ifindex)
		at = &(*at)->next;
	return at;
}

static void table_push(struct interface **list, struct interface *interface)
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

static int table_update(struct interface_table *table, struct interface *interface,
			const struct link *link)
{
	bool changed;
	int err = interface_update(interface, link, &changed);

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
	int *old_fds;		/* as many */
	size_t count;
};

static int selection_new(struct selection *selection, size_t capacity)
{
	*selection = (struct selection){
		.interfaces = calloc(capacity + 1, sizeof(*selection->interfaces)),
		.maps = calloc(capacity + 1, sizeof(*selection->maps)),
		.old_fds = calloc(capacity + 1, sizeof(*selection->old_fds)),
	};
	return selection->interfaces && selection->maps && selection->old_fds ? 0 : -ENOMEM;
}

static void selection_clean(struct selection *selection)
{
	free(selection->interfaces);
	free(selection->maps);
	free(selection->old_fds);
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
};

static int table_merge_records(void *data, const struct flow_key *keys,
			       const struct flow_value *values, size_t n)
{
	const struct table_record_target *target = data;

	return merge_add(target->merge, target->id, keys, values, n);
}

/* Reads a map that no program can reach any more into the merge, and closes it. */
static void table_read_and_close(struct interface_table *table, const struct interface *interface,
				 int fd)
{
	struct table_record_target target = {.merge = table->monitor->merge, .id = interface->id};
	int err = flow_maps_read(table->monitor->maps, fd, table_merge_records, &target);

	if (err)
		log_error("%s: flows of this interval are lost: %s", interface->link.name,
			  strerror(-err));
	close(fd);
}

/* Judged hooks before their references, so upper devices before lower ones (merge.h,
 * merge_next_interval()). */
static int table_by_level(const void *a, const void *b)
{
	const struct interface *x = *(struct interface *const *)a;
	const struct interface *y = *(struct interface *const *)b;

	return (x->role.level < y->role.level) - (x->role.level > y->role.level);
}

static struct interface *table_find_slot(struct interface_table *table, uint32_t slot)
{
	for (struct interface *gone = table->gone; gone; gone = gone->next)
		if (gone->map.fd >= 0 && gone->map.slot == slot)
			return gone;
	FOR_EACH_INTERFACE (table, interface)
		if (interface->map.fd >= 0 && interface->map.slot == slot)
			return interface;
	return NULL;
}

/* What a CPU held of a flow belongs to the interface whose map is in that slot. */
static int table_merge_train(void *data, const struct flow_train *train)
{
	struct interface_table *table = data;
	const struct interface *interface = table_find_slot(table, train->slot);
	struct flow_value value = {0};

	if (!interface || train->cell >= 2 * FLOW_CLASSES) {
		log_error("%llu bytes in slot %u belong to no interface", train->bytes,
			  train->slot);
		return 0;
	}
	(&value.count[0][0])[train->cell] =
		(struct flow_count){.bytes = train->bytes, .packets = train->packets};
	return merge_add(table->into, interface->id, &train->key, &value, 1);
}

static int table_take_trains(struct interface_table *table)
{
	table->into = table->monitor->merge;
	return program_take_trains(table->monitor->program, table_merge_train, table);
}

/* Swaps the maps of the selected interfaces, and waits for a grace period even if there are none.
 */
static int table_swap(struct interface_table *table, struct selection *selection,
		      flow_maps_moment moment)
{
	qsort(selection->interfaces, selection->count, sizeof(*selection->interfaces),
	      table_by_level);
	for (size_t i = 0; i < selection->count; i++) {
		selection->maps[i] = &selection->interfaces[i]->map;
		selection->interfaces[i]->nearly_full = false;
	}
	return flow_maps_swap(table->monitor->maps, selection->maps, selection->old_fds,
			      selection->count, moment, table);
}

static void table_read_selected(struct interface_table *table, const struct selection *selection)
{
	for (size_t i = 0; i < selection->count; i++)
		if (selection->old_fds[i] >= 0)
			table_read_and_close(table, selection->interfaces[i],
					     selection->old_fds[i]);
}

static void table_note_unread(int err)
{
	if (err)
		log_error("not all that was counted could be read, the rest follows in the next "
			  "report: %s",
			  strerror(-err));
}

static bool table_has_counted(const struct interface_table *table,
			      const struct interface *interface)
{
	return interface->state == INTERFACE_COUNTING &&
	       !flow_maps_idle(table->monitor->maps, &interface->map);
}

/* Reads the selected maps and what the CPUs hold into the merge; what is counted from moment on is
 * not in it. */
static int table_drain(struct interface_table *table, struct selection *selection,
		       flow_maps_moment moment)
{
	int err = table_swap(table, selection, moment);

	/* without a grace period the set is not quiet: it waits for the next time but one */
	if (!err)
		err = table_take_trains(table);
	table_read_selected(table, selection);
	return err;
}

static void table_flip_epoch(void *data)
{
	struct interface_table *table = data;

	program_flip_epoch(table->monitor->program);
}

void interface_table_drain(struct interface_table *table)
{
	struct selection selection;
	int err = selection_new(&selection, table->count);

	if (!err) {
		FOR_EACH_INTERFACE (table, interface)
			if (table_has_counted(table, interface))
				selection_add(&selection, interface);
		err = table_drain(table, &selection, table_flip_epoch);
	}
	table_note_unread(err);
	selection_clean(&selection);
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
		table->monitor->counts->early_swaps += selection.count;
		if (selection.count)
			err = table_swap(table, &selection, NULL);
		table_read_selected(table, &selection);
	}
	table_note_unread(err);
	selection_clean(&selection);
	return taken;
}

/* The maps of stopped interfaces: out of their slots, into the merge. */
static void table_retire(struct interface_table *table, struct selection *selection)
{
	/*
	 * A grace period after which no program counts for them; another one after which the CPUs
	 * hold nothing of them that could still be put into their maps; and retiring waits for a
	 * third, after which nobody reaches the maps.
	 */
	int err = flow_maps_synchronize(table->monitor->maps);

	if (!err) {
		program_flip_epoch(table->monitor->program);
		err = flow_maps_synchronize(table->monitor->maps);
	}
	if (!err)
		err = table_take_trains(table);
	table_note_unread(err);
	err = flow_maps_retire(table->monitor->maps, selection->maps, selection->count);
	if (err)
		log_error("flow maps could not be taken out of their slots: %s", strerror(-err));
	for (size_t i = 0; i < selection->count; i++) {
		table_read_and_close(table, selection->interfaces[i], selection->maps[i]->fd);
		selection->maps[i]->fd = -1;
	}
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
	interface->before_attach = (struct flow_count){0};
	interface->interval_role = (struct topology_role){0};
	interface->id = 0;
	table_push(&table->ended, ended);
	return 0;
}

static int table_end_life(struct interface_table *table, struct interface *interface)
{
	int err = table_end_phase(table, interface);

	if (err)
		return err;
	interface->life = 0;
	interface->state = INTERFACE_KNOWN;
	return 0;
}

static bool table_should_stop(const struct interface *interface)
{
	return interface->state != INTERFACE_KNOWN && !interface->wanted;
}

static void table_stop_selected(struct interface_table *table, struct selection *selection)
{
	const struct monitor *monitor = table->monitor;

	for (size_t i = 0; i < selection->count; i++) {
		struct interface *interface = selection->interfaces[i];

		interface_stop(interface, monitor, interface->gone);
		interface_detach(interface, monitor);
	}
	if (selection->count)
		table_retire(table, selection);
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
		if (interface->id)
			table_push(&table->ended, interface);
		else
			interface_free(interface);
	}
	return err;
}

static void table_attach_failed(struct interface_table *table, struct interface *interface, int err)
{
	/* its going will be told */
	if (err == -ENODEV)
		return;
	table->monitor->counts->attach_failures++;
	if (interface->attach_error != err)
		log_error("%s: cannot attach: %s; trying again", interface->link.name,
			  strerror(-err));
	interface->attach_error = err;
	table->retry_ns = clock_boottime_ns() + RETRY_NS;
}

/* Attaches the program to wanted interfaces, until the deadline. Returns whether some are left. */
static bool table_attach_wanted(struct interface_table *table, int64_t deadline_ns, bool retry)
{
	size_t waiting = 0;
	int err;

	FOR_EACH_INTERFACE (table, interface)
		if (interface->wanted && interface->state == INTERFACE_KNOWN &&
		    (retry || !interface->attach_error))
			waiting++;
	if (!waiting)
		return false;
	err = flow_maps_prepare(table->monitor->maps,
				waiting < PREPARE_MAPS ? waiting : PREPARE_MAPS);
	if (err)
		log_debug("preparing flow maps: %s", strerror(-err));
	FOR_EACH_INTERFACE (table, interface) {
		if (!interface->wanted || interface->state != INTERFACE_KNOWN ||
		    (!retry && interface->attach_error))
			continue;
		if (clock_boottime_ns() > deadline_ns)
			return true;
		err = interface_attach(interface, table->monitor, ++table->last_id);
		if (err)
			table_attach_failed(table, interface, err);
		else
			interface->attach_error = 0;
	}
	return false;
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
	       (role->hook[HOOK_EGRESS].sight == SIGHT_JUDGED &&
		!(role->born_repeat && all_covered));
}

static void table_choose_trains(struct interface_table *table)
{
	bool all_covered = true, judged = false;

	/* nothing is forwarded that was received on lo */
	FOR_EACH_INTERFACE (table, interface)
		all_covered &=
			interface->role.covered || !strcmp(link_kind(&interface->link), "loopback");
	FOR_EACH_INTERFACE (table, interface)
		judged |= table_is_judged(&interface->role, all_covered);
	program_use_trains(table->monitor->program, !judged);
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
	for (int h = 0; h < 2; h++)
		for (size_t r = 0; r < role->hook[h].reference_count; r++)
			if (sort_find(ids, count, role->hook[h].references[r].id))
				return true;
	return false;
}

/* Whether a hook is judged against anything. */
static bool role_refers_to_any(const struct topology_role *role)
{
	static const uint32_t any = TOPOLOGY_ANY;

	return role_refers_to(role, &any, 1);
}

/*
 * Whether the role over its phase ends with this change. other_ids: those of interfaces whose
 * phases end, as they will have other ids; anything: a hook is or was judged against anything, and
 * so every phase ends with every change.
 */
static bool table_is_changed(const struct interface *interface, const struct topology_role *now,
			     const uint32_t *other_ids, size_t count, bool anything)
{
	return !topology_role_same(&interface->role, now) ||
	       role_refers_to(now, other_ids, count) || anything;
}

/* Marks the counting interfaces whose phases end. Returns how many, or a negative errno. */
static int table_mark_changed(struct interface_table *table, const struct topology_role *roles)
{
	_free_ uint32_t *ids = calloc(table->count + 1, sizeof(*ids));
	size_t count = 0, before = SIZE_MAX, i = 0;
	bool anything = false;

	if (!ids)
		return -ENOMEM;
	FOR_EACH_INTERFACE (table, interface) {
		interface->changed = false;
		anything |= role_refers_to_any(&interface->role);
		anything |= role_refers_to_any(&roles[i++]);
	}
	while (count != before) {
		before = count;
		i = 0;
		FOR_EACH_INTERFACE (table, interface) {
			const struct topology_role *now = &roles[i++];

			if (interface->state != INTERFACE_COUNTING || interface->changed ||
			    !table_is_changed(interface, now, ids, before,
					      anything && (before || table->monitored_changed)))
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
	table_choose_trains(table);
	FOR_EACH_INTERFACE (table, interface) {
		int err;

		if (interface->state == INTERFACE_ATTACHED)
			err = interface_start(interface, table->monitor);
		else
			err = interface_apply_role(interface, table->monitor);
		if (err)
			log_error("%s: no place in the slot table, it is not counted: %s",
				  interface->link.name, strerror(-err));
	}
}

static void table_apply_roles_and_flip(void *data)
{
	table_apply_roles(data);
	table_flip_epoch(data);
}

/* What was counted until now keeps the id and role that it was counted under; the rest has new
 * ones. */
static int table_begin_phases(struct interface_table *table, struct topology_role *roles)
{
	struct selection selection;
	struct topology_role *renamed = NULL;
	int err = selection_new(&selection, table->count);

	if (!err)
		FOR_EACH_INTERFACE (table, interface)
			if (interface->changed && table_has_counted(table, interface))
				selection_add(&selection, interface);
	table_set_roles(table, roles);
	/* interfaces that are new here have no records: they may have any id that lasts */
	table_note_unread(table_drain(table, &selection, table_apply_roles_and_flip));
	selection_clean(&selection);
	FOR_EACH_INTERFACE (table, interface) {
		if (!interface->changed || err)
			continue;
		err = table_end_phase(table, interface);
		if (err)
			break;
		interface->id = ++table->last_id;
		interface->era = table->era;
	}
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

	if (err)
		return err;
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_ATTACHED) {
			interface_note_missed(interface, table->monitor);
			table->monitored_changed = true;
		}
	changed = table_mark_changed(table, roles);
	table->era += changed > 0 || table->monitored_changed;
	table->monitored_changed = false;
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_ATTACHED)
			interface->era = table->era;
	if (changed > 0) {
		err = table_begin_phases(table, roles);
	} else {
		table_set_roles(table, roles);
		table_apply_roles(table);
	}
	if (!err)
		err = table_note_interval_roles(table);
	return changed < 0 ? changed : err;
}

bool interface_table_reconcile(struct interface_table *table, int64_t budget_ns)
{
	int64_t now_ns = clock_boottime_ns();
	bool retry = table->retry_ns && now_ns >= table->retry_ns;
	bool more;
	int err;

	if (!table->changed && !retry)
		return false;
	if (retry)
		table->retry_ns = 0;
	if (table->rematch)
		table_match_all(table);
	err = table_end_unwanted(table);
	more = table_attach_wanted(table, now_ns + budget_ns, retry);
	if (!err)
		err = table_update_roles(table);
	if (err) {
		log_error("interfaces could not all be reconciled: %s; trying again",
			  strerror(-err));
		table->retry_ns = now_ns + RETRY_NS;
	}
	table->changed = more;
	return more;
}

int64_t interface_table_retry_ns(const struct interface_table *table)
{
	return table->retry_ns;
}

void interface_table_stop(struct interface_table *table)
{
	struct selection selection;
	int err = selection_new(&selection, table->count);

	/*
	 * First nobody counts any more, then nobody is covered any more: a packet that was counted
	 * where it was received must not find its egress hook counting and not knowing.
	 */
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_COUNTING) {
			interface_stop(interface, table->monitor, true);
			if (!err)
				selection_add(&selection, interface);
		}
	FOR_EACH_INTERFACE (table, interface)
		if (interface->state == INTERFACE_STOPPED)
			interface_stop(interface, table->monitor, false);
	if (err)
		log_error("flows of the last interval are lost: %s", strerror(-err));
	else if (selection.count)
		table_retire(table, &selection);
	selection_clean(&selection);
}

void interface_table_detach(struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface)
		if (interface->attachment.ops)
			interface_detach(interface, table->monitor);
}

int interface_table_peek(struct interface_table *table, struct merge *merge)
{
	FOR_EACH_INTERFACE (table, interface) {
		struct table_record_target target = {.merge = merge, .id = interface->id};
		int err;

		if (interface->state != INTERFACE_COUNTING ||
		    flow_maps_idle(table->monitor->maps, &interface->map))
			continue;
		err = flow_maps_read(table->monitor->maps, interface->map.fd, table_merge_records,
				     &target);
		if (err)
			return err;
	}
	table->into = merge;
	return program_peek_trains(table->monitor->program, table_merge_train, table);
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
	while (table->ended) {
		struct interface *ended = table->ended;

		table->ended = ended->next;
		table_forget(table, ended);
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

struct interface_table_counts interface_table_count(const struct interface_table *table)
{
	struct interface_table_counts counts = {.links = table->count};

	FOR_EACH_INTERFACE (table, interface) {
		counts.wanted += interface->wanted;
		if (interface->attach_error)
			counts.attach_error = interface->attach_error;
		if (interface->state != INTERFACE_COUNTING)
			continue;
		counts.monitored++;
		counts.tcx += interface->attachment.ops == &attach_tcx;
		counts.clsact += interface->attachment.ops == &attach_clsact;
	}
	return counts;
}

size_t interface_table_fills(const struct interface_table *table, struct metrics_map *fills,
			     size_t n)
{
	size_t count = 0;

	FOR_EACH_INTERFACE (table, interface) {
		if (interface->state != INTERFACE_COUNTING || count == n)
			continue;
		memcpy(fills[count].name, interface->link.name, sizeof(fills[count].name));
		fills[count++].flows = program_fill(table->monitor->program, interface->map.slot);
	}
	return count;
}
