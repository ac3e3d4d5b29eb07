/* SPDX-License-Identifier: GPL-2.0-only */
/* What the formats of a report share: addresses, and the ends of flows. */
#ifndef FLOWTALLY_FORMAT_COMMON_H
#define FLOWTALLY_FORMAT_COMMON_H

#include <stdint.h>

struct flow_key;
struct nat_end;

/*
 * These write at `to`, without a terminator, and return the end. An address as in a key of that
 * enum flow_family, IPv6 as RFC 5952; an end of a flow: "192.0.2.1:80", "[2001:db8::1]:80".
 */
#define FORMAT_ADDRESS_SIZE 39 /* the longest one: IPv6 in full */
#define FORMAT_END_SIZE	    (FORMAT_ADDRESS_SIZE + 8)
char *format_address(char *to, uint8_t family, const uint8_t bytes[16]);
char *format_end(char *to, const struct flow_key *key, int end);
char *format_nat_end(char *to, uint8_t family, const struct nat_end *end);

#endif
