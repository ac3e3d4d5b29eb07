/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One interface of this network namespace, from its first message to its last, monitored or not.
 * Its identity is this life of its ifindex: a link that comes with the index of one that went is
 * another interface. The name is a label.
 *
 *   KNOWN --attach--> ATTACHED --start--> COUNTING
 *     --stop or leave--> STOPPED --detach, drain--> KNOWN
 *
 * When it is drained and its link has gone, it is freed instead.
 */
#ifndef FLOWTALLY_INTERFACE_H
#define FLOWTALLY_INTERFACE_H

#include "bpf/flow_types.h"
#include "netlink/link.h"
#include "report/topology.h"
#include "report/unattributed.h"
#include "supervisor/attach.h"
#include "supervisor/flow_map.h"
#include "supervisor/truth.h"

#include <stdbool.h>
#include <stdint.h>

struct checkpoint_phase;
struct config;
struct held;
struct merge;
struct program;
struct rtnl_query;

/* What was done so far. */
struct monitor_counts {
	uint64_t attached_tcx, attached_clsact, attach_failures, detached; /* interfaces */
	uint64_t early_swaps;	/* maps that neared their limit */
	uint64_t repairs;	/* of what somebody else removed */
	struct truth_sum ended; /* what the counting that ended came to */
};

/* What monitoring an interface takes; all borrowed. */
struct monitor {
	struct program *program;
	struct flow_maps *maps;
	struct held *held;
	struct attacher *attacher;
	struct rtnl_query *query;
	struct merge *merge;
	struct monitor_counts *counts;
	/* Writes the checkpoint, before the program does what a successor could not know. */
	void (*checkpoint)(void *data);
	/* After a map's records came into the merge. */
	void (*relieve)(void *data);
	void *data;
};

enum interface_state {
	INTERFACE_KNOWN,    /* not monitored */
	INTERFACE_ATTACHED, /* the program runs and finds that it should not count */
	INTERFACE_COUNTING,
	INTERFACE_STOPPED, /* what was counted is in its map */
};

/* What reports have said of it since it has been monitored. */
struct interface_total {
	struct flow_count in, out; /* what its hooks showed, repeats among it */
	struct unattributed unattributed;
};

/* What somebody else removed. */
struct repair {
	unsigned int broken; /* enum repair_part, as of the last check */
	unsigned int count;  /* repairs, one soon after the other */
	int64_t next_ns;     /* no other one before, on the boot clock */
};

enum repair_part {
	REPAIR_INGRESS = 1U << TC_HOOK_INGRESS, /* as attach_missing() has them */
	REPAIR_EGRESS = 1U << TC_HOOK_EGRESS,
	REPAIR_SLOT = 4, /* its word in the slot table */
	REPAIR_MAP = 8,	 /* its map in the slot */
};

/* Addresses by which the device below knows frames that did not come from the wire. */
struct turners {
	struct flow_turner *list; /* owned, sorted */
	size_t count, capacity;
};

struct interface {
	enum interface_state state;
	struct link link;	    /* as last told; owned */
	bool gone;		    /* the link is */
	bool gone_at_last_check;    /* the link was, at the self-check */
	bool was_up;		    /* at any time of the interval */
	bool incomplete;	    /* it began or ceased to count: interface_complete() */
	bool mentioned;		    /* in the dump that is running */
	bool recalled;		    /* from a checkpoint, and not told of since */
	bool wanted;		    /* by the patterns */
	const char *excluded_by;    /* the pattern, borrowed from the configuration; NULL: none
				       included it */
	bool wanted_from_birth;	    /* appeared while we ran, and was wanted ever since; or
				       became so while it was down */
	struct link_stats at_birth; /* link counters when it appeared, or before it went up */
	int attach_error; /* negative errno of the last try, 0 if it was not tried or worked */
	int detach_error; /* likewise */
	uint32_t life; /* id of its first phase, kept when it is monitored again; 0: it never was */

