#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What is pinned for a crash: it does not grow with time, and what is damaged of it is told.

# What is held for a crash of flows beyond max_flows is what the merge holds, and no map that they came in.
story_sums_are_held_for_a_crash() {
	local count=60000

	topology_flood
	printf '[flows]\nmap_entries = 4096\nmax_flows = 1000\n' >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	"$TOOLS/flood" host "$count" 20 >/dev/null
	# it answers when what came is done
	in_ns host "$FLOWTALLY" status >/dev/null || true
	# maps that were read are as large as what was in them
	(($(pinned_maps host | awk '$1 != 4096 { sum += $1 } END { print sum + 0 }') < 10000)) ||
		fail 'maps that are held:' "$(pinned_maps host)"
	kill_agent host
	start_agent host -c "$WORK/flowtally.conf"
	"$TOOLS/flood" host "$count" 20 >/dev/null
	kill_agent host
	start_agent host -c "$WORK/flowtally.conf"
	stop_agent host
	expect_equal 'bytes and packets' "$((2 * count * 29)) $((2 * count))" "$(accounted host)"
	expect_equal 'flows named, and bytes' "1000 $(header_field host bytes)" "$(named host)"
}

# However long reports cannot be written, what is held for a crash is what was counted.
story_broken_output_holds_little() {
	local status

	export RUNTIME_DIRECTORY=$WORK
	topology_flood
	fill_small_disk
	start_agent host -o "$WORK/small/report"
	for _ in {1..6}; do
		# more than the CPUs keep by themselves
		"$TOOLS/flood" host 20000 0 >/dev/null
		signal_agent host USR1
		# it answers when that is done
		status=0
		in_ns host "$FLOWTALLY" status >/dev/null || status=$?
		expect_equal 'exit status of flowtally status' 3 "$status"
	done
	# those of v0 and lo, and that of the report after which it was known
	expect_equal 'maps of full size' 3 "$(pinned_maps host | awk '$1 == 65536' | wc -l)"
	kill_agent host
	start_agent host
	stop_agent host
	expect_equal 'bytes and packets' "$((6 * 20000 * 29)) $((6 * 20000))" "$(accounted host)"
}

# Nor does it grow with the number of reports that could not be written, or that one phase after the other ends.
story_broken_output_holds_few_pins() {
	local count=80 pins held i

	topology_wire
	fill_small_disk
	start_agent host -o "$WORK/small/report"
	pins=$(own_pins)
	for ((i = 0; i < count; i++)); do
		two_flows 1
		signal_agent host USR1
		in_ns host "$FLOWTALLY" status >/dev/null || true
	done
	held=$(compgen -G "$pins/*" | grep -cE '/(flows|trains)-[0-9-]+$')
	((held < count)) || fail "maps and sets of trains that are held: $held"
	two_flows 1
	kill_agent host
	start_agent host
	two_flows 1
	stop_agent host
	expect_equal 'bytes' $(((count + 2) * 2 * 128)) "$(header_field host bytes)"
}

