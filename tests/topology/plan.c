// SPDX-License-Identifier: GPL-2.0-only
#include "tests/topology/plan.h"

#include "lib/buffer.h"
#include "tests/topology/grammar.h"
#include "tests/topology/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MORE_CHANGES 2 /* of a host that has more that can change */

struct plan {
	const struct plan_options *options; /* borrowed */
	struct buffer *script;		    /* borrowed */
	struct random random;
	struct world world; /* as it will be */
	struct script_mark mark;
	struct lists lists; /* as last written */
};

static int number_of(const struct plan *plan, const struct device *device)
{
	return script_device(&plan->world, device);
}

static void write_lists(struct plan *plan)
{
	buffer_printf(plan->script, "include %s\nexclude %s\n", plan->lists.include,
		      plan->lists.exclude);
}

/*
 * Whether every packet says by itself at each hook whether it was seen before. Where hooks are
 * judged by what others saw, a packet that is between them when their maps are swapped, one after
 * the other, may be counted twice (doc/dedup.md).
 */
static bool all_say(struct plan *plan)
{
	lists_apply(&plan->lists, &plan->world);
	for (size_t i = 0; i < plan->world.device_count; i++) {
		const struct device *device = &plan->world.devices[i];

		if (device->space == HOST && !device->gone && strcmp(device->name, SENTINEL_OFF) &&
		    (!device->monitored || kind_is_macvlan(device->kind)))
			return false;
	}
	return true;
}

static void plan_send(struct plan *plan)
{
	if (random_chance(&plan->random, 25) && (plan->options->traps || all_say(plan)))
		buffer_printf(plan->script, "storm %u\n", random_between(&plan->random, 1, 5));
	else
		buffer_str(plan->script, "send\n");
}

static void plan_begin(struct plan *plan, bool faces)
{
	grammar_choose_lists(&plan->random, &plan->world, &plan->lists);
	/* a line for each face of a translated conversation: where only a part of the devices is
	 * monitored nobody can tell then whether a face was counted as another one */
	if (faces)
		grammar_choose_all(&plan->lists);
	buffer_printf(plan->script, "join %s\nattach %s\n", plan->options->join ? "yes" : "no",
		      random_chance(&plan->random, 85) ? "clsact" : "tcx");
	write_lists(plan);
	script_describe(plan->script, &plan->world, &plan->mark);
	buffer_str(plan->script, "start\n");
	plan_send(plan);
}

static void talk_more(struct plan *plan)
{
	grammar_add_conversations(&plan->random, &plan->world, 2, plan->options->traps);
	script_describe(plan->script, &plan->world, &plan->mark);
}

static void plan_lists(struct plan *plan)
{
	grammar_choose_lists(&plan->random, &plan->world, &plan->lists);
	write_lists(plan);
	buffer_str(plan->script, "reload\n");
}

static void plan_rename(struct plan *plan, struct device *device, const char *name)
{
	snprintf(device->name, sizeof(device->name), "%s", name);
	buffer_printf(plan->script, "rename %d %s\n", number_of(plan, device), name);
}

static void plan_enslave(struct plan *plan, struct device *device, struct device *master)
{
	device->former_master = device->master;
	device->master = master;
	buffer_printf(plan->script, "enslave %d %d\n", number_of(plan, device),
		      number_of(plan, master));
}

static void plan_add(struct plan *plan, struct device *like)
{
	grammar_add_container(&plan->world, like, false);
	script_describe(plan->script, &plan->world, &plan->mark);
	buffer_str(plan->script, "create\n");
	talk_more(plan);
}

static void plan_move(struct plan *plan, struct device *like)
{
	struct device *device = grammar_add_container(&plan->world, like, true);

	script_describe(plan->script, &plan->world, &plan->mark);
	device->space = plan->world.space_count - 1;
	buffer_printf(plan->script, "create\nseen\nmove %d %u\n", number_of(plan, device),
		      device->space);
	grammar_settle_container(&plan->world, like, device);
	script_describe(plan->script, &plan->world, &plan->mark);
	buffer_printf(plan->script, "settle %d %u %u\n", number_of(plan, device), device->segment,
		      device->address);
	talk_more(plan);
}

