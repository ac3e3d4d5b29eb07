/* SPDX-License-Identifier: GPL-2.0-only */
/* A flow table as bytes, for a later agent on this host. */
#ifndef FLOWTALLY_FLOW_BYTES_H
#define FLOWTALLY_FLOW_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct buffer;
struct flow_count;
struct flow_key;
struct flow_table;

/* A key in a record of bytes (lib/record.h): not as the maps have it, as that may change. It never
 * grows: what keys may get later goes to the end of the record. */
struct key_bytes {
	uint8_t address[2][16];
	uint16_t port[2];
	uint8_t protocol, family, unsure, zero;
};

/* Likewise. */
struct count_bytes {
	uint64_t bytes, packets;
};

struct key_bytes key_bytes_from(const struct flow_key *key);
struct flow_key key_bytes_to_key(const struct key_bytes *bytes);
struct count_bytes count_bytes_from(const struct flow_count *count);
struct flow_count count_bytes_to_count(const struct count_bytes *bytes);

/* Appends all cells; an error is the buffer's. */
void flow_table_encode(const struct flow_table *table, struct buffer *bytes);

/* Into an empty one. kinds: of cells there are. 0; -EBADMSG: these are not the bytes of one;
 * -ENOMEM; then it holds some of it. */
int flow_table_decode(struct flow_table *table, unsigned int kinds, const void *bytes, size_t size);

#endif
