#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A conversation that NAT translates shows several address pairs and is one line: what the client sends, and
# whereto, on the left of it the client. The ports would suggest the other end in most of these stories.

CONTAINER=10.2.0.2:700
WORLD=10.3.0.2:50001

nat_rules() { # RULES of nft
	in_ns host nft -f - <<<"$1"
}

masquerade() {
	nat_rules '
		table ip nat {
			chain post {
				type nat hook postrouting priority srcnat
				oifname wan masquerade
			}
			chain pre {
				type nat hook prerouting priority dstnat
				iifname wan udp dport 50000 dnat to 10.2.0.2:5001
				iifname wan tcp dport 50000 dnat to 10.2.0.2:5001
			}
		}'
}

story_masquerade() {
	topology_containers
	masquerade
	start_agent host
	udp -n 100 -s 1000 c1 "$CONTAINER" world "$WORLD"
	stop_agent host
	expect_report host 100 "$CONTAINER - $WORLD Bytes: $((100 * 1028))"
}

story_dnat() {
	topology_containers
	masquerade
	start_agent host
	udp -n 100 -s 1000 -v 10.3.0.1:50000 world 10.3.0.2:700 c1 10.2.0.2:5001
	stop_agent host
	expect_report host 100 "10.3.0.2:700 - 10.3.0.1:50000 Bytes: $((100 * 1028))"
}

# Each way is first seen with another tuple.
story_nat_both_ways() {
	local masqueraded

	topology_containers
	masquerade
	start_agent host
	udp -n 100 -s 1000 -r 30 c1 "$CONTAINER" world "$WORLD"
	udp -n 90 -s 1000 -r 40 -v 10.3.0.1:50000 world 10.3.0.2:700 c1 10.2.0.2:5001
	tcp -n 1000000 -r 500000 c1 10.2.0.2:701 world "$WORLD"
	masqueraded="10.2.0.2:701 - $WORLD Bytes: $TCP_BYTES"
	PACKETS=$((260 + TCP_PACKETS))
	tcp -n 3000000 -r 100000 -v 10.3.0.1:50000 world 10.3.0.2:702 c1 10.2.0.2:5001
	stop_agent host
	expect_report host "$((PACKETS + TCP_PACKETS))" \
		"10.3.0.2:702 - 10.3.0.1:50000 Bytes: $TCP_BYTES" \
		"$masqueraded" \
		"$CONTAINER - $WORLD Bytes: $((130 * 1028))" \
		"10.3.0.2:700 - 10.3.0.1:50000 Bytes: $((130 * 1028))"
}

story_ipv6_masquerade() {
	topology_containers
	nat_rules '
		table ip6 nat {
			chain post {
				type nat hook postrouting priority srcnat
				oifname wan masquerade
			}
		}'
	start_agent host
	udp -n 50 -s 1000 -r 20 c1 '[fd02::2]:700' world '[fd03::2]:50001'
	tcp -n 1000000 -r 500000 c1 '[fd02::2]:701' world '[fd03::2]:50001'
	stop_agent host
	expect_report host "$((70 + TCP_PACKETS))" \
		"[fd02::2]:701 - [fd03::2]:50001 Bytes: $TCP_BYTES" \
		"[fd02::2]:700 - [fd03::2]:50001 Bytes: $((70 * 1048))"
}

fixed_source() {
	nat_rules '
		table ip nat {
			chain post {
				type nat hook postrouting priority srcnat
				oifname wan meta l4proto udp snat to 10.3.0.7:2000
				oifname wan snat to 10.3.0.7
			}
		}'
	ip_in world route add 10.3.0.7 via 10.3.0.1
}

story_snat() {
	topology_containers
	fixed_source
	start_agent host
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	tcp -n 1000000 -r 500000 c1 "$CONTAINER" world "$WORLD"
	stop_agent host
	expect_report host "$((70 + TCP_PACKETS))" "$CONTAINER - $WORLD Bytes: $TCP_BYTES" \
		"$CONTAINER - $WORLD Bytes: $((70 * 1028))"
}

