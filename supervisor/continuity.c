// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/continuity.h"
#include "lib/array.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "report/merge.h"
#include "supervisor/flow_map.h"
#include "supervisor/held.h"
#include "supervisor/interface_table.h"
#include "supervisor/layout.h"
#include "supervisor/pins.h"
#include "supervisor/predecessor.h"
#include "supervisor/program.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECKPOINT_PIN "checkpoint"

struct continuity {
	struct pins *pins;
	int pins_error;
	struct held *held;
	bool found;
	struct checkpoint left;		 /* by a dead agent, until it is recovered */
	struct predecessor *predecessor; /* whose program is to be replaced */
	uint32_t generation;		 /* of our program's maps */
	struct checkpoint_report report; /* on its way */
	size_t report_held;		 /* so many of the first maps held are in it */
	struct merge *doubt;		 /* what is in it, if it is not ours */
	struct checkpoint_list done_maps;
	uint64_t reported_train_set, folded_train_set;
	uint64_t owed, folded; /* what is pinned for the running interval (checkpoint.h) */
	bool recovered;	       /* or there was nothing to be */
	bool save_failed;      /* said once */
	bool fold_failed;
};

void continuity_start_afresh(struct continuity *continuity, const char *why)
{
	int removed = pins_clear(continuity->pins);

	predecessor_free(continuity->predecessor);
	continuity->predecessor = NULL;
	checkpoint_clean(&continuity->left);
	continuity->found = false;
	continuity->recovered = true;
	if (removed < 0)
		log_error("what a dead agent left cannot be removed: %s", strerror(-removed));
	else if (removed)
		log_warning("what a dead agent counted is lost: %s", why);
}

static int continuity_load(struct continuity *continuity)
{
	struct buffer bytes = {0};
	int err = pins_get_bytes(continuity->pins, CHECKPOINT_PIN, &bytes);

	if (!err)
		err = checkpoint_decode(&continuity->left, bytes.data, bytes.size);
	buffer_free(&bytes);
	return err;
}

int continuity_new(struct continuity **ret)
{
	struct continuity *continuity = calloc(1, sizeof(*continuity));
	int err;

	if (!continuity)
		return -ENOMEM;
	continuity->pins_error = pins_new(&continuity->pins);
	err = continuity->pins ? continuity_load(continuity) : -ENOENT;
	continuity->found = !err;
	continuity->recovered = err;
	if (continuity->pins && err == -ENOENT)
		continuity_start_afresh(continuity, "it had not come far enough to say what it is");
	else if (err == -EPROTO)
		continuity_start_afresh(continuity, "it was a version that this one cannot read");
	else if (err && err != -ENOENT)
		continuity_start_afresh(continuity, "its checkpoint cannot be read");
	*ret = continuity;
	return 0;
}

static void continuity_forget_report(struct continuity *continuity)
{
	checkpoint_clean_phases(continuity->report.phases, continuity->report.phase_count);
	free(continuity->report.maps.numbers);
	continuity->report = (struct checkpoint_report){0};
	merge_free(continuity->doubt);
	continuity->doubt = NULL;
}

void continuity_free(struct continuity *continuity)
{
	if (!continuity)
		return;
	continuity_forget_report(continuity);
	predecessor_free(continuity->predecessor);
	checkpoint_clean(&continuity->left);
	free(continuity->done_maps.numbers);
	held_free(continuity->held);
	pins_free(continuity->pins);
	free(continuity);
}

int continuity_error(const struct continuity *continuity)
{
	return continuity->pins_error;
}

const struct pins *continuity_pins(const struct continuity *continuity)
{
	return continuity->pins;
}

bool continuity_found(const struct continuity *continuity)
{
	return continuity->found;
}

const struct checkpoint_interval *continuity_interval(const struct continuity *continuity)
{
	return &continuity->left.interval;
}

static bool continuity_has_generation(const struct continuity *continuity, uint32_t generation)
{
	const struct checkpoint *left = &continuity->left;

	for (size_t i = 0; i < left->earlier_count; i++)
		if (left->earlier[i].number == generation)
			return true;
	return generation == left->generation.number;
}

