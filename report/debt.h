/* SPDX-License-Identifier: GPL-2.0-only */
/* What one interval leaves to the judging of the next (report/judge.h). */
#ifndef FLOWTALLY_DEBT_H
#define FLOWTALLY_DEBT_H

#include "report/flow_table.h"
#include "report/judge.h"
#include "report/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

struct hook_id {
	uint32_t id;
	enum hook hook;
};

/* Kinds of cells of what is owed, beyond those of what references saw (judge.h). */
enum owed_kind {
	/* in the order of enum hook */
	OWED_INGRESS = FLOW_ALL_CLASSES, /* by the judged ingress hook of the interface */
	OWED_EGRESS,
	OWED_UNSURE,
	OWED_TURNED,
	OWED_TURNING, /* by the judged ingress hook: what macvlans above sent that was received, and
			 that has not left yet */
	OWED_COUNTED, /* what was counted of the flow in the last era, for hooks judged against
			 anything */
	OWED_TURNING_BORN, /* as OWED_TURNING, of what was born here */
	OWED_KINDS,
};
_Static_assert(OWED_KINDS <= FLOW_CELL_KINDS, "fits a cell");

/*
 * What judged hooks owe for packets that were under way. A judged hook whose interface showed the
 * flow has cells of its own, of an enum owed_kind. Any other owes all that its references saw:
 * their cells, which all hooks that are judged against them share.
 */
struct debt {
	struct flow_table flows;
	struct hook_id *judged; /* owned; the hooks judged in that interval, sorted */
	size_t judged_count;
};

void debt_clean(struct debt *debt);
/* *to is overwritten. 0, or -ENOMEM, then it is empty. */
int debt_copy(struct debt *to, const struct debt *from);
/* Empties it. */
void debt_reset(struct debt *debt);

/* Notes the hooks judged in that interval, given in any order; the debt owns judged now. */
void debt_set_judged(struct debt *debt, struct hook_id *judged, size_t count);
bool debt_was_judged(const struct debt *debt, uint32_t id, enum hook hook);

/* For a later agent on this host. Appends the bytes; an error is the buffer's. */
void debt_encode(const struct debt *debt, struct buffer *bytes);
/* Into an empty one. 0; -EBADMSG: these are not the bytes of one; -ENOMEM; then it is empty. */
int debt_decode(struct debt *debt, const void *bytes, size_t size);

#endif
