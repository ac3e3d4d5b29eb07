// SPDX-License-Identifier: GPL-2.0-only
#include "report/merge.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/protocol.h"
#include "report/debt.h"
#include "report/filtered.h"
#include "report/flow_bytes.h"
#include "report/flow_count.h"
#include "report/flow_table.h"
#include "report/id_map.h"
#include "report/join.h"
#include "report/judge.h"
#include "report/locals.h"
#include "report/nat.h"
#include "report/path.h"
#include "report/phase.h"
#include "report/sort.h"
#include "report/summed.h"
#include "report/tunnel.h"
#include "report/unattributed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ADD_SLOTS   32	       /* records whose slots are loaded before they are added */
#define ADD_ENTRIES 16	       /* the same of entries */
#define KEPT	    UINT64_MAX /* the size of a flow that cannot be summed */

struct merge {
	struct flow_table flows;
	struct id_map added;  /* ids whose records were added in this interval */
	uint32_t added_last;  /* the id of the last merge_add() ... */
	bool added_last_once; /* ... if all calls for it came in one run */
	size_t unattributed;  /* entries that are no flows */
	struct debt owed;     /* from the interval before */
	struct debt owing;    /* as of the last merge_report(), for the next interval */
	size_t max_flows;     /* 0: no limit */
	size_t kept;	      /* when some were summed last: flows that were not */
	struct summed summed; /* flows that were beyond it */
};

int merge_new(struct merge **ret)
{
	struct merge *merge = calloc(1, sizeof(*merge));

	if (!merge)
		return -ENOMEM;
	/* one secret, so that one hash of a flow serves all tables */
	flow_table_init(&merge->flows);
	merge->owed.flows = merge->flows;
	merge->owing.flows = merge->flows;
	*ret = merge;
	return 0;
}

void merge_free(struct merge *merge)
{
	if (!merge)
		return;
	flow_table_clean(&merge->flows);
	id_map_clean(&merge->added);
	debt_clean(&merge->owed);
	debt_clean(&merge->owing);
	summed_clean(&merge->summed);
	free(merge);
}

int merge_copy(struct merge **ret, const struct merge *from)
{
	struct merge *merge = calloc(1, sizeof(*merge));
	int err;

	if (!merge)
		return -ENOMEM;
	merge->added_last = from->added_last;
	merge->added_last_once = from->added_last_once;
	merge->unattributed = from->unattributed;
	merge->max_flows = from->max_flows;
	merge->kept = from->kept;
	err = flow_table_copy(&merge->flows, &from->flows)
		      ?: id_map_copy(&merge->added, &from->added)
		      ?: debt_copy(&merge->owed, &from->owed)
		      ?: summed_copy(&merge->summed, &from->summed);
	if (err) {
		merge_free(merge);
		return err;
	}
	merge->owing.flows.hash = merge->flows.hash;
	*ret = merge;
	return 0;
}

