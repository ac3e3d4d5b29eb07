// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/interface.h"
#include "config/config.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "netlink/rtnl_query.h"
#include "supervisor/checkpoint.h"
#include "supervisor/program.h"
#include "supervisor/slot_table.h"

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
	truth_release(interface->truth);
	truth_release(interface->gap);
	link_clean(&interface->link);
	free(interface->secondary.list);
	free(interface->strangers.list);
	free(interface);
}

static bool interface_same_altnames(const struct link *a, const struct link *b)
{
	return a->altname_count == b->altname_count &&
	       (!a->altname_count ||
		!memcmp(a->altnames, b->altnames, a->altname_count * sizeof(*a->altnames)));
}

/* In what patterns and topology look at. */
static bool interface_same_link(const struct link *a, const struct link *b)
{
	return !strcmp(a->name, b->name) && !strcmp(a->kind, b->kind) && a->master == b->master &&
	       a->lower == b->lower && a->lower_in_other_netns == b->lower_in_other_netns &&
	       a->type == b->type && a->macvlan_bridge == b->macvlan_bridge &&
	       a->no_queue == b->no_queue && a->vlan_filtering == b->vlan_filtering &&
	       !memcmp(a->address, b->address, sizeof(a->address)) && interface_same_altnames(a, b);
}

bool interface_resembles(const struct interface *interface, const struct link *link)
{
	const struct link_stats *before = &interface->link.stats, *now = &link->stats;

	return interface_same_link(&interface->link, link) &&
	       now->rx_packets >= before->rx_packets && now->tx_packets >= before->tx_packets;
}

int interface_update(struct interface *interface, const struct link *link, bool *changed)
{
	struct link *old = &interface->link;
	struct link copy;

	if (interface_copy_link(&copy, link))
		return -ENOMEM;
	if (strcmp(old->name, link->name))
		log_info("%s: renamed to %s", old->name, link->name);
	*changed = !interface_same_link(old, link);
	/* no link message tells that */
	if (link_is_wireguard(link))
		copy.tunnel = old->tunnel;
	link_clean(old);
	*old = copy;
	interface->was_up |= (link->flags & IFF_UP) != 0;
	return 0;
}

int interface_describe(const struct interface *interface, struct checkpoint_phase *phase)
{
	const struct link *link = &interface->link;
	struct checkpoint_phase described = {
		.id = interface->id,
		.life = interface->life,
		.era = interface->era,
		.ifindex = link->ifindex,
		.live = interface->state == INTERFACE_ATTACHED ||
			interface->state == INTERFACE_COUNTING,
		.counting = interface->state == INTERFACE_COUNTING,
		.was_up = interface->was_up,
		.wanted_from_birth = interface->wanted_from_birth,
		.lower_in_other_netns = link->lower_in_other_netns,
		.type = link->type,
		.tunnel = link->tunnel,
		.at_birth = interface->at_birth,
		.before_attach = interface->before_attach,
	};
	int err = topology_role_copy(&described.role, &interface->interval_role);

	if (err)
		return err;
	memcpy(described.name, link->name, sizeof(described.name));
	memcpy(described.kind, link->kind, sizeof(described.kind));
	attach_describe(&interface->attachment, &described.attachment);
	*phase = described;
	return 0;
}

int interface_from_description(struct interface **ret, const struct checkpoint_phase *phase)
{
	struct link link = {
		.ifindex = phase->ifindex,
		.type = phase->type,
		.flags = phase->was_up ? IFF_UP : 0,
		.lower_in_other_netns = phase->lower_in_other_netns,
		.tunnel = phase->tunnel,
		.stats = phase->at_birth,
	};
	struct interface *interface;
	int err;

	memcpy(link.name, phase->name, sizeof(link.name));
	memcpy(link.kind, phase->kind, sizeof(link.kind));
	err = interface_new(&interface, &link);
	if (err)
		return err;
	interface->id = phase->id;
	interface->life = phase->life;
	interface->era = phase->era;
	interface->was_up = phase->was_up;
	interface->wanted_from_birth = phase->wanted_from_birth;
	interface->before_attach = phase->before_attach;
	/* for all that is known */
	interface->has_counted = true;
	err = topology_role_copy(&interface->role, &phase->role);
	if (!err)
		err = topology_role_copy(&interface->interval_role, &phase->role);
	if (err) {
		interface_free(interface);
		return err;
	}
	*ret = interface;
	return 0;
}

