// SPDX-License-Identifier: GPL-2.0-only
#include "report/phase.h"

#include "lib/cleanup.h"
#include "report/flow_count.h"
#include "report/report.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* Phases of one life stand next to each other: same name, same life. Returns how many interfaces
 * are left. */
static size_t join_interfaces(struct report *report, uint32_t *renumbered)
{
	size_t kept = 0;

	for (size_t i = 0; i < report->interface_count; i++) {
		const struct report_interface *interface = &report->interfaces[i];

		if (!kept || report->interfaces[kept - 1].life != interface->life)
			report->interfaces[kept++] = *interface;
		else
			report_interface_add(&report->interfaces[kept - 1], interface);
		renumbered[i] = (uint32_t)kept - 1;
	}
	return kept;
}

/* An interface that was crossed in two phases was crossed once. */
static void join_path(struct report *report, struct report_flow *flow, const uint32_t *renumbered)
{
	uint32_t *path = &report->crossed[flow->interface_first];
	uint32_t kept = 0;

	for (uint32_t i = 0; i < flow->interface_count; i++) {
		uint32_t interface = renumbered[path[i]], seen = 0;

		while (seen < kept && path[seen] != interface)
			seen++;
		if (seen == kept)
			path[kept++] = interface;
	}
	flow->interface_count = kept;
}

/* Those of one interface stand together, as its phases do. */
static void join_unattributed(struct report *report, const uint32_t *renumbered)
{
	size_t kept = 0, first = 0;

	for (size_t i = 0; i < report->unattributed_count; i++) {
		struct report_unattributed item = report->unattributed[i];
		size_t same;

		item.interface = renumbered[item.interface];
		if (kept && report->unattributed[kept - 1].interface != item.interface)
			first = kept;
		same = first;
		while (same < kept && report->unattributed[same].reason != item.reason)
			same++;
		if (same < kept)
			flow_count_add(&report->unattributed[same].count, &item.count);
		else
			report->unattributed[kept++] = item;
	}
	report->unattributed_count = kept;
}

/* Returns how many are left. */
static size_t join_sums(struct report_sum *sums, size_t count, const uint32_t *renumbered)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		struct report_sum item = sums[i];

		item.interface = renumbered[item.interface];
		if (kept && sums[kept - 1].interface == item.interface)
			report_sum_add(&sums[kept - 1], &item);
		else
			sums[kept++] = item;
	}
	return kept;
}

int phase_join(struct report *report)
{
	_free_ uint32_t *renumbered = NULL;
	bool phases = false;

	for (size_t i = 1; i < report->interface_count; i++)
		phases |= report->interfaces[i].life == report->interfaces[i - 1].life;
	if (!phases)
		return 0;
	renumbered = calloc(report->interface_count, sizeof(*renumbered));
	if (!renumbered)
		return -ENOMEM;
	report->interface_count = join_interfaces(report, renumbered);
	for (size_t i = 0; i < report->flow_count + report->left_out_count; i++) {
		struct report_flow *flow = &report->flows[i];

		join_path(report, flow, renumbered);
		if (flow->counted_at != UINT32_MAX)
			flow->counted_at = renumbered[flow->counted_at];
		if (flow->tunnel)
			flow->tunnel = renumbered[flow->tunnel - 1] + 1;
	}
	join_unattributed(report, renumbered);
	report->tunnel_count = join_sums(report->tunnels, report->tunnel_count, renumbered);
	report->other_count = join_sums(report->others, report->other_count, renumbered);
	return 0;
}
