// SPDX-License-Identifier: GPL-2.0-only
/* Before the first flow: what is judged, and by what. */
#include "report/judge_private.h"

#include "lib/numbers.h"
#include "report/debt.h"
#include "report/merge.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static size_t reference_total(const struct merge_interface *interfaces, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		for (int h = 0; h < HOOKS; h++)
			total += interfaces[i].role->hook[h].reference_count;
	return total;
}

static void add_place(struct judge *judge, uint32_t id)
{
	if (id_map_get(&judge->by_id, id) != NONE)
		return;
	judge->places[judge->place_count] =
		(struct place){.id = id, .judged = {NONE, NONE, NONE, NONE}};
	id_map_put(&judge->by_id, id, (uint32_t)judge->place_count++);
}

/* Places for the report's interfaces, then for whatever else their roles refer to. */
static void add_places(struct judge *judge, const struct report_interface *listed,
		       const struct merge_interface *interfaces, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_place(judge, listed[i].id);
	assert(judge->place_count == count);
	judge->interface_count = count;
	for (size_t i = 0; i < count; i++) {
		struct place *place = find_place(judge, interfaces[i].id);

		assert(place);
		place->role = interfaces[i].role;
		for (int h = 0; h < HOOKS; h++) {
			const struct topology_hook *hook = &place->role->hook[h];

			for (size_t r = 0; r < hook->reference_count; r++)
				if (hook->references[r].id != TOPOLOGY_ANY)
					add_place(judge, hook->references[r].id);
		}
	}
}

/* What leaves through a macvlan above an ingress hook may come back in there, or go out. */
static bool has_egress_reference(const struct topology_hook *judged)
{
	for (size_t r = 0; r < judged->reference_count; r++)
		if (judged->references[r].hook == HOOK_EGRESS)
			return true;
	return false;
}

static void add_judged(struct judge *judge)
{
	for (size_t p = 0; p < judge->interface_count; p++) {
		struct place *place = &judge->places[p];

		for (int h = 0; h < HOOKS; h++) {
			const struct topology_hook *hook = &place->role->hook[h];
			struct judged *judged = &judge->judged[judge->judged_count];

			if (hook->sight != SIGHT_JUDGED)
				continue;
			*judged = (struct judged){.place = (uint32_t)p,
						  .hook = h,
						  .any = topology_hook_any(hook),
						  .was_judged = debt_was_judged(judge->owed,
										place->id, h)};
			judged->uses_others = h == HOOK_EGRESS || h == HOOK_UNSURE ||
					      (!judged->any && has_egress_reference(hook));
			judge->any_judged |= judged->any;
			place->judged[h] = (uint32_t)judge->judged_count++;
		}
	}
}

/*
 * Enters judged hook number j with one of its references. What leaves through a macvlan above an
 * ingress hook may arrive there, whatever its class.
 */
static void enter_referrer(struct judge *judge, uint32_t j,
			   const struct topology_reference *reference, bool fill)
{
	struct place *place = find_place(judge, reference->id);
	bool arrives = reference->hook == HOOK_EGRESS && judge->judged[j].hook == HOOK_INGRESS;

	for (unsigned int kind = 0; kind < FLOW_ALL_CLASSES; kind++) {
		struct referrer_list *list = &place->referrers[kind];
		bool refers = arrives ? !flow_class_is_ingress(kind)
				      : kind != FLOW_EGRESS_REPEAT &&
						class_hooks[kind] == reference->hook;

		if (!refers)
			continue;
		if (fill)
			judge->referrers[list->first + list->count] = j;
		list->count++;
	}
}

static void enter_referrers(struct judge *judge, bool fill)
{
	for (uint32_t j = 0; j < judge->judged_count; j++) {
		const struct judged *judged = &judge->judged[j];
		const struct topology_hook *hook =
			&judge->places[judged->place].role->hook[judged->hook];

		for (size_t r = 0; r < hook->reference_count && !judged->any; r++)
			enter_referrer(judge, j, &hook->references[r], fill);
	}
}

static int list_referrers(struct judge *judge)
{
	uint32_t total = 0;

	enter_referrers(judge, false);
	for (size_t p = 0; p < judge->place_count; p++) {
		for (unsigned int kind = 0; kind < FLOW_ALL_CLASSES; kind++) {
			struct referrer_list *list = &judge->places[p].referrers[kind];

			list->first = total;
			total += list->count;
			list->count = 0;
		}
	}
	judge->referrers = calloc(total + 1, sizeof(*judge->referrers));
	if (!judge->referrers)
		return -ENOMEM;
	enter_referrers(judge, true);
	return 0;
}

/* There are as many as changes of roles within the interval, and one more. */
static int number_eras(struct judge *judge, const struct merge_interface *interfaces, size_t count)
{
	uint32_t *eras = calloc(count + 1, sizeof(*eras));

	if (!eras)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		eras[i] = interfaces[i].era;
	numbers_sort(eras, count);
	for (size_t i = 0; i < count; i++)
		if (!judge->era_count || eras[judge->era_count - 1] != eras[i])
			eras[judge->era_count++] = eras[i];
	for (size_t i = 0; i < count; i++) {
		const uint32_t *era = numbers_find(eras, judge->era_count, interfaces[i].era);

		find_place(judge, interfaces[i].id)->era = (uint32_t)(era - eras);
	}
	free(eras);
	return 0;
}

static int judge_init(struct judge *judge, const struct report_interface *listed,
		      const struct merge_interface *interfaces, size_t count)
{
	size_t places = count + reference_total(interfaces, count);

	judge->places = calloc(places + 1, sizeof(*judge->places));
	judge->judged = calloc(HOOKS * count + 1, sizeof(*judge->judged));
	judge->active = calloc(HOOKS * count + 1, sizeof(*judge->active));
	judge->unattributed = calloc(count + 1, sizeof(*judge->unattributed));
	judge->eras = calloc(count + 1, sizeof(*judge->eras));
	if (!judge->places || !judge->judged || !judge->active || !judge->unattributed ||
	    !judge->eras || id_map_reserve(&judge->by_id, places))
		return -ENOMEM;
	add_places(judge, listed, interfaces, count);
	add_judged(judge);
	return number_eras(judge, interfaces, count) ?: list_referrers(judge);
}

int judge_new(struct judge **ret, const struct judge_input *input,
	      const struct report_interface *listed, const struct merge_interface *interfaces,
	      size_t count)
{
	struct judge *judge = calloc(1, sizeof(*judge));
	int err;

	if (!judge)
		return -ENOMEM;
	judge->flows = input->flows;
	judge->owed = input->owed;
	judge->owing = input->owing;
	err = judge_init(judge, listed, interfaces, count);
	if (err) {
		judge_free(judge);
		return err;
	}
	*ret = judge;
	return 0;
}

void judge_free(struct judge *judge)
{
	if (!judge)
		return;
	free(judge->places);
	id_map_clean(&judge->by_id);
	free(judge->judged);
	free(judge->referrers);
	free(judge->active);
	free(judge->unattributed);
	free(judge->eras);
	free(judge);
}
