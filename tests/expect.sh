# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# How a test in bash says that it fails, or that it cannot be run here. Sourced.

fail() { # LINE...
	printf '%s\n' "$@"
	exit 1
}

skip() { # REASON
	printf '%s\n' "$1" >"$WORK/skip"
	exit 4
}

expect_equal() { # WHAT EXPECTED GOT
	[[ $2 == "$3" ]] || fail "$1: expected and got:" "$2" "$3"
}
