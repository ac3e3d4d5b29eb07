// SPDX-License-Identifier: GPL-2.0-only
#include "metrics/server.h"

#include "config/listen.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "lib/timer.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* What strangers can hold: connections, each for so long, however busy, with so much of a request.
 */
#define SERVER_TIMEOUT_S 10U
#define SERVER_MEMORY	 ((size_t)8192)
/* Until those are tried again for whom there was no descriptor. */
#define SERVER_REST_NS NSEC_PER_SEC

#define OPEN_TYPE "application/openmetrics-text"

struct server_connection {
	int fd;		/* the daemon's */
	int64_t end_ns; /* 0: none, or it is being ended */
};

struct metrics_server {
	struct loop *loop; /* borrowed */
	struct MHD_Daemon *daemon;
	int listen_fd, epoll_fd; /* the daemon's */
	bool resting;		 /* the loop does not watch epoll_fd */
	struct timer *timer;	 /* when a client has taken too long, or the daemon wants to run */
	struct server_connection connections[METRICS_CONNECTIONS];
	unsigned int connection_count;
	uint64_t taken; /* connections so far */
	metrics_tell tell;
	void *data;
};

/* The address may come later: at boot the agent is there before the network. */
static int server_allow_absent(int fd, sa_family_t family)
{
	const int on = 1;

	return family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on))
				  : setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
}

static int server_listen(const char *address)
{
	struct sockaddr_storage name;
	socklen_t size;
	const int on = 1;
	_close_ int fd = -1;

	if (!listen_parse(address, &name, &size))
		return -EINVAL;
	fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* a restart must not wait for connections of the past; [::] leaves IPv4 to others */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (name.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    server_allow_absent(fd, name.ss_family) || bind(fd, (struct sockaddr *)&name, size) ||
	    listen(fd, METRICS_CONNECTIONS))
		return -errno;
	return TAKE_FD(fd);
}

static enum MHD_Result server_answer(struct MHD_Connection *connection, unsigned int status,
				     const char *type, struct buffer *body)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(body->size, body->data, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (!response) {
		buffer_free(body);
		return MHD_NO;
	}
	*body = (struct buffer){0};
	result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	/* so that the end of a connection's time never meets another request of it */
	if (result == MHD_YES)
		result = MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (result == MHD_YES && status == MHD_HTTP_METHOD_NOT_ALLOWED)
		result = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	if (result == MHD_YES)
		result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result server_refuse(struct MHD_Connection *connection, unsigned int status,
				     const char *why)
{
	struct buffer body = {0};

	buffer_str(&body, why);
	return server_answer(connection, status, "text/plain; charset=utf-8", &body);
}

static enum MHD_Result server_tell(struct metrics_server *server, struct MHD_Connection *connection)
{
	const char *accept =
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	bool open = accept && strstr(accept, OPEN_TYPE);
	struct buffer body = {0};

	server->tell(server->data, &body, open);
	if (buffer_error(&body)) {
		buffer_free(&body);
		return MHD_NO; /* ends the connection */
	}
	return server_answer(connection, MHD_HTTP_OK,
			     open ? OPEN_TYPE "; version=1.0.0; charset=utf-8"
				  : "text/plain; version=0.0.4; charset=utf-8",
			     &body);
}

static enum MHD_Result server_on_request(void *data, struct MHD_Connection *connection,
					 const char *url, const char *method, const char *version,
					 const char *upload, size_t *upload_size, void **request)
{
	static char seen;

	(void)version;
	(void)upload;
	(void)upload_size;
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return server_refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				     "only GET and HEAD\n");
	/* the first call is for the headers alone; an answer to it would end the connection */
	if (!*request) {
		*request = &seen;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics"))
		return server_refuse(connection, MHD_HTTP_NOT_FOUND, "see /metrics\n");
	return server_tell(data, connection);
}

__attribute__((format(printf, 2, 0))) static void server_log(void *data, const char *format,
							     va_list args)
{
	(void)data;
	log_vline(LOG_LEVEL_DEBUG, format, args);
}

static void server_on_connection(void *data, struct MHD_Connection *connection, void **slot,
				 enum MHD_ConnectionNotificationCode what)
{
	struct metrics_server *server = data;
	struct server_connection *place = *slot;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (place) {
			*place = (struct server_connection){0};
			server->connection_count--;
		}
		return;
	}
	for (unsigned int i = 0; i < METRICS_CONNECTIONS; i++) {
		place = &server->connections[i];
		if (place->fd > 0)
			continue;
		place->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
				    ->connect_fd;
		place->end_ns = clock_boottime_ns() + SERVER_TIMEOUT_S * NSEC_PER_SEC;
		server->connection_count++;
		server->taken++;
		*slot = place;
		return;
	}
}

/* The daemon's own time-out is for those that say nothing at all. Ends those whose time is up,
 * which the daemon then sees. Returns when the next one's will be, 0: never. */
