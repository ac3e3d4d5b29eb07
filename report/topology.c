// SPDX-License-Identifier: GPL-2.0-only
#include "report/topology.h"

#include "lib/array.h"
#include "lib/cleanup.h"
#include "report/device_graph.h"
#include "report/swap_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* What is found of a device, by its node. */
struct device {
	bool covered, partial, born_repeat, tags;
	unsigned int level;
	struct references below; /* unmonitored: hooks that show first what is received on it */
	struct references above; /* unmonitored or born_repeat: that show first what is sent */
};

/* All of them. */
struct stack {
	const struct topology_link *links; /* borrowed */
	size_t count;
	struct device_graph graph;
	struct device *devices;	   /* owned */
	size_t budget;		   /* references that may still be listed */
	struct references partial; /* shown of what is received on devices covered in part */
	bool any_partial;	   /* there are such devices */
	bool any_unseen;	   /* there are devices that are not covered ... */
	bool any_unwatched;	   /* ... not monitored, both but for ifbs */
};

/*
 * Its ports show all that such a master receives. Others may receive by themselves as well:
 * hv_netvsc gets from the host what does not come by its virtual function.
 */
static bool kind_receives_by_ports(const char *kind)
{
	static const char *const kinds[] = {"bridge", "bond", "team", "vrf", "openvswitch"};

	return kind_is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

/* Its egress hook shows all that is born on it before a port's does. */
static bool kind_shows_born(const char *kind)
{
	static const char *const kinds[] = {"bridge", "bond", "team"};

	return kind_is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

/* What one sends to another over the same device is received by that device first. */
static bool kind_hairpins(const char *kind)
{
	static const char *const kinds[] = {"macvlan", "macvtap"};

	return kind_is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

/* What one sends to another over the same device is received by that one at once. */
static bool kind_crosses(const char *kind)
{
	static const char *const kinds[] = {"ipvlan", "ipvtap"};

	return kind_is_one_of(kind, kinds, ARRAY_SIZE(kinds));
}

static bool is_kind(const struct stack *s, size_t node, const char *kind)
{
	return node != DEVICE_NONE && !strcmp(s->links[node].kind, kind);
}

static bool is_monitored(const struct stack *s, size_t node)
{
	return node != DEVICE_NONE && s->links[node].id;
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

static int references_add(struct stack *s, struct references *refs, uint32_t id, enum hook hook)
{
	struct topology_reference *list;
	size_t capacity;

	if (refs->any)
		return 0;
	if (!s->budget) {
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
	s->budget--;
	refs->list[refs->count++] = (struct topology_reference){.id = id, .hook = hook};
	return 0;
}

static int references_join(struct stack *s, struct references *refs, const struct references *other)
{
	int err = 0;

	if (other->any)
		references_any(refs);
	for (size_t i = 0; i < other->count && !err; i++)
		err = references_add(s, refs, other->list[i].id, other->list[i].hook);
	return err;
}

/* Whether the devices below show all that it receives. Without hardware offload that of macsec
 * shows ciphertext, which is no flow. */
static bool receives_from_below(const struct stack *s, size_t i)
{
	return kind_receives_by_ports(s->links[i].kind) ||
	       (s->graph.nodes[i].lower != DEVICE_NONE && !is_kind(s, i, "macsec"));
}

/* Whether they are there, and show it on monitored hooks. */
static bool is_covered_below(const struct stack *s, size_t i)
{
	const struct device_node *node = &s->graph.nodes[i];

	if (!receives_from_below(s, i))
		return false;
	device_graph_each_lower (lower, &s->graph, node)
		if (!s->devices[*lower].covered)
			return false;
	return node->lower_count;
}

/* Its own hooks show what is received on it: those of a VRF do not fire for what its slaves
 * receive, though vrf_ip_rcv() makes the VRF the device of the packet. */
static bool shows_received(const struct stack *s, size_t i)
{
	return is_monitored(s, i) && !is_kind(s, i, "vrf");
}

/* Whether devices above that nobody here watches send to each other by way of it: nothing below
 * shows that. */
static bool is_turned_on(const struct stack *s, size_t i)
{
	const struct device_node *node = &s->graph.nodes[i];
	bool unwatched = s->links[i].strangers;
	size_t siblings = unwatched;

	device_graph_each_upper (upper, &s->graph, node) {
		if (!kind_hairpins(s->links[*upper].kind))
			continue;
		siblings++;
		unwatched |= !is_monitored(s, *upper);
	}
	return unwatched && (siblings > 1 || s->links[i].strangers);
}

static bool is_covered(const struct stack *s, size_t i)
{
	if (shows_received(s, i) && !s->links[i].preceded)
		return true;
	if (is_turned_on(s, i))
		return false;
	/* with it as iif leaves what tc redirected at egress: past a hook that showed it, by tcx */
	if (is_kind(s, i, "ifb"))
		return !s->any_unwatched;
	return is_monitored(s, s->graph.nodes[i].peer) || is_covered_below(s, i);
}

/* Born packets come to a port through its uppers only; a repeat is certain if all of them show it.
 */
static bool is_born_repeat(const struct stack *s, const struct device_node *node)
{
	if (!is_monitored(s, node->master) || !kind_shows_born(s->links[node->master].kind))
		return false;
	device_graph_each_upper (upper, &s->graph, node)
		if (!is_monitored(s, *upper))
			return false;
	return true;
}

/* Whether it notes at its egress what is born with a VLAN tag. One that is a port itself would know
 * what it noted again, as if its master had. */
static bool notes_tags(const struct stack *s, size_t i)
{
	return is_monitored(s, i) && kind_shows_born(s->links[i].kind) && s->links[i].keeps_tags &&
	       !s->devices[i].born_repeat;
}

/* A VLAN of another network namespace may stand on a port, and nothing here tells of it but the
 * tags of frames that its master has not sent. Those of a VLAN of this namespace are not noted. */
static bool has_tags(const struct stack *s, size_t i)
{
	const struct device_node *node = &s->graph.nodes[i];

	return notes_tags(s, i) ||
	       (s->devices[i].born_repeat && node->upper_count == 1 && notes_tags(s, node->master));
}

static void resolve_flags(struct stack *s)
{
	for (size_t i = 0; i < s->count; i++)
		s->any_unwatched |= !is_monitored(s, i) && !is_kind(s, i, "ifb");
	for (size_t p = 0; p < s->count; p++) {
		size_t i = s->graph.order[p];
		const struct device_node *node = &s->graph.nodes[i];
		struct device *device = &s->devices[i];

		device->covered = is_covered(s, i);
		s->any_unseen |= !device->covered && !is_kind(s, i, "ifb") &&
				 (!is_monitored(s, i) || s->links[i].preceded);
		device->born_repeat = is_born_repeat(s, node);
		device_graph_each_lower (lower, &s->graph, node)
			if (device->level <= s->devices[*lower].level)
				device->level = s->devices[*lower].level + 1;
	}
	for (size_t i = 0; i < s->count; i++)
		s->devices[i].tags = has_tags(s, i);
}

/* The hooks nearest to node i that show what is received on it, i itself included. */
static int join_below(struct stack *s, struct references *refs, size_t i)
{
	const struct device_node *node = &s->graph.nodes[i];

	if (is_monitored(s, node->peer))
		return references_add(s, refs, s->links[node->peer].id, HOOK_EGRESS);
	if (shows_received(s, i))
		return references_add(s, refs, s->links[i].id, HOOK_INGRESS);
	/* unseen from a pair's other end, or from anywhere on a switch: who knows what it passed */
	if (node->peer != DEVICE_NONE || is_kind(s, i, "openvswitch")) {
		references_any(refs);
		return 0;
	}
	return references_join(s, refs, &s->devices[i].below);
}

static int join_below_all(struct stack *s, struct references *refs, const struct device_node *node)
{
	int err = 0;

	device_graph_each_lower (lower, &s->graph, node)
		err = err ?: join_below(s, refs, *lower);
	return err;
}

/*
 * The hooks nearest to node i that show what is sent through it, i itself included. What is born
 * behind a monitored master stands in EGRESS there, not at its port.
 */
static int join_above(struct stack *s, struct references *refs, size_t i)
{
	int err = 0;

	if (is_monitored(s, i))
		err = references_add(s, refs, s->links[i].id, HOOK_EGRESS);
	return err ?: references_join(s, refs, &s->devices[i].above);
}

static int join_above_all(struct stack *s, struct references *refs, const struct device_node *node)
{
	int err = 0;

	device_graph_each_upper (upper, &s->graph, node)
		err = err ?: join_above(s, refs, *upper);
	return err;
}

/* What devices hand through that do not show it as a first sight themselves. */
static int resolve_handed_through(struct stack *s)
{
	int err = 0;

	for (size_t p = 0; p < s->count && !err; p++) {
		size_t i = s->graph.order[p];

		if (!shows_received(s, i) && !is_kind(s, i, "macsec"))
			err = join_below_all(s, &s->devices[i].below, &s->graph.nodes[i]);
	}
	for (size_t p = s->count; p-- && !err;) {
		size_t i = s->graph.order[p];

		if (!is_monitored(s, i) || s->devices[i].born_repeat)
			err = join_above_all(s, &s->devices[i].above, &s->graph.nodes[i]);
	}
	return err;
}

static bool refers_to(const struct references *refs, uint32_t id)
{
	struct topology_reference key = {.id = id, .hook = HOOK_INGRESS};

	return id && refs->count &&
	       bsearch(&key, refs->list, refs->count, sizeof(key), compare_references);
}

/* Whether of what says that it was received on the device only a part may have been shown. */
static bool is_partial(const struct stack *s, size_t i)
{
	const struct device *device = &s->devices[i];

	if (s->links[i].diverted)
		return true;
	return !device->covered &&
	       (s->graph.nodes[i].peer != DEVICE_NONE || is_kind(s, i, "openvswitch") ||
		shows_received(s, i) || device->below.any || device->below.count);
}

/* Devices above, of this namespace, that send to each other by way of its ingress. */
static bool has_turners(const struct stack *s, const struct device_node *node, bool monitored)
{
	device_graph_each_upper (upper, &s->graph, node)
		if (is_monitored(s, *upper) == monitored && kind_hairpins(s->links[*upper].kind))
			return true;
	return false;
}

/*
 * Packets received on a device of which only a part is covered leave with that device as iif;
 * those of the covered part were seen before. What showed them is a reference of every egress
 * hook's unsure part, if it is the ingress of a device at the bottom that turns nothing back:
 * another hook may itself have shown them after this one, so then it is ANY. So it is where tc
 * diverts packets, which may have come from anywhere.
 */
static int resolve_partial(struct stack *s)
{
	struct references *partial = &s->partial;
	bool any;
	int err = 0;

	for (size_t i = 0; i < s->count && !err; i++) {
		s->devices[i].partial = is_partial(s, i);
		s->any_partial |= s->devices[i].partial;
		if (s->links[i].diverted)
			references_any(partial);
		else if (s->devices[i].partial)
			err = join_below(s, partial, i);
	}
	if (err)
		return err;
	partial->count = sort_references(partial->list, partial->count);
	any = partial->any || partial->count > SHARED_REFERENCES_MAX;
	for (size_t i = 0; i < partial->count; i++)
		any |= partial->list[i].hook == HOOK_EGRESS;
	for (size_t i = 0; i < s->count && !any; i++)
		any = refers_to(partial, s->links[i].id) &&
		      (s->graph.nodes[i].lower_count || has_turners(s, &s->graph.nodes[i], true));
	if (any)
		references_any(partial);
	return 0;
}

/* The monitored devices over node i that it receives from when they send to each other. */
static int join_hairpins(struct stack *s, struct references *refs, const struct device_node *node)
{
	int err = 0;

	device_graph_each_upper (upper, &s->graph, node)
		if (!err && is_monitored(s, *upper) && kind_hairpins(s->links[*upper].kind))
			err = references_add(s, refs, s->links[*upper].id, HOOK_EGRESS);
	return err;
}

/* It may receive from its siblings over a device that does not show it. */
static bool has_hidden_siblings(const struct stack *s, size_t i)
{
	const struct device_node *node = &s->graph.nodes[i];

	return node->lower != DEVICE_NONE && kind_hairpins(s->links[i].kind) &&
	       !s->devices[node->lower].covered && s->graph.nodes[node->lower].upper_count > 1;
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

static int resolve_ingress(struct stack *s, size_t i, bool *repeat, struct references *refs)
{
	const struct device_node *node = &s->graph.nodes[i];

	/* Their own egress, or the peer's, has shown all that they receive. */
	*repeat = is_kind(s, i, "loopback") || is_kind(s, i, "vrf") || is_monitored(s, node->peer);
	if (*repeat)
		return 0;
	if (node->peer != DEVICE_NONE || is_kind(s, i, "openvswitch") ||
	    has_hidden_siblings(s, i)) {
		references_any(refs);
		return 0;
	}
	*repeat = is_covered_below(s, i);
	if (*repeat)
		return 0;
	return join_below_all(s, refs, node) ?: any_after_pair(refs) ?: join_hairpins(s, refs, node);
}

/* An ifb is on the way from the hook of a device to the rest of its way in: what nobody saw at the
 * former is seen here, and again wherever it goes. */
static bool shows_before(const struct stack *s, size_t i)
{
	return is_kind(s, i, "ifb") && s->any_unseen;
}

static int resolve_egress(struct stack *s, size_t i, struct references *refs)
{
	const struct device_node *node = &s->graph.nodes[i];
	int err = 0;

	if (is_kind(s, node->master, "openvswitch") || shows_before(s, i))
		references_any(refs);
	else if (!s->devices[i].born_repeat)
		err = join_above_all(s, refs, node);
	else
		device_graph_each_upper (upper, &s->graph, node)
			err = err ?: references_add(s, refs, s->links[*upper].id, HOOK_EGRESS);
	return err;
}

/* A packet's iif does not change on its way down the stack: what was unsure above is so below. */
static int resolve_unsure(struct stack *s, const struct references *egress, struct references *refs)
{
	int err = 0;

	if (!s->any_partial)
		return 0;
	if (egress->any)
		references_any(refs);
	for (size_t r = 0; r < egress->count && !err; r++)
		err = references_add(s, refs, egress->list[r].id, HOOK_UNSURE);
	return err ?: references_join(s, refs, &s->partial);
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
static bool is_crossed_here(const struct stack *s, size_t lower)
{
	const struct device_node *node = &s->graph.nodes[lower];
	bool apart = node->master != DEVICE_NONE, crossed = false;

	device_graph_each_upper (upper, &s->graph, node) {
		if (!kind_crosses(s->links[*upper].kind))
			continue;
		crossed = true;
		apart |= s->graph.nodes[*upper].master != DEVICE_NONE;
	}
	return crossed && apart;
}

/*
 * What devices above or beside it sent it, as if from the wire. What came from another namespace is
 * shown here first. Of what came from this one, who knows where it was before.
 */
static void resolve_turned(const struct stack *s, size_t i, struct topology_role *role,
			   struct references *refs)
{
	const struct device_node *node = &s->graph.nodes[i];
	bool crosses = kind_crosses(s->links[i].kind) && node->lower != DEVICE_NONE;
	bool hidden =
		(s->links[i].strangers || crosses) && role->hook[HOOK_INGRESS].sight != SIGHT_FIRST;

	refs->any = has_turners(s, node, false) ||
		    (hidden && is_crossed_here(s, crosses ? node->lower : i));
	role->turns = hidden || refs->any;
}

static int resolve_role(struct stack *s, size_t i, struct topology_role *role)
{
	struct references ingress = {0}, egress = {0}, unsure = {0}, turned = {0};
	bool repeat;
	int err;

	*role = (struct topology_role){.id = s->links[i].id,
				       .covered = s->devices[i].covered && !s->links[i].diverted,
				       .partial = s->devices[i].partial,
				       .born_repeat = s->devices[i].born_repeat,
				       .tags = s->devices[i].tags,
				       .level = s->devices[i].level};
	if (!role->id)
		return 0;
	err = resolve_ingress(s, i, &repeat, &ingress);
	if (!err)
		err = set_hook(&role->hook[HOOK_INGRESS], repeat, &ingress);
	if (!err)
		err = resolve_egress(s, i, &egress);
	if (!err)
		err = resolve_unsure(s, &egress, &unsure);
	if (!err)
		err = set_hook(&role->hook[HOOK_EGRESS], false, &egress);
	if (!err)
		err = set_hook(&role->hook[HOOK_UNSURE], false, &unsure);
	if (!err)
		resolve_turned(s, i, role, &turned);
	if (!err)
		err = set_hook(&role->hook[HOOK_TURNED], false, &turned);
	references_clean(&ingress);
	references_clean(&egress);
	references_clean(&unsure);
	references_clean(&turned);
	return err;
}

static int resolve_roles(struct stack *s, struct topology_role *roles)
{
	int err = 0;
	size_t i;

	for (i = 0; i < s->count && !err; i++)
		err = resolve_role(s, i, &roles[i]);
	if (!err)
		err = swap_order_rank(roles, s->count);
	while (err && i--)
		topology_role_clean(&roles[i]);
	return err;
}

static int stack_init(struct stack *s, const struct topology_link *links, size_t count)
{
	*s = (struct stack){.links = links,
			    .count = count,
			    .devices = calloc(count, sizeof(*s->devices)),
			    .budget = (count + SHARED_REFERENCES_MAX) * REFERENCES_PER_LINK};

	return s->devices ? device_graph_init(&s->graph, links, count) : -ENOMEM;
}

static void stack_clean(struct stack *s)
{
	for (size_t i = 0; s->devices && i < s->count; i++) {
		references_clean(&s->devices[i].below);
		references_clean(&s->devices[i].above);
	}
	references_clean(&s->partial);
	free(s->devices);
	device_graph_clean(&s->graph);
}

int topology_resolve(const struct topology_link *links, size_t count, struct topology_role *roles)
{
	struct stack s;
	int err;

	if (!count)
		return 0;
	err = stack_init(&s, links, count);
	if (!err) {
		resolve_flags(&s);
		err = resolve_handed_through(&s);
	}
	if (!err)
		err = resolve_partial(&s);
	if (!err)
		err = resolve_roles(&s, roles);
	stack_clean(&s);
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
