// SPDX-License-Identifier: GPL-2.0-only
#include "tests/simulation/trial.h"

#include "netlink/conntrack.h"
#include "netlink/link_tunnel.h"
#include "report/flow_count.h"
#include "report/locals.h"
#include "report/nat.h"
#include "report/sort.h"
#include "report/tunnel.h"
#include "tests/simulation/flow.h"
#include "tests/simulation/watch.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PACKETS_MAX 64
#define ROUNDS_MAX  5

struct packet {
	uint8_t flow, sender, way;
	uint8_t interval; /* in which it was sent */
	uint8_t done;	  /* hooks that it passed */
	uint16_t size;
};

struct trial {
	struct random random;
	struct host host;
	struct watch watch;
	struct flow flows[FLOWS_MAX];
	size_t flow_count;
	struct packet packets[PACKETS_MAX];
	size_t packet_count;
	uint8_t interval;
	bool changed;		   /* the host did */
	size_t limit;		   /* to the flows that are not summed; 0: none */
	struct flow_count counted; /* by all reports */
	bool mark_tunnels, count_tunnels;
	struct nat_table *nat;	  /* NULL: nothing is translated */
	struct local_set *locals; /* none: the ends of flows are told by conntrack only */
	struct trial_sums *sums;  /* borrowed */
	bool verbose;
	bool failed;
};

struct trial *trial_new(void)
{
	struct trial *trial = calloc(1, sizeof(*trial));

	if (!trial || local_set_new(&trial->locals))
		abort();
	return trial;
}

void trial_free(struct trial *trial)
{
	local_set_free(trial->locals);
	free(trial);
}

__attribute__((format(printf, 2, 3))) static void say(const struct trial *trial, const char *format,
						      ...)
{
	va_list arguments;

	if (!trial->verbose)
		return;
	printf("# ");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
}

static void expect(struct trial *trial, bool good, const char *what)
{
	if (good)
		return;
	trial->failed = true;
	say(trial, "WRONG: %s", what);
}

/* Flows and packets */

static void find_ways(struct trial *trial, struct flow *flow)
{
	bool judged = false, judged_early = false;

	for (unsigned int sender = 0; sender < 2; sender++) {
		for (unsigned int way = 0; way < WAYS; way++) {
			struct path *path = &flow->paths[sender][way];

			path_walk(&trial->host, flow->routes[sender][way], sender,
				  flow->translated ? &flow->turns : NULL, path);
			judged |= path_is_judged(&trial->host, trial->watch.roles, path);
			judged_early |=
				path_is_judged_early(&trial->host, trial->watch.roles, path);
			flow->beyond[sender][way] =
				path_is_beyond(&trial->host, trial->watch.roles, path);
		}
	}
	flow->judged = judged;
	flow->judged_early = judged_early;
}

static void print_ways(const struct trial *trial, size_t number)
{
	const struct flow *flow = &trial->flows[number];

	if (!trial->verbose)
		return;
	for (unsigned int sender = 0; sender < 2; sender++) {
		for (unsigned int way = 0; way < WAYS; way++) {
			if (flow->beyond[sender][way] || (way && flow->judged))
				continue;
			printf("#   flow %zu sender %u:", number, sender);
			path_print(&flow->paths[sender][way]);
		}
	}
}

static void tell_conntrack(struct trial *trial, const struct flow *flow, bool gone)
{
	struct conntrack_entry entry;

	flow_conntrack_entry(flow, &entry);
	entry.gone = gone;
	if (nat_table_update(trial->nat, &entry))
		abort();
}

static void add_flow(struct trial *trial)
{
	size_t number = trial->flow_count;
	struct flow *flow = &trial->flows[number];

	if (number == FLOWS_MAX)
		return;
	flow_init(flow, &trial->random, number, trial->nat != NULL);
	if (flow->tracked)
		tell_conntrack(trial, flow, false);
	find_ways(trial, flow);
	trial->flow_count++;
	print_ways(trial, number);
}

static void end_flow(struct trial *trial, struct flow *flow)
{
	flow->ended = true;
	if (flow->tracked)
		tell_conntrack(trial, flow, true);
}

/*
 * Ways change with the host. What has to be judged must not take two ways in an interval or go on
 * another way in the next one (doc/dedup.md, limits), so it is another conversation then.
 */
