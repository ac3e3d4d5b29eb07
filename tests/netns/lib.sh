#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The mechanics of the stories. Namespaces go by short names here ("host", "c1"); in the kernel they have
# the story's $PREFIX before them. run.sh removes them, and what runs in them, when the story ends.

# shellcheck source=tests/expect.sh
. "${BASH_SOURCE[0]%/*}/../expect.sh"
FLOWTALLY=$BUILD/flowtally
# the version that follows it (tests/later.sh)
export LATER=$BUILD/later/build/flowtally
TOOLS=$BUILD/tests/netns
export NETNS_PREFIX=$PREFIX-
export STATE_DIRECTORY=$WORK RUNTIME_DIRECTORY=$WORK/run
declare -A AGENT=()
WIRES=0

kernel_is_before() { # MAJOR MINOR
	local major minor

	IFS=.- read -r major minor _ < <(uname -r)
	((major < $1 || (major == $1 && minor < $2)))
}

has_ended() { # PID
	! kill -0 "$1" 2>/dev/null
}

# Until COMMAND succeeds, with a deadline: PATIENCE_S, or 20 s. PATIENCE times as long on a slow machine.
wait_for() { # WHAT COMMAND...
	local what=$1 end=$((SECONDS + ${PATIENCE_S:-20} * PATIENCE))

	shift
	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || fail "waited in vain for $what"
		sleep 0.02
	done
}

# Namespaces and links

in_ns() { # NS COMMAND...
	local ns=$PREFIX-$1

	shift
	ip netns exec "$ns" "$@"
}

ip_in() { # NS IP-ARGUMENTS...
	local ns=$PREFIX-$1

	shift
	ip -n "$ns" "$@"
}

# Since Linux 6.11; it is 200 ms.
PATIENT_TCP=()
[[ ! -e /proc/sys/net/ipv4/tcp_rto_min_us ]] || PATIENT_TCP=(net.ipv4.tcp_rto_min_us=2000000)

# Quiet ones: no packet but those that a story sends. IPv6 is off until an address wants it, and its
# multicast reports never leave. TCP has the header sizes that the traffic tool reckons with, and time for what a busy
# machine acknowledges late: what is sent again is answered once more after the tool has counted.
make_ns() { # NS...
	local ns

	for ns; do
		ip netns add "$PREFIX-$ns"
		in_ns "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 \
			net.ipv4.tcp_timestamps=1 net.ipv4.tcp_sack=0 "${PATIENT_TCP[@]}"
		ip_in "$ns" link set lo up
	done
}

# A veth pair, both ends up.
wire() { # NS DEV NS DEV
	ip_in "$1" link add "$2" address "$(wire_mac 1)" type veth \
		peer name "$4" address "$(wire_mac 2)" netns "$PREFIX-$3"
	WIRES=$((WIRES + 1))
	ip_in "$1" link set "$2" addrgenmode none up
	ip_in "$3" link set "$4" addrgenmode none up
}

# ip link add, which tells a kernel without that kind from a mistake.
add_link() { # NS ARGUMENTS...
	local ns=$1 errors

	shift
	errors=$(ip_in "$ns" link add "$@" 2>&1) && return
	[[ $errors != *'Unknown device type'* && $errors != *'Operation not supported'* ]] ||
		skip "no such device here: $*"
	fail "ip link add $*: $errors"
}

device_up() { # NS DEV [ADDRESS/LENGTH...]
	ip_in "$1" link set "$2" addrgenmode none up
	add_addresses "$@"
}

# Kernels before 6.2 rename no link that is up.
rename_link() { # NS OLD NEW
	ip_in "$1" link set "$2" name "$3" 2>/dev/null && return
	ip_in "$1" link set "$2" down
	ip_in "$1" link set "$2" name "$3"
	ip_in "$1" link set "$3" up
}

wire_mac() { # END
	printf '02:00:00:00:%02x:%02x' "$WIRES" "$1"
}

