// SPDX-License-Identifier: GPL-2.0-only
#include "netlink/conntrack.h"
#include "report/nat.h"
#include "tests/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* "10.1.0.2:40000", "[fd00::2]:40000" */
static struct nat_end end_of(const char *text)
{
	const char *colon = strrchr(text, ':');
	bool ipv6 = *text == '[';
	struct nat_end end = {.port = htons(atoi(colon + 1))};
	char addr[64];

	assert_true((size_t)(colon - text) < sizeof(addr));
	snprintf(addr, sizeof(addr), "%.*s", (int)(colon - text - 2 * ipv6), text + ipv6);
	address_from_text(end.addr, addr);
	return end;
}

static struct flow_key key_of(uint8_t protocol, const char *a, const char *b)
{
	struct nat_end end[2] = {end_of(a), end_of(b)};
	struct flow_key key = {.protocol = protocol, .family = *a == '[' ? FLOW_IPV6 : FLOW_IPV4};
	int first = memcmp(&end[0], &end[1], sizeof(end[0])) > 0;

	for (int i = 0; i < 2; i++) {
		memcpy(key.addr[i].bytes, end[first ^ i].addr, 16);
		key.port[i] = end[first ^ i].port;
	}
	return key;
}

static struct conntrack_tuple tuple_of(const char *source, const char *destination)
{
	struct nat_end from = end_of(source), to = end_of(destination);
	struct conntrack_tuple tuple = {.source_port = from.port, .destination_port = to.port};

	memcpy(tuple.source, from.addr, 16);
	memcpy(tuple.destination, to.addr, 16);
	return tuple;
}

/* A conversation as it is, and as it looks behind the translation. */
static struct conntrack_entry entry_of(uint8_t protocol, const char *client, const char *server,
				       const char *client_seen, const char *server_seen)
{
	return (struct conntrack_entry){
		.original = tuple_of(client, server),
		.reply = tuple_of(server_seen, client_seen),
		.protocol = protocol,
		.family = *client == '[' ? AF_INET6 : AF_INET,
		.status = IPS_SRC_NAT,
		.id = 1,
	};
}

static void update(struct nat_table *table, struct conntrack_entry entry)
{
	assert_int_equal(nat_table_update(table, &entry), 0);
}

static void update_gone(struct nat_table *table, struct conntrack_entry entry)
{
	entry.gone = true;
	update(table, entry);
}

static struct conntrack_entry in_zone(struct conntrack_entry entry, uint16_t original,
				      uint16_t reply)
{
	entry.zone[0] = original;
	entry.zone[1] = reply;
	return entry;
}

static struct conntrack_entry with_id(struct conntrack_entry entry, uint32_t id)
{
	entry.id = id;
	return entry;
}

static void assert_end(const struct nat_end *end, const char *text)
{
	struct nat_end expected = end_of(text);

	assert_memory_equal(end, &expected, sizeof(expected));
}

/* The end that key asks for as its client's must come out as the client of the original, too. */
static void assert_found(const struct nat_table *table, const struct conntrack_entry *entry,
			 const char *from, const char *to, const char *client, const char *server)
{
	struct flow_key asked = key_of(entry->protocol, from, to);
	struct flow_key original = key_of(entry->protocol, client, server);
	struct nat_end asked_client = end_of(from), original_client = end_of(client);
	struct nat_conversation found;
	int at;

	assert_true(nat_table_find(table, &asked, &found));
	assert_memory_equal(&found.original, &original, sizeof(original));
	assert_memory_equal(found.original.addr[found.client].bytes, original_client.addr, 16);
	assert_int_equal(found.original.port[found.client], original_client.port);
	at = found.client ^ found.swapped;
	assert_memory_equal(asked.addr[at].bytes, asked_client.addr, 16);
	assert_int_equal(asked.port[at], asked_client.port);
	assert_memory_equal(found.client_seen_as.addr, entry->reply.destination, 16);
	assert_int_equal(found.client_seen_as.port, entry->reply.destination_port);
	assert_memory_equal(found.server_seen_as.addr, entry->reply.source, 16);
	assert_int_equal(found.server_seen_as.port, entry->reply.source_port);
}

static void assert_none(const struct nat_table *table, uint8_t protocol, const char *from,
			const char *to)
{
	struct flow_key asked = key_of(protocol, from, to);
	struct nat_conversation found;

	assert_false(nat_table_find(table, &asked, &found));
}

static int setup(void **state)
{
	return nat_table_new((struct nat_table **)state);
}

static int teardown(void **state)
{
	nat_table_free(*state);
	return 0;
}

#define TCP  IPPROTO_TCP
#define UDP  IPPROTO_UDP
#define ICMP IPPROTO_ICMP

#define CLIENT	"10.1.0.2:40000"
#define CLIENT2 "10.1.0.3:40000"
#define SERVER	"198.51.100.7:443"
#define PUBLIC	"203.0.113.9:61000"
#define INSIDE	"10.1.0.8:8443"

