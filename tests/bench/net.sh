#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Where load goes through for the benches of load.sh: a client behind a bridge port of a router, a server
# behind another of its links.
#
#   client c0 --- vc on br0 [router] vs --- s0 server
#
# Packets to SINK arrive at the server, which has no such address and does not answer.

NET=ftbench$$
SERVER=10.2.0.2
SINK=10.2.0.99

in_net() { # CLIENT|ROUTER|SERVER COMMAND...
	local ns=$NET-$1

	shift
	ip netns exec "$ns" "$@"
}

make_net() {
	local ns mac

	for ns in client router server; do
		ip netns add "$NET-$ns"
		in_net "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
		ip -n "$NET-$ns" link set lo up
	done
	in_net router sysctl -qw net.ipv4.ip_forward=1
	ip -n "$NET-router" link add br0 type bridge
	ip -n "$NET-client" link add c0 type veth peer name vc netns "$NET-router"
	ip -n "$NET-server" link add s0 type veth peer name vs netns "$NET-router"
	ip -n "$NET-router" link set vc master br0
	for ns in 'client c0' 'server s0' 'router br0' 'router vc' 'router vs'; do
		ip -n "$NET-${ns% *}" link set "${ns#* }" up
	done
	ip -n "$NET-client" address add 10.1.0.2/24 dev c0
	ip -n "$NET-router" address add 10.1.0.1/24 dev br0
	ip -n "$NET-router" address add 10.2.0.1/24 dev vs
	ip -n "$NET-server" address add "$SERVER/24" dev s0
	ip -n "$NET-client" route add default via 10.1.0.1
	ip -n "$NET-server" route add default via 10.2.0.1
	mac=$(in_net server cat /sys/class/net/s0/address)
	ip -n "$NET-router" neighbour add "$SINK" lladdr "$mac" dev vs nud permanent
	in_net client ping -qc 1 -W 10 "$SERVER" >/dev/null
}

remove_net() {
	local ns

	for ns in client router server; do
		ip netns pids "$NET-$ns" 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
		ip netns del "$NET-$ns" 2>/dev/null || true
	done
}

# Packets that came to the server so far.
arrived() {
	in_net server cat /sys/class/net/s0/statistics/rx_packets
}

wait_until() { # WHAT COMMAND...
	local what=$1 end=$((SECONDS + 30))

	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || {
			echo "bench: waited in vain for $what" >&2
			return 1
		}
		sleep 0.02
	done
}
