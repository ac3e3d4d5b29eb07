// SPDX-License-Identifier: GPL-2.0-only
/* What a CPU holds of its flow of the moment: every byte is in a train or in a map, never in both
 * and never in neither. */
#include "supervisor/flow_map.h"
#include "supervisor/program.h"
#include "supervisor/slot_table.h"
#include "tests/prog/packet.h"
#include "tests/prog/skip.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define LOOPBACK 1
#define PORTS	 65536

struct fixture {
	struct program *program;
	struct flow_maps *maps;
	struct flow_map map;
	struct flow_count held, mapped; /* of all flows, by the last look */
};

static const char *denied;

static int setup_all(void **state)
{
	(void)state;
	if (geteuid())
		denied = "not root";
	else if (unshare(CLONE_NEWNET))
		denied = "no new network namespace";
	return 0;
}

static int setup(void **state)
{
	struct flow_slot slot = {.ifindex = LOOPBACK,
				 .flags = FLOW_SLOT_COUNTED | FLOW_SLOT_ETHERNET};
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	if (denied)
		return 0;
	assert_int_equal(program_new(&f->program, NULL, 0, false), 0);
	program_use_trains(f->program, true);
	assert_int_equal(flow_maps_new(&f->maps, f->program, NULL, 65536), 0);
	assert_int_equal(flow_maps_take(f->maps, 1, &f->map), 0);
	slot.slot = (uint16_t)f->map.slot;
	assert_int_equal(slot_table_set(program_slots(f->program), &slot), 0);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	if (!denied) {
		close(f->map.fd);
		flow_maps_free(f->maps);
		program_free(f->program);
	}
	free(f);
	return 0;
}

/* COUNT UDP packets of 28 bytes between that port here and port 9 there, through the ingress or the
 * egress program. */
static void send_from(const struct fixture *f, bool egress, bool reply, uint16_t port, int count)
{
	const struct item there[] = {ETHERNET,
				     V4(.source = 1, .destination = 2),
				     UDP(port, 9),
				     {0}};
	const struct item back[] = {ETHERNET, V4(.source = 2, .destination = 1), UDP(9, port), {0}};
	struct packet packet;
	int fd = egress ? program_egress_fd(f->program) : program_ingress_fd(f->program);
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data, .repeat = count);

	packet_build(&packet, reply ? back : there);
	run.data_size_in = packet.size;
	assert_int_equal(bpf_prog_test_run_opts(fd, &run), 0);
	assert_int_equal((int)run.retval, TC_ACT_UNSPEC);
}

static void send_packets(const struct fixture *f, bool egress, uint16_t port, int count)
{
	send_from(f, egress, false, port, count);
}

/* Packets by the end that sent them, and the port of end 0. */
struct by_port {
	uint64_t packets[2][PORTS];
};

static int add_train_of_port(void *data, const struct flow_train *train)
{
	struct by_port *found = data;
	struct flow_key key;
	uint32_t sender = flow_key_order(&train->key, &key);

	found->packets[sender][ntohs(key.port[0])] += train->packets;
	return 0;
}

static int add_records_of_port(void *data, const struct flow_key *keys,
			       const struct flow_value *values, size_t n)
{
	struct by_port *found = data;

	for (size_t i = 0; i < n; i++)
		for (int sender = 0; sender < 2; sender++)
			for (int class = 0; class < FLOW_CLASSES; ++class)
				found->packets[sender][ntohs(keys[i].port[0])] +=
					values[i].count[sender][class].packets;
	return 0;
}

static int add_train(void *data, const struct flow_train *train)
{
	struct flow_count *sum = data;

	sum->bytes += train->bytes;
	sum->packets += train->packets;
	return 0;
}

static int add_records(void *data, const struct flow_key *keys, const struct flow_value *values,
		       size_t n)
{
	struct flow_count *sum = data;

	(void)keys;
	for (size_t i = 0; i < n; i++)
		for (int cell = 0; cell < 2 * FLOW_CLASSES; cell++) {
			sum->bytes += (&values[i].count[0][0])[cell].bytes;
			sum->packets += (&values[i].count[0][0])[cell].packets;
		}
	return 0;
}

static void look(struct fixture *f)
{
	f->held = f->mapped = (struct flow_count){0};
	assert_int_equal(program_peek_trains(f->program, add_train, &f->held), 0);
	assert_int_equal(flow_maps_read(f->maps, &f->map, add_records, &f->mapped), 0);
}

static void assert_held_and_mapped(struct fixture *f, uint64_t held, uint64_t mapped)
{
	look(f);
	assert_int_equal(f->held.packets, held);
	assert_int_equal(f->mapped.packets, mapped);
	assert_int_equal(f->held.bytes, held * 28);
	assert_int_equal(f->mapped.bytes, mapped * 28);
}

