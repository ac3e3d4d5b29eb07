/* SPDX-License-Identifier: GPL-2.0-only */
/* The addresses of this host, to tell the local end of a flow. */
#ifndef FLOWTALLY_LOCALS_H
#define FLOWTALLY_LOCALS_H

#include <stdbool.h>
#include <stdint.h>

struct local_set;

int local_set_new(struct local_set **ret);
void local_set_free(struct local_set *set);

/*
 * An address is added once for each interface that has it and stays until the last of them has lost
 * it. Network byte order, IPv4 as ::ffff:a.b.c.d. Adding twice and removing what is not there are
 * harmless: a dump repeats what events said. 0; -EINVAL: no interface has index 0; -ENOMEM.
 */
int local_set_add(struct local_set *set, uint32_t ifindex, const uint8_t addr[16]);
void local_set_remove(struct local_set *set, uint32_t ifindex, const uint8_t addr[16]);
void local_set_remove_interface(struct local_set *set, uint32_t ifindex);

/* What is not added between the two turns out to be gone. A dump that begins anew, or never ends,
 * takes nothing away. */
void local_set_dump_begin(struct local_set *set);
void local_set_dump_end(struct local_set *set);

/* 127.0.0.0/8 and ::1 are always local (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3). */
bool local_set_has(const struct local_set *set, const uint8_t addr[16]);

#endif
