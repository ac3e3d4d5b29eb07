// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/supervisor.h"
#include "config/config.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "netlink/addr.h"
#include "netlink/rtnl.h"
#include "report/filtered.h"
#include "report/format.h"
#include "report/locals.h"
#include "report/merge.h"
#include "report/tunnel.h"
#include "supervisor/attach.h"
#include "supervisor/exporter.h"
#include "supervisor/flow_map.h"
#include "supervisor/instance.h"
#include "supervisor/interface_table.h"
#include "supervisor/loop.h"
#include "supervisor/notify.h"
#include "supervisor/options.h"
#include "supervisor/privileges.h"
#include "supervisor/program.h"
#include "supervisor/report_id.h"
#include "supervisor/sink.h"
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
/* A report this late has something to explain. */
#define LATE_NS (500 * NSEC_PER_MSEC)
/* How long the last report may take to leave through a slow pipe. */
#define FINISH_MS 5000

struct supervisor {
	const struct options *options;
	struct config config;
	struct loop *loop;
	int instance_fd;
	int signal_fd;
	int report_timer_fd;
	int retry_timer_fd;
	int live_timer_fd;
	int watchdog_timer_fd;
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
	struct exporter *exporter;
	struct report_id *report_id;
	struct sink *sink;
	struct buffer text; /* of a report; kept for the next */

	uint16_t ephemeral_first, ephemeral_last;
	int64_t start_ns;      /* of the interval, boot clock */
	int64_t start_wall_ns; /* the same, wall clock */
	int64_t due_ns;	       /* its end, boot clock */
	uint64_t reports;
	bool output_broken; /* said once when it begins, once when it ends */
	int64_t retry_ns;   /* what the retry timer is set to */
};

static void supervisor_complain(void *data, const char *message)
{
	(void)data;
	log_error("%s", message);
}

static void supervisor_on_link(void *data, const struct link *link)
{
	struct supervisor *sup = data;

	if (link->gone)
		local_set_remove_interface(sup->locals, link->ifindex);
	interface_table_link(sup->table, link);
}

