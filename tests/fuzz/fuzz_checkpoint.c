// SPDX-License-Identifier: GPL-2.0-only
/* What a dead agent, perhaps of another version, has left pinned. */
#include "lib/buffer.h"
#include "supervisor/checkpoint.h"
#include "supervisor/layout.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>

static void require_phases(const struct checkpoint_phase *phases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		fuzz_require(memchr(phases[i].name, '\0', sizeof(phases[i].name)));
		fuzz_require(memchr(phases[i].kind, '\0', sizeof(phases[i].kind)));
		fuzz_require(
			memchr(phases[i].attachment.mode, '\0', sizeof(phases[i].attachment.mode)));
		for (enum hook hook = 0; hook < HOOKS; hook++) {
			const struct topology_hook *seen = &phases[i].role.hook[hook];

			fuzz_require(seen->sight <= SIGHT_JUDGED);
			for (size_t r = 0; r < seen->reference_count; r++)
				fuzz_require(seen->references[r].hook < HOOKS);
		}
	}
}

/* What was read is written as it was read. */
static void require_comes_back(const struct checkpoint *checkpoint)
{
	struct buffer bytes = {0}, again = {0};
	struct checkpoint decoded;

	checkpoint_encode(checkpoint, &bytes);
	fuzz_require(!buffer_error(&bytes));
	fuzz_require(!checkpoint_decode(&decoded, bytes.data, bytes.size));
	checkpoint_encode(&decoded, &again);
	fuzz_require(again.size == bytes.size && !memcmp(again.data, bytes.data, bytes.size));
	checkpoint_clean(&decoded);
	buffer_free(&bytes);
	buffer_free(&again);
}

/* Of that many bytes and no more, which AddressSanitizer sees to. */
static void *make_record(const struct layout_field *record, int byte)
{
	void *bytes = malloc(record->size);

	fuzz_require(bytes || !record->size);
	return record->size ? memset(bytes, byte, record->size) : bytes;
}

static void require_key(const struct flow_key *key)
{
	if (key->family == FLOW_UNATTRIBUTED)
		fuzz_require(key->protocol < FLOW_OWN_ENTRIES);
	else
		fuzz_require(key->family == FLOW_IPV4 || key->family == FLOW_IPV6);
}

/* A sound layout leads to no byte outside of a record, nor to one of ours that makes no sense. */
static void require_readable(const struct layout *layout, int byte)
{
	void *key_bytes = make_record(&layout->key, byte);
	void *value_bytes = make_record(&layout->value, byte);
	void *train_bytes = make_record(&layout->train, byte);
	void *slot_bytes = make_record(&layout->slot, byte);
	void *turner_bytes = make_record(&layout->turner, byte);
	void *control_bytes = make_record(&layout->control, byte);
	struct layout_field covered = layout->control_fragments_covered;
	struct flow_turner turner;
	struct flow_value value;
	struct flow_train train;
	struct flow_slot slot;
	struct flow_key key;

	if (layout_get_flow(layout, key_bytes, value_bytes, &key, &value))
		require_key(&key);
	if (layout_get_train(layout, train_bytes, &train)) {
		require_key(&train.key);
		fuzz_require(train.class < FLOW_CLASSES);
	}
	(void)layout_get_slot(layout, slot_bytes, &slot);
	layout_get_turner(layout, turner_bytes, &turner);
	(void)layout_get(&layout->control_epoch, control_bytes);
	(void)layout_get(&layout->control_trains, control_bytes);
	(void)layout_get(&layout->control_bank, control_bytes);
	for (uint32_t bank = 0; bank < layout->banks.at; bank++, covered.at += covered.size)
		(void)layout_get(&covered, control_bytes);
	free(control_bytes);
	free(turner_bytes);
	free(slot_bytes);
	free(train_bytes);
	free(value_bytes);
	free(key_bytes);
}

static void require_sound(const struct layout *layout)
{
	fuzz_require(layout_is_sound(layout));
	require_readable(layout, 0);
	require_readable(layout, 0xff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct checkpoint checkpoint = {.last_id = 7};
	int r = checkpoint_decode(&checkpoint, data, size);

	fuzz_require(r == 0 || r == -EBADMSG || r == -EPROTO || r == -ENODATA);
	if (r < 0) {
		fuzz_require(checkpoint.last_id == 7);
		return 0;
	}
	require_sound(&checkpoint.generation.layout);
	for (size_t i = 0; i < checkpoint.earlier_count; i++)
		require_sound(&checkpoint.earlier[i].layout);
	require_phases(checkpoint.phases, checkpoint.phase_count);
	require_phases(checkpoint.report.phases, checkpoint.report.phase_count);
	require_comes_back(&checkpoint);
	checkpoint_clean(&checkpoint);
	return 0;
}
