// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of a packet: nanoseconds of the flow program above an empty one, beside a floor and a
 * peer-like program, by BPF_PROG_TEST_RUN; and what it becomes when two CPUs have packets of one
 * flow at once. Rounds over all programs are interleaved and medians taken, so that what else the
 * machine does falls on all alike.
 */
#include "bpf/flow_types.h"
#include "lib/array.h"
#include "supervisor/flow_map.h"
#include "supervisor/program.h"
#include "supervisor/slot_table.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <err.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define ROUNDS 15
#define REPEAT 400000
#define SEED   1

struct packet {
	const char *name;
	unsigned char data[128];
	size_t size;
};

struct subject {
	const char *name;
	int fd;
	uint32_t received_on; /* __sk_buff.ingress_ifindex */
	bool without_trains;
	uint32_t samples[ROUNDS];
	uint32_t contended[ROUNDS];
};

struct bench {
	struct bpf_object *object;
	struct program *program;
	struct flow_maps *maps;
	struct flow_map map;
};

/* What two CPUs do at once. */
struct contender {
	_Atomic uint32_t *arrived; /* at the beginning of a run, in all runs so far */
	uint32_t cpus;
	const struct packet *packets; /* there, and back */
	int fd, cpu;
	uint32_t ns;
};

static size_t put_ipv4(unsigned char *at, uint8_t protocol, size_t payload)
{
	struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol};

	ip.tot_len = htons((uint16_t)(sizeof(ip) + payload));
	ip.saddr = htonl(0x0a000001);
	ip.daddr = htonl(0x0a0000fe);
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t put_ipv6(unsigned char *at, uint8_t protocol, size_t payload)
{
	struct ip6_hdr ip = {.ip6_flow = htonl(6U << 28), .ip6_nxt = protocol, .ip6_hlim = 64};

	ip.ip6_plen = htons((uint16_t)payload);
	inet_pton(AF_INET6, "2001:db8::1", &ip.ip6_src);
	inet_pton(AF_INET6, "2001:db8::fe", &ip.ip6_dst);
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static struct packet make_packet(const char *name, int version, uint8_t protocol)
{
	struct packet packet = {.name = name};
	struct ethhdr eth = {.h_proto = htons(version == 4 ? ETH_P_IP : ETH_P_IPV6)};
	struct tcphdr tcp = {.source = htons(40000), .dest = htons(443), .doff = 5};
	struct udphdr udp = {.source = htons(40000), .dest = htons(443), .len = htons(40)};
	unsigned char *at = packet.data;
	size_t payload = protocol == IPPROTO_TCP ? sizeof(tcp) + 20 : sizeof(udp) + 32;

	memcpy(at, &eth, sizeof(eth));
	at += sizeof(eth);
	at += version == 4 ? put_ipv4(at, protocol, payload) : put_ipv6(at, protocol, payload);
	if (protocol == IPPROTO_TCP)
		memcpy(at, &tcp, sizeof(tcp));
	else
		memcpy(at, &udp, sizeof(udp));
	packet.size = (size_t)(at - packet.data) + payload;
	return packet;
}

/* The other direction of the same IPv4 flow. */
static void reverse(struct packet *packet)
{
	struct iphdr *ip = (struct iphdr *)(packet->data + sizeof(struct ethhdr));
	uint16_t *ports = (uint16_t *)(ip + 1), source = ports[0];
	uint32_t address = ip->saddr;

	ip->saddr = ip->daddr;
	ip->daddr = address;
	ports[0] = ports[1];
	ports[1] = source;
}

static uint32_t run(int fd, const struct packet *packet, uint32_t received_on, int repeat)
{
	struct __sk_buff context = {.ifindex = 1, .ingress_ifindex = received_on};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet->data,
		    .data_size_in = (__u32)packet->size, .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = repeat);

	if (bpf_prog_test_run_opts(fd, &opts))
		err(1, "BPF_PROG_TEST_RUN");
	return opts.duration;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int object_fd(struct bpf_object *object, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);

	return program ? bpf_program__fd(program) : -1;
}

static void put_setting(struct bpf_object *object, const char *map, uint32_t key, uint32_t value)
{
	if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, map), &key, &value, 0))
		err(1, "%s", map);
}