static void continuity_drop_unnamed(void *data, const char *name)
{
	const struct continuity *continuity = data;
	struct flow_map map;
	uint32_t generation;

	if ((program_is_pin(name, &generation) &&
	     !continuity_has_generation(continuity, generation)) ||
	    (flow_map_is_pin(name, &map) && !continuity_has_generation(continuity, map.generation)))
		pins_forget(continuity->pins, name);
}

/* Opens the maps of the version that is to be replaced. What somebody prepared who died before it
 * was named has the number that is the next one now, and may be another version's. */
static int continuity_open_predecessor(struct continuity *continuity)
{
	int err = pins_each(continuity->pins, continuity_drop_unnamed, continuity);

	if (!err)
		err = predecessor_new(&continuity->predecessor, continuity->pins,
				      &continuity->left.generation);
	return err ? err : predecessor_check(continuity->predecessor);
}

int continuity_part(struct continuity *continuity, uint32_t *generation)
{
	int err = continuity_open_predecessor(continuity);

	if (err == -ENOMEM)
		return err;
	if (err == -EPROTO)
		continuity_start_afresh(continuity, "it was a version that this one does not know "
						    "enough of");
	else if (err)
		continuity_start_afresh(continuity, "not all of its maps are there");
	*generation = continuity->generation = continuity->left.generation.number + 1;
	return 0;
}

int continuity_meet(struct continuity *continuity, uint32_t *generation, bool *go_on)
{
	*go_on = continuity->found && layout_is_own(&continuity->left.generation.layout);
	*generation = continuity->generation = *go_on ? continuity->left.generation.number : 1;
	return continuity->found && !*go_on ? continuity_part(continuity, generation) : 0;
}

