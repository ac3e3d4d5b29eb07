#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# All of it at once, in random order, for CHAOS_S seconds: the agent is killed, held, handed over, also to another
# version, reloaded and asked; links come, change and go; the disk is full; more flows come than maps hold. Whatever was sent is in
# the reports, once. CHAOS_SEED repeats the order of events, not their timing.

CHAOS_S=${CHAOS_S:-30}
CHAOS_SEED=${CHAOS_SEED:-$RANDOM}
# a folder for the reports and logs of all agents
CHAOS_KEEP=${CHAOS_KEEP:-}
export PATIENCE_S=60
PAIRS=16 NUMBER=0
# of one packet of the senders and of stray(), and of flood
PACKET=128
FLOOD_PACKET=29

# What c1, c2 and world send each other crosses one to three hooks; what passes s0 nobody else sees, so that
# what finds no room there is a first sight for certain.
topology_chaos() {
	topology_containers
	wire host s0 world s1
	add_addresses host s0 10.4.0.1/24
	add_addresses world s1 10.4.0.2/24
	make_neighbours host s0 world s1
	ip_in world route add blackhole 10.64.0.0/10
	in_ns world sysctl -qw net.ipv4.icmp_ratelimit=0
	ip_in host route add 10.64.0.0/10 via 10.4.0.2
	mkdir "$WORK/disk"
	mount -t tmpfs -o size=64m none "$WORK/disk"
	ln -s "$WORK/disk/report" "$WORK/host.report"
	new_lists
}

