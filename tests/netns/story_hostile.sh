#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Names and outputs that nobody should have, and that somebody will.

# The kernel takes all but '/', ':', '%' and blanks, 15 bytes of it. SHOWN is what lines of text say of each.
# shellcheck disable=SC1003,SC2016
NAMES=(
	$'\e[2J\e[31mred'
	$'\e]0;x\a'
	'"}],"a",{"b\'
	$'\xff\xfe\xc3'
	'{}[],'
	$'\xc2\x9b2J'
	$'\xe2\x80\xae\xd8\x9ckcab'
	$'\xe3\x80\x80wide'
	$'\xf0\x9f\x90\xa7\xc3\xa4'
	$'\x01\x08\x7f'
	'$(reboot)`id`'
	"';drop--<b>&"
	'#'
	'-x'
	'*'
)
# shellcheck disable=SC1003,SC2016
SHOWN=(
	'\x1B[2J\x1B[31mred'
	'\x1B]0;x\x07'
	'"}],"a",{"b\x5C'
	'\xFF\xFE\xC3'
	'{}[],'
	'\xC2\x9B2J'
	'\xE2\x80\xAE\xD8\x9Ckcab'
	'\xE3\x80\x80wide'
	$'\xf0\x9f\x90\xa7\xc3\xa4'
	'\x01\x08\x7F'
	'$(reboot)`id`'
	"';drop--<b>&"
	'#'
	'-x'
	'*'
)

