#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What is installed beside the program: unit, completion, logrotate. Each function test_* in its own
# bash. Needs no root.
#
#   V=1        shows what every test prints
#   TEST=GLOB  runs those tests only
#   BUILD      the build folder
#   RESULTS    as tests/result.sh has it
set -euo pipefail

cd "$(dirname "$0")/../.."
# shellcheck source=tests/expect.sh
. tests/expect.sh
# shellcheck source=tests/result.sh
. tests/result.sh
BUILD=$(cd "${BUILD:-build}" && pwd)
export BUILD

need() { # PROGRAM PACKAGE
	command -v "$1" >/dev/null || skip "no $1 here (package $2)"
}

# The build

test_old_libbpf_is_refused() {
	# shellcheck disable=SC2016
	printf '%s\n' '#!/bin/sh' 'case $1 in --exists) exit 1 ;; --modversion) echo 0.3.0 ;; esac' \
		>"$WORK/pkg-config"
	chmod +x "$WORK/pkg-config"
	! make -s all BUILD="$WORK/build" PKG_CONFIG="$WORK/pkg-config" >"$WORK/out" 2>&1 ||
		fail 'built with libbpf 0.3'
	expect_equal 'lines that name it' 1 \
		"$(grep -c '^libbpf 1.1 or later is needed, here is 0.3.0' "$WORK/out")"
	! grep -q error: "$WORK/out" || fail 'compiled all the same' "$(cat "$WORK/out")"
}

# What is said of set-up and build goes elsewhere: the reports may be piped.
test_run_has_reports_on_standard_output() {
	rm "$BUILD/supervisor/main.o"
	expect_equal 'standard output' "$("$BUILD/flowtally" --version)" \
		"$(env -u MAKEFLAGS -u MAKELEVEL make run ARGS=--version BUILD="$BUILD" 2>"$WORK/said")"
	grep -q supervisor/main.o "$WORK/said" || fail 'nothing is built' "$(cat "$WORK/said")"
}

# With the dialect and the warnings of the Makefile.
compile_all() { # COMPILER [OPTION...]
	local options

	read -r -a options < <(sed -nE 's/^(DIALECT|WARNINGS) := //p' Makefile | xargs)
	find lib netlink config report metrics control supervisor tests -name '*.c' ! -name '*.bpf.c' -print0 |
		xargs -0 -n 8 -P "$(nproc)" "$@" "${options[@]}" -fsyntax-only -I. -DFLOWTALLY_VERSION='""'
}

# As on Alpine: what glibc alone has, or has elsewhere, is not needed. The libraries' headers are this distribution's.
test_compiles_with_musl() {
	local header found

	need musl-gcc musl-tools
	mkdir "$WORK/include"
	for header in linux asm asm-generic mtd bpf libmnl libelf.h gelf.h zlib.h zconf.h ini.h jansson.h jansson_config.h \
		curses.h ncurses.h ncurses_dll.h unctrl.h microhttpd.h cap-ng.h cmocka.h; do
		for found in /usr/include{/"$(gcc -print-multiarch)",}/$header; do
			[[ ! -e $found || -e $WORK/include/$header ]] || ln -s "$found" "$WORK/include/$header"
		done
	done
	compile_all musl-gcc -isystem "$WORK/include"
}

# The headers of 64 bits serve both, but for this one.
test_compiles_for_32_bits() {
	[[ $(gcc -dumpmachine) == x86_64-* ]] || skip 'gcc here is not for x86-64, and so has no -m32'
	mkdir -p "$WORK/include/gnu"
	: >"$WORK/include/gnu/stubs-32.h"
	compile_all gcc -m32 -isystem "$WORK/include" -isystem "/usr/include/$(gcc -print-multiarch)"
}

# With headers as powerpc64 and mips64 have them, where __u64 is a long if nothing else is asked for.
test_compiles_where_u64_is_long() {
	mkdir -p "$WORK/include/asm"
	printf '%s\n' '#ifdef __SANE_USERSPACE_TYPES__' '#include <asm-generic/int-ll64.h>' '#else' \
		'#include <asm-generic/int-l64.h>' '#endif' >"$WORK/include/asm/types.h"
	compile_all gcc -isystem "$WORK/include"
}

