/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside of interface_table*.c only. */
#ifndef FLOWTALLY_INTERFACE_TABLE_PRIVATE_H
#define FLOWTALLY_INTERFACE_TABLE_PRIVATE_H

#include "lib/pace.h"
#include "supervisor/admission.h"
#include "supervisor/interface_table.h"

#define TABLE_BUCKETS 4096 /* a power of two */

struct interface_table {
	const struct monitor *monitor;
	const struct config *config;
	struct interface *buckets[TABLE_BUCKETS]; /* present links, by ifindex */
	size_t count;
	struct interface *gone;	 /* links that went, not looked at yet */
	struct interface *ended; /* phases that ended in this interval, for its report */
	struct interface *faded; /* links that went unwatched, and are in the slot table yet, or
				    were tunnels */
	size_t waiting;		 /* so many of those that ended have a map that is not read yet */
	uint32_t era;		 /* counts the changes of roles, and of who is monitored */
	bool monitored_changed;	 /* who is monitored changed since the last of them */
	bool judged;		 /* a hook is: what it is judged by must be of its time */
	bool fragments_covered;	 /* as of flow_control */
	uint32_t known_ifindex;	 /* the highest that was seen */
	uint32_t known_before;	 /* the same before the dump that is running */
	bool recovered;		 /* from what a dead agent left */
	bool unswept;		 /* what it told the program of links that are gone is there yet */
	bool started;		 /* the first dump is done */
	bool suspicious;  /* this dump follows a loss: a link with a known index may be another one
			   */
	uint64_t losses;  /* maps, and CPUs' trains, that could not be read to their end */
	bool untaken;	  /* the quiet set of trains is to be read before the epoch changes again */
	int drain_error;  /* of the last one; 0: what there was was read */
	bool unheld;	  /* trains could not be pinned, said once */
	bool changed;	  /* since the last reconciliation */
	bool unfinished;  /* that reconciliation is */
	struct pace pace; /* of reconciliations */
	bool rematch;
	size_t check_bucket;   /* where the self-check goes on; TABLE_BUCKETS: it is done */
	int reconcile_error;   /* negative errno that was told; 0: all is as it is wanted */
	int64_t full_retry_ns; /* when nearly full maps are tried again; 0: none wait */
	int64_t look_ns;    /* when strangers are to be looked for again; 0: not before a report */
	int64_t rested_ns;  /* no look before that, as the last one took its time */
	size_t look_bucket; /* where that look begins */
	bool ports_refused; /* said already */
	int64_t gathering_ns; /* since when interfaces wait to be started; 0: none does */
	struct admission admission;
};

/* Of a list of the table, or of one bucket. */
#define FOR_EACH_IN(list, entry) for (struct interface *entry = (list); entry; entry = entry->next)

/* All that are present. These are two loops: break leaves one bucket only. */
#define FOR_EACH_INTERFACE(table, entry)                             \
	for (size_t bucket_ = 0; bucket_ < TABLE_BUCKETS; bucket_++) \
		FOR_EACH_IN ((table)->buckets[bucket_], entry)

/* Links, and phases that ended: at most so many have records in this interval. */
size_t table_count_phases(const struct interface_table *table);

/* The pointer that points to the interface with this index, or to the end of its bucket. */
struct interface **table_find(struct interface_table *table, uint32_t ifindex);

void table_push(struct interface **list, struct interface *interface);
/* To those that ended in this interval; its map may wait to be read. */
void table_push_ended(struct interface_table *table, struct interface *ended);

/* Whether it counts until the others have the roles of a host where it does not. */
static inline bool table_is_leaving(const struct interface *interface)
{
	return interface->state == INTERFACE_COUNTING && !interface->wanted && !interface->gone &&
	       !interface->reattach;
}

/* The program forgets what a dead agent told it of links that are gone, once those that are there
 * have told it their roles. */
void table_sweep(struct interface_table *table);

/*
 * Reads a map of the interface that no program can reach any more into the merge, and closes it.
 * for_long: it may take until the end of the interval before it is in a report.
 */
void table_read_and_close(struct interface_table *table, struct interface *interface,
			  struct flow_map *map, bool for_long);

/* For which slots CPUs hold something, in either set. 0 or negative errno. */
int table_mark_trains(struct interface_table *table, bool in_trains[FLOW_SLOTS]);

/*
 * The slot table forgets the links that were gone the last time that this was called: what was
 * under way then has arrived. It does so with each report that was written, but that may be far
 * away, or reports cannot be written, and the places are needed.
 */
void table_forget_old_words(struct interface_table *table);

/* A link that went and was not monitored: to those that faded, or freed. */
void table_fade(struct interface_table *table, struct interface *interface);

/* Reads the maps of ended phases, and what CPUs hold. 0 or negative errno: some wait yet. */
int table_drain_ended(struct interface_table *table);
/* The same before its time, when there are many; a failure is logged. */
void table_drain_ended_early(struct interface_table *table);

/*
 * What was counted under an id goes into the report with the role of that time. It becomes an
 * object of its own, ended, a new one of the same link, so that the interface may go on under
 * another id in the same interval.
 */
void table_move_phase(struct interface_table *table, struct interface *interface,
		      struct interface *ended);

/* Its counting ended: what it was compared with is told when all has been read. */
void table_end_truth(struct interface *interface);
/* Two that went one after the other: what one end of a veth pair received is what the other sent.
 */
void table_join_ends(struct interface *a, struct interface *b);
/* Reads all links' counters, before or after the instant of a swap. */
void table_read_counters(struct interface_table *table, enum truth_at at);
/* All that was counted until that swap has been read. */
void table_tell_truth(struct interface_table *table);
/* All that was counted in ended phases has been read. */
void table_tell_ended_gaps(struct interface_table *table);

/*
 * Reads the addresses of devices of other network namespaces that stand on interfaces: on all of
 * them, or on some of those where that may just be changing. Notes a change of roles.
 */
void table_find_strangers(struct interface_table *table, bool all);
/* Something was told of that link, or of one that stands on it. */
void table_expect_strangers(struct interface_table *table, uint32_t ifindex);
void table_forget_strangers(struct interface_table *table, struct interface *interface);
bool table_has_stranger(const struct interface *interface, const struct flow_turner *turner);
bool table_has_strangers(const struct interface *interface);

/* Asks for what the outer packets of a WireGuard device have; of another one nothing. */
void table_ask_port(struct interface_table *table, struct interface *interface);

/* Every interface, and the program, gets the role that it has now. 0 or negative errno. */
int table_update_roles(struct interface_table *table);

#endif
