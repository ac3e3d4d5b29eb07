#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Hosts where nobody has mounted the BPF file system.

CAP_SYS_ADMIN=21

# Runs FUNCTION, with the namespaces that are there, where mounts and processes are its own: whoever looks
# for the eldest ancestor finds it. Nothing is mounted at /sys/fs/bpf.
with_own_mounts() { # FUNCTION
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child --mount-proc bash -eEu -o pipefail -c '
		. "$1"
		. "$2"
		trap '\''printf "%s:%s: failed: %s\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND"'\'' ERR
		while is_mounted; do
			umount -l /sys/fs/bpf
		done
		"$3"
	' story "${BASH_SOURCE[0]%/*}/lib.sh" "${BASH_SOURCE[0]}" "$1"
}

is_mounted() {
	grep -q '^[^ ]* /sys/fs/bpf bpf ' /proc/mounts
}

expect_mount() { # WHEN
	is_mounted || fail "$1: the BPF file system is not mounted"
}

expect_no_mount() { # WHEN
	! is_mounted || fail "$1: the BPF file system is still mounted"
}

keeper() { # NS
	awk -v parent="${AGENT[$1]}" '
		$1 == "Name:" { name = $2 }
		$1 == "Pid:" { pid = $2 }
		$1 == "PPid:" && $2 == parent && name == "flowtally-mount" { print pid; found = 1 }
		END { exit !found }' /proc/[0-9]*/status 2>/dev/null
}

once_own_mount_goes_at_the_end() {
	topology_wire
	with_own_mounts own_mount_goes_at_the_end
}

# The agent has given up what unmounting takes; who keeps that has nothing else, and cannot be talked out of it.
own_mount_goes_at_the_end() {
	local keeper signal

	expect_no_mount 'before the start'
	start_agent host
	expect_mount 'while it runs'
	keeper=$(keeper host)
	expect_equal 'capabilities of the keeper' "$(printf '%016x' $((1 << CAP_SYS_ADMIN)))" \
		"$(awk '$1 == "CapPrm:" { print $2 }' "/proc/$keeper/status")"
	expect_equal 'descriptors of the keeper' 0 "$(ls "/proc/$keeper/fd")"
	for signal in HUP INT QUIT TERM USR1 USR2 PIPE; do
		kill "-$signal" "$keeper"
	done
	send 3
	stop_agent host
	expect_no_mount 'after the end'
	[[ ! -e /proc/$keeper ]] || fail 'its keeper is still there'
	expect_report host 3 '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 384'
}

once_own_mount_of_a_killed_agent() {
	topology_wire
	with_own_mounts own_mount_of_a_killed_agent
}

own_mount_of_a_killed_agent() {
	local keeper

	start_agent host
	send 3
	keeper=$(keeper host)
	kill_agent host
	wait_for 'the end of the keeper' has_ended "$keeper"
	expect_mount 'with what the dead agent left'
	start_agent host
	send 2
	stop_agent host
	expect_no_mount 'after the end of the next one'
	expect_report host 5 '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 640'

	start_agent host
	kill_agent host
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
	expect_no_mount 'after flowtally cleanup'

	# handed over on purpose
	start_agent host
	signal_agent host USR2
	wait "${AGENT[host]}"
	expect_mount 'handed over'
	start_agent host
	stop_agent host
	expect_no_mount 'after the end of whom it was handed over to'
}

# Another one appears just before the agent makes its own: two would hide what is in the lower one.
once_own_mount_meets_another() {
	type -P strace >/dev/null || skip 'no strace here (package strace)'
	topology_wire
	with_own_mounts own_mount_meets_another
}

has_keeper() {
	grep -qx flowtally-mount /proc/[0-9]*/comm
}

own_mount_meets_another() {
	local other

	printf '#!/bin/sh\nexec strace -D -f -qq -o "%s" -e inject=setns:delay_enter=%ds "%s" "$@"\n' \
		"$WORK/strace" $((3 * PATIENCE)) "$FLOWTALLY" >"$WORK/flowtally"
	chmod +x "$WORK/flowtally"
	(
		wait_for 'the keeper' has_keeper
		mount -t bpf others /sys/fs/bpf
		mkdir /sys/fs/bpf/theirs
	) &
	other=$!
	FLOWTALLY=$WORK/flowtally start_agent host
	wait "$other"
	expect_equal mounts 'others /sys/fs/bpf' "$(awk '$3 == "bpf" { print $1, $2 }' /proc/mounts)"
	[[ -d /sys/fs/bpf/theirs ]] || fail 'what is in it is hidden'
	send 2
	stop_agent host
	expect_mount 'after the end'
	rmdir /sys/fs/bpf/theirs
	expect_report host 2 '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 256'
}

once_first_mounts_at_once() {
	type -P strace >/dev/null || skip 'no strace here (package strace)'
	topology_wire
	with_own_mounts first_mounts_at_once
}

