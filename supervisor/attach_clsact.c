// SPDX-License-Identifier: GPL-2.0-only
/* clsact: direct-action BPF filters on the qdisc that holds both hooks (net/sched/sch_ingress.c,
 * cls_bpf.c). */
#include "lib/cleanup.h"
#include "lib/lack.h"
#include "supervisor/attach_ops.h"
#include "supervisor/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * Our filters are known by their name and handle. The handle also says whether we created the qdisc
 * that they are on, so that whoever cleans up after a killed agent knows what to leave: the kernel
 * keeps no better record of it.
 */
#define CLSACT_FILTER_NAME    "flowtally"
#define CLSACT_HANDLE_FOUND   0xf10a0001U
#define CLSACT_HANDLE_CREATED 0xf10a0002U

/* Filters run by ascending priority. A priority held by a classifier of another kind is not to be
 * had: the next one then. */
#define CLSACT_PRIORITY_TRIES 32

static uint16_t clsact_priority(enum tc_hook hook, unsigned int try)
{
	return (uint16_t)(hook == TC_HOOK_INGRESS ? 1 + try : 0xffff - try);
}

static uint32_t clsact_handle(const struct attachment *attachment)
{
	return attachment->clsact.created ? CLSACT_HANDLE_CREATED : CLSACT_HANDLE_FOUND;
}

static bool clsact_is_ours(const struct tc_filter *filter)
{
	return !strcmp(filter->kind, "bpf") && !strcmp(filter->name, CLSACT_FILTER_NAME) &&
	       (filter->handle == CLSACT_HANDLE_FOUND || filter->handle == CLSACT_HANDLE_CREATED);
}

static struct tc_change clsact_filter(const struct attacher *attacher, enum tc_hook hook,
				      const struct attachment *attachment, enum tc_change_kind kind)
{
	return (struct tc_change){
		.kind = kind,
		.ifindex = attachment->ifindex,
		.hook = hook,
		.priority = attachment->clsact.priority[hook],
		.handle = clsact_handle(attachment),
		.program_fd = attacher->program_fd[hook],
		.name = CLSACT_FILTER_NAME,
	};
}

/* The rest of the priorities, if the first one was not to be had. */
static int clsact_try_on(struct attacher *attacher, enum tc_hook hook,
			 struct attachment *attachment, int err)
{
	for (unsigned int try = 1;
	     try < CLSACT_PRIORITY_TRIES && (err == -EINVAL || err == -EEXIST); try++) {
		struct tc_change change;

		attachment->clsact.priority[hook] = clsact_priority(hook, try);
		change = clsact_filter(attacher, hook, attachment, TC_FILTER_ADD);
		tc_change(attacher->tc, &change, 1);
		err = change.result;
	}
	return err;
}

/* Whose filters there are on a link. */
struct clsact_census {
	int ours;
	bool created; /* ours say that the qdisc is, too */
	bool others;
};

static void clsact_count_filter(void *data, const struct tc_filter *filter)
{
	struct clsact_census *census = data;

	if (!clsact_is_ours(filter)) {
		census->others = true;
		return;
	}
	census->ours++;
	census->created |= filter->handle == CLSACT_HANDLE_CREATED;
}

/* Deletes a qdisc that we created, and our filters with it: who dies between the two would leave a
 * qdisc that nothing says whose it is. -EBUSY: somebody else has a filter on it, and all stays. */
static int clsact_delete(struct tc *tc, uint32_t ifindex)
{
	struct clsact_census census = {0};
	int err = tc_filter_each(tc, ifindex, clsact_count_filter, &census);

	if (err)
		return err;
	return census.others ? -EBUSY : tc_clsact_delete(tc, ifindex);
}

static bool clsact_is_gone(int err)
{
	return err == -ENODEV || err == -ENOENT || err == -EINVAL;
}

/* A filter block that several qdiscs share takes no filter by way of one of their links. */
static int clsact_filter_error(int err)
{
	return err == -EOPNOTSUPP ? -ENOTUNIQ : err;
}

