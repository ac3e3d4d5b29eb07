// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/answers.h"
#include "config/config.h"
#include "control/text.h"
#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/format.h"
#include "netlink/rtnl.h"
#include "report/nat.h"
#include "report/report.h"
#include "report/summed.h"
#include "supervisor/answers_private.h"
#include "supervisor/explain.h"
#include "supervisor/interface_table.h"
#include "supervisor/live.h"
#include "supervisor/own_cost.h"
#include "supervisor/totals.h"
#include "supervisor/translation.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* Attach errors that a status names one by one. */
#define NAMED_PROBLEMS 8

json_t *answers_error(const char *what, int err)
{
	return json_pack("{s:s++}", "error", what, ": ", strerror(-err));
}

json_t *answers_done(const char *what)
{
	return json_pack("{s:s}", "done", what);
}

json_t *answers_network(const struct flow_count *count)
{
	return json_pack("{s:I,s:I}", "bytes", (json_int_t)count->bytes, "packets",
			 (json_int_t)count->packets);
}

json_t *answers_unattributed(const struct unattributed *sum)
{
	json_t *object = json_object();

	for (enum unattributed_reason reason = 0; reason < UNATTRIBUTED_REASONS; reason++)
		if (json_object_set_new(object, unattributed_name(reason),
					answers_network(&sum->count[reason]))) {
			json_decref(object);
			return NULL;
		}
	return object;
}

/* UTC */
static json_t *make_time(int64_t ns)
{
	struct buffer text = {0};
	json_t *string = NULL;

	format_time_milliseconds(&text, ns);
	if (!buffer_error(&text))
		string = json_stringn(text.data, text.size);
	buffer_free(&text);
	return string;
}

static double seconds(int64_t ns)
{
	return (double)ns / NSEC_PER_SEC;
}

static json_t *make_summed(uint64_t flows, const struct flow_count *count)
{
	return json_pack("{s:I,s:o}", "flows", (json_int_t)flows, "network",
			 answers_network(count));
}

/* The running interval as it was at the last look. */
json_t *answers_interval(const struct answers *state, const struct report *report)
{
	int64_t left_ns = state->due_ns - clock_boottime_ns();
	const struct flow_count summed = summed_count(report);
	struct unattributed sum = {0};

	unattributed_add(&sum, report);
	return json_pack("{s:o,s:f,s:f,s:I,s:o,s:o,s:o}", "start", make_time(report->start_ns),
			 "seconds", seconds(report->duration_ns), "next_report",
			 seconds(left_ns > 0 ? left_ns : 0), "flows",
			 (json_int_t)report_flow_total(report), "network",
			 answers_network(&report->total), "summed",
			 make_summed(report->summed_flows, &summed), "unattributed",
			 answers_unattributed(&sum));
}

static json_t *make_totals(const struct totals *totals)
{
	return json_pack("{s:I,s:I,s:o,s:o,s:o}", "reports", (json_int_t)totals->reports, "flows",
			 (json_int_t)totals->flows, "network", answers_network(&totals->count),
			 "summed", make_summed(totals->summed_flows, &totals->summed),
			 "unattributed", answers_unattributed(&totals->unattributed));
}

struct fullest {
	const struct interface_table *table;
	const struct interface *interface; /* NULL: all are empty */
	uint64_t entries;
};

static void find_fullest(void *data, const struct interface *interface)
{
	struct fullest *fullest = data;
	uint64_t entries = interface_table_fill(fullest->table, interface);

	if (entries > fullest->entries) {
		fullest->entries = entries;
		fullest->interface = interface;
	}
}

static json_t *make_maps(const struct answers *state)
{
	struct fullest fullest = {.table = state->table};
	json_int_t limit = state->config->map_entries;

	interface_table_each(state->table, find_fullest, &fullest);
	if (!fullest.interface)
		return json_pack("{s:I,s:n}", "limit", limit, "fullest");
	return json_pack("{s:I,s:{s:o,s:I}}", "limit", limit, "fullest", "interface",
			 control_string(fullest.interface->link.name), "entries",
			 (json_int_t)fullest.entries);
}

static json_t *make_nat(const struct translation *translation)
{
	const char *why;

	if (translation_is_joining(translation, &why))
		return json_pack("{s:b,s:I}", "joining", true, "conversations",
				 (json_int_t)nat_table_count(translation_table(translation)));
	return json_pack("{s:b,s:s}", "joining", false, "reason", why);
}

static json_t *make_output(const struct answers *state)
{
	return json_pack("{s:o,s:b,s:s?}", "name", control_string(state->output), "broken",
			 state->output_error != 0, "error",
			 state->output_error ? explain_output(state->output_error) : NULL);
}

static json_t *make_cost(const struct answers *state)
{
	struct own_cost cost;

	own_cost_read(&cost, state->program);
	return json_pack("{s:{s:f,s:f},s:{s:I,s:I},s:o}", "cpu", "user", seconds(cost.user_ns),
			 "system", seconds(cost.system_ns), "memory", "resident",
			 (json_int_t)cost.resident, "kernel", (json_int_t)cost.kernel, "hook_ns",
			 cost.measured ? json_real((double)cost.run_ns / (double)cost.runs)
				       : json_null());
}

