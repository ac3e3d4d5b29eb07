// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ports of WireGuard devices, by which their outer packets are known: generic netlink tells
 * them who asks, and nobody when they change. So they are asked for when such a device comes or
 * goes up, as it may be gone by the report, and before each report.
 */
#include "lib/log.h"
#include "netlink/wireguard.h"
#include "supervisor/interface_table_private.h"

#include <errno.h>
#include <string.h>

void table_ask_port(struct interface_table *table, struct interface *interface)
{
	__be16 port;
	int err;

	/* a device that was made in another network namespace has its socket there */
	if (!link_is_wireguard(&interface->link) || interface->link.lower_in_other_netns)
		return;
	err = wireguard_get_port(interface->link.ifindex, &port);
	if (!err)
		link_tunnel_of_wireguard(&interface->link.tunnel, port);
	/* gone meanwhile: what was known goes for the report */
	if (!err || err == -ENODEV)
		return;
	if (!table->ports_refused)
		log_warning(
			"%s: its port is not known (%s), so what goes through it is counted inside "
			"and outside",
			interface->link.name,
			err == -EPERM ? "reading it needs CAP_NET_ADMIN" : strerror(-err));
	table->ports_refused = true;
}

void interface_table_ask_ports(struct interface_table *table)
{
	FOR_EACH_INTERFACE (table, interface)
		table_ask_port(table, interface);
}