/* Both filters, or none and no qdisc of ours. results: of the first try, by hook. */
static int clsact_finish(struct attacher *attacher, struct attachment *attachment,
			 const int results[TC_HOOKS])
{
	bool deleted;
	int err[TC_HOOKS];

	for (enum tc_hook hook = 0; hook < TC_HOOKS; hook++)
		err[hook] = clsact_try_on(attacher, hook, attachment, results[hook]);
	if (!err[TC_HOOK_INGRESS] && !err[TC_HOOK_EGRESS])
		return 0;
	deleted = attachment->clsact.created && !clsact_delete(attacher->tc, attachment->ifindex);
	for (enum tc_hook hook = 0; hook < TC_HOOKS; hook++)
		if (!err[hook] && !deleted)
			(void)tc_filter_delete(attacher->tc, attachment->ifindex, hook,
					       attachment->clsact.priority[hook],
					       clsact_handle(attachment));
	return clsact_filter_error(err[TC_HOOK_INGRESS] ? err[TC_HOOK_INGRESS]
							: err[TC_HOOK_EGRESS]);
}

/* Filters of ours that an agent has left on a link. */
struct clsact_leftovers {
	struct tc *tc;
	uint32_t ifindex;
	int removed;
	bool created; /* it had created the qdisc */
	int err;      /* one that was gone already is none */
};

static void clsact_remove_leftover(void *data, const struct tc_filter *filter)
{
	struct clsact_leftovers *leftovers = data;
	int err;

	if (!clsact_is_ours(filter))
		return;
	err = tc_filter_delete(leftovers->tc, leftovers->ifindex, filter->hook, filter->priority,
			       filter->handle);
	if (!err)
		leftovers->removed++;
	else if (err != -ENOENT)
		leftovers->err = err;
	if (filter->handle == CLSACT_HANDLE_CREATED)
		leftovers->created = true;
}

static int clsact_remove_leftovers(struct clsact_leftovers *leftovers)
{
	int err = tc_filter_each(leftovers->tc, leftovers->ifindex, clsact_remove_leftover,
				 leftovers);

	return err ? err : leftovers->err;
}

/* What stands on a qdisc that was there: a second filter beside it would count all twice. */
static int clsact_make_room(struct attacher *attacher, struct attachment *attachment)
{
	struct clsact_leftovers leftovers = {.tc = attacher->tc, .ifindex = attachment->ifindex};
	int err = clsact_remove_leftovers(&leftovers);

	attachment->clsact.created |= leftovers.created;
	return err;
}

/* Sets the results of the jobs whose qdisc is not there. */
static void clsact_add_qdiscs(struct attacher *attacher, struct attach_job *const *jobs, size_t n,
			      struct tc_change *changes)
{
	for (size_t i = 0; i < n; i++)
		changes[i] = (struct tc_change){
			.kind = TC_CLSACT_ADD,
			.ifindex = jobs[i]->ifindex,
		};
	tc_change(attacher->tc, changes, n);
	for (size_t i = 0; i < n; i++) {
		jobs[i]->result = changes[i].result == -EEXIST ? 0 : changes[i].result;
		jobs[i]->attachment->clsact.created = !changes[i].result;
		if (changes[i].result == -EEXIST)
			jobs[i]->result = clsact_make_room(attacher, jobs[i]->attachment);
	}
}

/*
 * All qdiscs first, then all filters: a filter on a qdisc that is younger than a grace period makes
 * the kernel wait for one (net/sched/sch_generic.c: mini_qdisc_pair_swap).
 */
static void clsact_attach(struct attacher *attacher, struct attach_job *const *jobs, size_t n)
{
	_free_ struct tc_change *changes = calloc(2 * n + 1, sizeof(*changes));
	size_t count = 0;

	for (size_t i = 0; i < n && !changes; i++)
		jobs[i]->result = -ENOMEM;
	if (!changes)
		return;
	clsact_add_qdiscs(attacher, jobs, n, changes);
	for (size_t i = 0; i < n; i++)
		for (enum tc_hook hook = 0; hook < TC_HOOKS && !jobs[i]->result; hook++) {
			jobs[i]->attachment->clsact.priority[hook] = clsact_priority(hook, 0);
			changes[count++] =
				clsact_filter(attacher, hook, jobs[i]->attachment, TC_FILTER_ADD);
		}
	tc_change(attacher->tc, changes, count);
	count = 0;
	for (size_t i = 0; i < n; i++)
		if (!jobs[i]->result) {
			const int results[] = {changes[count].result, changes[count + 1].result};

			jobs[i]->result = clsact_finish(attacher, jobs[i]->attachment, results);
			count += 2;
		}
}

static void clsact_note(struct attach_job *job, int err)
{
	if (err && !clsact_is_gone(err) && !job->result)
		job->result = err;
}

