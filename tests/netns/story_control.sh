#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Asking a running agent: what it answers, to whom, and that nobody keeps it from counting.

# The answer of `flowtally ARGUMENTS` in NS, its exit status in STATUS.
ask() { # NS ARGUMENTS...
	local ns=$1

	shift
	STATUS=0
	in_ns "$ns" timeout $((30 * PATIENCE)) "$FLOWTALLY" "$@" >"$WORK/answer" 2>"$WORK/errors" </dev/null ||
		STATUS=$?
}

expect_answer() { # WHAT JQ-FILTER EXPECTED
	expect_equal "$1" "$3" "$(jq -r "$2" "$WORK/answer")"
}

# One line with TEXT on standard error.
expect_error() { # STATUS TEXT
	expect_equal 'exit status' "$1" "$STATUS"
	expect_equal 'standard output' '' "$(cat "$WORK/answer")"
	if [[ $(wc -l <"$WORK/errors") -ne 1 ]] || ! grep -qF -- "$2" "$WORK/errors"; then
		fail "expected one line with '$2', got:" "$(cat "$WORK/errors")"
	fi
}

# A request as it stands, on the socket of the first agent.
expect_reply() { # REQUEST JQ-CONDITION
	printf '%s\n' "$1" | "$TOOLS/control" ask "$RUNTIME_DIRECTORY/control.sock" >"$WORK/answer"
	[[ $(jq "$2" "$WORK/answer") == true ]] ||
		fail "answer to ${1:0:80}:" "$(cat "$WORK/answer")"
}

story_status() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host
	stray 10 peer v1
	ask host status --json
	expect_equal 'exit status' 0 "$STATUS"
	expect_answer 'health' '.health' healthy
	expect_answer 'problems' '.problems | length' 0
	expect_answer 'pid' '.pid' "${AGENT[host]}"
	! grep -E '[0-9]{13}\b' "$WORK/answer" || fail 'digits that mean nothing'
	expect_answer 'interfaces' '"\(.interfaces.monitored) \(.interfaces.present)"' '2 2'
	expect_answer 'the running interval' \
		'.interval | "\(.flows) \(.network.bytes) \(.network.packets)"' '1 1280 10'
	expect_answer 'reports' '.totals.reports' 0
	expect_answer 'attached' ".attach.$ATTACH" 2
	expect_answer 'output' '.output | "\(.name) \(.broken)"' "$WORK/host.report false"
	expect_answer 'own cost' '.cost.cpu.user >= 0 and .cost.memory.resident > 0 and
		.cost.memory.kernel > 0' true
	report_now host
	ask host status --json
	expect_answer 'totals' '.totals | "\(.reports) \(.flows) \(.network.bytes)"' '1 1 1280'
	expect_answer 'the next interval' '.interval.flows' 0
	ask host status
	expect_equal 'exit status' 0 "$STATUS"
	head -n 1 "$WORK/answer" | grep -q "pid ${AGENT[host]}, up .*: healthy" ||
		fail "status says:" "$(cat "$WORK/answer")"
	stop_agent host
	# what was looked at was not disturbed
	expect_report host 0
}

# Looking again and again while packets come takes nothing away from the report.
story_looking_disturbs_nothing() {
	local i

	make_ns host peer
	wire host v0 peer v1
	start_agent host
	for ((i = 0; i < 20; i++)); do
		stray 50 peer v1
		ask host status --json
		expect_equal 'exit status' 0 "$STATUS"
	done
	stop_agent host
	expect_report host 1000 "$STRAY Bytes: 128000"
}

