// SPDX-License-Identifier: GPL-2.0-only
/* The report of what was added. */
#include "report/merge_private.h"

#include "lib/cleanup.h"
#include "lib/protocol.h"
#include "report/filtered.h"
#include "report/flow_count.h"
#include "report/join.h"
#include "report/locals.h"
#include "report/nat.h"
#include "report/path.h"
#include "report/phase.h"
#include "report/sort.h"
#include "report/tunnel.h"
#include "report/unattributed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare_interfaces(const void *a, const void *b)
{
	const struct report_interface *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (!order)
		order = (x->life > y->life) - (x->life < y->life);
	return order ? order : (x->id > y->id) - (x->id < y->id);
}

int merge_view_list_interfaces(const struct merge_view *view, struct report *report)
{
	size_t count = view->interface_count;

	report->interfaces = calloc(count + 1, sizeof(*report->interfaces));
	if (!report->interfaces)
		return -ENOMEM;
	report->interface_count = count;
	for (size_t i = 0; i < count; i++) {
		struct report_interface *interface = &report->interfaces[i];
		const struct merge_interface *from = &view->interfaces[i];

		interface->id = from->id;
		interface->life = from->life ? from->life : from->id;
		interface->ifindex = from->ifindex;
		/* the kernel's names have 15 bytes at most */
		strncpy(interface->name, from->name, sizeof(interface->name) - 1);
	}
	qsort(report->interfaces, count, sizeof(*report->interfaces), compare_interfaces);
	return 0;
}

int merge_view_judge(struct judge **ret, const struct merge_view *view, const struct report *report)
{
	return judge_new(ret, &view->judged, report->interfaces, view->interfaces,
			 view->interface_count);
}

static int init_view(struct merge_view *view, const struct report *report)
{
	return merge_view_judge(&view->judge, view, report)
		       ?: path_finder_new(&view->paths, view->judged.flows, view->judge,
					  view->interfaces, view->interface_count);
}

void merge_view_clean(struct merge_view *view)
{
	free(view->chosen);
	path_finder_free(view->paths);
	judge_free(view->judge);
}

static uint8_t left_end(const struct merge_ends *ends, const struct flow_key *key)
{
	bool is_client[2] = {false, false};

	for (int end = 0; end < 2 && protocol_has_ports(key->protocol); end++)
		is_client[end] = client_ports_has(&ends->client_ports, key->port[end]);
	if (is_client[0] == is_client[1])
		for (int end = 0; end < 2; end++)
			is_client[end] = local_set_has(ends->locals, key->addr[end].bytes);
	return is_client[1] && !is_client[0];
}

static struct report_nat make_nat(const struct nat_conversation *conversation)
{
	const struct flow_key *key = &conversation->original;
	struct report_nat nat = {0};

	nat.seen_as[conversation->client] = conversation->client_seen_as;
	nat.seen_as[!conversation->client] = conversation->server_seen_as;
	for (int end = 0; end < 2; end++)
		nat.translated[end] = nat.seen_as[end].port != key->port[end] ||
				      memcmp(nat.seen_as[end].addr, key->addr[end].bytes,
					     sizeof(key->addr[end].bytes)) != 0;
	return nat;
}

/* What conntrack knows of the flow; above all who the client is. */
static void add_nat(const struct merge_view *view, struct report *report, struct report_flow *flow)
{
	struct nat_conversation conversation;

	if (!nat_table_find(view->nat, &flow->key, &conversation)) {
		int client = nat_table_client(view->nat, &flow->key);

		if (client >= 0)
			flow->left = (uint8_t)client;
		return;
	}
	flow->left = conversation.client;
	report->nats[report->nat_count++] = make_nat(&conversation);
	flow->nat = (uint32_t)report->nat_count;
}

static void list_flow(struct merge_view *view, struct report *report,
		      const struct flow_entry *entry, const struct flow_count sent[2])
{
	struct report_flow *flow = &report->flows[report->flow_count++];

	*flow = (struct report_flow){.key = entry->key,
				     .left = left_end(view->ends, &entry->key),
				     .interface_first = (uint32_t)report->crossed_count,
				     .counted_at = judge_counted_at(view->judge)};
	for (int end = 0; end < 2; end++) {
		flow->sent[end] = sent[end];
		flow_count_add(&report->total, &sent[end]);
	}
	if (view->nat)
		add_nat(view, report, flow);
	flow->interface_count =
		path_find(view->paths, entry, flow->left, report->crossed + report->crossed_count);
	report->crossed_count += flow->interface_count;
}

/* At most: pages that are not written to cost nothing. */
static int reserve_lists(const struct merge_view *view, struct report *report)
{
	const struct flow_table *flows = view->judged.flows;
	size_t nats = view->nat ? nat_table_count(view->nat) : 0;

	if (nats > flows->entry_count)
		nats = flows->entry_count;
	report->flows = malloc((flows->entry_count + 1) * sizeof(*report->flows));
	report->crossed = malloc((flows->cell_count + 1) * sizeof(*report->crossed));
	report->nats = malloc((nats + 1) * sizeof(*report->nats));
	return report->flows && report->crossed && report->nats ? 0 : -ENOMEM;
}

