// SPDX-License-Identifier: GPL-2.0-only
#include "report/unattributed.h"
#include "report/flow_count.h"
#include "report/report.h"

#include <string.h>

static const char *const unattributed_names[UNATTRIBUTED_REASONS] = {
	[UNATTRIBUTED_NON_IP] = "non_ip",
	[UNATTRIBUTED_MALFORMED] = "malformed",
	[UNATTRIBUTED_MAP_FULL] = "map_full",
	[UNATTRIBUTED_BEFORE_ATTACH] = "before_attach",
};

const char *unattributed_name(enum unattributed_reason reason)
{
	return unattributed_names[reason];
}

void unattributed_add_item(struct unattributed *sum, const struct report_unattributed *item)
{
	for (enum unattributed_reason reason = 0; reason < UNATTRIBUTED_REASONS; reason++)
		if (!strcmp(item->reason, unattributed_names[reason]))
			flow_count_add(&sum->count[reason], &item->count);
}

void unattributed_add(struct unattributed *sum, const struct report *report)
{
	for (size_t i = 0; i < report->unattributed_count; i++)
		unattributed_add_item(sum, &report->unattributed[i]);
}
