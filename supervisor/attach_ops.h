/* SPDX-License-Identifier: GPL-2.0-only */
/* What a way of attaching provides; inside of attach*.c only. */
#ifndef FLOWTALLY_ATTACH_OPS_H
#define FLOWTALLY_ATTACH_OPS_H

#include "supervisor/attach.h"

/* What the ways of attaching share. */
struct attacher {
	enum config_attach mode;
	bool prefer_tcx;
	bool lacks_tcx;		  /* so it turned out where it would be better */
	int program_fd[TC_HOOKS]; /* by enum tc_hook; borrowed */
	const struct pins *pins;  /* borrowed */
	struct tc *tc;
	/* interfaces with a clsact qdisc, ascending; owned */
	uint32_t *stock;
	size_t stock_count, stock_capacity;
};

/* What stands before our program on an interface. */
struct attach_front {
	char who[TC_HOOKS][128]; /* runs first at the hook; "": nobody before us */
	bool diverted;		 /* as attachment->diverted */
};

struct attach_ops {
	const char *name;
	/* Both hooks or none for each; sets the result and its own part of the attachment.
	 * -EOPNOTSUPP: the kernel has no such thing. */
	void (*attach)(struct attacher *attacher, struct attach_job *const *jobs, size_t n);
	/* As attach_adopt(). */
	int (*adopt)(struct attacher *attacher, const struct checkpoint_attachment *described,
		     struct attachment *attachment);
	/* Goes on after an error; the result is the first one. Gone already is no error. */
	void (*detach)(struct attacher *attacher, struct attach_job *const *jobs, size_t n);
	unsigned int (*missing)(struct attacher *attacher, const struct attachment *attachment);
	/* As attach_repair(). */
	int (*repair)(struct attacher *attacher, struct attachment *attachment,
		      unsigned int missing);
	/* As attach_places(), into zeros. */
	int (*places)(struct attacher *attacher, const struct attachment *attachment,
		      struct attach_place places[TC_HOOKS]);
	/* Looks who runs before us at the hooks (bits 1 << enum tc_hook), and for what is diverted
	 * in any case. alone: nobody else was on
	 * a qdisc of ours when it was made, and that is taken for so. 0 or negative errno; *front
	 * comes zeroed. */
	int (*look)(struct attacher *attacher, const struct attachment *attachment,
		    unsigned int hooks, bool alone, struct attach_front *front);
};

extern const struct attach_ops attach_tcx, attach_clsact;

/* Writes into text which tcx program runs first at the hook of the interface, unless it is the one
 * with that id; false if none does. */
bool attach_tcx_first(uint32_t ifindex, enum tc_hook hook, uint32_t own_id, char *text,
		      size_t size);

/* Sweeping is a matter of clsact filters only. */
int attach_clsact_sweep(struct tc *tc, bool (*keep)(void *data, uint32_t ifindex), void *data);

/* "NAME (id N)" of a BPF program. */
void attach_program_name(uint32_t program_id, char *text, size_t size);

#endif