void interface_match(struct interface *interface, const struct config *config)
{
	const struct link *link = &interface->link;
	const struct match_subject subject = {
		.ifindex = link->ifindex,
		.name = link->name,
		.kind = link_kind(link),
		.altnames = link->altname_count ? link->altnames[0] : NULL,
		.altname_size = sizeof(*link->altnames),
		.altname_count = link->altname_count,
	};
	bool included, wanted;

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
}

bool interface_is_ethernet(const struct link *link)
{
	return link->type == ARPHRD_ETHER || link->type == ARPHRD_LOOPBACK;
}

/* What the link carried from its appearance until now, when counting begins, in IP bytes as far as
 * a driver's counters tell. */
static struct flow_count interface_missed(const struct interface *interface)
{
	struct flow_count missed = {0};
	uint64_t headers;

	if (!interface->moment.known)
		return missed;
	missed = truth_carried(&interface->at_birth, &interface->moment.stats[TRUTH_BEFORE]);
	headers = interface_is_ethernet(&interface->link) ? missed.packets * ETH_HLEN : 0;
	missed.bytes -= headers < missed.bytes ? headers : missed.bytes;
	return missed;
}

void interface_read_counters(struct interface *interface, const struct monitor *monitor,
			     enum truth_at at)
{
	struct truth_moment *moment = &interface->moment;
	int err = rtnl_query_stats(monitor->query, interface->link.ifindex, &moment->stats[at]);

	moment->known = !err && (at == TRUTH_BEFORE || moment->known);
	if (err && err != -ENODEV)
		log_warning("%s: cannot read its counters: %s", interface->link.name,
			    strerror(-err));
}

static struct attach_job interface_job(struct interface *interface)
{
	return (struct attach_job){
		.ifindex = interface->link.ifindex,
		.life = interface->life,
		.name = interface->link.name,
		.gone = interface->gone,
		.attachment = &interface->attachment,
	};
}

static void interface_begin_life(struct interface *interface, uint32_t id)
{
	interface->id = id;
	if (!interface->life)
		interface->life = id;
	interface->recorded = interface->has_counted = false;
}

static void interface_fail_life(struct interface *interface)
{
	if (interface->life == interface->id)
		interface->life = 0;
	interface->id = 0;
}

void interface_attach_each(struct interface *const *interfaces, size_t n,
			   const struct monitor *monitor, uint32_t *last_id)
{
	_free_ struct attach_job *jobs = calloc(n + 1, sizeof(*jobs));
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		struct interface *interface = interfaces[i];

		interface_begin_life(interface, ++*last_id);
		interface->attach_error =
			jobs ? flow_maps_take(monitor->maps, interface->id, &interface->map)
			     : -ENOMEM;
		if (interface->attach_error)
			interface_fail_life(interface);
		else
			jobs[count++] = interface_job(interface);
	}
	attach_each(monitor->attacher, jobs, count);
	count = 0;
	for (size_t i = 0; i < n; i++) {
		struct interface *interface = interfaces[i];

		if (interface->attach_error)
			continue;
		interface->attach_error = jobs[count++].result;
		if (interface->attach_error) {
			interface_fail_life(interface);
			flow_maps_put_back(monitor->maps, &interface->map);
			continue;
		}
		interface->state = INTERFACE_ATTACHED;
	}
}

/* tell: slot_table_set() or slot_table_stage(). */
static int interface_set_slot(struct interface *interface, const struct monitor *monitor,
			      uint8_t flags,
			      int (*tell)(struct slot_table *table, const struct flow_slot *slot))
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
	err = tell(program_slots(monitor->program), &slot);
	if (!err)
		interface->slot = slot;
	return err;
}

int interface_apply_role(struct interface *interface, const struct monitor *monitor)
{
	uint8_t flags = interface->role.covered ? FLOW_SLOT_COVERED : 0;

	if (interface->role.partial)
		flags |= FLOW_SLOT_PARTIAL;
	if (interface->state == INTERFACE_COUNTING) {
		flags |= FLOW_SLOT_COUNTED;
		if (interface->role.born_repeat)
			flags |= FLOW_SLOT_BORN_REPEAT;
		if (interface->role.tags)
			flags |= FLOW_SLOT_TAGS;
		if (interface_is_ethernet(&interface->link))
			flags |= FLOW_SLOT_ETHERNET;
		if (interface->role.turns)
			flags |= FLOW_SLOT_TURNS;
		if (truth_ruler_of(&interface->link).frames)
			flags |= FLOW_SLOT_FRAMES;
	}
	return interface_set_slot(interface, monitor, flags, slot_table_stage);
}

