/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses of both IP versions in 16 bytes, network byte order: IPv4 as ::ffff:a.b.c.d (RFC 4291,
 * 2.5.5.2). */
#ifndef FLOWTALLY_ADDRESS_H
#define FLOWTALLY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ADDRESS_IPV4_AT 12 /* where the 4 bytes of IPv4 stand */

static inline void address_from_ipv4(uint8_t address[16], const void *ipv4)
{
	static const uint8_t prefix[ADDRESS_IPV4_AT] = {[10] = 0xff, [11] = 0xff};

	memcpy(address, prefix, sizeof(prefix));
	memcpy(address + sizeof(prefix), ipv4, 4);
}

static inline bool address_is_ipv4(const uint8_t address[16])
{
	static const uint8_t prefix[ADDRESS_IPV4_AT] = {[10] = 0xff, [11] = 0xff};

	return !memcmp(address, prefix, sizeof(prefix));
}

/* All zero. */
static inline bool address_is_any(const uint8_t address[16])
{
	static const uint8_t any[16];

	return !memcmp(address, any, sizeof(any));
}

/* 224.0.0.0/4 (RFC 5771, 3), ff00::/8 (RFC 4291, 2.7). */
static inline bool address_is_multicast(const uint8_t address[16])
{
	return address_is_ipv4(address) ? address[ADDRESS_IPV4_AT] >> 4 == 0xe : address[0] == 0xff;
}

#endif
