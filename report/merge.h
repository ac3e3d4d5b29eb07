/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Records of the per-interface maps in, one de-duplicated report out. Pure: no kernel, no clock.
 *
 * An interface is known here by the id of one phase of its life: a stretch of counting in one role.
 * Ids count up from 1 and are never given twice, so a vanished interface and a new one with its old
 * ifindex are two. The phases of one interface share its life.
 */
#ifndef FLOWTALLY_MERGE_H
#define FLOWTALLY_MERGE_H

#include "bpf/flow_types.h"
#include "lib/client_ports.h"
#include "report/report.h"
#include "report/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct filter;
struct local_set;
struct merge;
struct nat_table;
struct tunnel_set;

/*
 * An interface that was monitored at any time of the interval. Where its role in the stack of
 * devices changed within it, each phase is one of these, with an id and a role of its own.
 */
struct merge_interface {
	uint32_t id;
	uint32_t life; /* the same for all phases of one interface; 0: this is the only one */
	uint32_t era;  /* TOPOLOGY_ANY: hooks are judged against what was counted in their era */
	uint32_t ifindex;
	const char *name;		  /* borrowed for the call; its last name in the interval */
	const struct topology_role *role; /* borrowed for the call; over the whole interval */
	struct flow_count before_attach;  /* traffic between its appearance and our attaching */
};

/* What is known of the ends of flows: which one is written left (flowtally(8)), and which
 * flows carry a tunnel; and which of them are wanted. */
struct merge_ends {
	const struct nat_table *nat;	/* borrowed; NULL: nothing is translated, or not joined */
	const struct local_set *locals; /* borrowed; addresses of this host */
	struct client_ports client_ports;
	const struct tunnel_set *tunnels; /* borrowed; NULL: there are none */
	bool count_tunnels;		  /* their outer packets too */
	const struct filter *only,
		*ignore; /* borrowed; flows to report, and of those the ones not to; NULL: all */
};

int merge_new(struct merge **ret);
/* Another one with the same content, for a look at a running interval. */
int merge_copy(struct merge **ret, const struct merge *from);
void merge_free(struct merge *merge);

/* Adds what was drained from an interface's map. 0 or -ENOMEM, then none of the n is added. */
int merge_add(struct merge *merge, uint32_t interface_id, const struct flow_key *keys,
	      const struct flow_value *values, size_t n);

/* Distinct flow keys so far: a translated conversation has several. Those that were summed are
 * counted each time that they came back. */
size_t merge_flow_count(const struct merge *merge);

/* How many flows a report may name, and from how many on the smallest can be summed; 0: all are
 * kept. */
void merge_set_max_flows(struct merge *merge, size_t max_flows);
/* Whether summing is worth its cost: it holds half the limit more flows than the limit, or than the
 * last summing had to leave if that is more. */
bool merge_is_over(const struct merge *merge);
/* Whether the last summing had to leave more than twice the limit, as too many flows cannot be
 * summed: only a report ends this. */
bool merge_must_report(const struct merge *merge);
/*
 * If merge_is_over(): takes out the smallest flows until no more than the limit are left, and keeps
 * their sums for the report. Only flows whose counts are certain are taken: no judged hook saw them
 * and none is judged by them, so nothing read of them later changes what was counted
 * (judge_is_certain()). Parameters as for merge_report(). 0, or -ENOMEM: nothing is taken.
 */
int merge_sum_smallest(struct merge *merge, const struct merge_interface *interfaces, size_t count,
		       const struct merge_ends *ends);

/*
 * Makes the report of all that was added: flows, crossed interfaces, unattributed, totals; the
 * caller sets id and times. interfaces holds every interface that records were added for (records
 * of any other are a programmer's mistake). The faces of a translated conversation (join.h) are
 * joined for good; else the merge is left as it is, so a report that could not be written loses
 * nothing, and a live view can look. The caller frees with report_clean(). 0 or -ENOMEM.
 */
int merge_report(struct merge *merge, const struct merge_interface *interfaces, size_t count,
		 const struct merge_ends *ends, struct report *report);

/*
 * Forgets what was reported and starts the next interval. Must follow the merge_report() that was
 * written. What judged hooks still owe of packets that were between two hooks when the maps were
 * swapped is carried over for one interval.
 */
void merge_next_interval(struct merge *merge);

/*
 * For a later agent: appends what the last merge_report() left owing (an error is the buffer's),
 * and reads it into a merge that has nothing carried over. Decoding: 0; -EBADMSG: these are not
 * such bytes; -ENOMEM.
 */
void merge_encode_owing(const struct merge *merge, struct buffer *bytes);
int merge_decode_owed(struct merge *merge, const void *bytes, size_t size);

/* The same for all that was added in this interval and what was summed of it; into a merge that
 * nothing was added to. */
void merge_encode(const struct merge *merge, struct buffer *bytes);
int merge_decode(struct merge *merge, const void *bytes, size_t size);

/* Drops what was added or summed under all ids but these, which are sorted: no report could say
 * where it was. Returns how many flows lost something by it; *dropped: what the interfaces showed
 * of that. */
size_t merge_keep_ids(struct merge *merge, const uint32_t *ids, size_t count,
		      struct flow_count *dropped);

#endif
