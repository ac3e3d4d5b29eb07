// SPDX-License-Identifier: GPL-2.0-only
/*
 * From full maps to a written report: CPU time of swapping, reading, merging, sorting and
 * formatting 65,536 flows on each of N interfaces, beside reading one map key by key. Every flow is
 * on two interfaces, as it is on a router. Both formats are written, where an agent writes one.
 */
#include "bpf/flow_types.h"
#include "lib/array.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "report/format.h"
#include "report/locals.h"
#include "report/merge.h"
#include "supervisor/flow_map.h"
#include "supervisor/program.h"
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FLOWS	       65536
#define MAX_INTERFACES 64

struct bench {
	struct program *program;
	struct flow_maps *maps;
	struct merge *merge;
	struct buffer text, json;
	struct local_set *locals;
	struct flow_map map[MAX_INTERFACES];
	uint32_t reading; /* id of the interface whose map is read */
	size_t records;
};

/* Bytes; 0 where the C library does not tell. */
static size_t memory_in_use(void)
{
#ifdef __GLIBC__
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#else
	return 0;
#endif
}

/* Interfaces 2k and 2k+1 carry the same flows: received on one, sent out of the other. */
static void fill(struct flow_map *map, unsigned int interface)
{
	static struct flow_key keys[FLOWS];
	static struct flow_value values[FLOWS];
	__u32 count = FLOWS;

	memset(values, 0, sizeof(values));
	for (uint32_t i = 0; i < FLOWS; i++) {
		unsigned int class = interface % 2 ? FLOW_EGRESS_REPEAT : FLOW_INGRESS;

		keys[i] = (struct flow_key){
			.family = FLOW_IPV4,
			.protocol = 6,
			.port = {htons(443), htons((uint16_t)i)},
		};
		keys[i].addr[0].words[2] = keys[i].addr[1].words[2] = htonl(0xffff);
		keys[i].addr[0].words[3] = htonl(0x0a000001 + interface / 2);
		keys[i].addr[1].words[3] = htonl(0x0b000000 + i * 7);
		values[i].count[0][class] = (struct flow_count){.bytes = 1500 + i, .packets = 1};
		values[i].count[1][class ? FLOW_INGRESS : FLOW_EGRESS_REPEAT] =
			(struct flow_count){.bytes = 52, .packets = 1};
	}
	must(bpf_map_update_batch(map->fd, keys, values, &count, NULL), "fill a map");
}

static int take_records(void *data, const struct flow_key *keys, const struct flow_value *values,
			size_t n)
{
	struct bench *bench = data;

	bench->records += n;
	return merge_add(bench->merge, bench->reading, keys, values, n);
}

static struct merge_interface *make_interfaces(unsigned int n, struct topology_role *roles)
{
	struct merge_interface *list = calloc(n, sizeof(*list));
	static char names[MAX_INTERFACES][16];

	for (unsigned int i = 0; list && i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "veth%u", i);
		roles[i] = (struct topology_role){.id = i + 1};
		list[i] = (struct merge_interface){.id = i + 1,
						   .ifindex = i + 1,
						   .name = names[i],
						   .role = &roles[i]};
	}
	return list;
}

/* CPU milliseconds of the parts of one report. */
struct cost {
	double read, resolve, text, json;
};

static double cost_sum(const struct cost *cost)
{
	return cost->read + cost->resolve + cost->text + cost->json;
}

