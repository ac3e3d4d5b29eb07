/* SPDX-License-Identifier: GPL-2.0-only */
/* An address of this host as RTNETLINK tells of it: RTM_NEWADDR and RTM_DELADDR. */
#ifndef FLOWTALLY_ADDR_H
#define FLOWTALLY_ADDR_H

#include <stdbool.h>
#include <stdint.h>

struct nlmsghdr;

struct addr {
	uint32_t ifindex;
	bool gone;	   /* RTM_DELADDR */
	uint8_t local[16]; /* network byte order; IPv4 as ::ffff:a.b.c.d. IFA_LOCAL, else
			      IFA_ADDRESS */
	uint8_t prefix;	   /* length in bits of the 128, so 96 more than an IPv4 prefix says */
};

/* 0; -EBADMSG for a malformed message; -ENOENT for another message, or a family other than IPv4 and
 * IPv6. */
int addr_parse(struct addr *addr, const struct nlmsghdr *message);

#endif
