#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Builds the targets, if clang has what they take: else tests/run.sh finds none and says so.
set -euo pipefail

cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build}

has_libfuzzer() {
	local program status=0

	program=$(mktemp)
	printf 'int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return !data && size; }\n' |
		"${CLANG:-clang}" -fsanitize=fuzzer,address,undefined -x c - -o "$program" 2>/dev/null ||
		status=$?
	rm -f "$program"
	return "$status"
}

if has_libfuzzer; then
	make -j"$(nproc)" --no-print-directory FUZZ=1 fuzz-build
else
	rm -rf "$BUILD/fuzz/tests"
fi