static void find_ways_again(struct trial *trial)
{
	size_t count = trial->flow_count;

	for (size_t f = 0; f < count; f++) {
		struct flow *flow = &trial->flows[f];
		struct flow before = *flow;

		if (flow->ended)
			continue;
		find_ways(trial, flow);
		if ((flow->judged || before.judged) && !flow_same_ways(flow, &before)) {
			end_flow(trial, flow);
			add_flow(trial);
		} else {
			print_ways(trial, f);
		}
	}
}

static void note_sent(struct trial *trial, struct flow *flow, const struct packet *packet)
{
	const struct path *path = &flow->paths[packet->sender][packet->way];

	if (path_is_visible(&trial->host, path)) {
		flow_count_add(&flow->lines[0].sent[packet->sender ^ flow->ends[FACE_ORIGINAL]],
			       &(struct flow_count){.bytes = packet->size, .packets = 1});
		trial->sums->packets++;
	}
	for (unsigned int leaves = 0; leaves < 2; leaves++) {
		enum face face = FACE_OUTER + 2 * packet->sender + leaves;

		if (path_shows(&trial->host, path, face))
			flow_count_add(&flow->lines[flow_line(face)].sent[flow->ends[face]],
				       &(struct flow_count){.bytes = packet->size + OUTER_HEADERS,
							    .packets = 1});
	}
}

static void send_packet(struct trial *trial)
{
	struct packet *packet = &trial->packets[trial->packet_count];
	size_t number = random_below(&trial->random, (unsigned int)trial->flow_count);
	struct flow *flow = &trial->flows[number];

	*packet = (struct packet){.flow = (uint8_t)number,
				  .sender = (uint8_t)random_below(&trial->random, 2),
				  .way = (uint8_t)random_below(&trial->random, WAYS),
				  .interval = trial->interval,
				  .size = (uint16_t)random_between(&trial->random, 20, 1500)};
	if (flow->judged)
		packet->way = 0;
	if (flow->ended || (flow->non_ip && packet->sender) ||
	    flow->beyond[packet->sender][packet->way] ||
	    !flow->paths[packet->sender][packet->way].count)
		return;
	say(trial, "  packet of flow %zu sender %u way %u, %u bytes", number, packet->sender,
	    packet->way, packet->size);
	note_sent(trial, flow, packet);
	trial->packet_count++;
}

static void advance(struct trial *trial, size_t i)
{
	struct packet *packet = &trial->packets[i];
	struct flow *flow = &trial->flows[packet->flow];
	const struct path *path = &flow->paths[packet->sender][packet->way];
	const struct step *step = &path->steps[packet->done++];
	bool outer = step->face >= FACE_OUTER;
	unsigned int sender = outer ? 0 : packet->sender;

	watch_see(&trial->watch, &trial->host, step, packet->flow * FACES + step->face,
		  &flow->keys[step->face], sender ^ flow->ends[step->face],
		  packet->size + (outer ? OUTER_HEADERS : 0));
	if (packet->done < path->count)
		return;
	trial->packet_count--;
	memmove(packet, packet + 1, (trial->packet_count - i) * sizeof(*packet));
}

/*
 * The packet, or the one before it at the same hook, if some hook is judged: what is owed there
 * over an interval's end is exact in bytes and in packets, but it is not known which packets they
 * are.
 */
static size_t in_order(const struct trial *trial, size_t i)
{
	const struct packet *packet = &trial->packets[i];

	for (size_t j = 0; j < i && trial->flows[packet->flow].judged; j++)
		if (trial->packets[j].flow == packet->flow &&
		    trial->packets[j].sender == packet->sender &&
		    trial->packets[j].done == packet->done)
			return j;
	return i;
}

static void advance_some(struct trial *trial, unsigned int steps)
{
	while (steps-- && trial->packet_count)
		advance(trial, in_order(trial, random_below(&trial->random,
							    (unsigned int)trial->packet_count)));
}

/* Those that were sent in this interval may stay under way, the others not. Nor those that a judged
 * hook may see twice: doc/dedup.md. */
static void finish(struct trial *trial, bool all)
{
	for (size_t i = 0; i < trial->packet_count;)
		if (all || trial->packets[i].interval < trial->interval ||
		    trial->flows[trial->packets[i].flow].judged_early)
			advance(trial, i);
		else
			i++;
}

/* Reports */

static struct line *find_line(struct trial *trial, const struct flow_key *key)
{
	unsigned int number = flow_line_number(key);
	struct line *line;

