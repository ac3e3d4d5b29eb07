// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/reporter.h"
#include "config/config.h"
#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "report/format.h"
#include "report/merge.h"
#include "supervisor/continuity.h"
#include "supervisor/explain.h"
#include "supervisor/exporter.h"
#include "supervisor/interface_table.h"
#include "supervisor/live.h"
#include "supervisor/notify.h"
#include "supervisor/report_id.h"
#include "supervisor/sink.h"
#include "supervisor/sources.h"
#include "supervisor/totals.h"
#include "supervisor/translation.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define STORM_INTERFACES 1000

struct reporter {
	/* borrowed */
	const struct config *config;
	struct merge *merge;
	struct interface_table *table;
	struct translation *translation;
	struct continuity *continuity;
	struct exporter *exporter;
	const struct local_set *locals;

	struct client_ports client_ports;
	struct report_id *report_id;
	struct sink *sink;
	struct buffer text; /* of a report; kept for the next */
	struct live *live;
	struct totals totals;
	struct checkpoint_interval interval;
	int output_error; /* said once when it begins, once when it ends */
};

/* Says it once when the output breaks, and once when it works again. */
static void reporter_note_output(struct reporter *reporter, int err)
{
	if (sink_is_unread(reporter->sink, err) && !reporter->output_error)
		log_error("%s: nobody reads the reports any more, the last one is lost",
			  sink_name(reporter->sink));
	else if (err && !reporter->output_error)
		log_error("%s: cannot write the report: %s; the next one will cover this interval "
			  "too",
			  sink_name(reporter->sink), explain_output(err));
	if (!err && reporter->output_error)
		log_notice("%s: reports are written again", sink_name(reporter->sink));
	reporter->output_error = err;
}

static struct checkpoint_interval reporter_interval_until_now(const struct reporter *reporter)
{
	struct checkpoint_interval interval = reporter->interval;

	interval.end_ns = clock_boottime_ns();
	interval.end_wall_ns = clock_realtime_ns();
	return interval;
}

static void reporter_set_times(struct report *report, const struct checkpoint_interval *interval)
{
	report->start_ns = interval->start_wall_ns;
	report->end_ns = interval->end_wall_ns;
	report->duration_ns = interval->end_ns - interval->start_ns;
}

static struct merge_ends reporter_ends(const struct reporter *reporter,
				       const struct sources *sources)
{
	return (struct merge_ends){
		.nat = translation_table(reporter->translation),
		.locals = reporter->locals,
		.client_ports = reporter->client_ports,
		.tunnels = sources->tunnels,
		.count_tunnels = reporter->config->tunnels == CONFIG_TUNNELS_COUNT,
		.only = &reporter->config->only,
		.ignore = &reporter->config->ignore,
	};
}

/* The report of what is in merge, without a number yet. all: also what only and ignore hide. */
static int reporter_make_report(struct reporter *reporter, struct merge *merge,
				const struct sources *sources,
				const struct checkpoint_interval *interval, bool all,
				struct report *report)
{
	struct merge_ends ends = reporter_ends(reporter, sources);
	int err;

	if (all)
		ends.only = ends.ignore = NULL;
	err = merge_report(merge, sources->interfaces, sources->count, &ends, report);

	if (!err)
		reporter_set_times(report, interval);
	return err;
}

/* The report of the running interval, so far or whole. */
static int reporter_report_interval(struct reporter *reporter, struct merge *merge,
				    const struct checkpoint_interval *interval, bool all,
				    struct report *report)
{
	struct sources sources = {0};
	int err = sources_of_table(&sources, reporter->table);

	if (!err)
		err = reporter_make_report(reporter, merge, &sources, interval, all, report);
	sources_clean(&sources);
	return err;
}

/* The running interval, without touching it: all of it, as a look may be for what reports leave
 * out. */
static int reporter_look(void *data, struct report *report)
{
	struct reporter *reporter = data;
	struct checkpoint_interval interval = reporter_interval_until_now(reporter);
	struct merge *look;
	int err = merge_copy(&look, reporter->merge);

	if (err)
		return err;
	err = interface_table_peek(reporter->table, look);
	if (!err)
		err = reporter_report_interval(reporter, look, &interval, true, report);
	merge_free(look);
	return err;
}

int reporter_new(struct reporter **ret, const struct reporter_means *means)
{
	struct reporter *reporter = calloc(1, sizeof(*reporter));
	int err;

	if (!reporter)
		return -ENOMEM;
	*reporter = (struct reporter){
		.config = means->config,
		.merge = means->merge,
		.table = means->table,
		.translation = means->translation,
		.continuity = means->continuity,
		.exporter = means->exporter,
		.locals = means->locals,
		.client_ports = means->client_ports,
	};
	err = live_new(&reporter->live, reporter_look, reporter);
	if (!err)
		err = report_id_new(&reporter->report_id);
	if (!err)
		err = sink_new(&reporter->sink, means->loop, means->config->output);
	if (err) {
		reporter_free(reporter);
		return err;
	}
	*ret = reporter;
	return 0;
}

