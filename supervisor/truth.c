// SPDX-License-Identifier: GPL-2.0-only
#include "supervisor/truth.h"
#include "lib/array.h"
#include "report/flow_count.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

/* One way, as reports say it, and what makes frames of it (FLOW_FRAMES). */
struct truth_seen {
	struct flow_count wire, frames;
};

struct truth {
	unsigned int holders;
	struct truth_ruler ruler;
	struct truth_moment begin, end;
	struct truth_seen seen[TRUTH_WAYS];
	struct truth_verdict verdict[TRUTH_WAYS];
	bool gap[TRUTH_WAYS];		    /* is to be told */
	struct flow_count told[TRUTH_WAYS]; /* of what was missed, as the driver counts it */
	bool ended;
	bool taken; /* what is missed is accounted for */
	struct truth_sum *sum;
};

/*
 * What is counted where, read in the drivers (drivers/net/{veth,loopback,macvlan,tun}.c,
 * net/bridge/br_{device,input}.c, net/8021q/vlan_{dev,core}.c): what a frame has at egress begins
 * with its link header; at ingress some count it when the header is taken off. Devices of hardware
 * count what is on the wire, with or without checksum, by segments or not.
 */
struct truth_ruler truth_ruler_of(const struct link *link)
{
	static const struct {
		const char *kind;
		struct truth_ruler ruler;
	} rulers[] = {
		{"veth", {true, {ETH_HLEN, ETH_HLEN}}},	   {"loopback", {true, {0, 0}}},
		{"bridge", {true, {0, ETH_HLEN}}},	   {"vlan", {true, {0, ETH_HLEN}}},
		{"macvlan", {true, {ETH_HLEN, ETH_HLEN}}}, {"tun", {true, {ETH_HLEN, ETH_HLEN}}},
	};
	bool ethernet = link->type == ARPHRD_ETHER;

	for (size_t i = 0; i < ARRAY_SIZE(rulers); i++)
		if (!strcmp(rulers[i].kind, link_kind(link)))
			return ethernet ? rulers[i].ruler : (struct truth_ruler){.frames = true};
	return (struct truth_ruler){.header = {ethernet ? ETH_HLEN : 0, ethernet ? ETH_HLEN : 0}};
}

int truth_new(struct truth **ret, const struct link *link, const struct truth_moment *begin,
	      struct truth_sum *sum)
{
	struct truth *truth = calloc(1, sizeof(*truth));

	if (!truth)
		return -ENOMEM;
	truth->holders = 1;
	truth->ruler = truth_ruler_of(link);
	truth->begin = *begin;
	truth->sum = sum;
	*ret = truth;
	return 0;
}

struct truth *truth_hold(struct truth *truth)
{
	if (truth)
		truth->holders++;
	return truth;
}

void truth_add(struct truth *truth, const struct flow_key *keys, const struct flow_value *values,
	       size_t n)
{
	for (size_t i = 0; truth && i < n; i++) {
		bool frames = flow_key_is_frames(&keys[i]);

		for (int sender = 0; sender < 2; sender++)
			for (int class = 0; class < FLOW_CLASSES; ++class) {
				struct truth_seen *seen =
					&truth->seen[class == FLOW_INGRESS ? TRUTH_IN : TRUTH_OUT];

				flow_count_add(frames ? &seen->frames : &seen->wire,
					       &values[i].count[sender][class]);
			}
	}
}

static struct flow_count truth_reading(const struct link_stats *stats, enum truth_way way)
{
	return way == TRUTH_IN ? (struct flow_count){stats->rx_bytes, stats->rx_packets}
			       : (struct flow_count){stats->tx_bytes, stats->tx_packets};
}

/* What passed between two readings. False: the counters began anew in between. */
static bool truth_passed(const struct link_stats *from, const struct link_stats *to,
			 enum truth_way way, struct flow_count *ret)
{
	struct flow_count before = truth_reading(from, way), after = truth_reading(to, way);