story_interfaces() {
	local hostile=$'e\x1b[2J\xff"'

	make_ns host peer
	wire host v0 peer v1
	ip_in host link add br0 type bridge
	ip_in host link add "$hostile" type veth peer name other
	start_agent host -i 'v*' -i lo -i kind:bridge -x kind:bridge
	stray 10 peer v1
	frames peer v1 "$(ethernet 88b5 "$(zeros 46)")"
	ask host interfaces --json
	expect_equal 'exit status' 0 "$STATUS"
	expect_answer 'states' '[.interfaces[] | "\(.name) \(.kind) \(.state)"] | sort | .[]' \
		"$(printf '%s\n' "br0 bridge excluded" $'e\x1b[2J\xef\xbf\xbd" veth not_included' \
			'lo loopback monitored' 'other veth not_included' 'v0 veth monitored')"
	expect_answer 'reasons' '[.interfaces[] | .reason // empty] | unique | .[]' \
		"$(printf '%s\n' 'excluded by kind:bridge' 'included by no pattern')"
	expect_answer 'order' '[.interfaces[].index] == ([.interfaces[].index] | sort)' true
	expect_answer 'v0 now' '.interfaces[] | select(.name == "v0") | .interval |
		"\(.flows) \(.in.bytes) \(.in.packets) \(.out.bytes)"' '1 1280 10 0'
	expect_answer 'v0 attached' '.interfaces[] | select(.name == "v0") | .attach |
		"\(.mode) \(.ingress.position)/\(.ingress.count) \(.egress.position)/\(.egress.count)"' \
		"$ATTACH 1/1 1/1"
	expect_answer 'v0 unattributed' '.interfaces[] | select(.name == "v0") |
		.total.unattributed.non_ip.packets' 1
	report_now host
	stray 5 peer v1
	ask host interfaces --json
	expect_answer 'v0 in all' '.interfaces[] | select(.name == "v0") |
		"\(.interval.in.packets) \(.total.in.packets) \(.total.unattributed.non_ip.packets)"' \
		'5 15 1'
	ask host interfaces
	expect_equal 'exit status' 0 "$STATUS"
	grep -qE "^ *[0-9]+  v0 +veth +$ATTACH 1/1 1/1 +1 +640 B +0 B +1 % +1.9 KiB +0 B +100 % +non_ip 46 B\$" \
		"$WORK/answer" || fail 'interfaces says:' "$(cat "$WORK/answer")"
	grep -q 'excluded by kind:bridge' "$WORK/answer" || fail 'no word of the exclusion'
	[[ $(tr -d -c '\033' <"$WORK/answer" | wc -c) -eq 0 ]] || fail 'a name steers the terminal'
	stop_agent host
}

# Where in the chain it runs: first at ingress, last at egress.
story_place_in_the_chain() {
	local hook

	make_ns host peer
	wire host v0 peer v1
	if [[ $ATTACH == tcx ]]; then
		for hook in ingress egress; do
			ip netns exec "$PREFIX-host" "$TOOLS/tcx_load" v0 "$hook" "$TOOLS/count.bpf.o" \
				>"$WORK/$hook" 2>&1 </dev/null &
			wait_for 'the neighbour' grep -q attached "$WORK/$hook"
		done
	else
		tc_in host qdisc add dev v0 clsact
		for hook in ingress egress; do
			tc_in host filter add dev v0 "$hook" pref 10 bpf da obj "$TOOLS/count.bpf.o" sec tc
		done
	fi
	start_agent host
	ask host interfaces --json
	expect_answer 'places' '.interfaces[] | select(.name == "v0") | .attach |
		"\(.ingress.position)/\(.ingress.count) \(.egress.position)/\(.egress.count)"' '1/2 2/2'
	stop_agent host
}

# One that cannot be attached to is told with the reason, and in the exit status.
once_degraded_by_an_interface() {
	make_ns host peer
	wire host v0 peer v1
	tc_in host qdisc add dev v0 ingress
	ATTACH=clsact
	start_agent host
	ask host interfaces --json
	expect_equal 'exit status' 3 "$STATUS"
	expect_answer 'state' '.interfaces[] | select(.name == "v0") | .state' failed
	ask host status --json
	expect_equal 'exit status' 3 "$STATUS"
	expect_answer 'the problem' '.problems[0] | startswith("v0: cannot attach: ")' true
	stop_agent host
}