# host NAME --- eN peer, for each of them
topology_hostile() {
	local i

	make_ns host peer
	for ((i = 0; i < ${#NAMES[@]}; i++)); do
		ip_in peer link add "e$i" type veth peer name new netns "$PREFIX-host"
		ip_in host link set dev new addrgenmode none
		ip_in host link set dev new name "${NAMES[i]}"
		ip_in host link set dev "${NAMES[i]}" up
		ip_in peer link set dev "e$i" addrgenmode none up
	done
}

# A flow, and a frame of none, over each: what is not IP is told with the name of its interface.
cross_all() {
	local i

	for ((i = 0; i < ${#NAMES[@]}; i++)); do
		stray 2 peer "e$i"
		frames peer "e$i" "$(ethernet 88b5 "$(zeros 46)")"
	done
}

# Nothing in FILE steers a terminal or is no UTF-8.
expect_harmless() { # FILE
	if LC_ALL=C grep -n -P '[\x00-\x08\x0b-\x1f\x7f]' "$1" >"$WORK/harmful" ||
		LC_ALL=C grep -n -P '\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]' \
			"$1" >"$WORK/harmful"; then
		fail "$1 steers the terminal:" "$(cat -v "$WORK/harmful")"
	fi
	iconv -f UTF-8 -t UTF-32 "$1" >/dev/null || fail "$1 is no UTF-8"
}

# Each of them is there, as SHOWN: what sed makes of the lines that match.
expect_shown() { # FILE REGEX SED-EXPRESSION
	expect_equal "names in ${1##*/}" "$(printf '%s\n' "${SHOWN[@]}" | LC_ALL=C sort)" \
		"$(sed -nE "/$2/$3" "$1" | LC_ALL=C sort)"
}

hostile_report() { # FORMAT
	start_agent host -f "$1" -v -x lo
	cross_all
	stop_agent host
	mv "$WORK/host.report" "$WORK/$1"
	expect_harmless "$WORK/host.log"
	expect_equal "lines about attaching with -f $1" "${#NAMES[@]}" \
		"$(agent_log_count host ': attached with ')"
}

once_hostile_names_in_reports() {
	local i

	topology_hostile
	hostile_report text
	expect_harmless "$WORK/text"
	expect_equal 'lines' $((2 + ${#NAMES[@]})) "$(wc -l <"$WORK/text")"
	expect_shown "$WORK/text" '^# unattributed' 's/^# unattributed interface=(.*) reason=.*/\1/p'
	expect_equal 'the flow' "$STRAY Bytes: $((2 * 128 * ${#NAMES[@]}))" "$(sed -n 2p "$WORK/text")"

	hostile_report table
	expect_harmless "$WORK/table"
	for ((i = 0; i < ${#SHOWN[@]}; i++)); do
		grep -qF -- "${SHOWN[i]}" "$WORK/table" || fail "${SHOWN[i]} is not in the table:" "$(cat "$WORK/table")"
	done

	hostile_report json
	expect_harmless "$WORK/json"
	expect_equal 'objects' $'report\nflow' "$(jq -r .event.action "$WORK/json")"
	# what is no UTF-8 is U+FFFD, the rest comes back as it is
	expect_equal 'names in JSON' \
		"$(printf '%s\n' "${NAMES[@]/#$'\xff\xfe\xc3'/$'\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd'}" | LC_ALL=C sort)" \
		"$(jq -r 'select(.event.action == "flow") | .flowtally.interfaces[]' "$WORK/json" | LC_ALL=C sort)"
}

once_hostile_names_in_views() {
	local view in_reports=("${SHOWN[@]}")

	topology_hostile
	printf '[metrics]\nlisten = %s\n' "$LISTEN" >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf" -x lo
	cross_all
	# they come as JSON, where what is no UTF-8 is U+FFFD
	SHOWN=("${SHOWN[@]/#'\xFF\xFE\xC3'/$'\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd'}")
	for view in interfaces status 'top -n 1' 'top -n 1 interface:*'; do
		# shellcheck disable=SC2086
		in_ns host timeout $((30 * PATIENCE)) "$FLOWTALLY" $view >"$WORK/view" </dev/null ||
			fail "flowtally $view fails"
		expect_harmless "$WORK/view"
		[[ $view != interfaces ]] ||
			expect_shown "$WORK/view" ' veth ' 's/^ *[0-9]+  (.*[^ ]) +veth .*/\1/p'
	done
	for view in interfaces status; do
		in_ns host timeout $((30 * PATIENCE)) "$FLOWTALLY" "$view" --json >"$WORK/view" </dev/null
		expect_harmless "$WORK/view"
		jq -e . "$WORK/view" >/dev/null || fail "$view --json is no JSON"
	done
	report_now host
	http 'GET /metrics HTTP/1.1' | tr -d '\r' >"$WORK/metrics"
	expect_harmless "$WORK/metrics"
	SHOWN=("${in_reports[@]//\\/\\\\}")
	SHOWN=("${SHOWN[@]//\"/\\\"}")
	sed -i '/interface="\/gone"/d' "$WORK/metrics"
	expect_shown "$WORK/metrics" '^flowtally_interface_packets_total.*receive' \
		's/.*interface="(.*)",direction=.*/\1/p'
	stop_agent host
	expect_harmless "$WORK/host.log"
}

# Patterns and filters take them as any other name.
once_hostile_names_are_matched() {
	local i

	topology_hostile
	for ((i = 0; i < ${#NAMES[@]}; i++)); do
		stray 1 peer "e$i"
	done
	start_agent host -i '*reboot*' -i $'\xff*' -i '[{]*'
	expect_equal 'interfaces' 3 "$(in_ns host "$FLOWTALLY" status --json | jq .interfaces.monitored)"
	cross_all
	stop_agent host
	expect_equal 'of them in the report' 3 "$(last_report host | grep -c '^# unattributed')"
}

# Reports go where the configuration says, so that SIGHUP can change it.
write_output() { # PATH
	printf '[report]\noutput = %s\n' "$1" >"$WORK/flowtally.conf"
}

start_agent_writing_to() { # PATH
	write_output "$1"
	ip netns exec "$PREFIX-host" "$FLOWTALLY" run -t 3600 -c "$WORK/flowtally.conf" -a "$ATTACH" \
		2>>"$WORK/host.log" </dev/null &
	# shellcheck disable=SC2034,SC2154
	AGENT[host]=$!
	wait_for 'the agent' agent_is_decided host
}

# Neither starts with it, nor lets it take the place of an output that works.
once_output_that_cannot_be_used() {
	local output

	topology_wire
	mkfifo "$WORK/pipe"
	expect_status 1 'nobody reads' run -o "$WORK/pipe"
	expect_status 1 'is a directory' run -o "$WORK"
	start_agent_writing_to "$WORK/host.report"
	for output in "$WORK/pipe" "$WORK" "$WORK/missing/report"; do
		write_output "$output"
		signal_agent host HUP
		wait_for_log host "$output: cannot be opened"
	done
	stray 10 peer v1
	stop_agent host
	expect_report host 10 "$STRAY Bytes: 1280"
}

# What a device did not take is in the first report that a file takes.
once_output_to_devices() {
	topology_wire
	start_agent_writing_to /dev/full
	stray 10 peer v1
	signal_agent host USR1
	wait_for_log host '/dev/full: cannot write the report: No space left on device'
	stray 5 peer v1
	write_output "$WORK/host.report"
	signal_agent host HUP
	wait_for_log host 'configuration is read again'
	report_now host
	expect_report host 15 "$STRAY Bytes: 1920"

	# that one takes all and keeps nothing, as asked
	write_output /dev/null
	signal_agent host HUP
	wait_for_log host 'configuration is read again' 1
	stray 1 peer v1
	signal_agent host USR1
	stop_agent host
	expect_equal 'reports' 1 "$(report_count host)"
}

once_hostile_configuration_is_checked() {
	make_ns host
	printf '[repo\xc2\x9drt]\nexclude = [\x1b]2;x\n[\xe2\x80\xae]\nx = 1\n' >"$WORK/hostile.conf"
	! in_ns host "$FLOWTALLY" check-config -c "$WORK/hostile.conf" >"$WORK/checked" 2>&1 ||
		fail 'it is taken for a good one'
	expect_harmless "$WORK/checked"
	[[ $(wc -l <"$WORK/checked") -ge 2 ]] || fail 'no mistake is told of' "$(cat "$WORK/checked")"
}
