// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/interface_table.h"
#include "config/config.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "supervisor/interface_selection.h"
#include "supervisor/interface_table_private.h"
#include "supervisor/program.h"
#include "supervisor/slot_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How long the first interfaces of a storm wait for others, before the roles of all are resolved.
 */
#define GATHER_NS (250 * NSEC_PER_MSEC)
/*
 * A reconciliation looks at all links. In a storm each round of events would begin one, and events
 * are as many as links: so there is one in so long for each link, but for the first few in a row.
 */
#define ROUND_NS_A_LINK 20000
#define ROUNDS_IN_A_ROW 8
/* At the end, of what the kernel has no memory for at that instant. */
#define STOP_TRIES   3
#define DETACH_TRIES 3

int interface_table_new(struct interface_table **ret, const struct monitor *monitor,
			const struct config *config)
{
	struct interface_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->monitor = monitor;
	table->config = config;
	table->check_bucket = TABLE_BUCKETS;
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
	table_free_list(table->faded);
	free(table);
}

size_t table_count_phases(const struct interface_table *table)
{
	size_t count = table->count;

	FOR_EACH_IN (table->gone, gone)
		count++;
	FOR_EACH_IN (table->ended, ended)
		count++;
	return count;
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
	/* table_handle_dellink() sets it if the last message tells */
	interface->moment.known = false;
	table->changed = true;
	table_push(&table->gone, interface);
}

/*
 * Whether it came while nobody looked, so that none of what its counters have is in a report. The
 * kernel counts indices up; one that comes from another network namespace may bring a high one, and
 * counters with it: that too much is said to be lost then is better than nothing where some was.
 */
static bool table_came_unseen(const struct interface_table *table, const struct link *link)
{
	return (table->suspicious || (!table->started && table->recovered)) &&
	       link->ifindex > table->known_before;
}

static int table_add(struct interface_table *table, struct interface **at, const struct link *link,
		     bool unseen)
{
	struct interface *interface;
	int err = interface_new(&interface, link);

	if (err)
		return err;
	interface->wanted_from_birth = table->started;
	/* that of one that had its index, or of a dead agent */
	interface->slot = slot_table_get(program_slots(table->monitor->program), link->ifindex);
	if (unseen) {
		interface->wanted_from_birth = true;
		interface->at_birth = (struct link_stats){0};
	}
	if (table->started && link->ifindex > table->known_ifindex)
		table->known_ifindex = link->ifindex;
	interface->mentioned = true;
	interface_match(interface, table->config);
	*at = interface;
	table->count++;
	table->changed = true;
	table_ask_port(table, interface);
	log_debug("%s: ifindex %u, kind %s", link->name, link->ifindex, link_kind(link));
	return 0;
}

/* Of what came in, by the last comparison. */
static bool table_missed(const struct interface *interface)
{
	const struct truth_verdict in = truth_verdict(interface->truth, TRUTH_IN);

	return in.known && in.missed.packets;
}

static void table_look(struct interface_table *table, struct interface *interface)
{
	struct attacher *attacher = table->monitor->attacher;
	bool outrun;

	if (interface->state != INTERFACE_COUNTING || interface->reattach)
		return;
	outrun = attach_is_outrun(attacher, &interface->attachment);
	if (!outrun && attach_look(attacher, interface->link.name, &interface->attachment,
				   table_missed(interface))) {
		table->changed = true;
		outrun = attach_is_outrun(attacher, &interface->attachment);
	}
	if (!outrun)
		return;
	log_notice("%s: others run before clsact's filter: attaching anew", interface->link.name);
	interface->reattach = true;
	table->changed = true;
}

void interface_table_look(struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface)
		table_look(table, interface);
	table_find_strangers(table, true);
}

