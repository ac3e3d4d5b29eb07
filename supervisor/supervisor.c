// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/supervisor.h"
#include "config/config.h"
#include "control/request.h"
#include "control/server.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/timer.h"
#include "netlink/addr.h"
#include "netlink/rtnl.h"
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
#include "supervisor/privileges.h"
#include "supervisor/program.h"
#include "supervisor/reporter.h"
#include "supervisor/self_check.h"
#include "supervisor/sink.h"
#include "supervisor/totals.h"
#include "supervisor/translation.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* How long attaching may keep the netlink reader waiting. */
#define RECONCILE_BUDGET_NS (50 * NSEC_PER_MSEC)
/* At the start nobody is waiting: all interfaces begin to count at once. */
#define START_BUDGET_NS (3600 * NSEC_PER_SEC)
/* Whoever asks for a report waits so long for what is repaired, to find it there. */
#define REPAIR_BUDGET_NS NSEC_PER_SEC
/* A report this late has something to explain. */
#define LATE_NS (500 * NSEC_PER_MSEC)
/* How long each of the last reports may take to leave through a slow pipe. */
#define FINISH_MS 5000

struct supervisor {
	const struct options *options;
	struct config config;
	struct loop *loop;
	int instance_fd;
	int signal_fd;
	struct timer *report_timer;
	struct timer *retry_timer;
	struct timer *live_timer;
	struct timer *watchdog_timer;
	struct continuity *continuity;
	struct program *program;
	struct flow_maps *maps;
	struct attacher *attacher;
	struct rtnl *rtnl;
	struct local_set *locals;
	struct translation *translation;
	struct merge *merge;
	struct monitor monitor;
	struct monitor_counts counts;
	struct interface_table *table;
	struct self_check *self_check;
	struct exporter *exporter;
	struct reporter *reporter;
	struct control_server *control; /* NULL: nobody can ask */

	struct client_ports client_ports; /* as when we started */

	int64_t began_ns;      /* the agent, boot clock */
	int64_t began_wall_ns; /* the same, wall clock */
	int64_t due_ns;	       /* the next report, boot clock */
	bool hand_over;	       /* to the next agent, instead of stopping */
	bool left_report;      /* for the next agent, with nothing attached */
	int64_t retry_ns;      /* what the retry timer is set to */
};

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

	local_set_clear(sup->locals);
	interface_table_dump_begin(sup->table);
}

