// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets walk through random stacks of devices, hook by hook, while intervals end at random points
 * and maps are swapped one after another. What the reports say in all must be what was sent.
 */
#include "netlink/conntrack.h"
#include "report/nat.h"
#include "tests/unit/stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define FLOWS	  12
#define STEPS_MAX 24
#define PACKETS	  60

/* One hook that a packet passes. */
struct step {
	uint8_t link;
	enum hook hook;
	uint32_t iif;
};

struct path {
	struct step steps[STEPS_MAX];
	size_t count;
	bool cut; /* too long: a forwarding loop */
};

struct packet {
	int flow, sender;
	int interval; /* in which it was sent */
	struct path path;
	size_t done;
};

struct simulation {
	struct stack stack;
	uint64_t random;
	/* those that show them translated; then the unsure keys of both */
	struct flow_key keys[4 * FLOWS];
	uint64_t route[FLOWS][2]; /* seed of the decisions for all packets of a flow and sender */
	uint64_t sent[FLOWS][2];
	uint64_t counted[FLOWS][2];
	size_t turn[FLOWS][2]; /* the hook at which its packets change their face; 0: none does */
	struct flow_value maps[STACK_MAX][4 * FLOWS];
	struct packet packets[PACKETS];
	size_t packet_count;
	int interval;
	bool nat; /* flows are translated on the way */
};

static uint32_t draw(uint64_t *state, uint32_t below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32) % below;
}

static bool is_kind(const struct stack *s, size_t link, const char *kind)
{
	return !strcmp(s->links[link].kind, kind);
}

static void add_link(struct simulation *sim, const char *kind, uint32_t lower)
{
	char name[16];

	snprintf(name, sizeof(name), "d%zu", sim->stack.count);
	if (!strcmp(kind, "abroad"))
		stack_veth_abroad(&sim->stack, name);
	else
		stack_add(&sim->stack, name, kind)->lower = lower;
}

/* A device that may be put under another: not yet anybody's port. */
static uint32_t pick_free(struct simulation *sim)
{
	struct stack *s = &sim->stack;
	size_t link = draw(&sim->random, (uint32_t)s->count);

	if (s->links[link].master || is_kind(s, link, "loopback") || is_kind(s, link, "bridge"))
		return 0;
	return s->links[link].ifindex;
}

static bool has_vlan(const struct stack *s, size_t link)
{
	for (size_t i = 0; i < s->count; i++)
		if (is_kind(s, i, "vlan") && s->links[i].lower == s->links[link].ifindex)
			return true;
	return false;
}

static bool has_macvlan(const struct stack *s, size_t link)
{
	for (size_t i = 0; i < s->count; i++)
		if (is_kind(s, i, "macvlan") && s->links[i].lower == s->links[link].ifindex)
			return true;
	return false;
}

static void build_stack(struct simulation *sim)
{
	struct stack *s = &sim->stack;
	uint32_t count;

	add_link(sim, "loopback", 0);
	count = 1 + draw(&sim->random, 3);
	while (count--)
		add_link(sim, "physical", 0);
	count = draw(&sim->random, 4);
	while (count--)
		add_link(sim, "abroad", 0);
	if (!draw(&sim->random, 2)) {
		char a[16], b[16];

		snprintf(a, sizeof(a), "d%zu", s->count);
		snprintf(b, sizeof(b), "d%zu", s->count + 1);
		stack_veth_pair(s, a, b);
	}
	if (!draw(&sim->random, 3)) {
		add_link(sim, "bond", 0);
		for (size_t i = 0; i < s->count; i++)
			if (is_kind(s, i, "physical") && draw(&sim->random, 2))
				s->links[i].master = (uint32_t)s->count;
	}
	count = draw(&sim->random, 4);
	while (count--) {
		static const char *const kinds[] = {"vlan", "macvlan"};
		uint32_t lower = pick_free(sim);

		if (lower)
			add_link(sim, kinds[draw(&sim->random, 2)], lower);
	}
	count = draw(&sim->random, 3);
	while (count--) {
		add_link(sim, "bridge", 0);
		for (size_t i = 0; i + 1 < s->count; i++) {
			/* a port has no macvlans; it may have VLANs */
			if (s->links[i].master || is_kind(s, i, "loopback") ||
			    is_kind(s, i, "bridge") || is_kind(s, i, "macvlan") ||
			    has_macvlan(s, i) || (has_vlan(s, i) && draw(&sim->random, 4)) ||
			    draw(&sim->random, 2))
				continue;
			s->links[i].master = (uint32_t)s->count;
		}
	}
	if (!draw(&sim->random, 3))
		for (size_t i = 0; i < s->count; i++)
			if (is_kind(s, i, "bridge") && !draw(&sim->random, 2)) {
				add_link(sim, "vlan", s->links[i].ifindex);
				break;
			}
}

