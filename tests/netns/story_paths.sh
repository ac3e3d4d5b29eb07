#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Whatever way a packet takes through interfaces, it is counted once and with the same size. IP bytes of a
# datagram: 28 and its data over IPv4, 48 over IPv6.

A=10.1.0.2:40000
B=10.1.0.1:5001

story_udp_over_one_link() {
	topology_wire
	start_agent host
	start_agent peer
	udp -n 100 -s 1000 -r 10 peer "$A" host "$B"
	stop_agent host
	stop_agent peer
	expect_report host 110 "$A - $B Bytes: $((110 * 1028))"
	expect_report peer 110 "$A - $B Bytes: $((110 * 1028))"
}

story_ipv6_udp_over_one_link() {
	topology_wire
	start_agent host
	udp -n 50 -s 200 -r 5 peer '[fd01::2]:40000' host '[fd01::1]:5001'
	stop_agent host
	expect_report host 55 "[fd01::2]:40000 - [fd01::1]:5001 Bytes: $((55 * 248))"
}

# 4008 bytes of IP payload in three fragments, each with its own header.
story_fragments() {
	topology_wire
	start_agent host
	start_agent peer
	udp -n 10 -s 4000 -r 10 peer "$A" host "$B"
	udp -n 10 -s 4000 -r 10 peer '[fd01::2]:40000' host '[fd01::1]:5001'
	stop_agent host
	stop_agent peer
	for ns in host peer; do
		expect_report "$ns" 120 "$A - $B Bytes: $((20 * (4008 + 3 * 20)))" \
			"[fd01::2]:40000 - [fd01::1]:5001 Bytes: $((20 * (4008 + 3 * 48)))"
	done
}

# Every packet of the hooks is a packet of the wire.
story_tcp_without_offloads() {
	local before after

	topology_wire
	"$TOOLS/traffic" offload host v0 off
	"$TOOLS/traffic" offload peer v1 off
	start_agent host
	start_agent peer
	read -ra before < <(link_count host v0)
	tcp -n 2000000 -r 100000 peer "$A" host "$B"
	read -ra after < <(link_count host v0)
	stop_agent host
	stop_agent peer
	expect_equal 'link counters' "$TCP_BYTES $TCP_PACKETS" \
		"$((after[0] - before[0])) $((after[1] - before[1]))"
	expect_report host "$TCP_PACKETS" "$A - $B Bytes: $TCP_BYTES"
	expect_report peer "$TCP_PACKETS" "$A - $B Bytes: $TCP_BYTES"
}

# The same size at the sender, on the way and at the receiver, and that is what the sockets say.
story_tcp_with_offloads() {
	topology_containers
	start_agent c1
	start_agent host
	start_agent world
	tcp -n 10000000 -r 1000000 c1 10.2.0.2:40000 world 10.3.0.2:5001
	stop_agent c1
	stop_agent host
	stop_agent world
	for ns in c1 host world; do
		expect_report "$ns" "$TCP_PACKETS" "10.2.0.2:40000 - 10.3.0.2:5001 Bytes: $TCP_BYTES"
	done
}

story_ipv6_tcp_with_offloads() {
	topology_containers
	start_agent c1
	start_agent host
	tcp -n 5000000 c1 '[fd02::2]:40000' world '[fd03::2]:5001'
	stop_agent c1
	stop_agent host
	for ns in c1 host; do
		expect_report "$ns" "$TCP_PACKETS" "[fd02::2]:40000 - [fd03::2]:5001 Bytes: $TCP_BYTES"
	done
}

story_between_local_addresses() {
	topology_wire
	start_agent host
	udp -n 40 -s 500 -r 4 host 127.0.0.1:40000 host "$B"
	udp -n 30 -s 500 host 10.1.0.1:40000 host 10.1.0.1:5002
	tcp -n 3000000 -r 3000000 host 127.0.0.1:40001 host "$B"
	stop_agent host
	expect_report host "$((74 + TCP_PACKETS))" \
		"127.0.0.1:40001 - $B Bytes: $TCP_BYTES" \
		"127.0.0.1:40000 - $B Bytes: $((44 * 528))" \
		"10.1.0.1:40000 - 10.1.0.1:5002 Bytes: $((30 * 528))"
}

story_bridged() {
	topology_containers
	start_agent host
	udp -n 100 -s 1000 -r 7 c1 10.2.0.2:40000 c2 10.2.0.3:5001
	tcp -n 3000000 c2 '[fd02::3]:40000' c1 '[fd02::2]:5001'
	stop_agent host
	expect_report host "$((107 + TCP_PACKETS))" \
		"10.2.0.2:40000 - 10.2.0.3:5001 Bytes: $((107 * 1028))" \
		"[fd02::3]:40000 - [fd02::2]:5001 Bytes: $TCP_BYTES"
}

