#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Builds the Debian package of the checkout in BUILD/deb, with plain debhelper and without root:
#
#   packaging/make-deb.sh VERSION
set -euo pipefail

version=$1
build=${BUILD:-build}/deb
tree=$build/flowtally-$version

die() {
	printf 'make-deb: %s\n' "$*" >&2
	exit 1
}

for program in dpkg-buildpackage dh; do
	command -v "$program" >/dev/null || die "no $program here: apt install dpkg-dev debhelper"
done
[[ $version =~ ^[0-9][0-9A-Za-z.+~]*$ ]] || die "'$version' is no version of a native package"

# The files that git knows, as they are here; in a tarball's tree all but what was built.
list_files() {
	if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git ls-files --cached --others --exclude-standard
	else
		find . -path "./${BUILD:-build}" -prune -o -type f -printf '%P\n'
	fi
}

# Of the last change, so that building it twice gives the same package.
if date=$(git log -1 --format=%ct 2>/dev/null); then
	export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$date}
fi

rm -rf "$build"
mkdir -p "$tree"
while read -r file; do
	[[ ! -e $file ]] || printf '%s\n' "$file"
done < <(list_files) | tar -cf - -T - | tar -xf - -C "$tree"
cp -r packaging/debian "$tree/debian"
sed -i "s/^VERSION := .*/VERSION := $version/" "$tree/Makefile"
cat >"$tree/debian/changelog" <<-END
	flowtally ($version) unstable; urgency=medium

	  * See CHANGELOG.md.

	 -- $(sed -n 's/^Maintainer: //p' packaging/debian/control)  $(date -R -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}")
END
# variables of the make that runs this are not for that one
if ! (cd "$tree" && env -u MAKEFLAGS -u MAKELEVEL -u BUILD dpkg-buildpackage -us -uc -b) \
	>"$build/log" 2>&1; then
	cat "$build/log" >&2
	die 'dpkg-buildpackage failed, its output is above'
fi
for file in "$build"/*.deb; do
	printf '  %-8s%s\n' DEB "$file"
done
