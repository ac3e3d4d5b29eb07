/* SPDX-License-Identifier: GPL-2.0-only */
/* A list of interfaces, and of their maps, for the calls that do many at once. */
#ifndef FLOWTALLY_INTERFACE_SELECTION_H
#define FLOWTALLY_INTERFACE_SELECTION_H

#include <stddef.h>

struct flow_map;
struct interface;

struct selection {
	struct interface **interfaces; /* borrowed */
	struct flow_map **maps;	       /* as many; those of the interfaces */
	struct flow_map *old;	       /* as many; what flow_maps_swap() took out */
	size_t count;
};

/* Room for that many. 0 or -ENOMEM; selection_clean() in any case. */
int selection_init(struct selection *selection, size_t capacity);
void selection_clean(struct selection *selection);
void selection_add(struct selection *selection, struct interface *interface);
/* Keeps those whose maps flow_maps_swap() did not take out; maps and old are to be filled anew. */
void selection_keep_unswapped(struct selection *selection);

#endif
