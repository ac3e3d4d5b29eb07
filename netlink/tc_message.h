/* SPDX-License-Identifier: GPL-2.0-only */
/* Qdiscs and filters as RTNETLINK tells of them (linux/rtnetlink.h, linux/pkt_cls.h): RTM_NEWQDISC
 * and RTM_NEWTFILTER made into structs. */
#ifndef FLOWTALLY_TC_MESSAGE_H
#define FLOWTALLY_TC_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

struct nlmsghdr;

enum tc_hook {
	TC_HOOK_INGRESS,
	TC_HOOK_EGRESS,
	TC_HOOKS,
};

struct tc_filter {
	enum tc_hook hook;
	uint32_t chain;
	uint16_t priority;
	uint32_t handle;
	uint32_t program_id; /* of the BPF program; 0 if none */
	bool mirred;	     /* among its actions is one that sends packets to another device */
	char kind[16];	     /* "bpf", "u32", "flower", ... */
	char name[64];	     /* TCA_BPF_NAME, the beginning of a longer one; "" if none */
};

/* The link that has a clsact qdisc. 0; -EBADMSG for a malformed message; -ENOENT for another
 * message or another qdisc. */
int tc_clsact_parse(uint32_t *ifindex, const struct nlmsghdr *message);

/* Fills filter but for its hook, which the message does not say as we mean it; *filter is
 * overwritten whole. 0; -EBADMSG for a malformed message; -ENOENT for another one. */
int tc_filter_parse(struct tc_filter *filter, const struct nlmsghdr *message);

#endif
