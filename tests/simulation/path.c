// SPDX-License-Identifier: GPL-2.0-only
#include "tests/simulation/path.h"

#include <stdio.h>
#include <string.h>

struct walk {
	const struct host *host;
	struct path *path;
	struct random route;
	unsigned int sender;
	const struct turns *turns; /* NULL: nobody translates */
	unsigned int inner;	   /* hooks that showed the packet itself */
	bool outer;		   /* it is inside another one now */
	bool leaves;		   /* the outer one does */
};

static void transmit(struct walk *walk, size_t link, uint32_t iif);
static void receive(struct walk *walk, size_t link);

static enum face face_of(const struct walk *walk)
{
	const struct turns *turns = walk->turns;
	unsigned int passed = 0;

	if (walk->outer)
		return FACE_OUTER + 2 * walk->sender + walk->leaves;
	if (!turns)
		return FACE_ORIGINAL;
	passed = (walk->inner >= turns->at[0]) + (walk->inner >= turns->at[1]);
	if (walk->sender)
		passed = 2 - passed;
	return passed == 0 ? FACE_ORIGINAL : passed == 1 ? turns->half : turns->last;
}

static bool pass(struct walk *walk, size_t link, enum hook hook, uint32_t iif)
{
	struct path *path = walk->path;

	if (path->count == STEPS_MAX) {
		path->cut = true;
		return false;
	}
	path->steps[path->count++] = (struct step){.link = (uint8_t)link,
						   .hook = hook,
						   .iif = (uint8_t)iif,
						   .face = face_of(walk)};
	walk->inner += !walk->outer;
	return true;
}

/* The ingress hook of a device, and what tc does behind it. */
static bool pass_in(struct walk *walk, size_t link, uint8_t turner)
{
	size_t ifb = host_shaper(walk->host, link);
	uint32_t iif = (uint32_t)link + 1;

	if (!pass(walk, link, HOOK_INGRESS, iif))
		return false;
	walk->path->steps[walk->path->count - 1].turner = turner;
	return ifb == NO_LINK || pass(walk, ifb, HOOK_EGRESS, iif);
}

/* By a bridge that does not know the port, one copy for each of two. */
static void flood(struct walk *walk, size_t bridge, size_t first, uint32_t iif)
{
	const struct host *host = walk->host;
	size_t second = host_pick_port(host, &walk->route, bridge, first);
	uint8_t fork = walk->path->count;

	transmit(walk, first, iif);
	if (second == NO_LINK || second + 1 == iif || walk->path->copy || walk->outer)
		return;
	walk->path->fork = fork;
	walk->path->copy = walk->path->count;
	transmit(walk, second, iif);
}

static void send_by_port(struct walk *walk, size_t master, uint32_t iif)
{
	size_t port = host_pick_port(walk->host, &walk->route, master, iif ? iif - 1 : NO_LINK);

	if (port == NO_LINK)
		return;
	if (walk->host->kinds[master] == KIND_BRIDGE && random_chance(&walk->route, 15))
		flood(walk, master, port, iif);
	else
		transmit(walk, port, iif);
}

/* To a sibling, if there is one, here or in a container: the lower device receives it. */
static bool turn_back(struct walk *walk, size_t link)
{
	size_t lower = walk->host->links[link].lower - 1;
	size_t sibling = host_pick_sibling(walk->host, &walk->route, link);

	if (sibling == NO_LINK && !host_has_strangers(walk->host, lower))
		return false;
	if (pass_in(walk, lower, (uint8_t)(link + 1)) && sibling != NO_LINK)
		pass_in(walk, sibling, 0);
	return true;
}

static void send_born(struct walk *walk, size_t link);

/* The packet goes on inside of another one, which is born here. */
static void encapsulate(struct walk *walk)
{
	const struct host *host = walk->host;

	if (walk->outer)
		return;
	walk->outer = walk->leaves = true;
	send_born(walk, random_below(&walk->route, (unsigned int)host->count));
	walk->outer = walk->leaves = false;
}

