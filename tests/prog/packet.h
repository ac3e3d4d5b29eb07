/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames made of items, one a header. What follows (ethertype, next header) and lengths are filled
 * in from the items behind, unless an item says otherwise.
 */
#ifndef FLOWTALLY_TESTS_PACKET_H
#define FLOWTALLY_TESTS_PACKET_H

#include <arpa/inet.h>
#include <assert.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PACKET_MAX   8192
#define PACKET_ITEMS 14

enum item_kind {
	ITEM_END,
	ITEM_ETHERNET,
	ITEM_TAG,
	ITEM_IPV4,
	ITEM_IPV6,
	ITEM_EXTENSION, /* begins with next header and length, in units of 8 bytes */
	ITEM_FRAGMENT,
	ITEM_UPPER,
	ITEM_DATA,
};

struct item {
	enum item_kind kind;
	int is;		 /* its own number: ethertype of a tag, protocol of a header */
	int next;	 /* what it says follows; 0: what really does */
	int source;	 /* last byte of the address (0: 1), or the port */
	int destination; /* (0: 2) */
	int size;	 /* of extension and upper-layer headers, data; of IPv4 options */
	int length;	 /* added to the right length */
	bool no_length;	 /* length field 0 */
	int fragment;	 /* the 16 bits of flags and offset */
	uint32_t id;
	int first; /* first byte of IP; word length of TCP; option type of hop-by-hop */
};

/* Versions of clang-format differ in braces. */
/* clang-format off */
#define ETHERNET	     {.kind = ITEM_ETHERNET}
#define ETHERTYPE(t)	     {.kind = ITEM_ETHERNET, .next = (t)}
#define TAG(t)		     {.kind = ITEM_TAG, .is = (t)}
#define V4(...)		     {.kind = ITEM_IPV4, .is = 4, ##__VA_ARGS__}
#define V6(...)		     {.kind = ITEM_IPV6, .is = 41, ##__VA_ARGS__}
#define EXTENSION(p, n, ...) {.kind = ITEM_EXTENSION, .is = (p), .size = (n), ##__VA_ARGS__}
#define FRAGMENT(f, i, ...)  {.kind = ITEM_FRAGMENT, .is = 44, .fragment = (f), .id = (i), ##__VA_ARGS__}
#define UPPER(p, n, ...)     {.kind = ITEM_UPPER, .is = (p), .size = (n), ##__VA_ARGS__}
#define TCP(s, d, ...)	     UPPER(6, 20, .source = (s), .destination = (d), ##__VA_ARGS__)
#define UDP(s, d)	     UPPER(17, 8, .source = (s), .destination = (d))
#define DATA(n)		     {.kind = ITEM_DATA, .size = (n)}
/* clang-format on */

struct packet {
	uint8_t data[PACKET_MAX];
	size_t size;
};

static inline void put16(uint8_t *at, unsigned value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

/* 10.0.0.last as in an IPv4 header, or 2001:db8::last. */
static inline void put_address(uint8_t *at, bool ipv6, int last)
{
	static const uint8_t ipv4_prefix[4] = {10};
	static const uint8_t ipv6_prefix[16] = {0x20, 0x01, 0x0d, 0xb8};
	size_t size = ipv6 ? sizeof(ipv6_prefix) : sizeof(ipv4_prefix);

	memcpy(at, ipv6 ? ipv6_prefix : ipv4_prefix, size);
	at[size - 1] = last;
}

static inline size_t item_size(const struct item *item)
{
	switch (item->kind) {
	case ITEM_ETHERNET:
		return ETH_HLEN;
	case ITEM_TAG:
		return 4;
	case ITEM_IPV4:
		return 20 + item->size;
	case ITEM_IPV6:
		return 40;
	case ITEM_FRAGMENT:
		return 8;
	case ITEM_EXTENSION:
	case ITEM_UPPER:
	case ITEM_DATA:
		return item->size;
	case ITEM_END:
		break;
	}
	return 0;
}

static inline int item_ethertype(const struct item *item)
{
	return item->kind == ITEM_IPV4 ? ETH_P_IP : item->kind == ITEM_IPV6 ? ETH_P_IPV6 : item->is;
}

static inline void build_ipv4(const struct item *item, uint8_t *at, int next, size_t size)
{
	at[0] = item->first ? item->first : 0x40 + (20 + item->size) / 4;
	put16(at + 2, item->no_length ? 0 : size + item->length);
	put16(at + 4, item->id);
	put16(at + 6, item->fragment);
	at[8] = 64;
	at[9] = next;
	put_address(at + 12, false, item->source ? item->source : 1);
	put_address(at + 16, false, item->destination ? item->destination : 2);
	memset(at + 20, 1, item->size); /* NOP options */
}

static inline void build_ipv6(const struct item *item, uint8_t *at, int next, size_t size)
{
	at[0] = item->first ? item->first : 0x60;
	put16(at + 4, item->no_length ? 0 : size - 40 + item->length);
	at[6] = next;
	at[7] = 64;
	put_address(at + 8, true, item->source ? item->source : 1);
	put_address(at + 24, true, item->destination ? item->destination : 2);
}

static inline void build_extension(const struct item *item, uint8_t *at, int next)
{
	at[0] = next;
	at[1] = (item->is == 51 ? item->size / 4 - 2 : item->size / 8 - 1) + item->length;
	at[2] = item->first ? item->first : 1; /* else PadN */
	at[3] = 4;
}

static inline void build_upper(const struct item *item, uint8_t *at)
{
	uint8_t header[64] = {0};

	put16(header, item->source);
	put16(header + 2, item->destination);
	if (item->is == 6)
		header[12] = (item->first ? item->first : item->size / 4) << 4;
	memcpy(at, header, item->size < 64 ? item->size : 64);
}

static inline void packet_build(struct packet *p, const struct item *items)
{
	size_t behind = 0, at = 0;

	for (const struct item *item = items; item->kind != ITEM_END; item++)
		behind += item_size(item);
	assert(behind <= PACKET_MAX);
	memset(p, 0, sizeof(*p));
	p->size = behind;
	for (const struct item *item = items; item->kind != ITEM_END; item++) {
		uint8_t *header = p->data + at;
		int next = item->next ? item->next : item[1].is;

		switch (item->kind) {
		case ITEM_ETHERNET:
			memset(header, 2, 12);
			put16(header + 12, item->next ? item->next : item_ethertype(&item[1]));
			break;
		case ITEM_TAG:
			put16(header, 7);
			put16(header + 2, item->next ? item->next : item_ethertype(&item[1]));
			break;
		case ITEM_IPV4:
			build_ipv4(item, header, next, behind);
			break;
		case ITEM_IPV6:
			build_ipv6(item, header, next, behind);
			break;
		case ITEM_EXTENSION:
			build_extension(item, header, next);
			break;
		case ITEM_FRAGMENT:
			header[0] = next;
			put16(header + 2, item->fragment);
			put32(header + 4, item->id);
			break;
		case ITEM_UPPER:
			build_upper(item, header);
			break;
		case ITEM_DATA:
			memset(header, 0xda, item->size);
			break;
		case ITEM_END:
			break;
		}
		at += item_size(item);
		behind -= item_size(item);
	}
}

#endif
