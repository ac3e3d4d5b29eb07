/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a scraper is told: sums over the life of the agent, and what is looked up at the moment. No
 * series of single flows, and interfaces that went keep theirs for a bounded time, so their number
 * is bounded. Pure.
 */
#ifndef FLOWTALLY_METRICS_H
#define FLOWTALLY_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct metrics;
struct report;

/* Interfaces that went and still have series of their own; the sums of those that went before them
 * are in those of interface="/gone", which is no name that an interface can have. */
#define METRICS_GONE_MAX 256

/* The steps of making a report, each with a histogram of its durations. */
enum metrics_stage {
	METRICS_DRAIN, /* flow maps are swapped and read */
	METRICS_MERGE, /* sights are judged, flows sorted */
	METRICS_WRITE, /* text is made and given to the output */
	METRICS_STAGES,
};

/* 0 or -ENOMEM. */
int metrics_new(struct metrics **ret);
void metrics_free(struct metrics *metrics);

/* Adds a report that was written. 0; -ENOMEM: only its interfaces are missing then. */
int metrics_add_report(struct metrics *metrics, const struct report *report);
/* A report could not be written. */
void metrics_add_failure(struct metrics *metrics);
void metrics_add_duration(struct metrics *metrics, enum metrics_stage stage, int64_t ns);

/* Flows in the map of an interface. */
struct metrics_map {
	char name[16];
	uint64_t flows;
};

/* What is looked up when a scraper asks. */
struct metrics_now {
	size_t links, wanted, monitored;
	uint64_t attached_tcx, attached_clsact, attach_failures, detached; /* since the start */
	uint64_t overruns;	      /* of the netlink socket, since the start */
	uint64_t early_swaps, unread; /* maps */
	uint32_t map_entries;	      /* that a map has room for */
	struct metrics_map *maps;     /* owned by the caller; is sorted */
	size_t map_count;
};

/* open: as OpenMetrics 1.0, else as Prometheus' text format 0.0.4. */
void metrics_format(struct buffer *out, const struct metrics *metrics,
		    const struct metrics_now *now, bool open);

#endif
