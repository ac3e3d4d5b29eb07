#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Fetches a kernel of Debian's with apt itself, checked against Debian's keys, into a folder:
#   tests/kernels/fetch.sh SUITE FOLDER
# leaves FOLDER/vmlinuz and FOLDER/lib/modules. The mirror is the one in this machine's own apt sources. Where
# that cannot be done it says why in one line on standard output and ends with status 4.
set -euo pipefail

suite=$1 folder=$2
keys=/usr/share/keyrings/debian-archive-keyring.gpg

cannot() { # REASON
	printf '%s\n' "$*"
	exit 4
}

# One line "URI LABEL" for each of Debian's archives that apt knows here.
archives() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Origin: Debian' 'Created-By: Packages' |
		sort -u
}

sources() {
	local uri label

	archives | while read -r uri label; do
		case $label in
		Debian) echo "deb [signed-by=$keys] $uri $suite main" ;;
		Debian-Security) echo "deb [signed-by=$keys] $uri $suite-security main" ;;
		esac
	done
}

# apt with lists and a cache of its own, which knows nothing of what is installed here.
apt() { # TOOL ARGUMENTS...
	local tool=$1

	shift
	"$tool" -q -o Dir::State="$work/state" -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache" \
		-o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

command -v apt-get >/dev/null || cannot 'no apt-get to fetch it with'
[[ -r $keys ]] || cannot "no $keys"
mkdir -p "$folder"
work=$(mktemp -d -p "$folder")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{state/lists/partial,cache/archives/partial,root}
sources >"$work/sources.list"
[[ -s $work/sources.list ]] || cannot 'apt knows no mirror of Debian here (or was never updated)'
apt apt-get update >"$work/log" 2>&1 || cannot "$suite: apt-get update: $(tail -n 1 "$work/log")"
package=$(apt apt-cache depends --important linux-image-cloud-amd64 2>/dev/null |
	awk '/Depends: linux-image-/ { print $2; exit }')
[[ $package ]] || cannot "$suite has no linux-image-cloud-amd64: $(tail -n 1 "$work/log")"
(cd "$work" && apt apt-get download "$package" >log 2>&1) ||
	cannot "$package: apt-get download: $(tail -n 1 "$work/log")"
dpkg-deb --extract "$work"/*.deb "$work/root"
# modules are below /usr in newer suites
rm -rf "${folder:?}/lib"
mkdir -p "$folder/lib"
for modules in "$work"/root/{,usr/}lib/modules; do
	[[ ! -d $modules ]] || mv "$modules" "$folder/lib/modules"
done
mv "$work"/root/boot/vmlinuz-* "$folder/vmlinuz"