test_compiles_with_clang() {
	compile_all clang
}

# What is missing

# What the distribution's package manager is asked to do, where all is installed but MISSING.
install_as() { # ID
	local manager

	printf 'ID=%s\n' "$1" >"$WORK/os-release"
	mkdir -p "$WORK/bin"
	printf '#!/bin/sh\necho 0\n' >"$WORK/bin/id"
	cat >"$WORK/bin/manager" <<-'END'
		#!/bin/bash
		is_missing() { [[ " $MISSING " == *" ${!#} "* ]]; }
		case "${0##*/} $1" in
		'apk info' | 'rpm -q') ! is_missing "$@" ;;
		'dpkg-query -W') is_missing "$@" || echo installed ;;
		'pacman -T') ! is_missing "$@" || echo "$2" ;;
		*) echo "${0##*/} $*" >>"$WORK/asked" ;;
		esac
	END
	chmod +x "$WORK/bin/"*
	for manager in apk apt-get dnf dpkg-query pacman rpm zypper; do
		ln -sf manager "$WORK/bin/$manager"
	done
	: >"$WORK/asked"
	OS_RELEASE=$WORK/os-release PATH=$WORK/bin:$PATH packaging/install-deps.sh >/dev/null
	cat "$WORK/asked"
}

test_packages_are_installed_and_no_others() {
	export MISSING='gcc libbpf-dev libbpf pkgconfig(libbpf) jq qemu-system-x86'

	expect_equal 'on Alpine' 'apk add -U gcc libbpf-dev' "$(install_as alpine)"
	expect_equal 'on Arch' $'pacman -Si gcc\npacman -S --needed --noconfirm gcc libbpf' "$(install_as arch)"
	expect_equal 'on Debian' $'apt-get -q update\napt-get -q install -y --no-install-recommends gcc libbpf-dev' \
		"$(install_as debian)"
	expect_equal 'on Fedora' 'dnf install -y --setopt=install_weak_deps=False gcc pkgconfig(libbpf)' \
		"$(install_as fedora)"
	expect_equal 'on openSUSE' 'zypper --non-interactive install --no-recommends gcc pkgconfig(libbpf)' \
		"$(install_as opensuse-leap)"
	expect_equal 'for the tests' 'apk add -U gcc libbpf-dev jq' "$(DEPS_TESTS=1 install_as alpine)"
	expect_equal 'where nothing is missing' '' "$(MISSING='' install_as debian)"
}

# Who has installed all by hand, where no manager is known, can build; who has not learns what is missing.
test_unknown_distribution() {
	local path=$WORK/bin:$PATH

	printf 'ID=gentoo\n' >"$WORK/os-release"
	mkdir "$WORK/bin"
	expect_equal 'what is said' '' "$(OS_RELEASE=$WORK/os-release packaging/install-deps.sh 2>&1)"
	# shellcheck disable=SC2016
	printf '#!/bin/sh\n[ "$2" != libmnl ]\n' >"$WORK/bin/pkg-config"
	chmod +x "$WORK/bin/pkg-config"
	! OS_RELEASE=$WORK/os-release PATH=$path packaging/install-deps.sh 2>"$WORK/said" || fail 'no failure'
	grep -qx "install-deps: cannot install on 'gentoo': libmnl.pc missing; install by hand .* libmnl-dev .*" \
		"$WORK/said" || fail 'what is said:' "$(cat "$WORK/said")"
}

# The unit

test_unit_is_well_formed() {
	need systemd-analyze systemd
	# what it starts and its manuals need not be installed
	sed 's,^ExecStart=[^ ]*,ExecStart=/bin/true,; /^Documentation=/d' packaging/flowtally.service \
		>"$WORK/flowtally.service"
	expect_equal 'systemd-analyze verify says' '' \
		"$(systemd-analyze verify --man=no "$WORK/flowtally.service" 2>&1 | grep -F flowtally.service || true)"
}

# At most 2.0 of 10.
test_unit_is_hardened() {
	need systemd-analyze systemd
	systemd-analyze --help | grep -q -- --offline || skip 'systemd-analyze is older than 250'
	systemd-analyze security --no-pager --offline=true --threshold=20 packaging/flowtally.service ||
		fail 'exposed more than 2.0'
}

