// SPDX-License-Identifier: GPL-2.0-only
#include "metrics/metrics.h"

#include "lib/array.h"
#include "lib/cleanup.h"
#include "metrics/exposition.h"
#include "report/flow_count.h"
#include "report/report.h"
#include "report/unattributed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GONE_NAME "/gone"

static const struct {
	const char *text;
	int64_t ns;
} bounds[] = {
	{"0.001", 1000000},    {"0.0025", 2500000}, {"0.005", 5000000},	 {"0.01", 10000000},
	{"0.025", 25000000},   {"0.05", 50000000},  {"0.1", 100000000},	 {"0.25", 250000000},
	{"0.5", 500000000},    {"1.0", 1000000000}, {"2.5", 2500000000}, {"5.0", 5000000000},
	{"10.0", 10000000000},
};

struct histogram {
	uint64_t counts[ARRAY_SIZE(bounds) + 1];
	int64_t sum_ns;
};

struct interface_sums {
	char name[16];
	struct flow_count counted[2]; /* in, out */
	uint64_t report;	      /* the last one that it was in, by its number here */
};

struct metrics {
	struct interface_sums *interfaces; /* owned; sorted by name */
	size_t interface_count, interface_capacity;
	struct interface_sums gone; /* those that lost their series */

	uint64_t reports, failures;
	uint64_t flows, last_flows;
	struct flow_count flow_sum;   /* of flows, shown or filtered */
	struct flow_count tunnel_sum; /* left out, as it was counted inside of tunnels */
	struct unattributed unattributed;
	struct histogram stages[METRICS_STAGES];
};

int metrics_new(struct metrics **ret)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return -ENOMEM;
	strcpy(metrics->gone.name, GONE_NAME);
	*ret = metrics;
	return 0;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	free(metrics->interfaces);
	free(metrics);
}

