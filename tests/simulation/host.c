// SPDX-License-Identifier: GPL-2.0-only
#include "tests/simulation/host.h"

#include <stdio.h>
#include <string.h>

static const char *const kind_names[KINDS] = {
	[KIND_LOOPBACK] = "loopback", [KIND_PHYSICAL] = "physical", [KIND_VETH] = "veth",
	[KIND_IFB] = "ifb",	      [KIND_BRIDGE] = "bridge",	    [KIND_BOND] = "bond",
	[KIND_TEAM] = "team",	      [KIND_NETVSC] = "physical",   [KIND_VRF] = "vrf",
	[KIND_VLAN] = "vlan",	      [KIND_MACVLAN] = "macvlan",   [KIND_MACVTAP] = "macvtap",
	[KIND_IPVLAN] = "ipvlan",     [KIND_VXLAN] = "vxlan",	    [KIND_WIREGUARD] = "wireguard",
};

static size_t add_link(struct host *host, enum kind kind, uint32_t lower)
{
	size_t link = host->count++;

	host->links[link] = (struct topology_link){.ifindex = (uint32_t)link + 1,
						   .lower = lower,
						   .kind = kind_names[kind]};
	host->kinds[link] = kind;
	host->monitored[link] = true;
	host->gone[link] = false;
	host->shapers[link] = host->diverters[link] = NO_LINK;
	return link;
}

static size_t room(const struct host *host)
{
	return LINKS_MAX - host->count;
}

/* One end of a pair whose other end is in a container. */
static size_t add_container(struct host *host)
{
	size_t link = add_link(host, KIND_VETH, 2);

	host->links[link].lower_in_other_netns = true;
	return link;
}

static void add_pair(struct host *host)
{
	size_t a = add_link(host, KIND_VETH, 0), b = add_link(host, KIND_VETH, 0);

	host->links[a].lower = host->links[b].ifindex;
	host->links[b].lower = host->links[a].ifindex;
}

static bool is_stacked(const struct host *host, size_t link)
{
	return host->kinds[link] >= KIND_VLAN && host->kinds[link] <= KIND_IPVLAN;
}

static bool is_hairpin(enum kind kind)
{
	return kind == KIND_MACVLAN || kind == KIND_MACVTAP;
}

bool host_is_tunnel(const struct host *host, size_t link)
{
	return host->kinds[link] >= KIND_VXLAN;
}

bool host_is_edge(const struct host *host, size_t link)
{
	return !host->gone[link] &&
	       (host->kinds[link] == KIND_PHYSICAL || host->kinds[link] == KIND_NETVSC ||
		(host->kinds[link] == KIND_VETH && host->links[link].lower_in_other_netns));
}

static bool is_upper(const struct host *host, size_t upper, size_t lower)
{
	return is_stacked(host, upper) && !host->gone[upper] &&
	       host->links[upper].lower == host->links[lower].ifindex;
}

static bool has_uppers(const struct host *host, size_t link, bool but_vlans)
{
	for (size_t i = 0; i < host->count; i++)
		if (is_upper(host, i, link) && !(but_vlans && host->kinds[i] == KIND_VLAN))
			return true;
	return false;
}

static bool is_master(const struct host *host, size_t link)
{
	return host->kinds[link] >= KIND_BRIDGE && host->kinds[link] <= KIND_VRF;
}

/* Another one may be put over it: nobody's port yet. */
static bool may_carry(const struct host *host, size_t link)
{
	return !host->gone[link] && !host->links[link].master &&
	       host->kinds[link] != KIND_LOOPBACK && host->kinds[link] != KIND_VRF &&
	       host->kinds[link] != KIND_IFB && host->kinds[link] != KIND_WIREGUARD;
}

static size_t pick_carrier(const struct host *host, struct random *random)
{
	size_t link = random_below(random, (unsigned int)host->count);

	return may_carry(host, link) ? link : NO_LINK;
}

/* A device has one receive handler: macvlans' or ipvlans'. */
static bool may_have_strangers(const struct host *host, size_t link)
{
	bool may = may_carry(host, link);

	for (size_t i = 0; i < host->count; i++)
		may &= !is_upper(host, i, link) || host->kinds[i] != KIND_IPVLAN;
	return may;
}

bool host_has_strangers(const struct host *host, size_t link)
{
	return host->links[link].strangers && may_have_strangers(host, link);
}

