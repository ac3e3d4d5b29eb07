// SPDX-License-Identifier: GPL-2.0-only
#include "report/summed.h"

#include "lib/array.h"
#include "lib/buffer.h"
#include "lib/numbers.h"
#include "lib/record.h"
#include "report/flow_bytes.h"
#include "report/flow_count.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void summed_clean(struct summed *summed)
{
	id_map_clean(&summed->by_id);
	free(summed->list);
	*summed = (struct summed){0};
}

int summed_copy(struct summed *to, const struct summed *from)
{
	struct summed copy = {.flows = from->flows, .filtered = from->filtered};
	int err = id_map_copy(&copy.by_id, &from->by_id);

	if (!err)
		err = array_reserve(&copy.list, &copy.capacity, sizeof(*copy.list), from->count);
	if (!err && from->count) {
		memcpy(copy.list, from->list, from->count * sizeof(*copy.list));
		copy.count = from->count;
	}
	if (err)
		summed_clean(&copy);
	*to = copy;
	return err;
}

int summed_reserve(struct summed *summed, size_t interfaces)
{
	return id_map_reserve(&summed->by_id, interfaces)
		       ?: array_reserve(&summed->list, &summed->capacity, sizeof(*summed->list),
					summed->count + interfaces);
}

static struct summed_interface *find_interface(const struct summed *summed, uint32_t id)
{
	uint32_t at = id_map_get(&summed->by_id, id);

	return at == ID_MAP_NONE ? NULL : &summed->list[at];
}

static struct summed_interface *find_or_add(struct summed *summed, uint32_t id)
{
	struct summed_interface *interface = find_interface(summed, id);

	if (interface)
		return interface;
	id_map_put(&summed->by_id, id, (uint32_t)summed->count);
	interface = &summed->list[summed->count++];
	*interface = (struct summed_interface){.shown.id = id};
	return interface;
}

/* The bytes: a head and one record of what is summed, a head and the interfaces. */
struct summed_bytes {
	uint64_t flows;
	uint64_t filtered_flows;
	struct count_bytes filtered;
};

struct interface_bytes {
	uint32_t id, zero;
	uint64_t flows;
	struct count_bytes in, out, counted[2];
	uint64_t other_flows, tunnel_flows;
	struct count_bytes other, tunnel;
};

static void encode_interface(const struct summed_interface *interface, struct buffer *bytes)
{
	const struct report_interface *shown = &interface->shown;
	const struct interface_bytes coded = {
		.id = shown->id,
		.flows = shown->flows,
		.in = count_bytes_from(&shown->in),
		.out = count_bytes_from(&shown->out),
		.counted = {count_bytes_from(&shown->counted[0]),
			    count_bytes_from(&shown->counted[1])},
		.other_flows = interface->other.flows,
		.other = count_bytes_from(&interface->other.count),
		.tunnel_flows = interface->tunnel.flows,
		.tunnel = count_bytes_from(&interface->tunnel.count),
	};

	buffer_append(bytes, &coded, sizeof(coded));
}

void summed_encode(const struct summed *summed, struct buffer *bytes)
{
	const struct summed_bytes coded = {
		.flows = summed->flows,
		.filtered_flows = summed->filtered.flows,
		.filtered = count_bytes_from(&summed->filtered.count),
	};
	const struct record_head one = {.count = 1, .size = sizeof(coded)};
	const struct record_head head = {
		.count = summed->count,
		.size = sizeof(struct interface_bytes),
	};

	buffer_append(bytes, &one, sizeof(one));
	buffer_append(bytes, &coded, sizeof(coded));
	buffer_append(bytes, &head, sizeof(head));
	for (size_t i = 0; i < summed->count; i++)
		encode_interface(&summed->list[i], bytes);
}

static void decode_interface(const struct interface_bytes *coded,
			     struct summed_interface *interface)
{
	*interface = (struct summed_interface){
		.shown = {.id = coded->id,
			  .flows = coded->flows,
			  .in = count_bytes_to_count(&coded->in),
			  .out = count_bytes_to_count(&coded->out),
			  .counted = {count_bytes_to_count(&coded->counted[0]),
				      count_bytes_to_count(&coded->counted[1])}},
		.other = {.flows = coded->other_flows,
			  .count = count_bytes_to_count(&coded->other)},
		.tunnel = {.flows = coded->tunnel_flows,
			   .count = count_bytes_to_count(&coded->tunnel)},
	};
}

/* Goes behind the head of records, which are there, or fails. */
static bool decode_head(struct record_head *head, const char **at, const char *end)
{
	if ((size_t)(end - *at) < sizeof(*head))
		return false;
	memcpy(head, *at, sizeof(*head));
	*at += sizeof(*head);
	return record_fits(head, (size_t)(end - *at));
}

int summed_decode(struct summed *summed, const void *bytes, size_t *size)
{
	const char *at = bytes, *end = at + *size;
	struct summed_bytes coded;
	struct record_head head;
	int err;

	if (!decode_head(&head, &at, end) || head.count != 1)
		return -EBADMSG;
	record_take(&coded, sizeof(coded), at, head.size);
	at += head.size;
	if (!decode_head(&head, &at, end))
		return -EBADMSG;
	err = summed_reserve(summed, head.count);
	if (err)
		return err;
	for (size_t i = 0; i < head.count; i++) {
		struct interface_bytes read;

		record_take(&read, sizeof(read), at + i * head.size, head.size);
		decode_interface(&read, find_or_add(summed, read.id));
	}
	summed->flows = coded.flows;
	summed->filtered = (struct report_filtered){
		.flows = coded.filtered_flows,
		.count = count_bytes_to_count(&coded.filtered),
	};
	*size = (size_t)(at - (const char *)bytes) + head.count * head.size;
	return 0;
}

