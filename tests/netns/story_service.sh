#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# As a service: what it tells its manager, and which privileges it keeps.

CAP_DAC_OVERRIDE=1
CAP_NET_ADMIN=12
CAP_SYS_ADMIN=21
CAP_BPF=39

status_field() { # FIELD
	awk -v field="$1:" '$1 == field { print $2 }' "/proc/${AGENT[host]}/status"
}

# Those and no others, in all sets.
expect_capabilities() { # CAPABILITY...
	local expected=0 capability set

	for capability; do
		expected=$((expected | 1 << capability))
	done
	for set in CapPrm CapEff CapBnd; do
		expect_equal "$set" "$(printf '%016x' "$expected")" "$(status_field "$set")"
	done
	for set in CapInh CapAmb; do
		expect_equal "$set" "$(printf '%016x' 0)" "$(status_field "$set")"
	done
	expect_equal NoNewPrivs 1 "$(status_field NoNewPrivs)"
}

bpf_capability() {
	if (($(cat /proc/sys/kernel/cap_last_cap) < CAP_BPF)); then
		echo $CAP_SYS_ADMIN
	else
		echo $CAP_BPF
	fi
}

# What it needs for everything that happens after its start: the other stories show that it does.
once_privileges_that_are_kept() {
	topology_wire
	start_agent host
	expect_capabilities $CAP_NET_ADMIN "$(bpf_capability)"
	stop_agent host
}

# Root alone may not write where another user owns the directory: to follow logrotate there, it keeps
# what that takes.
once_output_of_another_user() {
	topology_wire
	mkdir -m 700 "$WORK/theirs"
	ln -s "$WORK/theirs/report" "$WORK/host.report"
	chown 65534:65534 "$WORK/theirs"
	start_agent host -o "$WORK/theirs/report"
	expect_capabilities $CAP_DAC_OVERRIDE $CAP_NET_ADMIN "$(bpf_capability)"
	udp -n 1 -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
	report_now host
	mv "$WORK/theirs/report" "$WORK/theirs/report.1"
	signal_agent host HUP
	wait_for_log host 'configuration is read again'
	udp -n 2 -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
	stop_agent host
	expect_report host 2 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 256"
}

# The same of a configuration file.
once_configuration_of_another_user() {
	topology_wire
	mkdir -m 700 "$WORK/theirs"
	printf '[flows]\nignore = port:5001\n' >"$WORK/theirs/flowtally.conf"
	chown -R 65534:65534 "$WORK/theirs"
	start_agent host -c "$WORK/theirs/flowtally.conf"
	expect_capabilities $CAP_DAC_OVERRIDE $CAP_NET_ADMIN "$(bpf_capability)"
	: >"$WORK/theirs/flowtally.conf"
	signal_agent host HUP
	wait_for_log host 'configuration is read again'
	stop_agent host
}

# What was given up does not come back for a new path; the old output goes on.
once_output_moves_to_another_user() {
	topology_wire
	mkdir -m 700 "$WORK/theirs"
	chown 65534:65534 "$WORK/theirs"
	printf '[report]\noutput = %s\n' "$WORK/host.report" >"$WORK/flowtally.conf"
	start_agent_by_file host "$WORK/flowtally.conf"
	expect_capabilities $CAP_NET_ADMIN "$(bpf_capability)"
	printf '[report]\noutput = %s\n' "$WORK/theirs/report" >"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for_log host "$WORK/theirs/report: cannot be opened: Permission denied; reports go on to $WORK/host.report"
	stop_agent host
	expect_equal reports 1 "$(report_count host)"
}

