/* SPDX-License-Identifier: GPL-2.0-only */
/* Netlink attributes with their lengths checked (kernel Documentation/userspace-api/netlink). */
#ifndef FLOWTALLY_ATTR_H
#define FLOWTALLY_ATTR_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

struct nlattr;
struct nlmsghdr;

typedef int (*attr_callback)(const struct nlattr *attr, void *data);

/*
 * Calls each for every attribute behind the header_size bytes of the message's own header, or in a
 * nest, until it returns an error, which is returned. -EBADMSG if the attributes do not fill their
 * room exactly.
 */
int attr_each(const struct nlmsghdr *message, size_t header_size, attr_callback each, void *data);
int attr_each_nested(const struct nlattr *nest, attr_callback each, void *data);

/* Numbers as the attribute has them: the host's byte order, or network order for a __be16. 0, or
 * -EBADMSG if it has another size. */
int attr_u8(const struct nlattr *attr, uint8_t *number);
int attr_u16(const struct nlattr *attr, uint16_t *number);
int attr_u32(const struct nlattr *attr, uint32_t *number);
int attr_be16(const struct nlattr *attr, __be16 *number);

/* Copies a string that must be terminated, not be empty and fit with its terminator; its bytes are
 * kept as they are. 0 or -EBADMSG. */
int attr_string(const struct nlattr *attr, char *string, size_t size);

#endif