# Nor is it copied again and again while a report is on its way to a reader who does not read.
story_unread_output_has_few_copies() {
	local count=90 pins folded i

	topology_flood
	mkfifo "$WORK/pipe"
	exec 7<>"$WORK/pipe"
	dd if=/dev/zero of="$WORK/pipe" oflag=nonblock bs=4k 2>/dev/null || true
	# there is room for a part of it
	dd if="$WORK/pipe" of=/dev/null bs=4k count=1 2>/dev/null
	start_agent host -o "$WORK/pipe"
	pins=$(own_pins)
	"$TOOLS/flood" host 2000 0 >/dev/null
	for ((i = 0; i < count; i++)); do
		two_flows 1
		signal_agent host USR1
		in_ns host "$FLOWTALLY" status >/dev/null || true
	done
	folded=$(compgen -G "$pins/folded-*" | sort -t- -k2n | tail -n 1)
	((${folded##*-} < 5)) || fail "copies of the merge: ${folded##*-}"
	kill_agent host
	exec 7<&-
	start_agent host
	stop_agent host
	expect_equal 'bytes' $((2000 * 29 + count * 2 * 128)) "$(sum_of_reports host)"
}

# What went and had nothing to tell is not kept for the next agent; what had is.
story_killed_after_many_links_went() {
	local i

	topology_wire
	for ((i = 0; i < 40; i++)); do
		printf 'link add s%d type veth peer name t%d netns %s-peer\nlink set s%d addrgenmode none up\n' \
			"$i" "$i" "$PREFIX" "$i"
	done >"$WORK/come"
	for ((i = 0; i < 40; i++)); do
		printf 'link delete s%d\n' "$i"
	done >"$WORK/go"
	start_agent host -v
	ip_in host -batch "$WORK/come"
	for ((i = 0; i < 40; i++)); do
		wait_for_log host "s$i: attached"
	done
	ip_in peer link set t7 addrgenmode none up
	stray 5 peer t7
	ip_in host -batch "$WORK/go"
	for ((i = 0; i < 40; i++)); do
		wait_for_log host "s$i: gone"
	done
	# maps of links that went are read when there are some of them
	wait_for 'the maps of most of them' holds_few_maps
	send 3
	kill_agent host
	start_agent host
	stop_agent host
	expect_report host 8 "$(flow 3)" "$STRAY Bytes: $((5 * 128))"
	(($(header_field host interfaces) < 3 + 32)) || fail "interfaces: $(header_field host interfaces)"
}

# Those of v0 and lo, that of s7, and less than are read together.
holds_few_maps() {
	(($(pinned_maps host | wc -l) < 3 + 32))
}

own_pins() {
	printf '/sys/fs/bpf'
	readlink "/proc/${AGENT[host]}/fd/"* | grep -oE '/flowtally/net(ns)?-[0-9]+$' | sed -n 1p
}

# What was counted before is lost, and this is said; what is counted from then on is counted once.
expect_fresh_start() {
	start_agent host
	agent_log_has host 'what a dead agent counted is lost: it cannot be read' || fail 'it is read'
	! agent_log_has host 'nothing can be pinned' || fail 'it says that it pins nothing'
	two_flows 10
	stop_agent host
	expect_equal 'bytes' $((20 * 128)) "$(sum_of_reports host)"
	expect_equal 'own filters' 0 "$(own_filters host v0)"
}

story_damaged_pin() {
	local pins

	topology_wire
	start_agent host
	two_flows 10
	pins=$(own_pins)
	kill_agent host
	ln "$(compgen -G "$pins/flows-*" | sed -n 1p)" "$pins/trains-99"
	expect_fresh_start
}

# With others that can be read, of interfaces that are not known yet.
story_damaged_pin_of_a_report_in_doubt() {
	local pins

	topology_wire
	fill_small_disk
	start_agent host -o "$WORK/small/report"
	pins=$(own_pins)
	ln "$pins/checkpoint" "$pins/trains-99"
	two_flows 10
	signal_agent host USR1
	wait_for_log host 'cannot write the report'
	kill_agent host
	expect_fresh_start
}

FLOOD=20000

# The agent has read what it could when it dies; in $pins is where its pins are.
killed_after_a_flood() { # FLOWS_SETTING...
	topology_flood
	printf '%s\n' '[flows]' "$@" >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	pins=$(own_pins)
	"$TOOLS/flood" host "$FLOOD" 20 >/dev/null
	in_ns host "$FLOWTALLY" status >/dev/null || true
	kill_agent host
}

# The next agent tells what it can say of no interface, and reports the rest.
expect_lost_told() { # summed|counted BYTES_AT_LEAST
	local lost

	start_agent host -c "$WORK/flowtally.conf"
	lost=$(sed -nE "s/.* flows that a dead agent had $1, ([0-9]+) bytes, belong to no interface\$/\\1/p" "$WORK/host.log")
	((lost >= $2)) || fail 'it is not told' "$(<"$WORK/host.log")"
	stop_agent host
	expect_equal 'bytes' $((FLOOD * 29)) $((lost + $(accounted host | cut -d ' ' -f 1)))
}

# A sum, and one of the flows beside it (report/summed.c, report/flow_bytes.c), seem to be of interfaces that never were:
# that is told, and the rest is counted.
story_damaged_sums() {
	local pins folded

	killed_after_a_flood 'map_entries = 4096' 'max_flows = 1000'
	folded=$(basename "$(compgen -G "$pins/folded-*")")
	in_ns host "$TOOLS/bpf_objects" flip "$folded" 72
	in_ns host "$TOOLS/bpf_objects" flip "$folded" 256
	expect_lost_told summed 30
}

# A map seems to be of a phase that never was: what was in it is told.
story_map_of_no_phase() {
	local pins name

	killed_after_a_flood 'map_entries = 4096'
	# the first that was read: flows-GENERATION-PHASE-SERIAL
	name=$(basename "$(compgen -G "$pins/flows-*" | sort -t- -k5n | sed -n 3p)")
	mv "$pins/$name" "$pins/flows-1-77-${name##*-}"
	expect_lost_told counted 29
}
