// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random packets, most of them a little broken: the program and the reference must agree on each.
 * FLOWTALLY_TEST_SEED repeats a run, FLOWTALLY_TEST_PACKETS makes it longer.
 */
#include "tests/prog/harness.h"
#include "tests/prog/reference.h"
#include "tests/prog/skip.h"

#define DEFAULT_PACKETS 50000
#define BATCH		4000 /* packets between two fresh fragment memories: less than 8192 */
#define DEFAULT_SEED	20261122

static const char *denied;
static uint64_t random_state;

/* xorshift64*: the same packets from the same seed everywhere. */
static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * 2685821657736338717ULL) >> 32) % limit;
}

static bool one_in(uint32_t n)
{
	return random_below(n) == 0;
}

static int pick(const int *values, size_t count)
{
	return values[random_below(count)];
}

static struct item random_upper(void)
{
	static const int protocols[] = {6, 6, 6, 17, 17, 17, 33, 132, 136, 1, 58, 47, 50, 59};
	struct item item = UPPER(pick(protocols, ARRAY_SIZE(protocols)), 0);

	item.size = item.is == 6 ? 20 + 4 * (int)random_below(11) : 8 + 4 * (int)random_below(3);
	item.first = item.is == 6 && one_in(8) ? 1 + random_below(15) : 0;
	item.source = 1 + random_below(3);
	item.destination = 1 + random_below(3);
	return item;
}

static struct item random_extension(void)
{
	static const int kinds[] = {0, 43, 60, 60, 51, 44};
	struct item item = EXTENSION(pick(kinds, ARRAY_SIZE(kinds)), 0);

	if (item.is == 44) {
		static const int offsets[] = {0, 1, 1, 0x30, 0x31};

		item.kind = ITEM_FRAGMENT;
		item.fragment = pick(offsets, ARRAY_SIZE(offsets));
		item.id = random_below(4);
	} else if (item.is == 51) {
		item.size = 12 + 4 * random_below(4);
	} else {
		item.size = 8 + 8 * random_below(4);
	}
	return item;
}

static struct item random_ipv4(void)
{
	static const int fragments[] = {0, 0, 0, 0x4000, 0x2000, 0x2005, 5};

	return (struct item)V4(.size = one_in(3) ? 4 * random_below(11) : 0,
			       .source = 1 + random_below(3), .destination = 1 + random_below(3),
			       .fragment = pick(fragments, ARRAY_SIZE(fragments)),
			       .id = random_below(4), .no_length = one_in(10));
}

static void random_packet(struct packet *p)
{
	static const int tags[] = {0x8100, 0x88a8, 0x9100};
	struct item items[24] = {ETHERNET};
	int count = 1;

	if (one_in(3))
		for (int n = random_below(5); n > 0; n--)
			items[count++] = (struct item)TAG(pick(tags, ARRAY_SIZE(tags)));
	if (one_in(2)) {
		items[count++] = random_ipv4();
	} else {
		items[count] =
			(struct item)V6(.source = 1 + random_below(3),
					.destination = 1 + random_below(3), .no_length = one_in(6));
		count++;
		if (one_in(4))
			items[count++] = (struct item)EXTENSION(0, 8, .first = 0xc2);
		for (int n = one_in(2) ? random_below(11) : 0; n > 0; n--)
			items[count++] = random_extension();
	}
	items[count++] = random_upper();
	items[count++] = (struct item)DATA(random_below(200));
	packet_build(p, items);
}

/* Changes bytes of the headers, shortens or pads the frame. */
static void mutate(struct packet *p)
{
	int changes = one_in(2) ? random_below(4) : 0;

	for (int i = 0; i < changes; i++) {
		size_t at = 12 + random_below(p->size - 12 < 100 ? p->size - 12 : 100);

		if (one_in(2))
			p->data[at] ^= 1 << random_below(8);
		else
			p->data[at] = random_below(256);
	}
	if (one_in(6))
		p->size -= random_below(p->size - ETH_HLEN);
	if (one_in(6))
		p->size += random_below(40);
	/* what is behind the frame, and what was cut off, is zero for the reference as for nobody
	 */
	memset(p->data + p->size, 0, PACKET_MAX - p->size);
}

