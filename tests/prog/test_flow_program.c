// SPDX-License-Identifier: GPL-2.0-only
/* What the program counts: the table of packets, then what takes more than one packet to show. */
#include "tests/prog/cases.h"
#include "tests/prog/harness.h"
#include "tests/prog/link.h"
#include "tests/prog/skip.h"

#include <pthread.h>
#include <stdatomic.h>

#define RACE_FLOWS  400 /* less than TEST_ENTRIES */
#define RACE_ROUNDS 10
#define RACE_REPEAT 100000

static const char *denied;

static int setup(void **state)
{
	struct harness *h;

	if (denied)
		return 0;
	if (harness_new(&h))
		return -1;
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	harness_free(*state);
	return 0;
}

static struct __sk_buff case_context(const struct packet_case *c)
{
	return (struct __sk_buff){.gso_size = c->gso_size, .gso_segs = c->gso_segs};
}

static void expect_case(struct harness *h, const struct packet_case *c, enum flow_class class)
{
	struct entry e = counted_entry(c->items, &c->want, class);

	expect_entries(h, &e, 1);
	assert_int_equal(harness_fill(h), c->want.reason == ATTRIBUTED);
	harness_clear(h);
}

static void test_case(void **state, const struct packet_case *c)
{
	struct __sk_buff ctx = case_context(c);
	struct harness *h = *state;
	struct packet p;

	skip_if(denied);
	case_packet(c, &p);
	harness_set_slot(h, LOOPBACK, LOOPBACK, c->no_ethernet ? FLOW_SLOT_COUNTED : COUNTED);
	run_program(h->in, &p, &ctx);
	expect_case(h, c, FLOW_INGRESS);
	run_program(h->out, &p, &ctx);
	expect_case(h, c, FLOW_EGRESS);
	harness_set_slot(h, LOOPBACK, LOOPBACK, COUNTED);
}

/* The table again, with nothing linear but the Ethernet header. */
static void test_not_linear(void **state)
{
	struct harness *h = *state;
	struct packet p;

	skip_if(denied);
	for (size_t i = 0; i < ARRAY_SIZE(packet_cases); i++) {
		const struct packet_case *c = &packet_cases[i];
		struct __sk_buff ctx = case_context(c);
		int r;

		if (c->no_ethernet)
			continue;
		case_packet(c, &p);
		ctx.data_end = ETH_HLEN;
		r = try_program(h->in, &p, &ctx, 1);
		if (r == -EINVAL && i == 0)
			skip_because("TEST_RUN here makes linear packets only");
		if (r)
			fail_msg("%s: %s", c->name, strerror(-r));
		expect_case(h, c, FLOW_INGRESS);
	}
}

/* The table again, on an interface whose driver counts frames: what is noted beside each makes one
 * frame of it. */
static void test_frames(void **state)
{
	struct harness *h = *state;
	struct packet p;

	skip_if(denied);
	for (size_t i = 0; i < ARRAY_SIZE(packet_cases); i++) {
		const struct packet_case *c = &packet_cases[i];
		struct __sk_buff ctx = case_context(c);
		struct entry entries[] = {
			counted_entry(c->items, &c->want, FLOW_INGRESS),
			{.key = reason_key(FLOW_FRAMES)},
		};
		uint64_t packets = c->want.packets ? c->want.packets : 1;
		uint8_t flags = c->no_ethernet ? FLOW_SLOT_COUNTED : COUNTED;

		case_packet(c, &p);
		set_count(&entries[1], 0, FLOW_INGRESS,
			  p.size - (c->no_ethernet ? 0 : ETH_HLEN) - c->want.bytes, 1 - packets);
		harness_set_slot(h, LOOPBACK, LOOPBACK, flags | FLOW_SLOT_FRAMES);
		run_program(h->in, &p, &ctx);
		expect_entries(h, entries, 2);
		harness_clear(h);
	}
}

/*
 * The attributed packets of the table again, really sent, which works on every kernel: frames of
 * more than a page keep only their Ethernet header linear.
 */
