// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/attach.h"
#include "lib/array.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/numbers.h"
#include "supervisor/attach_ops.h"
#include "supervisor/checkpoint.h"
#include "supervisor/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long a link stays behind others where tcx failed: each try takes our filters off for a
 * moment, and with them a qdisc of ours, which costs others packets. */
#define AHEAD_PAUSE_NS (3600 * NSEC_PER_SEC)

static const struct attach_ops *const ways[] = {&attach_tcx, &attach_clsact};

int attacher_new(struct attacher **ret, const struct program *program, const struct pins *pins,
		 enum config_attach mode)
{
	struct attacher *attacher = calloc(1, sizeof(*attacher));
	int err;

	if (!attacher)
		return -ENOMEM;
	attacher->mode = mode;
	attacher->pins = pins;
	attacher->program_fd[TC_HOOK_INGRESS] = program_ingress_fd(program);
	attacher->program_fd[TC_HOOK_EGRESS] = program_egress_fd(program);
	err = tc_new(&attacher->tc);
	if (err) {
		free(attacher);
		return err;
	}
	*ret = attacher;
	return 0;
}

void attacher_free(struct attacher *attacher)
{
	if (!attacher)
		return;
	tc_free(attacher->tc);
	free(attacher->stock);
	free(attacher);
}

void attacher_set_mode(struct attacher *attacher, enum config_attach mode)
{
	if (mode == attacher->mode)
		return;
	attacher->mode = mode;
	attacher->lacks_tcx = false;
}

void attacher_prefer_tcx(struct attacher *attacher, bool prefer)
{
	attacher->prefer_tcx = prefer;
}

void attach_program_name(uint32_t program_id, char *text, size_t size)
{
	struct bpf_prog_info info = {0};
	__u32 info_size = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(program_id);

	if (fd >= 0) {
		/* without it the name stays empty, and the id says enough */
		(void)bpf_obj_get_info_by_fd(fd, &info, &info_size);
		close(fd);
	}
	/* the kernel tells names to CAP_SYS_ADMIN only; `bpftool prog show id N` does to root */
	if (*info.name)
		snprintf(text, size, "%s (id %u)", info.name, program_id);
	else
		snprintf(text, size, "with id %u", program_id);
}

static void attach_warn_of(const char *name, const struct attach_front *front, enum tc_hook hook)
{
	static const char *const hook_names[] = {"ingress", "egress"};

	if (*front->who[hook])
		log_warning("%s: %s runs before flowtally at %s: packets that it passes with a "
			    "verdict, drops or redirects there are not seen",
			    name, front->who[hook], hook_names[hook]);
}

static void attach_note(struct attachment *attachment, const struct attach_front *front)
{
	attachment->preceded = *front->who[TC_HOOK_INGRESS];
	attachment->diverted = front->diverted;
}

/* Where it cannot be asked nobody is known to be there. */
static struct attach_front attach_look_around(struct attacher *attacher,
					      const struct attachment *attachment, bool alone)
{
	struct attach_front front = {0};
	int err = attachment->ops->look(attacher, attachment, ATTACH_BOTH_HOOKS, alone, &front);

	if (err)
		log_debug("who else is on ifindex %u: %s", attachment->ifindex, strerror(-err));
	return front;
}

bool attach_look(struct attacher *attacher, const char *name, struct attachment *attachment,
		 bool missed)
{
	bool preceded = attachment->preceded, diverted = attachment->diverted;
	bool alone = !missed && !preceded && !diverted;
	struct attach_front front = {0};
	int err = attachment->ops->look(attacher, attachment, 1U << TC_HOOK_INGRESS, alone, &front);

	if (err) {
		log_debug("%s: who else is on it: %s", name, strerror(-err));
		return false;
	}
	attach_note(attachment, &front);
	if (!preceded)
		attach_warn_of(name, &front, TC_HOOK_INGRESS);
	return attachment->preceded != preceded || attachment->diverted != diverted;
}

static bool attach_others_use_tcx(uint32_t ifindex)
{
	char who[64];

	return attach_tcx_first(ifindex, TC_HOOK_INGRESS, 0, who, sizeof(who)) ||
	       attach_tcx_first(ifindex, TC_HOOK_EGRESS, 0, who, sizeof(who));
}

static void attach_note_filter(void *data, const struct tc_filter *filter)
{
	(void)filter;
	*(bool *)data = true;
}

static bool attach_others_use_clsact(const struct attacher *attacher, uint32_t ifindex)
{
	bool found = false;

	return tc_filter_each(attacher->tc, ifindex, attach_note_filter, &found) || found;
}