static int continuity_add_earlier(struct checkpoint *checkpoint,
				  const struct generation *generation)
{
	struct generation *list =
		reallocarray(checkpoint->earlier, checkpoint->earlier_count + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	checkpoint->earlier = list;
	list[checkpoint->earlier_count++] = *generation;
	return 0;
}

static int continuity_put_checkpoint(const struct continuity *continuity,
				     const struct checkpoint *checkpoint)
{
	struct buffer bytes = {0};
	int err;

	checkpoint_encode(checkpoint, &bytes);
	err = buffer_error(&bytes);
	if (!err)
		err = pins_put_bytes(continuity->pins, CHECKPOINT_PIN, bytes.data, bytes.size);
	buffer_free(&bytes);
	return err;
}

/*
 * What is prepared is nobody's until the checkpoint names it, and from then on it is what the next
 * agent goes on with, if we die before the last hook has our program.
 */
int continuity_replace(struct continuity *continuity, struct program *program,
		       struct flow_maps *maps)
{
	struct checkpoint *left = &continuity->left;
	int err;

	if (!continuity->predecessor)
		return 0;
	err = predecessor_prepare(continuity->predecessor, program, maps);
	predecessor_free(continuity->predecessor);
	continuity->predecessor = NULL;
	if (!err)
		err = continuity_add_earlier(left, &left->generation);
	if (err)
		return err;
	left->generation = (struct generation){
		.number = program_generation(program),
		.layout = *layout_own(),
	};
	log_notice("an agent of another version has died: its program is replaced, and what it "
		   "counted is read");
	return continuity_put_checkpoint(continuity, left);
}

int continuity_hold(struct continuity *continuity, struct flow_maps *maps)
{
	return held_new(&continuity->held, maps, continuity->pins);
}

struct held *continuity_held(const struct continuity *continuity)
{
	return continuity->held;
}

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

/* Those of phases that the checkpoint does not know can be in no report, which would be a mistake
 * of ours: it is told. */
static size_t continuity_keep_known(const struct checkpoint_phase *phases, size_t phase_count,
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
static int continuity_settle_quiet_set(struct continuity *continuity, struct program *program)
{
	bool held;
	int err = held_has_trains(continuity->held, program_quiet_set(program), &held);

	return err || !held ? err : program_empty_trains(program);
}

/* What an earlier generation's CPUs hold is taken as a set of ours. */
struct earlier_trains {
	struct held_train *list; /* owned */
	size_t count, capacity;
};

static int continuity_note_train(void *data, uint32_t phase, const struct flow_train *train)
{
	struct earlier_trains *trains = data;
	int err;

	if (!phase) {
		log_error("%llu bytes in slot %u belong to no interface", train->bytes,
			  train->slot);
		return 0;
	}
	err = array_reserve(&trains->list, &trains->capacity, sizeof(*trains->list),
			    trains->count + 1);
	if (!err)
		trains->list[trains->count++] =
			(struct held_train){.phase = phase, .train = *train};
	return err;
}

/* Whether it was taken before an agent died, and is read as what is held, or was. */
static int continuity_has_taken(const struct continuity *continuity, uint32_t set, bool *taken)
{
	const struct checkpoint *left = &continuity->left;

	*taken = set <= left->reported_train_set || set <= left->folded_train_set ||
		 set <= continuity->report.last_train_set;
	return *taken ? 0 : held_has_trains(continuity->held, set, taken);
}

static int continuity_take_earlier_set(struct continuity *continuity,
				       const struct predecessor *predecessor, bool last,
				       struct merge *merge)
{
	uint32_t set = predecessor_last_set(predecessor) - !last;
	struct earlier_trains trains = {0};
	bool taken;
	int err = continuity_has_taken(continuity, set, &taken);

	if (err || taken)
		return err;
	err = predecessor_each_train(predecessor, last, continuity_note_train, &trains);
	trains.count = continuity_keep_known(continuity->left.phases, continuity->left.phase_count,
					     trains.list, trains.count);
	if (!err)
		err = held_put_trains(continuity->held, set, trains.list, trains.count);
	if (!err)
		err = interface_table_merge_trains(merge, trains.list, trains.count);
	free(trains.list);
	return err;
}

/* Its program is on no hook any more. One whose maps are not all there was done with before. */
static int continuity_take_earlier(struct continuity *continuity,
				   const struct generation *generation, struct merge *merge)
{
	struct predecessor *predecessor;
	int err = predecessor_new(&predecessor, continuity->pins, generation);

	if (err)
		return err == -ENOENT ? 0 : err;
	err = continuity_take_earlier_set(continuity, predecessor, false, merge);
	if (!err)
		err = continuity_take_earlier_set(continuity, predecessor, true, merge);
	predecessor_free(predecessor);
	return err;
}

static int continuity_take_all_earlier(struct continuity *continuity, struct flow_maps *maps,
				       struct merge *merge)
{
	const struct checkpoint *left = &continuity->left;
	int err = left->earlier_count ? flow_maps_synchronize(maps) : 0;

	for (size_t i = 0; i < left->earlier_count && !err; i++)
		err = continuity_take_earlier(continuity, &left->earlier[i], merge);
	return err;
}

/* Bytes that merges hand on are pinned under what they are and a number. */
struct bytes_pin {
	char name[32];
};

static struct bytes_pin bytes_pin_name(const char *what, uint64_t number)
{
	struct bytes_pin pin;

	snprintf(pin.name, sizeof(pin.name), "%s-%" PRIu64, what, number);
	return pin;
}

/* Frees the bytes. 0 or negative errno, their own error among them. */
static int continuity_put_bytes(const struct continuity *continuity, const char *what,
				uint64_t number, struct buffer *bytes)
{
	struct bytes_pin pin = bytes_pin_name(what, number);
	int err = buffer_error(bytes);

	if (!err)
		err = pins_put_bytes(continuity->pins, pin.name, bytes->data, bytes->size);
	buffer_free(bytes);
	return err;
}

/* Number 0: there are none. */
static void continuity_drop_bytes(const struct continuity *continuity, const char *what,
				  uint64_t number)
{
	struct bytes_pin pin = bytes_pin_name(what, number);

	if (number)
		pins_forget(continuity->pins, pin.name);
}

/*
 * What judged hooks owe to the next interval. Without it packets that were between two hooks at the
 * end of an interval are counted twice after a crash in the next. Only where hooks are judged is
 * there anything: elsewhere it would be a copy of what all interfaces showed, for nothing.
 */
static int continuity_put_owed(struct continuity *continuity, const struct interface_table *table,
			       const struct merge *merge, uint64_t id)
{
	struct buffer bytes = {0};
	int err;

	continuity->owed = 0;
	if (!interface_table_judges(table))
		return 0;
	merge_encode_owing(merge, &bytes);
	err = continuity_put_bytes(continuity, "owed", id, &bytes);
	if (!err)
		continuity->owed = id;
	return err;
}

/* A failure is told; what else there is can still be gone on with. */
static void continuity_take_owed(const struct continuity *continuity, uint64_t id,
				 struct merge *merge)
{
	struct bytes_pin pin = bytes_pin_name("owed", id);
	struct buffer bytes = {0};
	int err;

	if (!id)
		return;
	err = pins_get_bytes(continuity->pins, pin.name, &bytes);
	if (!err)
		err = merge_decode_owed(merge, bytes.data, bytes.size);
	buffer_free(&bytes);
	if (err)
		log_error("%s: what hooks owe to an interval cannot be read: %s; packets that were "
			  "on their way when it began may count twice",
			  pin.name, strerror(-err));
}

static int continuity_put_folded(const struct continuity *continuity, const struct merge *merge,
				 uint64_t number)
{
	struct buffer bytes = {0};

	merge_encode(merge, &bytes);
	return continuity_put_bytes(continuity, "folded", number, &bytes);
}

static int continuity_take_folded(const struct continuity *continuity, uint64_t number,
				  struct merge *merge)
{
	struct bytes_pin pin = bytes_pin_name("folded", number);
	struct buffer bytes = {0};
	int err;

	if (!number)
		return 0;
	err = pins_get_bytes(continuity->pins, pin.name, &bytes);
	if (!err)
		err = merge_decode(merge, bytes.data, bytes.size);
	buffer_free(&bytes);
	return err;
}

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
					     continuity->doubt);
	return err;
}

