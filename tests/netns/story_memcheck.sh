#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The agent's whole life in valgrind: it starts where a killed one of another version ended, reports, is configured
# anew, answers, ends.

# Numbers of enum bpf_cmd that valgrind does not know, so that what they write would be taken for nothing.
UNKNOWN='24 26'
EINVAL=22
export PATIENCE_S=60

in_memcheck() {
	local -a refused

	type -P valgrind >/dev/null || skip 'valgrind is not installed'
	! grep -q __asan_init "$FLOWTALLY" || skip 'AddressSanitizer and valgrind do not go together'
	read -ra refused <<<"$UNKNOWN"
	cat >"$WORK/flowtally" <<-EOF2
		#!/bin/sh
		exec "$TOOLS/without" ${refused[*]/%/=$EINVAL} -- "$(type -P valgrind)" --quiet --error-exitcode=9 \
			--leak-check=full --errors-for-leak-kinds=definite,possible --log-file="$WORK/memcheck.%p.log" \
			--suppressions="$PWD/tests/netns/memcheck.supp" "$FLOWTALLY" "\$@"
	EOF2
	chmod +x "$WORK/flowtally"
	FLOWTALLY=$WORK/flowtally
}

story_in_memcheck() {
	local agent=$FLOWTALLY before

	topology_containers
	printf '[flows]\nmap_entries = 1024\n[metrics]\nlisten = 127.0.0.1:9464\n' >"$WORK/flowtally.conf"
	FLOWTALLY=$LATER start_agent host -c "$WORK/flowtally.conf"
	udp -n 20 -s 1000 -r 10 c1 10.2.0.2:40000 world 10.3.0.2:5001
	kill_agent host

	in_memcheck
	start_agent host -c "$WORK/flowtally.conf" -f json -o "$WORK/json" -v
	udp -n 10 -s 1000 c1 10.2.0.2:40000 c2 10.2.0.3:5001
	tcp -n 100000 -r 100000 c1 '[fd02::2]:40001' world '[fd03::2]:5002'
	in_ns host "$agent" interfaces --json >"$WORK/answer"
	in_ns host "$agent" top -n 1 >"$WORK/answer"
	rename_link host p2 p3
	ip_in host link add late type veth peer name other
	wait_for_log host 'late: attached'
	before=$(agent_log_count host 'configuration is read again')
	printf '[interfaces]\nexclude = br0\n[report]\ntop = 1\n' >"$WORK/flowtally.conf"
	signal_agent host HUP
	wait_for_log host 'configuration is read again' "$before"
	udp -n 5 -s 1000 c1 10.2.0.2:40002 world 10.3.0.2:5001
	ip_in host link delete late
	wait_for_log host 'late: gone'
	stop_agent host
	expect_equal 'bytes of all flows' $((45 * 1028 + TCP_BYTES)) \
		"$(jq -s 'map(select(.event.action == "report").flowtally.report.network.bytes) | add' "$WORK/json")"
}