# Only the packets' original face is on any wire; the rest is between the host and itself.
story_redirect() {
	topology_containers
	nat_rules '
		table ip nat {
			chain pre {
				type nat hook prerouting priority dstnat
				iifname br0 udp dport 50000 redirect to :5001
			}
		}'
	start_agent host
	udp -n 50 -s 1000 -r 20 -v 10.3.0.2:50000 c1 "$CONTAINER" host 10.2.0.1:5001
	stop_agent host
	expect_report host 70 "$CONTAINER - 10.3.0.2:50000 Bytes: $((70 * 1028))"
}

# The original face is on no wire.
story_dnat_of_the_host_itself() {
	topology_containers
	nat_rules '
		table ip nat {
			chain out {
				type nat hook output priority -100
				ip daddr 10.3.0.9 udp dport 50000 dnat to 10.3.0.2:5001
				ip daddr 10.3.0.9 tcp dport 50000 dnat to 10.3.0.2:5001
			}
		}'
	start_agent host
	udp -n 50 -s 1000 -r 20 -v 10.3.0.9:50000 host 10.3.0.1:700 world 10.3.0.2:5001
	tcp -n 1000000 -r 500000 -v 10.3.0.9:50000 host 10.3.0.1:700 world 10.3.0.2:5001
	stop_agent host
	expect_report host "$((70 + TCP_PACKETS))" \
		"10.3.0.1:700 - 10.3.0.9:50000 Bytes: $TCP_BYTES" \
		"10.3.0.1:700 - 10.3.0.9:50000 Bytes: $((70 * 1028))"
}

# From a container to its neighbour, by the address of the host: both ends are translated.
story_hairpin() {
	topology_containers
	in_ns host sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.br0.send_redirects=0
	nat_rules '
		table ip nat {
			chain pre {
				type nat hook prerouting priority dstnat
				ip daddr 10.2.0.1 udp dport 50000 dnat to 10.2.0.3:5001
				ip daddr 10.2.0.1 tcp dport 50000 dnat to 10.2.0.3:5001
			}
			chain post {
				type nat hook postrouting priority srcnat
				ip saddr 10.2.0.0/24 oifname br0 masquerade
			}
		}'
	start_agent host
	udp -n 50 -s 1000 -r 20 -v 10.2.0.1:50000 c1 "$CONTAINER" c2 10.2.0.3:5001
	tcp -n 1000000 -r 500000 -v 10.2.0.1:50000 c1 10.2.0.2:701 c2 10.2.0.3:5001
	stop_agent host
	expect_report host "$((70 + TCP_PACKETS))" \
		"10.2.0.2:701 - 10.2.0.1:50000 Bytes: $TCP_BYTES" \
		"$CONTAINER - 10.2.0.1:50000 Bytes: $((70 * 1028))"
}

# What the uplink shows was seen at the container's port or was not, which only both faces together tell.
story_nat_on_parts_of_the_path() {
	local options

	topology_containers
	masquerade
	for options in '-x br0' '-x p1' '-x p2' '-x wan' '-x br0 -x p2' '-x br0 -x p1' '-x p1 -x p2' \
		'-x br0 -x p1 -x p2'; do
		echo "with $options"
		# shellcheck disable=SC2086
		start_agent host $options
		udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
		udp -n 30 -s 1000 -r 10 -v 10.3.0.1:50000 world 10.3.0.2:700 c1 10.2.0.2:5001
		stop_agent host
		expect_report host 110 "$CONTAINER - $WORLD Bytes: $((70 * 1028))" \
			"10.3.0.2:700 - 10.3.0.1:50000 Bytes: $((40 * 1028))"
	done
}