add_addresses() { # NS DEV ADDRESS/LENGTH...
	local ns=$1 dev=$2 address

	shift 2
	for address; do
		if [[ $address == *:* ]]; then
			hush_ipv6 "$ns"
			in_ns "$ns" sysctl -qw "net.ipv6.conf.lo.disable_ipv6=0" \
				"net.ipv6.conf.$dev.disable_ipv6=0"
			ip_in "$ns" address add "$address" dev "$dev" nodad
		else
			ip_in "$ns" address add "$address" dev "$dev"
		fi
	done
}

# Multicast listener reports (131, 132, 143) and router solicitations (133) are nobody's flow here.
hush_ipv6() { # NS
	in_ns "$1" nft -f - <<-'EOF'
		table ip6 hush {
			chain output {
				type filter hook output priority 0
				icmpv6 type { 131, 132, 133, 143 } drop
			}
		}
	EOF
}

# Each end knows the other's addresses and its MAC address, so that nobody has to ask.
make_neighbours() { # NS DEV NS DEV
	add_neighbour "$@"
	add_neighbour "$3" "$4" "$1" "$2"
}

add_neighbour() { # NS DEV OTHER_NS OTHER_DEV
	local mac address

	{
		read -r mac
		while read -r address; do
			ip_in "$1" neighbour replace "$address" lladdr "$mac" dev "$2" nud permanent
		done
	} < <(ip_in "$3" -j address show dev "$4" | jq -r '.[0] | .address, .addr_info[].local')
}

# host v0 --- v1 peer
topology_wire() {
	make_ns host peer
	wire host v0 peer v1
	add_addresses host v0 10.1.0.1/24 fd01::1/64
	add_addresses peer v1 10.1.0.2/24 fd01::2/64
	make_neighbours host v0 peer v1
}

# host v0 --- v1 peer, which takes whatever is sent into 10.64.0.0/10 and answers none of it.
topology_flood() {
	topology_wire
	in_ns peer sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.ip_forward=0
	ip_in peer route add blackhole 10.64.0.0/10
	ip_in host route add 10.64.0.0/10 via 10.1.0.2
}

# c1 eth0 --- p1 \
#                 br0 host wan --- w0 world
# c2 eth0 --- p2 /
topology_containers() {
	local c

	make_ns c1 c2 host world
	wire c1 eth0 host p1
	wire c2 eth0 host p2
	wire host wan world w0
	ip_in host link add br0 address 02:00:00:00:ff:01 type bridge mcast_snooping 0
	ip_in host link set br0 addrgenmode none up
	ip_in host link set p1 master br0
	ip_in host link set p2 master br0
	add_addresses host br0 10.2.0.1/24 fd02::1/64
	add_addresses host wan 10.3.0.1/24 fd03::1/64
	add_addresses c1 eth0 10.2.0.2/24 fd02::2/64
	add_addresses c2 eth0 10.2.0.3/24 fd02::3/64
	add_addresses world w0 10.3.0.2/24 fd03::2/64
	in_ns host sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	for c in c1 c2; do
		make_neighbours "$c" eth0 host br0
		ip_in "$c" route add default via 10.2.0.1
		ip_in "$c" -6 route add default via fd02::1
	done
	make_neighbours c1 eth0 c2 eth0
	make_neighbours host wan world w0
	ip_in world route add 10.2.0.0/24 via 10.3.0.1
	ip_in world -6 route add fd02::/64 via fd03::1
}

# Traffic

udp() { # [-n COUNT] [-s SIZE] [-r REPLIES] [-v VIA] NS SOURCE NS DESTINATION
	"$TOOLS/traffic" udp "$@"
}

# From peer to host of topology_wire, and the line of a report that says so.
send() { # PACKETS
	udp -n "$1" -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
}

flow() { # PACKETS
	printf '10.1.0.2:40000 - 10.1.0.1:5001 Bytes: %d\n' $(($1 * 128))
}

two_flows() { # PACKETS OF EACH
	send "$1"
	udp -n "$1" -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5002
}

# Leaves what went over the wire in TCP_BYTES and TCP_PACKETS.
tcp() { # [-n BYTES] [-r BYTES_BACK] [-v VIA] NS SOURCE NS DESTINATION
	local truth

	truth=$("$TOOLS/traffic" tcp "$@")
	[[ $truth =~ ^bytes=([0-9]+)\ packets=([0-9]+)$ ]] || fail "traffic tcp said: $truth"
	# shellcheck disable=SC2034
	TCP_BYTES=${BASH_REMATCH[1]} TCP_PACKETS=${BASH_REMATCH[2]}
}