static void test_empty(void **state)
{
	assert_none(*state, TCP, CLIENT, SERVER);
	nat_table_next_interval(*state);
	nat_table_dump_begin(*state);
	nat_table_dump_end(*state, true);
	assert_int_equal(nat_table_count(*state), 0);
}

static void test_masquerade(void **state)
{
	struct conntrack_entry entry = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);
	struct flow_key key = key_of(TCP, SERVER, PUBLIC);
	struct nat_conversation found;

	update(*state, entry);
	assert_found(*state, &entry, CLIENT, SERVER, CLIENT, SERVER);
	assert_found(*state, &entry, PUBLIC, SERVER, CLIENT, SERVER);
	assert_none(*state, UDP, CLIENT, SERVER);
	assert_none(*state, TCP, CLIENT, PUBLIC);
	assert_none(*state, TCP, CLIENT2, SERVER);

	/* spelled out once: 10.1.0.2 < 198.51.100.7 < 203.0.113.9 */
	assert_true(nat_table_find(*state, &key, &found));
	assert_int_equal(found.client, 0);
	assert_true(found.swapped);
	assert_end(&found.client_seen_as, PUBLIC);
	assert_end(&found.server_seen_as, SERVER);
	key = key_of(TCP, CLIENT, SERVER);
	assert_true(nat_table_find(*state, &key, &found));
	assert_int_equal(found.client, 0);
	assert_false(found.swapped);
}

static void test_dnat(void **state)
{
	struct conntrack_entry entry = entry_of(UDP, SERVER, PUBLIC, SERVER, INSIDE);

	update(*state, entry);
	assert_found(*state, &entry, SERVER, PUBLIC, SERVER, PUBLIC);
	assert_found(*state, &entry, SERVER, INSIDE, SERVER, PUBLIC);
	assert_none(*state, UDP, PUBLIC, INSIDE);
}

/* Only the port changes. */
static void test_redirect(void **state)
{
	struct conntrack_entry entry =
		entry_of(TCP, CLIENT, "10.1.0.1:80", CLIENT, "10.1.0.1:3128");

	update(*state, entry);
	assert_found(*state, &entry, CLIENT, "10.1.0.1:80", CLIENT, "10.1.0.1:80");
	assert_found(*state, &entry, CLIENT, "10.1.0.1:3128", CLIENT, "10.1.0.1:80");
}

/* A client reaches its neighbour through the host's address: both ends are translated, and packets
 * may be seen when one of them is. */
static void test_hairpin(void **state)
{
	struct conntrack_entry entry = entry_of(TCP, CLIENT, PUBLIC, "10.1.0.1:40000", INSIDE);

	update(*state, entry);
	assert_found(*state, &entry, CLIENT, PUBLIC, CLIENT, PUBLIC);
	assert_found(*state, &entry, "10.1.0.1:40000", INSIDE, CLIENT, PUBLIC);
	assert_found(*state, &entry, CLIENT, INSIDE, CLIENT, PUBLIC);
	assert_found(*state, &entry, "10.1.0.1:40000", PUBLIC, CLIENT, PUBLIC);
	update_gone(*state, entry);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_none(*state, TCP, CLIENT, PUBLIC);
	assert_none(*state, TCP, "10.1.0.1:40000", INSIDE);
	assert_none(*state, TCP, CLIENT, INSIDE);
	assert_none(*state, TCP, "10.1.0.1:40000", PUBLIC);
}

/* A conversation that really has a half translated key is not taken for one that might. */
static void test_whole_before_half(void **state)
{
	struct conntrack_entry hairpin = entry_of(TCP, CLIENT, PUBLIC, "10.1.0.1:40000", INSIDE);
	struct conntrack_entry whole = entry_of(TCP, CLIENT, INSIDE, PUBLIC, INSIDE);

	update(*state, hairpin);
	update(*state, whole);
	assert_found(*state, &whole, CLIENT, INSIDE, CLIENT, INSIDE);
	assert_found(*state, &hairpin, "10.1.0.1:40000", INSIDE, CLIENT, PUBLIC);
}

static void test_ipv6(void **state)
{
	struct conntrack_entry entry = entry_of(TCP, "[fd00::2]:40000", "[2001:db8::7]:443",
						"[2001:db8:1::9]:61000", "[2001:db8::7]:443");

	update(*state, entry);
	assert_found(*state, &entry, "[2001:db8:1::9]:61000", "[2001:db8::7]:443",
		     "[fd00::2]:40000", "[2001:db8::7]:443");
	assert_none(*state, TCP, CLIENT, SERVER);
}

static void test_not_translated(void **state)
{
	/* only the ICMP id changed, which no key shows */
	update(*state, entry_of(ICMP, "10.1.0.2:0", "10.2.0.2:0", "10.1.0.2:0", "10.2.0.2:0"));
	update(*state, entry_of(TCP, CLIENT, SERVER, CLIENT, SERVER));
	assert_int_equal(nat_table_count(*state), 0);
	assert_int_equal(nat_table_plain(*state), 2);
	assert_none(*state, TCP, CLIENT, SERVER);
}