/* What the kernel lets become a port of what, as far as the rest of the model goes. */
static bool may_join(const struct host *host, size_t link, size_t master, struct random *random)
{
	enum kind kind = host->kinds[link];

	if (host->gone[link] || host->links[link].master || link == master ||
	    kind == KIND_LOOPBACK || kind == KIND_VRF || kind == KIND_IFB ||
	    host->links[link].strangers)
		return false;
	switch (host->kinds[master]) {
	case KIND_BOND:
	case KIND_TEAM:
	case KIND_NETVSC:
		return kind == KIND_PHYSICAL && !has_uppers(host, link, false);
	case KIND_BRIDGE:
		if (kind == KIND_BRIDGE || kind == KIND_WIREGUARD ||
		    (is_stacked(host, link) && kind != KIND_VLAN))
			return false;
		return !has_uppers(host, link, true) &&
		       (!has_uppers(host, link, false) || random_chance(random, 25));
	case KIND_VRF:
		return true;
	default:
		return false;
	}
}

/* The kernel lets nothing become a port of what is below it, however far:
 * __netdev_upper_dev_link().
 */
static bool is_below(const struct host *host, size_t link, size_t upper)
{
	uint32_t master = host->links[link].master;

	if (link == upper || (master && is_below(host, master - 1, upper)))
		return true;
	for (size_t i = 0; i < host->count; i++)
		if (is_upper(host, i, link) && is_below(host, i, upper))
			return true;
	return false;
}

static void join_ports(struct host *host, struct random *random, size_t master,
		       unsigned int percent)
{
	for (size_t i = 0; i < host->count; i++)
		if (may_join(host, i, master, random) && !is_below(host, master, i) &&
		    random_chance(random, percent))
			host->links[i].master = host->links[master].ifindex;
}

static void add_stacked(struct host *host, struct random *random)
{
	static const enum kind kinds[] = {KIND_VLAN,	KIND_VLAN,    KIND_MACVLAN,
					  KIND_MACVLAN, KIND_MACVTAP, KIND_IPVLAN};
	enum kind kind = kinds[random_below(random, 6)];
	size_t lower = pick_carrier(host, random);

	if (lower == NO_LINK || !room(host))
		return;
	if (kind == KIND_IPVLAN && host->links[lower].strangers)
		return;
	for (size_t i = 0; i < host->count; i++)
		if (is_upper(host, i, lower) && kind != KIND_VLAN && host->kinds[i] != KIND_VLAN &&
		    (kind == KIND_IPVLAN) != (host->kinds[i] == KIND_IPVLAN))
			return;
	add_link(host, kind, host->links[lower].ifindex);
}

/* IFLA_LINK of a tunnel names what carries it: no stack. */
static void add_tunnel(struct host *host, struct random *random)
{
	uint32_t carrier = 1 + random_below(random, (unsigned int)host->count);

	add_link(host, random_chance(random, 70) ? KIND_VXLAN : KIND_WIREGUARD,
		 random_chance(random, 50) ? carrier : 0);
}

/* One or two devices are shaped. */
static void add_shaper(struct host *host, struct random *random)
{
	size_t ifb = add_link(host, KIND_IFB, 0);

	for (unsigned int n = 0; n < 2; n++) {
		size_t link = random_below(random, (unsigned int)ifb);

		if (host->kinds[link] != KIND_LOOPBACK && host->kinds[link] != KIND_VRF)
			host->shapers[link] = ifb;
	}
}

size_t host_shaper(const struct host *host, size_t link)
{
	size_t ifb = host->shapers[link];

	return ifb == NO_LINK || host->gone[ifb] ? NO_LINK : ifb;
}

static bool may_divert(const struct host *host, size_t link)
{
	return !host->gone[link] && host->kinds[link] != KIND_LOOPBACK &&
	       host->kinds[link] != KIND_VRF;
}

static bool has_macvlans(const struct host *host, size_t link)
{
	for (size_t i = 0; i < host->count; i++)
		if (is_hairpin(host->kinds[i]) && is_upper(host, i, link))
			return true;
	return false;
}

/* To one that does not divert itself. Not below macvlans: doc/dedup.md, limits. */
size_t host_diverter(const struct host *host, size_t link)
{
	size_t to = host->diverters[link];

	if (to == NO_LINK || to == link || host->diverters[to] != NO_LINK ||
	    !host->monitored[link] || !may_divert(host, link) || !may_divert(host, to) ||
	    has_macvlans(host, link))
		return NO_LINK;
	return to;
}