/* All runs of one test stay on one CPU. */
static void stay_on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

static int keep_key(void *data, const struct flow_train *train)
{
	flow_key_order(&train->key, data);
	return 0;
}

/* A port whose flow has the place of the flow of that port, which must be held alone: sends from
 * new ports until that one is settled. */
static uint16_t send_from_colliding_port(struct fixture *f, uint16_t port)
{
	struct flow_value value;
	struct flow_key key;

	assert_int_equal(program_peek_trains(f->program, keep_key, &key), 0);
	for (uint16_t other = port + 1; other; other++) {
		send_packets(f, false, other, 1);
		if (!bpf_map_lookup_elem(f->map.fd, &key, &value))
			return other;
	}
	fail_msg("no flow takes the place of port %u", port);
	return 0;
}

static void test_holds_flows_beside_each_other(void **state)
{
	struct fixture *f = *state;

	skip_if(denied);
	stay_on_cpu(0);
	send_packets(f, false, 1, 10);
	assert_held_and_mapped(f, 10, 0);
	send_packets(f, false, 1, 5);
	assert_held_and_mapped(f, 15, 0);
	for (uint16_t port = 2; port < 10; port++)
		send_packets(f, false, port, 1);
	look(f);
	assert_int_equal(f->held.packets + f->mapped.packets, 15 + 8);
	assert_true(f->held.packets > 8);
}

static void test_settles_a_flow_for_another_in_its_place(void **state)
{
	struct fixture *f = *state;
	struct flow_count before;
	uint16_t other;

	skip_if(denied);
	stay_on_cpu(0);
	send_packets(f, false, 1, 15);
	other = send_from_colliding_port(f, 1);
	look(f);
	before = f->mapped;
	assert_true(before.packets >= 15);
	/* each time the other goes into the map, as many packets as it had */
	send_packets(f, false, 1, 7);
	look(f);
	assert_int_equal(f->mapped.packets, before.packets + 1);
	send_packets(f, false, other, 3);
	look(f);
	assert_int_equal(f->mapped.packets, before.packets + 1 + 7);
	send_packets(f, false, 1, 1);
	look(f);
	assert_int_equal(f->mapped.packets, before.packets + 1 + 7 + 3);
	assert_int_equal(f->mapped.bytes, 28 * f->mapped.packets);
	assert_int_equal(f->held.bytes, 28 * f->held.packets);
}

static void test_hooks_hold_trains_of_their_own(void **state)
{
	struct fixture *f = *state;

	skip_if(denied);
	stay_on_cpu(0);
	for (int i = 0; i < 4; i++) {
		send_packets(f, false, 1, 1);
		send_packets(f, true, 1, 1);
	}
	assert_held_and_mapped(f, 8, 0);
}

static int take_trains(struct fixture *f, struct flow_count *taken)
{
	int err = program_read_trains(f->program, add_train, taken);

	return err ? err : program_empty_trains(f->program);
}

/* The set of the epoch before is quiet after a grace period, is read once, and is empty then. */
static void test_epochs(void **state)
{
	struct fixture *f = *state;
	struct flow_count taken = {0};

	skip_if(denied);
	stay_on_cpu(0);
	send_packets(f, false, 1, 10);
	program_flip_epoch(f->program);
	assert_int_equal(flow_maps_synchronize(f->maps), 0);
	send_packets(f, false, 1, 7);
	assert_held_and_mapped(f, 17, 0);
	assert_int_equal(take_trains(f, &taken), 0);
	assert_int_equal(taken.packets, 10);
	assert_held_and_mapped(f, 7, 0);

	program_flip_epoch(f->program);
	assert_int_equal(flow_maps_synchronize(f->maps), 0);
	assert_int_equal(take_trains(f, &taken), 0);
	assert_int_equal(taken.packets, 17);
	assert_held_and_mapped(f, 0, 0);
	send_packets(f, false, 1, 1);
	assert_held_and_mapped(f, 1, 0);
}

/* A train that finds no room when it is settled counts as what it is: that many packets of
 * map_full. */
