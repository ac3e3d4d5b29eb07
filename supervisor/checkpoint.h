/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the next agent has to know to go on where this one ends without notice: the interval, what
 * each map that it will find was counted for, and a report that may have been written or not. Kept
 * beside the maps (pins.h), written anew whenever it changes. Pure: a struct and its bytes.
 *
 * Each record says how long it is, and grows at its end only: a version that knows more of it takes
 * what is not there for zero, one that knows less passes over the rest. So a field that was added
 * must be one that zero is right for, and that whoever does not know it can do without.
 */
#ifndef FLOWTALLY_CHECKPOINT_H
#define FLOWTALLY_CHECKPOINT_H

#include "bpf/flow_types.h"
#include "netlink/link.h"
#include "report/topology.h"
#include "supervisor/layout.h"
#include "supervisor/sink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

/* Counts the changes that the rule above does not allow, here and in all else that is pinned as
 * bytes or described by a layout: an agent reads nothing of one with another number. */
#define CHECKPOINT_VERSION 6

/* How a life of an interface is attached. */
struct checkpoint_attachment {
	char mode[8]; /* attach_mode_to_str() */
	bool created; /* clsact: the qdisc is ours */
	uint16_t priority[2];
};

/* A phase of an interface's life (interface.h), under whose id there are records; or, with id 0,
 * an interface that is not monitored and carries a tunnel. */
struct checkpoint_phase {
	uint32_t id, life, era;
	uint32_t ifindex;
	bool live;     /* the life has not ended */
	bool counting; /* it had begun to count */
	bool was_up, wanted_from_birth, lower_in_other_netns;
	uint16_t type;
	char name[IF_NAMESIZE];
	char kind[LINK_KIND_SIZE];
	struct link_tunnel tunnel;
	struct link_stats at_birth;
	struct flow_count before_attach;
	struct topology_role role; /* owned */
	struct checkpoint_attachment attachment;
};

/* Of times see struct report. */
struct checkpoint_interval {
	int64_t start_ns, start_wall_ns;
	int64_t end_ns, end_wall_ns; /* of one that is over */
};

/* The one that begins where that one ends. */
static inline struct checkpoint_interval
checkpoint_interval_after(const struct checkpoint_interval *ended)
{
	return (struct checkpoint_interval){
		.start_ns = ended->end_ns,
		.start_wall_ns = ended->end_wall_ns,
	};
}

/* A numbered thing that was read, and is kept until the report that contains it is written. */
struct checkpoint_list {
	uint64_t *numbers; /* owned */
	size_t count;
};

/* A report on its way out. */
struct checkpoint_report {
	uint64_t id; /* 0: there is none */
	struct checkpoint_interval interval;
	/* where in which regular file it begins, its size and checksum (sink.h); file_size 0: it is
	 * no regular file */
	struct sink_position position;
	uint64_t file_size, checksum;
	struct checkpoint_list maps; /* by their serial numbers */
	uint64_t last_train_set;     /* sets taken up to this number are in it */
	uint64_t owed;	 /* what the report before it left to it: that report's id, or 0 for nothing
			  */
	uint64_t folded; /* what is in it and in no map any more: the number of its pin, or 0 */
	struct checkpoint_phase *phases;
	size_t phase_count;
};

struct checkpoint {
	/* the maps that are counted in, and those of other versions of which some are held */
	struct generation generation;
	struct generation *earlier; /* owned */
	size_t earlier_count;
	struct checkpoint_interval interval;  /* that is running */
	uint32_t last_id, era, known_ifindex; /* interface_table_private.h */
	struct checkpoint_report report;
	uint64_t owed;	 /* what a report left to the running interval: its id, or 0 for nothing */
	uint64_t folded; /* what was folded of the running interval, likewise */
	/* what the last report contained, or what was folded since, is to be thrown away, if it is
	 * still there */
	struct checkpoint_list done_maps;
	uint64_t reported_train_set, folded_train_set;
	struct checkpoint_phase *phases;
	size_t phase_count;
};

/* Appends the bytes; an error is the buffer's. */
void checkpoint_encode(const struct checkpoint *checkpoint, struct buffer *bytes);

/* In place of a checkpoint that can be neither replaced nor removed: nothing is left to be
 * reported.
 */
extern const char checkpoint_ended[8];

/* 0; -ENODATA: these bytes begin with checkpoint_ended; -EBADMSG: these are not the bytes of a
 * checkpoint, or an id is that of two phases, or yet to be given; -EPROTO: of one of another
 * version; -ENOMEM. *checkpoint is set on success only. */
int checkpoint_decode(struct checkpoint *checkpoint, const void *bytes, size_t size);
void checkpoint_clean(struct checkpoint *checkpoint);
/* The ids of phases that have one, ascending. The caller frees *ret. 0 or -ENOMEM. */
int checkpoint_sort_ids(const struct checkpoint_phase *phases, size_t phase_count, uint32_t **ret,
			size_t *count);
void checkpoint_clean_phases(struct checkpoint_phase *phases, size_t count);

#endif
