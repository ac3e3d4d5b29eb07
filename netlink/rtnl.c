// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/rtnl.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "netlink/addr.h"
#include "netlink/link.h"
#include "netlink/socket.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#define REQUEST_SIZE	     64 /* a header, an ifinfomsg, a number */
#define DATAGRAMS_A_DISPATCH 256
#define DUMP_TRIES	     10		  /* in a row; the owner's loop has other things to do */
#define MEMORY_NS	     NSEC_PER_SEC /* until a dump is tried again that had no memory */

struct rtnl {
	struct netlink *netlink; /* owned; notifications and dumps */
	struct rtnl_handlers handlers;
	uint64_t overruns;
	bool stale;    /* something was lost and no dump has made up for it yet */
	bool deferred; /* the last dump was given up for now, and that was logged */
	bool starved;  /* there was no memory, and that was logged */
	int64_t retry_ns;
};

/* What is learned of a dump while its answers come. */
struct dump {
	uint16_t type; /* RTM_GETLINK or RTM_GETADDR */
	bool done;
	int result;    /* once it is done */
	bool noticed;  /* a notification about what is dumped came in between */
	bool doubtful; /* the answers may not add up to one state of the kernel */
};

int rtnl_new(struct rtnl **ret, const struct rtnl_handlers *handlers)
{
	struct rtnl *rtnl = calloc(1, sizeof(*rtnl));
	int r;

	if (!rtnl)
		return -ENOMEM;
	rtnl->handlers = *handlers;
	r = netlink_new(&rtnl->netlink, NETLINK_ROUTE,
			RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
	if (r < 0) {
		rtnl_free(rtnl);
		return r;
	}
	netlink_enlarge_receive_buffer(rtnl->netlink);
	*ret = rtnl;
	return 0;
}

void rtnl_free(struct rtnl *rtnl)
{
	if (!rtnl)
		return;
	netlink_free(rtnl->netlink);
	free(rtnl);
}

int rtnl_fd(const struct rtnl *rtnl)
{
	return netlink_fd(rtnl->netlink);
}

uint64_t rtnl_overruns(const struct rtnl *rtnl)
{
	return rtnl->overruns;
}

/* These three: 1 if the owner was told, 0 if there was nothing to tell, or negative errno. */
static int tell_link(struct rtnl *rtnl, const struct nlmsghdr *message)
{
	struct link link;
	int r;

	r = link_parse(&link, message);
	if (r < 0)
		return r;
	r = rtnl->handlers.link(rtnl->handlers.data, &link);
	link_clean(&link);
	return r < 0 ? r : 1;
}

static int tell_addr(struct rtnl *rtnl, const struct nlmsghdr *message)
{
	struct addr addr;
	int r;

	r = addr_parse(&addr, message);
	if (r < 0)
		return r;
	r = rtnl->handlers.addr(rtnl->handlers.data, &addr);
	return r < 0 ? r : 1;
}

/* Both kinds of messages have it at the same place. 0: it ends before. */
static uint32_t subject_index(const struct nlmsghdr *message)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);

	_Static_assert(offsetof(struct ifinfomsg, ifi_index) ==
			       offsetof(struct ifaddrmsg, ifa_index),
		       "the index of a link and of an address are at the same place");
	return mnl_nlmsg_get_payload_len(message) < sizeof(struct ifaddrmsg)
		       ? 0
		       : (uint32_t)link->ifi_index;
}

static int tell_owner(struct rtnl *rtnl, const struct nlmsghdr *message)
{
	int r;

	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		r = tell_link(rtnl, message);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		r = tell_addr(rtnl, message);
		break;
	default:
		return 0;
	}
	if (r == -EBADMSG) {
		log_warning("malformed message from the kernel about interface %u (type %u, %u "
			    "bytes), ignoring it",
			    subject_index(message), message->nlmsg_type, message->nlmsg_len);
		return 0;
	}
	return r == -ENOENT ? 0 : r;
}

/* RTM_NEWLINK, RTM_DELLINK and RTM_GETLINK are about one thing, and so on by fours. */
static bool same_subject(uint16_t type, uint16_t other)
{
	return (type - RTM_BASE) / 4 == (other - RTM_BASE) / 4;
}

static int handle_answer(struct rtnl *rtnl, const struct nlmsghdr *message, struct dump *dump)
{
	int r;

	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		dump->doubtful = true;
	if (netlink_ends_answer(message, &dump->result)) {
		dump->done = true;
		return 0;
	}
	/* The kernel queues an answer some time after it has looked. A notification may slip in
	 * front of an answer that is older than itself, and a link that is gone would come back. */
	if (dump->noticed)
		dump->doubtful = true;
	r = tell_owner(rtnl, message);
	return r < 0 ? r : 0;
}

static int handle_notification(struct rtnl *rtnl, const struct nlmsghdr *message, struct dump *dump)
{
	int r;

	r = tell_owner(rtnl, message);
	if (r < 0)
		return r;
	if (r > 0 && dump && same_subject(message->nlmsg_type, dump->type))
		dump->noticed = true;
	return 0;
}

/* dump is NULL if none is under way. */
static int handle_datagram(struct rtnl *rtnl, const struct nlmsghdr *message, int left,
			   struct dump *dump)
{
	int r;

	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		if (dump && netlink_is_answer(rtnl->netlink, message))
			r = handle_answer(rtnl, message, dump);
		else
			r = handle_notification(rtnl, message, dump);
		if (r < 0)
			return r;
	}
	if (left > 0)
		log_warning("malformed datagram from the kernel, ignoring its last %d bytes", left);
	return 0;
}

