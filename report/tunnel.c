// SPDX-License-Identifier: GPL-2.0-only
#include "report/tunnel.h"

#include "bpf/flow_types.h"
#include "lib/address.h"
#include "netlink/link_tunnel.h"
#include "report/flow_count.h"
#include "report/id_map.h"
#include "report/locals.h"
#include "report/report.h"
#include "report/summed.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64

struct tunnel {
	uint32_t id; /* 0: not monitored */
	struct link_tunnel outer;
};

struct tunnel_set {
	struct tunnel *tunnels; /* owned */
	size_t count;
	size_t monitored;
	/* what a flow must have to be looked at: there may be a million that have not */
	bool protocols[256];
	uint64_t ports[65536 / WORD_BITS]; /* of UDP */
};

int tunnel_set_new(struct tunnel_set **ret)
{
	struct tunnel_set *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	*ret = set;
	return 0;
}

void tunnel_set_free(struct tunnel_set *set)
{
	if (!set)
		return;
	free(set->tunnels);
	free(set);
}

static bool has_tunnel_port(const struct tunnel_set *set, __be16 port)
{
	return set->ports[port / WORD_BITS] >> port % WORD_BITS & 1;
}

int tunnel_set_add(struct tunnel_set *set, uint32_t id, const struct link_tunnel *outer)
{
	const size_t protocols = sizeof(outer->protocols);
	void *grown;

	if (!outer->protocols[0])
		return 0;
	grown = reallocarray(set->tunnels, set->count + 1, sizeof(*set->tunnels));
	if (!grown)
		return -ENOMEM;
	set->tunnels = grown;
	set->tunnels[set->count++] = (struct tunnel){.id = id, .outer = *outer};
	set->monitored += id > 0;
	for (size_t i = 0; i < protocols && outer->protocols[i]; i++)
		set->protocols[outer->protocols[i]] = true;
	set->ports[outer->port / WORD_BITS] |= (uint64_t)1 << outer->port % WORD_BITS;
	return 0;
}

static bool may_be_tunnel(const struct tunnel_set *set, const struct flow_key *key)
{
	return set->protocols[key->protocol] &&
	       (key->protocol != IPPROTO_UDP || has_tunnel_port(set, key->port[0]) ||
		has_tunnel_port(set, key->port[1]));
}

/* How well a tunnel fits a flow. */
enum fit {
	FIT_NOT,
	FIT_ANY_REMOTE,
	FIT_REMOTE, /* the remote end is the one that the device is set to */
};

static bool fits_protocol(const struct link_tunnel *outer, const struct flow_key *key)
{
	bool fits = memchr(outer->protocols, key->protocol, sizeof(outer->protocols));

	/* the port that a tunnel sends from is a hash of the flow inside */
	return fits && (key->protocol != IPPROTO_UDP || outer->port == key->port[0] ||
			outer->port == key->port[1]);
}

/* Whether an address may be our end: what a group gets from others comes here too. */
static bool fits_local(const struct link_tunnel *outer, const uint8_t address[16], bool is_local)
{
	if (address_is_multicast(address))
		return address_is_any(outer->remote) || outer->other_remotes;
	if (address_is_any(outer->local) || outer->other_remotes)
		return is_local;
	return !memcmp(outer->local, address, 16);
}

static enum fit fits_remote(const struct link_tunnel *outer, const uint8_t address[16])
{
	if (address_is_any(outer->remote))
		return FIT_ANY_REMOTE;
	if (!memcmp(outer->remote, address, 16))
		return FIT_REMOTE;
	return outer->other_remotes ? FIT_ANY_REMOTE : FIT_NOT;
}

static enum fit find_fit(const struct link_tunnel *outer, const struct flow_key *key,
			 const bool is_local[2])
{
	enum fit best = FIT_NOT;

	if (!fits_protocol(outer, key))
		return FIT_NOT;
	for (int end = 0; end < 2; end++) {
		enum fit fit = fits_remote(outer, key->addr[!end].bytes);

		if (outer->port_is_local && outer->port != key->port[end])
			continue;
		if (fit > best && fits_local(outer, key->addr[end].bytes, is_local[end]))
			best = fit;
	}
	return best;
}

uint32_t tunnel_set_find(const struct tunnel_set *set, const struct flow_key *key,
			 const struct local_set *locals)
{
	enum fit best = FIT_NOT;
	bool is_local[2];
	uint32_t id = 0;

	if (!may_be_tunnel(set, key))
		return 0;
	for (int end = 0; end < 2; end++)
		is_local[end] = local_set_has(locals, key->addr[end].bytes);
	for (size_t i = 0; i < set->count; i++) {
		const struct tunnel *tunnel = &set->tunnels[i];
		enum fit fit = find_fit(&tunnel->outer, key, is_local);

		/* of those that fit alike a monitored one, for that one the flow does carry */
		if (fit > best || (fit && fit == best && tunnel->id && (!id || tunnel->id < id))) {
			best = fit;
			id = tunnel->id;
		}
	}
	return id;
}

static int map_interfaces(const struct report *report, struct id_map *by_id)
{
	int err = id_map_reserve(by_id, report->interface_count);

	for (uint32_t i = 0; i < report->interface_count && !err; i++)
		id_map_put(by_id, report->interfaces[i].id, i);
	return err;
}

static void mark_flows(const struct tunnel_set *set, const struct local_set *locals,
		       const struct id_map *by_id, struct report *report)
{
	for (size_t i = 0; i < report->flow_count; i++) {
		struct report_flow *flow = &report->flows[i];
		uint32_t id = tunnel_set_find(set, &flow->key, locals);

		if (id)
			flow->tunnel = id_map_get(by_id, id) + 1;
	}
}

static void leave_out_flow(struct report *report, const struct report_flow *flow)
{
	report_sum_add_flow(&report->tunnels[flow->tunnel - 1], flow);
	for (int end = 0; end < 2; end++)
		flow_count_subtract(&report->total, &flow->sent[end]);
}

/* Marked flows change places with the last ones that are not: the report is not sorted yet. */
static int leave_out_marked(struct report *report)
{
	report->tunnels = calloc(report->interface_count + 1, sizeof(*report->tunnels));
	if (!report->tunnels)
		return -ENOMEM;
	report->tunnel_count = report->interface_count;
	for (uint32_t i = 0; i < report->tunnel_count; i++)
		report->tunnels[i].interface = i;
	for (size_t i = 0; i < report->flow_count;) {
		struct report_flow flow = report->flows[i];

		if (!flow.tunnel) {
			i++;
			continue;
		}
		leave_out_flow(report, &flow);
		report->flow_count--;
		report->left_out_count++;
		report->flows[i] = report->flows[report->flow_count];
		report->flows[report->flow_count] = flow;
	}
	report->tunnel_count = summed_compact(report->tunnels, report->tunnel_count);
	return 0;
}

int tunnel_mark_flows(const struct tunnel_set *set, const struct local_set *locals, bool leave_out,
		      struct report *report)
{
	struct id_map by_id = {0};
	int err;

	if (!set->monitored)
		return 0;
	err = map_interfaces(report, &by_id);
	if (!err)
		mark_flows(set, locals, &by_id, report);
	if (!err && leave_out)
		err = leave_out_marked(report);
	id_map_clean(&by_id);
	return err;
}