/* What was pinned when the agent died, and had no place in the checkpoint yet, or any more: maps,
 * links of interfaces, what is owed to an interval, and what was folded of one. */
struct orphans {
	const struct continuity *continuity;
	struct interface_table *table;
};

static bool continuity_is_orphan(const struct orphans *orphans, const char *name)
{
	const struct continuity *continuity = orphans->continuity;
	struct flow_map map;
	uint32_t life, generation;
	uint64_t id;

	/* an earlier program's maps were read, and those of flows are held */
	if (program_is_pin(name, &generation))
		return generation != continuity->generation;
	if (flow_map_is_pin(name, &map))
		return !continuity_has_generation(continuity, map.generation);
	if (sscanf(name, "link-%" SCNu32 "-", &life) == 1)
		return !interface_table_has_life(orphans->table, life);
	if (sscanf(name, "folded-%" SCNu64, &id) == 1)
		return id != continuity->folded && id != continuity->report.folded;
	return sscanf(name, "owed-%" SCNu64, &id) == 1 && id != continuity->owed &&
	       id != continuity->report.owed;
}

static void continuity_drop_orphan(void *data, const char *name)
{
	const struct orphans *orphans = data;

	if (continuity_is_orphan(orphans, name))
		pins_forget(orphans->continuity->pins, name);
}

int continuity_recover(struct continuity *continuity, struct program *program,
		       struct flow_maps *maps, struct interface_table *table, struct merge *merge,
		       const struct continuity_relief *relief)
{
	struct train_sets sets = {.continuity = continuity, .merge = merge};
	struct orphans orphans = {.continuity = continuity, .table = table};
	struct recovery recovery = {.table = table, .checkpoint = &continuity->left};
	int err = continuity_take_report(continuity);

	continuity->owed = continuity->left.owed;
	continuity_take_owed(continuity, continuity->owed, merge);
	continuity->folded = continuity->left.folded;
	continuity->folded_train_set = continuity->left.folded_train_set;
	if (!err)
		err = continuity_take_folded(continuity, continuity->folded, merge);
	if (!err)
		err = flow_maps_recover(maps, continuity->left.earlier,
					continuity->left.earlier_count, &recovery.maps,
					&recovery.map_count);
	if (!err)
		err = continuity_sort_maps(continuity, maps, &recovery, relief);
	if (!err)
		err = continuity_settle_quiet_set(continuity, program);
	if (!err)
		err = held_each_train_set(continuity->held, continuity_take_train_set, &sets);
	if (!err)
		err = interface_table_recover(&recovery);
	if (!err)
		err = continuity_take_all_earlier(continuity, maps, merge);
	if (!err)
		err = interface_table_recover_maps(&recovery);
	if (!err)
		err = pins_each(continuity->pins, continuity_drop_orphan, &orphans);
	continuity->recovered = !err;
	recovery_clean(&recovery);
	return err;
}

