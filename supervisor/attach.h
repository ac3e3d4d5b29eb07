/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attaching the program to the two hooks of an interface: by tcx links or by filters on a clsact
 * qdisc, behind one table of functions. At ingress first in the chain, to see what arrives before
 * others drop or redirect it; at egress last, to see what really leaves.
 *
 * Lifetimes in the kernel: a tcx link goes with its descriptor unless it is pinned, and it is; a
 * clsact filter stays by itself. So both go on when the process is killed, until the next agent
 * takes them over with attach_adopt(), or attach_sweep() and the end of the pins remove them.
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
struct checkpoint_attachment;
struct pins;
struct program;

/* The program on one interface. Zeroed: not attached. */
struct attachment {
	const struct attach_ops *ops;
	uint32_t ifindex;
	uint32_t life;	  /* of the interface (interface.h), for the names of pins */
	bool preceded;	  /* others run before ours at ingress, and may take packets away there */
	bool diverted;	  /* filters in front of ours at egress send packets to other devices by tc
			     mirred, which notes them as received on this one */
	int64_t ahead_ns; /* when tcx may be tried in front of them, on the boot clock; 0: now */
	union {
		int link_fd[TC_HOOKS]; /* tcx: owned; by enum tc_hook */
		struct {
			bool created; /* the qdisc is ours to delete */
			uint16_t priority[TC_HOOKS];
		} clsact;
	};
};

/*
 * program and pins are borrowed; pins may be NULL. CONFIG_ATTACH_AUTO is clsact, which costs the
 * kernel the least when links come and go, and tcx where others use it or have a filter that runs
 * before ours at ingress, where clsact is not to be had, and as attacher_prefer_tcx() says
 * (doc/design.md). 0, or a negative errno: no memory, or no netlink socket.
 */
int attacher_new(struct attacher **ret, const struct program *program, const struct pins *pins,
		 enum config_attach mode);
void attacher_free(struct attacher *attacher);

/* For interfaces attached from now on. */
void attacher_set_mode(struct attacher *attacher, enum config_attach mode);

/* Whether CONFIG_ATTACH_AUTO takes tcx first, which costs packets the least. Not where others have
 * filters: at egress they run after tcx, and may drop what we would have counted. */
void attacher_prefer_tcx(struct attacher *attacher, bool prefer);

/* One interface of those that are attached or detached together. */
struct attach_job {
	uint32_t ifindex;
	uint32_t life;
	const char *name; /* borrowed, for the log */
	bool gone; /* the interface is: the kernel has taken off all that no descriptor holds */
	struct attachment *attachment;
	int result;
};

/*
 * Attaches each to both hooks or to none. Nothing is attached yet (but for what a try that failed
 * could not remove, which is found). *attachment is set on success only, the result else a
 * negative errno; -ENODEV: the interface is gone. A program of others that runs before ours is said
 * once, as it may hide packets from us.
 */
void attach_each(struct attacher *attacher, struct attach_job *jobs, size_t n);

/* How to find it again. */
void attach_describe(const struct attachment *attachment, struct checkpoint_attachment *described);

/*
 * Takes over what a dead agent had attached, and puts our program in the place of its program,
 * without a packet in between that neither sees. *attachment is set on success only. An errno that
 * is_lack(): what is attached stays, for another try. Another negative errno: it is not on both
 * hooks any more, and what was left of it is removed.
 */
int attach_adopt(struct attacher *attacher, uint32_t ifindex, uint32_t life,
		 const struct checkpoint_attachment *described, struct attachment *attachment);

/* Takes the program off both hooks, and a clsact qdisc that we created if nothing else is on it. An
 * interface that is gone is no error. Where it fails *attachment stays for another try; else it is
 * zeroed. */
void attach_detach_each(struct attacher *attacher, struct attach_job *jobs, size_t n);

/*
 * Whether it should be attached anew: programs of others came to an interface where a clsact filter
 * is, and run before it. Filters that tcx failed to get in front of are let be for an hour.
 */
bool attach_is_outrun(const struct attacher *attacher, const struct attachment *attachment);

/*
 * Reads on which interfaces there is a clsact qdisc, in one dump, until the stock is dropped or
 * taken anew. A failure leaves it empty.
 */
void attacher_take_stock(struct attacher *attacher);
void attacher_drop_stock(struct attacher *attacher);
/* False: what the program was attached to is missing in the stock, so it may be gone. tcx has none
 * of it. */
bool attach_in_stock(const struct attacher *attacher, const struct attachment *attachment);

/* Whether the program is on the interface, as far as we know; whether it is so by tcx. */
bool attach_is_on(const struct attachment *attachment);
bool attach_is_tcx(const struct attachment *attachment);

#define ATTACH_BOTH_HOOKS (1U << TC_HOOK_INGRESS | 1U << TC_HOOK_EGRESS)

/* The hooks that the program is not on any more, as bits 1 << enum tc_hook; 0: it is on both. */
unsigned int attach_missing(struct attacher *attacher, const struct attachment *attachment);

/*
 * Puts the program back on the hooks that attach_missing() told, and touches nothing else: neither
 * the other hook, nor a qdisc, nor what others have. What was put back by somebody meanwhile stays
 * as it is. 0; -ENOENT: there is nothing left to put it back on, so it has to be attached anew; or
 * a negative errno, then at least as many hooks have it as before.
 */
int attach_repair(struct attacher *attacher, struct attachment *attachment, unsigned int missing);

/*
 * Looks again who runs before ours at ingress, and says so if that is new. missed: less was seen
 * than came in, so filters of others are looked for on a qdisc that we made, too, as they are where
 * some were found before. Whether attachment->preceded or attachment->diverted changed.
 */
bool attach_look(struct attacher *attacher, const char *name, struct attachment *attachment,
		 bool missed);

/* Where the program stands among those on a hook: 1 is the first that a packet meets, 0: it is not
 * among them. */
struct attach_place {
	uint32_t position, count;
};
/* On both hooks, by enum tc_hook. 0 or negative errno. */
int attach_places(struct attacher *attacher, const struct attachment *attachment,
		  struct attach_place places[TC_HOOKS]);

/* Whether the name is that of a pinned link of an interface, and of which life of it. */
bool attach_is_pin(const char *name, uint32_t *life);

/* "tcx", "clsact", or "none" if it is not attached. */
const char *attach_mode_to_str(const struct attachment *attachment);

/*
 * Removes clsact filters that an agent left in this network namespace, from all links but those
 * that keep() wants (NULL: none), and the qdiscs it had created if nothing else is on them. Returns
 * how many filters, or a negative errno. No other agent may be running.
 */
int attach_sweep(bool (*keep)(void *data, uint32_t ifindex), void *data);

#endif
