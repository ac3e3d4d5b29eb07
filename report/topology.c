// SPDX-License-Identifier: GPL-2.0-only
#include "report/topology.h"

#include "lib/cleanup.h"
#include "report/swap_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE SIZE_MAX

/* More references than this that every egress hook would share are TOPOLOGY_ANY instead. */
#define SHARED_REFERENCES_MAX 16

/*
 * References in all, per link, before lists become TOPOLOGY_ANY: a thousand ports of an unmonitored
 * bridge that carries a thousand VLANs would need a million.
 */
#define REFERENCES_PER_LINK 32

struct references {
	struct topology_reference *list; /* owned */
	size_t count, capacity;
	bool any; /* TOPOLOGY_ANY, whatever the list says */
};

struct node {
	size_t master, lower, peer; /* nodes, or NONE */
	size_t first_lower, lower_count;
	size_t first_upper, upper_count;
	size_t position; /* lower devices come first */
	bool covered, partial, born_repeat, tags;
	unsigned int level;
	struct references below; /* unmonitored: hooks that show first what is received on it */
	struct references above; /* unmonitored or born_repeat: that show first what is sent */
};

struct ifindex_entry {
	uint32_t ifindex;
	size_t node;
};

struct graph {
	const struct topology_link *links; /* borrowed */
	size_t count;
	struct node *nodes;
	size_t *lowers, *uppers;   /* edges, grouped by node */
	size_t *order;		   /* nodes, lower devices first */
	size_t budget;		   /* references that may still be listed */
	struct references partial; /* shown of what is received on devices covered in part */
	bool any_partial;	   /* there are such devices */
	bool any_unseen;	   /* there are devices that are not covered ... */
	bool any_unwatched;	   /* ... not monitored, both but for ifbs */
};

static bool is_one_of(const char *kind, const char *const *kinds, size_t n)
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

	return is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