/* Those of which a map is held. */
static int continuity_list_earlier(const struct continuity *continuity,
				   struct checkpoint *checkpoint)
{
	const struct checkpoint *left = &continuity->left;
	int err = 0;

	for (size_t i = 0; i < left->earlier_count && !err; i++)
		if (held_has_generation(continuity->held, left->earlier[i].number))
			err = continuity_add_earlier(checkpoint, &left->earlier[i]);
	return err;
}

static int continuity_encode(const struct continuity *continuity, struct interface_table *table,
			     const struct checkpoint_interval *interval, struct buffer *bytes)
{
	struct checkpoint checkpoint = {
		.generation = {.number = continuity->generation, .layout = *layout_own()},
		.interval = *interval,
		.report = continuity->report,
		.owed = continuity->owed,
		.done_maps = continuity->done_maps,
		.reported_train_set = continuity->reported_train_set,
		.folded = continuity->folded,
		.folded_train_set = continuity->folded_train_set,
	};
	int err = interface_table_save(table, &checkpoint);

	if (!err)
		err = continuity_list_earlier(continuity, &checkpoint);
	if (!err) {
		checkpoint_encode(&checkpoint, bytes);
		err = buffer_error(bytes);
	}
	checkpoint_clean_phases(checkpoint.phases, checkpoint.phase_count);
	free(checkpoint.earlier);
	return err;
}

static int continuity_write(struct continuity *continuity, struct interface_table *table,
			    const struct checkpoint_interval *interval)
{
	struct buffer bytes = {0};
	int err;

	if (!continuity->pins)
		return 0;
	err = continuity_encode(continuity, table, interval, &bytes);
	if (!err)
		err = pins_put_bytes(continuity->pins, CHECKPOINT_PIN, bytes.data, bytes.size);
	buffer_free(&bytes);
	if (err && !continuity->save_failed)
		log_error("the checkpoint cannot be written: %s; if the agent is killed now, what "
			  "it counted is lost",
			  strerror(-err));
	if (!err && continuity->save_failed)
		log_notice("the checkpoint is written again");
	continuity->save_failed = err;
	return err;
}

void continuity_save(struct continuity *continuity, struct interface_table *table,
		     const struct checkpoint_interval *interval)
{
	(void)continuity_write(continuity, table, interval);
}

/* Of the running interval: the rest is of a report on its way. */
static size_t continuity_first_held(const struct continuity *continuity)
{
	return continuity->report.id ? continuity->report_held : 0;
}

static int continuity_fold_held(struct continuity *continuity, struct interface_table *table,
				const struct merge *merge,
				const struct checkpoint_interval *interval)
{
	size_t first = continuity_first_held(continuity), count;
	uint64_t before = continuity->folded, set_before = continuity->folded_train_set;
	uint64_t report = continuity->report.folded;
	struct checkpoint_list maps_before = continuity->done_maps, maps;
	uint64_t number = 1 + (before > report ? before : report), set;
	int err = held_list(continuity->held, first, &maps, &set);

	if (err)
		return err;
	err = continuity_put_folded(continuity, merge, number);
	if (!err) {
		continuity->folded = number;
		continuity->folded_train_set = set;
		continuity->done_maps = maps;
		err = continuity_write(continuity, table, interval);
	}
	if (err) {
		continuity->folded = before;
		continuity->folded_train_set = set_before;
		continuity->done_maps = maps_before;
		continuity_drop_bytes(continuity, "folded", number);
		free(maps.numbers);
		return err;
	}
	count = maps.count;
	free(maps_before.numbers);
	continuity_drop_bytes(continuity, "folded", before);
	held_release(continuity->held, first, count, continuity->report.last_train_set, set);
	return 0;
}