	*ret = (struct flow_count){after.bytes - before.bytes, after.packets - before.packets};
	return after.packets >= before.packets && after.bytes >= before.bytes;
}

struct flow_count truth_carried(const struct link_stats *from, const struct link_stats *to)
{
	struct flow_count sum = {0};

	for (enum truth_way way = 0; way < TRUTH_WAYS; way++) {
		struct flow_count passed;

		if (!truth_passed(from, to, way, &passed))
			passed = truth_reading(to, way);
		flow_count_add(&sum, &passed);
	}
	return sum;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What we saw as the driver counts it, and the most that it may make of it: a super-packet that was
 * put together before the hook, or that is cut up behind it, is as many frames as it has segments.
 */
static void truth_measure(const struct truth *truth, enum truth_way way, struct flow_count *ret,
			  struct flow_count *most)
{
	const struct truth_seen *seen = &truth->seen[way];
	uint64_t header = truth->ruler.header[way];
	struct flow_count wire = seen->wire;

	wire.bytes += header * wire.packets;
	*ret = wire;
	if (truth->ruler.frames) {
		ret->packets = seen->wire.packets + seen->frames.packets;
		ret->bytes = seen->wire.bytes + seen->frames.bytes + header * ret->packets;
	}
	*most = (struct flow_count){larger(ret->bytes, wire.bytes),
				    larger(ret->packets, wire.packets)};
}

/* What was not seen of what passed, beside what was told already. */
static struct flow_count truth_unseen(const struct truth *truth, enum truth_way way,
				      const struct flow_count *passed,
				      const struct flow_count *seen)
{
	const struct flow_count *told = &truth->told[way];
	struct flow_count unseen = {.packets =
					    excess(passed->packets, seen->packets + told->packets)};

	/* where no packet is missed, none of their bytes are: the driver counts them otherwise */
	if (unseen.packets)
		unseen.bytes = excess(passed->bytes, seen->bytes + told->bytes);
	return unseen;
}

static struct truth_verdict truth_compare(const struct truth *truth, const struct truth_moment *now,
					  enum truth_way way)
{
	struct truth_verdict verdict = {.known = now->known && truth->begin.known,
					.bytes = truth->ruler.frames};
	struct flow_count least, most;

	if (!verdict.known ||
	    !truth_passed(&truth->begin.stats[TRUTH_AFTER], &now->stats[TRUTH_BEFORE], way,
			  &least) ||
	    !truth_passed(&truth->begin.stats[TRUTH_BEFORE], &now->stats[TRUTH_AFTER], way,
			  &verdict.link))
		return (struct truth_verdict){0};
	truth_measure(truth, way, &verdict.seen, &most);
	verdict.missed = truth_unseen(truth, way, &least, &most);
	verdict.link = flow_count_excess(verdict.link, truth->told[way]);
	if (!verdict.bytes)
		verdict.link.bytes = verdict.seen.bytes = verdict.missed.bytes = 0;
	return verdict;
}

void truth_look(struct truth *truth, const struct truth_moment *now)
{
	for (enum truth_way way = 0; way < TRUTH_WAYS; way++)
		truth->verdict[way] = truth_compare(truth, now, way);
}

struct truth_verdict truth_verdict(const struct truth *truth, enum truth_way way)
{
	return truth ? truth->verdict[way] : (struct truth_verdict){0};
}

void truth_end(struct truth *truth, const struct truth_moment *end)
{
	if (!truth)
		return;
	truth->end = *end;
	truth->ended = true;
}

/* In IP bytes. */
static void truth_add_gap(const struct truth *truth, enum truth_way way,
			  const struct flow_count *unseen, struct flow_count *gap)
{
	gap->packets += unseen->packets;
	gap->bytes += excess(unseen->bytes, unseen->packets * truth->ruler.header[way]);
}

/* Nobody counted before the first of these readings, nor after the last: what is between them and
 * was not seen is missed, all of it. */
struct flow_count truth_take_gap(struct truth *truth)
{
	struct flow_count gap = {0};