static void test_settles_into_map_full(void **state)
{
	struct flow_key full = {.family = FLOW_UNATTRIBUTED, .protocol = FLOW_MAP_FULL};
	struct fixture *f = *state;
	struct flow_map *map = &f->map;
	uint64_t before = 0, sent = 16 + 12;
	struct flow_value value = {0};
	struct flow_map old;

	skip_if(denied);
	stay_on_cpu(0);
	flow_maps_set_entries(f->maps, 16 + FLOW_REASONS);
	assert_int_equal(flow_maps_swap(f->maps, &map, &old, 1, NULL, NULL), 0);
	close(old.fd);
	program_use_trains(f->program, false);
	for (uint16_t port = 1; port <= 16; port++)
		send_packets(f, false, port, 1);
	program_use_trains(f->program, true);

	send_packets(f, false, 1000, 12);
	/* others come one by one: who is settled for them has one packet, but for that flow */
	for (uint16_t port = 1001; port && value.count[0][FLOW_INGRESS].packets <= before + 1;
	     port++) {
		before = value.count[0][FLOW_INGRESS].packets;
		send_packets(f, false, port, 1);
		sent++;
		assert_int_equal(bpf_map_lookup_elem(f->map.fd, &full, &value), 0);
	}
	assert_int_equal(value.count[0][FLOW_INGRESS].packets, before + 12);
	assert_int_equal(value.count[0][FLOW_INGRESS].bytes, 28 * (before + 12));
	look(f);
	assert_int_equal(f->held.packets + f->mapped.packets, sent);
	assert_int_equal(f->held.bytes + f->mapped.bytes, 28 * sent);
}

/* Both directions of many flows through both hooks, in an order without pattern: each flow has what
 * it sent. */
static void test_each_flow_has_its_own(void **state)
{
	static struct by_port sent, found;
	struct fixture *f = *state;
	struct flow_map *map = &f->map;
	uint32_t random = 1;
	struct flow_map old;

	skip_if(denied);
	stay_on_cpu(0);
	for (int i = 0; i < 30000; i++) {
		bool reply;
		uint16_t port;

		random = random * 1664525 + 1013904223;
		port = (uint16_t)(random >> 16);
		reply = random & 0x2000;
		if (random & 0x8000)
			port %= 100;
		send_from(f, random & 0x4000, reply, port, 1 + i % 3);
		sent.packets[reply][port] += (uint64_t)(1 + i % 3);
	}
	program_flip_epoch(f->program);
	assert_int_equal(flow_maps_swap(f->maps, &map, &old, 1, NULL, NULL), 0);
	assert_int_equal(program_read_trains(f->program, add_train_of_port, &found), 0);
	assert_int_equal(program_empty_trains(f->program), 0);
	assert_int_equal(flow_maps_read(f->maps, &old, add_records_of_port, &found), 0);
	close(old.fd);
	assert_memory_equal(&found, &sent, sizeof(sent));
}

struct sender {
	const struct fixture *fixture;
	int cpu, rounds;
	_Atomic int *running;
};

/* Some that stay, and so many others that each place has several of them. */
static uint16_t mixed_port(int i)
{
	return (uint16_t)(i & 2 ? 1 + i % 3 : 1 + i * 7919L % 20011);
}

static void *send_mixed(void *data)
{
	const struct sender *sender = data;

	stay_on_cpu(sender->cpu);
	for (int i = 0; i < sender->rounds; i++)
		send_packets(sender->fixture, i & 1, mixed_port(i), 1 + i % 40);
	--*sender->running;
	return NULL;
}

static uint64_t packets_of(int rounds)
{
	uint64_t packets = 0;

	for (int i = 0; i < rounds; i++)
		packets += 1 + i % 40;
	return packets;
}

/* Drains as at interval ends, over and over, while two CPUs send: nothing is lost, nothing counted
 * twice. */
