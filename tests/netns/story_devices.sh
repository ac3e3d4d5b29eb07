#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A named story for each kind of device, and each way that packets take beside routes and bridges: everything
# monitored, and with parts of the path left out.

# With these options of the agent host reports LINES, of PACKETS, once traffic was made by COMMAND.
expect_with() { # COMMAND OPTIONS PACKETS LINE...
	local command=$1 options=$2 packets=$3

	shift 3
	echo "with ${options:-everything}"
	# shellcheck disable=SC2086
	start_agent host $options
	"$command"
	stop_agent host
	expect_report host "$packets" "$@"
}

# END END of the relay, until the story ends.
start_relay() {
	"$TOOLS/relay" "$@" >"$WORK/relay.log" 2>&1 &
	wait_for 'the relay' grep -q '^ready' "$WORK/relay.log"
}

# tun has no neighbours, tap does.
tunnel_to_peer() { # tun|tap
	make_ns host peer
	start_relay "$1:host:t0" "$1:peer:t1"
	ip_in host link set t0 addrgenmode none up
	ip_in peer link set t1 addrgenmode none up
	add_addresses host t0 10.1.0.1/24 fd01::1/64
	add_addresses peer t1 10.1.0.2/24 fd01::2/64
	[[ $1 == tun ]] || make_neighbours host t0 peer t1
}

both_ways() {
	udp -n 30 -s 1000 -r 20 peer 10.1.0.2:40000 host 10.1.0.1:5001
	udp -n 10 -s 100 -r 5 host '[fd01::1]:40000' peer '[fd01::2]:5001'
}

BOTH_WAYS=("10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((50 * 1028))"
	"[fd01::1]:40000 - [fd01::2]:5001 Bytes: $((15 * 148))")

story_tun() {
	tunnel_to_peer tun
	expect_with both_ways '' 65 "${BOTH_WAYS[@]}"
	expect_with both_ways '-x t0' 0
}

story_tap() {
	tunnel_to_peer tap
	expect_with both_ways '' 65 "${BOTH_WAYS[@]}"
	expect_with both_ways '-i kind:tun' 65 "${BOTH_WAYS[@]}"
}

# Who sends to all hosts gets a copy on the device that it leaves by.
to_all() {
	local to

	for to in 224.0.0.1 10.1.0.255 ff02::1; do
		! in_ns host ping -q -c 3 -i 0.01 -W 0.01 -s 100 -b -I "$BY" "$to" || fail 'somebody answers'
	done
}

to_all_by() { # DEV
	local ns

	BY=$1
	for ns in host peer; do
		in_ns "$ns" sysctl -qw net.ipv4.icmp_echo_ignore_broadcasts=1 net.ipv6.icmp.echo_ignore_multicast=1
	done
	ip_in host address change 10.1.0.1/24 broadcast 10.1.0.255 dev "$1"
	expect_with to_all '' 9 "10.1.0.1:0 - 224.0.0.1:0 Bytes: $((3 * 128))" \
		"10.1.0.1:0 - 10.1.0.255:0 Bytes: $((3 * 128))" "[fd01::1]:0 - [ff02::1]:0 Bytes: $((3 * 148))"
}

story_own_copies_of_what_goes_to_all() {
	topology_wire
	to_all_by v0
}

story_own_copies_without_link_header() {
	tunnel_to_peer tun
	to_all_by t0
}

# A virtual machine: its device is a port of the bridge.
bridged_tap() {
	make_ns host peer c1
	ip_in host link add br0 address 02:00:00:00:ff:01 type bridge mcast_snooping 0
	ip_in host link set br0 addrgenmode none up
	start_relay tap:host:t0 tap:peer:t1
	wire host p1 c1 eth0
	ip_in host link set t0 addrgenmode none up
	ip_in host link set t0 master br0
	ip_in host link set p1 master br0
	ip_in peer link set t1 addrgenmode none up
	add_addresses host br0 10.1.0.1/24 fd01::1/64
	add_addresses peer t1 10.1.0.2/24 fd01::2/64
	add_addresses c1 eth0 10.1.0.3/24 fd01::3/64
	make_neighbours host br0 peer t1
	make_neighbours c1 eth0 peer t1
}

