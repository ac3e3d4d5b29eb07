#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What finds no room is counted, and room is made before it is missing.

start_agent_with_entries() { # ENTRIES
	printf '[flows]\nmap_entries = %d\n' "$1" >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
}

# Bytes and packets of the report's flows and of what found no room, together: "BYTES PACKETS".
accounted() { # NS
	last_report "$1" | awk '
		function field(name) { match($0, name "=[0-9]+"); return substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 1) }
		/^# flowtally / || /reason=map_full/ { bytes += field("bytes"); packets += field("packets") }
		END { print bytes, packets }'
}

# However many flows come, map_entries bounds what is open between two swaps, not the report.
story_more_flows_than_entries() {
	local count=100000

	topology_flood
	start_agent_with_entries 16384
	"$TOOLS/flood" "$PREFIX-host" "$count" 50 >/dev/null
	stop_agent host
	expect_equal 'bytes and packets' "$((count * 29)) $count" "$(accounted host)"
	(($(header_field host flows) > 2 * 16384)) ||
		fail "only $(header_field host flows) of $count flows" "$(last_report host | grep '^#')"
}

# Faster than maps can be swapped: what finds no room is told to the byte.
story_flood_of_new_flows() {
	local count=200000

	topology_flood
	start_agent_with_entries 64
	"$TOOLS/flood" "$PREFIX-host" "$count" 0 >/dev/null
	stop_agent host
	expect_equal 'bytes and packets' "$((count * 29)) $count" "$(accounted host)"
	last_report host | grep -q 'interface=v0 reason=map_full' || fail 'nothing was too much for 64 entries'
}

# Reports every second while packets pass: nothing falls between two of them.
story_interval_ends() {
	local sum

	topology_wire
	start_agent host
	for _ in {1..10}; do
		udp -n 2000 -s 100 -r 2000 peer 10.1.0.2:40000 host 10.1.0.1:5001 &
		report_now host
		wait $!
	done
	stop_agent host
	sum=$(awk '/ Bytes: / { sum += $NF } END { print sum }' "$WORK/host.report")
	expect_equal bytes "$((10 * 4000 * 128))" "$sum"
}
