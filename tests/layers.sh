#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Knowledge runs one way (doc/design.md): which of the agent's files may include what. Names the lines that may not.
set -euo pipefail

cd "$(dirname "$0")/.."
includes=$(grep -rnE --include='*.[ch]' '^#include ' lib netlink config report metrics control supervisor)
broken=0

# Reads the lines that break it.
rule() { # SENTENCE
	local lines

	lines=$(cat)
	[[ $lines ]] || return 0
	printf '%s:\n%s\n' "$1" "$lines"
	broken=1
}

only() { # FILES HEADER SENTENCE, both of them the beginnings of names, as regular expressions
	rule "$3" < <(grep -E ":#include $2" <<<"$includes" | grep -vE "^($1)")
}

# Beside its own.
folder_knows() { # FOLDER FOLDERS
	rule "$1/ knows of the other folders ${2:-none}" < <(grep "^$1/" <<<"$includes" | grep ':#include "' |
		grep -vE ":#include \"($1${2:+|${2// /|}})/")
}

only 'netlink/' '<libmnl/' 'only netlink/ talks netlink'
only 'supervisor/(attach|flow_map|program|pins|headroom|predecessor)' '<bpf/' \
	'only what attaches, loads, pins and reads maps knows libbpf'
only 'control/|supervisor/answers' '<jansson' 'only control/ and what answers it knows libjansson'
only 'config/config' '<ini\.h' 'only the configuration is an INI file'
only 'control/screen' '<(ncurses|curses)' 'only the screen knows terminals'
only 'metrics/server' '<microhttpd' 'only the server of metrics knows HTTP'
only 'supervisor/privileges' '<cap-ng' 'capabilities are given up in one place'

folder_knows lib ''
folder_knows netlink 'lib'
folder_knows config 'bpf lib'
folder_knows report 'bpf lib netlink'
folder_knows metrics 'config lib report'
folder_knows control 'config lib'
folder_knows supervisor 'bpf config control lib metrics netlink report'

# A header X_ops.h or X_private.h is for the files whose names begin with X.
rule 'private headers are for the files that have their name' < <(
	sed -nE 's!^([^.]*).*"(.*)_(ops|private)\.h"!\1 \2 &!p' <<<"$includes" | while read -r file owner line; do
		[[ $file == "$owner"* ]] || printf '%s\n' "$line"
	done
)
exit "$broken"
