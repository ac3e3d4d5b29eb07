// SPDX-License-Identifier: GPL-2.0-only
#include "report/judge.h"

#include "report/id_map.h"
#include "report/merge.h"
#include "report/sort.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE	  ID_MAP_NONE
#define NO_REASON FLOW_REASONS /* it is a flow */

/* Cells of the table of what is owed, beside those of an enum flow_class. */
enum owed_kind {
	OWED_INGRESS = FLOW_CLASSES, /* by the judged ingress hook of the interface */
	OWED_EGRESS,
	OWED_COUNTED, /* what was counted of the flow in all, for hooks judged against anything */
};
_Static_assert(OWED_COUNTED < FLOW_CELL_KINDS, "fits a cell");

struct hook_id {
	uint32_t id;
	enum hook hook;
};

void debt_clean(struct debt *debt)
{
	flow_table_clean(&debt->flows);
	free(debt->judged);
	debt->judged = NULL;
	debt->judged_count = 0;
}

void debt_reset(struct debt *debt)
{
	flow_table_reset(&debt->flows);
	debt->judged_count = 0;
}

/* A run of numbers in judge.judges. */
struct judge_list {
	uint32_t first, count;
};

/* An interface. Those of the report come first, in its order. */
struct place {
	uint32_t id;
	const struct topology_role *role;	/* borrowed; NULL: only named as a reference */
	uint32_t judged[2];			/* by enum hook: into judge.judged, or NONE */
	struct judge_list judges[FLOW_CLASSES]; /* the hooks to which that class is a reference */
	uint64_t counted; /* bytes of the flow at hand, if counted_flow is its number */
	uint64_t counted_flow;
};

/* What the references of a judged hook saw of a flow. */
struct seen {
	struct flow_count first;   /* INGRESS and EGRESS */
	struct flow_count repeats; /* EGRESS_REPEAT */
};

/* In which order the hooks of a flow are judged. */
enum stage {
	STAGE_SEEN,    /* against what references show */
	STAGE_COUNTED, /* the same, where repeats are a reference as far as they were counted */
	STAGE_ANY,     /* against all that was counted at other hooks */
	STAGES,
};

/* A judged hook, with the sums of the flow that is being judged, by sender. */
struct judged {
	uint32_t place;
	enum hook hook;
	enum stage stage;
	bool was_judged; /* in the interval before, too */
	bool active;	 /* saw this flow */
	struct flow_count own[2];
	struct seen seen[2], seen_before[2]; /* by the references, in this interval and the last */
	struct flow_count owed[2]; /* from the interval before, and after judging to the next */
	bool owed_known[2];	   /* it saw the flow in the interval before */
};

struct judge {
	const struct flow_table *flows; /* borrowed */
	const struct debt *owed;	/* borrowed; from the interval before */
	struct debt *owing;		/* borrowed; to the next one */
	struct place *places;		/* owned */
	size_t place_count;
	size_t interface_count;
	struct id_map by_id;   /* to places */
	struct judged *judged; /* owned */
	size_t judged_count;
	bool any_judged;  /* some are judged against anything */
	uint32_t *judges; /* owned; runs of numbers of judged hooks */
	uint32_t *active; /* owned; numbers of the judged hooks that saw this flow */
	size_t active_count;
	struct flow_count (*unattributed)[FLOW_REASONS]; /* owned; by interface */

	/* of the flow at hand */
	struct flow_count counted[2];	     /* by sender */
	struct flow_count counted_before[2]; /* in the interval before */
	unsigned int reason;		     /* enum flow_reason, or NO_REASON */
	uint64_t flow;			     /* its number */
	uint32_t counted_at;		     /* the place that counted most of it, or NONE */
};