# The flows of the running interval; no terminal, so it is said once, as text.
story_top() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host
	stray 10 peer v1
	frames peer v1 "$(ethernet 0800 "$(ipv4 10.9.0.2 10.9.0.3 6 "$(zeros 20)")")"
	ask host top
	expect_equal 'exit status' 0 "$STATUS"
	expect_equal 'lines' 4 "$(wc -l <"$WORK/answer")"
	head -n 1 "$WORK/answer" | grep -qE '^2 flows by bytes; now .* 1.3 KiB in 11 packets, [0-9.]+ s since ' ||
		fail 'top says:' "$(cat "$WORK/answer")"
	sed -n 3p "$WORK/answer" |
		grep -qE "^udp +${STRAY% - *} +${STRAY#* - } .* 1.2 KiB +10 +##########  v0\$" ||
		fail 'top says:' "$(cat "$WORK/answer")"
	ask host top -n 2 proto:tcp
	expect_equal 'exit status' 0 "$STATUS"
	expect_equal 'pictures' 2 "$(grep -c '^tcp ' "$WORK/answer")"
	expect_equal 'others' 0 "$(grep -c '^udp ' "$WORK/answer" || true)"
	ask host top --names port:5001 net:10.9.0.0/24 interface:v0
	expect_equal 'flows' 1 "$(grep -c '^udp ' "$WORK/answer")"
	# the terms of the configuration's filters, all of them
	ask host top 'port:1-5000 proto:udp' or net:10.9.0.3 net:192.0.2.0/24
	expect_equal 'exit status' 0 "$STATUS"
	expect_equal 'what the second choice selects' 1 "$(grep -c '^tcp ' "$WORK/answer")"
	expect_equal 'flows' 3 "$(wc -l <"$WORK/answer")"
	stop_agent host
	ask host top
	expect_error 4 'no flowtally runs'
}

# What reports leave out can be looked at all the same.
once_hidden_flows_in_top() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host --ignore proto:udp
	stray 3 peer v1
	frames peer v1 "$(ethernet 0800 "$(ipv4 10.9.0.2 10.9.0.3 6 "$(zeros 20)")")"
	ask host top -n 1 proto:udp
	grep -qE '^1 flows? by bytes; .* 384 B in 3 packets' "$WORK/answer" ||
		fail 'top says:' "$(cat "$WORK/answer")"
	ask host status --json
	expect_answer 'the interval' '"\(.interval.flows) \(.interval.network.packets)"' '2 4'
	stop_agent host
	expect_report host 1 '10.9.0.2:0 - 10.9.0.3:0 Bytes: 40' '# filtered flows=1 bytes=384 packets=3'
}

# The right ends' ports of all flows, in the order that the agent gave them.
top_sorted_by() { # WHAT
	ask host top -s "$1"
	awk 'NR > 2 { sub(/.*:/, "", $3); print $3 }' "$WORK/answer" | paste -sd ' '
}

once_top_sorted() {
	local limit

	topology_wire
	start_agent host
	udp -n 2 -s 1000 peer 10.1.0.2:40000 host 10.1.0.1:5001
	udp -n 10 -s 10 peer 10.1.0.2:40001 host 10.1.0.1:5002
	udp -n 4 -s 300 -r 4 peer 10.1.0.2:40002 host 10.1.0.1:5003
	expect_equal 'by bytes' '5003 5001 5002' "$(top_sorted_by bytes)"
	expect_equal 'by packets' '5002 5003 5001' "$(top_sorted_by packets)"
	expect_equal 'by what the left end sent' '5001 5003 5002' "$(top_sorted_by sent)"
	# equal ones as in a report
	expect_equal 'by what it received' '5003 5001 5002' "$(top_sorted_by received)"
	# those that are left out are told of
	for limit in 1 2 3; do
		expect_reply '{"request":"flows","sort":"packets","limit":'"$limit}" '
			([.flows[].destination.port] == [5002, 5003, 5001][:'"$limit"']) and .matched == 3'
	done
	stop_agent host
}

once_wrong_top() {
	make_ns host
	expect_status 2 "'colour'" top -s colour
	expect_status 2 "'colour'" top colour
	expect_status 2 "filter: 'net:1.2.3': net: wants an IPv4 or IPv6 address" top net:1.2.3
	expect_status 2 "filter: 'net:10.1.2.3/8': net: the address has bits set" top net:10.1.2.3/8
	expect_status 2 "filter: 'port:65536': port: wants N or N-M" top port:65536
	expect_status 2 "filter: 'or' at the end; see flowtally --help" top port:80 or
	expect_status 2 '--json' top --json
	expect_status 2 "'-1'" top -n -1
	expect_status 2 '--interval' status -t 5
	expect_status 2 "'eth0'" interfaces eth0
}