to_host_and_container() {
	both_ways
	udp -n 7 -s 500 -r 3 peer 10.1.0.2:40001 c1 10.1.0.3:5001
}

story_tap_in_a_bridge() {
	local options neighbour="10.1.0.2:40001 - 10.1.0.3:5001 Bytes: $((10 * 528))"

	bridged_tap
	for options in '' '-x t0' '-x p1' '-x br0' '-x br0 -x p1'; do
		expect_with to_host_and_container "$options" 75 "${BOTH_WAYS[@]}" "$neighbour"
	done
	expect_with to_host_and_container '-i p1' 10 "$neighbour"
	expect_with to_host_and_container '-i br0' 65 "${BOTH_WAYS[@]}"
}

# The host itself uses the macvtap.
story_macvtap() {
	local options

	make_ns host peer
	wire host v0 peer v1
	ip_in host link add mt0 link v0 address 02:00:00:00:fe:01 type macvtap mode bridge
	ip_in host link set mt0 addrgenmode none up
	add_addresses host mt0 10.1.0.1/24 fd01::1/64
	add_addresses peer v1 10.1.0.2/24 fd01::2/64
	make_neighbours host mt0 peer v1
	for options in '' '-x v0' '-x mt0'; do
		expect_with both_ways "$options" 65 "${BOTH_WAYS[@]}"
	done
}

# A virtual machine has it: its packets come from the character device.
story_macvtap_of_a_virtual_machine() {
	local options device

	make_ns host peer machine
	wire host v0 peer v1
	ip_in host link add mt0 link v0 address 02:00:00:00:fe:01 type macvtap mode bridge
	ip_in host link set mt0 addrgenmode none up
	device=$(in_ns host sh -c 'cat /sys/class/net/mt0/macvtap/tap*/dev')
	mknod "$WORK/macvtap" c "${device%:*}" "${device#*:}"
	start_relay "macvtap:$WORK/macvtap" tap:machine:t1
	ip_in machine link set t1 address 02:00:00:00:fe:01 addrgenmode none up
	add_addresses machine t1 10.1.0.1/24 fd01::1/64
	add_addresses peer v1 10.1.0.2/24 fd01::2/64
	make_neighbours machine t1 peer v1
	for options in '' '-x mt0' '-i v0'; do
		expect_with both_ways_of_a_machine "$options" 65 "${BOTH_WAYS[@]}"
	done
}

both_ways_of_a_machine() {
	udp -n 30 -s 1000 -r 20 peer 10.1.0.2:40000 machine 10.1.0.1:5001
	udp -n 10 -s 100 -r 5 machine '[fd01::1]:40000' peer '[fd01::2]:5001'
}

shape_by_ifb() { # DEV ingress|egress
	ip_in host link add ifb0 type ifb
	ip_in host link set ifb0 addrgenmode none up
	tc_in host qdisc add dev "$1" clsact
	tc_in host filter add dev "$1" "$2" pref 100 protocol all u32 match u32 0 0 \
		action mirred egress redirect dev ifb0 2>"$WORK/tc.log" ||
		skip 'this kernel has no mirred action for u32 filters'
}

# All that comes in on v0 takes a round by ifb0, as it does where ingress is shaped.
story_ifb() {
	local options

	topology_wire
	shape_by_ifb v0 ingress
	for options in '' '-x ifb0' '-x v0 -x lo'; do
		if [[ $options == *v0* ]]; then
			# what leaves by v0 is seen by nobody
			expect_with both_ways "$options" 35 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((30 * 1028))" \
				"[fd01::1]:40000 - [fd01::2]:5001 Bytes: $((5 * 148))"
		else
			expect_with both_ways "$options" 65 "${BOTH_WAYS[@]}"
		fi
	done
	tc_in host -s filter show dev v0 ingress | grep -q mirred || fail 'nothing was redirected'
}

