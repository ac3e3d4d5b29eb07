/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a packet to a flow key and to what the packet counts for. A cursor stands on the next
 * header; one function a header reads it within bounds and tells what follows. The packet is never
 * changed, not even made linear.
 */
#ifndef FLOWTALLY_PARSE_BPF_H
#define FLOWTALLY_PARSE_BPF_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/flow_types.h"

/* bpf_helpers.h has them since libbpf 1.6 */
#ifndef likely
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

#define VLAN_TAGS	     3
#define EXTENSION_HEADERS    8
#define SCTP_HEADER	     12
#define NEAR_UPPER_MASK	     0x7f /* 14 + 3 * 4 of link header and 60 of IP header at most */
#define FRAGMENT_LIFETIME_NS (30 * 1000000000ULL) /* the kernel's ipfrag_time */
#define IPV4_WITHOUT_OPTIONS 0x45		  /* version and length of the header in words */
#define IPV4_MORE_FRAGMENTS  0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_MORE_FRAGMENTS  0x0001
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_OPTION_JUMBO    0xc2 /* RFC 2675, 2 */

/* What parsing returns if it is not an enum flow_reason. */
#define PARSED (-1)

struct packet {
	struct flow_key key; /* end 0 sent it */
	__u64 bytes;	     /* as in struct flow_count */
	__u64 packets;
	bool ipv6_fragment;
};

struct cursor {
	struct __sk_buff *skb;
	const void *data;
	const void *data_end;
	bool ethernet; /* offsets count from the Ethernet header, else from the network header */
	__u32 link;    /* bytes of link header and VLAN tags read */
	__u32 offset;  /* of the next header */
};

struct vlan_tag {
	__be16 tci;
	__be16 ethertype; /* of what follows */
};

struct ports {
	__be16 source;
	__be16 destination;
};

/* The beginning of hop-by-hop, routing and destination options headers, and of AH. */
struct extension_header {
	__u8 next;
	__u8 length;
};

/* A hop-by-hop header with a jumbo payload option and nothing else. */
struct jumbo_header {
	__u8 next;
	__u8 length;
	__u8 option;
	__u8 option_length;
	__be32 payload_length;
};

struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

/* One end of a packet; the address as two halves in network byte order. */
struct end {
	__u64 high;
	__u64 low;
	__be16 port;
};

/* What the headers up to the upper layer say. */
struct network {
	struct end source;
	struct end destination;
	__u32 length; /* IP bytes, header included */
	__u32 header; /* IP header with options and extension headers: repeated by segmentation */
	__u32 upper;  /* offset of the upper-layer header, and ... */
	__u32 end;    /* ... of the end of the IP packet, both as in struct cursor */
	__u32 fragment_offset; /* not 0: no upper-layer header in this packet */
	__u32 more_fragments;
	__be32 fragment_id;
	__u8 fragment_protocol; /* in IPv6 what follows the fragment header */
	bool extended;		/* by IPv6 extension headers */
	__u8 protocol;
	__u8 family;
};

/* Only the first fragment has the ports; the later ones are told them here. And where fragments
 * from one address to another were received, whatever their id: see origin_of(). */
struct fragment_key {
	__u64 source[2];
	__u64 destination[2];
	__be32 id;
	__u8 protocol;
	__u8 family;
	__u8 of_origin; /* else of ports */
	__u8 zero;
};

struct fragment {
	__u64 seen_ns;
	union {
		struct ports ports;
		__u32 ifindex;
	};
	__u8 protocol;
	__u8 zero[3];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct fragment_key);
	__type(value, struct fragment);
} fragments SEC(".maps");

static __always_inline long load_at(const struct cursor *c, __u32 offset, void *buffer, __u32 size)
{
	if (c->ethernet)
		return bpf_skb_load_bytes(c->skb, offset, buffer, size);
	return bpf_skb_load_bytes_relative(c->skb, offset, buffer, size, BPF_HDR_START_NET);
}

