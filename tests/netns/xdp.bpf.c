// SPDX-License-Identifier: GPL-2.0-only
/* A neighbour in the driver, before any tc hook: drops what is meant, or sends it elsewhere. */
#include "tests/netns/meant.bpf.h"

SEC("xdp/drop")
int xdp_drop(struct xdp_md *context)
{
	return is_meant((void *)(long)context->data, (void *)(long)context->data_end) ? XDP_DROP
										      : XDP_PASS;
}

SEC("xdp/redirect")
int xdp_redirect(struct xdp_md *context)
{
	if (!is_meant((void *)(long)context->data, (void *)(long)context->data_end))
		return XDP_PASS;
	return (int)bpf_redirect(TARGET_IFINDEX, 0);
}

char LICENSE[] SEC("license") = "GPL";