	for (enum truth_way way = 0; way < TRUTH_WAYS; way++) {
		struct flow_count passed, seen, most, unseen;

		truth_measure(truth, way, &seen, &most);
		if (!truth->begin.known || !truth->end.known ||
		    !truth_passed(&truth->begin.stats[TRUTH_BEFORE], &truth->end.stats[TRUTH_AFTER],
				  way, &passed))
			continue;
		unseen = truth_unseen(truth, way, &passed, &seen);
		flow_count_add(&truth->told[way], &unseen);
		truth_add_gap(truth, way, &unseen, &gap);
	}
	truth->taken = true;
	return gap;
}

void truth_expect_gap(struct truth *truth, enum truth_way way)
{
	if (truth)
		truth->gap[way] = true;
}

bool truth_has_gap(const struct truth *truth)
{
	return truth->gap[TRUTH_IN] || truth->gap[TRUTH_OUT];
}

bool truth_ended_with_gap(const struct truth *truth)
{
	return truth && truth->ended && !truth->taken && truth_has_gap(truth);
}

static bool truth_is_quiet(const struct truth_moment *now, enum truth_way way)
{
	struct flow_count passed;

	return now->known &&
	       truth_passed(&now->stats[TRUTH_BEFORE], &now->stats[TRUTH_AFTER], way, &passed) &&
	       !passed.packets;
}

struct flow_count truth_tell_gap(struct truth *truth, const struct truth_moment *now)
{
	struct flow_count gap = {0};

	for (enum truth_way way = 0; way < TRUTH_WAYS; way++) {
		struct flow_count passed, seen, most, unseen;

		if (!truth->gap[way] || !truth->begin.known || !now->known ||
		    !truth_passed(&truth->begin.stats[TRUTH_AFTER], &now->stats[TRUTH_BEFORE], way,
				  &passed))
			continue;
		truth_measure(truth, way, &seen, &most);
		unseen = truth_unseen(truth, way, &passed, &most);
		flow_count_add(&truth->told[way], &unseen);
		truth_add_gap(truth, way, &unseen, &gap);
		truth->gap[way] = !truth_is_quiet(now, way);
	}
	truth_look(truth, now);
	return gap;
}

void truth_release(struct truth *truth)
{
	bool known = true;

	if (!truth || --truth->holders)
		return;
	truth->sum->interfaces++;
	for (enum truth_way way = 0; way < TRUTH_WAYS && !truth->taken; way++) {
		struct truth_verdict verdict = truth_compare(truth, &truth->end, way);

		/* a link that goes may have forgotten what it carried: the last look holds then */
		known &= verdict.known;
		flow_count_add(&truth->sum->missed,
			       verdict.known ? &verdict.missed : &truth->verdict[way].missed);
	}
	truth->sum->unknown += !known;
	free(truth);
}

/* In hundredths of a percent. */
static uint64_t truth_share(uint64_t seen, uint64_t missed)
{
	return missed ? (uint64_t)(10000.0 * (double)seen / ((double)seen + (double)missed))
		      : 10000;
}

double truth_coverage(const struct truth *truth)
{
	struct flow_count seen = {0}, missed = {0};
	uint64_t packets, bytes;

	for (enum truth_way way = 0; way < TRUTH_WAYS; way++) {
		const struct truth_verdict verdict = truth_verdict(truth, way);

		if (!verdict.known)
			return -1;
		flow_count_add(&seen, &verdict.seen);
		flow_count_add(&missed, &verdict.missed);
	}
	packets = truth_share(seen.packets, missed.packets);
	bytes = truth_share(seen.bytes, missed.bytes);
	/* however little is missed, it is not all */
	if (missed.packets && packets == 10000)
		packets--;
	return (double)(packets < bytes ? packets : bytes) / 100;
}
