// SPDX-License-Identifier: GPL-2.0-only
/* A neighbour on a tc hook: what is meant leaves by another link. */
#include "tests/netns/meant.bpf.h"

#include <linux/pkt_cls.h>

SEC("tc")
int tc_redirect(struct __sk_buff *skb)
{
	if (!is_meant((void *)(long)skb->data, (void *)(long)skb->data_end))
		return TC_ACT_UNSPEC;
	return (int)bpf_redirect(TARGET_IFINDEX, 0);
}

char LICENSE[] SEC("license") = "GPL";
