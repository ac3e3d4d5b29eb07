/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contract between the BPF program and user space: what stands in the maps. Both sides include
 * this file and nothing else of each other. Plain integers only, no holes, sizes asserted, so that
 * both compilers lay it out alike.
 */
#ifndef FLOWTALLY_FLOW_TYPES_H
#define FLOWTALLY_FLOW_TYPES_H

#include <linux/types.h>

/*
 * Counts the changes of what is below: an agent goes on with the maps of one that died only if both
 * read them alike. Other maps it reads as their agent has described them, and replaces
 * (supervisor/layout.h). Descriptions tell of structs; what is in an enum or a flag keeps its
 * number for ever.
 */
#define FLOW_LAYOUT 6

/* What a key describes: a flow of one IP version, or packets of no flow. */
enum flow_family {
	FLOW_UNATTRIBUTED = 0, /* the protocol field holds an enum flow_reason, all else is zero */
	FLOW_IPV4 = 4,
	FLOW_IPV6 = 6,
};

/* Why packets could not be attributed to a flow. Their entries are in a map from its beginning, so
 * they always fit. */
enum flow_reason {
	FLOW_NON_IP,	/* neither IPv4 nor IPv6 behind the link header and its VLAN tags */
	FLOW_MALFORMED, /* IP, but its headers are cut off or contradict themselves */
	FLOW_MAP_FULL,	/* a new flow found no room (-E2BIG) or no memory (-ENOMEM) */
	FLOW_REASONS,
	FLOW_FRAMES = FLOW_REASONS, /* no reason: see FLOW_SLOT_FRAMES */
	FLOW_OWN_ENTRIES,	    /* in a map from its beginning */
};

/*
 * A conversation, the same key for both directions: the two ends are ordered so that (addr, port)
 * of end 0 is the smaller one as bytes in network order.
 */
struct flow_key {
	union {
		__u8 bytes[16]; /* network byte order; IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2) */
		__u32 words[4];
		__u64 halves[2];
	} addr[2];
	union {
		struct {
			__be16 port[2]; /* 0 for protocols without ports and for fragments whose
					   first one was not seen */
			__u8 protocol;	/* IANA number of the upper-layer header, or an enum
					   flow_reason */
			__u8 family;	/* enum flow_family */
			__u8 unsure;	/* 1: packets that may have been seen before, where others
					   of their class were not: rare, so an entry of their
					   own. FLOW_EGRESS: received on a device of which only a
					   part is watched (FLOW_SLOT_PARTIAL). FLOW_INGRESS: turned
					   back by a device above (FLOW_SLOT_TURNS) */
			__u8 zero;	/* padding takes part in the hash */
		};
		__u64 tail; /* all of these: a wide read would wait for narrow writes */
	};
};

/* Whether it says nothing of packets, but of frames: FLOW_SLOT_FRAMES. */
static inline int flow_key_is_frames(const struct flow_key *key)
{
	return key->family == FLOW_UNATTRIBUTED && key->protocol == FLOW_FRAMES;
}

/* Bytes in network order, as a number. */
static inline __u64 flow_network64(__u64 bytes)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap64(bytes);
#else
	return bytes;
#endif
}

static inline int flow_ends_reversed(const struct flow_key *key)
{
	const __u64 *a = key->addr[0].halves, *b = key->addr[1].halves;

	if (a[0] != b[0])
		return flow_network64(b[0]) < flow_network64(a[0]);
	if (a[1] != b[1])
		return flow_network64(b[1]) < flow_network64(a[1]);
	return flow_network64(key->port[1]) < flow_network64(key->port[0]);
}

/* A conversation's key, from one whose end 0 sent. Returns which end of the conversation that is.
 * Written in whole words, as they are read just after. */
