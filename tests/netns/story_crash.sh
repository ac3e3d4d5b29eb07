#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# An agent that dies without notice: counting goes on without it, and the next one adds up all of it once.

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
	# not what others in other namespaces left, but it is told that there is some
	in_ns peer "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
	grep -q 'other network namespaces with pins in .*: [1-9]' "$WORK/cleanup.log" || fail 'nothing is said of others'
	! are_gone "${objects[@]}" || fail 'another namespace was cleaned up'
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
	wait_for "the end of ${objects[*]}" are_gone "${objects[@]}"
	expect_equal 'own filters' 0 "$(own_filters host v0)"
	start_agent host
	send 1
	stop_agent host
	expect_report host 1 "$(flow 1)"
}

# Its interval is over: it is reported at once, and not by a timer that was late.
once_killed_long_ago() {
	topology_wire
	start_agent host
	send 3
	kill_agent host
	sleep 2
	start_agent host -t 1
	agent_log_has host '(in 0 s)' || fail 'it waits'
	wait_for 'the report' has_reports host 0
	stop_agent host
	expect_equal 'bytes of all reports' 384 "$(sum_of_reports host)"
}

# Who may not look for pins does not say that there are none.
once_cleaned_up_without_privileges() {
	local status=0

	topology_wire
	start_agent host -i nothing
	kill_agent host
	cp "$FLOWTALLY" "$WORK/flowtally"
	in_ns host setpriv --reuid=65534 --regid=65534 --clear-groups "$WORK/flowtally" cleanup \
		>"$WORK/out" 2>&1 || status=$?
	expect_equal 'exit status' 1 "$status"
	grep -q 'needs root' "$WORK/out" || fail "it says: $(cat "$WORK/out")"
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
}

# Nobody tells what goes and comes meanwhile.
story_host_changes_while_nobody_looks() {
	topology_containers
	start_agent host -x wan
	udp -n 10 -s 100 c1 10.2.0.2:40000 c2 10.2.0.3:5001
	udp -n 10 -s 100 c1 10.2.0.2:40001 world 10.3.0.2:5001
	kill_agent host
	udp -n 10 -s 100 c1 10.2.0.2:40000 c2 10.2.0.3:5001
	ip_in host link delete p2
	make_ns c3
	wire c3 eth0 host p3
	ip_in host link set p3 master br0
	add_addresses c3 eth0 10.2.0.4/24 fd02::4/64
	make_neighbours c1 eth0 c3 eth0
	rename_link host br0 br1
	udp -n 10 -s 100 c1 10.2.0.2:40002 c3 10.2.0.4:5001
	start_agent host -x wan
	udp -n 10 -s 100 c1 10.2.0.2:40002 c3 10.2.0.4:5001
	udp -n 10 -s 100 c1 10.2.0.2:40001 world 10.3.0.2:5001
	stop_agent host
	# what p3 carried before anybody looked at it is told as its own
	expect_report host 60 \
		"10.2.0.2:40000 - 10.2.0.3:5001 Bytes: 2560" \
		"10.2.0.2:40001 - 10.3.0.2:5001 Bytes: 2560" \
		"10.2.0.2:40002 - 10.2.0.4:5001 Bytes: 2560" \
		"# unattributed interface=p3 reason=before_attach bytes=1280 packets=10"
}

story_handed_over_to_another() {
	topology_wire
	start_agent host
	send 10
	signal_agent host USR2
	wait "${AGENT[host]}" || fail 'the agent does not end well'
	expect_equal 'reports' 0 "$(report_count host)"
	send 10
	cat >"$WORK/other.conf" <<-EOF2
		[flows]
		map_entries = 1024
	EOF2
	start_agent host -c "$WORK/other.conf"
	send 10
	stop_agent host
	expect_report host 30 "$(flow 30)"
}

story_excluded_when_started_again() {
	topology_wire
	start_agent host
	send 10
	kill_agent host
	send 10
	start_agent host -x v0
	send 10
	stop_agent host
	expect_report host 20 "$(flow 20)"
	expect_equal 'own filters' 0 "$(own_filters host v0)"
}

# A start that fails leaves what it found to the next one.
story_start_fails_after_a_death() {
	topology_wire
	start_agent host
	send 10
	kill_agent host
	expect_status 1 'cannot be opened for reports' run -o "$WORK/nowhere/report"
	send 10
	start_agent host
	stop_agent host
	expect_report host 20 "$(flow 20)"
}

