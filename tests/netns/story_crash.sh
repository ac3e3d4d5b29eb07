#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
# An agent that dies without notice: counting goes on without it, and the next one adds up all of it once.

send() { # PACKETS
	udp -n "$1" -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
}

flow() { # PACKETS
	printf '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: %d\n' $(($1 * 128))
}

# Of all reports that were ever written.
sum_of_reports() { # NS
	awk '/ Bytes: / { sum += $NF } END { print sum + 0 }' "$WORK/$1.report"
}

story_killed_and_started_again() {
	local objects

	topology_wire
	start_agent host
	mapfile -t objects < <(agent_objects host)
	send 10
	kill_agent host
	send 10
	start_agent host
	mapfile -t -O "${#objects[@]}" objects < <(agent_objects host)
	send 10
	stop_agent host
	expect_report host 30 "$(flow 30)"
	expect_equal 'own filters' 0 "$(own_filters host v0)"
	! has_clsact host v0 || fail 'the qdisc of the dead agent is still there'
	wait_for "the end of ${objects[*]}" are_gone "${objects[@]}"
}

story_killed_after_a_report() {
	topology_wire
	start_agent host
	send 10
	report_now host
	expect_report host 10 "$(flow 10)"
	send 5
	kill_agent host
	send 1
	start_agent host
	report_now host
	expect_report host 6 "$(flow 6)"
	stop_agent host
	expect_report host 0
}

story_killed_and_cleaned_up() {
	local objects

	topology_wire
	start_agent host
	mapfile -t objects < <(agent_objects host)
	send 10
	kill_agent host
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
	wait_for "the end of ${objects[*]}" are_gone "${objects[@]}"
	expect_equal 'own filters' 0 "$(own_filters host v0)"
	start_agent host
	send 1
	stop_agent host
	expect_report host 1 "$(flow 1)"
}
