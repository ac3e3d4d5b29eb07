/* SPDX-License-Identifier: GPL-2.0-only */
/* What could not be attributed to a flow, and why: the names that reports say, and sums by them. */
#ifndef FLOWTALLY_UNATTRIBUTED_H
#define FLOWTALLY_UNATTRIBUTED_H

#include "bpf/flow_types.h"

struct report;
struct report_unattributed;

/* An enum flow_reason, or what no program could tell. */
enum unattributed_reason {
	UNATTRIBUTED_NON_IP = FLOW_NON_IP,
	UNATTRIBUTED_MALFORMED = FLOW_MALFORMED,
	UNATTRIBUTED_MAP_FULL = FLOW_MAP_FULL,
	UNATTRIBUTED_BEFORE_ATTACH = FLOW_REASONS,
	UNATTRIBUTED_REASONS,
};

struct unattributed {
	struct flow_count count[UNATTRIBUTED_REASONS];
};

const char *unattributed_name(enum unattributed_reason reason);
void unattributed_add_item(struct unattributed *sum, const struct report_unattributed *item);
/* Adds what a report says of all interfaces. */
void unattributed_add(struct unattributed *sum, const struct report *report);

#endif