/*
 * Receives and handles one datagram, without blocking. -EAGAIN: there is none; -ENOBUFS: some were
 * lost, which is counted here and made up for by a dump.
 */
static int handle_next(struct rtnl *rtnl, struct dump *dump)
{
	const struct nlmsghdr *messages;
	ssize_t size;
	int r;

	size = netlink_receive(rtnl->netlink, MSG_DONTWAIT, &messages);
	if (size == -ENOBUFS) {
		rtnl->overruns++;
		rtnl->stale = true;
	}
	if (size < 0)
		return size;
	r = handle_datagram(rtnl, messages, size, dump);
	if (r < 0)
		rtnl->stale = true;
	return r;
}

static int handle_notifications(void *data)
{
	return handle_next(data, NULL);
}

static int request_dump(struct rtnl *rtnl, uint16_t type)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_SIZE];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = type;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	if (type == RTM_GETADDR) {
		mnl_nlmsg_put_extra_header(request, sizeof(struct ifaddrmsg));
	} else {
		mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
		/* Without a mask the kernel does not look how much room the largest link needs, and
		 * ends the dump in silence at one that does not fit (rtnl_calcit() in
		 * net/core/rtnetlink.c). This one adds nothing to what it tells of links. */
		mnl_attr_put_u32(request, IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED);
	}
	return netlink_send(rtnl->netlink, request);
}

/* -EAGAIN: the answers do not add up, dump again. */
static int dump_all(struct rtnl *rtnl, uint16_t type)
{
	struct dump dump = {.type = type};
	int r;

	r = request_dump(rtnl, type);
	if (r < 0)
		return r;
	while (!dump.done) {
		/* The kernel answers before send() and recv() return, so an empty queue means that
		 * it found no memory to go on, and waiting would be for ever. */
		r = handle_next(rtnl, &dump);
		if (r == -ENOBUFS)
			dump.doubtful = true;
		else if (r < 0)
			return r;
	}
	/* The rest of a dump that was given up is in the way until it is read. */
	if (dump.result == -EBUSY || dump.result == -ENOBUFS)
		return -EAGAIN;
	if (dump.result < 0)
		return dump.result;
	return dump.doubtful ? -EAGAIN : 0;
}

static int try_dump(struct rtnl *rtnl)
{
	int r;

	r = netlink_empty_queue(handle_notifications, rtnl);
	if (r < 0)
		return r;
	rtnl->handlers.dump_begin(rtnl->handlers.data);
	r = dump_all(rtnl, RTM_GETLINK);
	if (r == 0)
		r = dump_all(rtnl, RTM_GETADDR);
	if (r == 0)
		rtnl->handlers.dump_end(rtnl->handlers.data);
	return r;
}

/* An empty request, whose acknowledgement makes the socket readable: links that came to rest tell
 * nothing that would wake the owner up. */
static int request_wakeup(struct rtnl *rtnl)
{
	_Alignas(struct nlmsghdr) char buffer[REQUEST_SIZE];
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

	request->nlmsg_type = NLMSG_NOOP;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	return netlink_send(rtnl->netlink, request);
}

static int defer_dump(struct rtnl *rtnl)
{
	int r;

	if (!rtnl->deferred)
		log_warning("links change faster than they can be read, trying on");
	rtnl->deferred = true;
	r = request_wakeup(rtnl);
	return r < 0 ? r : -EAGAIN;
}

int rtnl_dump(struct rtnl *rtnl)
{
	unsigned int tries;
	int r = -EAGAIN;

	rtnl->stale = true;
	for (tries = 0; r == -EAGAIN && tries < DUMP_TRIES; tries++)
		r = try_dump(rtnl);
	if (r == -EAGAIN)
		return defer_dump(rtnl);
	if (r == 0) {
		rtnl->stale = false;
		rtnl->deferred = false;
		rtnl->starved = false;
	}
	return r;
}

static void log_overrun(const struct rtnl *rtnl)
{
	log_warning(
		"link notifications were lost (receive buffer of %d bytes overran), reading all "
		"links again",
		netlink_receive_buffer_size(rtnl->netlink));
}

static void log_no_memory(struct rtnl *rtnl)
{
	if (!rtnl->starved)
		log_warning("no memory for what the kernel tells of links, reading all of them "
			    "again");
	rtnl->starved = true;
}

/* After a loss. It needs memory, too. */
static int dump_again(struct rtnl *rtnl)
{
	int r;

	if (rtnl->retry_ns > clock_boottime_ns())
		return 0;
	rtnl->retry_ns = 0;
	r = rtnl_dump(rtnl);
	if (r != -ENOMEM && r != -ENOBUFS)
		return r == -EAGAIN ? 0 : r;
	log_no_memory(rtnl);
	rtnl->retry_ns = clock_boottime_ns() + MEMORY_NS;
	return 0;
}

int rtnl_dispatch(struct rtnl *rtnl)
{
	unsigned int i;
	int r = 0;

	for (i = 0; r == 0 && i < DATAGRAMS_A_DISPATCH; i++)
		r = handle_next(rtnl, NULL);
	if (r == -ENOBUFS)
		log_overrun(rtnl);
	else if (r == -ENOMEM)
		log_no_memory(rtnl);
	else if (r < 0 && r != -EAGAIN)
		return r;
	return rtnl->stale ? dump_again(rtnl) : 0;
}

int64_t rtnl_retry_ns(const struct rtnl *rtnl)
{
	return rtnl->retry_ns;
}