	if (number / LINES >= trial->flow_count)
		return NULL;
	line = &trial->flows[number / LINES].lines[number % LINES];
	return memcmp(&line->key, key, sizeof(*key)) ? NULL : line;
}

/* As bits. */
static uint32_t links_that_saw(const struct trial *trial, unsigned int line)
{
	const uint32_t *shown = &trial->watch.shown[line / LINES * FACES];
	uint32_t links = 0;

	for (enum face face = 0; face < FACES; face++)
		if (flow_line(face) == line % LINES)
			links |= shown[face];
	return links;
}

static void check_crossed(struct trial *trial, const struct report *report,
			  const struct report_flow *flow, unsigned int line)
{
	uint32_t crossed = 0;

	for (uint32_t i = 0; i < flow->interface_count; i++) {
		uint32_t interface = report->crossed[flow->interface_first + i];

		for (uint32_t j = 0; j < i; j++)
			expect(trial, report->crossed[flow->interface_first + j] != interface,
			       "an interface is crossed twice");
		crossed |= 1U << (report->interfaces[interface].ifindex - 1);
	}
	/* a part of it may be summed */
	if (trial->limit)
		crossed |= links_that_saw(trial, line);
	expect(trial, crossed == links_that_saw(trial, line), "interfaces crossed");
	expect(trial, flow->counted_at < report->interface_count, "where it was counted");
}

static void check_nat(struct trial *trial, const struct report *report,
		      const struct report_flow *got, const struct flow *flow)
{
	const struct report_nat *nat = report_flow_nat(report, got);
	unsigned int client = flow->ends[FACE_ORIGINAL];
	const struct flow_key *last;

	expect(trial, (nat != NULL) == flow->translated, "translated or not");
	expect(trial, !flow->tracked || got->left == client, "who the client is");
	if (!nat)
		return;
	last = &flow->keys[flow->turns.last];
	for (unsigned int end = 0; end < 2; end++) {
		unsigned int seen = end ^ client ^ flow->ends[flow->turns.last];

		expect(trial,
		       nat->seen_as[end].port == last->port[seen] &&
			       !memcmp(nat->seen_as[end].addr, last->addr[seen].bytes, 16),
		       "the translated end");
	}
}

/* Outer packets are, if the inside is watched. */
static bool leaves_out(const struct trial *trial)
{
	bool watched = false;

	for (size_t i = 0; i < trial->host.count; i++)
		watched |= trial->host.kinds[i] == KIND_VXLAN && trial->host.monitored[i];
	return watched && trial->mark_tunnels && !trial->count_tunnels;
}

static void check_flow(struct trial *trial, const struct report *report, size_t i)
{
	const struct report_flow *got = &report->flows[i];
	struct line *line = find_line(trial, &got->key);
	unsigned int number = flow_line_number(&got->key);
	bool outer = number % LINES, left_out = i >= report->flow_count;

	expect(trial, line, "a line of nobody's flow");
	if (!line)
		return;
	check_crossed(trial, report, got, number);
	if (!outer)
		check_nat(trial, report, got, &trial->flows[number / LINES]);
	/* what holds at the end of an interval goes for all of it */
	if (!trial->changed)
		expect(trial, left_out == (outer && leaves_out(trial)), "left out or not");
	expect(trial, !left_out || outer, "what is no outer packet is left out");
}

static void check_report(struct trial *trial, const struct report *report)
{
	struct flow_count total = {0};

	for (size_t i = 0; i < report->flow_count + report->left_out_count; i++) {
		check_flow(trial, report, i);
		if (i && i != report->flow_count)
			expect(trial, sort_is_before(&report->flows[i - 1], &report->flows[i]),
			       "order of the flows");
		for (int end = 0; end < 2 && i < report->flow_count; end++)
			flow_count_add(&total, &report->flows[i].sent[end]);
	}
	for (size_t i = 0; i < report->other_count; i++)
		flow_count_add(&total, &report->others[i].count);
	expect(trial, !trial->limit || report->flow_count <= trial->limit, "too many flows");
	expect(trial, total.bytes == report->total.bytes && total.packets == report->total.packets,
	       "total");
}

