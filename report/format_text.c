// SPDX-License-Identifier: GPL-2.0-only
#include "lib/buffer.h"
#include "lib/decimal.h"
#include "lib/format.h"
#include "report/format.h"
#include "report/format_common.h"
#include "report/report.h"

#include <inttypes.h>
#include <string.h>

static void put_header(struct buffer *out, const struct report *report)
{
	int64_t tenths = (report->duration_ns + 50000000) / 100000000;

	buffer_str(out, "# flowtally ");
	format_time_seconds(out, report->start_ns);
	buffer_str(out, " - ");
	format_time_seconds(out, report->end_ns);
	buffer_printf(out,
		      " interval=%" PRId64 ".%" PRId64
		      "s interfaces=%zu flows=%zu bytes=%llu packets=%llu\n",
		      tenths / 10, tenths % 10, report->interface_count, report_flow_total(report),
		      report->total.bytes, report->total.packets);
}

/* "LEFT - RIGHT Bytes: N\n" */
#define LINE_SIZE (2 * FORMAT_END_SIZE + 12 + DECIMAL_SIZE)

static char *put_flow(char *to, const struct report_flow *flow)
{
	to = format_end(to, &flow->key, flow->left);
	to = mempcpy(to, " - ", 3);
	to = format_end(to, &flow->key, !flow->left);
	to = mempcpy(to, " Bytes: ", 8);
	to = decimal_put(to, flow->sent[0].bytes + flow->sent[1].bytes);
	*to++ = '\n';
	return to;
}

static void put_flows(struct buffer *out, const struct report *report)
{
	char *to;

	for (size_t i = 0; i < report->named && (to = buffer_reserve(out, LINE_SIZE)); i++)
		buffer_end(out, put_flow(to, &report->flows[i]));
}

static void put_sums(struct buffer *out, const char *what, const struct report *report,
		     const struct report_sum *sums, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct report_sum *sum = &sums[i];

		buffer_printf(out, "# %s interface=", what);
		format_name(out, report->interfaces[sum->interface].name);
		buffer_printf(out, " flows=%zu bytes=%llu packets=%llu\n", sum->flows,
			      sum->count.bytes, sum->count.packets);
	}
}

static void put_unattributed(struct buffer *out, const struct report *report,
			     const struct report_unattributed *unattributed)
{
	buffer_str(out, "# unattributed interface=");
	format_name(out, report->interfaces[unattributed->interface].name);
	buffer_printf(out, " reason=%s bytes=%llu packets=%llu\n", unattributed->reason,
		      unattributed->count.bytes, unattributed->count.packets);
}

void format_text(struct buffer *out, const struct report *report)
{
	put_header(out, report);
	put_flows(out, report);
	if (report->named < report->flow_count)
		buffer_printf(out, "# other flows=%zu bytes=%llu packets=%llu\n",
			      report->flow_count - report->named, report->other.bytes,
			      report->other.packets);
	put_sums(out, "other", report, report->others, report->other_count);
	if (report->filtered.flows)
		buffer_printf(out, "# filtered flows=%zu bytes=%llu packets=%llu\n",
			      report->filtered.flows, report->filtered.count.bytes,
			      report->filtered.count.packets);
	put_sums(out, "tunnel", report, report->tunnels, report->tunnel_count);
	for (size_t i = 0; i < report->unattributed_count; i++)
		put_unattributed(out, report, &report->unattributed[i]);
}
