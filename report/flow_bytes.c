// SPDX-License-Identifier: GPL-2.0-only
#include "report/flow_bytes.h"
#include "lib/buffer.h"
#include "lib/record.h"
#include "report/flow_table.h"

#include <errno.h>
#include <string.h>

/* The bytes: a head, and the cells. */
struct cell_bytes {
	struct key_bytes key;
	uint32_t id;
	uint16_t kind, sender;
	uint64_t bytes, packets;
};

struct key_bytes key_bytes_from(const struct flow_key *key)
{
	struct key_bytes bytes = {
		.protocol = key->protocol,
		.family = key->family,
		.unsure = key->unsure,
	};

	for (int end = 0; end < 2; end++) {
		memcpy(bytes.address[end], key->addr[end].bytes, sizeof(bytes.address[end]));
		bytes.port[end] = key->port[end];
	}
	return bytes;
}

struct flow_key key_bytes_to_key(const struct key_bytes *bytes)
{
	struct flow_key key = {
		.protocol = bytes->protocol,
		.family = bytes->family,
		.unsure = bytes->unsure,
	};

	for (int end = 0; end < 2; end++) {
		memcpy(key.addr[end].bytes, bytes->address[end], sizeof(bytes->address[end]));
		key.port[end] = bytes->port[end];
	}
	return key;
}

struct count_bytes count_bytes_from(const struct flow_count *count)
{
	return (struct count_bytes){.bytes = count->bytes, .packets = count->packets};
}

struct flow_count count_bytes_to_count(const struct count_bytes *bytes)
{
	return (struct flow_count){.bytes = bytes->bytes, .packets = bytes->packets};
}

static void encode_cell(const struct flow_key *key, const struct flow_cell *cell,
			struct buffer *bytes)
{
	struct cell_bytes coded;

	memset(&coded, 0, sizeof(coded));
	coded.key = key_bytes_from(key);
	coded.id = cell->id;
	coded.kind = cell->kind;
	coded.sender = cell->sender;
	coded.bytes = cell->bytes;
	coded.packets = cell->packets;
	buffer_append(bytes, &coded, sizeof(coded));
}

/* Counted by entry: a cell that flow_table_move() added to another is still in the array, but no
 * entry's. */
static uint64_t count_cells(const struct flow_table *table)
{
	uint64_t count = 0;

	for (size_t i = 0; i < table->entry_count; i++)
		flow_table_each_cell (cell, table, &table->entries[i])
			count++;
	return count;
}

void flow_table_encode(const struct flow_table *table, struct buffer *bytes)
{
	const struct record_head head = {
		.count = count_cells(table),
		.size = sizeof(struct cell_bytes),
	};

	buffer_append(bytes, &head, sizeof(head));
	for (size_t i = 0; i < table->entry_count; i++)
		flow_table_each_cell (cell, table, &table->entries[i])
			encode_cell(&table->entries[i].key, cell, bytes);
}

int flow_table_decode(struct flow_table *table, unsigned int kinds, const void *bytes, size_t size)
{
	const char *at = bytes;
	struct record_head head;
	int err;

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	size -= sizeof(head);
	if (!record_fits(&head, size) || head.count * head.size != size)
		return -EBADMSG;
	err = flow_table_reserve(table, head.count, head.count);
	if (err)
		return err;
	for (size_t i = 0; i < head.count; i++) {
		struct flow_entry *entry;
		struct cell_bytes cell;
		struct flow_key key;

		record_take(&cell, sizeof(cell), at + i * head.size, head.size);
		if (cell.kind >= kinds || cell.sender > 1)
			return -EBADMSG;
		key = key_bytes_to_key(&cell.key);
		entry = flow_table_insert(table, &key, flow_table_hash(table, &key));
		/* nobody else says that no two of them are alike */
		flow_table_add(table, entry, cell.id, cell.sender, cell.kind,
			       (struct flow_count){.bytes = cell.bytes, .packets = cell.packets},
			       false);
	}
	return 0;
}
