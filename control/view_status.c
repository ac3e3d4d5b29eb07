// SPDX-License-Identifier: GPL-2.0-only
#include "control/text.h"
#include "control/view.h"
#include "lib/buffer.h"
#include "lib/format.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

bool view_is_healthy(const json_t *status)
{
	return !strcmp(control_text(status, "health"), "healthy");
}

static void put_title(struct buffer *out, const char *title)
{
	buffer_printf(out, "%-15s", title);
}

static void put_network(struct buffer *out, const json_t *network)
{
	format_size(out, control_u64(network, "bytes"));
	buffer_printf(out, " in %" PRIu64 " packets", control_u64(network, "packets"));
}

static void put_head(struct buffer *out, const json_t *status)
{
	const json_t *problem;
	size_t i;

	buffer_str(out, "flowtally ");
	format_words(out, control_text(status, "version"));
	buffer_printf(out, ", pid %" PRIu64 ", up ", control_u64(status, "pid"));
	control_put_time(out, control_real(status, "uptime"));
	buffer_str(out, ": ");
	format_words(out, control_text(status, "health"));
	buffer_char(out, '\n');
	json_array_foreach (control_at(status, "problems"), i, problem) {
		put_title(out, "! problem");
		format_words(out, control_text(problem, ""));
		buffer_char(out, '\n');
	}
}

static void put_configuration(struct buffer *out, const json_t *status)
{
	const char *file = control_text(status, "config.file");

	put_title(out, "configuration");
	format_words(out, *file ? file : "built-in defaults");
	buffer_printf(out, ", every %" PRIu64 " s as ", control_u64(status, "config.interval"));
	format_words(out, control_text(status, "config.format"));
	buffer_char(out, '\n');
	put_title(out, "interfaces");
	buffer_printf(out,
		      "%" PRIu64 " of %" PRIu64 " monitored, %" PRIu64 " wanted (tcx %" PRIu64
		      ", clsact %" PRIu64 ", mode ",
		      control_u64(status, "interfaces.monitored"),
		      control_u64(status, "interfaces.present"),
		      control_u64(status, "interfaces.wanted"), control_u64(status, "attach.tcx"),
		      control_u64(status, "attach.clsact"));
	format_words(out, control_text(status, "attach.mode"));
	buffer_str(out, ")\n");
}

static void put_counts(struct buffer *out, const json_t *status)
{
	put_title(out, "this interval");
	buffer_printf(out, "%" PRIu64 " flows, ", control_u64(status, "interval.flows"));
	put_network(out, control_at(status, "interval.network"));
	buffer_printf(out, " in %.1f s; next report in %.1f s\n",
		      control_real(status, "interval.seconds"),
		      control_real(status, "interval.next_report"));
	put_title(out, "reported");
	buffer_printf(out, "%" PRIu64 " reports, %" PRIu64 " flows, ",
		      control_u64(status, "totals.reports"), control_u64(status, "totals.flows"));
	put_network(out, control_at(status, "totals.network"));
	buffer_char(out, '\n');
}

/* What was reported and what the running interval has. Rarely there is any. */
static void put_summed(struct buffer *out, const json_t *status)
{
	uint64_t flows = control_u64(status, "totals.summed.flows") +
			 control_u64(status, "interval.summed.flows");

	if (!flows)
		return;
	put_title(out, "max_flows");
	buffer_printf(out, "%" PRIu64 " flows beyond it, ", flows);
	format_size(out, control_u64(status, "totals.summed.network.bytes") +
				 control_u64(status, "interval.summed.network.bytes"));
	buffer_printf(out, " in %" PRIu64 " packets, are known as sums only\n",
		      control_u64(status, "totals.summed.network.packets") +
			      control_u64(status, "interval.summed.network.packets"));
}

/* What was reported and what the running interval has. */
static void put_unattributed(struct buffer *out, const json_t *status)
{
	const char *reason;
	json_t *sum;
	bool any = false;

	put_title(out, "unattributed");
	json_object_foreach (control_at(status, "totals.unattributed"), reason, sum) {
		const json_t *running =
			json_object_get(control_at(status, "interval.unattributed"), reason);
		uint64_t packets = control_u64(sum, "packets") + control_u64(running, "packets");

		if (!packets)
			continue;
		buffer_str(out, any ? ", " : "");
		format_words(out, reason);
		buffer_char(out, ' ');
		format_size(out, control_u64(sum, "bytes") + control_u64(running, "bytes"));
		buffer_printf(out, " in %" PRIu64 " packets", packets);
		any = true;
	}
	buffer_str(out, any ? "\n" : "nothing\n");
}