static void test_drains_under_load(void **state)
{
	struct fixture *f = *state;
	struct flow_map *map = &f->map;
	struct flow_count sum = {0};
	_Atomic int running = 2;
	struct sender senders[2];
	pthread_t threads[2];
	struct flow_map old;
	unsigned int under_load = 0;

	skip_if(denied);
	for (int i = 0; i < 2; i++) {
		senders[i] = (struct sender){.fixture = f,
					     .cpu = (int)(i % sysconf(_SC_NPROCESSORS_ONLN)),
					     .rounds = 60000,
					     .running = &running};
		assert_int_equal(pthread_create(&threads[i], NULL, send_mixed, &senders[i]), 0);
	}
	/* twice more when all is sent: what is held then is in the set that is in use */
	for (int after = 0; after < 2; after += !running) {
		program_flip_epoch(f->program);
		assert_int_equal(flow_maps_swap(f->maps, &map, &old, 1, NULL, NULL), 0);
		assert_int_equal(take_trains(f, &sum), 0);
		assert_int_equal(flow_maps_read(f->maps, &old, add_records, &sum), 0);
		close(old.fd);
		under_load += running && sum.packets;
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	look(f);
	print_message("%u drains under load\n", under_load);
	assert_true(under_load);
	assert_int_equal(f->held.packets + f->mapped.packets, 0);
	assert_int_equal(sum.packets, 2 * packets_of(60000));
	assert_int_equal(sum.bytes, 28 * sum.packets);
}

/* Whether a flow that was not seen before is put into the map at once, packet by packet. */
static bool goes_alone(struct fixture *f, uint16_t port)
{
	uint64_t mapped;

	look(f);
	mapped = f->mapped.packets;
	send_packets(f, false, port, 1);
	send_packets(f, false, port, 1);
	look(f);
	return f->mapped.packets == mapped + 2;
}

/* Trains are left alone where each packet is of another flow, and taken again where they are not.
 */
static void test_too_many_flows(void **state)
{
	struct fixture *f = *state;
	uint16_t port = 1, end = FLOW_TRAINS_MAX + 8 * FLOW_IN_VAIN;
	uint64_t mapped;

	skip_if(denied);
	stay_on_cpu(0);
	while (port < end)
		send_packets(f, false, port++, 1);
	look(f);
	assert_int_equal(f->held.packets + f->mapped.packets, port - 1);
	for (end = port + FLOW_ALONE; port < end && !goes_alone(f, port);
	     port += FLOW_ASK_AGAIN / 4)
		;
	assert_true(port < end);
	send_packets(f, false, 1, FLOW_ALONE);
	look(f);
	mapped = f->mapped.packets;
	send_packets(f, false, 1, 1000000);
	look(f);
	assert_true(f->mapped.packets < mapped + FLOW_ALONE);
	/* those that end now carried many */
	for (uint16_t pass = 0; pass < 2; pass++)
		for (uint16_t other = 1; other <= FLOW_IN_VAIN; other++)
			send_packets(f, false, (uint16_t)(20000 + other), 100);
	assert_false(goes_alone(f, 30000));
}

/* Trains that carried more than one packet end as often, and are worth it. */
static void test_two_flows_in_one_place(void **state)
{
	struct fixture *f = *state;
	uint16_t ports[2] = {1};
	uint64_t beside;

	skip_if(denied);
	stay_on_cpu(0);
	send_packets(f, false, ports[0], 1);
	ports[1] = send_from_colliding_port(f, ports[0]);
	look(f);
	beside = f->held.packets - 1;
	for (int turn = 0; turn < 2 * FLOW_IN_VAIN; turn++) {
		int count = turn % 2 ? 3 : 2;

		send_packets(f, false, ports[turn % 2], count);
		look(f);
		assert_int_equal(f->held.packets, beside + count);
	}
}

/* Packets that are held or mapped after one more on each CPU. */
static uint64_t count_on_each_cpu(struct fixture *f)
{
	cpu_set_t all;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		stay_on_cpu(cpu);
		send_packets(f, false, 1, 1);
		send_packets(f, true, 1, 1);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	look(f);
	return f->held.packets + f->mapped.packets;
}

/* What is staged is read by no CPU, and what is shown by all. */
static void test_staged_words(void **state)
{
	struct fixture *f = *state;
	struct flow_slot counted = {.ifindex = LOOPBACK,
				    .flags = FLOW_SLOT_COUNTED | FLOW_SLOT_ETHERNET};
	struct slot_table *slots;
	uint64_t a_round;

	skip_if(denied);
	slots = program_slots(f->program);
	counted.slot = (uint16_t)f->map.slot;
	a_round = count_on_each_cpu(f);
	assert_true(a_round >= 2);
	for (uint64_t round = 1; round < 4; round++) {
		const struct flow_slot none = {.ifindex = LOOPBACK};

		assert_int_equal(slot_table_stage(slots, &none), 0);
		assert_int_equal(count_on_each_cpu(f), 2 * round * a_round);
		slot_table_show(slots);
		assert_int_equal(count_on_each_cpu(f), 2 * round * a_round);
		assert_int_equal(slot_table_stage(slots, &counted), 0);
		assert_int_equal(count_on_each_cpu(f), 2 * round * a_round);
		slot_table_show(slots);
		assert_int_equal(count_on_each_cpu(f), (2 * round + 1) * a_round);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_holds_flows_beside_each_other, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_settles_a_flow_for_another_in_its_place, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_hooks_hold_trains_of_their_own, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_epochs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_settles_into_map_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_flow_has_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drains_under_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_flows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_flows_in_one_place, setup, teardown),
		cmocka_unit_test_setup_teardown(test_staged_words, setup, teardown),
	};

	return cmocka_run_group_tests(tests, setup_all, NULL);
}
