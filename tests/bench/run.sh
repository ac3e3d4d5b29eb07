#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Measures on the machine at hand and prints tables; nothing here passes or fails.
#
#   tests/bench/run.sh [TABLE...]    the functions table_* below; all of them if none is named
#
# DOC=1 also puts the tables into doc/performance.md, each between its "<!-- TABLE -->" and "<!-- /TABLE -->".
set -euo pipefail

cd "$(dirname "$0")/../.."
build=${BUILD:-build}
bench=$build/tests/bench
doc=doc/performance.md
tables=(cost contention throughput tools drain limit links storm start rest conntrack plain)

table_cost() {
	"$bench/bench_packet" cost "$bench/packet.bpf.o"
}

table_contention() {
	"$bench/bench_packet" contention "$bench/packet.bpf.o"
}

table_throughput() {
	tests/bench/load.sh throughput
}

table_tools() {
	tests/bench/load.sh tools
}

table_drain() {
	"$bench/bench_drain"
}

table_limit() {
	"$bench/bench_limit"
}

attach() { # PART
	STATE_DIRECTORY=$scratch RUNTIME_DIRECTORY=$scratch "$bench/bench_attach" "$build/flowtally" "$1"
}

table_links() {
	attach links
}

table_storm() {
	attach storm
}

table_start() {
	attach start
}

table_rest() {
	attach rest
}

table_conntrack() {
	"$bench/bench_conntrack" translated
}

table_plain() {
	"$bench/bench_conntrack" plain
}

put_into_doc() { # TABLE FILE
	local new

	grep -qx "<!-- $1 -->" "$doc" || {
		echo "bench: $doc has no place for $1" >&2
		return 1
	}
	new=$(awk -v begin="<!-- $1 -->" -v end="<!-- /$1 -->" -v file="$2" '
		$0 == end { inside = 0 }
		!inside
		$0 == begin {
			inside = 1
			while ((getline line < file) > 0)
				print line
		}
	' "$doc")
	printf '%s\n' "$new" >"$doc"
}

if [ "$(id -u)" != 0 ]; then
	echo "bench: needs root, to load BPF programs" >&2
	exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(($#)) || set -- "${tables[@]}"
printf '# Kernel %s, %s CPUs, %s\n' "$(uname -r)" "$(nproc)" \
	"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
for table; do
	printf '\n## %s\n\n' "$table"
	"table_$table" | tee "$scratch/$table"
	[[ ${DOC:-0} != 1 ]] || put_into_doc "$table" "$scratch/$table"
done
