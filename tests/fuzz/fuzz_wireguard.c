// SPDX-License-Identifier: GPL-2.0-only
/* What generic netlink answers of a family and of a WireGuard device. */
#include "netlink/wireguard_message.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"

#include <errno.h>

static void parse(const struct nlmsghdr *message)
{
	uint16_t family = 7;
	__be16 port = 7;
	int r = wireguard_parse_family(&family, message);

	fuzz_require(r == 0 || r == -EBADMSG || r == -ENOENT);
	fuzz_require(r == 0 || family == 7);
	r = wireguard_parse_port(&port, message->nlmsg_type, message);
	fuzz_require(r == 0 || r == -EBADMSG || r == -ENOENT);
	fuzz_require(r == 0 || port == 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	messages_each(data, size, parse);
	return 0;
}
