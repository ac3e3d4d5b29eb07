// SPDX-License-Identifier: GPL-2.0-only
/* From nothing to the first interval. */
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/timer.h"
#include "netlink/rtnl.h"
#include "report/locals.h"
#include "report/merge.h"
#include "supervisor/absent.h"
#include "supervisor/attach.h"
#include "supervisor/continuity.h"
#include "supervisor/explain.h"
#include "supervisor/exporter.h"
#include "supervisor/flow_map.h"
#include "supervisor/instance.h"
#include "supervisor/interface_table.h"
#include "supervisor/notify.h"
#include "supervisor/options.h"
#include "supervisor/privileges.h"
#include "supervisor/program.h"
#include "supervisor/reporter.h"
#include "supervisor/sink.h"
#include "supervisor/supervisor_private.h"
#include "supervisor/translation.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>

/* Nobody is waiting: all interfaces begin to count at once. */
#define START_BUDGET_NS (3600 * NSEC_PER_SEC)

/* They say how many interfaces there can be (shortage.h). */
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
	/* a reader that goes away is an error of write(2), and so is a file that may not grow */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	sup->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return sup->signal_fd < 0 ? -errno : 0;
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
		log_warning("nothing can be pinned in the BPF file system (/sys/fs/bpf): %s; if "
			    "the agent is killed, what it "
			    "counted since the last report is lost",
			    explain_pins(continuity_error(sup->continuity)));
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
	char why[128];
	int err;

	if (!continuity_found(sup->continuity))
		return 0;
	reporter_go_on(sup->reporter, continuity_interval(sup->continuity));
	err = continuity_recover(sup->continuity, sup->program, sup->maps, sup->merge, &relief);
	if (!err) {
		log_notice("an agent before this one has left its running interval: going on with "
			   "it");
		return 0;
	}
	if (continuity_can_wait(err)) {
		log_error("what a dead agent counted cannot be read now: %s", strerror(-err));
		return err;
	}
	/* half of it would be counted twice from now on */
	snprintf(why, sizeof(why), "it cannot be read (%s)", strerror(-err));
	continuity_start_afresh(sup->continuity, why);
	sup->again = true;
	return err;
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

static int supervisor_open_table(struct supervisor *sup)
{
	int err;

	sup->monitor = (struct monitor){
		.program = sup->program,
		.maps = sup->maps,
		.held = continuity_held(sup->continuity),
		.attacher = sup->attacher,
		.query = sup->query,
		.merge = sup->merge,
		.counts = &sup->counts,
		.checkpoint = supervisor_checkpoint,
		.relieve = supervisor_relieve,
		.data = sup,
	};
	err = interface_table_new(&sup->table, &sup->monitor, &sup->config);
	if (!err)
		err = exporter_new(&sup->exporter, sup->loop, sup->table, sup->rtnl, &sup->counts,
				   &sup->config);
	if (!err)
		continuity_lend_table(sup->continuity, sup->table);
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

/* Which links there are, and what an agent that died has left on them. */
static int supervisor_find_links(struct supervisor *sup)
{
	int err = supervisor_recover(sup);

	if (!err)
		err = supervisor_sweep(sup);
	if (err)
		return err;
	err = rtnl_dump(sup->rtnl);
	/* links change faster than they can be read: the monitor goes on trying */
	if (!err || err == -EAGAIN)
		return 0;
	return supervisor_fail("cannot read the links of this host", err);
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

void supervisor_announce(const struct supervisor *sup)
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
static void supervisor_catch_up(struct supervisor *sup)
{
	interface_table_drain(sup->table, false);
	(void)reporter_write_doubtful(sup->reporter);
}

/* What depends on nothing of this host. */
static int supervisor_open_basis(struct supervisor *sup)
{
	int err = supervisor_block_signals(sup);

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
	return err ? supervisor_fail("cannot start", err) : 0;
}

/* All is attached: the interval begins, or goes on that an agent has left that died. */
static int supervisor_begin(struct supervisor *sup)
{
	int err;

	translation_look(sup->translation);
	sup->began_ns = clock_boottime_ns();
	sup->began_wall_ns = clock_realtime_ns();
	if (continuity_found(sup->continuity))
		supervisor_catch_up(sup);
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

int supervisor_start(struct supervisor *sup)
{
	int err;

	supervisor_raise_descriptors();
	client_ports_read(&sup->client_ports);
	err = supervisor_open_basis(sup);
	if (!err)
		err = supervisor_open_instance(sup);
	if (!err)
		err = supervisor_open_continuity(sup);
	if (!err)
		err = supervisor_open_program(sup);
	if (!err)
		err = supervisor_open_links(sup);
	if (!err)
		err = supervisor_open_table(sup);
	if (!err)
		err = supervisor_open_output(sup);
	if (!err)
		err = supervisor_find_links(sup);
	if (!err)
		err = supervisor_open_loop(sup);
	if (!err)
		err = supervisor_attach_all(sup);
	return err ? err : supervisor_begin(sup);
}