/* The header where it lies, or its copy in the buffer if it is not linear, or NULL past the end. */
static __always_inline const void *header_at(const struct cursor *c, __u32 offset, void *buffer,
					     __u32 size)
{
	const void *header = c->data + offset;

	if (likely(c->ethernet && header + size <= c->data_end))
		return header;
	return load_at(c, offset, buffer, size) ? NULL : buffer;
}

static __always_inline bool is_vlan(__be16 ethertype)
{
	return ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD) ||
	       ethertype == bpf_htons(ETH_P_QINQ1);
}

/* Steps over the link header. Returns the ethertype in network byte order, or -1 if cut off. */
static __always_inline int parse_ethernet(struct cursor *c)
{
	const struct ethhdr *ethernet;
	struct ethhdr ethernet_buffer;
	__be16 ethertype;

	ethernet = header_at(c, 0, &ethernet_buffer, sizeof(*ethernet));
	if (!ethernet)
		return -1;
	ethertype = ethernet->h_proto;
	c->link = sizeof(*ethernet);
#pragma unroll
	for (int i = 0; i < VLAN_TAGS && unlikely(is_vlan(ethertype)); i++) {
		struct vlan_tag tag;

		if (load_at(c, c->link, &tag, sizeof(tag)))
			return -1;
		ethertype = tag.ethertype;
		c->link += sizeof(tag);
	}
	c->offset = c->link;
	return ethertype;
}

static __always_inline bool has_ports(__u8 protocol)
{
	return likely(protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) ||
	       protocol == IPPROTO_UDPLITE || protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP;
}

static __always_inline void fragment_key_of(const struct network *n, struct fragment_key *key)
{
	key->source[0] = n->source.high;
	key->source[1] = n->source.low;
	key->destination[0] = n->destination.high;
	key->destination[1] = n->destination.low;
	key->id = n->fragment_id;
	key->protocol = n->fragment_protocol;
	key->family = n->family;
	key->of_origin = key->zero = 0;
}

static __always_inline void remember_fragment(const struct network *n)
{
	struct fragment fragment = {
		.seen_ns = bpf_ktime_get_ns(),
		.ports = {n->source.port, n->destination.port},
		.protocol = n->protocol,
	};
	struct fragment_key key;

	fragment_key_of(n, &key);
	/* without room later fragments are counted with port 0, as if this one had not been seen */
	(void)bpf_map_update_elem(&fragments, &key, &fragment, BPF_ANY);
}

static __always_inline const struct fragment *find_fragment(const struct fragment_key *key)
{
	const struct fragment *fragment = bpf_map_lookup_elem(&fragments, key);

	if (!fragment || bpf_ktime_get_ns() - fragment->seen_ns > FRAGMENT_LIFETIME_NS)
		return NULL;
	return fragment;
}

static __always_inline void recall_fragment(struct network *n)
{
	const struct fragment *first;
	struct fragment_key key;

	fragment_key_of(n, &key);
	first = find_fragment(&key);
	if (!first)
		return;
	n->protocol = first->protocol;
	n->source.port = first->ports.source;
	n->destination.port = first->ports.destination;
}

/* Bytes of the upper-layer header that segmentation repeats; -1 if it is cut off or no header. */
static __always_inline int upper_header_size(const struct cursor *c, const struct network *n)
{
	__u32 size = 0;
	__u8 offset;

	if (n->fragment_offset)
		return 0;
	switch (n->protocol) {
	case IPPROTO_TCP:
		/* the data offset: high half of the byte behind the acknowledgement number */
		if (n->upper + sizeof(struct tcphdr) > n->end ||
		    load_at(c, n->upper + 12, &offset, sizeof(offset)))
			return -1;
		size = offset / 16 * 4;
		if (size < sizeof(struct tcphdr))
			return -1;
		break;
	case IPPROTO_UDP:
		size = sizeof(struct udphdr);
		break;
	case IPPROTO_SCTP:
		size = SCTP_HEADER;
		break;
	}
	return n->upper + size > n->end ? -1 : (int)size;
}

