// SPDX-License-Identifier: GPL-2.0-only
#include "report/nat.h"

#include "netlink/conntrack_entry.h"
#include "report/flow_hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define RECORDS_FIRST 256
#define NO_RECORD     UINT32_MAX

enum life {
	LIFE_FREE, /* the record holds no conversation; its id is the next such record */
	LIFE_HERE,
	LIFE_WENT,	  /* in this interval */
	LIFE_WENT_BEFORE, /* in the interval before */
};

/*
 * A face that packets of a conversation have: which ends are translated. What is not translated at
 * all has a face by itself, as it is only asked for when a key is nobody else's.
 */
enum {
	CLIENT_TRANSLATED = 1,
	SERVER_TRANSLATED = 2,
	FACE_PLAIN = 4,
	FACES = 5,
};
#define FACE_ORIGINAL	0
#define FACE_TRANSLATED (CLIENT_TRANSLATED | SERVER_TRANSLATED)

/* One conversation claims one key. By the record and the face it has a number, 0 is none; this is
 * its place in the list of those with its hash. */
struct claim {
	uint32_t next, previous;
};

struct record {
	struct nat_end client[2]; /* as in the original direction, translated */
	struct nat_end server[2];
	uint16_t zone[2]; /* of the original direction, of the translated ends */
	uint32_t id;	  /* of the conntrack entry */
	uint32_t dump;	  /* number of the last dump that mentioned it */
	uint32_t entries; /* that stand for it: those without ports are not told apart */
	uint8_t protocol;
	uint8_t family;			 /* enum flow_family */
	uint8_t life;			 /* enum life */
	bool plain;			 /* not translated */
	bool marked;			 /* as translated, so that every dump mentions it */
	uint8_t claimed;		 /* a bit for each face by which it claims a key */
	struct claim claims[FACE_PLAIN]; /* by face; the plain one has no other beside it */
};

/*
 * A key may have as many claims as strangers like: pings of all clients behind one address, what
 * is redirected to one server from one port. So to claim it, or not to any more, does not walk
 * along them.
 */
struct slot {
	uint32_t hash;
	uint32_t first; /* the number of the youngest claim; 0: free */
};

struct nat_table {
	struct flow_hash hash;
	struct record *records; /* owned */
	uint32_t capacity;	/* of records */
	uint32_t used;		/* records ever used are below that */
	uint32_t first_free;	/* index of a record, or NO_RECORD */
	uint32_t count;
	uint32_t plain;	    /* of these */
	struct slot *slots; /* owned */
	uint32_t slot_mask;
	uint32_t slots_used;
	uint32_t dump;
	bool dumping;
};

int nat_table_new(struct nat_table **ret)
{
	struct nat_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->first_free = NO_RECORD;
	flow_hash_init(&table->hash);
	*ret = table;
	return 0;
}

void nat_table_free(struct nat_table *table)
{
	if (!table)
		return;
	free(table->slots);
	free(table->records);
	free(table);
}

size_t nat_table_count(const struct nat_table *table)
{
	return table->count - table->plain;
}

size_t nat_table_plain(const struct nat_table *table)
{
	return table->plain;
}

/* Returns which end of the key is the client. */
static unsigned int make_key(struct flow_key *key, const struct record *record, unsigned int face)
{
	const struct nat_end *client = &record->client[face & CLIENT_TRANSLATED ? 1 : 0];
	const struct nat_end *server = &record->server[face & SERVER_TRANSLATED ? 1 : 0];
	/* An end has its port behind its address and no holes, so this is the order of keys. */
	unsigned int at = memcmp(client, server, sizeof(*client)) > 0;

	memset(key, 0, sizeof(*key));
	memcpy(key->addr[at].bytes, client->addr, sizeof(client->addr));
	memcpy(key->addr[!at].bytes, server->addr, sizeof(server->addr));
	key->port[at] = client->port;
	key->port[!at] = server->port;
	key->protocol = record->protocol;
	key->family = record->family;
	return at;
}
_Static_assert(sizeof(struct nat_end) == 18, "nat_end has no holes");

