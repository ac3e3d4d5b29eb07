/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The RTNETLINK monitor: links and addresses of this network namespace. Subscribed before the first
 * dump, so nothing is missed in between; dump replies and notifications reach the same handlers.
 *
 * When notifications were lost (ENOBUFS) or a dump was interrupted by a change (NLM_F_DUMP_INTR),
 * it dumps again by itself. Around each dump it calls dump_begin and dump_end, so that the owner
 * can tell what is there no more: whatever was not mentioned in between.
 */
#ifndef FLOWTALLY_RTNL_H
#define FLOWTALLY_RTNL_H

#include <stdint.h>

struct addr;
struct link;
struct rtnl;

struct rtnl_handlers {
	/* *link and *addr are borrowed for the call. Copy what is to be kept. 0, or -ENOMEM: then
	 * all is dumped again. */
	int (*link)(void *data, const struct link *link);
	int (*addr)(void *data, const struct addr *addr);
	void (*dump_begin)(void *data);
	void (*dump_end)(void *data);
	void *data;
};

/*
 * Opens and subscribes, with a large receive buffer (netlink_enlarge_receive_buffer()); nothing is
 * read yet. 0 or negative errno.
 */
int rtnl_new(struct rtnl **ret, const struct rtnl_handlers *handlers);
void rtnl_free(struct rtnl *rtnl);

/* For epoll: readable when rtnl_dispatch() has work. */
int rtnl_fd(const struct rtnl *rtnl);

/*
 * Dumps links, then addresses, and calls the handlers; blocks until it is complete. Retries
 * interrupted dumps, with a dump_begin each. -EAGAIN: links changed too fast for that, which was
 * logged; the handlers have seen them, but no dump_end. The socket is readable then, so
 * rtnl_dispatch() tries again.
 */
int rtnl_dump(struct rtnl *rtnl);

/*
 * Reads what has come, without blocking, at most a bounded number of messages a call (epoll is
 * level-triggered), and calls the handlers. After an overrun, or when there was no memory for a
 * message or its handler: logs it, dumps. 0 or negative errno; a malformed message is logged and
 * skipped, not an error.
 */
int rtnl_dispatch(struct rtnl *rtnl);

/* When rtnl_dispatch() is to be called though nothing has come, on the boot clock: there was no
 * memory for the dump. 0: never. */
int64_t rtnl_retry_ns(const struct rtnl *rtnl);

/* How often notifications were lost since the start. */
uint64_t rtnl_overruns(const struct rtnl *rtnl);

#endif
