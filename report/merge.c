// SPDX-License-Identifier: GPL-2.0-only
#include "report/merge_private.h"

#include "lib/buffer.h"
#include "report/flow_bytes.h"
#include "report/flow_count.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ADD_SLOTS   32 /* records whose slots are loaded before they are added */
#define ADD_ENTRIES 16 /* the same of entries */

int merge_new(struct merge **ret)
{
	struct merge *merge = calloc(1, sizeof(*merge));

	if (!merge)
		return -ENOMEM;
	/* one secret, so that one hash of a flow serves all tables */
	flow_table_init(&merge->flows);
	merge->owed.flows = merge->flows;
	merge->owing.flows = merge->flows;
	*ret = merge;
	return 0;
}

void merge_free(struct merge *merge)
{
	if (!merge)
		return;
	flow_table_clean(&merge->flows);
	id_map_clean(&merge->added);
	debt_clean(&merge->owed);
	debt_clean(&merge->owing);
	summed_clean(&merge->summed);
	free(merge);
}

int merge_copy(struct merge **ret, const struct merge *from)
{
	struct merge *merge = calloc(1, sizeof(*merge));
	int err;

	if (!merge)
		return -ENOMEM;
	merge->added_last = from->added_last;
	merge->added_last_once = from->added_last_once;
	merge->unattributed = from->unattributed;
	merge->max_flows = from->max_flows;
	merge->kept = from->kept;
	err = flow_table_copy(&merge->flows, &from->flows)
		      ?: id_map_copy(&merge->added, &from->added)
		      ?: debt_copy(&merge->owed, &from->owed)
		      ?: summed_copy(&merge->summed, &from->summed);
	if (err) {
		merge_free(merge);
		return err;
	}
	merge->owing.flows.hash = merge->flows.hash;
	*ret = merge;
	return 0;
}

static size_t count_cells(const struct flow_value *value)
{
	size_t cells = 0;

	for (unsigned int sender = 0; sender < 2; sender++)
		for (unsigned int kind = 0; kind < FLOW_CLASSES; kind++)
			cells += !flow_count_is_zero(&value->count[sender][kind]);
	return cells;
}

static int reserve_records(struct merge *merge, const struct flow_value *values, size_t n)
{
	size_t flows = 0, cells = 0;

	for (size_t i = 0; i < n; i++) {
		size_t used = count_cells(&values[i]);

		flows += used > 0;
		cells += used;
	}
	return id_map_reserve(&merge->added, 1) ?: flow_table_reserve(&merge->flows, flows, cells);
}

/* The flow of a record: that of an unsure key is in cells of its own. */
static struct flow_key record_flow(const struct flow_key *key)
{
	struct flow_key flow = *key;

	flow.unsure = 0;
	return flow;
}

static unsigned int record_kind(const struct flow_key *key, unsigned int class)
{
	if (key->unsure && class == FLOW_EGRESS)
		return FLOW_EGRESS_UNSURE;
	return key->unsure && class == FLOW_INGRESS ? FLOW_INGRESS_TURNED : class;
}

static void add_record(struct merge *merge, uint32_t id, const struct flow_key *key, uint32_t hash,
		       const struct flow_value *value)
{
	const struct flow_key flow = record_flow(key);
	size_t before = merge->flows.entry_count;
	struct flow_entry *entry;
	bool all_new;

	if (!count_cells(value) || flow_key_is_frames(key))
		return;
	entry = flow_table_insert(&merge->flows, &flow, hash);
	if (merge->flows.entry_count != before && key->family == FLOW_UNATTRIBUTED)
		merge->unattributed++;
	/* then there is no cell to look for: to see that would be to wait for the memory of one */
	all_new = merge->added_last_once && entry->first_id != id;
	for (unsigned int sender = 0; sender < 2; sender++) {
		for (unsigned int class = 0; class < FLOW_CLASSES; ++class) {
			const struct flow_count *count = &value->count[sender][class];
			unsigned int kind = record_kind(key, class);

			if (flow_count_is_zero(count))
				continue;
			if (all_new)
				flow_table_append(&merge->flows, entry, id, sender, kind, *count);
			else
				flow_table_add(&merge->flows, entry, id, sender, kind, *count,
					       merge->added_last_once);
		}
	}
}

