#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What finds no room is counted, and room is made before it is missing.

start_agent_with_entries() { # ENTRIES
	printf '[flows]\nmap_entries = %d\n' "$1" >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
}

expect_entries() { # WHEN ENTRIES
	report_now host
	expect_equal "entries of all maps $1" "$2" "$(pinned_maps host | sort -u)"
}

# Nothing is put into them: who waits for that meets the burst with the room of before.
story_entries_of_idle_maps() {
	topology_wire
	start_agent_with_entries 1024
	expect_entries 'at the start' 1024
	printf '[flows]\nmap_entries = 4096\n' >"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for_log host 'configuration is read again'
	expect_entries 'after a reload' 4096
	kill_agent host
	start_agent_with_entries 2048
	expect_entries 'after a start that goes on' 2048
	stop_agent host
}

# However many flows come, map_entries bounds what is open between two swaps, not the report.
story_more_flows_than_entries() {
	local count=${FLOOD_FLOWS:-100000}

	topology_flood
	start_agent_with_entries 16384
	"$TOOLS/flood" host "$count" 50 >/dev/null
	stop_agent host
	expect_equal 'bytes and packets' "$((count * 29)) $count" "$(accounted host)"
	(($(header_field host flows) > 2 * 16384)) ||
		fail "only $(header_field host flows) of $count flows" "$(last_report host | grep '^#')"
}

# What an early swap lacks may be there a moment later, and the interval's end be far away.
story_full_map_without_descriptors() {
	# some thousands of them stay with CPUs
	local count=30000

	topology_flood
	ulimit -n 1000
	start_agent_with_entries 8192
	limit_descriptors 3
	"$TOOLS/flood" host "$count" 50 >/dev/null
	wait_for_log host 'maps that are nearly full cannot be swapped'
	limit_descriptors 1000
	wait_for_log host 'no map is nearly full any more'
	"$TOOLS/flood" host "$count" 50 >/dev/null
	stop_agent host
	expect_equal 'bytes and packets' "$((2 * count * 29)) $((2 * count))" "$(accounted host)"
	expect_equal 'complaints of maps' 1 "$(agent_log_count host 'cannot be swapped')"
}

# Faster than maps can be swapped: what finds no room is told to the byte.
story_flood_of_new_flows() {
	local count=200000

	topology_flood
	start_agent_with_entries 64
	"$TOOLS/flood" host "$count" 0 >/dev/null
	stop_agent host
	expect_equal 'bytes and packets' "$((count * 29)) $count" "$(accounted host)"
	last_report host | grep -q 'interface=v0 reason=map_full' || fail 'nothing was too much for 64 entries'
}

# Beyond max_flows the smallest flows are one line an interface, and all of it is what was sent: also
# after a crash, and while somebody looks.
story_sums_beyond_max_flows() {
	local count=60000 bytes other

	topology_flood
	start_agent_with_entries 16384
	echo 'max_flows = 1000' >>"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for_log host 'configuration is read again'
	udp -n 50 -s 1000 host 10.1.0.1:5001 peer 10.1.0.2:40000
	"$TOOLS/flood" host "$count" 20 >/dev/null
	# it is degraded if the machine was too slow to swap maps in time
	in_ns host "$FLOWTALLY" status >"$WORK/status" || true
	grep -q '^max_flows ' "$WORK/status" || fail 'the status says nothing of sums' "$(<"$WORK/status")"
	kill_agent host
	start_agent host -c "$WORK/flowtally.conf"
	udp -n 50 -s 1000 host 10.1.0.1:5001 peer 10.1.0.2:40000
	stop_agent host
	bytes=$(header_field host bytes)
	expect_equal 'bytes and packets' "$((count * 29 + 100 * 1028)) $((count + 100))" "$(accounted host)"
	expect_equal 'flows named, and bytes' "1000 $bytes" "$(named host)"
	# all but the first are of one datagram
	expect_equal 'the first flow' "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((100 * 1028))" \
		"$(last_report host | grep -v '^#' | awk 'NR == 1')"
	other=$(((bytes - 100 * 1028) / 29 - 999))
	expect_equal 'the line of sums' "# other interface=v0 flows=$other bytes=$((other * 29)) packets=$other" \
		"$(last_report host | grep '^# other')"
	expect_equal 'flows' "$((1000 + other))" "$(header_field host flows)"
}

# What leaves below a macvlan is judged when all maps are read at one instant. Where it is too much to wait
# with until the interval ends, that is now.
story_too_many_flows_to_judge_later() {
	local count=40000 sum

	topology_flood
	ip_in host link add m0 link v0 type macvlan mode bridge
	ip_in host link set m0 up
	printf '[flows]\nmap_entries = 8192\nmax_flows = 1000\n' >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	"$TOOLS/flood" host "$count" 20 >/dev/null
	wait_for_log host 'reporting early'
	stop_agent host
	sum=$(awk '/^# flowtally / || /reason=map_full/ { match($0, "bytes=[0-9]+"); sum += substr($0, RSTART + 6, RLENGTH - 6) }
		END { print sum }' "$WORK/host.report")
	expect_equal 'bytes of all reports' "$((count * 29))" "$sum"
}

# What arrives at br0 is judged by what p2 showed: both have to end their interval at one instant. Before Linux 6.8 maps
# that are swapped one after the other are grace periods apart.
story_interval_ends_where_a_part_is_watched() {
	local sender

	topology_containers
	start_agent host -t 1 -x p1
	route_until_enough &
	sender=$!
	wait_for 'five reports' has_reports host 4
	touch "$WORK/enough"
	wait "$sender"
	stop_agent host
	expect_equal 'bytes of all reports' "$(($(cat "$WORK/sent") * 128))" "$(sum_of_reports host)"
}

# A flood on each CPU, an interval ending every second, for ENDS_S seconds (an hour in make soak), or until two
# have ended on a machine that has other things to do.
story_interval_ends_in_a_flood() {
	local end=$((SECONDS + ${ENDS_S:-4})) sent=0

	make_ns host peer
	wire host v0 peer v1
	wire host w0 peer w1
	start_agent host -t 1
	while ((SECONDS < end)) || ! has_reports host 1; do
		taskset -c 0 "$TOOLS/traffic" frames -n 100000 peer v1 "$(stray_frame)" &
		taskset -c "$(($(nproc) > 1))" "$TOOLS/traffic" frames -n 100000 peer w1 "$(stray_frame)"
		wait $!
		sent=$((sent + 200000))
	done
	stop_agent host
	expect_equal 'bytes of all reports' $((sent * 128)) "$(sum_of_reports host)"
}

# Reports every second while packets pass: nothing falls between two of them.
story_interval_ends() {
	topology_wire
	start_agent host
	for _ in {1..10}; do
		udp -n 2000 -s 100 -r 2000 peer 10.1.0.2:40000 host 10.1.0.1:5001 &
		report_now host
		wait $!
	done
	stop_agent host
	expect_equal bytes "$((10 * 4000 * 128))" "$(sum_of_reports host)"
}