test_sysusers_and_tmpfiles_are_well_formed() {
	need systemd-sysusers systemd
	mkdir -p "$WORK/root/etc"
	systemd-sysusers --root="$WORK/root" - <packaging/flowtally.sysusers
	grep -q '^flowtally:' "$WORK/root/etc/group"
	if [[ $(id -u) -eq 0 ]]; then
		echo root:x:0:0:root:/root:/bin/sh >"$WORK/root/etc/passwd"
		systemd-tmpfiles --root="$WORK/root" --create - <packaging/flowtally.tmpfiles
		expect_equal 'mode of the folder for reports' 750 "$(stat -c %a "$WORK/root/var/log/flowtally")"
	fi
}

# logrotate(8)

test_logrotate_moves_reports_away() {
	need logrotate logrotate
	mkdir -m 755 "$WORK/log"
	printf report >"$WORK/log/flowtally.ndjson"
	# the same file, but for the folder and for whom it tells
	sed "s,/var/log/flowtally,$WORK/log,g; /postrotate/,/endscript/ {
		/postrotate/b
		/endscript/b
		s,.*systemctl .*,echo told >'$WORK/told',; t
		d
	}" packaging/flowtally.logrotate >"$WORK/logrotate.conf"
	chmod 644 "$WORK/logrotate.conf"
	logrotate --state "$WORK/state" --force "$WORK/logrotate.conf"
	expect_equal 'the file that was rotated' report "$(cat "$WORK/log/flowtally.ndjson.1")"
	[[ ! -e $WORK/log/flowtally.ndjson ]] || fail 'logrotate made the file that the agent should make'
	expect_equal 'the agent is told' told "$(cat "$WORK/told")"
}

# Without systemd it goes by command lines; to those who ask the agent SIGHUP would be the end.
test_logrotate_tells_agents_only() {
	local name pattern end told=()

	need pgrep procps
	pids=()
	pattern=$(sed -nE "s/.*pkill -HUP -x -f '(.*)' .*/\1/p" packaging/flowtally.logrotate)
	trap 'kill "${pids[@]}"' EXIT
	for name in '/usr/sbin/flowtally run' 'flowtally -t' 'flowtally top -n' 'flowtally status'; do
		bash -c 'exec -a "$0" sleep 60' "$name" &
		pids+=($!)
		end=$((SECONDS + 20 * ${PATIENCE:-1}))
		until [[ $(tr '\0' ' ' <"/proc/$!/cmdline") == "$name 60 " ]]; do
			((SECONDS < end)) || fail "waited in vain for $name"
			sleep 0.02
		done
		told+=("$(pgrep -x -f "$pattern" | grep -cx $! || true)")
	done
	expect_equal 'who is told' '1 1 0 0' "${told[*]}"
}

# Completion

in_a_line() {
	LC_ALL=C sort | paste -sd ' '
}

# What bash offers for the words of the line; the last one is where the cursor is.
offered_by_bash() { # LINE WORD...
	# shellcheck disable=SC2016
	COMPLETION=${COMPLETION:-packaging/completion/flowtally.bash} PATH=$BUILD:$PATH bash -c '
		. /usr/share/bash-completion/bash_completion
		. "$COMPLETION"
		COMP_LINE=$1
		shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
		compopt() { :; }
		_flowtally
		printf "%s\n" "${COMPREPLY[@]}"' bash "$@" | in_a_line
}

# That the help names.
long_options() {
	{
		"$BUILD/flowtally" --help | sed -nE 's/^  (-.*[^ ])  +.*/\1/p' | grep -oE -- '--[a-z-]+'
		printf '%s\n' --help --version
	} | in_a_line
}

commands() {
	"$BUILD/flowtally" --help | sed -nE '/^$/q; s/^(Usage:|      ) flowtally \[?([a-z][a-z-]*).*/\2/p' | in_a_line
}