static void note_diverted(struct host *host)
{
	for (size_t i = 0; i < host->count; i++)
		host->links[i].diverted = host_diverter(host, i) != NO_LINK;
}

void host_build(struct host *host, struct random *random, unsigned int monitored_percent)
{
	unsigned int n;

	host->count = 0;
	add_link(host, KIND_LOOPBACK, 0);
	for (n = random_between(random, 1, 3); n; n--)
		add_link(host, KIND_PHYSICAL, 0);
	for (n = random_below(random, 4); n; n--)
		add_container(host);
	if (random_chance(random, 40))
		add_pair(host);
	if (random_chance(random, 30))
		join_ports(host, random,
			   add_link(host, random_chance(random, 50) ? KIND_BOND : KIND_TEAM, 0),
			   50);
	if (random_chance(random, 15))
		join_ports(host, random, add_link(host, KIND_NETVSC, 0), 50);
	for (n = random_below(random, 4); n; n--)
		add_stacked(host, random);
	if (random_chance(random, 30))
		add_tunnel(host, random);
	for (n = random_below(random, 3); n; n--) {
		size_t bridge = add_link(host, KIND_BRIDGE, 0);

		join_ports(host, random, bridge, 50);
		if (random_chance(random, 20))
			add_link(host, random_chance(random, 50) ? KIND_VLAN : KIND_MACVLAN,
				 host->links[bridge].ifindex);
	}
	if (random_chance(random, 15))
		join_ports(host, random, add_link(host, KIND_VRF, 0), 40);
	if (random_chance(random, 20))
		add_shaper(host, random);
	for (size_t i = 0; i < host->count; i++) {
		host->monitored[i] = random_chance(random, monitored_percent);
		host->diverters[i] = random_chance(random, 2)
					     ? random_below(random, (unsigned int)host->count)
					     : NO_LINK;
		host->links[i].strangers = may_have_strangers(host, i) && random_chance(random, 15);
	}
	note_diverted(host);
}

static void delete_link(struct host *host, size_t link)
{
	host->gone[link] = true;
	host->monitored[link] = false;
	host->shapers[link] = NO_LINK;
	host->links[link].master = host->links[link].lower = 0;
	host->links[link].lower_in_other_netns = host->links[link].strangers = false;
	/* what is left of it is nobody's neighbour */
	host->kinds[link] = KIND_PHYSICAL;
	host->links[link].kind = kind_names[KIND_PHYSICAL];
}

static const char *toggle_monitored(struct host *host, struct random *random)
{
	for (unsigned int n = random_between(random, 1, 3); n; n--) {
		size_t link = random_below(random, (unsigned int)host->count);

		host->monitored[link] = !host->monitored[link] && !host->gone[link];
	}
	return "other lists";
}

static const char *release_port(struct host *host, struct random *random)
{
	size_t link = random_below(random, (unsigned int)host->count);

	if (!host->links[link].master)
		return NULL;
	host->links[link].master = 0;
	return "a port released";
}

static const char *enslave_port(struct host *host, struct random *random)
{
	size_t link = random_below(random, (unsigned int)host->count);
	size_t master = random_below(random, (unsigned int)host->count);

	if (!is_master(host, master) || host->gone[master] ||
	    !may_join(host, link, master, random) || is_below(host, master, link))
		return NULL;
	host->links[link].master = host->links[master].ifindex;
	return "a port enslaved";
}

static const char *start_container(struct host *host, struct random *random)
{
	size_t link, bridge = random_below(random, (unsigned int)host->count);

	if (!room(host))
		return NULL;
	link = add_container(host);
	if (host->kinds[bridge] == KIND_BRIDGE && !host->gone[bridge])
		host->links[link].master = host->links[bridge].ifindex;
	host->monitored[link] = random_chance(random, 80);
	return "a container started";
}

/* One end of a pair of this host moves to a container. */
static const char *move_end(struct host *host, struct random *random)
{
	size_t link = random_below(random, (unsigned int)host->count), peer;

	if (host->kinds[link] != KIND_VETH || host->links[link].lower_in_other_netns ||
	    has_uppers(host, link, false))
		return NULL;
	peer = host->links[link].lower - 1;
	delete_link(host, link);
	host->links[peer].lower_in_other_netns = true;
	return "an end moved to a container";
}

