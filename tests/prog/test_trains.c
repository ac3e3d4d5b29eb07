// SPDX-License-Identifier: GPL-2.0-only
/* What a CPU holds of its flow of the moment: every byte is in a train or in a map, never in both
 * and never in neither. */
#include "lib/cleanup.h"
#include "supervisor/flow_map.h"
#include "supervisor/program.h"
#include "tests/prog/packet.h"

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
	assert_int_equal(program_new(&f->program, NULL, false), 0);
	assert_int_equal(flow_maps_new(&f->maps, f->program, NULL, 1024 + FLOW_REASONS), 0);
	assert_int_equal(flow_maps_take(f->maps, 1, &f->map), 0);
	slot.slot = (uint16_t)f->map.slot;
	assert_int_equal(program_set_slot(f->program, &slot), 0);
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

static void skip_if_denied(void)
{
	if (!denied)
		return;
	print_message("%s\n", denied);
	skip();
}

/* COUNT UDP packets of 28 bytes from that port, through the ingress or the egress program. */
static void send_packets(const struct fixture *f, bool egress, uint16_t port, int count)
{
	const struct item items[] = {ETHERNET, V4(), UDP(port, 9), {0}};
	struct packet packet;
	int fd = egress ? program_egress_fd(f->program) : program_ingress_fd(f->program);
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data, .repeat = count);

	packet_build(&packet, items);
	run.data_size_in = packet.size;
	assert_int_equal(bpf_prog_test_run_opts(fd, &run), 0);
	assert_int_equal((int)run.retval, TC_ACT_UNSPEC);
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
	assert_int_equal(flow_maps_read(f->maps, f->map.fd, add_records, &f->mapped), 0);
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

static void test_holds_a_train_and_settles_it_for_another(void **state)
{
	struct fixture *f = *state;

	skip_if_denied();
	stay_on_cpu(0);
	send_packets(f, false, 1, 10);
	assert_held_and_mapped(f, 10, 0);
	send_packets(f, false, 1, 5);
	assert_held_and_mapped(f, 15, 0);
	send_packets(f, false, 2, 3);
	assert_held_and_mapped(f, 3, 15);
	send_packets(f, false, 1, 1);
	assert_held_and_mapped(f, 1, 18);
}

static void test_hooks_hold_trains_of_their_own(void **state)
{
	struct fixture *f = *state;

	skip_if_denied();
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

	skip_if_denied();
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
	struct flow_key key = {.family = FLOW_UNATTRIBUTED, .protocol = FLOW_MAP_FULL};
	struct fixture *f = *state;
	struct flow_value value;

	skip_if_denied();
	stay_on_cpu(0);
	for (uint16_t port = 1; port <= 1024; port++)
		send_packets(f, false, port, 1);
	send_packets(f, false, 2000, 12);
	send_packets(f, false, 1, 1);
	assert_int_equal(bpf_map_lookup_elem(f->map.fd, &key, &value), 0);
	assert_int_equal(value.count[0][FLOW_INGRESS].packets, 12);
	assert_int_equal(value.count[0][FLOW_INGRESS].bytes, 12 * 28);
	assert_held_and_mapped(f, 1, 1024 + 12);
}

struct sender {
	const struct fixture *fixture;
	int cpu, rounds;
	_Atomic int *running;
};

static void *send_mixed(void *data)
{
	const struct sender *sender = data;

	stay_on_cpu(sender->cpu);
	for (int i = 0; i < sender->rounds; i++)
		send_packets(sender->fixture, i & 1, (uint16_t)(1 + i % 3 * (i & 4)), 1 + i % 40);
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
	unsigned int drains = 0;

	skip_if_denied();
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
		assert_int_equal(flow_maps_read(f->maps, old.fd, add_records, &sum), 0);
		close(old.fd);
		drains++;
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	look(f);
	print_message("%d drains\n", drains);
	assert_int_equal(f->held.packets + f->mapped.packets, 0);
	assert_int_equal(sum.packets, 2 * packets_of(60000));
	assert_int_equal(sum.bytes, 28 * sum.packets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_holds_a_train_and_settles_it_for_another,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_hooks_hold_trains_of_their_own, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_epochs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_settles_into_map_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drains_under_load, setup, teardown),
	};

	return cmocka_run_group_tests(tests, setup_all, NULL);
}