static void plan_delete(struct plan *plan, struct device *device)
{
	world_remove(&plan->world, device);
	buffer_printf(plan->script, "delete %d\n", number_of(plan, device));
}

static void plan_reroute(struct plan *plan, struct route *route)
{
	grammar_switch_route(&plan->world, route);
	for (size_t i = 0; i < plan->world.conversation_count; i++)
		if (plan->world.conversations[i].ended)
			buffer_printf(plan->script, "end %zu\n", i);
	buffer_printf(plan->script, "reroute %d %d %d\n", script_route(&plan->world, route),
		      number_of(plan, route->device), number_of(plan, route->gateway));
}

static void plan_fail_over(struct plan *plan, struct device *slave)
{
	world_fail_over(&plan->world, slave);
	buffer_printf(plan->script, "failover %d\n", number_of(plan, slave));
}

static void plan_unplug(struct plan *plan, struct device *slave)
{
	world_unplug(&plan->world, slave);
	buffer_printf(plan->script, "unplug %d\n", number_of(plan, slave));
}

static void plan_plug(struct plan *plan, struct device *slave)
{
	slave->down = false;
	buffer_printf(plan->script, "plug %d\n", number_of(plan, slave));
}

static void plan_change(struct plan *plan)
{
	struct change change;

	while (!grammar_choose_change(&plan->random, &plan->world, &change))
		;
	buffer_printf(plan->script, "# %s %s\n", change_to_str(change.kind),
		      change.device ? change.device->name : "");
	switch (change.kind) {
	case CHANGE_LISTS:
		plan_lists(plan);
		break;
	case CHANGE_RENAME:
		plan_rename(plan, change.device, change.name);
		break;
	case CHANGE_RELEASE:
		plan_enslave(plan, change.device, NULL);
		break;
	case CHANGE_ENSLAVE:
		plan_enslave(plan, change.device, change.device->former_master);
		break;
	case CHANGE_ADD:
		plan_add(plan, change.device);
		break;
	case CHANGE_MOVE:
		plan_move(plan, change.device);
		break;
	case CHANGE_DELETE:
		plan_delete(plan, change.device);
		break;
	case CHANGE_ROUTE:
		plan_reroute(plan, change.route);
		break;
	case CHANGE_FAIL_OVER:
		plan_fail_over(plan, change.device);
		break;
	case CHANGE_UNPLUG:
		plan_unplug(plan, change.device);
		break;
	case CHANGE_PLUG:
		plan_plug(plan, change.device);
		break;
	case CHANGES:
		break;
	}
	buffer_str(plan->script, "seen\n");
}

/* A report may come between traffic and change, between change and traffic, or both may be in one.
 */
static void plan_report(struct plan *plan, unsigned int percent)
{
	if (random_chance(&plan->random, percent))
		buffer_str(plan->script, "report\n");
}

int plan_write(struct buffer *script, uint64_t seed, const struct plan_options *options)
{
	struct plan *plan = calloc(1, sizeof(*plan));
	unsigned int changes;
	bool faces;

	if (!plan)
		return -ENOMEM;
	plan->options = options;
	plan->script = script;
	plan->random.state = seed;
	grammar_build(&plan->random, &plan->world, options->traps, options->elements_percent,
		      options->kinds);
	faces = !options->join && world_translates(&plan->world);
	plan_begin(plan, faces);
	changes = faces ? 0 : random_below(&plan->random, 5);
	if (!faces && grammar_has_backup(&plan->world))
		changes += MORE_CHANGES;
	while (changes--) {
		plan_report(plan, 40);
		plan_change(plan);
		plan_report(plan, 30);
		plan_send(plan);
	}
	buffer_str(script, "stop\n");
	free(plan);
	return buffer_error(script);
}