/* Loads the slots of records to come, then their entries, instead of waiting for each. */
static void add_records(struct merge *merge, uint32_t id, const struct flow_key *keys,
			const struct flow_value *values, size_t n)
{
	uint32_t hashes[ADD_SLOTS];

	for (size_t i = 0; i < n + ADD_SLOTS; i++) {
		if (i >= ADD_SLOTS)
			add_record(merge, id, &keys[i - ADD_SLOTS], hashes[i % ADD_SLOTS],
				   &values[i - ADD_SLOTS]);
		if (i < n) {
			const struct flow_key flow = record_flow(&keys[i]);

			hashes[i % ADD_SLOTS] = flow_table_hash(&merge->flows, &flow);
			flow_table_prefetch_slot(&merge->flows, hashes[i % ADD_SLOTS]);
		}
		if (i >= ADD_ENTRIES && i - ADD_ENTRIES < n)
			flow_table_prefetch_entry(&merge->flows,
						  hashes[(i - ADD_ENTRIES) % ADD_SLOTS]);
	}
}

int merge_add(struct merge *merge, uint32_t interface_id, const struct flow_key *keys,
	      const struct flow_value *values, size_t n)
{
	int err = reserve_records(merge, values, n);

	if (err)
		return err;
	if (merge->added_last != interface_id) {
		merge->added_last = interface_id;
		merge->added_last_once = id_map_get(&merge->added, interface_id) == ID_MAP_NONE;
		id_map_put(&merge->added, interface_id, 0);
	}
	add_records(merge, interface_id, keys, values, n);
	return 0;
}

void merge_encode_owing(const struct merge *merge, struct buffer *bytes)
{
	debt_encode(&merge->owing, bytes);
}

int merge_decode_owed(struct merge *merge, const void *bytes, size_t size)
{
	return debt_decode(&merge->owed, bytes, size);
}

void merge_encode(const struct merge *merge, struct buffer *bytes)
{
	const uint64_t kept = merge->kept;

	buffer_append(bytes, &kept, sizeof(kept));
	summed_encode(&merge->summed, bytes);
	flow_table_encode(&merge->flows, bytes);
}

/* What follows from the flows. */
static int note_decoded(struct merge *merge)
{
	const struct flow_table *flows = &merge->flows;

	for (size_t i = 0; i < flows->entry_count; i++) {
		merge->unattributed += flows->entries[i].key.family == FLOW_UNATTRIBUTED;
		flow_table_each_cell (cell, flows, &flows->entries[i]) {
			if (id_map_get(&merge->added, cell->id) != ID_MAP_NONE)
				continue;
			if (id_map_reserve(&merge->added, 1))
				return -ENOMEM;
			id_map_put(&merge->added, cell->id, 0);
		}
	}
	return 0;
}

static int decode_interval(struct merge *merge, const char *bytes, size_t size)
{
	uint64_t kept;
	size_t sums;
	int err;

	if (size < sizeof(kept))
		return -EBADMSG;
	memcpy(&kept, bytes, sizeof(kept));
	merge->kept = kept;
	sums = size - sizeof(kept);
	err = summed_decode(&merge->summed, bytes + sizeof(kept), &sums);
	if (!err)
		err = flow_table_decode(&merge->flows, FLOW_ALL_CLASSES,
					bytes + sizeof(kept) + sums, size - sizeof(kept) - sums);
	return err ?: note_decoded(merge);
}

static void empty_interval(struct merge *merge)
{
	flow_table_reset(&merge->flows);
	id_map_clean(&merge->added);
	merge->added_last = 0;
	merge->unattributed = 0;
	merge->kept = 0;
	summed_clean(&merge->summed);
}

int merge_decode(struct merge *merge, const void *bytes, size_t size)
{
	int err = decode_interval(merge, bytes, size);

	if (err)
		empty_interval(merge);
	return err;
}

size_t merge_keep_ids(struct merge *merge, const uint32_t *ids, size_t count,
		      struct flow_count *dropped)
{
	struct flow_table *flows = &merge->flows;
	size_t changed = 0;

	*dropped = (struct flow_count){0};
	for (size_t i = 0; i < flows->entry_count; i++)
		changed += flow_table_keep_ids(flows, &flows->entries[i], ids, count, dropped);
	return changed + summed_keep_ids(&merge->summed, ids, count, dropped);
}

size_t merge_flow_count(const struct merge *merge)
{
	return merge_held_flows(merge) + merge->summed.flows;
}

void merge_set_max_flows(struct merge *merge, size_t max_flows)
{
	merge->max_flows = max_flows;
}

/* So that what summing costs is spread over as many new flows. */
bool merge_is_over(const struct merge *merge)
{
	size_t kept = merge->kept > merge->max_flows ? merge->kept : merge->max_flows;

	return merge->max_flows && merge_held_flows(merge) > kept + merge->max_flows / 2;
}

bool merge_must_report(const struct merge *merge)
{
	return merge->max_flows && merge->kept / 2 > merge->max_flows;
}

void merge_next_interval(struct merge *merge)
{
	struct debt paid = merge->owed;

	merge->owed = merge->owing;
	merge->owing = paid;
	debt_reset(&merge->owing);
	empty_interval(merge);
}
