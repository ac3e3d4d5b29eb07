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

# Attached to both hooks of DEV until the story ends.
add_foreign_tcx() { # [DEV]
	local hook dev=${1:-v0}

	FOREIGN_IDS=()
	for hook in ingress egress; do
		ip netns exec "$PREFIX-host" "$TOOLS/tcx_load" "$dev" "$hook" "$OBJECT" \
			>"$WORK/$dev.$hook.out" 2>&1 &
		wait_for "a foreign program at $hook" grep -q '^attached' "$WORK/$dev.$hook.out"
		FOREIGN_IDS+=("$(sed -n 's/^attached prog=//p' "$WORK/$dev.$hook.out")")
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

# More links than auto attaches by tcx at the start.
crowd() {
	local i

	for ((i = 0; i < 8; i++)); do
		ip_in host link add "crowd$i" type veth peer name "other$i"
	done
}

topology_for_auto() {
	# shellcheck disable=SC2034
	ATTACH=auto
	topology_wire
	[[ $HAS_TCX == yes ]] || skip 'this kernel has no tcx'
}

# Few links at the start cost least by tcx, unless others have filters there: at egress they come after tcx. What
# comes later costs its host least by clsact.
once_auto_takes_tcx_for_few_at_the_start() {
	topology_for_auto
	add_foreign_filters
	start_agent host -v
	agent_log_has host 'lo: attached with tcx' || fail 'lo is not attached by tcx'
	agent_log_has host 'v0: attached with clsact' || fail 'v0 is not attached by clsact'
	wire host w0 peer w1
	wait_for_log host 'w0: attached with clsact'
	ten_each_way
	expect_foreign 10
	stop_agent host
	expect_report host 20 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((20 * 128))"
}

# A tcx program that ends the chain hides packets from clsact: where others are on tcx, so are we.
once_auto_goes_where_others_are() {
	topology_for_auto
	wire host w0 peer w1
	crowd
	add_foreign_tcx
	start_agent host -v
	agent_log_has host 'v0: attached with tcx' || fail 'v0 is not attached by tcx'
	agent_log_has host 'w0: attached with clsact' || fail 'w0 is not attached by clsact'
	ten_each_way
	expect_foreign 10
	stop_agent host
	expect_report host 20 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((20 * 128))"
}

# Others that come later are found at a report, and when the link is told of anew. What was counted before
# and after is in one report, and the interface is one.
once_auto_follows_others_to_tcx() {
	topology_for_auto
	crowd
	start_agent host -v
	agent_log_has host 'v0: attached with clsact' || fail 'v0 is not attached by clsact'
	report_now host
	ten_each_way
	add_foreign_tcx
	ip_in host link set v0 alias changed
	wait_for_log host 'v0: attached with tcx'
	expect_equal 'own filters' 0 "$(own_filters host v0)"
	! has_clsact host v0 || fail 'its clsact qdisc is still there'
	ten_each_way
	expect_foreign 10
	add_foreign_tcx lo
	report_now host
	wait_for_log host 'lo: attached with tcx'
	expect_report host 40 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((40 * 128))"
	expect_equal 'interfaces in the report' 18 "$(header_field host interfaces)"
	stop_agent host
}

# A filter in front of ours at ingress that ends the chain hides all that comes in.
once_auto_goes_in_front_of_filters() {
	topology_for_auto
	tc_in host qdisc add dev v0 clsact
	tc_in host filter add dev v0 ingress pref 1 protocol ip u32 match u32 0 0 flowid 1:1
	crowd
	start_agent host -v
	agent_log_has host 'v0: attached with tcx' || fail 'v0 is not attached by tcx'
	expect_equal 'own filters' 0 "$(own_filters host v0)"
	ten_each_way
	stop_agent host
	expect_report host 20 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((20 * 128))"
	filters host v0 | grep -q u32 || fail 'the filter of others is gone'
}

# Of one priority the filter that comes last runs first. What it hides is missed, and so it is found.
once_auto_is_outrun_by_a_filter() {
	topology_for_auto
	crowd
	start_agent host -v
	agent_log_has host 'v0: attached with clsact' || fail 'v0 is not attached by clsact'
	ten_each_way
	tc_in host filter add dev v0 ingress pref 1 bpf bytecode '1,6 0 0 4294967295' flowid 1:1
	udp -n 5 -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
	report_now host
	wait_for_log host 'v0: others run before'
	report_now host
	ten_each_way
	stop_agent host
	agent_log_has host 'runs before flowtally at ingress' || fail 'it is not said who was in front'
	expect_report host 20 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((20 * 128))"
	filters host v0 | grep -q bytecode || fail 'the filter of others is gone'
}

# tc adds filters to a shared block by its number only.
once_clsact_with_a_shared_block() {
	# shellcheck disable=SC2034
	ATTACH=clsact
	topology_wire
	tc_in host qdisc add dev v0 ingress_block 22 clsact
	start_agent host
	agent_log_has host 'v0: cannot attach: its clsact qdisc shares a filter block' ||
		fail 'that v0 shares a block is not said'
	stop_agent host
	tc_in host qdisc show dev v0 | grep -q '^qdisc clsact .*ingress_block 22' || fail 'the qdisc is gone'
}

# An ingress qdisc has the place of clsact.
once_auto_finds_another_way() {
	topology_for_auto
	tc_in host qdisc add dev v0 ingress
	crowd
	start_agent host -v
	agent_log_has host 'v0: attached with tcx' || fail 'v0 is not attached by tcx'
	ten_each_way
	stop_agent host
	expect_report host 20 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((20 * 128))"
	tc_in host qdisc show dev v0 | grep -q '^qdisc ingress ' || fail 'the ingress qdisc is gone'
}
