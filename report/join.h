/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * NAT shows the packets of one conversation under several keys, its faces. Here they come together
 * under one: that of the original direction, what the client sent and whereto. So both faces of a
 * packet meet before anything is judged.
 */
#ifndef FLOWTALLY_JOIN_H
#define FLOWTALLY_JOIN_H

#include "report/flow_table.h"

struct nat_table;

/*
 * Moves what flows hold under other faces to the original one; the emptied entries remain. Doing it
 * again changes nothing, and what is added to any face later is moved the next time. Returns
 * whether something was moved, or -ENOMEM: then some was, and nothing is lost.
 */
int join_faces(struct flow_table *flows, const struct nat_table *nat);

#endif
