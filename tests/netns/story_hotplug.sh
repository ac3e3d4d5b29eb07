#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Links that come, go and change while the agent runs.

bytes() { # PACKETS of stray()
	echo "$STRAY Bytes: $(($1 * 128))"
}

story_link_comes() {
	make_ns host peer
	start_agent host -v
	wire host v0 peer v1
	wait_for_log host 'v0: attached'
	stray 10 peer v1
	stop_agent host
	expect_report host 10 "$(bytes 10)"
}

# What it carried belongs to the report of its last interval, and to no other.
story_link_goes() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host -v
	stray 10 peer v1
	ip_in host link delete v0
	wait_for_log host 'v0: gone'
	report_now host
	expect_report host 10 "$(bytes 10)"
	stop_agent host
	expect_report host 0
}

# Before the agent has heard of it, too.
story_link_goes_at_once() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host
	stray 10 peer v1
	ip_in host link delete v0
	stop_agent host
	expect_report host 10 "$(bytes 10)"
}

# The agent finds both the link's end and the wish for a report when it wakes up.
story_link_goes_as_a_report_is_due() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host
	stray 10 peer v1
	signal_agent host STOP
	ip_in host link delete v0
	signal_agent host USR1
	signal_agent host CONT
	wait_for 'a report' has_reports host 0
	expect_report host 10 "$(bytes 10)"
	stop_agent host
	expect_report host 0
}

story_many_links_come_and_go() {
	local i

	make_ns host peer
	start_agent host -v
	for ((i = 0; i < 20; i++)); do
		wire host "v$i" peer "w$i"
	done
	for ((i = 0; i < 20; i++)); do
		wait_for_log host "v$i: attached"
		stray 2 peer "w$i"
		ip_in host link delete "v$i"
	done
	stop_agent host
	expect_report host 40 "$(bytes 40)"
}

story_rename() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host -v -x 'skip*'
	stray 1 peer v1
	rename_link host v0 skip0
	wait_for_log host ': detached'
	expect_equal 'own filters' 0 "$(own_filters host skip0)"
	! has_clsact host skip0 || fail 'its clsact qdisc is still there'
	stray 100 peer v1
	rename_link host skip0 v2
	wait_for_log host 'v2: attached'
	stray 2 peer v1
	stop_agent host
	expect_report host 3 "$(bytes 3)"
}

story_reload() {
	local config=$WORK/flowtally.conf

	make_ns host peer
	wire host v0 peer v1
	wire host w0 peer w1
	printf '[interfaces]\nexclude = w*\n' >"$config"
	start_agent host -v -c "$config"
	stray 1 peer v1
	stray 100 peer w1

	printf '[interfaces]\nexclude = v*\ncolour = red\n' >"$config"
	signal_agent host HUP
	wait_for_log host 'configuration is not changed'
	agent_log_has host "$config:3:" || fail 'the log does not say where the mistake is'
	stray 2 peer v1
	stray 100 peer w1

	printf '[interfaces]\nexclude = v*\n' >"$config"
	signal_agent host HUP
	wait_for_log host 'w0: attached'
	wait_for_log host 'v0: detached'
	stray 100 peer v1
	stray 4 peer w1
	stop_agent host
	expect_report host 7 "$(bytes 7)"
}

# Links that stay monitored are not disturbed by a reload.
story_reload_under_traffic() {
	local reloads=0

	make_ns host peer
	wire host v0 peer v1
	printf '[interfaces]\nexclude = w*\n' >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	stray 20000 peer v1 &
	while kill -0 "$!" 2>/dev/null; do
		signal_agent host HUP
		wait_for_log host 'configuration is read again' "$reloads"
		reloads=$((reloads + 1))
	done
	wait "$!"
	((reloads)) || fail 'the traffic was over at once'
	stop_agent host
	expect_report host 20000 "$(bytes 20000)"
}

# What is watched changes below the packets, and each of them is seen by one hook at least. By tcx only: when
# clsact comes or goes, the kernel drops what is sent at that instant.
exchange_lists() { # [PACKETS SECONDS]: as route_until_enough
	local sender reloads=0 excluded

	[[ $HAS_TCX == yes ]] || skip 'this kernel has no tcx'
	topology_containers
	: >"$WORK/flowtally.conf"
	start_agent host -a tcx -c "$WORK/flowtally.conf"
	route_until_enough "$@" &
	sender=$!
	for excluded in br0 p2 lo 'br0 p2' '' p2 br0 'p2 br0' lo; do
		printf '[interfaces]\nexclude = %s\n' "$excluded" >"$WORK/flowtally.conf"
		signal_agent host HUP
		wait_for_log host 'configuration is read again' "$reloads"
		reloads=$((reloads + 1))
	done
	touch "$WORK/enough"
	wait "$sender"
	stop_agent host
	expect_equal 'bytes' "$(($(cat "$WORK/sent") * 128))" "$(sum_of_reports host)"
}

once_lists_exchanged_under_traffic() {
	exchange_lists
}

# Maps are empty at some exchanges, and at others not.
once_lists_exchanged_under_little_traffic() {
	exchange_lists 2 0.002
}

story_reports_under_traffic() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host
	stray 20000 peer v1 &
	while kill -0 "$!" 2>/dev/null; do
		report_now host
	done
	wait "$!"
	stop_agent host
	expect_equal 'bytes of all reports' "$((20000 * 128))" "$(sum_of_reports host)"
}

story_link_moves_away_and_back() {
	make_ns host peer spare
	wire host v0 peer v1
	start_agent host -v
	stray 1 peer v1
	ip_in host link set v0 netns "$PREFIX-spare"
	wait_for_log host 'v0: gone'
	ip_in spare link set v0 up
	stray 100 peer v1
	ip_in spare link set v0 netns "$PREFIX-host"
	wait_for_log host 'v0: attached' 1
	ip_in host link set v0 up
	stray 2 peer v1
	stop_agent host
	expect_report host 3 "$(bytes 3)"
}