static void test_not_linear_sent(void **state)
{
	struct harness *h = *state;
	struct link_filters filters;
	struct packet p;

	skip_if(denied);
	link_filters_add(&filters, h->out);
	for (size_t i = 0; i < ARRAY_SIZE(packet_cases); i++) {
		const struct packet_case *c = &packet_cases[i];

		if (c->no_ethernet || c->gso_size || c->want.reason != ATTRIBUTED ||
		    strcmp(c->name, "jumbogram_not_gso") == 0 /* the padding is in its length */)
			continue;
		case_packet(c, &p);
		p.size += NOT_LINEAR_PAD;
		link_send(&filters, &p);
		assert_int_equal(link_linear_size(&filters), ETH_HLEN);
		expect_case(h, c, FLOW_EGRESS);
	}
	link_filters_remove(&filters);
}

/*
 * Every prefix of a frame whose IP header promises more. With a tag, since TEST_RUN itself refuses
 * less than an IP header behind the ethertype of one.
 */
static void test_cut_frames(void **state)
{
	static const struct item frames[][PACKET_ITEMS] = {
		{ETHERNET, TAG(0x8100), V4(), TCP(1, 2), DATA(5)},
		{ETHERNET, TAG(0x8100), V4(.size = 12), UDP(1, 2), DATA(5)},
		{ETHERNET, TAG(0x8100), V6(), UDP(1, 2), DATA(5)},
		{ETHERNET, TAG(0x8100), V6(), EXTENSION(0, 8), EXTENSION(51, 12), FRAGMENT(0, 1),
		 TCP(1, 2)},
	};
	struct harness *h = *state;

	skip_if(denied);
	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		struct packet p;
		size_t full;

		packet_build(&p, frames[i]);
		full = p.size;
		for (p.size = ETH_HLEN; p.size < full; p.size++) {
			size_t link = p.size < ETH_HLEN + 4 ? ETH_HLEN : ETH_HLEN + 4;
			struct want want = NO_FLOW(MALFORMED, p.size - link);
			struct entry e = counted_entry(frames[i], &want, FLOW_INGRESS);

			run_program(h->in, &p, NULL);
			expect_entries(h, &e, 1);
			harness_clear(h);
		}
	}
}

/* Every length of an IPv6 packet that says so: the chain and the ports must be inside. */
static void test_short_chains(void **state)
{
	static const struct item chain[PACKET_ITEMS] = {ETHERNET,	   V6(),
							EXTENSION(0, 8),   EXTENSION(43, 8),
							EXTENSION(51, 12), FRAGMENT(0, 1),
							EXTENSION(60, 8),  UDP(1, 2)};
	const int ports_end = 40 + 8 + 8 + 12 + 8 + 8 + 4;
	struct harness *h = *state;
	struct packet p;

	skip_if(denied);
	packet_build(&p, chain);
	for (int payload = 1; payload <= (int)p.size - ETH_HLEN - 40; payload++) {
		struct want flow = FLOW6(17, 1, 2, 40 + payload);
		struct want malformed = NO_FLOW(MALFORMED, p.size - ETH_HLEN);
		bool whole = 40 + payload >= ports_end;
		struct entry e = counted_entry(chain, whole ? &flow : &malformed, FLOW_INGRESS);

		put16(p.data + ETH_HLEN + 4, payload);
		run_program(h->in, &p, NULL);
		expect_entries(h, &e, 1);
		harness_clear(h);
	}
}

static void send_items(struct harness *h, const struct item *items)
{
	struct packet p;

	packet_build(&p, items);
	run_program(h->in, &p, NULL);
}

/* One packet that counts so, alone in a fresh map. */
static void expect_sent(struct harness *h, const struct item *items, const struct want *want)
{
	struct entry e = counted_entry(items, want, FLOW_INGRESS);

	send_items(h, items);
	expect_entries(h, &e, 1);
	harness_clear(h);
}

#define SENT(counts, ...) \
	expect_sent(h, (const struct item[]){__VA_ARGS__, {0}}, &(const struct want)counts)

