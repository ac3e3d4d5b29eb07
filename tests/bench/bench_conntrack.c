// SPDX-License-Identifier: GPL-2.0-only
/*
 * What following conntrack costs:
 *
 *   translated   CPU time of reading a connection table of N translated entries and of joining
 * their faces, as a share of a report's. Each conversation is on two interfaces: received on one as
 * the client sent it, sent out of the other translated, and the replies the other way. Reading the
 * flow maps is not in it. plain        entries that are not translated, each by itself
 */
#include "bpf/flow_types.h"
#include "lib/array.h"
#include "lib/buffer.h"
#include "netlink/conntrack.h"
#include "report/format.h"
#include "report/locals.h"
#include "report/merge.h"
#include "report/nat.h"
#include "tests/bench/bench.h"
#include "tests/prog/ctnetlink.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH	4096
#define RUNS	3
#define PLAIN	200000 /* entries that are not translated */
#define PASSING 5000

enum { LAN = 1, WAN };

struct bench {
	struct nat_table *nat;
	struct local_set *locals;
	struct conntrack *conntrack;
};

static const struct client_ports client_ports = {32768, 65535};

static void take_entry(void *data, const struct conntrack_entry *entry)
{
	must(nat_table_update(data, entry), "conversations");
}

static void begin_dump(void *data)
{
	nat_table_dump_begin(data);
}

static void end_dump(void *data, bool whole)
{
	nat_table_dump_end(data, whole);
}

static void put_end(struct flow_key *key, unsigned int end, uint32_t address, uint16_t port)
{
	address = htonl(address);
	key->addr[end].bytes[10] = key->addr[end].bytes[11] = 0xff;
	memcpy(key->addr[end].bytes + 12, &address, sizeof(address));
	key->port[end] = htons(port);
}

/* All addresses that clients have or seem to have but 203.0.113.0 are below that of the server. */
static void make_key(struct flow_key *key, uint32_t number, bool translated)
{
	uint16_t port = CTNETLINK_FROM_PORT;
	uint32_t client = ctnetlink_from(number);
	unsigned int end;

	if (translated)
		client = ctnetlink_seen_as(number, &port);
	end = client > CTNETLINK_TO;
	*key = (struct flow_key){.family = FLOW_IPV4, .protocol = IPPROTO_UDP};
	put_end(key, end, client, port);
	put_end(key, !end, CTNETLINK_TO, CTNETLINK_PORT);
}

/* What the two interfaces counted: on the client's side, and on the server's. */
static void add_records(struct merge *merge, uint32_t id, uint32_t entries)
{
	static struct flow_key keys[BATCH];
	static struct flow_value values[BATCH];
	uint32_t n = 0;

	for (uint32_t number = 0; number < entries; number++) {
		unsigned int client;

		make_key(&keys[n], number, id == WAN);
		client = ntohs(keys[n].port[0]) == CTNETLINK_PORT;
		values[n] = (struct flow_value){0};
		values[n].count[id == WAN ? !client : client][FLOW_INGRESS] =
			(struct flow_count){.bytes = 1000 + number % 100, .packets = 2};
		values[n].count[id == WAN ? client : !client][FLOW_EGRESS_REPEAT] =
			(struct flow_count){.bytes = 1000, .packets = 2};
		if (++n < BATCH && number + 1 < entries)
			continue;
		must(merge_add(merge, id, keys, values, n), "merge");
		n = 0;
	}
}

static double make_report(struct bench *bench, struct merge *merge, bool join, size_t *flows)
{
	struct topology_role roles[] = {{.id = LAN, .covered = true}, {.id = WAN, .covered = true}};
	const struct merge_interface interfaces[] = {
		{.id = LAN, .ifindex = LAN, .name = "lan", .role = &roles[0]},
		{.id = WAN, .ifindex = WAN, .name = "wan", .role = &roles[1]}};
	const struct merge_ends ends = {.nat = join ? bench->nat : NULL,
					.locals = bench->locals,
					.client_ports = client_ports};
	struct buffer text = {0};
	struct report report;
	double start = cpu_ms();

	must(merge_report(merge, interfaces, ARRAY_SIZE(interfaces), &ends, &report), "report");
	format_text(&text, &report);
	must(buffer_error(&text), "text");
	start = cpu_ms() - start;
	*flows = report.flow_count;
	buffer_free(&text);
	report_clean(&report);
	return start;
}

