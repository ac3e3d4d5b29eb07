/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside of judge*.c only. */
#ifndef FLOWTALLY_JUDGE_PRIVATE_H
#define FLOWTALLY_JUDGE_PRIVATE_H

#include "report/id_map.h"
#include "report/judge.h"
#include "report/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NONE	  ID_MAP_NONE
#define NO_REASON FLOW_REASONS /* it is a flow */

static const enum hook class_hooks[FLOW_ALL_CLASSES] = {
	[FLOW_INGRESS] = HOOK_INGRESS,	     [FLOW_EGRESS] = HOOK_EGRESS,
	[FLOW_EGRESS_REPEAT] = HOOK_EGRESS,  [FLOW_EGRESS_UNSURE] = HOOK_UNSURE,
	[FLOW_INGRESS_TURNED] = HOOK_TURNED,
};

/* A run of judge.referrers. */
struct referrer_list {
	uint32_t first, count;
};

/* An interface. Those of the report come first, in its order. */
struct place {
	uint32_t id;
	uint32_t era;			  /* number of its era, ascending */
	const struct topology_role *role; /* borrowed; NULL: only named as a reference */
	uint32_t judged[HOOKS];		  /* into judge.judged, or NONE */
	/* by class: the judged hooks that have it as a reference */
	struct referrer_list referrers[FLOW_ALL_CLASSES];
	struct flow_count first[2]; /* sights of flows: in, out */
	uint64_t counted;	    /* bytes of the flow at hand, if counted_flow is its number */
	uint64_t counted_flow;
};

struct era {
	struct flow_count counted[2]; /* of the flow at hand, by sender, if flow is its number */
	uint64_t flow;
};

/* Of what leaves, by its iif, which does not change on its way down the stack. */
enum origin { ORIGIN_RECEIVED, ORIGIN_BORN, ORIGINS };

/* What the references of a judged hook saw of a flow. */
struct seen {
	struct flow_count first;	  /* all but ... */
	struct flow_count above[ORIGINS]; /* ... what macvlans above a judged ingress hook sent */
};

/* A judged hook, with the sums of the flow that is being judged, by sender. */
struct judged {
	uint32_t place;
	enum hook hook;
	bool any;	  /* against all that was counted at other hooks */
	bool uses_others; /* what the interface shows in other egress classes tells something */
	bool was_judged;  /* in the interval before, too */
	bool active;	  /* saw this flow */
	struct flow_count own[2];
	struct flow_count others[2][ORIGINS]; /* in those classes, if uses_others */
	struct seen seen[2], seen_before[2];  /* by the references, in this interval and the last */
	/* from the interval before; after judging: for the next one */
	struct flow_count owed[2];
	struct flow_count turning[2][ORIGINS]; /* part of seen.above */
	bool owed_known[2];		       /* it saw the flow in the interval before */
};

struct judge {
	const struct flow_table *flows; /* borrowed */
	const struct debt *owed;	/* borrowed; from the interval before */
	struct debt *owing;		/* borrowed; to the next one */
	struct place *places;		/* owned */
	size_t place_count;
	size_t interface_count;
	struct id_map by_id;   /* to places */
	struct judged *judged; /* owned */
	size_t judged_count;
	bool any_judged; /* some are judged against anything */
	size_t era_count;
	struct era *eras;    /* owned */
	uint32_t *referrers; /* owned; numbers of judged hooks, grouped by place and class */
	uint32_t *active;    /* owned; numbers of the judged hooks that saw this flow */
	size_t active_count;
	struct flow_count (*unattributed)[FLOW_REASONS]; /* owned; by interface */

	/* of the flow at hand */
	const struct flow_entry *entry;	     /* borrowed */
	uint32_t hash;			     /* of its key, if anything is judged */
	struct flow_count counted[2];	     /* by sender */
	struct flow_count counted_before[2]; /* in the interval before */
	unsigned int reason;		     /* enum flow_reason, or NO_REASON */
	uint64_t flow;			     /* its number */
	uint32_t counted_at;		     /* the place that counted most of it, or NONE */
};

/* NULL: an interface of the past. */
static inline struct place *find_place(const struct judge *judge, uint32_t id)
{
	uint32_t place = id_map_get(&judge->by_id, id);

	return place == NONE ? NULL : &judge->places[place];
}

#endif
