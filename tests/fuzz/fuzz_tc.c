// SPDX-License-Identifier: GPL-2.0-only
/* What a dump of qdiscs and filters answers, and the ends and errors of answers. */
#include "netlink/socket.h"
#include "netlink/tc_message.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"

#include <errno.h>

static void parse(const struct nlmsghdr *message)
{
	struct tc_filter filter;
	uint32_t ifindex;
	int r = tc_filter_parse(&filter, message), result;

	fuzz_require(r == 0 || r == -EBADMSG || r == -ENOENT);
	fuzz_require(memchr(filter.kind, '\0', sizeof(filter.kind)));
	fuzz_require(memchr(filter.name, '\0', sizeof(filter.name)));
	r = tc_clsact_parse(&ifindex, message);
	fuzz_require(r == 0 || r == -EBADMSG || r == -ENOENT);
	fuzz_require(!netlink_ends_answer(message, &result) || result <= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	messages_each(data, size, parse);
	return 0;
}
