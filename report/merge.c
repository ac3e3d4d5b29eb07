// SPDX-License-Identifier: GPL-2.0-only
#include "report/merge.h"

#include "lib/cleanup.h"
#include "report/flow_table.h"
#include "report/locals.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define NONE	   UINT32_MAX
#define ADD_BATCH  32 /* records whose places are loaded together */
#define REASONS	   (FLOW_REASONS + 1)
#define SORT_SMALL 32

/* Cells of the table of what is owed, beside those of an enum flow_class. */
enum owed_kind {
	OWED_INGRESS = FLOW_CLASSES, /* by the judged ingress hook of the interface */
	OWED_EGRESS,
	OWED_COUNTED, /* what was counted of the flow in all, for hooks judged against anything */
};
_Static_assert(OWED_COUNTED < FLOW_CELL_KINDS, "fits a cell");

/* Interface ids to numbers; open addressing, never more than half full. */
struct id_map {
	struct id_map_slot {
		uint32_t id; /* 0: free */
		uint32_t value;
	} * slots; /* owned */
	size_t slot_count, used;
};

struct hook_id {
	uint32_t id;
	enum hook hook;
};

/*
 * What judged hooks owe for packets between two hooks when the maps were swapped. For a judged hook
 * that saw the flow: its own cell (OWED_*). For one that did not, it is all that its references
 * saw: their cells, which all hooks that are judged against them share.
 */
struct debt {
	struct flow_table flows;
	struct hook_id *judged; /* owned; the hooks judged in that interval, sorted */
	size_t judged_count;
};

struct merge {
	struct flow_table flows;
	struct id_map added;  /* ids whose records were added in this interval */
	uint32_t added_last;  /* the id of the last merge_add() ... */
	bool added_last_once; /* ... if all calls for it came in one run */
	size_t unattributed;  /* entries that are no flows */
	struct debt owed;     /* from the interval before */
	struct debt owing;    /* as of the last merge_report(), for the next interval */
};

static size_t id_map_home(const struct id_map *map, uint32_t id)
{
	return (id * 2654435761U >> 7) & (map->slot_count - 1);
}

static struct id_map_slot *id_map_find(const struct id_map *map, uint32_t id)
{
	size_t i = id_map_home(map, id);

	while (map->slots[i].id && map->slots[i].id != id)
		i = (i + 1) & (map->slot_count - 1);
	return &map->slots[i];
}

static int id_map_reserve(struct id_map *map, size_t count)
{
	struct id_map bigger = {.slot_count = map->slot_count ? map->slot_count : 64,
				.used = map->used};

	while (bigger.slot_count / 2 < map->used + count)
		bigger.slot_count *= 2;
	if (bigger.slot_count == map->slot_count)
		return 0;
	bigger.slots = calloc(bigger.slot_count, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < map->slot_count; i++)
		if (map->slots[i].id)
			*id_map_find(&bigger, map->slots[i].id) = map->slots[i];
	free(map->slots);
	*map = bigger;
	return 0;
}

static uint32_t id_map_get(const struct id_map *map, uint32_t id)
{
	const struct id_map_slot *slot = map->slot_count ? id_map_find(map, id) : NULL;

	return slot && slot->id ? slot->value : NONE;
}

/* Room must be reserved. */
static void id_map_put(struct id_map *map, uint32_t id, uint32_t value)
{
	struct id_map_slot *slot = id_map_find(map, id);

	map->used += !slot->id;
	*slot = (struct id_map_slot){.id = id, .value = value};
}

static void id_map_clean(struct id_map *map)
{
	free(map->slots);
	*map = (struct id_map){0};
}

int merge_new(struct merge **ret)
{
	struct merge *merge = calloc(1, sizeof(*merge));

	if (!merge)
		return -ENOMEM;
	/* one seed, so that one hash of a flow serves all tables */
	flow_table_init(&merge->flows);
	merge->owed.flows = merge->flows;
	merge->owing.flows = merge->flows;
	*ret = merge;
	return 0;
}

static void debt_clean(struct debt *debt)
{
	flow_table_clean(&debt->flows);
	free(debt->judged);
	debt->judged = NULL;
	debt->judged_count = 0;
}

static void debt_reset(struct debt *debt)
{
	flow_table_reset(&debt->flows);
	debt->judged_count = 0;
}

void merge_free(struct merge *merge)
{
	if (!merge)
		return;
	flow_table_clean(&merge->flows);
	id_map_clean(&merge->added);
	debt_clean(&merge->owed);
	debt_clean(&merge->owing);
	free(merge);
}

static bool is_zero(const struct flow_count *count)
{
	return !count->bytes && !count->packets;
}