static uint64_t excess(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* NULL: an interface of the past. */
static struct place *find_place(const struct judge *judge, uint32_t id)
{
	uint32_t place = id_map_get(&judge->by_id, id);

	return place == NONE ? NULL : &judge->places[place];
}

static size_t reference_total(const struct merge_interface *interfaces, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		for (int h = 0; h < 2; h++)
			total += interfaces[i].role->hook[h].reference_count;
	return total;
}

static void add_place(struct judge *judge, uint32_t id)
{
	if (id_map_get(&judge->by_id, id) != NONE)
		return;
	judge->places[judge->place_count] = (struct place){.id = id, .judged = {NONE, NONE}};
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

		place->role = interfaces[i].role;
		for (int h = 0; h < 2; h++) {
			const struct topology_hook *hook = &place->role->hook[h];

			for (size_t r = 0; r < hook->reference_count; r++)
				if (hook->references[r].id != TOPOLOGY_ANY)
					add_place(judge, hook->references[r].id);
		}
	}
}

static int compare_hook_ids(const void *a, const void *b)
{
	const struct hook_id *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (int)x->hook - (int)y->hook;
}

static bool debt_was_judged(const struct debt *debt, uint32_t id, enum hook hook)
{
	struct hook_id key = {.id = id, .hook = hook};

	return debt->judged_count &&
	       bsearch(&key, debt->judged, debt->judged_count, sizeof(key), compare_hook_ids);
}

static enum stage find_stage(const struct topology_hook *judged, enum hook hook)
{
	enum stage stage = STAGE_SEEN;

	for (size_t r = 0; r < judged->reference_count; r++) {
		if (judged->references[r].id == TOPOLOGY_ANY)
			return STAGE_ANY;
		if (hook == HOOK_INGRESS && judged->references[r].hook == HOOK_EGRESS)
			stage = STAGE_COUNTED;
	}
	return stage;
}

static void add_judged(struct judge *judge)
{
	for (size_t p = 0; p < judge->interface_count; p++) {
		struct place *place = &judge->places[p];

		for (int h = 0; h < 2; h++) {
			const struct topology_hook *hook = &place->role->hook[h];
			struct judged *judged = &judge->judged[judge->judged_count];

			if (hook->sight != SIGHT_JUDGED)
				continue;
			*judged = (struct judged){.place = (uint32_t)p,
						  .hook = h,
						  .stage = find_stage(hook, h),
						  .was_judged = debt_was_judged(judge->owed,
										place->id, h)};
			judge->any_judged |= judged->stage == STAGE_ANY;
			place->judged[h] = (uint32_t)judge->judged_count++;
		}
	}
}

/*
 * Enters judged hook number j with a reference of its. A judged ingress hook has an egress hook as
 * a reference where the wire is inside this host (veth, macvlan): whatever leaves there arrives
 * here. To an egress hook another's EGRESS is a reference: what was received in sight is not in
 * the judged class.
 */
static void enter_reference(struct judge *judge, uint32_t j,
			    const struct topology_reference *reference, bool fill)
{
	struct place *place = find_place(judge, reference->id);
	unsigned int first = reference->hook == HOOK_INGRESS ? FLOW_INGRESS : FLOW_EGRESS;
	unsigned int last = first;

	if (reference->hook == HOOK_EGRESS && judge->judged[j].hook == HOOK_INGRESS)
		last = FLOW_EGRESS_REPEAT;
	for (unsigned int kind = first; kind <= last; kind++) {
		struct judge_list *list = &place->judges[kind];

		if (fill)
			judge->judges[list->first + list->count] = j;
		list->count++;
	}
}

static void enter_references(struct judge *judge, bool fill)
{
	for (uint32_t j = 0; j < judge->judged_count; j++) {
		const struct judged *judged = &judge->judged[j];
		const struct topology_hook *hook =
			&judge->places[judged->place].role->hook[judged->hook];

		for (size_t r = 0; r < hook->reference_count && judged->stage != STAGE_ANY; r++)
			enter_reference(judge, j, &hook->references[r], fill);
	}
}

