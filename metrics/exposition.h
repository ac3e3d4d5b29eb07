/* SPDX-License-Identifier: GPL-2.0-only */
/* The syntax of Prometheus' text format 0.0.4 and of OpenMetrics 1.0, which are one but for the
 * names of counters and the end. */
#ifndef FLOWTALLY_EXPOSITION_H
#define FLOWTALLY_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

struct exposition {
	struct buffer *out; /* borrowed */
	bool open;	    /* OpenMetrics */
	const char *name;   /* of the metric that samples are written of, borrowed */
	bool counter;
};

struct exposition_label {
	const char *name;
	const char *value; /* any bytes, as the name of an interface may hold */
};

#define EXPOSITION_LABELS 2

/* Begins a metric; name is without the "_total" of a counter's samples. */
void exposition_counter(struct exposition *e, const char *name, const char *help);
void exposition_gauge(struct exposition *e, const char *name, const char *help);
void exposition_histogram(struct exposition *e, const char *name, const char *help);

/* A sample of it. Labels end at the first one without a name. */
void exposition_sample(struct exposition *e,
		       const struct exposition_label labels[EXPOSITION_LABELS], uint64_t value);

/* One series of a histogram. counts[i]: how many values are at most bounds[i] and above the bound
 * before it; the one behind the last bound: how many are above all. bounds are decimal numbers. */
void exposition_buckets(struct exposition *e, const struct exposition_label *label,
			const char *const *bounds, const uint64_t *counts, size_t n,
			int64_t sum_ns);

void exposition_end(struct exposition *e);

#endif