static size_t count_cells(const struct flow_value *value)
{
	size_t cells = 0;

	for (unsigned int sender = 0; sender < 2; sender++)
		for (unsigned int kind = 0; kind < FLOW_CLASSES; kind++)
			cells += !flow_count_is_zero(&value->count[sender][kind]);
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

/* The flow of a record: that of an unsure key is in cells of its own. */
static struct flow_key record_flow(const struct flow_key *key)
{
	struct flow_key flow = *key;

	flow.unsure = 0;
	return flow;
}

static unsigned int record_sight(const struct flow_key *key, unsigned int class)
{
	if (key->unsure && class == FLOW_EGRESS)
		return FLOW_EGRESS_UNSURE;
	return key->unsure && class == FLOW_INGRESS ? FLOW_INGRESS_TURNED : class;
}

static void add_record(struct merge *merge, uint32_t id, const struct flow_key *key, uint32_t hash,
		       const struct flow_value *value)
{
	const struct flow_key flow = record_flow(key);
	size_t before = merge->flows.entry_count;
	struct flow_entry *entry;
	bool all_new;

	if (!count_cells(value) || flow_key_is_frames(key))
		return;
	entry = flow_table_insert(&merge->flows, &flow, hash);
	if (merge->flows.entry_count != before && key->family == FLOW_UNATTRIBUTED)
		merge->unattributed++;
	/* then there is no cell to look for: to see that would be to wait for the memory of one */
	all_new = merge->added_last_once && entry->first_id != id;
	for (unsigned int sender = 0; sender < 2; sender++) {
		for (unsigned int class = 0; class < FLOW_CLASSES; ++class) {
			const struct flow_count *count = &value->count[sender][class];
			unsigned int sight = record_sight(key, class);

			if (flow_count_is_zero(count))
				continue;
			if (all_new)
				flow_table_append(&merge->flows, entry, id, sender, sight, *count);
			else
				flow_table_add(&merge->flows, entry, id, sender, sight, *count,
					       merge->added_last_once);
		}
	}
}

/* Loads the slots of records to come, then their entries, instead of waiting for each. */
static void add_records(struct merge *merge, uint32_t id, const struct flow_key *keys,
			const struct flow_value *values, size_t n)
{
	uint32_t hashes[ADD_SLOTS];

	for (size_t i = 0; i < n + ADD_SLOTS; i++) {
		if (i >= ADD_SLOTS)
			add_record(merge, id, &keys[i - ADD_SLOTS], hashes[i % ADD_SLOTS],
				   &values[i - ADD_SLOTS]);
		if (i < n) {
			const struct flow_key flow = record_flow(&keys[i]);

			hashes[i % ADD_SLOTS] = flow_table_hash(&merge->flows, &flow);
			flow_table_prefetch_slot(&merge->flows, hashes[i % ADD_SLOTS]);
		}
		if (i >= ADD_ENTRIES && i - ADD_ENTRIES < n)
			flow_table_prefetch_entry(&merge->flows,
						  hashes[(i - ADD_ENTRIES) % ADD_SLOTS]);
	}
}

int merge_add(struct merge *merge, uint32_t interface_id, const struct flow_key *keys,
	      const struct flow_value *values, size_t n)
{
	int err = reserve_records(merge, values, n);

	if (err)
		return err;
	if (merge->added_last != interface_id) {
		merge->added_last = interface_id;
		merge->added_last_once = id_map_get(&merge->added, interface_id) == ID_MAP_NONE;
		id_map_put(&merge->added, interface_id, 0);
	}
	add_records(merge, interface_id, keys, values, n);
	return 0;
}

static size_t held_flows(const struct merge *merge)
{
	return merge->flows.entry_count - merge->unattributed;
}

void merge_encode_owing(const struct merge *merge, struct buffer *bytes)
{
	debt_encode(&merge->owing, bytes);
}

int merge_decode_owed(struct merge *merge, const void *bytes, size_t size)
{
	return debt_decode(&merge->owed, bytes, size);
}

void merge_encode(const struct merge *merge, struct buffer *bytes)
{
	const uint64_t kept = merge->kept;

	buffer_append(bytes, &kept, sizeof(kept));
	summed_encode(&merge->summed, bytes);
	flow_table_encode(&merge->flows, bytes);
}

/* What follows from the flows. */
static int note_decoded(struct merge *merge)
{
	const struct flow_table *flows = &merge->flows;

	for (size_t i = 0; i < flows->entry_count; i++) {
		merge->unattributed += flows->entries[i].key.family == FLOW_UNATTRIBUTED;
		flow_table_each_cell (cell, flows, &flows->entries[i]) {
			if (id_map_get(&merge->added, cell->id) != ID_MAP_NONE)
				continue;
			if (id_map_reserve(&merge->added, 1))
				return -ENOMEM;
			id_map_put(&merge->added, cell->id, 0);
		}
	}
	return 0;
}

static int decode_interval(struct merge *merge, const char *bytes, size_t size)
{
	uint64_t kept;
	size_t sums;
	int err;

	if (size < sizeof(kept))
		return -EBADMSG;
	memcpy(&kept, bytes, sizeof(kept));
	merge->kept = kept;
	sums = size - sizeof(kept);
	err = summed_decode(&merge->summed, bytes + sizeof(kept), &sums);
	if (!err)
		err = flow_table_decode(&merge->flows, FLOW_SIGHTS, bytes + sizeof(kept) + sums,
					size - sizeof(kept) - sums);
	return err ?: note_decoded(merge);
}

static void empty_interval(struct merge *merge)
{
	flow_table_reset(&merge->flows);
	id_map_clean(&merge->added);
	merge->added_last = 0;
	merge->unattributed = 0;
	merge->kept = 0;
	summed_clean(&merge->summed);
}

int merge_decode(struct merge *merge, const void *bytes, size_t size)
{
	int err = decode_interval(merge, bytes, size);

	if (err)
		empty_interval(merge);
	return err;
}

size_t merge_keep_ids(struct merge *merge, const uint32_t *ids, size_t count,
		      struct flow_count *dropped)
{
	struct flow_table *flows = &merge->flows;
	size_t changed = 0;

	*dropped = (struct flow_count){0};
	for (size_t i = 0; i < flows->entry_count; i++)
		changed += flow_table_keep_ids(flows, &flows->entries[i], ids, count, dropped);
	return changed + summed_keep_ids(&merge->summed, ids, count, dropped);
}

size_t merge_flow_count(const struct merge *merge)
{
	return held_flows(merge) + merge->summed.flows;
}

void merge_set_max_flows(struct merge *merge, size_t max_flows)
{
	merge->max_flows = max_flows;
}

/* So that what summing costs is spread over as many new flows. */
bool merge_is_over(const struct merge *merge)
{
	size_t kept = merge->kept > merge->max_flows ? merge->kept : merge->max_flows;

	return merge->max_flows && held_flows(merge) > kept + merge->max_flows / 2;
}

bool merge_must_report(const struct merge *merge)
{
	return merge->max_flows && merge->kept / 2 > merge->max_flows;
}

void merge_next_interval(struct merge *merge)
{
	struct debt paid = merge->owed;

	merge->owed = merge->owing;
	merge->owing = paid;
	debt_reset(&merge->owing);
	empty_interval(merge);
}

/* What a report is made with. */
struct view {
	const struct flow_table *flows;		  /* borrowed */
	struct judge_case matter;		  /* the same, and what is owed */
	const struct merge_interface *interfaces; /* borrowed */
	size_t interface_count;
	const struct merge_ends *ends; /* borrowed */
	const struct nat_table *nat;   /* borrowed; NULL: nothing is translated */
	bool *chosen;		       /* owned; by entry: those to report; NULL: all */
	struct judge *judge;	       /* owned */
	struct path_finder *paths;     /* owned */
};

static int compare_interfaces(const void *a, const void *b)
{
	const struct report_interface *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (!order)
		order = (x->life > y->life) - (x->life < y->life);
	return order ? order : (x->id > y->id) - (x->id < y->id);
}

static int list_interfaces(const struct view *view, struct report *report)
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

static int new_judge(struct judge **ret, const struct view *view, const struct report *report)
{
	return judge_new(ret, &view->matter, report->interfaces, view->interfaces,
			 view->interface_count);
}

static int view_init(struct view *view, const struct report *report)
{
	return new_judge(&view->judge, view, report)
		       ?: path_finder_new(&view->paths, view->flows, view->judge, view->interfaces,
					  view->interface_count);
}

static void view_clean(struct view *view)
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
static void add_nat(const struct view *view, struct report *report, struct report_flow *flow)
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

static void list_flow(struct view *view, struct report *report, const struct flow_entry *entry,
		      const struct flow_count sent[2])
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
static int reserve_lists(const struct view *view, struct report *report)
{
	const struct flow_table *flows = view->flows;
	size_t nats = view->nat ? nat_table_count(view->nat) : 0;

	if (nats > flows->entry_count)
		nats = flows->entry_count;
	report->flows = malloc((flows->entry_count + 1) * sizeof(*report->flows));
	report->crossed = malloc((flows->cell_count + 1) * sizeof(*report->crossed));
	report->nats = malloc((nats + 1) * sizeof(*report->nats));
	return report->flows && report->crossed && report->nats ? 0 : -ENOMEM;
}

/* What the interfaces showed of a flow, whoever counts it. */
static void note_shown(const struct view *view, struct report *report,
		       const struct flow_entry *entry)
{
	flow_table_each_cell (cell, view->flows, entry) {
		struct report_interface *interface =
			&report->interfaces[judge_interface(view->judge, cell->id)];
		const struct flow_count count = flow_cell_count(cell);

		flow_count_add(flow_sight_is_ingress(cell->kind) ? &interface->in : &interface->out,
			       &count);
	}
}

static int list_flows(struct view *view, struct report *report)
{
	const struct flow_table *flows = view->flows;
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

static int list_unattributed(const struct view *view, struct report *report)
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

static int join_view(struct view *view, struct merge *merge)
{
	const struct nat_table *nat = view->ends->nat;

	if (!nat || !(nat_table_count(nat) || nat_table_plain(nat)))
		return 0;
	view->nat = nat;
	return nat_table_count(nat) ? join_translated(merge, nat) : 0;
}

/* Lists the flows, and takes out what is not to be reported. */
static int fill_report(struct view *view, struct report *report)
{
	const struct merge_ends *ends = view->ends;
	int err = view_init(view, report);

	if (!err)
		err = list_flows(view, report);
	if (!err && ends->tunnels)
		err = tunnel_mark_flows(ends->tunnels, ends->locals, !ends->count_tunnels, report);
	return err;
}

static int filter_report(const struct merge_ends *ends, struct report *report)
{
	return ends->only ? report_filter(report, ends->only, ends->ignore) : 0;
}

int merge_report(struct merge *merge, const struct merge_interface *interfaces, size_t count,
		 const struct merge_ends *ends, struct report *report)
{
	struct view view = {
		.flows = &merge->flows,
		.matter = {.flows = &merge->flows, .owed = &merge->owed, .owing = &merge->owing},
		.interfaces = interfaces,
		.interface_count = count,
		.ends = ends,
	};
	int err;

	*report = (struct report){0};
	debt_reset(&merge->owing);
	err = join_view(&view, merge);
	if (!err)
		err = list_interfaces(&view, report);
	if (!err)
		err = fill_report(&view, report);
	if (!err)
		err = list_unattributed(&view, report);
	if (!err)
		err = sort_flows(report->flows, report->flow_count);
	if (!err)
		err = sort_flows(report->flows + report->flow_count, report->left_out_count);
	if (!err)
		err = judge_close(view.judge);
	view_clean(&view);
	if (!err && merge->summed.count)
		err = summed_put(&merge->summed, report);
	if (!err)
		err = phase_join(report);
	if (!err)
		report_count_crossings(report);
	report_limit(report, 0);
	if (!err)
		err = filter_report(ends, report);
	if (!err && merge->max_flows)
		err = summed_trim(report, merge->max_flows);
	if (err) {
		debt_reset(&merge->owing);
		report_clean(report);
	}
	return err;
}

/* Bytes of each flow that can be summed now. */
static int measure_flows(const struct view *view, const struct report *report, uint64_t *sizes)
{
	const struct flow_table *flows = view->flows;
	struct judge *judge;
	int err = new_judge(&judge, view, report);

	if (err)
		return err;
	for (size_t i = 0; i < flows->entry_count && !err; i++) {
		const struct flow_entry *entry = &flows->entries[i];
		struct flow_count sent[2];

		flow_table_prefetch_cells(flows, i);
		sizes[i] = KEPT;
		if (entry->key.family == FLOW_UNATTRIBUTED || !judge_is_certain(judge, entry))
			continue;
		err = judge_flow(judge, entry, sent);
		sizes[i] = sent[0].bytes + sent[1].bytes;
	}
	judge_free(judge);
	return err;
}

/* The n smallest, as far as they can be summed. Returns how many. */
static size_t choose_smallest(const uint64_t *sizes, size_t count, size_t n, bool *chosen)
{
	uint64_t threshold = sort_select(sizes, count, n - 1);
	size_t left = n;

	for (size_t i = 0; i < count; i++) {
		chosen[i] = sizes[i] < threshold;
		left -= chosen[i];
	}
	for (size_t i = 0; i < count && left && threshold != KEPT; i++) {
		if (sizes[i] != threshold)
			continue;
		chosen[i] = true;
		left--;
	}
	return n - left;
}

/* Chooses the n smallest flows, as far as they can be summed. *ret: how many. 0 or -ENOMEM. */
static int choose_flows(struct view *view, const struct report *report, size_t n, size_t *ret)
{
	size_t entries = view->flows->entry_count;
	_free_ uint64_t *sizes = calloc(entries, sizeof(*sizes));
	int err;

	view->chosen = calloc(entries, sizeof(*view->chosen));
	if (!sizes || !view->chosen)
		return -ENOMEM;
	err = measure_flows(view, report, sizes);
	if (!err)
		*ret = choose_smallest(sizes, entries, n, view->chosen);
	return err;
}

/* Keeps the sums of the chosen flows instead of them. 0 or -ENOMEM, then they stay. */
static int sum_chosen(struct merge *merge, struct view *view, struct report *report)
{
	int err = fill_report(view, report);

	if (err)
		return err;
	report_count_crossings(report);
	err = filter_report(view->ends, report)
		      ?: summed_reserve(&merge->summed, view->interface_count)
		      ?: flow_table_drop(&merge->flows, view->chosen);
	if (!err)
		summed_add(&merge->summed, report);
	return err;
}

int merge_sum_smallest(struct merge *merge, const struct merge_interface *interfaces, size_t count,
		       const struct merge_ends *ends)
{
	struct view view = {
		.flows = &merge->flows,
		/* what can be summed owes nothing */
		.matter = {.flows = &merge->flows, .owed = &merge->owed},
		.interfaces = interfaces,
		.interface_count = count,
		.ends = ends,
	};
	struct report report = {0};
	size_t chosen = 0;
	int err = join_view(&view, merge);

	if (err || !merge_is_over(merge))
		return err;
	err = list_interfaces(&view, &report)
		      ?: choose_flows(&view, &report, held_flows(merge) - merge->max_flows,
				      &chosen);
	if (!err && chosen)
		err = sum_chosen(merge, &view, &report);
	view_clean(&view);
	report_clean(&report);
	if (!err)
		merge->kept = held_flows(merge);
	return err;
}
