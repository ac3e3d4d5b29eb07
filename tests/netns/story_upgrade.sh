#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Two versions follow each other, whose maps and checkpoints are not alike (tests/later.sh): each goes on where the
# other ends, up and down, and the reports add up to what was sent, to the byte.

THIS=$FLOWTALLY
REPLACES='its program is replaced'

# From now on agents are of the other version.
use_other() {
	if [[ $FLOWTALLY == "$THIS" ]]; then
		FLOWTALLY=$LATER
	else
		FLOWTALLY=$THIS
	fi
}

# That it has to read what is not its own is in its log.
start_other() { # NS OPTIONS...
	use_other
	start_agent "$@"
	agent_log_has "$1" "$REPLACES" || fail "it does not say that it replaces another version"
}

story_versions_follow_each_other() {
	local objects

	topology_wire
	start_agent host
	mapfile -t objects < <(agent_objects host)
	send 10
	report_now host
	expect_report host 10 "$(flow 10)"
	send 1
	kill_agent host
	send 2
	start_other host
	mapfile -t -O "${#objects[@]}" objects < <(agent_objects host)
	send 4
	kill_agent host
	send 8
	start_other host
	mapfile -t -O "${#objects[@]}" objects < <(agent_objects host)
	send 16
	report_now host
	expect_report host 31 "$(flow 31)"
	# nothing of the other version is left to be read
	kill_agent host
	start_agent host
	! agent_log_has host "$REPLACES" || fail 'it replaces what is its own'
	send 1
	stop_agent host
	expect_report host 1 "$(flow 1)"
	expect_equal 'own filters' 0 "$(own_filters host v0)"
	! has_clsact host v0 || fail 'the qdisc of the dead agent is still there'
	wait_for "the end of ${objects[*]}" are_gone "${objects[@]}"
}

# The host forwards all the time: at each instant one of the two programs counts on each hook, and says of a packet
# what the other one says of it on the next hook.
follow_under_traffic() { # OPTIONS...
	local sender

	topology_containers
	start_agent host -t 1 "$@"
	route_until_enough &
	sender=$!
	for _ in {1..6}; do
		sleep "0.$((RANDOM % 500 + 100))"
		kill_agent host
		sleep "0.$((RANDOM % 200))"
		start_other host -t 1 "$@"
	done
	touch "$WORK/enough"
	wait "$sender"
	stop_agent host
	expect_equal 'bytes of all reports' "$(($(cat "$WORK/sent") * 128))" "$(sum_of_reports host)"
}

story_versions_change_under_traffic() {
	follow_under_traffic
}

# What leaves through wan is known by what the slot table says of br0, which is not counted.
story_versions_change_where_a_part_is_watched() {
	follow_under_traffic -x br0
}

# What a hook shows is judged by what others showed, without trains.
story_versions_change_where_hooks_are_judged() {
	follow_under_traffic -x p1
}

# As a service manager restarts it, and with maps of another size.
story_new_binary_under_traffic() {
	local sender entries=1024

	topology_containers
	start_agent host -t 1
	route_until_enough &
	sender=$!
	for _ in {1..4}; do
		signal_agent host USR2
		wait "${AGENT[host]}" || fail 'the agent does not end well'
		printf '[flows]\nmap_entries = %d\n' "$entries" >"$WORK/flowtally.conf"
		entries=$((entries * 8))
		start_other host -t 1 -c "$WORK/flowtally.conf"
	done
	touch "$WORK/enough"
	wait "$sender"
	stop_agent host
	expect_equal 'bytes of all reports' "$(($(cat "$WORK/sent") * 128))" "$(sum_of_reports host)"
}

# More flows than CPUs keep, in maps of the other version.
story_another_versions_flows() {
	local count=30000

	topology_flood
	start_agent host
	"$TOOLS/flood" host "$count" 20 >/dev/null
	kill_agent host
	"$TOOLS/flood" host "$count" 20 >/dev/null
	start_other host
	"$TOOLS/flood" host "$count" 20 >/dev/null
	kill_agent host
	start_other host
	stop_agent host
	expect_equal 'bytes and packets' "$((3 * count * 29)) $((3 * count))" "$(accounted host)"
}

# What was summed is bytes of the agent's own, which have grown.
story_another_versions_sums() {
	local count=60000

	topology_flood
	printf '[flows]\nmap_entries = 4096\nmax_flows = 1000\n' >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	for _ in 1 2 3; do
		"$TOOLS/flood" host "$count" 20 >/dev/null
		kill_agent host
		start_other host -c "$WORK/flowtally.conf"
	done
	stop_agent host
	expect_equal 'bytes and packets' "$((3 * count * 29)) $((3 * count))" "$(accounted host)"
	expect_equal 'flows named, and bytes' "1000 $(header_field host bytes)" "$(named host)"
}

# A report that was on its way is written by whoever comes, from maps that are not its own.
story_another_versions_doubtful_report() {
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	start_agent host
	two_flows 2
	kill_at_system_call host write 1
	has_died host || fail 'it wrote its report'
	two_flows 1
	start_other host
	expect_equal 'reports' 1 "$(report_count host)"
	expect_equal 'bytes of the report in doubt' "$((4 * 128))" "$(sum_of_reports host)"
	kill_agent host
	start_other host
	stop_agent host
	expect_equal 'bytes of all reports' "$((6 * 128))" "$(sum_of_reports host)"
}

# One that could not be written at the end of an agent is left without anything that counts.
story_another_versions_last_report() {
	topology_wire
	start_agent host -o /dev/full
	send 10
	signal_agent host TERM
	! wait "${AGENT[host]}" || fail 'a lost report is no success'
	expect_equal 'own filters' 0 "$(own_filters host v0)"
	send 10
	start_other host
	send 1
	stop_agent host
	expect_report host 11 "$(flow 11)"
}

# Fault injection into the exchange: successors die on their first, second, ... call until one is there, and the next
# one is of either version.
story_killed_while_it_replaces() {
	local name call sent=0 killed=0 step=${CRASH_STEP:-15}

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	start_agent host
	for name in bpf renameat unlinkat sched_setaffinity; do
		call=$((RANDOM % step + 1))
		[[ $name == bpf ]] || step=1 call=1
		two_flows 2
		kill_agent host
		use_other
		while dies_starting host "$name" "$call"; do
			two_flows 1
			sent=$((sent + 2)) killed=$((killed + 1))
			# each death leaves more to be done, and all slots are looked at, one like the other
			call=$((call < 60 ? call + step : 2 * call + RANDOM % step))
			((RANDOM % 2)) || use_other
			# strace counts no further
			((call < 65536)) || start_agent host
			((call < 65536)) || break
		done
		two_flows 1
		sent=$((sent + 6))
	done
	((killed >= 10)) || fail "killed only $killed times"
	# the last one is to die yet
	kill_agent host
	start_other host
	stop_agent host
	expect_equal "bytes of all reports, killed $killed times" "$((sent * 128))" "$(sum_of_reports host)"
	echo "killed $killed times"
}

# Whoever cannot read what is left says so, and begins anew.
once_version_that_cannot_be_read() {
	topology_wire
	start_agent host
	send 10
	kill_agent host
	in_ns host "$TOOLS/bpf_objects" flip checkpoint 8
	start_agent host
	agent_log_has host 'what a dead agent counted is lost: it was a version that this one cannot read' ||
		fail 'it does not say so'
	send 1
	stop_agent host
	expect_report host 1 "$(flow 1)"
}
