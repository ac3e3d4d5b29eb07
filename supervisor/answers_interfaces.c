// SPDX-License-Identifier: GPL-2.0-only
#include "config/config.h"
#include "control/text.h"
#include "lib/cleanup.h"
#include "report/flow_count.h"
#include "report/id_map.h"
#include "report/report.h"
#include "supervisor/answers.h"
#include "supervisor/answers_private.h"
#include "supervisor/explain.h"
#include "supervisor/interface_table.h"
#include "supervisor/live.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

/* While the list is made. */
struct listing {
	const struct answers *state;
	const struct report *report;	   /* of the running interval */
	struct id_map by_life;		   /* into report->interfaces */
	struct unattributed *unattributed; /* of each of them */
	json_t *list;			   /* of interfaces, unsorted */
	bool failed;			   /* no memory */
};

static json_t *make_place(const struct attach_place *place)
{
	if (!place->position)
		return json_null();
	return json_pack("{s:I,s:I}", "position", (json_int_t)place->position, "count",
			 (json_int_t)place->count);
}

static json_t *make_attach(const struct answers *state, const struct interface *interface)
{
	struct attach_place places[TC_HOOKS];

	/* without them the answer says less, and is right */
	(void)attach_places(state->attacher, &interface->attachment, places);
	return json_pack("{s:s,s:o,s:o}", "mode", attach_mode_to_str(&interface->attachment),
			 "ingress", make_place(&places[TC_HOOK_INGRESS]), "egress",
			 make_place(&places[TC_HOOK_EGRESS]));
}

/* Both the reports that are written and the running interval. */
static json_t *make_total(const struct interface *interface, const struct report_interface *running,
			  const struct unattributed *unattributed)
{
	struct interface_total total = interface->total;

	if (running) {
		flow_count_add(&total.in, &running->in);
		flow_count_add(&total.out, &running->out);
		for (int reason = 0; reason < UNATTRIBUTED_REASONS; reason++)
			flow_count_add(&total.unattributed.count[reason],
				       &unattributed->count[reason]);
	}
	return json_pack("{s:o,s:o,s:o}", "in", answers_network(&total.in), "out",
			 answers_network(&total.out), "unattributed",
			 answers_unattributed(&total.unattributed));
}

static json_t *make_running(const struct report_interface *running)
{
	static const struct report_interface nothing;

	if (!running)
		running = &nothing;
	return json_pack("{s:I,s:o,s:o}", "flows", (json_int_t)running->flows, "in",
			 answers_network(&running->in), "out", answers_network(&running->out));
}

/* What is only there of a monitored interface. */
static json_t *make_counts(const struct listing *listing, const struct interface *interface)
{
	uint32_t i = id_map_get(&listing->by_life, interface->life);
	const struct report_interface *running =
		i == ID_MAP_NONE ? NULL : &listing->report->interfaces[i];

	return json_pack("{s:o,s:o,s:o,s:o,s:{s:I,s:I}}", "attach",
			 make_attach(listing->state, interface), "interval", make_running(running),
			 "coverage", answers_coverage(interface), "total",
			 make_total(interface, running, running ? &listing->unattributed[i] : NULL),
			 "map", "entries",
			 (json_int_t)interface_table_fill(listing->state->table, interface),
			 "limit", (json_int_t)listing->state->config->map_entries);
}

/* Whether it is monitored, or why not, in a word and in words. */
static const char *find_state(const struct interface *interface, char *reason, size_t size)
{
	reason[0] = 0;
	if (interface->state == INTERFACE_COUNTING)
		return "monitored";
	if (interface->excluded_by) {
		snprintf(reason, size, "excluded by %s", interface->excluded_by);
		return "excluded";
	}
	if (!interface->wanted) {
		snprintf(reason, size, "included by no pattern");
		return "not_included";
	}
	if (interface->attach_error) {
		snprintf(reason, size, "cannot attach: %s",
			 explain_attach(interface->attach_error));
		return "failed";
	}
	snprintf(reason, size, "not attached to yet");
	return "waiting";
}

static json_t *make_interface(const struct listing *listing, const struct interface *interface)
{
	char reason[512];
	const char *state = find_state(interface, reason, sizeof(reason));
	json_t *object =
		json_pack("{s:I,s:o,s:s,s:s}", "index", (json_int_t)interface->link.ifindex, "name",
			  control_string(interface->link.name), "kind", link_kind(&interface->link),
			  "state", state);
	json_t *counts = NULL;
	int err = object ? 0 : -ENOMEM;

	if (!err && reason[0])
		err = json_object_set_new(object, "reason", control_string(reason));
	if (!err && interface->state == INTERFACE_COUNTING) {
		counts = make_counts(listing, interface);
		err = json_object_update(object, counts);
	}
	json_decref(counts);
	if (!err)
		return object;
	json_decref(object);
	return NULL;
}

static void add_interface(void *data, const struct interface *interface)
{
	struct listing *listing = data;

	if (!listing->failed)
		listing->failed = json_array_append_new(listing->list,
							make_interface(listing, interface)) != 0;
}

static int compare_index(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "index"));
	json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "index"));

	return (x > y) - (x < y);
}

static json_t *sort_interfaces(const json_t *list)
{
	size_t count = json_array_size(list), i;
	_free_ json_t **sorted = calloc(count + 1, sizeof(json_t *));
	json_t *result = json_array(), *interface;

	if (!sorted) {
		json_decref(result);
		return NULL;
	}
	json_array_foreach (list, i, interface)
		sorted[i] = interface;
	qsort(sorted, count, sizeof(json_t *), compare_index);
	for (i = 0; i < count; i++)
		if (json_array_append(result, sorted[i])) {
			json_decref(result);
			return NULL;
		}
	return result;
}

static int listing_init(struct listing *listing)
{
	const struct report *report = listing->report;

	listing->list = json_array();
	listing->unattributed = calloc(report->interface_count + 1, sizeof(*listing->unattributed));
	if (!listing->list || !listing->unattributed ||
	    id_map_reserve(&listing->by_life, report->interface_count))
		return -ENOMEM;
	for (uint32_t i = 0; i < report->interface_count; i++)
		id_map_put(&listing->by_life, report->interfaces[i].life, i);
	for (size_t i = 0; i < report->unattributed_count; i++)
		unattributed_add_item(&listing->unattributed[report->unattributed[i].interface],
				      &report->unattributed[i]);
	return 0;
}

json_t *answers_interfaces(const struct answers *state)
{
	struct listing listing = {.state = state};
	json_t *sorted = NULL;
	int err = live_report(state->live, &listing.report);

	if (err)
		return answers_error("the running interval cannot be read", err);
	if (!listing_init(&listing)) {
		interface_table_each(state->table, add_interface, &listing);
		if (!listing.failed)
			sorted = sort_interfaces(listing.list);
	}
	json_decref(listing.list);
	id_map_clean(&listing.by_life);
	free(listing.unattributed);
	return json_pack("{s:o}", "interfaces", sorted);
}
