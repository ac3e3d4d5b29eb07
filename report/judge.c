// SPDX-License-Identifier: GPL-2.0-only
#include "report/judge_private.h"

#include "lib/numbers.h"
#include "report/debt.h"
#include "report/flow_count.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const enum owed_kind turning_kinds[ORIGINS] = {OWED_TURNING, OWED_TURNING_BORN};

uint32_t judge_interface(const struct judge *judge, uint32_t id)
{
	return id_map_get(&judge->by_id, id);
}

const struct flow_count *judge_unattributed(const struct judge *judge, uint32_t interface)
{
	return judge->unattributed[interface];
}

const struct flow_count *judge_first_sights(const struct judge *judge, uint32_t interface)
{
	return judge->places[interface].first;
}

uint32_t judge_counted_at(const struct judge *judge)
{
	return judge->counted_at;
}

/* Of places that counted alike the first one. */
static void note_counted_at(struct judge *judge, uint32_t p, uint64_t bytes)
{
	struct place *place = &judge->places[p];
	uint64_t most = judge->counted_at == NONE ? 0 : judge->places[judge->counted_at].counted;

	if (place->counted_flow != judge->flow) {
		place->counted_flow = judge->flow;
		place->counted = 0;
	}
	place->counted += bytes;
	if (place->counted > most || (place->counted == most && p < judge->counted_at))
		judge->counted_at = p;
}

/* Of the flow at hand, by sender. There may be more eras than a flow is seen in. */
static struct flow_count *counted_in(struct judge *judge, uint32_t era)
{
	struct era *counted = &judge->eras[era];

	if (counted->flow != judge->flow)
		*counted = (struct era){.flow = judge->flow};
	return counted->counted;
}

static void count_first_sight(struct judge *judge, uint32_t place, enum hook hook,
			      unsigned int sender, const struct flow_count *count)
{
	flow_count_add(&judge->counted[sender], count);
	if (judge->any_judged)
		flow_count_add(&counted_in(judge, judge->places[place].era)[sender], count);
	note_counted_at(judge, place, count->bytes);
	flow_count_add(judge->reason == NO_REASON
			       ? &judge->places[place].first[hook_is_egress(hook)]
			       : &judge->unattributed[place][judge->reason],
		       count);
}

static void activate(struct judge *judge, uint32_t j)
{
	struct judged *judged = &judge->judged[j];

	if (judged->active)
		return;
	*judged = (struct judged){.place = judged->place,
				  .hook = judged->hook,
				  .any = judged->any,
				  .uses_others = judged->uses_others,
				  .was_judged = judged->was_judged,
				  .active = true};
	judge->active[judge->active_count++] = j;
}

/* What leaves through a macvlan goes out below it, or comes in there for a sibling. */
static bool may_turn_back(unsigned int kind)
{
	return kind == FLOW_EGRESS || kind == FLOW_EGRESS_REPEAT || kind == FLOW_EGRESS_UNSURE;
}

static enum origin origin_of(unsigned int kind)
{
	return kind == FLOW_EGRESS ? ORIGIN_BORN : ORIGIN_RECEIVED;
}

/* Whether what the interface showed in that class tells something of what the judged hook saw. */
static bool is_beside(enum hook hook, unsigned int kind)
{
	if (hook == HOOK_INGRESS)
		return may_turn_back(kind);
	return kind == FLOW_EGRESS_REPEAT || (kind == FLOW_EGRESS && hook == HOOK_UNSURE);
}

/* What the interface showed at egress, in another class than the judged hook's. */
static void sum_others(struct judge *judge, const struct place *place, const struct flow_cell *cell)
{
	struct flow_count count = flow_cell_count(cell);

	for (int h = 0; h < HOOKS; h++) {
		uint32_t j = place->judged[h];

		if (j == NONE || !judge->judged[j].uses_others || !is_beside(h, cell->kind))
			continue;
		activate(judge, j);
		flow_count_add(&judge->judged[j].others[cell->sender][origin_of(cell->kind)],
			       &count);
	}
}