/* The egress hook of a device, and what the device does with the packet. */
static void transmit(struct walk *walk, size_t link, uint32_t iif)
{
	const struct host *host = walk->host;
	const struct topology_link *l = &host->links[link];
	size_t diverter = host_diverter(host, link);

	if (diverter != NO_LINK && random_chance(&walk->route, 50)) {
		transmit(walk, diverter, l->ifindex);
		return;
	}
	/* no tunnel inside of another one */
	if (host->gone[link] || (walk->outer && host_is_tunnel(host, link)) ||
	    !pass(walk, link, HOOK_EGRESS, iif))
		return;
	switch (host->kinds[link]) {
	case KIND_LOOPBACK:
	case KIND_VRF:
		pass(walk, link, HOOK_INGRESS, l->ifindex);
		break;
	case KIND_VETH:
		if (!l->lower_in_other_netns)
			receive(walk, l->lower - 1);
		break;
	case KIND_BRIDGE:
	case KIND_BOND:
	case KIND_TEAM:
		send_by_port(walk, link, iif);
		break;
	case KIND_NETVSC:
		if (random_chance(&walk->route, 50))
			send_by_port(walk, link, iif);
		break;
	case KIND_MACVLAN:
	case KIND_MACVTAP:
		if (!random_chance(&walk->route, 33) || !turn_back(walk, link))
			transmit(walk, l->lower - 1, iif);
		break;
	case KIND_VLAN:
	case KIND_IPVLAN:
		transmit(walk, l->lower - 1, iif);
		break;
	case KIND_VXLAN:
	case KIND_WIREGUARD:
		encapsulate(walk);
		break;
	case KIND_PHYSICAL:
	case KIND_IFB: /* only what was redirected goes on */
	case KINDS:
		break;
	}
}

/* The network layer's end of a device: delivered here, or routed. */
static void route_packet(struct walk *walk, size_t link)
{
	const struct host *host = walk->host;
	size_t to = random_below(&walk->route, (unsigned int)host->count);
	bool is_port =
		host->links[to].master && host->kinds[host->links[to].master - 1] != KIND_VRF;

	if (random_chance(&walk->route, 50) || is_port || host->kinds[to] == KIND_LOOPBACK ||
	    host->kinds[to] == KIND_VRF)
		return;
	/* vrf_ip_rcv() makes the VRF the device that it was received on */
	transmit(walk, to,
		 host->links[link].master ? host->links[link].master : (uint32_t)link + 1);
}

/* An outer packet that came from outside ends at a tunnel, and what is in it goes on there. */
static void deliver(struct walk *walk, size_t link)
{
	size_t tunnel;

	if (!walk->outer || walk->leaves) {
		route_packet(walk, link);
		return;
	}
	walk->outer = false;
	tunnel = host_pick_tunnel(walk->host, &walk->route);
	if (tunnel != NO_LINK)
		receive(walk, tunnel);
}

static void receive(struct walk *walk, size_t link)
{
	const struct host *host = walk->host;
	const struct topology_link *l = &host->links[link];
	size_t upper, master = l->master ? l->master - 1 : NO_LINK;

	if (host->gone[link] || !pass_in(walk, link, 0))
		return;
	upper = host_pick_upper(host, &walk->route, link);
	if (upper != NO_LINK && random_chance(&walk->route, 66))
		receive(walk, upper);
	else if (master == NO_LINK || host->kinds[master] == KIND_VRF)
		deliver(walk, link);
	else if (host->kinds[master] != KIND_BRIDGE || random_chance(&walk->route, 50))
		receive(walk, master);
	else
		send_by_port(walk, master, l->ifindex);
}

/* Inside a VRF its device shows what is born first, unless the kernel goes the direct way. */
static void send_in_vrf(struct walk *walk, size_t vrf, size_t slave)
{
	if (random_chance(&walk->route, 50) && !pass(walk, vrf, HOOK_EGRESS, 0))
		return;
	transmit(walk, slave, 0);
}

static void send_born(struct walk *walk, size_t link)
{
	const struct host *host = walk->host;
	size_t master = NO_LINK;

	/* a port has no address: its traffic is born at its master */
	while (host->links[link].master) {
		master = host->links[link].master - 1;
		if (host->kinds[master] == KIND_VRF)
			break;
		link = master;
		master = NO_LINK;
	}
	if (master != NO_LINK)
		send_in_vrf(walk, master, link);
	else
		transmit(walk, link, 0);
}

