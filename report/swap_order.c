// SPDX-License-Identifier: GPL-2.0-only
#include "report/swap_order.h"

#include "lib/cleanup.h"
#include "report/id_map.h"
#include "report/topology.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct ranking {
	struct topology_role *roles; /* borrowed */
	size_t count;
	struct id_map by_id; /* to roles */
	uint32_t *waits;     /* owned; by role: how many judge it that have no rank yet */
	uint32_t *order;     /* owned; roles by rank */
	bool *placed;	     /* owned; by role */
	size_t placed_count;
};

static bool is_judged_by_any(const struct topology_role *role)
{
	for (int h = 0; h < HOOKS; h++)
		if (topology_hook_any(&role->hook[h]))
			return true;
	return false;
}

static void place(struct ranking *ranking, size_t i)
{
	if (ranking->placed[i])
		return;
	ranking->placed[i] = true;
	ranking->roles[i].swap_rank = (unsigned int)ranking->placed_count;
	ranking->order[ranking->placed_count++] = (uint32_t)i;
}

/* Those that the role is judged by wait for it, or no longer do. */
static void visit_references(struct ranking *ranking, size_t i, bool release)
{
	const struct topology_role *role = &ranking->roles[i];

	for (int h = 0; h < HOOKS; h++) {
		for (size_t r = 0; r < role->hook[h].reference_count; r++) {
			uint32_t j = id_map_get(&ranking->by_id, role->hook[h].references[r].id);

			if (j == ID_MAP_NONE || j == i)
				continue;
			if (!release)
				ranking->waits[j]++;
			else if (!--ranking->waits[j])
				place(ranking, j);
		}
	}
}

static void place_all(struct ranking *ranking)
{
	size_t done = 0, next = 0;

	/* what is judged by anything comes before anything */
	for (size_t i = 0; i < ranking->count; i++)
		if (is_judged_by_any(&ranking->roles[i]))
			place(ranking, i);
	for (size_t i = 0; i < ranking->count; i++)
		visit_references(ranking, i, false);
	for (size_t i = 0; i < ranking->count; i++)
		if (!ranking->waits[i])
			place(ranking, i);
	while (done < ranking->count) {
		while (done < ranking->placed_count)
			visit_references(ranking, ranking->order[done++], true);
		/* they are each other's references */
		while (next < ranking->count && ranking->placed[next])
			next++;
		if (next < ranking->count)
			place(ranking, next);
	}
}

int swap_order_rank(struct topology_role *roles, size_t count)
{
	_free_ uint32_t *waits = calloc(count + 1, sizeof(*waits));
	_free_ uint32_t *order = calloc(count + 1, sizeof(*order));
	_free_ bool *placed = calloc(count + 1, sizeof(*placed));
	struct ranking ranking = {
		.roles = roles, .count = count, .waits = waits, .order = order, .placed = placed};

	if (!waits || !order || !placed || id_map_reserve(&ranking.by_id, count))
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (roles[i].id)
			id_map_put(&ranking.by_id, roles[i].id, (uint32_t)i);
	place_all(&ranking);
	id_map_clean(&ranking.by_id);
	return 0;
}
