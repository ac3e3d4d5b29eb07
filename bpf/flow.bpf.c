// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts what passes the tc hooks of an interface, per conversation, into the map of that
 * interface. A packet is only looked at, never held up or changed.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "bpf/flow_types.h"
#include "bpf/parse.bpf.h"

#define FLOW_MAP_ENTRIES 65536

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FLOW_SLOT_TABLE_SIZE *FLOW_BANKS);
	__type(key, __u32);
	__type(value, struct flow_slot);
} slots SEC(".maps");

/* By the CPU's number, up to the highest that there may be; user space knows. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct flow_cpu);
} cpus SEC(".maps");

/* User space swaps a slot's map to read it; what is counted here is in exactly one of them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, FLOW_SLOTS);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_HASH);
			__uint(map_flags, BPF_F_NO_PREALLOC);
			__uint(max_entries, FLOW_MAP_ENTRIES);
			__uint(key_size, sizeof(struct flow_key));
			__uint(value_size, sizeof(struct flow_value));
		});
} flow_maps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FLOW_SLOTS);
	__type(key, __u32);
	__type(value, struct flow_fill);
} fill SEC(".maps");

/* Slots whose maps near their limit, as __u32. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} nearly_full SEC(".maps");

/*
 * Each CPU's flows of the moment. Not a per-CPU map: this one can be mapped by user space, and is
 * found without a call by old kernels as well. It knows how many CPUs there are.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FLOW_EPOCHS *FLOW_TRAINS_MAX);
	__type(key, __u32);
	__type(value, struct flow_train);
} trains SEC(".maps");

/* The keys are what counts. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FLOW_TURNERS);
	__type(key, struct flow_turner);
	__type(value, __u8);
} turners SEC(".maps");

volatile struct flow_control control SEC(".data.control") = {};

/* User space stores a whole word at any time: one load, so that index and flags belong together. */
static __always_inline bool read_slot(__u32 place, __u32 bank, __u32 ifindex, struct flow_slot *ret)
{
	__u32 index = flow_slot_index(place, bank);
	const volatile __u64 *word = bpf_map_lookup_elem(&slots, &index);
	union {
		__u64 word;
		struct flow_slot slot;
	} entry;

	if (!word)
		return false;
	entry.word = *word;
	*ret = entry.slot;
	return entry.slot.ifindex == ifindex;
}

static __always_inline bool find_slot(__u32 ifindex, __u32 bank, struct flow_slot *ret)
{
	return likely(read_slot(flow_slot_place(ifindex, 0), bank, ifindex, ret)) ||
	       read_slot(flow_slot_place(ifindex, 1), bank, ifindex, ret);
}

/* The factors are odd and have no pattern; the high bits of a product depend on all bits of the
 * number. */
static __always_inline __u64 hash_flow(const struct flow_key *key, __u32 salt)
{
	__u64 hash = (key->addr[0].halves[0] + salt) * 0x9e3779b97f4a7c15ULL;

	hash += key->addr[0].halves[1] * 0xc2b2ae3d27d4eb4fULL;
	hash += key->addr[1].halves[0] * 0x165667b19e3779f9ULL;
	hash += key->addr[1].halves[1] * 0x27d4eb2f165667c5ULL;
	return hash + key->tail * 0x85ebca77c2b2ae63ULL;
}

/*
 * An IPv6 fragment that the kernel has made of a datagram that conntrack put together does not say
 * where that was received (ip6_copy_metadata() in net/ipv6/ip6_output.c), so it looks born here.
 * But what is born here and long enough for fragments has a socket, which they keep; or it was
 * wrapped by a tunnel device that lets it be cut, of which user space knows.
 */
static __always_inline bool is_made_anew(struct __sk_buff *skb, const struct packet *p)
{
	return unlikely(p->ipv6_fragment) && !skb->sk;
}

static __always_inline void origin_key_of(const struct packet *p, struct fragment_key *key)
{
	*key = (struct fragment_key){
		.source = {p->key.addr[0].halves[0], p->key.addr[0].halves[1]},
		.destination = {p->key.addr[1].halves[0], p->key.addr[1].halves[1]},
		.of_origin = 1,
	};
}

