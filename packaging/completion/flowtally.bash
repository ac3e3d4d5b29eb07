# SPDX-License-Identifier: GPL-2.0-only
# bash completion of flowtally(8). What it offers is read from `flowtally --help`, so that the two
# cannot disagree; the values of an option are known here.

# The lines "Usage: flowtally COMMAND [OPTION] ..." as "COMMAND OPTION ...".
_flowtally_usage() { # PROGRAM
	"$1" --help 2>/dev/null | sed -nE '/^$/q; s/^(Usage:|      ) flowtally //p' | tr -d '[]'
}

_flowtally_options() { # PROGRAM COMMAND
	if [[ $2 == run ]]; then
		# "  -c, --config FILE       what it is"
		"$1" --help | sed -nE 's/^  (-.*[^ ])  +.*/\1/p' | tr ', ' '\n' | grep '^-'
		echo '--help --version'
	else
		_flowtally_usage "$1" | awk -v command="$2" '
			$1 == command { for (i = 2; i <= NF; i++) if ($i ~ /^-/) print $i }'
		echo --help
	fi
}

_flowtally_sort_keys='bytes packets rate sent received'
_flowtally_terms='net: port: proto:tcp proto:udp proto:icmp proto:icmpv6 interface: or'

_flowtally_interfaces() {
	local path name

	# One like $(reboot) would be expanded here, by compgen, and on the command line, by whoever takes it.
	for path in /sys/class/net/*; do
		name=${path##*/}
		[[ $name == *[![:alnum:]._:@+-]* ]] || printf '%s\n' "$name"
	done
}

_flowtally() {
	local cur prev words cword command=run word commands split=false

	COMPREPLY=()
	_init_completion -s -n : || return
	commands=$(_flowtally_usage "${words[0]}" | awk '$1 !~ /^-/ { print $1 }')
	for word in $commands; do
		[[ ${words[1]} != "$word" ]] || command=$word
	done
	case $prev in
	-c | --config | -o | --output)
		_filedir
		return
		;;
	-f | --format)
		mapfile -t COMPREPLY < <(compgen -W 'text table json' -- "$cur")
		return
		;;
	-a | --attach)
		mapfile -t COMPREPLY < <(compgen -W 'auto tcx clsact' -- "$cur")
		return
		;;
	-i | --include | -x | --exclude)
		mapfile -t COMPREPLY < <(compgen -W "$(_flowtally_interfaces) kind: index:" -- "$cur")
		;;
	--only | --ignore)
		mapfile -t COMPREPLY < <(compgen -W "$_flowtally_terms" -- "$cur")
		;;
	-s | --sort)
		mapfile -t COMPREPLY < <(compgen -W "$_flowtally_sort_keys" -- "$cur")
		return
		;;
	-t | --interval | -n | --count)
		return
		;;
	*)
		$split && return
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W \
				"$(_flowtally_options "${words[0]}" "$command")" -- "$cur")
		elif ((cword == 1)); then
			mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
		elif [[ $command == top ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$_flowtally_terms" -- "$cur")
		fi
		;;
	esac
	# a value goes on behind its colon
	[[ ${COMPREPLY[*]} != *: ]] || compopt -o nospace
	__ltrim_colon_completions "$cur"
}

complete -F _flowtally flowtally
