#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What the links say that they carried is what we saw, and what somebody else takes away comes back.

interfaces() { # NS JQ-FILTER
	in_ns "$1" "$FLOWTALLY" interfaces --json | jq -c "$2"
}

coverage() { # NS DEV
	interfaces "$1" ".interfaces[] | select(.name == \"$2\") | .coverage"
}

status_of() { # NS JQ-FILTER
	# that it is degraded is no failure here
	{ in_ns "$1" "$FLOWTALLY" status --json || true; } | jq -c "$2"
}

# Both ways, packets and bytes, of what passed since FROM (a list as of link_totals).
expect_covered() { # NS DEV [RX_BYTES RX_PACKETS TX_BYTES TX_PACKETS]
	local got totals
	local -a now

	read -ra now <<<"$(link_totals "$1" "$2")"
	totals=$((now[0] - ${3:-0})),$((now[1] - ${4:-0})),$((now[2] - ${5:-0})),$((now[3] - ${6:-0}))
	got=$(coverage "$1" "$2")
	expect_equal "coverage of $2" 100 "$(jq '.percent | floor' <<<"$got")"
	expect_equal "what $2 carried" "[$totals]" \
		"$(jq -c '[.in.link.bytes, .in.link.packets, .out.link.bytes, .out.link.packets]' <<<"$got")"
	expect_equal "what was seen of $2" "[$totals]" \
		"$(jq -c '[.in.seen.bytes, .in.seen.packets, .out.seen.bytes, .out.seen.packets]' <<<"$got")"
}

link_totals() { # NS DEV
	ip_in "$1" -j -s link show dev "$2" |
		jq -r '.[0].stats64 | "\(.rx.bytes) \(.rx.packets) \(.tx.bytes) \(.tx.packets)"'
}

# Datagrams, segmented TCP both ways, frames of no IP, padded ones; tagged ones on the way out: the
# kernel takes the tag off what comes in before any hook.
all_kinds_of_traffic() {
	udp -n 10 -s 100 -r 4 peer 10.1.0.2:40000 host 10.1.0.1:5001
	tcp -n 3000000 -r 500000 peer 10.1.0.2:40001 host 10.1.0.1:5002
	frames -n 3 peer v1 "$(ethernet 88b5 "$(zeros 46)")"
	frames -n 2 host v0 "$(ethernet 8100 "00050800$(zeros 60)")"
	frames -n 5 peer v1 "$(ethernet 0800 "4500001c0000000040112ccd0a0100020a0100019c40138800080000$(zeros 18)")"
	frames -n 4 host v0 "$(ethernet 88b5 "$(zeros 20)")"
}

story_veth_to_the_byte() {
	local -a before

	topology_wire
	udp -n 3 -s 50 -r 2 peer 10.1.0.2:40000 host 10.1.0.1:5001
	read -ra before <<<"$(link_totals host v0)"
	start_agent host
	all_kinds_of_traffic
	report_now host
	expect_covered host v0 "${before[@]}"
	all_kinds_of_traffic
	report_now host
	expect_covered host v0 "${before[@]}"
	expect_equal 'the worst of all' '[100,0]' \
		"$(status_of host '[(.coverage.percent | floor), .coverage.repairs]')"
	all_kinds_of_traffic
	ip_in host link del v0
	wait_for 'the end of v0' is_gone v0
	report_now host
	expect_ended '[1,1,0]'
	stop_agent host
}

# Interfaces, those of which the kernel forgot what they had received, packets missed.
expect_ended() { # LIST
	expect_equal 'what ended' "$1" \
		"$(status_of host '.coverage.ended | [.interfaces, .unknown, .missed.packets]')"
}

# The other end knows what was received; the last message of this one does not.
story_pair_of_veths_to_the_byte() {
	topology_wire
	start_agent host
	ip_in host link add va type veth peer name vb
	ip_in host link set va addrgenmode none up
	ip_in host link set vb addrgenmode none up
	wait_for 'both ends' is_counted vb
	wait_for 'both ends' is_counted va
	frames -n 10 host va "$(ethernet 88b5 "$(zeros 46)")"
	frames -n 20 host vb "$(ethernet 88b5 "$(zeros 46)")"
	ip_in host link del va
	wait_for 'the end of va' is_gone va
	wait_for 'the end of vb' is_gone vb
	report_now host
	expect_ended '[2,0,0]'
	stop_agent host
}

