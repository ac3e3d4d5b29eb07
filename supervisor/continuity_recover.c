// SPDX-License-Identifier: GPL-2.0-only
/* What a dead agent left: into the table, the merge of its interval and that of a report in doubt.
 */
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "report/merge.h"
#include "supervisor/attach.h"
#include "supervisor/continuity_private.h"
#include "supervisor/flow_map.h"
#include "supervisor/held.h"
#include "supervisor/interface_table.h"
#include "supervisor/interface_table_recover.h"
#include "supervisor/pins.h"
#include "supervisor/program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool list_has(const struct checkpoint_list *list, uint64_t number)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->numbers[i] == number)
			return true;
	return false;
}

static bool phases_have(const struct checkpoint_phase *phases, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (phases[i].id == id)
			return true;
	return false;
}

/* What is in the report in doubt goes into a merge of its own. */
struct doubtful_map {
	struct merge *merge;
	uint32_t phase;
};

static int continuity_merge_doubtful(void *data, const struct flow_key *keys,
				     const struct flow_value *values, size_t n)
{
	const struct doubtful_map *target = data;

	return merge_add(target->merge, target->phase, keys, values, n);
}

static int continuity_take_doubtful(struct continuity *continuity, struct flow_maps *maps,
				    struct flow_map *map, const struct continuity_relief *relief)
{
	struct doubtful_map target = {.merge = continuity->doubt, .phase = map->phase};
	const struct checkpoint_report *report = &continuity->report;
	int err = 0;

	if (phases_have(report->phases, report->phase_count, map->phase))
		err = flow_maps_read(maps, map, continuity_merge_doubtful, &target);
	else
		log_error("what was counted in phase %" PRIu32 " belongs to no interface",
			  map->phase);
	if (!err)
		err = held_add(continuity->held, map);
	continuity->report_held += !err;
	close(map->fd);
	map->fd = -1;
	relief->relieve(relief->data, continuity->doubt, &continuity->report);
	return err;
}

/* Those of the last report are done with, those of a report in doubt are its own, the rest stays.
 */
static int continuity_sort_maps(struct continuity *continuity, struct flow_maps *maps,
				struct recovery *recovery, const struct continuity_relief *relief)
{
	const struct checkpoint *left = &continuity->left;
	int err = 0;

	for (size_t i = 0; i < recovery->map_count; i++) {
		struct flow_map *map = &recovery->maps[i];

		if (list_has(&left->done_maps, map->serial)) {
			flow_maps_discard(maps, map);
		} else if (list_has(&continuity->report.maps, map->serial)) {
			int map_err = continuity_take_doubtful(continuity, maps, map, relief);

			err = err ?: map_err;
		}
	}
	return err;
}

size_t continuity_keep_known(const struct checkpoint_phase *phases, size_t phase_count,
			     struct held_train *trains, size_t n)
{
	size_t known = 0;

	for (size_t i = 0; i < n; i++) {
		if (phases_have(phases, phase_count, trains[i].phase))
			trains[known++] = trains[i];
		else
			log_error("%llu bytes of phase %" PRIu32 " belong to no interface",
				  trains[i].train.bytes, trains[i].phase);
	}
	return known;
}

struct train_sets {
	struct continuity *continuity;
	struct merge *merge; /* of the interval */
};

static int continuity_take_train_set(void *data, uint32_t set)
{
	const struct train_sets *sets = data;
	struct continuity *continuity = sets->continuity;
	const struct checkpoint_phase *phases = continuity->left.phases;
	size_t n, phase_count = continuity->left.phase_count;
	struct merge *merge = sets->merge;
	struct held_train *trains;
	int err;

	/* the next checkpoint does not know of it any more */
	if (set <= continuity->left.reported_train_set) {
		held_forget_trains(continuity->held, set);
		return 0;
	}
	if (continuity->report.id && set <= continuity->report.last_train_set) {
		merge = continuity->doubt;
		phases = continuity->report.phases;
		phase_count = continuity->report.phase_count;
	} else if (set <= continuity->left.folded_train_set) {
		held_forget_trains(continuity->held, set);
		return 0;
	}
	err = held_get_trains(continuity->held, set, &trains, &n);
	if (err)
		return err;
	n = continuity_keep_known(phases, phase_count, trains, n);
	err = interface_table_merge_trains(merge, trains, n);
	free(trains);
	return err;
}

/* The quiet set was emptied if it is held, or is to be. */
static int continuity_empty_quiet_set(struct continuity *continuity, struct program *program)
{
	bool held;
	int err = held_has_trains(continuity->held, program_quiet_set(program), &held);

	return err || !held ? err : program_empty_trains(program);
}

/* A failure is told; what else there is can still be gone on with. */
static void continuity_take_owed(const struct continuity *continuity, uint64_t id,
				 struct merge *merge)
{
	struct buffer bytes = {0};
	int err;