/*
 * A GSO super-packet counts as the segments that it becomes, each with its own copy of the headers.
 * From an untrusted source (virtio, tap) it does not say how many (include/linux/virtio_net.h).
 */
static __always_inline int count_segments(const struct cursor *c, const struct network *n,
					  __u32 gso_size, struct packet *p)
{
	int upper = upper_header_size(c, n);
	__u32 segments = c->skb->gso_segs;
	__u32 headers;

	if (upper < 0)
		return FLOW_MALFORMED;
	headers = n->header + upper;
	if (!segments && n->length > headers)
		segments = (n->length - headers - 1) / gso_size + 1;
	if (!segments)
		segments = 1;
	p->bytes = n->length + (__u64)(segments - 1) * headers;
	p->packets = segments;
	return PARSED;
}

static __always_inline void set_end(struct flow_key *key, int i, const struct end *end)
{
	key->addr[i].halves[0] = end->high;
	key->addr[i].halves[1] = end->low;
	key->port[i] = end->port;
}

static __always_inline void set_key(const struct network *n, struct packet *p)
{
	set_end(&p->key, 0, &n->source);
	set_end(&p->key, 1, &n->destination);
	p->key.protocol = n->protocol;
	p->key.family = n->family;
	p->key.unsure = p->key.zero = 0;
}

/*
 * Behind IPv6 extension headers they are copied, which leaves the verifier less to prove of the
 * offset. Elsewhere the mask changes nothing, but verifiers before 5.12 lose the range of a spilled
 * offset.
 */
static __always_inline const struct ports *ports_at(const struct cursor *c, const struct network *n,
						    struct ports *buffer)
{
	__u32 upper = n->upper;

	if (unlikely(n->extended))
		return load_at(c, upper, buffer, sizeof(*buffer)) ? NULL : buffer;
	barrier_var(upper);
	return header_at(c, upper & NEAR_UPPER_MASK, buffer, sizeof(*buffer));
}

static __always_inline int parse_ports(const struct cursor *c, struct network *n)
{
	const struct ports *ports;
	struct ports buffer;

	if (n->upper + sizeof(*ports) > n->end)
		return FLOW_MALFORMED;
	ports = ports_at(c, n, &buffer);
	if (!ports)
		return FLOW_MALFORMED;
	n->source.port = ports->source;
	n->destination.port = ports->destination;
	return PARSED;
}

static __always_inline int parse_upper_layer(const struct cursor *c, struct network *n,
					     __u32 gso_size, struct packet *p)
{
	n->source.port = n->destination.port = 0;
	if (unlikely(n->fragment_offset)) {
		recall_fragment(n);
	} else {
		if (has_ports(n->protocol) && parse_ports(c, n) != PARSED)
			return FLOW_MALFORMED;
		if (unlikely(n->more_fragments))
			remember_fragment(n);
	}
	p->bytes = n->length;
	p->packets = 1;
	if (gso_size && count_segments(c, n, gso_size, p) != PARSED)
		return FLOW_MALFORMED;
	set_key(n, p);
	return PARSED;
}

/* ::ffff:a.b.c.d */
static __always_inline __u64 ipv4_mapped(__be32 address)
{
	union {
		__be32 words[2];
		__u64 half;
	} low = {.words = {bpf_htonl(0xffff), address}};

	return low.half;
}