start_refused() { # ERROR
	local status=0

	# its first look at a pin is at the checkpoint
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 timeout "$((5 * PATIENCE))" \
		strace -D -qq -o "$WORK/strace" -e inject=bpf:error="$1":when=1 \
		ip netns exec "$PREFIX-host" "$FLOWTALLY" run -o "$WORK/host.report" 2>"$WORK/errors" || status=$?
	expect_equal "exit status of the start with $1" 1 "$status"
	grep -q 'BPF_OBJ_GET.*INJECTED' "$WORK/strace" || fail 'that was another call:' "$(grep INJECTED "$WORK/strace")"
}

# Where the output is on a damaged file system.
start_refused_its_output() {
	local status=0

	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 timeout "$((20 * PATIENCE))" \
		strace -D -qq -o "$WORK/strace" -P "$WORK/host.report" -e trace=openat -e inject=openat:error=EUCLEAN \
		ip netns exec "$PREFIX-host" "$FLOWTALLY" run -o "$WORK/host.report" 2>"$WORK/errors" || status=$?
	expect_equal 'exit status of the start without an output' 1 "$status"
	grep -q 'cannot be opened for reports' "$WORK/errors" || fail 'it says:' "$(cat "$WORK/errors")"
}

# Nor is it thrown away when it cannot be read by one who lacks memory, descriptors or privileges.
once_start_without_means_after_a_death() {
	local error

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	start_agent host
	send 10
	kill_agent host
	for error in ENOMEM EMFILE EPERM; do
		start_refused "$error"
	done
	start_refused_its_output
	send 10
	start_agent host
	stop_agent host
	expect_report host 20 "$(flow 20)"
}

# The number of the first call of NAME with PATTERN in what strace wrote.
number_of_call() { # PATTERN
	grep -nm 1 -e "$1" "$WORK/calls" | cut -d: -f1
}

# Nor are hooks let go of which it cannot take over: what passes is counted all the time.
story_start_cannot_take_over_hooks() {
	local name=sendto what=RTM_NEWTFILTER status=0 number

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	[[ $ATTACH != tcx ]] || name=bpf what='BPF_OBJ_GET.*link-[0-9]*-ingress'
	topology_wire
	start_agent host
	send 10
	# after a report all agents leave alike much, so that the next one's calls are the same
	report_now host
	kill_agent host
	# shellcheck disable=SC2016
	printf '#!/bin/sh\nASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 exec strace -D -qq -s 64 -o "%s" -e trace=%s ${INJECT:+-e inject=$INJECT} "%s" "$@"\n' \
		"$WORK/calls" "$name" "$FLOWTALLY" >"$WORK/traced"
	chmod +x "$WORK/traced"
	FLOWTALLY=$WORK/traced start_agent host
	report_now host
	kill_agent host
	number=$(number_of_call "$what")
	INJECT=$name:error=ENOMEM:when=$number in_ns host timeout $((20 * PATIENCE)) "$WORK/traced" run -t 3600 -a "$ATTACH" \
		-o "$WORK/host.report" 2>"$WORK/errors" || status=$?
	grep -q "$what.*INJECTED" "$WORK/calls" || fail 'that was another call:' "$(grep INJECTED "$WORK/calls")"
	expect_equal 'exit status' 1 "$status"
	grep -q 'cannot be read now' "$WORK/errors" || fail 'it does not say why:' "$(cat "$WORK/errors")"
	send 10
	start_agent host
	send 10
	stop_agent host
	expect_report host 20 "$(flow 20)"
	expect_equal 'own filters' 0 "$(own_filters host v0)"
}

# An interface that the lists had let go of before the agent died is the same when they take it again.
story_excluded_at_a_death() {
	topology_wire
	: >"$WORK/flowtally.conf"
	start_agent host -v -c "$WORK/flowtally.conf"
	send 10
	printf '[interfaces]\nexclude = v0\n' >"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for_log host 'v0: detached'
	kill_agent host
	start_agent host
	send 5
	stop_agent host
	expect_report host 15 "$(flow 15)"
	expect_equal 'interfaces in the report' 2 "$(header_field host interfaces)"
}

# Until $WORK/enough is there; says how many packets that were.
send_until_enough() {
	local sent=0

	until [[ -e $WORK/enough ]]; do
		send 100
		sent=$((sent + 100))
	done
	echo "$sent" >"$WORK/sent"
}

