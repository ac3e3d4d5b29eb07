// SPDX-License-Identifier: GPL-2.0-only
/* What a report takes from the table, and what is forgotten after it. */
#include "lib/log.h"
#include "report/flow_count.h"
#include "report/merge.h"
#include "report/tunnel.h"
#include "supervisor/interface_table_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct merge_interface table_merge_interface(const struct interface *interface)
{
	return (struct merge_interface){
		.id = interface->id,
		.life = interface->life,
		.era = interface->era,
		.ifindex = interface->link.ifindex,
		.name = interface->link.name,
		.role = &interface->interval_role,
		.before_attach = interface->before_attach,
	};
}

struct merge_interface *interface_table_interval(struct interface_table *table, size_t *count)
{
	struct merge_interface *list = calloc(table_count_phases(table) + 1, sizeof(*list));

	if (!list)
		return NULL;
	*count = 0;
	FOR_EACH_IN (table->ended, ended) {
		const struct interface *now = *table_find(table, ended->link.ifindex);

		list[*count] = table_merge_interface(ended);
		/* a phase of an interface that was renamed since */
		if (now && now->life == ended->life)
			list[*count].name = now->link.name;
		++*count;
	}
	FOR_EACH_IN (table->gone, gone)
		if (gone->id)
			list[(*count)++] = table_merge_interface(gone);
	FOR_EACH_INTERFACE (table, interface)
		if (interface->id)
			list[(*count)++] = table_merge_interface(interface);
	return list;
}

/*
 * A device that was not up carried nothing, so outer packets are not its own: the kernel makes some
 * (gre0, tunl0) that would take any. Those of a device that was made in another network namespace
 * are there.
 */
static int table_add_tunnel(const struct interface *interface, struct tunnel_set *tunnels)
{
	if (!interface->was_up || interface->link.lower_in_other_netns)
		return 0;
	return tunnel_set_add(tunnels, interface->id, &interface->link.tunnel);
}

int interface_table_tunnels(const struct interface_table *table, struct tunnel_set *tunnels)
{
	int err = 0;

	FOR_EACH_IN (table->ended, ended)
		err = err ?: table_add_tunnel(ended, tunnels);
	FOR_EACH_IN (table->gone, gone)
		err = err ?: table_add_tunnel(gone, tunnels);
	FOR_EACH_IN (table->faded, faded)
		err = err ?: table_add_tunnel(faded, tunnels);
	FOR_EACH_INTERFACE (table, interface)
		err = err ?: table_add_tunnel(interface, tunnels);
	return err;
}

/* The interface that a report tells of, if it still is monitored. */
static struct interface *table_find_reported(struct interface_table *table,
					     const struct report_interface *reported)
{
	struct interface *interface = *table_find(table, reported->ifindex);

	return interface && interface->id && interface->life == reported->life ? interface : NULL;
}

void interface_table_add_totals(struct interface_table *table, const struct report *report)
{
	for (size_t i = 0; i < report->interface_count; i++) {
		struct interface *interface = table_find_reported(table, &report->interfaces[i]);

		if (!interface)
			continue;
		flow_count_add(&interface->total.in, &report->interfaces[i].in);
		flow_count_add(&interface->total.out, &report->interfaces[i].out);
	}
	for (size_t i = 0; i < report->unattributed_count; i++) {
		const struct report_unattributed *item = &report->unattributed[i];
		struct interface *interface =
			table_find_reported(table, &report->interfaces[item->interface]);

		if (interface)
			unattributed_add_item(&interface->total.unattributed, item);
	}
}

/* Whether anything is to be known yet of a link that went and was not monitored: others may have
 * seen what was received on it, and some of that may be on its way; or it was a tunnel. */
static bool table_fades(const struct interface *interface)
{
	return interface->slot.flags || interface->link.tunnel.protocols[0];
}

void table_fade(struct interface_table *table, struct interface *interface)
{
	if (table_fades(interface))
		table_push(&table->faded, interface);
	else
		interface_free(interface);
}

/* The slot table may still say that what was received on a vanished interface was seen: for packets
 * that were on their way. */
static void table_forget_word(struct interface_table *table, struct interface *vanished)
{
	if (vanished->slot.flags && !*table_find(table, vanished->link.ifindex))
		interface_stop(vanished, table->monitor, false);
	vanished->slot = (struct flow_slot){0};
}

static void table_forget(struct interface_table *table, struct interface *vanished)
{
	table_forget_word(table, vanished);
	interface_free(vanished);
}

static void table_forget_old_word(struct interface_table *table, struct interface *vanished)
{
	if (vanished->gone_at_last_check)
		table_forget_word(table, vanished);
	vanished->gone_at_last_check = true;
}

void table_forget_old_words(struct interface_table *table)
{
	struct interface **at = &table->faded;

	FOR_EACH_IN (table->ended, ended)
		table_forget_old_word(table, ended);
	while (*at) {
		struct interface *vanished = *at;

		table_forget_old_word(table, vanished);
		if (table_fades(vanished)) {
			at = &vanished->next;
			continue;
		}
		*at = vanished->next;
		interface_free(vanished);
	}
}

static void table_forget_faded(struct interface_table *table)
{
	while (table->faded) {
		struct interface *vanished = table->faded;

		table->faded = vanished->next;
		table_forget(table, vanished);
	}
}

void interface_table_next_interval(struct interface_table *table)
{
	struct interface *ended = table->ended;

	table->ended = NULL;
	while (ended) {
		struct interface *next = ended->next;

		/* one that could not be read yet belongs to the next report */
		if (ended->map.fd >= 0) {
			ended->before_attach = (struct flow_count){0};
			table_push(&table->ended, ended);
		} else {
			table_forget(table, ended);
		}
		ended = next;
	}
	table_forget_faded(table);
	FOR_EACH_IN (table->gone, gone)
		gone->before_attach = (struct flow_count){0};
	FOR_EACH_INTERFACE (table, interface) {
		interface->before_attach = (struct flow_count){0};
		interface->was_up = interface->link.flags & IFF_UP;
		topology_role_clean(&interface->interval_role);
		if (interface->id &&
		    topology_role_copy(&interface->interval_role, &interface->role))
			log_error("%s: its place in the stack of devices is not known: %s",
				  interface->link.name, strerror(ENOMEM));
	}
}