void continuity_fold(struct continuity *continuity, struct interface_table *table,
		     const struct merge *merge, const struct checkpoint_interval *interval)
{
	int err;

	/* while it is read what a dead agent has left, the checkpoint is that agent's */
	if (!continuity->pins || !continuity->recovered ||
	    held_count(continuity->held) == continuity_first_held(continuity))
		return;
	err = continuity_fold_held(continuity, table, merge, interval);
	if (err && !continuity->fold_failed)
		log_warning("what is held for a crash grows with the flows of the interval: %s",
			    strerror(-err));
	continuity->fold_failed = err;
}

int continuity_begin_report(struct continuity *continuity, struct interface_table *table,
			    const struct merge *merge, const struct report *report,
			    const struct checkpoint_interval *interval, const struct sink *sink,
			    size_t size)
{
	struct checkpoint_report begun = {.id = report->id,
					  .interval = *interval,
					  .owed = continuity->owed,
					  .folded = continuity->folded};
	const struct checkpoint_interval next = checkpoint_interval_after(interval);
	int err;

	if (!continuity->pins)
		return 0;
	err = held_list(continuity->held, 0, &begun.maps, &begun.last_train_set);
	if (!err)
		err = interface_table_describe(table, &begun.phases, &begun.phase_count);
	if (err) {
		free(begun.maps.numbers);
		return err;
	}
	err = continuity_put_owed(continuity, table, merge, report->id);
	if (err)
		log_error("what hooks owe to the next interval cannot be kept: %s", strerror(-err));
	if (sink_position(sink, &begun.position))
		begun.file_size = size;
	continuity->report = begun;
	continuity->report_held = begun.maps.count;
	continuity->folded = 0;
	continuity_save(continuity, table, &next);
	return 0;
}

void continuity_cancel_report(struct continuity *continuity, struct interface_table *table,
			      const struct checkpoint_interval *interval)
{
	uint64_t owing = continuity->owed, paid = continuity->report.owed;

	if (!continuity->report.id)
		return;
	continuity->owed = paid;
	continuity->folded = continuity->report.folded;
	continuity_forget_report(continuity);
	/* what the last checkpoint names stays */
	if (!continuity_write(continuity, table, interval) && owing != paid)
		continuity_drop_bytes(continuity, "owed", owing);
}

bool continuity_has_sent(const struct continuity *continuity)
{
	return continuity->report.id && !continuity->doubt;
}

void continuity_end_report(struct continuity *continuity, struct interface_table *table,
			   const struct checkpoint_interval *interval)
{
	uint64_t paid, folded;

	if (!continuity_has_sent(continuity))
		return;
	free(continuity->done_maps.numbers);
	continuity->done_maps = continuity->report.maps;
	continuity->reported_train_set = continuity->report.last_train_set;
	continuity->report.maps = (struct checkpoint_list){0};
	paid = continuity->report.owed;
	folded = continuity->report.folded;
	continuity_forget_report(continuity);
	continuity_save(continuity, table, interval);
	continuity_drop_bytes(continuity, "owed", paid);
	continuity_drop_bytes(continuity, "folded", folded);
	held_release(continuity->held, 0, continuity->report_held, 0,
		     continuity->reported_train_set);
}

const struct checkpoint_report *continuity_doubt(const struct continuity *continuity,
						 struct merge **merge)
{
	*merge = continuity->doubt;
	return continuity->doubt ? &continuity->report : NULL;
}

void continuity_doubt_sent(struct continuity *continuity)
{
	merge_free(continuity->doubt);
	continuity->doubt = NULL;
}

int continuity_remove(struct continuity *continuity)
{
	int removed = pins_remove_all(continuity->pins);

	return removed < 0 ? removed : 0;
}
