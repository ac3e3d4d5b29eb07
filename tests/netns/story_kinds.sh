#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Kinds of devices that not every kernel has, each between host and peer: whatever part of a stack is watched,
# what any of its devices shows is counted once. tests/kernels runs them where all kinds are.

# UDP and TCP both ways between 10.4.0.1 or fd04::1 of HOST and 10.4.0.2 or fd04::2 of PEER. Leaves the lines of
# the report in FLOWS, and the number of packets in PACKETS.
exchange() { # [HOST [PEER]]
	local host=${1:-host} peer=${2:-peer}

	udp -n 30 -s 1000 -r 20 "$host" 10.4.0.1:40000 "$peer" 10.4.0.2:5001
	udp -n 10 -s 4000 -r 5 "$peer" '[fd04::2]:40000' "$host" '[fd04::1]:5001'
	FLOWS=("10.4.0.1:40000 - 10.4.0.2:5001 Bytes: $((50 * 1028))")
	PACKETS=50
	tcp -n 1000000 -r 100000 "$host" '[fd04::1]:40001' "$peer" '[fd04::2]:5002'
	FLOWS+=("[fd04::1]:40001 - [fd04::2]:5002 Bytes: $TCP_BYTES")
	PACKETS=$((PACKETS + TCP_PACKETS))
	tcp -n 1000000 "$peer" 10.4.0.2:40001 "$host" 10.4.0.1:5002
	FLOWS+=("10.4.0.2:40001 - 10.4.0.1:5002 Bytes: $TCP_BYTES")
	PACKETS=$((PACKETS + TCP_PACKETS))
}

# Fragments of 4008 bytes of UDP depend on the MTU.
add_fragments() {
	local payload=$(((${MTU:-1500} - 48) / 8 * 8)) fragments

	fragments=$(((4008 + payload - 1) / payload))
	FLOWS+=("[fd04::2]:40000 - [fd04::1]:5001 Bytes: $((15 * (4008 + fragments * 48)))")
	PACKETS=$((PACKETS + 15 * fragments))
}

# The same with each of these sets of watched interfaces.
expect_exact() { # OPTIONS...
	local options

	for options; do
		echo "with '$options'"
		# shellcheck disable=SC2086
		start_agent host $options
		exchange "${HOST:-host}"
		add_fragments
		stop_agent host
		[[ ! ${BLIND_TO:-} ]] || sed -i "/ $BLIND_TO /d" "$WORK/host.report"
		expect_report host "$PACKETS" "${FLOWS[@]}"
	done
}

topology_bare_wire() {
	make_ns host peer
	wire host v0 peer v1
}

story_vlan() {
	topology_bare_wire
	add_link host link v0 name vlan5 type vlan id 5
	add_link peer link v1 name vlan5 type vlan id 5
	device_up host vlan5 10.4.0.1/24 fd04::1/64
	device_up peer vlan5 10.4.0.2/24 fd04::2/64
	make_neighbours host vlan5 peer vlan5
	expect_exact '' '-x v0' '-x vlan5'
}

story_qinq() {
	topology_bare_wire
	add_link host link v0 name outer type vlan id 5 protocol 802.1ad
	add_link peer link v1 name outer type vlan id 5 protocol 802.1ad
	ip_in host link set outer addrgenmode none up
	ip_in peer link set outer addrgenmode none up
	add_link host link outer name inner type vlan id 7
	add_link peer link outer name inner type vlan id 7
	device_up host inner 10.4.0.1/24 fd04::1/64
	device_up peer inner 10.4.0.2/24 fd04::2/64
	make_neighbours host inner peer inner
	expect_exact '' '-x v0' '-x outer' '-x inner' '-i v0' '-i outer' '-i inner'
}

# host bond0 over s1 and s2, each wired to one of PEER's; there another bond, or a bridge as a switch would be.
topology_bond() { # MODE PEER
	make_ns host peer
	wire host s1 peer t1
	wire host s2 peer t2
	add_link host bond0 type bond mode "$1" miimon 50
	if [[ $2 == bond ]]; then
		add_link peer over type bond mode "$1" miimon 50
	else
		add_link peer over type bridge mcast_snooping 0
	fi
	enslave host bond0 s1 s2
	enslave peer over t1 t2
	device_up host bond0 10.4.0.1/24 fd04::1/64
	device_up peer over 10.4.0.2/24 fd04::2/64
	make_neighbours host bond0 peer over
	wait_for 'the bond to carry' carries
}

