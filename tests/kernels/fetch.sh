#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Fetches a kernel of Debian's, checked against Debian's keys (tests/fetch.sh):
#   tests/kernels/fetch.sh SUITE FOLDER
# leaves FOLDER/vmlinuz and FOLDER/lib/modules.
set -euo pipefail

# shellcheck source=tests/fetch.sh
. "$(dirname "$0")/../fetch.sh"
suite=$1 folder=$2
keys=/usr/share/keyrings/debian-archive-keyring.gpg

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

[[ -r $keys ]] || cannot "no $keys"
begin_fetch "$folder"
sources >"$work/sources.list"
[[ -s $work/sources.list ]] || cannot 'apt knows no mirror of Debian here (or was never updated)'
use_sources_list
fetch_lists
package=$(apt apt-cache depends --important linux-image-cloud-amd64 2>/dev/null |
	awk '/Depends: linux-image-/ { print $2; exit }')
[[ $package ]] || cannot "$suite has no linux-image-cloud-amd64: $(tail -n 1 "$work/log")"
fetch_package "$package"
# modules are below /usr in newer suites
rm -rf "${folder:?}/lib"
mkdir -p "$folder/lib"
for modules in "$work"/root/{,usr/}lib/modules; do
	[[ ! -d $modules ]] || mv "$modules" "$folder/lib/modules"
done
mv "$work"/root/boot/vmlinuz-* "$folder/vmlinuz"
