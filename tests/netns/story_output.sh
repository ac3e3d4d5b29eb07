#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# When reports are written, where to, and what happens when they cannot be.

A=10.1.0.2:40000
B=10.1.0.1:5001

packets() { # COUNT, 128 IP bytes each
	udp -n "$1" -s 100 peer "$A" host "$B"
}

expect_packets() { # COUNT
	expect_report host "$1" "$A - $B Bytes: $(($1 * 128))"
}

once_report_on_demand() {
	topology_wire
	start_agent host
	packets 5
	report_now host
	expect_packets 5
	packets 7
	report_now host
	expect_packets 7
	report_now host
	expect_report host 0
	stop_agent host
	expect_equal reports 4 "$(report_count host)"
}

once_count_of_reports() {
	local status=0

	topology_wire
	in_ns host "$FLOWTALLY" run -t 1 -n 2 >"$WORK/host.report" 2>"$WORK/host.log" || status=$?
	expect_equal 'exit status' 0 "$status"
	expect_equal reports 2 "$(report_count host)"
	expect_equal 'all lines' 2 "$(wc -l <"$WORK/host.report")"
	# a report may be late on a machine that has other things to do; the next one is not for that
	awk -F 'interval=' '/^# flowtally / { sum += $2 } END { exit sum < 1.9 }' "$WORK/host.report" ||
		fail "two intervals of 1 s:" "$(grep '^# flowtally ' "$WORK/host.report")"
}

once_interrupt_ends_it_too() {
	local status=0

	topology_wire
	start_agent host
	packets 3
	signal_agent host INT
	wait "${AGENT[host]}" || status=$?
	expect_equal 'exit status' 0 "$status"
	expect_packets 3
}

json_lines() { # FILTER
	jq -r "$1" "$WORK/host.report"
}

once_json() {
	topology_containers
	start_agent host -f json
	udp -n 10 -s 100 -r 4 c1 10.2.0.2:40000 world 10.3.0.2:5001
	udp -n 3 -s 100 c1 '[fd02::2]:40000' c2 '[fd02::3]:5001'
	frames -n 2 world w0 "$(ethernet 88b5 "$(zeros 46)")"
	stop_agent host
	expect_equal 'kinds of lines' $'report\nflow\nflow' "$(json_lines .event.action)"
	expect_equal totals "$((14 * 128 + 3 * 148)) 17 2" "$(json_lines 'select(.event.action == "report")
		| .flowtally.report | "\(.network.bytes) \(.network.packets) \(.flows)"')"
	expect_equal unattributed 'wan non_ip 92 2' "$(json_lines 'select(.event.action == "report")
		| .flowtally.report.unattributed[] | "\(.interface) \(.reason) \(.bytes) \(.packets)"')"
	expect_equal flows $'10.2.0.2 40000 1280 10 10.3.0.2 5001 512 4 1792 14 p1,br0,wan ipv4 udp 17
fd02::2 40000 444 3 fd02::3 5001 0 0 444 3 p1,p2 ipv6 udp 17' \
		"$(json_lines 'select(.event.action == "flow") | [.source.ip, .source.port, .source.bytes,
			.source.packets, .destination.ip, .destination.port, .destination.bytes,
			.destination.packets, .network.bytes, .network.packets,
			(.flowtally.interfaces | join(",")), .network.type, .network.transport,
			.network.iana_number] | join(" ")')"
	expect_equal 'report ids of all lines' 1 \
		"$(json_lines .flowtally.report.id | sort -u | wc -l)"
}

once_report_numbers_go_on() {
	topology_wire
	for _ in 1 2 3; do
		start_agent host -f json
		stop_agent host
	done
	expect_equal 'report ids' '1 2 3' "$(json_lines .flowtally.report.id | xargs)"
}

once_table() {
	topology_wire
	printf '[report]\nformat = table\n' >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	packets 8
	stop_agent host
	grep -F "$A" "$WORK/host.report" | grep -qF "$B" || fail "no such flow in the table:" \
		"$(cat "$WORK/host.report")"
}