# Types KEYS into top when SEEN is on its terminal, and so on. What stays where it was is not written there again.
# exec, as a shell that waits for its command ends by the ^C that was for the command (dash; bash does not).
on_terminal() { # SEEN KEYS...
	STATUS=0
	: >"$WORK/typed"
	while (($#)); do
		wait_for "'$1' on the terminal" grep -qaF -- "$1" "$WORK/typed" >&2
		printf '%s' "$2"
		shift 2
	done | TERM=xterm in_ns host timeout $((20 * PATIENCE)) script -qefc "exec $FLOWTALLY top" "$WORK/typed" \
		>"$WORK/answer" 2>&1 || STATUS=$?
}

# A terminal that can do nothing, one that is nobody's, and one that can.
once_top_on_terminals() {
	local term name=''

	make_ns host peer
	wire host v0 peer v1
	start_agent host
	stray 10 peer v1
	frames peer v1 "$(ethernet 0800 "$(ipv4 10.9.0.2 10.9.0.1 17 "$(udp_payload 40000 53 100)")")"
	for term in dumb unknown-terminal ''; do
		STATUS=0
		TERM=$term in_ns host timeout $((20 * PATIENCE)) script -qec "exec $FLOWTALLY top" "$WORK/typed" \
			>"$WORK/answer" 2>&1 </dev/null || STATUS=$?
		expect_equal "exit status with TERM=$term" 0 "$STATUS"
		grep -q '^udp ' "$WORK/answer" || fail "TERM=$term:" "$(cat "$WORK/answer")"
	done
	! grep -qsE '^domain\s+53/udp' /etc/services || name=domain
	on_terminal "${STRAY% - *}" s 'packets;' n "$name" i INDEX i PROTO $'/proto:udp\n' '/ filter: proto:udp' q
	expect_equal 'exit status with TERM=xterm' 0 "$STATUS"
	on_terminal "${STRAY% - *}" $'/port\003'
	expect_equal 'exit status after ^C' 0 "$STATUS"
	stop_agent host
}

# A live view in the background, which shows the stray flow; what is written to descriptor KEYS is typed.
begin_top() {
	mkfifo "$WORK/keys"
	: >"$WORK/typed"
	# not by in_ns(): $! is to be the one that ends
	TERM=xterm ip netns exec "$PREFIX-host" script -qefc "exec $FLOWTALLY top" "$WORK/typed" \
		<"$WORK/keys" >"$WORK/answer" 2>&1 &
	TOP=$!
	exec {KEYS}>"$WORK/keys"
	wait_for 'the picture' grep -qF "${STRAY% - *}" "$WORK/typed"
}

# Within a few seconds, as if nothing had happened.
expect_end_of_top() {
	local status=0

	PATIENCE_S=6 wait_for 'the end of top' has_ended "$TOP"
	wait "$TOP" || status=$?
	expect_equal 'exit status of top' 0 "$status"
	exec {KEYS}>&-
}

# For seconds there is no agent, and then another one, whose picture comes.
restart_under_top() {
	stray 10 peer v1
	begin_top
	signal_agent host USR2
	wait "${AGENT[host]}"
	sleep 2.5
	start_agent host
	frames peer v1 "$(ethernet 0800 "$(ipv4 10.9.0.2 10.9.0.77 6 "$(zeros 20)")")"
	wait_for 'what the other agent counts' grep -qF '10.9.0.77:0' "$WORK/typed"
	printf q >&"$KEYS"
	expect_end_of_top
	stop_agent host
}

once_top_while_the_agent_is_restarted() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host
	restart_under_top
}

# Another network namespace's agent has the name that is tried when ours is gone.
once_top_beside_an_agent_of_another_namespace() {
	make_ns host peer
	wire host v0 peer v1
	start_agent peer
	start_agent host
	restart_under_top
	stop_agent peer
}

# ^C is heard while no answer comes.
once_top_interrupted_while_the_agent_is_slow() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host
	stray 10 peer v1
	begin_top
	signal_agent host STOP
	# until it has asked
	sleep 1.5
	printf '\003' >&"$KEYS"
	expect_end_of_top
	signal_agent host CONT
	stop_agent host
}

