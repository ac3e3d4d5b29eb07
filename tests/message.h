/* SPDX-License-Identifier: GPL-2.0-only */
/* Netlink messages made by tests. */
#ifndef FLOWTALLY_TESTS_MESSAGE_H
#define FLOWTALLY_TESTS_MESSAGE_H

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* In a buffer of that size, with the header of its kind (struct ifinfomsg, ...). Attributes are put
 * behind it. */
static inline struct nlmsghdr *message_begin(void *buffer, size_t size, uint16_t type,
					     const void *header, size_t header_size)
{
	struct nlmsghdr *message;

	memset(buffer, 0, size);
	message = mnl_nlmsg_put_header(buffer);
	message->nlmsg_type = type;
	memcpy(mnl_nlmsg_put_extra_header(message, header_size), header, header_size);
	return message;
}

/* "10.0.0.1" in 4 bytes, "fd00::1" in 16. */
static inline void message_put_address(struct nlmsghdr *message, uint16_t type, const char *text)
{
	bool ipv6 = strchr(text, ':');
	uint8_t address[16];

	if (inet_pton(ipv6 ? AF_INET6 : AF_INET, text, address) != 1)
		abort();
	mnl_attr_put(message, type, ipv6 ? 16 : 4, address);
}

#endif
