// SPDX-License-Identifier: GPL-2.0-only
/* What the links say that they carried, beside what we saw. */
#include "control/text.h"
#include "supervisor/answers.h"
#include "supervisor/answers_private.h"
#include "supervisor/interface_table.h"

#include <jansson.h>

static json_t *make_percent(double percent)
{
	return percent < 0 ? json_null() : json_real(percent);
}

static json_t *make_count(const struct truth_verdict *verdict, const struct flow_count *count)
{
	return json_pack("{s:o,s:I}", "bytes",
			 verdict->bytes ? json_integer((json_int_t)count->bytes) : json_null(),
			 "packets", (json_int_t)count->packets);
}

static json_t *make_way(const struct truth *truth, enum truth_way way)
{
	const struct truth_verdict verdict = truth_verdict(truth, way);

	if (!verdict.known)
		return json_null();
	return json_pack("{s:o,s:o,s:o}", "link", make_count(&verdict, &verdict.link), "seen",
			 make_count(&verdict, &verdict.seen), "missed",
			 make_count(&verdict, &verdict.missed));
}

json_t *answers_coverage(const struct interface *interface)
{
	return json_pack("{s:o,s:o,s:o}", "percent", make_percent(truth_coverage(interface->truth)),
			 "in", make_way(interface->truth, TRUTH_IN), "out",
			 make_way(interface->truth, TRUTH_OUT));
}

struct worst {
	const struct interface *interface; /* NULL: of none it is known */
	double percent;
	size_t unknown;
};

static void find_worst(void *data, const struct interface *interface)
{
	struct worst *worst = data;
	double percent = truth_coverage(interface->truth);

	if (interface->state != INTERFACE_COUNTING)
		return;
	if (percent < 0) {
		worst->unknown++;
	} else if (!worst->interface || percent < worst->percent) {
		worst->interface = interface;
		worst->percent = percent;
	}
}

json_t *answers_coverage_summary(const struct answers *state)
{
	struct worst worst = {.percent = -1};
	const struct truth_sum *ended = &state->counts->ended;

	interface_table_each(state->table, find_worst, &worst);
	return json_pack("{s:o,s:o,s:I,s:{s:I,s:I,s:o},s:I}", "percent",
			 make_percent(worst.percent), "interface",
			 worst.interface ? control_string(worst.interface->link.name) : json_null(),
			 "unknown", (json_int_t)worst.unknown, "ended", "interfaces",
			 (json_int_t)ended->interfaces, "unknown", (json_int_t)ended->unknown,
			 "missed", answers_network(&ended->missed), "repairs",
			 (json_int_t)state->counts->repairs);
}
