// SPDX-License-Identifier: GPL-2.0-only
/*
 * Macvlans of other network namespaces that stand on an interface of this one: the kernel names
 * them to nobody here, but their addresses are secondary ones of that interface. (Those of ipvlans
 * were: they have the address of the interface itself, and newer kernels do not add it.) The kernel
 * tells when one is stacked on it, and not when that gets its address, which is when it goes up: so
 * the addresses are read with each report, and often in the first seconds after a message.
 */
#include "lib/array.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "netlink/rtnl.h"
#include "netlink/secondary.h"
#include "supervisor/interface_table_private.h"
#include "supervisor/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_LOOK_NS (10 * NSEC_PER_MSEC)
/* After a message the pauses grow with the time that has passed since, until so much has. */
#define YOUNG_NS (30 * NSEC_PER_SEC)

/* A VLAN over a VLAN and so on. */
#define DEPTH_MAX 8

static int compare_turners(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct flow_turner));
}

static bool turners_have(const struct turners *turners, const struct flow_turner *turner)
{
	return turners->count &&
	       bsearch(turner, turners->list, turners->count, sizeof(*turner), compare_turners);
}

static int turners_add(struct turners *turners, uint32_t ifindex, const uint8_t *address)
{
	struct flow_turner *turner;
	int err = array_reserve(&turners->list, &turners->capacity, sizeof(*turners->list),
				turners->count + 1);

	if (err)
		return err;
	turner = &turners->list[turners->count++];
	*turner = (struct flow_turner){.ifindex = ifindex};
	memcpy(turner->address, address, sizeof(turner->address));
	return 0;
}

static void turners_sort(struct turners *turners)
{
	if (turners->count)
		qsort(turners->list, turners->count, sizeof(*turners->list), compare_turners);
}

static void turners_replace(struct turners *turners, struct turners *with)
{
	turners_sort(with);
	free(turners->list);
	*turners = *with;
	*with = (struct turners){0};
}

static bool is_kind(const struct interface *interface, const char *kind)
{
	return !strcmp(link_kind(&interface->link), kind);
}

static bool is_ipvlan(const struct interface *interface)
{
	return is_kind(interface, "ipvlan") || is_kind(interface, "ipvtap");
}

static bool is_pair(const struct interface *interface)
{
	return is_kind(interface, "veth") || is_kind(interface, "netkit");
}

static uint32_t lower_of(const struct interface *interface)
{
	const struct link *link = &interface->link;

	return link->lower_abroad || is_pair(interface) ? 0 : link->lower;
}

/* The rest shows first whatever it receives, or is a port: its bridge takes all its frames, so
 * nothing stands on it. */
static bool table_may_have_strangers(struct interface_table *table,
				     const struct interface *interface)
{
	const struct interface *master = *table_find(table, interface->link.master);

	if (interface->link.master && !(master && is_kind(master, "vrf")))
		return false;
	return (is_pair(interface) && !interface->link.lower_abroad) ||
	       is_kind(interface, "vlan") || is_kind(interface, "bridge") ||
	       is_kind(interface, "bond") || is_kind(interface, "team");
}

static int take_secondary(void *data, const struct secondary *secondary)
{
	return turners_add(data, secondary->ifindex, secondary->address);
}

static void table_read_secondary(struct interface_table *table, struct interface *interface)
{
	struct turners found = {0};
	int err;

	if (!table_may_have_strangers(table, interface)) {
		turners_replace(&interface->secondary, &found);
		return;
	}
	err = rtnl_each_secondary(table->monitor->rtnl, interface->link.ifindex, take_secondary,
				  &found);
	if (!err)
		turners_replace(&interface->secondary, &found);
	else
		log_debug("%s: its secondary addresses cannot be read: %s", interface->link.name,
			  strerror(-err));
	free(found.list);
}

/* The addresses of devices of this namespace below which they are known, and those that a VLAN
 * hands down. */
static int table_list_own(struct interface_table *table, struct turners *own)
{
	int err = 0;

	FOR_EACH_INTERFACE (table, interface) {
		uint32_t lower = lower_of(interface);

		if (!lower)
			continue;
		err = err ?: turners_add(own, lower, interface->link.address);
		for (size_t i = 0; i < interface->secondary.count && !err; i++)
			err = turners_add(own, lower, interface->secondary.list[i].address);
	}
	turners_sort(own);
	return err;
}

