// SPDX-License-Identifier: GPL-2.0-only
#include "report/flow_bytes.h"
#include "lib/buffer.h"
#include "report/flow_table.h"

#include <errno.h>
#include <string.h>

/* The bytes: how many cells, and the cells. */
struct cell_bytes {
	struct flow_key key;
	uint32_t id;
	uint16_t kind, sender;
	uint64_t bytes, packets;
};

static void encode_cell(const struct flow_key *key, const struct flow_cell *cell,
			struct buffer *bytes)
{
	struct cell_bytes coded;

	memset(&coded, 0, sizeof(coded));
	coded.key = *key;
	coded.id = cell->id;
	coded.kind = cell->kind;
	coded.sender = cell->sender;
	coded.bytes = cell->bytes;
	coded.packets = cell->packets;
	buffer_append(bytes, &coded, sizeof(coded));
}

/* Not all cells are of an entry: what was moved to another one may be in a cell of its. */
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
	const uint64_t count = count_cells(table);

	buffer_append(bytes, &count, sizeof(count));
	for (size_t i = 0; i < table->entry_count; i++)
		flow_table_each_cell (cell, table, &table->entries[i])
			encode_cell(&table->entries[i].key, cell, bytes);
}

int flow_table_decode(struct flow_table *table, const void *bytes, size_t size)
{
	const char *at = bytes;
	uint64_t count;
	int err;

	if (size < sizeof(count))
		return -EBADMSG;
	memcpy(&count, at, sizeof(count));
	at += sizeof(count);
	size -= sizeof(count);
	if (size % sizeof(struct cell_bytes) || count != size / sizeof(struct cell_bytes))
		return -EBADMSG;
	err = flow_table_reserve(table, count, count);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		struct flow_entry *entry;
		struct cell_bytes cell;

		memcpy(&cell, at + i * sizeof(cell), sizeof(cell));
		if (cell.kind >= FLOW_CELL_KINDS || cell.sender > 1)
			return -EBADMSG;
		entry = flow_table_insert(table, &cell.key, flow_table_hash(table, &cell.key));
		flow_table_append(table, entry, cell.id, cell.sender, cell.kind,
				  (struct flow_count){.bytes = cell.bytes,
						      .packets = cell.packets});
	}
	return 0;
}