static size_t count_cells(const struct flow_value *value)
{
	size_t cells = 0;

	for (unsigned int sender = 0; sender < 2; sender++)
		for (unsigned int kind = 0; kind < FLOW_CLASSES; kind++)
			cells += !is_zero(&value->count[sender][kind]);
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

static void add_record(struct merge *merge, uint32_t id, const struct flow_key *key, uint32_t hash,
		       const struct flow_value *value)
{
	size_t before = merge->flows.entry_count;
	struct flow_entry *entry;

	if (!count_cells(value))
		return;
	entry = flow_table_insert(&merge->flows, key, hash);
	if (merge->flows.entry_count != before && key->family == FLOW_UNATTRIBUTED)
		merge->unattributed++;
	for (unsigned int sender = 0; sender < 2; sender++) {
		for (unsigned int kind = 0; kind < FLOW_CLASSES; kind++) {
			const struct flow_count *count = &value->count[sender][kind];

			if (!is_zero(count))
				flow_table_add(&merge->flows, entry, id, sender, kind, *count,
					       merge->added_last_once);
		}
	}
}

/* Loads slots and entries of a whole batch before using them, instead of waiting for each. */
static void add_batch(struct merge *merge, uint32_t id, const struct flow_key *keys,
		      const struct flow_value *values, size_t n)
{
	uint32_t hashes[ADD_BATCH];

	for (size_t i = 0; i < n; i++) {
		hashes[i] = flow_table_hash(&merge->flows, &keys[i]);
		flow_table_prefetch_slot(&merge->flows, hashes[i]);
	}
	for (size_t i = 0; i < n; i++)
		flow_table_prefetch_entry(&merge->flows, hashes[i]);
	for (size_t i = 0; i < n; i++)
		add_record(merge, id, &keys[i], hashes[i], &values[i]);
}

int merge_add(struct merge *merge, uint32_t interface_id, const struct flow_key *keys,
	      const struct flow_value *values, size_t n)
{
	int err = reserve_records(merge, values, n);

	if (err)
		return err;
	if (merge->added_last != interface_id) {
		merge->added_last = interface_id;
		merge->added_last_once = id_map_get(&merge->added, interface_id) == NONE;
		id_map_put(&merge->added, interface_id, 0);
	}
	for (size_t i = 0; i < n; i += ADD_BATCH)
		add_batch(merge, interface_id, keys + i, values + i,
			  n - i < ADD_BATCH ? n - i : ADD_BATCH);
	return 0;
}

size_t merge_flow_count(const struct merge *merge)
{
	return merge->flows.entry_count - merge->unattributed;
}

void merge_next_interval(struct merge *merge)
{
	struct debt paid = merge->owed;

	merge->owed = merge->owing;
	merge->owing = paid;
	debt_reset(&merge->owing);
	flow_table_reset(&merge->flows);
	id_map_clean(&merge->added);
	merge->added_last = 0;
	merge->unattributed = 0;
}

/* A run of numbers in view.judges. */
struct judge_list {
	uint32_t first, count;
};

/* An interface as the view sees it. Those of the report come first, in its order. */
struct place {
	uint32_t id;
	uint32_t ifindex;
	const struct topology_role *role;	/* borrowed; NULL: only named as a reference */
	uint32_t judged[2];			/* by enum hook: into view.judged, or NONE */
	uint32_t rank[2];			/* by enum hook: position on a path */
	struct judge_list judges[FLOW_CLASSES]; /* the hooks to which that class is a reference */
	uint32_t visited;			/* the last flow whose path has it */
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

/* What merge_report() works with. */
struct view {
	const struct merge *merge;
	const struct merge_ends *ends;
	struct debt *owing;
	struct place *places; /* owned */
	size_t place_count;
	size_t interface_count;
	struct id_map by_id;   /* to places */
	struct judged *judged; /* owned */
	size_t judged_count;
	bool any_judged;  /* some are judged against anything */
	uint32_t *judges; /* owned; runs of numbers of judged hooks */
	uint32_t *active; /* owned; numbers of the judged hooks that saw this flow */
	size_t active_count;
	uint32_t *by_rank; /* owned; places */
	uint32_t *path;	   /* owned; ranks of this flow's hooks in one direction */

	/* of the flow at hand */
	struct flow_count counted[2];		    /* by sender */
	struct flow_count counted_before[2];	    /* in the interval before */
	struct flow_count (*unattributed)[REASONS]; /* owned; by interface */
	unsigned int reason;			    /* REASONS: a flow */
};

static void count_add(struct flow_count *sum, const struct flow_count *count)
{
	sum->bytes += count->bytes;
	sum->packets += count->packets;
}

static uint64_t excess(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct flow_count cell_count(const struct flow_cell *cell)
{
	return (struct flow_count){.bytes = cell->bytes, .packets = cell->packets};
}

static enum hook class_hook(unsigned int kind)
{
	return kind == FLOW_INGRESS ? HOOK_INGRESS : HOOK_EGRESS;
}

/* NULL: an interface of the past. */
static struct place *view_place(const struct view *view, uint32_t id)
{
	uint32_t place = id_map_get(&view->by_id, id);

	return place == NONE ? NULL : &view->places[place];
}

static int compare_interfaces(const void *a, const void *b)
{
	const struct report_interface *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->id > y->id) - (x->id < y->id);
}

static int list_interfaces(struct report *report, const struct merge_interface *interfaces,
			   size_t count)
{
	report->interfaces = calloc(count + 1, sizeof(*report->interfaces));
	if (!report->interfaces)
		return -ENOMEM;
	report->interface_count = count;
	for (size_t i = 0; i < count; i++) {
		struct report_interface *interface = &report->interfaces[i];

		interface->id = interfaces[i].id;
		interface->ifindex = interfaces[i].ifindex;
		/* the kernel's names have 15 bytes at most */
		strncpy(interface->name, interfaces[i].name, sizeof(interface->name) - 1);
	}
	qsort(report->interfaces, count, sizeof(*report->interfaces), compare_interfaces);
	return 0;
}

static size_t reference_total(const struct merge_interface *interfaces, size_t count)
{
	size_t total = 0;

	for (size_t i = 0; i < count; i++)
		for (int h = 0; h < 2; h++)
			total += interfaces[i].role->hook[h].reference_count;
	return total;
}

static void add_place(struct view *view, uint32_t id)
{
	if (id_map_get(&view->by_id, id) != NONE)
		return;
	view->places[view->place_count] = (struct place){.id = id, .judged = {NONE, NONE}};
	id_map_put(&view->by_id, id, (uint32_t)view->place_count++);
}

/* Places for the report's interfaces, then for whatever else their roles refer to. */
static void add_places(struct view *view, const struct report *report,
		       const struct merge_interface *interfaces, size_t count)
{
	for (size_t i = 0; i < count; i++)
		add_place(view, report->interfaces[i].id);
	assert(view->place_count == count);
	view->interface_count = count;
	for (size_t i = 0; i < count; i++) {
		struct place *place = view_place(view, interfaces[i].id);

		place->role = interfaces[i].role;
		place->ifindex = interfaces[i].ifindex;
		for (int h = 0; h < 2; h++) {
			const struct topology_hook *hook = &place->role->hook[h];

			for (size_t r = 0; r < hook->reference_count; r++)
				if (hook->references[r].id != TOPOLOGY_ANY)
					add_place(view, hook->references[r].id);
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

static void add_judged(struct view *view)
{
	for (size_t p = 0; p < view->interface_count; p++) {
		struct place *place = &view->places[p];

		for (int h = 0; h < 2; h++) {
			const struct topology_hook *hook = &place->role->hook[h];
			struct judged *judged = &view->judged[view->judged_count];

			if (hook->sight != SIGHT_JUDGED)
				continue;
			*judged = (struct judged){.place = (uint32_t)p,
						  .hook = h,
						  .stage = find_stage(hook, h),
						  .was_judged = debt_was_judged(&view->merge->owed,
										place->id, h)};
			view->any_judged |= judged->stage == STAGE_ANY;
			place->judged[h] = (uint32_t)view->judged_count++;
		}
	}
}

/*
 * Enters judged hook number j with a reference of its. A judged ingress hook has an egress hook as
 * a reference where the wire is inside this host (veth, macvlan): whatever leaves there arrives
 * here. To an egress hook another's EGRESS is a reference: what was received in sight is not in
 * the judged class.
 */
static void enter_reference(struct view *view, uint32_t j,
			    const struct topology_reference *reference, bool fill)
{
	struct place *place = view_place(view, reference->id);
	unsigned int first = reference->hook == HOOK_INGRESS ? FLOW_INGRESS : FLOW_EGRESS;
	unsigned int last = first;

	if (reference->hook == HOOK_EGRESS && view->judged[j].hook == HOOK_INGRESS)
		last = FLOW_EGRESS_REPEAT;
	for (unsigned int kind = first; kind <= last; kind++) {
		struct judge_list *list = &place->judges[kind];

		if (fill)
			view->judges[list->first + list->count] = j;
		list->count++;
	}
}

static void enter_references(struct view *view, bool fill)
{
	for (uint32_t j = 0; j < view->judged_count; j++) {
		const struct judged *judged = &view->judged[j];
		const struct topology_hook *hook =
			&view->places[judged->place].role->hook[judged->hook];

		for (size_t r = 0; r < hook->reference_count && judged->stage != STAGE_ANY; r++)
			enter_reference(view, j, &hook->references[r], fill);
	}
}

static int turn_references(struct view *view)
{
	uint32_t total = 0;

	enter_references(view, false);
	for (size_t p = 0; p < view->place_count; p++) {
		for (unsigned int kind = 0; kind < FLOW_CLASSES; kind++) {
			struct judge_list *list = &view->places[p].judges[kind];

			list->first = total;
			total += list->count;
			list->count = 0;
		}
	}
	view->judges = calloc(total + 1, sizeof(*view->judges));
	if (!view->judges)
		return -ENOMEM;
	enter_references(view, true);
	return 0;
}

struct hop {
	enum hook hook;
	int64_t height;
	uint32_t ifindex, place;
};

/* A packet climbs from ingress to ingress, then descends from egress to egress. */
static int compare_hops(const void *a, const void *b)
{
	const struct hop *x = a, *y = b;

	if (x->hook != y->hook)
		return (int)x->hook - (int)y->hook;
	if (x->height != y->height)
		return x->height < y->height ? -1 : 1;
	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	return (x->place > y->place) - (x->place < y->place);
}

static int rank_hooks(struct view *view)
{
	size_t count = 2 * view->interface_count;
	_free_ struct hop *hops = calloc(count + 1, sizeof(*hops));

	if (!hops)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct place *place = &view->places[i / 2];
		enum hook hook = i % 2 ? HOOK_EGRESS : HOOK_INGRESS;
		int64_t level = place->role->level;

		hops[i] = (struct hop){.hook = hook,
				       .height = hook == HOOK_INGRESS ? level : -level,
				       .ifindex = place->ifindex,
				       .place = (uint32_t)(i / 2)};
	}
	qsort(hops, count, sizeof(*hops), compare_hops);
	for (size_t i = 0; i < count; i++) {
		view->places[hops[i].place].rank[hops[i].hook] = (uint32_t)i;
		view->by_rank[i] = hops[i].place;
	}
	return 0;
}

static int view_init(struct view *view, const struct report *report,
		     const struct merge_interface *interfaces, size_t count)
{
	size_t places = count + reference_total(interfaces, count);

	view->places = calloc(places + 1, sizeof(*view->places));
	view->judged = calloc(2 * count + 1, sizeof(*view->judged));
	view->active = calloc(2 * count + 1, sizeof(*view->active));
	view->by_rank = calloc(2 * count + 1, sizeof(*view->by_rank));
	view->path = calloc(3 * count + 1, sizeof(*view->path));
	view->unattributed = calloc(count + 1, sizeof(*view->unattributed));
	if (!view->places || !view->judged || !view->active || !view->by_rank || !view->path ||
	    !view->unattributed || id_map_reserve(&view->by_id, places))
		return -ENOMEM;
	add_places(view, report, interfaces, count);
	add_judged(view);
	return turn_references(view) ?: rank_hooks(view);
}

static void view_clean(struct view *view)
{
	free(view->places);
	id_map_clean(&view->by_id);
	free(view->judged);
	free(view->judges);
	free(view->active);
	free(view->by_rank);
	free(view->path);
	free(view->unattributed);
}

static void count_first_sight(struct view *view, uint32_t place, unsigned int sender,
			      const struct flow_count *count)
{
	count_add(&view->counted[sender], count);
	if (view->reason != REASONS)
		count_add(&view->unattributed[place][view->reason], count);
}

static void activate(struct view *view, uint32_t j)
{
	struct judged *judged = &view->judged[j];

	if (judged->active)
		return;
	*judged = (struct judged){.place = judged->place,
				  .hook = judged->hook,
				  .stage = judged->stage,
				  .was_judged = judged->was_judged,
				  .active = true};
	view->active[view->active_count++] = j;
}

/* Counts what is a first sight for certain, and collects what has to be judged. */
static void sum_sights(struct view *view, const struct flow_entry *entry)
{
	flow_table_each_cell(cell, &view->merge->flows, entry)
	{
		const struct place *place = view_place(view, cell->id);
		struct flow_count count = cell_count(cell);
		enum hook hook = class_hook(cell->kind);

		assert(place && place->role);
		if (cell->kind == FLOW_EGRESS_REPEAT)
			continue;
		switch (place->role->hook[hook].sight) {
		case SIGHT_FIRST:
			count_first_sight(view, (uint32_t)(place - view->places), cell->sender,
					  &count);
			break;
		case SIGHT_REPEAT:
			break;
		case SIGHT_JUDGED:
			activate(view, place->judged[hook]);
			count_add(&view->judged[place->judged[hook]].own[cell->sender], &count);
			break;
		}
	}
}

static void add_seen(struct seen *seen, const struct flow_cell *cell)
{
	struct flow_count count = cell_count(cell);

	count_add(cell->kind == FLOW_EGRESS_REPEAT ? &seen->repeats : &seen->first, &count);
}

static void sum_references(struct view *view, const struct flow_entry *entry)
{
	flow_table_each_cell(cell, &view->merge->flows, entry)
	{
		const struct judge_list *list = &view_place(view, cell->id)->judges[cell->kind];

		for (uint32_t i = 0; i < list->count; i++) {
			struct judged *judged = &view->judged[view->judges[list->first + i]];

			if (judged->active)
				add_seen(&judged->seen[cell->sender], cell);
		}
	}
}

static void take_owed(struct view *view, const struct place *place, const struct flow_cell *cell)
{
	uint32_t j = place->judged[cell->kind == OWED_INGRESS ? HOOK_INGRESS : HOOK_EGRESS];

	if (j == NONE || !view->judged[j].active)
		return;
	view->judged[j].owed[cell->sender] = cell_count(cell);
	view->judged[j].owed_known[cell->sender] = true;
}

static void take_owed_reference(struct view *view, const struct place *place,
				const struct flow_cell *cell)
{
	const struct judge_list *list = &place->judges[cell->kind];

	for (uint32_t i = 0; i < list->count; i++) {
		struct judged *judged = &view->judged[view->judges[list->first + i]];

		if (judged->active)
			add_seen(&judged->seen_before[cell->sender], cell);
	}
}

static void sum_owed(struct view *view, const struct flow_key *key, uint32_t hash)
{
	const struct debt *owed = &view->merge->owed;
	const struct flow_entry *entry = flow_table_find(&owed->flows, key, hash);

	memset(view->counted_before, 0, sizeof(view->counted_before));
	if (!entry)
		return;
	flow_table_each_cell(cell, &owed->flows, entry)
	{
		const struct place *place = view_place(view, cell->id);

		if (cell->kind == OWED_COUNTED)
			view->counted_before[cell->sender] = cell_count(cell);
		else if (!place)
			continue;
		else if (cell->kind == OWED_INGRESS || cell->kind == OWED_EGRESS)
			take_owed(view, place, cell);
		else
			take_owed_reference(view, place, cell);
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
static void settle(struct view *view, struct judged *judged, unsigned int sender)
{
	const struct flow_count *own = &judged->own[sender];
	struct flow_count *owed = &judged->owed[sender];
	struct flow_count seen, first;

	if (is_zero(own))
		return;
	seen = references_seen(judged, &judged->seen[sender], &view->counted[sender]);
	if (judged->was_judged && !judged->owed_known[sender])
		*owed = references_seen(judged, &judged->seen_before[sender],
					&view->counted_before[sender]);
	first.bytes = excess(own->bytes, seen.bytes + owed->bytes);
	first.packets = excess(own->packets, seen.packets + owed->packets);
	owed->bytes = smaller(excess(seen.bytes + owed->bytes, own->bytes), seen.bytes);
	owed->packets = smaller(excess(seen.packets + owed->packets, own->packets), seen.packets);
	count_first_sight(view, judged->place, sender, &first);
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void sort_numbers(uint32_t *numbers, size_t n)
{
	if (n > SORT_SMALL) {
		qsort(numbers, n, sizeof(*numbers), compare_numbers);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		uint32_t number = numbers[i];
		size_t at = i;

		for (; at && numbers[at - 1] > number; at--)
			numbers[at] = numbers[at - 1];
		numbers[at] = number;
	}
}

/* When to judge it for a sender: what depends on what was counted waits for that. */
static enum stage find_turn(const struct judged *judged, unsigned int sender)
{
	if (judged->stage == STAGE_COUNTED && is_zero(&judged->seen[sender].repeats))
		return STAGE_SEEN;
	return judged->stage;
}

/* In a fixed order, as hooks that are judged by what was counted add to it for each other. */
static void judge(struct view *view, const struct flow_entry *entry, uint32_t hash)
{
	sum_references(view, entry);
	sum_owed(view, &entry->key, hash);
	sort_numbers(view->active, view->active_count);
	for (unsigned int stage = 0; stage < STAGES; stage++) {
		for (size_t i = 0; i < view->active_count; i++) {
			struct judged *judged = &view->judged[view->active[i]];

			for (unsigned int sender = 0; sender < 2; sender++)
				if (find_turn(judged, sender) == stage)
					settle(view, judged, sender);
		}
	}
}

static int owe(struct view *view, const struct flow_key *key, uint32_t hash, uint32_t id,
	       unsigned int sender, unsigned int kind, struct flow_count count)
{
	struct flow_table *flows = &view->owing->flows;
	int err = flow_table_reserve(flows, 1, 1);

	if (!err)
		flow_table_append(flows, flow_table_insert(flows, key, hash), id, sender, kind,
				  count);
	return err;
}

/* Keeps what the next interval needs to know of this flow. */
static int keep_owed(struct view *view, const struct flow_entry *entry, uint32_t hash)
{
	const struct flow_key *key = &entry->key;
	bool keep_counted = view->any_judged;
	int err = 0;

	flow_table_each_cell(cell, &view->merge->flows, entry)
	{
		if (!view_place(view, cell->id)->judges[cell->kind].count || err)
			continue;
		keep_counted |= cell->kind == FLOW_EGRESS_REPEAT;
		err = owe(view, key, hash, cell->id, cell->sender, cell->kind, cell_count(cell));
	}
	for (unsigned int sender = 0; sender < 2; sender++) {
		for (size_t i = 0; i < view->active_count && !err; i++) {
			const struct judged *judged = &view->judged[view->active[i]];

			if (!is_zero(&judged->own[sender]))
				err = owe(view, key, hash, view->places[judged->place].id, sender,
					  judged->hook == HOOK_INGRESS ? OWED_INGRESS : OWED_EGRESS,
					  judged->owed[sender]);
		}
		if (keep_counted && !is_zero(&view->counted[sender]) && !err)
			err = owe(view, key, hash, TOPOLOGY_ANY, sender, OWED_COUNTED,
				  view->counted[sender]);
	}
	return err;
}

/* Leaves in view->counted what of the flow is counted here. */
static int count_flow(struct view *view, const struct flow_entry *entry)
{
	uint32_t hash = 0;
	int err = 0;

	memset(view->counted, 0, sizeof(view->counted));
	view->reason = REASONS;
	if (entry->key.family == FLOW_UNATTRIBUTED && entry->key.protocol < FLOW_REASONS)
		view->reason = entry->key.protocol;
	sum_sights(view, entry);
	if (view->judged_count)
		hash = flow_table_hash(&view->merge->flows, &entry->key);
	if (view->active_count)
		judge(view, entry, hash);
	if (view->judged_count)
		err = keep_owed(view, entry, hash);
	while (view->active_count)
		view->judged[view->active[--view->active_count]].active = false;
	return err;
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

static bool is_ephemeral(const struct merge_ends *ends, __be16 port)
{
	uint16_t number = ntohs(port);

	return number >= ends->ephemeral_first && number <= ends->ephemeral_last;
}

static uint8_t left_end(const struct merge_ends *ends, const struct flow_key *key)
{
	bool is_client[2] = {false, false};

	for (int end = 0; end < 2 && has_ports(key->protocol); end++)
		is_client[end] = is_ephemeral(ends, key->port[end]);
	if (is_client[0] == is_client[1])
		for (int end = 0; end < 2; end++)
			is_client[end] = local_set_has(ends->locals, key->addr[end].bytes);
	return is_client[1] && !is_client[0];
}

/* The hooks that saw what one end sent, as ranks in ascending order. */
static size_t find_path(struct view *view, const struct flow_entry *entry, unsigned int sender)
{
	size_t n = 0;

	flow_table_each_cell(cell, &view->merge->flows, entry)
	{
		if (cell->sender == sender)
			view->path[n++] = view_place(view, cell->id)->rank[class_hook(cell->kind)];
	}
	sort_numbers(view->path, n);
	return n;
}

static void cross(struct view *view, struct report *report, struct report_flow *flow, uint32_t rank)
{
	uint32_t serial = (uint32_t)report->flow_count + 1;
	struct place *place = &view->places[view->by_rank[rank]];

	if (place->visited == serial)
		return;
	place->visited = serial;
	report->crossed[report->crossed_count++] = view->by_rank[rank];
	flow->interface_count++;
}

static void list_crossed(struct view *view, struct report *report, struct report_flow *flow,
			 const struct flow_entry *entry)
{
	size_t n;

	flow->interface_first = (uint32_t)report->crossed_count;
	n = find_path(view, entry, flow->left);
	for (size_t i = 0; i < n; i++)
		cross(view, report, flow, view->path[i]);
	n = find_path(view, entry, !flow->left);
	while (n)
		cross(view, report, flow, view->path[--n]);
}

static void list_flow(struct view *view, struct report *report, const struct flow_entry *entry)
{
	struct report_flow *flow = &report->flows[report->flow_count];

	*flow = (struct report_flow){.key = entry->key, .left = left_end(view->ends, &entry->key)};
	for (int end = 0; end < 2; end++) {
		flow->sent[end] = view->counted[end];
		count_add(&report->total, &view->counted[end]);
	}
	list_crossed(view, report, flow, entry);
	report->flow_count++;
}

/* Loads the first two cells of flows to come, in two steps: one leads to the other. */
static void prefetch_cells(const struct flow_table *flows, size_t i)
{
	const struct flow_cell *cell;

	if (i + 16 >= flows->entry_count)
		return;
	__builtin_prefetch(&flows->cells[flows->entries[i + 16].first_cell]);
	cell = &flows->cells[flows->entries[i + 8].first_cell];
	if (cell->next != FLOW_CELL_NONE)
		__builtin_prefetch(&flows->cells[cell->next]);
}

static int list_flows(struct view *view, struct report *report)
{
	const struct flow_table *flows = &view->merge->flows;
	int err;

	report->flows = malloc((flows->entry_count + 1) * sizeof(*report->flows));
	report->crossed = malloc((flows->cell_count + 1) * sizeof(*report->crossed));
	if (!report->flows || !report->crossed)
		return -ENOMEM;
	for (size_t i = 0; i < flows->entry_count; i++) {
		const struct flow_entry *entry = &flows->entries[i];

		prefetch_cells(flows, i);
		err = count_flow(view, entry);
		if (err)
			return err;
		/* nothing: all of it was counted elsewhere, under another tuple where NAT is */
		if (entry->key.family != FLOW_UNATTRIBUTED &&
		    (view->counted[0].packets || view->counted[1].packets))
			list_flow(view, report, entry);
	}
	return 0;
}

static int list_unattributed(struct view *view, struct report *report,
			     const struct merge_interface *interfaces)
{
	static const char *const names[REASONS] = {[FLOW_NON_IP] = "non_ip",
						   [FLOW_MALFORMED] = "malformed",
						   [FLOW_MAP_FULL] = "map_full",
						   [FLOW_REASONS] = "before_attach"};
	size_t count = view->interface_count;

	report->unattributed = malloc((count * REASONS + 1) * sizeof(*report->unattributed));
	if (!report->unattributed)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		view->unattributed[view_place(view, interfaces[i].id) - view->places]
				  [FLOW_REASONS] = interfaces[i].before_attach;
	for (size_t i = 0; i < count; i++) {
		for (unsigned int reason = 0; reason < REASONS; reason++) {
			const struct flow_count *sum = &view->unattributed[i][reason];

			if (sum->packets)
				report->unattributed[report->unattributed_count++] =
					(struct report_unattributed){.interface = (uint32_t)i,
								     .reason = names[reason],
								     .count = *sum};
		}
	}
	return 0;
}

/* A flow to be sorted by number, ascending. */
struct sort_item {
	uint64_t number;
	uint32_t flow;
};

/* One byte of the number at a time, lowest first, without those that all have in common. */
static void radix_sort(struct sort_item *items, struct sort_item *scratch, size_t n)
{
	struct sort_item *from = items, *to = scratch;

	for (int shift = 0; shift < 64; shift += 8) {
		size_t at[256] = {0}, sum = 0;

		for (size_t i = 0; i < n; i++)
			at[from[i].number >> shift & 0xff]++;
		if (at[from[0].number >> shift & 0xff] == n)
			continue;
		for (int value = 0; value < 256; value++) {
			size_t count = at[value];

			at[value] = sum;
			sum += count;
		}
		for (size_t i = 0; i < n; i++)
			to[at[from[i].number >> shift & 0xff]++] = from[i];
		from = to;
		to = from == items ? scratch : items;
	}
	if (from != items)
		memcpy(items, from, n * sizeof(*items));
}

static const uint8_t *key_bytes(const struct report *report, const struct sort_item *item)
{
	return (const uint8_t *)&report->flows[item->flow].key;
}

/* How many bytes from the first on all keys have in common. */
static size_t common_prefix(const struct report *report, const struct sort_item *items, size_t n)
{
	const uint8_t *first = key_bytes(report, &items[0]);
	size_t common = sizeof(struct flow_key);

	for (size_t i = 1; i < n; i++) {
		const uint8_t *key = key_bytes(report, &items[i]);

		for (size_t at = 0; at < common; at++)
			if (key[at] != first[at])
				common = at;
	}
	return common;
}

static void insertion_sort(const struct report *report, struct sort_item *items, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct sort_item item = items[i];
		size_t at = i;

		for (; at && memcmp(key_bytes(report, &items[at - 1]), key_bytes(report, &item),
				    sizeof(struct flow_key)) > 0;
		     at--)
			items[at] = items[at - 1];
		items[at] = item;
	}
}

/* Items of equal number follow each other: puts them in the order of their keys, eight bytes at a
 * time, so at most six deep. */
static void sort_ties(const struct report *report, struct sort_item *items,
		      struct sort_item *scratch, size_t n)
{
	for (size_t first = 0, end; first < n; first = end) {
		struct sort_item *run = &items[first];
		size_t count, from;

		for (end = first + 1; end < n && items[end].number == run->number;)
			end++;
		count = end - first;
		if (count <= SORT_SMALL) {
			insertion_sort(report, run, count);
			continue;
		}
		from = smaller(common_prefix(report, run, count), sizeof(struct flow_key) - 8);
		for (size_t i = 0; i < count; i++) {
			memcpy(&run[i].number, key_bytes(report, &run[i]) + from, 8);
			run[i].number = be64toh(run[i].number);
		}
		radix_sort(run, scratch, count);
		sort_ties(report, run, scratch, count);
	}
}

/* Moves the flows themselves to where items say, in place: there may be a million. */
static void permute(struct report *report, struct sort_item *items)
{
	for (size_t i = 0; i < report->flow_count; i++) {
		struct report_flow flow = report->flows[i];
		size_t at = i;

		while (items[at].flow != i) {
			size_t from = items[at].flow;

			report->flows[at] = report->flows[from];
			items[at].flow = (uint32_t)at;
			at = from;
		}
		report->flows[at] = flow;
		items[at].flow = (uint32_t)at;
	}
}

static int sort_flows(struct report *report)
{
	size_t n = report->flow_count;
	_free_ struct sort_item *items = malloc((n + 1) * sizeof(*items));
	_free_ struct sort_item *scratch = malloc((n + 1) * sizeof(*scratch));

	if (!items || !scratch)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct report_flow *flow = &report->flows[i];

		items[i].number = ~(flow->sent[0].bytes + flow->sent[1].bytes);
		items[i].flow = (uint32_t)i;
	}
	if (!n)
		return 0;
	radix_sort(items, scratch, n);
	sort_ties(report, items, scratch, n);
	permute(report, items);
	return 0;
}

/* The hooks judged now, so that the next interval knows for whom the cells speak. */
static int keep_judged(struct view *view)
{
	struct debt *owing = view->owing;
	struct hook_id *judged = calloc(view->judged_count + 1, sizeof(*judged));

	if (!judged)
		return -ENOMEM;
	for (size_t j = 0; j < view->judged_count; j++)
		judged[j] = (struct hook_id){.id = view->places[view->judged[j].place].id,
					     .hook = view->judged[j].hook};
	qsort(judged, view->judged_count, sizeof(*judged), compare_hook_ids);
	free(owing->judged);
	owing->judged = judged;
	owing->judged_count = view->judged_count;
	return 0;
}

int merge_report(struct merge *merge, const struct merge_interface *interfaces, size_t count,
		 const struct merge_ends *ends, struct report *report)
{
	struct view view = {.merge = merge, .ends = ends, .owing = &merge->owing};
	int err;

	*report = (struct report){0};
	debt_reset(&merge->owing);
	err = list_interfaces(report, interfaces, count);
	if (!err)
		err = view_init(&view, report, interfaces, count);
	if (!err)
		err = list_flows(&view, report);
	if (!err)
		err = list_unattributed(&view, report, interfaces);
	if (!err)
		err = sort_flows(report);
	if (!err)
		err = keep_judged(&view);
	view_clean(&view);
	report->named = report->flow_count;
	if (err) {
		debt_reset(&merge->owing);
		report_clean(report);
	}
	return err;
}

void report_limit(struct report *report, size_t n)
{
	report->named = n && n < report->flow_count ? n : report->flow_count;
	report->other = (struct flow_count){0};
	for (size_t i = report->named; i < report->flow_count; i++)
		for (int end = 0; end < 2; end++)
			count_add(&report->other, &report->flows[i].sent[end]);
}

void report_clean(struct report *report)
{
	free(report->interfaces);
	free(report->flows);
	free(report->crossed);
	free(report->unattributed);
	*report = (struct report){0};
}