once_report_and_reload_on_request() {
	make_ns host peer
	wire host v0 peer v1
	printf '[interfaces]\nexclude = lo\n' >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	stray 10 peer v1
	expect_reply '{"request":"report"}' '.done == "report"'
	expect_report host 10 "$STRAY Bytes: 1280"
	printf '[interfaces]\nexclude = lo v0\n' >"$WORK/flowtally.conf"
	expect_reply '{"request":"reload"}' '.done == "reload"'
	wait_for 'v0 to be let go' leaves_alone host v0
	printf '[interfaces]\ncolour = red\n' >"$WORK/flowtally.conf"
	expect_reply '{"request":"reload"}' '.error | contains("not changed")'
	agent_log_has host "$WORK/flowtally.conf:2:" || fail 'the mistake is not in the log'
	expect_reply '{"request":"flows","limit":1001}' '.error | contains("1 to 1000")'
	expect_reply '{"request":"flows","filter":"port:99999"}' '.error | contains("port: wants N or N-M")'
	expect_reply '{"request":"flows","filter":"port:1-5000 or net:10.9.0.2"}' '.matched == 0'
	stop_agent host
}

leaves_alone() { # NS DEV
	ask "$1" interfaces --json
	[[ $(jq -r --arg name "$2" '.interfaces[] | select(.name == $name) | .state' \
		"$WORK/answer") == excluded ]]
}

once_nobody_to_ask() {
	make_ns host peer
	ask host status
	expect_error 4 'no flowtally runs in this network namespace'
	start_agent host
	ask peer status
	expect_error 4 'no flowtally runs in this network namespace'
	kill_agent host
	ask host status
	expect_error 4 'no flowtally runs in this network namespace'
	# what it left is replaced, and taken away at the end
	start_agent host
	ask host status
	expect_equal 'exit status' 0 "$STATUS"
	stop_agent host
	expect_equal 'what is left' '' "$(ls -A "$RUNTIME_DIRECTORY")"
}

# The socket has a name that nobody asks for as long as it is not complete.
once_killed_before_there_is_a_socket() {
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	make_ns host
	dies_starting host '?link,?linkat' 1 || fail 'it starts'
	[[ $(ls -A "$RUNTIME_DIRECTORY") ]] || fail 'it does not die with a name of its own'
	start_agent host
	stop_agent host
	expect_equal 'what is left after the next one' '' "$(ls -A "$RUNTIME_DIRECTORY")"
	dies_starting host '?link,?linkat' 1 || fail 'it starts'
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
	expect_equal 'what is left after cleanup' '' "$(ls -A "$RUNTIME_DIRECTORY")"
}

# Each client finds the agent of its own namespace.
once_an_agent_in_each_namespace() {
	make_ns host peer
	start_agent host
	start_agent peer
	expect_equal 'sockets' 2 "$(find "$RUNTIME_DIRECTORY" -type s | wc -l)"
	for ns in host peer; do
		ask "$ns" status --json
		expect_answer "pid of the agent in $ns" '.pid' "${AGENT[$ns]}"
	done
	stop_agent host
	ask host status
	expect_error 4 'no flowtally runs'
	ask peer status --json
	expect_answer 'pid' '.pid' "${AGENT[peer]}"
	stop_agent peer
}

once_other_users_may_not_ask() {
	make_ns host
	start_agent host
	expect_equal 'the directory' '755 root' "$(stat -c '%a %U' "$RUNTIME_DIRECTORY")"
	expect_equal 'the socket' '660 root' "$(stat -c '%a %U' "$RUNTIME_DIRECTORY/control.sock")"
	cp "$FLOWTALLY" "$WORK/flowtally"
	FLOWTALLY="setpriv --reuid=65534 --regid=65534 --clear-groups $WORK/flowtally"
	STATUS=0
	# shellcheck disable=SC2086
	in_ns host $FLOWTALLY status >"$WORK/answer" 2>"$WORK/errors" || STATUS=$?
	expect_error 1 'permission denied'
	stop_agent host
}