static const struct attach_ops *attach_choose(const struct attacher *attacher, uint32_t ifindex)
{
	switch (attacher->mode) {
	case CONFIG_ATTACH_TCX:
		return &attach_tcx;
	case CONFIG_ATTACH_CLSACT:
		return &attach_clsact;
	case CONFIG_ATTACH_AUTO:
		break;
	}
	if (attach_others_use_tcx(ifindex) ||
	    (attacher->prefer_tcx && !attach_others_use_clsact(attacher, ifindex)))
		return &attach_tcx;
	return &attach_clsact;
}

void attach_describe(const struct attachment *attachment, struct checkpoint_attachment *described)
{
	*described = (struct checkpoint_attachment){0};
	snprintf(described->mode, sizeof(described->mode), "%s", attach_mode_to_str(attachment));
	if (attachment->ops != &attach_clsact)
		return;
	described->created = attachment->clsact.created;
	memcpy(described->priority, attachment->clsact.priority, sizeof(described->priority));
}

int attach_adopt(struct attacher *attacher, uint32_t ifindex, uint32_t life,
		 const struct checkpoint_attachment *described, struct attachment *attachment)
{
	for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
		struct attachment made = {.ops = ways[w], .ifindex = ifindex, .life = life};
		struct attach_front front;
		int err;

		if (strcmp(described->mode, ways[w]->name) != 0)
			continue;
		err = ways[w]->adopt(attacher, described, &made);
		if (err)
			return err;
		/* others may have come to a qdisc of ours since it was made */
		front = attach_look_around(attacher, &made, false);
		attach_note(&made, &front);
		*attachment = made;
		return 0;
	}
	return -ENOENT;
}

/* The jobs that are to be done that way. Returns how many; chosen has room for n. */
static size_t attach_select(struct attach_job *jobs, size_t n, const struct attach_ops *ops,
			    struct attach_job **chosen)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		if (jobs[i].attachment->ops == ops)
			chosen[count++] = &jobs[i];
	return count;
}

/* An ingress qdisc is in clsact's place, the kernel lacks one of the two, whatever: the other way
 * is worth a try. */
static void attach_otherwise(struct attacher *attacher, struct attach_job *job)
{
	bool by_tcx = attach_is_tcx(job->attachment);
	int err = job->result;

	if (attacher->mode != CONFIG_ATTACH_AUTO || !err || err == -ENODEV)
		return;
	/* behind others clsact is no way: they would be followed again and again */
	if (by_tcx && attach_others_use_tcx(job->ifindex))
		return;
	*job->attachment = (struct attachment){
		.ops = by_tcx ? &attach_clsact : &attach_tcx,
		.ifindex = job->ifindex,
		.life = job->life,
	};
	job->attachment->ops->attach(attacher, &job, 1);
	/* without tcx it is the error of clsact that tells what is wrong */
	if (job->result && !by_tcx)
		job->result = err;
}

/* Another way may be better. */
static bool attach_is_free(const struct attacher *attacher, const struct attachment *attachment)
{
	return attacher->mode == CONFIG_ATTACH_AUTO && attachment->ops == &attach_clsact;
}

/* By tcx, in front of those who run before a clsact filter. */
static bool attach_may_go_ahead(const struct attacher *attacher,
				const struct attachment *attachment)
{
	return attach_is_free(attacher, attachment) && !attacher->lacks_tcx &&
	       clock_boottime_ns() >= attachment->ahead_ns;
}

/* Whether an error of tcx_attach() holds for all links, from now on: the kernel has no tcx, or a
 * security module forbids it. Descriptors, memory and places on a hook (-EMFILE, -ENOMEM, -ERANGE)
 * may be there the next time, or on another link. */
static bool attach_rules_out_tcx(int err)
{
	return err == -EOPNOTSUPP || err == -EPERM || err == -EACCES;
}

static void attach_ahead(struct attacher *attacher, struct attach_job *job)
{
	const struct attachment nowhere = {.ifindex = job->ifindex, .life = job->life};

	attach_clsact.detach(attacher, &job, 1);
	/* beside filters that are there yet tcx would count all twice */
	if (job->result)
		return;
	*job->attachment = nowhere;
	job->attachment->ops = &attach_tcx;
	attach_tcx.attach(attacher, &job, 1);
	/* a link that has just gone says nothing of tcx */
	if (!job->result || job->result == -ENODEV)
		return;
	if (attach_rules_out_tcx(job->result))
		attacher->lacks_tcx = true;
	else
		log_warning("%s: tcx, in front of others, fails: %s; clsact for the next hour",
			    job->name, strerror(-job->result));
	*job->attachment = nowhere;
	job->attachment->ops = &attach_clsact;
	job->attachment->ahead_ns = clock_boottime_ns() + AHEAD_PAUSE_NS;
	attach_clsact.attach(attacher, &job, 1);
}