carries() {
	in_ns host ping -q -c 1 -W 1 10.4.0.2
}

enslave() { # NS MASTER SLAVE...
	local ns=$1 master=$2 slave

	shift 2
	for slave; do
		ip_in "$ns" link set "$slave" down
		ip_in "$ns" link set "$slave" master "$master"
		ip_in "$ns" link set "$slave" up
	done
}

# Frames that bonds exchange of themselves (LACP, learning) come at any time.
expect_bond() { # MODE PEER
	topology_bond "$@"
	BLIND_TO=reason=non_ip expect_exact '' '-x bond0' '-x s1 -x s2' '-x s1'
}

story_bond_balance_rr() {
	expect_bond balance-rr bond
}

story_bond_active_backup() {
	expect_bond active-backup bridge
}

story_bond_balance_xor() {
	expect_bond balance-xor bond
}

story_bond_802_3ad() {
	expect_bond 802.3ad bond
}

story_bond_balance_tlb() {
	expect_bond balance-tlb bridge
}

story_bond_balance_alb() {
	expect_bond balance-alb bridge
}

# What is sent is born once; of what is received two copies came.
story_bond_broadcast() {
	topology_bond broadcast bond
	start_agent host
	stray 5 host bond0
	stop_agent host
	expect_report host 5 "$STRAY Bytes: $((5 * 128))"
	start_agent host
	stray 10 peer over
	stop_agent host
	expect_report host 20 "$STRAY Bytes: $((20 * 128))"
}

# Modes are set before the ports come, by generic netlink.
expect_team() { # MODE
	local ns

	type -P teamnl >/dev/null || skip 'no teamnl to configure team devices with'
	make_ns host peer
	wire host s1 peer t1
	wire host s2 peer t2
	for ns in host peer; do
		add_link "$ns" team0 type team
		in_ns "$ns" teamnl team0 setoption mode "$1"
	done
	enslave host team0 s1 s2
	enslave peer team0 t1 t2
	device_up host team0 10.4.0.1/24 fd04::1/64
	device_up peer team0 10.4.0.2/24 fd04::2/64
	make_neighbours host team0 peer team0
	wait_for 'the team to carry' carries
	expect_exact '' '-x team0' '-x s1 -x s2' '-x s1'
}

story_team_roundrobin() {
	expect_team roundrobin
}

story_team_random() {
	expect_team random
}

expect_macvlan() { # MODE
	topology_bare_wire
	add_link host link v0 name mv0 type macvlan mode "$1"
	device_up host mv0 10.4.0.1/24 fd04::1/64
	device_up peer v1 10.4.0.2/24 fd04::2/64
	make_neighbours host mv0 peer v1
	expect_exact '' '-x v0' '-x mv0'
}

story_macvlan_private() {
	expect_macvlan private
}

story_macvlan_vepa() {
	expect_macvlan vepa
}

story_macvlan_passthru() {
	expect_macvlan passthru
}

# Its packets go to whoever holds its character device: nobody here, but they were received.
story_macvtap_kind() {
	local options

	topology_bare_wire
	add_link host link v0 name mt0 address 02:00:00:00:fe:01 type macvtap mode bridge
	ip_in host link set mt0 addrgenmode none up
	for options in '' '-x v0' '-x mt0'; do
		echo "with '$options'"
		# shellcheck disable=SC2086
		start_agent host $options
		frames -n 10 peer v1 "02000000fe010200000000020800$(ipv4 10.9.0.2 10.9.0.1 17 \
			"$(udp_payload 40000 5001 100)")"
		frames -n 5 host mt0 "$(ethernet 0800 "$(ipv4 10.9.0.1 10.9.0.2 17 \
			"$(udp_payload 5001 40000 100)")")"
		stop_agent host
		expect_report host 15 "$STRAY Bytes: $((15 * 128))"
	done
}

# Both have the same MAC address.
story_ipvlan_l2() {
	topology_bare_wire
	add_link host link v0 name iv0 type ipvlan mode l2
	device_up host iv0 10.4.0.1/24 fd04::1/64
	device_up peer v1 10.4.0.2/24 fd04::2/64
	make_neighbours host iv0 peer v1
	expect_exact '' '-x v0' '-x iv0'
}