frames() { # [-n TIMES] NS DEV HEX...
	"$TOOLS/traffic" frames "$@"
}

# From c2 to world until $WORK/enough is there, in bursts; says in $WORK/sent how many packets that were.
route_until_enough() { # [PACKETS SECONDS]: so many there, a fifth back, and so long a pause
	local sent=0 packets=${1:-50}

	until [[ -e $WORK/enough ]]; do
		udp -n "$packets" -s 100 -r $((packets / 5)) c2 10.2.0.3:40000 world 10.3.0.2:5001
		sent=$((sent + packets + packets / 5))
		[[ ! ${2:-} ]] || sleep "$2"
	done
	echo "$sent" >"$WORK/sent"
}

# The link's own counters, both directions, in IP bytes: "BYTES PACKETS".
link_count() { # NS DEV
	ip_in "$1" -j -s link show dev "$2" | jq -r '.[0].stats64 |
		(.rx.packets + .tx.packets) as $packets |
		"\(.rx.bytes + .tx.bytes - 14 * $packets) \($packets)"'
}

# To a MAC address that nobody has: the hooks see the frame, no stack answers it.
ethernet() { # ETHERTYPE PAYLOAD, in hexadecimal
	printf '02ff000000010200000000ff%s%s' "$1" "$2"
}

hex_of_ipv4() { # ADDRESS
	local a b c d

	IFS=. read -r a b c d <<<"$1"
	printf '%02x%02x%02x%02x' "$a" "$b" "$c" "$d"
}

zeros() { # BYTES
	printf '%0*d' "$((2 * $1))" 0
}

