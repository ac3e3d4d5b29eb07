/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From one agent to the next. Programs, maps and links are pinned, and a checkpoint beside them
 * says what they are for, so that counting goes on when the agent is killed, and the next one adds
 * nothing twice and loses nothing:
 *
 *   - A phase of an interface is in the checkpoint before the program counts for it.
 *   - A map is pinned before the program can reach it, and a train's copy before the train is
 *     emptied, until a report that contains them is written.
 *   - What was summed cannot be told from maps that are held: they give way to a copy of the merge,
 *     which max_flows bounds.
 *   - Which maps a report contains is in the checkpoint before the report is written; that it is
 *     written, before they are unpinned. What dies in between leaves a report in doubt: the next
 *     agent writes it, from the same maps and under the same number, before anything else.
 *
 * Without a BPF file system there is nothing to go on with, and all of this does nothing.
 */
#ifndef FLOWTALLY_CONTINUITY_H
#define FLOWTALLY_CONTINUITY_H

#include "supervisor/checkpoint.h"

#include <stdbool.h>
#include <stdint.h>

struct buffer;
struct continuity;
struct flow_maps;
struct held;
struct interface_table;
struct merge;
struct pins;
struct program;
struct report;
struct sink;

/* Looks for what a dead agent left in this network namespace. 0; -ENOMEM; or a negative errno for
 * which what is there cannot be read now. */
int continuity_new(struct continuity **ret);
void continuity_free(struct continuity *continuity);
/* Whether what could not be read with this error can be read by a later start, with more memory,
 * descriptors or privileges. */
bool continuity_can_wait(int err);

/* Why nothing outlives the agent here, or not what it has counted now: a negative errno of
 * pins_new(), of a pin since, or of the last checkpoint; or 0. */
int continuity_error(const struct continuity *continuity);
/* Borrowed; NULL if there are none, or nothing can be pinned any more. */
const struct pins *continuity_pins(const struct continuity *continuity);
/* Whether there is something to go on with. */
bool continuity_found(const struct continuity *continuity);
/* The interval that the dead agent was in. */
const struct checkpoint_interval *continuity_interval(const struct continuity *continuity);
/* Throws away what a dead agent left. why, for the log, if what it counted is lost; else NULL. */
void continuity_start_afresh(struct continuity *continuity, const char *why);

/*
 * Whose maps the program is to be loaded with (program.h). *go_on: with those of the dead agent;
 * else they are another version's, which the program will replace, or there are none. 0 or negative
 * errno.
 */
int continuity_meet(struct continuity *continuity, uint32_t *generation, bool *go_on);
/* The program could not go on with them after all: it is to replace them. */
int continuity_part(struct continuity *continuity, uint32_t *generation);
/* Makes the program, loaded with maps of its own, ready to take the place of the other version's on
 * all hooks. Does nothing if that is not to be. 0 or negative errno. */
int continuity_replace(struct continuity *continuity, struct program *program,
		       struct flow_maps *maps);

/* Makes what keeps maps and trains for the next agent (held.h); maps is borrowed. 0 or -ENOMEM. */
int continuity_hold(struct continuity *continuity, struct flow_maps *maps);
struct held *continuity_held(const struct continuity *continuity);
/* The table whose phases checkpoints list; borrowed. To be called before all that follows. */
void continuity_lend_table(struct continuity *continuity, struct interface_table *table);

/* Called with the doubtful report's merge after each map added to it, to keep it below max_flows.
 */
struct continuity_relief {
	void (*relieve)(void *data, struct merge *doubt, const struct checkpoint_report *report);
	void *data;
};

/*
 * Makes the table and the merge what they were; before the first dump of links. 0 or negative
 * errno: then some of it is not known any more.
 */
int continuity_recover(struct continuity *continuity, struct program *program,
		       struct flow_maps *maps, struct merge *merge,
		       const struct continuity_relief *relief);

/* Writes the checkpoint. A failure is logged once. */
void continuity_save(struct continuity *continuity, const struct checkpoint_interval *interval);

/*
 * The merge holds what was read of the running interval, and no more than the limit of flows: a
 * copy of it is pinned in place of all the maps that it came from. A failure is logged once; they
 * are held on then.
 */
void continuity_fold(struct continuity *continuity, const struct merge *merge,
		     const struct checkpoint_interval *interval);

/* Whether more maps and sets of trains are held of the running interval than a copy of the merge is
 * worth: it may go on for long, as where reports cannot be written. */
bool continuity_holds_many(const struct continuity *continuity, const struct merge *merge);

/*
 * A report of that text, made of merge, is about to be written to the sink; all that was read until
 * now is in it. interval: with its end. 0 or -ENOMEM.
 */
int continuity_begin_report(struct continuity *continuity, const struct merge *merge,
			    const struct report *report, const struct checkpoint_interval *interval,
			    const struct sink *sink, const struct buffer *text);
/* Nothing of it could be written, so the interval goes on. */
void continuity_cancel_report(struct continuity *continuity,
			      const struct checkpoint_interval *interval);
/* All of it is written, and interval is the next one. Does nothing unless one was sent. */
void continuity_end_report(struct continuity *continuity,
			   const struct checkpoint_interval *interval);
/* Whether one was sent and did not end. */
bool continuity_has_sent(const struct continuity *continuity);

/* The report that the dead agent left in doubt, and what is in it, both borrowed; NULL: none. Once
 * it is sent it is like any other that was begun. */
const struct checkpoint_report *continuity_doubt(struct continuity *continuity,
						 struct merge **merge);
void continuity_doubt_sent(struct continuity *continuity);

/* The agent ends as asked: nothing is left behind. 0 or negative errno. */
int continuity_remove(struct continuity *continuity);

#endif