/* What the interfaces showed of a flow, whoever counts it. */
static void note_shown(const struct merge_view *view, struct report *report,
		       const struct flow_entry *entry)
{
	flow_table_each_cell (cell, view->judged.flows, entry) {
		struct report_interface *interface =
			&report->interfaces[judge_interface(view->judge, cell->id)];
		const struct flow_count count = flow_cell_count(cell);

		flow_count_add(flow_class_is_ingress(cell->kind) ? &interface->in : &interface->out,
			       &count);
	}
}

static int list_flows(struct merge_view *view, struct report *report)
{
	const struct flow_table *flows = view->judged.flows;
	struct flow_count sent[2];
	int err = reserve_lists(view, report);

	if (err)
		return err;
	for (size_t i = 0; i < flows->entry_count; i++) {
		const struct flow_entry *entry = &flows->entries[i];

		flow_table_prefetch_cells(flows, i);
		if (view->chosen && !view->chosen[i])
			continue;
		err = judge_flow(view->judge, entry, sent);
		if (err)
			return err;
		if (entry->key.family != FLOW_UNATTRIBUTED)
			note_shown(view, report, entry);
		/* nothing: it was moved to its original face, or all of it was counted elsewhere.
		 * What is under way may leave bytes alone: they are of packets of other reports. */
		if (entry->key.family != FLOW_UNATTRIBUTED &&
		    !(flow_count_is_zero(&sent[0]) && flow_count_is_zero(&sent[1])))
			list_flow(view, report, entry, sent);
	}
	for (uint32_t i = 0; i < report->interface_count; i++)
		memcpy(report->interfaces[i].counted, judge_first_sights(view->judge, i),
		       sizeof(report->interfaces[i].counted));
	return 0;
}

static void add_unattributed(struct report *report, uint32_t interface,
			     enum unattributed_reason reason, const struct flow_count *count)
{
	if (!flow_count_is_zero(count))
		report->unattributed[report->unattributed_count++] =
			(struct report_unattributed){.interface = interface,
						     .reason = unattributed_name(reason),
						     .count = *count};
}

static int list_unattributed(const struct merge_view *view, struct report *report)
{
	size_t count = view->interface_count;
	_free_ struct flow_count *before_attach = calloc(count + 1, sizeof(*before_attach));

	report->unattributed =
		calloc(count * (FLOW_REASONS + 1) + 1, sizeof(*report->unattributed));
	if (!report->unattributed || !before_attach)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		before_attach[judge_interface(view->judge, view->interfaces[i].id)] =
			view->interfaces[i].before_attach;
	for (uint32_t i = 0; i < count; i++) {
		const struct flow_count *sums = judge_unattributed(view->judge, i);

		for (unsigned int reason = 0; reason < FLOW_REASONS; reason++)
			add_unattributed(report, i, reason, &sums[reason]);
		/* an estimate: bytes alone are none */
		if (before_attach[i].packets)
			add_unattributed(report, i, UNATTRIBUTED_BEFORE_ATTACH, &before_attach[i]);
	}
	return 0;
}

/* Both what was added and what is owed. */
static int join_translated(struct merge *merge, const struct nat_table *nat)
{
	int moved = join_faces(&merge->flows, nat);

	/* an entry's cells of the latest interface need not be its newest any more */
	if (moved)
		merge->added_last = 0;
	if (moved >= 0)
		moved = join_faces(&merge->owed.flows, nat);
	return moved < 0 ? moved : 0;
}

int merge_view_join(struct merge_view *view, struct merge *merge)
{
	const struct nat_table *nat = view->ends->nat;

	if (!nat || !(nat_table_count(nat) || nat_table_plain(nat)))
		return 0;
	view->nat = nat;
	return nat_table_count(nat) ? join_translated(merge, nat) : 0;
}

int merge_view_fill(struct merge_view *view, struct report *report)
{
	const struct merge_ends *ends = view->ends;
	int err = init_view(view, report);

	if (!err)
		err = list_flows(view, report);
	if (!err && ends->tunnels)
		err = tunnel_mark_flows(ends->tunnels, ends->locals, !ends->count_tunnels, report);
	return err;
}

int merge_filter_report(const struct merge_ends *ends, struct report *report)
{
	return ends->only ? report_filter(report, ends->only, ends->ignore) : 0;
}

int merge_report(struct merge *merge, const struct merge_interface *interfaces, size_t count,
		 const struct merge_ends *ends, struct report *report)
{
	struct merge_view view = {
		.judged = {.flows = &merge->flows, .owed = &merge->owed, .owing = &merge->owing},
		.interfaces = interfaces,
		.interface_count = count,
		.ends = ends,
	};
	int err;

	*report = (struct report){0};
	debt_reset(&merge->owing);
	err = merge_view_join(&view, merge);
	if (!err)
		err = merge_view_list_interfaces(&view, report);
	if (!err)
		err = merge_view_fill(&view, report);
	if (!err)
		err = list_unattributed(&view, report);
	if (!err)
		err = sort_flows(report->flows, report->flow_count);
	if (!err)
		err = sort_flows(report->flows + report->flow_count, report->left_out_count);
	if (!err)
		err = judge_close(view.judge);
	merge_view_clean(&view);
	if (!err && merge->summed.count)
		err = summed_put(&merge->summed, report);
	if (!err)
		err = phase_join(report);
	if (!err)
		report_count_crossings(report);
	report_limit(report, 0);
	if (!err)
		err = merge_filter_report(ends, report);
	if (!err && merge->max_flows)
		err = summed_trim(report, merge->max_flows);
	if (err) {
		debt_reset(&merge->owing);
		report_clean(report);
	}
	return err;
}