static void supervisor_on_dump_end(void *data)
{
	struct supervisor *sup = data;

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
	int64_t table_ns = interface_table_retry_ns(sup->table);
	int64_t rtnl_ns = rtnl_retry_ns(sup->rtnl);

	return rtnl_ns && (!table_ns || rtnl_ns < table_ns) ? rtnl_ns : table_ns;
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

/* Whether as many reports as --count asks for are written. */
static bool supervisor_has_reported_enough(const struct supervisor *sup)
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

/* The next report is due one interval after from_ns, or now if that is over, as an agent that died
 * may have begun it long ago. */
static int supervisor_schedule(struct supervisor *sup, int64_t from_ns)
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
	if (err)
		log_error("%s: cannot be opened: %s; reports go on to %s",
			  sink_path_name(sup->config.output), explain_output(err),
			  reporter_output(sup->reporter));
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

/* Writes a report now and begins a new interval. */
static int supervisor_report_early(struct supervisor *sup, int *report_err)
{
	/* whoever asks now wants to know that all is well now */
	interface_table_hurry(sup->table);
	if (interface_table_check(sup->table))
		interface_table_reconcile(sup->table, REPAIR_BUDGET_NS);
	*report_err = supervisor_report_now(sup);
	return supervisor_schedule(sup, reporter_began_ns(sup->reporter));
}

/*
 * Flows that judged hooks saw are judged when all maps were swapped at one instant, which is an
 * interval's end: where these are too many, it is now.
 */
static int supervisor_on_full_map(void *data, uint32_t events)
{
	struct supervisor *sup = data;
	int report_err, err = interface_table_drain_full(sup->table);

	(void)events;
	if (err || !merge_must_report(sup->merge) || reporter_output_error(sup->reporter) ||
	    continuity_has_sent(sup->continuity))
		return err;
	log_notice("more than twice max_flows can only be judged at an interval's end: reporting "
		   "early");
	return supervisor_report_early(sup, &report_err);
}

/* A service manager that restarts us waits for our end, whether or not anything can outlive it. */
static void supervisor_begin_hand_over(struct supervisor *sup)
{
	sup->hand_over = continuity_pins(sup->continuity);
	if (!sup->hand_over)
		log_error("cannot hand over without a BPF file system: %s; stopping instead",
			  strerror(-continuity_error(sup->continuity)));
	loop_stop(sup->loop);
}

static int supervisor_take_signal(struct supervisor *sup, uint32_t number)
{
	int report_err;

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
		return supervisor_report_early(sup, &report_err);
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

static struct json_t *supervisor_answer(void *data, const struct control_request *request)
{
	struct supervisor *sup = data;
	const struct answers state = {
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
	};
	int err, report_err;

	/* links that went in this round of events are in the answer as what they are */
	interface_table_hurry(sup->table);
	supervisor_reconcile(sup);
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

/* The rest of the work is done by supervisor_reconcile(), which runs after every round of events.
 */
static int supervisor_on_retry_timer(void *data, uint64_t periods)
{
	struct supervisor *sup = data;

	(void)periods;
	return rtnl_retry_ns(sup->rtnl) ? rtnl_dispatch(sup->rtnl) : 0;
}

/* Every interface takes three descriptors. */
static void supervisor_raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_debug("RLIMIT_NOFILE: %s", strerror(errno));
}

static int supervisor_block_signals(struct supervisor *sup)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	/* a reader that goes away is an error of write(2) */
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	sup->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return sup->signal_fd < 0 ? -errno : 0;
}

static int supervisor_fail(const char *what, int err)
{
	log_error("%s: %s", what, strerror(-err));
	return err;
}

static int supervisor_open_instance(struct supervisor *sup)
{
	sup->instance_fd = instance_claim();
	if (sup->instance_fd >= 0 || sup->instance_fd == -EADDRINUSE)
		return sup->instance_fd < 0 ? sup->instance_fd : 0;
	return supervisor_fail("cannot mark this network namespace as watched", sup->instance_fd);
}

static int supervisor_open_continuity(struct supervisor *sup)
{
	int err = continuity_new(&sup->continuity);

	return err ? supervisor_fail("cannot look for what a dead agent left", err) : 0;
}

/* With the maps that a dead agent left, if there are any and they are like ours. */
static int supervisor_load_program(struct supervisor *sup)
{
	const struct pins *pins = continuity_pins(sup->continuity);
	uint32_t generation;
	bool go_on;
	int err = continuity_meet(sup->continuity, &generation, &go_on);

	if (!err)
		err = program_new(&sup->program, pins, generation, go_on);
	if (!go_on || (err != -ENOENT && err != -EPROTO))
		return err;
	err = continuity_part(sup->continuity, &generation);
	return err ? err : program_new(&sup->program, pins, generation, false);
}

static int supervisor_open_program(struct supervisor *sup)
{
	int err = supervisor_load_program(sup);

	if (err) {
		char text[512];

		explain_program(err, text, sizeof(text));
		log_error("%s", text);
		return err;
	}
	if (continuity_error(sup->continuity))
		log_warning("no BPF file system (/sys/fs/bpf): %s; if the agent is killed, what it "
			    "counted since the last report is lost",
			    strerror(-continuity_error(sup->continuity)));
	err = flow_maps_new(&sup->maps, sup->program, continuity_pins(sup->continuity),
			    sup->config.map_entries);
	if (!err)
		err = continuity_hold(sup->continuity, sup->maps);
	if (err)
		return supervisor_fail("cannot create a flow map", err);
	err = continuity_replace(sup->continuity, sup->program, sup->maps);
	if (err)
		return supervisor_fail("cannot replace the program of another version", err);
	err = attacher_new(&sup->attacher, sup->program, continuity_pins(sup->continuity),
			   sup->config.attach);
	return err ? supervisor_fail("cannot open a tc netlink socket", err) : 0;
}

/* From here on nothing is opened but what the network and the configuration bring. */
static int supervisor_drop_privileges(const struct supervisor *sup)
{
	int err = privileges_drop(options_config_file(sup->options), sup->config.output);

	return err ? supervisor_fail("cannot give up privileges", err) : 0;
}

static bool supervisor_is_attached(void *data, uint32_t ifindex)
{
	struct supervisor *sup = data;

	return interface_table_has_attached(sup->table, ifindex);
}

static int supervisor_sweep(struct supervisor *sup)
{
	int removed = attach_sweep(supervisor_is_attached, sup);

	if (removed < 0)
		return supervisor_fail("cannot look for what a dead agent left", removed);
	if (removed)
		log_notice("removed %d filters that a dead agent had left", removed);
	return 0;
}

/* Goes on where an agent that died ends; without one, the interval begins when all is attached. */
static int supervisor_recover(struct supervisor *sup)
{
	const struct continuity_relief relief = {reporter_relieve_doubtful, sup->reporter};
	int err;

	if (!continuity_found(sup->continuity))
		return 0;
	reporter_go_on(sup->reporter, continuity_interval(sup->continuity));
	err = continuity_recover(sup->continuity, sup->program, sup->maps, sup->table, sup->merge,
				 &relief);
	if (err)
		log_error("not all that a dead agent counted could be read: %s", strerror(-err));
	else
		log_notice("an agent that died has left its running interval: going on with it");
	return err == -ENOMEM ? err : 0;
}

static void supervisor_checkpoint(void *data)
{
	struct supervisor *sup = data;

	reporter_checkpoint(sup->reporter);
}

static void supervisor_relieve(void *data)
{
	struct supervisor *sup = data;

	reporter_relieve(sup->reporter);
}

static int supervisor_open_links(struct supervisor *sup)
{
	const struct rtnl_handlers handlers = {
		.link = supervisor_on_link,
		.addr = supervisor_on_addr,
		.dump_begin = supervisor_on_dump_begin,
		.dump_end = supervisor_on_dump_end,
		.data = sup,
	};
	int err = rtnl_new(&sup->rtnl, &handlers);

	if (err)
		return supervisor_fail("cannot subscribe to link notifications", err);
	sup->monitor = (struct monitor){
		.program = sup->program,
		.maps = sup->maps,
		.held = continuity_held(sup->continuity),
		.attacher = sup->attacher,
		.rtnl = sup->rtnl,
		.merge = sup->merge,
		.counts = &sup->counts,
		.checkpoint = supervisor_checkpoint,
		.relieve = supervisor_relieve,
		.data = sup,
	};
	err = interface_table_new(&sup->table, &sup->monitor, &sup->config);
	if (!err)
		err = exporter_new(&sup->exporter, sup->loop, sup->table, &sup->monitor,
				   &sup->config);
	return err ? supervisor_fail("cannot read the links of this host", err) : 0;
}

/* Which links there are, and what an agent that died has left on them. */
static int supervisor_find_links(struct supervisor *sup)
{
	int err = supervisor_recover(sup);

	if (!err)
		err = supervisor_sweep(sup);
	if (!err)
		err = rtnl_dump(sup->rtnl);
	/* links change faster than they can be read: the monitor goes on trying */
	if (err == -EAGAIN)
		err = 0;
	return err ? supervisor_fail("cannot read the links of this host", err) : 0;
}

static int supervisor_open_output(struct supervisor *sup)
{
	const struct reporter_means means = {
		.config = &sup->config,
		.loop = sup->loop,
		.merge = sup->merge,
		.table = sup->table,
		.locals = sup->locals,
		.translation = sup->translation,
		.continuity = sup->continuity,
		.exporter = sup->exporter,
		.client_ports = sup->client_ports,
	};
	int err = reporter_new(&sup->reporter, &means);

	if (err)
		log_error("%s: cannot be opened for reports: %s",
			  sink_path_name(sup->config.output), explain_output(err));
	return err;
}

static int supervisor_open_watchdog(struct supervisor *sup)
{
	int64_t period_ns = notify_watchdog_ns();
	int err = timer_new(&sup->watchdog_timer, sup->loop, supervisor_on_watchdog_timer, sup);

	return err ? err : timer_set(sup->watchdog_timer, period_ns ? 1 : 0, period_ns);
}

static int supervisor_open_loop(struct supervisor *sup)
{
	int err;

	err = loop_add(sup->loop, sup->signal_fd, EPOLLIN, supervisor_on_signal, sup);
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

/* Counting does not depend on it: without a socket nobody can ask, and that is all. */
static void supervisor_open_control(struct supervisor *sup)
{
	char problem[256];
	int err =
		control_server_new(&sup->control, supervisor_answer, sup, problem, sizeof(problem));

	if (!err) {
		err = loop_add(sup->loop, control_server_fd(sup->control), EPOLLIN,
			       supervisor_on_control, sup);
		if (err)
			snprintf(problem, sizeof(problem), "%s", strerror(-err));
	}
	if (err)
		log_warning("no control socket, so status, interfaces and top cannot ask this "
			    "agent: %s",
			    problem);
	else
		log_debug("control socket: %s", control_server_path(sup->control));
}

/* Attaches to all that is wanted before the first interval begins. */
static int supervisor_attach_all(struct supervisor *sup)
{
	struct interface_table_counts counts;

	while (interface_table_reconcile(sup->table, START_BUDGET_NS))
		;
	counts = interface_table_count(sup->table);
	if (counts.wanted && !counts.monitored && counts.attach_error) {
		log_error("no interface could be attached to: %s",
			  explain_attach(counts.attach_error));
		return counts.attach_error;
	}
	absent_warn(&sup->config.include, sup->table);
	if (!counts.wanted)
		log_warning("no interface matches the include and exclude lists; waiting for one");
	return 0;
}

static void supervisor_announce(const struct supervisor *sup)
{
	struct interface_table_counts counts = interface_table_count(sup->table);
	int64_t left_ns = sup->due_ns - clock_boottime_ns();
	int64_t left_s = left_ns > 0 ? (left_ns + NSEC_PER_SEC / 2) / NSEC_PER_SEC : 0;
	time_t due = (time_t)((clock_realtime_ns() + left_ns) / NSEC_PER_SEC);
	char at[16] = "";
	struct tm tm;

	if (localtime_r(&due, &tm))
		strftime(at, sizeof(at), "%H:%M:%S", &tm);
	log_notice("watching %zu of %zu interfaces (tcx %zu, clsact %zu), first report at %s (in "
		   "%" PRId64 " s) to %s",
		   counts.monitored, counts.links, counts.tcx, counts.clsact, at, left_s,
		   reporter_output(sup->reporter));
	notify("READY=1\nSTATUS=watching %zu of %zu interfaces", counts.monitored, counts.links);
}

/* What an agent that died had not read, and the report that it had not finished. A failure to write
 * it is told, and it is tried again with the next one. */
static void supervisor_settle(struct supervisor *sup)
{
	interface_table_drain(sup->table, false);
	(void)reporter_write_doubtful(sup->reporter);
}

static int supervisor_start(struct supervisor *sup)
{
	int err;

	supervisor_raise_descriptors();
	client_ports_read(&sup->client_ports);
	err = supervisor_block_signals(sup);
	if (!err)
		err = loop_new(&sup->loop);
	if (!err)
		err = merge_new(&sup->merge);
	if (!err)
		merge_set_max_flows(sup->merge, sup->config.max_flows);
	if (!err)
		err = local_set_new(&sup->locals);
	if (!err)
		err = translation_new(&sup->translation, sup->loop, &sup->client_ports,
				      sup->config.nat);
	if (err)
		return supervisor_fail("cannot start", err);
	err = supervisor_open_instance(sup);
	if (!err)
		err = supervisor_open_continuity(sup);
	if (!err)
		err = supervisor_open_program(sup);
	if (!err)
		err = supervisor_open_links(sup);
	if (!err)
		err = supervisor_open_output(sup);
	if (!err)
		err = supervisor_find_links(sup);
	if (!err)
		err = supervisor_open_loop(sup);
	if (!err)
		err = supervisor_attach_all(sup);
	if (err)
		return err;
	translation_look(sup->translation);
	sup->began_ns = clock_boottime_ns();
	sup->began_wall_ns = clock_realtime_ns();
	if (continuity_found(sup->continuity))
		supervisor_settle(sup);
	else
		reporter_begin_interval(sup->reporter);
	reporter_checkpoint(sup->reporter);
	supervisor_open_control(sup);
	exporter_listen(sup->exporter);
	err = supervisor_drop_privileges(sup);
	if (err)
		return err;
	err = supervisor_schedule(sup, reporter_began_ns(sup->reporter));
	if (!err && log_on_terminal())
		err = timer_set(sup->live_timer, clock_boottime_ns() + NSEC_PER_SEC, 0);
	return err ? supervisor_fail("cannot set a timer", err) : 0;
}

/* The last report could not be written: what is in it stays for the next agent, if it can, and if
 * anybody may want it: the end of a pipeline leaves nothing behind. */
static void supervisor_leave_report(struct supervisor *sup, int err)
{
	if (reporter_is_unread(sup->reporter))
		return;
	if (!continuity_pins(sup->continuity)) {
		log_error("the last report is lost: %s", explain_output(err));
		return;
	}
	reporter_checkpoint(sup->reporter);
	sup->left_report = true;
	log_error("the last report could not be written: %s; the next start of flowtally in this "
		  "network namespace writes it",
		  explain_output(err));
}

/* The report of the unfinished interval, unless --count has been reached. A slow reader gets what
 * is left of the one before first. */
static int supervisor_write_last(struct supervisor *sup)
{
	bool enough = supervisor_has_reported_enough(sup);
	int err = enough ? reporter_flush(sup->reporter, FINISH_MS)
			 : reporter_make_room(sup->reporter, FINISH_MS);

	if (err)
		return err;
	reporter_end_if_sent(sup->reporter);
	if (enough)
		return 0;
	err = reporter_write(sup->reporter);
	return err ? err : reporter_flush(sup->reporter, FINISH_MS);
}

static int supervisor_finish(struct supervisor *sup)
{
	int err;

	log_live("");
	notify("STOPPING=1");
	interface_table_ask_ports(sup->table);
	interface_table_stop(sup->table);
	translation_catch_up(sup->translation);
	err = supervisor_write_last(sup);
	if (err)
		supervisor_leave_report(sup, err);
	return err;
}

/* All goes on without us, until the next agent takes it over. */
static int supervisor_hand_over(struct supervisor *sup)
{
	int err;

	log_live("");
	err = reporter_flush(sup->reporter, FINISH_MS);
	if (err)
		log_error("%s: the last report is not finished: %s; it will be written again",
			  reporter_output(sup->reporter), explain_output(err));
	reporter_end_report(sup->reporter);
	log_notice("handing over: the kernel goes on counting");
	return err;
}

static void supervisor_remove_pins(struct supervisor *sup)
{
	int err = continuity_remove(sup->continuity);

	if (err)
		log_error("not all pins could be removed: %s", strerror(-err));
}

static void supervisor_clean(struct supervisor *sup)
{
	control_server_free(sup->control);
	if (sup->table && !sup->hand_over) {
		interface_table_stop(sup->table);
		interface_table_detach(sup->table);
	}
	exporter_free(sup->exporter);
	self_check_free(sup->self_check);
	interface_table_free(sup->table);
	reporter_free(sup->reporter);
	rtnl_free(sup->rtnl);
	attacher_free(sup->attacher);
	if (sup->continuity && !sup->hand_over && !sup->left_report)
		supervisor_remove_pins(sup);
	continuity_free(sup->continuity);
	flow_maps_free(sup->maps);
	program_free(sup->program);
	translation_free(sup->translation);
	local_set_free(sup->locals);
	merge_free(sup->merge);
	timer_free(sup->watchdog_timer);
	timer_free(sup->live_timer);
	timer_free(sup->retry_timer);
	timer_free(sup->report_timer);
	loop_free(sup->loop);
	if (sup->signal_fd >= 0)
		close(sup->signal_fd);
	/* last: from now on another agent may run here */
	if (sup->instance_fd >= 0)
		close(sup->instance_fd);
	config_clean(&sup->config);
}

int supervisor_run(const struct options *options)
{
	struct supervisor sup = {
		.options = options,
		.instance_fd = -1,
		.signal_fd = -1,
	};
	int err;

	if (options_load_config(options, &sup.config, supervisor_complain, NULL))
		return SUPERVISOR_MISUSE;
	err = supervisor_start(&sup);
	/* what a dead agent left is not lost because we could not begin: it waits for the next
	 * start
	 */
	if (err)
		sup.hand_over = sup.continuity && continuity_found(sup.continuity);
	if (!err) {
		int finish_err;

		supervisor_announce(&sup);
		err = loop_run(sup.loop);
		if (err)
			log_error("stopping: %s", strerror(-err));
		finish_err = sup.hand_over ? supervisor_hand_over(&sup) : supervisor_finish(&sup);
		if (!err)
			err = finish_err;
	}
	supervisor_clean(&sup);
	return err ? SUPERVISOR_FAILED : SUPERVISOR_ENDED;
}