static __always_inline int parse_ipv4(const struct cursor *c, struct packet *p)
{
	__u32 room = c->skb->len - c->link, gso_size = c->skb->gso_size;
	struct network n = {.family = FLOW_IPV4};
	const struct iphdr *ip;
	struct iphdr buffer;
	__u32 fragment;

	ip = header_at(c, c->offset, &buffer, sizeof(*ip));
	if (!ip || ip->version != 4 || ip->ihl < 5)
		return FLOW_MALFORMED;
	n.header = ip->ihl * 4;
	n.length = bpf_ntohs(ip->tot_len);
	if (unlikely(!n.length && gso_size)) /* BIG TCP: longer than 16 bits can say */
		n.length = room;
	if (n.length < n.header || n.length > room)
		return FLOW_MALFORMED;
	n.upper = c->offset + n.header;
	n.end = c->offset + n.length;
	n.source.low = ipv4_mapped(ip->saddr);
	n.destination.low = ipv4_mapped(ip->daddr);
	n.protocol = ip->protocol;
	fragment = bpf_ntohs(ip->frag_off);
	if (unlikely(fragment & (IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET))) {
		n.fragment_offset = fragment & IPV4_FRAGMENT_OFFSET;
		n.more_fragments = fragment & IPV4_MORE_FRAGMENTS;
		n.fragment_id = ip->id;
		n.fragment_protocol = n.protocol;
	}
	return parse_upper_layer(c, &n, gso_size, p);
}

static __always_inline bool is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
	       protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_DSTOPTS ||
	       protocol == IPPROTO_AH;
}

/*
 * Kernels of some years put a jumbo option into their own super-packets (BIG TCP) and take it off
 * again before the wire: as if it were not there.
 */
static __always_inline void skip_gso_jumbo(const struct cursor *c, struct network *n)
{
	struct jumbo_header jumbo;

	if (load_at(c, n->upper, &jumbo, sizeof(jumbo)) || jumbo.length != 0 ||
	    jumbo.option != IPV6_OPTION_JUMBO ||
	    jumbo.option_length != sizeof(jumbo.payload_length))
		return;
	n->protocol = jumbo.next;
	n->upper += sizeof(jumbo);
	n->length -= sizeof(jumbo);
}

/* AH counts words of 4 bytes less two (RFC 4302, 2.2), the others of 8 bytes less one. */
static __always_inline __u32 extension_size(__u8 protocol, const struct extension_header *header)
{
	if (protocol == IPPROTO_FRAGMENT)
		return sizeof(struct fragment_header);
	return protocol == IPPROTO_AH ? (header->length + 2) * 4 : (header->length + 1) * 8;
}

/* Where extension headers end: in one word, as a function that is not static returns no more. */
union extensions {
	struct {
		__u16 upper;	/* at most EXTENSION_HEADERS of 2048 bytes behind the others */
		__u16 fragment; /* where the last fragment header is; 0: none */
		__u8 protocol;
		bool whole; /* else malformed, or more of them than we follow */
	};
	__u64 word;
};

/*
 * Returns a union extensions. Not static, so that the verifier checks it once and by itself: up to
 * Linux 6.1 it took 800,000 instructions of the million that it allows to check it anew wherever
 * it came this way.
 */
__noinline __u64 walk_extensions(struct __sk_buff *skb, __u32 ethernet, __u32 protocol, __u32 upper,
				 __u32 end)
{
	const struct cursor c = {.skb = skb, .ethernet = ethernet};
	union extensions found = {};
	__u32 fragment_offset = 0;

	for (int i = 0; i < EXTENSION_HEADERS && is_extension(protocol) && !fragment_offset; i++) {
		union {
			struct extension_header any;
			struct fragment_header fragment;
		} header;

		/* none is shorter than a fragment header */
		if (load_at(&c, upper, &header, sizeof(header)))
			return 0;
		if (protocol == IPPROTO_FRAGMENT) {
			fragment_offset = bpf_ntohs(header.fragment.offset) & IPV6_FRAGMENT_OFFSET;
			found.fragment = upper;
		}
		upper += extension_size(protocol, &header.any);
		if (upper > end)
			return 0;
		protocol = header.any.next;
	}
	found.upper = upper;
	found.protocol = protocol;
	found.whole = fragment_offset || !is_extension(protocol);
	return found.word;
}

