// SPDX-License-Identifier: GPL-2.0-only
/* RTM_NEWADDR and RTM_DELADDR, and RTM_NEWNEIGH of a link's secondary addresses. */
#include "netlink/addr.h"
#include "netlink/secondary.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"

#include <errno.h>

static void parse(const struct nlmsghdr *message)
{
	struct secondary secondary;
	struct addr addr;
	int r = secondary_parse(&secondary, message);

	fuzz_require(r == 0 || r == -EBADMSG || r == -ENOENT);
	fuzz_require(r < 0 || (secondary.ifindex && !(secondary.address[0] & 1)));
	r = addr_parse(&addr, message);

	fuzz_require(r == 0 || r == -EBADMSG || r == -ENOENT);
	fuzz_require(r < 0 || (addr.ifindex && addr.prefix <= 128));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	messages_each(data, size, parse);
	return 0;
}