# c1 has DEV over the host's v0, which shows all its traffic.
topology_abroad() { # DEV KIND [ARGUMENTS...]
	local dev=$1

	shift
	topology_bare_wire
	make_ns c1
	add_link host link v0 name "$dev" netns "$PREFIX-c1" type "$@"
	device_up c1 "$dev" 10.4.0.1/24 fd04::1/64
	device_up peer v1 10.4.0.2/24 fd04::2/64
	make_neighbours c1 "$dev" peer v1
}

# In these modes it is the host that routes and knows the neighbours.
topology_ipvlan_l3() { # MODE
	topology_abroad iv0 ipvlan mode "$1"
	hush_ipv6 host
	in_ns host sysctl -qw net.ipv6.conf.v0.disable_ipv6=0
	ip_in host route add 10.4.0.0/24 dev v0
	ip_in host -6 route add fd04::/64 dev v0
	add_neighbour host v0 peer v1
}

expect_abroad() { # NS...
	local ns

	for ns; do
		start_agent "$ns"
	done
	exchange c1
	add_fragments
	for ns; do
		stop_agent "$ns"
		expect_report "$ns" "$PACKETS" "${FLOWS[@]}"
	done
}

story_vlan_in_a_container() {
	topology_bare_wire
	make_ns c1
	add_link host link v0 name vlan5 netns "$PREFIX-c1" type vlan id 5
	add_link peer link v1 name vlan5 type vlan id 5
	device_up c1 vlan5 10.4.0.1/24 fd04::1/64
	device_up peer vlan5 10.4.0.2/24 fd04::2/64
	make_neighbours c1 vlan5 peer vlan5
	expect_abroad host c1
}

# host m0, a bridge or bond with the port v0, which is wired to peer v1; peer has VLAN 5 of it. What is added first
# is a device of the host or of c1.
topology_tagged() { # KIND NS LOWER
	topology_bare_wire
	make_ns c1
	if [[ $1 == bridge ]]; then
		add_link host m0 type bridge mcast_snooping 0
	else
		add_link host m0 type bond mode active-backup
	fi
	enslave host m0 v0
	ip_in host link set m0 addrgenmode none up
	add_link host link "$3" name vlan5 netns "$PREFIX-$2" type vlan id 5
	add_link peer link v1 name vlan5 type vlan id 5
	device_up "$2" vlan5 10.4.0.1/24 fd04::1/64
	device_up peer vlan5 10.4.0.2/24 fd04::2/64
	make_neighbours "$2" vlan5 peer vlan5
}

# Past the master, so that frames seem to be born there.
expect_past_master() { # KIND
	topology_tagged "$1" c1 v0
	HOST=c1 expect_exact '' '-x m0' '-i v0 -i m0'
}

story_vlan_in_a_container_over_a_port() {
	expect_past_master bridge
}

story_vlan_in_a_container_over_a_slave() {
	expect_past_master bond
}

# Frames with the same tag that the master has shown.
expect_by_master() { # KIND NS
	topology_tagged "$1" "$2" m0
	HOST=$2 expect_exact '' '-x v0' '-x m0'
}

story_vlan_over_a_bridge() {
	expect_by_master bridge host
}

story_vlan_over_a_bond() {
	expect_by_master bond host
}

story_vlan_in_a_container_over_a_bridge() {
	expect_by_master bridge c1
}

story_vlan_in_a_container_over_a_bond() {
	expect_by_master bond c1
}

# What is born at a bridge gets its tag on the way to the port.
story_vlan_of_a_filtering_bridge() {
	topology_tagged bridge c1 v0
	ip_in c1 link delete vlan5
	ip_in host link set m0 type bridge vlan_filtering 1
	in_ns host bridge vlan add dev v0 vid 5
	in_ns host bridge vlan add dev m0 vid 5 pvid untagged self
	device_up host m0 10.4.0.1/24 fd04::1/64
	make_neighbours host m0 peer vlan5
	expect_exact '' '-x v0' '-x m0'
}

story_macvlan_in_a_container() {
	topology_abroad mv0 macvlan mode bridge
	expect_abroad host c1
}

story_ipvlan_l2_in_a_container() {
	topology_abroad iv0 ipvlan mode l2
	expect_abroad host c1
}

story_ipvlan_l3_in_a_container() {
	topology_ipvlan_l3 l3
	expect_abroad host c1
}

# It receives at the hooks of the lower device only, so c1's own agent would see half.
story_ipvlan_l3s_in_a_container() {
	topology_ipvlan_l3 l3s
	expect_abroad host
}