void reporter_free(struct reporter *reporter)
{
	if (!reporter)
		return;
	sink_free(reporter->sink);
	report_id_free(reporter->report_id);
	live_free(reporter->live);
	buffer_free(&reporter->text);
	free(reporter);
}

/* Sums the smallest flows of a merge that holds too many, and cleans the sources, which err says
 * were not had. Without memory it goes on to grow. */
static void reporter_sum_smallest(struct reporter *reporter, struct merge *merge,
				  struct sources *sources, int err)
{
	const struct merge_ends ends = reporter_ends(reporter, sources);

	if (!err)
		err = merge_sum_smallest(merge, sources->interfaces, sources->count, &ends);
	if (err)
		log_error("more flows than max_flows: %s", strerror(-err));
	sources_clean(sources);
}

void reporter_relieve(struct reporter *reporter)
{
	struct sources sources = {0};
	int err;

	if (!merge_is_over(reporter->merge))
		return;
	err = sources_of_table(&sources, reporter->table);
	reporter_sum_smallest(reporter, reporter->merge, &sources, err);
	if (!merge_is_over(reporter->merge))
		continuity_fold(reporter->continuity, reporter->merge, &reporter->interval);
}

void reporter_relieve_doubtful(void *data, struct merge *doubt,
			       const struct checkpoint_report *left)
{
	struct reporter *reporter = data;
	struct sources sources = {0};
	int err;

	merge_set_max_flows(doubt, reporter->config->max_flows);
	if (!merge_is_over(doubt))
		return;
	err = sources_of_checkpoint(&sources, left);
	reporter_sum_smallest(reporter, doubt, &sources, err);
}

static void reporter_hold_less(struct reporter *reporter)
{
	if (continuity_holds_many(reporter->continuity, reporter->merge))
		continuity_fold(reporter->continuity, reporter->merge, &reporter->interval);
}

void reporter_checkpoint(struct reporter *reporter)
{
	reporter_hold_less(reporter);
	continuity_save(reporter->continuity, &reporter->interval);
}

void reporter_end_if_sent(struct reporter *reporter)
{
	if (!sink_is_busy(reporter->sink))
		continuity_end_report(reporter->continuity, &reporter->interval);
}

void reporter_end_report(struct reporter *reporter)
{
	if (sink_is_busy(reporter->sink))
		reporter_checkpoint(reporter);
	else
		reporter_end_if_sent(reporter);
}

static void reporter_format(struct reporter *reporter, const struct report *report)
{
	buffer_reset(&reporter->text);
	switch (reporter->config->format) {
	case CONFIG_TEXT:
		format_text(&reporter->text, report);
		break;
	case CONFIG_TABLE:
		format_table(&reporter->text, report);
		break;
	case CONFIG_JSON:
		format_json(&reporter->text, report);
		break;
	}
}

/* Its number, and its text as it is to be sent. */
static int reporter_finish_report(struct reporter *reporter, struct report *report, uint64_t id)
{
	report->id = id;
	report_limit(report, reporter->config->top);
	reporter_format(reporter, report);
	return buffer_error(&reporter->text);
}

static int reporter_send(struct reporter *reporter)
{
	/* the report may go to the same terminal */
	log_live("");
	return sink_write(reporter->sink, reporter->text.data, reporter->text.size);
}

/* The report that an agent that died has left in doubt: it goes before all others. */
static int reporter_make_doubtful(struct reporter *reporter, const struct checkpoint_report *left,
				  struct merge *merge, struct report *report)
{
	struct sources sources = {0};
	int err = sources_of_checkpoint(&sources, left);

	merge_set_max_flows(merge, reporter->config->max_flows);
	if (!err)
		err = reporter_make_report(reporter, merge, &sources, &left->interval, false,
					   report);
	sources_clean(&sources);
	return err;
}

int reporter_write_doubtful(struct reporter *reporter)
{
	struct merge *merge;
	const struct checkpoint_report *left = continuity_doubt(reporter->continuity, &merge);
	struct report report = {0};
	uint64_t id;
	int err;

	if (!left)
		return 0;
	id = left->id;
	err = sink_renew(reporter->sink);
	if (err) {
		reporter_note_output(reporter, err);
		return err;
	}
	if (!left->file_size ||
	    !sink_has_whole(reporter->sink, &left->position, left->file_size, left->checksum)) {
		err = reporter_make_doubtful(reporter, left, merge, &report);
		if (!err)
			err = reporter_finish_report(reporter, &report, id);
		if (!err && left->file_size)
			sink_cut_part(reporter->sink, &left->position, reporter->text.data,
				      reporter->text.size);
		if (!err)
			err = reporter_send(reporter);
		report_clean(&report);
		reporter_note_output(reporter, err);
		if (err)
			return err;
		log_notice("report %" PRIu64 " of an agent that died is written", id);
	}
	report_id_commit(reporter->report_id, id);
	continuity_doubt_sent(reporter->continuity);
	reporter_end_report(reporter);
	return 0;
}

