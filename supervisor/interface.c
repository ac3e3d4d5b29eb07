// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/interface.h"
#include "config/config.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "netlink/rtnl.h"
#include "supervisor/attach_ops.h"
#include "supervisor/program.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int interface_copy_link(struct link *to, const struct link *from)
{
	struct link copy = *from;

	copy.altnames = NULL;
	if (from->altname_count) {
		copy.altnames = calloc(from->altname_count, sizeof(*copy.altnames));
		if (!copy.altnames)
			return -ENOMEM;
		memcpy(copy.altnames, from->altnames, from->altname_count * sizeof(*copy.altnames));
	}
	*to = copy;
	return 0;
}

int interface_new(struct interface **ret, const struct link *link)
{
	struct interface *interface = calloc(1, sizeof(*interface));

	if (!interface)
		return -ENOMEM;
	interface->map.fd = -1;
	if (interface_copy_link(&interface->link, link)) {
		free(interface);
		return -ENOMEM;
	}
	interface->at_birth = link->stats;
	interface->was_up = link->flags & IFF_UP;
	*ret = interface;
	return 0;
}

void interface_free(struct interface *interface)
{
	if (!interface)
		return;
	if (interface->map.fd >= 0)
		close(interface->map.fd);
	topology_role_clean(&interface->role);
	topology_role_clean(&interface->interval_role);
	link_clean(&interface->link);
	free(interface);
}

static bool interface_same_altnames(const struct link *a, const struct link *b)
{
	return a->altname_count == b->altname_count &&
	       (!a->altname_count ||
		!memcmp(a->altnames, b->altnames, a->altname_count * sizeof(*a->altnames)));
}

int interface_update(struct interface *interface, const struct link *link, bool *changed)
{
	struct link *old = &interface->link;
	struct link copy;

	if (interface_copy_link(&copy, link))
		return -ENOMEM;
	if (strcmp(old->name, link->name))
		log_info("%s: renamed to %s", old->name, link->name);
	*changed = strcmp(old->name, link->name) || strcmp(old->kind, link->kind) ||
		   old->master != link->master || old->lower != link->lower ||
		   old->lower_abroad != link->lower_abroad || old->type != link->type ||
		   !interface_same_altnames(old, link);
	link_clean(old);
	*old = copy;
	interface->was_up |= (link->flags & IFF_UP) != 0;
	return 0;
}

int interface_match(struct interface *interface, const struct config *config)
{
	const struct link *link = &interface->link;
	_free_ const char **altnames = calloc(link->altname_count + 1, sizeof(*altnames));
	const struct match_subject subject = {
		.ifindex = link->ifindex,
		.name = link->name,
		.kind = link_kind(link),
		.altnames = altnames,
		.altname_count = link->altname_count,
	};
	bool included, wanted;

	if (!altnames)
		return -ENOMEM;
	for (unsigned int i = 0; i < link->altname_count; i++)
		altnames[i] = link->altnames[i];
	included = match_list_find(&config->include, &subject);
	interface->excluded_by = match_list_find(&config->exclude, &subject);
	wanted = included && !interface->excluded_by && !interface->gone;
	if (interface->wanted && !wanted && !interface->gone)
		log_info("%s: no longer monitored: %s%s", link->name,
			 interface->excluded_by ? "excluded by " : "included by no pattern",
			 interface->excluded_by ? interface->excluded_by : "");
	interface->wanted = wanted;
	if (!wanted)
		interface->wanted_from_birth = false;
	return 0;
}

static bool interface_is_ethernet(const struct link *link)
{
	return link->type == ARPHRD_ETHER || link->type == ARPHRD_LOOPBACK;
}

/* What the link carried from its appearance until now, when counting begins, in IP bytes as far as
 * a driver's counters tell. */
static struct flow_count interface_missed(const struct interface *interface, struct rtnl *rtnl)
{
	const struct link_stats *birth = &interface->at_birth;
	struct flow_count missed = {0};
	struct link now;
	uint64_t headers;
	int err = rtnl_get_link(rtnl, interface->link.ifindex, &now);

