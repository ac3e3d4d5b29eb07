/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which hooks of which interfaces show a packet first, from the stack of devices. Pure: links in,
 * roles out. The rule and its reasons are in doc/dedup.md.
 */
#ifndef FLOWTALLY_TOPOLOGY_H
#define FLOWTALLY_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A link of this namespace, monitored or not. */
struct topology_link {
	uint32_t ifindex;
	uint32_t id;	 /* of the phase that the interface is in (merge.h); 0: not monitored */
	uint32_t master; /* ifindex, 0: none */
	uint32_t lower;	 /* IFLA_LINK if it is in this namespace, else 0: the device below, or a
			    veth's peer */
	/* IFLA_LINK names a device of another namespace */
	bool lower_in_other_netns;
	bool strangers;	  /* macvlans or ipvlans of other namespaces stand on it */
	bool preceded;	  /* its ingress hook may miss what others take away in front of it */
	bool diverted;	  /* what others take away in front of its egress hook leaves elsewhere as
			     if it was received here */
	bool keeps_tags;  /* as a master it hands what is born on it to its ports at once, and with
			     the VLAN tags that it has */
	const char *kind; /* borrowed; as link_kind() says */
};

enum sight {
	SIGHT_FIRST,  /* what this hook shows was not shown before by a monitored hook */
	SIGHT_REPEAT, /* it was, all of it */
	SIGHT_JUDGED, /* it depends: the excess over what the references show is a first sight,
			 decided per flow */
};

/* The two tc hooks of an interface. What each shows is judged in two parts: the packets of ordinary
 * keys, and those of keys with unsure set. */
enum hook {
	HOOK_INGRESS,
	HOOK_EGRESS, /* what was born here, or received where nobody looked */
	HOOK_UNSURE, /* egress: what was received on a device of which only a part is covered */
	HOOK_TURNED, /* ingress: what a device above that nobody here watches sent to a sibling */
	HOOKS,
};

static inline bool hook_is_egress(enum hook hook)
{
	return hook == HOOK_EGRESS || hook == HOOK_UNSURE;
}

/* A monitored hook that may have shown before what a judged hook shows. */
struct topology_reference {
	uint32_t id;
	enum hook hook;
};

#define TOPOLOGY_ANY 0 /* as a reference's id: everything that was counted at other hooks */

struct topology_hook {
	enum sight sight;
	struct topology_reference *references; /* owned by the role; only for SIGHT_JUDGED */
	size_t reference_count;
};

/* Whether it is judged against TOPOLOGY_ANY. */
static inline bool topology_hook_any(const struct topology_hook *hook)
{
	for (size_t r = 0; r < hook->reference_count; r++)
		if (hook->references[r].id == TOPOLOGY_ANY)
			return true;
	return false;
}

struct topology_role {
	uint32_t id;  /* as given; 0 for links that are not monitored */
	bool covered; /* all that is received on it is shown on monitored hooks: FLOW_SLOT_COVERED
		       */
	bool partial; /* some of what is received on it may be: FLOW_SLOT_PARTIAL */
	bool turns;   /* it receives what devices above, which nobody here watches, send to each
			 other: FLOW_SLOT_TURNS */
	bool born_repeat; /* what is born here was shown at its monitored master's egress:
			     FLOW_SLOT_BORN_REPEAT */
	bool tags; /* what is born with a VLAN tag is noted at such a master, and at its port a
		      repeat only if it was: FLOW_SLOT_TAGS */
	unsigned int level;	/* height in the stack: 0 has no device below it */
	unsigned int swap_rank; /* its map is swapped after those of lower ranks (swap_order.h) */
	struct topology_hook hook[HOOKS];
};

/*
 * roles[i] belongs to links[i]; the caller provides count of them and calls topology_role_clean()
 * on each. Loops in the links (a lower chain that bites its tail) are cut, never followed for ever.
 * 0 or -ENOMEM, then no role is set.
 */
int topology_resolve(const struct topology_link *links, size_t count, struct topology_role *roles);
void topology_role_clean(struct topology_role *role);
/* *to is overwritten. 0, or -ENOMEM, then it is left alone. */
int topology_role_copy(struct topology_role *to, const struct topology_role *from);

/* Whether all hooks are what they were, references included. */
bool topology_role_same(const struct topology_role *a, const struct topology_role *b);

/* Whether what was received on the device is of the same class at egress hooks in both roles, be it
 * monitored or not. */
bool topology_class_same(const struct topology_role *a, const struct topology_role *b);

#endif
