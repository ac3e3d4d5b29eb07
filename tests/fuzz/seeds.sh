#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Writes the seeds that are not made by hand into the corpus: the messages of this kernel for a host with
# one of each, checkpoints of this build, and what an agent answers there. Needs root.
set -euo pipefail

cd "$(dirname "$0")/../.."
BUILD=$(cd "${BUILD:-build}" && pwd)
corpus=$PWD/tests/fuzz/corpus
ns=ft$$-seeds
work=$(mktemp -d)
export RUNTIME_DIRECTORY=$work STATE_DIRECTORY=$work

clean() {
	if [[ -n ${agent:-} ]]; then
		kill "$agent"
		wait "$agent" || true
	fi
	ip netns del "$ns"
	rm -rf "$work"
}

# A kernel without that kind makes no seed of it.
add_link() { # IP-LINK-ADD ARGUMENTS...
	ip -n "$ns" link add "$@" 2>/dev/null || echo "seeds.sh: no link $*" >&2
}

make_host() {
	ip -n "$ns" link set lo up
	add_link v0 type veth peer name v1
	add_link br0 type bridge
	add_link mv0 link v0 type macvlan mode bridge
	add_link vx0 type vxlan id 7 dstport 4789 local 10.1.0.1 remote 10.1.0.2
	add_link vx6 type vxlan id 8 dstport 4789 local fd01::1 group ff05::8 dev v0
	add_link ifb7 type ifb
	ip -n "$ns" link set v1 master br0
	ip -n "$ns" link property add dev v0 altname enp0s31f6 altname another-name
	ip -n "$ns" address add 10.1.0.1/24 dev v0
	ip -n "$ns" address add 10.2.0.1 peer 10.2.0.2 dev br0
	ip -n "$ns" address add fd01::1/64 dev v0 nodad
	bridge -n "$ns" fdb add 02:00:00:00:00:09 dev v0 self
	ip -n "$ns" link set v0 up
	ip netns exec "$ns" nft -f - <<-'NFT'
		table ip nat {
			chain out {
				type nat hook postrouting priority 100
				ct zone 3 masquerade
				ip protocol udp masquerade to :1024-2048
			}
		}
	NFT
	tc -n "$ns" qdisc add dev lo clsact
	tc -n "$ns" filter add dev lo ingress protocol all prio 7 u32 match u32 0 0 flowid 1:1
}

ask() { # FILE ARGUMENTS...
	local file=$corpus/view/$1

	shift
	ip netns exec "$ns" "$BUILD/flowtally" "$@" --json | sed -E 's/"netns":[0-9]+/"netns":4026531840/' >"$file"
}

capture_answers() {
	ip netns exec "$ns" "$BUILD/flowtally" run -t 3600 -a clsact -o /dev/null 2>"$work/log" &
	agent=$!
	for ((i = 0; i < 500; i++)); do
		! grep -q 'first report' "$work/log" || break
		sleep 0.02
	done
	ip netns exec "$ns" ping -q -c 2 -i 0.2 127.0.0.1 >/dev/null
	ask status status
	ask interfaces interfaces
	printf '{"request":"flows"}\n' |
		ip netns exec "$ns" "$BUILD/tests/netns/control" ask "$work/control.sock" |
		sed -E 's/"netns":[0-9]+/"netns":4026531840/' >"$corpus/view/flows"
}

mkdir -p "$corpus"/{link,addr,stats,secondary,tc,conntrack,wireguard,checkpoint,folded,view}
ip netns add "$ns"
trap clean EXIT
make_host
capture_answers
ip netns exec "$ns" "$BUILD/tests/fuzz/seeds" dump "$corpus"
"$BUILD/tests/fuzz/seeds" tunnels "$corpus"
"$BUILD/tests/fuzz/seeds" checkpoint "$corpus"
