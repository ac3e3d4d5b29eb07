#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Where the host sets a limit: said once, by its name; what can go on goes on, and all goes on when there is
# room again.

# Veth pairs v0, v1, ... in host, their other ends w0, w1, ... in peer.
many_wires() { # COUNT
	local i

	for ((i = 0; i < $1; i++)); do
		wire host "v$i" peer "w$i"
	done
}

story_descriptors() {
	local count=24 monitored=0 i

	make_ns host peer
	ulimit -n 1000
	start_agent host -v
	limit_descriptors 100
	many_wires "$count"
	wait_for_log host 'RLIMIT_NOFILE allows 100'

	# those that are monitored are read all the same, all maps at once
	for ((i = 0; i < count; i++)); do
		agent_log_has host "v$i: attached" || continue
		stray 2 peer "w$i"
		monitored=$((monitored + 1))
	done
	((monitored >= 4 && monitored < count)) || fail "$monitored interfaces are monitored"
	report_now host
	expect_report host $((2 * monitored)) "$STRAY Bytes: $((2 * monitored * 128))"

	limit_descriptors 1000
	wait_for_log host 'there is room again'
	for ((i = 0; i < count; i++)); do
		wait_for_log host "v$i: attached"
		stray 1 peer "w$i"
	done
	stop_agent host
	expect_report host "$count" "$STRAY Bytes: $((count * 128))"
	expect_equal 'complaints' 1 "$(grep -cvE 'attached with|watching|joining|following|mounted|: detached|room again' \
		"$WORK/host.log")"
}

# Links that go make room, too.
story_descriptors_come_back() {
	local count=24 i

	make_ns host peer
	many_wires "$count"
	ulimit -n 100
	start_agent host -v
	agent_log_has host 'RLIMIT_NOFILE allows 100' || fail 'the limit is not reached'
	for ((i = 0; i < count - 4; i++)); do
		ip_in host link delete "v$i"
	done
	wait_for_log host 'there is room again'
	for ((; i < count; i++)); do
		wait_for_log host "v$i: attached"
		stray 1 peer "w$i"
	done
	stop_agent host
	expect_report host 4 "$STRAY Bytes: $((4 * 128))"
}

# A start that fails for want of descriptors takes away what it has pinned: the next one finds nothing.
story_descriptors_for_no_start() {
	local files status failed=0

	make_ns host
	for ((files = 10; files < 40; files += 2)); do
		status=0
		in_ns host prlimit --nofile="$files" "$FLOWTALLY" run -a "$ATTACH" -t 1 -n 1 -o /dev/null \
			2>"$WORK/errors" </dev/null || status=$?
		((!status)) || failed=$((failed + 1))
		! grep -F 'pins could be removed' "$WORK/errors" || fail "with $files descriptors"
	done
	((failed > 4)) || fail "only $failed starts failed"
	in_ns host "$FLOWTALLY" cleanup 2>"$WORK/errors"
	grep -qF 'removed 0 filters, 0 pins' "$WORK/errors" || fail 'something is left:' "$(<"$WORK/errors")"
}

# As it was before, when the story ends.
enable_memory() { # ROOT
	! grep -qsw memory "$1/cgroup.subtree_control" || return 0
	echo +memory 2>/dev/null >"$1/cgroup.subtree_control" || return
	# shellcheck disable=SC2064
	trap "echo -memory >'$1/cgroup.subtree_control'" EXIT
}

# A control group for memory, into which the agent of host goes; FILES: limit and usage.
memory_group() { # what it may use, in MIB
	local root

	FILES=(memory.limit_in_bytes memory.usage_in_bytes)
	root=$(awk '$3 == "cgroup" && $4 ~ /(^|,)memory(,|$)/ { print $2; exit }' /proc/mounts)
	if [[ -z $root ]]; then
		FILES=(memory.max memory.current)
		root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
		if [[ -z $root ]] || ! enable_memory "$root"; then
			skip 'no control group of memory can be made here'
		fi
	fi
	GROUP=$root/$PREFIX
	mkdir "$GROUP"
	echo "$(($1 * 1024 * 1024))" >"$GROUP/${FILES[0]}"
	echo "${AGENT[host]}" >"$GROUP/cgroup.procs"
}

# What the group may use beside what it uses now, in MIB.
leave_memory() {
	echo "$(($(cat "$GROUP/${FILES[1]}") + $1 * 1024 * 1024))" >"$GROUP/${FILES[0]}"
}

