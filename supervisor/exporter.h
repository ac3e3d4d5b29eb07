/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent measures of itself, gathered from where it is known, for whoever scrapes it. */
#ifndef FLOWTALLY_EXPORTER_H
#define FLOWTALLY_EXPORTER_H

#include "metrics/metrics.h"

#include <stdint.h>

struct config;
struct exporter;
struct interface_table;
struct loop;
struct monitor_counts;
struct report;
struct rtnl;

/* All borrowed; *config may change. 0 or -ENOMEM. */
int exporter_new(struct exporter **ret, struct loop *loop, const struct interface_table *table,
		 const struct rtnl *rtnl, const struct monitor_counts *counts,
		 const struct config *config);
void exporter_free(struct exporter *exporter);

/* Listens where the configuration now says. What fails is logged, and counting goes on without. */
void exporter_listen(struct exporter *exporter);
/* Negative errno: why it does not listen there; 0: it does, or is not to. */
int exporter_error(const struct exporter *exporter);

/* The report was written; NULL: it could not be. */
void exporter_add_report(struct exporter *exporter, const struct report *report);

/* Ends a stage of making a report that began at begin_ns on the boot clock. Returns when. */
int64_t exporter_end_stage(struct exporter *exporter, enum metrics_stage stage, int64_t begin_ns);

#endif