/* Tracked, but not translated. */
static struct conntrack_entry plain_of(uint8_t protocol, const char *client, const char *server)
{
	struct conntrack_entry entry = entry_of(protocol, client, server, client, server);

	entry.status = 0;
	return entry;
}

/* client: NULL if it is not known. */
static void assert_client(const struct nat_table *table, uint8_t protocol, const char *client,
			  const char *a, const char *b)
{
	struct flow_key key = key_of(protocol, a, b);
	int end = nat_table_client(table, &key);
	struct nat_end expected;

	if (!client) {
		assert_int_equal(end, -1);
		return;
	}
	expected = end_of(client);
	assert_true(end == 0 || end == 1);
	assert_memory_equal(key.addr[end].bytes, expected.addr, 16);
	assert_int_equal(key.port[end], expected.port);
}

/* By IPVS: only a dump of all is sure to mention it. */
static void test_translated_unmarked(void **state)
{
	struct conntrack_entry entry = entry_of(TCP, CLIENT, "10.9.0.1:443", CLIENT, SERVER);

	entry.status = 0;
	update(*state, entry);
	assert_int_equal(nat_table_count(*state), 1);
	for (int whole = 0; whole < 2; whole++) {
		assert_found(*state, &entry, CLIENT, SERVER, CLIENT, "10.9.0.1:443");
		nat_table_dump_begin(*state);
		nat_table_dump_end(*state, whole);
		nat_table_next_interval(*state);
		nat_table_next_interval(*state);
	}
	assert_int_equal(nat_table_count(*state), 0);
}

static void test_client(void **state)
{
	assert_client(*state, TCP, NULL, SERVER, CLIENT);
	update(*state, plain_of(TCP, SERVER, CLIENT));
	update(*state, plain_of(TCP, CLIENT2, SERVER));
	assert_client(*state, TCP, SERVER, SERVER, CLIENT);
	assert_client(*state, TCP, CLIENT2, SERVER, CLIENT2);
	assert_client(*state, UDP, NULL, SERVER, CLIENT);
	assert_client(*state, TCP, NULL, PUBLIC, CLIENT);
	assert_int_equal(nat_table_count(*state), 0);
	assert_int_equal(nat_table_plain(*state), 2);

	/* of translated ones it is asked in another way */
	update(*state, entry_of(UDP, CLIENT, SERVER, PUBLIC, SERVER));
	assert_client(*state, UDP, NULL, CLIENT, SERVER);
	assert_client(*state, UDP, NULL, PUBLIC, SERVER);
}

static void test_client_ages(void **state)
{
	update(*state, plain_of(TCP, SERVER, CLIENT));
	update_gone(*state, with_id(plain_of(TCP, SERVER, CLIENT), 2)); /* an older one */
	for (int i = 0; i < 3; i++)
		nat_table_next_interval(*state);
	assert_client(*state, TCP, SERVER, SERVER, CLIENT);
	update_gone(*state, plain_of(TCP, SERVER, CLIENT));
	/* known only as gone */
	update_gone(*state, plain_of(TCP, CLIENT2, SERVER));
	nat_table_next_interval(*state);
	assert_client(*state, TCP, SERVER, SERVER, CLIENT);
	assert_client(*state, TCP, CLIENT2, SERVER, CLIENT2);
	nat_table_next_interval(*state);
	assert_client(*state, TCP, NULL, SERVER, CLIENT);
	assert_int_equal(nat_table_plain(*state), 0);
}

/* The same two ends the other way round: in one zone the first has gone untold. */
static void test_client_becomes_server(void **state)
{
	update(*state, plain_of(UDP, SERVER, CLIENT));
	update(*state, with_id(plain_of(UDP, CLIENT, SERVER), 2));
	assert_client(*state, UDP, CLIENT, SERVER, CLIENT);
	update(*state, in_zone(with_id(plain_of(UDP, SERVER, CLIENT), 3), 7, 7));
	assert_client(*state, UDP, NULL, SERVER, CLIENT);
	update_gone(*state, in_zone(with_id(plain_of(UDP, SERVER, CLIENT), 3), 7, 7));
	assert_client(*state, UDP, CLIENT, SERVER, CLIENT);
	/* zones that say the same */
	update(*state, in_zone(with_id(plain_of(UDP, CLIENT, SERVER), 4), 8, 0));
	assert_client(*state, UDP, CLIENT, SERVER, CLIENT);
}

/* One packet through two zones, tracked in one and translated in the other. */
static void test_translated_before_plain(void **state)
{
	struct conntrack_entry entry = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);

	update(*state, entry);
	update(*state, in_zone(plain_of(TCP, CLIENT, SERVER), 3, 3));
	update(*state, in_zone(plain_of(TCP, PUBLIC, SERVER), 4, 4));
	assert_found(*state, &entry, CLIENT, SERVER, CLIENT, SERVER);
	assert_found(*state, &entry, PUBLIC, SERVER, CLIENT, SERVER);
}