static int table_update(struct interface_table *table, struct interface *interface,
			const struct link *link)
{
	bool flags_changed = interface->link.flags != link->flags, changed = false;
	bool was_down = !(interface->link.flags & IFF_UP), was_wanted = interface->wanted;
	const struct link_stats before = interface->link.stats;
	int err = interface_update(interface, link, &changed);

	if (flags_changed)
		table_ask_port(table, interface);
	/* Whoever attaches to a link of a container also changes it. A dump tells of all links, and
	 * each look waits for the RTNL lock. */
	if (!table->suspicious || flags_changed || changed)
		table_look(table, interface);
	if (err || !changed)
		return err;
	table->changed = true;
	interface_match(interface, table->config);
	/* The kernel does not tell of alternative names that a link gets while it is down: it may
	 * have been wanted since before it carried the first packet. What was lost may have told of
	 * other names and packets in between. */
	if (table->started && !table->suspicious && was_down && !was_wanted && interface->wanted) {
		interface->wanted_from_birth = true;
		interface->at_birth = before;
	}
	return 0;
}

/*
 * Whether it is attached in our eyes but not in the kernel's: then this is another link with the
 * index of the one we knew. The kernel is asked only where something speaks for it: it would take
 * most of our time in a storm, and each question waits for whoever makes the storm (RTNL lock).
 */
static bool table_is_impostor(const struct interface_table *table,
			      const struct interface *interface, const struct link *link)
{
	struct attacher *attacher = table->monitor->attacher;

	return table->suspicious && !interface->mentioned && interface->state != INTERFACE_KNOWN &&
	       (!interface_resembles(interface, link) ||
		!attach_in_stock(attacher, &interface->attachment)) &&
	       attach_missing(attacher, &interface->attachment);
}

/* Whether an impostor is another link for certain, and not the one we knew without our program:
 * kinds stay, and counters grow. */
static bool table_is_newer(const struct interface *interface, const struct link *link)
{
	const struct truth_moment *moment = &interface->moment;
	const struct link_stats *told = &interface->link.stats;
	const struct link_stats *read = moment->known ? &moment->stats[TRUTH_BEFORE] : told;
	const struct link_stats *now = &link->stats;

	return strcmp(interface->link.kind, link->kind) != 0 ||
	       now->rx_packets < told->rx_packets || now->tx_packets < told->tx_packets ||
	       now->rx_packets < read->rx_packets || now->tx_packets < read->tx_packets;
}

/* Whether it has the index of one that a dead agent had monitored: nobody told of its end. */
static bool table_is_another(const struct interface *interface, const struct link *link)
{
	return interface->recalled && (strcmp(interface->link.name, link->name) != 0 ||
				       strcmp(interface->link.kind, link->kind) != 0);
}

/* The last message of a link tells its counters. */
static void table_handle_dellink(struct interface_table *table, struct interface **at,
				 const struct link *link)
{
	struct interface *interface = *at;

	table_link_gone(table, at);
	interface->moment = (struct truth_moment){.stats = {link->stats, link->stats},
						  .known = link->has_stats};
	/* the one that went before it */
	table_join_ends(interface, interface->next);
	if (link->lower && !link->lower_in_other_netns)
		table_expect_strangers(table, link->lower);
}

int interface_table_link(struct interface_table *table, const struct link *link)
{
	struct interface **at = table_find(table, link->ifindex);
	bool unseen = table_came_unseen(table, link);
	int err = 0;

	if (link->gone) {
		if (*at)
			table_handle_dellink(table, at, link);
		return 0;
	}
	if (*at && (table_is_impostor(table, *at, link) || table_is_another(*at, link))) {
		unseen |= table->suspicious && table_is_newer(*at, link);
		table_link_gone(table, at);
		at = table_find(table, link->ifindex);
	}
	if (*at)
		err = table_update(table, *at, link);
	else
		err = table_add(table, at, link, unseen);
	if (*at) {
		(*at)->mentioned = true;
		(*at)->recalled = false;
	}
	table_expect_strangers(table, link->ifindex);
	return err;
}

void interface_table_dump_begin(struct interface_table *table)
{
	/* one that is tried again has seen some of the new ones */
	if (!table->suspicious)
		table->known_before = table->known_ifindex;
	table->suspicious = table->started;
	if (table->suspicious)
		attacher_take_stock(table->monitor->attacher);
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
	if (table->suspicious)
		attacher_drop_stock(table->monitor->attacher);
	table->suspicious = false;
	if (!table->started)
		table_find_strangers(table, true);
	table->started = true;
}

void interface_table_rematch(struct interface_table *table)
{
	table->rematch = true;
	table->changed = true;
}

static void table_match_all(struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface)
		interface_match(interface, table->config);
	table->rematch = false;
}

