// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/stream.h"
#include "tests/topology/kernel.h"
#include "tests/topology/world.h"

#include "lib/cleanup.h"
#include "lib/clock.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS		 20000
#define IPV4_HEADER	 20
#define IPV6_HEADER	 40
#define TCP_HEADER	 32 /* with timestamps, as all segments have them ... */
#define TCP_FIRST_HEADER 40 /* ... but the first one each way has more */

static int new_socket(struct kernel *kernel, const struct device *owner,
		      const struct sockaddr_storage *address, socklen_t size)
{
	int err = kernel_enter(kernel, owner->space), fd, one = 1;

	if (err)
		return err;
	fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	err = fd < 0 ? -errno : kernel_bind_to_vrf(fd, owner);
	if (!err && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
		     bind(fd, (const struct sockaddr *)address, size)))
		err = -errno;
	if (!err)
		err = kernel_leave(kernel);
	else
		(void)kernel_leave(kernel);
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

static int wait_ready(int fd, short events)
{
	struct pollfd ready = {.fd = fd, .events = events};
	int got = poll(&ready, 1, WAIT_MS);

	return got < 0 ? -errno : got ? 0 : -ETIMEDOUT;
}

/* The kernel answers for a listener, so one thread can be both ends. */
static int connect_to(int fd, const struct sockaddr_storage *to, socklen_t size)
{
	struct timeval limit = {.tv_sec = WAIT_MS / 1000};

	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(fd, (const struct sockaddr *)to, size))
		return errno == EINPROGRESS ? -ETIMEDOUT : -errno;
	return 0;
}

int stream_open(struct conversation *c, struct kernel *kernel,
		const struct sockaddr_storage from[2], const struct sockaddr_storage *to,
		socklen_t size)
{
	_close_ int listener = -1;
	int err;

	if (c->fd[0] >= 0)
		return 0;
	listener = new_socket(kernel, c->server, &from[1], size);
	if (listener < 0)
		return listener;
	if (listen(listener, 1))
		return -errno;
	c->fd[0] = new_socket(kernel, c->client, &from[0], size);
	if (c->fd[0] < 0)
		return c->fd[0];
	err = connect_to(c->fd[0], to, size) ?: wait_ready(listener, POLLIN);
	if (err)
		return err;
	c->fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return c->fd[1] < 0 ? -errno : 0;
}

static int transfer(int from, int to, size_t size)
{
	static char data[65536];
	size_t sent = 0, received = 0;
	int quick = 1, err = 0;

	while (received < size && !err) {
		size_t part = size - sent < sizeof(data) ? size - sent : sizeof(data);
		ssize_t put = part ? send(from, data, part, MSG_DONTWAIT | MSG_NOSIGNAL) : 0, got;

		if (put < 0 && errno != EAGAIN)
			return -errno;
		sent += put > 0 ? (size_t)put : 0;
		err = wait_ready(to, POLLIN);
		got = err ? 0 : recv(to, data, sizeof(data), MSG_DONTWAIT);
		if (got < 0 && errno != EAGAIN)
			return -errno;
		received += got > 0 ? (size_t)got : 0;
	}
	/* acknowledge now what is not yet */
	if (!err && setsockopt(to, IPPROTO_TCP, TCP_QUICKACK, &quick, sizeof(quick)))
		return -errno;
	return err;
}

static int get_info(int fd, struct tcp_info *info)
{
	socklen_t size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size) ? -errno : 0;
}

/* Segments without data. Of those with data a tap does not tell how many are in one packet. */
static uint32_t count_empty_sent(const struct tcp_info *info)
{
	return info->tcpi_segs_out - info->tcpi_data_segs_out;
}

static uint32_t count_empty_received(const struct tcp_info *info)
{
	return info->tcpi_segs_in - info->tcpi_data_segs_in;
}

/*
 * Nothing is under way: what one end sent the other one has received, as it said of all data. The
 * server's first segment was sent before it had a connection that counts.
 */
static bool is_quiet(const struct tcp_info info[2])
{
	return !info[0].tcpi_unacked && !info[1].tcpi_unacked && !info[0].tcpi_notsent_bytes &&
	       !info[1].tcpi_notsent_bytes &&
	       count_empty_sent(&info[0]) == count_empty_received(&info[1]) &&
	       count_empty_sent(&info[1]) + 1 == count_empty_received(&info[0]);
}

static int wait_quiet(const struct conversation *c, struct tcp_info info[2])
{
	int64_t end_ns = clock_boottime_ns() + WAIT_MS * NSEC_PER_MSEC;
	struct timespec pause = {.tv_nsec = NSEC_PER_MSEC};

	for (;;) {
		int err = get_info(c->fd[0], &info[0]) ?: get_info(c->fd[1], &info[1]);

		if (err || is_quiet(info))
			return err;
		if (clock_boottime_ns() > end_ns)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
}

/* What that end has sent in the life of the connection. */
static struct sent count_sent(const struct tcp_info *info, int sender, int family)
{
	uint64_t header = (family == AF_INET ? IPV4_HEADER : IPV6_HEADER) + TCP_HEADER;
	uint64_t packets = info->tcpi_segs_out + (sender == 1);

	return (struct sent){.packets = packets,
			     .bytes = info->tcpi_bytes_sent + packets * header + TCP_FIRST_HEADER -
				      TCP_HEADER};
}

int stream_send(struct conversation *c, struct sent *sent)
{
	struct tcp_info info[2];
	int err = transfer(c->fd[0], c->fd[1], (size_t)c->size * c->count[0])
			  ?: transfer(c->fd[1], c->fd[0], (size_t)c->size * c->count[1])
			  ?: wait_quiet(c, info);

	for (int sender = 0; sender < 2 && !err; sender++) {
		struct sent now = count_sent(&info[sender], sender, c->sent.family);

		sent[sender] = (struct sent){.packets = now.packets - c->before[sender].packets,
					     .bytes = now.bytes - c->before[sender].bytes};
		c->before[sender] = now;
	}
	return err;
}
