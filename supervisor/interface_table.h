/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All links of this network namespace, and the one path by which what is wanted becomes what is
 * monitored: interface_table_reconcile(), after start, a notification, a dump after lost
 * notifications, and a reload alike.
 */
#ifndef FLOWTALLY_INTERFACE_TABLE_H
#define FLOWTALLY_INTERFACE_TABLE_H

#include "supervisor/interface.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interface_table;
struct report;
struct tunnel_set;

/* monitor and config are borrowed; *config may change, then interface_table_rematch(). */
int interface_table_new(struct interface_table **ret, const struct monitor *monitor,
			const struct config *config);
/* The program must be off all interfaces: interface_table_stop(). */
void interface_table_free(struct interface_table *table);

/* What RTNETLINK says; only notes it. Between dump_begin and dump_end what is not mentioned turns
 * out to be gone. */
void interface_table_link(struct interface_table *table, const struct link *link);
void interface_table_dump_begin(struct interface_table *table);
void interface_table_dump_end(struct interface_table *table);

/* The patterns changed. */
void interface_table_rematch(struct interface_table *table);

/*
 * Detaches what is gone or not wanted any more, its records into the merge; attaches what is
 * wanted, for about budget_ns, so that the netlink reader is not kept waiting. Returns whether
 * there is more to do now.
 */
bool interface_table_reconcile(struct interface_table *table, int64_t budget_ns);

/* When a failed attach should be tried again, on the boot clock; 0: nothing to try again. */
int64_t interface_table_retry_ns(const struct interface_table *table);

/*
 * Reads all maps into the merge: those that were written to are swapped first. An interface whose
 * map cannot be swapped or read keeps it for the next time, and that is logged.
 */
void interface_table_drain(struct interface_table *table);

/* Reads the maps that near their limit into the merge, so that new flows find room in fresh ones. 0
 * or negative errno. */
int interface_table_drain_full(struct interface_table *table);

/* Stops counting everywhere, reads all maps into the merge. interface_table_detach() then takes the
 * program off. */
void interface_table_stop(struct interface_table *table);
void interface_table_detach(struct interface_table *table);

/* Adds what is in the maps now to a merge of the caller, without touching them: for a look at the
 * running interval. 0 or negative errno. */
int interface_table_peek(struct interface_table *table, struct merge *merge);

/* Every interface that was monitored at any time of this interval; owned by the caller (free()),
 * its content borrowed from the table. */
struct merge_interface *interface_table_interval(struct interface_table *table, size_t *count);
/* The tunnel devices of this interval, monitored or not. 0 or -ENOMEM. */
int interface_table_tunnels(const struct interface_table *table, struct tunnel_set *tunnels);
/* The report of the interval is out: forget the interfaces that ended in it. */
void interface_table_next_interval(struct interface_table *table);

struct interface_table_counts {
	size_t links;
	size_t wanted;
	size_t monitored;
	size_t tcx;
	size_t clsact;
	int attach_error; /* of an interface that is wanted and could not be attached */
};
struct interface_table_counts interface_table_count(const struct interface_table *table);

/* The name of each monitored interface, and how many flows its map holds, for at most n. Returns
 * for how many. */
struct metrics_map;
size_t interface_table_fills(const struct interface_table *table, struct metrics_map *fills,
			     size_t n);

#endif