# host red over v0 --- v1 peer
topology_vrf() {
	topology_bare_wire
	add_link host red type vrf table 10
	ip_in host link set red up
	ip_in host link set v0 master red
	device_up host v0 10.4.0.1/24 fd04::1/64
	device_up peer v1 10.4.0.2/24 fd04::2/64
	make_neighbours host v0 peer v1
}

# Sockets bound to the VRF talk to a peer of one slave and to each other; the hooks of the VRF itself fire only for
# the latter.
story_vrf() {
	local options

	topology_vrf
	for options in '' '-x red'; do
		# shellcheck disable=SC2086
		start_agent host $options
		exchange host@red
		add_fragments
		stop_agent host
		expect_report host "$PACKETS" "${FLOWS[@]}"
	done
	for options in '' '-x v0'; do
		# shellcheck disable=SC2086
		start_agent host $options
		udp -n 40 -s 500 -r 4 host@red 10.4.0.1:40000 host@red 10.4.0.1:5001
		stop_agent host
		expect_report host 44 "10.4.0.1:40000 - 10.4.0.1:5001 Bytes: $((44 * 528))"
	done
}

# By its queue the VRF shows what they send, too, and datagrams before they are cut.
story_vrf_with_a_queue() {
	topology_vrf
	in_ns host tc qdisc add dev red root pfifo
	HOST=host@red expect_exact '' '-x red'
}

# peer --- v0 host w0 --- world, v0 and w0 in one VRF.
story_routed_in_a_vrf() {
	topology_bare_wire
	make_ns world
	wire host w0 world w1
	add_link host red type vrf table 10
	ip_in host link set red up
	ip_in host link set v0 master red
	ip_in host link set w0 master red
	device_up host v0 10.5.0.1/24 fd05::1/64
	device_up peer v1 10.4.0.2/24 10.5.0.2/24 fd04::2/64 fd05::2/64
	device_up host w0 10.6.0.1/24 fd06::1/64
	device_up world w1 10.4.0.1/24 10.6.0.2/24 fd04::1/64 fd06::2/64
	in_ns host sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	make_neighbours host v0 peer v1
	make_neighbours host w0 world w1
	ip_in peer route add 10.4.0.1/32 via 10.5.0.1
	ip_in peer -6 route add fd04::1/128 via fd05::1
	ip_in world route add 10.4.0.2/32 via 10.6.0.1
	ip_in world -6 route add fd04::2/128 via fd06::1
	ip_in host route add 10.4.0.2/32 dev v0 table 10
	ip_in host route add 10.4.0.1/32 dev w0 table 10
	ip_in host -6 route add fd04::2/128 dev v0 table 10
	ip_in host -6 route add fd04::1/128 dev w0 table 10
	HOST=world expect_exact '' '-x red' '-x v0' '-x w0' '-i v0' '-i w0'
}

# host wan --- w0 world, and over it t0 on both sides, made with these arguments by which LOCAL and REMOTE stand
# for the ends' addresses.
topology_tunnel() { # 4|6 KIND [ARGUMENTS...]
	local local=10.3.0.1 remote=10.3.0.2 args

	make_ns host peer
	wire host wan peer w0
	add_addresses host wan 10.3.0.1/24 fd03::1/64
	add_addresses peer w0 10.3.0.2/24 fd03::2/64
	make_neighbours host wan peer w0
	[[ $1 == 4 ]] || local=fd03::1 remote=fd03::2
	shift
	args=("${@/LOCAL/$local}")
	add_link host t0 type "${args[@]/REMOTE/$remote}"
	args=("${@/LOCAL/$remote}")
	add_link peer t0 type "${args[@]/REMOTE/$local}"
	device_up host t0 10.4.0.1/24 fd04::1/64
	device_up peer t0 10.4.0.2/24 fd04::2/64
	if ip_in host link show dev t0 | grep -q link/ether; then
		make_neighbours host t0 peer t0
	fi
}

# Outer packets of OVERHEAD bytes more, as flows of their own beside it.
expect_tunneled_udp() { # OVERHEAD OUTER_FLOWS
	start_agent host
	udp -n 30 -s 1000 -r 20 host 10.4.0.1:40000 peer 10.4.0.2:5001
	stop_agent host
	expect_report host 50 "10.4.0.1:40000 - 10.4.0.2:5001 Bytes: $((50 * 1028))" \
		"# tunnel interface=t0 flows=$2 bytes=$((50 * (1028 + $1))) packets=50"
}

