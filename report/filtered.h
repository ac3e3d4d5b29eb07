/* SPDX-License-Identifier: GPL-2.0-only */
/* Which flows of a report its reader wants to see, and how much the others are. Pure. */
#ifndef FLOWTALLY_FILTERED_H
#define FLOWTALLY_FILTERED_H

#include <stdbool.h>

struct filter;
struct report;
struct report_flow;

/*
 * Leaves the flows that only selects, all if it is empty, and ignore does not. The others go into
 * report.filtered and out of report.total; those that tunnels left out just go. A translated flow
 * is looked at with both its faces. To be called before report_limit(). 0 or -ENOMEM.
 */
int report_filter(struct report *report, const struct filter *only, const struct filter *ignore);

/* By the places of the report's interfaces; the names are the report's, the array the caller's.
 * NULL: no memory. */
const char **report_interface_names(const struct report *report);

/* Whether only selects the flow, as report_filter() looks at it. */
bool report_flow_is_selected(const struct report *report, const char *const *names,
			     const struct report_flow *flow, const struct filter *only);

#endif
