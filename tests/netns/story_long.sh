#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# One agent's life in fast motion, for LONG_S seconds: in each round a link comes and goes, the lists change,
# clients ask, and new flows pass, translated ones among them. It is exact in every round, and takes no more in
# the end than it did in the beginning.

LONG_S=${LONG_S:-3}
# what there is once for each interface, flow or name, and what malloc() needs to find its size
FIRST_ROUNDS=8
ROUNDS=16
LONG_FLOWS=2000

topology_long() {
	topology_containers
	in_ns world sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.ip_forward=0
	ip_in world route add blackhole 10.64.0.0/10
	ip_in host route add 10.64.0.0/10 via 10.3.0.2
	in_ns host nft -f - <<<'
		table ip nat {
			chain post {
				type nat hook postrouting priority srcnat
				ip saddr 10.2.0.0/24 oifname wan masquerade
			}
		}'
}

write_lists() { # EXCLUDED
	printf '[interfaces]\nexclude = %s\n[metrics]\nlisten = %s\n' "$1" "$LISTEN" >"$WORK/flowtally.conf"
}

long_links() { # ROUND
	local name=x$(($1 % 5)) before

	before=$(agent_log_count host "$name: attached")
	ip_in host link add "$name" type veth peer name y0 netns "$PREFIX-world"
	ip_in host link set "$name" addrgenmode none up
	ip_in world link set y0 addrgenmode none up
	wait_for_log host "$name: attached" "$before"
	stray 5 world y0
	before=$(agent_log_count host "$name: gone")
	ip_in host link delete "$name"
	wait_for_log host "$name: gone" "$before"
	SENT=$((SENT + 5 * 128))
}

long_traffic() { # ROUND
	local flooded port=$((10000 + $1 % 20000))

	udp -n 10 -s 100 -r 5 c1 "10.2.0.2:$port" world 10.3.0.2:50001
	udp -n 10 -s 100 c1 "10.2.0.2:$port" c2 10.2.0.3:5001
	tcp -n 100000 c2 "10.2.0.3:$port" world 10.3.0.2:50001
	flooded=$("$TOOLS/flood" host "$LONG_FLOWS" 500)
	SENT=$((SENT + 25 * 128 + TCP_BYTES + flooded * 29))
}

long_questions() {
	local before question

	before=$(agent_log_count host 'configuration is read again')
	write_lists "${EXCLUDED[$1 % 2]}"
	signal_agent host HUP
	wait_for_log host 'configuration is read again' "$before"
	for question in status interfaces; do
		in_ns host "$FLOWTALLY" "$question" --json | jq -e . >"$WORK/answer" || fail "flowtally $question"
	done
	in_ns host "$FLOWTALLY" top -n 1 >"$WORK/answer" || fail 'flowtally top'
	scrape | grep -c '^flowtally_' >"$WORK/answer" || fail 'no metrics'
}

long_round() { # ROUND
	SENT=0
	long_links "$1"
	long_traffic "$1"
	report_now host
	expect_equal "bytes of round $1" "$SENT" "$(sum_of_reports host)"
	# on loopback, and not of this round's sum
	long_questions "$1"
	report_now host
	: >"$WORK/host.report"
}

story_long_life() {
	local EXCLUDED=('' lo) round=0 before rss end

	topology_long
	write_lists ''
	start_agent host -v -c "$WORK/flowtally.conf"
	while ((round < FIRST_ROUNDS)); do
		long_round $((round++))
	done
	before=$(agent_descriptors host)
	rss=$(resident_kib host)
	echo "after $round rounds: $(footprint host)"
	end=$((SECONDS + LONG_S))
	# the lists are those of before
	while ((round < ROUNDS || SECONDS < end || round % 2)); do
		long_round $((round++))
	done
	echo "after $round rounds: $(footprint host)"
	wait_for "the descriptors of before: $before" has_descriptors host "$before"
	(($(resident_kib host) - rss < 512)) || fail "resident memory, KiB: $rss, after $round rounds $(resident_kib host)"
}