static int turn_references(struct judge *judge)
{
	uint32_t total = 0;

	enter_references(judge, false);
	for (size_t p = 0; p < judge->place_count; p++) {
		for (unsigned int kind = 0; kind < FLOW_CLASSES; kind++) {
			struct judge_list *list = &judge->places[p].judges[kind];

			list->first = total;
			total += list->count;
			list->count = 0;
		}
	}
	judge->judges = calloc(total + 1, sizeof(*judge->judges));
	if (!judge->judges)
		return -ENOMEM;
	enter_references(judge, true);
	return 0;
}

static int judge_init(struct judge *judge, const struct report_interface *listed,
		      const struct merge_interface *interfaces, size_t count)
{
	size_t places = count + reference_total(interfaces, count);

	judge->places = calloc(places + 1, sizeof(*judge->places));
	judge->judged = calloc(2 * count + 1, sizeof(*judge->judged));
	judge->active = calloc(2 * count + 1, sizeof(*judge->active));
	judge->unattributed = calloc(count + 1, sizeof(*judge->unattributed));
	if (!judge->places || !judge->judged || !judge->active || !judge->unattributed ||
	    id_map_reserve(&judge->by_id, places))
		return -ENOMEM;
	add_places(judge, listed, interfaces, count);
	add_judged(judge);
	return turn_references(judge);
}

int judge_new(struct judge **ret, const struct judge_case *matter,
	      const struct report_interface *listed, const struct merge_interface *interfaces,
	      size_t count)
{
	struct judge *judge = calloc(1, sizeof(*judge));
	int err;

	if (!judge)
		return -ENOMEM;
	judge->flows = matter->flows;
	judge->owed = matter->owed;
	judge->owing = matter->owing;
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
	free(judge->judges);
	free(judge->active);
	free(judge->unattributed);
	free(judge);
}

uint32_t judge_interface(const struct judge *judge, uint32_t id)
{
	return id_map_get(&judge->by_id, id);
}