is_counted() { # DEV
	[[ -n $(coverage host "$1") ]]
}

is_gone() { # DEV
	[[ -z $(coverage host "$1") ]]
}

# Drivers that count otherwise: nothing of the link header, or only on the way out.
story_other_drivers_to_the_byte() {
	local dev
	local -A before

	topology_containers
	ip_in host link add mv0 link wan address 02:00:00:00:ff:02 type macvlan mode private
	ip_in host link set mv0 addrgenmode none up
	for dev in lo br0 p1 p2 wan mv0; do
		before[$dev]=$(link_totals host "$dev")
	done
	start_agent host
	tcp -n 400000 -r 200000 c1 10.2.0.2:40000 world 10.3.0.2:5001
	udp -n 7 -s 100 -r 3 c1 10.2.0.2:40000 c2 10.2.0.3:5002
	udp -n 9 -s 300 -r 1 host 10.2.0.1:40000 c1 10.2.0.2:5003
	tcp -n 300000 host 127.0.0.1:40002 host 127.0.0.1:5004
	report_now host
	for dev in lo br0 p1 p2 wan mv0; do
		# shellcheck disable=SC2086 # a list
		expect_covered host "$dev" ${before[$dev]}
	done
	stop_agent host
}

# The next agent goes on comparing from its first report on, and says until then that it does not know.
story_truth_after_a_crash() {
	local -a before

	topology_wire
	start_agent host
	send 10
	kill_agent host
	send 10
	start_agent host
	expect_equal 'coverage after a crash' null "$(coverage host v0 | jq .percent)"
	report_now host
	read -ra before <<<"$(link_totals host v0)"
	all_kinds_of_traffic
	report_now host
	expect_covered host v0 "${before[@]}"
	stop_agent host
}