story_nat_over_several_reports() {
	local i

	topology_containers
	masquerade
	start_agent host -x br0 -x p2
	for i in 1 2 3; do
		udp -n "$((10 * i))" -s 1000 -r "$i" c1 "$CONTAINER" world "$WORLD"
		report_now host
		expect_report host "$((11 * i))" "$CONTAINER - $WORLD Bytes: $((11 * i * 1028))"
	done
	report_now host
	expect_report host 0
	stop_agent host
}

# The rule, and with it all that the kernel needs for NAT, came after the agent.
story_nat_that_begins_later() {
	topology_containers
	start_agent host
	udp -n 10 -s 1000 c1 10.2.0.2:40000 world 10.3.0.2:5001
	report_now host
	masquerade
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	stop_agent host
	expect_report host 70 "$CONTAINER - $WORLD Bytes: $((70 * 1028))"
}

# Conntrack has forgotten it when the report is made.
story_short_lived() {
	topology_containers
	masquerade
	start_agent host
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	tcp -n 1000000 -r 500000 -v 10.3.0.1:50000 world 10.3.0.2:700 c1 10.2.0.2:5001
	"$TOOLS/traffic" flush host
	stop_agent host
	expect_report host "$((70 + TCP_PACKETS))" \
		"10.3.0.2:700 - 10.3.0.1:50000 Bytes: $TCP_BYTES" \
		"$CONTAINER - $WORLD Bytes: $((70 * 1028))"
}

# What conntrack forgot goes on with the same addresses as a new connection.
story_forgotten_and_found_again() {
	topology_containers
	masquerade
	start_agent host
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	"$TOOLS/traffic" flush host
	udp -n 30 -s 1000 -r 10 c1 "$CONTAINER" world "$WORLD"
	stop_agent host
	expect_report host 110 "$CONTAINER - $WORLD Bytes: $((110 * 1028))"
}

# Two containers with the same address, told apart by conntrack's zones only.
topology_zones() {
	local i

	make_ns c1 c2 host world
	wire host wan world w0
	add_addresses host wan 10.3.0.1/24
	add_addresses world w0 10.3.0.2/24
	make_neighbours host wan world w0
	in_ns host sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0
	for i in 1 2; do
		wire "c$i" eth0 host "p$i"
		in_ns host sysctl -qw "net.ipv4.conf.p$i.rp_filter=0"
		ip_in host address add 10.2.0.1/32 dev "p$i"
		add_addresses "c$i" eth0 10.2.0.2/24
		make_neighbours "c$i" eth0 host "p$i"
		ip_in "c$i" route add default via 10.2.0.1
		ip_in host rule add fwmark "$i" lookup "10$i"
		ip_in host route add 10.2.0.2 dev "p$i" table "10$i"
	done
	nat_rules '
		table ip nat {
			chain raw {
				type filter hook prerouting priority raw
				iifname p1 ct original zone set 1
				iifname p2 ct original zone set 2
			}
			chain remember {
				type filter hook prerouting priority mangle
				iifname p1 ct mark set 1
				iifname p2 ct mark set 2
				iifname wan meta mark set ct mark
			}
			chain post {
				type nat hook postrouting priority srcnat
				oifname wan masquerade
			}
		}'
}

# Nobody can say whose the replies are, so they stay by themselves.
story_same_addresses_in_two_zones() {
	local lines

	topology_zones
	start_agent host
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	udp -n 30 -s 1000 -r 10 c2 "$CONTAINER" world "$WORLD"
	stop_agent host
	expect_equal totals "$((110 * 1028)) 110" "$(header_field host bytes) $(header_field host packets)"
	mapfile -t lines < <(last_report host | grep ' Bytes: ' | sed 's/.* Bytes: //')
	expect_equal 'bytes of the lines' "$((80 * 1028)) $((20 * 1028)) $((10 * 1028))" "${lines[*]}"
}

