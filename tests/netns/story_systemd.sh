#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The unit as it is packaged, under systemd: process 1 of a machine in namespaces (machine.sh), whose network is the
# namespace "host". What the agent reports there adds up to what was sent, to the byte.

SYSTEMD=/usr/lib/systemd/systemd
CGROUP=
MACHINE=
STARTER=
OBJECTS=()
# what it says itself, in the journal; of the unit its manager says more
ITS_OWN=(_SYSTEMD_UNIT=flowtally.service + SYSLOG_IDENTIFIER=flowtally)

# In the machine.
machine() { # COMMAND...
	nsenter --target "$MACHINE" --mount --pid --ipc --uts --net --cgroup --root --wd \
		env -i PATH=/usr/sbin:/usr/bin "$@"
}

# All of what was said until now.
journal() { # ARGUMENTS...
	machine journalctl --sync
	machine journalctl -q -o cat "$@"
}

configure() { # FILE MAP_ENTRIES INTERVAL
	cat >"$1" <<-END
		[report]
		interval = $3
		output = /var/log/flowtally/report
		[flows]
		map_entries = $2
		[attach]
		mode = $ATTACH
	END
}

reconfigure() { # MAP_ENTRIES INTERVAL
	configure "/proc/$MACHINE/root/etc/flowtally/flowtally.conf" "$@"
}

# What a package brings, and one unit more: the same one, but it probes what the unit forbids.
make_files() { # MAP_ENTRIES INTERVAL
	local lib=$WORK/machine/files/usr/lib etc=$WORK/machine/files/etc sbin=$WORK/machine/files/usr/sbin

	mkdir -p "$WORK/machine/root" "$sbin" "$lib"/{systemd/system,sysusers.d,tmpfiles.d} \
		"$etc"/{flowtally,systemd/system/probe.service.d}
	cp "$FLOWTALLY" "$TOOLS/bpf_objects" "$sbin/"
	cp packaging/flowtally.service "$lib/systemd/system/"
	cp packaging/flowtally.sysusers "$lib/sysusers.d/flowtally.conf"
	cp packaging/flowtally.tmpfiles "$lib/tmpfiles.d/flowtally.conf"
	configure "$etc/flowtally/flowtally.conf" "$@"
	cp packaging/flowtally.service "$lib/systemd/system/probe.service"
	cat >"$etc/systemd/system/probe.service.d/probe.conf" <<-'END'
		[Service]
		Type=oneshot
		ExecStart=
		ExecStart=/bin/sh /etc/probe
		Restart=no
	END
}

# What `make install` takes of a tree that is built, and nothing that is installed.
make_tree() {
	local tree=$WORK/machine/files/root/flowtally

	mkdir -p "$WORK/machine/root" "$tree/build"
	cp -r --parents Makefile packaging config/flowtally.conf doc/*.[58] "$tree/"
	cp "$FLOWTALLY" "$tree/build/"
}

start_machine() { # MAP_ENTRIES INTERVAL
	make_files "$@"
	boot_machine
}

# Not where its namespaces, mounts and control groups are refused, as they are in most containers.
boot_machine() {
	local cgroups

	[[ -x $SYSTEMD ]] || skip 'systemd is not installed'
	cgroups=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[[ $cgroups ]] || skip 'cgroup2 is not mounted'
	CGROUP=$cgroups/$PREFIX
	mkdir "$CGROUP" 2>"$WORK/machine.log" || skip "no control group: $(cat "$WORK/machine.log")"
	(
		echo "$BASHPID" >"$CGROUP/cgroup.procs"
		exec ip netns exec "$PREFIX-host" \
			unshare --mount --pid --ipc --uts --cgroup --fork --kill-child \
			bash "${BASH_SOURCE[0]%/*}/machine.sh" "$WORK/machine" \
			"$SYSTEMD" --unit=multi-user.target --show-status=no
	) >"$WORK/machine.log" 2>&1 &
	STARTER=$!
	wait_for 'the machine' machine_is_decided
	[[ -s $WORK/machine/pid ]] || explain_machine
	MACHINE=$(cat "$WORK/machine/pid")
	trap 'journal >"$WORK/journal.log" 2>&1 || true' EXIT
	wait_for 'its start' machine systemctl is-active multi-user.target
	# LeakSanitizer does not work where the unit forbids ptrace()
	machine systemctl set-environment ASAN_OPTIONS=detect_leaks=0
	ln -s "/proc/$MACHINE/root/var/log/flowtally/report" "$WORK/host.report"
}

machine_is_decided() {
	[[ -s $WORK/machine/pid ]] || has_ended "$STARTER"
}

explain_machine() {
	! grep -qE 'not permitted|denied|unknown filesystem|Read-only' "$WORK/machine.log" ||
		skip "no machine in namespaces here: $(tail -n 1 "$WORK/machine.log")"
	fail 'the machine does not start'
}

property() { # NAME
	machine systemctl show --property="$1" --value flowtally
}

# Its process, as this namespace numbers it, and what the kernel keeps for it.
find_agent() {
	expect_equal 'state of the unit' active "$(property ActiveState)"
	read -r 'AGENT[host]' <"$CGROUP/system.slice/flowtally.service/cgroup.procs"
	mapfile -t -O "${#OBJECTS[@]}" OBJECTS < <(agent_objects host)
}

runs() { # BINARY
	cmp -s "/proc/${AGENT[host]}/exe" "$1" || fail "${1##*/} is not what runs"
}

