#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs the stories: each function story_* of the files story_*.sh, in its own bash and with its own network
# namespaces, once with every way to attach; each function once_* once.
#
#   V=1        streams what a story prints
#   STORY=GLOB runs those stories only
#   MODES      the ways to attach, "clsact tcx" if not given
#   timeout_s  how long a story may take
#   BUILD      the build folder
#   PATIENCE   a factor for all deadlines, 1 if not given
#   RESULTS    as tests/result.sh has it
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
BUILD=$(cd "${BUILD:-build}" && pwd)
export BUILD
for binary in flowtally later/build/flowtally tests/netns/traffic tests/netns/count.bpf.o; do
	[[ -e $BUILD/$binary ]] || {
		echo "run.sh: $BUILD/$binary is not built: make all tests" >&2
		exit 2
	}
done
story_glob=${STORY:-*}
modes=${MODES:-clsact tcx}
export PATIENCE=${PATIENCE:-1}
timeout_s=$((${timeout_s:-240} * PATIENCE))
# shellcheck source=tests/result.sh
. tests/result.sh
prefix_base=ft$$
number=0

# Nothing runs in NS any more, and what a killed agent has pinned is gone.
clean_ns() { # NS
	local pids end=$((SECONDS + 10 * PATIENCE))

	while pids=$(ip netns pids "$1") && [[ -n $pids ]] && ((SECONDS < end)); do
		# shellcheck disable=SC2086
		kill -KILL $pids 2>/dev/null || true
		sleep 0.02
	done
	ip netns exec "$1" "$BUILD/flowtally" cleanup >/dev/null 2>&1 || true
	ip netns del "$1"
}

# Those that a story made, and those in them. What ran there may be about to end.
clean_cgroups() {
	local cgroup end=$((SECONDS + 10 * PATIENCE))

	while read -r cgroup; do
		until [[ ! -d $cgroup ]] || ((SECONDS >= end)); do
			find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.02
		done
	done < <(find /sys/fs/cgroup -maxdepth 2 -type d -name "$PREFIX" 2>/dev/null)
}

clean_story() {
	local ns

	for ns in $(ip netns list | awk -v prefix="$PREFIX-" 'index($1, prefix) == 1 { print $1 }'); do
		clean_ns "$ns"
	done
	awk -v work="$WORK/" 'index($2, work) == 1 { print $2 }' /proc/mounts | xargs -r umount -l
	clean_cgroups
	rm -rf "$WORK"
}

# What the story may use goes also when the run itself is ended.
begin_story() {
	number=$((number + 1))
	export PREFIX=$prefix_base.$number
	WORK=$(mktemp -d)
	export WORK
	chmod 755 "$WORK"
	# AddressSanitizer writes there what it finds, whoever runs it (make test-sanitize)
	mkdir -m 1777 "$WORK/found"
	export ASAN_OPTIONS=log_path=$WORK/found/report
	trap clean_story EXIT
	trap 'exit 1' INT TERM HUP
}

# Another failure than "no tcx" is not explained away here: the stories will show it.
find_tcx() {
	local status=0

	begin_story
	ip netns add "$PREFIX-probe"
	ip netns exec "$PREFIX-probe" timeout $((10 * PATIENCE)) "$BUILD/tests/netns/tcx_load" lo try \
		"$BUILD/tests/netns/count.bpf.o" >/dev/null 2>&1 || status=$?
	clean_story
	trap - EXIT
	HAS_TCX=yes
	((status != 3)) || HAS_TCX=no
	export HAS_TCX
}

# For stories with _prom in their names. Not in the story, whose time is short: the package has 19 MB.
find_prometheus() {
	PROMETHEUS=$BUILD/prometheus
	if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
		PROMETHEUS=
	elif [[ ! -e $PROMETHEUS/prometheus ]]; then
		echo 'fetching the package prometheus, 19 MB, to be used from the build folder and not installed'
		NO_PROMETHEUS=$("$here/fetch_prometheus.sh" "$PROMETHEUS") ||
			NO_PROMETHEUS="no prometheus here, and it cannot be fetched: $NO_PROMETHEUS"
	fi
	export PROMETHEUS NO_PROMETHEUS
}

story_process() { # FILE FUNCTION
	# shellcheck disable=SC2016
	timeout -k 5 "$timeout_s" bash -eEu -o pipefail -c '
		. "$1"
		. "$2"
		trap '\''printf "%s:%s: failed: %s\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND"'\'' ERR
		"$3"
	' story "$here/lib.sh" "$1" "$2" </dev/null
}

print_failure() { # OUTPUT
	local log

	{
		cat "$1"
		for log in "$WORK"/*.log "$WORK"/found/*; do
			[[ -s $log ]] || continue
			printf -- '--- %s\n' "${log##*/}"
			tail -n 40 "$log"
		done
	} | sed 's/^/     | /'
}

# Of a sanitizer, in a process whose end nobody may have looked at. UBSan knows no file but standard error.
# A FIFO that a story left would be waited for.
has_finding() {
	compgen -G "$WORK/found/*" >/dev/null || grep -qsD skip ': runtime error: ' "$WORK"/*
}

run_story() { # FILE FUNCTION MODE
	local name=$2 status=0 begin=$EPOCHREALTIME

	[[ $3 == auto ]] || name="$2 [$3]"
	begin_story
	if [[ ${V:-} == 1 ]]; then
		# not a pipe: what a story that fails leaves running would keep it open
		ATTACH=$3 story_process "$1" "$2" > >(tee "$WORK/output") 2>&1 || status=$?
	else
		ATTACH=$3 story_process "$1" "$2" >"$WORK/output" 2>&1 || status=$?
	fi
	! has_finding || status=5
	tell_result "$name" "$status" "$begin"
	case $status in
	0 | 4) ;;
	124 | 137) print_failure "$WORK/output" && echo "     | not done after $timeout_s s" ;;
	*) print_failure "$WORK/output" ;;
	esac
	clean_story
	trap - EXIT
}

find_tcx
NO_PROMETHEUS=
for file in "$here"/story_*.sh; do
	mapfile -t stories < <(sed -nE 's/^((story|once)_[a-z0-9_]+)\(\).*/\1/p' "$file")
	for story in "${stories[@]}"; do
		# shellcheck disable=SC2053
		[[ $story == $story_glob ]] || continue
		[[ $story != *_prom* || ${PROMETHEUS+found} ]] || find_prometheus
		if [[ $story == once_* ]]; then
			run_story "$file" "$story" auto
			continue
		fi
		for mode in $modes; do
			if [[ $mode != tcx || $HAS_TCX == yes ]]; then
				run_story "$file" "$story" "$mode"
			else
				tell_skip "$story [tcx]" 'this kernel has no tcx'
			fi
		done
	done
done
end_results