static __always_inline int parse_fragment_header(const struct cursor *c, __u32 offset,
						 struct network *n)
{
	struct fragment_header header;

	if (load_at(c, offset, &header, sizeof(header)))
		return FLOW_MALFORMED;
	n->fragment_offset = bpf_ntohs(header.offset) & IPV6_FRAGMENT_OFFSET;
	n->more_fragments = bpf_ntohs(header.offset) & IPV6_MORE_FRAGMENTS;
	n->fragment_id = header.id;
	n->fragment_protocol = header.next;
	return PARSED;
}

static __always_inline int parse_extensions(const struct cursor *c, struct network *n)
{
	const union extensions found = {
		.word = walk_extensions(c->skb, c->ethernet, n->protocol, n->upper, n->end)};

	if (!found.whole)
		return FLOW_MALFORMED;
	n->header += found.upper - n->upper;
	n->upper = found.upper;
	n->protocol = found.protocol;
	return found.fragment ? parse_fragment_header(c, found.fragment, n) : PARSED;
}

static __always_inline int parse_ipv6(const struct cursor *c, struct packet *p)
{
	__u32 room = c->skb->len - c->link, gso_size = c->skb->gso_size;
	struct network n = {.family = FLOW_IPV6, .header = sizeof(struct ipv6hdr)};
	const struct ipv6hdr *ip;
	const __u64 *addresses;
	__u64 buffer[sizeof(struct ipv6hdr) / sizeof(__u64)];

	ip = header_at(c, c->offset, buffer, sizeof(*ip));
	if (!ip || ip->version != 6)
		return FLOW_MALFORMED;
	n.protocol = ip->nexthdr;
	n.length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (unlikely(!ip->payload_len && (gso_size || n.protocol == IPPROTO_HOPOPTS)))
		n.length = room;
	if (n.length > room)
		return FLOW_MALFORMED;
	n.upper = c->offset + n.header;
	n.end = c->offset + n.length;
	addresses = (const void *)&ip->saddr;
	n.source.high = addresses[0];
	n.source.low = addresses[1];
	n.destination.high = addresses[2];
	n.destination.low = addresses[3];
	if (unlikely(is_extension(n.protocol))) {
		n.extended = true;
		if (gso_size && !ip->payload_len && n.protocol == IPPROTO_HOPOPTS)
			skip_gso_jumbo(c, &n);
		if (parse_extensions(c, &n) != PARSED)
			return FLOW_MALFORMED;
		p->ipv6_fragment = n.more_fragments || n.fragment_offset;
	}
	return parse_upper_layer(c, &n, gso_size, p);
}

static __always_inline int parse_network(struct cursor *c, struct packet *p)
{
	int ethertype = c->ethernet ? parse_ethernet(c) : (__be16)c->skb->protocol;

	if (ethertype < 0)
		return FLOW_MALFORMED;
	if (ethertype == bpf_htons(ETH_P_IP))
		return parse_ipv4(c, p);
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(c, p);
	return FLOW_NON_IP;
}

static __always_inline void set_unattributed(struct packet *p, enum flow_reason reason)
{
	__builtin_memset(&p->key, 0, sizeof(p->key));
	p->key.family = FLOW_UNATTRIBUTED;
	p->key.protocol = reason;
}

/* Every packet gets a key, of its flow or of the reason why it has none. A function of its own: the
 * plain packets do without its registers and stack. */
static __noinline int parse_any(struct __sk_buff *skb, bool ethernet, struct packet *p)
{
	struct cursor c = {
		.skb = skb,
		.data = (const void *)(long)skb->data,
		.data_end = (const void *)(long)skb->data_end,
		.ethernet = ethernet,
	};
	int reason;

	p->ipv6_fragment = false;
	reason = parse_network(&c, p);
	if (likely(reason == PARSED))
		return 0;
	set_unattributed(p, reason);
	p->bytes = skb->len - c.link;
	p->packets = skb->gso_segs ?: 1;
	return 0;
}