/* In one zone only one of them can be there: the younger. */
static void test_plain_in_place_of_translated(void **state)
{
	struct conntrack_entry entry = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);

	update(*state, entry);
	update(*state, with_id(plain_of(TCP, SERVER, CLIENT), 2));
	assert_none(*state, TCP, CLIENT, SERVER);
	assert_client(*state, TCP, SERVER, CLIENT, SERVER);
	update(*state, with_id(entry, 3));
	assert_found(*state, &entry, CLIENT, SERVER, CLIENT, SERVER);
	assert_client(*state, TCP, NULL, CLIENT, SERVER);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_int_equal(nat_table_plain(*state), 0);
	assert_int_equal(nat_table_count(*state), 1);
}

#define PINGER "10.1.0.2:0"
#define PINGED "198.51.100.7:0"

/* Any number of them is one, and there until the last has gone. */
static void test_client_without_ports(void **state)
{
	for (uint32_t id = 1; id <= 3; id++)
		update(*state, with_id(plain_of(ICMP, PINGED, PINGER), id));
	assert_int_equal(nat_table_plain(*state), 1);
	for (uint32_t id = 1; id <= 3; id++) {
		nat_table_next_interval(*state);
		nat_table_next_interval(*state);
		assert_client(*state, ICMP, PINGED, PINGED, PINGER);
		update_gone(*state, with_id(plain_of(ICMP, PINGED, PINGER), id));
	}
	nat_table_next_interval(*state);
	assert_client(*state, ICMP, PINGED, PINGED, PINGER);
	/* both ends ping */
	update(*state, plain_of(ICMP, PINGER, PINGED));
	assert_client(*state, ICMP, NULL, PINGED, PINGER);
	nat_table_next_interval(*state);
	assert_client(*state, ICMP, PINGER, PINGED, PINGER);
}

/* A dump says how many there are. */
static void test_client_without_ports_in_a_dump(void **state)
{
	for (uint32_t id = 1; id <= 5; id++)
		update(*state, with_id(plain_of(ICMP, PINGED, PINGER), id));
	nat_table_dump_begin(*state);
	for (uint32_t id = 4; id <= 5; id++)
		update(*state, with_id(plain_of(ICMP, PINGED, PINGER), id));
	nat_table_dump_end(*state, true);
	update(*state, with_id(plain_of(ICMP, PINGED, PINGER), 6));
	for (uint32_t id = 4; id <= 6; id++) {
		assert_client(*state, ICMP, PINGED, PINGED, PINGER);
		update_gone(*state, with_id(plain_of(ICMP, PINGED, PINGER), id));
	}
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_int_equal(nat_table_plain(*state), 0);
}

static void test_dump_of_translated_only(void **state)
{
	struct conntrack_entry entry = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);

	update(*state, entry);
	update(*state, plain_of(TCP, SERVER, CLIENT2));
	for (int i = 0; i < 3; i++) {
		nat_table_dump_begin(*state);
		nat_table_dump_end(*state, false);
		nat_table_next_interval(*state);
	}
	assert_int_equal(nat_table_count(*state), 0);
	assert_client(*state, TCP, SERVER, SERVER, CLIENT2);
	nat_table_dump_begin(*state);
	nat_table_dump_end(*state, true);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_client(*state, TCP, NULL, SERVER, CLIENT2);
}

static struct conntrack_entry ping_from(const char *client, uint32_t id)
{
	return with_id(entry_of(ICMP, client, "198.51.100.7:0", "203.0.113.9:0", "198.51.100.7:0"),
		       id);
}

static void test_pings_of_one_client(void **state)
{
	struct conntrack_entry first = ping_from("10.1.0.2:0", 1);
	struct conntrack_entry second = ping_from("10.1.0.2:0", 2);

	update(*state, first);
	update(*state, second);
	/* one conversation, as long as one of them is there */
	assert_int_equal(nat_table_count(*state), 1);
	update_gone(*state, first);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_int_equal(nat_table_count(*state), 1);
	assert_found(*state, &second, "203.0.113.9:0", "198.51.100.7:0", "10.1.0.2:0",
		     "198.51.100.7:0");
	update_gone(*state, second);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_int_equal(nat_table_count(*state), 0);
}

