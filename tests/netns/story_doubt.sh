#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Reports that were on their way, or could not be written, when the agent died or ended: all of it is reported once.

# The next agent cannot write the report in doubt either: the one after it does.
story_doubtful_report_is_handed_over() {
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	fill_small_disk
	start_agent host
	send 10
	kill_at_system_call host write 1
	has_died host || fail 'it wrote its report'
	start_agent host -o "$WORK/small/report"
	agent_log_has host 'cannot write the report' || fail 'there is room on the small disk'
	signal_agent host USR2
	wait "${AGENT[host]}" || fail 'the agent does not end well'
	start_agent host
	stop_agent host
	expect_equal 'bytes of all reports' "$((10 * 128))" "$(sum_of_reports host)"
}

# It ends its interval, whoever writes it.
once_interval_after_a_doubtful_report() {
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	start_agent host --format json
	kill_at_system_call host write 1
	has_died host || fail 'it wrote its report'
	start_agent host --format json
	stop_agent host
	expect_equal 'whether the second begins where the first ends' true "$(jq -s '
		[.[].event | [.start, .end]] | unique | length == 2 and .[0][1] == .[1][0]' "$WORK/host.report")"
}

# A report in doubt is bounded, too, by whoever writes it again.
story_doubtful_report_with_sums() {
	local count=40000

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_flood
	printf '[flows]\nmap_entries = 16384\nmax_flows = 1000\n' >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	"$TOOLS/flood" host "$count" 20 >/dev/null
	kill_at_system_call host write 1
	has_died host || fail 'it wrote its report'
	start_agent host -c "$WORK/flowtally.conf"
	expect_equal 'reports' 1 "$(report_count host)"
	expect_equal 'bytes and packets' "$((count * 29)) $count" "$(accounted host)"
	expect_equal 'flows named, and bytes' "1000 $(header_field host bytes)" "$(named host)"
	stop_agent host
	expect_equal 'bytes of the last report' 0 "$(header_field host bytes)"
}

# A report that could not be written is not in doubt: the interval goes on, with what it is owed.
story_killed_after_a_report_failed() {
	topology_wire
	# what leaves below it is judged
	add_link host m0 link v0 type macvlan mode bridge
	ip_in host link set m0 up
	fill_small_disk
	start_agent host -o "$WORK/small/report"
	send 10
	signal_agent host USR1
	wait_for_log host 'cannot write the report'
	send 5
	kill_agent host
	start_agent host
	expect_equal 'reports' 0 "$(report_count host)"
	! agent_log_has host 'cannot be read' || fail 'not all that it needs is there'
	stop_agent host
	expect_report host 15 "$(flow 15)"
}

# The last report finds no room, and is in the first one of the next agent.
story_last_report_stays_for_the_next_agent() {
	topology_wire
	fill_small_disk
	start_agent host -o "$WORK/small/report"
	send 10
	signal_agent host TERM
	! wait "${AGENT[host]}" || fail 'a lost report is no success'
	expect_equal 'own filters' 0 "$(own_filters host v0)"
	send 10
	start_agent host
	send 1
	stop_agent host
	expect_report host 11 "$(flow 11)"
	expect_equal 'interfaces in the report' 2 "$(header_field host interfaces)"
}

# Ends the agent, whose COUNTth bpf(2) from now on finds no memory. Fails if it does not get so far; its exit status is
# in STATUS.
ends_without_memory_at() { # COUNT
	strace -qq -o "$WORK/strace" -p "${AGENT[host]}" -e inject=bpf:error=ENOMEM:when="$1" 2>/dev/null &
	TRACER=$!
	wait_for 'the tracer' has_died_or_is_traced host "$TRACER"
	signal_agent host TERM
	STATUS=0
	wait "${AGENT[host]}" || STATUS=$?
	end_trace
	grep -qF INJECTED "$WORK/strace"
}

# A moment without memory at the end costs nothing that was counted: it is in the last report, or in the first one of
# the next agent.
story_no_memory_at_the_end() {
	local call sent=0 failed=0

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	call=$((RANDOM % ${CRASH_STEP:-3} + 1))
	while start_agent host && two_flows 1 && sent=$((sent + 2)) && ends_without_memory_at "$call"; do
		((STATUS)) || expect_equal "bytes of all reports, without memory for call $call" \
			$((sent * 128)) "$(sum_of_reports host)"
		failed=$((failed + 1)) call=$((call + ${CRASH_STEP:-3}))
	done
	((failed >= 3)) || fail "failed only $failed times"
	start_agent host
	stop_agent host
	expect_equal "bytes of all reports, without memory $failed times" $((sent * 128)) "$(sum_of_reports host)"
}