static void test_ipv4_fragments(void **state)
{
	struct harness *h = *state;

	skip_if(denied);
	/* the later ones before the first: nobody knows their ports */
	SENT(FLOW4(17, 0, 0, 60), ETHERNET, V4(.next = 17, .fragment = 5, .id = 77), DATA(40));
	SENT(FLOW4(17, 3, 4, 68), ETHERNET, V4(.fragment = 0x2000, .id = 77), UDP(3, 4), DATA(40));
	SENT(FLOW4(17, 3, 4, 60), ETHERNET, V4(.next = 17, .fragment = 0x2006, .id = 77), DATA(40));
	SENT(FLOW4(17, 3, 4, 21), ETHERNET, V4(.next = 17, .fragment = 11, .id = 77), DATA(1));
	/* another packet, protocol, direction */
	SENT(FLOW4(17, 0, 0, 60), ETHERNET, V4(.next = 17, .fragment = 5, .id = 78), DATA(40));
	SENT(FLOW4(6, 0, 0, 60), ETHERNET, V4(.next = 6, .fragment = 5, .id = 77), DATA(40));
	SENT(FLOW4(17, 0, 0, 60), ETHERNET,
	     V4(.source = 2, .destination = 1, .next = 17, .fragment = 5, .id = 77), DATA(40));
	/* the sender is told by the ports of the first, too */
	SENT(FLOW4(17, 9, 4, 68), ETHERNET,
	     V4(.source = 6, .destination = 6, .fragment = 0x2000, .id = 79), UDP(9, 4), DATA(40));
	SENT(FLOW4(17, 9, 4, 60), ETHERNET,
	     V4(.source = 6, .destination = 6, .next = 17, .fragment = 5, .id = 79), DATA(40));
	/* an id that comes back */
	SENT(FLOW4(17, 5, 6, 68), ETHERNET, V4(.fragment = 0x2000, .id = 77), UDP(5, 6), DATA(40));
	SENT(FLOW4(17, 5, 6, 60), ETHERNET, V4(.next = 17, .fragment = 6, .id = 77), DATA(40));
	/* no ports in a first one: malformed; without ports: fine */
	SENT(NO_FLOW(MALFORMED, 23), ETHERNET, V4(.next = 17, .fragment = 0x2000, .id = 80),
	     DATA(3));
	SENT(FLOW4(1, 0, 0, 68), ETHERNET, V4(.fragment = 0x2000, .id = 81), ICMP, DATA(40));
	SENT(FLOW4(1, 0, 0, 60), ETHERNET, V4(.next = 1, .fragment = 6, .id = 81), DATA(40));
}

static void test_ipv6_fragments(void **state)
{
	struct harness *h = *state;

	skip_if(denied);
	SENT(FLOW6(17, 0, 0, 88), ETHERNET, V6(), FRAGMENT(0x0030, 77, .next = 17), DATA(40));
	SENT(FLOW6(17, 3, 4, 96), ETHERNET, V6(), FRAGMENT(1, 77), UDP(3, 4), DATA(40));
	SENT(FLOW6(17, 3, 4, 88), ETHERNET, V6(), FRAGMENT(0x0031, 77, .next = 17), DATA(40));
	SENT(FLOW6(17, 3, 4, 49), ETHERNET, V6(), FRAGMENT(0x0058, 77, .next = 17), DATA(1));
	/* ids have 32 bits */
	SENT(FLOW6(17, 0, 0, 88), ETHERNET, V6(), FRAGMENT(0x0030, 77 + 65536, .next = 17),
	     DATA(40));
	/* an atomic fragment tells nobody anything */
	SENT(FLOW6(17, 5, 6, 96), ETHERNET, V6(), FRAGMENT(0, 90), UDP(5, 6), DATA(40));
	SENT(FLOW6(17, 0, 0, 88), ETHERNET, V6(), FRAGMENT(0x0030, 90, .next = 17), DATA(40));
	/* extension headers inside the fragmented part are seen only in the first */
	SENT(FLOW6(60, 0, 0, 88), ETHERNET, V6(), FRAGMENT(0x0030, 91, .next = 60), DATA(40));
	SENT(FLOW6(17, 7, 8, 104), ETHERNET, V6(), FRAGMENT(1, 91), EXTENSION(60, 8), UDP(7, 8),
	     DATA(40));
	SENT(FLOW6(17, 7, 8, 88), ETHERNET, V6(), FRAGMENT(0x0038, 91, .next = 60), DATA(40));
	/* and those before it in all */
	SENT(FLOW6(6, 9, 10, 76), ETHERNET, V6(), EXTENSION(0, 8), FRAGMENT(1, 92), TCP(9, 10));
	SENT(FLOW6(6, 9, 10, 96), ETHERNET, V6(), EXTENSION(0, 8), FRAGMENT(0x0018, 92, .next = 6),
	     DATA(40));
	/* a later one never has its data taken for headers, even behind 8 of them */
	SENT(FLOW6(0, 0, 0, 112), ETHERNET, V6(), EXTENSION(60, 8), EXTENSION(60, 8),
	     EXTENSION(60, 8), EXTENSION(60, 8), EXTENSION(60, 8), EXTENSION(60, 8),
	     EXTENSION(60, 8, .next = 44), {.kind = ITEM_FRAGMENT, .fragment = 0x0018, .id = 93},
	     DATA(8));
	SENT(NO_FLOW(MALFORMED, 51), ETHERNET, V6(), FRAGMENT(1, 94, .next = 17), DATA(3));
}