# An agent whose strace does that to it.
write_delayed_agent() { # INJECTION
	# shellcheck disable=SC2016
	printf '#!/bin/sh\nASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 exec strace -D -f -qq -o "%s" -e inject=%s "%s" "$@"\n' \
		"$WORK/strace" "$1" "$BUILD/flowtally" >"$WORK/flowtally"
	chmod +x "$WORK/flowtally"
}

# Two agents find nothing mounted, and each is about to mount it.
first_mounts_at_once() {
	local first

	# what the other waits for in vain at last takes 5 s
	write_delayed_agent mount:delay_enter=2s
	: >"$WORK/strace"
	(
		wait_for 'the first mount' grep -q 'mount(' "$WORK/strace"
		start_agent peer
		stop_agent peer
	) &
	first=$!
	FLOWTALLY=$WORK/flowtally start_agent host
	wait "$first"
	expect_equal mounts 1 "$(grep -c '^[^ ]* /sys/fs/bpf bpf ' /proc/mounts)"
	send 2
	stop_agent host
	expect_no_mount 'after the end'
}

once_start_meets_the_end_of_others() {
	type -P strace >/dev/null || skip 'no strace here (package strace)'
	topology_wire
	with_own_mounts start_meets_the_end_of_others
}

# The directory of all namespaces goes with the last of the others just when it is there for us.
start_meets_the_end_of_others() {
	local injection other

	mount -t bpf theirs /sys/fs/bpf
	for injection in delay_exit=3s:when=1 delay_enter=3s:when=2; do
		write_delayed_agent "mkdirat:$injection"
		: >"$WORK/strace"
		start_agent peer
		(
			wait_for "mkdirat(2) number ${injection##*=}" calls_mkdirat "${injection##*=}"
			signal_agent peer TERM
		) &
		other=$!
		FLOWTALLY=$WORK/flowtally start_agent host
		wait "$other"
		wait "${AGENT[peer]}"
		! agent_log_has host 'nothing can be pinned' || fail "$injection: nothing is pinned"
		stop_agent host
	done
}

calls_mkdirat() { # TIMES
	(($(grep -c 'mkdirat(' "$WORK/strace") >= $1))
}

# The keeper goes with its agent's session: what is left is left to the next.
once_own_mount_whose_keeper_is_killed() {
	topology_wire
	with_own_mounts own_mount_whose_keeper_is_killed
}

own_mount_whose_keeper_is_killed() {
	start_agent host
	kill -KILL "$(keeper host)"
	send 1
	stop_agent host
	agent_log_has host 'the BPF file system stays mounted at /sys/fs/bpf: the process that keeps it was killed' ||
		fail 'it does not say so'
	expect_mount 'without a keeper'
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/cleanup.log"
	expect_no_mount 'after flowtally cleanup'
}

once_own_mount_of_two_namespaces() {
	topology_wire
	with_own_mounts own_mount_of_two_namespaces
}

own_mount_of_two_namespaces() {
	start_agent host
	start_agent peer
	stop_agent host
	expect_mount 'while another agent runs'
	start_agent host
	stop_agent peer
	expect_mount 'while the first one runs again'
	stop_agent host
	expect_no_mount 'after the last end'
}

once_mount_that_others_use() {
	topology_wire
	with_own_mounts mount_that_others_use
}

mount_that_others_use() {
	start_agent host
	mkdir /sys/fs/bpf/theirs
	stop_agent host
	expect_mount 'with the pins of somebody else'
	rmdir /sys/fs/bpf/theirs
	start_agent host
	stop_agent host
	expect_no_mount 'when they are gone'

	mount -t bpf theirs /sys/fs/bpf
	start_agent host
	! keeper host || fail "somebody else's mount has a keeper"
	stop_agent host
	expect_mount "somebody else's"
}

once_no_mount_to_hand_over_by() {
	topology_wire
	with_own_mounts no_mount_to_hand_over_by
}

# Whoever restarts it waits for its end.
no_mount_to_hand_over_by() {
	printf '#!/bin/sh\nexec setpriv --bounding-set=-sys_admin "%s" "$@"\n' "$FLOWTALLY" >"$WORK/flowtally"
	chmod +x "$WORK/flowtally"
	FLOWTALLY=$WORK/flowtally
	start_agent host
	agent_log_has host 'nothing can be pinned in the BPF file system' || fail 'it has one'
	send 3
	signal_agent host USR2
	wait "${AGENT[host]}" || fail 'the agent does not end well'
	expect_report host 3 '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 384'
	expect_equal 'own filters' 0 "$(own_filters host v0)"
}

once_open_mount() {
	topology_wire
	with_own_mounts open_mount
}