# The way out is shaped: what comes back from the ifb passes the hook again. By clsact we are behind the filter, which
# ends the chain, so that only the ifb shows what goes out.
story_ifb_at_egress() {
	local options

	topology_wire
	shape_by_ifb v0 egress
	for options in '' '-x ifb0'; do
		if [[ $ATTACH == tcx || -z $options ]]; then
			expect_with both_ways "$options" 65 "${BOTH_WAYS[@]}"
		else
			expect_with both_ways "$options" 35 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((30 * 1028))" \
				"[fd01::1]:40000 - [fd01::2]:5001 Bytes: $((5 * 148))"
		fi
	done
}

to_neighbour_and_host() {
	udp -n 7 -s 500 -r 3 c1 10.1.0.2:40000 c2 10.1.0.3:5001
	udp -n 5 -s 500 -r 2 c1 10.1.0.2:40001 host 10.1.0.1:5001
}

# Where the port is not watched the ifb shows its packets before those that are.
story_ifb_of_a_port() {
	local i options to_neighbour="10.1.0.2:40000 - 10.1.0.3:5001 Bytes: $((10 * 528))"

	make_ns host c1 c2
	ip_in host link add br0 address 02:00:00:00:fe:01 type bridge mcast_snooping 0
	ip_in host link set br0 addrgenmode none up
	add_addresses host br0 10.1.0.1/24
	for i in 1 2; do
		wire host "p$i" "c$i" eth0
		ip_in host link set "p$i" master br0
		add_addresses "c$i" eth0 "10.1.0.$((i + 1))/24"
		make_neighbours "c$i" eth0 host br0
	done
	make_neighbours c1 eth0 c2 eth0
	shape_by_ifb p1 ingress
	for options in '' '-x ifb0' '-x p1' '-x p2'; do
		expect_with to_neighbour_and_host "$options" 17 "$to_neighbour" \
			"10.1.0.2:40001 - 10.1.0.1:5001 Bytes: $((7 * 528))"
	done
	# what the host sends is seen by nobody
	expect_with to_neighbour_and_host '-x p1 -x br0' 15 "$to_neighbour" \
		"10.1.0.2:40001 - 10.1.0.1:5001 Bytes: $((5 * 528))"
	expect_with to_neighbour_and_host '-i ifb0' 12 "10.1.0.2:40000 - 10.1.0.3:5001 Bytes: $((7 * 528))" \
		"10.1.0.2:40001 - 10.1.0.1:5001 Bytes: $((5 * 528))"
}

# v0 towards peer, and another wire, whose index the redirecting programs know.
topology_two_wires() {
	topology_wire
	make_ns other
	ip_in host link add w0 index 77 address 02:00:00:00:fd:01 type veth \
		peer name w1 address 02:00:00:00:fd:02 netns "$PREFIX-other"
	ip_in host link set w0 addrgenmode none up
	ip_in other link set w1 addrgenmode none up
	SEEN_BY_OTHER=0
}

# 10 packets for UDP port 5009, which programs take away, 20 for another one.
with_and_without_meant() {
	local to

	to=$(ip_in host -j link show dev v0 | jq -r '.[0].address')
	frames -n 10 peer v1 "${to//:/}0200000000ff0800$(ipv4 10.1.0.2 10.1.0.1 17 "$(udp_payload 40000 5009 100)")"
	udp -n 20 -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
}

MEANT="10.1.0.2:40000 - 10.1.0.1:5009 Bytes: $((10 * 128))"
NOT_MEANT="10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((20 * 128))"

