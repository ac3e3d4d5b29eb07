// SPDX-License-Identifier: GPL-2.0-only
#include "control/server.h"
#include "control/answer.h"
#include "control/place.h"
#include "control/request.h"
#include "control/text.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* A client that has begun to write a request, or owes us to read an answer, has so long for the
 * next step. */
#define SERVER_PATIENCE_NS (5 * NSEC_PER_SEC)
/* One that asks nothing may stay so long: a live view asks again and again. */
#define SERVER_IDLE_NS (60 * NSEC_PER_SEC)
/* Answers in one dispatch. */
#define SERVER_BUDGET_NS (5 * NSEC_PER_MSEC)
/* Answers that wait for their readers, of all clients together. */
#define SERVER_PENDING_SIZE ((size_t)64 << 20)

struct server_client {
	int fd;	      /* -1: free */
	bool closing; /* when the answer is out */
	bool writing; /* waits for room, not for requests */
	int64_t deadline_ns;
	size_t in_size;
	char in[CONTROL_REQUEST_SIZE + 1]; /* the newline has room, too */
	char *out;			   /* owned; NULL: nothing waits */
	size_t out_size, out_done;
};

struct control_server {
	struct control_place *place;
	int epoll_fd, timer_fd;
	bool accepting;
	control_answer answer;
	void *data;
	size_t pending; /* bytes of answers that wait */
	int64_t timer_ns;
	struct server_client clients[CONTROL_CLIENTS];
};

static int server_watch(struct control_server *server, int op, int fd, uint32_t events, void *what)
{
	struct epoll_event event = {.events = events, .data.ptr = what};

	return epoll_ctl(server->epoll_fd, op, fd, &event) ? -errno : 0;
}

static int server_open(struct control_server *server, char *problem, size_t size)
{
	int err = control_place_claim(&server->place, problem, size);

	if (err)
		return err;
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	server->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (server->epoll_fd < 0 || server->timer_fd < 0)
		err = -errno;
	if (!err)
		err = server_watch(server, EPOLL_CTL_ADD, control_place_fd(server->place), EPOLLIN,
				   server->place);
	if (!err)
		err = server_watch(server, EPOLL_CTL_ADD, server->timer_fd, EPOLLIN,
				   &server->timer_fd);
	if (err)
		snprintf(problem, size, "%s: cannot wait for clients: %s",
			 control_place_path(server->place), strerror(-err));
	return err;
}

