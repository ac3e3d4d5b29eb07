#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs tests: tests/run.sh unit|packaging|fuzz|prog|netns|topology|kernels|all...
#
# One line a test binary or story, the whole output only of those that failed (V=1: of all), and at the
# end one line "N passed, N failed, N skipped". BUILD: the build folder. PROG=GLOB: those tests of the program only.
set -euo pipefail

cd "$(dirname "$0")/.."
export BUILD=${BUILD:-build} V=${V:-}

# an exported timeout_s goes to the stories as it is
binary_timeout_s=$((${timeout_s:-900} * ${PATIENCE:-1}))
scratch=$(mktemp -d)
fuzzing= # the process that does
clean() {
	[[ -z $fuzzing ]] || kill "$fuzzing" 2>/dev/null || true
	wait
	rm -rf "$scratch"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP
export RESULTS=$scratch/results
: >"$RESULTS"
# shellcheck source=tests/result.sh
. tests/result.sh

count_lines() { # REGEX FILE
	grep -cE "$1" "$2" || true
}

# cmocka does not know reasons: a test prints its own right before it skips.
print_skips() { # NAME OUTPUT
	awk -v name="$1" '
		/^(not )?ok [0-9]+.*# SKIP/ {
			sub(/.*# SKIP */, "")
			printf "  SKIP %s: %s: %s\n", name, $0, reason ? reason : "no reason given"
		}
		{ reason = /^(not )?ok |^[0-9]+\.\.[0-9]+$/ ? "" : $0 }
	' "$2"
}

# Test binaries of cmocka that print TAP, so that each of their functions counts.
run_binary() { # BINARY ARGUMENTS...
	local name=${1#"$BUILD"/} output=$scratch/output status=0 passed skipped failed planned
	local begin=$EPOCHREALTIME word=ok

	CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 10 "$binary_timeout_s" "$@" >"$output" 2>&1 </dev/null || status=$?
	passed=$(count_lines '^ok [0-9]+ - ' "$output")
	skipped=$(count_lines '^(not )?ok [0-9]+.*# SKIP' "$output")
	failed=$(count_lines '^not ok [0-9]+ - ' "$output")
	planned=$(awk -F '[.][.]' '/^[0-9]+\.\.[0-9]+$/ { sum += $2 } END { print sum + 0 }' "$output")
	# a crash, a time-out, a sanitizer's finding at exit: tests that told nothing
	if ((passed + skipped + failed < planned)); then
		failed=$((planned - passed - skipped))
	elif ((!planned || (status && !failed))); then
		failed=$((failed + 1))
	fi
	((failed)) && word=FAIL
	printf '%-4s %-44s %3d ok  %s\n' "$word" "$name" "$passed" "$(elapsed "$begin")"
	print_skips "$name" "$output"
	if ((failed)) || [[ $V == 1 ]]; then
		sed 's/^/     | /' "$output"
		((status)) && printf '     | exit status %d\n' "$status"
	fi
	add_results ok "$passed"
	add_results FAIL "$failed"
	add_results SKIP "$skipped"
}

skip_without_root() { # WHAT
	[[ $(id -u) -ne 0 ]] || return 1
	echo "SKIP $1: needs root"
	add_results SKIP 1
}

# Each of its tests is in the results when it ends; where it fails without any, that is one.
run_script() { # COMMAND...
	local before

	before=$(wc -l <"$RESULTS")
	"$@" || (($(wc -l <"$RESULTS") > before)) || add_results FAIL 1
}

run_unit() {
	local binary

	for binary in "$BUILD"/{,sanitize/}tests/{unit/test_*,simulation/simulation}; do
		[[ -x $binary && $binary != *.* ]] && run_binary "$binary"
	done
	return 0
}

run_prog() {
	local binary

	skip_without_root tests/prog && return
	# shellcheck disable=SC2231
	for binary in "$BUILD"/tests/prog/${PROG:-test_*}; do
		[[ -x $binary && $binary != *.* ]] && run_binary "$binary"
	done
	return 0
}

run_netns() {
	skip_without_root tests/netns && return
	run_script tests/netns/run.sh
}

run_packaging() {
	run_script tests/packaging/run.sh
}

# In the background. FUZZ_SECONDS and TARGETS: as tests/fuzz/run.sh has them.
begin_fuzzing() { # NICENESS
	: >"$scratch/fuzz-results"
	if ! compgen -G "$BUILD/fuzz/tests/fuzz/fuzz_*" >/dev/null; then
		echo 'SKIP tests/fuzz: not built, as clang has no libFuzzer here (Debian: libclang-rt-dev)'
		add_results SKIP 1
		return
	fi
	RESULTS=$scratch/fuzz-results nice -n "$1" tests/fuzz/run.sh >"$scratch/fuzz-output" 2>&1 </dev/null &
	fuzzing=$!
}

# Every failed target is in the results.
end_fuzzing() {
	local status=0

	[[ -n $fuzzing ]] || return 0
	wait "$fuzzing" || status=$?
	fuzzing=
	cat "$scratch/fuzz-output"
	cat "$scratch/fuzz-results" >>"$RESULTS"
	((!status)) || [[ -s $scratch/fuzz-results ]] || add_results FAIL 1
}

run_fuzz() {
	begin_fuzzing 0
	end_fuzzing
}

# First the cases that once failed, then random hosts; SEEDS=FIRST..LAST takes others, or more of
# them, as make soak does, ELEMENTS=PERCENT makes other hosts of them, KINDS=NAME,... hosts with these kinds
# of devices only. They mostly wait for the kernel, so JOBS of them run at once.
run_topology() {
	local topology=$BUILD/tests/topology/topology

	skip_without_root tests/topology && return
	run_binary "$topology" --replay tests/topology/named/*
	run_binary "$topology" --join --elements "${ELEMENTS:-50}" ${KINDS:+--kinds "$KINDS"} --jobs "${JOBS:-$(($(nproc) + 1))}" \
		--seeds "${SEEDS:-1..300}"
}

# One story on the kernel that most users have: emulated, it takes a minute. make test-kernels takes all of them, and
# other kernels.
run_kernels() {
	skip_without_root tests/kernels && return
	RINGS=netns STORY=story_routed deadline_s=900 run_script tests/kernels/run.sh 6.1
}

run_ring() { # NAME
	case $1 in
	unit | packaging | fuzz | prog | netns | topology | kernels) "run_$1" ;;
	all)
		run_unit
		run_packaging
		# while others wait, and it gives way to them
		begin_fuzzing 10
		run_prog
		run_netns
		run_topology
		run_kernels
		end_fuzzing
		;;
	*)
		echo 'usage: tests/run.sh unit|packaging|fuzz|prog|netns|topology|kernels|all...' >&2
		exit 2
		;;
	esac
}

for ring in "${@:-none}"; do
	run_ring "$ring"
done

# what other scripts have told, too
for word in "${!TOLD[@]}"; do
	TOLD[$word]=$(count_lines "^$word\$" "$RESULTS")
done
print_totals
have_passed