story_different_ports_in_two_zones() {
	topology_zones
	start_agent host
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	udp -n 30 -s 1000 -r 10 c2 10.2.0.2:701 world "$WORLD"
	stop_agent host
	expect_report host 110 "$CONTAINER - $WORLD Bytes: $((70 * 1028))" \
		"10.2.0.2:701 - $WORLD Bytes: $((40 * 1028))"
}

# The replies are a line of their own, under the address that they came to.
once_nat_off() {
	topology_containers
	masquerade
	printf '[flows]\nnat = off\n' >"$WORK/conf"
	start_agent host -c "$WORK/conf"
	expect_two_lines 'nat = off'
}

# In each of two reports. The log says why, once.
expect_two_lines() { # REASON
	local i

	for i in 1 2; do
		udp -n 50 -s 1000 -r 20 c1 10.2.0.2:40000 world 10.3.0.2:5001
		report_now host
		expect_report host 70 "10.2.0.2:40000 - 10.3.0.2:5001 Bytes: $((50 * 1028))" \
			"10.3.0.1:40000 - 10.3.0.2:5001 Bytes: $((20 * 1028))"
	done
	stop_agent host
	expect_equal 'times that the log says why' 1 \
		"$(agent_log_count host "translated conversations take two lines: $1")"
}

once_nat_without_the_capability() {
	topology_containers
	masquerade
	start_agent_denied netfilter EPERM
	expect_two_lines 'reading conntrack needs CAP_NET_ADMIN'
}

once_nat_without_nfnetlink() {
	topology_containers
	masquerade
	start_agent_denied netfilter EPROTONOSUPPORT
	expect_two_lines 'the kernel has no nfnetlink'
}

# From now on it gets no socket more, until end_trace().
refuse_sockets() {
	strace -qq -o "$WORK/strace" -p "${AGENT[host]}" -e inject=socket:error=EMFILE 2>/dev/null &
	TRACER=$!
	wait_for 'the tracer' has_died_or_is_traced host "$TRACER"
}

nat_status() {
	{ in_ns host "$FLOWTALLY" status --json || true; } |
		jq -r '"\(.health) \(.nat.joining) \(.problems | join(","))"'
}

# What fails at a report is tried again with the next, and what is told of new connections is heard meanwhile.
once_nat_that_cannot_be_read_for_a_while() {
	local one="$CONTAINER - $WORLD Bytes: $((70 * 1028))" problem i

	problem='the connections that the kernel tracks cannot be read: Too many open files'
	topology_containers
	masquerade
	start_agent host
	refuse_sockets
	for i in 1 2; do
		udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
		report_now host
		expect_report host 70 "$one"
	done
	expect_equal status "degraded true $problem" "$(nat_status)"
	end_trace
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	report_now host
	expect_report host 70 "$one"
	expect_equal 'times that the log says so' '1 1' \
		"$(agent_log_count host "$problem") $(agent_log_count host 'the kernel tracks are read again')"
	expect_equal status 'healthy true ' "$(nat_status)"
	stop_agent host
}

lose_notifications() {
	local port

	signal_agent host STOP
	for port in 701 702 703; do
		udp -n 1 -s 100 c1 "10.2.0.2:$port" world "$WORLD"
	done
	"$TOOLS/traffic" flush host
	signal_agent host CONT
}

connection_overruns() {
	in_ns host "$FLOWTALLY" status --json | jq .losses.connection_overruns
}

has_lost_more_than() { # BEFORE
	(($(connection_overruns) > $1))
}

# In a flood that may be with every round of events, and is said once a report.
once_nat_notifications_are_lost() {
	local before i

	topology_containers
	masquerade
	start_agent host
	"$TOOLS/receive_buffer" "${AGENT[host]}" 1 netfilter
	for i in 1 2 3; do
		before=$(connection_overruns)
		lose_notifications
		wait_for "overrun $i" has_lost_more_than "$before"
	done
	expect_equal 'times that the log says so' 1 "$(agent_log_count host 'conntrack notifications were lost')"
	report_now host
	lose_notifications
	wait_for_log host 'conntrack notifications were lost' 1
	stop_agent host
}

