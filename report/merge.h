/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records of the per-interface maps in, one de-duplicated report out. Pure: no kernel, no clock.
 *
 * An interface is known here by the id of its monitored life: a number from 1 up that is never
 * given twice, so that a vanished interface and a new one with its old ifindex are two.
 */
#ifndef FLOWTALLY_MERGE_H
#define FLOWTALLY_MERGE_H

#include "bpf/flow_types.h"
#include "report/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct local_set;
struct merge;
struct nat_table;

/* An interface that was monitored at any time of the interval. */
struct merge_interface {
	uint32_t id;
	uint32_t ifindex;
	const char *name;		  /* borrowed for the call; its last name in the interval */
	const struct topology_role *role; /* borrowed for the call; over the whole interval */
	struct flow_count before_attach;  /* traffic between its appearance and our attaching */
};

/* Which end of a flow is written left (CONTRACT section 5). */
struct merge_ends {
	const struct nat_table *nat;	/* borrowed; NULL: translated halves are not joined */
	const struct local_set *locals; /* borrowed; addresses of this host */
	uint16_t ephemeral_first,
		ephemeral_last; /* ports that a client is given, host byte order */
};

struct report_flow {
	struct flow_key key;
	uint8_t left; /* which end of the key, 0 or 1, is the client and is written left */
	struct flow_count sent[2]; /* counted once, by the end of the key that sent it */
	uint32_t interface_first;  /* into report.crossed: where it was seen, in the order of its
				      path from left to right */
	uint32_t interface_count;
};

struct report_unattributed {
	uint32_t interface; /* into report.interfaces */
	const char *reason; /* static: "non_ip", "malformed", "map_full", "before_attach" */
	struct flow_count count;
};

struct report_interface {
	uint32_t id;
	uint32_t ifindex;
	char name[16];
};

struct report {
	uint64_t id;
	int64_t start_ns, end_ns; /* wall clock, since 1970 UTC */
	int64_t duration_ns;	  /* of the boot clock */

	struct report_interface
		*interfaces; /* monitored at any time of the interval; sorted by name, then id */
	size_t interface_count;
	struct report_flow *flows; /* largest first; equal ones by key (memcmp) */
	size_t flow_count;
	uint32_t *crossed; /* indices into interfaces */
	size_t crossed_count;
	struct report_unattributed
		*unattributed; /* sorted by interface, then reason; none that is zero */
	size_t unattributed_count;
	struct flow_count total; /* of the flows */

	size_t named; /* flows that the report names one by one; the rest is summed up in other. Set
			 by report_limit() */
	struct flow_count other;
};

int merge_new(struct merge **ret);
void merge_free(struct merge *merge);

/* Adds what was drained from an interface's map. 0 or -ENOMEM, then none of the n is added. */
int merge_add(struct merge *merge, uint32_t interface_id, const struct flow_key *keys,
	      const struct flow_value *values, size_t n);

/* Distinct flows added so far. */
size_t merge_flow_count(const struct merge *merge);

/*
 * Makes the report of all that was added: flows, crossed interfaces, unattributed, totals; the
 * caller sets id and times. interfaces holds every interface that records were added for (records
 * of any other are a programmer's mistake). The merge itself is left as it is, so a report that
 * could not be written loses nothing, and a live view can look. The caller frees with
 * report_clean(). 0 or -ENOMEM.
 */
int merge_report(struct merge *merge, const struct merge_interface *interfaces, size_t count,
		 const struct merge_ends *ends, struct report *report);

/*
 * Forgets what was reported and starts the next interval. Must follow the merge_report() that was
 * written. What judged hooks still owe of packets that were between two hooks when the maps were
 * swapped is carried over for one interval.
 */
void merge_next_interval(struct merge *merge);

/* Names the n largest flows only; 0: all. */
void report_limit(struct report *report, size_t n);
void report_clean(struct report *report);

#endif
