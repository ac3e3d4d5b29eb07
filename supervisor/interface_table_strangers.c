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
#include "netlink/rtnl_query.h"
#include "netlink/secondary.h"
#include "supervisor/interface_table_private.h"
#include "supervisor/program.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_LOOK_NS (10 * NSEC_PER_MSEC)
/* After a message the pauses grow with the time that has passed since, until so much has. */
#define YOUNG_NS (30 * NSEC_PER_SEC)

/*
 * For each interface that is asked the kernel walks over all of them (rtnl_fdb_dump() in
 * net/core/rtnetlink.c), when whoever makes a storm lets go of the RTNL lock. So one look takes
 * about so long, the rest waits for the next, and that for so many times what this one took.
 */
#define LOOK_NS	   (10 * NSEC_PER_MSEC)
#define LOOK_PAUSE 8

/* Where all are to be asked and are more than that, one question for all addresses there are. */
#define ASKED_ONE_BY_ONE 64

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

	return link->lower_in_other_netns || is_pair(interface) ? 0 : link->lower;
}

/* The rest shows first whatever it receives, or is a port: its bridge takes all its frames, so
 * nothing stands on it. */
static bool table_may_have_strangers(struct interface_table *table,
				     const struct interface *interface)
{
	const struct interface *master = *table_find(table, interface->link.master);

	if (interface->link.master && !(master && is_kind(master, "vrf")))
		return false;
	return (is_pair(interface) && !interface->link.lower_in_other_netns) ||
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
	err = rtnl_query_each_secondary(table->monitor->query, interface->link.ifindex,
					take_secondary, &found);
	if (!err)
		turners_replace(&interface->secondary, &found);
	else
		log_debug("%s: its secondary addresses cannot be read: %s", interface->link.name,
			  strerror(-err));
	free(found.list);
}

/* What is found at those that may have strangers. */
struct finds {
	struct interface_table *table;
	struct turners list;
};

static int take_find(void *data, const struct secondary *secondary)
{
	struct finds *finds = data;
	const struct interface *interface = *table_find(finds->table, secondary->ifindex);

	if (!interface || !table_may_have_strangers(finds->table, interface))
		return 0;
	return turners_add(&finds->list, secondary->ifindex, secondary->address);
}

static int table_hand_out(struct interface_table *table, const struct turners *finds)
{
	int err = 0;

	FOR_EACH_INTERFACE (table, interface)
		interface->secondary.count = 0;
	for (size_t i = 0; i < finds->count && !err; i++) {
		const struct flow_turner *find = &finds->list[i];

		err = turners_add(&(*table_find(table, find->ifindex))->secondary, find->ifindex,
				  find->address);
	}
	FOR_EACH_INTERFACE (table, interface)
		turners_sort(&interface->secondary);
	return err;
}

static void table_read_all_secondaries(struct interface_table *table)
{
	struct finds finds = {.table = table};
	int err = rtnl_query_each_secondary(table->monitor->query, 0, take_find, &finds);

	if (!err)
		err = table_hand_out(table, &finds.list);
	if (err)
		log_debug("secondary addresses cannot be read: %s", strerror(-err));
	free(finds.list.list);
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
	if (is_ipvlan(interface) && !interface->link.lower_in_other_netns)
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

static size_t table_count_askable(struct interface_table *table)
{
	size_t count = 0;

	FOR_EACH_INTERFACE (table, interface)
		count += table_may_have_strangers(table, interface);
	return count;
}

static void table_ask_all(struct interface_table *table)
{
	if (table_count_askable(table) > ASKED_ONE_BY_ONE)
		table_read_all_secondaries(table);
	else
		FOR_EACH_INTERFACE (table, interface)
			table_read_secondary(table, interface);
}

/* When it is to be asked again. */
static int64_t table_next_look(const struct interface *interface, int64_t now_ns)
{
	int64_t age_ns = now_ns - interface->told_ns;

	if (!interface->told_ns || age_ns >= YOUNG_NS)
		return 0;
	return now_ns + (age_ns / 2 > FIRST_LOOK_NS ? age_ns / 2 : FIRST_LOOK_NS);
}

/* Returns whether anybody in the bucket was asked. */
static bool table_ask_bucket(struct interface_table *table, size_t bucket, int64_t now_ns)
{
	bool asked = false;

	FOR_EACH_IN (table->buckets[bucket], interface) {
		if (!interface->look_ns || interface->look_ns > now_ns)
			continue;
		table_read_secondary(table, interface);
		interface->look_ns = table_next_look(interface, now_ns);
		asked = true;
	}
	return asked;
}

/* Goes on where the last look ended, so that each has its turn. */
static void table_ask_due(struct interface_table *table, int64_t now_ns)
{
	for (size_t i = 0; i < TABLE_BUCKETS; i++) {
		bool asked = table_ask_bucket(table, table->look_bucket, now_ns);

		table->look_bucket = (table->look_bucket + 1) % TABLE_BUCKETS;
		if (asked && clock_boottime_ns() - now_ns >= LOOK_NS)
			return;
	}
}

static void table_schedule_look(struct interface_table *table, int64_t began_ns)
{
	int64_t now_ns = clock_boottime_ns(), next_ns = INT64_MAX;

	table->rested_ns = now_ns + LOOK_PAUSE * (now_ns - began_ns);
	FOR_EACH_INTERFACE (table, interface)
		if (interface->look_ns && interface->look_ns < next_ns)
			next_ns = interface->look_ns;
	if (next_ns < table->rested_ns)
		next_ns = table->rested_ns;
	table->look_ns = next_ns < INT64_MAX ? next_ns : 0;
}

void table_find_strangers(struct interface_table *table, bool all)
{
	int64_t now_ns = clock_boottime_ns();
	int err;

	if (!all && now_ns < table->rested_ns)
		return;
	if (all)
		table_ask_all(table);
	else
		table_ask_due(table, now_ns);
	err = table_update_strangers(table);
	if (err)
		log_error("devices of other network namespaces are not known: %s", strerror(-err));
	table_schedule_look(table, now_ns);
}

void table_expect_strangers(struct interface_table *table, uint32_t ifindex)
{
	int64_t now_ns = clock_boottime_ns(), look_ns = now_ns + FIRST_LOOK_NS;

	if (look_ns < table->rested_ns)
		look_ns = table->rested_ns;
	for (unsigned int depth = 0; ifindex && depth < DEPTH_MAX; depth++) {
		struct interface *interface = *table_find(table, ifindex);

		if (!interface)
			return;
		ifindex = lower_of(interface);
		if (!is_ipvlan(interface) && !table_may_have_strangers(table, interface))
			continue;
		/* at once, if roles are looked at before the pause is over */
		interface->told_ns = interface->look_ns = now_ns;
		if (!table->look_ns || table->look_ns > look_ns)
			table->look_ns = look_ns;
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
