// SPDX-License-Identifier: GPL-2.0-only
#include "lib/protocol.h"

#include <string.h>

/* IANA's assigned internet protocol numbers */
static const char *const protocol_names[256] = {
	[IPPROTO_ICMP] = "icmp",
	[IPPROTO_IGMP] = "igmp",
	[IPPROTO_IPIP] = "ipv4",
	[IPPROTO_TCP] = "tcp",
	[IPPROTO_EGP] = "egp",
	[IPPROTO_UDP] = "udp",
	[IPPROTO_DCCP] = "dccp",
	[IPPROTO_IPV6] = "ipv6",
	[IPPROTO_RSVP] = "rsvp",
	[IPPROTO_GRE] = "gre",
	[IPPROTO_ESP] = "esp",
	[IPPROTO_AH] = "ah",
	[IPPROTO_ICMPV6] = "ipv6-icmp",
	[IPPROTO_NONE] = "ipv6-nonxt",
	[88] = "eigrp",
	[89] = "ospf",
	[97] = "etherip",
	[IPPROTO_PIM] = "pim",
	[IPPROTO_COMP] = "ipcomp",
	[112] = "vrrp",
	[115] = "l2tp",
	[IPPROTO_SCTP] = "sctp",
	[IPPROTO_UDPLITE] = "udplite",
	[IPPROTO_MPLS] = "mpls-in-ip",
};

const char *protocol_name(uint8_t protocol)
{
	return protocol_names[protocol];
}

bool protocol_from_name(const char *name, uint32_t *ret)
{
	if (!strcmp(name, "icmpv6") || !strcmp(name, "icmp6"))
		name = protocol_names[IPPROTO_ICMPV6];
	for (uint32_t number = 0; number <= UINT8_MAX; number++)
		if (protocol_names[number] && !strcmp(name, protocol_names[number])) {
			*ret = number;
			return true;
		}
	return false;
}
