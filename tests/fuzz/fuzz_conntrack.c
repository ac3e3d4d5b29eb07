// SPDX-License-Identifier: GPL-2.0-only
/* IPCTNL_MSG_CT_NEW and IPCTNL_MSG_CT_DELETE. */
#include "lib/protocol.h"
#include "netlink/conntrack_entry.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/messages.h"

#include <errno.h>
#include <sys/socket.h>

static void require_tuple(const struct conntrack_entry *entry, const struct conntrack_tuple *tuple)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	fuzz_require(protocol_has_ports(entry->protocol) ||
		     (!tuple->source_port && !tuple->destination_port));
	fuzz_require(entry->family == AF_INET6 ||
		     (!memcmp(tuple->source, mapped, sizeof(mapped)) &&
		      !memcmp(tuple->destination, mapped, sizeof(mapped))));
}

static void parse(const struct nlmsghdr *message)
{
	struct conntrack_entry entry;
	int r = conntrack_parse(&entry, message);

	fuzz_require(r == 0 || r == -EBADMSG || r == -ENOENT);
	if (r < 0)
		return;
	fuzz_require(entry.family == AF_INET || entry.family == AF_INET6);
	require_tuple(&entry, &entry.original);
	require_tuple(&entry, &entry.reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	messages_each(data, size, parse);
	return 0;
}
