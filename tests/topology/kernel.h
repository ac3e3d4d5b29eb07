/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes a world real: namespaces, links, addresses, routes, neighbours. All that is known is told
 * to the kernel beforehand, so that no packet exists but those that are sent on purpose.
 *
 * Functions return 0 or -errno. They leave the process in the namespace that it was in.
 */
#ifndef FLOWTALLY_TOPOLOGY_KERNEL_H
#define FLOWTALLY_TOPOLOGY_KERNEL_H

#include "tests/topology/world.h"

struct kernel;

/* Which of these kinds, a bit each, the running kernel makes, tried in a namespace of its own; or
 * -errno. */
int kernel_probe(unsigned int kinds, unsigned int *ret);

int kernel_new(struct kernel **ret, struct world *world);
void kernel_free(struct kernel *kernel);

/* Makes the spaces and devices that the world has and the kernel has not yet. */
int kernel_create(struct kernel *kernel);
int kernel_delete(struct kernel *kernel, struct device *device);
int kernel_set_down(struct kernel *kernel, struct device *device);
int kernel_set_up(struct kernel *kernel, struct device *device);
/* Tells a bond or team in active-backup mode which slave is to send and receive. */
int kernel_activate(struct kernel *kernel, const struct device *bond);
int kernel_rename(struct kernel *kernel, struct device *device, const char *name);
int kernel_enslave(struct kernel *kernel, struct device *device, struct device *master);
int kernel_move(struct kernel *kernel, struct device *device, unsigned int space);
/* Brings a device up that was moved, with its address. */
int kernel_settle(struct kernel *kernel, struct device *device);

/* Tells every space the routes, neighbours and bridge ports that the world has now. */
int kernel_sync(struct kernel *kernel);
/* How many packets the device has sent. */
int kernel_count_sent(struct kernel *kernel, const struct device *device, uint64_t *ret);
/* Waits until all links carry packets, those of bonds by the slave that is active. */
int kernel_wait_up(struct kernel *kernel);

/* Tells tc to redirect, shape, mirror and queue as the devices say. */
int kernel_redirect(struct kernel *kernel);

/* From now on the world asks the kernel which of its two ways a route takes. kernel_choice_error()
 * says what went wrong in that. */
void kernel_choose_ways(struct kernel *kernel);
int kernel_choice_error(const struct kernel *kernel);

/* Tells the host to translate as the conversations say. */
int kernel_translate(struct kernel *kernel);

/* Sockets and processes begin their lives in the space of their creator. */
int kernel_enter(struct kernel *kernel, unsigned int space);
int kernel_leave(struct kernel *kernel);
/* Binds a new socket to the VRF that has that address, if any: others do not get its packets. */
int kernel_bind_to_vrf(int fd, const struct device *address);
/* Borrowed. */
int kernel_space_fd(const struct kernel *kernel, unsigned int space);

#endif