/* Makes the one remembered first fragment older than it is. */
static void age_fragments(const struct harness *h, uint64_t seconds)
{
	int fragments = harness_fd(h, "fragments");
	uint8_t key[64], value[64];
	uint64_t seen_ns;

	assert_int_equal(bpf_map_get_next_key(fragments, NULL, key), 0);
	assert_int_equal(bpf_map_lookup_elem(fragments, key, value), 0);
	memcpy(&seen_ns, value, sizeof(seen_ns));
	seen_ns -= seconds * 1000000000;
	memcpy(value, &seen_ns, sizeof(seen_ns));
	assert_int_equal(bpf_map_update_elem(fragments, key, value, BPF_EXIST), 0);
}

static void test_old_fragments(void **state)
{
	struct harness *h = *state;

	skip_if(denied);
	SENT(FLOW4(17, 3, 4, 68), ETHERNET, V4(.fragment = 0x2000, .id = 77), UDP(3, 4), DATA(40));
	age_fragments(h, 25);
	SENT(FLOW4(17, 3, 4, 60), ETHERNET, V4(.next = 17, .fragment = 6, .id = 77), DATA(40));
	age_fragments(h, 6);
	SENT(FLOW4(17, 0, 0, 60), ETHERNET, V4(.next = 17, .fragment = 6, .id = 77), DATA(40));
}

static const struct item udp_items[] = {ETHERNET, V4(), UDP(1, 2), {0}};
static const struct want udp_want = FLOW4(17, 1, 2, 28);

static void expect_egress_entry(struct harness *h, uint32_t received, enum flow_class class,
				bool unsure)
{
	struct __sk_buff ctx = {.ingress_ifindex = received};
	struct entry e = counted_entry(udp_items, &udp_want, class);
	struct packet p;

	e.key.unsure = unsure;
	packet_build(&p, udp_items);
	run_program(h->out, &p, &ctx);
	expect_entries(h, &e, 1);
	harness_clear(h);
}

/* One packet through the egress program, received on `received` or born here (0). */
static void expect_egress(struct harness *h, uint32_t received, enum flow_class class)
{
	expect_egress_entry(h, received, class, false);
}

/* Received on a device of which a part is covered. */
static void expect_egress_unsure(struct harness *h, uint32_t received)
{
	expect_egress_entry(h, received, FLOW_EGRESS, true);
}

static void expect_from(struct harness *h, const struct flow_turner *turner, bool unsure)
{
	struct entry e = counted_entry(udp_items, &udp_want, FLOW_INGRESS);
	struct packet p;

	e.key.unsure = unsure;
	packet_build(&p, udp_items);
	memcpy(p.data + ETH_ALEN, turner->address, ETH_ALEN);
	run_program(h->in, &p, NULL);
	expect_entries(h, &e, 1);
	harness_clear(h);
}

