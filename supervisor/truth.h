/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether our hooks saw all that a link says it carried: what its maps and trains add up to, beside
 * the link's own counters (IFLA_STATS64), from when it began to count until now. Pure.
 *
 * A driver counts frames, before or behind the hook, and each in its own way. Where it is known
 * (truth_ruler) what we saw is put into its units, to the byte; else only packets are compared,
 * segment by segment. Counters are read before and after each instant at which counting begins,
 * maps are swapped, or counting ends: what passed in between may be on either side, and none of it
 * is called missed.
 */
#ifndef FLOWTALLY_TRUTH_H
#define FLOWTALLY_TRUTH_H

#include "bpf/flow_types.h"
#include "netlink/link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of an interface: what comes in at ingress, goes out at egress. */
enum truth_way {
	TRUTH_IN,
	TRUTH_OUT,
	TRUTH_WAYS,
};

/* How a driver counts. */
struct truth_ruler {
	bool frames; /* as they pass the hook, and their bytes; else only wire packets are alike */
	uint8_t header[TRUTH_WAYS]; /* bytes of the link header that it counts of each frame */
};

/* When counters were read: before or after an instant. */
enum truth_at {
	TRUTH_BEFORE,
	TRUTH_AFTER,
	TRUTH_READINGS,
};

/* Readings of a link's counters around an instant. */
struct truth_moment {
	struct link_stats stats[TRUTH_READINGS];
	bool known;
};

/* What one way of the comparison says. */
struct truth_verdict {
	bool known; /* the link could be read */
	bool bytes; /* bytes could be compared; else all of them are 0 */
	struct flow_count link, seen;
	struct flow_count missed; /* that the link counted and we certainly did not see */
};

/* What interfaces that ended came to. */
struct truth_sum {
	uint64_t interfaces, unknown; /* unknown: of them could not be compared to the end */
	struct flow_count missed;
};

struct truth;

/* From now on; the first holder. sum is borrowed and gets the verdict when nobody holds it any
 * more. 0 or -ENOMEM. */
int truth_new(struct truth **ret, const struct link *link, const struct truth_moment *begin,
	      struct truth_sum *sum);
/* Another holder: phases of one interface share it. NULL stays NULL. */
struct truth *truth_hold(struct truth *truth);
void truth_release(struct truth *truth);

/* Adds what a map or a train shows. */
void truth_add(struct truth *truth, const struct flow_key *keys, const struct flow_value *values,
	       size_t n);
/* Counting ended. */
void truth_end(struct truth *truth, const struct truth_moment *end);
/* All that was counted until then has been added: compares. */
void truth_look(struct truth *truth, const struct truth_moment *now);
/* The last comparison. */
struct truth_verdict truth_verdict(const struct truth *truth, enum truth_way way);

/*
 * What passed until the end while our program was not there, in IP bytes as far as the driver
 * tells; it is accounted for elsewhere then. All that was counted has been added.
 */
struct flow_count truth_take_gap(struct truth *truth);

/* Our program was off that hook, and is on it again: what it missed is to be told elsewhere, and no
 * longer as missed. NULL: nothing is. */
void truth_expect_gap(struct truth *truth, enum truth_way way);
/* Whether any of it is not told yet: while counting goes on, and once it has ended. */
bool truth_has_gap(const struct truth *truth);
bool truth_ended_with_gap(const struct truth *truth);
/* Instead of truth_look(), while counting goes on: returns what was certainly missed and not told
 * yet, like truth_take_gap(). Readings that differ leave the rest to the next look. */
struct flow_count truth_tell_gap(struct truth *truth, const struct truth_moment *now);

/* Seen, of what the link says it carried, both ways, bytes too where they compare, in percent
 * rounded down to hundredths: 100 only if nothing is missed. -1: not known. */
double truth_coverage(const struct truth *truth);

struct truth_ruler truth_ruler_of(const struct link *link);

/* What passed both ways between two readings, as the driver counts it. Where its counters began
 * anew in between, as a reset of the hardware does, it is what they say since. */
struct flow_count truth_carried(const struct link_stats *from, const struct link_stats *to);

#endif
