/* SPDX-License-Identifier: GPL-2.0-only */
/* What all written reports together say. */
#ifndef FLOWTALLY_TOTALS_H
#define FLOWTALLY_TOTALS_H

#include "bpf/flow_types.h"

#include <stdint.h>

struct report;
struct report_unattributed;

/* The reasons of a report (merge.h), in this order. */
enum unattributed_reason {
	UNATTRIBUTED_NON_IP,
	UNATTRIBUTED_MALFORMED,
	UNATTRIBUTED_MAP_FULL,
	UNATTRIBUTED_BEFORE_ATTACH,
	UNATTRIBUTED_REASONS,
};

/* What could not be attributed to a flow, by reason. */
struct unattributed {
	struct flow_count count[UNATTRIBUTED_REASONS];
};

const char *unattributed_name(enum unattributed_reason reason);
void unattributed_add_item(struct unattributed *sum, const struct report_unattributed *item);
/* Adds what a report says of all interfaces. */
void unattributed_add(struct unattributed *sum, const struct report *report);

struct totals {
	uint64_t reports;
	uint64_t flows; /* of each report: one that lasts over two of them is in both */
	struct flow_count count;
	uint64_t summed_flows;	  /* of these: beyond max_flows ... */
	struct flow_count summed; /* ... and what they amount to */
	struct unattributed unattributed;
	struct unattributed last; /* of the last report alone */
};

/* The report is written. */
void totals_add(struct totals *totals, const struct report *report);

#endif
