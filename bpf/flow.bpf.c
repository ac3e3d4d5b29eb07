// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts what passes the tc hooks of an interface, per conversation, into the map of that
 * interface. A packet is only looked at, never held up or changed.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "bpf/flow_types.h"
#include "bpf/parse.bpf.h"

#define FLOW_MAP_ENTRIES 65536

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FLOW_SLOT_TABLE_SIZE);
	__type(key, __u32);
	__type(value, struct flow_slot);
} slots SEC(".maps");

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

/* User space stores a whole word at any time: one load, so that index and flags belong together. */
static __always_inline bool read_slot(__u32 place, __u32 ifindex, struct flow_slot *ret)
{
	const volatile __u64 *word = bpf_map_lookup_elem(&slots, &place);
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

static __always_inline bool find_slot(__u32 ifindex, struct flow_slot *ret)
{
	return likely(read_slot(flow_slot_place(ifindex, 0), ifindex, ret)) ||
	       read_slot(flow_slot_place(ifindex, 1), ifindex, ret);
}

static __always_inline enum flow_class egress_class(struct __sk_buff *skb,
						    const struct flow_slot *own)
{
	struct flow_slot received;

	if (!skb->ingress_ifindex)
		return own->flags & FLOW_SLOT_BORN_REPEAT ? FLOW_EGRESS_REPEAT : FLOW_EGRESS;
	if (find_slot(skb->ingress_ifindex, &received) && received.flags & FLOW_SLOT_COVERED)
		return FLOW_EGRESS_REPEAT;
	return FLOW_EGRESS;
}

/* Flows run on several CPUs at once: atomic adds. */
static __always_inline void add(struct flow_value *value, enum flow_class class,
				const struct packet *p)
{
	__u32 index = p->sender * FLOW_CLASSES + class;
	struct flow_count *count;

	/* never true, but old verifiers lose the range of a spilled register */
	barrier_var(index);
	if (index >= 2 * FLOW_CLASSES)
		return;
	count = &value->count[0][0] + index;
	__sync_fetch_and_add(&count->bytes, p->bytes);
	__sync_fetch_and_add(&count->packets, p->packets);
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

static __always_inline void count(__u32 slot, enum flow_class class, struct packet *p)
{
	struct flow_value *value;
	void *map;

	map = bpf_map_lookup_elem(&flow_maps, &slot);
	if (!map) /* user space takes the map away when the counting ends */
		return;
	value = bpf_map_lookup_elem(map, &p->key);
	if (unlikely(!value))
		value = insert(map, slot, &p->key);
	if (unlikely(!value)) {
		set_unattributed(p, FLOW_MAP_FULL);
		value = bpf_map_lookup_elem(map, &p->key);
	}
	if (value)
		add(value, class, p);
}

static __always_inline int account(struct __sk_buff *skb, bool egress)
{
	enum flow_class class = FLOW_INGRESS;
	struct flow_slot own;
	struct packet p;

	if (!find_slot(skb->ifindex, &own) || !(own.flags & FLOW_SLOT_COUNTED))
		return TC_ACT_UNSPEC;
	parse_packet(skb, own.flags & FLOW_SLOT_ETHERNET, &p);
	if (egress)
		class = egress_class(skb, &own);
	count(own.slot, class, &p);
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
