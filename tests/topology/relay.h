/* SPDX-License-Identifier: GPL-2.0-only */
/* A process that serves two tun, tap or macvtap devices, each in its namespace: what one sends the
 * other receives. Functions return 0 or -errno. */
#ifndef FLOWTALLY_TOPOLOGY_RELAY_H
#define FLOWTALLY_TOPOLOGY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

struct relay;

/*
 * Makes a device in the namespace that the process is in. Returns its descriptor. frames: tap, with
 * segmentation offload as virtual machines have it; else tun, IP packets as large as its MTU.
 */
int relay_open(const char *name, uint32_t ifindex, bool frames);

/* Of a macvtap in that namespace, which is there already: what comes in by it is read, what is
 * written leaves by it, as frames of a tap. Returns its descriptor. */
int relay_open_macvtap(const char *name);

/* Carries, in a thread of its own, until relay_free(). The descriptors are owned when it succeeds,
 * and the devices live as long as they. */
int relay_new(struct relay **ret, int one, int other);
void relay_free(struct relay *relay);

#endif
