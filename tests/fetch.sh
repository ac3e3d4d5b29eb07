#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# For scripts that fetch a package of the distribution to look into it, not to install it: with apt itself and its
# own checks, from the mirror of this machine's apt sources, but with lists and a cache of its own. Where something
# cannot be had they say why in one line on standard output and end with status 4.

cannot() { # REASON
	printf '%s\n' "$*"
	exit 4
}

# All that is fetched goes into FOLDER/tmp.*, which ends with the script; the archives are those of sources.list
# there, or this machine's own.
begin_fetch() { # FOLDER
	command -v apt-get >/dev/null || cannot 'no apt-get to fetch it with'
	mkdir -p "$1"
	work=$(mktemp -d -p "$(cd "$1" && pwd)")
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work"/{state/lists/partial,cache/archives/partial,root}
	sources=()
}

use_sources_list() {
	sources=(-o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null)
}

# apt that knows nothing of what is installed here.
apt() { # TOOL ARGUMENTS...
	local tool=$1

	shift
	"$tool" -q -o Dir::State="$work/state" -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache" \
		"${sources[@]}" -o APT::Architectures="$(dpkg --print-architecture)" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

fetch_lists() {
	apt apt-get update >"$work/log" 2>&1 || cannot "apt-get update: $(tail -n 1 "$work/log")"
}

# Unpacks PACKAGE into $work/root.
fetch_package() { # PACKAGE
	(cd "$work" && apt apt-get download "$1" >log 2>&1) ||
		cannot "$1: apt-get download: $(tail -n 1 "$work/log")"
	dpkg-deb --extract "$work/$1"_*.deb "$work/root"
}