/* All subjects over the same flows; prints a row for each. */
static void measure(struct bpf_object *object, const struct packet *packet, uint32_t flows,
		    struct subject *subjects, size_t count)
{
	int vary = object_fd(object, "vary");
	uint32_t empty, floor;

	put_setting(object, "settings", 0, flows - 1);
	put_setting(object, "settings", 1, SEED);
	for (size_t i = 0; i < count; i++) {
		put_setting(object, "measured", 0, (uint32_t)subjects[i].fd);
		/* every flow has its entry before time is taken */
		run(vary, packet, subjects[i].received_on, (int)(4 * flows));
	}
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < count; i++) {
			put_setting(object, "measured", 0, (uint32_t)subjects[i].fd);
			subjects[i].samples[round] =
				run(vary, packet, subjects[i].received_on, REPEAT);
		}
	for (size_t i = 0; i < count; i++)
		qsort(subjects[i].samples, ROUNDS, sizeof(uint32_t), by_size);
	empty = subjects[0].samples[ROUNDS / 2];
	floor = subjects[1].samples[ROUNDS / 2];
	for (size_t i = 1; i < count; i++) {
		int64_t cost = (int64_t)subjects[i].samples[ROUNDS / 2] - empty;

		printf("| %s | %u | %s | %lld | %.2f |\n", packet->name, flows, subjects[i].name,
		       (long long)cost, (double)cost / ((double)floor - empty));
	}
}

static void stay_on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "sched_setaffinity");
}

/* Awake, as an idle CPU of a virtual machine may take as long to wake up as a run takes. */
static void meet(struct contender *contender, uint32_t times)
{
	++*contender->arrived;
	while (*contender->arrived < contender->cpus * times)
		;
}

/* In front of everything else for some milliseconds: else two CPUs would seldom be at it at once on
 * a machine that has other work. */
static void *contend(void *data)
{
	const struct sched_param first = {.sched_priority = 1};
	struct contender *contender = data;

	stay_on_cpu(contender->cpu);
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		err(1, "sched_setscheduler");
	contender->ns = 0;
	for (int i = 0; i < 2; i++) {
		meet(contender, (uint32_t)i + 1);
		contender->ns += run(contender->fd, &contender->packets[i], 0, REPEAT) / 2;
	}
	return NULL;
}

/* Mean of as many CPUs at once. */
static uint32_t run_on_cpus(const struct subject *subject, const struct packet *packets,
			    uint32_t cpus)
{
	struct contender contenders[2];
	_Atomic uint32_t arrived = 0;
	pthread_t threads[2];
	uint32_t sum = 0;

	for (uint32_t i = 0; i < cpus; i++) {
		contenders[i] = (struct contender){.arrived = &arrived,
						   .cpus = cpus,
						   .packets = packets,
						   .fd = subject->fd,
						   .cpu = (int)i};
		errno = pthread_create(&threads[i], NULL, contend, &contenders[i]);
		if (errno)
			err(1, "pthread_create");
	}
	for (uint32_t i = 0; i < cpus; i++) {
		pthread_join(threads[i], NULL);
		sum += contenders[i].ns;
	}
	return sum / cpus;
}

/* Of sorted samples the upper quartile: two CPUs that were not at it at once look as if they were
 * one. */
static int64_t above(const uint32_t *samples, const uint32_t *empty)
{
	return (int64_t)samples[ROUNDS * 3 / 4] - empty[ROUNDS * 3 / 4];
}

static void measure_contention(struct bench *bench, struct subject *subjects, size_t count)
{
	struct packet packets[] = {make_packet("IPv4/UDP", 4, IPPROTO_UDP),
				   make_packet("IPv4/UDP", 4, IPPROTO_UDP)};

	reverse(&packets[1]);
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < count; i++) {
			struct subject *subject = &subjects[i];

			program_use_trains(bench->program, !subject->without_trains);
			subject->samples[round] = run_on_cpus(subject, packets, 1);
			subject->contended[round] = run_on_cpus(subject, packets, 2);
		}
	for (size_t i = 0; i < count; i++) {
		int64_t one, two;

		qsort(subjects[i].samples, ROUNDS, sizeof(uint32_t), by_size);
		qsort(subjects[i].contended, ROUNDS, sizeof(uint32_t), by_size);
		if (!i)
			continue;
		one = above(subjects[i].samples, subjects[0].samples);
		two = above(subjects[i].contended, subjects[0].contended);
		printf("| %s | %lld | %lld | %.2f |\n", subjects[i].name, (long long)one,
		       (long long)two, (double)two / (double)one);
	}
}