# Sent while nobody looked: part of the next report, and of nothing else.
expect_repaired() { # WHAT [LINE]
	local missed='# unattributed interface=v0 reason=before_attach bytes=2560 packets=20'

	send 20
	report_now host
	agent_log_has host "v0: $1 removed by somebody else; attached again" || fail "nothing was said of $1"
	if (($# == 1)); then
		expect_report host 0 "$missed"
	else
		expect_report host 20 "$2"
	fi
	expect_equal 'said once' 1 "$(agent_log_count host 'removed by somebody else')"
	send 5
	report_now host
	expect_report host 5 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((5 * 128))"
	expect_equal coverage 100 "$(coverage host v0 | jq '.percent | floor')"
	expect_equal 'missed' 0 "$(status_of host .coverage.ended.missed.packets)"
	expect_equal repairs 1 "$(status_of host .coverage.repairs)"
	stop_agent host
	expect_equal 'own filters' 0 "$(own_filters host v0)"
}

begin_counting() { # OPTIONS...
	topology_wire
	start_agent host "$@"
	send 10
	report_now host
	expect_report host 10 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 1280"
}

once_filter_removed_by_somebody() {
	begin_counting -a clsact
	tc_in host filter del dev v0 ingress
	expect_repaired 'our program at ingress was'
}

once_qdisc_removed_by_somebody() {
	begin_counting -a clsact
	tc_in host qdisc del dev v0 clsact
	expect_repaired 'our programs at ingress and egress were'
	! has_clsact host v0 || fail 'the qdisc of the agent is still there'
}

# The CPUs still hold what has no map: nothing is lost.
story_map_removed_by_somebody() {
	begin_counting
	"$TOOLS/unslot" "${AGENT[host]}" map "$(interfaces host '.interfaces[] | select(.name == "v0") | .index')"
	expect_repaired 'its flow map in the map of maps was' '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 2560'
}

story_slot_word_removed_by_somebody() {
	begin_counting
	"$TOOLS/unslot" "${AGENT[host]}" word "$(interfaces host '.interfaces[] | select(.name == "v0") | .index')"
	expect_repaired 'its entry in the slot table was'
}

# Until $WORK/enough is there; every packet has to arrive. Says in $WORK/sent.NAME how many that were.
stream() { # NAME UDP-ARGUMENTS...
	local name=$1 sent=0

	shift
	until [[ -e $WORK/enough ]]; do
		udp -n 200 -s 100 -r 0 "$@"
		sent=$((sent + 200))
	done
	echo "$sent" >"$WORK/sent.$name"
}

# Bytes in the lines of all reports that hold TEXT.
bytes_of() { # TEXT
	awk -v text="$1" 'index($0, text) { sub(/.*[Bb]ytes[=:] */, ""); sum += $1 } END { print sum + 0 }' "$WORK/host.report"
}

qdisc_changes() {
	tc -n "$PREFIX-host" monitor >"$WORK/changes" &
	MONITOR=$!
	# RTMGRP_TC
	wait_for 'tc monitor' grep -q '^[0-9a-f]* *0 .* 00000008 ' "/proc/$MONITOR/net/netlink"
}

# Of v0. (The kernel tells also whoever only listens of each one that is asked for.)
ends_of_qdisc() {
	grep -c '^deleted qdisc clsact .* dev v0 ' "$WORK/changes" || true
}

take_off() { # HOOK
	local pref=65535

	if [[ $ATTACH == tcx ]]; then
		"$TOOLS/tcx_unlink" "${AGENT[host]}" \
			"$(interfaces host '.interfaces[] | select(.name == "v0") | .index')" "$1"
		return
	fi
	# ours has the first priority at ingress, the last at egress
	[[ $1 == egress ]] || pref=1
	tc_in host filter del dev v0 "$1" pref "$pref"
}

# Our programs at the hooks are removed under traffic both ways, and put back. Nothing is dropped, nobody else misses
# a packet, and what passed at a hook that was still ours is in its flow.
expect_put_back() { # WHAT HOOK...
	local what=$1 hook senders=() in out lost

	shift
	qdisc_changes
	stream in peer 10.1.0.2:40000 host 10.1.0.1:5001 &
	senders+=($!)
	stream out host 10.1.0.1:40001 peer 10.1.0.2:5002 &
	senders+=($!)
	report_now host
	for hook; do
		take_off "$hook"
	done
	report_now host
	wait_for_log host "v0: $what removed by somebody else; attached again"
	expect_equal 'filters as before' "$FILTERS" "$(filters host v0 | sed 's/ id [0-9]*.*//')"
	report_now host
	touch "$WORK/enough"
	wait "${senders[@]}"
	# else the last report has what is left of it
	[[ " $* " != *' ingress '* ]] || report_now host
	in=$(cat "$WORK/sent.in") out=$(cat "$WORK/sent.out")
	expect_equal 'coverage' 100 "$(coverage host v0 | jq '.percent | floor')"
	expect_equal 'missed' 0 "$(status_of host .coverage.ended.missed.packets)"
	stop_agent host
	lost=$(bytes_of reason=before_attach)
	expect_equal 'bytes sent and reported' $(((in + out) * 128)) \
		$(($(bytes_of :5001) + $(bytes_of :5002) + lost))
	[[ " $* " == *' ingress '* ]] || expect_equal 'bytes that came in' $((in * 128)) "$(bytes_of :5001)"
	[[ " $* " == *' egress '* ]] || expect_equal 'bytes that went out' $((out * 128)) "$(bytes_of :5002)"
	expect_equal 'packets dropped' 0 "$(ip_in host -j -s link show dev v0 |
		jq '.[0].stats64 | .rx.dropped + .tx.dropped')"
	kill "$MONITOR"
	wait "$MONITOR" 2>/dev/null || true
}

expect_put_back_on_own_qdisc() { # WHAT HOOK...
	topology_wire
	start_agent host
	FILTERS=$(filters host v0 | sed 's/ id [0-9]*.*//')
	expect_put_back "$@"
	# its end takes the qdisc away, once
	[[ $ATTACH == tcx ]] || expect_equal 'ends of the qdisc' 1 "$(ends_of_qdisc)"
	! has_clsact host v0 || fail 'the qdisc of the agent is still there'
}

story_ingress_program_is_put_back() {
	expect_put_back_on_own_qdisc 'our program at ingress was' ingress
}

story_egress_program_is_put_back() {
	expect_put_back_on_own_qdisc 'our program at egress was' egress
}

once_both_filters_are_put_back() {
	ATTACH=clsact
	expect_put_back_on_own_qdisc 'our programs at ingress and egress were' ingress egress
}

# The first of the priorities is taken meanwhile, and stays with who took it.
once_filter_is_put_back_beside_others() {
	local id foreign

	# shellcheck disable=SC2034
	ATTACH=clsact
	topology_wire
	start_agent host
	tc_in host filter add dev v0 ingress pref 10 bpf da obj "$TOOLS/count.bpf.o" sec tc
	id=$(filters host v0 | grep -v flowtally | sed -nE 's/.* id ([0-9]+) .*/\1/p')
	FILTERS=$(filters host v0 | sed 's/ id [0-9]*.*//')
	expect_put_back 'our program at ingress was' ingress
	expect_equal 'packets that the other saw' "$(cat "$WORK/sent.in")" "$("$TOOLS/bpf_objects" count "$id")"
	expect_equal 'ends of the qdisc' 0 "$(ends_of_qdisc)"
	has_clsact host v0 || fail 'the qdisc of a foreign filter is gone'
	foreign=$(filters host v0)

	start_agent host
	tc_in host filter del dev v0 ingress pref 1
	tc_in host filter add dev v0 ingress pref 1 protocol ip u32 match u32 0 0 flowid 1:1
	signal_agent host USR1
	wait_for_log host 'v0: our program at ingress was removed by somebody else; attached again'
	expect_equal 'own filters' 2 "$(own_filters host v0)"
	[[ $(filters host v0) == *' pref 1 u32 '* ]] || fail 'a foreign filter is gone'
	kill_agent host
	start_agent host
	expect_equal 'own filters after a crash' 2 "$(own_filters host v0)"
	stop_agent host
	expect_equal 'own filters at the end' 0 "$(own_filters host v0)"
	tc_in host filter del dev v0 ingress pref 1
	expect_equal 'foreign filters' "$foreign" "$(filters host v0)"
}

# From now on the kernel takes no message from it.
refuse_netlink() {
	strace -qq -o "$WORK/strace" -p "${AGENT[host]}" -e inject=sendto:error=ENOBUFS 2>/dev/null &
	TRACER=$!
	wait_for 'the tracer' grep -q "^TracerPid:[[:space:]]*$TRACER\$" "/proc/${AGENT[host]}/status"
}

allow_netlink() {
	kill "$TRACER"
	wait "$TRACER" 2>/dev/null || true
}

exclude() { # LIST
	local before

	before=$(agent_log_count host 'configuration is read again')
	printf '[interfaces]\nexclude = %s\n' "$1" >"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for_log host 'configuration is read again' "$before"
}

# What cannot be taken off is tried again, also when it is wanted again meanwhile, and nothing is added beside it.
once_detach_fails() {
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	: >"$WORK/flowtally.conf"
	start_agent host -v -a clsact -c "$WORK/flowtally.conf"
	send 10
	refuse_netlink
	exclude v0
	wait_for_log host 'v0: cannot detach: No buffer space available; trying again'
	expect_equal 'own filters' 2 "$(own_filters host v0)"
	allow_netlink
	wait_for_log host 'v0: detached'
	! has_clsact host v0 || fail 'the qdisc of the agent is still there'

	exclude none
	wait_for_log host 'v0: attached' 1
	send 5
	refuse_netlink
	exclude v0
	wait_for_log host 'v0: cannot detach' 1
	exclude none
	allow_netlink
	wait_for_log host 'v0: detached' 1
	wait_for_log host 'v0: attached' 2
	expect_equal 'own filters' 2 "$(own_filters host v0)"
	send 7
	expect_equal 'said once each' 2 "$(agent_log_count host 'cannot detach')"
	stop_agent host
	expect_report host 22 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((22 * 128))"
}

# Who takes it off again and again is not fought with.
once_filter_removed_again_and_again() {
	begin_counting -a clsact
	for _ in 1 2 3; do
		tc_in host filter del dev v0 ingress 2>/dev/null || true
		send 10
		report_now host
	done
	expect_equal repairs 1 "$(status_of host .coverage.repairs)"
	expect_equal 'said once' 1 "$(agent_log_count host 'removed by somebody else, again; attached again in')"
	status_of host '.problems[]' | grep -q 'our program at ingress was removed' || fail 'status does not say so'
	expect_equal 'packets missed' 20 "$(coverage host v0 | jq '.in.missed.packets')"
	expect_equal 'the worst of all' '"v0"' "$(status_of host .coverage.interface)"
	stop_agent host
}