static inline __u32 flow_key_order(const struct flow_key *sent, struct flow_key *ret)
{
	struct flow_key tail;

	if (!flow_ends_reversed(sent)) {
		*ret = *sent;
		return 0;
	}
	ret->addr[0].halves[0] = sent->addr[1].halves[0];
	ret->addr[0].halves[1] = sent->addr[1].halves[1];
	ret->addr[1].halves[0] = sent->addr[0].halves[0];
	ret->addr[1].halves[1] = sent->addr[0].halves[1];
	tail.tail = sent->tail;
	tail.port[0] = sent->port[1];
	tail.port[1] = sent->port[0];
	ret->tail = tail.tail;
	return 1;
}

/*
 * At which hook a packet was seen, and what the packet itself says of an earlier sight
 * (doc/dedup.md). The merge decides with the stack of devices which of them are first sights.
 */
enum flow_class {
	FLOW_INGRESS,	    /* at ingress */
	FLOW_EGRESS,	    /* at egress: born here, or received where nobody looked */
	FLOW_EGRESS_REPEAT, /* at egress: certainly seen before, on a covered interface or at the
			       master's egress */
	FLOW_CLASSES,
};

struct flow_count {
	__u64 bytes;   /* IP header and payload, with the headers that segmentation repeats */
	__u64 packets; /* wire packets: segments */
};

/* Counted separately: the packets that end 0 sent, and those that end 1 sent. Unattributed packets:
 * sender 0. */
struct flow_value {
	struct flow_count count[2][FLOW_CLASSES];
};

/*
 * The slot table tells the program whether an interface is counted, and in which slot of flow_maps
 * its map is. One 64-bit word an interface, so that one store begins or ends the counting on both
 * hooks, and what egress hooks think of packets received on it, in the same instant.
 *
 * It has two words, one in each bank, and each CPU reads one bank. So several interfaces' words
 * change for it in the same instant: user space writes into the other bank, and then changes the
 * CPU's (slot_table.h).
 */
struct flow_slot {
	__u32 ifindex; /* 0: free */
	__u16 slot;    /* index into flow_maps, if FLOW_SLOT_COUNTED */
	__u8 flags;
	__u8 zero;
};

/*
 * Packets come in trains of one flow, and the flows of one moment are few. Each CPU keeps some of
 * them with plain counters, in places chosen by a hash of the flow, and settles one into the
 * interface's map when another comes to its place: no lookup and no atomic add while it stays.
 *
 * What a CPU holds is not forgotten at an interval's end: there are two sets, chosen by an epoch
 * word. User space changes the word before it swaps maps; after the grace period of the swap no
 * program uses the set of the old epoch, and user space reads and empties it.
 */
struct flow_train {
	struct flow_key key; /* end 0 sent the packets */
	__u64 bytes;
	__u64 packets; /* 0: none is held */
	__u16 slot;
	__u16 class; /* enum flow_class */
	__u32 zero;
};

/*
 * The map holds one set after another: set CPU * FLOW_EPOCHS + epoch begins at that number times
 * flow_control.trains. This many trains in a set are 512 KiB a CPU, both epochs together.
 */
#define FLOW_TRAINS_MAX 4096

#define FLOW_EPOCHS 2

#define FLOW_BANKS 2 /* of the slot table */

/* What user space tells the running program; mapped by it. */
struct flow_control {
	__u32 epoch;  /* which set of trains is in use */
	__u32 trains; /* in a set; 0: none is used, every packet goes into the map at once */
	__u32 bank;   /* of the slot table: the one that all CPUs read, or are about to */
	/* for each bank: IPv6 fragments that are made anew are of what a counted ingress hook saw
	 */
	__u8 fragments_covered[FLOW_BANKS];
};

/* A CPU's own line of memory. */
struct flow_cpu {
	volatile __u32 bank; /* of the slot table, that it reads; user space writes it */
	/*
	 * Where the flows of the moment are too many, trains cost more than they save: a cache line
	 * is fetched and written back for each packet, in vain.
	 */
	__u32 in_vain; /* trains that ended with one packet, less FLOW_WORTH for each further packet
			  that a train carried; not below 0 */
	__u32 alone;   /* how many packets more go into the map at once */
	__u32 tagged;  /* a hash of the flow that was last born with a VLAN tag where
			  FLOW_SLOT_TAGS says to note it */
	__u32 unused[12];
};