/* What there is to do once the way that was chosen has been tried. */
static void attach_settle(struct attacher *attacher, struct attach_job *job)
{
	struct attach_front front = {0};

	attach_otherwise(attacher, job);
	if (!job->result)
		front = attach_look_around(attacher, job->attachment, true);
	if (*front.who[TC_HOOK_INGRESS] && attach_may_go_ahead(attacher, job->attachment)) {
		attach_ahead(attacher, job);
		if (!job->result)
			front = attach_look_around(attacher, job->attachment, true);
	}
	if (job->result) {
		*job->attachment = (struct attachment){0};
		return;
	}
	attach_note(job->attachment, &front);
	for (enum tc_hook hook = 0; hook < TC_HOOKS; hook++)
		attach_warn_of(job->name, &front, hook);
}

void attach_each(struct attacher *attacher, struct attach_job *jobs, size_t n)
{
	_free_ struct attach_job **chosen = calloc(n + 1, sizeof(struct attach_job *));

	for (size_t i = 0; i < n; i++) {
		jobs[i].result = chosen ? 0 : -ENOMEM;
		*jobs[i].attachment = (struct attachment){
			.ops = attach_choose(attacher, jobs[i].ifindex),
			.ifindex = jobs[i].ifindex,
			.life = jobs[i].life,
		};
	}
	for (size_t w = 0; chosen && w < ARRAY_SIZE(ways); w++)
		ways[w]->attach(attacher, chosen, attach_select(jobs, n, ways[w], chosen));
	for (size_t i = 0; i < n; i++)
		attach_settle(attacher, &jobs[i]);
}

void attach_detach_each(struct attacher *attacher, struct attach_job *jobs, size_t n)
{
	_free_ struct attach_job **chosen = calloc(n + 1, sizeof(struct attach_job *));

	for (size_t i = 0; i < n; i++)
		jobs[i].result = chosen ? 0 : -ENOMEM;
	for (size_t w = 0; chosen && w < ARRAY_SIZE(ways); w++)
		ways[w]->detach(attacher, chosen, attach_select(jobs, n, ways[w], chosen));
	for (size_t i = 0; i < n; i++)
		if (!jobs[i].result)
			*jobs[i].attachment = (struct attachment){0};
}

bool attach_is_outrun(const struct attacher *attacher, const struct attachment *attachment)
{
	if (attachment->preceded && attach_may_go_ahead(attacher, attachment))
		return true;
	return attach_is_free(attacher, attachment) && attach_others_use_tcx(attachment->ifindex);
}

/* Without memory for it the interface is not in the stock, and will be asked for itself. */
static void attach_note_clsact(void *data, uint32_t ifindex)
{
	struct attacher *attacher = data;

	if (!array_reserve(&attacher->stock, &attacher->stock_capacity, sizeof(*attacher->stock),
			   attacher->stock_count + 1))
		attacher->stock[attacher->stock_count++] = ifindex;
}

void attacher_take_stock(struct attacher *attacher)
{
	int err;

	attacher->stock_count = 0;
	err = tc_clsact_each(attacher->tc, attach_note_clsact, attacher);
	if (err)
		log_debug("clsact qdiscs cannot be listed: %s", strerror(-err));
	numbers_sort(attacher->stock, attacher->stock_count);
}

void attacher_drop_stock(struct attacher *attacher)
{
	free(attacher->stock);
	attacher->stock = NULL;
	attacher->stock_count = attacher->stock_capacity = 0;
}

bool attach_in_stock(const struct attacher *attacher, const struct attachment *attachment)
{
	if (attachment->ops != &attach_clsact)
		return attachment->ops;
	return numbers_find(attacher->stock, attacher->stock_count, attachment->ifindex);
}

bool attach_is_on(const struct attachment *attachment)
{
	return attachment->ops;
}

bool attach_is_tcx(const struct attachment *attachment)
{
	return attachment->ops == &attach_tcx;
}

unsigned int attach_missing(struct attacher *attacher, const struct attachment *attachment)
{
	return attachment->ops ? attachment->ops->missing(attacher, attachment) : ATTACH_BOTH_HOOKS;
}

int attach_repair(struct attacher *attacher, struct attachment *attachment, unsigned int missing)
{
	return attachment->ops ? attachment->ops->repair(attacher, attachment, missing) : -ENOENT;
}

int attach_places(struct attacher *attacher, const struct attachment *attachment,
		  struct attach_place places[TC_HOOKS])
{
	memset(places, 0, TC_HOOKS * sizeof(*places));
	return attachment->ops ? attachment->ops->places(attacher, attachment, places) : -ENOENT;
}

const char *attach_mode_to_str(const struct attachment *attachment)
{
	return attachment->ops ? attachment->ops->name : "none";
}

int attach_sweep(bool (*keep)(void *data, uint32_t ifindex), void *data)
{
	struct tc *tc;
	int err = tc_new(&tc);

	if (err)
		return err;
	err = attach_clsact_sweep(tc, keep, data);
	tc_free(tc);
	return err;
}
