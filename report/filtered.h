/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes out of a report what its reader does not want to see, and says how much that is. Pure. */
#ifndef FLOWTALLY_FILTERED_H
#define FLOWTALLY_FILTERED_H

struct filter;
struct report;

/*
 * Leaves the flows that only selects, all if it is empty, and ignore does not. The others go into
 * report.filtered and out of report.total; those that tunnels left out just go. A translated flow
 * is looked at with both its faces. To be called before report_limit(). 0 or -ENOMEM.
 */
int report_filter(struct report *report, const struct filter *only, const struct filter *ignore);

#endif