static void add_report(struct trial *trial, const struct report *report)
{
	for (size_t i = 0; i < report->flow_count + report->left_out_count; i++) {
		const struct report_flow *got = &report->flows[i];
		struct line *line = find_line(trial, &got->key);

		for (int end = 0; line && end < 2; end++)
			flow_count_add(&line->counted[end], &got->sent[end]);
	}
	flow_count_add(&trial->counted, &report->total);
	for (size_t i = 0; i < report->tunnel_count; i++)
		flow_count_add(&trial->counted, &report->tunnels[i].count);
	for (size_t i = 0; i < report->unattributed_count; i++)
		flow_count_add(&trial->counted, &report->unattributed[i].count);
	trial->sums->summed += report->summed_flows;
	/* the first flow may be one of other packets than IP */
	for (size_t i = 0; i < report->unattributed_count; i++)
		flow_count_add(&trial->flows[0].lines[0].counted[0],
			       &report->unattributed[i].count);
}

static void make_tunnels(struct trial *trial, struct tunnel_set **tunnels)
{
	struct link_tunnel outer = {.protocols = {IPPROTO_UDP}, .port = htons(OUTER_PORT)};

	flow_outer_address(outer.local);
	if (tunnel_set_new(tunnels))
		abort();
	for (size_t i = 0; i < trial->host.count; i++)
		if (trial->host.kinds[i] == KIND_VXLAN &&
		    tunnel_set_add(*tunnels, trial->host.links[i].id, &outer))
			abort();
}

static struct merge_ends make_ends(const struct trial *trial, const struct tunnel_set *tunnels)
{
	return (struct merge_ends){.nat = trial->nat,
				   .locals = trial->locals,
				   .client_ports = {32768, 60999},
				   .tunnels = tunnels,
				   .count_tunnels = trial->count_tunnels};
}

static void sum_smallest(struct trial *trial)
{
	struct tunnel_set *tunnels = NULL;
	struct merge_ends ends;

	if (!trial->limit)
		return;
	if (trial->mark_tunnels)
		make_tunnels(trial, &tunnels);
	ends = make_ends(trial, tunnels);
	watch_sum_smallest(&trial->watch, &trial->host, &ends);
	tunnel_set_free(tunnels);
}

static void report_now(struct trial *trial, bool written)
{
	struct tunnel_set *tunnels = NULL;
	struct merge_ends ends;
	struct report report;

	if (trial->mark_tunnels)
		make_tunnels(trial, &tunnels);
	ends = make_ends(trial, tunnels);
	watch_report(&trial->watch, &trial->host, &ends, &report);
	check_report(trial, &report);
	if (written)
		add_report(trial, &report);
	report_clean(&report);
	tunnel_set_free(tunnels);
}

static void swap_all(struct trial *trial)
{
	uint32_t swapped = 0;
	size_t link;

	while ((link = watch_next_to_swap(&trial->watch, &trial->host, swapped)) != NO_LINK) {
		watch_swap(&trial->watch, &trial->host, link);
		sum_smallest(trial);
		swapped |= 1U << link;
		advance_some(trial, 3);
	}
}

/* Whatever was summed. */
static void compare_totals(struct trial *trial)
{
	struct flow_count sent = {0};

	for (size_t f = 0; f < trial->flow_count; f++)
		for (size_t i = 0; i < LINES; i++)
			for (unsigned int end = 0; end < 2; end++)
				flow_count_add(&sent, &trial->flows[f].lines[i].sent[end]);
	if (!memcmp(&sent, &trial->counted, sizeof(sent)))
		return;
	trial->failed = true;
	say(trial,
	    "WRONG: sent %" PRIu64 " bytes, %" PRIu64 " packets, counted %" PRIu64 ", %" PRIu64,
	    (uint64_t)sent.bytes, (uint64_t)sent.packets, (uint64_t)trial->counted.bytes,
	    (uint64_t)trial->counted.packets);
}

/* Only while nothing is under way it is known what a report should say. */
static void compare(struct trial *trial)
{
	compare_totals(trial);
	if (trial->limit)
		return;
	for (size_t f = 0; f < trial->flow_count; f++) {
		for (size_t i = 0; i < LINES; i++) {
			const struct line *line = &trial->flows[f].lines[i];

			for (unsigned int end = 0; end < 2; end++) {
				const struct flow_count *sent = &line->sent[end];
				const struct flow_count *counted = &line->counted[end];

				if (!memcmp(sent, counted, sizeof(*sent)))
					continue;
				trial->failed = true;
				say(trial,
				    "WRONG: flow %zu line %zu end %u: sent %" PRIu64
				    " bytes, %" PRIu64 " packets, counted %" PRIu64 ", %" PRIu64,
				    f, i, end, (uint64_t)sent->bytes, (uint64_t)sent->packets,
				    (uint64_t)counted->bytes, (uint64_t)counted->packets);
			}
		}
	}
}