static void supervisor_on_addr(void *data, const struct addr *addr)
{
	struct supervisor *sup = data;
	int err;

	if (addr->gone) {
		local_set_remove(sup->locals, addr->ifindex, addr->local);
		return;
	}
	err = local_set_add(sup->locals, addr->ifindex, addr->local);
	if (err)
		log_error("a local address is not noted: %s", strerror(-err));
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

static void supervisor_format(struct supervisor *sup, const struct report *report)
{
	buffer_reset(&sup->text);
	switch (sup->config.format) {
	case CONFIG_TEXT:
		format_text(&sup->text, report);
		break;
	case CONFIG_TABLE:
		format_table(&sup->text, report);
		break;
	case CONFIG_JSON:
		format_json(&sup->text, report);
		break;
	}
}

/* Says it once when the output breaks, and once when it works again. */
static void supervisor_note_output(struct supervisor *sup, int err)
{
	if (err && !sup->output_broken)
		log_error("%s: cannot write the report: %s; the next one will cover this interval "
			  "too",
			  sink_name(sup->sink), strerror(-err));
	if (!err && sup->output_broken)
		log_notice("%s: reports are written again", sink_name(sup->sink));
	sup->output_broken = err;
}

static int supervisor_merge(struct supervisor *sup, const struct tunnel_set *tunnels,
			    struct report *report)
{
	size_t count;
	_free_ struct merge_interface *interfaces = interface_table_interval(sup->table, &count);
	const struct merge_ends ends = {
		.nat = translation_table(sup->translation),
		.locals = sup->locals,
		.ephemeral_first = sup->ephemeral_first,
		.ephemeral_last = sup->ephemeral_last,
		.tunnels = tunnels,
		.count_tunnels = sup->config.tunnels == CONFIG_TUNNELS_COUNT,
	};

	return interfaces ? merge_report(sup->merge, interfaces, count, &ends, report) : -ENOMEM;
}

static int supervisor_make_report(struct supervisor *sup, int64_t end_ns, int64_t end_wall_ns,
				  struct report *report)
{
	struct tunnel_set *tunnels;
	int err = tunnel_set_new(&tunnels);

	if (err)
		return err;
	err = interface_table_tunnels(sup->table, tunnels)
		      ?: supervisor_merge(sup, tunnels, report);
	tunnel_set_free(tunnels);
	if (!err)
		err = report_filter(report, &sup->config.only, &sup->config.ignore);
	if (err)
		return err;
	report->id = report_id_next(sup->report_id);
	report->start_ns = sup->start_wall_ns;
	report->end_ns = end_wall_ns;
	report->duration_ns = end_ns - sup->start_ns;
	report_limit(report, sup->config.top);
	return 0;
}

/*
 * Writes the report of what is in the merge. If that fails, the merge and the interval stay open,
 * so the next report covers this one, and nothing is lost.
 */
static int supervisor_report(struct supervisor *sup)
{
	int64_t end_ns = clock_boottime_ns(), end_wall_ns = clock_realtime_ns();
	struct report report = {0};
	int err = supervisor_make_report(sup, end_ns, end_wall_ns, &report);
	int64_t made_ns = exporter_end_stage(sup->exporter, METRICS_MERGE, end_ns);

	if (!err) {
		supervisor_format(sup, &report);
		err = buffer_error(&sup->text);
	}
	/* the report may go to the same terminal */
	log_live("");
	if (!err)
		err = sink_write(sup->sink, sup->text.data, sup->text.size);
	exporter_end_stage(sup->exporter, METRICS_WRITE, made_ns);
	exporter_add_report(sup->exporter, err ? NULL : &report);
	supervisor_note_output(sup, err);
	if (!err) {
		report_id_commit(sup->report_id, report.id);
		merge_next_interval(sup->merge);
		interface_table_next_interval(sup->table);
		translation_next_interval(sup->translation);
		sup->start_ns = end_ns;
		sup->start_wall_ns = end_wall_ns;
		sup->reports++;
		log_debug("report %" PRIu64 ": %zu flows, %llu bytes", report.id, report.flow_count,
			  report.total.bytes);
		notify("STATUS=report %" PRIu64 ": %zu flows, %llu bytes", report.id,
		       report.flow_count, report.total.bytes);
	}
	report_clean(&report);
	return err;
}

static void supervisor_report_now(struct supervisor *sup)
{
	int64_t begin_ns = clock_boottime_ns();
	int err;

	interface_table_drain(sup->table);
	translation_catch_up(sup->translation);
	exporter_end_stage(sup->exporter, METRICS_DRAIN, begin_ns);
	/* a failure is told, and made up for by the next report */
	err = supervisor_report(sup);
	/* whoever asked for some reports and went away does not want more of them */
	if (sup->options->count && (sup->reports >= sup->options->count || err == -EPIPE))
		loop_stop(sup->loop);
}

static int supervisor_on_full_map(void *data, uint32_t events)
{
	struct supervisor *sup = data;

	(void)events;
	return interface_table_drain_full(sup->table);
}

static int64_t supervisor_interval_ns(const struct supervisor *sup)
{
	return sup->config.interval_s * NSEC_PER_SEC;
}

/* The next report is due one interval after from_ns. */
static int supervisor_schedule(struct supervisor *sup, int64_t from_ns)
{
	sup->due_ns = from_ns + supervisor_interval_ns(sup);
	return loop_timer_set(sup->report_timer_fd, sup->due_ns, supervisor_interval_ns(sup));
}

static int supervisor_on_report_timer(void *data, uint32_t events)
{
	struct supervisor *sup = data;
	int64_t late_ns = clock_boottime_ns() - sup->due_ns;
	uint64_t periods;

	(void)events;
	if (read(sup->report_timer_fd, &periods, sizeof(periods)) != sizeof(periods))
		return errno == EAGAIN ? 0 : -errno;
	/* the timer counts on from its first expiry, whenever we come: no drift */
	sup->due_ns += (int64_t)periods * supervisor_interval_ns(sup);
	if (late_ns > LATE_NS)
		log_warning("woken %.1f s late: this report covers a longer interval",
			    (double)late_ns / NSEC_PER_SEC);
	supervisor_report_now(sup);
	return 0;
}

static int supervisor_on_watchdog_timer(void *data, uint32_t events)
{
	struct supervisor *sup = data;
	uint64_t periods;

	(void)events;
	if (read(sup->watchdog_timer_fd, &periods, sizeof(periods)) != sizeof(periods))
		return errno == EAGAIN ? 0 : -errno;
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
static int supervisor_on_live_timer(void *data, uint32_t events)
{
	struct supervisor *sup = data;
	int64_t begin_ns = clock_boottime_ns(), end_ns;
	uint64_t periods;

	(void)events;
	if (read(sup->live_timer_fd, &periods, sizeof(periods)) != sizeof(periods))
		return errno == EAGAIN ? 0 : -errno;
	supervisor_show_live(sup);
	end_ns = clock_boottime_ns();
	return loop_timer_set(sup->live_timer_fd,
			      end_ns + (end_ns - begin_ns > NSEC_PER_SEC / 20
						? 20 * (end_ns - begin_ns)
						: NSEC_PER_SEC),
			      0);
}

static void supervisor_reload(struct supervisor *sup)
{
	uint32_t interval_s = sup->config.interval_s;
	int err;

	notify_reloading();
	err = options_load_config(sup->options, &sup->config, supervisor_complain, NULL);

	if (err) {
		log_error("configuration is not changed");
		notify("READY=1");
		return;
	}
	interface_table_rematch(sup->table);
	attacher_set_mode(sup->attacher, sup->config.attach);
	translation_set_mode(sup->translation, sup->config.nat);
	flow_maps_set_entries(sup->maps, sup->config.map_entries);
	exporter_listen(sup->exporter);
	err = sink_reopen(sup->sink, sup->config.output);
	if (err)
		log_error("%s: cannot be opened: %s; reports go on to %s", sup->config.output,
			  strerror(-err), sink_name(sup->sink));
	if (sup->config.interval_s != interval_s) {
		err = supervisor_schedule(sup, sup->start_ns);
		if (err)
			log_error("the report timer cannot be set: %s", strerror(-err));
	}
	log_notice("configuration is read again");
	notify("READY=1");
}

static int supervisor_on_signal(void *data, uint32_t events)
{
	struct supervisor *sup = data;
	struct signalfd_siginfo info;

	(void)events;
	while (read(sup->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			loop_stop(sup->loop);
			break;
		case SIGHUP:
			supervisor_reload(sup);
			break;
		case SIGUSR1: {
			int err;

			supervisor_report_now(sup);
			err = supervisor_schedule(sup, sup->start_ns);
			if (err)
				return err;
			break;
		}
		}
	}
	return errno == EAGAIN ? 0 : -errno;
}

static bool supervisor_reconcile(void *data)
{
	struct supervisor *sup = data;
	bool more = interface_table_reconcile(sup->table, RECONCILE_BUDGET_NS);
	int64_t retry_ns = interface_table_retry_ns(sup->table);

	if (retry_ns != sup->retry_ns) {
		int err = loop_timer_set(sup->retry_timer_fd, retry_ns, 0);

		if (err)
			log_error("the retry timer cannot be set: %s", strerror(-err));
		sup->retry_ns = retry_ns;
	}
	return more;
}

/* The work is done by supervisor_reconcile(), which runs after every round of events. */
static int supervisor_on_retry_timer(void *data, uint32_t events)
{
	struct supervisor *sup = data;
	uint64_t periods;

	(void)events;
	if (read(sup->retry_timer_fd, &periods, sizeof(periods)) != sizeof(periods))
		return errno == EAGAIN ? 0 : -errno;
	return 0;
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

/* Ports that the kernel gives to clients here, joined with those that IANA sets aside for it (RFC
 * 6335, section 6). */
static void supervisor_read_ephemeral_range(struct supervisor *sup)
{
	_fclose_ FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned int first = 32768, last = 60999;

	if (!file || fscanf(file, "%u %u", &first, &last) != 2 || first > last || last > 65535)
		log_debug("ip_local_port_range: not readable, taking the kernel's default");
	sup->ephemeral_first = (uint16_t)(first < 49152 ? first : 49152);
	sup->ephemeral_last = 65535;
}

static int supervisor_block_signals(struct supervisor *sup)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
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
	pid_t other = 0;

	sup->instance_fd = instance_claim(&other);
	if (sup->instance_fd == -EADDRINUSE) {
		log_error("another flowtally runs in this network namespace, pid %d", (int)other);
		return -EADDRINUSE;
	}
	return sup->instance_fd < 0
		       ? supervisor_fail("cannot mark this network namespace as watched",
					 sup->instance_fd)
		       : 0;
}

static int supervisor_open_program(struct supervisor *sup)
{
	int err = program_new(&sup->program);

	if (err == -EPERM) {
		log_error("the kernel does not allow BPF: %s (needs root, or CAP_BPF, "
			  "CAP_NET_ADMIN and CAP_PERFMON; lockdown, seccomp and containers may "
			  "forbid it to root too)",
			  strerror(-err));
		return err;
	}
	if (err == -EACCES) {
		log_error("the kernel refuses the BPF program: %s (it does so without CAP_PERFMON; "
			  "-vv shows its words)",
			  strerror(-err));
		return err;
	}
	if (err)
		return supervisor_fail("cannot load the BPF program (-vv shows the kernel's words)",
				       err);
	err = flow_maps_new(&sup->maps, sup->program, sup->config.map_entries);
	if (err)
		return supervisor_fail("cannot create a flow map", err);
	err = attacher_new(&sup->attacher, sup->program, sup->config.attach);
	return err ? supervisor_fail("cannot open a tc netlink socket", err) : 0;
}

/* From here on nothing is opened but what the network and the configuration bring. */
static int supervisor_drop_privileges(const struct supervisor *sup)
{
	int err = privileges_drop(options_config_file(sup->options), sup->config.output);

	return err ? supervisor_fail("cannot give up privileges", err) : 0;
}

static int supervisor_sweep(void)
{
	int removed = attach_sweep();

	if (removed < 0)
		return supervisor_fail("cannot look for what a dead agent left", removed);
	if (removed)
		log_notice("removed %d filters that a dead agent had left", removed);
	return 0;
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
		.attacher = sup->attacher,
		.rtnl = sup->rtnl,
		.merge = sup->merge,
		.counts = &sup->counts,
	};
	err = interface_table_new(&sup->table, &sup->monitor, &sup->config);
	if (!err)
		err = exporter_new(&sup->exporter, sup->loop, sup->table, &sup->monitor,
				   &sup->config);
	if (!err)
		err = rtnl_dump(sup->rtnl);
	/* links change faster than they can be read: the monitor goes on trying */
	if (err == -EAGAIN)
		err = 0;
	return err ? supervisor_fail("cannot read the links of this host", err) : 0;
}

static int supervisor_open_output(struct supervisor *sup)
{
	int err = report_id_new(&sup->report_id);

	if (err)
		return supervisor_fail("report numbers", err);
	err = sink_new(&sup->sink, sup->loop, sup->config.output);
	if (err)
		log_error("%s: cannot be opened for reports: %s", sup->config.output,
			  strerror(-err));
	return err;
}

static int supervisor_open_loop(struct supervisor *sup)
{
	int err = 0;

	sup->report_timer_fd = loop_timer(0, 0);
	sup->retry_timer_fd = loop_timer(0, 0);
	sup->live_timer_fd = loop_timer(0, 0);
	sup->watchdog_timer_fd = loop_timer(notify_watchdog_ns() ? 1 : 0, notify_watchdog_ns());
	if (sup->report_timer_fd < 0 || sup->retry_timer_fd < 0 || sup->live_timer_fd < 0 ||
	    sup->watchdog_timer_fd < 0)
		return supervisor_fail("cannot create a timer", -errno);
	if (!err)
		err = loop_add(sup->loop, sup->signal_fd, EPOLLIN, supervisor_on_signal, sup);
	if (!err)
		err = loop_add(sup->loop, rtnl_fd(sup->rtnl), EPOLLIN, supervisor_on_netlink, sup);
	if (!err)
		err = loop_add(sup->loop, sup->report_timer_fd, EPOLLIN, supervisor_on_report_timer,
			       sup);
	if (!err)
		err = loop_add(sup->loop, sup->retry_timer_fd, EPOLLIN, supervisor_on_retry_timer,
			       sup);
	if (!err)
		err = loop_add(sup->loop, program_full_fd(sup->program), EPOLLIN,
			       supervisor_on_full_map, sup);
	if (!err)
		err = loop_add(sup->loop, sup->live_timer_fd, EPOLLIN, supervisor_on_live_timer,
			       sup);
	if (!err)
		err = loop_add(sup->loop, sup->watchdog_timer_fd, EPOLLIN,
			       supervisor_on_watchdog_timer, sup);
	loop_set_idle(sup->loop, supervisor_reconcile, sup);
	return err ? supervisor_fail("cannot wait for events", err) : 0;
}

/* Attaches to all that is wanted before the first interval begins. */
static int supervisor_attach_all(struct supervisor *sup)
{
	struct interface_table_counts counts;

	while (interface_table_reconcile(sup->table, RECONCILE_BUDGET_NS))
		;
	counts = interface_table_count(sup->table);
	if (counts.wanted && !counts.monitored && counts.attach_error)
		return supervisor_fail("no interface could be attached to", counts.attach_error);
	if (!counts.wanted)
		log_warning("no interface matches the include and exclude lists; waiting for one");
	return 0;
}

static void supervisor_announce(const struct supervisor *sup)
{
	struct interface_table_counts counts = interface_table_count(sup->table);
	time_t due = (time_t)((sup->start_wall_ns + supervisor_interval_ns(sup)) / NSEC_PER_SEC);
	char at[16] = "";
	struct tm tm;

	if (localtime_r(&due, &tm))
		strftime(at, sizeof(at), "%H:%M:%S", &tm);
	log_notice("watching %zu of %zu interfaces (tcx %zu, clsact %zu), first report at %s (in "
		   "%" PRIu32 " s) to %s",
		   counts.monitored, counts.links, counts.tcx, counts.clsact, at,
		   sup->config.interval_s, sink_name(sup->sink));
	notify("READY=1\nSTATUS=watching %zu of %zu interfaces", counts.monitored, counts.links);
}

static int supervisor_start(struct supervisor *sup)
{
	int err;

	supervisor_raise_descriptors();
	supervisor_read_ephemeral_range(sup);
	err = supervisor_block_signals(sup);
	if (!err)
		err = loop_new(&sup->loop);
	if (!err)
		err = merge_new(&sup->merge);
	if (!err)
		err = local_set_new(&sup->locals);
	if (!err)
		err = translation_new(&sup->translation, sup->loop, sup->config.nat);
	if (err)
		return supervisor_fail("cannot start", err);
	err = supervisor_open_instance(sup);
	if (!err)
		err = supervisor_open_program(sup);
	if (!err)
		err = supervisor_open_output(sup);
	if (!err)
		err = supervisor_drop_privileges(sup);
	if (!err)
		err = supervisor_sweep();
	if (!err)
		err = supervisor_open_links(sup);
	if (!err)
		err = supervisor_open_loop(sup);
	if (!err)
		err = supervisor_attach_all(sup);
	if (err)
		return err;
	translation_look(sup->translation);
	exporter_listen(sup->exporter);
	sup->start_ns = clock_boottime_ns();
	sup->start_wall_ns = clock_realtime_ns();
	err = supervisor_schedule(sup, sup->start_ns);
	if (!err && log_on_terminal())
		err = loop_timer_set(sup->live_timer_fd, sup->start_ns + NSEC_PER_SEC, 0);
	return err ? supervisor_fail("cannot set a timer", err) : 0;
}

/* The report of the unfinished interval, unless --count has been reached. */
static int supervisor_finish(struct supervisor *sup)
{
	int err = 0;

	log_live("");
	notify("STOPPING=1");
	interface_table_stop(sup->table);
	translation_catch_up(sup->translation);
	if (!sup->options->count || sup->reports < sup->options->count)
		err = supervisor_report(sup);
	if (!err)
		err = sink_finish(sup->sink, FINISH_MS);
	if (err)
		log_error("the last report is lost: %s", strerror(-err));
	return err;
}

static void supervisor_clean(struct supervisor *sup)
{
	const int fds[] = {sup->signal_fd, sup->report_timer_fd, sup->retry_timer_fd,
			   sup->live_timer_fd, sup->watchdog_timer_fd};

	if (sup->table) {
		interface_table_stop(sup->table);
		interface_table_detach(sup->table);
	}
	exporter_free(sup->exporter);
	interface_table_free(sup->table);
	sink_free(sup->sink);
	report_id_free(sup->report_id);
	rtnl_free(sup->rtnl);
	attacher_free(sup->attacher);
	flow_maps_free(sup->maps);
	program_free(sup->program);
	translation_free(sup->translation);
	local_set_free(sup->locals);
	merge_free(sup->merge);
	loop_free(sup->loop);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	/* last: from now on another agent may run here */
	if (sup->instance_fd >= 0)
		close(sup->instance_fd);
	buffer_free(&sup->text);
	config_clean(&sup->config);
}

int supervisor_run(const struct options *options)
{
	struct supervisor sup = {
		.options = options,
		.instance_fd = -1,
		.signal_fd = -1,
		.report_timer_fd = -1,
		.retry_timer_fd = -1,
		.live_timer_fd = -1,
		.watchdog_timer_fd = -1,
	};
	int err;

	if (options_load_config(options, &sup.config, supervisor_complain, NULL))
		return SUPERVISOR_MISUSE;
	err = supervisor_start(&sup);
	if (!err) {
		int finish_err;

		supervisor_announce(&sup);
		err = loop_run(sup.loop);
		if (err)
			log_error("stopping: %s", strerror(-err));
		finish_err = supervisor_finish(&sup);
		if (!err)
			err = finish_err;
	}
	supervisor_clean(&sup);
	return err ? SUPERVISOR_FAILED : SUPERVISOR_ENDED;
}

int supervisor_cleanup(void)
{
	pid_t other = 0;
	_close_ int instance_fd = instance_claim(&other);
	int removed;

	if (instance_fd < 0) {
		log_error("flowtally runs in this network namespace (pid %d): what it uses is not "
			  "cleaned up",
			  (int)other);
		return SUPERVISOR_FAILED;
	}
	removed = attach_sweep();
	if (removed < 0) {
		log_error("cannot clean up: %s%s", strerror(-removed),
			  removed == -EPERM ? " (needs root, or CAP_NET_ADMIN)" : "");
		return SUPERVISOR_FAILED;
	}
	log_notice("removed %d filters", removed);
	return SUPERVISOR_ENDED;
}