story_same_index_again() {
	make_ns host peer
	start_agent host -v
	for i in 0 1 2; do
		ip_in host link add v0 index 77 type veth peer name v1 netns "$PREFIX-peer"
		ip_in host link set v0 addrgenmode none up
		ip_in peer link set v1 addrgenmode none up
		wait_for_log host 'v0: attached' "$i"
		stray "$((i + 1))" peer v1
		ip_in host link delete v0
	done
	wait_for_log host 'v0: gone' 2
	stop_agent host
	expect_report host 6 "$(bytes 6)"
}

# host x0 --- x1 other, with that index and unwatched: what it receives is forwarded through v0, and seen there first.
forwards_from_index() { # INDEX
	ip_in host link add x0 index "$1" type veth peer name x1 netns "$PREFIX-other"
	device_up host x0 10.9.0.1/24
	device_up other x1 10.9.0.2/24
	make_neighbours host x0 other x1
	in_ns host sysctl -qw net.ipv4.ip_forward=1
	ip_in peer route replace default via 10.1.0.1
	ip_in other route replace default via 10.9.0.1
	udp -n 10 -s 100 other 10.9.0.2:40000 peer 10.1.0.2:5001
	ip_in host link delete x0
}

FORWARDED='10.9.0.2:40000 - 10.1.0.2:5001 Bytes: 1280'

# What was received on the link that had its index was seen.
story_index_of_a_watched_link_again() {
	topology_wire
	make_ns other
	start_agent host -v -i v0 -i w0
	ip_in host link add w0 index 500 type veth peer name w1 netns "$PREFIX-other"
	wait_for_log host 'w0: attached'
	ip_in host link delete w0
	wait_for_log host 'w0: gone'
	forwards_from_index 500
	stop_agent host
	expect_report host 10 "$FORWARDED"
}

# host w0 --- w1, of which w1 is watched.
pair_comes_and_goes() { # INDEX OF w0, TIMES BEFORE
	ip_in host link add w0 index "$1" type veth peer name w1
	wait_for_log host 'w1: attached' "$2"
	ip_in host link delete w0
	wait_for_log host 'w1: gone' "$2"
}

# The same of one that was not watched, as its peer was. After a report nothing is known of it.
story_index_of_a_link_with_a_watched_peer_again() {
	topology_wire
	make_ns other
	start_agent host -v -i v0 -i w1
	pair_comes_and_goes 500 0
	report_now host
	! "$TOOLS/unslot" "${AGENT[host]}" word 500 2>"$WORK/unslot" || fail 'the program knows of a link that is gone'
	pair_comes_and_goes 500 1
	forwards_from_index 500
	stop_agent host
	expect_report host 10 "$FORWARDED"
}

# From now on the bridge shows again what its port has shown.
story_port_joins_a_bridge() {
	make_ns host peer
	wire host v0 peer v1
	ip_in host link add br0 type bridge mcast_snooping 0
	ip_in host link set br0 addrgenmode none up
	start_agent host
	stray 5 peer v1
	ip_in host link set v0 master br0
	stray 7 peer v1
	ip_in host link set v0 nomaster
	stray 9 peer v1
	stop_agent host
	expect_report host 21 "$(bytes 21)"
}

story_alternative_names() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host -v -i 'uplink-*'
	stray 100 peer v1
	ip_in host link property add dev v0 altname uplink-to-the-world
	wait_for_log host 'v0: attached'
	stray 3 peer v1
	ip_in host link property del dev v0 altname uplink-to-the-world
	wait_for_log host 'v0: detached'
	stray 100 peer v1
	stop_agent host
	expect_report host 3 "$(bytes 3)"
}

# The kernel tells of it with the link's next message, and by then packets may have passed.
story_alternative_name_of_a_link_that_is_down() {
	make_ns host peer
	wire host v0 peer v1
	stray 100 peer v1
	ip_in host link set v0 down
	start_agent host -v -i 'uplink-*' -i lo
	ip_in host link property add dev v0 altname uplink-to-the-world
	signal_agent host STOP
	ip_in host link set v0 up
	wait_for 'the carrier' in_ns peer grep -qx up /sys/class/net/v1/operstate
	stray 10 peer v1
	signal_agent host CONT
	wait_for_log host 'v0: attached'
	stray 3 peer v1
	stop_agent host
	expect_report host 3 "$(bytes 3)" '# unattributed interface=v0 reason=before_attach bytes=1280 packets=10'
}

story_kinds_and_indices() {
	local index

	make_ns host peer
	wire host v0 peer v1
	ip_in host link add br0 type bridge
	index=$(ip_in host -j link show dev br0 | jq '.[0].ifindex')
	for include in kind:veth kind:loopback 'kind:b*' "index:$index"; do
		start_agent host -i "$include"
		stop_agent host
		expect_equal "interfaces with $include" 1 "$(header_field host interfaces)"
	done
	start_agent host -x kind:veth
	stop_agent host
	expect_equal 'interfaces without veth' 2 "$(header_field host interfaces)"
}

# So that its first packet is counted when it comes up.
story_link_that_is_down() {
	make_ns host peer
	wire host v0 peer v1
	ip_in host link set v0 down
	start_agent host
	ip_in host link set v0 up
	wait_for 'the carrier' in_ns peer grep -qx up /sys/class/net/v1/operstate
	stray 10 peer v1
	stop_agent host
	expect_report host 10 "$(bytes 10)"
}
