/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the program and the supervisor do with a host: classes, maps, roles and their phases, the
 * order of the swap. What they count goes into the merge under test.
 */
#ifndef FLOWTALLY_SIMULATION_WATCH_H
#define FLOWTALLY_SIMULATION_WATCH_H

#include "report/merge.h"
#include "tests/simulation/path.h"

#define KEYS_MAX   256
#define PHASES_MAX 128

/* An interface's flow map: its records, and where those of a key are. */
struct map {
	struct flow_key keys[KEYS_MAX];
	struct flow_value values[KEYS_MAX];
	uint8_t numbers[KEYS_MAX]; /* of the keys: twice the number given, plus 1 if unsure */
	uint8_t places[KEYS_MAX];  /* by number: index in keys plus 1; 0: none */
	size_t count;
};

struct phase {
	struct merge_interface interface;
	struct topology_role role;
};

struct watch {
	struct merge *merge;
	struct map maps[LINKS_MAX];
	struct topology_role roles[LINKS_MAX];
	uint32_t lives[LINKS_MAX], eras[LINKS_MAX];
	uint32_t before[LINKS_MAX];   /* the links whose swap must come before, as bits */
	uint32_t shown[KEYS_MAX / 2]; /* by number: links in whose swapped maps it was, as bits */
	struct phase ended[PHASES_MAX];
	size_t ended_count;
	uint32_t last_id, era;
	size_t count; /* of links */
};

/* Begins with an empty merge of its own. */
void watch_init(struct watch *watch, struct host *host);
void watch_clean(struct watch *watch);

/* A packet passes a hook. number: of the key, below KEYS_MAX / 2; end: of the key, that sent it. */
void watch_see(struct watch *watch, const struct host *host, const struct step *step,
	       unsigned int number, const struct flow_key *key, unsigned int end, uint32_t size);

/* The host changed. */
void watch_change(struct watch *watch, struct host *host);

/* Swaps the map of one link. The host goes on between two. */
void watch_swap(struct watch *watch, const struct host *host, size_t link);
/* swapped: links as bits. NO_LINK: all are. */
size_t watch_next_to_swap(const struct watch *watch, const struct host *host, uint32_t swapped);
/* No order of swapping has all judged hooks before their references. */
bool watch_is_circular(const struct watch *watch, const struct host *host);

/* What the supervisor does after each map that it reads. */
void watch_sum_smallest(struct watch *watch, const struct host *host,
			const struct merge_ends *ends);
void watch_report(struct watch *watch, const struct host *host, const struct merge_ends *ends,
		  struct report *report);
void watch_next_interval(struct watch *watch);

#endif