/* One interval's end. Returns how many flows the report has. */
static size_t make_report(struct bench *bench, unsigned int n, struct cost *cost)
{
	struct topology_role roles[MAX_INTERFACES];
	_free_ struct merge_interface *interfaces = make_interfaces(n, roles);
	const struct merge_ends ends = {.locals = bench->locals, .client_ports = {32768, 65535}};
	struct flow_map *swapped[MAX_INTERFACES];
	struct flow_map old[MAX_INTERFACES];
	struct report report = {0};
	double start, read, resolved, text;
	size_t flows;

	for (unsigned int i = 0; i < n; i++) {
		fill(&bench->map[i], i);
		swapped[i] = &bench->map[i];
	}
	bench->records = 0;
	start = cpu_ms();
	must(flow_maps_swap(bench->maps, swapped, old, n, NULL, NULL), "swap");
	for (unsigned int i = 0; i < n; i++) {
		bench->reading = i + 1;
		must(flow_maps_read(bench->maps, &old[i], take_records, bench), "read");
		close(old[i].fd);
	}
	read = cpu_ms();
	must(merge_report(bench->merge, interfaces, n, &ends, &report), "report");
	resolved = cpu_ms();
	buffer_reset(&bench->text);
	format_text(&bench->text, &report);
	text = cpu_ms();
	must(buffer_error(&bench->text), "text");
	buffer_reset(&bench->json);
	format_json(&bench->json, &report);
	must(buffer_error(&bench->json), "json");
	*cost = (struct cost){read - start, resolved - read, text - resolved, cpu_ms() - text};
	flows = report.flow_count;
	report_clean(&report);
	merge_next_interval(bench->merge);
	return flows;
}

/* The first report of a size gets its memory from the kernel, page by page; the agent keeps what
 * the merge and the text take for the next one. */
static void measure(struct bench *bench, unsigned int n)
{
	size_t memory = memory_in_use(), flows;
	struct cost first, cost;

	must(merge_new(&bench->merge), "merge");
	flows = make_report(bench, n, &first);
	if (memory)
		memory = memory_in_use() - memory - bench->text.capacity - bench->json.capacity;
	make_report(bench, n, &cost);
	printf("| %u | %zu | %zu | %.0f | %.0f | %.0f | %.0f | %.0f | %.0f | %zu |\n", n,
	       bench->records, flows, cost.read, cost.resolve, cost.text, cost.json,
	       cost_sum(&cost), cost_sum(&first), memory / flows);
	buffer_free(&bench->text);
	buffer_free(&bench->json);
	merge_free(bench->merge);
}

static void measure_key_by_key(struct bench *bench)
{
	struct flow_key key, *previous = NULL;
	struct flow_value value;
	double start;
	size_t n = 0;

	fill(&bench->map[0], 0);
	start = cpu_ms();
	while (!bpf_map_get_next_key(bench->map[0].fd, previous, &key)) {
		must(bpf_map_lookup_elem(bench->map[0].fd, &key, &value), "lookup");
		previous = &key;
		n++;
	}
	printf("\nReading %zu entries key by key, without merging them: %.0f ms\n", n,
	       cpu_ms() - start);
}

int main(void)
{
	static const unsigned int interface_counts[] = {1, 4, 16, 64};
	struct bench bench = {0};
	struct rusage usage;

	must(program_new(&bench.program, NULL, 0, false), "load the flow program");
	must(flow_maps_new(&bench.maps, bench.program, NULL, FLOWS + FLOW_OWN_ENTRIES),
	     "flow maps");
	must(local_set_new(&bench.locals), "local addresses");
	for (size_t i = 0; i < MAX_INTERFACES; i++)
		must(flow_maps_take(bench.maps, i + 1, &bench.map[i]), "flow map");
	printf("CPU milliseconds:\n\n"
	       "| interfaces | entries | flows | swap, read, merge | resolve, sort | text | json | "
	       "in all | in all, first report | bytes a merged flow |\n"
	       "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
	for (size_t i = 0; i < ARRAY_SIZE(interface_counts); i++)
		measure(&bench, interface_counts[i]);
	measure_key_by_key(&bench);
	if (!getrusage(RUSAGE_SELF, &usage))
		printf("Peak resident memory: %ld MiB\n", usage.ru_maxrss / 1024);
	for (size_t i = 0; i < MAX_INTERFACES; i++)
		close(bench.map[i].fd);
	flow_maps_free(bench.maps);
	local_set_free(bench.locals);
	program_free(bench.program);
	return 0;
}
