/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside of merge*.c only. */
#ifndef FLOWTALLY_MERGE_PRIVATE_H
#define FLOWTALLY_MERGE_PRIVATE_H

#include "report/debt.h"
#include "report/flow_table.h"
#include "report/id_map.h"
#include "report/judge.h"
#include "report/merge.h"
#include "report/summed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct path_finder;

struct merge {
	struct flow_table flows;
	struct id_map added;  /* ids whose records were added in this interval */
	uint32_t added_last;  /* the id of the last merge_add() ... */
	bool added_last_once; /* ... if all calls for it came in one run */
	size_t unattributed;  /* entries that are no flows */
	struct debt owed;     /* from the interval before */
	struct debt owing;    /* as of the last merge_report(), for the next interval */
	size_t max_flows;     /* 0: no limit */
	size_t kept;	      /* flows that the last summing left */
	struct summed summed; /* flows that were beyond it */
};

static inline size_t merge_held_flows(const struct merge *merge)
{
	return merge->flows.entry_count - merge->unattributed;
}

/* What a report is made with. */
struct merge_view {
	struct judge_input judged;		  /* the flows, and what is owed */
	const struct merge_interface *interfaces; /* borrowed */
	size_t interface_count;
	const struct merge_ends *ends; /* borrowed */
	const struct nat_table *nat;   /* borrowed; NULL: nothing is translated */
	bool *chosen;		       /* owned; by entry: those to report; NULL: all */
	struct judge *judge;	       /* owned */
	struct path_finder *paths;     /* owned */
};

/* Joins the faces of translated conversations (join.h) in the merge. 0 or -ENOMEM. */
int merge_view_join(struct merge_view *view, struct merge *merge);
/* The interfaces of an empty report. 0 or -ENOMEM. */
int merge_view_list_interfaces(const struct merge_view *view, struct report *report);
/* A judge for that report, which the caller frees. 0 or -ENOMEM. */
int merge_view_judge(struct judge **ret, const struct merge_view *view,
		     const struct report *report);
/* Lists the flows, and puts those that tunnels leave out behind the others. 0 or -ENOMEM. */
int merge_view_fill(struct merge_view *view, struct report *report);
void merge_view_clean(struct merge_view *view);

/* Takes out the flows that are not wanted. 0 or -ENOMEM. */
int merge_filter_report(const struct merge_ends *ends, struct report *report);

#endif