/* A frame that comes from the address of a macvlan above the interface. */
static void test_turned_back(void **state)
{
	const struct flow_turner here = {.ifindex = LOOPBACK, .address = {2, 0, 0, 0, 0, 7}};
	const struct flow_turner other = {.ifindex = LOOPBACK, .address = {2, 0, 0, 0, 0, 8}};
	const struct flow_turner elsewhere = {.ifindex = 99, .address = {2, 0, 0, 0, 0, 8}};
	struct harness *h = *state;
	const uint8_t is = 1;
	int turners;

	skip_if(denied);
	turners = harness_fd(h, "turners");
	assert_int_equal(bpf_map_update_elem(turners, &here, &is, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(turners, &elsewhere, &is, BPF_ANY), 0);
	expect_from(h, &here, false);
	harness_set_slot(h, LOOPBACK, LOOPBACK, COUNTED | FLOW_SLOT_TURNS);
	expect_from(h, &here, true);
	expect_from(h, &other, false);
	expect_egress(h, 0, FLOW_EGRESS);
	assert_int_equal(bpf_map_delete_elem(turners, &here), 0);
	assert_int_equal(bpf_map_delete_elem(turners, &elsewhere), 0);
	expect_from(h, &here, false);
	harness_set_slot(h, LOOPBACK, LOOPBACK, COUNTED);
}

static void skip_if_never_received(const struct harness *h)
{
	const struct __sk_buff ctx = {.ingress_ifindex = LOOPBACK};
	struct packet p;

	packet_build(&p, udp_items);
	if (try_program(h->out, &p, &ctx, 1) == -EINVAL)
		skip_because("TEST_RUN here makes packets of no ingress_ifindex only");
	harness_clear(h);
}

static void test_egress_classes(void **state)
{
	const uint32_t covered = 50, uncovered = 51, unknown = 52, second = 53, partial = 54;
	struct harness *h = *state;

	skip_if(denied);
	skip_if_never_received(h);
	harness_set_slot(h, flow_slot_place(covered, 0), covered, FLOW_SLOT_COVERED);
	harness_set_slot(h, flow_slot_place(uncovered, 0), uncovered, COUNTED);
	harness_set_slot(h, flow_slot_place(second, 0), second + FLOW_SLOT_TABLE_SIZE, COUNTED);
	harness_set_slot(h, flow_slot_place(second, 1), second, FLOW_SLOT_COVERED);
	expect_egress(h, 0, FLOW_EGRESS);
	expect_egress(h, covered, FLOW_EGRESS_REPEAT);
	expect_egress(h, uncovered, FLOW_EGRESS);
	expect_egress(h, unknown, FLOW_EGRESS);
	expect_egress(h, second, FLOW_EGRESS_REPEAT);
	harness_set_slot(h, flow_slot_place(partial, 0), partial, FLOW_SLOT_PARTIAL);
	expect_egress_unsure(h, partial);
	expect_egress(h, covered, FLOW_EGRESS_REPEAT);
	/* an index that only shares its place with a covered one */
	expect_egress(h, covered + FLOW_SLOT_TABLE_SIZE, FLOW_EGRESS);

	harness_set_slot(h, LOOPBACK, LOOPBACK, COUNTED | FLOW_SLOT_BORN_REPEAT);
	expect_egress(h, 0, FLOW_EGRESS_REPEAT);
	expect_egress(h, covered, FLOW_EGRESS_REPEAT);
	expect_egress(h, uncovered, FLOW_EGRESS);
	/* own coverage says nothing of what is born here */
	harness_set_slot(h, LOOPBACK, LOOPBACK, COUNTED | FLOW_SLOT_COVERED);
	expect_egress(h, 0, FLOW_EGRESS);
	expect_egress(h, LOOPBACK, FLOW_EGRESS_REPEAT);
}

/* Of a VLAN, born here. They run on one CPU, as a frame does from its master to the port. */
static void expect_tagged(struct harness *h, uint8_t flags, uint16_t port, enum flow_class class)
{
	const struct item items[] = {ETHERNET, TAG(0x8100), V4(), UDP(port, 2), {0}};
	const struct want want = FLOW4(17, port, 2, 28);
	struct entry e = counted_entry(items, &want, class);
	struct packet p;

	harness_set_slot(h, LOOPBACK, LOOPBACK, COUNTED | flags);
	packet_build(&p, items);
	run_program(h->out, &p, NULL);
	expect_entries(h, &e, 1);
	harness_clear(h);
}

static void test_tags(void **state)
{
	const uint8_t master = FLOW_SLOT_TAGS, port = FLOW_SLOT_TAGS | FLOW_SLOT_BORN_REPEAT;
	struct harness *h = *state;
	cpu_set_t one, all;

	skip_if(denied);
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	expect_tagged(h, master, 1, FLOW_EGRESS);
	/* a flood leaves by several ports */
	expect_tagged(h, port, 1, FLOW_EGRESS_REPEAT);
	expect_tagged(h, port, 1, FLOW_EGRESS_REPEAT);
	/* past the master, again and again */
	expect_tagged(h, port, 3, FLOW_EGRESS);
	expect_tagged(h, port, 3, FLOW_EGRESS);
	expect_tagged(h, master, 3, FLOW_EGRESS);
	expect_tagged(h, port, 3, FLOW_EGRESS_REPEAT);
	expect_tagged(h, port, 1, FLOW_EGRESS);
	expect_tagged(h, FLOW_SLOT_BORN_REPEAT, 1, FLOW_EGRESS_REPEAT);
	/* without a tag it comes from the master, noted or not */
	harness_set_slot(h, LOOPBACK, LOOPBACK, COUNTED | port);
	expect_egress(h, 0, FLOW_EGRESS_REPEAT);
	harness_set_slot(h, LOOPBACK, LOOPBACK, COUNTED);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

/* Unattributed packets obey the same rule; ingress knows one class whatever the flags. */
static void test_classes_elsewhere(void **state)
{
	static const struct item arp[] = {ETHERTYPE(0x0806), DATA(28), {0}};
	const struct want want = NO_FLOW(NON_IP, 28);
	struct harness *h = *state;
	struct entry e = counted_entry(arp, &want, FLOW_EGRESS_REPEAT);
	struct packet p;

	skip_if(denied);
	harness_set_slot(h, LOOPBACK, LOOPBACK,
			 COUNTED | FLOW_SLOT_BORN_REPEAT | FLOW_SLOT_COVERED);
	packet_build(&p, arp);
	run_program(h->out, &p, NULL);
	set_count(&e, 0, FLOW_INGRESS, 28, 1);
	run_program(h->in, &p, NULL);
	expect_entries(h, &e, 1);
}

static void test_slot_places(void **state)
{
	const uint32_t first = flow_slot_place(LOOPBACK, 0), second = flow_slot_place(LOOPBACK, 1);
	const uint32_t other = LOOPBACK + FLOW_SLOT_TABLE_SIZE;
	struct harness *h = *state;
	uint32_t slot = TEST_SLOT, first_index = flow_slot_index(first, 0);

	skip_if(denied);
	assert_int_not_equal(first, second);
	SENT(FLOW4(17, 1, 2, 28), ETHERNET, V4(), UDP(1, 2));
	harness_set_slot(h, first, other, COUNTED);
	send_items(h, udp_items);
	expect_entries(h, NULL, 0);
	harness_set_slot(h, second, LOOPBACK, COUNTED);
	SENT(FLOW4(17, 1, 2, 28), ETHERNET, V4(), UDP(1, 2));
	harness_set_slot(h, second, other, COUNTED);
	send_items(h, udp_items);
	harness_set_slot(h, first, 0, 0);
	harness_set_slot(h, second, 0, 0);
	send_items(h, udp_items);
	/* known, but not counted */
	harness_set_slot(h, first, LOOPBACK, FLOW_SLOT_COVERED | FLOW_SLOT_ETHERNET);
	send_items(h, udp_items);
	expect_entries(h, NULL, 0);
	/* counted, but its map has gone; or a slot that cannot be */
	harness_set_slot(h, first, LOOPBACK, COUNTED);
	assert_int_equal(bpf_map_delete_elem(h->flow_maps, &slot), 0);
	send_items(h, udp_items);
	expect_entries(h, NULL, 0);
	assert_int_equal(bpf_map_update_elem(h->slots, &first_index,
					     &(struct flow_slot){LOOPBACK, 65535, COUNTED, 0},
					     BPF_ANY),
			 0);
	send_items(h, udp_items);
	expect_entries(h, NULL, 0);
	assert_int_equal(harness_fill(h), 0);
}

static void test_map_full(void **state)
{
	static const struct item flows[3][PACKET_ITEMS] = {
		{ETHERNET, V4(), UDP(1, 2)},
		{ETHERNET, V6(.source = 9), TCP(3, 4)},
		{ETHERNET, V4(.source = 9), UDP(5, 6), DATA(7)},
	};
	const struct want wants[3] = {FLOW4(17, 1, 2, 28), FLOW6(6, 3, 4, 60),
				      NO_FLOW(MAP_FULL, 35)};
	struct harness *h = *state;
	struct entry entries[3];

	skip_if(denied);
	harness_renew_map(h, FLOW_OWN_ENTRIES + 2);
	for (int i = 0; i < 3; i++) {
		int sender;

		entries[i] = entry_of(flows[i], &wants[i], &sender);
		set_count(&entries[i], sender, FLOW_INGRESS, 3 * wants[i].bytes, 3);
	}
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 3; i++)
			send_items(h, flows[i]);
	expect_entries(h, entries, 3);
	assert_int_equal(harness_fill(h), 2);
}

static void test_fill(void **state)
{
	struct harness *h = *state;
	uint32_t slot = TEST_SLOT;
	struct flow_fill none = {0};

	skip_if(denied);
	for (int i = 1; i <= 20; i++) {
		struct item items[] = {ETHERNET, V4(), UDP(i, 2), {0}};

		send_items(h, items);
		send_items(h, items);
		assert_int_equal(harness_fill(h), i);
	}
	assert_int_equal(bpf_map_update_elem(h->fill, &slot, &none, BPF_ANY), 0);
	send_items(h, udp_items);
	assert_int_equal(harness_fill(h), 0);
	send_items(h, (const struct item[]){ETHERNET, V4(), UDP(21, 2), {0}});
	assert_int_equal(harness_fill(h), 1);
}

static int note_slot(void *context, void *data, size_t size)
{
	assert_int_equal(size, sizeof(uint32_t));
	assert_int_equal(*(uint32_t *)data, TEST_SLOT);
	++*(int *)context;
	return 0;
}

/* Said once, at the insert that reaches the mark, and again after user space wrote a new one. */
static void test_nearly_full(void **state)
{
	struct harness *h = *state;
	struct flow_fill fill = {.signal_at = 3};
	uint32_t slot = TEST_SLOT;
	struct ring_buffer *ring;
	int said = 0, port = 1;

	skip_if(denied);
	ring = ring_buffer__new(harness_fd(h, "nearly_full"), note_slot, &said, NULL);
	assert_non_null(ring);
	for (int round = 1; round <= 2; round++) {
		assert_int_equal(bpf_map_update_elem(h->fill, &slot, &fill, BPF_ANY), 0);
		for (int inserted = 1; inserted <= 6; inserted++) {
			send_items(h, (const struct item[]){ETHERNET, V4(), UDP(port++, 2), {0}});
			assert_true(ring_buffer__consume(ring) >= 0);
			assert_int_equal(said, round - (inserted < 3));
		}
	}
	ring_buffer__free(ring);
}

/* Both directions of a flow are one entry. */
static void test_conversation(void **state)
{
	static const struct item there[] = {ETHERNET, V4(), TCP(9, 2), DATA(10), {0}};
	static const struct item back[] = {ETHERNET,
					   V4(.source = 2, .destination = 1),
					   TCP(2, 9),
					   {0}};
	const struct want want = FLOW4(6, 9, 2, 50);
	struct harness *h = *state;
	struct entry e;
	int sender;

	skip_if(denied);
	e = entry_of(there, &want, &sender);
	assert_int_equal(sender, 0);
	set_count(&e, 0, FLOW_INGRESS, 100, 2);
	set_count(&e, 1, FLOW_INGRESS, 40, 1);
	send_items(h, there);
	send_items(h, back);
	send_items(h, there);
	expect_entries(h, &e, 1);
}

struct racer {
	const struct harness *h;
	int cpu;
	int flows;
	int repeat;
	atomic_int *arrived; /* threads that stand before each flow */
	int failures;
};

static void race_packet(struct packet *p, int flow)
{
	packet_build(p, (const struct item[]){ETHERNET, V4(), UDP(1000 + flow, 2), {0}});
}

/* Nothing but a spin brings two system calls within the few hundred nanoseconds that matter. */
static void meet(atomic_int *arrived)
{
	atomic_fetch_add(arrived, 1);
	for (int spins = 0; atomic_load(arrived) < 2; spins++)
		if (spins > 100000)
			sched_yield();
}

/* No assert here: cmocka cannot leave a thread that is not its own. */
static void *race(void *arg)
{
	struct racer *racer = arg;
	struct packet p;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(racer->cpu, &cpu);
	if (pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu))
		racer->failures++;
	for (int flow = 0; flow < racer->flows; flow++) {
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = p.data, .repeat = racer->repeat);

		race_packet(&p, flow);
		run.data_size_in = p.size;
		meet(&racer->arrived[flow]);
		if (bpf_prog_test_run_opts(racer->h->in, &run))
			racer->failures++;
	}
	return NULL;
}

