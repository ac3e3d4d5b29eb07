#!/usr/bin/env zsh
# SPDX-License-Identifier: GPL-2.0-only
# Prints what completion offers where the command line LINE ends, in an interactive zsh that loads it
# as a user's would:
#
#   zsh -f complete.zsh FOLDER-OF-_flowtally LINE
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=(${(q)1} \$fpath); autoload -U compinit; compinit -u -D; setopt no_beep"
# sees what is offered, and passes it on
zpty -w shell 'typeset -ga offered
compadd() {
	local -a got
	if ((! ${@[(I)-[OAD]]})); then
		builtin compadd -O got "$@"
		offered+=($got)
	fi
	builtin compadd "$@"
}
show() {
	print -r -- "<<<${(j: :)${(ou)offered}}>>>"
	exit
}
comppostfuncs=(show); bindkey "^I" complete-word; echo READ""Y'
zpty -r shell out '*READY*'
zpty -n -w shell "$2"$'\t'
zpty -r shell out '*<<<*>>>*' || exit
print -r -- "${${out#*<<<}%>>>*}"
