/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes the reports of the running interval, sends them to the output and commits them: a report
 * that left gets its number for good and ends the interval. One that cannot be written ends
 * nothing, so the next one covers this interval too. It reads no maps: what is to be in a report is
 * in the merge by then.
 */
#ifndef FLOWTALLY_REPORTER_H
#define FLOWTALLY_REPORTER_H

#include "lib/client_ports.h"

#include <stdbool.h>
#include <stdint.h>

struct checkpoint_interval;
struct checkpoint_report;
struct config;
struct continuity;
struct exporter;
struct interface_table;
struct live;
struct local_set;
struct loop;
struct merge;
struct reporter;
struct totals;
struct translation;

/* What reports take; all borrowed. *config may change, then reporter_reopen(). */
struct reporter_means {
	const struct config *config;
	struct loop *loop;
	struct merge *merge;
	struct interface_table *table;
	const struct local_set *locals;
	struct translation *translation;
	struct continuity *continuity;
	struct exporter *exporter;
	struct client_ports client_ports;
};

/* Opens the output. 0 or negative errno. */
int reporter_new(struct reporter **ret, const struct reporter_means *means);
void reporter_free(struct reporter *reporter);

/* The interval begins now, or it is one that an agent that died has left. */
void reporter_begin_interval(struct reporter *reporter);
void reporter_go_on(struct reporter *reporter, const struct checkpoint_interval *interval);
/* When the running interval began, on the boot clock. */
int64_t reporter_began_ns(const struct reporter *reporter);

/* Writes the checkpoint. A failure is logged once. */
void reporter_checkpoint(struct reporter *reporter);
/* Sums the smallest flows of the interval if there are more than max_flows. */
void reporter_relieve(struct reporter *reporter);
/* The same of a report that an agent that died has left; data is the reporter. */
void reporter_relieve_doubtful(void *data, struct merge *doubt,
			       const struct checkpoint_report *left);

/* Writes the report that an agent that died has left in doubt, if there is one. 0 or negative
 * errno: what fails is logged, and tried again before the next report. */
int reporter_write_doubtful(struct reporter *reporter);
/* That, and the report of what is in the merge, which ends the interval. 0 or negative errno: what
 * fails is logged, and the interval goes on. */
int reporter_write(struct reporter *reporter);
/* A report that left whole is not in doubt any more. Of one that is still on its way a checkpoint
 * is written. */
void reporter_end_report(struct reporter *reporter);
/* The first half of that, for whenever a slow output may have taken all of it. */
void reporter_end_if_sent(struct reporter *reporter);
/* Waits up to timeout_ms until everything has left. 0, or -ETIMEDOUT or what failed. */
int reporter_flush(struct reporter *reporter, int timeout_ms);
/* That, and until the output takes the beginning of another report. */
int reporter_make_room(struct reporter *reporter, int timeout_ms);

/* The output that the configuration names, opened anew. On failure the old one stays. */
int reporter_reopen(struct reporter *reporter);
const char *reporter_output(const struct reporter *reporter);
/* Whether the last report found that nobody reads them any more (sink.h). */
bool reporter_is_unread(const struct reporter *reporter);
/* Negative errno of the last report; 0: it is written. */
int reporter_output_error(const struct reporter *reporter);

/* Of all written reports; borrowed. */
const struct totals *reporter_totals(const struct reporter *reporter);
/* For looks at the running interval; borrowed. */
struct live *reporter_live(struct reporter *reporter);

#endif
