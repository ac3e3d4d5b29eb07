/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The BPF file system at its usual place, /sys/fs/bpf, as those who started us see it.
 *
 * Where nobody has mounted it we do, and unmount it again when we end and nothing is in it. That
 * takes CAP_SYS_ADMIN, which the agent gives up: a process of its own, the keeper, has it and
 * nothing else, and does nothing but wait for our end, whatever that is.
 */
#ifndef FLOWTALLY_BPFFS_H
#define FLOWTALLY_BPFFS_H

struct bpffs;

/* Finds it, or mounts it. 0; -ENOMEM; another negative errno: there is none to be had. */
int bpffs_new(struct bpffs **ret);

/* Unmounts it if we mounted it and nothing is in it; descriptors of what was in it must be closed
 * by then. What keeps it mounted is logged. */
void bpffs_free(struct bpffs *fs);

/* Its root, as an O_PATH descriptor; borrowed. */
int bpffs_root(const struct bpffs *fs);

#endif
