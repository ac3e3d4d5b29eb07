// SPDX-License-Identifier: GPL-2.0-only
/* RTM_NEWLINK and RTM_DELLINK. */
#include "netlink/link.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"

#include <errno.h>

static void require_string(const char *string, size_t size)
{
	fuzz_require(memchr(string, '\0', size));
}

static void parse(const struct nlmsghdr *message)
{
	struct link link;
	int r = link_parse(&link, message);

	fuzz_require(r == 0 || r == -EBADMSG || r == -ENOENT || r == -ENOMEM);
	if (r < 0) {
		fuzz_require(!link.altnames && !link.altname_count);
		return;
	}
	fuzz_require(link.ifindex > 0 && link.ifindex <= INT32_MAX);
	fuzz_require(link.name[0] && link_kind(&link)[0]);
	fuzz_require(link.lower_in_other_netns || link.lower != link.ifindex);
	require_string(link.name, sizeof(link.name));
	require_string(link.kind, sizeof(link.kind));
	for (unsigned int i = 0; i < link.altname_count; i++) {
		fuzz_require(link.altnames[i][0]);
		require_string(link.altnames[i], sizeof(link.altnames[i]));
	}
	link_clean(&link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	messages_each(data, size, parse);
	return 0;
}