/* Behind the address they share, their packets cannot be told apart by key. */
static void test_pings_of_two_clients(void **state)
{
	struct conntrack_entry first = ping_from("10.1.0.2:0", 1);
	struct conntrack_entry second = ping_from("10.1.0.3:0", 2);

	update(*state, first);
	update(*state, second);
	assert_none(*state, ICMP, "203.0.113.9:0", "198.51.100.7:0");
	assert_found(*state, &first, "10.1.0.2:0", "198.51.100.7:0", "10.1.0.2:0",
		     "198.51.100.7:0");
	/* also while the packets of the first one may be in the same interval */
	update_gone(*state, first);
	nat_table_next_interval(*state);
	assert_none(*state, ICMP, "203.0.113.9:0", "198.51.100.7:0");
	nat_table_next_interval(*state);
	assert_found(*state, &second, "203.0.113.9:0", "198.51.100.7:0", "10.1.0.3:0",
		     "198.51.100.7:0");
}

static void test_ages(void **state)
{
	struct conntrack_entry entry = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);

	update(*state, entry);
	for (int i = 0; i < 5; i++)
		nat_table_next_interval(*state);
	assert_found(*state, &entry, PUBLIC, SERVER, CLIENT, SERVER);
	update_gone(*state, entry);
	assert_found(*state, &entry, PUBLIC, SERVER, CLIENT, SERVER);
	nat_table_next_interval(*state);
	assert_found(*state, &entry, PUBLIC, SERVER, CLIENT, SERVER);
	nat_table_next_interval(*state);
	assert_none(*state, TCP, PUBLIC, SERVER);
	assert_int_equal(nat_table_count(*state), 0);
}

/* Its notification as new was lost, or it came and went before a dump. */
static void test_known_only_as_gone(void **state)
{
	struct conntrack_entry entry = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);

	update_gone(*state, entry);
	assert_found(*state, &entry, PUBLIC, SERVER, CLIENT, SERVER);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_none(*state, TCP, PUBLIC, SERVER);
}

static void test_comes_back(void **state)
{
	struct conntrack_entry entry = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);

	update(*state, entry);
	update_gone(*state, entry);
	nat_table_next_interval(*state);
	update(*state, with_id(entry, 2));
	/* late news of the first one */
	update_gone(*state, entry);
	for (int i = 0; i < 3; i++)
		nat_table_next_interval(*state);
	assert_found(*state, &entry, PUBLIC, SERVER, CLIENT, SERVER);
	assert_int_equal(nat_table_count(*state), 1);
}

/* The translated port goes to another client. */
static void test_port_reuse(void **state)
{
	struct conntrack_entry old = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);
	struct conntrack_entry young = with_id(entry_of(TCP, CLIENT2, SERVER, PUBLIC, SERVER), 2);

	update(*state, old);
	update_gone(*state, old);
	update(*state, young);
	assert_found(*state, &young, PUBLIC, SERVER, CLIENT2, SERVER);
	assert_found(*state, &old, CLIENT, SERVER, CLIENT, SERVER);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_none(*state, TCP, CLIENT, SERVER);
	assert_found(*state, &young, PUBLIC, SERVER, CLIENT2, SERVER);
}

/* As before, but nobody told that the old one went. */
static void test_port_reuse_untold(void **state)
{
	struct conntrack_entry old = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);
	struct conntrack_entry young = with_id(entry_of(TCP, CLIENT2, SERVER, PUBLIC, SERVER), 2);

	update(*state, old);
	update(*state, young);
	assert_found(*state, &young, PUBLIC, SERVER, CLIENT2, SERVER);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_none(*state, TCP, CLIENT, SERVER);
	assert_int_equal(nat_table_count(*state), 1);
}

/* The client uses its port again and is translated to another one: both keys of the past and of the
 * present belong to it. */
static void test_client_port_reuse(void **state)
{
	struct conntrack_entry old = entry_of(UDP, CLIENT, SERVER, PUBLIC, SERVER);
	struct conntrack_entry young =
		with_id(entry_of(UDP, CLIENT, SERVER, "203.0.113.9:7", SERVER), 2);

	update(*state, old);
	update_gone(*state, old);
	update(*state, young);
	assert_found(*state, &young, CLIENT, SERVER, CLIENT, SERVER);
	assert_found(*state, &young, "203.0.113.9:7", SERVER, CLIENT, SERVER);
	assert_found(*state, &old, PUBLIC, SERVER, CLIENT, SERVER);
	/* news of the old one are not taken for those of a third */
	update_gone(*state, old);
	assert_int_equal(nat_table_count(*state), 2);
	assert_found(*state, &young, CLIENT, SERVER, CLIENT, SERVER);
}

/* Two tenants with the same addresses, told apart by the zone of their original direction. */
static void test_zones_with_one_tuple(void **state)
{
	struct conntrack_entry blue = in_zone(entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER), 1, 0);
	struct conntrack_entry red =
		with_id(in_zone(entry_of(TCP, CLIENT, SERVER, "203.0.113.9:7", SERVER), 2, 0), 2);

	update(*state, blue);
	assert_found(*state, &blue, PUBLIC, SERVER, CLIENT, SERVER);
	update(*state, red);
	assert_none(*state, TCP, CLIENT, SERVER);
	assert_none(*state, TCP, PUBLIC, SERVER);
	assert_none(*state, TCP, "203.0.113.9:7", SERVER);
	update_gone(*state, blue);
	assert_found(*state, &red, CLIENT, SERVER, CLIENT, SERVER);
	assert_found(*state, &red, "203.0.113.9:7", SERVER, CLIENT, SERVER);
	assert_none(*state, TCP, PUBLIC, SERVER);
}