# 10 packets more came out at the other wire.
expect_at_other() {
	local packets

	SEEN_BY_OTHER=$((SEEN_BY_OTHER + 10))
	wait_for 'redirected packets' other_has_seen "$SEEN_BY_OTHER"
	packets=$(ip_in other -j -s link show dev w1 | jq '.[0].stats64.rx.packets')
	expect_equal 'packets that arrived elsewhere' "$SEEN_BY_OTHER" "$packets"
}

other_has_seen() { # PACKETS
	(($(ip_in other -j -s link show dev w1 | jq '.[0].stats64.rx.packets') >= $1))
}

# What XDP takes away comes to no tc hook. The rest is exact.
story_xdp_drop() {
	topology_two_wires
	ip_in host link set dev v0 xdpgeneric obj "$TOOLS/xdp.bpf.o" sec xdp/drop
	expect_with with_and_without_meant '' 20 "$NOT_MEANT"
}

story_xdp_redirect() {
	topology_two_wires
	ip_in host link set dev v0 xdpgeneric obj "$TOOLS/xdp.bpf.o" sec xdp/redirect
	expect_with with_and_without_meant '' 20 "$NOT_MEANT"
	expect_at_other
}

# Behind us, which is where the agent sees to: seen at v0, and again at w0, which repeats it.
story_redirect_behind_us() {
	topology_two_wires
	tc_in host qdisc add dev v0 clsact
	tc_in host filter add dev v0 ingress pref 100 bpf da obj "$TOOLS/redirect.bpf.o" sec tc
	expect_with with_and_without_meant '' 30 "$NOT_MEANT" "$MEANT"
	expect_at_other
	expect_with with_and_without_meant '-x w0' 30 "$NOT_MEANT" "$MEANT"
	expect_at_other
	expect_with with_and_without_meant '-i w0' 10 "$MEANT"
	expect_at_other
}

# The first priority that a filter of others can have is behind us, too.
story_redirect_of_first_priority() {
	topology_two_wires
	tc_in host qdisc add dev v0 clsact
	tc_in host filter add dev v0 ingress pref 1 bpf da obj "$TOOLS/redirect.bpf.o" sec tc
	expect_with with_and_without_meant '' 30 "$NOT_MEANT" "$MEANT"
	expect_at_other
	expect_with with_and_without_meant '-x w0' 30 "$NOT_MEANT" "$MEANT"
	expect_at_other
}

# In front of us: no hook but that of w0 shows it, and what is received on v0 is not taken for seen there any more,
# from the next report on.
story_tcx_redirect_in_front_of_us() {
	[[ $HAS_TCX == yes ]] || skip 'this kernel has no tcx'
	topology_two_wires
	expect_with redirected_in_front '' 30 "$NOT_MEANT" "$MEANT"
	expect_at_other
	kill "$LOADER"
	wait "$LOADER" || true
	expect_with redirected_in_front '-x v0' 10 "$MEANT"
	expect_at_other
}

redirected_in_front() {
	ip netns exec "$PREFIX-host" "$TOOLS/tcx_load" v0 first "$TOOLS/redirect.bpf.o" >"$WORK/tcx.out" 2>&1 &
	LOADER=$!
	wait_for 'the redirecting program' grep -q '^attached' "$WORK/tcx.out"
	report_now host
	# it answers when it goes by what it saw then
	in_ns host "$FLOWTALLY" status >/dev/null
	with_and_without_meant
}

# By tc, what is meant. Nobody listens, and says so.
mirred_meant() { # HOOK DIRECTION ACTION DEV
	tc_in host qdisc replace dev v0 clsact
	tc_in host filter del dev v0 "$1" pref 100 2>/dev/null || true
	tc_in host filter add dev v0 "$1" pref 100 protocol ip u32 match u16 5009 0xffff at 22 \
		action mirred "$2" "$3" dev "$4" 2>"$WORK/tc.log" ||
		skip 'this kernel has no mirred action for u32 filters'
	in_ns host nft -f - <<<'table ip quiet { chain in { type filter hook input priority 0; udp dport 5009 drop; }; }'
}