# With reports every second, the agent dies wherever it is, again and again.
story_killed_at_any_time() {
	local sender

	topology_wire
	start_agent host -t 1
	send_until_enough &
	sender=$!
	for _ in {1..8}; do
		sleep "0.$((RANDOM % 900 + 100))"
		kill_agent host
		start_agent host -t 1
	done
	touch "$WORK/enough"
	wait "$sender"
	stop_agent host
	expect_equal 'bytes of all reports' "$(($(cat "$WORK/sent") * 128))" "$(sum_of_reports host)"
}

# Fault injection: the agent is killed on its first, second, ... call until it gets through a report alive.
kill_at_each_call() { # NAME STEP
	local call=$((RANDOM % $2 + 1))

	while true; do
		two_flows 2
		SENT=$((SENT + 4))
		kill_at_system_call host "$1" "$call"
		has_died host || break
		KILLED=$((KILLED + 1))
		two_flows 1
		SENT=$((SENT + 2))
		# what the first one made of it has to serve a second one
		start_agent host
		kill_agent host
		start_agent host
		call=$((call + $2))
	done
}

# More flows than CPUs hold, so that they are in the map, also where the agent dies between what it does to swap it.
once_killed_while_a_full_map_is_swapped() {
	local step=${CRASH_STEP:-4} killed=0 sent=0 call

	call=$((RANDOM % step + 1))
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_flood
	start_agent host
	while true; do
		sent=$((sent + $("$TOOLS/flood" host 10000 200)))
		kill_at_system_call host bpf "$call"
		has_died host || break
		killed=$((killed + 1))
		start_agent host
		stop_agent host
		expect_equal "bytes of all reports, killed at call $call" $((sent * 29)) "$(sum_of_reports host)"
		start_agent host
		call=$((call + step))
	done
	((killed >= 5)) || fail "killed only $killed times"
	stop_agent host
}

story_killed_at_system_calls() {
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	SENT=0 KILLED=0
	start_agent host
	kill_at_each_call bpf "${CRASH_STEP:-5}"
	kill_at_each_call renameat "${CRASH_STEP:-1}"
	kill_at_each_call unlinkat "${CRASH_STEP:-3}"
	kill_at_each_call write 1
	kill_at_each_call pwrite64 1
	((KILLED >= 8)) || fail "killed only $KILLED times"
	stop_agent host
	expect_equal "bytes of all reports, killed $KILLED times" "$((SENT * 128))" \
		"$(sum_of_reports host)"
}

# The same while maps that near their limit are read and folded: until the agent outlives a flood.
flood_until_it_lives() { # NAME
	local call=$((RANDOM % 10 + 1))

	while true; do
		trace_until_call host "$1" "$call"
		SENT=$((SENT + $("$TOOLS/flood" host 10000 20)))
		# it is dead, or answers when what came is done
		in_ns host "$FLOWTALLY" status >/dev/null 2>&1 || true
		end_trace
		! kill -0 "${AGENT[host]}" 2>/dev/null || break
		KILLED=$((KILLED + 1))
		start_agent host -c "$WORK/flowtally.conf"
		# each call with CRASH_STEP=1; without, how many there are depends on the machine
		call=$((${CRASH_STEP:-0} ? call + ${CRASH_STEP:-0} : 2 * call))
	done
}

story_killed_while_it_folds() {
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_flood
	printf '[flows]\nmap_entries = 4096\nmax_flows = 1000\n' >"$WORK/flowtally.conf"
	SENT=0 KILLED=0
	start_agent host -c "$WORK/flowtally.conf"
	flood_until_it_lives bpf
	flood_until_it_lives renameat
	flood_until_it_lives unlinkat
	((KILLED >= 3)) || fail "killed only $KILLED times"
	stop_agent host
	expect_equal "bytes and packets, killed $KILLED times" "$((SENT * 29)) $SENT" "$(accounted host)"
	echo "killed $KILLED times"
}

# Fault injection into the recovery: successors die on their first, second, ... call until one is there.
story_killed_while_it_recovers() {
	local name call sent=0 killed=0

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	start_agent host
	for name in bpf renameat unlinkat; do
		call=$((RANDOM % ${CRASH_STEP:-15} + 1))
		two_flows 2
		kill_agent host
		while dies_starting host "$name" "$call"; do
			two_flows 1
			sent=$((sent + 2)) killed=$((killed + 1)) call=$((call + ${CRASH_STEP:-15}))
			# it looks at all slots, one like the other
			((call < 60 || call > 16384)) || call=16384
		done
		sent=$((sent + 4))
	done
	((killed >= 3)) || fail "killed only $killed times"
	# the last one is to die yet
	kill_agent host
	start_agent host
	stop_agent host
	expect_equal "bytes of all reports, killed $killed times" "$((sent * 128))" "$(sum_of_reports host)"
}

