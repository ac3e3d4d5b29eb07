/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which flow keys show one conversation that the kernel translates, under what conntrack calls its
 * original direction; and who began those that it only tracks. Pure: conntrack entries in,
 * conversations out.
 *
 * A packet has up to four faces on its way. Routers show the original one at ingress and the fully
 * translated one at egress; a connection of the host itself has its destination translated before
 * its first egress hook, so its original face is on no wire; of one that is redirected to the host
 * it is the only one on a wire. A bridge with br_netfilter shows half translated ones.
 */
#ifndef FLOWTALLY_NAT_H
#define FLOWTALLY_NAT_H

#include "bpf/flow_types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAT_TABLE_MAX ((size_t)1 << 20) /* conversations held at once */
#define NAT_PLAIN_MAX ((size_t)1 << 18) /* those of them that are not translated */

struct conntrack_entry;
struct nat_table;

struct nat_end {
	uint8_t addr[16]; /* network byte order; IPv4 as ::ffff:a.b.c.d */
	__be16 port;
};

struct nat_conversation {
	struct flow_key original; /* what the client sent, and whereto */
	uint8_t client;		  /* which end of original that is */
	bool swapped;		  /* end 0 of the key that was asked for is end 1 of original */
	/* How the ends look behind the translation; as in original where it leaves them alone. */
	struct nat_end client_seen_as, server_seen_as;
};

int nat_table_new(struct nat_table **ret);
void nat_table_free(struct nat_table *table);

/*
 * Takes an entry that is there, or gone; one whose translation shows in no flow key is not
 * translated here. In one zone a new entry takes the place of an older one with the same tuple. 0;
 * -ENOMEM; -ENOSPC: NAT_TABLE_MAX or NAT_PLAIN_MAX are held. After an error its conversation is not
 * joined, and its client not known.
 */
int nat_table_update(struct nat_table *table, const struct conntrack_entry *entry);

/* Between begin and end all entries that are there are updated, or, if not whole, all whose status
 * says that they are translated. Those of them that were not updated have gone. */
void nat_table_dump_begin(struct nat_table *table);
void nat_table_dump_end(struct nat_table *table, bool whole);

/* An entry that went in the interval that ends stays for the next one, since its last packets may
 * be counted then; those that went before are forgotten. */
void nat_table_next_interval(struct nat_table *table);

/*
 * The conversation that key shows. False: key is not translated, or cannot be told: several
 * conversations show that key (of clients with the same tuple in different zones; pings of several
 * clients behind one address), or show the original one of its conversation.
 */
bool nat_table_find(const struct nat_table *table, const struct flow_key *key,
		    struct nat_conversation *ret);

/*
 * Which end of key began the conversation, of one that is not translated: 0 or 1. -1: not known, or
 * several show that key and were not begun by the same end (in different zones; without ports).
 */
int nat_table_client(const struct nat_table *table, const struct flow_key *key);

/* Translated conversations held, and those that are not. */
size_t nat_table_count(const struct nat_table *table);
size_t nat_table_plain(const struct nat_table *table);

#endif
