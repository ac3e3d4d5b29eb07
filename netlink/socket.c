// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/socket.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "netlink/attr.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/*
 * The largest messages are links with hundreds of alternative names. A nest holds 64 KiB at most,
 * and there are three that can grow: names, kind and family data. Peeking for the size instead
 * would not do: it makes the kernel go on with a dump, and where that fails for lack of room in the
 * queue, the error keeps the message from being taken out of the queue, time and again.
 */
#define BUFFER_SIZE (256 << 10)

#define RECEIVE_BUFFER (16 << 20)

#define QUEUE_NS (100 * NSEC_PER_MSEC) /* to empty a queue that others fill */

struct netlink {
	struct mnl_socket *mnl; /* owned */
	uint32_t sequence;	/* of the last request */
	void *buffer;		/* owned; for the datagram that was received last */
};

static int set_up(struct netlink *netlink, int bus, unsigned int groups)
{
	int on = 1;

	netlink->mnl = mnl_socket_open2(bus, SOCK_CLOEXEC);
	if (!netlink->mnl)
		return -errno;
	if (mnl_socket_bind(netlink->mnl, groups, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	/* Words with errors, and the words in a place of their own: old kernels have neither. */
	(void)mnl_socket_setsockopt(netlink->mnl, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)mnl_socket_setsockopt(netlink->mnl, NETLINK_CAP_ACK, &on, sizeof(on));

	netlink->buffer = malloc(BUFFER_SIZE);
	if (!netlink->buffer)
		return -ENOMEM;
	return 0;
}

int netlink_new(struct netlink **ret, int bus, unsigned int groups)
{
	struct netlink *netlink = calloc(1, sizeof(*netlink));
	int r;

	if (!netlink)
		return -ENOMEM;
	r = set_up(netlink, bus, groups);
	if (r < 0) {
		netlink_free(netlink);
		return r;
	}
	*ret = netlink;
	return 0;
}

void netlink_free(struct netlink *netlink)
{
	if (!netlink)
		return;
	free(netlink->buffer);
	if (netlink->mnl)
		mnl_socket_close(netlink->mnl);
	free(netlink);
}

int netlink_fd(const struct netlink *netlink)
{
	return mnl_socket_get_fd(netlink->mnl);
}

void netlink_enlarge_receive_buffer(struct netlink *netlink)
{
	int fd = netlink_fd(netlink), size = RECEIVE_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

int netlink_receive_buffer_size(const struct netlink *netlink)
{
	socklen_t length = sizeof(int);
	int size = 0;

	(void)getsockopt(netlink_fd(netlink), SOL_SOCKET, SO_RCVBUF, &size, &length);
	return size;
}

int netlink_send(struct netlink *netlink, struct nlmsghdr *request)
{
	request->nlmsg_seq = ++netlink->sequence;
	if (mnl_socket_sendto(netlink->mnl, request, request->nlmsg_len) < 0)
		return -errno;
	return 0;
}

ssize_t netlink_receive(struct netlink *netlink, int flags, const struct nlmsghdr **ret)
{
	struct sockaddr_nl from = {0};
	struct iovec iov = {.iov_base = netlink->buffer, .iov_len = BUFFER_SIZE};
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t size;

	do
		size = recvmsg(netlink_fd(netlink), &msg, flags);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return -errno;
	*ret = netlink->buffer;
	return from.nl_pid == 0 ? size : 0;
}

int netlink_empty_queue(int (*handle_next)(void *data), void *data)
{
	int64_t end_ns = clock_boottime_ns() + QUEUE_NS;
	int r;

	do
		r = handle_next(data);
	while ((r == 0 || r == -ENOBUFS) && clock_boottime_ns() < end_ns);
	if (r == -EAGAIN)
		return 0;
	return r == 0 || r == -ENOBUFS ? -EAGAIN : r;
}

void netlink_forget(struct netlink *netlink, size_t size)
{
	explicit_bzero(netlink->buffer, size < BUFFER_SIZE ? size : BUFFER_SIZE);
}

int netlink_ask_each(struct netlink *netlink, void *requests, size_t size, int *results, size_t n)
{
	uint32_t first = netlink->sequence + 1;
	const struct nlmsghdr *message;
	struct nlmsghdr *request = requests;
	size_t answered = 0;
	int left = (int)size;

	for (; mnl_nlmsg_ok(request, left); request = mnl_nlmsg_next(request, &left))
		request->nlmsg_seq = ++netlink->sequence;
	if (netlink->sequence - first + 1 != n)
		return -EINVAL;
	if (mnl_socket_sendto(netlink->mnl, requests, size) < 0)
		return -errno;
	while (answered < n) {
		ssize_t received = netlink_receive(netlink, 0, &message);

		if (received < 0)
			return (int)received;
		for (left = (int)received; mnl_nlmsg_ok(message, left);
		     message = mnl_nlmsg_next(message, &left)) {
			uint32_t i = message->nlmsg_seq - first;

			if (message->nlmsg_pid == mnl_socket_get_portid(netlink->mnl) && i < n &&
			    netlink_ends_answer(message, &results[i]))
				answered++;
		}
	}
	return 0;
}

bool netlink_is_answer(const struct netlink *netlink, const struct nlmsghdr *message)
{
	/* A notification may carry port and number of another one's request that caused it. */
	return message->nlmsg_pid == mnl_socket_get_portid(netlink->mnl) &&
	       message->nlmsg_seq == netlink->sequence;
}

static int log_words(const struct nlattr *attr, void *data)
{
	char words[256];

	(void)data;
	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG &&
	    attr_string(attr, words, sizeof(words)) == 0)
		log_debug("kernel: %s", words);
	return 0;
}

/* What the kernel adds to an error, behind a header of that size. */
static void log_extended(const struct nlmsghdr *message, size_t header_size)
{
	if (message->nlmsg_flags & NLM_F_ACK_TLVS)
		(void)attr_each(message, header_size, log_words, NULL);
}

bool netlink_ends_answer(const struct nlmsghdr *message, int *result)
{
	int error;

	if (message->nlmsg_type != NLMSG_ERROR && message->nlmsg_type != NLMSG_DONE)
		return false;
	if (mnl_nlmsg_get_payload_len(message) < sizeof(error)) {
		*result = -EBADMSG;
		return true;
	}
	memcpy(&error, mnl_nlmsg_get_payload(message), sizeof(error));
	if (message->nlmsg_type == NLMSG_DONE)
		log_extended(message, sizeof(error));
	else if (message->nlmsg_flags & NLM_F_CAPPED)
		log_extended(message, sizeof(struct nlmsgerr));
	*result = error < 0 ? error : 0;
	return true;
}

int netlink_ask(struct netlink *netlink, struct nlmsghdr *request,
		int (*answer)(void *data, const struct nlmsghdr *message), void *data)
{
	const struct nlmsghdr *message;
	bool interrupted = false;
	int r, result, error = 0;
	ssize_t size;
	int left;

	r = netlink_send(netlink, request);
	if (r < 0)
		return r;
	for (;;) {
		size = netlink_receive(netlink, 0, &message);
		if (size < 0)
			return size;
		/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): a failure has an errno */
		for (left = size; mnl_nlmsg_ok(message, left);
		     message = mnl_nlmsg_next(message, &left)) {
			if (!netlink_is_answer(netlink, message))
				continue;
			if (message->nlmsg_flags & NLM_F_DUMP_INTR)
				interrupted = true;
			if (netlink_ends_answer(message, &result)) {
				if (result < 0)
					return result;
				return interrupted ? -EINTR : error;
			}
			/* Read on after an error, or the rest would be in the way of the next
			 * request. */
			if (error == 0 && message->nlmsg_type >= NLMSG_MIN_TYPE)
				error = answer(data, message);
		}
		if (left > 0)
			return -EBADMSG;
	}
}