static void end_interval(struct trial *trial)
{
	bool quiet;

	/* the two hooks of a packet under way may be each other's references: doc/dedup.md */
	if (watch_is_circular(&trial->watch, &trial->host))
		finish(trial, true);
	else
		finish(trial, false);
	quiet = !trial->packet_count;
	say(trial, "interval ends, %zu packets under way", trial->packet_count);
	trial->sums->under_way += trial->packet_count;
	trial->sums->reports++;
	swap_all(trial);
	report_now(trial, true);
	watch_next_interval(&trial->watch);
	if (trial->nat)
		nat_table_next_interval(trial->nat);
	trial->interval++;
	if (quiet)
		compare(trial);
}

/* A report that could not be written: the next one covers both. */
static void fail_to_report(struct trial *trial)
{
	finish(trial, true);
	say(trial, "a report that is not written");
	swap_all(trial);
	report_now(trial, false);
}

static void swap_full(struct trial *trial)
{
	size_t link = random_below(&trial->random, (unsigned int)trial->host.count);

	if (!trial->host.links[link].id)
		return;
	say(trial, "the map of %zu is swapped early", link + 1);
	watch_swap(&trial->watch, &trial->host, link);
	sum_smallest(trial);
}

static void change_host(struct trial *trial)
{
	const char *what;

	finish(trial, true);
	what = host_change(&trial->host, &trial->random);
	if (!what)
		return;
	watch_change(&trial->watch, &trial->host);
	sum_smallest(trial);
	trial->changed = true;
	trial->sums->changes++;
	say(trial, "%s:", what);
	if (trial->verbose)
		host_print(&trial->host);
	find_ways_again(trial);
}

static void play_round(struct trial *trial)
{
	unsigned int event = random_below(&trial->random, 100);

	for (unsigned int n = random_below(&trial->random, 10); n; n--)
		if (trial->packet_count < PACKETS_MAX)
			send_packet(trial);
	advance_some(trial, random_below(&trial->random, 40));
	if (event < 40)
		end_interval(trial);
	else if (event < 65)
		change_host(trial);
	else if (event < 72)
		fail_to_report(trial);
	else if (event < 80)
		swap_full(trial);
	else if (event < 85)
		end_flow(trial, &trial->flows[random_below(&trial->random,
							   (unsigned int)trial->flow_count)]);
}

/* limit: of the merge; 0: none. */
static void trial_start(struct trial *trial, size_t limit)
{
	static const unsigned int percents[] = {100, 100, 90, 70, 40};

	host_build(&trial->host, &trial->random, percents[random_below(&trial->random, 5)]);
	if (trial->verbose)
		host_print(&trial->host);
	watch_init(&trial->watch, &trial->host);
	trial->limit = limit;
	trial->counted = (struct flow_count){0};
	merge_set_max_flows(trial->watch.merge, limit);
	trial->flow_count = trial->packet_count = trial->interval = 0;
	trial->changed = trial->failed = false;
	trial->mark_tunnels = trial->count_tunnels = false;
	trial->nat = NULL;
	if (random_chance(&trial->random, 30) && nat_table_new(&trial->nat))
		abort();
	if (host_pick_tunnel(&trial->host, &trial->random) != NO_LINK) {
		trial->mark_tunnels = random_chance(&trial->random, 60);
		trial->count_tunnels = random_chance(&trial->random, 30);
	}
	for (unsigned int n = random_between(&trial->random, 1, 4); n; n--)
		add_flow(trial);
}

bool trial_run(struct trial *trial, uint64_t seed, bool verbose, struct trial_sums *sums)
{
	trial->random.state = seed;
	trial->verbose = verbose;
	trial->sums = sums;
	/* not by chance, so that a seed is the same host without */
	trial_start(trial, seed / 2 % 4 ? 0 : 1 + seed / 8 % 3);
	for (unsigned int n = random_between(&trial->random, 1, ROUNDS_MAX); n; n--)
		play_round(trial);
	finish(trial, true);
	end_interval(trial);
	nat_table_free(trial->nat);
	watch_clean(&trial->watch);
	return !trial->failed;
}
