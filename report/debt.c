// SPDX-License-Identifier: GPL-2.0-only
#include "report/debt.h"
#include "lib/buffer.h"
#include "lib/record.h"
#include "report/flow_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The bytes: a head, the judged hooks, the flows. */
struct debt_hook {
	uint32_t id, hook;
};

static void debt_free_hooks(struct debt *debt)
{
	free(debt->judged);
	debt->judged = NULL;
	debt->judged_count = 0;
}

void debt_clean(struct debt *debt)
{
	flow_table_clean(&debt->flows);
	debt_free_hooks(debt);
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

static int compare_hook_ids(const void *a, const void *b)
{
	const struct hook_id *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (int)x->hook - (int)y->hook;
}

void debt_set_judged(struct debt *debt, struct hook_id *judged, size_t count)
{
	qsort(judged, count, sizeof(*judged), compare_hook_ids);
	debt_free_hooks(debt);
	debt->judged = judged;
	debt->judged_count = count;
}

bool debt_was_judged(const struct debt *debt, uint32_t id, enum hook hook)
{
	struct hook_id key = {.id = id, .hook = hook};

	return debt->judged_count &&
	       bsearch(&key, debt->judged, debt->judged_count, sizeof(key), compare_hook_ids);
}

void debt_encode(const struct debt *debt, struct buffer *bytes)
{
	const struct record_head head = {
		.count = debt->judged_count,
		.size = sizeof(struct debt_hook),
	};

	buffer_append(bytes, (const char *)&head, sizeof(head));
	for (size_t i = 0; i < debt->judged_count; i++) {
		const struct debt_hook hook = {.id = debt->judged[i].id,
					       .hook = debt->judged[i].hook};

		buffer_append(bytes, (const char *)&hook, sizeof(hook));
	}
	flow_table_encode(&debt->flows, bytes);
}

static int debt_decode_hooks(struct debt *debt, const char *bytes, const struct record_head *head)
{
	debt->judged = calloc(head->count + 1, sizeof(*debt->judged));
	if (!debt->judged)
		return -ENOMEM;
	for (size_t i = 0; i < head->count; i++) {
		struct debt_hook hook;

		record_take(&hook, sizeof(hook), bytes + i * head->size, head->size);
		if (hook.hook >= HOOKS)
			return -EBADMSG;
		debt->judged[i] = (struct hook_id){.id = hook.id, .hook = hook.hook};
	}
	debt->judged_count = head->count;
	return 0;
}

int debt_decode(struct debt *debt, const void *bytes, size_t size)
{
	struct record_head head;
	const char *at = bytes;
	size_t hooks;
	int err;

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	size -= sizeof(head);
	if (!record_fits(&head, size))
		return -EBADMSG;
	hooks = head.count * head.size;
	err = debt_decode_hooks(debt, at, &head);
	if (!err)
		err = flow_table_decode(&debt->flows, OWED_KINDS, at + hooks, size - hooks);
	if (err) {
		flow_table_reset(&debt->flows);
		debt_free_hooks(debt);
	}
	return err;
}