/* Where name is or belongs. */
static size_t find_interface(const struct metrics *metrics, const char *name)
{
	size_t low = 0, high = metrics->interface_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(metrics->interfaces[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* NULL: no memory. */
static struct interface_sums *get_interface(struct metrics *metrics, const char name[16])
{
	size_t at = find_interface(metrics, name);

	if (at < metrics->interface_count && !strcmp(metrics->interfaces[at].name, name))
		return &metrics->interfaces[at];
	if (array_reserve(&metrics->interfaces, &metrics->interface_capacity,
			  sizeof(*metrics->interfaces), metrics->interface_count + 1))
		return NULL;
	memmove(&metrics->interfaces[at + 1], &metrics->interfaces[at],
		(metrics->interface_count - at) * sizeof(*metrics->interfaces));
	metrics->interface_count++;
	metrics->interfaces[at] = (struct interface_sums){0};
	memcpy(metrics->interfaces[at].name, name, sizeof(metrics->interfaces[at].name));
	return &metrics->interfaces[at];
}

static void add_counts(struct flow_count to[2], const struct flow_count from[2])
{
	for (int out = 0; out < 2; out++)
		flow_count_add(&to[out], &from[out]);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/*
 * The report that the last of the METRICS_GONE_MAX latest to go were in; 0: there are no more. Of
 * those that went in one interval all stay or none does, so their number cannot exceed the limit.
 */
static int find_limit(const struct metrics *metrics, uint64_t *limit)
{
	_free_ uint64_t *seen = calloc(metrics->interface_count + 1, sizeof(*seen));
	size_t gone = 0;

	if (!seen)
		return -ENOMEM;
	for (size_t i = 0; i < metrics->interface_count; i++)
		if (metrics->interfaces[i].report != metrics->reports)
			seen[gone++] = metrics->interfaces[i].report;
	qsort(seen, gone, sizeof(*seen), compare_numbers);
	*limit = gone > METRICS_GONE_MAX ? seen[gone - METRICS_GONE_MAX - 1] : 0;
	return 0;
}

static int forget_gone(struct metrics *metrics)
{
	size_t kept = 0;
	uint64_t limit;
	int err = find_limit(metrics, &limit);

	if (err)
		return err;
	for (size_t i = 0; i < metrics->interface_count; i++) {
		const struct interface_sums *interface = &metrics->interfaces[i];

		if (interface->report <= limit)
			add_counts(metrics->gone.counted, interface->counted);
		else
			metrics->interfaces[kept++] = *interface;
	}
	metrics->interface_count = kept;
	return 0;
}

static int add_interfaces(struct metrics *metrics, const struct report *report)
{
	for (size_t i = 0; i < report->interface_count; i++) {
		const struct report_interface *interface = &report->interfaces[i];
		struct interface_sums *sums = get_interface(metrics, interface->name);

		if (!sums)
			return -ENOMEM;
		sums->report = metrics->reports;
		add_counts(sums->counted, interface->counted);
	}
	return forget_gone(metrics);
}

int metrics_add_report(struct metrics *metrics, const struct report *report)
{
	metrics->reports++;
	metrics->last_flows = report_flow_total(report) + report->filtered.flows;
	metrics->flows += metrics->last_flows;
	flow_count_add(&metrics->flow_sum, &report->total);
	flow_count_add(&metrics->flow_sum, &report->filtered.count);
	for (size_t i = 0; i < report->tunnel_count; i++)
		flow_count_add(&metrics->tunnel_sum, &report->tunnels[i].count);
	unattributed_add(&metrics->unattributed, report);
	return add_interfaces(metrics, report);
}

void metrics_add_failure(struct metrics *metrics)
{
	metrics->failures++;
}

void metrics_add_duration(struct metrics *metrics, enum metrics_stage stage, int64_t ns)
{
	struct histogram *histogram = &metrics->stages[stage];
	size_t i = 0;

	while (i < ARRAY_SIZE(bounds) && ns > bounds[i].ns)
		i++;
	histogram->counts[i]++;
	histogram->sum_ns += ns;
}

#define NO_LABELS ((const struct exposition_label[EXPOSITION_LABELS]){{0}})

static void put_value(struct exposition *e, uint64_t value)
{
	exposition_sample(e, NO_LABELS, value);
}

static void put_labelled(struct exposition *e, const char *label, const char *name, uint64_t value)
{
	exposition_sample(e, (struct exposition_label[EXPOSITION_LABELS]){{label, name}}, value);
}

static void put_directions(struct exposition *e, const struct interface_sums *sums, bool bytes)
{
	/* in the order of report_interface.counted */
	static const char *const directions[] = {"receive", "transmit"};

	for (int out = 0; out < 2; out++) {
		const struct exposition_label labels[EXPOSITION_LABELS] = {
			{"interface", sums->name}, {"direction", directions[out]}};

		exposition_sample(e, labels,
				  bytes ? sums->counted[out].bytes : sums->counted[out].packets);
	}
}

static void put_interfaces(struct exposition *e, const struct metrics *metrics, bool bytes)
{
	for (size_t i = 0; i < metrics->interface_count; i++)
		put_directions(e, &metrics->interfaces[i], bytes);
	put_directions(e, &metrics->gone, bytes);
}

static void put_traffic(struct exposition *e, const struct metrics *metrics)
{
	exposition_counter(e, "flowtally_interface_bytes",
			   "IP bytes of flows counted at the interface, where their packets were "
			   "seen first; each packet is counted at one interface.");
	put_interfaces(e, metrics, true);
	exposition_counter(e, "flowtally_interface_packets",
			   "Wire packets of flows counted at the interface, likewise.");
	put_interfaces(e, metrics, false);
	exposition_counter(e, "flowtally_bytes", "IP bytes of all flows reported or filtered.");
	put_value(e, metrics->flow_sum.bytes);
	exposition_counter(e, "flowtally_packets", "Wire packets of all flows, likewise.");
	put_value(e, metrics->flow_sum.packets);
	exposition_counter(e, "flowtally_tunnel_outer_bytes",
			   "IP bytes of outer packets of tunnels, left out as their inside is "
			   "counted.");
	put_value(e, metrics->tunnel_sum.bytes);
	exposition_counter(e, "flowtally_tunnel_outer_packets",
			   "Wire packets of tunnels, likewise.");
	put_value(e, metrics->tunnel_sum.packets);
}

static void put_losses(struct exposition *e, const struct metrics *metrics)
{
	exposition_counter(e, "flowtally_unattributed_bytes",
			   "IP bytes that belong to no flow in a report, by reason.");
	for (enum unattributed_reason i = 0; i < UNATTRIBUTED_REASONS; i++)
		put_labelled(e, "reason", unattributed_name(i),
			     metrics->unattributed.count[i].bytes);
	exposition_counter(e, "flowtally_unattributed_packets",
			   "Wire packets that belong to no flow in a report, by reason.");
	for (enum unattributed_reason i = 0; i < UNATTRIBUTED_REASONS; i++)
		put_labelled(e, "reason", unattributed_name(i),
			     metrics->unattributed.count[i].packets);
}

static void put_reports(struct exposition *e, const struct metrics *metrics)
{
	static const char *const stages[METRICS_STAGES] = {
		[METRICS_DRAIN] = "drain", [METRICS_MERGE] = "merge", [METRICS_WRITE] = "write"};
	const char *texts[ARRAY_SIZE(bounds)];

	exposition_counter(e, "flowtally_reports", "Reports written.");
	put_value(e, metrics->reports);
	exposition_counter(
		e, "flowtally_report_failures",
		"Reports that could not be written; the next one covers their interval.");
	put_value(e, metrics->failures);
	exposition_counter(e, "flowtally_flows", "Flows of all reports, filtered ones included.");
	put_value(e, metrics->flows);
	exposition_gauge(e, "flowtally_report_flows",
			 "Flows of the last report, filtered ones included.");
	put_value(e, metrics->last_flows);
	for (size_t i = 0; i < ARRAY_SIZE(bounds); i++)
		texts[i] = bounds[i].text;
	exposition_histogram(e, "flowtally_report_stage_duration_seconds",
			     "How long the stages of making a report took.");
	for (int stage = 0; stage < METRICS_STAGES; stage++)
		exposition_buckets(e, &(struct exposition_label){"stage", stages[stage]}, texts,
				   metrics->stages[stage].counts, ARRAY_SIZE(bounds),
				   metrics->stages[stage].sum_ns);
}

static int compare_maps(const void *a, const void *b)
{
	const struct metrics_map *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* In a moment of renaming two links may seem to have one name, which must not make two samples. */
static void put_maps(struct exposition *e, const struct metrics_now *now)
{
	if (now->map_count)
		qsort(now->maps, now->map_count, sizeof(*now->maps), compare_maps);
	for (size_t i = 0; i < now->map_count; i++) {
		uint64_t flows = now->maps[i].flows;

		while (i + 1 < now->map_count && !strcmp(now->maps[i].name, now->maps[i + 1].name))
			flows += now->maps[++i].flows;
		put_labelled(e, "interface", now->maps[i].name, flows);
	}
}

static void put_now(struct exposition *e, const struct metrics_now *now)
{
	exposition_gauge(e, "flowtally_interfaces",
			 "Interfaces that are there, that the patterns want, that are monitored.");
	put_labelled(e, "state", "present", now->links);
	put_labelled(e, "state", "wanted", now->wanted);
	put_labelled(e, "state", "monitored", now->monitored);
	exposition_counter(e, "flowtally_attaches", "Interfaces attached to, by mode.");
	put_labelled(e, "mode", "tcx", now->attached_tcx);
	put_labelled(e, "mode", "clsact", now->attached_clsact);
	exposition_counter(e, "flowtally_attach_failures", "Attempts to attach that failed.");
	put_value(e, now->attach_failures);
	exposition_counter(e, "flowtally_detaches",
			   "Interfaces detached from, those that went included.");
	put_value(e, now->detached);
	exposition_counter(e, "flowtally_netlink_overruns",
			   "Times that link notifications were lost and all links read anew.");
	put_value(e, now->overruns);
	exposition_gauge(e, "flowtally_map_flows",
			 "Flows in the interface's map since it was read last.");
	put_maps(e, now);
	exposition_gauge(e, "flowtally_map_flows_limit", "Flows that an interface's map can hold.");
	put_value(e, now->map_entries);
	exposition_counter(e, "flowtally_maps_unread",
			   "Maps that could not be read to their end, so that flows were lost.");
	put_value(e, now->unread);
	exposition_counter(e, "flowtally_map_early_swaps",
			   "Maps that neared their limit and were read before a report was due.");
	put_value(e, now->early_swaps);
}

void metrics_format(struct buffer *out, const struct metrics *metrics,
		    const struct metrics_now *now, bool open)
{
	struct exposition e = {.out = out, .open = open};

	exposition_gauge(&e, "flowtally_build_info", "The version that runs; always 1.");
	put_labelled(&e, "version", FLOWTALLY_VERSION, 1);
	put_traffic(&e, metrics);
	put_losses(&e, metrics);
	put_reports(&e, metrics);
	put_now(&e, now);
	exposition_end(&e);
}
