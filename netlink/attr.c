// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/attr.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <string.h>

static int each_in(const char *begin, size_t size, attr_callback each, void *data)
{
	const struct nlattr *attr = (const struct nlattr *)begin;
	const char *end = begin + size;
	int r;

	while (mnl_attr_ok(attr, end - (const char *)attr)) {
		r = each(attr, data);
		if (r < 0)
			return r;
		attr = mnl_attr_next(attr);
	}
	/* the padding of the last one may be missing, so the cursor may be past the end */
	return (const char *)attr < end ? -EBADMSG : 0;
}

int attr_each(const struct nlmsghdr *message, size_t header_size, attr_callback each, void *data)
{
	const char *begin = mnl_nlmsg_get_payload_offset(message, header_size);
	size_t size;

	if (message->nlmsg_len < MNL_NLMSG_HDRLEN + header_size)
		return -EBADMSG;
	size = mnl_nlmsg_get_payload_len(message);
	if (size <= MNL_ALIGN(header_size))
		return 0;
	return each_in(begin, size - MNL_ALIGN(header_size), each, data);
}

int attr_each_nested(const struct nlattr *nest, attr_callback each, void *data)
{
	return each_in(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), each, data);
}

int attr_u8(const struct nlattr *attr, uint8_t *number)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(*number))
		return -EBADMSG;
	*number = mnl_attr_get_u8(attr);
	return 0;
}

int attr_u16(const struct nlattr *attr, uint16_t *number)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(*number))
		return -EBADMSG;
	*number = mnl_attr_get_u16(attr);
	return 0;
}

int attr_u32(const struct nlattr *attr, uint32_t *number)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(*number))
		return -EBADMSG;
	*number = mnl_attr_get_u32(attr);
	return 0;
}

int attr_be16(const struct nlattr *attr, __be16 *number)
{
	return attr_u16(attr, number);
}

int attr_string(const struct nlattr *attr, char *string, size_t size)
{
	const char *payload = mnl_attr_get_payload(attr);
	const char *end = memchr(payload, '\0', mnl_attr_get_payload_len(attr));

	if (!end || end == payload || (size_t)(end - payload) >= size)
		return -EBADMSG;
	memcpy(string, payload, end - payload + 1);
	return 0;
}
