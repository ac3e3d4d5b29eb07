#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What is watched, and what is stacked on what, changes within an interval: each packet is counted by what held when it passed.

watch_only() { # PATTERN...
	local before

	printf '[interfaces]\ninclude = %s\n' "$*" >"$WORK/flowtally.conf"
	[[ -n ${AGENT[host]:-} ]] || return 0
	before=$(agent_log_count host 'configuration is read again')
	signal_agent host HUP
	wait_for_log host 'configuration is read again' "$before"
}

story_lists_grow_midway() {
	topology_containers
	watch_only br0 p1
	start_agent host -v -c "$WORK/flowtally.conf"
	udp -n 5 -s 100 host 10.2.0.1:40000 c2 10.2.0.3:5001
	udp -n 6 -s 100 c2 10.2.0.3:40000 world 10.3.0.2:5001
	watch_only '*'
	wait_for_log host 'p2: attached'
	wait_for_log host 'wan: attached'
	udp -n 7 -s 100 host 10.2.0.1:40000 c2 10.2.0.3:5001
	udp -n 8 -s 100 c2 10.2.0.3:40000 world 10.3.0.2:5001
	stop_agent host
	expect_report host 26 "10.2.0.1:40000 - 10.2.0.3:5001 Bytes: $((12 * 128))" \
		"10.2.0.3:40000 - 10.3.0.2:5001 Bytes: $((14 * 128))"
}

# TIMES packets in by the device below a macvlan, and out by the macvlan.
route_on_a_stick() { # TIMES
	local to

	to=$(ip_in host -j link show dev v0 | jq -r '.[0].address')
	frames -n "$1" peer v1 "${to//:/}0200000000ff0800$(ipv4 10.9.0.2 10.4.0.9 17 \
		"$(udp_payload 40000 5001 100)")"
}

# What held the macvlan's packets against the device below it goes on under another role.
story_macvlan_goes_beside_a_router() {
	local link

	topology_wire
	for link in mv1 mv2; do
		ip_in host link add "$link" link v0 type macvlan mode bridge
		ip_in host link set "$link" addrgenmode none up
	done
	add_addresses host mv1 10.4.0.1/24
	ip_in host neighbour add 10.4.0.9 lladdr 02:ff:00:00:00:09 dev mv1 nud permanent
	in_ns host sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.v0.rp_filter=0
	ip_in host route add 10.9.0.0/24 dev v0
	start_agent host -v
	route_on_a_stick 5
	ip_in host link del mv2
	wait_for_log host 'mv2: gone'
	route_on_a_stick 7
	stop_agent host
	expect_report host 12 "10.9.0.2:40000 - 10.4.0.9:5001 Bytes: $((12 * 128))"
}

# For the reader it is one interface, however often the lists let go of it within an interval.
story_watched_again() {
	topology_wire
	watch_only 'lo v0'
	start_agent host -v -f json -c "$WORK/flowtally.conf"
	stray 2 peer v1
	frames peer v1 "$(ethernet 88b5 "$(zeros 46)")"
	watch_only lo
	wait_for_log host 'v0: detached'
	stray 100 peer v1
	watch_only 'lo v0'
	wait_for "v0 to be attached again" agent_said host 'v0: attached' 1
	stray 3 peer v1
	frames peer v1 "$(ethernet 88b5 "$(zeros 46)")"
	stop_agent host
	expect_equal report '2 1 v0 non_ip 92 2' "$(jq -r 'select(.event.action == "report") |
		.flowtally.report | [.interfaces, .flows, (.unattributed[] | .interface, .reason, .bytes, .packets)]
		| join(" ")' "$WORK/host.report")"
	expect_equal flow "640 v0 v0" "$(jq -r 'select(.event.action == "flow") |
		[.network.bytes, .flowtally.interfaces[], .flowtally.counted_at] | join(" ")' "$WORK/host.report")"
}
