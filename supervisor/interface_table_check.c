// SPDX-License-Identifier: GPL-2.0-only
/* Whether what was set up is still there: somebody else may have removed it. */
#include "lib/clock.h"
#include "lib/log.h"
#include "netlink/rtnl_query.h"
#include "supervisor/interface_table_private.h"
#include "supervisor/program.h"
#include "supervisor/slot_table.h"

#include <errno.h>
#include <string.h>

/* How long what was repaired is left alone: twice as long each time. Whoever removes it again at
 * once is no mistake to be put right, and each attach costs him and us. */
#define REPAIR_PAUSE_NS	 (30 * NSEC_PER_SEC)
#define REPAIR_DOUBLINGS 7		      /* an hour */
#define CHECK_NS	 (20 * NSEC_PER_MSEC) /* at once */

static int64_t table_repair_pause_ns(const struct repair *repair)
{
	unsigned int doublings =
		repair->count < REPAIR_DOUBLINGS ? repair->count : REPAIR_DOUBLINGS;

	return REPAIR_PAUSE_NS << doublings;
}

static unsigned int table_find_broken(const struct interface_table *table,
				      const struct interface *interface)
{
	const struct monitor *monitor = table->monitor;
	unsigned int broken = attach_missing(monitor->attacher, &interface->attachment);
	struct flow_slot slot =
		slot_table_get(program_slots(monitor->program), interface->link.ifindex);

	if (memcmp(&slot, &interface->slot, sizeof(slot)) != 0)
		broken |= REPAIR_SLOT;
	if (!flow_maps_in_place(monitor->maps, &interface->map))
		broken |= REPAIR_MAP;
	return broken;
}

const char *repair_name(unsigned int broken)
{
	switch (broken & (REPAIR_INGRESS | REPAIR_EGRESS)) {
	case REPAIR_INGRESS | REPAIR_EGRESS:
		return "our programs at ingress and egress were";
	case REPAIR_INGRESS:
		return "our program at ingress was";
	case REPAIR_EGRESS:
		return "our program at egress was";
	}
	return broken & REPAIR_SLOT ? "its entry in the slot table was"
				    : "its flow map in the map of maps was";
}

/* The message that the link is gone may be on its way. */
static bool table_is_there(const struct interface_table *table, const struct interface *interface)
{
	struct link_stats stats;

	return rtnl_query_stats(table->monitor->query, interface->link.ifindex, &stats) != -ENODEV;
}

/*
 * Hooks are put right in place: counting goes on, and what passed unseen is told with the next
 * report. False: it has to be attached anew. *err: a failure, the next check tries again.
 */
static bool table_repair_in_place(struct interface_table *table, struct interface *interface,
				  unsigned int broken, int *err)
{
	const struct monitor *monitor = table->monitor;
	unsigned int missing = broken & ATTACH_BOTH_HOOKS;

	*err = 0;
	if (broken & ~ATTACH_BOTH_HOOKS)
		return false;
	*err = attach_repair(monitor->attacher, &interface->attachment, missing);
	if (*err == -ENOENT || *err == -ENODEV) {
		*err = 0;
		return false;
	}
	/* some may be there */
	missing &= ~attach_missing(monitor->attacher, &interface->attachment);
	if (missing & 1U << TC_HOOK_INGRESS)
		truth_expect_gap(interface->truth, TRUTH_IN);
	if (missing & 1U << TC_HOOK_EGRESS)
		truth_expect_gap(interface->truth, TRUTH_OUT);
	/* how to find it again */
	monitor->checkpoint(monitor->data);
	return true;
}

static void table_repair(struct interface_table *table, struct interface *interface,
			 unsigned int broken)
{
	struct repair *repair = &interface->repair;
	int64_t now_ns = clock_boottime_ns();
	bool known = repair->broken, in_place;
	int err;

	repair->broken = broken;
	if (now_ns < repair->next_ns) {
		if (!known)
			log_warning("%s: %s removed by somebody else, again; attached again in "
				    "%lld s",
				    interface->link.name, repair_name(broken),
				    (repair->next_ns - now_ns) / NSEC_PER_SEC + 1);
		return;
	}
	in_place = table_repair_in_place(table, interface, broken, &err);
	if (err) {
		if (!known)
			log_error("%s: %s removed by somebody else and cannot be put back: %s; "
				  "trying again",
				  interface->link.name, repair_name(broken), strerror(-err));
		return;
	}
	log_warning("%s: %s removed by somebody else; attached again", interface->link.name,
		    repair_name(broken));
	repair->next_ns = now_ns + table_repair_pause_ns(repair);
	repair->count++;
	table->monitor->counts->repairs++;
	if (in_place) {
		repair->broken = 0;
		return;
	}
	interface->reattach = true;
	table->changed = true;
}

static void table_check(struct interface_table *table, struct interface *interface)
{
	struct repair *repair = &interface->repair;
	unsigned int broken;

	if (interface->state != INTERFACE_COUNTING || interface->reattach)
		return;
	broken = table_find_broken(table, interface);
	if (broken && table_is_there(table, interface)) {
		table_repair(table, interface, broken);
		return;
	}
	repair->broken = 0;
	/* it has held for long enough */
	if (repair->count && clock_boottime_ns() > repair->next_ns + table_repair_pause_ns(repair))
		repair->count = 0;
}

bool interface_table_check(struct interface_table *table)
{
	uint64_t before = table->monitor->counts->repairs;

	FOR_EACH_INTERFACE (table, interface)
		table_check(table, interface);
	table_forget_old_words(table);
	table->check_bucket = TABLE_BUCKETS;
	return table->monitor->counts->repairs != before;
}

void interface_table_begin_check(struct interface_table *table)
{
	table_forget_old_words(table);
	table->check_bucket = 0;
}

/* Before Linux 6.8 looking for a map waits for a grace period, so what counts is the time. */
bool interface_table_check_some(struct interface_table *table)
{
	int64_t end_ns = clock_boottime_ns() + CHECK_NS;

	while (table->check_bucket < TABLE_BUCKETS && clock_boottime_ns() < end_ns)
		FOR_EACH_IN (table->buckets[table->check_bucket++], interface)
			table_check(table, interface);
	return table->check_bucket < TABLE_BUCKETS;
}
