#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Links by the hundred (STORM_PAIRS), made, renamed, enslaved, moved and deleted as fast as ip can.

PAIRS=${STORM_PAIRS:-24}
SURVIVORS=6
# every third is a port, and a bridge has room for 1,023 of them (BR_MAX_PORTS in net/bridge/br_private.h)
PAIRS_A_BRIDGE=3000
export PATIENCE_S=$((40 + PAIRS / 10))

# What a batch of ip does to pair I: r$I here, its other end u$I here or in peer.
pair_lives() { # I
	printf 'link add t%d type veth peer name u%d\n' "$1" "$1"
	printf 'link set t%d name r%d\nlink set r%d up\nlink set u%d up\n' "$1" "$1" "$1" "$1"
	(($1 % 3)) || printf 'link set r%d master br%d\n' "$1" $(($1 / PAIRS_A_BRIDGE))
	(($1 % 2)) || printf 'link set u%d netns %s-peer\n' "$1" "$PREFIX"
}

# All pairs come, and all but the first SURVIVORS go. Half of the others go at once, half after all came.
storm() {
	local i

	for ((i = 0; i < PAIRS; i++)); do
		pair_lives "$i"
		((i < SURVIVORS || i % 2)) || printf 'link delete r%d\n' "$i"
	done
	for ((i = SURVIVORS; i < PAIRS; i++)); do
		! ((i % 2)) || printf 'link delete r%d\n' "$i"
	done
}

calm() {
	local i

	for ((i = 0; i < SURVIVORS; i++)); do
		printf 'link delete r%d\n' "$i"
	done
}

topology_storm() {
	local i

	make_ns host peer
	wire host v0 peer v1
	for ((i = 0; i <= PAIRS / PAIRS_A_BRIDGE; i++)); do
		ip_in host link add "br$i" type bridge mcast_snooping 0
		ip_in host link set "br$i" addrgenmode none up
	done
	# thousands of maps of the default size would be all of a small host's memory
	printf '[flows]\nmap_entries = 1024\n' >"$WORK/flowtally.conf"
	storm >"$WORK/storm"
	calm >"$WORK/calm"
}

# The indices of all links, as the kernel tells, and as it tells of the agent's hooks.
links() {
	ip_in host -j link show | jq -r '.[].ifindex' | sort
}

hooked() {
	local dev

	{
		# gone ones say 0
		cat "/proc/${AGENT[host]}/fdinfo/"* 2>/dev/null |
			awk '/^link_type:\ttcx/ { tcx = 1 } /^ifindex:/ && tcx { if ($2) n[$2]++; tcx = 0 }
				END { for (i in n) if (n[i] == 2) print i }'
		for dev in $(tc_in host qdisc show | awk '/^qdisc clsact / { print $5 }'); do
			(($(own_filters host "$dev") == 2)) || continue
			ip_in host -j link show dev "$dev" | jq -r '.[0].ifindex'
		done
	} | sort
}

agrees_with_the_kernel() {
	[[ $(links) == "$(hooked)" ]]
}

# Links that live just long enough to be attached, one after the other, in the middle of it all.
short_lives() { # COUNT NAME
	local i

	for ((i = 0; i < $1; i++)); do
		ip_in host link add "$2$i" type veth peer name "${2}x$i" netns "$PREFIX-peer"
		ip_in host link set "$2$i" addrgenmode none up
		ip_in peer link set "${2}x$i" addrgenmode none up
		wait_for_log host "$2$i: attached"
		stray 5 peer "${2}x$i"
		ip_in host link delete "$2$i"
	done
}

story_storm() {
	local before round jobs rss=() objects sent=0

	topology_storm
	start_agent host -v -c "$WORK/flowtally.conf"
	wait_for 'all links' agrees_with_the_kernel
	report_now host
	before=$(agent_descriptors host)
	echo "before: $(footprint host)"
	for round in a b c; do
		stray 20000 peer v1 &
		jobs=($!)
		ip_in host -batch "$WORK/storm" &
		jobs+=($!)
		short_lives 3 "$round"
		wait "${jobs[0]}"
		wait "${jobs[1]}"
		wait_for 'what the kernel has' agrees_with_the_kernel
		ip_in peer link set u2 up
		stray 2 peer u2
		ip_in host -batch "$WORK/calm"
		wait_for 'what the kernel has' agrees_with_the_kernel
		report_now host
		sent=$((sent + 20000 + 3 * 5 + 2))
		expect_equal 'bytes of all reports' $((sent * 128)) "$(sum_of_reports host)"
		wait_for 'the descriptors of the beginning' has_descriptors host "$before"
		rss+=("$(resident_kib host)")
		echo "after round $round: $(footprint host)"
	done
	((rss[2] - rss[1] < 512)) || fail "resident memory after each round, KiB: ${rss[*]}"
	mapfile -t objects < <(agent_objects host)
	stop_agent host
	wait_for "the end of ${objects[*]}" are_gone "${objects[@]}"
	expect_equal 'filters that are left' 0 "$(own_filters host v0)"
}