static void test_zones_with_one_translation(void **state)
{
	struct conntrack_entry blue = in_zone(entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER), 1, 1);
	struct conntrack_entry red =
		with_id(in_zone(entry_of(TCP, CLIENT2, SERVER, PUBLIC, SERVER), 2, 2), 2);

	update(*state, blue);
	update(*state, red);
	assert_none(*state, TCP, PUBLIC, SERVER);
	assert_found(*state, &blue, CLIENT, SERVER, CLIENT, SERVER);
	assert_found(*state, &red, CLIENT2, SERVER, CLIENT2, SERVER);
	/* the order does not matter */
	update(*state, blue);
	assert_none(*state, TCP, PUBLIC, SERVER);
	update_gone(*state, red);
	assert_found(*state, &blue, PUBLIC, SERVER, CLIENT, SERVER);
}

/* One translates what another has translated: nothing is guessed about the key between them. */
static void test_zones_in_a_chain(void **state)
{
	struct conntrack_entry first =
		in_zone(entry_of(TCP, CLIENT, "10.9.9.9:80", CLIENT, SERVER), 1, 1);
	struct conntrack_entry second =
		with_id(in_zone(entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER), 2, 2), 2);

	update(*state, first);
	update(*state, second);
	assert_found(*state, &first, CLIENT, "10.9.9.9:80", CLIENT, "10.9.9.9:80");
	assert_none(*state, TCP, CLIENT, SERVER);
	assert_none(*state, TCP, PUBLIC, SERVER);
}

static void test_dump_confirms(void **state)
{
	struct conntrack_entry stays = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);
	struct conntrack_entry goes = entry_of(TCP, CLIENT2, SERVER, "203.0.113.9:7", SERVER);

	update(*state, stays);
	update(*state, goes);
	/* an interrupted dump says nothing */
	nat_table_dump_begin(*state);
	nat_table_dump_begin(*state);
	update(*state, stays);
	nat_table_dump_end(*state, true);
	assert_found(*state, &goes, "203.0.113.9:7", SERVER, CLIENT2, SERVER);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_none(*state, TCP, "203.0.113.9:7", SERVER);
	assert_found(*state, &stays, PUBLIC, SERVER, CLIENT, SERVER);
	/* one that it forgot comes back */
	nat_table_dump_begin(*state);
	nat_table_dump_end(*state, true);
	nat_table_next_interval(*state);
	nat_table_dump_begin(*state);
	update(*state, stays);
	nat_table_dump_end(*state, true);
	nat_table_next_interval(*state);
	assert_found(*state, &stays, PUBLIC, SERVER, CLIENT, SERVER);
}

/* The number-th of many masqueraded clients: 65,536 a translated address. */
static struct conntrack_entry numbered(uint32_t number)
{
	static struct conntrack_entry first;
	struct conntrack_entry entry;
	uint32_t client = htonl(0x0a000000 + number);

	if (!first.protocol)
		first = entry_of(UDP, CLIENT, SERVER, PUBLIC, SERVER);
	entry = first;
	memcpy(entry.original.source + 12, &client, sizeof(client));
	entry.reply.destination[15] = number >> 16;
	entry.reply.destination_port = htons(number & 0xffff);
	entry.id = number;
	return entry;
}

static bool finds(const struct nat_table *table, const struct conntrack_entry *entry)
{
	struct nat_end client, server;
	struct flow_key key = {.protocol = entry->protocol, .family = FLOW_IPV4};
	struct nat_conversation found;
	int at;

	memcpy(client.addr, entry->reply.destination, 16);
	client.port = entry->reply.destination_port;
	memcpy(server.addr, entry->reply.source, 16);
	server.port = entry->reply.source_port;
	at = memcmp(&client, &server, sizeof(client)) > 0;
	memcpy(key.addr[at].bytes, client.addr, 16);
	memcpy(key.addr[!at].bytes, server.addr, 16);
	key.port[at] = client.port;
	key.port[!at] = server.port;
	return nat_table_find(table, &key, &found) &&
	       !memcmp(found.original.addr[found.client].bytes, entry->original.source, 16);
}

