/* SPDX-License-Identifier: GPL-2.0-only */
/* The agent under test as a child: its options, its log, its reports. 0 or -errno throughout. */
#ifndef FLOWTALLY_TOPOLOGY_AGENT_H
#define FLOWTALLY_TOPOLOGY_AGENT_H

#include "tests/topology/tally.h"

#include <stdio.h>

struct agent;
struct kernel;

/*
 * Starts it in the host, and waits until it watches. directory is its own, for its state and its
 * configuration.
 */
int agent_new(struct agent **ret, struct kernel *kernel, const char *program, const char *attach,
	      const char *directory);
/* Ends it by force if it still runs. */
void agent_free(struct agent *agent);

/* Writes the configuration file; the agent reads it when it starts or is told to. join: translated
 * conversations get one line. */
int agent_configure(const char *directory, const char *include, const char *exclude, bool join);
int agent_reload(struct agent *agent);

/* Waits for a line of the log that is exactly this, behind all that was waited for before. */
int agent_wait_log(struct agent *agent, const char *line);

/* Waits until the log's last word on the interface of that name is: attached, or not attached. */
int agent_wait_attached(struct agent *agent, const char *name, bool attached);

/* Asks for a report and adds its lines to the tally. */
int agent_report(struct agent *agent, struct tally *tally);
/* The same in two steps that do not wait: asks for a report unless one is under way; takes what has
 * come, 1: a report. */
int agent_ask(struct agent *agent);
int agent_take(struct agent *agent, struct tally *tally);
/* Waits for the one that was asked for, if any. */
int agent_take_last(struct agent *agent, struct tally *tally);

/* Ends it as an administrator would; the last report goes into the tally. */
int agent_stop(struct agent *agent, struct tally *tally);

void agent_print_log(const struct agent *agent);
/* The lines of its reports as they are. */
void agent_print_reports(const struct agent *agent);

#endif
