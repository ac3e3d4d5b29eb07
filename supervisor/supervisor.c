// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/supervisor.h"
#include "config/config.h"
#include "control/request.h"
#include "control/server.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/timer.h"
#include "netlink/addr.h"
#include "netlink/rtnl.h"
#include "netlink/rtnl_query.h"
#include "report/locals.h"
#include "report/merge.h"
#include "supervisor/absent.h"
#include "supervisor/answers.h"
#include "supervisor/attach.h"
#include "supervisor/continuity.h"
#include "supervisor/explain.h"
#include "supervisor/exporter.h"
#include "supervisor/flow_map.h"
#include "supervisor/instance.h"
#include "supervisor/interface_table.h"
#include "supervisor/live.h"
#include "supervisor/notify.h"
#include "supervisor/options.h"
#include "supervisor/program.h"
#include "supervisor/reporter.h"
#include "supervisor/self_check.h"
#include "supervisor/sink.h"
#include "supervisor/supervisor_private.h"
#include "supervisor/totals.h"
#include "supervisor/translation.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How long attaching may keep the netlink reader waiting. */
#define RECONCILE_BUDGET_NS (50 * NSEC_PER_MSEC)
/* Whoever asks for a report waits so long for what is repaired, to find it there. */
#define REPAIR_BUDGET_NS NSEC_PER_SEC
/* A report this late has something to explain. */
#define LATE_NS (500 * NSEC_PER_MSEC)

static void supervisor_complain(void *data, const char *message)
{
	(void)data;
	log_error("%s", message);
}

static int supervisor_on_link(void *data, const struct link *link)
{
	struct supervisor *sup = data;

	if (link->gone)
		local_set_remove_interface(sup->locals, link->ifindex);
	return interface_table_link(sup->table, link);
}

static int supervisor_on_addr(void *data, const struct addr *addr)
{
	struct supervisor *sup = data;

	if (!addr->gone)
		return local_set_add(sup->locals, addr->ifindex, addr->local);
	local_set_remove(sup->locals, addr->ifindex, addr->local);
	return 0;
}

static void supervisor_on_dump_begin(void *data)
{
	struct supervisor *sup = data;

	local_set_dump_begin(sup->locals);
	interface_table_dump_begin(sup->table);
}

static void supervisor_on_dump_end(void *data)
{
	struct supervisor *sup = data;

	local_set_dump_end(sup->locals);
	interface_table_dump_end(sup->table);
}

static int supervisor_on_netlink(void *data, uint32_t events)
{
	struct supervisor *sup = data;

	(void)events;
	/* NAT often begins with a container's first link */
	translation_look(sup->translation);
	return rtnl_dispatch(sup->rtnl);
}

/* Boot clock; 0: never. */
static int64_t supervisor_retry_ns(const struct supervisor *sup)
{
	return clock_earlier_ns(rtnl_retry_ns(sup->rtnl), interface_table_retry_ns(sup->table));
}

static bool supervisor_reconcile(void *data)
{
	struct supervisor *sup = data;
	bool unchecked = interface_table_check_some(sup->table);
	bool more = interface_table_reconcile(sup->table, RECONCILE_BUDGET_NS) || unchecked;
	int64_t retry_ns = supervisor_retry_ns(sup);

	reporter_end_if_sent(sup->reporter);
	if (retry_ns != sup->retry_ns) {
		int err = timer_set(sup->retry_timer, retry_ns, 0);

		if (err)
			log_error("the retry timer cannot be set: %s", strerror(-err));
		sup->retry_ns = retry_ns;
	}
	return more;
}

bool supervisor_has_reported_enough(const struct supervisor *sup)
{
	return sup->options->count &&
	       reporter_totals(sup->reporter)->reports >= sup->options->count;
}

static int supervisor_report_now(struct supervisor *sup)
{
	int64_t begin_ns = clock_boottime_ns();
	int err;

	/* links that went in this round of events end their part of the interval */
	interface_table_hurry(sup->table);
	supervisor_reconcile(sup);
	/* while the output is broken, what was read before has no report for how long nobody knows
	 */
	interface_table_drain(sup->table, reporter_output_error(sup->reporter) != 0);
	interface_table_ask_ports(sup->table);
	translation_catch_up(sup->translation);
	exporter_end_stage(sup->exporter, METRICS_DRAIN, begin_ns);
	/* a failure is told, and made up for by the next report */
	err = reporter_write(sup->reporter);
	interface_table_look(sup->table);
	/* whoever asked for some reports and went away does not want more of them */
	if (reporter_is_unread(sup->reporter) || supervisor_has_reported_enough(sup) ||
	    (sup->options->count && err == -EPIPE))
		loop_stop(sup->loop);
	return err;
}

