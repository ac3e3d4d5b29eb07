// SPDX-License-Identifier: GPL-2.0-only
/* tcx: BPF links in a chain of their own, before clsact's (kernel/bpf/tcx.c, net/core/dev.c:
 * sch_handle_ingress). */
#include "lib/cleanup.h"
#include "lib/lack.h"
#include "supervisor/attach_ops.h"
#include "supervisor/pins.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* include/uapi/linux/bpf.h of 6.6; the distribution's header may be older */
enum {
	TCX_INGRESS = 46, /* BPF_TCX_INGRESS */
	TCX_EGRESS = 47,  /* BPF_TCX_EGRESS */
};
#define TCX_BEFORE (1U << 3) /* BPF_F_BEFORE: with no anchor, the first in the chain */
#define TCX_AFTER  (1U << 4) /* BPF_F_AFTER: with no anchor, the last */

static const struct {
	int type;
	__u32 flags;
	const char *name;
} tcx_hooks[] = {
	[TC_HOOK_INGRESS] = {.type = TCX_INGRESS, .flags = TCX_BEFORE, .name = "ingress"},
	[TC_HOOK_EGRESS] = {.type = TCX_EGRESS, .flags = TCX_AFTER, .name = "egress"},
};

static struct pin_name tcx_pin(uint32_t life, enum tc_hook hook)
{
	return pin_name("link-%" PRIu32 "-%s", life, tcx_hooks[hook].name);
}

bool attach_is_pin(const char *name, uint32_t *life)
{
	return sscanf(name, "link-%" SCNu32 "-", life) == 1;
}

static int tcx_link(const struct attacher *attacher, uint32_t ifindex, enum tc_hook hook)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = tcx_hooks[hook].flags);
	int fd = bpf_link_create(attacher->program_fd[hook], (int)ifindex,
				 (enum bpf_attach_type)tcx_hooks[hook].type, &opts);

	/* EINVAL is all that a kernel without tcx answers */
	if (fd < 0)
		return errno == EINVAL ? -EOPNOTSUPP : -errno;
	return fd;
}

static int tcx_attach_hook(const struct attacher *attacher, struct attachment *attachment,
			   enum tc_hook hook)
{
	struct pin_name pin = tcx_pin(attachment->life, hook);
	int fd = tcx_link(attacher, attachment->ifindex, hook);
	int err;

	if (fd < 0)
		return fd;
	err = pins_put(attacher->pins, fd, pin.text);
	if (err) {
		close(fd);
		return err;
	}
	attachment->link_fd[hook] = fd;
	return 0;
}

/* An unpinned and closed link would be detached at some later time only. */
static int tcx_detach_hook(const struct attacher *attacher, struct attachment *attachment,
			   enum tc_hook hook)
{
	struct pin_name pin = tcx_pin(attachment->life, hook);
	int fd = attachment->link_fd[hook];

	if (fd >= 0) {
		/* gone with its device: -ENOLINK; kernels whose links cannot be told to: closing
		 * does it */
		(void)bpf_link_detach(fd);
		close(fd);
		attachment->link_fd[hook] = -1;
	}
	/* also when that failed before */
	return pins_drop(attacher->pins, pin.text);
}

static int tcx_detach_one(const struct attacher *attacher, struct attachment *attachment)
{
	int ingress = tcx_detach_hook(attacher, attachment, TC_HOOK_INGRESS);
	int egress = tcx_detach_hook(attacher, attachment, TC_HOOK_EGRESS);

	return ingress ? ingress : egress;
}

static int tcx_attach_one(const struct attacher *attacher, struct attachment *attachment)
{
	int err;

	attachment->link_fd[TC_HOOK_INGRESS] = attachment->link_fd[TC_HOOK_EGRESS] = -1;
	err = tcx_attach_hook(attacher, attachment, TC_HOOK_INGRESS);
	if (!err)
		err = tcx_attach_hook(attacher, attachment, TC_HOOK_EGRESS);
	if (err)
		(void)tcx_detach_one(attacher, attachment);
	return err;
}

/* One by one: the kernel waits for a grace period at each hook. */
static void tcx_attach(struct attacher *attacher, struct attach_job *const *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		jobs[i]->result = tcx_attach_one(attacher, jobs[i]->attachment);
}

static void tcx_detach(struct attacher *attacher, struct attach_job *const *jobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		jobs[i]->result = tcx_detach_one(attacher, jobs[i]->attachment);
}

/* A link outlives its device, saying ifindex 0, or the new index when the device moved to another
 * namespace. */
static bool tcx_link_alive(int fd, uint32_t ifindex)
{
	struct bpf_link_info info = {0};
	__u32 size = sizeof(info);

	/* info.tcx.ifindex stands where info.xdp.ifindex does */
	return !bpf_obj_get_info_by_fd(fd, &info, &size) && info.xdp.ifindex == ifindex;
}