	if (!id)
		return;
	err = continuity_get_bytes(continuity, "owed", id, &bytes);
	if (!err)
		err = merge_decode_owed(merge, bytes.data, bytes.size);
	buffer_free(&bytes);
	if (err)
		log_error("owed-%" PRIu64
			  ": what hooks owe to an interval cannot be read: %s; packets that were "
			  "on their way when it began may count twice",
			  id, strerror(-err));
}

/* What no phase is known of can be in no report, which would be a mistake of ours: it is told. */
static int continuity_keep_known_flows(const struct checkpoint_phase *phases, size_t phase_count,
				       struct merge *merge)
{
	_free_ uint32_t *ids = NULL;
	struct flow_count dropped;
	size_t flows, n;
	int err = checkpoint_sort_ids(phases, phase_count, &ids, &n);

	if (err)
		return err;
	flows = merge_keep_ids(merge, ids, n, &dropped);
	if (flows)
		log_error("%zu flows that a dead agent had summed, %llu bytes, belong to no "
			  "interface",
			  flows, dropped.bytes);
	return 0;
}

static int continuity_take_folded(const struct continuity *continuity, uint64_t number,
				  const struct checkpoint_phase *phases, size_t phase_count,
				  struct merge *merge)
{
	struct buffer bytes = {0};
	int err;

	if (!number)
		return 0;
	err = continuity_get_bytes(continuity, "folded", number, &bytes);
	if (!err)
		err = merge_decode(merge, bytes.data, bytes.size);
	buffer_free(&bytes);
	return err ? err : continuity_keep_known_flows(phases, phase_count, merge);
}

/* What is pinned of the running interval beside maps and trains. */
static int continuity_take_interval(struct continuity *continuity, struct merge *merge)
{
	const struct checkpoint *left = &continuity->left;

	continuity->owed = left->owed;
	continuity->folded = left->folded;
	continuity->folded_train_set = left->folded_train_set;
	continuity_take_owed(continuity, continuity->owed, merge);
	return continuity_take_folded(continuity, continuity->folded, left->phases,
				      left->phase_count, merge);
}

/* What is pinned of the report in doubt, likewise. */
static int continuity_take_report(struct continuity *continuity)
{
	struct checkpoint_report *report = &continuity->left.report;
	int err;

	if (!report->id)
		return 0;
	continuity->report = *report;
	*report = (struct checkpoint_report){0};
	err = merge_new(&continuity->doubt);
	if (!err)
		continuity_take_owed(continuity, continuity->report.owed, continuity->doubt);
	if (!err)
		err = continuity_take_folded(continuity, continuity->report.folded,
					     continuity->report.phases,
					     continuity->report.phase_count, continuity->doubt);
	return err;
}

/* What was pinned when the agent died, and had no place in the checkpoint yet, or any more: maps,
 * links of interfaces, what is owed to an interval, and what was folded of one. */
static bool continuity_is_orphan(const struct continuity *continuity, const char *name)
{
	struct flow_map map;
	uint32_t life, generation;
	uint64_t id;

	/* an earlier program's maps were read, and those of flows are held */
	if (program_is_pin(name, &generation))
		return generation != continuity->generation;
	if (flow_map_is_pin(name, &map))
		return !continuity_has_generation(continuity, map.generation);
	if (attach_is_pin(name, &life))
		return !interface_table_has_life(continuity->table, life);
	if (sscanf(name, "folded-%" SCNu64, &id) == 1)
		return id != continuity->folded && id != continuity->report.folded;
	return sscanf(name, "owed-%" SCNu64, &id) == 1 && id != continuity->owed &&
	       id != continuity->report.owed;
}

static void continuity_drop_orphan(void *data, const char *name)
{
	const struct continuity *continuity = data;

	if (continuity_is_orphan(continuity, name))
		pins_forget(continuity->pins, name);
}

int continuity_recover(struct continuity *continuity, struct program *program,
		       struct flow_maps *maps, struct merge *merge,
		       const struct continuity_relief *relief)
{
	struct train_sets sets = {.continuity = continuity, .merge = merge};
	struct recovery recovery;
	int report_err = continuity_take_report(continuity);
	int err = continuity_take_interval(continuity, merge);

	recovery_begin(&recovery, continuity->table, &continuity->left);
	if (report_err)
		err = report_err;
	if (!err)
		err = flow_maps_recover(maps, continuity->left.earlier,
					continuity->left.earlier_count, &recovery.maps,
					&recovery.map_count);
	if (!err)
		err = continuity_sort_maps(continuity, maps, &recovery, relief);
	if (!err)
		err = continuity_empty_quiet_set(continuity, program);
	if (!err)
		err = held_each_train_set(continuity->held, continuity_take_train_set, &sets);
	if (!err)
		err = interface_table_recover(&recovery);
	if (!err)
		err = continuity_take_earlier(continuity, maps, merge);
	if (!err)
		err = interface_table_recover_maps(&recovery);
	if (!err)
		err = pins_each(continuity->pins, continuity_drop_orphan, continuity);
	/* from then on nothing was found */
	if (!err)
		err = pins_error(continuity->pins);
	continuity->recovered = !err;
	recovery_clean(&recovery);
	return err;
}
