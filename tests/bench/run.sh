#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Measures on the machine at hand and prints tables; nothing here passes or fails.
set -euo pipefail

cd "$(dirname "$0")/../.."
build=${BUILD:-build}

if [ "$(id -u)" != 0 ]; then
	echo "bench: needs root, to load BPF programs" >&2
	exit 1
fi

printf '# Kernel %s, %s CPUs, %s\n' "$(uname -r)" "$(nproc)" \
	"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
printf '\n## Cost of a packet\n\n'
"$build/tests/bench/bench_packet" "$build/tests/bench/packet.bpf.o"
printf '\n## Swap and drain\n\n'
"$build/tests/bench/bench_drain"
printf '\n## Interfaces that come, go and rest\n\n'
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
STATE_DIRECTORY=$scratch "$build/tests/bench/bench_attach" "$build/flowtally"
printf '\n## Translated conversations\n\n'
"$build/tests/bench/bench_conntrack"