/* Fragments that are made anew have another id than those that were received. */
static __noinline int note_origin(__u32 ifindex, const struct packet *p)
{
	struct fragment fragment = {.seen_ns = bpf_ktime_get_ns(), .ifindex = ifindex};
	struct fragment_key key;

	origin_key_of(p, &key);
	/* without room they are taken for what was received where nobody looked */
	return bpf_map_update_elem(&fragments, &key, &fragment, BPF_ANY);
}

/* Where a watched interface received fragments between these ends last; 0: none did. */
static __noinline __u32 origin_of(const struct packet *p)
{
	const struct fragment *fragment;
	struct fragment_key key;

	origin_key_of(p, &key);
	fragment = find_fragment(&key);
	return fragment ? fragment->ifindex : 0;
}

/* In metadata or still in the frame. */
static __always_inline bool is_tagged(struct __sk_buff *skb)
{
	return skb->vlan_present || is_vlan((__be16)skb->protocol);
}

/*
 * A frame that is born at a bridge, bond or team comes to the egress hook of a port from that of
 * the master, on the same CPU and with no other between. One with a VLAN tag may have come from a
 * VLAN of another network namespace over the port instead, past the master's hook.
 */
static __noinline int is_noted(struct flow_cpu *cpu, const struct packet *p, bool note)
{
	__u32 flow = hash_flow(&p->key, 0) >> 32;

	if (note)
		cpu->tagged = flow;
	return cpu->tagged == flow;
}

static __always_inline enum flow_class born_class(struct __sk_buff *skb,
						  const struct flow_slot *own, struct flow_cpu *cpu,
						  const struct packet *p)
{
	bool repeat = own->flags & FLOW_SLOT_BORN_REPEAT;

	if (unlikely(own->flags & FLOW_SLOT_TAGS) && is_tagged(skb))
		return is_noted(cpu, p, !repeat) && repeat ? FLOW_EGRESS_REPEAT : FLOW_EGRESS;
	return repeat ? FLOW_EGRESS_REPEAT : FLOW_EGRESS;
}

static __always_inline enum flow_class egress_class(struct __sk_buff *skb,
						    const struct flow_slot *own,
						    struct flow_cpu *cpu, __u32 bank,
						    const struct packet *p, __u8 *unsure)
{
	__u32 ifindex = skb->ingress_ifindex;
	struct flow_slot received;

	if (!ifindex) {
		if (likely(!is_made_anew(skb, p)) || own->flags & FLOW_SLOT_BORN_REPEAT)
			return born_class(skb, own, cpu, p);
		if (control.fragments_covered[bank % FLOW_BANKS])
			return FLOW_EGRESS_REPEAT;
		ifindex = origin_of(p);
	}
	if (!find_slot(ifindex, bank, &received))
		return FLOW_EGRESS;
	if (received.flags & FLOW_SLOT_COVERED)
		return FLOW_EGRESS_REPEAT;
	*unsure = !!(received.flags & FLOW_SLOT_PARTIAL);
	return FLOW_EGRESS;
}

static __always_inline bool is_turned_back(struct __sk_buff *skb)
{
	const __u16 *source = (const void *)(long)skb->data + offsetof(struct ethhdr, h_source);
	struct flow_turner turner = {.ifindex = skb->ifindex};
	__u16 *address = (__u16 *)turner.address;

	if ((const void *)(source + 3) > (const void *)(long)skb->data_end)
		return false;
	address[0] = source[0];
	address[1] = source[1];
	address[2] = source[2];
	return bpf_map_lookup_elem(&turners, &turner);
}

/*
 * What a host sends to a group that it listens to itself, and all that it broadcasts, it also
 * receives on the device that it sends by, as a copy without a link header (dev_loopback_xmit() in
 * net/core/dev.c) that no driver counts. What a VRF sends to itself is marked alike, but has one.
 */
static __always_inline bool is_own_copy(struct __sk_buff *skb)
{
	__u64 link, network;

	return unlikely(skb->pkt_type == PACKET_LOOPBACK) &&
	       !bpf_skb_load_bytes_relative(skb, 0, &link, sizeof(link), BPF_HDR_START_MAC) &&
	       !bpf_skb_load_bytes_relative(skb, 0, &network, sizeof(network), BPF_HDR_START_NET) &&
	       link == network;
}