story_host_and_container() {
	topology_containers
	start_agent host
	udp -n 20 -s 100 -r 5 host 10.2.0.1:40000 c1 10.2.0.2:5001
	udp -n 20 -s 300 -r 5 c1 10.2.0.2:40000 host 10.2.0.1:5002
	stop_agent host
	expect_report host 50 "10.2.0.1:40000 - 10.2.0.2:5001 Bytes: $((25 * 128))" \
		"10.2.0.2:40000 - 10.2.0.1:5002 Bytes: $((25 * 328))"
}

story_routed() {
	topology_containers
	start_agent host
	udp -n 100 -s 1000 -r 10 c1 10.2.0.2:40000 world 10.3.0.2:5001
	udp -n 50 -s 1000 -r 10 world '[fd03::2]:40000' c2 '[fd02::3]:5001'
	stop_agent host
	expect_report host 170 "10.2.0.2:40000 - 10.3.0.2:5001 Bytes: $((110 * 1028))" \
		"[fd03::2]:40000 - [fd02::3]:5001 Bytes: $((60 * 1048))"
}

# Fragments keep where they came from on the way through, also when conntrack puts them together.
story_routed_fragments_with_conntrack() {
	topology_containers
	in_ns host nft add table inet track
	in_ns host nft 'add chain inet track forward { type filter hook forward priority 0; }'
	in_ns host nft add rule inet track forward ct state new counter
	start_agent host
	udp -n 10 -s 4000 -r 10 c1 10.2.0.2:40000 world 10.3.0.2:5001
	udp -n 10 -s 4000 -r 10 c1 '[fd02::2]:40000' world '[fd03::2]:5001'
	stop_agent host
	expect_report host 120 "10.2.0.2:40000 - 10.3.0.2:5001 Bytes: $((20 * (4008 + 3 * 20)))" \
		"[fd02::2]:40000 - [fd03::2]:5001 Bytes: $((20 * (4008 + 3 * 48)))"
}

# A packet that leaves by one end and comes in at the other has been seen.
story_both_ends_of_a_veth() {
	make_ns host
	wire host v0 host v1
	start_agent host
	stray 10 host v0
	stray 5 host v1
	stop_agent host
	expect_report host 15 "$STRAY Bytes: $((15 * 128))"
}

story_macvlan() {
	local options

	topology_wire
	ip_in host link add mv0 link v0 address 02:00:00:00:fe:01 type macvlan mode bridge
	ip_in host link set mv0 addrgenmode none up
	add_addresses host mv0 10.4.0.1/24 fd04::1/64
	add_addresses peer v1 10.4.0.2/24 fd04::2/64
	make_neighbours host mv0 peer v1
	for options in '' '-x v0' '-x mv0'; do
		# shellcheck disable=SC2086
		start_agent host $options
		udp -n 30 -s 1000 -r 20 peer 10.4.0.2:40000 host 10.4.0.1:5001
		tcp -n 1000000 peer '[fd04::2]:40000' host '[fd04::1]:5001'
		stop_agent host
		expect_report host "$((50 + TCP_PACKETS))" \
			"[fd04::2]:40000 - [fd04::1]:5001 Bytes: $TCP_BYTES" \
			"10.4.0.2:40000 - 10.4.0.1:5001 Bytes: $((50 * 1028))"
	done
}

# Whichever interfaces are watched, what any of them shows is counted once.
story_parts_of_the_path() {
	local bridged routed

	topology_containers
	bridged="10.2.0.2:40000 - 10.2.0.3:5001 Bytes: $((22 * 528))"
	routed="10.2.0.2:40001 - 10.3.0.2:5001 Bytes: $((33 * 1028))"
	expect_part "$bridged" "$routed" -x br0
	expect_part "$bridged" "$routed" -x p1
	expect_part "$bridged" "$routed" -x p2
	expect_part "$bridged" "$routed" -x wan
	expect_part "$bridged" "$routed" -x p1 -x br0
	expect_part "$bridged" "$routed" -x br0 -x wan
	expect_part "$bridged" "$routed" -i p1
	expect_part "$bridged" '' -i p2
	expect_part '' "$routed" -i br0
	expect_part '' "$routed" -i wan
}

expect_part() { # BRIDGED ROUTED OPTIONS...
	local lines=() packets=0

	if [[ $1 ]]; then
		lines+=("$1")
		packets=$((packets + 22))
	fi
	if [[ $2 ]]; then
		lines+=("$2")
		packets=$((packets + 33))
	fi
	shift 2
	echo "with $*"
	start_agent host "$@"
	udp -n 20 -s 500 -r 2 c1 10.2.0.2:40000 c2 10.2.0.3:5001
	udp -n 30 -s 1000 -r 3 c1 10.2.0.2:40001 world 10.3.0.2:5001
	stop_agent host
	expect_report host "$packets" "${lines[@]}"
}
