/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A host's devices for the tests of topology and merge. Packets are shown to the hooks one by one
 * and classified as the BPF program would.
 */
#ifndef FLOWTALLY_TESTS_STACK_H
#define FLOWTALLY_TESTS_STACK_H

#include "report/flow_count.h"
#include "report/locals.h"
#include "report/merge.h"
#include "report/topology.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define STACK_MAX 64

struct stack {
	size_t count;
	struct topology_link links[STACK_MAX];
	struct topology_role roles[STACK_MAX];
	char names[STACK_MAX][16];
	struct flow_count before_attach[STACK_MAX];
	bool resolved;
	struct merge *merge;
	struct local_set *locals;
	struct nat_table *nat;		  /* borrowed, may be NULL */
	const struct tunnel_set *tunnels; /* borrowed, may be NULL */
	bool count_tunnels;
	const struct filter *only, *ignore; /* borrowed, may be NULL */
};

static inline void stack_init(struct stack *s)
{
	memset(s, 0, sizeof(*s));
	assert(!merge_new(&s->merge));
	assert(!local_set_new(&s->locals));
}

static inline void stack_clean(struct stack *s)
{
	for (size_t i = 0; s->resolved && i < s->count; i++)
		topology_role_clean(&s->roles[i]);
	merge_free(s->merge);
	local_set_free(s->locals);
}

static inline size_t stack_find(const struct stack *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->names[i], name))
			return i;
	assert(!"no such link");
	return 0;
}

/* Monitored, on its own. ifindex and id are its place in the stack plus 1 and plus 101. */
static inline struct topology_link *stack_add(struct stack *s, const char *name, const char *kind)
{
	struct topology_link *link = &s->links[s->count];

	assert(s->count < STACK_MAX);
	snprintf(s->names[s->count], sizeof(s->names[0]), "%s", name);
	*link = (struct topology_link){.ifindex = (uint32_t)s->count + 1,
				       .id = (uint32_t)s->count + 101,
				       .kind = kind};
	s->count++;
	return link;
}

static inline void stack_port(struct stack *s, const char *name, const char *master)
{
	s->links[stack_find(s, name)].master = s->links[stack_find(s, master)].ifindex;
}

/* A VLAN, macvlan ... over lower. */
static inline void stack_over(struct stack *s, const char *name, const char *kind,
			      const char *lower)
{
	uint32_t ifindex = s->links[stack_find(s, lower)].ifindex;

	stack_add(s, name, kind)->lower = ifindex;
}

/* The host's end of a container's veth. */
static inline void stack_veth_abroad(struct stack *s, const char *name)
{
	struct topology_link *link = stack_add(s, name, "veth");

	link->lower = 2; /* an index of the other namespace, which means nothing here */
	link->lower_in_other_netns = true;
}

/* The host of doc/dedup.md: an uplink, and a bridge with the veths of two containers. */
static inline void stack_add_container_host(struct stack *s)
{
	stack_add(s, "eth0", "physical");
	stack_add(s, "br0", "bridge");
	stack_veth_abroad(s, "vc1");
	stack_veth_abroad(s, "vc2");
	stack_port(s, "vc1", "br0");
	stack_port(s, "vc2", "br0");
}

static inline void stack_veth_pair(struct stack *s, const char *a, const char *b)
{
	struct topology_link *x = stack_add(s, a, "veth"), *y = stack_add(s, b, "veth");

	x->lower = y->ifindex;
	y->lower = x->ifindex;
}

static inline void stack_exclude(struct stack *s, const char *name)
{
	s->links[stack_find(s, name)].id = 0;
}

static inline void stack_resolve(struct stack *s)
{
	for (size_t i = 0; s->resolved && i < s->count; i++)
		topology_role_clean(&s->roles[i]);
	assert(!topology_resolve(s->links, s->count, s->roles));
	s->resolved = true;
}

/* What the program makes of a packet that was received on iif (0: born here) at a hook. */
static inline enum flow_class stack_class(const struct stack *s, size_t link, enum hook hook,
					  uint32_t iif)
{
	if (hook == HOOK_INGRESS)
		return FLOW_INGRESS;
	if (!iif)
		return s->roles[link].born_repeat ? FLOW_EGRESS_REPEAT : FLOW_EGRESS;
	return s->roles[iif - 1].covered ? FLOW_EGRESS_REPEAT : FLOW_EGRESS;
}

/* Whether it puts that packet under the unsure key. */
static inline bool stack_unsure(const struct stack *s, enum hook hook, uint32_t iif)
{
	return hook == HOOK_EGRESS && iif && s->roles[iif - 1].partial;
}

