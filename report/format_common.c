// SPDX-License-Identifier: GPL-2.0-only
#include "report/format_common.h"

#include "bpf/flow_types.h"
#include "lib/address.h"
#include "lib/decimal.h"
#include "report/nat.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

static char *put_decimal(char *to, uint8_t number)
{
	if (number >= 100)
		*to++ = (char)('0' + number / 100);
	if (number >= 10)
		*to++ = (char)('0' + number / 10 % 10);
	*to++ = (char)('0' + number % 10);
	return to;
}

static char *put_ipv4(char *to, const uint8_t bytes[4])
{
	for (int i = 0; i < 4; i++) {
		if (i)
			*to++ = '.';
		to = put_decimal(to, bytes[i]);
	}
	return to;
}

static char *put_hex(char *to, uint16_t number)
{
	static const char digits[] = "0123456789abcdef";

	for (int shift = 12; shift >= 0; shift -= 4)
		if (number >> shift || !shift)
			*to++ = digits[number >> shift & 0xf];
	return to;
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952, 4.2). */
static int find_zeros(const uint16_t group[8], int *length)
{
	int best = -1;

	*length = 1;
	for (int first = 0, end; first < 8; first = end + 1) {
		for (end = first; end < 8 && !group[end];)
			end++;
		if (end - first > *length) {
			best = first;
			*length = end - first;
		}
	}
	return best;
}

static char *put_ipv6(char *to, const uint8_t bytes[16])
{
	uint16_t group[8];
	int zeros, length;

	if (address_is_ipv4(bytes)) {
		/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): put_ipv4() goes on */
		memcpy(to, "::ffff:", 7); /* RFC 5952, 5 */
		return put_ipv4(to + 7, bytes + ADDRESS_IPV4_AT);
	}
	for (int i = 0; i < 8; i++)
		group[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
	zeros = find_zeros(group, &length);
	for (int i = 0; i < 8; i++) {
		if (i == zeros) {
			*to++ = ':';
			i += length - 1;
			if (i == 7)
				*to++ = ':';
			continue;
		}
		if (i)
			*to++ = ':';
		to = put_hex(to, group[i]);
	}
	return to;
}

char *format_address(char *to, uint8_t family, const uint8_t bytes[16])
{
	return family == FLOW_IPV4 ? put_ipv4(to, bytes + ADDRESS_IPV4_AT) : put_ipv6(to, bytes);
}

static char *put_end(char *to, uint8_t family, const uint8_t bytes[16], __be16 port)
{
	bool brackets = family == FLOW_IPV6;

	if (brackets)
		*to++ = '[';
	to = format_address(to, family, bytes);
	if (brackets)
		*to++ = ']';
	*to++ = ':';
	return decimal_put(to, ntohs(port));
}

char *format_end(char *to, const struct flow_key *key, int end)
{
	return put_end(to, key->family, key->addr[end].bytes, key->port[end]);
}

char *format_nat_end(char *to, uint8_t family, const struct nat_end *end)
{
	return put_end(to, family, end->addr, end->port);
}