void view_coverage(struct buffer *out, const json_t *coverage)
{
	double percent = control_real(coverage, "percent");

	if (!json_is_number(control_at(coverage, "percent")))
		buffer_str(out, "unknown");
	else
		buffer_printf(out, percent < 100 ? "%.2f %%" : "%.0f %%", percent);
}

/* Beside what the links say; of those that ended, what they missed. */
static void put_coverage(struct buffer *out, const json_t *status)
{
	const json_t *coverage = control_at(status, "coverage");
	uint64_t missed = control_u64(coverage, "ended.missed.packets");

	if (!coverage)
		return;
	put_title(out, "coverage");
	view_coverage(out, coverage);
	if (control_real(coverage, "percent") < 100 && *control_text(coverage, "interface")) {
		buffer_str(out, " on ");
		format_name(out, control_text(coverage, "interface"));
		buffer_str(out, ", the worst");
	}
	if (control_u64(coverage, "unknown"))
		buffer_printf(out, "; %" PRIu64 " interfaces not compared",
			      control_u64(coverage, "unknown"));
	if (missed)
		buffer_printf(out, "; interfaces that ended missed %" PRIu64 " packets", missed);
	if (control_u64(coverage, "repairs"))
		buffer_printf(out, "; %" PRIu64 " repairs", control_u64(coverage, "repairs"));
	buffer_char(out, '\n');
}

static void put_kernel(struct buffer *out, const json_t *status)
{
	const char *fullest = control_text(status, "maps.fullest.interface");

	put_title(out, "flow maps");
	if (*fullest) {
		buffer_str(out, "fullest ");
		format_name(out, fullest);
		buffer_printf(out, ", %" PRIu64 " of %" PRIu64 " entries\n",
			      control_u64(status, "maps.fullest.entries"),
			      control_u64(status, "maps.limit"));
	} else {
		buffer_printf(out, "none in use, %" PRIu64 " entries each\n",
			      control_u64(status, "maps.limit"));
	}
	put_title(out, "lost");
	buffer_printf(out,
		      "%" PRIu64 " maps unread; notifications overran %" PRIu64 " times (links), "
		      "%" PRIu64 " times (connections)\n",
		      control_u64(status, "losses.maps_unread"),
		      control_u64(status, "losses.link_overruns"),
		      control_u64(status, "losses.connection_overruns"));
	put_title(out, "NAT");
	if (json_is_true(control_at(status, "nat.joining")))
		buffer_printf(out, "joining, %" PRIu64 " translated conversations\n",
			      control_u64(status, "nat.conversations"));
	else {
		buffer_str(out, "not joining: ");
		format_words(out, control_text(status, "nat.reason"));
		buffer_char(out, '\n');
	}
}

static void put_output(struct buffer *out, const json_t *status)
{
	const char *error = control_text(status, "output.error");

	put_title(out, "output");
	format_words(out, control_text(status, "output.name"));
	buffer_str(out, *error ? ": broken: " : ": works");
	format_words(out, error);
	buffer_char(out, '\n');
}

static void put_cost(struct buffer *out, const json_t *status)
{
	double cpu =
		control_real(status, "cost.cpu.user") + control_real(status, "cost.cpu.system");
	double uptime = control_real(status, "uptime");
	json_t *packet = control_at(status, "cost.hook_ns");

	put_title(out, "own cost");
	buffer_printf(out, "%.2f s CPU (%.2f %%), memory ", cpu,
		      uptime > 0 ? 100 * cpu / uptime : 0.0);
	format_size(out, control_u64(status, "cost.memory.resident"));
	buffer_str(out, " and ");
	format_size(out, control_u64(status, "cost.memory.kernel"));
	buffer_str(out, " in the kernel, ");
	if (json_is_number(packet))
		buffer_printf(out, "%.0f ns a packet and hook\n", json_number_value(packet));
	else
		buffer_str(out, "packets not measured (kernel.bpf_stats_enabled is off)\n");
}

void view_status(struct buffer *out, const json_t *status)
{
	put_head(out, status);
	put_configuration(out, status);
	put_counts(out, status);
	put_summed(out, status);
	put_unattributed(out, status);
	put_coverage(out, status);
	put_kernel(out, status);
	put_output(out, status);
	put_cost(out, status);
}
