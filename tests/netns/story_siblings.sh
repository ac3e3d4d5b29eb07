#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Containers on macvlans and ipvlans over a device of the host that itself stands on others: what they send to each
# other is received on that device, and on none below it.

# c1 mv1 \          / c2 mv2
#         host LOWER --- mv0 of the host, if it has one
#           |
#          v0 --- v1 peer
topology_siblings() { # KIND LOWER_KIND
	local kind=$1 mode=bridge

	[[ $kind != ipvlan ]] || mode=l2
	make_ns host peer c1 c2
	wire host v0 peer v1
	"make_$2"
	add_link host link low name d1 netns "$PREFIX-c1" type "$kind" mode $mode
	add_link host link low name d2 netns "$PREFIX-c2" type "$kind" mode $mode
	device_up c1 d1 10.4.0.1/24 fd04::1/64
	device_up c2 d2 10.4.0.2/24 fd04::2/64
	device_up peer far 10.4.0.4/24 fd04::4/64
	make_neighbours c1 d1 c2 d2
	make_neighbours c1 d1 peer far
	make_neighbours c2 d2 peer far
}

rename_far() {
	ip_in peer link set v1 down
	ip_in peer link set v1 name far up
}

make_bridge() {
	add_link host name low type bridge mcast_snooping 0
	ip_in host link set low addrgenmode none up
	ip_in host link set v0 master low
	rename_far
}

make_vlan() {
	add_link host link v0 name low type vlan id 5
	ip_in host link set low addrgenmode none up
	add_link peer link v1 name far type vlan id 5
}

make_bond() {
	add_link host name low type bond mode active-backup miimon 50
	ip_in host link set v0 down
	ip_in host link set v0 master low
	ip_in host link set low addrgenmode none up
	rename_far
	wait_for 'the bond to carry' bond_carries
}

bond_carries() {
	[[ $(ip_in host -j link show dev low) == *LOWER_UP* ]]
}

# One end of a pair of the host; the other end is a port of a bridge with the wire.
make_pair() {
	add_link host name br0 type bridge mcast_snooping 0
	ip_in host link set br0 addrgenmode none up
	ip_in host link set v0 master br0
	add_link host name low type veth peer name other
	ip_in host link set other addrgenmode none master br0 up
	ip_in host link set low addrgenmode none up
	rename_far
}

# The host has a device there too.
add_own_sibling() { # KIND MODE
	add_link host link low name own type "$1" mode "$2"
	device_up host own 10.4.0.3/24 fd04::3/64
	make_neighbours c1 d1 host own
	make_neighbours c2 d2 host own
	make_neighbours host own peer far
}

to_each_other() {
	udp -n 30 -s 1000 -r 20 c1 10.4.0.1:40000 c2 10.4.0.2:5001
	udp -n 7 -s 100 -r 3 c2 '[fd04::2]:40000' c1 '[fd04::1]:5001'
	udp -n 5 -s 200 -r 5 c1 10.4.0.1:40001 peer 10.4.0.4:5001
}

TO_EACH_OTHER=("10.4.0.1:40000 - 10.4.0.2:5001 Bytes: $((50 * 1028))"
	"[fd04::2]:40000 - [fd04::1]:5001 Bytes: $((10 * 148))")
TO_PEER="10.4.0.1:40001 - 10.4.0.4:5001 Bytes: $((10 * 228))"

expect_siblings() { # KIND LOWER_KIND
	local options

	topology_siblings "$@"
	for options in '' '-x v0' '-i low'; do
		echo "with '$options'"
		# shellcheck disable=SC2086
		start_agent host $options
		to_each_other
		tcp -n 300000 c1 10.4.0.1:40002 c2 10.4.0.2:5002
		stop_agent host
		expect_report host "$((70 + TCP_PACKETS))" "${TO_EACH_OTHER[@]}" "$TO_PEER" \
			"10.4.0.1:40002 - 10.4.0.2:5002 Bytes: $TCP_BYTES"
	done
	# nothing shows what the two send to each other
	start_agent host -x low
	to_each_other
	stop_agent host
	expect_report host 10 "$TO_PEER"
}

story_macvlans_over_a_bridge() {
	expect_siblings macvlan bridge
}

story_macvlans_over_a_vlan() {
	expect_siblings macvlan vlan
}

story_macvlans_over_a_bond() {
	expect_siblings macvlan bond
}

story_macvlans_over_a_pair() {
	expect_siblings macvlan pair
}

# So many that the kernel is asked for the addresses of all devices at once.
story_macvlans_over_one_of_many_pairs() {
	local i

	topology_siblings macvlan pair
	for ((i = 0; i < 40; i++)); do
		printf 'link add m%d type veth peer name n%d\n' "$i" "$i"
	done | ip_in host -batch -
	start_agent host
	to_each_other
	# one more for the look that a report begins with
	report_now host
	expect_report host 70 "${TO_EACH_OTHER[@]}" "$TO_PEER"
	to_each_other
	stop_agent host
	expect_report host 70 "${TO_EACH_OTHER[@]}" "$TO_PEER"
}