void interface_apply_turner(struct interface *interface, const struct monitor *monitor)
{
	const struct link *link = &interface->link;
	struct flow_turner turner = {0}, known = interface->turner;
	int err = 0;

	if (!interface->gone && !interface->id && link->macvlan_bridge &&
	    !link->lower_in_other_netns) {
		turner.ifindex = link->lower;
		memcpy(turner.address, link->address, sizeof(turner.address));
	}
	if (!memcmp(&turner, &known, sizeof(turner)))
		return;
	interface->turner = turner;
	if (known.ifindex)
		err = program_delete_turner(monitor->program, &known);
	if (turner.ifindex && !err)
		err = program_add_turner(monitor->program, &turner);
	if (err)
		log_error("%s: what it sends to its siblings may count twice: %s", link->name,
			  strerror(-err));
}

void interface_note_missed(struct interface *interface, const struct monitor *monitor)
{
	interface->before_attach = (struct flow_count){0};
	interface_read_counters(interface, monitor, TRUTH_BEFORE);
	if (interface->wanted_from_birth)
		interface->before_attach = interface_missed(interface);
}

void interface_begin_gap(struct interface *interface)
{
	interface->wanted_from_birth = interface->moment.known;
	interface->at_birth = interface->moment.stats[TRUTH_AFTER];
}

void interface_begin_truth(struct interface *interface, const struct monitor *monitor)
{
	(void)truth_new(&interface->truth, &interface->link, &interface->moment,
			&monitor->counts->ended);
}

/* What a link that is gone carried was told by its last message. */
static void interface_end_truth(struct interface *interface, const struct monitor *monitor)
{
	if (!interface->gone)
		interface_read_counters(interface, monitor, TRUTH_AFTER);
	truth_end(interface->truth, &interface->moment);
}

int interface_start(struct interface *interface, const struct monitor *monitor)
{
	int err;

	interface->state = INTERFACE_COUNTING;
	err = interface_apply_role(interface, monitor);
	if (err)
		interface->state = INTERFACE_STOPPED;
	interface->incomplete = !err;
	return err;
}

int interface_leave(struct interface *interface, const struct monitor *monitor)
{
	interface->state = INTERFACE_STOPPED;
	interface->incomplete = true;
	return interface_apply_role(interface, monitor);
}

void interface_complete(struct interface *interface, const struct monitor *monitor)
{
	if (!interface->incomplete)
		return;
	interface->incomplete = false;
	if (interface->state != INTERFACE_COUNTING) {
		interface_end_truth(interface, monitor);
		return;
	}
	interface_read_counters(interface, monitor, TRUTH_AFTER);
	interface_begin_truth(interface, monitor);
	if (attach_is_tcx(&interface->attachment))
		monitor->counts->attached_tcx++;
	else
		monitor->counts->attached_clsact++;
	log_info("%s: attached with %s", interface->link.name,
		 attach_mode_to_str(&interface->attachment));
}

void interface_stop(struct interface *interface, const struct monitor *monitor, bool keep_covered)
{
	bool counted = interface->state == INTERFACE_COUNTING;

	if (counted && !interface->gone)
		interface_read_counters(interface, monitor, TRUTH_BEFORE);
	interface->state = INTERFACE_STOPPED;
	/* making an entry say less cannot fail */
	(void)interface_set_slot(interface, monitor,
				 keep_covered ? interface->slot.flags & FLOW_SLOT_COVERED : 0,
				 slot_table_set);
	if (counted)
		interface_end_truth(interface, monitor);
}

void interface_detach_each(struct interface *const *interfaces, size_t n,
			   const struct monitor *monitor)
{
	_free_ struct attach_job *jobs = calloc(n + 1, sizeof(*jobs));

	if (!jobs) {
		log_error("cannot detach from %zu interfaces: %s", n, strerror(ENOMEM));
		return;
	}
	for (size_t i = 0; i < n; i++)
		jobs[i] = interface_job(interfaces[i]);
	attach_detach_each(monitor->attacher, jobs, n);
	for (size_t i = 0; i < n; i++) {
		int err = jobs[i].result;

		if (!err)
			log_info("%s: %s", jobs[i].name, jobs[i].gone ? "gone" : "detached");
		else if (err != interfaces[i]->detach_error)
			log_error("%s: cannot detach: %s; trying again", jobs[i].name,
				  strerror(-err));
		interfaces[i]->detach_error = err;
		monitor->counts->detached += !err;
	}
}
