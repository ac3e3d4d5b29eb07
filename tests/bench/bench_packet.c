// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cost of a packet: nanoseconds of the flow program above an empty one, beside a floor and a
 * peer-like program, by BPF_PROG_TEST_RUN. Rounds over all programs are interleaved and medians
 * taken, so that what else the machine does falls on all alike.
 */
#include "bpf/flow_types.h"
#include "lib/cleanup.h"
#include "supervisor/flow_map.h"
#include "supervisor/program.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 15
#define REPEAT 400000

struct packet {
	const char *name;
	unsigned char data[128];
	size_t size;
};

struct subject {
	const char *name;
	int fd;
	uint32_t received_on; /* __sk_buff.ingress_ifindex */
	uint32_t samples[ROUNDS];
};

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

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

static uint32_t run(int fd, const struct packet *packet, uint32_t received_on, int repeat)
{
	struct __sk_buff context = {.ifindex = 1, .ingress_ifindex = received_on};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet->data,
		    .data_size_in = (__u32)packet->size, .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = repeat);

	if (bpf_prog_test_run_opts(fd, &opts))
		die("BPF_PROG_TEST_RUN");
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
		die(map);
}

/* All subjects over the same flows; prints a row for each. */
static void measure(struct bpf_object *object, const struct packet *packet, uint32_t flows,
		    struct subject *subjects, size_t count)
{
	int vary = object_fd(object, "vary");
	uint32_t empty, floor;

	put_setting(object, "settings", 0, flows - 1);
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

static void count_interface(struct program *program, struct flow_maps *maps, struct flow_map *map,
			    uint32_t ifindex)
{
	struct flow_slot slot = {
		.ifindex = ifindex,
		.flags = FLOW_SLOT_COUNTED | FLOW_SLOT_COVERED | FLOW_SLOT_ETHERNET,
	};

	errno = -flow_maps_take(maps, 1, map);
	if (errno)
		die("flow map");
	slot.slot = (uint16_t)map->slot;
	errno = -program_set_slot(program, &slot);
	if (errno)
		die("slot table");
}

int main(int argc, char *argv[])
{
	static const uint32_t flow_counts[] = {1, 4096, 65536};
	struct packet packets[] = {
		make_packet("IPv4/UDP", 4, IPPROTO_UDP),
		make_packet("IPv4/TCP", 4, IPPROTO_TCP),
		make_packet("IPv6/TCP", 6, IPPROTO_TCP),
	};
	struct bpf_object *object;
	struct program *program;
	struct flow_maps *maps;
	struct flow_map map;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_packet PACKET.bpf.o\n");
		return 2;
	}
	if (unshare(CLONE_NEWNET))
		die("network namespace");
	errno = -program_new(&program, NULL, false);
	if (errno)
		die("flow program");
	errno = -flow_maps_new(&maps, program, NULL, 4 * 65536);
	if (errno)
		die("flow maps");
	object = bpf_object__open_file(argv[1], NULL);
	if (!object || bpf_object__load(object))
		die(argv[1]);
	count_interface(program, maps, &map, 1);

	printf("| packet | flows | program | ns above empty | times the floor |\n"
	       "| --- | --- | --- | --- | --- |\n");
	for (size_t p = 0; p < ARRAY_SIZE(packets); p++)
		for (size_t f = 0; f < ARRAY_SIZE(flow_counts); f++) {
			struct subject subjects[] = {
				{.name = "empty", .fd = object_fd(object, "measure_empty")},
				{.name = "floor", .fd = object_fd(object, "measure_floor")},
				{.name = "peer-like", .fd = object_fd(object, "measure_peer")},
				{.name = "flowtally ingress", .fd = program_ingress_fd(program)},
				{.name = "flowtally egress", .fd = program_egress_fd(program)},
				{.name = "flowtally egress, forwarded",
				 .fd = program_egress_fd(program),
				 .received_on = 1},
			};

			measure(object, &packets[p], flow_counts[f], subjects,
				ARRAY_SIZE(subjects));
		}
	flow_maps_free(maps);
	program_free(program);
	bpf_object__close(object);
	return 0;
}