static const char *remove_link(struct host *host, struct random *random)
{
	size_t link = random_below(random, (unsigned int)host->count);

	if (host->gone[link] || host->kinds[link] == KIND_LOOPBACK || is_master(host, link) ||
	    has_uppers(host, link, false) ||
	    (host->kinds[link] == KIND_VETH && !host->links[link].lower_in_other_netns))
		return NULL;
	delete_link(host, link);
	return "a device deleted";
}

static const char *stack_link(struct host *host, struct random *random)
{
	size_t before = host->count;

	add_stacked(host, random);
	return host->count > before ? "a device stacked on another" : NULL;
}

/* A container on a macvlan started, or the last one ended. */
static const char *toggle_strangers(struct host *host, struct random *random)
{
	size_t link = random_below(random, (unsigned int)host->count);

	if (!host->links[link].strangers && !may_have_strangers(host, link))
		return NULL;
	host->links[link].strangers = !host->links[link].strangers;
	return "strangers came or went";
}

static const char *change(struct host *host, struct random *random)
{
	switch (random_below(random, 10)) {
	case 0:
	case 1:
	case 2:
		return toggle_monitored(host, random);
	case 3:
		return release_port(host, random);
	case 4:
		return enslave_port(host, random);
	case 5:
		return start_container(host, random);
	case 6:
		return move_end(host, random);
	case 7:
		return remove_link(host, random);
	case 8:
		return toggle_strangers(host, random);
	default:
		return stack_link(host, random);
	}
}

const char *host_change(struct host *host, struct random *random)
{
	const char *what = change(host, random);

	note_diverted(host);
	return what;
}

typedef bool (*link_test)(const struct host *host, size_t link, size_t other);

/* The first one from a random place on. */
static size_t pick(const struct host *host, struct random *random, link_test test, size_t other,
		   size_t except)
{
	size_t from = random_below(random, (unsigned int)host->count);

	for (size_t n = 0; n < host->count; n++) {
		size_t link = from + n < host->count ? from + n : from + n - host->count;

		if (link != except && !host->gone[link] && test(host, link, other))
			return link;
	}
	return NO_LINK;
}

static bool is_port(const struct host *host, size_t link, size_t master)
{
	return host->links[link].master == host->links[master].ifindex;
}

static bool is_sibling(const struct host *host, size_t link, size_t other)
{
	return is_hairpin(host->kinds[link]) && host->links[link].lower == host->links[other].lower;
}

static bool is_macvlan_over(const struct host *host, size_t link, size_t other)
{
	return is_hairpin(host->kinds[link]) && is_upper(host, link, other);
}

static bool is_tunnel(const struct host *host, size_t link, size_t other)
{
	(void)other;
	return host_is_tunnel(host, link);
}

size_t host_pick_port(const struct host *host, struct random *random, size_t master, size_t except)
{
	return pick(host, random, is_port, master, except);
}

size_t host_pick_upper(const struct host *host, struct random *random, size_t lower)
{
	return pick(host, random, is_upper, lower, NO_LINK);
}

size_t host_pick_sibling(const struct host *host, struct random *random, size_t link)
{
	return pick(host, random, is_sibling, link, link);
}

size_t host_pick_macvlan(const struct host *host, struct random *random, size_t lower)
{
	return pick(host, random, is_macvlan_over, lower, NO_LINK);
}

size_t host_pick_tunnel(const struct host *host, struct random *random)
{
	return pick(host, random, is_tunnel, NO_LINK, NO_LINK);
}

void host_print(const struct host *host)
{
	for (size_t i = 0; i < host->count; i++) {
		const struct topology_link *link = &host->links[i];

		if (host->gone[i])
			continue;
		printf("#   %u %s%s", link->ifindex, link->kind,
		       host->monitored[i] ? "" : " (not monitored)");
		if (link->master)
			printf(" master %u", link->master);
		if (link->lower_in_other_netns)
			printf(" to a container");
		else if (link->lower)
			printf(" %s %u", is_stacked(host, i) ? "over" : "link", link->lower);
		if (link->strangers)
			printf(" below strangers");
		if (host_shaper(host, i) != NO_LINK)
			printf(" shaped by %zu", host_shaper(host, i) + 1);
		if (host_diverter(host, i) != NO_LINK)
			printf(" diverted to %zu", host_diverter(host, i) + 1);
		printf("\n");
	}
}
