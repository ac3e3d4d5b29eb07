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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct checkpoint checkpoint = {.last_id = 7};
	int r = checkpoint_decode(&checkpoint, data, size);

	fuzz_require(r == 0 || r == -EBADMSG || r == -EPROTO);
	if (r < 0) {
		fuzz_require(checkpoint.last_id == 7);
		return 0;
	}
	fuzz_require(layout_is_sound(&checkpoint.generation.layout));
	for (size_t i = 0; i < checkpoint.earlier_count; i++)
		fuzz_require(layout_is_sound(&checkpoint.earlier[i].layout));
	require_phases(checkpoint.phases, checkpoint.phase_count);
	require_phases(checkpoint.report.phases, checkpoint.report.phase_count);
	require_comes_back(&checkpoint);
	checkpoint_clean(&checkpoint);
	return 0;
}