static bool step(struct path *path, size_t link, enum hook hook, uint32_t iif)
{
	if (path->count == STEPS_MAX) {
		path->cut = true;
		return false;
	}
	path->steps[path->count++] = (struct step){.link = (uint8_t)link, .hook = hook, .iif = iif};
	return true;
}

/* A random device that meets wanted(), other than not; NULL-like: s->count. */
static size_t pick_port(struct stack *s, uint64_t *route, uint32_t master, size_t not )
{
	size_t first = draw(route, (uint32_t)s->count);

	for (size_t n = 0; n < s->count; n++) {
		size_t i = (first + n) % s->count;

		if (i != not &&s->links[i].master == master)
			return i;
	}
	return s->count;
}

static size_t pick_upper(struct stack *s, uint64_t *route, size_t lower, const char *kind,
			 size_t not )
{
	size_t first = draw(route, (uint32_t)s->count);

	for (size_t n = 0; n < s->count; n++) {
		size_t i = (first + n) % s->count;

		if (i != not &&s->links[i].lower == s->links[lower].ifindex &&
		    strcmp(s->links[i].kind, "veth") && (!kind || is_kind(s, i, kind)))
			return i;
	}
	return s->count;
}

static void receive(struct stack *s, struct path *path, uint64_t *route, size_t link);

/* link's egress hook and whatever the device does with the packet. */
static void transmit(struct stack *s, struct path *path, uint64_t *route, size_t link, uint32_t iif)
{
	const struct topology_link *l = &s->links[link];
	size_t next;

	if (!step(path, link, HOOK_EGRESS, iif))
		return;
	if (is_kind(s, link, "loopback")) {
		step(path, link, HOOK_INGRESS, l->ifindex);
	} else if (is_kind(s, link, "veth")) {
		if (!l->lower_abroad)
			receive(s, path, route, l->lower - 1);
	} else if (is_kind(s, link, "bridge") || is_kind(s, link, "bond")) {
		next = pick_port(s, route, l->ifindex, iif ? iif - 1 : s->count);
		if (next != s->count)
			transmit(s, path, route, next, iif);
	} else if (is_kind(s, link, "macvlan") && !draw(route, 3)) {
		/* to a sibling: the lower device receives it */
		next = pick_upper(s, route, l->lower - 1, "macvlan", link);
		if (!step(path, l->lower - 1, HOOK_INGRESS, l->lower))
			return;
		if (next != s->count)
			step(path, next, HOOK_INGRESS, s->links[next].ifindex);
	} else if (l->lower) {
		transmit(s, path, route, l->lower - 1, iif);
	}
}

/* The network layer's end of a device: delivered here, or routed. */
static void route_packet(struct stack *s, struct path *path, uint64_t *route, size_t link)
{
	size_t to = draw(route, (uint32_t)s->count);

	if (draw(route, 2) || s->links[to].master || is_kind(s, to, "loopback"))
		return;
	transmit(s, path, route, to, s->links[link].ifindex);
}

static void receive(struct stack *s, struct path *path, uint64_t *route, size_t link)
{
	const struct topology_link *l = &s->links[link];
	size_t next;

	if (!step(path, link, HOOK_INGRESS, l->ifindex))
		return;
	next = pick_upper(s, route, link, NULL, s->count);
	if (next != s->count && draw(route, 3)) {
		receive(s, path, route, next);
	} else if (!l->master) {
		route_packet(s, path, route, link);
	} else if (is_kind(s, l->master - 1, "bond") || draw(route, 2)) {
		receive(s, path, route, l->master - 1);
	} else {
		next = pick_port(s, route, l->master, link);
		if (next != s->count)
			transmit(s, path, route, next, l->ifindex);
	}
}

