#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs tests on other kernels: Debian's own, booted in qemu with the built tree and the tools of this host.
#
#   tests/kernels/run.sh [KERNEL...]    5.10, 6.1, 6.12; all of them if none is named
#
#   RINGS      which tests, as tests/run.sh takes them ("prog netns topology")
#   STORY      a glob, MODES ways to attach, SEEDS a range, ELEMENTS, KINDS, CHAOS_S: as for the rings themselves
#   PATIENCE   a factor for all deadlines, 10 if not given
#   BUILD      the build folder; kernels are kept in BUILD/kernels
#   RESULTS    as tests/result.sh has it
#   deadline_s for all tests of one kernel, which with tcx take two hours on a busy host
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
BUILD=$(cd "${BUILD:-build}" && pwd)
RINGS=${RINGS:-prog netns topology}
PATIENCE=${PATIENCE:-10}
deadline_s=${deadline_s:-$((1440 * PATIENCE))}
kernels=("$@")
((${#kernels[@]})) || kernels=(5.10 6.1 6.12)
cache=$BUILD/kernels
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# shellcheck source=tests/result.sh
. tests/result.sh

# What the tests call. The guest has it from this host, with the libraries that it takes.
tools=(awk basename bash bridge cat chmod chown cmp cp cut date dd diff dirname echo env expr false find grep head
	iconv id ip jq kill ln ls mkdir mkfifo mknod mktemp modprobe mount mv nft nproc nsenter paste ping printf
	prlimit readlink rm rmdir script sed seq setpriv sh sleep sort stat sysctl tac tail tc tee test timeout
	touch tr true truncate umount uname uniq unshare wc xargs)
# What single stories do without.
extras=(iperf3 strace taskset teamnl wg)
# What iconv and ncurses look for, where the distribution has it.
data=(/usr/lib{,64}/{,*-linux-gnu/}gconv/{gconv-modules*,UTF-32.so} {/usr/share,/lib}/terminfo/{d/dumb,x/xterm})
# Other modules are for hardware that the guest has not.
modules=(arch crypto lib net drivers/net)

suite_of() { # KERNEL
	case $1 in
	5.10) echo bullseye ;;
	6.1) echo bookworm ;;
	6.12) echo trixie ;;
	*)
		echo "run.sh: no suite for kernel $1" >&2
		exit 2
		;;
	esac
}

missing_tool() {
	local tool

	[[ $(uname -m) == x86_64 ]] || echo 'the kernels are for x86_64'
	for tool in qemu-system-x86_64 cpio depmod "${tools[@]}"; do
		type -P "$tool" >/dev/null || echo "no $tool here"
	done
}

add_libraries() { # ROOT FILE
	local library

	{ ldd "$2" 2>/dev/null || true; } | sed -nE 's#^([^/]*=>)?[[:space:]]*(/[^ ]+) .*#\2#p' |
		while read -r library; do
			[[ -e $1$library ]] || install -D "$library" "$1$library"
		done
}

# A program with the shared libraries that it needs, where it is here.
add_program() { # ROOT FILE
	install -D "$2" "$1$2"
	add_libraries "$1" "$2"
}

# All that is the same for every kernel.
make_root() { # ROOT
	local root=$1 tool file

	mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib64,var,etc,proc,sys,dev,run,tmp,root,flowtally}
	for file in bin sbin lib lib64; do
		ln -s "usr/$file" "$root/$file"
	done
	ln -s /run "$root/var/run"
	for tool in "${tools[@]}"; do
		add_program "$root" "$(type -P "$tool")"
	done
	for tool in "${extras[@]}"; do
		tool=$(type -P "$tool") && add_program "$root" "$tool"
	done
	for file in "${data[@]}"; do
		[[ ! -f $file || -e $root$file ]] || install -D "$file" "$root$file"
	done
	cp -L /etc/passwd /etc/group "$root/etc/"
	cp -a tests "$root/flowtally/tests"
	find "$BUILD/flowtally" "$BUILD/later/build/flowtally" "$BUILD/tests" -type f \( -perm -u+x -o -name '*.bpf.o' \) -print0 |
		while IFS= read -r -d '' file; do
			install -D "$file" "$root/flowtally/build${file#"$BUILD"}"
			add_libraries "$root" "$file"
		done
	cp tests/kernels/guest.sh "$root/init"
}

