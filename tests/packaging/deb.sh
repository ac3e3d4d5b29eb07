#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The Debian package in a system of its own: built, looked at by lintian, installed with what it
# depends on, run, upgraded, removed, purged. Root and a network; about three minutes:
#
#   tests/packaging/deb.sh
#
#   MIRROR  of Debian, that of this machine's own apt sources if not given; SUITE, the release
set -euo pipefail

cd "$(dirname "$0")/../.."
# shellcheck disable=SC2016
mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' \
	'Created-By: Packages' | sed -n 1p)}
suite=${SUITE:-bookworm}
ns=ftdeb$$
architecture=$(dpkg --print-architecture)

die() {
	printf 'FAIL %s\n' "$*" >&2
	exit 1
}

ok() {
	printf 'ok   %s\n' "$*"
}

clean() {
	local mount

	ip netns del "$ns" 2>/dev/null || true
	for mount in proc sys; do
		! mountpoint -q "$work/root/$mount" || umount -l "$work/root/$mount"
	done
	rm -rf --one-file-system "$work"
}

build_version() { # VERSION
	make -s deb VERSION="$1" BUILD="$work/build" >"$work/log" 2>&1 || die "make deb: $(cat "$work/log")"
	find "$work/build/deb" -name 'flowtally_*.deb' -exec cp -t "$work" {} +
}

inside() { # COMMAND...
	DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$work/root" "$@"
}

status_of_package() {
	# shellcheck disable=SC2016
	inside dpkg-query -W -f '${db:Status-Status} ${Version}\n' flowtally 2>/dev/null
}

[[ $(id -u) -eq 0 ]] || die 'needs root'
for program in debootstrap lintian dpkg-buildpackage dh; do
	command -v "$program" >/dev/null || die "needs $program: apt install debootstrap lintian dpkg-dev debhelper"
done
work=$(mktemp -d)
trap clean EXIT
trap 'exit 1' INT TERM HUP
chmod 755 "$work"

build_version 0.1.0
lintian --allow-root --fail-on error,warning "$work/build/deb/"*.changes || die lintian
ok 'built, and lintian has no objection'
build_version 0.1.1~test

debootstrap --variant=minbase "$suite" "$work/root" "$mirror" >"$work/log" 2>&1 || die "debootstrap: $(tail "$work/log")"
mount -t proc proc "$work/root/proc"
# the kernel's types, which the program is loaded with
mount --bind /sys "$work/root/sys"
# nothing is started in there
printf '#!/bin/sh\nexit 101\n' >"$work/root/usr/sbin/policy-rc.d"
chmod 755 "$work/root/usr/sbin/policy-rc.d"
cp "$work"/*.deb "$work/root/tmp"
find "$work/root" -xdev -name '*flowtally*' -not -path '*/tmp/*' | sort >"$work/before"
[[ ! -s $work/before ]] || die 'the new system knows flowtally'

inside apt-get -q install -y --no-install-recommends "/tmp/flowtally_0.1.0_$architecture.deb" >"$work/log" 2>&1 ||
	die "install: $(tail "$work/log")"
[[ $(status_of_package) == 'installed 0.1.0' ]] || die "$(status_of_package)"
[[ $(inside flowtally --version) == 'flowtally 0.1.0' ]] || die 'another version'
inside flowtally check-config || die 'the configuration of the package'
inside getent group flowtally >/dev/null || die 'no group'
[[ $(stat -c '%a %G' "$work/root/var/log/flowtally") == '750 '* ]] || die 'folder of reports'
inside sh -c 'test -L /etc/systemd/system/multi-user.target.wants/flowtally.service' || die 'not enabled'
ip netns add "$ns"
ip -n "$ns" link set lo up
ip netns exec "$ns" chroot "$work/root" flowtally -t 1 -n 1 >"$work/report" 2>"$work/log" ||
	die "run: $(cat "$work/log")"
grep -q '^# flowtally ' "$work/report" || die 'no report'
ok 'installed with its dependencies, and reports'

echo '; mine' >>"$work/root/etc/flowtally/flowtally.conf"
echo 41 >"$work/root/var/lib/flowtally/report-id"
inside apt-get -q install -y --no-install-recommends "/tmp/flowtally_0.1.1~test_$architecture.deb" >"$work/log" 2>&1 ||
	die "upgrade: $(tail "$work/log")"
[[ $(status_of_package) == 'installed 0.1.1~test' ]] || die "$(status_of_package)"
tail -n 1 "$work/root/etc/flowtally/flowtally.conf" | grep -qx '; mine' || die 'the configuration was overwritten'
[[ $(cat "$work/root/var/lib/flowtally/report-id") == 41 ]] || die 'report numbers begin anew'
ok 'upgraded, with its configuration and its number'

inside apt-get -q remove -y flowtally >"$work/log" 2>&1 || die "remove: $(tail "$work/log")"
[[ ! -e $work/root/usr/sbin/flowtally && ! -e $work/root/lib/systemd/system/flowtally.service ]] || die 'still there'
[[ -e $work/root/etc/flowtally/flowtally.conf ]] || die 'the configuration went with the program'
ok 'removed, but for the configuration'

inside apt-get -q purge -y flowtally >"$work/log" 2>&1 || die "purge: $(tail "$work/log")"
# dpkg, apt and the group's line keep their own records
find "$work/root" -xdev -name '*flowtally*' -not -path '*/tmp/*' -not -path '*/var/cache/apt/*' \
	-not -path '*/var/lib/systemd/deb-systemd-helper-enabled/*' | sort >"$work/after"
[[ ! -s $work/after ]] || die "left behind: $(cat "$work/after")"
ok 'purged, nothing is left'
