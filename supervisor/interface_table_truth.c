// SPDX-License-Identifier: GPL-2.0-only
/* What links say that they carried, beside what was counted of them. */
#include "lib/log.h"
#include "netlink/rtnl_query.h"
#include "report/flow_count.h"
#include "supervisor/interface_table_private.h"

#include <string.h>

static void table_note_counters(struct interface_table *table, enum truth_at at, uint32_t ifindex,
				const struct link_stats *stats)
{
	struct interface *interface = *table_find(table, ifindex);

	if (!interface || interface->state != INTERFACE_COUNTING)
		return;
	if (at == TRUTH_BEFORE)
		interface->moment =
			(struct truth_moment){.stats[TRUTH_BEFORE] = *stats, .known = true};
	interface->moment.stats[TRUTH_AFTER] = *stats;
}

static void table_note_before(void *data, uint32_t ifindex, const struct link_stats *stats)
{
	table_note_counters(data, TRUTH_BEFORE, ifindex, stats);
}

static void table_note_after(void *data, uint32_t ifindex, const struct link_stats *stats)
{
	table_note_counters(data, TRUTH_AFTER, ifindex, stats);
}

void table_read_counters(struct interface_table *table, enum truth_at at)
{
	int err = rtnl_query_each_stats(table->monitor->query,
					at == TRUTH_AFTER ? table_note_after : table_note_before,
					table);

	if (err)
		log_warning("the links' own counters cannot be read, so coverage is not known: %s",
			    strerror(-err));
	FOR_EACH_INTERFACE (table, interface)
		if (err && interface->state == INTERFACE_COUNTING)
			interface->moment.known = false;
}

static void table_set_received(struct interface *interface, const struct link_stats *sent)
{
	for (enum truth_at at = 0; at < TRUTH_READINGS; at++) {
		interface->moment.stats[at].rx_packets = sent->tx_packets;
		interface->moment.stats[at].rx_bytes = sent->tx_bytes;
	}
}

/* The last messages do not tell: both ends have lost each other by then (drivers/net/veth.c:
 * veth_dellink). Which came last is of no matter. */
void table_join_ends(struct interface *a, struct interface *b)
{
	if (!b || strcmp(link_kind(&a->link), "veth") != 0 || a->link.lower_in_other_netns ||
	    b->link.lower_in_other_netns || a->link.lower != b->link.ifindex ||
	    b->link.lower != a->link.ifindex || !a->moment.known || !b->moment.known)
		return;
	table_set_received(a, &b->moment.stats[TRUTH_BEFORE]);
	table_set_received(b, &a->moment.stats[TRUTH_BEFORE]);
}

void table_end_truth(struct interface *interface)
{
	truth_release(interface->gap);
	interface->gap = NULL;
	if (interface->reattach && interface->repair.broken)
		interface->gap = interface->truth;
	else
		truth_release(interface->truth);
	interface->truth = NULL;
	interface->repair.broken = 0;
}

/* What it carried while somebody had taken our program off. */
static void table_add_gap(struct interface *interface, const struct flow_count *gap)
{
	flow_count_add(&interface->before_attach, gap);
	log_notice("%s: %llu bytes in %llu packets passed meanwhile, they are before_attach",
		   interface->link.name, gap->bytes, gap->packets);
}

/* Its counting ended, and began anew. */
static void table_tell_gap(struct interface *interface)
{
	struct flow_count gap = truth_take_gap(interface->gap);

	table_add_gap(interface, &gap);
	truth_release(interface->gap);
	interface->gap = NULL;
}

/* Its counting went on. */
static void table_look_behind_gap(struct interface *interface)
{
	struct flow_count gap = truth_tell_gap(interface->truth, &interface->moment);

	if (gap.packets)
		table_add_gap(interface, &gap);
}

void table_tell_ended_gaps(struct interface_table *table)
{
	FOR_EACH_IN (table->ended, ended) {
		struct flow_count gap;

		if (!truth_ended_with_gap(ended->truth))
			continue;
		gap = truth_take_gap(ended->truth);
		if (gap.packets)
			table_add_gap(ended, &gap);
	}
}

void table_tell_truth(struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface) {
		if (interface->state != INTERFACE_COUNTING)
			continue;
		if (interface->gap)
			table_tell_gap(interface);
		if (interface->truth && truth_has_gap(interface->truth))
			table_look_behind_gap(interface);
		else if (interface->truth)
			truth_look(interface->truth, &interface->moment);
		/* one that a dead agent attached begins with this swap */
		else if (interface->moment.known)
			interface_begin_truth(interface, table->monitor);
	}
}