# Joined, then not, then joined again, by what SIGHUP reads.
once_nat_switched() {
	local one="$CONTAINER - $WORLD Bytes: $((70 * 1028))"

	topology_containers
	masquerade
	printf '[flows]\nnat = auto\n' >"$WORK/conf"
	start_agent host -c "$WORK/conf"
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	report_now host
	expect_report host 70 "$one"
	printf '[flows]\nnat = off\n' >"$WORK/conf"
	switch_nat
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	report_now host
	expect_equal totals "$((70 * 1028)) 70 2" \
		"$(header_field host bytes) $(header_field host packets) $(header_field host flows)"
	printf '[flows]\nnat = auto\n' >"$WORK/conf"
	switch_nat
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	stop_agent host
	expect_report host 70 "$one"
}

# The last conversation of the old mode may still be known in the next interval.
switch_nat() {
	signal_agent host HUP
	report_now host
	report_now host
}

nat_of_flows() {
	jq -r 'select(.event.action == "flow") | [.network.transport, .source.ip, .source.port, .source.bytes,
		.source.nat.ip // "-", .source.nat.port // "-", .destination.ip, .destination.port,
		.destination.bytes, .destination.nat.ip // "-", .destination.nat.port // "-",
		(.flowtally.interfaces | join(","))] | join(" ")' "$WORK/host.report"
}

once_nat_in_json() {
	topology_containers
	fixed_source
	nat_rules '
		table ip nat {
			chain pre {
				type nat hook prerouting priority dstnat
				iifname wan udp dport 50000 dnat to 10.2.0.3:5001
				iifname br0 udp dport 53 dnat to 10.3.0.2:5353
			}
		}'
	start_agent host -f json
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	udp -n 20 -s 1000 -r 5 -v 10.2.0.1:53 c2 10.2.0.3:700 world 10.3.0.2:5353
	udp -n 30 -s 1000 -r 10 -v 10.3.0.1:50000 world 10.3.0.2:700 c2 10.2.0.3:5001
	ping_world
	udp -n 1 -s 100 c1 10.2.0.2:700 c2 10.2.0.3:5001
	# names in an answer are those of the report
	echo '{"request":"flows"}' | "$TOOLS/control" ask "$RUNTIME_DIRECTORY/control.sock" >"$WORK/answer"
	expect_equal 'a ping in the answer to flows' '{"ip":"10.3.0.7"}' \
		"$(jq -c '.flows[] | select(.network.transport == "icmp").source.nat' "$WORK/answer")"
	stop_agent host
	expect_equal flows "\
udp 10.2.0.2 700 51400 10.3.0.7 2000 10.3.0.2 50001 20560 - - p1,br0,wan
udp 10.3.0.2 700 30840 - - 10.3.0.1 50000 10280 10.2.0.3 5001 wan,br0,p2
udp 10.2.0.3 700 20560 10.3.0.7 2000 10.2.0.1 53 5140 10.3.0.2 5353 p2,br0,wan
icmp 10.2.0.2 0 252 10.3.0.7 - 10.3.0.2 0 252 - - p1,br0,wan
udp 10.2.0.2 700 128 - - 10.2.0.3 5001 0 - - p1,p2" "$(nat_of_flows)"
}

ping_world() {
	in_ns c1 ping -q -n -c 3 -i 0.01 10.3.0.2 >"$WORK/ping"
}

once_nat_in_a_table() {
	topology_containers
	fixed_source
	start_agent host -f table
	udp -n 50 -s 1000 -r 20 c1 "$CONTAINER" world "$WORLD"
	stop_agent host
	grep -Eq '^udp +10\.2\.0\.2:700 \(10\.3\.0\.7:2000\) +10\.3\.0\.2:50001 +70\.3 KiB ' "$WORK/host.report" ||
		fail 'the table has no such flow:' "$(cat "$WORK/host.report")"
}
