/* SPDX-License-Identifier: GPL-2.0-only */
/* What a way of attaching provides; inside of attach*.c only. */
#ifndef FLOWTALLY_ATTACH_OPS_H
#define FLOWTALLY_ATTACH_OPS_H

#include "supervisor/attach.h"

/* What the ways of attaching share. */
struct attacher {
	enum config_attach mode;
	int program_fd[2];	 /* by enum tc_hook; borrowed */
	const struct pins *pins; /* borrowed */
	struct tc *tc;
	bool tcx_missing; /* found out by trying */
};

struct attach_ops {
	const char *name;
	/* Both hooks or none; sets only its own part of *attachment. -EOPNOTSUPP: the kernel has no
	 * such thing. */
	int (*attach)(struct attacher *attacher, uint32_t ifindex, struct attachment *attachment);
	/* Like attach, of what is there already. -ENOENT: it is not. */
	int (*adopt)(struct attacher *attacher, const struct checkpoint_attachment *described,
		     struct attachment *attachment);
	/* Goes on after an error, returns the first one. Gone already is no error. */
	int (*detach)(struct attacher *attacher, struct attachment *attachment);
	bool (*check)(struct attacher *attacher, const struct attachment *attachment);
	/* Writes into text who runs before us at the hook; false if nobody does. */
	bool (*in_front)(struct attacher *attacher, const struct attachment *attachment,
			 enum tc_hook hook, char *text, size_t size);
};

extern const struct attach_ops attach_tcx, attach_clsact;

/* Sweeping is a matter of clsact filters only. */
int attach_clsact_sweep(struct tc *tc, bool (*keep)(void *data, uint32_t ifindex), void *data);

/* "NAME (id N)" of a BPF program. */
void attach_program_name(uint32_t program_id, char *text, size_t size);

#endif
