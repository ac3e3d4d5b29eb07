/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decides which sights of a flow are first sights, those that count (doc/dedup.md). Some hooks show
 * only first sights, some only repeats. Of what the others show, all that their references did not
 * show is a first sight. References of the interval before count too, as far as a judged hook owes:
 * a packet between two hooks when the maps were swapped is at one of them in the old interval and
 * at the other in the new one.
 */
#ifndef FLOWTALLY_JUDGE_H
#define FLOWTALLY_JUDGE_H

#include "report/flow_table.h"

struct debt;
struct judge;
struct merge_interface;
struct report_interface;

/* One interval; all borrowed as long as the judge lives. */
struct judge_input {
	const struct flow_table *flows;
	const struct debt *owed; /* from the interval before */
	struct debt *owing;	 /* empty; filled in for the next one; NULL: it is not asked for */
};

/* listed: the same interfaces in the order of the report. 0 or -ENOMEM. */
int judge_new(struct judge **ret, const struct judge_input *input,
	      const struct report_interface *listed, const struct merge_interface *interfaces,
	      size_t count);
void judge_free(struct judge *judge);

/*
 * Whether what is counted of the flow follows from each of its sights alone, so that it is the same
 * whatever else of the flow is read later in the interval: none of them is judged, and nothing is
 * judged by them.
 */
bool judge_is_certain(const struct judge *judge, const struct flow_entry *entry);

/* What of the flow's sights is counted, by sender. 0 or -ENOMEM. */
int judge_flow(struct judge *judge, const struct flow_entry *entry, struct flow_count counted[2]);

/* The index into listed of the interface where most bytes of the last flow were counted;
 * UINT32_MAX: none were. */
uint32_t judge_counted_at(const struct judge *judge);

/* After the last flow: completes what is owed. 0 or -ENOMEM. */
int judge_close(struct judge *judge);

/* The index into listed of the interface with that id. */
uint32_t judge_interface(const struct judge *judge, uint32_t id);

/* What was counted of flows at the interface so far: in, out. interface: index into listed. */
const struct flow_count *judge_first_sights(const struct judge *judge, uint32_t interface);

/* The same of packets of no flow, by enum flow_reason. */
const struct flow_count *judge_unattributed(const struct judge *judge, uint32_t interface);

/* Classes that the merge makes of enum flow_class and a key's unsure: flow_cell.kind is one of all
 * of these. */
enum unsure_class {
	FLOW_EGRESS_UNSURE = FLOW_CLASSES,
	FLOW_INGRESS_TURNED,
	FLOW_ALL_CLASSES,
};

static inline bool flow_class_is_ingress(unsigned int kind)
{
	return kind == FLOW_INGRESS || kind == FLOW_INGRESS_TURNED;
}

#endif
