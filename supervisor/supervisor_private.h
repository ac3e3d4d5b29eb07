/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside of supervisor*.c only: the agent, which supervisor_start.c opens, supervisor.c runs and
 * supervisor_end.c ends. */
#ifndef FLOWTALLY_SUPERVISOR_PRIVATE_H
#define FLOWTALLY_SUPERVISOR_PRIVATE_H

#include "config/config.h"
#include "lib/client_ports.h"
#include "supervisor/interface.h"

#include <stdbool.h>
#include <stdint.h>

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
	struct rtnl_query *query;
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
	bool stopped;	       /* counting */
	bool left_report;      /* for the next agent, with nothing attached */
	bool again;	       /* the start failed with what it found, and that is thrown away */
	int64_t retry_ns;      /* what the retry timer is set to */
};

/* Opens all that it takes, goes on where an agent that died ends, attaches and begins the first
 * interval. 0 or negative errno, which is logged; supervisor_clean() in any case. */
int supervisor_start(struct supervisor *sup);
/* Tells the log and the service manager that it has. */
void supervisor_announce(const struct supervisor *sup);

/* Open what the agent learns of events from. 0 or negative errno, which is logged. */
int supervisor_open_links(struct supervisor *sup);
int supervisor_open_loop(struct supervisor *sup);
/* Counting does not depend on it: without a socket nobody can ask, and that is all. */
void supervisor_open_control(struct supervisor *sup);
/* The next report is due one interval after from_ns (boot clock), or now if that is over, as an
 * agent that died may have begun it long ago. 0 or negative errno. */
int supervisor_schedule(struct supervisor *sup, int64_t from_ns);
/* Whether as many reports as --count asks for are written. */
bool supervisor_has_reported_enough(const struct supervisor *sup);

/* Stops counting and writes the last report; or leaves all to go on without us, until the next
 * agent takes it over. 0 or negative errno, which is logged. */
int supervisor_finish(struct supervisor *sup);
int supervisor_hand_over(struct supervisor *sup);
/* Frees whatever there is, and leaves nothing behind but what is handed over. */
void supervisor_clean(struct supervisor *sup);

/* Logs what could not be done, and returns err. */
int supervisor_fail(const char *what, int err);

#endif
