/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one interval amounts to: its flows, where they were seen, and what is of no flow. Ids and
 * lives of interfaces are those that the merge knows them by (report/merge.h).
 */
#ifndef FLOWTALLY_REPORT_H
#define FLOWTALLY_REPORT_H

#include "bpf/flow_types.h"
#include "report/nat.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the ends of a flow, by the flow's key, look where its packets are translated. */
struct report_nat {
	struct nat_end seen_as[2];
	bool translated[2]; /* if not, as in the key */
};

struct report_flow {
	struct flow_key key; /* of a translated conversation: as the client sees it */
	uint8_t left;	     /* which end of the key, 0 or 1, is the client and is written left */
	uint32_t nat;	     /* in report.nats, plus 1; 0: not translated */
	struct flow_count sent[2]; /* counted once, by the end of the key that sent it */
	uint32_t interface_first;  /* into report.crossed: where it was seen, in the order of its
				      path from left to right */
	uint32_t interface_count;
	uint32_t counted_at; /* into report.interfaces: where most of its bytes were counted */
	uint32_t tunnel;     /* in report.interfaces, plus 1: the tunnel device whose outer packets
				these are; 0: none */
};

/* Flows that are not named. */
struct report_sum {
	uint32_t interface; /* into report.interfaces */
	size_t flows;
	struct flow_count count;
};

/* What a filter took out. */
struct report_filtered {
	size_t flows;
	struct flow_count count;
};

struct report_unattributed {
	uint32_t interface; /* into report.interfaces */
	const char *reason; /* static: "non_ip", "malformed", "map_full", "before_attach" */
	struct flow_count count;
};

struct report_interface {
	uint32_t id;
	uint32_t life;
	uint32_t ifindex;
	char name[16];
	struct flow_count counted[2]; /* of all flows, here and nowhere else: in, out */
	uint64_t flows;		      /* that it showed, repeats among them */
	struct flow_count in, out;    /* likewise: what its hooks showed of them */
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
	size_t left_out_count; /* so many more stand behind those, sorted likewise: outer packets of
				  tunnels that are in no sum but that of their tunnel */
	struct report_sum *tunnels; /* sorted by interface; those with flows left out, as they
				       were counted inside */
	size_t tunnel_count;
	struct report_sum *others; /* sorted by interface: where most of each was counted. Flows
				      beyond the merge's limit, which are in the total */
	size_t other_count;
	size_t summed_flows; /* in all others; one that was summed and came again counts again */
	uint32_t *crossed;   /* indices into interfaces */
	size_t crossed_count;
	struct report_nat *nats;
	size_t nat_count;
	struct report_unattributed
		*unattributed; /* sorted by interface, then reason; none that is zero */
	size_t unattributed_count;
	struct flow_count total; /* of the flows */
	struct report_filtered filtered;

	size_t named; /* flows that the report names one by one; the rest is summed up in other. Set
			 by report_limit() */
	struct flow_count other;
	size_t left_out_named; /* of those left out, the same */
};

/* Flows of the report's total, named or not. */
static inline size_t report_flow_total(const struct report *report)
{
	return report->flow_count + report->summed_flows;
}

/* Adds what one of two interfaces showed and counted to the other. */
void report_interface_add(struct report_interface *to, const struct report_interface *from);
/* Adds flows to a sum, whatever the interface. */
void report_sum_add(struct report_sum *to, const struct report_sum *from);
void report_sum_add_flow(struct report_sum *sum, const struct report_flow *flow);

/* NULL: the flow is not translated. */
static inline const struct report_nat *report_flow_nat(const struct report *report,
						       const struct report_flow *flow)
{
	return flow->nat ? &report->nats[flow->nat - 1] : NULL;
}

/* Counts the flows that each interface showed, by what they crossed. Phases of one interface are
 * joined before (phase.h), as a flow that crossed two of them crossed it once. */
void report_count_crossings(struct report *report);

/* Names the n largest flows only, and the n largest of those left out; 0: all. */
void report_limit(struct report *report, size_t n);

/* A walk through the named flows, those left out among them, largest first. Begins with zeros. */
struct report_walk {
	size_t counted, left_out;
};
/* The next one; NULL: that was the last. */
const struct report_flow *report_walk(const struct report *report, struct report_walk *walk);

/* Frees what it holds; it is zeroed. */
void report_clean(struct report *report);

#endif