/* From a macvlan of another namespace, to a sibling there or here: the lower device receives it. */
static void receive_from_stranger(struct walk *walk, size_t lower)
{
	size_t sibling = host_pick_macvlan(walk->host, &walk->route, lower);

	if (pass_in(walk, lower, STRANGER) && sibling != NO_LINK && random_chance(&walk->route, 66))
		receive(walk, sibling);
}

void path_walk(const struct host *host, struct random route, unsigned int sender,
	       const struct turns *turns, struct path *path)
{
	struct walk walk = {
		.host = host, .path = path, .route = route, .sender = sender, .turns = turns};
	size_t link = random_below(&walk.route, (unsigned int)host->count);

	path->count = path->fork = path->copy = 0;
	path->cut = false;
	if (host_has_strangers(host, link) && random_chance(&walk.route, 50))
		receive_from_stranger(&walk, link);
	else if (host_is_edge(host, link) && random_chance(&walk.route, 50)) {
		walk.outer = host_pick_tunnel(host, &walk.route) != NO_LINK &&
			     random_chance(&walk.route, 50);
		receive(&walk, link);
	} else {
		send_born(&walk, link);
	}
}

static bool is_outer(const struct step *step)
{
	return step->face >= FACE_OUTER;
}

bool path_is_visible(const struct host *host, const struct path *path)
{
	for (size_t i = 0; i < path->count; i++)
		if (!is_outer(&path->steps[i]) && host->monitored[path->steps[i].link])
			return true;
	return false;
}

bool path_shows(const struct host *host, const struct path *path, enum face face)
{
	for (size_t i = 0; i < path->count; i++)
		if (path->steps[i].face == face && host->monitored[path->steps[i].link])
			return true;
	return false;
}

/* Whether a hook of the bottom shows the packet after the judged one that it is a reference of. */
static bool is_shown_below_again(const struct topology_role *roles, const struct path *path,
				 size_t i)
{
	const struct step *at = &path->steps[i];
	const struct topology_hook *hook = &roles[at->link].hook[HOOK_INGRESS];

	for (size_t r = 0; at->hook == HOOK_INGRESS && r < hook->reference_count; r++)
		for (size_t j = i + 1; j < path->count; j++)
			if (path->steps[j].hook == HOOK_INGRESS &&
			    hook->references[r].hook == HOOK_INGRESS &&
			    hook->references[r].id == roles[path->steps[j].link].id &&
			    hook->references[r].id != TOPOLOGY_ANY)
				return true;
	return false;
}

/* It left after it was seen, or perhaps was. */
static bool is_repeat(const struct topology_role *roles, const struct step *step)
{
	return step->hook == HOOK_EGRESS && step->iif &&
	       (roles[step->iif - 1].covered || roles[step->iif - 1].partial);
}

/* One copy of a flood comes back in below a watched macvlan, the other leaves by the same device:
 * so does a packet that came in there and left by both. */
static bool is_turned_and_gone(const struct host *host, const struct topology_role *roles,
			       const struct path *path, size_t i)
{
	const struct step *at = &path->steps[i];
	const struct topology_hook *hook = &roles[at->link].hook[HOOK_INGRESS];
	size_t other = i < path->copy ? path->copy : path->fork;
	size_t end = i < path->copy ? path->count : path->copy;

	if (!path->copy || !at->turner || hook->sight != SIGHT_JUDGED || topology_hook_any(hook) ||
	    at->turner == STRANGER || !host->monitored[at->turner - 1] || !is_repeat(roles, at - 1))
		return false;
	for (size_t j = other; j < end; j++)
		if (path->steps[j].link == at->link && is_repeat(roles, &path->steps[j]))
			return true;
	return false;
}

/* It came from a macvlan that nobody here watches already. */
static bool is_turned_twice(const struct path *path, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (path->steps[j].link == path->steps[i].link && path->steps[j].turner)
			return true;
	return false;
}

/* A packet that comes by the same hook twice, unless the source of its frame or a macvlan shows how
 * it came back. */
