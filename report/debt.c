// SPDX-License-Identifier: GPL-2.0-only
#include "report/debt.h"
#include "lib/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The bytes: this, the judged hooks, the cells. */
struct debt_head {
	uint64_t judged, cells;
};

struct debt_hook {
	uint32_t id, hook;
};

struct debt_cell {
	struct flow_key key;
	uint32_t id;
	uint16_t kind, sender;
	uint64_t bytes, packets;
};

void debt_clean(struct debt *debt)
{
	flow_table_clean(&debt->flows);
	free(debt->judged);
	debt->judged = NULL;
	debt->judged_count = 0;
}

int debt_copy(struct debt *to, const struct debt *from)
{
	struct debt copy = {.judged_count = from->judged_count};
	int err = flow_table_copy(&copy.flows, &from->flows);

	if (!err && from->judged_count) {
		copy.judged = calloc(from->judged_count, sizeof(*copy.judged));
		if (copy.judged)
			memcpy(copy.judged, from->judged,
			       from->judged_count * sizeof(*copy.judged));
		else
			err = -ENOMEM;
	}
	if (err)
		debt_clean(&copy);
	*to = copy;
	return err;
}

void debt_reset(struct debt *debt)
{
	flow_table_reset(&debt->flows);
	debt->judged_count = 0;
}

static void debt_encode_cell(const struct flow_key *key, const struct flow_cell *cell,
			     struct buffer *bytes)
{
	struct debt_cell coded;

	memset(&coded, 0, sizeof(coded));
	coded.key = *key;
	coded.id = cell->id;
	coded.kind = cell->kind;
	coded.sender = cell->sender;
	coded.bytes = cell->bytes;
	coded.packets = cell->packets;
	buffer_append(bytes, (const char *)&coded, sizeof(coded));
}

void debt_encode(const struct debt *debt, struct buffer *bytes)
{
	const struct flow_table *flows = &debt->flows;
	const struct debt_head head = {.judged = debt->judged_count, .cells = flows->cell_count};

	buffer_append(bytes, (const char *)&head, sizeof(head));
	for (size_t i = 0; i < debt->judged_count; i++) {
		const struct debt_hook hook = {.id = debt->judged[i].id,
					       .hook = debt->judged[i].hook};

		buffer_append(bytes, (const char *)&hook, sizeof(hook));
	}
	for (size_t i = 0; i < flows->entry_count; i++)
		flow_table_each_cell (cell, flows, &flows->entries[i])
			debt_encode_cell(&flows->entries[i].key, cell, bytes);
}

static int debt_decode_hooks(struct debt *debt, const char *bytes, size_t count)
{
	debt->judged = calloc(count + 1, sizeof(*debt->judged));
	if (!debt->judged)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct debt_hook hook;

		memcpy(&hook, bytes + i * sizeof(hook), sizeof(hook));
		if (hook.hook >= HOOKS)
			return -EBADMSG;
		debt->judged[i] = (struct hook_id){.id = hook.id, .hook = hook.hook};
	}
	debt->judged_count = count;
	return 0;
}

static int debt_decode_cells(struct flow_table *flows, const char *bytes, size_t count)
{
	int err = flow_table_reserve(flows, count, count);

	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		struct flow_entry *entry;
		struct debt_cell cell;

		memcpy(&cell, bytes + i * sizeof(cell), sizeof(cell));
		if (cell.kind >= FLOW_CELL_KINDS || cell.sender > 1)
			return -EBADMSG;
		entry = flow_table_insert(flows, &cell.key, flow_table_hash(flows, &cell.key));
		flow_table_append(flows, entry, cell.id, cell.sender, cell.kind,
				  (struct flow_count){.bytes = cell.bytes,
						      .packets = cell.packets});
	}
	return 0;
}

int debt_decode(struct debt *debt, const void *bytes, size_t size)
{
	const size_t unit_hook = sizeof(struct debt_hook), unit_cell = sizeof(struct debt_cell);
	struct debt_head head;
	const char *at = bytes;
	int err;

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	size -= sizeof(head);
	if (head.judged > size / unit_hook || head.cells > size / unit_cell ||
	    head.judged * unit_hook + head.cells * unit_cell != size)
		return -EBADMSG;
	err = debt_decode_hooks(debt, at, head.judged);
	if (!err)
		err = debt_decode_cells(&debt->flows, at + head.judged * unit_hook, head.cells);
	if (err)
		debt_reset(debt);
	return err;
}