static int64_t supervisor_interval_ns(const struct supervisor *sup)
{
	return sup->config.interval_s * NSEC_PER_SEC;
}

int supervisor_schedule(struct supervisor *sup, int64_t from_ns)
{
	int64_t now_ns = clock_boottime_ns();

	sup->due_ns = from_ns + supervisor_interval_ns(sup);
	if (sup->due_ns < now_ns)
		sup->due_ns = now_ns;
	return timer_set(sup->report_timer, sup->due_ns, supervisor_interval_ns(sup));
}

static int supervisor_on_report_timer(void *data, uint64_t periods)
{
	struct supervisor *sup = data;
	int64_t late_ns = clock_boottime_ns() - sup->due_ns;

	/* the timer counts on from its first expiry, whenever we come: no drift */
	sup->due_ns += (int64_t)periods * supervisor_interval_ns(sup);
	if (late_ns > LATE_NS)
		log_warning("woken %.1f s late: this report covers a longer interval",
			    (double)late_ns / NSEC_PER_SEC);
	(void)supervisor_report_now(sup);
	return 0;
}

static int supervisor_on_watchdog_timer(void *data, uint64_t periods)
{
	(void)data;
	(void)periods;
	notify("WATCHDOG=1");
	return 0;
}

static void supervisor_show_live(struct supervisor *sup)
{
	int64_t left_ns = sup->due_ns - clock_boottime_ns();
	struct merge *look;
	char text[128];
	int err = merge_new(&look);

	if (err)
		return;
	err = interface_table_peek(sup->table, look);
	snprintf(text, sizeof(text), "next report in %lld s, %zu flows so far",
		 left_ns > 0 ? (left_ns + NSEC_PER_SEC / 2) / NSEC_PER_SEC : 0,
		 merge_flow_count(look) + merge_flow_count(sup->merge));
	merge_free(look);
	log_live(err ? "" : text);
}

/* Looking takes time on a host with many flows: it gets at most a twentieth of ours. */
static int supervisor_on_live_timer(void *data, uint64_t periods)
{
	struct supervisor *sup = data;
	int64_t begin_ns = clock_boottime_ns(), end_ns;

	(void)periods;
	supervisor_show_live(sup);
	end_ns = clock_boottime_ns();
	return timer_set(sup->live_timer, end_ns + live_pause_ns(end_ns - begin_ns), 0);
}

static int supervisor_reload(struct supervisor *sup)
{
	enum config_format format = sup->config.format;
	uint32_t interval_s = sup->config.interval_s;
	int err;

	notify_reloading();
	err = options_load_config(sup->options, &sup->config, supervisor_complain, NULL);
	if (err) {
		log_error("configuration is not changed");
		notify("READY=1");
		return err;
	}
	interface_table_rematch(sup->table);
	attacher_set_mode(sup->attacher, sup->config.attach);
	translation_set_mode(sup->translation, sup->config.nat);
	flow_maps_set_entries(sup->maps, sup->config.map_entries);
	merge_set_max_flows(sup->merge, sup->config.max_flows);
	exporter_listen(sup->exporter);
	err = reporter_reopen(sup->reporter);
	if (err) {
		/* one file is of one format */
		sup->config.format = format;
		log_error("%s: cannot be opened: %s; reports go on to %s as %s",
			  sink_path_name(sup->config.output), explain_output(err),
			  reporter_output(sup->reporter), config_format_to_str(format));
	}
	if (sup->config.interval_s != interval_s) {
		err = supervisor_schedule(sup, reporter_began_ns(sup->reporter));
		if (err)
			log_error("the report timer cannot be set: %s", strerror(-err));
	}
	absent_warn(&sup->config.include, sup->table);
	log_notice("configuration is read again");
	notify("READY=1");
	return 0;
}

/* Writes a report now and begins a new interval. *report_err, unless NULL: how the report went.
 * Returns what scheduling the next one came to. */
static int supervisor_report_early(struct supervisor *sup, int *report_err)
{
	int err;

	/* whoever asks now wants to know that all is well now */
	interface_table_hurry(sup->table);
	if (interface_table_check(sup->table))
		interface_table_reconcile(sup->table, REPAIR_BUDGET_NS);
	err = supervisor_report_now(sup);
	if (report_err)
		*report_err = err;
	return supervisor_schedule(sup, reporter_began_ns(sup->reporter));
}

/*
 * Flows that judged hooks saw are judged when all maps were swapped at one instant, which is an
 * interval's end: where these are too many, it is now.
 */