static void test_crowd(void **state)
{
	enum { CROWD = 10000 };
	static uint8_t here[CROWD];
	size_t expected = 0;

	memset(here, 0, sizeof(here));
	srandom(7);
	for (int round = 0; round < 12; round++) {
		for (int n = 0; n < CROWD; n++) {
			uint32_t number = random() % CROWD;

			if (random() % 2) {
				update(*state, numbered(number));
				here[number] = 1;
			} else if (here[number]) {
				update_gone(*state, numbered(number));
				here[number] = 0;
			}
		}
		if (round == 6) {
			/* nearly all leave: the table gives memory back and must lose nobody */
			for (uint32_t number = 100; number < CROWD; number++) {
				if (here[number])
					update_gone(*state, numbered(number));
				here[number] = 0;
			}
		}
		nat_table_next_interval(*state);
		nat_table_next_interval(*state);
		expected = 0;
		for (uint32_t number = 0; number < CROWD; number++) {
			struct conntrack_entry entry = numbered(number);

			assert_int_equal(finds(*state, &entry), here[number]);
			expected += here[number];
		}
		assert_int_equal(nat_table_count(*state), expected);
	}
	nat_table_dump_begin(*state);
	nat_table_dump_end(*state, true);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_int_equal(nat_table_count(*state), 0);
}

/* What an untold end had its key taken by does not get it back when the others of its time leave,
 * and the table gives memory back. */
static void test_crowd_leaves_one_replaced(void **state)
{
	enum { EARLY = 100, CROWD = 3000 };
	struct conntrack_entry old = entry_of(TCP, CLIENT, SERVER, PUBLIC, SERVER);
	struct conntrack_entry young = with_id(entry_of(TCP, CLIENT2, SERVER, PUBLIC, SERVER), 2);

	for (uint32_t number = 0; number < CROWD; number++)
		update(*state, numbered(number));
	update(*state, old);
	for (uint32_t number = 0; number < EARLY; number++)
		update_gone(*state, numbered(number));
	nat_table_next_interval(*state);
	for (uint32_t number = EARLY; number < CROWD; number++)
		update_gone(*state, numbered(number));
	nat_table_next_interval(*state);
	/* its record is one that was released, in front of the old one's */
	update(*state, young);
	nat_table_next_interval(*state);
	assert_int_equal(nat_table_count(*state), 2);
	update_gone(*state, young);
	assert_found(*state, &young, PUBLIC, SERVER, CLIENT2, SERVER);
	assert_found(*state, &old, CLIENT, SERVER, CLIENT, SERVER);
}

/* How many entries show one key strangers choose. What is done with one of them must not look at
 * all: that took minutes here. */
#define CROWD_OF_A_KEY (1U << 17)

static void expect_crowd(struct nat_table *table, struct conntrack_entry (*entry)(uint32_t number))
{
	for (int round = 0; round < 2; round++) {
		nat_table_dump_begin(table);
		for (uint32_t number = 0; number < CROWD_OF_A_KEY; number++)
			update(table, entry(number));
		nat_table_dump_end(table, true);
		nat_table_next_interval(table);
	}
	assert_int_equal(nat_table_count(table), CROWD_OF_A_KEY);
}

static void keep_one(struct nat_table *table, struct conntrack_entry entry)
{
	nat_table_dump_begin(table);
	update(table, entry);
	nat_table_dump_end(table, true);
	nat_table_next_interval(table);
	nat_table_next_interval(table);
	assert_int_equal(nat_table_count(table), 1);
}

static void number_address(uint8_t address[16], uint32_t number)
{
	number = htonl(0x0a000000 + number);
	memcpy(address + 12, &number, sizeof(number));
}

/* Of many clients, or of one with many addresses, behind one. */
static struct conntrack_entry numbered_ping(uint32_t number)
{
	struct conntrack_entry entry = ping_from("10.0.0.0:0", number);

	number_address(entry.original.source, number);
	return entry;
}

static void test_crowd_of_pings(void **state)
{
	struct conntrack_entry last = numbered_ping(2);

	expect_crowd(*state, numbered_ping);
	assert_none(*state, ICMP, "203.0.113.9:0", "198.51.100.7:0");
	keep_one(*state, last);
	assert_found(*state, &last, "203.0.113.9:0", "198.51.100.7:0", "10.0.0.2:0",
		     "198.51.100.7:0");
}

/* A client asks many servers from one port, is redirected to one, and so gets other ports. */
static struct conntrack_entry numbered_redirect(uint32_t number)
{
	struct conntrack_entry entry = entry_of(TCP, CLIENT, "10.0.0.0:443", PUBLIC, INSIDE);

	number_address(entry.original.destination, number);
	entry.reply.destination[15] = number >> 16;
	entry.reply.destination_port = htons(number & 0xffff);
	return with_id(entry, number);
}

static void test_crowd_of_redirects(void **state)
{
	struct conntrack_entry last = numbered_redirect(2);

	expect_crowd(*state, numbered_redirect);
	assert_none(*state, TCP, CLIENT, INSIDE);
	keep_one(*state, last);
	assert_found(*state, &last, CLIENT, INSIDE, CLIENT, "10.0.0.2:443");
}

/* Few addresses, ports and zones, so that all kinds of disputes come up; what is left must be
 * consistent, and nothing may stay behind. */
