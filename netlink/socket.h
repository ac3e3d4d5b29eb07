/* SPDX-License-Identifier: GPL-2.0-only */
/* A netlink socket: whole datagrams from the kernel, requests and their answers (netlink(7)). */
#ifndef FLOWTALLY_NETLINK_SOCKET_H
#define FLOWTALLY_NETLINK_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct netlink;
struct nlmsghdr;

/* bus: NETLINK_ROUTE, ...; groups: a mask of RTMGRP_* to subscribe to, 0: none. */
int netlink_new(struct netlink **ret, int bus, unsigned int groups);
void netlink_free(struct netlink *netlink);
int netlink_fd(const struct netlink *netlink);

/* Makes room for a storm of notifications: 16 MiB where the privilege allows (CAP_NET_ADMIN), else
 * as much as net.core.rmem_max lets it. */
void netlink_enlarge_receive_buffer(struct netlink *netlink);
/* Its size in bytes, as the kernel reckons; 0: not known. */
int netlink_receive_buffer_size(const struct netlink *netlink);

/* Stamps the request with the next sequence number and sends it. */
int netlink_send(struct netlink *netlink, struct nlmsghdr *request);

/*
 * Sends n requests that have NLM_F_ACK in one datagram of that size, stamps them, and waits until
 * each is answered: results[i] is 0 or what the kernel says to the i-th. At most 64, so that all
 * answers fit into the receive buffer. 0, or a negative errno of the socket, then nobody knows what
 * was done.
 */
int netlink_ask_each(struct netlink *netlink, void *requests, size_t size, int *results, size_t n);

/*
 * Receives one datagram with flags as for recv(2). *ret points to its messages until the next call.
 * Returns its size, 0 for one that did not come from the kernel, or negative errno: -ENOBUFS after
 * notifications were lost.
 */
ssize_t netlink_receive(struct netlink *netlink, int flags, const struct nlmsghdr **ret);

/*
 * Calls handle_next, which handles one datagram without blocking, until the queue is empty (it
 * returns -EAGAIN): after an overrun (-ENOBUFS) the kernel throws away every notification until
 * then, and says so only once, so a dump before that could miss what follows it. 0; -EAGAIN: others
 * filled it all the time, for a tenth of a second; or another error of handle_next.
 */
int netlink_empty_queue(int (*handle_next)(void *data), void *data);

/* Wipes the size bytes received last, as they may hold secrets, such as WireGuard keys. */
void netlink_forget(struct netlink *netlink, size_t size);

/* Whether message answers the last request that was sent. */
bool netlink_is_answer(const struct netlink *netlink, const struct nlmsghdr *message);

/* Whether message is the last one of an answer; then *result is 0 or what went wrong, and what the
 * kernel says about it is logged for debugging. */
bool netlink_ends_answer(const struct nlmsghdr *message, int *result);

/*
 * Sends a request that has NLM_F_ACK or NLM_F_DUMP, waits, and calls answer for each message of the
 * answer. Returns the kernel's error, else the first one of answer; -EINTR: the dump was overtaken
 * by a change and is not to be relied on.
 */
int netlink_ask(struct netlink *netlink, struct nlmsghdr *request,
		int (*answer)(void *data, const struct nlmsghdr *message), void *data);

#endif