expect_tunnel() { # OVERHEAD OUTER_FLOWS
	expect_tunneled_udp "$@"
	MTU=$(ip_in host -j link show dev t0 | jq '.[0].mtu') expect_exact '-x wan'
}

story_gre() {
	topology_tunnel 4 gre local LOCAL remote REMOTE
	expect_tunnel 24 1
}

story_gre_with_key() {
	topology_tunnel 4 gre local LOCAL remote REMOTE key 7 csum
	expect_tunnel 32 1
}

story_gretap() {
	topology_tunnel 4 gretap local LOCAL remote REMOTE
	expect_tunnel 38 1
}

story_ip6gre() {
	topology_tunnel 6 ip6gre local LOCAL remote REMOTE encaplimit none
	expect_tunnel 44 1
}

story_ip6gretap() {
	topology_tunnel 6 ip6gretap local LOCAL remote REMOTE encaplimit none
	expect_tunnel 58 1
}

story_ip6tnl() {
	topology_tunnel 6 ip6tnl mode any local LOCAL remote REMOTE encaplimit none
	expect_tunnel 40 1
}

story_sit_any() {
	topology_tunnel 4 sit mode any local LOCAL remote REMOTE
	start_agent host
	udp -n 30 -s 1000 -r 20 host 10.4.0.1:40000 peer 10.4.0.2:5001
	udp -n 10 -s 1000 -r 5 host '[fd04::1]:40000' peer '[fd04::2]:5001'
	stop_agent host
	expect_report host 65 "10.4.0.1:40000 - 10.4.0.2:5001 Bytes: $((50 * 1028))" \
		"[fd04::1]:40000 - [fd04::2]:5001 Bytes: $((15 * 1048))" \
		"# tunnel interface=t0 flows=2 bytes=$((50 * 1048 + 15 * 1068)) packets=65"
	MTU=1480 expect_exact '-x wan'
}

# It takes IPv4 only.
story_ipip() {
	topology_tunnel 4 ipip local LOCAL remote REMOTE
	expect_tunneled_udp 20 1
	start_agent host -x wan
	tcp -n 1000000 host 10.4.0.1:40001 peer 10.4.0.2:5002
	stop_agent host
	expect_report host "$TCP_PACKETS" "10.4.0.1:40001 - 10.4.0.2:5002 Bytes: $TCP_BYTES"
}

# The outer source port is a hash of the inner flow: a flow each way.
story_geneve() {
	topology_tunnel 4 geneve id 7 remote REMOTE
	expect_tunnel 50 2
}

story_wireguard() {
	topology_tunnel 4 wireguard
	configure_wireguard
	MTU=1420 expect_exact '-x wan'
	start_agent host
	expect_through_wireguard
	# nobody is told of that
	in_ns host wg set t0 listen-port 51821
	expect_through_wireguard
	stop_agent host

	start_agent host -x t0
	through_wireguard
	stop_agent host
	expect_equal 'lines of a report without the device' 1 "$(last_report host |
		grep -cE '^10\.3\.0\.[12]:5182[01] - 10\.3\.0\.[12]:5182[01] Bytes: ')"
}

# It comes, is configured, carries something and goes, all between two reports.
story_wireguard_that_goes() {
	topology_tunnel 4 wireguard
	ip_in host link del t0
	ip_in peer link set t0 down
	start_agent host -v
	add_link host t0 type wireguard
	configure_wireguard
	ip_in peer link set t0 up
	device_up host t0 10.4.0.1/24
	wait_for_log host 't0: attached'
	through_wireguard
	ip_in host link del t0
	wait_for_log host 't0: gone'
	stop_agent host
	expect_wireguard
}

# Both are counted, and it is said once.
once_wireguard_that_does_not_tell() {
	topology_tunnel 4 wireguard
	configure_wireguard
	start_agent_denied generic EPERM
	through_wireguard
	report_now host
	through_wireguard
	stop_agent host
	last_report host | grep -qF "10.4.0.1:40000 - 10.4.0.2:5001 Bytes: $((11 * 1028))" ||
		fail 'no inner flow' "$(last_report host)"
	last_report host | grep -qE '^10\.3\.0\.[12]:51820 - 10\.3\.0\.[12]:51820 Bytes: ' ||
		fail 'no outer flow' "$(last_report host)"
	expect_equal 'times that the log says why' 1 \
		"$(agent_log_count host 't0: its port is not known (reading it needs CAP_NET_ADMIN)')"
}