# The host has one as well, watched or not, with the device below it or without.
expect_own_sibling() { # LOWER_KIND
	local options

	topology_siblings macvlan "$1"
	add_own_sibling macvlan bridge
	for options in '' '-x v0' '-x own' '-x low' '-x v0 -x low'; do
		echo "with '$options'"
		# shellcheck disable=SC2086
		start_agent host $options
		udp -n 30 -s 1000 -r 20 c1 10.4.0.1:40000 host 10.4.0.3:5001
		udp -n 7 -s 100 -r 3 host 10.4.0.3:40000 c2 10.4.0.2:5001
		udp -n 5 -s 200 -r 5 host 10.4.0.3:40001 peer 10.4.0.4:5001
		stop_agent host
		expect_report host 70 "10.4.0.1:40000 - 10.4.0.3:5001 Bytes: $((50 * 1028))" \
			"10.4.0.3:40000 - 10.4.0.2:5001 Bytes: $((10 * 128))" \
			"10.4.0.3:40001 - 10.4.0.4:5001 Bytes: $((10 * 228))"
	done
}

story_macvlan_of_the_host_over_a_bridge() {
	expect_own_sibling bridge
}

story_macvlan_of_the_host_over_a_vlan() {
	expect_own_sibling vlan
}

story_macvlan_of_the_host_over_a_pair() {
	expect_own_sibling pair
}

# Nobody tells the agent when a device of another namespace gets its address: it looks.
story_macvlans_come_and_go() {
	make_ns host peer c1 c2
	wire host v0 peer v1
	make_bridge
	start_agent host -vv
	add_link host link low name d1 netns "$PREFIX-c1" type macvlan mode bridge
	device_up c1 d1 10.4.0.1/24 fd04::1/64
	# as docker does it
	add_link host link low name d2 type macvlan mode bridge
	ip_in host link set d2 netns "$PREFIX-c2"
	device_up c2 d2 10.4.0.2/24 fd04::2/64
	device_up peer far 10.4.0.4/24 fd04::4/64
	wait_for_log host 'low: 2 devices of other network namespaces'
	make_neighbours c1 d1 c2 d2
	make_neighbours c1 d1 peer far
	to_each_other
	report_now host
	expect_report host 70 "${TO_EACH_OTHER[@]}" "$TO_PEER"
	ip_in c1 link del d1
	wait_for_log host 'low: 1 devices of other network namespaces'
	# the address of the one that is left is a new one
	ip_in c2 link set d2 address 02:00:00:00:fe:02
	report_now host
	add_link host link low name d1 netns "$PREFIX-c1" type macvlan mode bridge
	device_up c1 d1 10.4.0.1/24 fd04::1/64
	wait_for_log host 'low: 2 devices of other network namespaces' 1
	make_neighbours c1 d1 c2 d2
	make_neighbours c1 d1 peer far
	to_each_other
	stop_agent host
	expect_report host 70 "${TO_EACH_OTHER[@]}" "$TO_PEER"
}

# One of a container, one of the host: the frame comes to no device below.
story_ipvlan_of_the_host() {
	local options

	topology_siblings ipvlan "${LOWER:-vlan}"
	add_own_sibling ipvlan l2
	for options in '' '-x v0' '-x low'; do
		echo "with '$options'"
		# shellcheck disable=SC2086
		start_agent host $options
		udp -n 30 -s 1000 -r 20 c1 10.4.0.1:40000 host 10.4.0.3:5001
		udp -n 5 -s 200 -r 5 host 10.4.0.3:40001 peer 10.4.0.4:5001
		stop_agent host
		expect_report host 60 "10.4.0.1:40000 - 10.4.0.3:5001 Bytes: $((50 * 1028))" \
			"10.4.0.3:40001 - 10.4.0.4:5001 Bytes: $((10 * 228))"
	done
}

# From an ipvlan to the device below it: a first sight where what is below that device is not watched (doc/dedup.md, limits).
story_ipvlan_to_the_device_below() {
	local options

	topology_siblings ipvlan vlan
	add_addresses host low 10.4.0.3/24 fd04::3/64
	make_neighbours c1 d1 host low
	make_neighbours host low peer far
	for options in '-x v0' '-i low'; do
		echo "with '$options'"
		# shellcheck disable=SC2086
		start_agent host $options
		udp -n 30 -s 1000 c1 10.4.0.1:40000 host 10.4.0.3:5001
		udp -n 5 -s 200 -r 5 host 10.4.0.3:40001 peer 10.4.0.4:5001
		stop_agent host
		expect_report host 40 "10.4.0.1:40000 - 10.4.0.3:5001 Bytes: $((30 * 1028))" \
			"10.4.0.3:40001 - 10.4.0.4:5001 Bytes: $((10 * 228))"
	done
}