static void count_interface(struct program *program, struct flow_maps *maps, struct flow_map *map,
			    uint32_t ifindex)
{
	struct flow_slot slot = {
		.ifindex = ifindex,
		.flags = FLOW_SLOT_COUNTED | FLOW_SLOT_COVERED | FLOW_SLOT_ETHERNET,
	};

	errno = -flow_maps_take(maps, 1, map);
	if (errno)
		err(1, "flow map");
	slot.slot = (uint16_t)map->slot;
	errno = -slot_table_set(program_slots(program), &slot);
	if (errno)
		err(1, "slot table");
}

static void bench_cost(struct bench *bench)
{
	static const uint32_t flow_counts[] = {1, 4096, 65536};
	struct packet packets[] = {
		make_packet("IPv4/UDP", 4, IPPROTO_UDP),
		make_packet("IPv4/TCP", 4, IPPROTO_TCP),
		make_packet("IPv6/TCP", 6, IPPROTO_TCP),
	};

	printf("| packet | flows | program | ns above empty | times the floor |\n"
	       "| --- | --- | --- | --- | --- |\n");
	for (size_t p = 0; p < ARRAY_SIZE(packets); p++)
		for (size_t f = 0; f < ARRAY_SIZE(flow_counts); f++) {
			struct subject subjects[] = {
				{.name = "empty", .fd = object_fd(bench->object, "measure_empty")},
				{.name = "floor", .fd = object_fd(bench->object, "measure_floor")},
				{.name = "peer-like",
				 .fd = object_fd(bench->object, "measure_peer")},
				{.name = "flowtally ingress",
				 .fd = program_ingress_fd(bench->program)},
				{.name = "flowtally egress",
				 .fd = program_egress_fd(bench->program)},
				{.name = "flowtally egress, forwarded",
				 .fd = program_egress_fd(bench->program),
				 .received_on = 1},
			};

			measure(bench->object, &packets[p], flow_counts[f], subjects,
				ARRAY_SIZE(subjects));
		}
}

static void bench_contention(struct bench *bench)
{
	struct subject subjects[] = {
		{.name = "empty", .fd = object_fd(bench->object, "measure_empty")},
		{.name = "floor", .fd = object_fd(bench->object, "measure_floor")},
		{.name = "peer-like", .fd = object_fd(bench->object, "measure_peer")},
		{.name = "flowtally ingress", .fd = program_ingress_fd(bench->program)},
		{.name = "flowtally egress", .fd = program_egress_fd(bench->program)},
		{.name = "flowtally, each packet into the map",
		 .fd = program_ingress_fd(bench->program),
		 .without_trains = true},
	};

	printf("| program | ns above empty, one CPU | two CPUs | times |\n"
	       "| --- | --- | --- | --- |\n");
	measure_contention(bench, subjects, ARRAY_SIZE(subjects));
}

int main(int argc, char *argv[])
{
	struct bench bench = {0};

	if (argc != 3 || (strcmp(argv[1], "cost") != 0 && strcmp(argv[1], "contention") != 0)) {
		fprintf(stderr, "usage: bench_packet cost|contention PACKET.bpf.o\n");
		return 2;
	}
	if (unshare(CLONE_NEWNET))
		err(1, "network namespace");
	(void)setpriority(PRIO_PROCESS, 0, -20); /* less noise, no matter if it may not */
	errno = -program_new(&bench.program, NULL, 0, false);
	if (errno)
		err(1, "flow program");
	program_use_trains(bench.program, true);
	errno = -flow_maps_new(&bench.maps, bench.program, NULL, 4 * 65536);
	if (errno)
		err(1, "flow maps");
	bench.object = bpf_object__open_file(argv[2], NULL);
	if (!bench.object || bpf_object__load(bench.object))
		err(1, "%s", argv[2]);
	count_interface(bench.program, bench.maps, &bench.map, 1);
	if (!strcmp(argv[1], "cost"))
		bench_cost(&bench);
	else
		bench_contention(&bench);
	flow_maps_free(bench.maps);
	program_free(bench.program);
	bpf_object__close(bench.object);
	return 0;
}