/* Flows run on several CPUs at once: atomic adds. */
static __always_inline void add(struct flow_value *value, __u32 cell,
				const struct flow_train *train)
{
	struct flow_count *count;

	/* never true, but old verifiers lose the range of a spilled register */
	barrier_var(cell);
	if (cell >= 2 * FLOW_CLASSES)
		return;
	count = &value->count[0][0] + cell;
	__sync_fetch_and_add(&count->bytes, train->bytes);
	__sync_fetch_and_add(&count->packets, train->packets);
}

static __always_inline void count_insert(__u32 slot)
{
	struct flow_fill *entry = bpf_map_lookup_elem(&fill, &slot);

	if (!entry)
		return;
	__sync_fetch_and_add(&entry->inserted, 1);
	if (!entry->signal_at || entry->signalled || entry->inserted < entry->signal_at)
		return;
	/* without room in the ring the next insert tries again */
	if (!bpf_ringbuf_output(&nearly_full, &slot, sizeof(slot), 0))
		entry->signalled = 1;
}

/*
 * Makes room for a new flow, which another CPU may do as well: an empty entry, found again by
 * whoever lost, so that all of them add alike. NULL: no room or no memory.
 */
static __always_inline struct flow_value *insert(void *map, __u32 slot, const struct flow_key *key)
{
	struct flow_value empty = {};

	if (!bpf_map_update_elem(map, key, &empty, BPF_NOEXIST))
		count_insert(slot);
	return bpf_map_lookup_elem(map, key);
}

/*
 * Puts what a train carried into the map of its interface. A function of its own: called from two
 * places, and the stack of the programs has no room for both.
 */
static __noinline int settle(const struct flow_train *train)
{
	struct flow_key full = {.family = FLOW_UNATTRIBUTED, .protocol = FLOW_MAP_FULL};
	__u32 slot = train->slot, cell = train->class;
	struct flow_value *value;
	struct flow_key key;
	void *map;

	map = bpf_map_lookup_elem(&flow_maps, &slot);
	if (!map) /* user space takes the map away when the counting ends */
		return 0;
	if (flow_key_order(&train->key, &key))
		cell += FLOW_CLASSES;
	value = bpf_map_lookup_elem(map, &key);
	if (unlikely(!value))
		value = insert(map, slot, &key);
	if (unlikely(!value)) {
		value = bpf_map_lookup_elem(map, &full);
		cell %= FLOW_CLASSES; /* it has no ends */
	}
	if (value)
		add(value, cell, train);
	return 0;
}

static __always_inline bool same_flow(const struct flow_key *a, const struct flow_key *b)
{
	const __u64 *x = a->addr[0].halves, *y = b->addr[0].halves;
	__u64 differ = (x[0] ^ y[0]) | (x[1] ^ y[1]);

	x = a->addr[1].halves;
	y = b->addr[1].halves;
	return !(differ | (x[0] ^ y[0]) | (x[1] ^ y[1]) | (a->tail ^ b->tail));
}

/* Where the CPU keeps the flow. That flows collide costs time, no more. */
static __always_inline struct flow_train *find_train(const struct flow_key *key, __u32 slot,
						     enum flow_class class, __u32 places)
{
	__u32 set = bpf_get_smp_processor_id() * FLOW_EPOCHS + (control.epoch & (FLOW_EPOCHS - 1));
	__u64 hash = hash_flow(key, slot * FLOW_CLASSES + class);
	__u32 index = set * places + ((hash >> 32) * places >> 32);

	return bpf_map_lookup_elem(&trains, &index);
}

static __always_inline void start_train(struct flow_train *train, __u32 slot, enum flow_class class,
					const struct packet *p)
{
	train->key = p->key;
	train->slot = slot;
	train->class = class;
	train->packets = p->packets;
	train->bytes = p->bytes;
}

