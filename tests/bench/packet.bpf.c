// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the flow program is measured against, and what gives every run another flow.
 *
 * vary() writes a number that changes from run to run into the source address, then tail-calls the
 * program that is measured: the cost of doing so is in every row, the empty program's included, and
 * so goes out when that is taken off.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ENTRIES 262144

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} measured SEC(".maps");

/* Set by user space: number of flows less one; a power of two less one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} settings SEC(".maps");

/* Marsaglia's xorshift: all numbers but 0, in an order that no cache is made for. */
static __always_inline __u32 next_random(__u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/*
 * Addresses and ports are written in the widths that programs read them in: the processor would
 * make a wide read wait for a narrow write of just before, which no packet of a network does.
 */
static __always_inline void write_ends(void *source, __u32 flow, __be32 destination)
{
	*(__u64 *)source = (__u64)destination << 32 | bpf_htonl(0x0a000000 | (flow & 0xffffff));
}

SEC("tc")
int vary(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	__u32 mask_key = 0, state_key = 1;
	__u32 *mask = bpf_map_lookup_elem(&settings, &mask_key);
	__u32 *state = bpf_map_lookup_elem(&settings, &state_key);
	__u32 flow, ports;

	if (!mask || !state || data + sizeof(*eth) + sizeof(struct ipv6hdr) + 4 > data_end)
		return TC_ACT_UNSPEC;
	/* odd factors: every flow has a tuple of its own, far from that of its neighbours */
	flow = (next_random(state) & *mask) * 2654435769U;
	ports = bpf_htonl((flow & 0xffff0000) | 443);
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		write_ends(&ip->saddr, flow, bpf_htonl(0x0a0000fe));
		*(__u32 *)(ip + 1) = ports;
	} else {
		struct ipv6hdr *ip = (void *)(eth + 1);

		write_ends((void *)&ip->saddr + 8, flow, 0);
		*(__u32 *)(ip + 1) = ports;
	}
	bpf_tail_call(skb, &measured, 0);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int measure_empty(struct __sk_buff *skb)
{
	(void)skb;
	return TC_ACT_UNSPEC;
}

/* The least that counting a flow can cost: one lookup with a 16-byte key, one atomic add. */
struct floor_key {
	__u32 source, destination;
	__u32 ports;
	__u32 protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ENTRIES);
	__type(key, struct floor_key);
	__type(value, __u64);
} floor_map SEC(".maps");

SEC("tc")
int measure_floor(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct floor_key key;
	__u64 *bytes, first = skb->len;

	/* the same words for both versions: it is not a parser, just a floor */
	if ((void *)(ip + 1) + 20 + 4 > data_end)
		return TC_ACT_UNSPEC;
	key.source = ip->version == 4 ? ip->saddr : *(__u32 *)((void *)ip + 20);
	key.destination = ip->daddr;
	key.ports = *(__u32 *)(ip + 1);
	key.protocol = ip->protocol;
	bytes = bpf_map_lookup_elem(&floor_map, &key);
	if (bytes)
		__sync_fetch_and_add(bytes, skb->len);
	else
		bpf_map_update_elem(&floor_map, &key, &first, BPF_NOEXIST);
	return TC_ACT_UNSPEC;
}

/* As agents with one map for all interfaces do it: a 40-byte key, a lock in the value, the
 * interfaces in the value. */
struct peer_key {
	__u8 source[16], destination[16];
	__u16 source_port, destination_port;
	__u8 protocol, zero[3];
};

struct peer_value {
	struct bpf_spin_lock lock;
	__u32 first_ifindex;
	__u64 start_ns, end_ns;
	__u64 bytes;
	__u32 packets;
	__u16 ethertype, flags;
	__u8 observed_count, zero[7];
	__u32 observed[6];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ENTRIES);
	__type(key, struct peer_key);
	__type(value, struct peer_value);
} peer_map SEC(".maps");

SEC("tc")
int measure_peer(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct peer_key key = {};
	struct peer_value *value;
	__u64 now = bpf_ktime_get_ns();
	__be32 *ports;

	if ((void *)(eth + 1) > data_end)
		return TC_ACT_UNSPEC;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) + 4 > data_end)
			return TC_ACT_UNSPEC;
		key.source[10] = key.source[11] = 0xff;
		key.destination[10] = key.destination[11] = 0xff;
		__builtin_memcpy(key.source + 12, &ip->saddr, 4);
		__builtin_memcpy(key.destination + 12, &ip->daddr, 4);
		key.protocol = ip->protocol;
		ports = (void *)(ip + 1);
	} else {
		struct ipv6hdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) + 4 > data_end)
			return TC_ACT_UNSPEC;
		__builtin_memcpy(key.source, &ip->saddr, 16);
		__builtin_memcpy(key.destination, &ip->daddr, 16);
		key.protocol = ip->nexthdr;
		ports = (void *)(ip + 1);
	}
	key.source_port = *ports & 0xffff;
	key.destination_port = *ports >> 16;
	value = bpf_map_lookup_elem(&peer_map, &key);
	if (value) {
		bpf_spin_lock(&value->lock);
		if (value->first_ifindex == skb->ifindex) {
			value->bytes += skb->len;
			value->packets++;
			value->end_ns = now;
		}
		bpf_spin_unlock(&value->lock);
	} else {
		struct peer_value first = {
			.first_ifindex = skb->ifindex,
			.start_ns = now,
			.end_ns = now,
			.bytes = skb->len,
			.packets = 1,
		};

		bpf_map_update_elem(&peer_map, &key, &first, BPF_NOEXIST);
	}
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "GPL";