# Something else stands where the socket should be: it stays, and the agent counts all the same.
once_place_is_taken() {
	make_ns host peer
	wire host v0 peer v1
	mkdir "$RUNTIME_DIRECTORY"
	ln -s "$WORK/precious" "$RUNTIME_DIRECTORY/control.sock"
	start_agent host
	agent_log_has host "$RUNTIME_DIRECTORY/control.sock: is there and is no socket" ||
		fail 'nothing is said of it'
	stray 10 peer v1
	stop_agent host
	expect_report host 10 "$STRAY Bytes: 1280"
	expect_equal 'the link' "$WORK/precious" "$(readlink "$RUNTIME_DIRECTORY/control.sock")"
	[[ ! -e $WORK/precious ]] || fail 'the link was followed'
}

# Clients that never read, that send rubbish, that send too much, and more than there is room for.
once_clients_of_all_manners() {
	make_ns host peer
	wire host v0 peer v1
	start_agent host
	ip netns exec "$PREFIX-peer" "$TOOLS/control" crowd "$RUNTIME_DIRECTORY/control.sock" 150 \
		>"$WORK/crowd" 2>&1 </dev/null &
	CROWD=$!
	wait_for 'the crowd' grep -q ready "$WORK/crowd"
	stray 100 peer v1
	report_now host
	expect_report host 100 "$STRAY Bytes: 12800"
	# those who sit there are sent away in time
	ask host status --json
	expect_equal 'exit status' 0 "$STATUS"
	kill "$CROWD"
	stray 100 peer v1
	stop_agent host
	expect_report host 100 "$STRAY Bytes: 12800"
}

once_requests_on_the_socket() {
	make_ns host
	start_agent host
	expect_reply '{"request":"status"}' '.health == "healthy"'
	expect_reply '{"request":"nonsense"}' '.error | contains("not known")'
	expect_reply 'nonsense' '.error | contains("JSON")'
	expect_reply "$(printf '%01048576d' 0)" '.error | contains("4096")'
	stop_agent host
}

# Another program has the socket's path.
once_no_agent_on_the_socket() {
	local answer

	make_ns host
	mkdir "$RUNTIME_DIRECTORY"
	for answer in 'HTTP/1.1 400 Bad Request' '[1,2]' '{"health":"healthy"}' ''; do
		rm -f "$RUNTIME_DIRECTORY/control.sock"
		ip netns exec "$PREFIX-host" "$TOOLS/control" answer "$RUNTIME_DIRECTORY/control.sock" "$answer" \
			>/dev/null 2>&1 </dev/null &
		wait_for 'the other program' test -S "$RUNTIME_DIRECTORY/control.sock"
		ask host status
		expect_error 1 "$RUNTIME_DIRECTORY/control.sock: "
		wait
	done
}

# What goes wrong is in the exit status.
once_degraded() {
	make_ns host peer
	wire host v0 peer v1
	mkdir "$WORK/full"
	mount -t tmpfs -o size=4k none "$WORK/full"
	start_agent host -o "$WORK/full/report"
	dd if=/dev/zero of="$WORK/full/rest" bs=4k count=1 2>/dev/null || true
	signal_agent host USR1
	wait_for_log host 'cannot write the report'
	ask host status --json
	expect_equal 'exit status' 3 "$STATUS"
	expect_answer 'health' '.health' degraded
	expect_answer 'output' '.output.broken' true
	expect_answer 'the problem' '.problems[0]' \
		"$WORK/full/report: cannot write reports: No space left on device"
	rm "$WORK/full/rest"
	signal_agent host USR1
	wait_for_log host 'reports are written again'
	ask host status
	expect_equal 'exit status' 0 "$STATUS"
	stop_agent host
	umount "$WORK/full"
}

once_degraded_by_a_full_map() {
	topology_flood
	printf '[flows]\nmap_entries = 1\n' >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	signal_agent host STOP
	# more than the CPUs keep by themselves
	"$TOOLS/flood" host 20000 0 >/dev/null
	signal_agent host CONT
	ask host status --json
	expect_equal 'exit status' 3 "$STATUS"
	expect_answer 'the problem' '.problems[0] | contains("map_entries")' true
	stop_agent host
}