# As a package manager does it, under a process that goes on.
install_binary() { # BINARY
	cp "$1" "/proc/$MACHINE/root/usr/sbin/flowtally.new"
	machine mv /usr/sbin/flowtally.new /usr/sbin/flowtally
}

restart() {
	local before=${AGENT[host]}

	machine systemctl restart flowtally
	find_agent
	[[ ${AGENT[host]} != "$before" ]] || fail 'the process is the same'
}

# With SIGHUP `systemctl reload` does not wait.
reload() { # MAP_ENTRIES INTERVAL
	local before

	before=$(times_said 'configuration is read again')
	reconfigure "$@"
	machine systemctl reload flowtally
	wait_for 'the new configuration' said_more 'configuration is read again' "$before"
	find_agent
}

times_said() { # TEXT
	journal --identifier flowtally | grep -cF -- "$1" || true
}

said_more() { # TEXT TIMES
	(($(times_said "$1") > $2))
}

all_maps_have() { # ENTRIES
	[[ $(machine bpf_objects entries flows- | sort -u) == "$1" ]]
}

is_back() { # RESTARTS
	[[ $(property NRestarts) == "$1" && $(property ActiveState) == active ]]
}

route() { # PACKETS
	udp -n "$1" -s 100 c2 10.2.0.3:40000 world 10.3.0.2:5001
}

expect_no_complaint() { # MATCH...
	expect_equal 'warnings and errors' '' "$(journal --priority warning "$@")"
}

expect_nothing_left() {
	local dev

	for dev in lo p1 p2 br0 wan; do
		expect_equal "own filters on $dev" 0 "$(own_filters host "$dev")"
		! has_clsact host "$dev" || fail "the qdisc of $dev is still there"
	done
	expect_equal 'what is left of pins' '' "$(machine find /sys/fs/bpf/flowtally -mindepth 1)"
	wait_for "the end of ${OBJECTS[*]}" are_gone "${OBJECTS[@]}"
}

story_systemd_restarts_under_traffic() {
	local sender reports

	topology_containers
	start_machine 1024 1
	machine systemctl enable --quiet --now flowtally
	find_agent
	route_until_enough &
	sender=$!
	wait_for 'maps of 1024' all_maps_have 1024
	reload 8192 1
	wait_for 'maps of 8192' all_maps_have 8192
	reconfigure 4096 1
	restart
	runs "$FLOWTALLY"
	install_binary "$LATER"
	restart
	runs "$LATER"
	expect_no_complaint "${ITS_OWN[@]}" + UNIT=flowtally.service

	machine systemctl kill --signal=KILL --kill-who=main flowtally
	wait_for 'its restart' is_back 1
	find_agent
	runs "$LATER"

	reload 4096 3600
	touch "$WORK/enough"
	wait "$sender"
	reports=$(report_count host)
	machine systemctl stop flowtally
	expect_equal 'how it ended' 'inactive success' "$(property ActiveState) $(property Result)"
	expect_equal reports $((reports + 1)) "$(report_count host)"
	expect_equal 'bytes of all reports' "$(($(cat "$WORK/sent") * 128))" "$(sum_of_reports host)"
	expect_no_complaint "${ITS_OWN[@]}"
	expect_nothing_left
}