test_bash_completion() {
	[[ -r /usr/share/bash-completion/bash_completion ]] || skip 'no bash-completion here'
	expect_equal commands "$(commands)" "$(offered_by_bash 'flowtally ' flowtally '')"
	expect_equal 'the command' check-config "$(offered_by_bash 'flowtally ch' flowtally ch)"
	expect_equal 'all options' "$(long_options)" "$(offered_by_bash 'flowtally --' flowtally --)"
	expect_equal 'options of check-config' '--help -c' \
		"$(offered_by_bash 'flowtally check-config -' flowtally check-config -)"
	expect_equal 'options of status' '--help --json' \
		"$(offered_by_bash 'flowtally status -' flowtally status -)"
	expect_equal 'keys of top' 'packets' "$(offered_by_bash 'flowtally top -s p' flowtally top -s p)"
	expect_equal 'terms of top' 'net:' "$(offered_by_bash 'flowtally top n' flowtally top n)"
	expect_equal formats 'json table text' "$(offered_by_bash 'flowtally -f ' flowtally -f '')"
	expect_equal 'a format' json "$(offered_by_bash 'flowtally --format=j' flowtally --format = j)"
	expect_equal interfaces lo "$(offered_by_bash 'flowtally -i lo' flowtally -i lo)"
	expect_equal terms 'tcp' "$(offered_by_bash 'flowtally --only proto:t' flowtally --only proto : t)"
	: >"$WORK/flow.conf"
	expect_equal files "$WORK/flow.conf" \
		"$(offered_by_bash "flowtally -c $WORK/fl" flowtally -c "$WORK/fl")"
	expect_equal 'numbers are not guessed' '' "$(offered_by_bash 'flowtally -t ' flowtally -t '')"
}

# Whoever names an interface runs no commands of those who complete it.
test_bash_completion_of_hostile_names() {
	[[ -r /usr/share/bash-completion/bash_completion ]] || skip 'no bash-completion here'
	# shellcheck disable=SC2016
	mkdir -p "$WORK"/net/{br-0.5@x,'$(pwd)','`pwd`','$HOME','~','a;b'}
	sed "s,/sys/class/net,$WORK/net," packaging/completion/flowtally.bash >"$WORK/flowtally.bash"
	expect_equal interfaces 'br-0.5@x index: kind:' \
		"$(COMPLETION=$WORK/flowtally.bash offered_by_bash 'flowtally -i ' flowtally -i '')"
}

offered_by_zsh() { # LINE
	PATH=$BUILD:$PATH timeout 60 zsh -f tests/packaging/complete.zsh "$PWD/packaging/completion" "$1" |
		tr -d '\r' | tr ' ' '\n' | in_a_line
}

test_zsh_completion() {
	need zsh zsh
	expect_equal commands "$(commands)" "$(offered_by_zsh 'flowtally ')"
	expect_equal 'all options' "$(long_options)" "$(offered_by_zsh 'flowtally --')"
	expect_equal 'options of check-config' '--help -c' \
		"$(offered_by_zsh 'flowtally check-config -')"
	expect_equal 'options of top' '--help --names -n -s' "$(offered_by_zsh 'flowtally top -')"
	expect_equal 'keys of top' packets "$(offered_by_zsh 'flowtally top -s p')"
	expect_equal 'terms of top' net: "$(offered_by_zsh 'flowtally top n')"
	expect_equal formats 'json table text' "$(offered_by_zsh 'flowtally --format ')"
	expect_equal interfaces lo "$(offered_by_zsh 'flowtally -x lo')"
	expect_equal terms 'port: proto:icmp proto:icmpv6 proto:tcp proto:udp' \
		"$(offered_by_zsh 'flowtally run --ignore p')"
}

# The manuals

test_manuals_are_well_formed() {
	local page

	need groff groff-base
	for page in doc/flowtally.8 doc/flowtally.conf.5; do
		expect_equal "groff says of $page" '' "$(groff -t -man -Tutf8 -ww -z "$page" 2>&1)"
		# mandoc(1) leaves out what they hold
		expect_equal "macros in tables of $page" '' \
			"$(awk '/^\.TS/ { table = 1 } /^\.TE/ { table = 0 } table && /^\.[A-Z]/ && !/^\.T[SE]/' "$page")"
	done
}

test_manual_has_all_options_and_keys() {
	local word

	for word in $("$BUILD/flowtally" --help | grep -oE -- '--[a-z-]+' | sort -u); do
		grep -qF -- "${word//-/\\-}" doc/flowtally.8 || fail "not in flowtally(8): $word"
	done
	for word in $(grep -oE '^[;# ]*[a-z_]+ =' config/flowtally.conf | tr -d ';#= '); do
		grep -qE "^\.BR $word " doc/flowtally.conf.5 || fail "not in flowtally.conf(5): $word"
	done
}

