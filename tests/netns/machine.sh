#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Becomes a machine: process 1 of new mount, PID, IPC, UTS and cgroup namespaces builds a root of its own in memory,
# leaves the host's, and goes on as COMMAND. All that the host lends it is /usr, beneath an overlay: what is written there
# is memory, too. The kernel's own settings (/proc/sys, /sys) are read-only.
#
#   machine.sh FOLDER COMMAND...
#
# FOLDER/root is where the root is built. What is in FOLDER/files is copied to /. FOLDER/pid gets the number that the
# process has in the namespace of its parent, when all that is done.
set -euo pipefail

(($$ == 1)) || exit 2
UNITS=/usr/lib/systemd/system

copy_units() { # UNIT...
	local unit

	for unit; do
		cp "$UNITS/$unit" "$root$UNITS/"
	done
}

# As a distribution enables them.
want() { # TARGET UNIT...
	local target=$1 unit

	shift
	mkdir "$root$UNITS/$target.wants"
	for unit; do
		ln -s "../$unit" "$root$UNITS/$target.wants/"
	done
}

make_devices() {
	local name major minor

	mount -t tmpfs -o mode=755,nosuid machine "$root/dev"
	mkdir "$root"/dev/{pts,shm}
	while read -r name major minor; do
		mknod -m 666 "$root/dev/$name" c "$major" "$minor"
	done <<-'END'
		null 1 3
		zero 1 5
		full 1 7
		random 1 8
		urandom 1 9
		tty 5 0
	END
	mount -t devpts -o newinstance,ptmxmode=666,mode=620,nosuid,noexec machine "$root/dev/pts"
	ln -s pts/ptmx "$root/dev/ptmx"
	ln -s /proc/self/fd "$root/dev/fd"
}

make_kernel_files() {
	mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
	mount --bind "$root/proc/sys" "$root/proc/sys"
	mount -o remount,bind,ro "$root/proc/sys"
	mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
	mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
	mount -t bpf -o nosuid,nodev,noexec,mode=700 bpf "$root/sys/fs/bpf"
}

# Of what the distribution runs only what a service starts on: the journal, and what makes users and folders.
make_usr() {
	local folder

	mount -t overlay -o "lowerdir=/usr,upperdir=$root/.usr/upper,workdir=$root/.usr/work" machine "$root/usr"
	for folder in "$UNITS" /usr/lib/systemd/system-{generators,environment-generators,preset} \
		/usr/lib/{sysusers,tmpfiles}.d; do
		mkdir -p "$root$folder"
		mount -t tmpfs -o mode=755 machine "$root$folder"
	done
	copy_units {sysinit,basic,local-fs,sockets,slices,network-pre,network,multi-user}.target \
		{shutdown,umount,final,poweroff}.target systemd-poweroff.service \
		systemd-journald.{service,socket} systemd-journald-dev-log.socket \
		systemd-{sysusers,tmpfiles-setup}.service
	want sysinit.target systemd-{journald,sysusers,tmpfiles-setup}.service
}

make_root() {
	local name

	mount -t tmpfs -o mode=755 machine "$root"
	mkdir -p "$root"/{dev,etc,home,mnt,proc,root,run,sys,usr,var} "$root"/.usr/{upper,work}
	mkdir -m 1777 "$root/tmp"
	for name in /bin /sbin /lib*; do
		[[ ! -L $name ]] || cp -P "$name" "$root/"
	done
	cp -P /etc/ld.so.cache "$root/etc/" 2>/dev/null || true
	echo root:x:0:0:root:/root:/bin/sh >"$root/etc/passwd"
	echo root:x:0: >"$root/etc/group"
	# no first boot, which would ask
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
	make_usr
	make_devices
	make_kernel_files
	mount -t tmpfs -o mode=755,nosuid,nodev machine "$root/run"
	ln -s /run "$root/var/run"
}

# What starts here clears folders for temporary files, and must not find any of the host's.
expect_own_mounts() {
	! grep -vE ' - ((tmpfs|overlay|devpts) machine|(proc|sysfs|cgroup2|bpf) (proc|sysfs|cgroup2|bpf)) ' \
		/proc/self/mountinfo
}

# In one piece: bash has read it all when the file is out of reach.
main() { # FOLDER COMMAND...
	local folder=$1 pid

	shift
	root=$folder/root
	read -r pid _ </proc/self/stat
	exec 3>"$folder/pid"
	make_root
	cp -rP "$folder/files/." "$root/"
	cd "$root"
	pivot_root . mnt
	umount -l mnt
	expect_own_mounts
	echo "$pid" >&3
	exec 3>&- env -i container=story PATH=/usr/sbin:/usr/bin \
		setpriv --bounding-set -sys_boot,-sys_module,-sys_rawio,-sys_time "$@" </dev/null
}

main "$@"
