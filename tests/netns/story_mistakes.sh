#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Every mistake is named in one line, and none is guessed at.

once_wrong_options() {
	make_ns host
	expect_status 2 '--colour' run --colour
	expect_status 2 '-z' run -z
	expect_status 2 '--interval' run --interval
	expect_status 2 '-t' run -t
	expect_status 2 'watch' watch
	expect_status 2 'eth0' run eth0
	expect_status 2 '--interval' check-config --interval 3
	expect_status 2 'blue' run --verbose=blue
	for interval in 0 -1 x 86401 1.5 '' ' 5' 99999999999999999999; do
		expect_status 2 "'$interval'" run -t "$interval"
	done
	for count in -1 x 1.5 ''; do
		expect_status 2 "'$count'" run -n "$count"
	done
	expect_status 2 "'xml'" run -f xml
	expect_status 2 "'xdp'" run -a xdp
	expect_status 2 'index:' run -i index:x
	expect_status 2 'kind:' run -x kind:
	expect_status 2 '--include' run -i ''
	expect_status 2 '--config' run -c ''
	expect_status 2 '--sort' top -s colour
}

once_wrong_configuration() {
	local config=$WORK/flowtally.conf

	make_ns host
	while IFS='|' read -r line word text; do
		printf '%b' "$text" >"$config"
		expect_status 2 "$config:$line:" check-config -c "$config"
		expect_status 2 "$word" run -c "$config"
	done <<-'EOF'
		2|colour|[report]\ncolour = red\n
		1|colours|[colours]\nred = 1\n
		3|interval|[report]\n; a comment\ninterval = 0\n
		3|interval|[report]\ninterval = 5\ninterval = 6\n
		2|format|[report]\nformat = xml\n
		2|index:|[interfaces]\ninclude = eth0 index:x\n
		2|map_entries|[flows]\nmap_entries = many\n
		2|nat|[flows]\nnat = perhaps\n
		2|mode|[attach]\nmode = xdp\n
		1|report|[report\ninterval = 5\n
	EOF
	expect_status 2 "$WORK/missing.conf" run -c "$WORK/missing.conf"
	expect_status 2 "$WORK" check-config -c "$WORK"
}

once_every_mistake_is_told() {
	local config=$WORK/flowtally.conf status=0

	make_ns host
	printf '[report]\ninterval = 0\nformat = xml\ncolour = red\n' >"$config"
	in_ns host "$FLOWTALLY" check-config -c "$config" >"$WORK/out" 2>&1 || status=$?
	expect_equal 'exit status' 2 "$status"
	expect_equal 'lines' "$config:2: $config:3: $config:4: " \
		"$(grep -oE '^[^ ]+ ' "$WORK/out" | tr -d '\n')"
	printf '[report]\ninterval = 7\n' >"$config"
	in_ns host "$FLOWTALLY" check-config -c "$config" || fail 'a good file is refused'
}

once_output_that_cannot_be_opened() {
	make_ns host
	expect_status 1 "$WORK/missing/report" run -o "$WORK/missing/report"
	expect_status 1 "$WORK" run -o "$WORK"
}

once_without_privileges() {
	local status=0

	make_ns host
	cp "$FLOWTALLY" "$WORK/flowtally"
	in_ns host setpriv --reuid=65534 --regid=65534 --clear-groups "$WORK/flowtally" run \
		>"$WORK/out" 2>"$WORK/errors" || status=$?
	expect_equal 'exit status' 1 "$status"
	expect_equal 'lines on standard output' 0 "$(wc -l <"$WORK/out")"
	expect_equal 'lines on standard error' 1 "$(wc -l <"$WORK/errors")"
	grep -q 'CAP_' "$WORK/errors" || fail "no privilege is named in: $(cat "$WORK/errors")"
}

# A second one is refused, and says whom to ask.
once_second_agent() {
	make_ns host
	start_agent host
	# more than may wait for the first one to look
	for _ in {1..11}; do
		expect_status 1 "pid ${AGENT[host]};" run
	done
	expect_status 1 "pid ${AGENT[host]};" cleanup
	stop_agent host
}

# Anybody may take the name, but not keep it a secret.
once_name_taken_by_a_stranger() {
	local stranger

	make_ns host
	cp "$TOOLS/control" "$WORK/control"
	ip netns exec "$PREFIX-host" setpriv --reuid=65534 --regid=65534 --clear-groups "$WORK/control" squat \
		>"$WORK/squatter" 2>&1 </dev/null &
	stranger=$!
	wait_for 'the stranger' grep -q ready "$WORK/squatter"
	expect_status 1 "user 65534 (pid $stranger)" run
	kill "$stranger"
	wait "$stranger" || true
	start_agent host
	stop_agent host
}

# The one who took it is dead; a child of it, as of an agent that is killed while it forks, has it a little longer.
once_name_held_after_a_death() {
	make_ns host
	in_ns host "$TOOLS/control" bequeath </dev/null
	start_agent host
	stop_agent host
}

# It may be misspelt, or come later.
once_interface_that_is_not_there() {
	make_ns host peer
	start_agent host -v -i v0 -i 'w*' -i kind:bridge -i lo -i index:4000
	expect_equal 'warnings' "include 'v0' include 'index:4000'" \
		"$(grep -oE "include '[^']*'" "$WORK/host.log" | paste -sd ' ')"
	wire host v0 peer v1
	wait_for_log host 'v0: attached'
	stray 10 peer v1
	signal_agent host HUP
	wait_for_log host 'read again'
	expect_equal 'warnings of v0' 1 "$(agent_log_count host "include 'v0'")"
	stop_agent host
	expect_report host 10 "$STRAY Bytes: 1280"
}

once_help_and_version() {
	make_ns host
	in_ns host "$FLOWTALLY" --help 2>"$WORK/errors" | grep -q -- '--interval'
	in_ns host "$FLOWTALLY" --version 2>>"$WORK/errors" | grep -qE '^flowtally [0-9.]+$'
	expect_equal 'standard error' '' "$(cat "$WORK/errors")"
	! in_ns host "$FLOWTALLY" --help >/dev/full 2>"$WORK/errors" || fail 'it says that help was printed'
	expect_equal 'standard error' 'flowtally: standard output: No space left on device' "$(cat "$WORK/errors")"
	# and the prompt below it
	[[ $(in_ns host "$FLOWTALLY" --help | wc -l) -le 23 ]] || fail 'help does not fit a screen'
	[[ $(in_ns host "$FLOWTALLY" --help | wc -L) -le 80 ]] || fail 'help is too wide'
}