# Every conversation stays in sight of one hook at least. A clsact qdisc that comes or goes has the kernel drop
# what is sent at that instant (doc/design.md), and the senders do not expect that.
new_lists() {
	local excluded=('' 'br0' 'p2' 'br0 p2' 'lo') entries=(256 4096 65536)

	[[ $ATTACH == tcx ]] || excluded=('' 'lo')
	cat >"$WORK/flowtally.conf" <<-EOF2
		[interfaces]
		exclude = ${excluded[RANDOM % ${#excluded[@]}]}
		[flows]
		map_entries = ${entries[RANDOM % 3]}
	EOF2
}

# Sends in bursts until $WORK/enough is there, then says how many packets that were.
sender() { # NAME UDP-ARGUMENTS...
	local name=$1 sent=0 port=0

	shift
	until [[ -e $WORK/enough ]]; do
		port=$((port % 50 + 1))
		udp -n 50 -s 100 -r 10 "$1" "$2:$((40000 + port))" "$3" "$4:5001"
		sent=$((sent + 60))
	done
	echo "$sent" >"$WORK/sent.$name"
}

# Links that nobody uses, made and deleted as fast as ip can.
storms() {
	local i

	for ((i = 0; i < PAIRS; i++)); do
		printf 'link add t%d type veth peer name u%d netns %s-world\n' "$i" "$i" "$PREFIX"
		# kernels before 6.2 rename no link that is up
		printf 'link set t%d addrgenmode none up\nlink set t%d down\nlink set t%d name r%d up\n' \
			"$i" "$i" "$i" "$i"
		((i % 2)) || printf 'link set r%d master br0\n' "$i"
		((i < 2)) || printf 'link delete r%d\n' $((i - 2))
	done >"$WORK/storm"
	printf 'link delete r%d\nlink delete r%d\n' $((PAIRS - 2)) $((PAIRS - 1)) >>"$WORK/storm"
	until [[ -e $WORK/enough ]]; do
		ip_in host -batch "$WORK/storm"
	done
}

keep_log() {
	[[ ! $CHAOS_KEEP || ! -e $WORK/host.log ]] || cat "$WORK/events" "$WORK/host.log" >>"$WORK/lives"
}

# Most are of this one.
any_version() {
	FLOWTALLY=$BUILD/flowtally
	((RANDOM % 3)) || FLOWTALLY=$LATER
}

chaos_agent() {
	keep_log
	any_version
	start_agent host -v -t 1 -c "$WORK/flowtally.conf"
	note_objects
}

# Every program and map that an agent had.
note_objects() {
	agent_objects host >>"$WORK/objects"
}

event_kill() {
	kill_agent host
	chaos_agent
}

event_kill_at_once() {
	kill_agent host
	any_version
	ip netns exec "$PREFIX-host" "$FLOWTALLY" run -a "$ATTACH" -t 1 -o "$WORK/host.report" \
		-c "$WORK/flowtally.conf" 2>/dev/null </dev/null &
	AGENT["host"]=$!
	sleep "0.0$((RANDOM % 10))"
	event_kill
}

event_hand_over() {
	note_objects
	signal_agent host USR2
	wait "${AGENT[host]}" || fail 'the agent does not hand over'
	chaos_agent
}

event_reload() {
	local before

	before=$(agent_log_count host 'configuration is read again')
	new_lists
	signal_agent host HUP
	wait_for_log host 'configuration is read again' "$before"
}

event_report() {
	signal_agent host USR1
}

event_hold() {
	signal_agent host STOP
	sleep "0.$((RANDOM % 9 + 1))"
	signal_agent host CONT
}

# To the last block: dd ends there with an error. A report may have had some of it.
fill_disk() {
	dd if=/dev/zero of="$WORK/disk/fill" bs=64K oflag=append conv=notrunc status=none 2>/dev/null
	[[ $(df --output=avail "$WORK/disk" | tail -n 1) -eq 0 ]]
}

event_full_disk() {
	wait_for 'a full disk' fill_disk
	sleep "0.$((RANDOM % 9 + 1))"
	((RANDOM % 2)) || event_kill
	rm "$WORK/disk/fill"
}

event_flood() {
	local count=$((RANDOM % 10000))

	FLOODED=$((FLOODED + $("$TOOLS/flood" host "$count" 50)))
}

event_short_life() {
	local name=x$NUMBER

	ip_in host link add "$name" type veth peer name "y$NUMBER" netns "$PREFIX-world"
	ip_in host link set "$name" addrgenmode none up
	ip_in world link set "y$NUMBER" addrgenmode none up
	wait_for_log host "$name: attached"
	stray 5 world "y$NUMBER"
	ip_in host link delete "$name"
	STRAYED=$((STRAYED + 5))
}

event_stray() {
	stray 100 world s1
	STRAYED=$((STRAYED + 100))
}

# Once: who does it again and again is not fought with.
event_filter_removed() {
	[[ $ATTACH == clsact && ! -e $WORK/removed ]] || return 0
	touch "$WORK/removed"
	tc_in host filter del dev s0 ingress
	signal_agent host USR1
	wait_for_log host 's0: our program at ingress was removed by somebody else; attached again'
}

chaos() {
	local events end=$((SECONDS + CHAOS_S))

	mapfile -t events < <(compgen -A function event_)
	FLOODED=0 STRAYED=0
	while ((SECONDS < end)); do
		EVENT=${events[RANDOM % ${#events[@]}]}
		NUMBER=$((NUMBER + 1))
		echo "$NUMBER $EVENT" >>"$WORK/events.log"
		echo "--- $EPOCHREALTIME $NUMBER $EVENT" >"$WORK/events"
		"$EVENT"
	done
}

# Bytes of all lines, of what found no room in a map, and of what passed while nobody was attached.
reported() {
	awk '/ Bytes: / { sum += $NF }
		/reason=map_full/ || /interface=(s0|x[0-9]+) reason=before_attach/ { match($0, /bytes=[0-9]+/); sum += substr($0, RSTART + 6, RLENGTH - 6) }
		END { printf "%.0f\n", sum }' "$WORK/host.report"
}

end_chaos() {
	touch "$WORK/enough"
	keep_log
	[[ ! $CHAOS_KEEP ]] || cp "$WORK/host.report" "$WORK/lives" "$CHAOS_KEEP"
}

story_chaos() {
	local jobs=() sent objects

	trap end_chaos EXIT
	RANDOM=$CHAOS_SEED
	topology_chaos
	: >"$WORK/events"
	chaos_agent
	echo "before: $(footprint host)"
	sender bridged c1 10.2.0.2 c2 10.2.0.3 &
	jobs+=($!)
	sender routed c2 10.2.0.3 world 10.3.0.2 &
	jobs+=($!)
	sender local world 10.3.0.2 host 10.3.0.1 &
	jobs+=($!)
	storms &
	jobs+=($!)
	chaos
	touch "$WORK/enough"
	wait "${jobs[@]}"
	echo "after $NUMBER events: $(footprint host)"
	stop_agent host
	sent=$((($(cat "$WORK"/sent.* | paste -sd +) + STRAYED) * PACKET + FLOODED * FLOOD_PACKET))
	expect_equal "bytes of all reports after $NUMBER events, CHAOS_SEED=$CHAOS_SEED" "$sent" "$(reported)"
	mapfile -t objects < <(sort -u "$WORK/objects")
	wait_for "the end of ${objects[*]}" are_gone "${objects[@]}"
	expect_equal 'own filters' 0 "$(own_filters host s0)"
}