static void measure(struct bench *bench, uint32_t entries)
{
	double start, dump, add, with, without, joining;
	struct merge *merge;
	size_t flows, again;

	must(ctnetlink_create(&(struct ctnetlink_crowd){.count = entries,
							.from_port = CTNETLINK_FROM_PORT,
							.to_port = CTNETLINK_PORT,
							.translated = 1}),
	     "filling conntrack");
	must(merge_new(&merge), "merge");
	start = cpu_ms();
	must(conntrack_dump(bench->conntrack), "dump");
	dump = cpu_ms() - start;
	start = cpu_ms();
	add_records(merge, LAN, entries);
	add_records(merge, WAN, entries);
	add = cpu_ms() - start;
	with = make_report(bench, merge, true, &flows);
	/* the faces are together now */
	without = make_report(bench, merge, false, &again);
	if (flows != entries || again != entries)
		must(-EINVAL, "conversations that were not joined");
	joining = with > without ? with - without : 0;
	printf("| %u | %.0f | %.0f | %.0f | %.0f | %.0f %% |\n", entries, dump, joining, add,
	       without, 100 * (dump + joining) / (dump + add + with));
	merge_free(merge);
	must(ctnetlink_delete_all(), "emptying conntrack");
	must(conntrack_dump(bench->conntrack), "dump");
	nat_table_next_interval(bench->nat);
	nat_table_next_interval(bench->nat);
}

static void measure_translated(struct bench *bench)
{
	static const uint32_t counts[] = {10000, 50000, 250000};

	printf("CPU milliseconds:\n\n"
	       "| translated entries | reading them | joining | adding records | report, text | "
	       "reading and joining |\n"
	       "| --- | --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		measure(bench, counts[i]);
}

/* Milliseconds of making ordinary entries and deleting them. */
static double come_and_go(void)
{
	const struct ctnetlink_crowd crowd = {.count = PLAIN,
					      .from_port = CTNETLINK_FROM_PORT,
					      .to_port = CTNETLINK_PORT};
	double start = cpu_ms();

	must(ctnetlink_create(&crowd), "filling conntrack");
	must(ctnetlink_delete_all(), "emptying conntrack");
	return cpu_ms() - start;
}

static void listen_to_all(struct bench *bench)
{
	const struct conntrack_handlers handlers = {.entry = take_entry,
						    .dump_begin = begin_dump,
						    .dump_end = end_dump,
						    .data = bench->nat};
	int err = conntrack_new(&bench->conntrack, &client_ports, &handlers);

	if (err) {
		printf("Not measured: %s\n", conntrack_error(err));
		exit(0);
	}
}

/* What a listener adds whose filter refuses them, by the least of runs that take turns. */
static double measure_refused(struct bench *bench)
{
	double least[2] = {0};

	for (int run = 0; run < 2 * RUNS; run++) {
		bool heard = run % 2 == 0;
		double ms;

		if (!heard)
			conntrack_free(bench->conntrack);
		ms = come_and_go();
		if (!heard)
			listen_to_all(bench);
		if (run < 2 || ms < least[heard])
			least[heard] = ms;
	}
	return least[true] - least[false];
}

static void print_each(const char *what, double ms, uint32_t count)
{
	printf("| %s | %.1f |\n", what, ms * 1000 / count);
}

/* Few at a time, so that the receive buffer holds their messages. */
static void measure_passing(struct bench *bench)
{
	const struct ctnetlink_crowd crowd = {.count = PASSING,
					      .from_port = CTNETLINK_PORT,
					      .to_port = CTNETLINK_FROM_PORT};
	double start;

	must(ctnetlink_create(&crowd), "filling conntrack");
	must(ctnetlink_delete_all(), "emptying conntrack");
	start = cpu_ms();
	for (uint32_t n = 0; n < 2 * PASSING; n += PASSING / 10)
		must(conntrack_dispatch(bench->conntrack), "messages");
	start = cpu_ms() - start;
	if (nat_table_plain(bench->nat) != PASSING || conntrack_overruns(bench->conntrack))
		must(-EINVAL, "messages that did not come");
	print_each("a message that passes, read and noted", start, 2 * PASSING);
}

static void measure_plain(struct bench *bench)
{
	const struct ctnetlink_crowd crowd = {.count = PLAIN,
					      .from_port = CTNETLINK_FROM_PORT,
					      .to_port = CTNETLINK_PORT};
	double start;

	printf("CPU microseconds:\n\n| of each entry that is not translated | us |\n| --- | --- "
	       "|\n");
	print_each("a message that the filter refuses, with what the kernel takes to write it",
		   measure_refused(bench), 2 * PLAIN);
	measure_passing(bench);
	must(ctnetlink_create(&crowd), "filling conntrack");
	start = cpu_ms();
	must(conntrack_dump(bench->conntrack), "dump");
	print_each("in a dump of all", cpu_ms() - start, PLAIN);
	start = cpu_ms();
	must(conntrack_dump(bench->conntrack), "dump");
	print_each("in a dump of translated ones", cpu_ms() - start, PLAIN);
}

int main(int argc, char **argv)
{
	struct bench bench = {0};

	if (unshare(CLONE_NEWNET))
		must(-errno, "network namespace");
	must(nat_table_new(&bench.nat), "conversations");
	must(local_set_new(&bench.locals), "local addresses");
	listen_to_all(&bench);
	if (argc == 2 && !strcmp(argv[1], "plain"))
		measure_plain(&bench);
	else
		measure_translated(&bench);
	conntrack_free(bench.conntrack);
	local_set_free(bench.locals);
	nat_table_free(bench.nat);
	return 0;
}
