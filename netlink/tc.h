/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * tc as far as a clsact user needs it: the clsact qdisc of a link, and BPF filters in direct-action
 * mode on its two hooks (tc-bpf(8), kernel net/sched/sch_ingress.c and cls_bpf.c).
 */
#ifndef FLOWTALLY_TC_H
#define FLOWTALLY_TC_H

#include "netlink/tc_message.h"

#include <stddef.h>
#include <stdint.h>

struct tc;

/* One blocking request socket for all calls. 0, or a negative errno: no memory, or no socket. */
int tc_new(struct tc **ret);
void tc_free(struct tc *tc);

/* Whether the link has a clsact qdisc: 0; -ENOENT: it has none, or another qdisc in its place;
 * -ENODEV: no such link. */
int tc_clsact_find(struct tc *tc, uint32_t ifindex);

/* Deletes the clsact qdisc with all filters on it. -ENOENT or -EINVAL: there is none; -ENODEV: no
 * such link. */
int tc_clsact_delete(struct tc *tc, uint32_t ifindex);

/* Changes that go to the kernel together: one system call for dozens of them. */
struct tc_change {
	enum tc_change_kind {
		/* -EEXIST: the link has one already; -EBUSY: it has an ingress qdisc in its place,
		 * on which an egress filter would see what comes in */
		TC_CLSACT_ADD,
		TC_CLSACT_DELETE, /* as tc_clsact_delete() */
		/* direct action, protocol all. -EEXIST: handle taken; -EINVAL: priority taken by
		 * filters of another kind or protocol, or no clsact; -ENAMETOOLONG: name does not
		 * fit a struct tc_filter */
		TC_FILTER_ADD,
		TC_FILTER_REPLACE, /* replaces the program in one step; added if there is none.
				      Errors as of adding, but for -EEXIST */
		TC_FILTER_DELETE,  /* as tc_filter_delete() */
	} kind;
	uint32_t ifindex;
	/* of filters */
	enum tc_hook hook;
	uint16_t priority;
	uint32_t handle;
	/* of those that are added or replace another */
	int program_fd;
	const char *name; /* TCA_BPF_NAME; borrowed */
	int result;	  /* 0 or negative errno; of each kind -ENODEV: no such link */
};

/* Makes the changes in their order and sets result of each; an error of one does not keep the
 * others. */
void tc_change(struct tc *tc, struct tc_change *changes, size_t n);

/* Calls found for each link that has a clsact qdisc. */
int tc_clsact_each(struct tc *tc, void (*found)(void *data, uint32_t ifindex), void *data);

/*
 * Deletes that one BPF filter (hook, priority and handle, neither of them 0). -ENOENT: it is gone
 * already; -EINVAL: no clsact, or filters of another kind or protocol have the priority; -ENODEV:
 * no such link.
 */
int tc_filter_delete(struct tc *tc, uint32_t ifindex, enum tc_hook hook, uint16_t priority,
		     uint32_t handle);

/*
 * Calls found for each filter on both hooks, all chains. One that the kernel gives no handle of its
 * own has handle 0. A link without clsact, or no such link, has none: 0.
 */
int tc_filter_each(struct tc *tc, uint32_t ifindex,
		   void (*found)(void *data, const struct tc_filter *filter), void *data);

#endif