/* Whether it is filters that have to be deleted: others use the qdisc. */
static bool clsact_keeps_qdisc(struct attacher *attacher, struct attach_job *job)
{
	int err = -EBUSY;

	if (job->gone)
		return false;
	if (job->attachment->clsact.created)
		err = clsact_delete(attacher->tc, job->ifindex);
	if (err == -EBUSY)
		return true;
	clsact_note(job, err);
	return false;
}

static void clsact_detach(struct attacher *attacher, struct attach_job *const *jobs, size_t n)
{
	_free_ struct tc_change *changes = calloc(2 * n + 1, sizeof(*changes));
	_free_ struct attach_job **of = calloc(2 * n + 1, sizeof(struct attach_job *));
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (!changes || !of) {
			jobs[i]->result = -ENOMEM;
			continue;
		}
		if (!clsact_keeps_qdisc(attacher, jobs[i]))
			continue;
		for (enum tc_hook hook = 0; hook < TC_HOOKS; hook++) {
			of[count] = jobs[i];
			changes[count++] = clsact_filter(attacher, hook, jobs[i]->attachment,
							 TC_FILTER_DELETE);
		}
	}
	tc_change(attacher->tc, changes, count);
	for (size_t i = 0; i < count; i++)
		clsact_note(of[i], changes[i].result);
}

/* Our filters, as they stand in the kernel. */
struct clsact_found {
	unsigned int missing;
	uint16_t priority[TC_HOOKS]; /* of those that are not */
};

static void clsact_note_ours(void *data, const struct tc_filter *filter)
{
	struct clsact_found *found = data;

	if (!clsact_is_ours(filter))
		return;
	found->missing &= ~(1U << filter->hook);
	found->priority[filter->hook] = filter->priority;
}

static int clsact_find(struct attacher *attacher, const struct attachment *attachment,
		       struct clsact_found *found)
{
	*found = (struct clsact_found){.missing = ATTACH_BOTH_HOOKS};
	return tc_filter_each(attacher->tc, attachment->ifindex, clsact_note_ours, found);
}

/* Where that cannot be asked nothing is known to be missing. */
static unsigned int clsact_missing(struct attacher *attacher, const struct attachment *attachment)
{
	struct clsact_found found;

	return clsact_find(attacher, attachment, &found) ? 0 : found.missing;
}

static int clsact_add_filter(struct attacher *attacher, struct attachment *attachment,
			     enum tc_hook hook)
{
	struct tc_change change;

	attachment->clsact.priority[hook] = clsact_priority(hook, 0);
	change = clsact_filter(attacher, hook, attachment, TC_FILTER_ADD);
	tc_change(attacher->tc, &change, 1);
	return clsact_try_on(attacher, hook, attachment, change.result);
}

/* Changes of filters are atomic: neither the other hook nor a filter of others misses a packet. An
 * ingress qdisc in clsact's place would take a filter for egress, too, and run it at ingress. */
static int clsact_repair(struct attacher *attacher, struct attachment *attachment,
			 unsigned int missing)
{
	struct clsact_found found;
	int err = tc_clsact_find(attacher->tc, attachment->ifindex);

	if (!err)
		err = clsact_find(attacher, attachment, &found);
	for (enum tc_hook hook = 0; hook < TC_HOOKS && !err; hook++)
		if (missing & found.missing & 1U << hook)
			err = clsact_add_filter(attacher, attachment, hook);
	return err;
}

/* Whatever of it is there. */
static void clsact_remove(struct attacher *attacher, struct attachment *attachment)
{
	struct attach_job job = {.ifindex = attachment->ifindex, .attachment = attachment};
	struct attach_job *const jobs[] = {&job};

	clsact_detach(attacher, jobs, 1);
}

static int clsact_adopt(struct attacher *attacher, const struct checkpoint_attachment *described,
			struct attachment *attachment)
{
	struct clsact_found found;
	bool asked;
	int err;

	attachment->clsact.created = described->created;
	memcpy(attachment->clsact.priority, described->priority, sizeof(described->priority));
	/* where that cannot be asked all is taken to be as it was described */
	asked = !clsact_find(attacher, attachment, &found);
	/* it died before it could write down where it had put one back */
	for (enum tc_hook hook = 0; hook < TC_HOOKS && asked; hook++)
		if (!(found.missing & 1U << hook))
			attachment->clsact.priority[hook] = found.priority[hook];
	err = asked && found.missing ? -ENOENT : 0;
	for (enum tc_hook hook = 0; hook < TC_HOOKS && !err; hook++) {
		struct tc_change change =
			clsact_filter(attacher, hook, attachment, TC_FILTER_REPLACE);

		tc_change(attacher->tc, &change, 1);
		err = change.result;
	}
	if (err && !is_lack(err))
		clsact_remove(attacher, attachment);
	return err;
}

