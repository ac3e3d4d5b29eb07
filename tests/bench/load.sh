#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What an agent costs the traffic that it looks at: tests/bench/load.sh throughput|tools
#
#   throughput  the same load with and without flowtally, in pairs
#   tools       the same load under flowtally and under what a user would run instead
#
# Measured is what arrives a second, in short rounds, each beside one without any tool, which of them first in turn. The
# load goes in front of all other work of the machine for a second or so.
#
#   ROUNDS  how many
#   LOADS   of throughput: tcp1 tcp8 udp
set -euo pipefail

cd "$(dirname "$0")/../.."
build=$PWD/${BUILD:-build}
rounds=${ROUNDS:-15}
packets=150000
# shellcheck source=tests/bench/net.sh
. tests/bench/net.sh

scratch=$(mktemp -d)
tool=()
trap 'stop_tool; remove_net; rm -rf "$scratch"' EXIT

median() {
	sort -g | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
}

# Watching. Each start_X waits until X sees packets; all of them say at their end how many they saw.

start_in_router() { # COMMAND...
	: >"$scratch/log"
	# not by in_net(): a function in the background is a shell of its own, and $! would be that
	ip netns exec "$NET-router" "$@" >"$scratch/out" 2>"$scratch/log" </dev/null &
	tool+=($!)
}

start_none() {
	:
}

# Where flowtally attaches too, by tcx.
start_empty() {
	local dev hook

	for dev in vc br0 vs; do
		for hook in ingress egress; do
			start_in_router "$build/tests/netns/tcx_load" "$dev" "$hook" \
				"$build/tests/bench/empty.bpf.o"
			wait_until 'an empty program' grep -q attached "$scratch/out"
		done
	done
}

start_flowtally() { # [MODE]
	rm -f "$scratch/report"
	STATE_DIRECTORY=$scratch start_in_router "$build/flowtally" run -c /dev/null -t 86400 -f json \
		-o "$scratch/report" -a "${1:-auto}"
	wait_until 'flowtally' grep -q 'first report' "$scratch/log"
}

start_clsact() {
	start_flowtally clsact
}

start_tcx() {
	start_flowtally tcx
}

start_tcpdump() {
	start_in_router tcpdump -n -i vs -w /dev/null
	wait_until 'tcpdump' grep -q 'listening on' "$scratch/log"
}

start_softflowd() {
	start_in_router softflowd -d -i vs -c "$scratch/softflowd" -p "$scratch/pid"
	wait_until 'softflowd' softflowctl -c "$scratch/softflowd" statistics
}

start_pmacctd() {
	start_in_router pmacctd -i vs -c src_host,dst_host,src_port,dst_port,proto -P print -r 3600 -O csv
	wait_until 'pmacctd' grep -q 'link type is' "$scratch/log" "$scratch/out"
}

