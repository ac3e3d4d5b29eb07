#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Which lines of the agent the tests run, by folder. Pure code is measured over the unit tests alone, the rest,
# which takes a kernel, over the rings of root as well. Ends with 1 where it is too little.
#
#   BUILD   a build folder made with COVERAGE=1
#   RINGS   of the rest: "prog netns"; "" measures the pure code only, and needs no root
#   V=1     names the lines that were not run
set -euo pipefail

cd "$(dirname "$0")/.."
BUILD=${BUILD:-build/coverage}
RINGS=${RINGS-prog netns}
PURE_PERCENT=95
REST_PERCENT=80
# What asks the kernel or waits for others, in folders that are pure but for it.
IMPURE='^(lib/(loop|timer)|metrics/server|control/(client|commands|place|screen|server|top)|netlink/(conntrack|rtnl|rtnl_query|socket|tc|wireguard))\.c$'

is_pure() { # SOURCE
	[[ $1 != supervisor/* && ! $1 =~ $IMPURE ]]
}

# It fails for what has not run at all, and says so all the same.
tell() { # GCOV-ARGUMENTS...
	gcov "$@" 2>/dev/null || true
}

# "SOURCE LINES RUN" for each; LINES are those that there is code for.
measure() {
	local source counts

	for source in {lib,config,report,netlink,metrics,control,supervisor}/*.c; do
		counts=$(tell -n -o "$BUILD/${source%.c}.o" "$source" | awk -v source="$source" '
			/^File / { mine = ($2 == "\047" source "\047") }
			mine && sub(/^Lines executed:/, "") {
				sub(/%/, "")
				printf "%d %.0f\n", $3, $1 * $3 / 100
				exit
			}')
		echo "$source ${counts:?gcov tells nothing of $source}"
	done
}

# The sums of those that are pure, or are not, by folder. Fails where one is below PERCENT.
judge() { # pure|rest PERCENT FILE
	local source lines run kind

	while read -r source lines run; do
		kind=rest
		! is_pure "$source" || kind=pure
		[[ $kind != "$1" ]] || echo "${source%%/*} $lines $run"
	done <"$3" | awk -v kind="$1" -v percent="$2" '
		!($1 in lines) { folders[++count] = $1 }
		{ lines[$1] += $2; run[$1] += $3 }
		END {
			for (i = 1; i <= count; i++) {
				folder = folders[i]
				few = 100 * run[folder] < percent * lines[folder]
				printf "%-5s %-12s %6d lines %6.1f %% run%s\n", kind, folder, lines[folder],
					100 * run[folder] / lines[folder], few ? ": less than " percent " %" : ""
				failed += few
			}
			exit failed > 0
		}'
}

# "SOURCE:LINE: text" for each that was not run.
list_missed() { # pure|rest
	local source kind

	for source in {lib,config,report,netlink,metrics,control,supervisor}/*.c; do
		kind=rest
		! is_pure "$source" || kind=pure
		[[ $kind == "$1" ]] || continue
		tell -t -o "$BUILD/${source%.c}.o" "$source" | awk -F: -v source="$source" '
			$3 == "Source" { mine = ($4 == source) }
			mine && $1 ~ /#####/ { sub(/^[^:]*: */, ""); print source ":" $0 }'
	done
}

# Nothing has run yet. Some stories run the agent as a user who may not make files here.
begin() {
	local notes counts

	while read -r notes; do
		counts=${notes%.gcno}.gcda
		: >"$counts"
		chmod 666 "$counts"
	done < <(find "$BUILD" -name '*.gcno')
}

# What failed is told, and measured all the same.
run_rings() { # RING...
	BUILD=$BUILD V='' tests/run.sh "$@" >"$BUILD/output" || {
		cat "$BUILD/output"
		status=1
	}
	tail -n 1 "$BUILD/output"
}

status=0
begin
run_rings unit
measure >"$BUILD/measured"
judge pure "$PURE_PERCENT" "$BUILD/measured" || status=1
[[ ${V:-} != 1 ]] || list_missed pure
if [[ -n $RINGS ]]; then
	# shellcheck disable=SC2086
	run_rings $RINGS
	measure >"$BUILD/measured"
	judge rest "$REST_PERCENT" "$BUILD/measured" || status=1
	[[ ${V:-} != 1 ]] || list_missed rest
fi
exit "$status"
