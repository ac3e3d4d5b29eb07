#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What older kernels lack is found out by trying, and done in another way: forced here on any kernel.

# Numbers of enum bpf_cmd, and what kernels without them answer
MAP_LOOKUP_BATCH=24
MAP_UPDATE_BATCH=26
LINK_CREATE=28
EINVAL=22
EMFILE=24
ENOTSUPP=524

# From now on the agent finds a kernel without these.
without() { # COMMAND=ERRNO...
	printf '#!/bin/sh\nexec "%s" %s -- "%s" "$@"\n' "$TOOLS/without" "$*" "$FLOWTALLY" >"$WORK/flowtally"
	chmod +x "$WORK/flowtally"
	FLOWTALLY=$WORK/flowtally
}

# Several interfaces, so that batches are tried, and reports under way.
expect_as_ever() {
	topology_containers
	start_agent host
	udp -n 100 -s 1000 -r 10 c1 10.2.0.2:40000 world 10.3.0.2:5001
	report_now host
	expect_report host 110 "10.2.0.2:40000 - 10.3.0.2:5001 Bytes: $((110 * 1028))"
	udp -n 50 -s 500 -r 5 c2 10.2.0.3:40000 c1 10.2.0.2:5001
	udp -n 30 -s 1000 c1 10.2.0.2:40000 world 10.3.0.2:5001
	stop_agent host
	expect_report host 85 "10.2.0.2:40000 - 10.3.0.2:5001 Bytes: $((30 * 1028))" \
		"10.2.0.3:40000 - 10.2.0.2:5001 Bytes: $((55 * 528))"
}

# In 5.10 maps of maps are updated one by one, with a grace period each.
story_without_update_batch() {
	without "$MAP_UPDATE_BATCH=$ENOTSUPP"
	expect_as_ever
}

story_without_lookup_batch() {
	without "$MAP_LOOKUP_BATCH=$EINVAL"
	expect_as_ever
}

# Before 6.6: auto takes clsact, on all interfaces. (Modules of tunnels bring some of their own.)
once_without_tcx() {
	without "$LINK_CREATE=$EINVAL"
	expect_as_ever
	grep -q 'watching \([0-9]*\) of \1 interfaces (tcx 0, clsact \1)' "$WORK/host.log" ||
		fail 'not by clsact:' "$(cat "$WORK/host.log")"
}

# A filter of others before ours cannot be overtaken then: to try that once is enough.
expect_one_try_behind_a_filter() { # ERRNO
	# shellcheck disable=SC2034
	ATTACH=auto
	topology_wire
	tc_in host qdisc add dev v0 clsact
	tc_in host filter add dev v0 ingress pref 1 protocol ip u32 match u32 1 0xffffffff flowid 1:1
	without "$LINK_CREATE=$1"
	start_agent host
	udp -n 10 -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
	signal_agent host HUP
	wait_for_log host 'configuration is read again'
	report_now host
	! agent_log_has host 'attaching anew' || fail 'it is in vain'
	udp -n 5 -s 100 peer 10.1.0.2:40000 host 10.1.0.1:5001
	stop_agent host
	expect_report host 5 "10.1.0.2:40000 - 10.1.0.1:5001 Bytes: $((5 * 128))"
}

once_without_tcx_behind_a_filter() {
	expect_one_try_behind_a_filter "$EINVAL"
	! agent_log_has host 'clsact for the next hour' || fail 'it is for longer'
}

# What may be over soon is tried again, but not with each report.
once_without_descriptors_behind_a_filter() {
	expect_one_try_behind_a_filter "$EMFILE"
	agent_log_has host 'v0: tcx, in front of others, fails: Too many open files; clsact for the next hour' ||
		fail 'it does not say so'
}

once_without_tcx_asked_for() {
	local status=0

	topology_wire
	without "$LINK_CREATE=$EINVAL"
	in_ns host timeout $((5 * PATIENCE)) "$FLOWTALLY" run -t 3600 -a tcx >"$WORK/out" 2>"$WORK/errors" ||
		status=$?
	expect_equal 'exit status' 1 "$status"
	tail -n 1 "$WORK/errors" | grep -q '^flowtally: no interface could be attached to: .* tcx takes Linux 6.6' ||
		fail "it says: $(cat "$WORK/errors")"
}

# Before 5.11 maps are charged against RLIMIT_MEMLOCK, which only CAP_SYS_RESOURCE may raise.
once_without_locked_memory() {
	local status=0

	kernel_is_before 5 11 ||
		skip 'this kernel does not count the memory of BPF as locked'
	make_ns host
	(
		ulimit -l 64
		in_ns host setpriv --bounding-set -sys_resource timeout $((5 * PATIENCE)) "$FLOWTALLY" run -t 3600
	) >"$WORK/out" 2>"$WORK/errors" || status=$?
	expect_equal 'exit status' 1 "$status"
	grep -q CAP_SYS_RESOURCE "$WORK/errors" || fail 'it does not say why:' "$(cat "$WORK/errors")"
}
