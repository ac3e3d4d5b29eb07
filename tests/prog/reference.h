/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A second opinion: what an Ethernet frame counts as, worked out from the rules (doc/design.md and
 * the RFCs) without a look at the program's parser. Slow and plain: bytes are read one by one, and
 * the extension headers are listed first and judged then.
 */
#ifndef FLOWTALLY_TESTS_REFERENCE_H
#define FLOWTALLY_TESTS_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "bpf/flow_types.h"

#define REFERENCE_FRAGMENTS 16384

struct verdict {
	bool attributed;
	enum flow_reason reason; /* if not attributed */
	struct flow_key key;
	int sender;
	uint64_t bytes;
	uint64_t packets;
};

struct first_fragment {
	uint8_t identity[38]; /* source, destination, id, protocol, version */
	uint8_t ports[4];
	uint8_t protocol;
};

struct reference {
	struct first_fragment fragments[REFERENCE_FRAGMENTS];
	int fragment_count;
};

/* The parts of an IP packet that the verdict needs. */
struct dissection {
	const uint8_t *ip;
	uint64_t length; /* as the IP header says, or what there is */
	uint64_t network_header;
	uint64_t phantom; /* bytes that are gone on the wire */
	uint8_t addresses[2][16];
	uint8_t ports[4];
	uint8_t version, protocol, fragment_protocol;
	uint8_t id[4];
	bool fragment, first;
};

static inline unsigned get16(const uint8_t *at)
{
	return at[0] * 256u + at[1];
}

static inline bool with_ports(int protocol)
{
	static const uint8_t all[] = {6, 17, 33, 132, 136};

	return memchr(all, protocol, sizeof(all)) != NULL;
}

static inline void fragment_identity(const struct dissection *d, uint8_t identity[38])
{
	memcpy(identity, d->addresses, 32);
	memcpy(identity + 32, d->id, 4);
	identity[36] = d->fragment_protocol;
	identity[37] = d->version;
}

static inline struct first_fragment *find_first(struct reference *r, const struct dissection *d)
{
	uint8_t identity[38];

	fragment_identity(d, identity);
	for (int i = 0; i < r->fragment_count; i++)
		if (memcmp(r->fragments[i].identity, identity, sizeof(identity)) == 0)
			return &r->fragments[i];
	return NULL;
}

static inline bool dissect_ipv4(struct dissection *d, uint64_t room, bool gso)
{
	const uint8_t *ip = d->ip;

	if (room < 20 || ip[0] >> 4 != 4)
		return false;
	d->network_header = (ip[0] & 15) * 4;
	d->length = get16(ip + 2);
	if (d->length == 0 && gso)
		d->length = room;
	if (d->network_header < 20 || d->length < d->network_header || d->length > room)
		return false;
	for (int i = 0; i < 2; i++) {
		memset(d->addresses[i] + 10, 0xff, 2);
		memcpy(d->addresses[i] + 12, ip + 12 + 4 * i, 4);
	}
	d->protocol = d->fragment_protocol = ip[9];
	memcpy(d->id, ip + 4, 2);
	d->fragment = (get16(ip + 6) & 0x3fff) != 0;
	d->first = (get16(ip + 6) & 0x1fff) == 0;
	return true;
}

/* Size of the extension header, or 0 if the number is not that of one. */
static inline uint64_t extension_size(int number, const uint8_t *header)
{
	switch (number) {
	case 0:
	case 43:
	case 60:
		return 8 + header[1] * 8;
	case 44:
		return 8;
	case 51:
		return 8 + header[1] * 4;
	}
	return 0;
}

static inline bool dissect_ipv6(struct dissection *d, uint64_t room, bool gso)
{
	const uint8_t *ip = d->ip;
	uint64_t at = 40;

	if (room < 40 || ip[0] >> 4 != 6)
		return false;
	d->length = 40 + get16(ip + 4);
	if (d->length == 40 && (gso || ip[6] == 0))
		d->length = room;
	if (d->length > room)
		return false;
	memcpy(d->addresses, ip + 8, 32);
	d->protocol = ip[6];
	if (gso && get16(ip + 4) == 0 && ip[6] == 0 && d->length >= 48 && ip[41] == 0 &&
	    ip[42] == 0xc2 && ip[43] == 4) {
		d->phantom = 8;
		d->protocol = ip[40];
		at = 48;
	}
	for (int count = 0;; count++) {
		/* the room behind the frame is zero, so reading a header's first bytes is safe */
		uint64_t size = extension_size(d->protocol, ip + at);

		if (size == 0)
			break;
		if (count == 8 || at + size > d->length)
			return false;
		if (d->protocol == 44) {
			unsigned offset = get16(ip + at + 2);

			d->fragment_protocol = ip[at];
			memcpy(d->id, ip + at + 4, 4);
			d->fragment = (offset & 0xfff9) != 0;
			d->first = offset < 8;
		}
		d->protocol = ip[at];
		at += size;
		if (d->fragment && !d->first)
			break;
	}
	d->network_header = at;
	return true;
}

