/* SPDX-License-Identifier: GPL-2.0-only */
/* The protocols above IP that are known by name, and which of them have ports. */
#ifndef FLOWTALLY_PROTOCOL_H
#define FLOWTALLY_PROTOCOL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* Whether the ends of a flow have ports: the BPF program reads them for these (bpf/parse.bpf.h). */
static inline bool protocol_has_ports(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return true;
	}
	return false;
}

/* "tcp"; NULL for a protocol without a name here. Lower case, as ECS network.transport. */
const char *protocol_name(uint8_t protocol);

/* The number of a protocol by that name; ICMPv6 also as nft(8) and tcpdump(8) call it. */
bool protocol_from_name(const char *name, uint32_t *ret);

#endif
