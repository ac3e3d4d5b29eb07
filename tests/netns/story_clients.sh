#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Who began a conversation is on the left, as conntrack has it, also where nothing is translated and ports or
# addresses would suggest the other end: 10.1.0.1 is the host's own.

CLIENT=10.1.0.2:700
SERVER=10.1.0.1:50001

# Connections are tracked in the host's namespace because a rule asks for their state.
track_connections() {
	in_ns host nft -f - <<-'EOT'
		table inet track {
			chain in {
				type filter hook prerouting priority filter
				ct state invalid counter
			}
		}
	EOT
}

story_client_of_a_server_on_an_ephemeral_port() {
	topology_wire
	track_connections
	start_agent host
	udp -n 50 -s 1000 -r 20 peer "$CLIENT" host "$SERVER"
	udp -n 40 -s 1000 -r 10 host 10.1.0.1:700 peer 10.1.0.2:50001
	udp -n 30 -s 1000 -r 10 peer '[fd01::2]:700' host '[fd01::1]:50001'
	tcp -n 1000000 -r 500000 peer "$CLIENT" host "$SERVER"
	stop_agent host
	expect_report host "$((160 + TCP_PACKETS))" "$CLIENT - $SERVER Bytes: $TCP_BYTES" \
		"$CLIENT - $SERVER Bytes: $((70 * 1028))" \
		"10.1.0.1:700 - 10.1.0.2:50001 Bytes: $((50 * 1028))" \
		"[fd01::2]:700 - [fd01::1]:50001 Bytes: $((40 * 1048))"
}

# Neither ports nor the absence of ports say anything, so the host's own address would be left.
story_client_where_ports_say_nothing() {
	topology_wire
	track_connections
	start_agent host
	udp -n 50 -s 1000 -r 20 peer 10.1.0.2:40000 host "$SERVER"
	udp -n 40 -s 1000 -r 10 peer 10.1.0.2:123 host 10.1.0.1:123
	in_ns peer ping -q -n -c 3 -i 0.01 10.1.0.1 >"$WORK/ping"
	stop_agent host
	expect_report host 126 "10.1.0.2:40000 - $SERVER Bytes: $((70 * 1028))" \
		"10.1.0.2:123 - 10.1.0.1:123 Bytes: $((50 * 1028))" "10.1.0.2:0 - 10.1.0.1:0 Bytes: $((6 * 84))"
}

# The answers alone are in the second report.
story_client_of_a_forwarded_conversation() {
	topology_containers
	track_connections
	start_agent host -x br0 -x p2
	udp -n 50 -s 1000 -r 20 c1 10.2.0.2:700 world 10.3.0.2:50001
	report_now host
	expect_report host 70 "10.2.0.2:700 - 10.3.0.2:50001 Bytes: $((70 * 1028))"
	udp -n 9 -s 1000 world 10.3.0.2:50001 c1 10.2.0.2:700
	stop_agent host
	expect_report host 9 "10.2.0.2:700 - 10.3.0.2:50001 Bytes: $((9 * 1028))"
}

story_client_of_a_conversation_older_than_the_agent() {
	topology_wire
	track_connections
	udp -n 10 -s 1000 peer "$CLIENT" host "$SERVER"
	start_agent host
	udp -n 50 -s 1000 -r 20 peer "$CLIENT" host "$SERVER"
	report_now host
	expect_report host 70 "$CLIENT - $SERVER Bytes: $((70 * 1028))"
	udp -n 50 -s 1000 host "$SERVER" peer "$CLIENT"
	stop_agent host
	expect_report host 50 "$CLIENT - $SERVER Bytes: $((50 * 1028))"
}

# Conntrack has forgotten it when the report is made.
story_client_of_a_short_conversation() {
	topology_wire
	track_connections
	start_agent host
	udp -n 50 -s 1000 -r 20 peer "$CLIENT" host "$SERVER"
	udp -n 40 -s 1000 -r 20 peer 10.1.0.2:40000 host "$SERVER"
	tcp -n 1000000 -r 500000 peer "$CLIENT" host "$SERVER"
	"$TOOLS/traffic" flush host
	report_now host
	expect_report host "$((130 + TCP_PACKETS))" "$CLIENT - $SERVER Bytes: $TCP_BYTES" \
		"$CLIENT - $SERVER Bytes: $((70 * 1028))" \
		"10.1.0.2:40000 - $SERVER Bytes: $((60 * 1028))"
	# the same ends, begun by the other one
	udp -n 30 -s 1000 -r 10 host "$SERVER" peer 10.1.0.2:40000
	stop_agent host
	expect_report host 40 "$SERVER - 10.1.0.2:40000 Bytes: $((40 * 1028))"
}

story_tracking_that_begins_later() {
	topology_wire
	start_agent host
	udp -n 30 -s 1000 -r 10 peer "$CLIENT" host "$SERVER"
	report_now host
	expect_report host 40 "$SERVER - $CLIENT Bytes: $((40 * 1028))"
	track_connections
	udp -n 50 -s 1000 -r 20 peer "$CLIENT" host "$SERVER"
	stop_agent host
	expect_report host 70 "$CLIENT - $SERVER Bytes: $((70 * 1028))"
}

once_client_by_ports_with_nat_off() {
	topology_wire
	track_connections
	printf '[flows]\nnat = off\n' >"$WORK/conf"
	start_agent host -c "$WORK/conf"
	udp -n 50 -s 1000 -r 20 peer "$CLIENT" host "$SERVER"
	stop_agent host
	expect_report host 70 "$SERVER - $CLIENT Bytes: $((70 * 1028))"
}

# Nothing says that any of them is translated.
once_client_in_json() {
	topology_wire
	track_connections
	start_agent host -f json
	udp -n 50 -s 1000 -r 20 peer "$CLIENT" host "$SERVER"
	report_now_json
	expect_equal 'ends' "10.1.0.2 700 51400 10.1.0.1 50001 20560 false" "$(jq -r '
		select(.event.action == "flow") | [.source.ip, .source.port, .source.bytes, .destination.ip,
		.destination.port, .destination.bytes, (.source.nat or .destination.nat)] | join(" ")' \
		"$WORK/host.report")"
	in_ns host "$FLOWTALLY" status --json >"$WORK/status"
	expect_equal 'translated conversations' 0 "$(jq '.nat.conversations // 0' "$WORK/status")"
	stop_agent host
}

report_now_json() {
	signal_agent host USR1
	wait_for 'a report' grep -q '"action":"flow"' "$WORK/host.report"
}
