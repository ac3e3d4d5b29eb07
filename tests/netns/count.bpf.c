// SPDX-License-Identifier: GPL-2.0-only
/* A neighbour: counts the packets that it is shown and lets the next program have them. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

SEC("tc")
int count_packets(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *packets = bpf_map_lookup_elem(&seen, &zero);

	(void)skb;
	if (packets)
		__sync_fetch_and_add(packets, 1);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
