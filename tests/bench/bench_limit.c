// SPDX-License-Identifier: GPL-2.0-only
/*
 * What max_flows costs and saves: N random flows of one interval, each of one packet that arrives
 * at one interface, go into a merge with a limit, as early swaps bring them, and the report is
 * made. CPU time and peak memory of a process of its own for each row. Reading the flow maps is not
 * in it.
 */
#include "bpf/flow_types.h"
#include "lib/buffer.h"
#include "report/format.h"
#include "report/locals.h"
#include "report/merge.h"
#include "tests/bench/bench.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH 49152 /* three quarters of a map */

static uint64_t next_random(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005U + 1442695040888963407U;
	return state ^ state >> 32;
}

/* Mostly small, as scans are; each flow is another one. */
static void make_records(struct flow_key *keys, struct flow_value *values, size_t first, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t word = next_random();

		keys[i] = (struct flow_key){.family = FLOW_IPV4, .protocol = 17};
		for (int end = 0; end < 2; end++)
			keys[i].addr[end].bytes[10] = keys[i].addr[end].bytes[11] = 0xff;
		keys[i].addr[0].words[3] = (uint32_t)(first + i);
		keys[i].addr[1].words[3] = (uint32_t)word;
		values[i] = (struct flow_value){0};
		values[i].count[0][FLOW_INGRESS] =
			(struct flow_count){.bytes = 28 + (word >> 32) % 1400, .packets = 1};
	}
}

static void check_sum(const struct report *report, uint64_t packets)
{
	struct flow_count sum = {0};

	for (size_t i = 0; i < report->flow_count; i++)
		sum.packets += report->flows[i].sent[0].packets;
	for (size_t i = 0; i < report->other_count; i++)
		sum.packets += report->others[i].count.packets;
	must(sum.packets == packets && report->total.packets == packets ? 0 : -1, "the sum");
}

static void measure(size_t flows, size_t limit)
{
	static struct flow_key keys[BATCH];
	static struct flow_value values[BATCH];
	const struct topology_role role = {.id = 1};
	const struct merge_interface interface = {.id = 1, .name = "eth0", .role = &role};
	struct merge_ends ends = {.client_ports = {32768, 60999}};
	struct local_set *locals;
	struct report report;
	struct buffer text = {0};
	struct merge *merge;
	struct rusage usage;
	double start, made, added = 0, summed = 0;

	must(merge_new(&merge), "merge");
	must(local_set_new(&locals), "local addresses");
	ends.locals = locals;
	merge_set_max_flows(merge, limit);
	for (size_t i = 0; i < flows; i += BATCH) {
		size_t n = flows - i < BATCH ? flows - i : BATCH;

		make_records(keys, values, i, n);
		start = cpu_ms();
		must(merge_add(merge, 1, keys, values, n), "add");
		added += cpu_ms() - start;
		start = cpu_ms();
		if (merge_is_over(merge))
			must(merge_sum_smallest(merge, &interface, 1, &ends), "sum");
		summed += cpu_ms() - start;
	}
	start = cpu_ms();
	must(merge_report(merge, &interface, 1, &ends, &report), "report");
	check_sum(&report, flows);
	format_text(&text, &report);
	must(buffer_error(&text), "text");
	made = cpu_ms() - start;
	getrusage(RUSAGE_SELF, &usage);
	printf("| %zu | %zu | %.0f | %.0f | %.0f | %.0f | %ld |\n", flows, limit, added, summed,
	       made, summed * 1e6 / (double)flows, usage.ru_maxrss / 1024);
	fflush(stdout);
	report_clean(&report);
	buffer_free(&text);
	local_set_free(locals);
	merge_free(merge);
}

int main(void)
{
	static const size_t rows[][2] = {
		{1000000, 0},	     {10000000, 0},	  {10000000, 100000},
		{10000000, 1000000}, {10000000, 4000000}, {40000000, 1000000},
	};

	printf("CPU milliseconds; limit 0: none.\n\n"
	       "| flows | limit | adding | summing | report, text | summing a flow, ns | peak MiB "
	       "|\n| --- | --- | --- | --- | --- | --- | --- |\n");
	fflush(stdout);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int status = 0;
		pid_t pid = fork();

		must(pid, "fork");
		if (!pid) {
			measure(rows[i][0], rows[i][1]);
			return 0;
		}
		if (wait(&status) < 0 || status)
			return 1;
	}
	return 0;
}
