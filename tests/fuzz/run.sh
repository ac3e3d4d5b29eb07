#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs each target of libFuzzer over its corpus and then over what it makes of it, as many at once as there are
# processors.
#
#   BUILD         the build folder
#   FUZZ_SECONDS  how long each one makes inputs, of its own CPU time
#   TARGETS       which ones, without their fuzz_; all if not given
#   RESULTS       as tests/result.sh has it
#   V=1           the whole output of those that passed, too
set -euo pipefail

cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build}
seconds=${FUZZ_SECONDS:-60}
# shellcheck source=tests/result.sh
. tests/result.sh
work=$(mktemp -d)

clean() {
	local pids

	pids=$(jobs -pr)
	# shellcheck disable=SC2086
	[[ -z $pids ]] || kill $pids 2>/dev/null || true
	wait
	rm -rf "$work"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

# What it finds on its way is kept until the end only. A unit that takes 30 s, beside whatever else runs, is a
# finding, as is one that takes 1 GiB.
fuzz() { # TARGET
	local status=0

	mkdir "$work/$1" "$work/$1/found" "$work/$1/tmp"
	TMPDIR=$work/$1/tmp FUZZ_CPU_SECONDS=$seconds "$BUILD/fuzz/tests/fuzz/fuzz_$1" -timeout=30 \
		-rss_limit_mb=1024 -use_value_profile=1 -print_final_stats=1 \
		-artifact_prefix="$work/$1/input-" "$work/$1/found" "tests/fuzz/corpus/$1" \
		>"$work/$1/output" 2>&1 </dev/null &
	# it would outlive who waits for it
	trap 'kill "$!"' TERM
	wait "$!" || status=$?
	echo "$status" >"$work/$1/status"
}

stat_of() { # TARGET NAME
	sed -nE "s/^stat::$2: +//p" "$work/$1/output"
}

# The input that did it, and how to see it again.
tell_failure() { # TARGET
	local input

	for input in "$work/$1"/input-*; do
		[[ -e $input ]] || continue
		printf 'the input, and what repeats it:\n'
		printf "base64 -d >/tmp/input <<<'%s'\n" "$(base64 -w 0 "$input")"
		printf '%s/fuzz/tests/fuzz/fuzz_%s /tmp/input\n' "$BUILD" "$1"
	done
	tail -n 60 "$work/$1/output"
}

tell() { # TARGET
	local word=ok

	[[ $(cat "$work/$1/status") == 0 ]] || word=FAIL
	add_results "$word" 1
	printf '%-4s %-44s %s inputs in %s s of CPU time\n' "$word" "tests/fuzz/fuzz_$1" \
		"$(stat_of "$1" number_of_executed_units)" "$seconds"
	if [[ $word == FAIL ]]; then
		tell_failure "$1" | sed 's/^/     | /'
	elif [[ ${V:-} == 1 ]]; then
		sed 's/^/     | /' "$work/$1/output"
	fi
}

targets=${TARGETS:-$(for source in tests/fuzz/fuzz_*.c; do basename "$source" .c; done | sed 's/^fuzz_//')}
running=0
for target in $targets; do
	((running < $(nproc))) || { wait -n && running=$((running - 1)); }
	fuzz "$target" &
	running=$((running + 1))
done
wait
for target in $targets; do
	tell "$target"
done
end_results
