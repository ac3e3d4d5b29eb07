// SPDX-License-Identifier: GPL-2.0-only
/* RTM_NEWSTATS: the counters of a link. */
#include "netlink/link.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"

#include <errno.h>
#include <linux/rtnetlink.h>

static void parse(const struct nlmsghdr *message)
{
	struct link_stats stats = {.rx_packets = 7};
	uint32_t ifindex = 7;
	int r = link_parse_stats(&ifindex, &stats, message);

	fuzz_require(r == 0 || r == -EBADMSG || r == -ENOENT);
	fuzz_require((r == -ENOENT) == (message->nlmsg_type != RTM_NEWSTATS));
	if (r == -ENOENT)
		fuzz_require(ifindex == 7 && stats.rx_packets == 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	messages_each(data, size, parse);
	return 0;
}