/* Whether the train that ends was worth its cache line is told by how many packets it carried. */
static __always_inline void note_end(struct flow_cpu *cpu, __u64 packets)
{
	__u64 saved = (packets - 1) * FLOW_WORTH, in_vain = cpu->in_vain;

	if (saved)
		in_vain = in_vain > saved ? in_vain - saved : 0;
	else if (++in_vain == FLOW_IN_VAIN) {
		in_vain -= FLOW_ASK_AGAIN;
		cpu->alone = FLOW_ALONE;
	}
	cpu->in_vain = in_vain;
}

static __always_inline bool goes_alone(struct flow_cpu *cpu)
{
	if (likely(!cpu->alone))
		return false;
	cpu->alone--;
	return true;
}

/* Nobody else is in this CPU's set meanwhile: tc runs with bottom halves off, and does not nest. */
static __always_inline void count(__u32 slot, enum flow_class class, struct flow_cpu *cpu,
				  const struct packet *p)
{
	__u32 places = control.trains;
	struct flow_train *train = NULL, alone;

	if (likely(places) && !goes_alone(cpu))
		train = find_train(&p->key, slot, class, places);
	if (!train) {
		start_train(&alone, slot, class, p);
		settle(&alone);
		return;
	}
	if (likely(train->slot == slot && train->class == class &&
		   same_flow(&train->key, &p->key))) {
		train->bytes += p->bytes;
		train->packets += p->packets;
		return;
	}
	if (train->packets) {
		settle(train);
		note_end(cpu, train->packets);
	}
	start_train(train, slot, class, p);
}

/*
 * As a link counts it. Into the map at once, as what trains hold has packets, and padding has none;
 * it is for few packets, or for large ones.
 */
static __noinline int note_frame(struct __sk_buff *skb, __u32 slot, __u32 flags,
				 enum flow_class class, const struct packet *p)
{
	__u32 header = flags & FLOW_SLOT_ETHERNET ? sizeof(struct ethhdr) : 0;
	struct flow_train frame = {
		.key = {.family = FLOW_UNATTRIBUTED, .protocol = FLOW_FRAMES},
		.bytes = (__u64)(skb->len - header) - p->bytes,
		.packets = 1 - p->packets,
		.slot = slot,
		.class = class,
	};

	if (flags & FLOW_SLOT_FRAMES && (frame.bytes || frame.packets))
		settle(&frame);
	return 0;
}

static __always_inline void parse_packet(struct __sk_buff *skb, const struct flow_slot *own,
					 bool egress, struct packet *p)
{
	bool ethernet = own->flags & FLOW_SLOT_ETHERNET;

	if (likely(ethernet && parse_plain(skb, p)))
		return;
	parse_any(skb, ethernet, p);
	note_frame(skb, own->slot, own->flags, egress ? FLOW_EGRESS : FLOW_INGRESS, p);
}

static __always_inline int account(struct __sk_buff *skb, bool egress)
{
	enum flow_class class = FLOW_INGRESS;
	__u32 number = bpf_get_smp_processor_id(), bank;
	struct flow_cpu *cpu = bpf_map_lookup_elem(&cpus, &number);
	struct flow_slot own;
	struct packet p;
	__u8 unsure = 0;

	if (!cpu) /* never true */
		return TC_ACT_UNSPEC;
	bank = cpu->bank;
	if (!find_slot(skb->ifindex, bank, &own) || !(own.flags & FLOW_SLOT_COUNTED))
		return TC_ACT_UNSPEC;
	if (!egress && is_own_copy(skb))
		return TC_ACT_UNSPEC;
	parse_packet(skb, &own, egress, &p);
	if (egress) {
		class = egress_class(skb, &own, cpu, bank, &p, &unsure);
	} else {
		if (unlikely(own.flags & FLOW_SLOT_TURNS))
			unsure = is_turned_back(skb);
		if (unlikely(p.ipv6_fragment))
			note_origin(skb->ifindex, &p);
	}
	if (unlikely(unsure))
		p.key.unsure = 1;
	count(own.slot, class, cpu, &p);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int flowtally_in(struct __sk_buff *skb)
{
	return account(skb, false);
}

SEC("tc")
int flowtally_out(struct __sk_buff *skb)
{
	return account(skb, true);
}

char LICENSE[] SEC("license") = "GPL";
