// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/attach.h"
#include "lib/log.h"
#include "supervisor/attach_ops.h"
#include "supervisor/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int attacher_new(struct attacher **ret, const struct program *program, enum config_attach mode)
{
	struct attacher *attacher = calloc(1, sizeof(*attacher));
	int err;

	if (!attacher)
		return -ENOMEM;
	attacher->mode = mode;
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
	free(attacher);
}

void attacher_set_mode(struct attacher *attacher, enum config_attach mode)
{
	attacher->mode = mode;
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

static void attach_warn_of_neighbours(struct attacher *attacher, const char *name,
				      const struct attachment *attachment)
{
	static const char *const hook_names[] = {"ingress", "egress"};

	for (enum tc_hook hook = TC_HOOK_INGRESS; hook <= TC_HOOK_EGRESS; hook++) {
		char who[128];

		if (attachment->ops->in_front(attacher, attachment, hook, who, sizeof(who)))
			log_warning("%s: %s runs before flowtally at %s: packets that it passes "
				    "with a verdict, drops or redirects there are not seen",
				    name, who, hook_names[hook]);
	}
}

static const struct attach_ops *attach_choose(const struct attacher *attacher)
{
	if (attacher->mode == CONFIG_ATTACH_CLSACT)
		return &attach_clsact;
	if (attacher->mode == CONFIG_ATTACH_AUTO && attacher->tcx_missing)
		return &attach_clsact;
	return &attach_tcx;
}

int attach(struct attacher *attacher, uint32_t ifindex, const char *name,
	   struct attachment *attachment)
{
	struct attachment made = {.ops = attach_choose(attacher), .ifindex = ifindex};
	int err = made.ops->attach(attacher, ifindex, &made);

	if (err == -EOPNOTSUPP && made.ops == &attach_tcx && attacher->mode == CONFIG_ATTACH_AUTO) {
		/* kernels before 6.6 */
		attacher->tcx_missing = true;
		made.ops = &attach_clsact;
		err = made.ops->attach(attacher, ifindex, &made);
	}
	if (err)
		return err;
	*attachment = made;
	attach_warn_of_neighbours(attacher, name, attachment);
	return 0;
}

int attach_detach(struct attacher *attacher, struct attachment *attachment)
{
	int err = attachment->ops ? attachment->ops->detach(attacher, attachment) : 0;

	*attachment = (struct attachment){0};
	return err;
}

bool attach_check(struct attacher *attacher, const struct attachment *attachment)
{
	return attachment->ops && attachment->ops->check(attacher, attachment);
}

const char *attach_mode_to_str(const struct attachment *attachment)
{
	return attachment->ops ? attachment->ops->name : "none";
}

int attach_sweep(void)
{
	struct tc *tc;
	int err = tc_new(&tc);

	if (err)
		return err;
	err = attach_clsact_sweep(tc);
	tc_free(tc);
	return err;
}