make_initramfs() { # KERNEL ROOT RESULT
	local folder=$cache/$1 root=$2 release module

	release=$(basename "$folder"/lib/modules/*)
	mkdir -p "$root/usr/lib/modules/$release/kernel"
	cp "$folder/lib/modules/$release"/modules.{order,builtin}* "$root/usr/lib/modules/$release/"
	for module in "${modules[@]}"; do
		(cd "$folder/lib/modules/$release/kernel" &&
			cp -r --parents "$module" "$root/usr/lib/modules/$release/kernel/")
	done
	depmod -b "$root" "$release"
	(cd "$root" && find . -print0 | cpio --null --create --format newc --quiet) >"$3"
	rm -rf "$root/usr/lib/modules"
}

# Everything that the guest prints on its second serial port, as it comes. One thread for both CPUs: with one each, the
# emulator now and then lets a CPU run into an int3 that the kernel has patched away (jump labels).
boot() { # KERNEL INITRAMFS CONSOLE
	timeout --foreground -k 10 "$deadline_s" qemu-system-x86_64 -accel tcg,thread=single -cpu max -smp 2 -m 2048 \
		-nodefaults -no-user-config -display none -no-reboot -serial "file:$3" -serial stdio \
		-kernel "$cache/$1/vmlinuz" -initrd "$2" </dev/null \
		-append 'console=ttyS0 panic=-1 oops=panic rdinit=/init mitigations=off' | sed -u 's/\r$//'
}

# The words that tests/run.sh ends with; nothing where the guest did not come so far.
totals() { # OUTPUT
	sed -nE '$s/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$1"
}

run_kernel() { # KERNEL
	local kernel=$1 reason counts begin=$EPOCHREALTIME output=$scratch/output console=$scratch/console
	local complaint='WARNING:|BUG:|Oops|Kernel panic|Call Trace'

	if [[ ! -e $cache/$kernel/vmlinuz ]]; then
		reason=$("$here/fetch.sh" "$(suite_of "$kernel")" "$cache/$kernel") || {
			tell_skip "linux $kernel" "$reason"
			return
		}
	fi
	make_initramfs "$kernel" "$scratch/root" "$scratch/initramfs"
	printf -- '--- linux %s (%s)\n' "$kernel" "$(basename "$cache/$kernel"/lib/modules/*)"
	boot "$kernel" "$scratch/initramfs" "$console" | tee "$output" |
		sed -u '/^[0-9]* passed, [0-9]* failed, [0-9]* skipped$/d' || true
	counts=$(totals "$output")
	if [[ ! $counts ]] || grep -qE "$complaint" "$console"; then
		echo "FAIL linux $kernel: the machine ended early, or its kernel complained:"
		tail -n 60 "$console" | sed 's/^/     | /'
		add_results FAIL 1
	fi
	read -r -a counts <<<"${counts:-0 0 0}"
	add_results ok "${counts[0]}"
	add_results FAIL "${counts[1]}"
	add_results SKIP "${counts[2]}"
	printf -- '--- linux %s took %s\n' "$kernel" "$(elapsed "$begin")"
}

reason=$(missing_tool | paste -sd ,)
if [[ ! $reason ]]; then
	make_root "$scratch/root"
	printf 'RINGS=%q\nexport STORY=%q MODES=%q SEEDS=%q ELEMENTS=%q KINDS=%q CHAOS_S=%q V=%q PATIENCE=%q\n' "$RINGS" \
		"${STORY:-*}" "${MODES:-}" "${SEEDS:-1..20}" "${ELEMENTS:-50}" "${KINDS:-}" "${CHAOS_S:-30}" "${V:-}" "$PATIENCE" \
		>"$scratch/root/guest.conf"
fi
for kernel in "${kernels[@]}"; do
	if [[ $reason ]]; then
		tell_skip "linux $kernel" "$reason"
	else
		run_kernel "$kernel"
	fi
done
end_results