# SIGTERM ends all of them with their report.
stop_tool() {
	((${#tool[@]})) || return 0
	kill -TERM "${tool[@]}" 2>/dev/null || true
	wait "${tool[@]}" 2>/dev/null || true
	tool=()
}

seen_by_flowtally() {
	jq -s 'map(select(.event.action == "flow" and .network.transport == "udp") | .network.packets) | add // 0' \
		"$scratch/report"
}

seen_by_tcpdump() {
	awk '/packets? captured/ { print $1 }' "$scratch/log"
}

seen_by_softflowd() {
	awk '/^Packets processed/ { print $3 }' "$scratch/statistics"
}

seen_by_pmacctd() {
	awk -F , '$5 == "udp" || $5 == "17" { sum += $6 } END { print sum + 0 }' "$scratch/out"
}

# User and system time of the tool and its children, in ms.
cpu_of_tool() {
	local pid sum=0 ticks

	for pid in "${tool[0]}" $(pgrep -P "${tool[0]}" || true); do
		ticks=$(awk '{ sub(/^.*\) /, ""); print $12 + $13 }' "/proc/$pid/stat")
		sum=$((sum + ticks))
	done
	echo $((sum * 1000 / $(getconf CLK_TCK)))
}

# Load. Each prints what arrived a second.

load_udp() {
	local before ms

	before=$(arrived)
	ms=$(in_net client taskset -c 1 chrt -f 1 "$build/tests/bench/udp_send" "$SINK" "$packets")
	awk -v packets=$(($(arrived) - before)) -v ms="$ms" 'BEGIN { printf "%.0f\n", packets * 1000 / ms }'
}

load_tcp() { # STREAMS
	in_net client taskset -c 0 chrt -f 1 iperf3 -c "$SERVER" -P "$1" -n $((1200000000 / $1)) -J |
		jq '.end.sum_received.bits_per_second'
}

one_round() { # TOOL LOAD...
	local name=$1

	shift
	"start_$name"
	"$@"
	stop_tool
}

# The median of what the tool leaves of the load that there is without it.
share_left() { # TOOL LOAD...
	local name=$1 i with without

	shift
	for ((i = 0; i < rounds; i++)); do
		((i % 2)) || without=$(one_round none "$@")
		with=$(one_round "$name" "$@")
		((i % 2 == 0)) || without=$(one_round none "$@")
		awk -v with="$with" -v without="$without" 'BEGIN { printf "%.4f\n", with / without }'
	done | median
}

throughput_row() { # TITLE LOAD...
	local title=$1

	shift
	printf '| %s | %.2f | %.2f | %.2f |\n' "$title" "$(share_left clsact "$@")" "$(share_left tcx "$@")" \
		"$(share_left empty "$@")"
}

throughput() {
	local load

	in_net server taskset -c 1 chrt -f 1 iperf3 -s -D
	wait_until 'iperf3' in_net client iperf3 -c "$SERVER" -n 1K
	printf '| load | flowtally by clsact, of without | by tcx | programs that do nothing, by tcx |\n'
	printf '| --- | --- | --- | --- |\n'
	for load in ${LOADS:-tcp1 tcp8 udp}; do
		case $load in
		tcp1) throughput_row 'TCP, 1 stream' load_tcp 1 ;;
		tcp8) throughput_row 'TCP, 8 streams' load_tcp 8 ;;
		udp) throughput_row 'UDP, frames of 64 bytes' load_udp ;;
		esac
	done
}

# "SEEN CPU": of a thousand packets that arrived, and ms of the tool for a million of them.
watch_load() { # TOOL
	local before count idle cpu

	"start_$1"
	idle=$(cpu_of_tool)
	before=$(arrived)
	load_udp >/dev/null
	count=$(($(arrived) - before))
	# nobody is told when a tool has read its buffers empty; it is, when its CPU time stands still
	wait_until "$1 to have read all" is_at_rest
	cpu=$(($(cpu_of_tool) - idle))
	[[ $1 != softflowd ]] || softflowctl -c "$scratch/softflowd" statistics >"$scratch/statistics"
	stop_tool
	awk -v seen="$("seen_by_$1")" -v count="$count" -v cpu="$cpu" \
		'BEGIN { printf "%.1f %.1f\n", seen * 1000 / count, cpu * 1000000 / count }'
}

is_at_rest() {
	local before

	before=$(cpu_of_tool)
	sleep 1
	[[ $(cpu_of_tool) == "$before" ]]
}

tools() {
	local name i

	printf '| tool | interfaces | packets seen, %% | its CPU, ms a million packets | packets a second, of without |\n'
	printf '| --- | --- | --- | --- | --- |\n'
	for name in flowtally softflowd pmacctd tcpdump; do
		type -P "$name" >/dev/null || [[ $name == flowtally ]] || {
			printf '| %s | not installed: DEPS_BENCH=1 packaging/install-deps.sh | | | |\n' "$name"
			continue
		}
		for ((i = 0; i < 5; i++)); do
			watch_load "$name"
		done >"$scratch/watched"
		printf '| %s | %s | %.1f | %.0f | %.2f |\n' "$name" "$([[ $name == flowtally ]] && echo all || echo one)" \
			"$(awk '{ print $1 / 10 }' "$scratch/watched" | median)" \
			"$(awk '{ print $2 }' "$scratch/watched" | median)" "$(share_left "$name" load_udp)"
	done
}

case ${1:-} in
throughput | tools) ;;
*)
	echo 'usage: tests/bench/load.sh throughput|tools' >&2
	exit 2
	;;
esac
make_net
"$1"