void table_push_ended(struct interface_table *table, struct interface *ended)
{
	table->waiting += ended->map.fd >= 0;
	table_push(&table->ended, ended);
}

void table_move_phase(struct interface_table *table, struct interface *interface,
		      struct interface *ended)
{
	ended->life = interface->life;
	ended->id = interface->id;
	ended->era = interface->era;
	ended->was_up = interface->was_up;
	ended->has_counted = interface->has_counted;
	ended->before_attach = interface->before_attach;
	ended->truth = truth_hold(interface->truth);
	ended->interval_role = interface->interval_role;
	ended->map = interface->map;
	interface->before_attach = (struct flow_count){0};
	interface->interval_role = (struct topology_role){0};
	interface->map = (struct flow_map){.fd = -1};
	interface->has_counted = false;
	interface->id = 0;
	table_push_ended(table, ended);
}

static int table_end_phase(struct interface_table *table, struct interface *interface)
{
	struct interface *ended;
	int err = interface_new(&ended, &interface->link);

	if (!err)
		table_move_phase(table, interface, ended);
	return err;
}

static int table_end_monitoring(struct interface_table *table, struct interface *interface)
{
	int err = interface->id ? table_end_phase(table, interface) : 0;

	if (err)
		return err;
	/* one that is attached anew goes on with its totals */
	if (!interface->reattach)
		interface->total = (struct interface_total){0};
	table_end_truth(interface);
	interface->reattach = false;
	interface->state = INTERFACE_KNOWN;
	return 0;
}

/* Not monitored any more, but the program could not be taken off. */
static bool table_is_undetached(const struct interface *interface)
{
	return interface->state == INTERFACE_KNOWN && attach_is_on(&interface->attachment);
}

static bool table_has_undetached(const struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface)
		if (table_is_undetached(interface))
			return true;
	return false;
}

static void table_retry_detach(struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface)
		if (table_is_undetached(interface))
			interface_detach_each(&interface, 1, table->monitor);
}

static bool table_should_stop(const struct interface *interface)
{
	/* STOPPED and wanted: it found no place in the slot table */
	return interface->state != INTERFACE_KNOWN && !table_is_leaving(interface) &&
	       (!interface->wanted || interface->reattach || interface->state == INTERFACE_STOPPED);
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
		if (interface->state != INTERFACE_STOPPED)
			interface_stop(interface, monitor, interface->gone || interface->reattach);
		if (interface->reattach)
			interface_begin_gap(interface);
	}
	interface_detach_each(selection->interfaces, selection->count, monitor);
}

/* Lets go of links that went: their phases wait for the report, the rest fades. */
static void table_clear_gone(struct interface_table *table)
{
	while (table->gone) {
		struct interface *interface = table->gone;

		table->gone = interface->next;
		if (table_is_undetached(interface))
			interface_detach_each(&interface, 1, table->monitor);
		interface_apply_turner(interface, table->monitor);
		table_forget_strangers(table, interface);
		if (interface->id)
			table_push_ended(table, interface);
		else
			table_fade(table, interface);
	}
}

/* Ends the monitoring of all that should stop, and lets go of the links that went. */
static int table_end_unwanted(struct interface_table *table)
{
	struct selection selection;
	size_t capacity = table->count;
	int err;

	FOR_EACH_IN (table->gone, interface)
		capacity++;
	err = selection_init(&selection, capacity);
	if (err) {
		selection_clean(&selection);
		return err;
	}
	FOR_EACH_IN (table->gone, interface)
		if (table_should_stop(interface))
			selection_add(&selection, interface);
	FOR_EACH_INTERFACE (table, interface)
		if (table_should_stop(interface))
			selection_add(&selection, interface);
	table->monitored_changed |= selection.count > 0;
	table_stop_selected(table, &selection);
	for (size_t i = 0; i < selection.count && !err; i++)
		if (!selection.interfaces[i]->gone)
			err = table_end_monitoring(table, selection.interfaces[i]);
	selection_clean(&selection);
	table_clear_gone(table);
	return err;
}

static size_t table_list_waiting(struct interface_table *table, bool retry,
				 struct interface **waiting)
{
	size_t count = 0;