once_largest_flows_only() {
	topology_wire
	printf '[report]\ntop = 1\n' >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	packets 8
	udp -n 4 -s 100 peer "$A" host 10.1.0.1:5002
	udp -n 2 -s 100 peer "$A" host 10.1.0.1:5003
	stop_agent host
	expect_equal 'named flows' "$A - $B Bytes: 1024" "$(last_report host | grep -v '^#')"
	expect_equal 'bytes of all' "$((14 * 128))" "$(header_field host bytes)"
	last_report host | tail -n +2 | grep -q "^# .* bytes=$((6 * 128)) packets=6\$" ||
		fail 'the rest is not summed up:' "$(last_report host)"
}

# RLIMIT_FSIZE is an error like a full disk, and ends nobody. (The log is a file, too.)
once_file_may_not_grow() {
	topology_wire
	printf '#%65536s\n' '' >"$WORK/host.report"
	start_agent host
	prlimit --pid "${AGENT[host]}" --fsize=65550:unlimited
	packets 3
	signal_agent host USR1
	wait_for_log host 'cannot write the report'
	expect_equal 'bytes of the file' 65538 "$(stat -c %s "$WORK/host.report")"
	prlimit --pid "${AGENT[host]}" --fsize=unlimited
	packets 4
	stop_agent host
	expect_packets 7
}

# 100 flows make more text than there is room left: the part that fits is taken back.
once_disk_is_full() {
	local i packets=()

	topology_wire
	mkdir "$WORK/disk"
	mount -t tmpfs -o size=32k none "$WORK/disk"
	for ((i = 0; i < 100; i++)); do
		packets+=("$(ethernet 0800 "$(ipv4 10.1.0.2 10.1.0.1 17 \
			"$(udp_payload $((50000 + i)) 5001 100)")")")
	done
	ln -s "$WORK/disk/report" "$WORK/host.report"
	start_agent host
	frames peer v1 "${packets[@]}"
	report_now host
	cp "$WORK/host.report" "$WORK/first"

	# the report's second page has room for a part of another
	dd if=/dev/zero of="$WORK/disk/filler" bs=4k count=6 status=none
	frames -n 2 peer v1 "${packets[@]}"
	signal_agent host USR1
	wait_for_log host 'cannot write the report'
	cmp "$WORK/first" "$WORK/host.report" || fail 'a torn report is in the file'

	rm "$WORK/disk/filler"
	frames -n 3 peer v1 "${packets[@]}"
	stop_agent host
	expect_equal reports 2 "$(report_count host)"
	expect_equal 'header of the second' "100 $((500 * 128)) 500" \
		"$(header_field host flows) $(header_field host bytes) $(header_field host packets)"
	expect_equal 'flows of 5 packets' 100 "$(last_report host | grep -c " Bytes: $((5 * 128))\$")"
}

has_open() { # PID FILE
	readlink "/proc/$1/fd/"* | grep -qxF "$2"
}

once_reader_dies() {
	local reader

	topology_wire
	mkfifo "$WORK/pipe"
	cat "$WORK/pipe" >"$WORK/host.report" &
	reader=$!
	start_agent host -o "$WORK/pipe"
	packets 1
	report_now host
	expect_packets 1
	kill "$reader"
	wait "$reader" || true
	packets 2
	signal_agent host USR1
	wait_for_log host 'cannot write the report'
	packets 4
	cat "$WORK/pipe" >>"$WORK/host.report" &
	# open(2) of the reader returns as the agent holds the other end
	wait_for 'the new reader' has_open "$!" "$WORK/pipe"
	report_now host
	expect_packets 6
	stop_agent host
}

