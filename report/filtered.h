/* SPDX-License-Identifier: GPL-2.0-only */
/* Which flows of a report its reader wants to see, and how much the others are. Pure. */
#ifndef FLOWTALLY_FILTERED_H
#define FLOWTALLY_FILTERED_H

#include <stdbool.h>

struct filter;
struct report;
struct report_flow;

/*
 * Keeps the flows that only selects (all if it is empty) and ignore does not. The others go out of
 * report.total into report.filtered; those left out for tunnels, which are in neither, just go. A
 * translated flow is looked at with both its faces. To be called before report_limit(). 0 or
 * -ENOMEM.
 */
int report_filter(struct report *report, const struct filter *only, const struct filter *ignore);

/* The names of the report's interfaces, by their index. The caller frees the array; the names are
 * the report's. NULL: no memory. */
const char **report_interface_names(const struct report *report);

/* Whether only selects the flow, as report_filter() looks at it. */
bool report_flow_is_selected(const struct report *report, const char *const *names,
			     const struct report_flow *flow, const struct filter *only);

#endif
