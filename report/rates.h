/* SPDX-License-Identifier: GPL-2.0-only */
/* How fast flows are, from two looks at one interval. Pure: the clock is in the reports. */
#ifndef FLOWTALLY_RATES_H
#define FLOWTALLY_RATES_H

#include "report/flow_table.h"

#include <stdint.h>

struct report;
struct report_flow;

/* Older looks say little of what is going on now. */
#define RATES_MAX_AGE_NS 10000000000LL

/* What a look saw. Zeroed: a look at the begin of the interval, when there was nothing. */
struct rates {
	struct flow_table flows; /* one cell for each end that sent */
	int64_t at_ns;		 /* since the interval began */
};

void rates_clean(struct rates *rates);

/* Notes what report, a look at the running interval, saw. 0, or -ENOMEM, then it is as if zeroed.
 */
int rates_note(struct rates *rates, const struct report *report);

/* Bytes a second that this end of the flow sent between the look that rates noted and report, which
 * the flow is in. */
double rates_of(const struct rates *rates, const struct report *report,
		const struct report_flow *flow, int end);

#endif
