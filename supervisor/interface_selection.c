// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/interface_selection.h"
#include "supervisor/flow_map.h"
#include "supervisor/interface.h"

#include <errno.h>
#include <stdlib.h>

int selection_init(struct selection *selection, size_t capacity)
{
	*selection = (struct selection){
		.interfaces = calloc(capacity + 1, sizeof(*selection->interfaces)),
		.maps = calloc(capacity + 1, sizeof(*selection->maps)),
		.old = calloc(capacity + 1, sizeof(*selection->old)),
	};
	return selection->interfaces && selection->maps && selection->old ? 0 : -ENOMEM;
}

void selection_clean(struct selection *selection)
{
	free(selection->interfaces);
	free(selection->maps);
	free(selection->old);
}

void selection_add(struct selection *selection, struct interface *interface)
{
	selection->interfaces[selection->count] = interface;
	selection->maps[selection->count] = &interface->map;
	selection->count++;
}

void selection_keep_unswapped(struct selection *selection)
{
	size_t kept = 0;

	for (size_t i = 0; i < selection->count; i++)
		if (selection->old[i].slot != FLOW_MAP_NO_SLOT)
			selection->interfaces[kept++] = selection->interfaces[i];
	selection->count = kept;
}
