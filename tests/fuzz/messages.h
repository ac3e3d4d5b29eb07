/* SPDX-License-Identifier: GPL-2.0-only */
/* A datagram taken apart into netlink messages, as the readers of sockets do. */
#ifndef FLOWTALLY_TESTS_FUZZ_MESSAGES_H
#define FLOWTALLY_TESTS_FUZZ_MESSAGES_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

static inline void messages_each(const uint8_t *data, size_t size,
				 void (*each)(const struct nlmsghdr *message))
{
	while (size >= sizeof(struct nlmsghdr)) {
		const struct nlmsghdr *message = (const struct nlmsghdr *)data;
		size_t length = message->nlmsg_len;

		if (length < sizeof(*message) || length > size)
			break;
		each(message);
		length = NLMSG_ALIGN(length);
		data += length < size ? length : size;
		size -= length < size ? length : size;
	}
}

#endif
