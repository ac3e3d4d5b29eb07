/* SPDX-License-Identifier: GPL-2.0-only */
/* Which packets neighbours (other programs) take from the hooks behind them, and where they go. */
#ifndef FLOWTALLY_TESTS_MEANT_H
#define FLOWTALLY_TESTS_MEANT_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TARGET_IFINDEX 77
#define TARGET_PORT    5009

struct headers {
	struct ethhdr ethernet;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed));

static __always_inline int is_meant(const void *data, const void *end)
{
	const struct headers *headers = data;

	return data + sizeof(*headers) <= end && headers->ethernet.h_proto == bpf_htons(ETH_P_IP) &&
	       headers->ip.protocol == 17 /* UDP */ && headers->udp.dest == bpf_htons(TARGET_PORT);
}

#endif
