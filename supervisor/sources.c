// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/sources.h"
#include "report/merge.h"
#include "report/tunnel.h"
#include "supervisor/checkpoint.h"
#include "supervisor/interface_table.h"

#include <errno.h>
#include <stdlib.h>

int sources_of_table(struct sources *sources, struct interface_table *table)
{
	int err = tunnel_set_new(&sources->tunnels);

	if (!err)
		err = interface_table_tunnels(table, sources->tunnels);
	if (!err) {
		sources->interfaces = interface_table_interval(table, &sources->count);
		err = sources->interfaces ? 0 : -ENOMEM;
	}
	return err;
}

static struct merge_interface sources_interface(const struct checkpoint_phase *phase)
{
	return (struct merge_interface){
		.id = phase->id,
		.life = phase->life,
		.era = phase->era,
		.ifindex = phase->ifindex,
		.name = phase->name,
		.role = &phase->role,
		.before_attach = phase->before_attach,
	};
}

int sources_of_checkpoint(struct sources *sources, const struct checkpoint_report *left)
{
	int err = tunnel_set_new(&sources->tunnels);

	sources->interfaces = calloc(left->phase_count + 1, sizeof(*sources->interfaces));
	if (!err && !sources->interfaces)
		err = -ENOMEM;
	for (size_t i = 0; i < left->phase_count && !err; i++) {
		const struct checkpoint_phase *phase = &left->phases[i];

		if (phase->id)
			sources->interfaces[sources->count++] = sources_interface(phase);
		if (phase->was_up && !phase->lower_in_other_netns)
			err = tunnel_set_add(sources->tunnels, phase->id, &phase->tunnel);
	}
	return err;
}

void sources_clean(struct sources *sources)
{
	free(sources->interfaces);
	tunnel_set_free(sources->tunnels);
}
