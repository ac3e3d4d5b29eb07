#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Installs the distribution's packages that building and running flowtally takes, with DEPS_TESTS=1
# those that testing takes, with DEPS_ANALYSE=1 those of make analyse, and with DEPS_BENCH=1 the tools that make bench compares it with. Only what is missing: when nothing is, it needs neither root nor a network.
set -euo pipefail

tests=${DEPS_TESTS:-0}
bench=${DEPS_BENCH:-0}
analyse=${DEPS_ANALYSE:-0}
# other distributions' lists name none: make bench and make analyse say what they did not find
bench_packages=()
analyse_packages=()

die() {
	printf 'install-deps: %s\n' "$*" >&2
	exit 1
}

# ID and ID_LIKE of os-release(5), the most specific first
distributions() {
	local ID='' ID_LIKE='' file=${OS_RELEASE:-/etc/os-release}

	if [[ -r $file ]]; then
		# shellcheck disable=SC1090
		. "$file"
	fi
	printf '%s ' "$ID" "$ID_LIKE"
}

choose_debian() {
	packages=(gcc make clang llvm libbpf-dev libmnl-dev libelf-dev zlib1g-dev libinih-dev
		libjansson-dev libncurses-dev libmicrohttpd-dev libcap-ng-dev pkg-config linux-libc-dev
		libc6-dev)
	test_packages=(libcmocka-dev iproute2 nftables iperf3 tcpdump shellcheck cppcheck clang-format
		jq procps util-linux iputils-ping strace wireguard-tools libteam-utils kmod cpio
		qemu-system-x86 systemd logrotate bash-completion zsh groff-base libclang-rt-dev
		valgrind musl-tools)
	bench_packages=(softflowd pmacct)
	analyse_packages=(clang-tidy)
	is_installed() {
		dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
	}
	install_packages() {
		# and start no service that comes with a package
		export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
		apt-get -q update && apt-get -q install -y --no-install-recommends "$@"
	}
}

# The packages' names differ between the two families, what they provide to pkg-config does not.
choose_rpm() {
	packages=(gcc make clang llvm 'pkgconfig(libbpf)' 'pkgconfig(libmnl)' 'pkgconfig(libelf)'
		'pkgconfig(zlib)' 'pkgconfig(inih)' 'pkgconfig(jansson)' 'pkgconfig(ncursesw)'
		'pkgconfig(libmicrohttpd)' 'pkgconfig(libcap-ng)' glibc-devel)
	test_packages=('pkgconfig(cmocka)' nftables tcpdump ShellCheck cppcheck jq util-linux iputils
		strace wireguard-tools logrotate bash-completion zsh valgrind)
	is_installed() {
		rpm -q --quiet --whatprovides "$1"
	}
}

choose_fedora() {
	choose_rpm
	packages+=(pkgconf-pkg-config kernel-headers)
	test_packages+=(iproute iproute-tc iperf3 clang-tools-extra procps-ng groff-base
		compiler-rt)
	install_packages() {
		dnf install -y --setopt=install_weak_deps=False "$@"
	}
}

choose_suse() {
	choose_rpm
	packages+=(pkg-config linux-glibc-devel)
	test_packages+=(iproute2 iperf clang-tools procps groff)
	install_packages() {
		zypper --non-interactive install --no-recommends "$@"
	}
}

choose_arch() {
	packages=(gcc make clang llvm libbpf libmnl libelf zlib libinih jansson ncurses libmicrohttpd
		libcap-ng pkgconf linux-api-headers)
	test_packages=(cmocka iproute2 nftables iperf3 tcpdump shellcheck cppcheck jq procps-ng
		util-linux iputils strace logrotate bash-completion zsh groff compiler-rt valgrind)
	is_installed() {
		[[ -z $(pacman -T "$1") ]]
	}
	install_packages() {
		# fresh lists without an upgrade of all would leave a system of two times
		{ pacman -Si gcc || pacman -Sy; } && pacman -S --needed --noconfirm "$@"
	}
}

choose_alpine() {
	packages=(gcc musl-dev make clang llvm libbpf-dev libmnl-dev elfutils-dev zlib-dev inih-dev
		jansson-dev ncurses-dev libmicrohttpd-dev libcap-ng-dev pkgconf linux-headers)
	test_packages=(cmocka-dev iproute2 nftables iperf3 tcpdump shellcheck cppcheck clang-extra-tools
		jq procps-ng util-linux iputils strace wireguard-tools logrotate bash-completion zsh groff
		compiler-rt valgrind)
	is_installed() {
		apk info -q -e "$1"
	}
	install_packages() {
		# an image comes without lists
		apk add -U "$@"
	}
}

# No manager that is known: what is missing shows in commands and in what pkg-config finds.
choose_unknown() {
	packages=(cc make clang llvm-strip pkg-config libbpf.pc libmnl.pc libelf.pc zlib.pc inih.pc
		jansson.pc ncursesw.pc libmicrohttpd.pc libcap-ng.pc)
	test_packages=(cmocka.pc ip nft iperf3 tcpdump shellcheck cppcheck clang-format jq strace)
	is_installed() {
		case $1 in
		*.pc) pkg-config --exists "${1%.pc}" 2>/dev/null ;;
		*) command -v "$1" >/dev/null ;;
		esac
	}
}

# What Debian calls what is to be there.
debian_packages() {
	choose_debian
	((tests)) && packages+=("${test_packages[@]}")
	printf '%s' "${packages[*]}"
}

choose_distribution() {
	local names name

	names=$(distributions)
	for name in $names; do
		case $name in
		debian | ubuntu) choose_debian ;;
		fedora | rhel | centos) choose_fedora ;;
		arch) choose_arch ;;
		alpine) choose_alpine ;;
		opensuse* | suse) choose_suse ;;
		*) continue ;;
		esac
		return
	done
	unknown=${names%% *}
	choose_unknown
}

unknown= # distribution, if it is
choose_distribution
((tests)) && packages+=("${test_packages[@]}")
((bench)) && packages+=("${bench_packages[@]}")
((analyse)) && packages+=("${analyse_packages[@]}")

missing=()
for package in "${packages[@]}"; do
	is_installed "$package" || missing+=("$package")
done
((${#missing[@]})) || exit 0

[[ -z $unknown ]] ||
	die "cannot install on '$unknown': ${missing[*]} missing; install by hand what Debian calls: $(debian_packages)"
[[ $(id -u) -eq 0 ]] ||
	die "must be root to install what is missing: ${missing[*]}"
printf 'install-deps: installing %s\n' "${missing[*]}"
output=$(mktemp)
trap 'rm -f "$output"' EXIT
if ! install_packages "${missing[@]}" >"$output" 2>&1 </dev/null; then
	cat "$output" >&2
	die "the package manager failed, its output is above; these are missing: ${missing[*]}"
fi