# The end of a pipeline is the end of the agent, and leaves nothing behind.
once_standard_output_is_not_read_any_more() {
	local reader status=0

	topology_wire
	{ in_ns host "$FLOWTALLY" run -t 1 -a clsact 2>"$WORK/host.log" || echo "$?" >"$WORK/status"; } | head -n 1
	expect_equal 'exit status' 1 "$(cat "$WORK/status")"
	agent_log_has host 'standard output: nobody reads the reports any more' || fail "$(cat "$WORK/host.log")"
	expect_equal 'lines of the log' 2 "$(wc -l <"$WORK/host.log")"
	! has_clsact host v0 || fail 'its clsact qdisc is still there'

	# as ^C ends both
	mkfifo "$WORK/pipe"
	: >"$WORK/host.log"
	head -n 0 "$WORK/pipe" &
	reader=$!
	ip netns exec "$PREFIX-host" "$FLOWTALLY" run -t 3600 -a clsact >"$WORK/pipe" 2>"$WORK/host.log" </dev/null &
	AGENT[host]=$!
	wait_for 'the agent' agent_is_decided host
	wait "$reader"
	signal_agent host INT
	wait "${AGENT[host]}" || status=$?
	expect_equal 'exit status' 1 "$status"
	! has_clsact host v0 || fail 'its clsact qdisc is still there'
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
	grep -qF 'removed 0 filters, 0 pins' "$WORK/cleanup.log" || fail "$(cat "$WORK/cleanup.log")"
}

# What is opened next must not become standard output or standard error.
once_closed_descriptors() {
	local status=0

	topology_wire
	in_ns host "$FLOWTALLY" run -t 1 -n 1 2>"$WORK/errors" <&- >&- || status=$?
	expect_equal 'exit status' 1 "$status"
	expect_equal 'error' 'flowtally: standard output: cannot be opened for reports: it is closed, or not open for writing' \
		"$(cat "$WORK/errors")"
	in_ns host "$FLOWTALLY" run -v -t 1 -n 1 -o "$WORK/host.report" <&- >&- 2>&-
	expect_report host 0
	expect_equal 'number of the report' 1 "$(xargs <"$WORK/report-id")"
}

is_degraded() {
	local status=0

	in_ns host "$FLOWTALLY" status >/dev/null || status=$?
	((status == 3))
}

# What is written to a file that is in no directory any more is written for nobody: reports wait until there is one.
story_output_directory_vanishes() {
	topology_wire
	mkdir "$WORK/out"
	ln -s "$WORK/out/report" "$WORK/host.report"
	start_agent host
	packets 5
	report_now host
	expect_packets 5
	rm -r "$WORK/out"
	packets 7
	signal_agent host USR1
	wait_for_log host 'host.report: cannot write the report: No such file or directory; the next one will cover this'
	packets 2
	signal_agent host USR1
	# it answers when that is done
	is_degraded || fail 'flowtally status does not tell of it'
	signal_agent host HUP
	wait_for_log host 'configuration is read again'
	packets 1
	signal_agent host USR1
	is_degraded || fail 'flowtally status does not tell of it'
	expect_equal 'said once' 1 "$(agent_log_count host 'cannot write the report')"

	mkdir "$WORK/out"
	packets 3
	signal_agent host USR1
	wait_for 'the report' test -s "$WORK/out/report"
	wait_for_log host 'host.report: reports are written again'
	expect_packets 13
	packets 4
	report_now host
	expect_packets 4

	# the file alone: the next report makes another one
	rm "$WORK/out/report"
	packets 6
	signal_agent host USR1
	wait_for 'the report' test -s "$WORK/out/report"
	expect_packets 6

	# it is not back at the end: the next start has it
	rm -r "$WORK/out"
	packets 8
	signal_agent host TERM
	! wait "${AGENT[host]}" || fail 'a lost report is no success'
	unset 'AGENT[host]'
	expect_equal 'said once more' 2 "$(agent_log_count host 'cannot write the report')"
	expect_equal 'said once' 1 "$(agent_log_count host 'reports are written again')"
	mkdir "$WORK/out"
	start_agent host
	packets 1
	stop_agent host
	expect_packets 9
}

once_output_is_reopened() {
	topology_wire
	start_agent host
	packets 1
	report_now host
	mv "$WORK/host.report" "$WORK/host.report.1"
	signal_agent host HUP
	wait_for_log host 'configuration is read again'
	packets 2
	stop_agent host
	expect_packets 2
	expect_equal 'reports in the old file' 1 "$(grep -c '^# flowtally ' "$WORK/host.report.1")"
}