# The last one comes from the peer, which so owes no sign of life to a port that may be another one by then.
through_wireguard() {
	udp -n 10 -s 1000 -r 1 host 10.4.0.1:40000 peer 10.4.0.2:5001
}

expect_through_wireguard() {
	through_wireguard
	report_now host
	expect_wireguard
}

# Outer packets are 60 bytes more and a multiple of 16 inside; a handshake and signs of life are among them.
expect_wireguard() {
	local outer='^# tunnel interface=t0 flows=1 bytes=([0-9]+) packets=([0-9]+)$' last

	expect_equal 'flows, bytes and packets' "1 $((11 * 1028)) 11" \
		"$(header_field host flows) $(header_field host bytes) $(header_field host packets)"
	expect_equal 'lines' "10.4.0.1:40000 - 10.4.0.2:5001 Bytes: $((11 * 1028))" \
		"$(last_report host | grep -v '^#')"
	last=$(last_report host | tail -n 1)
	[[ $last =~ $outer ]] || fail 'no outer flow' "$(last_report host)"
	((BASH_REMATCH[1] >= 11 * (1040 + 60) && BASH_REMATCH[2] >= 11)) || fail 'outer packets:' "$last"
}

configure_wireguard() { # [PREFIX]
	local ns

	type -P wg >/dev/null || skip 'no wg to configure WireGuard with'
	for ns in host peer; do
		(umask 077 && wg genkey >"$WORK/$ns.key")
		wg pubkey <"$WORK/$ns.key" >"$WORK/$ns.public"
	done
	add_wireguard_peer host peer "${1:-10.3.0.}2"
	add_wireguard_peer peer host "${1:-10.3.0.}1"
}

add_wireguard_peer() { # NS OTHER ENDPOINT
	in_ns "$1" wg set t0 private-key "$WORK/$1.key" listen-port 51820 peer "$(<"$WORK/$2.public")" \
		allowed-ips 0.0.0.0/0,::/0 endpoint "[$3]:51820"
}

# Outer packets are cut where the way has less room than the device: what is forwarded into it has no socket, and looks
# like what the kernel has put together and cuts again.
story_wireguard_in_fragments() {
	local -a before after

	topology_tunnel 6 wireguard
	configure_wireguard fd03::
	make_ns c1
	wire c1 eth0 host p1
	add_addresses c1 eth0 10.5.0.2/24
	add_addresses host p1 10.5.0.1/24
	make_neighbours c1 eth0 host p1
	ip_in c1 route add default via 10.5.0.1
	in_ns host sysctl -qw net.ipv4.ip_forward=1
	ip_in peer route add 10.5.0.0/24 dev t0
	ip_in host link set wan mtu 1280
	ip_in peer link set w0 mtu 1280
	start_agent host
	read -ra before < <(link_count host wan)
	udp -n 10 -s 1300 -r 10 c1 10.5.0.2:40000 peer 10.4.0.2:5001
	read -ra after < <(link_count host wan)
	stop_agent host
	expect_report host 20 "10.5.0.2:40000 - 10.4.0.2:5001 Bytes: $((20 * 1328))" \
		"# tunnel interface=t0 flows=1 bytes=$((after[0] - before[0])) packets=$((after[1] - before[1]))"
}

# A pair without link header between two namespaces, in its mode l3: the only one that iproute2 makes without knowing it.
story_netkit() {
	local other

	make_ns host peer
	add_link host nk type netkit
	other=$(ip_in host -j link show type netkit | jq -r '.[].ifname | select(. != "nk")')
	ip_in host link set "$other" netns "$PREFIX-peer"
	device_up host nk 10.4.0.1/24 fd04::1/64
	device_up peer "$other" 10.4.0.2/24 fd04::2/64
	expect_exact ''
}

# Nothing comes in by it, and what goes out is lost: born there all the same.
story_dummy() {
	make_ns host
	add_link host d0 type dummy
	device_up host d0 10.4.0.1/24
	start_agent host
	stray 5 host d0
	udp -n 10 -s 500 host 10.4.0.1:40000 host 10.4.0.1:5001
	stop_agent host
	expect_report host 15 "10.4.0.1:40000 - 10.4.0.1:5001 Bytes: $((10 * 528))" \
		"$STRAY Bytes: $((5 * 128))"
}