/* The first two CPUs that this process may use; false if it has only one. */
static bool two_cpus(int ret[2])
{
	cpu_set_t allowed;
	int count = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			ret[count++] = cpu;
	return count == 2;
}

/* Two CPUs meet the same new flows at once: every packet is in the one entry that remains. */
static void run_race(struct harness *h, int flows, int repeat)
{
	struct racer racers[2] = {0};
	struct entry *entries = calloc(flows, sizeof(*entries));
	atomic_int *arrived = calloc(flows, sizeof(*arrived));
	pthread_t threads[2];
	int cpus[2];

	if (!two_cpus(cpus)) {
		free(entries);
		free(arrived);
		skip_because("only one CPU");
	}
	assert_true(entries && arrived);
	for (int flow = 0; flow < flows; flow++) {
		const struct want want = FLOW4(17, 1000 + flow, 2, 28);
		int sender;

		entries[flow] = entry_of(udp_items, &want, &sender);
		set_count(&entries[flow], sender, FLOW_INGRESS, 28ULL * 2 * repeat, 2ULL * repeat);
	}
	for (int i = 0; i < 2; i++) {
		racers[i] = (struct racer){h, cpus[i], flows, repeat, arrived, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(racers[0].failures + racers[1].failures, 0);
	expect_entries(h, entries, flows);
	assert_int_equal(harness_fill(h), flows);
	free(entries);
	free(arrived);
}

static void test_race_to_insert(void **state)
{
	skip_if(denied);
	for (int round = 0; round < RACE_ROUNDS; round++) {
		run_race(*state, RACE_FLOWS, 1);
		harness_clear(*state);
	}
}

static void test_race_to_add(void **state)
{
	skip_if(denied);
	run_race(*state, 2, RACE_REPEAT);
}

/* The verifier gives up at a million instructions followed; old kernels follow more of the same
 * program. */
static void expect_room(int program)
{
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(program, &info, &size), 0);
	/* 0 before Linux 5.16 */
	assert_true(info.verified_insns < 200000);
}

static void test_room_in_the_verifier(void **state)
{
	const struct harness *h = *state;

	skip_if(denied);
	expect_room(h->in);
	expect_room(h->out);
}

static const struct CMUnitTest stories[] = {
	cmocka_unit_test_setup_teardown(test_not_linear, setup, teardown),
	cmocka_unit_test_setup_teardown(test_frames, setup, teardown),
	cmocka_unit_test_setup_teardown(test_not_linear_sent, setup, teardown),
	cmocka_unit_test_setup_teardown(test_cut_frames, setup, teardown),
	cmocka_unit_test_setup_teardown(test_short_chains, setup, teardown),
	cmocka_unit_test_setup_teardown(test_ipv4_fragments, setup, teardown),
	cmocka_unit_test_setup_teardown(test_ipv6_fragments, setup, teardown),
	cmocka_unit_test_setup_teardown(test_old_fragments, setup, teardown),
	cmocka_unit_test_setup_teardown(test_egress_classes, setup, teardown),
	cmocka_unit_test_setup_teardown(test_tags, setup, teardown),
	cmocka_unit_test_setup_teardown(test_turned_back, setup, teardown),
	cmocka_unit_test_setup_teardown(test_classes_elsewhere, setup, teardown),
	cmocka_unit_test_setup_teardown(test_slot_places, setup, teardown),
	cmocka_unit_test_setup_teardown(test_map_full, setup, teardown),
	cmocka_unit_test_setup_teardown(test_fill, setup, teardown),
	cmocka_unit_test_setup_teardown(test_nearly_full, setup, teardown),
	cmocka_unit_test_setup_teardown(test_conversation, setup, teardown),
	cmocka_unit_test_setup_teardown(test_race_to_insert, setup, teardown),
	cmocka_unit_test_setup_teardown(test_race_to_add, setup, teardown),
	cmocka_unit_test_setup_teardown(test_room_in_the_verifier, setup, teardown),
};

/* All cases share one loaded object; which one is next is known by order. */
static struct harness *shared;
static size_t next_case;

static void test_packet_case(void **state)
{
	(void)state;
	test_case((void **)&shared, &packet_cases[next_case++]);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(packet_cases) + ARRAY_SIZE(stories)];
	size_t count = 0;
	int failed;

	denied = harness_denied();
	if (!denied && harness_new(&shared))
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(packet_cases); i++)
		tests[count++] = (struct CMUnitTest){.name = packet_cases[i].name,
						     .test_func = test_packet_case};
	for (size_t i = 0; i < ARRAY_SIZE(stories); i++)
		tests[count++] = stories[i];
	failed = _cmocka_run_group_tests("flow_program", tests, count, NULL, NULL);
	harness_free(shared);
	return failed;
}
