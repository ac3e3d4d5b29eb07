#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The first process of the guest that run.sh boots: mounts what a distribution has mounted, runs the tests that
# the file /guest.conf asks for, and turns the machine off. What it prints goes out by the second serial port.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t bpf bpf /sys/fs/bpf
exec >/dev/ttyS1 2>&1 </dev/null
ip link set lo up
# a distribution has made /dev/net/tun from the module's list (kmod static-nodes), to be loaded when it is opened
modprobe tun
# shellcheck disable=SC1091
. /guest.conf
# modules that a story loads make devices in all network namespaces to come, as on few hosts
sysctl -qw net.core.fb_tunnels_only_for_init_net=1
# as systemd raises it
ulimit -Hn 524288
cd /flowtally || exit
# there is no tcx before 6.6
export TOPOLOGY_ATTACH=auto
# modules may come and go
export OWN_KERNEL=yes
# shellcheck disable=SC2086
tests/run.sh $RINGS
echo o >/proc/sysrq-trigger
sleep 60
