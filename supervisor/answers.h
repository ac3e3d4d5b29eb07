/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent answers on its control socket: JSON made of its state (flowtally(8), CONTROL
 * SOCKET). */
#ifndef FLOWTALLY_ANSWERS_H
#define FLOWTALLY_ANSWERS_H

#include <stdint.h>

struct attacher;
struct config;
struct interface_table;
struct json_t;
struct live;
struct program;
struct query;
struct rtnl;
struct monitor_counts;
struct totals;
struct translation;

/* The state that answers are made of; all borrowed. */
struct answers {
	const char *config_file; /* NULL: built-in defaults */
	const struct config *config;
	const struct program *program;
	const struct rtnl *rtnl;
	struct attacher *attacher;
	const struct translation *translation;
	const struct interface_table *table;
	const struct monitor_counts *counts;
	const char *output;
	const struct totals *totals;
	struct live *live;
	int64_t began_ns, began_wall_ns; /* the agent, boot and wall clock */
	int64_t due_ns;			 /* the next report, boot clock */
	int output_error;		 /* negative errno of the last report; 0: it is written */
	int metrics_error;		 /* likewise: why nobody can scrape though they should */
};

/* New references; NULL: no memory. */
struct json_t *answers_status(const struct answers *state);
struct json_t *answers_interfaces(const struct answers *state);
struct json_t *answers_flows(const struct answers *state, const struct query *query);
/* The answer to a request for an action: it was done. */
struct json_t *answers_done(const char *what);
struct json_t *answers_error(const char *what, int err);

#endif
