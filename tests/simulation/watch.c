// SPDX-License-Identifier: GPL-2.0-only
#include "tests/simulation/watch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char names[LINKS_MAX][4] = {"d1",	"d2",  "d3",  "d4",  "d5",  "d6",  "d7",  "d8",
					 "d9",	"d10", "d11", "d12", "d13", "d14", "d15", "d16",
					 "d17", "d18", "d19", "d20", "d21", "d22", "d23", "d24"};

/* A failure here is one of memory. */
static void must(int err)
{
	if (err)
		abort();
}

/* Whether the judged hooks of one link must be swapped before the other link. */
static bool is_judged_against(const struct topology_role *judge, const struct topology_role *other)
{
	for (int h = 0; h < HOOKS; h++) {
		const struct topology_hook *hook = &judge->hook[h];

		for (size_t r = 0; r < hook->reference_count; r++)
			if (hook->references[r].id == other->id ||
			    hook->references[r].id == TOPOLOGY_ANY)
				return true;
	}
	return false;
}

static void find_order(struct watch *watch)
{
	for (size_t i = 0; i < watch->count; i++) {
		watch->before[i] = 0;
		for (size_t j = 0; j < watch->count; j++)
			if (i != j && watch->roles[i].id && watch->roles[j].id &&
			    is_judged_against(&watch->roles[j], &watch->roles[i]))
				watch->before[i] |= 1U << j;
	}
}

size_t watch_next_to_swap(const struct watch *watch, const struct host *host, uint32_t swapped)
{
	size_t next = NO_LINK;

	for (size_t i = 0; i < host->count; i++)
		if (!(swapped >> i & 1) && host->links[i].id &&
		    (next == NO_LINK || watch->roles[i].swap_rank < watch->roles[next].swap_rank))
			next = i;
	return next;
}

bool watch_is_circular(const struct watch *watch, const struct host *host)
{
	uint32_t swapped = 0;
	size_t next;

	while ((next = watch_next_to_swap(watch, host, swapped)) != NO_LINK) {
		if (watch->before[next] & ~swapped)
			return true;
		swapped |= 1U << next;
	}
	return false;
}

static void free_roles(struct topology_role *roles, size_t count)
{
	for (size_t i = 0; i < count; i++)
		topology_role_clean(&roles[i]);
}

static void take_roles(struct watch *watch, const struct topology_role *roles, size_t count)
{
	memcpy(watch->roles, roles, count * sizeof(*roles));
	watch->count = count;
	find_order(watch);
}

void watch_init(struct watch *watch, struct host *host)
{
	struct topology_role roles[LINKS_MAX];

	watch->ended_count = 0;
	watch->last_id = 100;
	watch->era = 1;
	watch->count = 0;
	memset(watch->shown, 0, sizeof(watch->shown));
	must(merge_new(&watch->merge));
	for (size_t i = 0; i < LINKS_MAX; i++)
		watch->maps[i].count = 0;
	for (size_t i = 0; i < host->count; i++) {
		host->links[i].id = host->monitored[i] ? ++watch->last_id : 0;
		watch->lives[i] = host->links[i].id;
		watch->eras[i] = watch->era;
	}
	must(topology_resolve(host->links, host->count, roles));
	take_roles(watch, roles, host->count);
}

static void forget_ended(struct watch *watch)
{
	while (watch->ended_count)
		topology_role_clean(&watch->ended[--watch->ended_count].role);
}

static void empty_map(struct map *map)
{
	while (map->count)
		map->places[map->numbers[--map->count]] = 0;
}

void watch_clean(struct watch *watch)
{
	for (size_t i = 0; i < watch->count; i++)
		empty_map(&watch->maps[i]);
	free_roles(watch->roles, watch->count);
	forget_ended(watch);
	merge_free(watch->merge);
}

static struct flow_value *map_value(struct map *map, unsigned int number,
				    const struct flow_key *key)
{
	if (!map->places[number]) {
		map->keys[map->count] = *key;
		map->keys[map->count].unsure = number % 2;
		map->values[map->count] = (struct flow_value){0};
		map->numbers[map->count] = (uint8_t)number;
		map->places[number] = (uint8_t)++map->count;
	}
	return &map->values[map->places[number] - 1];
}

static enum flow_class classify(const struct watch *watch, const struct step *step)
{
	if (step->hook == HOOK_INGRESS)
		return FLOW_INGRESS;
	if (step->iif ? watch->roles[step->iif - 1].covered : watch->roles[step->link].born_repeat)
		return FLOW_EGRESS_REPEAT;
	return FLOW_EGRESS;
}

void watch_see(struct watch *watch, const struct host *host, const struct step *step,
	       unsigned int number, const struct flow_key *key, unsigned int end, uint32_t size)
{
	struct flow_count *count;

	if (!host->links[step->link].id)
		return;
	number = 2 * number + step_is_unsure(host, watch->roles, step);
	count = &map_value(&watch->maps[step->link], number, key)
			 ->count[end][classify(watch, step)];
	count->bytes += size;
	count->packets++;
}

void watch_swap(struct watch *watch, const struct host *host, size_t link)
{
	struct map *map = &watch->maps[link];

	if (map->count)
		must(merge_add(watch->merge, host->links[link].id, map->keys, map->values,
			       map->count));
	for (size_t i = 0; i < map->count; i++)
		watch->shown[map->numbers[i] / 2] |= 1U << link;
	empty_map(map);
}