/* Filters are listed as they run: by priority, and of one priority those that came last first.
 * Chain 0 is where every packet begins; other chains are reached by filters there. */
struct clsact_search {
	bool passed[TC_HOOKS]; /* ours */
	bool found[TC_HOOKS];
	struct tc_filter first[TC_HOOKS];
	bool diverted;
};

static void clsact_find_in_front(void *data, const struct tc_filter *filter)
{
	struct clsact_search *search = data;
	enum tc_hook hook = filter->hook;

	search->passed[hook] |= !filter->chain && clsact_is_ours(filter);
	/* who knows from where in chain 0 another chain is reached */
	search->diverted |= hook == TC_HOOK_EGRESS && filter->mirred &&
			    (filter->chain || !search->passed[hook]);
	if (filter->chain || search->passed[hook] || search->found[hook])
		return;
	search->first[hook] = *filter;
	search->found[hook] = true;
}

static void clsact_name_filter(const struct tc_filter *filter, char *text, size_t size)
{
	char program[64];

	if (filter->program_id) {
		attach_program_name(filter->program_id, program, sizeof(program));
		snprintf(text, size, "filter %s of priority %u", program, filter->priority);
	} else {
		snprintf(text, size, "%s filter of priority %u", filter->kind, filter->priority);
	}
}

/* What tcx has there runs before all filters. */
static int clsact_look(struct attacher *attacher, const struct attachment *attachment,
		       unsigned int hooks, bool alone, struct attach_front *front)
{
	struct clsact_search search = {0};
	int err = 0;

	if (!alone || !attachment->clsact.created)
		err = tc_filter_each(attacher->tc, attachment->ifindex, clsact_find_in_front,
				     &search);
	for (enum tc_hook hook = 0; hook < TC_HOOKS; hook++) {
		char *who = front->who[hook];

		if (!(hooks & 1U << hook) ||
		    attach_tcx_first(attachment->ifindex, hook, 0, who, sizeof(front->who[hook])))
			continue;
		if (search.found[hook] && search.passed[hook])
			clsact_name_filter(&search.first[hook], who, sizeof(front->who[hook]));
	}
	front->diverted = search.diverted;
	return err;
}

/* Among the filters of chain 0. */
static void clsact_rank(void *data, const struct tc_filter *filter)
{
	struct attach_place *place = (struct attach_place *)data + filter->hook;

	if (filter->chain)
		return;
	place->count++;
	if (clsact_is_ours(filter) && !place->position)
		place->position = place->count;
}

static int clsact_places(struct attacher *attacher, const struct attachment *attachment,
			 struct attach_place places[TC_HOOKS])
{
	return tc_filter_each(attacher->tc, attachment->ifindex, clsact_rank, places);
}

const struct attach_ops attach_clsact = {
	.name = "clsact",
	.attach = clsact_attach,
	.adopt = clsact_adopt,
	.detach = clsact_detach,
	.missing = clsact_missing,
	.repair = clsact_repair,
	.places = clsact_places,
	.look = clsact_look,
};

struct clsact_sweep {
	struct tc *tc;
	bool (*keep)(void *data, uint32_t ifindex);
	void *keep_data;
	int removed;
	int err;
};

static void clsact_sweep_link(void *data, uint32_t ifindex)
{
	struct clsact_sweep *sweep = data;
	struct clsact_leftovers leftovers = {.tc = sweep->tc, .ifindex = ifindex};
	struct clsact_census census = {0};
	int err;

	if (sweep->keep && sweep->keep(sweep->keep_data, ifindex))
		return;
	err = tc_filter_each(sweep->tc, ifindex, clsact_count_filter, &census);
	if (!err && census.created && !census.others) {
		err = tc_clsact_delete(sweep->tc, ifindex);
		sweep->removed += err ? 0 : census.ours;
	} else if (!err) {
		err = clsact_remove_leftovers(&leftovers);
		sweep->removed += leftovers.removed;
	}
	if (err && !clsact_is_gone(err))
		sweep->err = err;
}

int attach_clsact_sweep(struct tc *tc, bool (*keep)(void *data, uint32_t ifindex), void *data)
{
	struct clsact_sweep sweep = {.tc = tc, .keep = keep, .keep_data = data};
	int err = tc_clsact_each(tc, clsact_sweep_link, &sweep);

	if (!err)
		err = sweep.err;
	return err ? err : sweep.removed;
}