static void test_disputes(void **state)
{
	static const char *const ends[] = {"10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "10.0.0.2:2",
					   "10.0.0.1:0", "10.0.0.2:0", "10.0.0.3:0"};
	struct nat_conversation found, original;

	srandom(11);
	for (int n = 0; n < 50000; n++) {
		bool ports = random() % 2;
		size_t first = ports ? 0 : 4, count = ports ? 4 : 3;
		struct conntrack_entry entry =
			entry_of(ports ? UDP : ICMP, ends[first + random() % count],
				 ends[first + random() % count], ends[first + random() % count],
				 ends[first + random() % count]);
		struct flow_key key = key_of(entry.protocol, ends[first + random() % count],
					     ends[first + random() % count]);

		entry.zone[0] = random() % 3;
		entry.zone[1] = random() % 3;
		entry.id = random() % 4;
		entry.gone = random() % 2;
		update(*state, entry);
		if (nat_table_find(*state, &key, &found)) {
			/* what is reported under the original can be found under it */
			assert_int_equal(found.original.protocol, entry.protocol);
			assert_true(nat_table_find(*state, &found.original, &original));
		}
		if (random() % 20 == 0)
			nat_table_next_interval(*state);
	}
	nat_table_dump_begin(*state);
	nat_table_dump_end(*state, true);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	assert_int_equal(nat_table_count(*state), 0);
}

static void test_refuses_beyond_maximum(void **state)
{
	struct conntrack_entry entry;
	uint32_t number;

	for (number = 0; number < NAT_TABLE_MAX; number++)
		update(*state, numbered(number));
	assert_int_equal(nat_table_count(*state), NAT_TABLE_MAX);
	entry = numbered(number);
	assert_int_equal(nat_table_update(*state, &entry), -ENOSPC);
	assert_false(finds(*state, &entry));
	entry = numbered(17);
	assert_true(finds(*state, &entry));
	/* known ones are still followed, and make room */
	update_gone(*state, entry);
	nat_table_next_interval(*state);
	nat_table_next_interval(*state);
	entry = numbered(number);
	update(*state, entry);
	assert_true(finds(*state, &entry));
}

static struct conntrack_entry numbered_plain(uint32_t number)
{
	struct conntrack_entry entry = numbered(number);

	entry.reply = (struct conntrack_tuple){
		.source_port = entry.original.destination_port,
		.destination_port = entry.original.source_port,
	};
	memcpy(entry.reply.source, entry.original.destination, 16);
	memcpy(entry.reply.destination, entry.original.source, 16);
	return entry;
}

/* Those that are not translated leave room for those that are. */
static void test_refuses_plain_beyond_maximum(void **state)
{
	struct conntrack_entry entry;
	uint32_t number;

	for (number = 0; number < NAT_PLAIN_MAX; number++)
		update(*state, numbered_plain(number));
	entry = numbered_plain(number);
	assert_int_equal(nat_table_update(*state, &entry), -ENOSPC);
	assert_int_equal(nat_table_plain(*state), NAT_PLAIN_MAX);
	entry = numbered(number);
	update(*state, entry);
	assert_true(finds(*state, &entry));
	assert_int_equal(nat_table_count(*state), 1);
	/* memory that is given back takes none of the few that stay */
	for (number = 1; number < NAT_PLAIN_MAX; number++)
		update_gone(*state, numbered_plain(number));
	for (int i = 0; i < 3; i++)
		nat_table_next_interval(*state);
	assert_int_equal(nat_table_plain(*state), 1);
	assert_true(finds(*state, &entry));
	entry = numbered_plain(NAT_PLAIN_MAX);
	update(*state, entry);
	assert_int_equal(nat_table_plain(*state), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_masquerade),
		TEST(test_dnat),
		TEST(test_redirect),
		TEST(test_hairpin),
		TEST(test_whole_before_half),
		TEST(test_ipv6),
		TEST(test_not_translated),
		TEST(test_translated_unmarked),
		TEST(test_client),
		TEST(test_client_ages),
		TEST(test_client_becomes_server),
		TEST(test_translated_before_plain),
		TEST(test_plain_in_place_of_translated),
		TEST(test_client_without_ports),
		TEST(test_client_without_ports_in_a_dump),
		TEST(test_dump_of_translated_only),
		TEST(test_pings_of_one_client),
		TEST(test_pings_of_two_clients),
		TEST(test_ages),
		TEST(test_known_only_as_gone),
		TEST(test_comes_back),
		TEST(test_port_reuse),
		TEST(test_port_reuse_untold),
		TEST(test_client_port_reuse),
		TEST(test_zones_with_one_tuple),
		TEST(test_zones_with_one_translation),
		TEST(test_zones_in_a_chain),
		TEST(test_dump_confirms),
		TEST(test_crowd),
		TEST(test_crowd_leaves_one_replaced),
		TEST(test_crowd_of_pings),
		TEST(test_crowd_of_redirects),
		TEST(test_disputes),
		TEST(test_refuses_beyond_maximum),
		TEST(test_refuses_plain_beyond_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