# Reports go on to the old file, as that file's format is.
once_output_that_cannot_be_opened_at_reload() {
	topology_wire
	printf '[report]\nformat = json\noutput = %s\n' "$WORK/host.report" >"$WORK/flowtally.conf"
	start_agent_by_file host "$WORK/flowtally.conf"
	printf '[report]\nformat = text\noutput = %s\n' "$WORK/nowhere/report" >"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for_log host "nowhere/report: cannot be opened: No such file or directory; reports go on to $WORK/host.report as json"
	packets 2
	stop_agent host
	expect_equal 'packets' 2 "$(jq -s 'map(select(.event.action == "report"))[0].flowtally.report.network.packets' \
		"$WORK/host.report")"
}

agent_took_signals() { # NS
	grep -q '^ShdPnd:[[:space:]]*0*$' "/proc/${AGENT[$1]}/status"
}

# It is told to end while most of a report waits for its reader: that one is finished, and the last one follows.
once_slow_reader_at_the_end() {
	local header

	topology_flood
	mkfifo "$WORK/pipe"
	exec 7<>"$WORK/pipe"
	start_agent host -o "$WORK/pipe"
	"$TOOLS/flood" host 10000 20 >/dev/null
	signal_agent host USR1
	IFS= read -r header <&7
	packets 3
	signal_agent host TERM
	wait_for 'the agent to take the signal' agent_took_signals host
	(printf '%s\n' "$header" && exec cat "$WORK/pipe") 7<&- >"$WORK/host.report" &
	exec 7<&-
	wait "${AGENT[host]}" || fail "exit status of the agent: $?" "$(cat "$WORK/host.log")"
	unset 'AGENT[host]'
	wait
	expect_equal reports 2 "$(report_count host)"
	expect_equal 'flows of both' 10001 "$(grep -c ' Bytes: ' "$WORK/host.report")"
	expect_packets 3
}

# It goes while the agent that is to end waits for it.
once_reader_goes_at_the_end() {
	local header status=0

	topology_flood
	mkfifo "$WORK/pipe"
	ip netns exec "$PREFIX-host" "$FLOWTALLY" run -t 3600 -a clsact >"$WORK/pipe" 2>"$WORK/host.log" </dev/null &
	AGENT[host]=$!
	exec 7<"$WORK/pipe"
	wait_for 'the agent' agent_log_has host 'first report'
	"$TOOLS/flood" host 10000 20 >/dev/null
	signal_agent host USR1
	IFS= read -r header <&7
	[[ $header == '# flowtally '* ]] || fail "no header: $header"
	signal_agent host TERM
	wait_for 'the agent to take the signal' agent_took_signals host
	exec 7<&-
	wait "${AGENT[host]}" || status=$?
	unset 'AGENT[host]'
	expect_equal 'exit status' 1 "$status"
	agent_log_has host 'standard output: nobody reads the reports any more' || fail "$(cat "$WORK/host.log")"
	expect_equal 'lines of the log' 2 "$(wc -l <"$WORK/host.log")"
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
	grep -qF 'removed 0 filters, 0 pins' "$WORK/cleanup.log" || fail "$(cat "$WORK/cleanup.log")"
}

# Reports go on while nobody reads the log.
once_log_is_not_read() {
	local status=0

	topology_wire
	mkfifo "$WORK/log"
	exec 7<>"$WORK/log"
	dd if=/dev/zero of="$WORK/log" oflag=nonblock bs=4k 2>/dev/null || true
	in_ns host timeout -s KILL 30 "$FLOWTALLY" run -t 1 -n 2 >"$WORK/host.report" 2>"$WORK/log" || status=$?
	exec 7<&-
	expect_equal 'exit status' 0 "$status"
	expect_equal reports 2 "$(report_count host)"
}

# Reports are asked for faster than they are made: it is told to end all the same.
once_signals_without_end() {
	local before after

	topology_wire
	start_agent host
	packets 3
	for _ in 1 2; do
		(
			trap - EXIT
			while kill -USR1 "${AGENT[host]}" 2>/dev/null; do :; done
		) &
	done
	wait_for reports has_reports host 5
	before=$(report_count host)
	signal_agent host TERM
	wait_for 'the end of the agent' has_died host
	wait "${AGENT[host]}" || fail "exit status of the agent: $?"
	unset 'AGENT[host]'
	wait
	after=$(report_count host)
	((after - before <= 10)) || fail "it wrote $((after - before)) reports more"
	expect_equal 'bytes of all reports' $((3 * 128)) "$(sum_of_reports host)"
}
