#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Others on the same hooks see what they saw, and nothing of ours stays behind.

OBJECT=$TOOLS/count.bpf.o

# In FOREIGN_IDS: a counting filter on each hook of v0, and behind them one of another kind.
add_foreign_filters() {
	tc_in host qdisc add dev v0 clsact
	tc_in host filter add dev v0 ingress pref 10 bpf da obj "$OBJECT" sec tc
	tc_in host filter add dev v0 egress pref 10 bpf da obj "$OBJECT" sec tc
	tc_in host filter add dev v0 ingress pref 20 protocol ip u32 match u32 0 0 flowid 1:1
	mapfile -t FOREIGN_IDS < <(filters host v0 | sed -nE 's/.* id ([0-9]+) .*/\1/p')
	expect_equal 'foreign filters' 2 "${#FOREIGN_IDS[@]}"
}

# Attached to both hooks of v0 until the story ends.
add_foreign_tcx() {
	local hook

	FOREIGN_IDS=()
	for hook in ingress egress; do
		ip netns exec "$PREFIX-host" "$TOOLS/tcx_load" v0 "$hook" "$OBJECT" >"$WORK/$hook.out" 2>&1 &
		wait_for "a foreign program at $hook" grep -q '^attached' "$WORK/$hook.out"
		FOREIGN_IDS+=("$(sed -n 's/^attached prog=//p' "$WORK/$hook.out")")
	done
}

ten_each_way() {
	udp -n 10 -s 100 -r 10 peer 10.1.0.2:40000 host 10.1.0.1:5001
}

expect_foreign() { # PACKETS
	expect_equal 'packets that others saw' "$1 $1" \
		"$(packets_seen "${FOREIGN_IDS[0]}") $(packets_seen "${FOREIGN_IDS[1]}")"
}

expect_undisturbed() {
	local before

	before=$(tc_in host qdisc show; filters host v0)
	ten_each_way
	expect_foreign 10
	start_agent host
	ten_each_way
	expect_foreign 20
	stop_agent host
	expect_report host 20 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((20 * 128))"
	ten_each_way
	expect_foreign 30
	expect_equal 'qdiscs and filters' "$before" "$(tc_in host qdisc show; filters host v0)"
}

story_foreign_filters() {
	topology_wire
	add_foreign_filters
	expect_undisturbed
}

story_foreign_tcx() {
	topology_wire
	[[ $HAS_TCX == yes ]] || skip 'this kernel has no tcx'
	add_foreign_tcx
	expect_undisturbed
}

# The agent may have made the qdisc that a later filter of somebody else is on.
story_foreign_filter_comes_later() {
	topology_wire
	start_agent host
	tc_in host qdisc add dev v0 clsact 2>/dev/null || true
	tc_in host filter add dev v0 ingress pref 10 bpf da obj "$OBJECT" sec tc
	mapfile -t FOREIGN_IDS < <(filters host v0 | grep -v flowtally |
		sed -nE 's/.* id ([0-9]+) .*/\1/p')
	ten_each_way
	stop_agent host
	expect_report host 20 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((20 * 128))"
	ten_each_way
	expect_equal 'packets that the other saw' 20 "$(packets_seen "${FOREIGN_IDS[0]}")"
	expect_equal 'own filters' 0 "$(own_filters host v0)"
}

story_nothing_is_left() {
	local objects before

	topology_wire
	before=$(tc_in host qdisc show)
	start_agent host
	ten_each_way
	report_now host
	mapfile -t objects < <(agent_objects host)
	((${#objects[@]} >= 4)) || fail "the agent has but these objects: ${objects[*]}"
	stop_agent host
	expect_equal qdiscs "$before" "$(tc_in host qdisc show)"
	wait_for "the end of ${objects[*]}" are_gone "${objects[@]}"
}

# The qdisc that the dead agent had made goes too, those that it had found stay.
once_cleanup() {
	local foreign bare

	# shellcheck disable=SC2034
	ATTACH=clsact
	topology_wire
	make_ns other
	wire host w0 other w1
	wire host x0 other x1
	add_foreign_filters
	tc_in host qdisc add dev w0 clsact
	foreign=$(filters host v0)
	bare=$(filters host w0)
	start_agent host
	kill_agent host
	expect_equal 'filters that stay' '2 2 2' \
		"$(own_filters host v0) $(own_filters host w0) $(own_filters host x0)"
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
	expect_equal 'filters on v0' "$foreign" "$(filters host v0)"
	expect_equal 'filters on w0' "$bare" "$(filters host w0)"
	has_clsact host w0 || fail 'a qdisc that was there before is gone'
	! has_clsact host x0 || fail 'the qdisc of the dead agent is still there'
	ten_each_way
	expect_foreign 10
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
	has_clsact host w0 || fail 'the second cleanup removed more'
}

story_cleanup_spares_the_living() {
	topology_wire
	start_agent host
	expect_status 1 "${AGENT[host]}" cleanup
	ten_each_way
	stop_agent host
	expect_report host 20 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((20 * 128))"
}

story_second_agent_is_refused() {
	topology_wire
	start_agent host
	expect_status 1 "${AGENT[host]}" run
	start_agent peer
	ten_each_way
	stop_agent host
	stop_agent peer
	expect_report host 20 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((20 * 128))"
}
