// SPDX-License-Identifier: GPL-2.0-only
#include "metrics/exposition.h"

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/format.h"

#include <inttypes.h>

static void begin(struct exposition *e, const char *name, const char *type, const char *help)
{
	const char *suffix = e->counter && !e->open ? "_total" : "";

	e->name = name;
	buffer_printf(e->out, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix,
		      type);
}

void exposition_counter(struct exposition *e, const char *name, const char *help)
{
	e->counter = true;
	begin(e, name, "counter", help);
}

void exposition_gauge(struct exposition *e, const char *name, const char *help)
{
	e->counter = false;
	begin(e, name, "gauge", help);
}

void exposition_histogram(struct exposition *e, const char *name, const char *help)
{
	e->counter = false;
	begin(e, name, "histogram", help);
}

/* Made printable as in other reports, so that two names never look alike, and then quoted. */
static void put_label(struct buffer *out, const struct exposition_label *label)
{
	struct buffer text = {0};

	format_name(&text, label->value);
	buffer_printf(out, "%s=\"", label->name);
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '\\' || text.data[i] == '"')
			buffer_char(out, '\\');
		buffer_char(out, text.data[i]);
	}
	buffer_char(out, '"');
	if (buffer_error(&text))
		out->error = buffer_error(&text);
	buffer_free(&text);
}

static void put_labels(struct buffer *out, const struct exposition_label *labels, size_t n)
{
	for (size_t i = 0; i < n && labels[i].name; i++) {
		buffer_char(out, i ? ',' : '{');
		put_label(out, &labels[i]);
	}
	if (n && labels[0].name)
		buffer_char(out, '}');
}

void exposition_sample(struct exposition *e,
		       const struct exposition_label labels[EXPOSITION_LABELS], uint64_t value)
{
	buffer_str(e->out, e->name);
	if (e->counter)
		buffer_str(e->out, "_total");
	put_labels(e->out, labels, EXPOSITION_LABELS);
	buffer_printf(e->out, " %" PRIu64 "\n", value);
}

static void put_bucket(struct exposition *e, const struct exposition_label *label,
		       const char *bound, uint64_t count)
{
	const struct exposition_label labels[] = {*label, {"le", bound}};

	buffer_printf(e->out, "%s_bucket", e->name);
	put_labels(e->out, labels, 2);
	buffer_printf(e->out, " %" PRIu64 "\n", count);
}

void exposition_buckets(struct exposition *e, const struct exposition_label *label,
			const char *const *bounds, const uint64_t *counts, size_t n, int64_t sum_ns)
{
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++) {
		count += counts[i];
		put_bucket(e, label, bounds[i], count);
	}
	count += counts[n];
	put_bucket(e, label, "+Inf", count);
	buffer_printf(e->out, "%s_sum", e->name);
	put_labels(e->out, label, 1);
	buffer_printf(e->out, " %" PRId64 ".%09" PRId64 "\n", (int64_t)(sum_ns / NSEC_PER_SEC),
		      (int64_t)(sum_ns % NSEC_PER_SEC));
	buffer_printf(e->out, "%s_count", e->name);
	put_labels(e->out, label, 1);
	buffer_printf(e->out, " %" PRIu64 "\n", count);
}

void exposition_end(struct exposition *e)
{
	if (e->open)
		buffer_str(e->out, "# EOF\n");
}