/* The link's hook sees packets of 100 bytes each. iif: NULL: born here. */
static inline void stack_see(struct stack *s, const char *name, enum hook hook, const char *iif,
			     const struct flow_key *key, int sender, uint64_t packets)
{
	size_t link = stack_find(s, name);
	uint32_t received = iif ? s->links[stack_find(s, iif)].ifindex : 0;
	struct flow_value value = {0};
	struct flow_key seen = *key;

	if (!s->links[link].id)
		return;
	seen.unsure |= stack_unsure(s, hook, received);
	value.count[sender][stack_class(s, link, hook, received)] =
		(struct flow_count){.bytes = 100 * packets, .packets = packets};
	assert(!merge_add(s->merge, s->links[link].id, &seen, &value, 1));
}

static inline void stack_in(struct stack *s, const char *name, const struct flow_key *key,
			    int sender, uint64_t packets)
{
	stack_see(s, name, HOOK_INGRESS, name, key, sender, packets);
}

/* The lower device receives what upper sent to a sibling. */
static inline void stack_turn(struct stack *s, const char *lower, const char *upper,
			      const struct flow_key *key, int sender, uint64_t packets)
{
	struct flow_key seen = *key;

	seen.unsure = !s->links[stack_find(s, upper)].id;
	stack_see(s, lower, HOOK_INGRESS, lower, &seen, sender, packets);
}

static inline void stack_out(struct stack *s, const char *name, const char *iif,
			     const struct flow_key *key, int sender, uint64_t packets)
{
	stack_see(s, name, HOOK_EGRESS, iif, key, sender, packets);
}

/* What was counted at the interfaces is what the report tells, outer packets of tunnels and what is
 * filtered included. */
static inline void stack_check_sums(const struct report *report)
{
	struct flow_count sum = {0}, told = report->total;

	for (size_t i = 0; i < report->interface_count; i++)
		for (int hook = 0; hook < 2; hook++)
			flow_count_add(&sum, &report->interfaces[i].counted[hook]);
	for (size_t i = 0; i < report->tunnel_count; i++)
		flow_count_add(&told, &report->tunnels[i].count);
	flow_count_add(&told, &report->filtered.count);
	assert(sum.bytes == told.bytes && sum.packets == told.packets);
}

static inline struct merge_ends stack_ends(const struct stack *s)
{
	return (struct merge_ends){.nat = s->nat,
				   .locals = s->locals,
				   .client_ports = {32768, 60999},
				   .tunnels = s->tunnels,
				   .count_tunnels = s->count_tunnels,
				   .only = s->only,
				   .ignore = s->ignore};
}

static inline size_t stack_interfaces(const struct stack *s, struct merge_interface *interfaces)
{
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		if (s->links[i].id)
			interfaces[n++] =
				(struct merge_interface){.id = s->links[i].id,
							 .ifindex = s->links[i].ifindex,
							 .name = s->names[i],
							 .role = &s->roles[i],
							 .before_attach = s->before_attach[i]};
	return n;
}

static inline void stack_report(struct stack *s, struct report *report)
{
	struct merge_interface interfaces[STACK_MAX];
	struct merge_ends ends = stack_ends(s);
	size_t n = stack_interfaces(s, interfaces);

	assert(!merge_report(s->merge, interfaces, n, &ends, report));
	stack_check_sums(report);
}

static inline void stack_sum_smallest(struct stack *s)
{
	struct merge_interface interfaces[STACK_MAX];
	struct merge_ends ends = stack_ends(s);
	size_t n = stack_interfaces(s, interfaces);

	assert(!merge_sum_smallest(s->merge, interfaces, n, &ends));
}

/* TCP between two IPv4 ends, a below b. */
static inline struct flow_key stack_key(const char *a, uint16_t port_a, const char *b,
					uint16_t port_b)
{
	struct flow_key key = {.family = FLOW_IPV4, .protocol = 6};

	for (int end = 0; end < 2; end++) {
		key.addr[end].bytes[10] = key.addr[end].bytes[11] = 0xff;
		assert(inet_pton(AF_INET, end ? b : a, key.addr[end].bytes + 12) == 1);
		key.port[end] = htons(end ? port_b : port_a);
	}
	return key;
}

/* "veth1>br0>eth0" */
static inline const char *stack_path(const struct report *report, const struct report_flow *flow)
{
	static char text[1024];

	text[0] = 0;
	for (uint32_t i = 0; i < flow->interface_count; i++) {
		uint32_t interface = report->crossed[flow->interface_first + i];

		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? ">" : "",
			 report->interfaces[interface].name);
	}
	return text;
}

#endif
