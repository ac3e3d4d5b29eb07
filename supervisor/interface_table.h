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

struct checkpoint;
struct checkpoint_phase;
struct held_train;
struct interface_table;
struct report;
struct tunnel_set;

/* monitor and config are borrowed; *config may change, then interface_table_rematch(). 0 or
 * -ENOMEM. */
int interface_table_new(struct interface_table **ret, const struct monitor *monitor,
			const struct config *config);
/* Leaves programs on interfaces as they are: interface_table_stop() and interface_table_detach()
 * come first, unless another agent takes over. */
void interface_table_free(struct interface_table *table);

/* What a successor has to know: all phases of this interval. checkpoint_clean_phases() frees them.
 * 0 or -ENOMEM. */
int interface_table_describe(struct interface_table *table, struct checkpoint_phase **ret,
			     size_t *count);
/* The table's part of a checkpoint that is empty. 0 or -ENOMEM. */
int interface_table_save(struct interface_table *table, struct checkpoint *checkpoint);

/* Whether an interface is attached: the one of this index, or of this life. */
bool interface_table_has_attached(struct interface_table *table, uint32_t ifindex);
bool interface_table_has_life(struct interface_table *table, uint32_t life);

/* What RTNETLINK says; only notes it. Between dump_begin and dump_end what is not mentioned turns
 * out to be gone. 0 or -ENOMEM. */
int interface_table_link(struct interface_table *table, const struct link *link);
void interface_table_dump_begin(struct interface_table *table);
void interface_table_dump_end(struct interface_table *table);

/* The patterns changed. */
void interface_table_rematch(struct interface_table *table);

/* Looks where others came before our programs since they were attached; what is to be done about it
 * is done by the next reconciliation. */
void interface_table_look(struct interface_table *table);

/*
 * Looks whether our programs are still on the hooks of all interfaces, and their maps in their
 * slots; what somebody else removed is said, and put back by the next reconciliation, each time
 * after a longer pause. Looks at all now, and returns whether there is something to put back.
 */
bool interface_table_check(struct interface_table *table);
/* Begins the same look, at a few interfaces at a time. */
void interface_table_begin_check(struct interface_table *table);
/* Goes on with that for 20 ms. Returns whether there is more to do. */
bool interface_table_check_some(struct interface_table *table);
/* What is broken (struct repair), as the beginning of a sentence: "our program at ingress was". */
const char *repair_name(unsigned int broken);

/*
 * Detaches what is gone or not wanted any more, its records into the merge; attaches what is
 * wanted, for about budget_ns, so that the netlink reader is not kept waiting. Returns whether
 * there is more to do now.
 */
bool interface_table_reconcile(struct interface_table *table, int64_t budget_ns);

/* Lets the next interface_table_reconcile() act at once. Otherwise, where there are many links, it
 * spaces its rounds, so that one round takes in many changes. */
void interface_table_hurry(struct interface_table *table);

/* When it has something to do without another message, on the boot clock; 0: never. */
int64_t interface_table_retry_ns(const struct interface_table *table);

/*
 * Reads all maps into the merge: those that were written to are swapped first. An interface whose
 * map cannot be swapped or read keeps it for the next time, and that is logged. for_long: the
 * report that has it may be far away, so what is held for a crash is made small.
 */
void interface_table_drain(struct interface_table *table, bool for_long);

/* Reads the maps that near their limit into the merge, so that new flows find room in fresh ones.
 * What fails is logged and tried again at interface_table_retry_ns(). 0, or the negative errno of
 * looking which they are. */
int interface_table_drain_full(struct interface_table *table);
/* Whether it is to be called again, now. */
bool interface_table_full_is_due(const struct interface_table *table);

/* Stops counting everywhere, reads all maps into the merge. 0 or negative errno: not all of them
 * could be read, also not at a second try. interface_table_detach() then takes the program off. */
int interface_table_stop(struct interface_table *table);
void interface_table_detach(struct interface_table *table);

/* Adds what is in the maps now to a merge of the caller, without touching them: for a look at the
 * running interval. 0 or negative errno. */
int interface_table_peek(struct interface_table *table, struct merge *merge);

/* Adds trains that were taken to a merge. 0; -EBADMSG: these are none; -ENOMEM. */
int interface_table_merge_trains(struct merge *merge, const struct held_train *trains, size_t n);

/* Every interface that was monitored at any time of this interval; owned by the caller (free()),
 * its content borrowed from the table. */
struct merge_interface *interface_table_interval(struct interface_table *table, size_t *count);
/* Before a report: asks for what may have changed of tunnels without a message. */
void interface_table_ask_ports(struct interface_table *table);
/* The tunnel devices of this interval, monitored or not. 0 or -ENOMEM. */
int interface_table_tunnels(const struct interface_table *table, struct tunnel_set *tunnels);
/* Adds what a written report says to the totals of each interface. */
void interface_table_add_totals(struct interface_table *table, const struct report *report);
/* The report of the interval is out: forget the interfaces that ended in it. */
void interface_table_next_interval(struct interface_table *table);

/* Calls found for every link that is present. */
void interface_table_each(const struct interface_table *table,
			  void (*found)(void *data, const struct interface *interface), void *data);
/* Entries in its map, as far as the program tells; 0 if it is not monitored. */
uint64_t interface_table_fill(const struct interface_table *table,
			      const struct interface *interface);
/* Why not all that was counted is in the last report but waits for the next one, a negative errno,
 * or 0. */
int interface_table_drain_error(const struct interface_table *table);
/* How often a map could not be read to its end, so that flows were lost; since the start. */
uint64_t interface_table_losses(const struct interface_table *table);

struct interface_table_counts {
	size_t links;
	size_t wanted;
	size_t attached;
	size_t monitored;
	size_t tcx;
	size_t clsact;
	int attach_error; /* of an interface that is wanted and could not be attached */
};
struct interface_table_counts interface_table_count(const struct interface_table *table);
/* Whether a hook is judged by what others saw (report/judge.h). */
bool interface_table_judges(const struct interface_table *table);

#endif