const struct flow_count *judge_unattributed(const struct judge *judge, uint32_t interface)
{
	return judge->unattributed[interface];
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

static void count_first_sight(struct judge *judge, uint32_t place, unsigned int sender,
			      const struct flow_count *count)
{
	flow_count_add(&judge->counted[sender], count);
	note_counted_at(judge, place, count->bytes);
	if (judge->reason != NO_REASON)
		flow_count_add(&judge->unattributed[place][judge->reason], count);
}

static void activate(struct judge *judge, uint32_t j)
{
	struct judged *judged = &judge->judged[j];

	if (judged->active)
		return;
	*judged = (struct judged){.place = judged->place,
				  .hook = judged->hook,
				  .stage = judged->stage,
				  .was_judged = judged->was_judged,
				  .active = true};
	judge->active[judge->active_count++] = j;
}

/* Counts what is a first sight for certain, and collects what has to be judged. */
static void sum_sights(struct judge *judge, const struct flow_entry *entry)
{
	flow_table_each_cell (cell, judge->flows, entry) {
		const struct place *place = find_place(judge, cell->id);
		struct flow_count count = flow_cell_count(cell);
		enum hook hook = judge_class_hook(cell->kind);

		assert(place && place->role);
		if (cell->kind == FLOW_EGRESS_REPEAT)
			continue;
		switch (place->role->hook[hook].sight) {
		case SIGHT_FIRST:
			count_first_sight(judge, (uint32_t)(place - judge->places), cell->sender,
					  &count);
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

static void add_seen(struct seen *seen, const struct flow_cell *cell)
{
	struct flow_count count = flow_cell_count(cell);

	flow_count_add(cell->kind == FLOW_EGRESS_REPEAT ? &seen->repeats : &seen->first, &count);
}

static void sum_references(struct judge *judge, const struct flow_entry *entry)
{
	flow_table_each_cell (cell, judge->flows, entry) {
		const struct judge_list *list = &find_place(judge, cell->id)->judges[cell->kind];

		for (uint32_t i = 0; i < list->count; i++) {
			struct judged *judged = &judge->judged[judge->judges[list->first + i]];

			if (judged->active)
				add_seen(&judged->seen[cell->sender], cell);
		}
	}
}

static void take_owed(struct judge *judge, const struct place *place, const struct flow_cell *cell)
{
	uint32_t j = place->judged[cell->kind == OWED_INGRESS ? HOOK_INGRESS : HOOK_EGRESS];

	if (j == NONE || !judge->judged[j].active)
		return;
	judge->judged[j].owed[cell->sender] = flow_cell_count(cell);
	judge->judged[j].owed_known[cell->sender] = true;
}

static void take_owed_reference(struct judge *judge, const struct place *place,
				const struct flow_cell *cell)
{
	const struct judge_list *list = &place->judges[cell->kind];

	for (uint32_t i = 0; i < list->count; i++) {
		struct judged *judged = &judge->judged[judge->judges[list->first + i]];

		if (judged->active)
			add_seen(&judged->seen_before[cell->sender], cell);
	}
}

static void sum_owed(struct judge *judge, const struct flow_key *key, uint32_t hash)
{
	const struct debt *owed = judge->owed;
	const struct flow_entry *entry = flow_table_find(&owed->flows, key, hash);

	memset(judge->counted_before, 0, sizeof(judge->counted_before));
	if (!entry)
		return;
	flow_table_each_cell (cell, &owed->flows, entry) {
		const struct place *place = find_place(judge, cell->id);

		if (cell->kind == OWED_COUNTED)
			judge->counted_before[cell->sender] = flow_cell_count(cell);
		else if (!place)
			continue;
		else if (cell->kind == OWED_INGRESS || cell->kind == OWED_EGRESS)
			take_owed(judge, place, cell);
		else
			take_owed_reference(judge, place, cell);
	}
}

/*
 * How much of what a judged hook saw was seen before. What left as a repeat was counted elsewhere
 * if it came in elsewhere, but if it came in here (a router on a stick) then it was not.
 */
static struct flow_count references_seen(const struct judged *judged, const struct seen *seen,
					 const struct flow_count *counted)
{
	struct flow_count sum = seen->first;

	if (judged->stage == STAGE_ANY)
		return *counted;
	sum.bytes += smaller(seen->repeats.bytes, counted->bytes);
	sum.packets += smaller(seen->repeats.packets, counted->packets);
	return sum;
}

/*
 * Of what a judged hook saw, all that its references did not see is a first sight. The references
 * include what they saw in the interval before and the judged hook did not, since that was under
 * way. What is under way now is in the references of this interval: no more than they saw.
 */
static void settle(struct judge *judge, struct judged *judged, unsigned int sender)
{
	const struct flow_count *own = &judged->own[sender];
	struct flow_count *owed = &judged->owed[sender];
	struct flow_count seen, first;

	if (flow_count_is_zero(own))
		return;
	seen = references_seen(judged, &judged->seen[sender], &judge->counted[sender]);
	if (judged->was_judged && !judged->owed_known[sender])
		*owed = references_seen(judged, &judged->seen_before[sender],
					&judge->counted_before[sender]);
	first.bytes = excess(own->bytes, seen.bytes + owed->bytes);
	first.packets = excess(own->packets, seen.packets + owed->packets);
	owed->bytes = smaller(excess(seen.bytes + owed->bytes, own->bytes), seen.bytes);
	owed->packets = smaller(excess(seen.packets + owed->packets, own->packets), seen.packets);
	count_first_sight(judge, judged->place, sender, &first);
}

/* When to judge it for a sender: what depends on what was counted waits for that. */
static enum stage find_turn(const struct judged *judged, unsigned int sender)
{
	if (judged->stage == STAGE_COUNTED && flow_count_is_zero(&judged->seen[sender].repeats))
		return STAGE_SEEN;
	return judged->stage;
}

/* In a fixed order, as hooks that are judged by what was counted add to it for each other. */
static void judge_hooks(struct judge *judge, const struct flow_entry *entry, uint32_t hash)
{
	sum_references(judge, entry);
	sum_owed(judge, &entry->key, hash);
	sort_numbers(judge->active, judge->active_count);
	for (unsigned int stage = 0; stage < STAGES; stage++) {
		for (size_t i = 0; i < judge->active_count; i++) {
			struct judged *judged = &judge->judged[judge->active[i]];

			for (unsigned int sender = 0; sender < 2; sender++)
				if (find_turn(judged, sender) == stage)
					settle(judge, judged, sender);
		}
	}
}

static int owe(struct judge *judge, const struct flow_key *key, uint32_t hash, uint32_t id,
	       unsigned int sender, unsigned int kind, struct flow_count count)
{
	struct flow_table *flows = &judge->owing->flows;
	int err = flow_table_reserve(flows, 1, 1);

	if (!err)
		flow_table_append(flows, flow_table_insert(flows, key, hash), id, sender, kind,
				  count);
	return err;
}

/* Keeps what the next interval needs to know of this flow. */
static int keep_owed(struct judge *judge, const struct flow_entry *entry, uint32_t hash)
{
	const struct flow_key *key = &entry->key;
	bool keep_counted = judge->any_judged;
	int err = 0;

	flow_table_each_cell (cell, judge->flows, entry) {
		if (!find_place(judge, cell->id)->judges[cell->kind].count || err)
			continue;
		keep_counted |= cell->kind == FLOW_EGRESS_REPEAT;
		err = owe(judge, key, hash, cell->id, cell->sender, cell->kind,
			  flow_cell_count(cell));
	}
	for (unsigned int sender = 0; sender < 2; sender++) {
		for (size_t i = 0; i < judge->active_count && !err; i++) {
			const struct judged *judged = &judge->judged[judge->active[i]];

			if (!flow_count_is_zero(&judged->own[sender]))
				err = owe(judge, key, hash, judge->places[judged->place].id, sender,
					  judged->hook == HOOK_INGRESS ? OWED_INGRESS : OWED_EGRESS,
					  judged->owed[sender]);
		}
		if (keep_counted && !flow_count_is_zero(&judge->counted[sender]) && !err)
			err = owe(judge, key, hash, TOPOLOGY_ANY, sender, OWED_COUNTED,
				  judge->counted[sender]);
	}
	return err;
}

int judge_flow(struct judge *judge, const struct flow_entry *entry, struct flow_count counted[2])
{
	uint32_t hash = 0;
	int err = 0;

	memset(judge->counted, 0, sizeof(judge->counted));
	judge->flow++;
	judge->counted_at = NONE;
	judge->reason = NO_REASON;
	if (entry->key.family == FLOW_UNATTRIBUTED && entry->key.protocol < FLOW_REASONS)
		judge->reason = entry->key.protocol;
	sum_sights(judge, entry);
	if (judge->judged_count)
		hash = flow_table_hash(judge->flows, &entry->key);
	if (judge->active_count)
		judge_hooks(judge, entry, hash);
	if (judge->judged_count)
		err = keep_owed(judge, entry, hash);
	while (judge->active_count)
		judge->judged[judge->active[--judge->active_count]].active = false;
	memcpy(counted, judge->counted, sizeof(judge->counted));
	return err;
}

int judge_close(struct judge *judge)
{
	struct debt *owing = judge->owing;
	struct hook_id *judged = calloc(judge->judged_count + 1, sizeof(*judged));

	if (!judged)
		return -ENOMEM;
	for (size_t j = 0; j < judge->judged_count; j++)
		judged[j] = (struct hook_id){.id = judge->places[judge->judged[j].place].id,
					     .hook = judge->judged[j].hook};
	qsort(judged, judge->judged_count, sizeof(*judged), compare_hook_ids);
	free(owing->judged);
	owing->judged = judged;
	owing->judged_count = judge->judged_count;
	return 0;
}