as_nobody() {
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

# Who may write to the BPF file system makes our directory there, and lets it lead elsewhere.
open_mount() {
	local own

	mount -t bpf -o mode=1777 theirs /sys/fs/bpf
	start_agent host
	own=$(cd /sys/fs/bpf/flowtally && echo net*)
	stop_agent host
	mkdir "$WORK/precious"
	touch "$WORK/precious/file"

	as_nobody mkdir /sys/fs/bpf/flowtally
	as_nobody ln -s "$WORK/precious" "/sys/fs/bpf/flowtally/$own"
	expect_not_pinned
	as_nobody rm "/sys/fs/bpf/flowtally/$own"
	as_nobody rmdir /sys/fs/bpf/flowtally

	as_nobody ln -s "$WORK/precious" /sys/fs/bpf/flowtally
	expect_not_pinned
	expect_equal 'what is not ours' "$WORK/precious/file" "$(find "$WORK/precious" -type f)"
	as_nobody rm /sys/fs/bpf/flowtally
	start_agent host
	! agent_log_has host 'nothing can be pinned' || fail 'nothing is pinned where nobody is in the way'
	stop_agent host
}

expect_not_pinned() {
	local what='/sys/fs/bpf/flowtally and what is in it must be directories that only root can write to'

	expect_status 1 "cannot clean up: $what" cleanup
	start_agent host
	agent_log_has host "$what" || fail 'it is pinned where others may write'
	send 3
	stop_agent host
	expect_report host 3 '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 384'
	: >"$WORK/host.report"
}

story_pins_removed_by_hand() {
	topology_wire
	with_own_mounts pins_removed_by_hand
}

# What only serves the next agent is no condition of counting: all is in this one's reports, and it says once what it
# cannot do any more.
pins_removed_by_hand() {
	start_agent host
	send 3
	rm -r /sys/fs/bpf/flowtally/net*
	send 4
	report_now host
	expect_report host 7 '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 896'
	in_ns host "$FLOWTALLY" status >/dev/null || fail 'it counts, and says that it is not well'
	wire host s0 peer s1
	wait_for 's0 to count' counts s0
	stray 5 peer s1
	send 2
	stop_agent host
	expect_report host 7 '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 256' "$STRAY Bytes: 640"
	expect_told_once
	expect_equal 'own filters' 0 $(($(own_filters host v0) + $(own_filters host s0)))
	expect_no_mount 'after the end'

	start_agent host
	send 3
	rm -r /sys/fs/bpf/flowtally
	signal_agent host USR2
	wait "${AGENT[host]}" || fail 'the agent does not end well'
	agent_log_has host 'stopping instead' || fail 'it hands over what nobody can find'
	expect_report host 3 '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: 384'
	expect_equal 'own filters' 0 "$(own_filters host v0)"
	start_agent host
	expect_mount 'when it runs again'
	stop_agent host
	expect_report host 0
}

counts() { # DEV
	in_ns host "$FLOWTALLY" interfaces --json |
		jq -e --arg dev "$1" '.interfaces[] | select(.name == $dev) | .state == "monitored"'
}

expect_told_once() {
	expect_equal 'how often it says so' 1 "$(agent_log_count host 'nothing can be pinned in the BPF file system')"
	! agent_log_has host 'the rest follows' || fail 'it promises what does not come'
}

story_pins_become_read_only() {
	topology_wire
	with_own_mounts pins_become_read_only
}

# Nor is what was pinned before counted again by whoever finds it.
pins_become_read_only() {
	local end

	mount -t bpf -o mode=700 theirs /sys/fs/bpf
	for end in stop_agent kill_agent; do
		: >"$WORK/host.report"
		start_agent host
		two_flows 3
		mount -o remount,ro /sys/fs/bpf
		two_flows 4
		report_now host
		expect_told_once
		[[ $end == kill_agent ]] || two_flows 2
		"$end" host
		expect_status 1 'Read-only file system' run
		mount -o remount,rw /sys/fs/bpf
		start_agent host
		two_flows 1
		stop_agent host
		expect_equal "bytes of all reports, $end" \
			$((($([[ $end == kill_agent ]] && echo 8 || echo 10)) * 2 * 128)) "$(sum_of_reports host)"
		[[ ! -e /sys/fs/bpf/flowtally ]] || fail 'there are still pins'
	done
}

story_pins_become_read_only_at_a_checkpoint() {
	topology_wire
	with_own_mounts pins_become_read_only_at_a_checkpoint
}

# It is the checkpoint that cannot be pinned first: at a hand-over, and at a report of nothing. All was reported, and no
# loss is told.
pins_become_read_only_at_a_checkpoint() {
	local signal

	mount -t bpf -o mode=700 theirs /sys/fs/bpf
	for signal in USR2 TERM; do
		: >"$WORK/host.report"
		start_agent host
		report_now host
		mount -o remount,ro /sys/fs/bpf
		[[ $signal == USR2 ]] || report_now host
		two_flows 4
		signal_agent host "$signal"
		wait "${AGENT[host]}" || fail 'the agent does not end well'
		mount -o remount,rw /sys/fs/bpf
		start_agent host
		! agent_log_has host 'is lost' || fail 'it tells of a loss' "$(<"$WORK/host.log")"
		two_flows 1
		stop_agent host
		expect_equal "bytes of all reports, $signal" $((5 * 2 * 128)) "$(sum_of_reports host)"
	done
}
