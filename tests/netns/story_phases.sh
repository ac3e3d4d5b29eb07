#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What is watched, and what is stacked on what, changes within an interval: each packet is counted by what held when it passed.

watch_only() { # PATTERN...
	local before

	printf '[interfaces]\ninclude = %s\n' "$*" >"$WORK/flowtally.conf"
	[[ -n ${AGENT[host]:-} ]] || return 0
	before=$(agent_log_count host 'configuration is read again')
	signal_agent host HUP
	wait_for_log host 'configuration is read again' "$before"
}

story_lists_grow_midway() {
	topology_containers
	watch_only br0 p1
	start_agent host -v -c "$WORK/flowtally.conf"
	udp -n 5 -s 100 host 10.2.0.1:40000 c2 10.2.0.3:5001
	udp -n 6 -s 100 c2 10.2.0.3:40000 world 10.3.0.2:5001
	watch_only '*'
	wait_for_log host 'p2: attached'
	wait_for_log host 'wan: attached'
	udp -n 7 -s 100 host 10.2.0.1:40000 c2 10.2.0.3:5001
	udp -n 8 -s 100 c2 10.2.0.3:40000 world 10.3.0.2:5001
	stop_agent host
	expect_report host 26 "10.2.0.1:40000 - 10.2.0.3:5001 Bytes: $((12 * 128))" \
		"10.2.0.3:40000 - 10.3.0.2:5001 Bytes: $((14 * 128))"
}
