/* SPDX-License-Identifier: GPL-2.0-only */
/* The other end of the control socket: finds the agent of this network namespace and asks it. */
#ifndef FLOWTALLY_CLIENT_H
#define FLOWTALLY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

struct control_client;
struct json_t;

/* Exit status of the commands that ask a running agent (flowtally(8)). */
enum {
	CONTROL_OK = 0,
	CONTROL_FAILED = 1,
	CONTROL_MISUSE = 2,
	CONTROL_DEGRADED = 3,
	CONTROL_NOT_RUNNING = 4,
};

/*
 * Connects. -ESRCH: no agent runs in this network namespace; -EACCES: not allowed to talk to it;
 * another negative errno. problem says it in words.
 */
int control_client_new(struct control_client **ret, char *problem, size_t size);
void control_client_free(struct control_client *client);

/* From now on waiting for an answer ends, with -EINTR, when is_over() says so. */
void control_client_heed(struct control_client *client, bool (*is_over)(void));

/*
 * Asks, and waits for the answer, for a bounded time. request is taken over; *answer is a new
 * reference. Errors as above, and -EPROTO: the agent refused, or answered nothing that makes sense.
 */
int control_client_ask(struct control_client *client, struct json_t *request,
		       struct json_t **answer, char *problem, size_t size);

/* The exit status that tells of an error of the above. */
int control_exit_status(int err);

#endif