# As README.md has it, and nothing boots between the two.
once_systemd_make_install() {
	command -v make >/dev/null || skip 'no make here'
	topology_wire
	make_tree
	boot_machine
	machine make -s -C /root/flowtally -o all install >"$WORK/make.log" 2>&1
	machine systemctl enable --quiet --now flowtally
	find_agent
	runs "$FLOWTALLY"
	expect_equal 'the folder of reports' '750 flowtally' "$(machine stat -c '%a %G' /var/log/flowtally)"
	expect_no_complaint "${ITS_OWN[@]}" + UNIT=flowtally.service
	machine systemctl stop flowtally
}

# The kernel goes on counting while there is no agent; and the machine ends as machines do.
once_systemd_restart_with_a_mistake() {
	local status=0 reports

	topology_containers
	start_machine 1024 3600
	machine systemctl enable --quiet --now flowtally
	expect_equal 'what it tells its manager' 'watching 5 of 5 interfaces' "$(property StatusText)"
	machine flowtally status >"$WORK/out"
	route 10
	reconfigure none 3600
	machine systemctl restart flowtally 2>"$WORK/out" || status=$?
	expect_equal 'exit status of systemctl' 1 "$status"
	expect_equal 'how it failed' 'failed 2 0' \
		"$(property ActiveState) $(property ExecMainStatus) $(property NRestarts)"
	route 20
	reconfigure 1024 3600
	machine systemctl start flowtally
	route 1
	journal >"$WORK/journal.log"

	# what is in memory is gone with the machine but for what is open
	touch "/proc/$MACHINE/root/var/log/flowtally/report"
	exec {reports}<"$WORK/host.report"
	trap - EXIT
	# as systemd(1) has it: what starts poweroff.target
	kill -s RTMIN+4 "$MACHINE"
	wait_for 'the end of the machine' has_ended "$STARTER"
	rm "$WORK/host.report"
	cat <&"$reports" >"$WORK/host.report"
	expect_report host 31 "10.2.0.3:40000 - 10.3.0.2:5001 Bytes: $((31 * 128))"
}

# All of it is allowed to root in the machine, and to the service only the first, so that it is known to have been asked.
ALLOWED=true
FORBIDDEN='touch /dev/shm/probe
touch /etc/flowtally/probe
touch /home/probe
touch /run/probe
touch /usr/sbin/probe
touch /var/lib/probe
mkdir /sys/fs/bpf/probe
mkdir /sys/fs/cgroup/probe
cat /proc/1/status
mknod /tmp/null c 1 3
install -m 4711 /dev/null /tmp/probe
chown 1 /etc/flowtally
mount -t tmpfs probe /mnt
unshare --user true
unshare --net true
unshare --uts true
setarch --addr-no-randomize true
setpriv --reuid 1 true
chrt --fifo 1 true
renice -n -1 $$
hostname probe'

# Prints those that succeed.
probe_script() {
	local command

	while read -r command; do
		printf "! %s >/dev/null 2>&1 || echo '%s'\n" "$command" "$command"
	done <<<"$ALLOWED"$'\n'"$FORBIDDEN"
}

once_systemd_forbids() {
	topology_wire
	start_machine 1024 3600
	probe_script >"/proc/$MACHINE/root/etc/probe"
	machine systemctl start probe
	expect_equal 'allowed to the service' "$ALLOWED" "$(journal --identifier sh)"
	expect_equal 'allowed to root' "$ALLOWED"$'\n'"$FORBIDDEN" "$(machine sh /etc/probe)"
}
