// SPDX-License-Identifier: GPL-2.0-only
/*
 * From one version to the next: the program of a dead agent of another version is replaced by ours
 * (predecessor.h), and what it counted is read. Its maps go by their generation (program.h) as long
 * as one of them is held.
 */
#include "lib/log.h"
#include "supervisor/continuity_private.h"
#include "supervisor/flow_map.h"
#include "supervisor/held.h"
#include "supervisor/interface_table.h"
#include "supervisor/layout.h"
#include "supervisor/pins.h"
#include "supervisor/predecessor.h"
#include "supervisor/program.h"

#include <errno.h>
#include <stdlib.h>

bool continuity_has_generation(const struct continuity *continuity, uint32_t generation)
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

	if (continuity_can_wait(err))
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

static int continuity_note_train(void *data, uint32_t phase, const struct flow_train *train)
{
	return held_trains_add(data, phase, train);
}

/* Whether it was taken before an agent died, and is read as what is held, or was. */
static int continuity_has_taken(const struct continuity *continuity, uint32_t set, bool *taken)
{
	const struct checkpoint *left = &continuity->left;

	*taken = set <= left->reported_train_set || set <= left->folded_train_set ||
		 set <= continuity->report.last_train_set;
	return *taken ? 0 : held_has_trains(continuity->held, set, taken);
}

/* What an earlier generation's CPUs hold is taken as a set of ours. */
static int continuity_take_earlier_set(struct continuity *continuity,
				       const struct predecessor *predecessor, bool last,
				       struct merge *merge)
{
	uint32_t set = predecessor_last_set(predecessor) - !last;
	struct held_trains trains = {0};
	bool taken;
	int err = continuity_has_taken(continuity, set, &taken);

	if (err || taken)
		return err;
	err = predecessor_each_train(predecessor, last, continuity_note_train, &trains);
	trains.count = continuity_keep_known(continuity->left.phases, continuity->left.phase_count,
					     trains.list, trains.count);
	if (!err)
		err = held_put_trains(continuity->held, set, trains.list, trains.count);
	if (!err && trains.count)
		held_note_trains(continuity->held, set);
	if (!err)
		err = interface_table_merge_trains(merge, trains.list, trains.count);
	free(trains.list);
	return err;
}

/* Its program is on no hook any more. One whose maps are not all there was done with before. */
static int continuity_take_generation(struct continuity *continuity,
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

int continuity_take_earlier(struct continuity *continuity, struct flow_maps *maps,
			    struct merge *merge)
{
	const struct checkpoint *left = &continuity->left;
	int err = left->earlier_count ? flow_maps_synchronize(maps) : 0;

	for (size_t i = 0; i < left->earlier_count && !err; i++)
		err = continuity_take_generation(continuity, &left->earlier[i], merge);
	return err;
}

int continuity_list_earlier(const struct continuity *continuity, struct checkpoint *checkpoint)
{
	const struct checkpoint *left = &continuity->left;
	int err = 0;

	for (size_t i = 0; i < left->earlier_count && !err; i++)
		if (held_has_generation(continuity->held, left->earlier[i].number))
			err = continuity_add_earlier(checkpoint, &left->earlier[i]);
	return err;
}
