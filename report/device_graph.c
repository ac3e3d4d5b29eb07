// SPDX-License-Identifier: GPL-2.0-only
#include "report/device_graph.h"

#include "lib/array.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ifindex_entry {
	uint32_t ifindex;
	size_t node;
};

bool kind_is_one_of(const char *kind, const char *const *kinds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

/* IFLA_LINK is the device that carries the same packets. (A tunnel's carrier carries others.) */
static bool kind_is_stacked(const char *kind)
{
	static const char *const kinds[] = {"vlan",   "macvlan", "macvtap",
					    "ipvlan", "ipvtap",	 "macsec"};

	return kind_is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

/* IFLA_LINK is the other end: what one sends the other receives. */
static bool kind_is_pair(const char *kind)
{
	static const char *const kinds[] = {"veth", "netkit"};

	return kind_is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

/* Its ports carry its packets inside of others, like a tunnel's carrier. */
static bool kind_is_carried(const char *kind)
{
	return !strcmp(kind, "batadv");
}

static int compare_ifindex(const void *a, const void *b)
{
	const struct ifindex_entry *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

static size_t find_node(const struct ifindex_entry *index, size_t count, uint32_t ifindex)
{
	struct ifindex_entry key = {.ifindex = ifindex};
	const struct ifindex_entry *found;

	found = ifindex ? bsearch(&key, index, count, sizeof(key), compare_ifindex) : NULL;
	return found ? found->node : DEVICE_NONE;
}

/* The kernel announces the second end of a new pair before it knows the first, and says nothing of
 * the one that stayed when the other end moves in: what either says goes for both. */
static void pair_up(struct device_graph *g)
{
	for (size_t i = 0; i < g->count; i++) {
		size_t peer = g->nodes[i].peer;

		if (peer != DEVICE_NONE && g->nodes[peer].peer == DEVICE_NONE &&
		    kind_is_pair(g->links[peer].kind))
			g->nodes[peer].peer = i;
	}
}

static int resolve_names(struct device_graph *g)
{
	_free_ struct ifindex_entry *index = calloc(g->count, sizeof(*index));

	if (!index)
		return -ENOMEM;
	for (size_t i = 0; i < g->count; i++)
		index[i] = (struct ifindex_entry){.ifindex = g->links[i].ifindex, .node = i};
	qsort(index, g->count, sizeof(*index), compare_ifindex);

	for (size_t i = 0; i < g->count; i++) {
		const struct topology_link *link = &g->links[i];
		struct device_node *node = &g->nodes[i];
		size_t other = DEVICE_NONE;

		if (!link->lower_in_other_netns)
			other = find_node(index, g->count, link->lower);
		node->master = find_node(index, g->count, link->master);
		if (node->master != DEVICE_NONE && kind_is_carried(g->links[node->master].kind))
			node->master = DEVICE_NONE;
		node->lower = kind_is_stacked(link->kind) ? other : DEVICE_NONE;
		node->peer = kind_is_pair(link->kind) ? other : DEVICE_NONE;
	}
	pair_up(g);
	return 0;
}

static void add_edge(struct device_graph *g, size_t upper, size_t lower, bool fill)
{
	struct device_node *u = &g->nodes[upper], *l = &g->nodes[lower];

	if (fill) {
		g->lowers[u->first_lower + u->lower_count] = lower;
		g->uppers[l->first_upper + l->upper_count] = upper;
	}
	u->lower_count++;
	l->upper_count++;
}

static void add_edges(struct device_graph *g, bool fill)
{
	for (size_t i = 0; i < g->count; i++) {
		if (g->nodes[i].master != DEVICE_NONE)
			add_edge(g, g->nodes[i].master, i, fill);
		if (g->nodes[i].lower != DEVICE_NONE)
			add_edge(g, i, g->nodes[i].lower, fill);
	}
}

static void connect_nodes(struct device_graph *g)
{
	size_t lower = 0, upper = 0;

	add_edges(g, false);
	for (size_t i = 0; i < g->count; i++) {
		struct device_node *node = &g->nodes[i];

		node->first_lower = lower;
		node->first_upper = upper;
		lower += node->lower_count;
		upper += node->upper_count;
		node->lower_count = node->upper_count = 0;
	}
	add_edges(g, true);
}

/* Drops the edges that lead back down, and what they were made of. */
static void cut_loops(struct device_graph *g)
{
	for (size_t i = 0; i < g->count; i++) {
		struct device_node *node = &g->nodes[i];
		size_t kept = 0;

		for (size_t e = 0; e < node->lower_count; e++) {
			size_t lower = g->lowers[node->first_lower + e];

			if (g->nodes[lower].position < node->position)
				g->lowers[node->first_lower + kept++] = lower;
		}
		node->lower_count = kept;
		kept = 0;
		for (size_t e = 0; e < node->upper_count; e++) {
			size_t upper = g->uppers[node->first_upper + e];

			if (g->nodes[upper].position > node->position)
				g->uppers[node->first_upper + kept++] = upper;
		}
		node->upper_count = kept;
		if (node->master != DEVICE_NONE &&
		    g->nodes[node->master].position <= node->position)
			node->master = DEVICE_NONE;
		if (node->lower != DEVICE_NONE && g->nodes[node->lower].position >= node->position)
			node->lower = DEVICE_NONE;
	}
}

/* Puts the nodes in order, lower devices first (Kahn). A loop is entered at its first link. */
static int put_in_order(struct device_graph *g)
{
	_free_ size_t *missing = calloc(g->count, sizeof(*missing));
	size_t placed = 0, done = 0, next = 0;

	if (!missing)
		return -ENOMEM;
	for (size_t i = 0; i < g->count; i++) {
		missing[i] = g->nodes[i].lower_count;
		g->nodes[i].position = DEVICE_NONE;
	}
	for (size_t i = 0; i < g->count; i++) {
		if (missing[i])
			continue;
		g->order[placed] = i;
		g->nodes[i].position = placed++;
	}

	while (placed < g->count || done < placed) {
		const struct device_node *node;

		if (done == placed) {
			while (g->nodes[next].position != DEVICE_NONE)
				next++;
			g->order[placed] = next;
			g->nodes[next].position = placed++;
		}
		node = &g->nodes[g->order[done++]];
		device_graph_each_upper (upper, g, node) {
			if (--missing[*upper] || g->nodes[*upper].position != DEVICE_NONE)
				continue;
			g->order[placed] = *upper;
			g->nodes[*upper].position = placed++;
		}
	}
	cut_loops(g);
	return 0;
}

int device_graph_init(struct device_graph *graph, const struct topology_link *links, size_t count)
{
	int err;

	*graph = (struct device_graph){
		.links = links,
		.count = count,
		.nodes = calloc(count, sizeof(*graph->nodes)),
		/* at most two edges a link: to its master, to its lower device */
		.lowers = calloc(2 * count, sizeof(*graph->lowers)),
		.uppers = calloc(2 * count, sizeof(*graph->uppers)),
		.order = calloc(count, sizeof(*graph->order)),
	};
	if (!graph->nodes || !graph->lowers || !graph->uppers || !graph->order)
		return -ENOMEM;
	err = resolve_names(graph);
	if (err)
		return err;
	connect_nodes(graph);
	return put_in_order(graph);
}

void device_graph_clean(struct device_graph *graph)
{
	free(graph->nodes);
	free(graph->lowers);
	free(graph->uppers);
	free(graph->order);
}
