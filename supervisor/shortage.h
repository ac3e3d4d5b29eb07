/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a host's limits leave for more interfaces. That something runs short is said once, with its
 * name and how to get more; what is monitored already goes on.
 */
#ifndef FLOWTALLY_SHORTAGE_H
#define FLOWTALLY_SHORTAGE_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed: there is enough of all. */
struct shortage {
	int err; /* what was said last: negative errno */
};

/*
 * How many more interfaces the limit of descriptors allows. Each takes two for maps, as all maps
 * are swapped at once, and by tcx two for links; with_tcx: the new ones may be of these. A limit
 * that was raised meanwhile counts.
 */
size_t shortage_room(size_t attached, size_t tcx, bool with_tcx);

/* Interfaces are wanted and cannot be monitored, for want of what err says: -EMFILE descriptors,
 * -ENOSPC slots, -EPERM locked memory, -ENOMEM. 0: all are monitored. */
void shortage_note(struct shortage *shortage, int err, size_t interfaces);

#endif