/* Where a flow's packets enter and how they go on, the same for each. */
static void walk(struct stack *s, uint64_t route, struct path *path)
{
	size_t link = draw(&route, (uint32_t)s->count);
	bool from_outside = is_kind(s, link, "physical") ||
			    (is_kind(s, link, "veth") && s->links[link].lower_abroad);

	path->count = 0;
	path->cut = false;
	if (from_outside && draw(&route, 2)) {
		receive(s, path, &route, link);
		return;
	}
	/* a port has no address: its traffic is born at its master */
	while (s->links[link].master)
		link = s->links[link].master - 1;
	transmit(s, path, &route, link, 0);
}

/* The packet was sent from one macvlan to another: the device below receives it. */
static bool is_turned_back(const struct stack *s, const struct path *path, size_t i)
{
	return i && path->steps[i].hook == HOOK_INGRESS && path->steps[i - 1].hook == HOOK_EGRESS &&
	       is_kind(s, path->steps[i - 1].link, "macvlan");
}

static bool is_judged_by_any(const struct topology_hook *hook)
{
	return hook->reference_count && hook->references[0].id == TOPOLOGY_ANY;
}

/*
 * What the reports cannot tell (doc/dedup.md, limits): a packet that goes from a macvlan to another
 * one while neither the first nor the device below is watched, and one that comes by the same hook
 * twice, unless the source of its frame or a macvlan shows how it came back.
 */
static bool is_beyond(const struct stack *s, const struct path *path)
{
	for (size_t i = 0; i < path->count; i++) {
		const struct step *at = &path->steps[i];

		if (is_turned_back(s, path, i)) {
			if (!s->links[path->steps[i - 1].link].id && !s->links[at->link].id)
				return true;
			if (!s->links[path->steps[i - 1].link].id)
				continue;
			if (!is_judged_by_any(&s->roles[at->link].hook[HOOK_INGRESS]))
				continue;
		}
		for (size_t j = 0; j < i; j++)
			if (path->steps[j].link == at->link && path->steps[j].hook == at->hook)
				return true;
	}
	return path->cut;
}

static bool is_visible(const struct stack *s, const struct path *path)
{
	for (size_t i = 0; i < path->count; i++)
		if (s->links[path->steps[i].link].id)
			return true;
	return false;
}

/* Whether the ends of the flow's translated key are the other way round. */
static bool is_turned(int flow)
{
	return flow % 2;
}

static void send_packet(struct simulation *sim)
{
	struct packet *packet = &sim->packets[sim->packet_count];
	int flow = (int)draw(&sim->random, FLOWS), sender = (int)draw(&sim->random, 2);

	packet->flow = flow;
	packet->sender = sender;
	packet->interval = sim->interval;
	packet->done = 0;
	walk(&sim->stack, sim->route[flow][sender], &packet->path);
	if (is_beyond(&sim->stack, &packet->path))
		return;
	sim->sent[flow][sender] += is_visible(&sim->stack, &packet->path);
	sim->packet_count++;
}

/* Clients' packets are translated from some hook on, servers' ones up to some hook. */
static bool is_translated(const struct simulation *sim, const struct packet *packet, size_t hop)
{
	size_t turn = sim->turn[packet->flow][packet->sender];

	return turn && (hop >= turn) == (packet->sender == 0);
}

static struct flow_count *find_count(struct simulation *sim, const struct packet *packet,
				     size_t link, size_t hop, enum flow_class class, bool unsure)
{
	bool translated = is_translated(sim, packet, hop);
	bool turned = translated && is_turned(packet->flow);
	int key = packet->flow + (translated ? FLOWS : 0) + (unsure ? 2 * FLOWS : 0);
	struct flow_value *value = &sim->maps[link][key];

	return &value->count[packet->sender ^ turned][class];
}

static void advance(struct simulation *sim, size_t i)
{
	struct stack *s = &sim->stack;
	struct packet *packet = &sim->packets[i];
	size_t hop = packet->done++;
	const struct step *at = &packet->path.steps[hop];

	if (s->links[at->link].id) {
		enum flow_class class = stack_class(s, at->link, at->hook, at->iif);
		bool unsure = stack_unsure(s, at->hook, at->iif) ||
			      (is_turned_back(s, &packet->path, hop) &&
			       !s->links[packet->path.steps[hop - 1].link].id);
		struct flow_count *count = find_count(sim, packet, at->link, hop, class, unsure);

		count->packets++;
		count->bytes += 1000;
	}
	if (packet->done == packet->path.count)
		*packet = sim->packets[--sim->packet_count];
}

