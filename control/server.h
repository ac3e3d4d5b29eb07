/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Answers on the control socket. It never blocks and never takes long: at most CONTROL_CLIENTS at
 * once, a bounded request, a bounded time to write it and to read the answer, and in each round of
 * the owner's loop no more than a few milliseconds of answers.
 */
#ifndef FLOWTALLY_SERVER_H
#define FLOWTALLY_SERVER_H

#include <stddef.h>

struct control_request;
struct control_server;
struct json_t;

#define CONTROL_CLIENTS 64

/* An answer: an object, a new reference; NULL: no memory for one. The server adds "netns". */
typedef struct json_t *(*control_answer)(void *data, const struct control_request *request);

/* Makes the socket. 0, or negative errno with words in problem. */
int control_server_new(struct control_server **ret, control_answer answer, void *data,
		       char *problem, size_t size);
/* Closes all connections and removes the socket. */
void control_server_free(struct control_server *server);

/* For epoll: readable when control_server_dispatch() has work. */
int control_server_fd(const struct control_server *server);
void control_server_dispatch(struct control_server *server);
const char *control_server_path(const struct control_server *server);

#endif
