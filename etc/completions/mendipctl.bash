# bash completion for mendipctl and mendipd, which say themselves what can follow. SPDX-License-Identifier: ISC
# shellcheck shell=bash

_mendipctl() {
	local lines
	mapfile -t lines < <("$1" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	COMPREPLY=("${lines[@]%%$'\t'*}")
	# OPTION= goes on with its value.
	[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}
complete -o default -F _mendipctl mendipctl

_mendipd() {
	[[ $2 == -* ]] || return
	mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]+')" -- "$2")
}
complete -o default -F _mendipd mendipd
