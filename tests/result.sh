# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# How those that run tests tell of each and count all. Sourced.
#
#   RESULTS  a file that gets one line a test, ok, FAIL or SKIP; who asks for it prints the totals

RESULTS=${RESULTS:-/dev/null}
declare -A TOLD=([ok]=0 [FAIL]=0 [SKIP]=0)

add_results() { # WORD COUNT
	local i

	for ((i = 0; i < $2; i++)); do
		echo "$1" >>"$RESULTS"
	done
	TOLD[$1]=$((TOLD[$1] + $2))
}

elapsed() { # SINCE, as EPOCHREALTIME
	awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", to - from }'
}

# Of a test in a process of its own, which ends with 0, or with 4 and its reason in $WORK/skip (expect.sh).
tell_result() { # NAME STATUS BEGIN
	local word=FAIL

	case $2 in
	0) word=ok ;;
	4) word=SKIP ;;
	esac
	printf '%-4s %-52s %s\n' "$word" "$1" "$(elapsed "$3")"
	[[ $word != SKIP ]] || printf '  SKIP %s: %s\n' "$1" "$(cat "$WORK/skip")"
	add_results "$word" 1
}

# Of what was not begun.
tell_skip() { # NAME REASON
	printf 'SKIP %s\n  SKIP %s: %s\n' "$1" "$1" "$2"
	add_results SKIP 1
}

print_totals() {
	printf '%d passed, %d failed, %d skipped\n' "${TOLD[ok]}" "${TOLD[FAIL]}" "${TOLD[SKIP]}"
}

# None at all is no success: what was asked for may have another name by now.
have_passed() {
	((!TOLD[FAIL] && TOLD[ok] + TOLD[SKIP]))
}

# Whose last command this is ends as the tests did.
end_results() {
	[[ $RESULTS != /dev/null ]] || print_totals
	have_passed
}