static int table_list_strangers(const struct interface *interface, const struct turners *own,
				struct turners *strangers)
{
	uint32_t ifindex = interface->link.ifindex;
	int err = 0;

	/* its siblings have the same address */
	if (is_ipvlan(interface) && !interface->link.lower_abroad)
		return turners_add(strangers, ifindex, interface->link.address);
	for (size_t i = 0; i < interface->secondary.count && !err; i++)
		if (!turners_have(own, &interface->secondary.list[i]))
			err = turners_add(strangers, ifindex, interface->secondary.list[i].address);
	return err;
}

/* Tells the program. Returns whether there are some now where there were none, or none any more. */
static bool table_put_strangers(struct interface_table *table, struct interface *interface,
				struct turners *found)
{
	struct program *program = table->monitor->program;
	struct turners *known = &interface->strangers;
	bool changed = !known->count != !found->count;
	int err = 0;

	turners_sort(found);
	if (known->count != found->count)
		log_debug("%s: %zu devices of other network namespaces stand on it",
			  interface->link.name, found->count);
	for (size_t i = 0; i < known->count; i++)
		if (!turners_have(found, &known->list[i]))
			(void)program_delete_turner(program, &known->list[i]);
	for (size_t i = 0; i < found->count && !err; i++)
		if (!turners_have(known, &found->list[i]))
			err = program_add_turner(program, &found->list[i]);
	if (err)
		log_error("%s: what devices of other network namespaces send to each other over it "
			  "is not counted: %s",
			  interface->link.name, strerror(-err));
	turners_replace(known, found);
	return changed;
}

static int table_update_strangers(struct interface_table *table)
{
	struct turners own = {0}, found = {0};
	int err = table_list_own(table, &own);

	FOR_EACH_INTERFACE (table, interface) {
		err = err ?: table_list_strangers(interface, &own, &found);
		if (!err && table_put_strangers(table, interface, &found))
			table->changed = true;
	}
	free(own.list);
	free(found.list);
	return err;
}

void table_find_strangers(struct interface_table *table, bool all)
{
	int64_t now_ns = clock_boottime_ns(), pause_ns = YOUNG_NS;
	int err;

	FOR_EACH_INTERFACE (table, interface) {
		int64_t age_ns = interface->told_ns ? now_ns - interface->told_ns : YOUNG_NS;

		if (all || age_ns < YOUNG_NS)
			table_read_secondary(table, interface);
		if (age_ns < YOUNG_NS && age_ns / 2 < pause_ns)
			pause_ns = age_ns / 2 > FIRST_LOOK_NS ? age_ns / 2 : FIRST_LOOK_NS;
	}
	err = table_update_strangers(table);
	if (err)
		log_error("devices of other network namespaces are not known: %s", strerror(-err));
	table->look_ns = pause_ns < YOUNG_NS ? now_ns + pause_ns : 0;
}

void table_expect_strangers(struct interface_table *table, uint32_t ifindex)
{
	int64_t now_ns = clock_boottime_ns();

	for (unsigned int depth = 0; ifindex && depth < DEPTH_MAX; depth++) {
		struct interface *interface = *table_find(table, ifindex);

		if (!interface)
			return;
		ifindex = lower_of(interface);
		if (!is_ipvlan(interface) && !table_may_have_strangers(table, interface))
			continue;
		interface->told_ns = now_ns;
		if (!table->look_ns || table->look_ns > now_ns + FIRST_LOOK_NS)
			table->look_ns = now_ns + FIRST_LOOK_NS;
	}
}

void table_forget_strangers(struct interface_table *table, struct interface *interface)
{
	table_put_strangers(table, interface, &(struct turners){0});
}

bool table_has_stranger(const struct interface *interface, const struct flow_turner *turner)
{
	return turners_have(&interface->strangers, turner);
}

bool table_has_strangers(const struct interface *interface)
{
	return interface->strangers.count && !is_ipvlan(interface);
}