static __always_inline bool has_plain_ports(__u8 protocol)
{
	return likely(protocol == IPPROTO_TCP || protocol == IPPROTO_UDP);
}

/* Words of their own, as they are read whole just after. */
static __always_inline void set_plain(struct packet *p, const __u32 *ports, __u8 protocol,
				      enum flow_family family, __u32 length)
{
	union {
		struct {
			__u32 ports;
			__u8 protocol;
			__u8 family;
			__u8 zero[2];
		};
		__u64 tail;
	} key = {.ports = *ports, .protocol = protocol, .family = family};

	p->key.tail = key.tail;
	p->bytes = length;
	p->packets = 1;
	p->ipv6_fragment = false;
}

static __always_inline bool parse_plain_ipv4(const struct iphdr *ip, __u32 room, struct packet *p)
{
	__u32 length = bpf_ntohs(ip->tot_len);

	if (*(const __u8 *)ip != IPV4_WITHOUT_OPTIONS ||
	    ip->frag_off & bpf_htons(IPV4_MORE_FRAGMENTS | IPV4_FRAGMENT_OFFSET) ||
	    length < sizeof(*ip) + sizeof(struct ports) || length != room ||
	    !has_plain_ports(ip->protocol))
		return false;
	p->key.addr[0].halves[0] = p->key.addr[1].halves[0] = 0;
	p->key.addr[0].halves[1] = ipv4_mapped(ip->saddr);
	p->key.addr[1].halves[1] = ipv4_mapped(ip->daddr);
	set_plain(p, (const __u32 *)(ip + 1), ip->protocol, FLOW_IPV4, length);
	return true;
}

static __always_inline bool parse_plain_ipv6(const struct ipv6hdr *ip, __u32 room, struct packet *p)
{
	__u32 length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	const __u64 *addresses = (const void *)&ip->saddr;

	if (ip->version != 6 || length < sizeof(*ip) + sizeof(struct ports) || length != room ||
	    !has_plain_ports(ip->nexthdr))
		return false;
	p->key.addr[0].halves[0] = addresses[0];
	p->key.addr[0].halves[1] = addresses[1];
	p->key.addr[1].halves[0] = addresses[2];
	p->key.addr[1].halves[1] = addresses[3];
	set_plain(p, (const __u32 *)(ip + 1), ip->nexthdr, FLOW_IPV6, length);
	return true;
}

/*
 * What nearly all packets are: TCP or UDP right behind an IP header without options or extensions,
 * in one piece, not tagged, not padded, not GSO, and linear up to the ports. What it does not know
 * for certain to be so, malformed packets among them, is left to parse_any(), which comes to the
 * same key.
 */
static __always_inline bool parse_plain(struct __sk_buff *skb, struct packet *p)
{
	const void *data = (const void *)(long)skb->data;
	const void *data_end = (const void *)(long)skb->data_end;
	const void *ip = data + sizeof(struct ethhdr);
	__u32 room = skb->len - sizeof(struct ethhdr);
	__be16 ethertype;

	if (ip + sizeof(struct iphdr) + sizeof(struct ports) > data_end || skb->gso_size)
		return false;
	/* not by way of struct ethhdr: it is packed, and would be read byte by byte */
	ethertype = *(const __be16 *)(data + offsetof(struct ethhdr, h_proto));
	if (ethertype == bpf_htons(ETH_P_IP))
		return parse_plain_ipv4(ip, room, p);
	return ethertype == bpf_htons(ETH_P_IPV6) &&
	       ip + sizeof(struct ipv6hdr) + sizeof(struct ports) <= data_end &&
	       parse_plain_ipv6(ip, room, p);
}

#endif
