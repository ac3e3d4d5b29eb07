/* SPDX-License-Identifier: GPL-2.0-only */
/* What all written reports together say. */
#ifndef FLOWTALLY_TOTALS_H
#define FLOWTALLY_TOTALS_H

#include "report/unattributed.h"

#include <stdint.h>

struct report;

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