/* A random packet passes its next hook. */
static void advance_one(struct simulation *sim)
{
	if (sim->packet_count)
		advance(sim, draw(&sim->random, (uint32_t)sim->packet_count));
}

/* No packet is under way for longer than an interval. */
static void finish_old(struct simulation *sim)
{
	for (size_t i = 0; i < sim->packet_count;)
		if (sim->packets[i].interval < sim->interval)
			advance(sim, i);
		else
			i++;
}

/* Some hook of judge is judged against one of other, or against what was counted anywhere. */
static bool refers(const struct stack *s, size_t judge, size_t other)
{
	for (int h = 0; h < HOOKS; h++) {
		const struct topology_hook *hook = &s->roles[judge].hook[h];

		for (size_t r = 0; r < hook->reference_count; r++)
			if (hook->references[r].id == s->links[other].id ||
			    hook->references[r].id == TOPOLOGY_ANY ||
			    (h == HOOK_INGRESS && hook->references[r].hook == HOOK_EGRESS))
				return true;
	}
	return false;
}

/* Judged hooks before their references. */
static size_t next_to_swap(const struct stack *s, const bool *swapped)
{
	for (size_t i = 0; i < s->count; i++) {
		bool waits = swapped[i] || !s->links[i].id;

		for (size_t j = 0; j < s->count && !waits; j++)
			waits = j != i && !swapped[j] && s->links[j].id && refers(s, j, i);
		if (!waits)
			return i;
	}
	for (size_t i = 0; i < s->count; i++)
		if (!swapped[i] && s->links[i].id)
			return i;
	return s->count;
}

static void add_report(struct simulation *sim, const struct report *report)
{
	for (size_t i = 0; i < report->flow_count; i++) {
		const struct report_flow *flow = &report->flows[i];
		int f = ntohs(flow->key.port[0]);

		assert_true(f < FLOWS && !memcmp(&flow->key, &sim->keys[f], sizeof(flow->key)));
		for (int end = 0; end < 2; end++) {
			sim->counted[f][end] += flow->sent[end].packets;
			assert_true(flow->sent[end].bytes == 1000 * flow->sent[end].packets);
		}
	}
}

static void end_interval(struct simulation *sim)
{
	bool swapped[STACK_MAX] = {false};
	struct report report;
	size_t link;

	while ((link = next_to_swap(&sim->stack, swapped)) != sim->stack.count) {
		assert_true(!merge_add(sim->stack.merge, sim->stack.links[link].id, sim->keys,
				       sim->maps[link], 4 * FLOWS));
		memset(sim->maps[link], 0, sizeof(sim->maps[link]));
		swapped[link] = true;
		for (int n = 0; n < 3; n++)
			advance_one(sim);
	}
	stack_report(&sim->stack, &report);
	add_report(sim, &report);
	report_clean(&report);
	merge_next_interval(sim->stack.merge);
}

static void translate(struct simulation *sim, int f)
{
	const struct flow_key *original = &sim->keys[f], *seen = &sim->keys[FLOWS + f];
	int turned = is_turned(f);
	struct conntrack_entry entry = {.protocol = 6, .family = AF_INET, .status = IPS_SRC_NAT};

	memcpy(entry.original.source, original->addr[0].bytes, 16);
	memcpy(entry.original.destination, original->addr[1].bytes, 16);
	memcpy(entry.reply.source, seen->addr[!turned].bytes, 16);
	memcpy(entry.reply.destination, seen->addr[turned].bytes, 16);
	entry.original.source_port = original->port[0];
	entry.original.destination_port = original->port[1];
	entry.reply.source_port = seen->port[!turned];
	entry.reply.destination_port = seen->port[turned];
	assert_true(!nat_table_update(sim->stack.nat, &entry));
	for (int end = 0; end < 2; end++)
		sim->turn[f][end] = draw(&sim->random, 6);
}