int control_server_new(struct control_server **ret, control_answer answer, void *data,
		       char *problem, size_t size)
{
	struct control_server *server = calloc(1, sizeof(*server));
	int err;

	if (!server) {
		snprintf(problem, size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	server->answer = answer;
	server->data = data;
	server->accepting = true;
	server->epoll_fd = server->timer_fd = -1;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		server->clients[i].fd = -1;
	err = server_open(server, problem, size);
	if (err) {
		control_server_free(server);
		return err;
	}
	*ret = server;
	return 0;
}

static void server_forget_answer(struct control_server *server, struct server_client *client)
{
	server->pending -= client->out_size;
	free(client->out);
	client->out = NULL;
	client->out_size = client->out_done = 0;
}

/* Whoever waits in the backlog stays there as long as all places are taken. */
static void server_accept_more(struct control_server *server, bool accepting)
{
	if (server->accepting != accepting &&
	    !server_watch(server, EPOLL_CTL_MOD, control_place_fd(server->place),
			  accepting ? EPOLLIN : 0, server->place))
		server->accepting = accepting;
}

static void server_drop(struct control_server *server, struct server_client *client)
{
	server_forget_answer(server, client);
	close(client->fd);
	client->fd = -1;
	server_accept_more(server, true);
}

void control_server_free(struct control_server *server)
{
	if (!server)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (server->clients[i].fd >= 0)
			server_drop(server, &server->clients[i]);
	if (server->epoll_fd >= 0)
		close(server->epoll_fd);
	if (server->timer_fd >= 0)
		close(server->timer_fd);
	control_place_free(server->place);
	free(server);
}

int control_server_fd(const struct control_server *server)
{
	return server->epoll_fd;
}

const char *control_server_path(const struct control_server *server)
{
	return control_place_path(server->place);
}

static void server_set_deadline(struct server_client *client)
{
	bool busy = client->out || client->in_size;

	client->deadline_ns = clock_boottime_ns() + (busy ? SERVER_PATIENCE_NS : SERVER_IDLE_NS);
}

static struct server_client *server_free_client(struct control_server *server)
{
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (server->clients[i].fd < 0)
			return &server->clients[i];
	return NULL;
}

static void server_accept(struct control_server *server)
{
	struct server_client *client = server_free_client(server);
	int fd;

	if (!client) {
		server_accept_more(server, false);
		return;
	}
	fd = accept4(control_place_fd(server->place), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		/* out of descriptors: tried again when a client goes or a deadline passes */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			server_accept_more(server, false);
		return;
	}
	client->closing = client->writing = false;
	client->in_size = 0;
	client->fd = fd;
	server_set_deadline(client);
	if (server_watch(server, EPOLL_CTL_ADD, fd, EPOLLIN, client))
		server_drop(server, client);
}

/* Waits for room as long as an answer is not out, for requests else: who does not read gets no
 * further answers. */
static void server_wait_for(struct control_server *server, struct server_client *client)
{
	bool writing = client->out;

	if (client->writing == writing)
		return;
	client->writing = writing;
	if (server_watch(server, EPOLL_CTL_MOD, client->fd, writing ? EPOLLOUT : EPOLLIN, client))
		server_drop(server, client);
}

static void server_send(struct control_server *server, struct server_client *client)
{
	while (client->out_done < client->out_size) {
		ssize_t n = send(client->fd, client->out + client->out_done,
				 client->out_size - client->out_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			server_drop(server, client);
			return;
		}
		client->out_done += (size_t)n;
	}
	if (client->out_done == client->out_size) {
		server_forget_answer(server, client);
		server_set_deadline(client);
		if (client->closing) {
			server_drop(server, client);
			return;
		}
	}
	server_wait_for(server, client);
}

/* The text of an answer and its newline; NULL: no memory. */
static char *server_encode(json_t *answer, size_t *size)
{
	char *text;

	if (json_object_set_new(answer, "netns", json_integer((json_int_t)control_netns())))
		return NULL;
	*size = json_dumpb(answer, NULL, 0, CONTROL_ANSWER_FORMAT);
	text = *size ? malloc(*size + 1) : NULL;
	if (!text)
		return NULL;
	json_dumpb(answer, text, *size, CONTROL_ANSWER_FORMAT);
	text[(*size)++] = '\n';
	return text;
}

/* Takes over answer. */
static void server_give(struct control_server *server, struct server_client *client, json_t *answer)
{
	size_t size = 0;
	_free_ char *text = answer ? server_encode(answer, &size) : NULL;

	json_decref(answer);
	if (!text || size > SERVER_PENDING_SIZE - server->pending) {
		log_warning("control socket: an answer of %zu bytes has no room now; the client "
			    "is sent away",
			    size);
		server_drop(server, client);
		return;
	}
	client->out = TAKE_PTR(text);
	client->out_size = size;
	server->pending += size;
	server_set_deadline(client);
	server_send(server, client);
}

static void server_refuse(struct control_server *server, struct server_client *client,
			  const char *problem)
{
	server_give(server, client, json_pack("{s:o}", "error", control_string(problem)));
}

static void server_handle(struct control_server *server, struct server_client *client,
			  size_t length)
{
	struct control_request request;
	char problem[256];
	int err = control_request_parse(&request, client->in, length, problem, sizeof(problem));

	client->in_size = 0;
	if (err) {
		server_refuse(server, client, problem);
		return;
	}
	server_give(server, client, server->answer(server->data, &request));
	control_request_clean(&request);
}

/* Reads up to the end of one request; what is behind it stays in the socket until that is answered.
 */
static ssize_t server_read(struct server_client *client)
{
	char *to = client->in + client->in_size;
	ssize_t n = recv(client->fd, to, sizeof(client->in) - client->in_size, MSG_PEEK);
	const char *end = n > 0 ? memchr(to, '\n', (size_t)n) : NULL;

	if (end)
		n = end + 1 - to;
	return n > 0 ? recv(client->fd, to, (size_t)n, 0) : n;
}

static void server_receive(struct control_server *server, struct server_client *client)
{
	bool first = !client->in_size;
	ssize_t n = server_read(client);
	char problem[64];

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		server_drop(server, client);
		return;
	}
	client->in_size += (size_t)n;
	/* a request that comes byte by byte has no more time than another one */
	if (first)
		server_set_deadline(client);
	if (client->in[client->in_size - 1] == '\n') {
		server_handle(server, client, client->in_size - 1);
	} else if (client->in_size == sizeof(client->in)) {
		client->in_size = 0;
		client->closing = true;
		snprintf(problem, sizeof(problem), "a request has at most %d bytes",
			 CONTROL_REQUEST_SIZE);
		server_refuse(server, client, problem);
	}
}

static void server_serve(struct control_server *server, struct server_client *client,
			 uint32_t events)
{
	if (!client->writing)
		server_receive(server, client);
	else if (events & EPOLLOUT)
		server_send(server, client);
	else
		server_drop(server, client);
}

/* Sets the timer to the first deadline of all, and drops those whose has passed. */
static void server_keep_time(struct control_server *server)
{
	int64_t now_ns = clock_boottime_ns(), first_ns = 0;
	struct itimerspec spec = {0};

	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct server_client *client = &server->clients[i];

		if (client->fd >= 0 && client->deadline_ns <= now_ns)
			server_drop(server, client);
		if (client->fd >= 0)
			first_ns = clock_earlier_ns(client->deadline_ns, first_ns);
	}
	if (!first_ns && !server->accepting)
		first_ns = now_ns + NSEC_PER_SEC;
	if (first_ns == server->timer_ns)
		return;
	spec.it_value.tv_sec = first_ns / NSEC_PER_SEC;
	spec.it_value.tv_nsec = first_ns % NSEC_PER_SEC;
	if (!timerfd_settime(server->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL))
		server->timer_ns = first_ns;
}

static void server_on_timer(struct control_server *server)
{
	uint64_t periods;

	if (read(server->timer_fd, &periods, sizeof(periods)) == sizeof(periods))
		server->timer_ns = 0;
	server_accept_more(server, true);
}

void control_server_dispatch(struct control_server *server)
{
	int64_t end_ns = clock_boottime_ns() + SERVER_BUDGET_NS;
	struct epoll_event event;

	/* one at a time: who is served goes to the end of the kernel's list, so nobody is passed
	 * over when there is no time for all */
	do {
		if (epoll_wait(server->epoll_fd, &event, 1, 0) < 1)
			break;
		if (event.data.ptr == server->place)
			server_accept(server);
		else if (event.data.ptr == &server->timer_fd)
			server_on_timer(server);
		else
			server_serve(server, event.data.ptr, event.events);
	} while (clock_boottime_ns() < end_ns);
	server_keep_time(server);
}