static int64_t server_end_late(struct metrics_server *server)
{
	int64_t now_ns = clock_boottime_ns(), next_ns = 0;

	for (unsigned int i = 0; i < METRICS_CONNECTIONS; i++) {
		struct server_connection *connection = &server->connections[i];

		if (!connection->end_ns)
			continue;
		if (connection->end_ns <= now_ns) {
			shutdown(connection->fd, SHUT_RDWR);
			connection->end_ns = 0;
		} else {
			next_ns = clock_earlier_ns(connection->end_ns, next_ns);
		}
	}
	return next_ns;
}

/* Whether somebody waits for a place that is there, and nobody was taken since. */
static bool server_lets_wait(const struct metrics_server *server, uint64_t taken)
{
	struct pollfd listening = {.fd = server->listen_fd, .events = POLLIN};

	return server->taken == taken && server->connection_count < METRICS_CONNECTIONS &&
	       poll(&listening, 1, 0) == 1;
}

/* Without descriptors the daemon takes nobody, and its epoll stays readable, which would keep the
 * loop busy. Who came just behind its run is taken by the next. */
static bool server_is_stuck(struct metrics_server *server, uint64_t taken)
{
	if (!server_lets_wait(server, taken))
		return false;
	(void)MHD_run(server->daemon);
	return server_lets_wait(server, taken);
}

static int server_on_epoll(void *data, uint32_t events);

static int server_rest(struct metrics_server *server, bool rest)
{
	int err = 0;

	if (rest && !server->resting)
		loop_remove(server->loop, server->epoll_fd);
	if (!rest && server->resting)
		err = loop_add(server->loop, server->epoll_fd, EPOLLIN, server_on_epoll, server);
	if (!err)
		server->resting = rest;
	return err;
}

/* Lets the daemon do what it can without waiting. */
static int server_run(struct metrics_server *server)
{
	bool was_full = server->connection_count == METRICS_CONNECTIONS;
	uint64_t taken = server->taken;
	MHD_UNSIGNED_LONG_LONG wait_ms;
	int64_t wake_ns;

	if (MHD_run(server->daemon) != MHD_YES)
		log_debug("metrics: the HTTP server is in trouble");
	/* when there is room again, it listens from its next run on, and nothing would wake it */
	if (was_full && server->connection_count < METRICS_CONNECTIONS)
		(void)MHD_run(server->daemon);
	wake_ns = server_end_late(server);
	if (MHD_get_timeout(server->daemon, &wait_ms) == MHD_YES) {
		int64_t daemon_ns = clock_boottime_ns() + (int64_t)wait_ms * NSEC_PER_MSEC + 1;

		wake_ns = clock_earlier_ns(daemon_ns, wake_ns);
	}
	if (server_rest(server, server_is_stuck(server, taken)) || server->resting)
		wake_ns = clock_boottime_ns() + SERVER_REST_NS;
	return timer_set(server->timer, wake_ns, 0);
}

static int server_on_epoll(void *data, uint32_t events)
{
	(void)events;
	return server_run(data);
}

static int server_on_timer(void *data, uint64_t periods)
{
	(void)periods;
	return server_run(data);
}

/* Takes listen_fd over, also on failure. */
static int server_start(struct metrics_server *server, int listen_fd)
{
	const union MHD_DaemonInfo *info;

	server->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL,
					  server_on_request, server, MHD_OPTION_EXTERNAL_LOGGER,
					  server_log, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
					  MHD_OPTION_CONNECTION_LIMIT, METRICS_CONNECTIONS,
					  MHD_OPTION_CONNECTION_TIMEOUT, SERVER_TIMEOUT_S,
					  MHD_OPTION_CONNECTION_MEMORY_LIMIT, SERVER_MEMORY,
					  MHD_OPTION_NOTIFY_CONNECTION, server_on_connection,
					  server, MHD_OPTION_END);
	if (!server->daemon) {
		close(listen_fd);
		return -ENOMEM;
	}
	server->listen_fd = listen_fd;
	info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	server->epoll_fd = info ? info->epoll_fd : -1;
	return timer_new(&server->timer, server->loop, server_on_timer, server)
		       ?: loop_add(server->loop, server->epoll_fd, EPOLLIN, server_on_epoll,
				   server);
}

int metrics_server_new(struct metrics_server **ret, struct loop *loop, const char *address,
		       metrics_tell tell, void *data)
{
	struct metrics_server *server = calloc(1, sizeof(*server));
	int err;

	if (!server)
		return -ENOMEM;
	*server = (struct metrics_server){.loop = loop, .epoll_fd = -1, .tell = tell, .data = data};
	err = server_listen(address);
	if (err >= 0)
		err = server_start(server, err);
	if (err) {
		metrics_server_free(server);
		return err;
	}
	*ret = server;
	return 0;
}

void metrics_server_free(struct metrics_server *server)
{
	if (!server)
		return;
	loop_remove(server->loop, server->epoll_fd);
	timer_free(server->timer);
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	free(server);
}