static void make_flow(struct simulation *sim, int f)
{
	uint16_t port = (uint16_t)f;

	sim->keys[f] = stack_key("10.0.0.1", port, "10.0.0.2", 80);
	sim->keys[FLOWS + f] = is_turned(f) ? stack_key("10.0.0.2", 80, "10.0.0.3", port)
					    : stack_key("10.0.0.0", port, "10.0.0.2", 80);
	for (int face = 0; face < 2; face++) {
		sim->keys[(2 + face) * FLOWS + f] = sim->keys[face * FLOWS + f];
		sim->keys[(2 + face) * FLOWS + f].unsure = 1;
	}
	for (int end = 0; end < 2; end++)
		sim->route[f][end] = ((uint64_t)draw(&sim->random, UINT32_MAX) << 20) + 77777;
	if (sim->nat)
		translate(sim, f);
}

static void run(struct simulation *sim, uint64_t seed, int excluded_percent, int intervals,
		bool cut, bool nat)
{
	memset(sim, 0, sizeof(*sim));
	stack_init(&sim->stack);
	sim->nat = nat;
	if (nat)
		assert_true(!nat_table_new(&sim->stack.nat));
	sim->random = seed * 0x9e3779b97f4a7c15u + 1;
	for (int i = 0; i < 8; i++)
		draw(&sim->random, 2);
	build_stack(sim);
	for (size_t i = 0; i < sim->stack.count; i++)
		if ((int)draw(&sim->random, 100) < excluded_percent)
			sim->stack.links[i].id = 0;
	stack_resolve(&sim->stack);
	for (int f = 0; f < FLOWS; f++)
		make_flow(sim, f);
	for (int n = 0; n < intervals; n++) {
		while (sim->packet_count < PACKETS / 2 && draw(&sim->random, 40))
			send_packet(sim);
		for (uint32_t steps = draw(&sim->random, 80); steps; steps--)
			advance_one(sim);
		finish_old(sim);
		if (cut)
			end_interval(sim);
		sim->interval++;
	}
	finish_old(sim);
	end_interval(sim);
}

static void print_links(const struct stack *s)
{
	for (size_t i = 0; i < s->count; i++)
		print_message("  %u %s%s master %u lower %u%s\n", s->links[i].ifindex,
			      s->links[i].kind, s->links[i].id ? "" : " (excluded)",
			      s->links[i].master, s->links[i].lower,
			      s->links[i].lower_abroad ? " abroad" : "");
}

static void check(struct simulation *sim, uint64_t seed)
{
	for (int f = 0; f < FLOWS; f++) {
		for (int end = 0; end < 2; end++) {
			struct path path;

			if (sim->sent[f][end] == sim->counted[f][end])
				continue;
			print_message("seed %lu: sent %lu, counted %lu\n", seed, sim->sent[f][end],
				      sim->counted[f][end]);
			print_links(&sim->stack);
			walk(&sim->stack, sim->route[f][end], &path);
			for (size_t i = 0; i < path.count; i++)
				print_message(" %s %u (%u)", path.steps[i].hook ? "out" : "in",
					      path.steps[i].link + 1, path.steps[i].iif);
			print_message("\n");
			fail();
		}
	}
}

static void run_seeds(uint64_t seeds, int excluded_percent, int intervals, bool cut, bool nat)
{
	static struct simulation sim;
	uint64_t sent = 0;

	for (uint64_t seed = 1; seed <= seeds; seed++) {
		run(&sim, seed, excluded_percent, intervals, cut, nat);
		check(&sim, seed);
		for (int f = 0; f < FLOWS; f++)
			sent += sim.sent[f][0] + sim.sent[f][1];
		nat_table_free(sim.stack.nat);
		stack_clean(&sim.stack);
	}
	assert_true(sent > seeds * 10); /* it did try something */
}

static void everything_monitored_one_interval(void **state)
{
	(void)state;
	run_seeds(10000, 0, 2, false, false);
}

static void everything_monitored_many_intervals(void **state)
{
	(void)state;
	run_seeds(3000, 0, 8, true, false);
}

static void some_excluded(void **state)
{
	(void)state;
	run_seeds(5000, 10, 2, false, false);
	run_seeds(5000, 30, 2, false, false);
	run_seeds(2000, 70, 2, false, false);
}

static void translated_on_the_way(void **state)
{
	(void)state;
	run_seeds(3000, 0, 2, false, true);
	run_seeds(2000, 0, 8, true, true);
	run_seeds(3000, 30, 2, false, true);
	run_seeds(1000, 70, 2, false, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_monitored_one_interval),
		cmocka_unit_test(everything_monitored_many_intervals),
		cmocka_unit_test(some_excluded),
		cmocka_unit_test(translated_on_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