/* Counts what is a first sight for certain, and collects what has to be judged. */
static void sum_sights(struct judge *judge)
{
	flow_table_each_cell (cell, judge->flows, judge->entry) {
		const struct place *place = find_place(judge, cell->id);
		struct flow_count count = flow_cell_count(cell);
		enum hook hook = class_hooks[cell->kind];

		assert(place && place->role);
		sum_others(judge, place, cell);
		if (cell->kind == FLOW_EGRESS_REPEAT)
			continue;
		switch (place->role->hook[hook].sight) {
		case SIGHT_FIRST:
			count_first_sight(judge, (uint32_t)(place - judge->places), hook,
					  cell->sender, &count);
			break;
		case SIGHT_REPEAT:
			break;
		case SIGHT_JUDGED:
			activate(judge, place->judged[hook]);
			flow_count_add(&judge->judged[place->judged[hook]].own[cell->sender],
				       &count);
			break;
		}
	}
}

static void add_seen(const struct judged *judged, struct seen *seen, const struct flow_cell *cell)
{
	struct flow_count count = flow_cell_count(cell);
	bool above = judged->hook == HOOK_INGRESS && may_turn_back(cell->kind);

	flow_count_add(above ? &seen->above[origin_of(cell->kind)] : &seen->first, &count);
}

static void sum_references(struct judge *judge)
{
	flow_table_each_cell (cell, judge->flows, judge->entry) {
		const struct referrer_list *list =
			&find_place(judge, cell->id)->referrers[cell->kind];

		for (uint32_t i = 0; i < list->count; i++) {
			struct judged *judged = &judge->judged[judge->referrers[list->first + i]];

			if (judged->active)
				add_seen(judged, &judged->seen[cell->sender], cell);
		}
	}
}

static void take_owed(struct judge *judge, const struct place *place, const struct flow_cell *cell)
{
	static const enum hook hooks[] = {
		[OWED_INGRESS] = HOOK_INGRESS, [OWED_EGRESS] = HOOK_EGRESS,
		[OWED_UNSURE] = HOOK_UNSURE,   [OWED_TURNED] = HOOK_TURNED,
		[OWED_TURNING] = HOOK_INGRESS, [OWED_TURNING_BORN] = HOOK_INGRESS};
	uint32_t j = place->judged[hooks[cell->kind]];
	struct judged *judged = j == NONE ? NULL : &judge->judged[j];

	if (!judged || !judged->active)
		return;
	for (int o = 0; o < ORIGINS; o++)
		if (cell->kind == turning_kinds[o]) {
			judged->turning[cell->sender][o] = flow_cell_count(cell);
			return;
		}
	judged->owed[cell->sender] = flow_cell_count(cell);
	judged->owed_known[cell->sender] = true;
}

static void take_owed_reference(struct judge *judge, const struct place *place,
				const struct flow_cell *cell)
{
	const struct referrer_list *list = &place->referrers[cell->kind];

	for (uint32_t i = 0; i < list->count; i++) {
		struct judged *judged = &judge->judged[judge->referrers[list->first + i]];

		if (judged->active)
			add_seen(judged, &judged->seen_before[cell->sender], cell);
	}
}

static void sum_owed(struct judge *judge)
{
	const struct debt *owed = judge->owed;
	const struct flow_entry *entry =
		flow_table_find(&owed->flows, &judge->entry->key, judge->hash);

	memset(judge->counted_before, 0, sizeof(judge->counted_before));
	if (!entry)
		return;
	flow_table_each_cell (cell, &owed->flows, entry) {
		const struct place *place = find_place(judge, cell->id);

		if (cell->kind == OWED_COUNTED)
			judge->counted_before[cell->sender] = flow_cell_count(cell);
		else if (!place)
			continue;
		else if (cell->kind >= FLOW_ALL_CLASSES)
			take_owed(judge, place, cell);
		else
			take_owed_reference(judge, place, cell);
	}
}

static struct flow_count seen_in_all(const struct seen *seen)
{
	return flow_count_sum(seen->first, flow_count_sum(seen->above[ORIGIN_RECEIVED],
							  seen->above[ORIGIN_BORN]));
}

static struct flow_count references_seen(const struct judged *judged, const struct seen *seen,
					 const struct flow_count *counted)
{
	return judged->any ? *counted : seen_in_all(seen);
}

static struct flow_count others_in_all(const struct judged *judged, unsigned int sender)
{
	return flow_count_sum(judged->others[sender][ORIGIN_RECEIVED],
			      judged->others[sender][ORIGIN_BORN]);
}

static bool saw_flow(const struct judged *judged, unsigned int sender)
{
	const struct flow_count others = others_in_all(judged, sender);

	return !flow_count_is_zero(&judged->own[sender]) || !flow_count_is_zero(&others);
}