static unsigned int tcx_missing(struct attacher *attacher, const struct attachment *attachment)
{
	unsigned int missing = 0;

	(void)attacher;
	for (enum tc_hook hook = 0; hook < TC_HOOKS; hook++)
		if (!tcx_link_alive(attachment->link_fd[hook], attachment->ifindex))
			missing |= 1U << hook;
	return missing;
}

/* Where both links are gone the device may be another one with the same index. */
static int tcx_repair(struct attacher *attacher, struct attachment *attachment,
		      unsigned int missing)
{
	int err = missing == ATTACH_BOTH_HOOKS ? -ENOENT : 0;

	for (enum tc_hook hook = 0; hook < TC_HOOKS && !err; hook++) {
		if (!(missing & 1U << hook))
			continue;
		err = tcx_detach_hook(attacher, attachment, hook);
		if (!err)
			err = tcx_attach_hook(attacher, attachment, hook);
	}
	return err;
}

static int tcx_adopt_hook(struct attacher *attacher, struct attachment *attachment,
			  enum tc_hook hook)
{
	struct pin_name pin = tcx_pin(attachment->life, hook);
	int fd = pins_get(attacher->pins, pin.text);

	attachment->link_fd[hook] = fd;
	if (fd < 0)
		return fd;
	if (!tcx_link_alive(fd, attachment->ifindex))
		return -ENOENT;
	return bpf_link_update(fd, attacher->program_fd[hook], NULL) ? -errno : 0;
}

static int tcx_adopt(struct attacher *attacher, const struct checkpoint_attachment *described,
		     struct attachment *attachment)
{
	int ingress = tcx_adopt_hook(attacher, attachment, TC_HOOK_INGRESS);
	int egress = tcx_adopt_hook(attacher, attachment, TC_HOOK_EGRESS);
	int err = is_lack(egress) || !ingress ? egress : ingress;

	(void)described;
	if (!is_lack(err)) {
		if (err)
			(void)tcx_detach_one(attacher, attachment);
		return err;
	}
	/* the pins hold them */
	cleanup_close(&attachment->link_fd[TC_HOOK_INGRESS]);
	cleanup_close(&attachment->link_fd[TC_HOOK_EGRESS]);
	return err;
}

static uint32_t tcx_link_program(int fd)
{
	struct bpf_link_info info = {0};
	__u32 size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.prog_id;
}

bool attach_tcx_first(uint32_t ifindex, enum tc_hook hook, uint32_t own_id, char *text, size_t size)
{
	__u32 ids[64], count = 64, attach_flags;
	char program[64];

	/* more than 64 programs on one hook is more than the kernel allows (BPF_MPROG_MAX) */
	if (bpf_prog_query((int)ifindex, (enum bpf_attach_type)tcx_hooks[hook].type, 0,
			   &attach_flags, ids, &count) ||
	    !count || ids[0] == own_id)
		return false;
	attach_program_name(ids[0], program, sizeof(program));
	snprintf(text, size, "tcx program %s", program);
	return true;
}

static int tcx_look(struct attacher *attacher, const struct attachment *attachment,
		    unsigned int hooks, bool alone, struct attach_front *front)
{
	(void)attacher;
	(void)alone;
	for (enum tc_hook hook = 0; hook < TC_HOOKS; hook++)
		if (hooks & 1U << hook)
			(void)attach_tcx_first(attachment->ifindex, hook,
					       tcx_link_program(attachment->link_fd[hook]),
					       front->who[hook], sizeof(front->who[hook]));
	return 0;
}

static int tcx_place(const struct attachment *attachment, enum tc_hook hook,
		     struct attach_place *place)
{
	uint32_t own = tcx_link_program(attachment->link_fd[hook]);
	__u32 ids[64], count = 64, attach_flags;

	if (bpf_prog_query((int)attachment->ifindex, (enum bpf_attach_type)tcx_hooks[hook].type, 0,
			   &attach_flags, ids, &count))
		return -errno;
	for (__u32 i = 0; i < count; i++)
		if (ids[i] == own)
			*place = (struct attach_place){.position = i + 1, .count = count};
	return 0;
}

static int tcx_places(struct attacher *attacher, const struct attachment *attachment,
		      struct attach_place places[TC_HOOKS])
{
	int in = tcx_place(attachment, TC_HOOK_INGRESS, &places[TC_HOOK_INGRESS]);
	int out = tcx_place(attachment, TC_HOOK_EGRESS, &places[TC_HOOK_EGRESS]);

	(void)attacher;
	return in ?: out;
}

const struct attach_ops attach_tcx = {
	.name = "tcx",
	.attach = tcx_attach,
	.adopt = tcx_adopt,
	.detach = tcx_detach,
	.missing = tcx_missing,
	.repair = tcx_repair,
	.places = tcx_places,
	.look = tcx_look,
};
