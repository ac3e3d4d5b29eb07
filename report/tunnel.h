/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which flows are the outer packets of tunnels. What goes through a monitored tunnel device is
 * counted there, so its outer packets are marked, and left out of the totals unless both are asked
 * for. Pure.
 */
#ifndef FLOWTALLY_TUNNEL_H
#define FLOWTALLY_TUNNEL_H

#include <stdbool.h>
#include <stdint.h>

struct flow_key;
struct link_tunnel;
struct local_set;
struct report;
struct tunnel_set;

int tunnel_set_new(struct tunnel_set **ret);
void tunnel_set_free(struct tunnel_set *set);

/*
 * Adds a tunnel device by the id of its phase (merge.h); 0: it is not monitored, its outer packets
 * are not to be taken for those of another one. What is no tunnel is not added. 0 or -ENOMEM.
 */
int tunnel_set_add(struct tunnel_set *set, uint32_t id, const struct link_tunnel *outer);

/* The id of the monitored device whose outer packets have this key; 0: none. */
uint32_t tunnel_set_find(const struct tunnel_set *set, const struct flow_key *key,
			 const struct local_set *locals);

/*
 * Marks the flows of a report that is not sorted yet. leave_out: takes them out of its totals, and
 * puts them behind its other flows. 0 or -ENOMEM.
 */
int tunnel_mark_flows(const struct tunnel_set *set, const struct local_set *locals, bool leave_out,
		      struct report *report);

#endif
