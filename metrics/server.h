/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serves the metrics over HTTP, on the agent's own loop: no second thread, so no lock between what
 * counts and what tells. It never waits for a client, and what clients can hold is bounded.
 */
#ifndef FLOWTALLY_METRICS_SERVER_H
#define FLOWTALLY_METRICS_SERVER_H

#include <stdbool.h>

#define METRICS_CONNECTIONS 32U /* at once */

struct buffer;
struct loop;
struct metrics_server;

/* Writes what a scraper is told. */
typedef void (*metrics_tell)(void *data, struct buffer *out, bool open);

/* address: as listen_parse() takes it; no interface need have it yet. loop is borrowed. Negative
 * errno if it cannot listen. */
int metrics_server_new(struct metrics_server **ret, struct loop *loop, const char *address,
		       metrics_tell tell, void *data);
void metrics_server_free(struct metrics_server *server);

#endif