static int supervisor_on_full_map(void *data, uint32_t events)
{
	struct supervisor *sup = data;
	int err = interface_table_drain_full(sup->table);

	(void)events;
	if (err || !merge_must_report(sup->merge) || reporter_output_error(sup->reporter) ||
	    continuity_has_sent(sup->continuity))
		return err;
	log_notice("more than twice max_flows can only be judged at an interval's end: reporting "
		   "early");
	return supervisor_report_early(sup, NULL);
}

/* A service manager that restarts us waits for our end, whether or not anything can outlive it:
 * that the pins are gone may turn out now only. */
static void supervisor_begin_hand_over(struct supervisor *sup)
{
	int err;

	reporter_checkpoint(sup->reporter);
	err = continuity_error(sup->continuity);
	sup->hand_over = !err;
	if (err)
		log_error("cannot hand over %s: %s; stopping instead",
			  continuity_pins(sup->continuity) ? "what no checkpoint tells of"
							   : "without a BPF file system",
			  strerror(-err));
	loop_stop(sup->loop);
}

static int supervisor_take_signal(struct supervisor *sup, uint32_t number)
{
	switch (number) {
	case SIGTERM:
	case SIGINT:
		loop_stop(sup->loop);
		break;
	case SIGHUP:
		(void)supervisor_reload(sup);
		break;
	case SIGUSR2:
		supervisor_begin_hand_over(sup);
		break;
	case SIGUSR1:
		return supervisor_report_early(sup, NULL);
	}
	return 0;
}

/* What waits is taken at once, and then others have their turn: while one signal is obeyed the next
 * of its kind may come, and the kernel gives SIGTERM last. */
static int supervisor_on_signal(void *data, uint32_t events)
{
	struct supervisor *sup = data;
	struct signalfd_siginfo infos[8];
	ssize_t size = read(sup->signal_fd, infos, sizeof(infos));
	int err = 0;

	(void)events;
	if (size < 0)
		return errno == EAGAIN ? 0 : -errno;
	for (size_t i = 0; i < (size_t)size / sizeof(*infos) && !err; i++)
		err = supervisor_take_signal(sup, infos[i].ssi_signo);
	return err;
}

static struct answers supervisor_answer_state(const struct supervisor *sup)
{
	return (struct answers){
		.config_file = options_config_file(sup->options),
		.config = &sup->config,
		.program = sup->program,
		.rtnl = sup->rtnl,
		.attacher = sup->attacher,
		.translation = sup->translation,
		.table = sup->table,
		.counts = &sup->counts,
		.output = reporter_output(sup->reporter),
		.totals = reporter_totals(sup->reporter),
		.live = reporter_live(sup->reporter),
		.began_ns = sup->began_ns,
		.began_wall_ns = sup->began_wall_ns,
		.due_ns = sup->due_ns,
		.output_error = reporter_output_error(sup->reporter),
		.metrics_error = exporter_error(sup->exporter),
	};
}

static struct json_t *supervisor_answer(void *data, const struct control_request *request)
{
	struct supervisor *sup = data;
	struct answers state;
	int err, report_err;

	/* links that went in this round of events are in the answer as what they are */
	interface_table_hurry(sup->table);
	supervisor_reconcile(sup);
	state = supervisor_answer_state(sup);
	switch (request->kind) {
	case CONTROL_STATUS:
		return answers_status(&state);
	case CONTROL_INTERFACES:
		return answers_interfaces(&state);
	case CONTROL_FLOWS:
		return answers_flows(&state, &request->query);
	case CONTROL_REPORT:
		err = supervisor_report_early(sup, &report_err);
		if (!report_err)
			report_err = err;
		return report_err ? answers_error("the report is not written", report_err)
				  : answers_done("report");
	case CONTROL_RELOAD:
		err = supervisor_reload(sup);
		return err ? answers_error("the configuration is not changed, see the agent's log",
					   err)
			   : answers_done("reload");
	case CONTROL_REQUESTS:
		break;
	}
	return NULL;
}

static int supervisor_on_control(void *data, uint32_t events)
{
	struct supervisor *sup = data;

	(void)events;
	control_server_dispatch(sup->control);
	return 0;
}

static int supervisor_on_instance(void *data, uint32_t events)
{
	struct supervisor *sup = data;

	(void)events;
	instance_take_callers(sup->instance_fd);
	return 0;
}

/* The rest of the work is done by supervisor_reconcile(), which runs after every round of events.
 */
static int supervisor_on_retry_timer(void *data, uint64_t periods)
{
	struct supervisor *sup = data;
	int err = interface_table_full_is_due(sup->table) ? supervisor_on_full_map(sup, 0) : 0;

	(void)periods;
	if (err)
		return err;
	return rtnl_retry_ns(sup->rtnl) ? rtnl_dispatch(sup->rtnl) : 0;
}