#define FLOW_WORTH     5    /* wasted trains that one saved lookup makes up for */
#define FLOW_IN_VAIN   256  /* wasted trains after which a CPU uses none ... */
#define FLOW_ALONE     1024 /* ... for this many packets */
#define FLOW_ASK_AGAIN 32   /* wasted trains of the next try after which it stops again */

/*
 * How full the map in a slot is. A map that nears its limit is swapped early, so that the limit
 * bounds what is open between two swaps, never what a report can hold.
 */
struct flow_fill {
	__u64 inserted;	 /* flows put into the map since user space last wrote 0 here */
	__u32 signal_at; /* how many of them make the program say so in nearly_full; 0: never */
	__u32 signalled; /* it did; several CPUs may do so at once */
};

#define FLOW_SLOT_COUNTED 0x01 /* has a map: count what the hooks of this interface see */
#define FLOW_SLOT_COVERED \
	0x02 /* what is received on it is seen on some counted ingress hook: a repeat at egress */
#define FLOW_SLOT_BORN_REPEAT \
	0x04 /* what is born here (ingress_ifindex 0) was seen at the counted master's egress */
#define FLOW_SLOT_ETHERNET \
	0x08 /* frames begin with an Ethernet header; else: read from the network header on */
#define FLOW_SLOT_PARTIAL 0x10 /* what is received on it may have been seen: unsure at egress */
#define FLOW_SLOT_TURNS \
	0x20 /* it receives what a device above, which nobody here watches, sends to a sibling */

/*
 * Count this interface also as its link does, frame by frame. The other entries count packets: the
 * segments of a GSO frame, without padding and without VLAN tags in the data. The FLOW_FRAMES entry
 * (FLOW_INGRESS or FLOW_EGRESS) holds the difference, so that all entries of a hook add up to
 * frames, and to their bytes without the Ethernet header. The difference may be negative (one GSO
 * frame, many segments): both counters wrap modulo 2^64.
 */
#define FLOW_SLOT_FRAMES 0x40

/*
 * With FLOW_SLOT_BORN_REPEAT: what is born here with a VLAN tag was seen at the master only if it
 * was noted there a moment before. Without, this is such a master: note it.
 */
#define FLOW_SLOT_TAGS 0x80

#define FLOW_SLOT_FLAGS 0xff /* all of them */

/*
 * A device that may send to its siblings: a macvlan of this namespace that is not monitored, or a
 * device of another namespace. A frame with this source address that ifindex receives came from it,
 * not from the wire.
 */
struct flow_turner {
	__u32 ifindex; /* the device below; of ipvlans, which share one address, the sibling */
	__u8 address[6];
	__u8 zero[2];
};

#define FLOW_TURNERS 4096 /* at most */

#define FLOW_SLOT_TABLE_SIZE 65536 /* places in the slot table; a power of two */
#define FLOW_SLOTS	     16384 /* interfaces that can be counted at once */

/* An interface stands in one of two places of the slot table, as ifindex grows without end on
 * container hosts. */
static inline __u32 flow_slot_place(__u32 ifindex, int second)
{
	if (second)
		ifindex = (ifindex * 2654435761U) >> 16;
	return ifindex & (FLOW_SLOT_TABLE_SIZE - 1);
}

/* Where the place's word of a bank is. */
static inline __u32 flow_slot_index(__u32 place, __u32 bank)
{
	return place * FLOW_BANKS + bank % FLOW_BANKS;
}

_Static_assert(sizeof(struct flow_key) == 40, "flow_key has no holes");
_Static_assert(sizeof(struct flow_value) == 96, "flow_value has no holes");
_Static_assert(sizeof(struct flow_slot) == 8, "flow_slot is one word");
_Static_assert(sizeof(struct flow_train) == 64, "flow_train has no holes");
_Static_assert(sizeof(struct flow_cpu) == 64, "flow_cpu is a cache line");
_Static_assert(sizeof(struct flow_turner) == 12, "flow_turner has no holes");
_Static_assert(sizeof(struct flow_fill) == 16, "flow_fill has no holes");

#endif