# The copy keeps where it was received.
story_mirrored_copies() {
	topology_two_wires
	mirred_meant ingress egress mirror w0
	expect_with with_and_without_meant '' 30 "$NOT_MEANT" "$MEANT"
	expect_at_other
	expect_with with_and_without_meant '-x v0' 10 "$MEANT"
	expect_at_other
}

# Known: received again, by another device, is a first sight again (doc/dedup.md, limits).
story_mirrored_to_ingress() {
	local action

	topology_two_wires
	for action in redirect mirror; do
		mirred_meant ingress ingress "$action" w0
		expect_with with_and_without_meant '' 40 "$NOT_MEANT" "$(times_meant 2)"
		expect_with with_and_without_meant '-x w0' 30 "$NOT_MEANT" "$MEANT"
	done
}

times_meant() { # TIMES
	echo "10.1.0.2:40000 - 10.1.0.1:5009 Bytes: $(($1 * 10 * 128))"
}

# From the other wire by way of v0, where it is sent back.
through_meant() {
	frames -n 10 other w1 "02000000fd0102000000fd020800$(ipv4 10.3.0.2 10.1.0.7 17 "$(udp_payload 40000 5009 100)")"
}

THROUGH="10.3.0.2:40000 - 10.1.0.7:5009 Bytes: $((10 * 128))"

# As if 10.1.0.2 were here.
born_meant() {
	frames -n 10 host v0 "0200000000fe0200000000ff0800$(ipv4 10.1.0.2 10.1.0.1 17 "$(udp_payload 40000 5009 100)")"
}

# Of what is born here the kernel says at the other device that it was received on the first one. By clsact we are
# behind the filter there, which ends the chain.
story_mirrored_at_egress() {
	local once=("$MEANT") action

	[[ $ATTACH == tcx ]] || once=()
	topology_two_wires
	add_addresses host w0 10.3.0.1/24
	in_ns host sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0
	ip_in host neighbour add 10.1.0.7 lladdr 02:00:00:00:00:07 dev v0
	for action in redirect mirror; do
		mirred_meant egress egress "$action" w0
		expect_with born_meant '' 10 "$MEANT"
		expect_at_other
		expect_with through_meant '' 10 "$THROUGH"
		expect_at_other
		expect_with born_meant '-x v0' 10 "$MEANT"
		expect_at_other
	done
	# known: counted anew, or by lo, which only repeats, not at all
	mirred_meant egress ingress redirect w0
	expect_with born_meant '' "$((10 + 10 * ${#once[@]}))" "$(times_meant $((1 + ${#once[@]})))"
	mirred_meant egress ingress redirect lo
	expect_with born_meant '' "$((10 * ${#once[@]}))" "${once[@]}"
}

# Known: the copy looks born here as the original does.
story_copies_by_netfilter() {
	topology_two_wires
	add_addresses host w0 10.3.0.1/24
	add_addresses other w1 10.3.0.2/24
	make_neighbours host w0 other w1
	in_ns host nft -f - <<<'table ip t { chain out { type filter hook output priority 0; udp dport 5009 dup to 10.3.0.2 device "w0"; }; }' \
		2>"$WORK/nft.log" || skip 'this kernel has no dup expression of nftables'
	expect_with to_meant '' 20 "10.1.0.1:40000 - 10.1.0.2:5009 Bytes: $((20 * 128))"
	expect_with to_meant '-x w0' 10 "10.1.0.1:40000 - 10.1.0.2:5009 Bytes: $((10 * 128))"
}

to_meant() {
	udp -n 10 -s 100 host 10.1.0.1:40000 peer 10.1.0.2:5009
}

