// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/admission.h"
#include "config/config.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "supervisor/explain.h"
#include "supervisor/program.h"
#include "supervisor/slot_table.h"

#include <errno.h>

#define RETRY_NS (2 * NSEC_PER_SEC)
/* Looking for memory means to take it. */
#define MEMORY_RETRY_NS (10 * NSEC_PER_SEC)
/* Interfaces attached at once: a grace period for all their maps, few messages for all their
 * filters. */
#define TOGETHER 128
/* Kept ready for links that come one by one: both ends of a veth pair. */
#define READY_MAPS 2

/* Links that are there when the agent starts may be attached by tcx if they are no more than that:
 * half a second (doc/design.md, "Attaching"). */
#define FEW 16

void admission_retry(struct admission *admission)
{
	admission->retry_ns = clock_boottime_ns() + RETRY_NS;
}

static void admission_failed(struct admission *admission, const struct interface *interface,
			     int err_before)
{
	int err = interface->attach_error;

	/* its going will be told */
	if (err == -ENODEV)
		return;
	admission->monitor->counts->attach_failures++;
	if (err != err_before)
		log_error("%s: cannot attach: %s; trying again", interface->link.name,
			  err == -ENOSPC ? "others have both places of its index in the slot table"
					 : explain_attach(err));
	admission_retry(admission);
}

/* At most TOGETHER, for which there are maps. */
static void admission_attach(struct admission *admission, struct interface *const *interfaces,
			     size_t n)
{
	struct interface *placed[TOGETHER] = {0};
	int before[TOGETHER];
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		before[i] = interfaces[i]->attach_error;
		if (slot_table_has_place(program_slots(admission->monitor->program),
					 interfaces[i]->link.ifindex))
			placed[count++] = interfaces[i];
		else
			interfaces[i]->attach_error = -ENOSPC;
	}
	interface_attach_each(placed, count, admission->monitor, &admission->last_id);
	for (size_t i = 0; i < n; i++)
		if (interfaces[i]->attach_error)
			admission_failed(admission, interfaces[i], before[i]);
}

/* After memory ran out none is taken before there is enough for all that wait. */
static int admission_make_maps(struct admission *admission, size_t n)
{
	struct flow_maps *maps = admission->monitor->maps;
	int err;

	if (admission->shortage.err == -ENOMEM && !flow_maps_have_memory(maps, n))
		return -ENOMEM;
	err = flow_maps_prepare(maps, n);
	if (err == -ENOMEM && admission->shortage.err == -ENOMEM)
		flow_maps_release(maps, 0);
	return err;
}

/* How many of n may be attached now: room is what the descriptors allow, and maps are ready. *err
 * says why not all. */
static size_t admission_prepare(struct admission *admission, size_t n, size_t room, int *err)
{
	size_t ready;
	int make_err;

	*err = room < n ? -EMFILE : 0;
	if (room < n)
		n = room;
	make_err = n ? admission_make_maps(admission, n) : 0;
	if (!make_err)
		return n;
	*err = make_err;
	ready = flow_maps_ready(admission->monitor->maps);
	return n < ready ? n : ready;
}

/* Whether these are the few links of a quiet host, and descriptors allow tcx for all of them. */
static bool admission_are_few(struct admission *admission, size_t count, size_t attached)
{
	bool start = !admission->begun && !attached;

	admission->begun = true;
	return start && admission->config->attach == CONFIG_ATTACH_AUTO && count <= FEW &&
	       count <= shortage_room(0, 0, true);
}

bool admission_let_in(struct admission *admission, struct interface *const *waiting, size_t count,
		      size_t attached, size_t tcx, int64_t deadline_ns)
{
	bool few = admission_are_few(admission, count, attached);
	bool with_tcx = admission->config->attach == CONFIG_ATTACH_TCX || tcx || few;
	size_t done = 0;
	int err = 0;

	attacher_prefer_tcx(admission->monitor->attacher, few);
	while (done < count && !err && clock_boottime_ns() <= deadline_ns) {
		size_t some = count - done < TOGETHER ? count - done : TOGETHER;
		size_t room = shortage_room(attached, tcx, with_tcx);

		some = admission_prepare(admission, some, room, &err);
		admission_attach(admission, waiting + done, some);
		for (size_t i = done; i < done + some; i++) {
			attached += attach_is_on(&waiting[i]->attachment);
			tcx += attach_is_tcx(&waiting[i]->attachment);
		}
		done += some;
	}
	/* the room may have been for what was left exactly */
	if (done == count)
		err = 0;
	if (err)
		admission->retry_ns =
			clock_boottime_ns() + (err == -ENOMEM ? MEMORY_RETRY_NS : RETRY_NS);
	if (err || done == count)
		shortage_note(&admission->shortage, err, count - done);
	return !err && done < count;
}

bool admission_is_low(const struct admission *admission)
{
	return flow_maps_ready(admission->monitor->maps) < READY_MAPS && !admission->shortage.err;
}

void admission_refill(struct admission *admission)
{
	struct flow_maps *maps = admission->monitor->maps;

	/* a failure is told when a map is needed */
	if (admission_is_low(admission))
		(void)flow_maps_prepare(maps, READY_MAPS);
	/* those of links that were gone before they could be attached to */
	else if (flow_maps_ready(maps) > READY_MAPS)
		flow_maps_release(maps, READY_MAPS);
}