# An IPv4 packet; FRAGMENT is the flags and offset field, 0 if not given.
ipv4() { # SOURCE DESTINATION PROTOCOL PAYLOAD [FRAGMENT]
	local header sum=0 i

	header=$(printf '4500%04x0001%04x40%02x0000' $((20 + ${#4} / 2)) "${5:-0}" "$3")
	header+=$(hex_of_ipv4 "$1")$(hex_of_ipv4 "$2")
	for ((i = 0; i < 40; i += 4)); do
		sum=$((sum + 16#${header:i:4}))
	done
	sum=$(((sum & 0xffff) + (sum >> 16)))
	sum=$(((sum & 0xffff) + (sum >> 16)))
	printf '%s%04x%s%s' "${header:0:20}" $((sum ^ 0xffff)) "${header:24}" "$4"
}

# UDP header and SIZE bytes of data, no checksum.
udp_payload() { # SOURCE_PORT DESTINATION_PORT SIZE
	printf '%04x%04x%04x0000%s' "$1" "$2" $((8 + $3)) "$(zeros "$3")"
}

# COUNT packets of 128 IP bytes each of the flow $STRAY into DEV's other end: needs no address there.
# shellcheck disable=SC2034
STRAY='10.9.0.2:40000 - 10.9.0.1:5001'
stray() { # COUNT NS DEV
	frames -n "$1" "$2" "$3" "$(stray_frame)"
}

stray_frame() {
	ethernet 0800 "$(ipv4 10.9.0.2 10.9.0.1 17 "$(udp_payload 40000 5001 100)")"
}

# The agent

# Watches in NS, with the way to attach that the story is run with, and reports to NS.report.
start_agent() { # NS OPTIONS...
	local ns=$1

	shift
	# emptied here, not by the agent's own shell: what an earlier one said must not count
	: >"$WORK/$ns.log"
	# not by in_ns(): a function in the background is a shell of its own, and $! would be that
	ip netns exec "$PREFIX-$ns" "$FLOWTALLY" run -t 3600 -a "$ATTACH" -o "$WORK/$ns.report" "$@" \
		2>>"$WORK/$ns.log" </dev/null &
	AGENT[$ns]=$!
	wait_for "the agent in $ns" agent_is_decided "$ns"
	agent_log_has "$ns" 'first report' || fail "the agent in $ns does not start"
}

# Where the file names the output: -o would hold against it.
start_agent_by_file() { # NS FILE
	: >"$WORK/$1.log"
	ip netns exec "$PREFIX-$1" "$FLOWTALLY" run -t 3600 -c "$2" 2>>"$WORK/$1.log" </dev/null &
	AGENT[$1]=$!
	wait_for_log "$1" 'first report'
}

# An agent to which the kernel refuses that kind of netlink with that error.
start_agent_denied() { # netfilter|generic ERROR
	local status=0

	"$TOOLS/deny" "$1" "$2" /bin/true 2>"$WORK/deny.log" || status=$?
	((status != 3)) || skip "no seccomp: $(cat "$WORK/deny.log")"
	printf '#!/bin/sh\nexec "%s" "%s" "%s" "%s" "$@"\n' "$TOOLS/deny" "$1" "$2" "$FLOWTALLY" >"$WORK/flowtally"
	chmod +x "$WORK/flowtally"
	FLOWTALLY=$WORK/flowtally
	start_agent host
}

# The limit of the agent that runs in host. Nobody may raise it above the hard one.
limit_descriptors() { # COUNT
	prlimit --pid "${AGENT[host]}" --nofile="$1:1000"
}

agent_is_decided() { # NS
	agent_log_has "$1" 'first report' || has_died "$1"
}

agent_log_has() { # NS TEXT
	grep -qF -- "$2" "$WORK/$1.log"
}

agent_log_count() { # NS TEXT
	grep -cF -- "$2" "$WORK/$1.log" || true
}

# The agent says TEXT once more than the BEFORE times it said it.
wait_for_log() { # NS TEXT [BEFORE]
	wait_for "'$2' in the log of $1" agent_said "$1" "$2" "${3:-0}"
}

agent_said() { # NS TEXT BEFORE
	(($(agent_log_count "$1" "$2") > $3))
}

signal_agent() { # NS SIGNAL
	kill "-$2" "${AGENT[$1]}"
}

# Ends the agent as an administrator would; it writes its last report.
stop_agent() { # NS
	local status=0

	signal_agent "$1" TERM
	wait "${AGENT[$1]}" || status=$?
	unset "AGENT[$1]"
	expect_equal "exit status of the agent in $1" 0 "$status"
}

# As a crash would end it.
kill_agent() { # NS
	signal_agent "$1" KILL
	wait "${AGENT[$1]}" 2>/dev/null || true
	unset "AGENT[$1]"
}

report_count() { # NS
	grep -c '^# flowtally ' "$WORK/$1.report" || true
}

# As text. The last one may be seen while it is written; what stands behind the flows may be missing.
has_reports() { # NS MORE_THAN
	(($(report_count "$1") > $2)) && [[ ! $(tail -c 1 "$WORK/$1.report") ]] && last_report "$1" | awk '
		match($0, / flows=[0-9]+/) { flows = substr($0, RSTART + 7, RLENGTH - 7) }
		/^# flowtally / { left = flows }
		/^# other / { left -= flows }
		/ Bytes: / { left-- }
		END { exit left > 0 }'
}

report_now() { # NS
	local before

	before=$(report_count "$1")
	signal_agent "$1" USR1
	wait_for "a report of $1" has_reports "$1" "$before"
}

last_report() { # NS
	# in one process: who stops reading early is a failure of the one who writes
	awk 'NR == FNR { if (/^# flowtally /) at = FNR; next } FNR >= at' "$WORK/$1.report" "$WORK/$1.report"
}

header_field() { # NS FIELD
	last_report "$1" | sed -nE "1s/^# flowtally .* $2=([^ ]+).*/\1/p"
}

# Of the flows of all reports that were ever written.
sum_of_reports() { # NS
	awk '/ Bytes: / { sum += $NF } END { printf "%.0f\n", sum }' "$WORK/$1.report"
}

# Bytes and packets of the report's flows and of what found no room, together: "BYTES PACKETS".
accounted() { # NS
	last_report "$1" | awk '
		function field(name) { match($0, name "=[0-9]+"); return substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 1) }
		/^# flowtally / || /reason=map_full/ { bytes += field("bytes"); packets += field("packets") }
		END { print bytes, packets }'
}

# The flows named in the report: how many, and their bytes together with those of the lines "# other".
named() { # NS
	last_report "$1" | awk '
		/ Bytes: / { flows++; bytes += $NF }
		/^# other / { match($0, "bytes=[0-9]+"); bytes += substr($0, RSTART + 6, RLENGTH - 6) }
		END { print flows + 0, bytes + 0 }'
}

# The last report of NS has these lines behind its header, in any order, and no others; its header counts
# them right and says PACKETS; the largest flow is first.
expect_report() { # NS PACKETS LINE...
	local ns=$1 packets=$2 flows bytes sizes header
	local time='[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z'

	shift 2
	flows=$(printf '%s\n' "$@" | grep -c ' Bytes: ' || true)
	bytes=$(printf '%s\n' "$@" | awk '/ Bytes: / { sum += $NF } END { print sum + 0 }')
	expect_equal "report of $ns" "$( (($# == 0)) || printf '%s\n' "$@" | LC_ALL=C sort)" \
		"$(last_report "$ns" | tail -n +2 | LC_ALL=C sort)"
	header="^# flowtally $time - $time interval=[0-9]+\\.[0-9]s interfaces=[0-9]+"
	header+=" flows=$flows bytes=$bytes packets=$packets\$"
	[[ $(last_report "$ns" | head -n 1) =~ $header ]] ||
		fail "header of $ns: expected and got:" "$header" "$(last_report "$ns" | head -n 1)"
	sizes=$(last_report "$ns" | awk '/ Bytes: / { print $NF }')
	expect_equal "order of the flows of $ns" "$(sort -rn <<<"$sizes")" "$sizes"
}

# A 4 KiB file system in $WORK/small, without room for anything more.
fill_small_disk() {
	mkdir "$WORK/small"
	mount -t tmpfs -o size=4k tmpfs "$WORK/small"
	touch "$WORK/small/report"
	dd if=/dev/zero of="$WORK/small/fill" bs=4k count=1 status=none
}

# An agent that is killed at a system call, by strace

has_died() { # NS
	has_ended "${AGENT[$1]}"
}

has_died_or_reported() { # NS REPORTS
	has_died "$1" || has_reports "$1" "$2"
}

has_died_or_is_traced() { # NS TRACER
	has_died "$1" || grep -q "^TracerPid:[[:space:]]*$2\$" "/proc/${AGENT[$1]}/status"
}

# From now on it is killed on entering its COUNTth system call of that name, which may be at once.
trace_until_call() { # NS NAME COUNT
	strace -qq -o "$WORK/strace" -p "${AGENT[$1]}" -e inject="$2":signal=KILL:when="$3" 2>/dev/null &
	TRACER=$!
	wait_for 'the tracer' has_died_or_is_traced "$1" "$TRACER"
}

end_trace() {
	kill "$TRACER" 2>/dev/null || true
	wait "$TRACER" 2>/dev/null || true
}

# While it drains, writes and lets go.
kill_at_system_call() { # NS NAME COUNT
	local reports

	reports=$(report_count "$1")
	trace_until_call "$@"
	signal_agent "$1" USR1
	wait_for 'death or a report' has_died_or_reported "$1" "$reports"
	# that all is done after a report is told by the agent's going back to sleep
	wait_for 'death or sleep' died_or_sleeps "$1"
	end_trace
}

died_or_sleeps() { # NS
	has_died "$1" || [[ $(tail -n 1 "$WORK/strace") == epoll_wait*'<unfinished'* ||
		$(tail -n 1 "$WORK/strace") =~ ^epoll_wait\([^\)]*$ ]]
}

# Starts the agent and kills it on its COUNTth call of NAME. Fails if it gets as far as its first interval.
dies_starting() { # NS NAME COUNT
	local status=0

	# emptied here, not by the agent's own shell: what an earlier one said must not count
	: >"$WORK/starting.log"
	# -D: what is started is the agent, and the tracer its descendant
	# LeakSanitizer does not work under ptrace
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 strace -D -qq -o "$WORK/strace" -e inject="$2":signal=KILL:when="$3" \
		ip netns exec "$PREFIX-$1" "$FLOWTALLY" run -t 3600 -a "$ATTACH" -o "$WORK/$1.report" \
		2>>"$WORK/starting.log" </dev/null &
	AGENT[$1]=$!
	wait_for 'death or a start' died_or_started "$1"
	! grep -qF 'first report' "$WORK/starting.log" || return 1
	wait "${AGENT[$1]}" || status=$?
	unset "AGENT[$1]"
	expect_equal 'exit status of a start that is killed' 137 "$status"
}

died_or_started() { # NS
	grep -qF 'first report' "$WORK/starting.log" || has_died "$1"
}

# Neighbours on the hooks

tc_in() { # NS TC-ARGUMENTS...
	local ns=$PREFIX-$1

	shift
	tc -n "$ns" "$@"
}

# All filters on the two hooks of DEV.
filters() { # NS DEV
	tc_in "$1" filter show dev "$2" ingress
	tc_in "$1" filter show dev "$2" egress
}

has_clsact() { # NS DEV
	tc_in "$1" qdisc show dev "$2" | grep -q '^qdisc clsact '
}

own_filters() { # NS DEV
	filters "$1" "$2" | grep -c flowtally || true
}

# Packets that count.bpf.o has seen as program ID.
packets_seen() { # ID
	"$TOOLS/bpf_objects" count "$1"
}

# What the kernel keeps for the agent: "prog:ID" and "map:ID".
agent_objects() { # NS
	# some are closed meanwhile
	{ cat "/proc/${AGENT[$1]}/fdinfo/"* 2>/dev/null || true; } |
		sed -nE 's/^(prog|map)_id:[[:space:]]+([0-9]+)$/\1:\2/p' | sort -u
}

# How many descriptors of each sort, those of programs and maps among them.
agent_descriptors() { # NS
	find "/proc/${AGENT[$1]}/fd" -type l -printf '%l\n' 2>/dev/null | sed 's/:\[.*//' | sort | uniq -c
}

has_descriptors() { # NS BEFORE
	[[ $(agent_descriptors "$1") == "$2" ]]
}

resident_kib() { # NS
	awk '/^VmRSS:/ { print $2 }' "/proc/${AGENT[$1]}/status"
}

# Descriptors, resident KiB, and what the kernel keeps for the agent.
footprint() { # NS
	printf '%d descriptors, %d KiB, %d programs and maps\n' \
		"$(find "/proc/${AGENT[$1]}/fd" -type l | wc -l)" "$(resident_kib "$1")" "$(agent_objects "$1" | wc -l)"
}

# The room of each flow map that is held. Other agents of this machine may have pins, too.
pinned_maps() { # NS
	in_ns "$1" "$TOOLS/bpf_objects" entries flows-
}

are_gone() { # OBJECT...
	[[ -z $("$TOOLS/bpf_objects" alive "$@") ]]
}

# Metrics

LISTEN=127.0.0.1:9464

# What `run` answers on LISTEN, head and all.
http() { # REQUEST-LINE [HEADER...]
	# shellcheck disable=SC2016
	in_ns host bash -c '
		exec 3<>"/dev/tcp/${1/://}" || exit
		shift
		printf "%s\r\n" "$@" "Host: host" "Connection: close" "" >&3
		timeout $((5 * PATIENCE)) cat <&3' http "$LISTEN" "$@"
}

scrape() {
	http 'GET /metrics HTTP/1.1' | sed '1,/^\r$/d'
}

# Misuse

# `flowtally ARGUMENTS` in the namespace host ends with STATUS, says one line that holds TEXT on standard
# error, and nothing on standard output.
expect_status() { # STATUS TEXT ARGUMENTS...
	local expected=$1 text=$2 status=0

	shift 2
	in_ns host timeout $((5 * PATIENCE)) "$FLOWTALLY" "$@" >"$WORK/out" 2>"$WORK/errors" </dev/null || status=$?
	expect_equal "exit status of flowtally $*" "$expected" "$status"
	expect_equal "standard output of flowtally $*" '' "$(cat "$WORK/out")"
	if [[ $(wc -l <"$WORK/errors") -ne 1 ]] || ! grep -qF -- "$text" "$WORK/errors"; then
		fail "flowtally $*: expected one line with '$text', got:" "$(cat "$WORK/errors")"
	fi
}