# A control group has no room for the maps of a storm: the agent is not killed for it, what it monitors it goes
# on counting, and the rest when there is room. Which links are monitored meanwhile is not said.
story_control_group_is_full() {
	local count=60 i

	make_ns host peer
	wire host first peer last
	start_agent host -v
	memory_group 48
	stray 3 peer last
	many_wires "$count"
	wait_for_log host 'no kernel memory for another flow map'
	stray 4 peer last
	report_now host
	expect_report host 7 "$STRAY Bytes: $((7 * 128))"

	for ((i = 4; i < count; i++)); do
		ip_in host link delete "v$i"
	done
	wait_for_log host 'there is room again'
	for ((i = 0; i < 4; i++)); do
		wait_for_log host "v$i: attached"
		stray 1 peer "w$i"
	done
	stray 1 peer last
	stop_agent host
	expect_report host 5 "$STRAY Bytes: $((5 * 128))"
	expect_equal 'complaints' 1 "$(agent_log_count host 'no kernel memory for another flow map')"
}

# Bridges with two ports each: what comes in by a v leaves by a u.
many_bridges() { # COUNT
	local i

	for ((i = 0; i < $1; i++)); do
		ip_in host link add "b$i" type bridge mcast_snooping 0
		ip_in host link set "b$i" addrgenmode none up
		wire host "v$i" peer "w$i"
		wire host "u$i" peer "x$i"
		ip_in host link set "v$i" master "b$i"
		ip_in host link set "u$i" master "b$i"
	done
}

through_each_bridge() { # COUNT PACKETS
	local i

	for ((i = 0; i < $1; i++)); do
		stray "$2" peer "w$i"
	done
}

# Other lists take a new map for each hook that becomes the first one to see a packet. As long as there is no
# memory for them, all goes on by the roles of before: what was counted by those is not counted again.
story_no_memory_for_other_roles() {
	local count=10

	make_ns host peer
	many_bridges "$count"
	printf '[interfaces]\ninclude = *\n' >"$WORK/flowtally.conf"
	start_agent host -v -c "$WORK/flowtally.conf"
	memory_group 200
	through_each_bridge "$count" 3

	leave_memory 4
	printf '[interfaces]\ninclude = u*\n' >"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for_log host 'could not all be reconciled: Cannot allocate memory'
	through_each_bridge "$count" 4
	report_now host
	expect_report host $((7 * count)) "$STRAY Bytes: $((7 * 128 * count))"
	through_each_bridge "$count" 5

	leave_memory 100
	wait_for_log host "v$((count - 1)): detached"
	through_each_bridge "$count" 6
	stop_agent host
	expect_report host $((11 * count)) "$STRAY Bytes: $((11 * 128 * count))"
	expect_equal 'complaints' 1 "$(agent_log_count host 'could not all be reconciled')"
}

# Where an index stands in the slot table (bpf/flow_types.h: flow_slot_place).
second_place() { # IFINDEX
	echo $(((($1 * 2654435761) & 0xffffffff) >> 16 & 0xffff))
}

indexed_wire() { # NAME IFINDEX
	ip_in host link add "$1" index "$2" type veth peer name "${1/v/w}" netns "$PREFIX-peer"
	ip_in host link set "$1" addrgenmode none up
	ip_in peer link set "${1/v/w}" addrgenmode none up
}

# Both places that the index of v2 may have in the slot table are taken by v0 and v1.
start_agent_without_a_place() { # OPTIONS...
	local first=77 third=$((77 + 65536)) second

	make_ns host peer
	second=$(second_place "$third")
	start_agent host -v "$@"
	indexed_wire v0 "$first"
	indexed_wire v1 "$second"
	wait_for_log host 'v0: attached'
	wait_for_log host 'v1: attached'
	indexed_wire v2 "$third"
	wait_for_log host 'v2: cannot attach: others have both places of its index'
}

story_no_place() {
	start_agent_without_a_place
	stray 1 peer w0
	stray 2 peer w1
	ip_in host link delete v1
	wait_for_log host 'v1: gone'
	# the place is free when nobody may still ask about packets of v1
	report_now host
	expect_report host 3 "$STRAY Bytes: $((3 * 128))"
	wait_for_log host 'v2: attached'
	stray 4 peer w2
	stop_agent host
	grep -q "^$STRAY Bytes: $((4 * 128))$" "$WORK/host.report" || fail 'v2 is not counted'
	expect_equal 'complaints' 1 "$(agent_log_count host 'cannot attach')"
}

# Nor may anybody ask when that was two self-checks ago, though there is no report.
story_place_is_free_without_a_report() {
	mkdir "$WORK/none"
	start_agent_without_a_place -o "$WORK/none/report"
	rm -r "$WORK/none"
	stray 2 peer w1
	ip_in host link delete v1
	wait_for_log host 'v1: gone'
	for _ in 1 2; do
		signal_agent host USR1
		# it answers when that is done
		in_ns host "$FLOWTALLY" status >/dev/null || true
	done
	wait_for_log host 'v2: attached'
	stray 4 peer w2
	mkdir "$WORK/none"
	ln -s "$WORK/none/report" "$WORK/host.report"
	stop_agent host
	expect_report host 6 "$STRAY Bytes: $((6 * 128))"
}