	FOR_EACH_INTERFACE (table, interface)
		if (interface->wanted && interface->state == INTERFACE_KNOWN &&
		    !attach_is_on(&interface->attachment) && (retry || !interface->attach_error))
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
	table_retry_detach(table);
	err = table_end_unwanted(table);
	more = table_attach_wanted(table, deadline_ns, retry);
	if (!err && !table_gathers(table, more)) {
		table->gathering_ns = 0;
		err = table_update_roles(table);
		/* who leaves does so when the others know it: what it saw is theirs to count now */
		if (!err)
			err = table_end_unwanted(table);
	}
	if (table_has_undetached(table))
		admission_retry(&table->admission);
	if (err)
		admission_retry(&table->admission);
	if (err && err != table->reconcile_error)
		log_error("interfaces could not all be reconciled: %s; trying again",
			  strerror(-err));
	table->reconcile_error = err;
	return more;
}

void interface_table_hurry(struct interface_table *table)
{
	table->pace = (struct pace){0};
}

static bool table_pauses(const struct interface_table *table, int64_t now_ns)
{
	return table->changed && !table->unfinished && now_ns < table->pace.next_ns;
}

bool interface_table_reconcile(struct interface_table *table, int64_t budget_ns)
{
	int64_t now_ns = clock_boottime_ns();
	bool retry = table->admission.retry_ns && now_ns >= table->admission.retry_ns;

	if (table->look_ns && now_ns >= table->look_ns &&
	    (!table->changed || table_pauses(table, now_ns)))
		table_find_strangers(table, false);
	if (!table->changed && !retry) {
		/* so that the next link need not wait for it */
		admission_refill(&table->admission);
		return false;
	}
	if (!retry && table_pauses(table, now_ns))
		return false;
	pace_take(&table->pace, now_ns, (int64_t)table->count * ROUND_NS_A_LINK, ROUNDS_IN_A_ROW);
	table->changed = table->unfinished = table_reconcile(table, now_ns + budget_ns, retry);
	return table->changed || admission_is_low(&table->admission);
}

int64_t interface_table_retry_ns(const struct interface_table *table)
{
	int64_t retry_ns = clock_earlier_ns(table->look_ns, table->admission.retry_ns);

	retry_ns = clock_earlier_ns(retry_ns, table->full_retry_ns);
	return table->changed ? clock_earlier_ns(table->pace.next_ns, retry_ns) : retry_ns;
}

bool interface_table_full_is_due(const struct interface_table *table)
{
	return table->full_retry_ns && clock_boottime_ns() >= table->full_retry_ns;
}

/* Called again after a failure, it does what is left. */
static int table_stop(struct interface_table *table)
{
	int err = 0, drain_err = 0;

	/* those that went since the last reconciliation */
	if (table->gone)
		err = table_end_unwanted(table);
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
			err = table_end_monitoring(table, interface);
	if (table->waiting || table->untaken)
		drain_err = table_drain_ended(table);
	return err ? err : drain_err;
}

int interface_table_stop(struct interface_table *table)
{
	int err = table_stop(table);

	for (int try = 1; try < STOP_TRIES && err; try++)
		err = table_stop(table);
	return err;
}

static void table_detach_all(struct interface_table *table)
{
	struct selection selection;
	int err = selection_init(&selection, table->count);

	if (err)
		log_error("cannot detach: %s", strerror(-err));
	else
		FOR_EACH_INTERFACE (table, interface)
			if (attach_is_on(&interface->attachment))
				selection_add(&selection, interface);
	interface_detach_each(selection.interfaces, selection.count, table->monitor);
	selection_clean(&selection);
}

void interface_table_detach(struct interface_table *table)
{
	size_t left = SIZE_MAX;

	for (int try = 0; try < DETACH_TRIES && left; try++) {
		table_detach_all(table);
		left = interface_table_count(table).attached;
	}
	if (left)
		log_error("programs stay on %zu interfaces: `flowtally cleanup` removes them",
			  left);
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

int interface_table_drain_error(const struct interface_table *table)
{
	return table->drain_error;
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
		counts.attached += attach_is_on(&interface->attachment);
		counts.monitored += interface->state == INTERFACE_COUNTING;
		counts.tcx += attach_is_tcx(&interface->attachment);
	}
	counts.clsact = counts.attached - counts.tcx;
	return counts;
}