static void dump(const struct packet *p, const struct __sk_buff *ctx)
{
	print_error("gso_size %u gso_segs %u:", ctx->gso_size, ctx->gso_segs);
	for (size_t i = 0; i < p->size; i++)
		print_error("%s%02x", i % 16 ? " " : "\n  ", p->data[i]);
	print_error("\n");
}

/* All that the map holds is the verdict. */
static bool agrees(const struct harness *h, const struct verdict *v)
{
	struct flow_value value, expected = {0};
	struct flow_key key, *previous = NULL;
	bool found = false;

	expected.count[v->sender][FLOW_INGRESS] = (struct flow_count){v->bytes, v->packets};
	while (!bpf_map_get_next_key(h->map, previous, &key)) {
		static const struct flow_value zero;
		bool this = memcmp(&key, &v->key, sizeof(key)) == 0;

		if (bpf_map_lookup_elem(h->map, &key, &value) ||
		    memcmp(&value, this ? &expected : &zero, sizeof(value)) != 0)
			return false;
		if (!this && key.family != FLOW_UNATTRIBUTED)
			return false;
		found |= this;
		previous = &key;
	}
	return found;
}

static uint64_t seed(void)
{
	const char *given = getenv("FLOWTALLY_TEST_SEED");

	return given ? strtoull(given, NULL, 0) | 1 : DEFAULT_SEED;
}

static int packet_count(void)
{
	const char *given = getenv("FLOWTALLY_TEST_PACKETS");
	int count = given ? atoi(given) : DEFAULT_PACKETS;

	assert_true(count >= 1 && count <= INT32_MAX);
	return count;
}

static void test_random_packets(void **state)
{
	const int packets = packet_count();
	struct reference *reference = calloc(1, sizeof(*reference));
	int attributed = 0, refused = 0, reasons[FLOW_REASONS] = {0};
	struct harness *h = NULL;

	(void)state;
	if (denied) {
		free(reference);
		skip_because(denied);
	}
	assert_non_null(reference);
	random_state = seed();
	print_message("seed %llu\n", (unsigned long long)random_state);
	for (int i = 0; i < packets; i++) {
		struct __sk_buff ctx = {0};
		struct verdict v;
		struct packet p;
		int r;

		if (i % BATCH == 0) {
			harness_free(h);
			assert_int_equal(harness_new(&h), 0);
			reference->fragment_count = 0;
		}
		random_packet(&p);
		mutate(&p);
		if (one_in(3)) {
			ctx.gso_size = 1 + random_below(100);
			ctx.gso_segs = one_in(2) ? random_below(20) : 0;
		}
		r = try_program(h->in, &p, &ctx, 1);
		if (r == -EINVAL) { /* no IP header behind the ethertype of one */
			refused++;
			continue;
		}
		assert_int_equal(r, 0);
		v = reference_judge(reference, p.data, p.size, ctx.gso_size, ctx.gso_segs);
		if (!agrees(h, &v)) {
			dump(&p, &ctx);
			fail_msg("packet %d: the reference says %s, protocol %d, sender %d, "
				 "%llu bytes, %llu packets",
				 i, v.attributed ? "a flow" : "no flow", v.key.protocol, v.sender,
				 (unsigned long long)v.bytes, (unsigned long long)v.packets);
		}
		if (v.attributed)
			attributed++;
		else
			reasons[v.reason]++;
		harness_clear(h);
	}
	harness_free(h);
	free(reference);
	print_message("%d flows, %d non_ip, %d malformed, %d refused by TEST_RUN\n", attributed,
		      reasons[FLOW_NON_IP], reasons[FLOW_MALFORMED], refused);
	/* a generator that makes nothing but rubbish would test nothing */
	assert_true(attributed > packets / 4);
	assert_true(reasons[FLOW_MALFORMED] > packets / 20);
	assert_true(reasons[FLOW_NON_IP] > packets / 100);
	assert_true(refused < packets / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_packets),
	};

	denied = harness_denied();
	return cmocka_run_group_tests_name("flow_random", tests, NULL, NULL);
}