static bool same_end(const struct nat_end *a, const struct nat_end *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool has_ports(const struct record *record)
{
	return record->client[0].port || record->server[0].port;
}

static bool is_half(unsigned int face)
{
	return face == CLIENT_TRANSLATED || face == SERVER_TRANSLATED;
}

/* Half translated faces are faces of their own only where both ends are translated. */
static bool has_face(const struct record *record, unsigned int face)
{
	if (record->plain || face == FACE_PLAIN)
		return record->plain && face == FACE_PLAIN;
	return !is_half(face) || (!same_end(&record->client[0], &record->client[1]) &&
				  !same_end(&record->server[0], &record->server[1]));
}

static uint32_t claim_number(const struct nat_table *table, const struct record *record,
			     unsigned int face)
{
	return (uint32_t)(record - table->records + 1) * FACES + face;
}

static struct record *claim_record(const struct nat_table *table, uint32_t number)
{
	return &table->records[number / FACES - 1];
}

static struct claim *find_claim(const struct nat_table *table, uint32_t number)
{
	return &claim_record(table, number)->claims[number % FACES % FACE_PLAIN];
}

static uint32_t next_claim(const struct nat_table *table, uint32_t number)
{
	return find_claim(table, number)->next;
}

static uint32_t hash_face(const struct nat_table *table, const struct record *record,
			  unsigned int face)
{
	struct flow_key key;

	make_key(&key, record, face);
	return flow_hash_key(&table->hash, &key);
}

/* The slot of the hash, or the free one where it would be. */
static struct slot *find_slot(struct slot *slots, uint32_t mask, uint32_t hash)
{
	uint32_t i = hash & mask;

	while (slots[i].first && slots[i].hash != hash)
		i = (i + 1) & mask;
	return &slots[i];
}

/* The first of the claims that may be of the key with that hash; 0: there is none. */
static uint32_t first_claim(const struct nat_table *table, uint32_t hash)
{
	return find_slot(table->slots, table->slot_mask, hash)->first;
}

/* Empties a slot and moves up what stands behind it only because it was taken. */
static void empty_slot(struct nat_table *table, uint32_t hole)
{
	struct slot *slots = table->slots;
	uint32_t mask = table->slot_mask;

	table->slots_used--;
	for (uint32_t i = (hole + 1) & mask; slots[i].first; i = (i + 1) & mask) {
		if (((i - slots[i].hash) & mask) < ((i - hole) & mask))
			continue;
		slots[hole] = slots[i];
		hole = i;
	}
	slots[hole].first = 0;
}

static void put_claim(struct nat_table *table, struct record *record, unsigned int face,
		      uint32_t hash)
{
	struct slot *slot = find_slot(table->slots, table->slot_mask, hash);
	uint32_t number = claim_number(table, record, face);

	*find_claim(table, number) = (struct claim){.next = slot->first};
	if (slot->first)
		find_claim(table, slot->first)->previous = number;
	else
		table->slots_used++;
	*slot = (struct slot){.hash = hash, .first = number};
	record->claimed |= (uint8_t)(1 << face);
}

/* The claim has one behind it, or was the only one of its hash. */
static void replace_first(struct nat_table *table, uint32_t hash, uint32_t next)
{
	struct slot *slot = find_slot(table->slots, table->slot_mask, hash);

	if (next)
		slot->first = next;
	else
		empty_slot(table, (uint32_t)(slot - table->slots));
}

static void drop_claim(struct nat_table *table, struct record *record, unsigned int face)
{
	const struct claim *claim = find_claim(table, claim_number(table, record, face));

	record->claimed &= (uint8_t) ~(1 << face);
	if (claim->previous)
		find_claim(table, claim->previous)->next = claim->next;
	else
		replace_first(table, hash_face(table, record, face), claim->next);
	if (claim->next)
		find_claim(table, claim->next)->previous = claim->previous;
}

/* Whether a face shows the original tuple (0), or that of the reply (1). */
static bool shows_tuple(unsigned int face, unsigned int direction)
{
	return face == FACE_PLAIN || face == (direction ? FACE_TRANSLATED : FACE_ORIGINAL);
}

static bool same_tuple(const struct record *a, unsigned int a_direction, const struct record *b,
		       unsigned int b_direction)
{
	const struct nat_end *from[2] = {a_direction ? &a->server[1] : &a->client[0],
					 b_direction ? &b->server[1] : &b->client[0]};
	const struct nat_end *to[2] = {a_direction ? &a->client[1] : &a->server[0],
				       b_direction ? &b->client[1] : &b->server[0]};

	return same_end(from[0], from[1]) && same_end(to[0], to[1]) &&
	       a->zone[a_direction] == b->zone[b_direction] && a->protocol == b->protocol;
}

static bool share_tuple(const struct record *a, unsigned int a_face, const struct record *b,
			unsigned int b_face)
{
	for (unsigned int i = 0; i < 2; i++)
		for (unsigned int j = 0; j < 2; j++)
			if (shows_tuple(a_face, i) && shows_tuple(b_face, j) &&
			    same_tuple(a, i, b, j))
				return true;
	return false;
}

/*
 * A tuple is unique within its zone, so whoever else claims it has gone, and its end was not told.
 * Not so without ports: pings of several clients look alike behind one address. Returns the number
 * of his claim, or 0.
 */
static uint32_t find_replaced(const struct nat_table *table, const struct record *record,
			      unsigned int face, uint32_t hash)
{
	if (is_half(face) || !has_ports(record))
		return 0;
	for (uint32_t number = first_claim(table, hash); number;
	     number = next_claim(table, number)) {
		const struct record *other = claim_record(table, number);

		if (other != record && share_tuple(other, number % FACES, record, face))
			return number;
	}
	return 0;
}

static void replace_others(struct nat_table *table, const struct record *record, unsigned int face,
			   uint32_t hash)
{
	uint32_t number;

	while ((number = find_replaced(table, record, face, hash))) {
		struct record *other = claim_record(table, number);

		if (other->life == LIFE_HERE)
			other->life = LIFE_WENT;
		drop_claim(table, other, number % FACES);
	}
}

static void claim_keys(struct nat_table *table, struct record *record)
{
	for (unsigned int face = 0; face < FACES; face++) {
		uint32_t hash;

		if (!has_face(record, face))
			continue;
		hash = hash_face(table, record, face);
		if (record->life == LIFE_HERE)
			replace_others(table, record, face, hash);
		if (!(record->claimed & 1 << face))
			put_claim(table, record, face, hash);
	}
}

static void drop_claims(struct nat_table *table, struct record *record)
{
	for (unsigned int face = 0; face < FACES; face++)
		if (record->claimed & 1 << face)
			drop_claim(table, record, face);
}

/* Room for the claims of one more record, at three quarters full at most. */
static int reserve_slots(struct nat_table *table)
{
	uint32_t count = table->slots ? table->slot_mask + 1 : 4 * RECORDS_FIRST;
	struct slot *slots;

	while (count / 4 * 3 < table->slots_used + FACES)
		count *= 2;
	if (table->slots && count == table->slot_mask + 1)
		return 0;
	slots = calloc(count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; table->slots && i <= table->slot_mask; i++)
		if (table->slots[i].first)
			*find_slot(slots, count - 1, table->slots[i].hash) = table->slots[i];
	free(table->slots);
	table->slots = slots;
	table->slot_mask = count - 1;
	return 0;
}

static int reserve_record(struct nat_table *table)
{
	uint32_t capacity = table->capacity ? 2 * table->capacity : RECORDS_FIRST;
	struct record *records;

	if (table->first_free != NO_RECORD || table->used < table->capacity)
		return 0;
	records = reallocarray(table->records, capacity, sizeof(*records));
	if (!records)
		return -ENOMEM;
	table->records = records;
	table->capacity = capacity;
	return 0;
}

static struct record *take_record(struct nat_table *table)
{
	struct record *record;

	if (table->first_free == NO_RECORD) {
		record = &table->records[table->used++];
	} else {
		record = &table->records[table->first_free];
		table->first_free = record->id;
	}
	table->count++;
	return record;
}

static void release_record(struct nat_table *table, struct record *record)
{
	drop_claims(table, record);
	table->plain -= record->plain;
	record->life = LIFE_FREE;
	record->id = table->first_free;
	table->first_free = (uint32_t)(record - table->records);
	table->count--;
}

static void set_end(struct nat_end *end, const uint8_t addr[16], __be16 port)
{
	memcpy(end->addr, addr, sizeof(end->addr));
	end->port = port;
}

static void make_record(struct record *record, const struct conntrack_entry *entry)
{
	const struct conntrack_tuple *there = &entry->original, *back = &entry->reply;
	struct flow_key original, translated;

	memset(record, 0, sizeof(*record));
	set_end(&record->client[0], there->source, there->source_port);
	set_end(&record->server[0], there->destination, there->destination_port);
	set_end(&record->client[1], back->destination, back->destination_port);
	set_end(&record->server[1], back->source, back->source_port);
	record->zone[0] = entry->zone[0];
	record->zone[1] = entry->zone[1];
	record->id = entry->id;
	record->protocol = entry->protocol;
	record->family = entry->family == AF_INET ? FLOW_IPV4 : FLOW_IPV6;
	record->life = entry->gone ? LIFE_WENT : LIFE_HERE;
	record->entries = !entry->gone;
	make_key(&original, record, FACE_ORIGINAL);
	make_key(&translated, record, FACE_TRANSLATED);
	record->plain = !memcmp(&original, &translated, sizeof(original));
	record->marked = entry->status & IPS_NAT_MASK;
}

/* Whether they stand for one conversation. With ports the tuples say it all; without, several
 * entries look alike but for their id. Those are one: a stranger may send as many pings as there
 * are ids. */
static bool same_conversation(const struct record *a, const struct record *b)
{
	return !memcmp(a->client, b->client, sizeof(a->client)) &&
	       !memcmp(a->server, b->server, sizeof(a->server)) && a->zone[0] == b->zone[0] &&
	       a->zone[1] == b->zone[1] && a->protocol == b->protocol;
}

static struct record *find_claiming(const struct nat_table *table, const struct record *wanted,
				    unsigned int face)
{
	for (uint32_t number = first_claim(table, hash_face(table, wanted, face)); number;
	     number = next_claim(table, number)) {
		struct record *record = claim_record(table, number);

		if (same_conversation(record, wanted))
			return record;
	}
	return NULL;
}

/* Its first key may have been taken by a younger entry. That takes ports; without, many may claim
 * the other key. */
static struct record *find_record(const struct nat_table *table, const struct record *wanted)
{
	struct record *record = NULL;

	if (table->slots)
		record = find_claiming(table, wanted, FACE_ORIGINAL);
	if (table->slots && !record && has_ports(wanted))
		record = find_claiming(table, wanted, FACE_TRANSLATED);
	return record;
}

/* The same again: once more among those without ports, but a dump counts them anew. */
static void note_entry(const struct nat_table *table, struct record *record)
{
	if (has_ports(record) || record->life != LIFE_HERE ||
	    (table->dumping && record->dump != table->dump))
		record->entries = 0;
	record->entries++;
}

static bool was_last_entry(struct record *record, const struct record *news)
{
	if (has_ports(record))
		return record->id == news->id;
	return --record->entries == 0;
}

static void refresh_record(struct nat_table *table, struct record *record,
			   const struct record *news)
{
	if (news->life == LIFE_HERE) {
		note_entry(table, record);
		record->life = LIFE_HERE;
		record->id = news->id;
		record->dump = table->dump;
		record->marked = news->marked;
		claim_keys(table, record);
	} else if (record->life == LIFE_HERE && was_last_entry(record, news)) {
		record->life = LIFE_WENT;
	}
}

/* A copy, without claims. NULL: no memory. */
static struct record *add_record(struct nat_table *table, const struct record *news)
{
	struct record *record;

	if (reserve_record(table) < 0)
		return NULL;
	record = take_record(table);
	*record = *news;
	record->claimed = 0;
	table->plain += record->plain;
	return record;
}

static int insert_record(struct nat_table *table, const struct record *news)
{
	struct record *record;

	if (table->count >= NAT_TABLE_MAX || (news->plain && table->plain >= NAT_PLAIN_MAX))
		return -ENOSPC;
	record = add_record(table, news);
	if (!record)
		return -ENOMEM;
	record->dump = table->dump;
	claim_keys(table, record);
	return 0;
}

/* From another table, with the claims that nobody has replaced. */
static int take_over_record(struct nat_table *table, const struct record *old)
{
	struct record *record;

	if (reserve_slots(table) < 0)
		return -ENOMEM;
	record = add_record(table, old);
	if (!record)
		return -ENOMEM;
	for (unsigned int face = 0; face < FACES; face++)
		if (old->claimed & 1 << face)
			put_claim(table, record, face, hash_face(table, record, face));
	return 0;
}

int nat_table_update(struct nat_table *table, const struct conntrack_entry *entry)
{
	struct record news, *record;
	int r;

	make_record(&news, entry);
	record = find_record(table, &news);
	r = reserve_slots(table);
	if (r < 0)
		return r;
	if (!record)
		return insert_record(table, &news);
	refresh_record(table, record, &news);
	return 0;
}

void nat_table_dump_begin(struct nat_table *table)
{
	table->dump++;
	table->dumping = true;
}

void nat_table_dump_end(struct nat_table *table, bool whole)
{
	table->dumping = false;
	for (uint32_t i = 0; i < table->used; i++) {
		struct record *record = &table->records[i];

		if (record->life == LIFE_HERE && record->dump != table->dump &&
		    (whole || record->marked))
			record->life = LIFE_WENT;
	}
}

/* Gives back the memory of a crowd that has left. */
static void shrink_table(struct nat_table *table)
{
	struct nat_table small = *table;

	if (table->capacity <= RECORDS_FIRST || table->count > table->capacity / 8)
		return;
	small.records = NULL;
	small.slots = NULL;
	small.capacity = small.used = small.count = small.plain = 0;
	small.slot_mask = small.slots_used = 0;
	small.first_free = NO_RECORD;
	for (uint32_t i = 0; i < table->used; i++) {
		const struct record *record = &table->records[i];

		if (record->life == LIFE_FREE)
			continue;
		if (take_over_record(&small, record) < 0) {
			free(small.slots);
			free(small.records);
			return;
		}
	}
	free(table->slots);
	free(table->records);
	*table = small;
}

void nat_table_next_interval(struct nat_table *table)
{
	for (uint32_t i = 0; i < table->used; i++) {
		struct record *record = &table->records[i];

		if (record->life == LIFE_WENT_BEFORE)
			release_record(table, record);
		else if (record->life == LIFE_WENT)
			record->life = LIFE_WENT_BEFORE;
	}
	shrink_table(table);
}

/*
 * A key that was seen whole is a better sign than one that only might be; and with ports, a
 * conversation that is there than one that has gone, whose ports another one was given.
 */
static unsigned int strength(const struct record *record, unsigned int face)
{
	return 2 * !is_half(face) + (record->life == LIFE_HERE || !has_ports(record));
}

/* Tuples of different zones are different conversations though they look alike. */
static bool same_original(const struct record *a, const struct record *b)
{
	return same_end(&a->client[0], &b->client[0]) && same_end(&a->server[0], &b->server[0]) &&
	       a->zone[0] == b->zone[0];
}

/* The first claim to that very key from this one on, or 0: faces of translated conversations, or
 * plain ones. */
static uint32_t right_claim(const struct nat_table *table, const struct flow_key *key, bool plain,
			    uint32_t number)
{
	for (; number; number = next_claim(table, number)) {
		unsigned int face = number % FACES;
		struct flow_key claimed;

		if ((face == FACE_PLAIN) != plain)
			continue;
		make_key(&claimed, claim_record(table, number), face);
		if (!memcmp(&claimed, key, sizeof(claimed)))
			break;
	}
	return number;
}

static uint32_t first_right_claim(const struct nat_table *table, const struct flow_key *key,
				  bool plain)
{
	uint32_t hash = flow_hash_key(&table->hash, key);

	return right_claim(table, key, plain, first_claim(table, hash));
}

static uint32_t next_right_claim(const struct nat_table *table, const struct flow_key *key,
				 bool plain, uint32_t number)
{
	return right_claim(table, key, plain, next_claim(table, number));
}

/* NULL: no translated conversation claims the key, or several with equal right. */
static const struct record *find_claimant(const struct nat_table *table, const struct flow_key *key,
					  unsigned int *face)
{
	const struct record *best = NULL;
	unsigned int best_strength = 0;
	bool disputed = false;

	for (uint32_t number = first_right_claim(table, key, false); number;
	     number = next_right_claim(table, key, false, number)) {
		const struct record *record = claim_record(table, number);
		unsigned int claimed_face = number % FACES;
		unsigned int claim_strength = strength(record, claimed_face);

		if (!best || claim_strength > best_strength) {
			best = record;
			best_strength = claim_strength;
			*face = claimed_face;
			disputed = false;
		} else if (claim_strength == best_strength && !same_original(record, best)) {
			disputed = true;
		}
	}
	return disputed ? NULL : best;
}

bool nat_table_find(const struct nat_table *table, const struct flow_key *key,
		    struct nat_conversation *ret)
{
	const struct record *record, *owner;
	unsigned int face, original_face;
	struct flow_key asked;

	if (!nat_table_count(table))
		return false;
	record = find_claimant(table, key, &face);
	if (!record)
		return false;
	ret->client = (uint8_t)make_key(&ret->original, record, FACE_ORIGINAL);
	if (face != FACE_ORIGINAL) {
		/* It would be added to packets of another one. */
		owner = find_claimant(table, &ret->original, &original_face);
		if (!owner || !same_original(owner, record))
			return false;
	}
	ret->swapped = make_key(&asked, record, face) != ret->client;
	ret->client_seen_as = record->client[1];
	ret->server_seen_as = record->server[1];
	return true;
}

int nat_table_client(const struct nat_table *table, const struct flow_key *key)
{
	unsigned int best_strength = 0;
	int client = -1;

	if (!table->plain)
		return -1;
	for (uint32_t number = first_right_claim(table, key, true); number;
	     number = next_right_claim(table, key, true, number)) {
		const struct record *record = claim_record(table, number);
		unsigned int claim_strength = strength(record, FACE_PLAIN);
		struct flow_key claimed;
		int end = (int)make_key(&claimed, record, FACE_PLAIN);

		if (claim_strength > best_strength) {
			client = end;
			best_strength = claim_strength;
		} else if (claim_strength == best_strength && client != end) {
			client = -1;
		}
	}
	return client;
}