int supervisor_fail(const char *what, int err)
{
	log_error("%s: %s", what, strerror(-err));
	return err;
}

int supervisor_open_links(struct supervisor *sup)
{
	const struct rtnl_handlers handlers = {
		.link = supervisor_on_link,
		.addr = supervisor_on_addr,
		.dump_begin = supervisor_on_dump_begin,
		.dump_end = supervisor_on_dump_end,
		.data = sup,
	};
	int err = rtnl_new(&sup->rtnl, &handlers) ?: rtnl_query_new(&sup->query);

	return err ? supervisor_fail("cannot subscribe to link notifications", err) : 0;
}

static int supervisor_open_watchdog(struct supervisor *sup)
{
	int64_t period_ns = notify_watchdog_ns();
	int err = timer_new(&sup->watchdog_timer, sup->loop, supervisor_on_watchdog_timer, sup);

	return err ? err : timer_set(sup->watchdog_timer, period_ns ? 1 : 0, period_ns);
}

int supervisor_open_loop(struct supervisor *sup)
{
	int err;

	err = loop_add(sup->loop, sup->signal_fd, EPOLLIN, supervisor_on_signal, sup);
	/* once a caller: without descriptors for them they wait */
	if (!err)
		err = loop_add(sup->loop, sup->instance_fd, EPOLLIN | EPOLLET,
			       supervisor_on_instance, sup);
	if (!err)
		err = loop_add(sup->loop, rtnl_fd(sup->rtnl), EPOLLIN, supervisor_on_netlink, sup);
	if (!err)
		err = loop_add(sup->loop, program_full_fd(sup->program), EPOLLIN,
			       supervisor_on_full_map, sup);
	if (!err)
		err = timer_new(&sup->report_timer, sup->loop, supervisor_on_report_timer, sup);
	if (!err)
		err = timer_new(&sup->retry_timer, sup->loop, supervisor_on_retry_timer, sup);
	if (!err)
		err = timer_new(&sup->live_timer, sup->loop, supervisor_on_live_timer, sup);
	if (!err)
		err = supervisor_open_watchdog(sup);
	if (!err)
		err = self_check_new(&sup->self_check, sup->loop, sup->table);
	loop_set_idle(sup->loop, supervisor_reconcile, sup);
	return err ? supervisor_fail("cannot wait for events", err) : 0;
}

/* A failure leaves nothing, and is described in problem. */
static int supervisor_serve(struct supervisor *sup, char *problem, size_t size)
{
	int err = control_server_new(&sup->control, supervisor_answer, sup, problem, size);

	if (err)
		return err;
	err = loop_add(sup->loop, control_server_fd(sup->control), EPOLLIN, supervisor_on_control,
		       sup);
	if (err) {
		snprintf(problem, size, "%s", strerror(-err));
		control_server_free(sup->control);
		sup->control = NULL;
	}
	return err;
}

void supervisor_open_control(struct supervisor *sup)
{
	char problem[256];

	if (supervisor_serve(sup, problem, sizeof(problem)))
		log_warning("no control socket, so status, interfaces and top cannot ask this "
			    "agent: %s",
			    problem);
	else
		log_debug("control socket: %s", control_server_path(sup->control));
}

/* 0, or -EINVAL: the mistake is told. */
static int supervisor_init(struct supervisor *sup, const struct options *options)
{
	*sup = (struct supervisor){
		.options = options,
		.instance_fd = -1,
		.signal_fd = -1,
	};
	return options_load_config(options, &sup->config, supervisor_complain, NULL) ? -EINVAL : 0;
}

/* From the first interval to the last report, or to the next agent. */
static int supervisor_run_loop(struct supervisor *sup)
{
	int err, end_err;

	supervisor_announce(sup);
	err = loop_run(sup->loop);
	if (err)
		log_error("stopping: %s", strerror(-err));
	end_err = sup->hand_over ? supervisor_hand_over(sup) : supervisor_finish(sup);
	return err ? err : end_err;
}

int supervisor_run(const struct options *options)
{
	struct supervisor sup;
	int err = supervisor_init(&sup, options);

	if (err)
		return SUPERVISOR_MISUSE;
	err = supervisor_start(&sup);
	if (sup.again) {
		supervisor_clean(&sup);
		err = supervisor_init(&sup, options) ?: supervisor_start(&sup);
	}
	/* what a dead agent left is not lost because we could not begin: the next start has it */
	if (err)
		sup.hand_over = sup.continuity && continuity_found(sup.continuity);
	else
		err = supervisor_run_loop(&sup);
	supervisor_clean(&sup);
	return err ? SUPERVISOR_FAILED : SUPERVISOR_ENDED;
}