	/* while it is not just known */
	uint32_t id;  /* of its phase: the stretch of its life in which it has this role */
	uint32_t era; /* when that phase began: changes of roles before it */
	struct attachment attachment;
	struct flow_map map;
	bool recorded;	  /* the merge has records under this id */
	bool has_counted; /* those say something */
	bool reattach;	  /* to be attached anew: others run before us, or a part was removed */
	bool changed;	  /* its role did; during a reconciliation */
	bool idle;	  /* nothing was counted in its map; likewise */
	bool nearly_full; /* the map is; noted until it is swapped */
	struct flow_count before_attach;
	struct truth *truth; /* while it counts, shared by its phases; NULL: not known */
	struct truth *gap;   /* of counting that ended too late: what it missed is before_attach */
	struct truth_moment moment; /* readings of its counters */
	struct repair repair;
	struct interface_total total;
	struct topology_role role;	    /* now */
	struct topology_role interval_role; /* over the interval */
	struct flow_slot slot;		    /* what the slot table says */
	struct flow_turner turner;	    /* what the program knows of it; ifindex 0: nothing */
	struct turners secondary;	    /* its secondary addresses */
	struct turners strangers; /* those of devices of other namespaces that stand on it; the
				     program knows them */
	int64_t told_ns; /* when something was told of it or of what stands on it, boot clock */
	int64_t look_ns; /* when strangers are to be looked for again; 0: not before a report */

	struct interface *next; /* in a list of the table */
};

/* Known and no more; link is copied. 0 or -ENOMEM. */
int interface_new(struct interface **ret, const struct link *link);
void interface_free(struct interface *interface);

/* Whether a later message with its index looks like one of the same link: nothing has changed, and
 * its counters have not begun anew. */
bool interface_resembles(const struct interface *interface, const struct link *link);

/* Takes over what a later message says of the same link. 0 or -ENOMEM, then it is as before.
 * *changed: something that patterns or topology look at. */
int interface_update(struct interface *interface, const struct link *link, bool *changed);

/* What a successor has to know of it. 0 or -ENOMEM, then *phase is left alone. */
int interface_describe(const struct interface *interface, struct checkpoint_phase *phase);
/* An interface as it was described; neither attached nor counting. */
int interface_from_description(struct interface **ret, const struct checkpoint_phase *phase);

/* Whether its frames begin with an Ethernet header. */
bool interface_is_ethernet(const struct link *link);

/* Decides by the patterns whether it is wanted. Logs a change of mind. */
void interface_match(struct interface *interface, const struct config *config);

/*
 * Attaches the program to each and provides a map; their phases get the ids after *last_id, which
 * is advanced. The program does not count yet: what it has to know of an interface depends on all
 * the others. Where it fails nothing is left behind, and attach_error says why. -ENODEV: the link
 * is gone.
 */
void interface_attach_each(struct interface *const *interfaces, size_t n,
			   const struct monitor *monitor, uint32_t *last_id);

/* Notes what the link carried until now; just before interface_start(). */
void interface_note_missed(struct interface *interface, const struct monitor *monitor);

/* It was stopped: what it carries from now on until it is started again, which nobody counts, is
 * before_attach, too. */
void interface_begin_gap(struct interface *interface);

/* Reads its counters, before or after an instant. */
void interface_read_counters(struct interface *interface, const struct monitor *monitor,
			     enum truth_at at);

/* From its moment on, what is counted is compared with the link's counters. Without memory it is
 * not, and its coverage is not known. */
void interface_begin_truth(struct interface *interface, const struct monitor *monitor);

/* Stages in the slot table that both hooks count, in the role that it has. */
int interface_start(struct interface *interface, const struct monitor *monitor);

/* Stages in the slot table that both hooks stop counting, while the roles of the others become
 * those of a host where it is not monitored. Its counters were read before. */
int interface_leave(struct interface *interface, const struct monitor *monitor);

/* Finishes interface_start() or interface_leave() once slot_table_show() has shown what they
 * staged: begins or ends the comparison with the link's counters. */
void interface_complete(struct interface *interface, const struct monitor *monitor);

/* Tells the program whether it is a macvlan that is not watched, and of which one below. */
void interface_apply_turner(struct interface *interface, const struct monitor *monitor);

/* Stages in the slot table what the role now is. */
int interface_apply_role(struct interface *interface, const struct monitor *monitor);

/*
 * Stops counting at one instant. keep_covered: what was received on it stays a repeat at the egress
 * of others, for packets that are on their way.
 */
void interface_stop(struct interface *interface, const struct monitor *monitor, bool keep_covered);

/* Takes the program off each. Where it fails the attachment stays for another try. */
void interface_detach_each(struct interface *const *interfaces, size_t n,
			   const struct monitor *monitor);

#endif
