#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What goes through a tunnel is counted inside, and its outer packets are set apart. Around an inner IP packet VXLAN
# over IPv4 puts 50 bytes: Ethernet 14, VXLAN 8, UDP 8, IP 20. So an inner datagram of 1000 bytes is 1028 and 1078.

# The outer packets always have the same ports, else the first would be a hash.
make_vxlan() { # NS DEV UNDERLAY LOCAL REMOTE OPTIONS...
	local ns=$1 dev=$2 underlay=$3 local=$4 remote=$5

	shift 5
	ip_in "$ns" link add "$dev" type vxlan id 7 local "$local" remote "$remote" dev "$underlay" \
		dstport 4789 srcport 50000 50001 nolearning "$@"
	ip_in "$ns" link set "$dev" addrgenmode none up
}

OUT='10.3.0.1:50000 - 10.3.0.2:4789'
BACK='10.3.0.2:50000 - 10.3.0.1:4789'

# The bridge of topology_containers goes on to world's vx0.
topology_bridged_vxlan() {
	topology_containers
	make_vxlan host vx0 wan 10.3.0.1 10.3.0.2
	make_vxlan world vx0 w0 10.3.0.2 10.3.0.1
	ip_in host link set vx0 master br0
	add_addresses world vx0 10.2.0.9/24 fd02::9/64
	ip_in world route del 10.2.0.0/24 via 10.3.0.1
	make_neighbours c1 eth0 world vx0
	make_neighbours host br0 world vx0
}

# host vx0 === vx0 world over wan --- w0, with addresses of its own.
topology_routed_vxlan() {
	make_ns host world
	wire host wan world w0
	add_addresses host wan 10.3.0.1/24 fd03::1/64
	add_addresses world w0 10.3.0.2/24 fd03::2/64
	make_neighbours host wan world w0
	make_vxlan host vx0 wan "${1:-10.3.0.1}" "${2:-10.3.0.2}"
	make_vxlan world vx0 w0 "${2:-10.3.0.2}" "${1:-10.3.0.1}"
	add_addresses host vx0 10.6.0.1/24
	add_addresses world vx0 10.6.0.2/24
	make_neighbours host vx0 world vx0
}

bridged_traffic() {
	udp -n 100 -s 1000 -r 10 c1 10.2.0.2:40000 world 10.2.0.9:5001
	udp -n 30 -s 1000 -r 3 host 10.2.0.1:40000 world 10.2.0.9:5001
	udp -n 20 -s 1000 c1 10.2.0.2:40000 host 10.3.0.1:5001
}

count_tunnels() {
	printf '[flows]\ntunnels = count\n' >"$WORK/count.conf"
}

INNER=(
	"10.2.0.2:40000 - 10.2.0.9:5001 Bytes: $((110 * 1028))"
	"10.2.0.1:40000 - 10.2.0.9:5001 Bytes: $((33 * 1028))"
	"10.2.0.2:40000 - 10.3.0.1:5001 Bytes: $((20 * 1028))"
)

story_bridged_into_vxlan() {
	topology_bridged_vxlan
	start_agent host
	bridged_traffic
	stop_agent host
	expect_report host 163 "${INNER[@]}" \
		"# tunnel interface=vx0 flows=2 bytes=$((143 * 1078)) packets=143"
}

story_bridged_into_vxlan_counting_both() {
	topology_bridged_vxlan
	count_tunnels
	start_agent host -c "$WORK/count.conf"
	bridged_traffic
	stop_agent host
	expect_report host 306 "${INNER[@]}" "$OUT Bytes: $((130 * 1078))" "$BACK Bytes: $((13 * 1078))"
}

# Where nothing of the inner side is watched, outer packets are like any others.
story_vxlan_excluded() {
	topology_routed_vxlan
	start_agent host -x vx0
	udp -n 100 -s 1000 -r 10 host 10.6.0.1:40000 world 10.6.0.2:5001
	stop_agent host
	expect_report host 110 "$OUT Bytes: $((100 * 1078))" "$BACK Bytes: $((10 * 1078))"
}

