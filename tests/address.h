/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses as lib/address.h has them, from "10.0.0.1" or "fd00::1"; "" is all zero. */
#ifndef FLOWTALLY_TESTS_ADDRESS_H
#define FLOWTALLY_TESTS_ADDRESS_H

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// clang-format off
#include <cmocka.h>
// clang-format on

/* Returns whether it is written as an IPv6 address. */
static inline bool address_from_text(uint8_t address[16], const char *text)
{
	bool ipv6 = strchr(text, ':');

	memset(address, 0, 16);
	if (!*text)
		return false;
	if (!ipv6)
		address[10] = address[11] = 0xff;
	assert_int_equal(inet_pton(ipv6 ? AF_INET6 : AF_INET, text, address + (ipv6 ? 0 : 12)), 1);
	return ipv6;
}

static inline void assert_address(const uint8_t address[16], const char *text)
{
	uint8_t expected[16];

	address_from_text(expected, text);
	assert_memory_equal(address, expected, sizeof(expected));
}

#endif