size_t summed_keep_ids(struct summed *summed, const uint32_t *ids, size_t count,
		       struct flow_count *dropped)
{
	size_t flows = 0;

	for (size_t i = 0; i < summed->count; i++) {
		struct summed_interface *interface = &summed->list[i];

		if (numbers_find(ids, count, interface->shown.id))
			continue;
		flows += interface->other.flows + interface->tunnel.flows;
		summed->flows -= interface->other.flows;
		flow_count_add(dropped, &interface->other.count);
		flow_count_add(dropped, &interface->tunnel.count);
		*interface = (struct summed_interface){.shown.id = interface->shown.id};
	}
	return flows;
}

void summed_add(struct summed *summed, const struct report *report)
{
	const struct report_interface *interfaces = report->interfaces;

	for (size_t i = 0; i < report->interface_count; i++)
		if (!flow_count_is_zero(&interfaces[i].in) ||
		    !flow_count_is_zero(&interfaces[i].out))
			report_interface_add(&find_or_add(summed, interfaces[i].id)->shown,
					     &interfaces[i]);
	for (size_t i = 0; i < report->flow_count; i++) {
		const struct report_flow *flow = &report->flows[i];

		report_sum_add_flow(&find_or_add(summed, interfaces[flow->counted_at].id)->other,
				    flow);
	}
	for (size_t i = 0; i < report->tunnel_count; i++) {
		const struct report_sum *tunnel = &report->tunnels[i];

		report_sum_add(&find_or_add(summed, interfaces[tunnel->interface].id)->tunnel,
			       tunnel);
	}
	summed->flows += report->flow_count;
	summed->filtered.flows += report->filtered.flows;
	flow_count_add(&summed->filtered.count, &report->filtered.count);
}

struct flow_count summed_count(const struct report *report)
{
	struct flow_count count = {0};

	for (size_t i = 0; i < report->other_count; i++)
		flow_count_add(&count, &report->others[i].count);
	return count;
}

size_t summed_compact(struct report_sum *sums, size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (sums[i].flows)
			sums[kept++] = sums[i];
	return kept;
}

/* A sum for each interface, with what the list has. NULL: no memory. */
static struct report_sum *spread_sums(const struct report *report, const struct report_sum *list,
				      size_t count)
{
	struct report_sum *sums = calloc(report->interface_count + 1, sizeof(*sums));

	for (uint32_t i = 0; sums && i < report->interface_count; i++)
		sums[i].interface = i;
	for (size_t i = 0; sums && i < count; i++)
		sums[list[i].interface] = list[i];
	return sums;
}

/* Takes sums of all interfaces in place of a list. */
static void replace_sums(struct report_sum **list, size_t *count, struct report_sum *sums,
			 const struct report *report)
{
	free(*list);
	*list = sums;
	*count = summed_compact(sums, report->interface_count);
}

int summed_put(const struct summed *summed, struct report *report)
{
	struct report_sum *others = spread_sums(report, report->others, report->other_count);
	struct report_sum *tunnels = spread_sums(report, report->tunnels, report->tunnel_count);

	if (!others || !tunnels) {
		free(others);
		free(tunnels);
		return -ENOMEM;
	}
	for (size_t i = 0; i < report->interface_count; i++) {
		const struct summed_interface *from =
			find_interface(summed, report->interfaces[i].id);

		if (!from)
			continue;
		report_interface_add(&report->interfaces[i], &from->shown);
		report_sum_add(&others[i], &from->other);
		report_sum_add(&tunnels[i], &from->tunnel);
		flow_count_add(&report->total, &from->other.count);
	}
	replace_sums(&report->others, &report->other_count, others, report);
	replace_sums(&report->tunnels, &report->tunnel_count, tunnels, report);
	report->summed_flows += summed->flows;
	report->filtered.flows += summed->filtered.flows;
	flow_count_add(&report->filtered.count, &summed->filtered.count);
	return 0;
}

int summed_trim(struct report *report, size_t n)
{
	size_t kept = report->flow_count < n ? report->flow_count : n;
	size_t left_out = report->left_out_count < n ? report->left_out_count : n;
	struct report_sum *others;

	if (kept == report->flow_count && left_out == report->left_out_count)
		return 0;
	others = spread_sums(report, report->others, report->other_count);
	if (!others)
		return -ENOMEM;
	for (size_t i = kept; i < report->flow_count; i++)
		report_sum_add_flow(&others[report->flows[i].counted_at], &report->flows[i]);
	replace_sums(&report->others, &report->other_count, others, report);
	report->summed_flows += report->flow_count - kept;
	memmove(report->flows + kept, report->flows + report->flow_count,
		left_out * sizeof(*report->flows));
	report->flow_count = kept;
	report->left_out_count = left_out;
	report_limit(report, 0);
	return 0;
}