/* A hook that did not see the flow in the interval before owes all that its references saw. */
static void complete_owed(const struct judge *judge, struct judged *judged, unsigned int sender)
{
	const struct seen *before = &judged->seen_before[sender];

	if (!judged->was_judged || judged->owed_known[sender])
		return;
	judged->owed[sender] = references_seen(judged, before, &judge->counted_before[sender]);
	memcpy(judged->turning[sender], before->above, sizeof(before->above));
}

/*
 * What left through a macvlan above came back in here, unless it went out: then the interface shows
 * it again.
 */
static struct flow_count take_gone_out(struct judged *judged, unsigned int sender)
{
	struct flow_count all = {0};

	for (int o = 0; o < ORIGINS; o++) {
		const struct flow_count *above = &judged->seen[sender].above[o];
		struct flow_count *turning = &judged->turning[sender][o];
		struct flow_count turned = flow_count_sum(*turning, *above);
		struct flow_count out = flow_count_smaller(judged->others[sender][o], turned);

		*turning = flow_count_smaller(flow_count_excess(turned, out), *above);
		flow_count_add(&all, &out);
	}
	return all;
}

/*
 * Of what a judged hook saw, all that its references did not see is a first sight. The references
 * include what they saw in the interval before and the judged hook did not, since that was under
 * way. What is under way now is in the references of this interval: no more than they saw, and
 * nothing that the interface showed, in whatever class.
 */
static void settle(struct judge *judge, struct judged *judged, unsigned int sender)
{
	struct flow_count arrived = judged->own[sender], seen, expected, first;

	if (!saw_flow(judged, sender))
		return;
	complete_owed(judge, judged, sender);
	seen = references_seen(judged, &judged->seen[sender],
			       &counted_in(judge, judge->places[judged->place].era)[sender]);
	expected = flow_count_sum(seen, judged->owed[sender]);
	if (judged->hook == HOOK_INGRESS)
		arrived = flow_count_sum(arrived, take_gone_out(judged, sender));
	first = flow_count_excess(arrived, expected);
	if (judged->hook != HOOK_INGRESS)
		arrived = flow_count_sum(arrived, others_in_all(judged, sender));
	judged->owed[sender] = flow_count_smaller(flow_count_excess(expected, arrived), seen);
	count_first_sight(judge, judged->place, judged->hook, sender, &first);
}

static void judge_active(struct judge *judge, bool any)
{
	for (size_t i = 0; i < judge->active_count; i++) {
		struct judged *judged = &judge->judged[judge->active[i]];

		for (unsigned int sender = 0; sender < 2 && judged->any == any; sender++)
			settle(judge, judged, sender);
	}
}

/* In a fixed order, as hooks that are judged by what was counted add to it for each other. */
static void judge_hooks(struct judge *judge)
{
	sum_references(judge);
	sum_owed(judge);
	numbers_sort(judge->active, judge->active_count);
	judge_active(judge, false);
	judge_active(judge, true);
}

static int append_owed(struct judge *judge, uint32_t id, unsigned int sender, unsigned int kind,
		       struct flow_count count)
{
	struct flow_table *flows = &judge->owing->flows;
	int err = flow_table_reserve(flows, 1, 1);

	if (!err)
		flow_table_append(flows, flow_table_insert(flows, &judge->entry->key, judge->hash),
				  id, sender, kind, count);
	return err;
}

/* Nothing, if the next interval will find the same without it. */
static int keep_owed_by(struct judge *judge, const struct judged *judged, unsigned int sender)
{
	uint32_t id = judge->places[judged->place].id;
	const struct flow_count seen = seen_in_all(&judged->seen[sender]);
	int err;

	if (!saw_flow(judged, sender) || (!judged->any && flow_count_is_zero(&seen)))
		return 0;
	err = append_owed(judge, id, sender, OWED_INGRESS + judged->hook, judged->owed[sender]);
	for (int o = 0; o < ORIGINS && !err; o++)
		if (!flow_count_is_zero(&judged->turning[sender][o]))
			err = append_owed(judge, id, sender, turning_kinds[o],
					  judged->turning[sender][o]);
	return err;
}

