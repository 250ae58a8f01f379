# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Bash completion for xenpv(1).

# The command's words so far, options and their values left out, into `words`.
_xenpv_words() {
    local i
    words=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --port | --mock-disk | --output | --timeout | --offset | --length | --in | --out) ((i++)) ;;
        -* | =) ;;
        *) words+=("${COMP_WORDS[i]}") ;;
        esac
    done
}

# The disks there are here, by the names that commands take.
_xenpv_disks() {
    xenpv list 2>/dev/null | sed -n 's/^\(vbd\/[0-9]*\) .*/\1/p'
}

_xenpv_options() {
    local options="--port --mock-disk --output --timeout --verbose --help --version"
    case "${words[*]:0:2}" in
    "blk read") options+=" --offset --length --out --take-over" ;;
    "blk write") options+=" --offset --in --take-over" ;;
    esac
    echo "$options"
}

_xenpv_words_next() {
    case "${words[*]:0:2}" in
    "" | help) echo "list info store blk help" ;;
    store | "help store") echo "ls read write rm" ;;
    blk | "help blk") echo "read write" ;;
    info | "blk read" | "blk write") _xenpv_disks ;;
    esac
}

_xenpv() {
    local words current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    _xenpv_words
    case $previous in
    --port) mapfile -t COMPREPLY < <(compgen -W "auto linux mock" -- "$current") ;;
    --output) mapfile -t COMPREPLY < <(compgen -W "text json" -- "$current") ;;
    --mock-disk | --in | --out) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    --timeout | --offset | --length) ;;
    *)
        if [[ $current == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_xenpv_options)" -- "$current")
        else
            mapfile -t COMPREPLY < <(compgen -W "$(_xenpv_words_next)" -- "$current")
        fi
        ;;
    esac
}

complete -o filenames -F _xenpv xenpv