/* IFLA_LINK is the other end: what one sends the other receives. */
static bool kind_is_pair(const char *kind)
{
	static const char *const kinds[] = {"veth", "netkit"};

	return is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

/* Its egress hook shows all that is born on it before a port's does. */
static bool kind_shows_born(const char *kind)
{
	static const char *const kinds[] = {"bridge", "bond", "team"};

	return is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

/* What one sends to another over the same device is received by that device first. */
static bool kind_hairpins(const char *kind)
{
	static const char *const kinds[] = {"macvlan", "macvtap"};

	return is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

/* What one sends to another over the same device is received by that one at once. */
static bool kind_crosses(const char *kind)
{
	static const char *const kinds[] = {"ipvlan", "ipvtap"};

	return is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

static bool is_kind(const struct graph *g, size_t node, const char *kind)
{
	return node != NONE && !strcmp(g->links[node].kind, kind);
}

static bool is_monitored(const struct graph *g, size_t node)
{
	return node != NONE && g->links[node].id;
}

static int compare_references(const void *a, const void *b)
{
	const struct topology_reference *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (int)x->hook - (int)y->hook;
}

/* Each reference once, in one order, so that equal sets are equal lists. */
static size_t sort_references(struct topology_reference *list, size_t count)
{
	size_t kept = 0;

	if (count)
		qsort(list, count, sizeof(*list), compare_references);
	for (size_t i = 0; i < count; i++)
		if (!kept || compare_references(&list[kept - 1], &list[i]))
			list[kept++] = list[i];
	return kept;
}

static void references_clean(struct references *refs)
{
	free(refs->list);
	*refs = (struct references){0};
}

static void references_any(struct references *refs)
{
	references_clean(refs);
	refs->any = true;
}

static int references_add(struct graph *g, struct references *refs, uint32_t id, enum hook hook)
{
	struct topology_reference *list;
	size_t capacity;

	if (refs->any)
		return 0;
	if (!g->budget) {
		references_any(refs);
		return 0;
	}
	if (refs->count == refs->capacity) {
		capacity = refs->capacity ? 2 * refs->capacity : 4;
		list = realloc(refs->list, capacity * sizeof(*list));
		if (!list)
			return -ENOMEM;
		refs->list = list;
		refs->capacity = capacity;
	}
	g->budget--;
	refs->list[refs->count++] = (struct topology_reference){.id = id, .hook = hook};
	return 0;
}

static int references_join(struct graph *g, struct references *refs, const struct references *other)
{
	int err = 0;

	if (other->any)
		references_any(refs);
	for (size_t i = 0; i < other->count && !err; i++)
		err = references_add(g, refs, other->list[i].id, other->list[i].hook);
	return err;
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
	return found ? found->node : NONE;
}

/* The kernel announces the second end of a new pair before it knows the first, and says nothing of
 * the one that stayed when the other end moves in: what either says goes for both. */
static void pair_up(struct graph *g)
{
	for (size_t i = 0; i < g->count; i++) {
		size_t peer = g->nodes[i].peer;

		if (peer != NONE && g->nodes[peer].peer == NONE &&
		    kind_is_pair(g->links[peer].kind))
			g->nodes[peer].peer = i;
	}
}

static int resolve_names(struct graph *g)
{
	_free_ struct ifindex_entry *index = calloc(g->count, sizeof(*index));

	if (!index)
		return -ENOMEM;
	for (size_t i = 0; i < g->count; i++)
		index[i] = (struct ifindex_entry){.ifindex = g->links[i].ifindex, .node = i};
	qsort(index, g->count, sizeof(*index), compare_ifindex);

	for (size_t i = 0; i < g->count; i++) {
		const struct topology_link *link = &g->links[i];
		struct node *node = &g->nodes[i];
		size_t other = NONE;

		if (!link->lower_abroad)
			other = find_node(index, g->count, link->lower);
		node->master = find_node(index, g->count, link->master);
		node->lower = kind_is_stacked(link->kind) ? other : NONE;
		node->peer = kind_is_pair(link->kind) ? other : NONE;
	}
	pair_up(g);
	return 0;
}

static void add_edge(struct graph *g, size_t upper, size_t lower, bool fill)
{
	struct node *u = &g->nodes[upper], *l = &g->nodes[lower];

	if (fill) {
		g->lowers[u->first_lower + u->lower_count] = lower;
		g->uppers[l->first_upper + l->upper_count] = upper;
	}
	u->lower_count++;
	l->upper_count++;
}

static void add_edges(struct graph *g, bool fill)
{
	for (size_t i = 0; i < g->count; i++) {
		if (g->nodes[i].master != NONE)
			add_edge(g, g->nodes[i].master, i, fill);
		if (g->nodes[i].lower != NONE)
			add_edge(g, i, g->nodes[i].lower, fill);
	}
}

static void connect(struct graph *g)
{
	size_t lower = 0, upper = 0;

	add_edges(g, false);
	for (size_t i = 0; i < g->count; i++) {
		struct node *node = &g->nodes[i];

		node->first_lower = lower;
		node->first_upper = upper;
		lower += node->lower_count;
		upper += node->upper_count;
		node->lower_count = node->upper_count = 0;
	}
	add_edges(g, true);
}

/* Drops the edges that lead back down, and what they were made of. */
static void cut_loops(struct graph *g)
{
	for (size_t i = 0; i < g->count; i++) {
		struct node *node = &g->nodes[i];
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
		if (node->master != NONE && g->nodes[node->master].position <= node->position)
			node->master = NONE;
		if (node->lower != NONE && g->nodes[node->lower].position >= node->position)
			node->lower = NONE;
	}
}

/* Puts the nodes in order, lower devices first (Kahn). A loop is entered at its first link. */
static int put_in_order(struct graph *g)
{
	_free_ size_t *missing = calloc(g->count, sizeof(*missing));
	size_t placed = 0, done = 0, next = 0;

	if (!missing)
		return -ENOMEM;
	for (size_t i = 0; i < g->count; i++) {
		missing[i] = g->nodes[i].lower_count;
		g->nodes[i].position = NONE;
	}
	for (size_t i = 0; i < g->count; i++) {
		if (missing[i])
			continue;
		g->order[placed] = i;
		g->nodes[i].position = placed++;
	}

	while (placed < g->count || done < placed) {
		struct node *node;

		if (done == placed) {
			while (g->nodes[next].position != NONE)
				next++;
			g->order[placed] = next;
			g->nodes[next].position = placed++;
		}
		node = &g->nodes[g->order[done++]];
		for (size_t e = 0; e < node->upper_count; e++) {
			size_t upper = g->uppers[node->first_upper + e];

			if (--missing[upper] || g->nodes[upper].position != NONE)
				continue;
			g->order[placed] = upper;
			g->nodes[upper].position = placed++;
		}
	}
	cut_loops(g);
	return 0;
}

static bool lowers_covered(const struct graph *g, const struct node *node)
{
	for (size_t e = 0; e < node->lower_count; e++)
		if (!g->nodes[g->lowers[node->first_lower + e]].covered)
			return false;
	return node->lower_count;
}

/* Its own hooks show what is received on it: those of a VRF do not fire for what its slaves
 * receive, though vrf_ip_rcv() makes the VRF the device of the packet. */
static bool shows_received(const struct graph *g, size_t i)
{
	return is_monitored(g, i) && !is_kind(g, i, "vrf");
}

/* Whether devices above that nobody here watches send to each other by way of it: nothing below
 * shows that. */
static bool is_turned_on(const struct graph *g, size_t i)
{
	const struct node *node = &g->nodes[i];
	bool unwatched = g->links[i].strangers;
	size_t siblings = unwatched;

	for (size_t e = 0; e < node->upper_count; e++) {
		size_t upper = g->uppers[node->first_upper + e];

		if (!kind_hairpins(g->links[upper].kind))
			continue;
		siblings++;
		unwatched |= !is_monitored(g, upper);
	}
	return unwatched && (siblings > 1 || g->links[i].strangers);
}

static bool is_covered(const struct graph *g, size_t i)
{
	if (shows_received(g, i) && !g->links[i].preceded)
		return true;
	/* without hardware offload the lower device shows ciphertext, which is no flow */
	if (is_kind(g, i, "macsec") || is_turned_on(g, i))
		return false;
	/* with it as iif leaves what tc redirected at egress: past a hook that showed it, by tcx */
	if (is_kind(g, i, "ifb"))
		return !g->any_unwatched;
	return is_monitored(g, g->nodes[i].peer) || lowers_covered(g, &g->nodes[i]);
}

/* Born packets come to a port through its uppers only; a repeat is certain if all of them show it.
 */
static bool is_born_repeat(const struct graph *g, const struct node *node)
{
	if (!is_monitored(g, node->master) || !kind_shows_born(g->links[node->master].kind))
		return false;
	for (size_t e = 0; e < node->upper_count; e++)
		if (!is_monitored(g, g->uppers[node->first_upper + e]))
			return false;
	return true;
}

/* Whether it notes at its egress what is born with a VLAN tag. One that is a port itself would know
 * what it noted again, as if its master had. */
static bool notes_tags(const struct graph *g, size_t i)
{
	return is_monitored(g, i) && kind_shows_born(g->links[i].kind) && g->links[i].keeps_tags &&
	       !g->nodes[i].born_repeat;
}

/* A VLAN of another network namespace may stand on a port, and nothing here tells of it but the
 * tags of frames that its master has not sent. Those of a VLAN of this namespace are not noted. */
static bool has_tags(const struct graph *g, size_t i)
{
	const struct node *node = &g->nodes[i];

	return notes_tags(g, i) ||
	       (node->born_repeat && node->upper_count == 1 && notes_tags(g, node->master));
}

static void resolve_flags(struct graph *g)
{
	for (size_t i = 0; i < g->count; i++)
		g->any_unwatched |= !is_monitored(g, i) && !is_kind(g, i, "ifb");
	for (size_t p = 0; p < g->count; p++) {
		size_t i = g->order[p];
		struct node *node = &g->nodes[i];

		node->covered = is_covered(g, i);
		g->any_unseen |= !node->covered && !is_kind(g, i, "ifb") &&
				 (!is_monitored(g, i) || g->links[i].preceded);
		node->born_repeat = is_born_repeat(g, node);
		for (size_t e = 0; e < node->lower_count; e++) {
			size_t lower = g->lowers[node->first_lower + e];

			if (node->level <= g->nodes[lower].level)
				node->level = g->nodes[lower].level + 1;
		}
	}
	for (size_t i = 0; i < g->count; i++)
		g->nodes[i].tags = has_tags(g, i);
}

/* The hooks nearest to node i that show what is received on it, i itself included. */
static int join_below(struct graph *g, struct references *refs, size_t i)
{
	const struct node *node = &g->nodes[i];

	if (is_monitored(g, node->peer))
		return references_add(g, refs, g->links[node->peer].id, HOOK_EGRESS);
	if (shows_received(g, i))
		return references_add(g, refs, g->links[i].id, HOOK_INGRESS);
	/* unseen from a pair's other end, or from anywhere on a switch: who knows what it passed */
	if (node->peer != NONE || is_kind(g, i, "openvswitch")) {
		references_any(refs);
		return 0;
	}
	return references_join(g, refs, &node->below);
}

static int join_below_all(struct graph *g, struct references *refs, const struct node *node)
{
	int err = 0;

	for (size_t e = 0; e < node->lower_count && !err; e++)
		err = join_below(g, refs, g->lowers[node->first_lower + e]);
	return err;
}

/*
 * The hooks nearest to node i that show what is sent through it, i itself included. What is born
 * behind a monitored master stands in EGRESS there, not at its port.
 */
static int join_above(struct graph *g, struct references *refs, size_t i)
{
	int err = 0;

	if (is_monitored(g, i))
		err = references_add(g, refs, g->links[i].id, HOOK_EGRESS);
	return err ?: references_join(g, refs, &g->nodes[i].above);
}

static int join_above_all(struct graph *g, struct references *refs, const struct node *node)
{
	int err = 0;

	for (size_t e = 0; e < node->upper_count && !err; e++)
		err = join_above(g, refs, g->uppers[node->first_upper + e]);
	return err;
}

/* What devices hand through that do not show it as a first sight themselves. */
static int resolve_handed_through(struct graph *g)
{
	int err = 0;

	for (size_t p = 0; p < g->count && !err; p++) {
		size_t i = g->order[p];

		if (!shows_received(g, i) && !is_kind(g, i, "macsec"))
			err = join_below_all(g, &g->nodes[i].below, &g->nodes[i]);
	}
	for (size_t p = g->count; p-- && !err;) {
		size_t i = g->order[p];

		if (!is_monitored(g, i) || g->nodes[i].born_repeat)
			err = join_above_all(g, &g->nodes[i].above, &g->nodes[i]);
	}
	return err;
}

static bool refers_to(const struct references *refs, uint32_t id)
{
	struct topology_reference key = {.id = id, .hook = HOOK_INGRESS};

	return id && refs->count &&
	       bsearch(&key, refs->list, refs->count, sizeof(key), compare_references);
}

/* Whether what is received on the device, which is not covered, may have been shown before. */
static bool is_partial(const struct graph *g, size_t i)
{
	const struct node *node = &g->nodes[i];

	return !node->covered && (node->peer != NONE || is_kind(g, i, "openvswitch") ||
				  shows_received(g, i) || node->below.any || node->below.count);
}

/* Devices above, of this namespace, that send to each other by way of its ingress. */
static bool has_turners(const struct graph *g, const struct node *node, bool monitored)
{
	for (size_t e = 0; e < node->upper_count; e++) {
		size_t upper = g->uppers[node->first_upper + e];

		if (is_monitored(g, upper) == monitored && kind_hairpins(g->links[upper].kind))
			return true;
	}
	return false;
}

/*
 * Packets received on a device of which only a part is covered leave with that device as iif;
 * those of the covered part were seen before. What showed them is a reference of every egress
 * hook's unsure part, if it is the ingress of a device at the bottom that turns nothing back:
 * another hook may itself have shown them after this one, so then it is ANY.
 */
static int resolve_partial(struct graph *g)
{
	struct references *partial = &g->partial;
	bool any;
	int err = 0;

	for (size_t i = 0; i < g->count && !err; i++) {
		g->nodes[i].partial = is_partial(g, i);
		g->any_partial |= g->nodes[i].partial;
		if (g->nodes[i].partial)
			err = join_below(g, partial, i);
	}
	if (err)
		return err;
	partial->count = sort_references(partial->list, partial->count);
	any = partial->any || partial->count > SHARED_REFERENCES_MAX;
	for (size_t i = 0; i < partial->count; i++)
		any |= partial->list[i].hook == HOOK_EGRESS;
	for (size_t i = 0; i < g->count && !any; i++)
		any = refers_to(partial, g->links[i].id) &&
		      (g->nodes[i].lower_count || has_turners(g, &g->nodes[i], true));
	if (any)
		references_any(partial);
	return 0;
}

/* The monitored devices over node i that it receives from when they send to each other. */
static int join_hairpins(struct graph *g, struct references *refs, const struct node *node)
{
	int err = 0;

	for (size_t e = 0; e < node->upper_count && !err; e++) {
		size_t upper = g->uppers[node->first_upper + e];

		if (is_monitored(g, upper) && kind_hairpins(g->links[upper].kind))
			err = references_add(g, refs, g->links[upper].id, HOOK_EGRESS);
	}
	return err;
}

/* It may receive from its siblings over a device that does not show it. */
static bool has_hidden_siblings(const struct graph *g, size_t i)
{
	const struct node *node = &g->nodes[i];

	return node->lower != NONE && kind_hairpins(g->links[i].kind) &&
	       !g->nodes[node->lower].covered && g->nodes[node->lower].upper_count > 1;
}

/* What leaves through the other end of a pair below may take another way from there, or come from
 * here: only what was counted tells. */
static int any_after_pair(struct references *refs)
{
	for (size_t i = 0; i < refs->count && !refs->any; i++)
		if (refs->list[i].hook == HOOK_EGRESS)
			references_any(refs);
	return 0;
}

static int resolve_ingress(struct graph *g, size_t i, bool *repeat, struct references *refs)
{
	const struct node *node = &g->nodes[i];

	/* Their own egress, or the peer's, has shown all that they receive. */
	*repeat = is_kind(g, i, "loopback") || is_kind(g, i, "vrf") || is_monitored(g, node->peer);
	if (*repeat)
		return 0;
	if (node->peer != NONE || is_kind(g, i, "openvswitch") || has_hidden_siblings(g, i)) {
		references_any(refs);
		return 0;
	}
	*repeat = lowers_covered(g, node) && !is_kind(g, i, "macsec");
	if (*repeat)
		return 0;
	return join_below_all(g, refs, node) ?: any_after_pair(refs) ?: join_hairpins(g, refs, node);
}

/* An ifb is on the way from the hook of a device to the rest of its way in: what nobody saw at the
 * former is seen here, and again wherever it goes. */
static bool shows_before(const struct graph *g, size_t i)
{
	return is_kind(g, i, "ifb") && g->any_unseen;
}

static int resolve_egress(struct graph *g, size_t i, struct references *refs)
{
	const struct node *node = &g->nodes[i];
	int err = 0;

	if (is_kind(g, node->master, "openvswitch") || shows_before(g, i))
		references_any(refs);
	else if (!node->born_repeat)
		err = join_above_all(g, refs, node);
	else
		for (size_t e = 0; e < node->upper_count && !err; e++)
			err = references_add(g, refs, g->links[g->uppers[node->first_upper + e]].id,
					     HOOK_EGRESS);
	return err;
}

/* A packet's iif does not change on its way down the stack: what was unsure above is so below. */
static int resolve_unsure(struct graph *g, const struct references *egress, struct references *refs)
{
	int err = 0;

	if (!g->any_partial)
		return 0;
	if (egress->any)
		references_any(refs);
	for (size_t r = 0; r < egress->count && !err; r++)
		err = references_add(g, refs, egress->list[r].id, HOOK_UNSURE);
	return err ?: references_join(g, refs, &g->partial);
}

static int set_hook(struct topology_hook *hook, bool repeat, struct references *refs)
{
	if (refs->any) {
		references_clean(refs);
		refs->list = calloc(1, sizeof(*refs->list));
		if (!refs->list)
			return -ENOMEM;
		refs->list[0].id = TOPOLOGY_ANY;
		refs->count = 1;
	}
	refs->count = sort_references(refs->list, refs->count);
	if (repeat)
		hook->sight = SIGHT_REPEAT;
	else
		hook->sight = refs->count ? SIGHT_JUDGED : SIGHT_FIRST;
	hook->references = TAKE_PTR(refs->list);
	hook->reference_count = refs->count;
	return 0;
}

/* Over one device two of the same namespace talk to each other only where a VRF keeps them apart.
 */
static bool is_crossed_here(const struct graph *g, size_t lower)
{
	const struct node *node = &g->nodes[lower];
	bool apart = node->master != NONE, crossed = false;

	for (size_t e = 0; e < node->upper_count; e++) {
		size_t upper = g->uppers[node->first_upper + e];

		if (!kind_crosses(g->links[upper].kind))
			continue;
		crossed = true;
		apart |= g->nodes[upper].master != NONE;
	}
	return crossed && apart;
}

/*
 * What devices above or beside it sent it, as if from the wire. What came from another namespace is
 * shown here first. Of what came from this one, who knows where it was before.
 */
static void resolve_turned(const struct graph *g, size_t i, struct topology_role *role,
			   struct references *refs)
{
	const struct node *node = &g->nodes[i];
	bool crosses = kind_crosses(g->links[i].kind) && node->lower != NONE;
	bool hidden =
		(g->links[i].strangers || crosses) && role->hook[HOOK_INGRESS].sight != SIGHT_FIRST;

	refs->any = has_turners(g, node, false) ||
		    (hidden && is_crossed_here(g, crosses ? node->lower : i));
	role->turns = hidden || refs->any;
}

static int resolve_role(struct graph *g, size_t i, struct topology_role *role)
{
	struct references ingress = {0}, egress = {0}, unsure = {0}, turned = {0};
	bool repeat;
	int err;

	*role = (struct topology_role){.id = g->links[i].id,
				       .covered = g->nodes[i].covered,
				       .partial = g->nodes[i].partial,
				       .born_repeat = g->nodes[i].born_repeat,
				       .tags = g->nodes[i].tags,
				       .level = g->nodes[i].level};
	if (!role->id)
		return 0;
	err = resolve_ingress(g, i, &repeat, &ingress);
	if (!err)
		err = set_hook(&role->hook[HOOK_INGRESS], repeat, &ingress);
	if (!err)
		err = resolve_egress(g, i, &egress);
	if (!err)
		err = resolve_unsure(g, &egress, &unsure);
	if (!err)
		err = set_hook(&role->hook[HOOK_EGRESS], false, &egress);
	if (!err)
		err = set_hook(&role->hook[HOOK_UNSURE], false, &unsure);
	if (!err)
		resolve_turned(g, i, role, &turned);
	if (!err)
		err = set_hook(&role->hook[HOOK_TURNED], false, &turned);
	references_clean(&ingress);
	references_clean(&egress);
	references_clean(&unsure);
	references_clean(&turned);
	return err;
}

static int resolve_roles(struct graph *g, struct topology_role *roles)
{
	int err = 0;
	size_t i;

	for (i = 0; i < g->count && !err; i++)
		err = resolve_role(g, i, &roles[i]);
	if (!err)
		err = swap_order_rank(roles, g->count);
	while (err && i--)
		topology_role_clean(&roles[i]);
	return err;
}

static void graph_clean(struct graph *g)
{
	for (size_t i = 0; g->nodes && i < g->count; i++) {
		references_clean(&g->nodes[i].below);
		references_clean(&g->nodes[i].above);
	}
	references_clean(&g->partial);
	free(g->nodes);
	free(g->lowers);
	free(g->uppers);
	free(g->order);
}

static int graph_init(struct graph *g, const struct topology_link *links, size_t count)
{
	*g = (struct graph){.links = links,
			    .count = count,
			    .budget = (count + SHARED_REFERENCES_MAX) * REFERENCES_PER_LINK,
			    .nodes = calloc(count, sizeof(*g->nodes)),
			    /* at most two edges a link: to its master, to its lower device */
			    .lowers = calloc(2 * count, sizeof(*g->lowers)),
			    .uppers = calloc(2 * count, sizeof(*g->uppers)),
			    .order = calloc(count, sizeof(*g->order))};

	return g->nodes && g->lowers && g->uppers && g->order ? 0 : -ENOMEM;
}

int topology_resolve(const struct topology_link *links, size_t count, struct topology_role *roles)
{
	struct graph g;
	int err;

	if (!count)
		return 0;
	err = graph_init(&g, links, count);
	if (!err)
		err = resolve_names(&g);
	if (!err) {
		connect(&g);
		err = put_in_order(&g);
	}
	if (!err) {
		resolve_flags(&g);
		err = resolve_handed_through(&g);
	}
	if (!err)
		err = resolve_partial(&g);
	if (!err)
		err = resolve_roles(&g, roles);
	graph_clean(&g);
	return err;
}

void topology_role_clean(struct topology_role *role)
{
	for (int h = 0; h < HOOKS; h++)
		free(role->hook[h].references);
	*role = (struct topology_role){0};
}

int topology_role_copy(struct topology_role *to, const struct topology_role *from)
{
	struct topology_role copy = *from;

	for (int h = 0; h < HOOKS; h++) {
		size_t size = from->hook[h].reference_count * sizeof(*copy.hook[h].references);

		copy.hook[h].references = malloc(size + 1);
		if (!copy.hook[h].references) {
			while (h--)
				free(copy.hook[h].references);
			return -ENOMEM;
		}
		if (size)
			memcpy(copy.hook[h].references, from->hook[h].references, size);
	}
	*to = copy;
	return 0;
}

static bool hooks_equal(const struct topology_hook *a, const struct topology_hook *b)
{
	if (a->sight != b->sight || a->reference_count != b->reference_count)
		return false;
	for (size_t i = 0; i < a->reference_count; i++)
		if (compare_references(&a->references[i], &b->references[i]))
			return false;
	return true;
}

bool topology_role_same(const struct topology_role *a, const struct topology_role *b)
{
	for (int h = 0; h < HOOKS; h++)
		if (!hooks_equal(&a->hook[h], &b->hook[h]))
			return false;
	return true;
}

bool topology_class_same(const struct topology_role *a, const struct topology_role *b)
{
	return a->covered == b->covered && a->partial == b->partial;
}