# Not root, but with the capabilities that the manual names.
once_another_user_with_capabilities() {
	local capabilities=-all,+bpf,+perfmon,+net_admin

	topology_wire
	(($(bpf_capability) == CAP_BPF)) || skip 'this kernel has no CAP_BPF'
	! kernel_is_before 5 11 || capabilities+=,+sys_resource
	cp "$FLOWTALLY" "$WORK/flowtally"
	mkdir -m 700 "$WORK/theirs"
	chown 65534:65534 "$WORK/theirs"
	ln -s "$WORK/theirs/report" "$WORK/host.report"
	: >"$WORK/host.log"
	STATE_DIRECTORY=$WORK/theirs ip netns exec "$PREFIX-host" setpriv --reuid=65534 --regid=65534 \
		--clear-groups --inh-caps="$capabilities" --ambient-caps="$capabilities" "$WORK/flowtally" run -t 3600 \
		-i lo -i v0 -i later -i other -o "$WORK/theirs/report" 2>>"$WORK/host.log" </dev/null &
	AGENT[host]=$!
	wait_for 'the agent' agent_is_decided host
	agent_log_has host 'first report' || fail 'the agent does not start'
	expect_equal CapEff "$(printf '%016x' $((1 << CAP_NET_ADMIN | 1 << CAP_BPF)))" "$(status_field CapEff)"
	ip_in host link add later type veth peer name other
	wait_for 'the new link' has_more_interfaces
	udp -n 4 -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
	stop_agent host
	expect_report host 4 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 512"
}

has_more_interfaces() {
	report_now host
	(($(header_field host interfaces) == 4))
}

told() { # LINE-REGEX
	grep -qE -- "^($1)\$" "$WORK/told"
}

told_times() { # LINE
	grep -cxF -- "$1" "$WORK/told" || true
}

told_more() { # LINE TIMES
	(($(told_times "$1") > $2))
}

start_manager() {
	"$TOOLS/datagrams" "$WORK/notify" >"$WORK/told" &
	MANAGER=$!
	wait_for 'the socket' test -S "$WORK/notify"
	export NOTIFY_SOCKET=$WORK/notify
}

# Ready when it counts; reloading and ready again; stopping.
once_service_manager_is_told() {
	topology_wire
	start_manager
	start_agent host -i lo -i v0
	wait_for READY=1 told READY=1
	told 'STATUS=watching 2 of 2 interfaces'
	signal_agent host HUP
	wait_for RELOADING=1 told RELOADING=1
	wait_for 'the second READY=1' told_more READY=1 1
	told 'MONOTONIC_USEC=[0-9]+'
	report_now host
	wait_for 'the report' told 'STATUS=report [0-9]+: 0 flows, 0 bytes'
	expect_equal 'pings nobody asked for' 0 "$(told_times WATCHDOG=1)"
	stop_agent host
	wait_for STOPPING=1 told STOPPING=1
	kill "$MANAGER"
}

once_reload_of_a_bad_file_ends_too() {
	topology_wire
	start_manager
	: >"$WORK/flowtally.conf"
	start_agent host -c "$WORK/flowtally.conf"
	printf 'x' >"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for RELOADING=1 told RELOADING=1
	wait_for 'the second READY=1' told_more READY=1 1
	stop_agent host
	kill "$MANAGER"
}

once_watchdog_is_pinged() {
	topology_wire
	start_manager
	export WATCHDOG_USEC=200000
	start_agent host
	wait_for 'ten pings' told_more WATCHDOG=1 9
	stop_agent host

	# the manager's wish is for another process
	: >"$WORK/told"
	export WATCHDOG_PID=1
	start_agent host
	report_now host
	stop_agent host
	kill "$MANAGER"
	expect_equal 'pings for another process' 0 "$(told_times WATCHDOG=1)"
}

once_no_service_manager_answers() {
	topology_wire
	export NOTIFY_SOCKET=$WORK/nobody
	start_agent host -vv
	agent_log_has host "$WORK/nobody: cannot tell the service manager: No such file or directory" ||
		fail 'it does not say so'
	stop_agent host
	export NOTIFY_SOCKET=vsock:2:1234
	start_agent host
	stop_agent host
}