/* Size of what each segment repeats of the upper layer; false if the packet has less. */
static inline bool repeated_upper(const struct dissection *d, uint64_t *ret)
{
	uint64_t behind = d->length - d->network_header;
	uint64_t size = d->protocol == 17 ? 8 : d->protocol == 132 ? 12 : 0;

	if (d->fragment && !d->first)
		size = 0;
	else if (d->protocol == 6) {
		if (behind < 20)
			return false;
		size = (d->ip[d->network_header + 12] >> 4) * 4;
		if (size < 20)
			return false;
	}
	*ret = size;
	return size <= behind;
}

static inline bool find_ports(struct reference *r, struct dissection *d)
{
	struct first_fragment *first;

	if (d->fragment && !d->first) {
		first = find_first(r, d);
		if (first) {
			memcpy(d->ports, first->ports, 4);
			d->protocol = first->protocol;
		}
		return true;
	}
	if (with_ports(d->protocol)) {
		if (d->network_header + 4 > d->length)
			return false;
		memcpy(d->ports, d->ip + d->network_header, 4);
	}
	if (!d->fragment)
		return true;
	first = find_first(r, d);
	if (!first && r->fragment_count < REFERENCE_FRAGMENTS)
		first = &r->fragments[r->fragment_count++];
	if (!first)
		return false;
	fragment_identity(d, first->identity);
	memcpy(first->ports, d->ports, 4);
	first->protocol = d->protocol;
	return true;
}

static inline bool count_wire(const struct dissection *d, unsigned gso_size, unsigned gso_segs,
			      struct verdict *v)
{
	uint64_t upper, repeated, payload;

	v->bytes = d->length;
	v->packets = 1;
	if (!gso_size)
		return true;
	if (!repeated_upper(d, &upper))
		return false;
	repeated = d->network_header - d->phantom + upper;
	payload = d->length - d->phantom - repeated;
	v->packets = gso_segs ? gso_segs : (payload + gso_size - 1) / gso_size;
	if (v->packets == 0)
		v->packets = 1;
	v->bytes = payload + v->packets * repeated;
	return true;
}

static inline void key_from(const struct dissection *d, struct verdict *v)
{
	uint8_t ends[2][18];

	for (int i = 0; i < 2; i++) {
		memcpy(ends[i], d->addresses[i], 16);
		memcpy(ends[i] + 16, d->ports + 2 * i, 2);
	}
	v->sender = memcmp(ends[0], ends[1], 18) > 0;
	for (int i = 0; i < 2; i++) {
		memcpy(v->key.addr[i].bytes, ends[v->sender ? 1 - i : i], 16);
		memcpy(&v->key.port[i], ends[v->sender ? 1 - i : i] + 16, 2);
	}
	v->key.protocol = d->protocol;
	v->key.family = d->version;
}

static inline struct verdict unattributed(enum flow_reason reason, uint64_t bytes,
					  unsigned gso_segs)
{
	struct verdict v = {.reason = reason, .bytes = bytes, .packets = gso_segs ? gso_segs : 1};

	v.key.protocol = reason;
	return v;
}

/* The frame's buffer must go on for 64 bytes behind its size. */
static inline struct verdict reference_judge(struct reference *r, const uint8_t *frame, size_t size,
					     unsigned gso_size, unsigned gso_segs)
{
	struct dissection d = {0};
	struct verdict v = {.attributed = true};
	unsigned ethertype = get16(frame + 12);
	size_t link = 14;
	bool ok;

	for (int tags = 0; tags < 3; tags++) {
		if (ethertype != 0x8100 && ethertype != 0x88a8 && ethertype != 0x9100)
			break;
		if (size < link + 4)
			return unattributed(FLOW_MALFORMED, size - link, gso_segs);
		ethertype = get16(frame + link + 2);
		link += 4;
	}
	if (ethertype != 0x0800 && ethertype != 0x86dd)
		return unattributed(FLOW_NON_IP, size - link, gso_segs);
	d.ip = frame + link;
	d.version = ethertype == 0x0800 ? 4 : 6;
	if (d.version == 4)
		ok = dissect_ipv4(&d, size - link, gso_size);
	else
		ok = dissect_ipv6(&d, size - link, gso_size);
	if (!ok || !find_ports(r, &d) || !count_wire(&d, gso_size, gso_segs, &v))
		return unattributed(FLOW_MALFORMED, size - link, gso_segs);
	key_from(&d, &v);
	return v;
}

#endif
