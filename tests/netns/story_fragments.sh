#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# IPv6 datagrams that conntrack puts together and ip6_fragment() cuts again. Where the device that they leave by wants
# more room for headers than they have, it makes fragments anew, and those do not say where they were received.

# c1 eth0 --- p1 br0 host vx0 ===(wan, w0)=== vx0 world
topology_rebuilt() {
	topology_containers
	ip_in host link add vx0 address 02:00:00:00:fd:01 type vxlan id 7 local 10.3.0.1 remote 10.3.0.2 dstport 4789 dev wan
	ip_in world link add vx0 address 02:00:00:00:fd:02 type vxlan id 7 local 10.3.0.2 remote 10.3.0.1 dstport 4789 dev w0
	ip_in host link set vx0 addrgenmode none mtu 1400 up
	ip_in world link set vx0 addrgenmode none mtu 1400 up
	ip_in c1 link set eth0 mtu 1400
	add_addresses host vx0 fd05::1/64
	add_addresses world vx0 fd05::2/64
	make_neighbours host vx0 world vx0
	ip_in world -6 route replace fd02::/64 via fd05::1
	# the bridge would put them together before its own hook
	in_ns host sysctl -qw net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true
	in_ns host nft -f - <<-'EOF'
		table ip6 track {
			chain forward {
				type filter hook forward priority 0
				ct state established counter
			}
		}
	EOF
}

# 4008 bytes in three fragments.
THREE=$((4008 + 3 * 48))

forwarded_and_born() {
	udp -n 10 -s 4000 -r 4 c1 '[fd02::2]:40000' world '[fd05::2]:5001'
	udp -n 5 -s 4000 -r 3 host '[fd05::1]:40001' world '[fd05::2]:5001'
	in_ns c1 ping -6 -q -c 5 -i 0.05 -s 4000 fd05::2
}

# The outer packets are left out, or not seen.
expect_rebuilt() { # OPTIONS
	echo "with '$1'"
	# shellcheck disable=SC2086
	start_agent host $1
	forwarded_and_born
	stop_agent host
	sed -i '/^# tunnel /d' "$WORK/host.report"
	expect_report host $((32 * 3)) "[fd02::2]:40000 - [fd05::2]:5001 Bytes: $((14 * THREE))" \
		"[fd05::1]:40001 - [fd05::2]:5001 Bytes: $((8 * THREE))" \
		"[fd02::2]:0 - [fd05::2]:0 Bytes: $((10 * THREE))"
}

story_rebuilt_fragments() {
	topology_rebuilt
	expect_rebuilt ''
	expect_rebuilt '-x br0'
	# nobody shows what may come in there: where these did is told by what came in
	expect_rebuilt '-x wan'
	expect_rebuilt '-x wan -x br0'
	expect_rebuilt '-i p1 -i vx0'
}

# Where nobody shows what came in, it is a first sight when it leaves.
story_rebuilt_fragments_of_what_nobody_saw() {
	topology_rebuilt
	start_agent host -i vx0
	forwarded_and_born
	stop_agent host
	expect_report host $((32 * 3)) "[fd02::2]:40000 - [fd05::2]:5001 Bytes: $((14 * THREE))" \
		"[fd05::1]:40001 - [fd05::2]:5001 Bytes: $((8 * THREE))" \
		"[fd02::2]:0 - [fd05::2]:0 Bytes: $((10 * THREE))"
}

# They leave with an address of the host; the flow's sender has another one.
story_rebuilt_fragments_masqueraded() {
	topology_rebuilt
	in_ns host nft -f - <<-'EOF' 2>"$WORK/nft.log" || skip "this kernel cannot masquerade: $(head -n 1 "$WORK/nft.log")"
		table ip6 nat {
			chain post {
				type nat hook postrouting priority 100
				oifname "vx0" ip6 saddr fd02::/64 masquerade
			}
		}
	EOF
	expect_rebuilt ''
}
