/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts by conversation: those that must be, and those that the agent reports. */
#ifndef FLOWTALLY_TOPOLOGY_TALLY_H
#define FLOWTALLY_TOPOLOGY_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TALLY_LINES_MAX	  256
#define UNATTRIBUTED_SIZE 512

struct tally_end {
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t port;
};

struct tally_line {
	struct tally_end end[2]; /* in the order of their bytes */
	uint64_t bytes[2], packets[2];
};

struct tally {
	struct tally_line lines[TALLY_LINES_MAX];
	size_t count;
	uint64_t bytes, packets;	      /* of all lines */
	uint64_t said_bytes, said_packets;    /* the totals in the heads of reports */
	char unattributed[UNATTRIBUTED_SIZE]; /* as the report says, if anything */
};

/* Adds what "from" sent to "to", if that is anything. */
void tally_add(struct tally *tally, const struct tally_end *from, const struct tally_end *to,
	       uint64_t bytes, uint64_t packets);

/*
 * Whether they are equal, to the byte and to the line; prints what is not. What the ends of a
 * WireGuard tunnel say on their own, handshakes and keepalives, is added to what is expected: only
 * its sizes are known beforehand, not its times.
 */
bool tally_compare(struct tally *expected, const struct tally *got);
void tally_print(const struct tally *tally, const char *title);

#endif
