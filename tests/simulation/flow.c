// SPDX-License-Identifier: GPL-2.0-only
#include "tests/simulation/flow.h"

#include "netlink/conntrack.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#define LOCAL_NET 255

/* One end of a tuple. */
struct end {
	uint8_t address[16];
	__be16 port;
};

/* 10.LINE.x.y */
static struct end make_end(struct random *random, size_t line, unsigned int which)
{
	struct end end = {.address = {[10] = 0xff, [11] = 0xff, [12] = 10}};

	end.address[13] = (uint8_t)line;
	end.address[14] = (uint8_t)random_below(random, 256);
	end.address[15] = (uint8_t)which;
	end.port = htons((uint16_t)random_between(random, 1, 60000));
	return end;
}

/* Returns which end of the key the first one is. */
static uint8_t make_key(struct flow_key *key, const struct end *a, const struct end *b,
			uint8_t protocol)
{
	const struct end *ends[2] = {a, b};
	uint8_t first = memcmp(a, b, sizeof(*a)) > 0;

	*key = (struct flow_key){.family = FLOW_IPV4, .protocol = protocol};
	for (unsigned int end = 0; end < 2; end++) {
		memcpy(key->addr[end ^ first].bytes, ends[end]->address, 16);
		key->port[end ^ first] = ends[end]->port;
	}
	return first;
}
_Static_assert(sizeof(struct end) == 18, "end has no holes");

void flow_outer_address(uint8_t *address)
{
	static const uint8_t local[16] = {
		[10] = 0xff, [11] = 0xff, [12] = 10, [13] = LOCAL_NET, [15] = 1};

	memcpy(address, local, sizeof(local));
}

unsigned int flow_line_number(const struct flow_key *key)
{
	unsigned int end = key->addr[0].bytes[13] == LOCAL_NET;

	return key->addr[end].bytes[13];
}

static void make_faces(struct flow *flow, struct random *random, size_t number)
{
	struct end client = make_end(random, number * LINES, 1);
	struct end client_seen = make_end(random, number * LINES, 2);
	struct end server = make_end(random, number * LINES, 3);
	struct end server_seen = make_end(random, number * LINES, 4);
	uint8_t protocol = random_chance(random, 50) ? IPPROTO_TCP : IPPROTO_UDP;

	for (enum face face = FACE_ORIGINAL; face < FACE_OUTER; face++)
		flow->ends[face] =
			make_key(&flow->keys[face],
				 face == FACE_CLIENT || face == FACE_BOTH ? &client_seen : &client,
				 face == FACE_SERVER || face == FACE_BOTH ? &server_seen : &server,
				 protocol);
}

/* The sender of outer packets is end 0 of those that leave, end 1 of those that arrive. */
static void make_outer_faces(struct flow *flow, struct random *random, size_t number)
{
	for (enum face face = FACE_OUTER; face < FACES; face++) {
		struct end local, remote = make_end(random, number * LINES + flow_line(face), 5);
		bool leaves = (face - FACE_OUTER) % 2;

		flow_outer_address(local.address);
		local.port = htons(leaves ? 50000 : OUTER_PORT);
		remote.port = htons(leaves ? OUTER_PORT : 50000);
		flow->ends[face] = make_key(&flow->keys[face], leaves ? &local : &remote,
					    leaves ? &remote : &local, IPPROTO_UDP);
	}
}

static void make_lines(struct flow *flow)
{
	memset(flow->lines, 0, sizeof(flow->lines));
	flow->lines[0].key = flow->keys[FACE_ORIGINAL];
	for (enum face face = FACE_OUTER; face < FACES; face++)
		flow->lines[flow_line(face)].key = flow->keys[face];
}

/* To another source, another destination, or both; if both, perhaps at two places of the way. */
static void choose_turns(struct turns *turns, struct random *random)
{
	static const enum face halves[] = {FACE_ORIGINAL, FACE_CLIENT, FACE_SERVER, FACE_BOTH};

	turns->last = FACE_CLIENT + random_below(random, 3);
	turns->half = turns->last == FACE_BOTH ? halves[random_below(random, 4)] : turns->last;
	turns->at[0] = (uint8_t)random_below(random, 6);
	turns->at[1] = (uint8_t)(turns->at[0] + random_below(random, 4));
}

static void make_non_ip(struct flow *flow)
{
	flow->non_ip = true;
	flow->translated = flow->tracked = false;
	flow->ends[FACE_ORIGINAL] = 0;
	flow->keys[FACE_ORIGINAL] =
		(struct flow_key){.family = FLOW_UNATTRIBUTED, .protocol = FLOW_NON_IP};
}

void flow_init(struct flow *flow, struct random *random, size_t number, bool may_translate)
{
	make_faces(flow, random, number);
	make_outer_faces(flow, random, number);
	flow->translated = may_translate && random_chance(random, 70);
	flow->tracked = flow->translated || (may_translate && number % 2);
	flow->non_ip = flow->ended = false;
	if (flow->translated)
		choose_turns(&flow->turns, random);
	/* their key does not tell one from another */
	if (!number && random_chance(random, 10))
		make_non_ip(flow);
	make_lines(flow);
	for (unsigned int sender = 0; sender < 2; sender++)
		for (unsigned int way = 0; way < WAYS; way++)
			flow->routes[sender][way].state = random_next(random);
}

static void tuple_from_key(struct conntrack_tuple *tuple, const struct flow_key *key,
			   unsigned int source)
{
	memcpy(tuple->source, key->addr[source].bytes, 16);
	memcpy(tuple->destination, key->addr[!source].bytes, 16);
	tuple->source_port = key->port[source];
	tuple->destination_port = key->port[!source];
}

void flow_conntrack_entry(const struct flow *flow, struct conntrack_entry *entry)
{
	enum face last = flow->translated ? flow->turns.last : FACE_ORIGINAL;

	*entry = (struct conntrack_entry){.protocol = flow->keys[0].protocol, .family = AF_INET};
	if (flow->translated && last != FACE_SERVER)
		entry->status |= IPS_SRC_NAT;
	if (flow->translated && last != FACE_CLIENT)
		entry->status |= IPS_DST_NAT;
	tuple_from_key(&entry->original, &flow->keys[FACE_ORIGINAL], flow->ends[FACE_ORIGINAL]);
	tuple_from_key(&entry->reply, &flow->keys[last], !flow->ends[last]);
}

bool flow_same_ways(const struct flow *a, const struct flow *b)
{
	for (unsigned int sender = 0; sender < 2; sender++)
		for (unsigned int way = 0; way < WAYS; way++)
			if (!path_same(&a->paths[sender][way], &b->paths[sender][way]))
				return false;
	return true;
}
