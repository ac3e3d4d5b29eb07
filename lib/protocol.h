/* SPDX-License-Identifier: GPL-2.0-only */
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

#endif
