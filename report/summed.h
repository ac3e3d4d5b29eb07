/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flows beyond a limit, known as sums only: those that left the merge within an interval, and the
 * smallest of a report. By the interface that counted most of each.
 */
#ifndef FLOWTALLY_SUMMED_H
#define FLOWTALLY_SUMMED_H

#include "report/id_map.h"
#include "report/report.h"

#include <stddef.h>

struct buffer;

struct summed_interface {
	struct report_interface shown; /* what it showed of these flows; known by its id */
	struct report_sum other, tunnel;
};

/* Zeroed it is empty. */
struct summed {
	struct id_map by_id;	       /* to list */
	struct summed_interface *list; /* owned */
	size_t count, capacity;
	size_t flows; /* in all others; one that came again counts again */
	struct report_filtered filtered;
};

void summed_clean(struct summed *summed);
/* *to is overwritten. 0, or -ENOMEM, then it is empty. */
int summed_copy(struct summed *to, const struct summed *from);

/* For a later agent on this host. Appends the bytes; an error is the buffer's. */
void summed_encode(const struct summed *summed, struct buffer *bytes);
/* Into an empty one; *size: of all bytes, then of those that it took. 0; -EBADMSG: these are none;
 * -ENOMEM; then it is empty. */
int summed_decode(struct summed *summed, const void *bytes, size_t *size);

/* Forgets what was summed at all interfaces but those with these ids, which are sorted, and adds it
 * to *dropped. Returns how many flows that were. */
size_t summed_keep_ids(struct summed *summed, const uint32_t *ids, size_t count,
		       struct flow_count *dropped);

/* Room for what a report of so many interfaces says. 0 or -ENOMEM. */
int summed_reserve(struct summed *summed, size_t interfaces);
/* Adds all flows of a report whose phases are not joined yet (phase.h). */
void summed_add(struct summed *summed, const struct report *report);

/* Adds what was summed to the report of what stayed in the merge, before its phases are joined. 0
 * or -ENOMEM. */
int summed_put(const struct summed *summed, struct report *report);

/* Leaves the n largest flows in a report, and the n largest of those left out by tunnels. The rest
 * is summed. 0 or -ENOMEM. */
int summed_trim(struct report *report, size_t n);

/* What all others of a report amount to. */
struct flow_count summed_count(const struct report *report);

/* Sums by interface: drops those that are empty, and returns how many are left. */
size_t summed_compact(struct report_sum *sums, size_t count);

#endif
