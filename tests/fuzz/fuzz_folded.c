// SPDX-License-Identifier: GPL-2.0-only
/* What a dead agent, perhaps of another version, has left pinned of its interval: what was folded
 * of it, and what hooks owe to it. */
#include "lib/buffer.h"
#include "report/debt.h"
#include "report/merge.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>

static void require_same(struct buffer *bytes, struct buffer *again)
{
	fuzz_require(!buffer_error(bytes) && !buffer_error(again));
	fuzz_require(again->size == bytes->size && !memcmp(again->data, bytes->data, bytes->size));
	buffer_free(bytes);
	buffer_free(again);
}

static struct merge *merge_of(const void *data, size_t size, int *r)
{
	struct merge *merge;

	fuzz_require(!merge_new(&merge));
	*r = merge_decode(merge, data, size);
	return merge;
}

/* Reads what was written, and writes it again. */
static void copy_interval(const struct buffer *from, struct buffer *to, size_t flows)
{
	int r;
	struct merge *merge = merge_of(from->data, from->size, &r);

	fuzz_require(!r && merge_flow_count(merge) == flows);
	merge_encode(merge, to);
	merge_free(merge);
}

/* What was read is written as it was read, but that the cells of a flow change their order each
 * time; of what cannot be read nothing is taken. */
static void require_interval(const uint8_t *data, size_t size)
{
	struct buffer bytes = {0}, turned = {0}, again = {0};
	int r;
	struct merge *merge = merge_of(data, size, &r);
	size_t flows = merge_flow_count(merge);

	fuzz_require(r == 0 || r == -EBADMSG);
	fuzz_require(!r || !flows);
	merge_encode(merge, &bytes);
	copy_interval(&bytes, &turned, flows);
	copy_interval(&turned, &again, flows);
	require_same(&bytes, &again);
	buffer_free(&turned);
	merge_free(merge);
}

static void copy_debt(const struct buffer *from, struct buffer *to)
{
	struct debt debt = {0};

	flow_table_init(&debt.flows);
	fuzz_require(!debt_decode(&debt, from->data, from->size));
	debt_encode(&debt, to);
	debt_clean(&debt);
}

static void require_debt(const uint8_t *data, size_t size)
{
	struct buffer bytes = {0}, turned = {0}, again = {0};
	struct debt debt = {0};
	int r;

	flow_table_init(&debt.flows);
	r = debt_decode(&debt, data, size);
	fuzz_require(r == 0 || r == -EBADMSG);
	fuzz_require(!r || (!debt.judged_count && !debt.flows.entry_count));
	for (size_t i = 0; i < debt.judged_count; i++)
		fuzz_require(debt.judged[i].hook < HOOKS);
	debt_encode(&debt, &bytes);
	copy_debt(&bytes, &turned);
	copy_debt(&turned, &again);
	require_same(&bytes, &again);
	buffer_free(&turned);
	debt_clean(&debt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	require_interval(data, size);
	require_debt(data, size);
	return 0;
}