	if (err) {
		if (err != -ENODEV)
			log_warning("%s: cannot read its counters: %s", interface->link.name,
				    strerror(-err));
		return missed;
	}
	missed.packets =
		now.stats.rx_packets + now.stats.tx_packets - birth->rx_packets - birth->tx_packets;
	missed.bytes = now.stats.rx_bytes + now.stats.tx_bytes - birth->rx_bytes - birth->tx_bytes;
	headers = interface_is_ethernet(&now) ? missed.packets * ETH_HLEN : 0;
	missed.bytes -= headers < missed.bytes ? headers : missed.bytes;
	link_clean(&now);
	return missed;
}

int interface_attach(struct interface *interface, const struct monitor *monitor, uint32_t id)
{
	const char *name = interface->link.name;
	int err = flow_maps_take(monitor->maps, &interface->map);

	if (err)
		return err;
	err = attach(monitor->attacher, interface->link.ifindex, name, &interface->attachment);
	if (err) {
		flow_maps_put_back(monitor->maps, &interface->map);
		return err;
	}
	interface->life = interface->id = id;
	interface->state = INTERFACE_ATTACHED;
	return 0;
}

static int interface_set_slot(struct interface *interface, const struct monitor *monitor,
			      uint8_t flags)
{
	struct flow_slot slot = {
		.ifindex = interface->link.ifindex,
		.slot = flags & FLOW_SLOT_COUNTED ? (uint16_t)interface->map.slot : 0,
		.flags = flags,
	};
	int err;

	if (!flags && !interface->slot.flags)
		return 0;
	if (!memcmp(&slot, &interface->slot, sizeof(slot)))
		return 0;
	err = program_set_slot(monitor->program, &slot);
	if (!err)
		interface->slot = slot;
	return err;
}

int interface_apply_role(struct interface *interface, const struct monitor *monitor)
{
	uint8_t flags = interface->role.covered ? FLOW_SLOT_COVERED : 0;

	if (interface->state == INTERFACE_COUNTING) {
		flags |= FLOW_SLOT_COUNTED;
		if (interface->role.born_repeat)
			flags |= FLOW_SLOT_BORN_REPEAT;
		if (interface_is_ethernet(&interface->link))
			flags |= FLOW_SLOT_ETHERNET;
	}
	return interface_set_slot(interface, monitor, flags);
}

void interface_note_missed(struct interface *interface, const struct monitor *monitor)
{
	interface->before_attach = (struct flow_count){0};
	if (interface->wanted_from_birth)
		interface->before_attach = interface_missed(interface, monitor->rtnl);
}

int interface_start(struct interface *interface, const struct monitor *monitor)
{
	int err;

	interface->state = INTERFACE_COUNTING;
	err = interface_apply_role(interface, monitor);
	if (err) {
		interface->state = INTERFACE_STOPPED;
		return err;
	}
	if (interface->attachment.ops == &attach_tcx)
		monitor->counts->attached_tcx++;
	else
		monitor->counts->attached_clsact++;
	log_info("%s: attached with %s", interface->link.name,
		 attach_mode_to_str(&interface->attachment));
	return 0;
}

void interface_stop(struct interface *interface, const struct monitor *monitor, bool keep_covered)
{
	interface->state = INTERFACE_STOPPED;
	/* making an entry say less cannot fail */
	(void)interface_set_slot(interface, monitor,
				 keep_covered ? interface->slot.flags & FLOW_SLOT_COVERED : 0);
}

void interface_detach(struct interface *interface, const struct monitor *monitor)
{
	const char *mode = attach_mode_to_str(&interface->attachment);
	int err = attach_detach(monitor->attacher, &interface->attachment);

	monitor->counts->detached++;
	if (err)
		log_error("%s: cannot detach (%s): %s", interface->link.name, mode, strerror(-err));
	else
		log_info("%s: %s", interface->link.name, interface->gone ? "gone" : "detached");
}