# make install

test_install_and_uninstall() {
	local file

	make -s install DESTDIR="$WORK/root" PREFIX=/opt/ft BUILD="$BUILD" >/dev/null
	for file in opt/ft/sbin/flowtally opt/ft/share/man/man8/flowtally.8 \
		opt/ft/share/man/man5/flowtally.conf.5 opt/ft/lib/systemd/system/flowtally.service \
		opt/ft/lib/sysusers.d/flowtally.conf opt/ft/lib/tmpfiles.d/flowtally.conf \
		opt/ft/share/bash-completion/completions/flowtally \
		opt/ft/share/zsh/site-functions/_flowtally etc/logrotate.d/flowtally \
		etc/flowtally/flowtally.conf; do
		[[ -s $WORK/root/$file ]] || fail "not installed: $file"
	done
	expect_equal 'what the unit starts' 'ExecStart=/opt/ft/sbin/flowtally run' \
		"$(grep ^ExecStart= "$WORK/root/opt/ft/lib/systemd/system/flowtally.service")"
	# what is in /etc is the administrator's
	echo 'my configuration' >"$WORK/root/etc/flowtally/flowtally.conf"
	echo 'my rules' >"$WORK/root/etc/logrotate.d/flowtally"
	make -s install DESTDIR="$WORK/root" PREFIX=/opt/ft BUILD="$BUILD" >/dev/null
	make -s uninstall DESTDIR="$WORK/root" PREFIX=/opt/ft >/dev/null
	expect_equal 'what is left' 'my configuration my rules' \
		"$(find "$WORK/root" -type f -print0 | sort -z | xargs -0 cat | paste -sd ' ')"
}

# What the unit starts with is there at once, and whoever cannot make it is no failure of make.
test_install_makes_what_the_unit_wants() {
	local name

	mkdir "$WORK/bin"
	for name in systemd-sysusers systemd-tmpfiles systemctl; do
		# shellcheck disable=SC2016
		printf '#!/bin/sh\n%s\n' 'echo "${0##*/} $*" >>"$WORK/asked"; exit 1' >"$WORK/bin/$name"
		chmod +x "$WORK/bin/$name"
	done
	PATH=$WORK/bin:$PATH
	make -s install DESTDIR="$WORK/root" BUILD="$BUILD" >/dev/null
	[[ ! -e $WORK/asked ]] || fail 'asked for what is installed elsewhere' "$(cat "$WORK/asked")"
	make -s install PREFIX="$WORK/ft" SYSCONFDIR="$WORK/etc" BUILD="$BUILD" >/dev/null
	expect_equal 'what is asked' "systemd-sysusers $WORK/ft/lib/sysusers.d/flowtally.conf
systemd-tmpfiles --create $WORK/ft/lib/tmpfiles.d/flowtally.conf
systemctl --no-ask-password daemon-reload" "$(cat "$WORK/asked")"
}

# In a process of its own: in a condition of this one bash would not stop at what fails.
run_test() { # FUNCTION
	local status=0 begin=$EPOCHREALTIME

	WORK=$(mktemp -d)
	export WORK
	trap 'rm -rf "$WORK"' EXIT
	bash tests/packaging/run.sh --only "$1" >"$WORK/output" 2>&1 </dev/null || status=$?
	tell_result "$1" "$status" "$begin"
	[[ $status =~ ^[04]$ && ${V:-} != 1 ]] || sed 's/^/     | /' "$WORK/output"
	rm -rf "$WORK"
	trap - EXIT
}

if [[ ${1:-} == --only ]]; then
	set -E
	trap 'printf "line %s: failed: %s\n" "$LINENO" "$BASH_COMMAND"' ERR
	"$2"
	exit
fi
mapfile -t tests < <(sed -nE 's/^(test_[a-z0-9_]+)\(\).*/\1/p' tests/packaging/run.sh)
for name in "${tests[@]}"; do
	# shellcheck disable=SC2053
	[[ $name == ${TEST:-*} ]] && run_test "$name"
done
end_results