static json_t *make_losses(const struct answers *state)
{
	return json_pack("{s:I,s:I,s:I}", "maps_unread",
			 (json_int_t)interface_table_losses(state->table), "link_overruns",
			 (json_int_t)rtnl_overruns(state->rtnl), "connection_overruns",
			 (json_int_t)translation_overruns(state->translation));
}

/* Why the agent is degraded. */
struct problems {
	json_t *list;
	size_t not_attached;
	bool failed; /* no memory */
};

__attribute__((format(printf, 2, 3))) static void add_problem(struct problems *problems,
							      const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	problems->failed |= json_array_append_new(problems->list, control_string(text)) != 0;
}

static void find_not_attached(void *data, const struct interface *interface)
{
	struct problems *problems = data;

	if (!interface->wanted || !interface->attach_error)
		return;
	if (problems->not_attached++ < NAMED_PROBLEMS)
		add_problem(problems, "%s: cannot attach: %s", interface->link.name,
			    explain_attach(interface->attach_error));
}

static void find_broken(void *data, const struct interface *interface)
{
	struct problems *problems = data;

	if (interface->state == INTERFACE_COUNTING && interface->repair.broken)
		add_problem(problems, "%s: %s removed by somebody else, again and again",
			    interface->link.name, repair_name(interface->repair.broken));
}

/* What was lost in the last report or in the running interval; what was lost long ago is history.
 */
static json_t *make_problems(const struct answers *state, const struct report *report)
{
	struct problems problems = {.list = json_array()};
	struct unattributed lost = state->totals->last;
	const struct flow_count *full = &lost.count[UNATTRIBUTED_MAP_FULL];
	const char *nat = translation_problem(state->translation);

	unattributed_add(&lost, report);
	interface_table_each(state->table, find_not_attached, &problems);
	if (problems.not_attached > NAMED_PROBLEMS)
		add_problem(&problems, "%zu more interfaces cannot be attached to",
			    problems.not_attached - NAMED_PROBLEMS);
	interface_table_each(state->table, find_broken, &problems);
	if (state->output_error)
		add_problem(&problems, "%s: cannot write reports: %s", state->output,
			    explain_output(state->output_error));
	if (interface_table_drain_error(state->table))
		add_problem(&problems,
			    "not all that was counted could be read for the last report: %s",
			    strerror(-interface_table_drain_error(state->table)));
	if (state->metrics_error)
		add_problem(&problems, "metrics: cannot listen on %s: %s",
			    state->config->metrics_listen, strerror(-state->metrics_error));
	if (nat)
		add_problem(&problems, "the connections that the kernel tracks cannot be read: %s",
			    nat);
	if (full->packets)
		add_problem(&problems,
			    "%llu packets found no room in a flow map; raise map_entries "
			    "(flowtally.conf(5))",
			    full->packets);
	if (interface_table_losses(state->table))
		add_problem(&problems, "%" PRIu64 " flow maps could not be read, see the log",
			    interface_table_losses(state->table));
	if (problems.failed) {
		json_decref(problems.list);
		return NULL;
	}
	return problems.list;
}

static json_t *make_config(const struct answers *state)
{
	const char *file = state->config_file;

	return json_pack("{s:o,s:I,s:s}", "file", file ? control_string(file) : json_null(),
			 "interval", (json_int_t)state->config->interval_s, "format",
			 config_format_to_str(state->config->format));
}

static json_t *make_attach(const struct answers *state, const struct interface_table_counts *counts)
{
	return json_pack("{s:s,s:I,s:I}", "mode", config_attach_to_str(state->config->attach),
			 "tcx", (json_int_t)counts->tcx, "clsact", (json_int_t)counts->clsact);
}

static json_t *make_interfaces(const struct interface_table_counts *counts)
{
	return json_pack("{s:I,s:I,s:I}", "present", (json_int_t)counts->links, "wanted",
			 (json_int_t)counts->wanted, "monitored", (json_int_t)counts->monitored);
}

json_t *answers_status(const struct answers *state)
{
	struct interface_table_counts counts = interface_table_count(state->table);
	int64_t up_ns = clock_boottime_ns() - state->began_ns;
	const struct report *report;
	const char *health;
	json_t *problems;
	int err = live_report(state->live, &report);

	if (err)
		return answers_error("the running interval cannot be read", err);
	problems = make_problems(state, report);
	if (!problems)
		return NULL;
	health = json_array_size(problems) ? "degraded" : "healthy";
	/* clang-format off */
	return json_pack("{s:s,s:i,s:s,s:o,s:o,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}",
			 "version", FLOWTALLY_VERSION,
			 "pid", (int)getpid(),
			 "health", health,
			 "problems", problems,
			 "started", make_time(state->began_wall_ns),
			 "uptime", seconds(up_ns),
			 "config", make_config(state),
			 "attach", make_attach(state, &counts),
			 "interfaces", make_interfaces(&counts),
			 "interval", answers_interval(state, report),
			 "totals", make_totals(state->totals),
			 "maps", make_maps(state),
			 "losses", make_losses(state),
			 "coverage", answers_coverage_summary(state),
			 "nat", make_nat(state->translation),
			 "output", make_output(state),
			 "cost", make_cost(state));
	/* clang-format on */
}
