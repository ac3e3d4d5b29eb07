/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A monitor of the connections in this network namespace that conntrack knows more of than their
 * packets show, as ctnetlink tells of them (kernel net/netfilter/nf_conntrack_netlink.c): those
 * that it translates, and those whose client cannot be told by the ports.
 */
#ifndef FLOWTALLY_CONNTRACK_H
#define FLOWTALLY_CONNTRACK_H

#include "lib/client_ports.h"
#include "netlink/conntrack_entry.h"

#include <stdbool.h>
#include <stdint.h>

struct conntrack;

struct conntrack_handlers {
	/* An entry that is there, or gone: translated, or with ports that do not tell the client,
	 * or without ports. Borrowed for the call. */
	void (*entry)(void *data, const struct conntrack_entry *entry);
	/* Around a dump: what is not mentioned in between is there no more, if its status says that
	 * it is translated or the dump is whole. A dump that failed has no end. */
	void (*dump_begin)(void *data);
	void (*dump_end)(void *data, bool whole);
	void *data;
};

/*
 * 0 if connections can be tracked in this namespace now, else -ENOENT: the kernel has no connection
 * tracking or has not loaded it. Asking loads nothing. A rule that is added later loads it, so ask
 * again from time to time.
 */
int conntrack_present(void);

/* Whether NAT may translate them, too: the kernel has it loaded. Asking loads nothing here either.
 * IPVS translates without NAT. */
bool conntrack_translates(void);

/* Whether the kernel tells of entries as they come and go (net.netfilter.nf_conntrack_events). If
 * not, only dumps show them. */
bool conntrack_has_events(void);

/*
 * Opens and subscribes, if conntrack_present(); nothing is read yet. -ENOENT: it is not; -EPERM:
 * needs CAP_NET_ADMIN; -EPROTONOSUPPORT: the kernel has no nfnetlink.
 */
int conntrack_new(struct conntrack **ret, const struct client_ports *ports,
		  const struct conntrack_handlers *handlers);
void conntrack_free(struct conntrack *conntrack);

/* For epoll: readable when conntrack_dispatch() has work. */
int conntrack_fd(const struct conntrack *conntrack);

/*
 * Handles all notifications that have come, then reads all entries whose status says that they are
 * translated. Blocks until that is complete. The first time it reads all entries, and then again if
 * that takes no more than a thousandth of the time: the kernel cannot pick those out whose client
 * the ports do not tell (some 3 us of CPU for each entry). -EOPNOTSUPP: the kernel has no
 * nf_conntrack_netlink; -EAGAIN: the table changed too fast, a later call tries again.
 */
int conntrack_dump(struct conntrack *conntrack);

/*
 * Before each use of what the handlers have collected: handles all notifications that have come,
 * then dumps, as entries that were there before conntrack_new() may vanish without a notification
 * (with net.netfilter.nf_conntrack_events = 2 the kernel tells of those only that came later). A
 * large table takes long to read (some 4 us of CPU for each translated entry), so it does not dump
 * if dumps would take more than a twentieth of the time. Errors as of conntrack_dump().
 */
int conntrack_catch_up(struct conntrack *conntrack);

/* Whether notifications were lost, or a dump failed, and no dump has made up for it yet. */
bool conntrack_is_stale(const struct conntrack *conntrack);

/*
 * Reads what has come, without blocking, at most a bounded number of messages a call (epoll is
 * level-triggered). After an overrun: logs it, once between two calls of conntrack_catch_up(), and
 * dumps, within that same twentieth of the time, else a later call does. 0 or negative errno; a
 * malformed message is logged and skipped, not an error.
 */
int conntrack_dispatch(struct conntrack *conntrack);

/* How often notifications were lost since the start. */
uint64_t conntrack_overruns(const struct conntrack *conntrack);

/* Words for people: why translated conversations are not joined, from an error of the above. */
const char *conntrack_error(int error);

#endif