# Over IPv6 it is 20 bytes more. The device that comes and goes within the interval is still known at its end.
story_vxlan_over_ipv6_that_goes() {
	topology_routed_vxlan fd03::1 fd03::2
	start_agent host -v
	udp -n 100 -s 1000 -r 10 host 10.6.0.1:40000 world 10.6.0.2:5001
	ip_in host link del vx0
	wait_for_log host 'vx0: gone'
	stop_agent host
	expect_report host 110 "10.6.0.1:40000 - 10.6.0.2:5001 Bytes: $((110 * 1028))" \
		"# tunnel interface=vx0 flows=2 bytes=$((110 * 1098)) packets=110"
}

# Another VXLAN device with the same port and another remote end, which is not watched, keeps its outer packets.
topology_two_vxlans() {
	topology_routed_vxlan
	add_addresses world w0 10.3.0.3/24
	ip_in host neighbour replace 10.3.0.3 lladdr "$(ip_in world -j link show dev w0 |
		jq -r '.[0].address')" dev wan nud permanent
	ip_in host link add vx1 type vxlan id 8 local 10.3.0.1 remote 10.3.0.3 dev wan dstport 4789 \
		srcport 50000 50001 nolearning
	ip_in host link set vx1 addrgenmode none up
	add_addresses host vx1 10.7.0.1/24
	ip_in host neighbour replace 10.7.0.2 lladdr 02:00:00:00:00:77 dev vx1 nud permanent
}

send_by_both_vxlans() {
	udp -n 100 -s 1000 host 10.6.0.1:40000 world 10.6.0.2:5001
	in_ns host bash -c 'for i in 1 2 3 4 5; do printf %100s >/dev/udp/10.7.0.2/9; done'
}

expect_both_vxlans() {
	expect_report host 105 "10.6.0.1:40000 - 10.6.0.2:5001 Bytes: $((100 * 1028))" \
		"10.3.0.1:50000 - 10.3.0.3:4789 Bytes: $((5 * 178))" \
		"# tunnel interface=vx0 flows=1 bytes=$((100 * 1078)) packets=100"
}

story_two_vxlans_one_excluded() {
	topology_two_vxlans
	start_agent host -x vx1
	send_by_both_vxlans
	stop_agent host
	expect_both_vxlans
}

story_unwatched_vxlan_that_goes() {
	topology_two_vxlans
	start_agent host -v -x vx1
	send_by_both_vxlans
	ip_in host link delete vx1
	# what was said before is read by then
	in_ns host "$FLOWTALLY" interfaces --json >"$WORK/interfaces"
	! grep -q vx1 "$WORK/interfaces" || fail 'it is still there'
	stop_agent host
	expect_both_vxlans
}

# Nor does a death make it forget that, whether the device went before or after.
story_unwatched_vxlan_that_goes_and_a_death() {
	topology_two_vxlans
	start_agent host -x vx1
	send_by_both_vxlans
	kill_agent host
	ip_in host link delete vx1
	start_agent host -x vx1
	kill_agent host
	start_agent host -x vx1
	stop_agent host
	expect_both_vxlans
}

expect_json() { # FILTER EXPECTED
	expect_equal "$1" "$2" "$(jq -c "$1" "$WORK/host.report")"
}

# Every flow says where it was and where it was counted, and the outer ones whose they are.
story_tunnel_in_json() {
	topology_bridged_vxlan
	start_agent host -f json
	udp -n 100 -s 1000 -r 1 c1 10.2.0.2:40000 world 10.2.0.9:5001
	stop_agent host
	expect_json 'select(.event.action == "report") | .flowtally.report |
		[.flows, .network.bytes, .network.packets, .tunnels]' \
		"[1,$((101 * 1028)),101,[{\"interface\":\"vx0\",\"flows\":2,\"network\":{\"bytes\":$((101 * 1078)),\"packets\":101}}]]"
	expect_json 'select(.event.action == "flow") |
		[.source.port, .network.packets, .flowtally.counted_at, .flowtally.tunnel]' \
		'[50000,100,"wan","vx0"]
[40000,101,"p1",null]
[50000,1,"wan","vx0"]'
	expect_json 'select(.source.port == 40000) | .flowtally.interfaces | [.[0], .[-1]]' '["p1","vx0"]'
}
