/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attaching the program to the two hooks of an interface: by tcx links or by filters on a clsact
 * qdisc, behind one table of functions. At ingress first in the chain, to see what arrives before
 * others drop or redirect it; at egress last, to see what really leaves.
 *
 * Lifetimes in the kernel: a tcx link goes with its descriptor, so with the process; a clsact
 * filter stays when the process is killed and is found and removed by attach_sweep() at the next
 * start.
 */
#ifndef FLOWTALLY_ATTACH_H
#define FLOWTALLY_ATTACH_H

#include "config/config.h"
#include "netlink/tc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attacher;
struct attach_ops;
struct program;

/* The program on one interface. Zeroed: not attached. */
struct attachment {
	const struct attach_ops *ops;
	uint32_t ifindex;
	union {
		int link_fd[2]; /* tcx: owned; by enum tc_hook */
		struct {
			bool created; /* the qdisc is ours to delete */
			uint16_t priority[2];
		} clsact;
	};
};

/* program is borrowed. */
int attacher_new(struct attacher **ret, const struct program *program, enum config_attach mode);
void attacher_free(struct attacher *attacher);

/* For interfaces attached from now on. */
void attacher_set_mode(struct attacher *attacher, enum config_attach mode);

/*
 * Attaches to both hooks or to none. *attachment is set on success only. -ENODEV: the interface is
 * gone. name is for the log: a program of others that runs before ours is said once, as it may hide
 * packets from us.
 */
int attach(struct attacher *attacher, uint32_t ifindex, const char *name,
	   struct attachment *attachment);

/* Takes the program off both hooks, and a clsact qdisc that we created if nothing else is on it. An
 * interface that is gone is no error. */
int attach_detach(struct attacher *attacher, struct attachment *attachment);

/* Whether the program is still on both hooks. */
bool attach_check(struct attacher *attacher, const struct attachment *attachment);

/* "tcx", "clsact", or "none" if it is not attached. */
const char *attach_mode_to_str(const struct attachment *attachment);

/*
 * Removes clsact filters that an agent left in this network namespace, from all links, and the
 * qdiscs it had created if nothing else is on them. Returns how many filters, or a negative errno.
 * No agent may be running.
 */
int attach_sweep(void);

#endif