expect_no_clsact() { # WHEN
	local qdiscs

	qdiscs=$(tc_in host qdisc show | grep '^qdisc clsact ' || true)
	expect_equal "clsact qdiscs $1" '' "$qdiscs"
}

# Ends the agent, which dies on entering that call. Fails if it gets through.
dies_ending() { # NAME CALL
	local status=0

	trace_until_call host "$1" "$2"
	signal_agent host TERM
	wait "${AGENT[host]}" || status=$?
	end_trace
	((status)) || return 1
	expect_equal 'exit status' 137 "$status"
}

# Fault injection into the end: no qdisc of ours stays that nobody knows to be ours.
once_killed_while_it_detaches() {
	local call step=${CRASH_STEP:-3} killed=0

	call=$((RANDOM % step + 1))
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	wire host s0 peer s1
	while true; do
		start_agent host -a clsact
		dies_ending sendto "$call" || break
		killed=$((killed + 1)) call=$((call + step))
		if ((killed % 2)); then
			in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
		else
			start_agent host -a clsact
			stop_agent host
		fi
		expect_no_clsact "after a death at call $((call - step))"
	done
	expect_no_clsact 'at the end'
	((killed >= 2)) || fail "killed only $killed times"
}

# Nor is anything said to be lost when all was reported, or nothing counted.
story_killed_while_pins_go() {
	local call step=${CRASH_STEP:-4} sent=0 killed=0

	call=$((RANDOM % step + 1))
	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	! dies_starting host renameat 1 || start_agent host
	while true; do
		! agent_log_has host 'is lost' || fail "$(cat "$WORK/host.log")"
		send 1
		sent=$((sent + 1))
		dies_ending unlinkat "$call" || break
		killed=$((killed + 1)) call=$((call + step))
		start_agent host
	done
	((killed >= 2)) || fail "killed only $killed times"
	expect_equal 'bytes of all reports' "$((sent * 128))" "$(sum_of_reports host)"
}

has_died_or_read_again() { # NS TIMES
	has_died "$1" || (($(grep -cF 'configuration is read again' "$WORK/$1.log") > $2))
}

# Fault injection into a change of roles: the agent is killed on its way to the first, second, ... CPU that is to
# learn them, under traffic, until it gets through alive. By tcx only, as clsact drops what passes when it goes.
once_killed_while_roles_change() {
	local call=1 killed=0 excluded=br0 reloads sender

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	[[ $HAS_TCX == yes ]] || skip 'this kernel has no tcx'
	topology_containers
	: >"$WORK/flowtally.conf"
	start_agent host -a tcx -c "$WORK/flowtally.conf"
	route_until_enough &
	sender=$!
	while true; do
		printf '[interfaces]\nexclude = %s\n' "$excluded" >"$WORK/flowtally.conf"
		reloads=$(grep -cF 'configuration is read again' "$WORK/host.log" || true)
		trace_until_call host sched_setaffinity "$call"
		signal_agent host HUP
		wait_for 'death or a reload' has_died_or_read_again host "$reloads"
		# it is dead, or answers when the roles are changed
		in_ns host "$FLOWTALLY" status >/dev/null 2>&1 || true
		end_trace
		has_died host || break
		killed=$((killed + 1)) call=$((call + 1))
		start_agent host -a tcx -c "$WORK/flowtally.conf"
		[[ $excluded == br0 ]] && excluded=p2 || excluded=br0
	done
	touch "$WORK/enough"
	wait "$sender"
	stop_agent host
	((killed >= 2)) || fail "killed only $killed times"
	expect_equal "bytes, killed $killed times" "$(($(cat "$WORK/sent") * 128))" "$(sum_of_reports host)"
}

# What may happen to s0, and how it is watched again after that.
s0_goes() {
	ip_in host link delete s0
}

s0_is_there_again() {
	wire host s0 peer s1
}

s0_is_excluded() {
	printf '[interfaces]\nexclude = s0\n' >"$WORK/flowtally.conf"
	signal_agent host HUP 2>/dev/null || has_died host
}

s0_is_watched_again() {
	: >"$WORK/flowtally.conf"
	signal_agent host HUP
}

s0_is_enslaved() {
	ip_in host link set s0 master br0
}

s0_is_free_again() {
	ip_in host link set s0 nomaster
}

s0_counts() {
	in_ns host "$FLOWTALLY" interfaces --json | jq -e '.interfaces[] | select(.name == "s0") | .state == "monitored"' >/dev/null
}