# Whoever asks is told that a report lacks something. By clsact, as the self-check asks bpf(2) for tcx.
once_no_memory_to_drain() {
	local status=0

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	start_agent host -a clsact
	two_flows 1
	strace -qq -o "$WORK/strace" -p "${AGENT[host]}" -e inject=bpf:error=ENOMEM 2>/dev/null &
	TRACER=$!
	wait_for 'the tracer' has_died_or_is_traced host "$TRACER"
	report_now host
	wait_for 'sleep' died_or_sleeps host
	end_trace
	in_ns host "$FLOWTALLY" status >"$WORK/status" || status=$?
	expect_equal 'exit status' 3 "$status"
	grep -q 'not all that was counted could be read' "$WORK/status" || fail 'it does not say so' "$(<"$WORK/status")"
	report_now host
	in_ns host "$FLOWTALLY" status >/dev/null || fail 'it still says so'
	stop_agent host
	expect_equal 'bytes of all reports' 256 "$(sum_of_reports host)"
}

# Nobody looks at the links meanwhile. One that has the index of another is another.
story_links_change_before_a_left_report() {
	local index

	topology_wire
	wire host s0 peer s1
	fill_small_disk
	start_agent host -o "$WORK/small/report"
	send 10
	stray 5 peer s1
	signal_agent host TERM
	! wait "${AGENT[host]}" || fail 'a lost report is no success'
	index=$(ip_in host -j link show dev s0 | jq '.[0].ifindex')
	ip_in host link delete s0
	ip_in host link add t0 index "$index" type veth peer name t1 netns "$PREFIX-peer"
	ip_in host link set t0 addrgenmode none up
	ip_in peer link set t1 addrgenmode none up
	start_agent host -v
	! agent_log_has host renamed || fail 'it is taken for the one of before'
	stray 3 peer t1
	stop_agent host
	expect_report host 18 "$(flow 10)" "$STRAY Bytes: $((8 * 128))"
	# lo, v0, s0, t0
	expect_equal 'interfaces in the report' 4 "$(header_field host interfaces)"
}

# The next agent makes the report that was on its way as it makes its own.
story_doubtful_report_is_filtered() {
	local filtered='# filtered flows=1 bytes=256 packets=2'

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	start_agent host --ignore port:5002
	two_flows 2
	kill_at_system_call host write 1
	has_died host || fail 'it wrote its report'
	start_agent host --ignore port:5002
	expect_report host 2 "$(flow 2)" "$filtered"
	stop_agent host
}

# The report was written when the agent died, and not yet known to be; of half of it nothing stays.
story_killed_behind_a_report() {
	local size

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	start_agent host
	two_flows 10
	kill_at_system_call host pwrite64 1
	has_died host || fail 'it does not write the number of the report'
	cp "$WORK/host.report" "$WORK/first"
	size=$(stat -c %s "$WORK/first")
	((size > 100)) || fail 'it has not written the report'
	truncate -s $((size / 2)) "$WORK/host.report"
	start_agent host
	expect_equal 'the report' "$(<"$WORK/first")" "$(<"$WORK/host.report")"
	stop_agent host
	expect_equal 'bytes' $((20 * 128)) "$(sum_of_reports host)"
}

# What a link carried before anybody looked at it is in that report, whoever writes it, and in no other.
story_before_attach_of_a_report_in_doubt() {
	local name link=0

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	start_agent host -v
	for name in write pwrite64; do
		link=$((link + 1))
		signal_agent host STOP
		wire host "s$link" peer "t$link"
		stray 5 peer "t$link"
		signal_agent host CONT
		wait_for_log host "s$link: attached"
		kill_at_system_call host "$name" 1
		has_died host || fail "it does not get to $name"
		start_agent host -v
		kill_agent host
		start_agent host -v
		report_now host
		expect_equal "packets before the attach, killed at $name" "$link" "$(before_attach_fives)"
	done
	stop_agent host
	expect_equal 'packets before the attach' 2 "$(before_attach_fives)"
}

# Of all reports, in units of five packets.
before_attach_fives() {
	awk '/reason=before_attach/ { sub(/.*packets=/, ""); sum += $0 } END { print sum / 5 }' "$WORK/host.report"
}

# As with StandardOutput=append: and StandardError=append: of the same file.
start_agent_into_one_file() { # NUMBER
	ip netns exec "$PREFIX-host" "$FLOWTALLY" run -v -t 3600 -a "$ATTACH" -o - >>"$WORK/both" 2>>"$WORK/both" \
		</dev/null &
	AGENT[host]=$!
	wait_for 'the agent' has_begun_times "$1"
}

has_begun_times() { # NUMBER
	(($(grep -c 'first report' "$WORK/both") >= $1))
}

story_reports_among_messages() {
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	: >"$WORK/both"
	start_agent_into_one_file 1
	two_flows 10
	trace_until_call host write 1
	signal_agent host USR1
	wait_for 'death' has_died host
	end_trace
	start_agent_into_one_file 2
	stop_agent host
	grep -qF 'an agent before this one has left' "$WORK/both" || fail 'a message is cut off' "$(<"$WORK/both")"
	expect_equal 'bytes' $((20 * 128)) "$(awk '/ Bytes: / { sum += $NF } END { print sum + 0 }' "$WORK/both")"
}