/* Keeps what the next interval needs to know of this flow. */
static int keep_owed(struct judge *judge)
{
	const struct flow_count *last_era = counted_in(judge, (uint32_t)judge->era_count - 1);
	int err = 0;

	flow_table_each_cell (cell, judge->flows, judge->entry) {
		if (!find_place(judge, cell->id)->referrers[cell->kind].count || err)
			continue;
		err = append_owed(judge, cell->id, cell->sender, cell->kind, flow_cell_count(cell));
	}
	for (unsigned int sender = 0; sender < 2; sender++) {
		for (size_t i = 0; i < judge->active_count && !err; i++)
			err = keep_owed_by(judge, &judge->judged[judge->active[i]], sender);
		if (judge->any_judged && !flow_count_is_zero(&last_era[sender]) && !err)
			err = append_owed(judge, TOPOLOGY_ANY, sender, OWED_COUNTED,
					  last_era[sender]);
	}
	return err;
}

/* A port below its monitored master: what is born there is in the class that is judged only if the
 * master shows nothing of it. */
static bool is_below_master(const struct judge *judge, uint32_t j)
{
	const struct judged *judged = &judge->judged[j];

	return judged->hook == HOOK_EGRESS && judge->places[judged->place].role->born_repeat;
}

/* Whether one of these hooks showed packets of that sender as repeats. */
static bool were_repeated(const struct judge *judge, const struct flow_entry *entry,
			  const struct referrer_list *list, unsigned int sender)
{
	flow_table_each_cell (cell, judge->flows, entry) {
		const struct place *place = find_place(judge, cell->id);

		if (!place || cell->kind != FLOW_EGRESS_REPEAT || cell->sender != sender)
			continue;
		for (uint32_t i = 0; i < list->count; i++)
			if (judge->referrers[list->first + i] == place->judged[HOOK_EGRESS])
				return true;
	}
	return false;
}

/* Whether others are judged by this sight. What ports repeat of their master's is what was born
 * there, and needs no judging; of the rest it is not known what is still to be read. */
static bool is_reference(const struct judge *judge, const struct flow_entry *entry,
			 const struct place *place, const struct flow_cell *cell)
{
	const struct referrer_list *list = &place->referrers[cell->kind];

	for (uint32_t i = 0; i < list->count; i++)
		if (!is_below_master(judge, judge->referrers[list->first + i]))
			return true;
	return list->count && !were_repeated(judge, entry, list, cell->sender);
}

/* Whether the interface's own hooks are judged by this sight, or it is what is judged. */
static bool is_judged(const struct judge *judge, const struct place *place,
		      const struct flow_cell *cell)
{
	if (cell->kind != FLOW_EGRESS_REPEAT)
		return place->judged[class_hooks[cell->kind]] != NONE ||
		       (cell->kind == FLOW_EGRESS && place->judged[HOOK_UNSURE] != NONE);
	for (int h = 0; h < HOOKS; h++) {
		uint32_t j = place->judged[h];

		if (j != NONE && judge->judged[j].uses_others && !is_below_master(judge, j))
			return true;
	}
	return false;
}

bool judge_is_certain(const struct judge *judge, const struct flow_entry *entry)
{
	if (judge->any_judged)
		return false;
	flow_table_each_cell (cell, judge->flows, entry) {
		const struct place *place = find_place(judge, cell->id);

		if (!place || !place->role || is_judged(judge, place, cell) ||
		    is_reference(judge, entry, place, cell))
			return false;
	}
	return true;
}

int judge_flow(struct judge *judge, const struct flow_entry *entry, struct flow_count counted[2])
{
	int err = 0;

	judge->entry = entry;
	memset(judge->counted, 0, sizeof(judge->counted));
	judge->flow++;
	judge->counted_at = NONE;
	judge->reason = NO_REASON;
	if (entry->key.family == FLOW_UNATTRIBUTED && entry->key.protocol < FLOW_REASONS)
		judge->reason = entry->key.protocol;
	sum_sights(judge);
	if (judge->judged_count)
		judge->hash = flow_table_hash(judge->flows, &entry->key);
	if (judge->active_count)
		judge_hooks(judge);
	if (judge->judged_count && judge->owing)
		err = keep_owed(judge);
	while (judge->active_count)
		judge->judged[judge->active[--judge->active_count]].active = false;
	memcpy(counted, judge->counted, sizeof(judge->counted));
	return err;
}

int judge_close(struct judge *judge)
{
	struct hook_id *judged = calloc(judge->judged_count + 1, sizeof(*judged));

	if (!judged)
		return -ENOMEM;
	for (size_t j = 0; j < judge->judged_count; j++)
		judged[j] = (struct hook_id){.id = judge->places[judge->judged[j].place].id,
					     .hook = judge->judged[j].hook};
	debt_set_judged(judge->owing, judged, judge->judged_count);
	return 0;
}
