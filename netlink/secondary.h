/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A secondary unicast address of a link: one that it receives frames for beside its own, because a
 * device stands on it, of whatever network namespace. RTNETLINK tells it as an entry of the link's
 * forwarding table (ndo_dflt_fdb_dump() in kernel net/core/rtnetlink.c).
 */
#ifndef FLOWTALLY_SECONDARY_H
#define FLOWTALLY_SECONDARY_H

#include <stdint.h>

struct nlmsghdr;

struct secondary {
	uint32_t ifindex;
	uint8_t address[6];
};

/* 0; -EBADMSG for a malformed message; -ENOENT for another message, another entry of a forwarding
 * table, or an address that is no unicast one of 6 bytes. */
int secondary_parse(struct secondary *secondary, const struct nlmsghdr *message);

#endif
