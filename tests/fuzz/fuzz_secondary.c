// SPDX-License-Identifier: GPL-2.0-only
/* RTM_NEWNEIGH: what the forwarding table of a link has. */
#include "netlink/secondary.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"

#include <errno.h>

static void parse(const struct nlmsghdr *message)
{
	struct secondary secondary;
	int r = secondary_parse(&secondary, message);

	fuzz_require(r == 0 || r == -EBADMSG || r == -ENOENT);
	if (r < 0)
		return;
	fuzz_require(secondary.ifindex > 0 && secondary.ifindex <= INT32_MAX);
	fuzz_require(!(secondary.address[0] & 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	messages_each(data, size, parse);
	return 0;
}
