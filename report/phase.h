/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An interface whose role changed within the interval was judged phase by phase. For the reader it
 * is one interface.
 */
#ifndef FLOWTALLY_PHASE_H
#define FLOWTALLY_PHASE_H

struct report;

/* Joins the interfaces that are phases of one life into one, wherever the report names them. 0 or
 * -ENOMEM, then it is as before. */
int phase_join(struct report *report);

#endif