# Known: what the host sends by a port itself looks like what is born at its bridge.
story_sent_by_a_port() {
	local by_bridge="10.1.0.1:40001 - 10.1.0.2:5001 Bytes: $((5 * 128))"

	make_ns host c1
	ip_in host link add br0 address 02:00:00:00:fe:01 type bridge mcast_snooping 0
	ip_in host link set br0 addrgenmode none up
	wire host p1 c1 eth0
	ip_in host link set p1 master br0
	expect_with by_bridge_and_port '' 5 "$by_bridge"
	expect_with by_bridge_and_port '-x br0' 15 "$by_bridge" "10.1.0.1:40000 - 10.1.0.2:5001 Bytes: $((10 * 128))"
}

# To nobody.
by_bridge_and_port() {
	local ethernet=0200000000fe02000000fe010800

	frames -n 5 host br0 "$ethernet$(ipv4 10.1.0.1 10.1.0.2 17 "$(udp_payload 40001 5001 100)")"
	frames -n 10 host p1 "$ethernet$(ipv4 10.1.0.1 10.1.0.2 17 "$(udp_payload 40000 5001 100)")"
}

# c1 eth0 --- p1 host wan1, wan2 === w1, w2 world
topology_two_uplinks() {
	local i

	make_ns c1 host world
	wire c1 eth0 host p1
	add_addresses host p1 10.2.0.1/24
	add_addresses c1 eth0 10.2.0.2/24
	make_neighbours c1 eth0 host p1
	ip_in c1 route add default via 10.2.0.1
	for i in 1 2; do
		wire host "wan$i" world "w$i"
		add_addresses host "wan$i" "10.3.$i.1/24"
		add_addresses world "w$i" "10.3.$i.2/24"
		make_neighbours host "wan$i" world "w$i"
		in_ns host sysctl -qw "net.ipv4.conf.wan$i.rp_filter=0"
		in_ns world sysctl -qw "net.ipv4.conf.w$i.rp_filter=0"
	done
	ip_in world address add 10.4.0.1/32 dev lo
	in_ns host sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 \
		net.ipv4.fib_multipath_hash_policy=1
	in_ns world sysctl -qw net.ipv4.conf.all.rp_filter=0
}

to_world() {
	local port

	for port in {40000..40015}; do
		udp -n 5 -s 1000 -r 3 c1 "10.2.0.2:$port" world 10.4.0.1:5001
	done
}

transmitted() { # DEV
	ip_in host -j -s link show dev "$1" | jq '.[0].stats64.tx.packets'
}