static bool is_step_beyond(const struct host *host, const struct topology_role *roles,
			   const struct path *path, size_t i)
{
	const struct step *at = &path->steps[i];

	if (is_shown_below_again(roles, path, i) || is_turned_and_gone(host, roles, path, i))
		return true;
	if (at->turner && at->turner != STRANGER) {
		if (!host->monitored[at->turner - 1])
			return is_turned_twice(path, i);
		if (!topology_hook_any(&roles[at->link].hook[HOOK_INGRESS]))
			return false;
	}
	for (size_t j = 0; j < i; j++)
		if (path->steps[j].link == at->link && path->steps[j].hook == at->hook &&
		    path->steps[j].face / FACE_OUTER == at->face / FACE_OUTER)
			return true;
	return false;
}

/* Copies that nobody saw before they were made, but for an ifb, which does not tell that. */
static bool is_flood_beyond(const struct host *host, const struct path *path)
{
	bool seen = false;

	for (size_t i = 0; i < path->fork; i++)
		seen |= !is_outer(&path->steps[i]) && host->monitored[path->steps[i].link] &&
			host->kinds[path->steps[i].link] != KIND_IFB;
	return path->copy && !seen;
}

bool path_is_beyond(const struct host *host, const struct topology_role *roles,
		    const struct path *path)
{
	for (size_t i = 0; i < path->count; i++)
		if (is_step_beyond(host, roles, path, i))
			return true;
	return path->cut || is_flood_beyond(host, path);
}

bool step_is_unsure(const struct host *host, const struct topology_role *roles,
		    const struct step *step)
{
	if (step->hook == HOOK_EGRESS)
		return step->iif && roles[step->iif - 1].partial;
	return step->turner && roles[step->link].turns &&
	       (step->turner == STRANGER || !host->monitored[step->turner - 1]);
}

static enum sight sight_of(const struct host *host, const struct topology_role *roles,
			   const struct step *step)
{
	enum hook hook = step->hook;

	if (step_is_unsure(host, roles, step))
		hook = hook == HOOK_EGRESS ? HOOK_UNSURE : HOOK_TURNED;
	return roles[step->link].hook[hook].sight;
}

bool path_is_judged(const struct host *host, const struct topology_role *roles,
		    const struct path *path)
{
	for (size_t i = 0; i < path->count; i++) {
		const struct step *at = &path->steps[i];

		if (host->monitored[at->link] && sight_of(host, roles, at) == SIGHT_JUDGED)
			return true;
	}
	return false;
}

/* Whether what is shown after this step may have been judged here already. */
static bool is_judged_early(const struct host *host, const struct topology_role *roles,
			    const struct step *step)
{
	if (!host->monitored[step->link])
		return false;
	if (host->kinds[step->link] == KIND_IFB)
		return sight_of(host, roles, step) == SIGHT_JUDGED;
	return step->hook == HOOK_INGRESS &&
	       roles[step->link].hook[HOOK_INGRESS].sight == SIGHT_JUDGED;
}

bool path_is_judged_early(const struct host *host, const struct topology_role *roles,
			  const struct path *path)
{
	for (size_t i = 0; i < path->count; i++) {
		const struct step *at = &path->steps[i];
		bool ifb = host->kinds[at->link] == KIND_IFB;

		for (size_t j = i + 1; j < path->count && is_judged_early(host, roles, at); j++)
			if (ifb ||
			    (path->steps[j].hook == HOOK_EGRESS && path->steps[j].link == at->link))
				return true;
	}
	return false;
}

bool path_same(const struct path *a, const struct path *b)
{
	return a->count == b->count && !memcmp(a->steps, b->steps, a->count * sizeof(*a->steps));
}

void path_print(const struct path *path)
{
	static const char *const faces[FACES] = {"",	   "'",	     "*",      "'*",
						 " outer", " outer", " outer", " outer"};

	for (size_t i = 0; i < path->count; i++)
		printf("%s%s %u (%u)%s", path->copy && path->copy == i ? " copy:" : " ",
		       path->steps[i].hook == HOOK_EGRESS ? "out" : "in", path->steps[i].link + 1U,
		       path->steps[i].iif, faces[path->steps[i].face]);
	printf("\n");
}