static void reporter_next_interval(struct reporter *reporter,
				   const struct checkpoint_interval *ended)
{
	merge_next_interval(reporter->merge);
	interface_table_next_interval(reporter->table);
	translation_next_interval(reporter->translation);
	live_next_interval(reporter->live);
	reporter->interval = checkpoint_interval_after(ended);
}

/* It is written: it has its number for good, and the next interval has begun. */
static void reporter_commit(struct reporter *reporter, const struct report *report,
			    const struct checkpoint_interval *interval)
{
	report_id_commit(reporter->report_id, report->id);
	totals_add(&reporter->totals, report);
	interface_table_add_totals(reporter->table, report);
	reporter_next_interval(reporter, interval);
	reporter_end_report(reporter);
	log_debug("report %" PRIu64 ": %zu flows, %llu bytes", report->id,
		  report_flow_total(report), report->total.bytes);
	notify("STATUS=report %" PRIu64 ": %zu flows, %llu bytes", report->id,
	       report_flow_total(report), report->total.bytes);
}

/* What many interfaces and their phases took lies all over the heap, and glibc gives back none but
 * its end. */
static void give_memory_back(void)
{
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

/*
 * Writes the report of what is in the merge. If that fails, the merge and the interval stay open,
 * so the next report covers this one, and nothing is lost.
 */
static int reporter_write_interval(struct reporter *reporter)
{
	struct checkpoint_interval interval = reporter_interval_until_now(reporter);
	struct report report = {0};
	int64_t made_ns;
	bool storm;
	int err;

	/* one at a time is in doubt */
	err = continuity_has_sent(reporter->continuity) ? -EAGAIN : sink_renew(reporter->sink);
	if (!err)
		err = reporter_report_interval(reporter, reporter->merge, &interval, false,
					       &report);
	made_ns = exporter_end_stage(reporter->exporter, METRICS_MERGE, interval.end_ns);
	if (!err)
		err = reporter_finish_report(reporter, &report,
					     report_id_next(reporter->report_id));
	if (!err)
		err = continuity_begin_report(reporter->continuity, reporter->merge, &report,
					      &interval, reporter->sink, &reporter->text);
	if (!err) {
		err = reporter_send(reporter);
		if (err)
			continuity_cancel_report(reporter->continuity, &reporter->interval);
	}
	exporter_end_stage(reporter->exporter, METRICS_WRITE, made_ns);
	exporter_add_report(reporter->exporter, err ? NULL : &report);
	reporter_note_output(reporter, err);
	if (!err)
		reporter_commit(reporter, &report, &interval);
	storm = report.interface_count >= STORM_INTERFACES;
	report_clean(&report);
	if (storm)
		give_memory_back();
	return err;
}

void reporter_begin_interval(struct reporter *reporter)
{
	reporter->interval = (struct checkpoint_interval){
		.start_ns = clock_boottime_ns(),
		.start_wall_ns = clock_realtime_ns(),
	};
}

void reporter_go_on(struct reporter *reporter, const struct checkpoint_interval *interval)
{
	reporter->interval = *interval;
}

int64_t reporter_began_ns(const struct reporter *reporter)
{
	return reporter->interval.start_ns;
}

int reporter_write(struct reporter *reporter)
{
	int err = reporter_write_doubtful(reporter);

	if (!err)
		err = reporter_write_interval(reporter);
	if (err)
		reporter_hold_less(reporter);
	return err;
}

/* What waiting for the reader came to. */
static int reporter_waited(struct reporter *reporter, int err)
{
	if (sink_is_unread(reporter->sink, err))
		reporter_note_output(reporter, err);
	return err;
}

int reporter_flush(struct reporter *reporter, int timeout_ms)
{
	return reporter_waited(reporter, sink_finish(reporter->sink, timeout_ms));
}

int reporter_make_room(struct reporter *reporter, int timeout_ms)
{
	return reporter_waited(reporter, sink_make_room(reporter->sink, timeout_ms));
}

int reporter_reopen(struct reporter *reporter)
{
	return sink_reopen(reporter->sink, reporter->config->output);
}

const char *reporter_output(const struct reporter *reporter)
{
	return sink_name(reporter->sink);
}

bool reporter_is_unread(const struct reporter *reporter)
{
	return sink_is_unread(reporter->sink, reporter->output_error);
}

int reporter_output_error(const struct reporter *reporter)
{
	return reporter->output_error;
}

const struct totals *reporter_totals(const struct reporter *reporter)
{
	return &reporter->totals;
}

struct live *reporter_live(struct reporter *reporter)
{
	return reporter->live;
}