# Each connection takes one of two ways there, and one of them back.
story_ecmp() {
	local port options lines=() before

	topology_two_uplinks
	ip_in host route add 10.4.0.0/24 nexthop via 10.3.1.2 nexthop via 10.3.2.2
	ip_in world route add 10.2.0.0/24 via 10.3.2.1
	for port in {40000..40015}; do
		lines+=("10.2.0.2:$port - 10.4.0.1:5001 Bytes: $((8 * 1028))")
	done
	before="$(transmitted wan1) $(transmitted wan2)"
	for options in '' '-x p1' '-x wan1' '-x wan1 -x wan2' '-x p1 -x lo'; do
		expect_with to_world "$options" 128 "${lines[@]}"
	done
	[[ $(transmitted wan1) -gt ${before% *} && $(transmitted wan2) -gt ${before#* } ]] ||
		fail 'one of the uplinks was not used'
}

# Out by one, back by the other.
story_asymmetric_routing() {
	local options line="10.2.0.2:40000 - 10.4.0.1:5001 Bytes: $((50 * 1028))"

	topology_two_uplinks
	ip_in host route add 10.4.0.0/24 via 10.3.1.2
	ip_in world route add 10.2.0.0/24 via 10.3.2.1
	for options in '' '-x p1' '-x wan1' '-x wan2' '-x wan1 -x wan2'; do
		expect_with there_and_back "$options" 50 "$line"
	done
	expect_with there_and_back '-i wan1' 30 "10.2.0.2:40000 - 10.4.0.1:5001 Bytes: $((30 * 1028))"
	expect_with there_and_back '-i wan2' 20 "10.2.0.2:40000 - 10.4.0.1:5001 Bytes: $((20 * 1028))"
}

there_and_back() {
	udp -n 30 -s 1000 -r 20 c1 10.2.0.2:40000 world 10.4.0.1:5001
}

# In and out by one device: the router has no other.
story_one_armed_router() {
	make_ns c1 c2 switch host
	wire c1 eth0 switch s1
	wire c2 eth0 switch s2
	wire host v0 switch s3
	ip_in switch link add br0 type bridge mcast_snooping 0
	ip_in switch link set br0 addrgenmode none up
	for port in s1 s2 s3; do
		ip_in switch link set "$port" master br0
	done
	ip_in host address add 10.5.1.1/24 dev v0
	ip_in host address add 10.5.2.1/24 dev v0
	add_addresses c1 eth0 10.5.1.2/24
	add_addresses c2 eth0 10.5.2.2/24
	ip_in c1 route add default via 10.5.1.1
	ip_in c2 route add default via 10.5.2.1
	make_neighbours c1 eth0 host v0
	make_neighbours c2 eth0 host v0
	in_ns host sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 \
		net.ipv4.conf.v0.send_redirects=0
	expect_with one_armed '' 50 "10.5.1.2:40000 - 10.5.2.2:5001 Bytes: $((50 * 1028))"
}

one_armed() {
	udp -n 30 -s 1000 -r 20 c1 10.5.1.2:40000 c2 10.5.2.2:5001
}

# A bridge that sends a frame back out of the port that it came from.
story_hairpin_port() {
	local options

	topology_containers
	ip_in host link set p1 type bridge_slave hairpin on
	in_ns host bridge fdb replace 02:ff:00:00:00:01 dev p1 master static
	for options in '' '-x br0' '-i p1'; do
		expect_with reflected "$options" 10 "$STRAY Bytes: $((10 * 128))"
	done
}

reflected() {
	stray 10 c1 eth0
}

# A module that changes what all bridges of a host do, so a host that is not the tests' own is asked for it only.
load_br_netfilter() {
	[[ ${OWN_KERNEL:-} && ! -e /proc/sys/net/bridge ]] || return 0
	modprobe br_netfilter
	trap 'modprobe -r br_netfilter' EXIT
}

# The bridge hands its frames to the IP layer's hooks, with conntrack.
story_br_netfilter() {
	local options

	load_br_netfilter
	topology_containers
	in_ns host sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1 \
		2>"$WORK/sysctl.log" || skip 'this kernel has no br_netfilter'
	in_ns host nft -f - <<-'EOT'
		table inet track {
			chain forward {
				type filter hook forward priority 0
				ct state established counter
			}
		}
	EOT
	for options in '' '-x br0' '-x p1' '-x p2' '-x p1 -x br0' '-x wan'; do
		expect_with bridged_and_routed "$options" 60 \
			"10.2.0.2:40000 - 10.2.0.3:5001 Bytes: $((22 * 528))" \
			"[fd02::2]:40000 - [fd02::3]:5001 Bytes: $((5 * 148))" \
			"10.2.0.2:40001 - 10.3.0.2:5001 Bytes: $((33 * 1028))"
	done
	[[ $(in_ns host nft list chain inet track forward) == *'packets '[1-9]* ]] || fail 'nothing was tracked'
}

bridged_and_routed() {
	udp -n 20 -s 500 -r 2 c1 10.2.0.2:40000 c2 10.2.0.3:5001
	udp -n 3 -s 100 -r 2 c1 '[fd02::2]:40000' c2 '[fd02::3]:5001'
	udp -n 30 -s 1000 -r 3 c1 10.2.0.2:40001 world 10.3.0.2:5001
}