# Two flows, of which a CPU can hold one.
stray_both() {
	stray 5 peer s1
	frames peer s1 "$(ethernet 0800 "$(ipv4 10.9.0.2 10.9.0.1 17 "$(udp_payload 40001 5001 100)")")"
	SENT=$((SENT + 6))
}

# Kills the agent on its first, second, ... call on its way through what happens, until it gets through alive. A
# successor of the same version or another one dies as well.
kill_at_each_call_of() { # NAME EVENT UNDO
	local call=$((RANDOM % ${CRASH_STEP:-4} + 1))

	while true; do
		wait_for 's0 to count' s0_counts
		stray_both
		trace_until_call host "$1" "$call"
		"$2"
		# it is dead, or answers when all is done; the first answer may be older than the event
		in_ns host "$FLOWTALLY" status >/dev/null 2>&1 || true
		in_ns host "$FLOWTALLY" status >/dev/null 2>&1 || true
		end_trace
		has_died host || break
		KILLED=$((KILLED + 1)) call=$((call + ${CRASH_STEP:-4}))
		((KILLED % 2)) && FLOWTALLY=$LATER || FLOWTALLY=$BUILD/flowtally
		start_agent host -c "$WORK/flowtally.conf"
		kill_agent host
		start_agent host -c "$WORK/flowtally.conf"
		"$3"
	done
	"$3"
}

# Fault injection into what happens to a link that began to count after the last checkpoint, so that it says that the
# link is attached and does not count. What the link carried is in its map and in trains.
story_killed_while_a_link_changes() {
	local name

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	ip_in host link add br0 type bridge mcast_snooping 0
	ip_in host link set br0 addrgenmode none up
	: >"$WORK/flowtally.conf"
	wire host s0 peer s1
	SENT=0 KILLED=0
	start_agent host -c "$WORK/flowtally.conf"
	for name in bpf sendto renameat unlinkat; do
		kill_at_each_call_of "$name" s0_goes s0_is_there_again
		kill_at_each_call_of "$name" s0_is_excluded s0_is_watched_again
		kill_at_each_call_of "$name" s0_is_enslaved s0_is_free_again
	done
	((KILLED >= 8)) || fail "killed only $KILLED times"
	stop_agent host
	expect_equal "bytes of all reports, killed $KILLED times" "$((SENT * 128))" "$(sum_of_reports host)"
	echo "killed $KILLED times"
}

# What a link carried that went before the death is not the agent's to lose.
story_link_went_before_a_death() {
	topology_wire
	wire host s0 peer s1
	start_agent host -v
	stray 5 peer s1
	ip_in host link delete s0
	wait_for_log host 's0: gone'
	kill_agent host
	start_agent host
	kill_agent host
	start_agent host
	stop_agent host
	expect_report host 5 "$STRAY Bytes: $((5 * 128))"
}

# br0 is not watched, its ports are: what leaves through wan is known by what the slot table says of br0, also
# while nobody has told it so anew.
story_taken_over_under_traffic() {
	local sender

	topology_containers
	start_agent host -t 1 -x br0
	route_until_enough &
	sender=$!
	for _ in 1 2 3 4; do
		report_now host
		kill_agent host
		start_agent host -t 1 -x br0
	done
	touch "$WORK/enough"
	wait "$sender"
	stop_agent host
	expect_equal 'bytes of all reports' "$(($(cat "$WORK/sent") * 128))" "$(sum_of_reports host)"
}

# Before Linux 6.8 each look at the map of maps takes a grace period, and it has thousands of slots. What comes
# next looks at those that were in use: whether it is of the same version or of another one.
once_looks_at_few_slots_after_a_crash() {
	local version looks

	type strace >/dev/null 2>&1 || skip 'strace is not installed'
	topology_wire
	start_agent host
	for version in "$FLOWTALLY" "$LATER"; do
		send 10
		kill_agent host
		# shellcheck disable=SC2016
		printf '#!/bin/sh\nASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 exec strace -D -qq -o "%s" -e trace=bpf "%s" "$@"\n' \
			"$WORK/calls" "$version" >"$WORK/flowtally"
		chmod +x "$WORK/flowtally"
		FLOWTALLY=$WORK/flowtally
		start_agent host
		looks=$(grep -c BPF_MAP_LOOKUP_ELEM "$WORK/calls") || true
		((looks < 200)) || fail "$looks looks"
	done
	stop_agent host
	expect_report host 20 "$(flow 20)"
}