# While the agent is held, more happens than its receive buffer holds: it reads all links again.
once_storm_overruns() {
	local i

	topology_storm
	for ((i = 0; i < 20000; i++)); do
		printf 'link set v0 alias a%d\n' "$i"
	done >"$WORK/flood"
	start_agent host -v -c "$WORK/flowtally.conf"
	stray 10 peer v1
	signal_agent host STOP
	ip_in host -batch "$WORK/storm"
	ip_in host -batch "$WORK/flood"
	ip_in host link delete r1
	ip_in host link add late0 type veth peer name late1 netns "$PREFIX-peer"
	signal_agent host CONT
	wait_for_log host 'link notifications were lost'
	wait_for 'what the kernel has' agrees_with_the_kernel
	ip_in host link set late0 addrgenmode none up
	ip_in peer link set late1 addrgenmode none up
	stray 20 peer late1
	stray 30 peer v1
	stop_agent host
	expect_equal 'bytes of all reports' $((60 * 128)) "$(sum_of_reports host)"
}

# The agent is told of a pair and asks for it when it is gone: phases of others do not end for that.
story_gone_before_it_is_attached() {
	local i maps

	make_ns host peer
	wire host v0 peer v1
	add_link host name br0 type bridge mcast_snooping 0
	ip_in host link set br0 addrgenmode none up
	ip_in host link set v0 master br0
	{
		printf 'link add gone0 type veth peer name gone1\n'
		# more than the agent reads before it does something
		for ((i = 0; i < 400; i++)); do
			printf 'link set v0 alias a%d\n' "$i"
		done
		printf 'link delete gone0\nlink add late0 type veth peer name late1 netns %s-peer\n' "$PREFIX"
	} >"$WORK/batch"
	start_agent host -vv
	stray 5 peer v1
	maps=$(pinned_maps host | wc -l)
	signal_agent host STOP
	ip_in host -batch "$WORK/batch"
	signal_agent host CONT
	wait_for_log host 'late0: attached'
	agent_log_has host 'gone0: ifindex' || fail 'it was not told of gone0'
	expect_equal 'maps that are held' $((maps + 1)) "$(pinned_maps host | wc -l)"
	stray 7 peer v1
	stop_agent host
	expect_equal 'bytes of all reports' $((12 * 128)) "$(sum_of_reports host)"
}

# v0 goes and another link comes with its index.
replace_v0() { # ADDRESS
	ip_in host link delete v0
	ip_in host link add v0 index 77 address "$1" type veth peer name v1 index 78 netns "$PREFIX-peer"
	ip_in host link set v0 addrgenmode none up
	ip_in peer link set v1 addrgenmode none up
}

# COMMAND runs, and the notifications of what it did are lost.
overrun() { # COMMAND...
	local i before

	before=$(agent_log_count host 'link notifications were lost')
	signal_agent host STOP
	"$TOOLS/receive_buffer" "${AGENT[host]}" 1
	"$@"
	for i in 1 2 3; do
		ip_in host link set w0 alias "a$i"
	done
	signal_agent host CONT
	wait_for_log host 'link notifications were lost' "$before"
	"$TOOLS/receive_buffer" "${AGENT[host]}" $((1 << 24))
}

# Though nobody said that the first one went.
story_same_index_after_an_overrun() {
	local before

	make_ns host peer
	wire host w0 peer w1
	ip_in host link add v0 type veth peer name v1
	replace_v0 02:00:00:00:fe:01
	start_agent host -v
	stray 5 peer v1
	# another address
	before=$(agent_log_count host 'v0: attached')
	overrun replace_v0 02:00:00:00:fe:02
	wait_for_log host 'v0: attached' "$before"
	stray 7 peer v1
	# fewer packets than before
	overrun replace_v0 02:00:00:00:fe:02
	wait_for_log host 'v0: attached' $((before + 1))
	# nothing but that our program is not there: with tcx that is for the self-check to find
	overrun replace_v0 02:00:00:00:fe:02
	[[ $ATTACH != tcx ]] || signal_agent host USR1
	wait_for_log host 'v0: attached' $((before + 2))
	stray 9 peer v1
	[[ $ATTACH == tcx ]] || expect_equal 'links called gone' 3 "$(agent_log_count host 'v0: gone')"
	# who is still there is left alone
	before=$(agent_log_count host 'attached')
	overrun stray 3 peer w1
	report_now host
	expect_equal 'attached' "$before" "$(agent_log_count host 'attached')"
	stop_agent host
	expect_equal 'bytes of all reports' $((24 * 128)) "$(sum_of_reports host)"
}

# A link that comes, is used, and is told of when all links are read again only.
born_and_used() { # ip link add ARGUMENTS...
	# it finds room yet
	ip_in host link set w0 alias first
	ip_in host link add v0 "$@" type veth peer name v1 netns "$PREFIX-peer"
	ip_in host link set v0 addrgenmode none up
	ip_in peer link set v1 addrgenmode none up
	stray 7 peer v1
}

reborn_and_used() {
	ip_in host link set w0 alias first
	ip_in host link delete v0
	born_and_used "$@"
}

# Nobody told of its birth, but all that it has carried is what nobody counted.
story_born_in_an_overrun() {
	local before

	make_ns host peer
	wire host w0 peer w1
	start_agent host -v
	overrun born_and_used
	wait_for_log host 'v0: attached'
	stray 10 peer v1
	report_now host
	expect_report host 10 "$STRAY Bytes: 1280" \
		'# unattributed interface=v0 reason=before_attach bytes=896 packets=7'
	# in place of another one, with its index: that it carried less than that one tells
	before=$(agent_log_count host 'v0: attached')
	overrun reborn_and_used index "$(ip_in host -j link show dev v0 | jq '.[0].ifindex')"
	wait_for_log host 'v0: attached' "$before"
	stray 3 peer v1
	stop_agent host
	expect_report host 3 "$STRAY Bytes: 384" \
		'# unattributed interface=v0 reason=before_attach bytes=896 packets=7'
}