static struct merge_interface describe(const struct watch *watch, const struct host *host,
				       size_t link, const struct topology_role *role)
{
	return (struct merge_interface){.id = host->links[link].id,
					.life = watch->lives[link],
					.era = watch->eras[link],
					.ifindex = host->links[link].ifindex,
					.name = names[link],
					.role = role};
}

/* What was counted keeps its id and its role. */
static void end_phase(struct watch *watch, const struct host *host, size_t link)
{
	struct phase *phase = &watch->ended[watch->ended_count++];

	assert(watch->ended_count < PHASES_MAX);
	watch_swap(watch, host, link);
	phase->role = watch->roles[link];
	phase->interface = describe(watch, host, link, &phase->role);
	watch->roles[link] = (struct topology_role){0};
}

static bool is_judged(const struct topology_role *role)
{
	bool judged = false;

	for (int h = 0; role->id && h < HOOKS; h++)
		judged |= role->hook[h].sight == SIGHT_JUDGED;
	return judged;
}

/*
 * The links whose roles change. Where a hook is judged, all that it is judged by must be of its
 * time, and what counts as covered too: then all. Returns how many.
 */
static size_t find_changed(const struct watch *watch, const struct host *host,
			   const struct topology_role *now, bool monitored_changed,
			   bool judged_before, bool *changed)
{
	bool judged = judged_before, any = monitored_changed;
	size_t count = 0;

	for (size_t i = 0; i < host->count; i++)
		judged |= is_judged(&now[i]);
	for (size_t i = 0; i < watch->count; i++) {
		changed[i] = host->links[i].id && watch->roles[i].id &&
			     !topology_role_same(&watch->roles[i], &now[i]);
		any |= changed[i] || !topology_class_same(&watch->roles[i], &now[i]);
	}
	for (size_t i = 0; i < watch->count; i++) {
		changed[i] |= any && judged && host->links[i].id && watch->roles[i].id;
		count += changed[i];
	}
	return count;
}

/* As the supervisor's: those that are not wanted any more end, then the new ones get ids. */
static bool change_monitored(struct watch *watch, struct host *host)
{
	bool any = false;

	for (size_t i = 0; i < watch->count; i++) {
		if (!host->links[i].id || host->monitored[i])
			continue;
		end_phase(watch, host, i);
		host->links[i].id = 0;
		any = true;
	}
	for (size_t i = 0; i < host->count; i++) {
		if (host->links[i].id || !host->monitored[i])
			continue;
		host->links[i].id = watch->lives[i] = ++watch->last_id;
		any = true;
	}
	return any;
}

static void rename_changed(struct watch *watch, struct host *host, const bool *changed)
{
	for (size_t i = 0; i < watch->count; i++) {
		if (!changed[i])
			continue;
		end_phase(watch, host, i);
		host->links[i].id = ++watch->last_id;
		watch->eras[i] = watch->era;
	}
}

void watch_change(struct watch *watch, struct host *host)
{
	struct topology_role now[LINKS_MAX];
	bool changed[LINKS_MAX] = {false}, judged = false, monitored_changed;
	size_t count;

	for (size_t i = 0; i < watch->count; i++)
		judged |= is_judged(&watch->roles[i]);
	monitored_changed = change_monitored(watch, host);
	must(topology_resolve(host->links, host->count, now));
	count = find_changed(watch, host, now, monitored_changed, judged, changed);
	watch->era += count || monitored_changed;
	for (size_t i = 0; i < host->count; i++)
		if (host->links[i].id && (i >= watch->count || !watch->roles[i].id))
			watch->eras[i] = watch->era;
	if (count) {
		rename_changed(watch, host, changed);
		free_roles(now, host->count);
		must(topology_resolve(host->links, host->count, now));
	}
	free_roles(watch->roles, watch->count);
	take_roles(watch, now, host->count);
}

static size_t list_interfaces(const struct watch *watch, const struct host *host,
			      struct merge_interface *interfaces)
{
	size_t count = 0;

	for (size_t i = 0; i < watch->ended_count; i++)
		interfaces[count++] = watch->ended[i].interface;
	for (size_t i = 0; i < host->count; i++)
		if (host->links[i].id)
			interfaces[count++] = describe(watch, host, i, &watch->roles[i]);
	return count;
}

void watch_sum_smallest(struct watch *watch, const struct host *host, const struct merge_ends *ends)
{
	struct merge_interface interfaces[PHASES_MAX + LINKS_MAX];
	size_t count = list_interfaces(watch, host, interfaces);

	must(merge_sum_smallest(watch->merge, interfaces, count, ends));
}

void watch_report(struct watch *watch, const struct host *host, const struct merge_ends *ends,
		  struct report *report)
{
	struct merge_interface interfaces[PHASES_MAX + LINKS_MAX];
	size_t count = list_interfaces(watch, host, interfaces);

	must(merge_report(watch->merge, interfaces, count, ends, report));
}

void watch_next_interval(struct watch *watch)
{
	forget_ended(watch);
	memset(watch->shown, 0, sizeof(watch->shown));
	merge_next_interval(watch->merge);
}
