# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Bash completion for xenpv(1).

# Options that a value stands behind.
_xenpv_valued=" --port --mock-disk --mock-net --mock-backend --output --timeout --offset --length
 --target-offset --in --out --budget --queues --ring-order --segments --units --depth --size --mode --op
 --buffer --disk --direction --gso --link --repeats --time --grants --plot --address --count --interval --pcap --duration --rate
 --repeat --name --watch-timeout -n --domain --hook --user --mock-control "

# The command's words so far, options and their values left out, into `words`; what says where the
# devices are, into `machine`. Bash has cut --port=mock into three, and pcap=FILE.
_xenpv_words() {
    local i option value
    words=() machine=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        option=${COMP_WORDS[i]}
        if [[ $option == -* && $_xenpv_valued =~ [[:space:]]${option}[[:space:]] ]]; then
            [[ ${COMP_WORDS[i + 1]-} != "=" ]] || ((i++))
            ((i++))
            value=${COMP_WORDS[i]-}
            while [[ ${COMP_WORDS[i + 1]-} == "=" ]] && ((i + 2 < COMP_CWORD)); do
                value+="=${COMP_WORDS[i + 2]}"
                ((i += 2))
            done
            [[ " --port --mock-disk --mock-net " != *" $option "* ]] || ((i >= COMP_CWORD)) ||
                machine+=("$option" "$value")
        elif [[ $option != -* && $option != "=" ]]; then
            words+=("$option")
        fi
    done
}

# The disks there are, by number and by name; the network cards.
_xenpv_disks() {
    xenpv "${machine[@]}" list 2>/dev/null |
        sed -n 's/^\(vbd\/\)\([0-9]*\)  *\([a-z0-9?]*\) .*/\1\2 \1\3/p'
}
_xenpv_cards() {
    xenpv "${machine[@]}" list 2>/dev/null | sed -n 's/^\(vif\/[0-9]*\) .*/\1/p'
}

# The nodes below what is written so far of a path.
_xenpv_nodes() {
    local parent=${current%"${current##*/}"}
    if [[ $parent == / || -z $parent ]]; then
        xenpv "${machine[@]}" store ls ${parent:+"$parent"} 2>/dev/null | sed "s|^|$parent|"
    elif [[ $parent =~ ^[A-Za-z0-9_@/-]*$ ]]; then
        xenpv "${machine[@]}" store ls "${parent%/}" 2>/dev/null | sed "s|^|$parent|"
    fi
}

_xenpv_options() {
    local options="--port --mock-disk --mock-net --mock-backend --output --timeout --verbose --help --version"
    local form="--queues --ring-order --segments --poll --units --no-flush --no-barrier --no-discard
        --no-secure-discard --no-persistent --no-indirect --no-large-ring --no-multi-queue"
    local net_without="--no-sg --no-csum4 --no-csum6 --no-gso4 --no-gso6 --no-rx-notify --no-split
        --no-multi-queue --no-control --no-multicast --no-dynamic --no-headroom --no-static-grants"
    local card="--queues --poll $net_without"
    case "${words[*]:0:2}" in
    list*) options+=" --budget --watch --count --duration --all" ;;
    "message send") options+=" --domain --no-wait" ;;
    "message receive") options+=" --domain --count --follow" ;;
    agent*) options+=" --hook --active --user --mock-control" ;;
    info\ vif* | info\ mac*) options+=" $card" ;;
    info\ *) options+=" $form" ;;
    info) options+=" $form $card" ;;
    "store ls") options+=" --recursive --permissions --paths" ;;
    "store read") options+=" --raw" ;;
    "store write" | "store transaction") options+=" --in" ;;
    "store rm") options+=" --tidy" ;;
    "store chmod") options+=" --recursive --upto" ;;
    "store watch") options+=" --count --watch-timeout" ;;
    "net stats") options+=" --duration" ;;
    "net ping") options+=" --address --count --interval --size" ;;
    "net recv") options+=" --pcap --count --duration" ;;
    "net send") options+=" --pcap --rate --repeat" ;;
    "net tap") options+=" --name" ;;
    "blk read") options+=" --offset --length --out" ;;
    "blk write") options+=" --offset --in" ;;
    "blk copy" | "blk verify") options+=" --offset --length --target-offset" ;;
    "blk discard") options+=" --offset --length --all --secure" ;;
    esac
    [[ ${words[0]-} != bench ]] || options+=" --depth --size --queues --mode --repeats --time --quick
        --full --grants --plot --take-over"
    case "${words[*]:0:2}" in
    "bench blk") options+=" --op --buffer --disk --write --segments --units ${form#*--units}" ;;
    "bench net") options+=" --direction --gso --link $net_without" ;;
    esac
    [[ ${words[0]-} != blk ]] || options+=" --take-over $form"
    [[ ${words[0]-} != net ]] || options+=" --take-over $card"
    echo "$options"
}

_xenpv_words_next() {
    case "${words[*]:0:2}" in
    "" | help) echo "list info store blk net bench agent message time help" ;;
    store | "help store") echo "ls read write mkdir rm exists chmod getperms watch transaction" ;;
    "store transaction") ;;
    "store "*) _xenpv_nodes ;;
    blk | "help blk") echo "read write copy verify flush discard" ;;
    net | "help net") echo "stats ping recv send tap" ;;
    bench | "help bench") echo "blk net" ;;
    message | "help message") echo "send receive" ;;
    info) _xenpv_disks && _xenpv_cards ;;
    "blk "* | "bench blk"*) _xenpv_disks ;;
    "net "* | "bench net"*) _xenpv_cards ;;
    esac
}

_xenpv_next() {
    case "${words[*]:0:2}" in
    "blk copy" | "blk verify") compgen -f -- "$current" ;;
    esac
    compgen -W "$(_xenpv_words_next)" -- "$current"
}

_xenpv() {
    local words machine current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    if [[ $current == "=" ]]; then
        current=
    elif [[ $previous == "=" ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    COMPREPLY=()
    _xenpv_words
    case $previous in
    --port) mapfile -t COMPREPLY < <(compgen -W "auto linux mock" -- "$current") ;;
    --output) mapfile -t COMPREPLY < <(compgen -W "text json" -- "$current") ;;
    --units)
        mapfile -t COMPREPLY < <(compgen -W "512 sector-size freebsd mini-os" -- "$current")
        ;;
    --mode) mapfile -t COMPREPLY < <(compgen -W "polled event" -- "$current") ;;
    --op) mapfile -t COMPREPLY < <(compgen -W "randread read write" -- "$current") ;;
    --buffer) mapfile -t COMPREPLY < <(compgen -W "shared bounce" -- "$current") ;;
    --disk) mapfile -t COMPREPLY < <(compgen -W "null empty memory" -- "$current") ;;
    --direction) mapfile -t COMPREPLY < <(compgen -W "tx rx" -- "$current") ;;
    --gso) mapfile -t COMPREPLY < <(compgen -W "off on" -- "$current") ;;
    --link) mapfile -t COMPREPLY < <(compgen -W "null memory" -- "$current") ;;
    --hook)
        mapfile -t COMPREPLY < <(compgen -S = -W "poweroff reboot halt suspend s3 s4 shutdown resume sysrq memory" \
            -- "$current")
        ;;
    --user) mapfile -t COMPREPLY < <(compgen -u -- "$current") ;;
    --mock-net) mapfile -t COMPREPLY < <(compgen -W "loopback pair pcap=" -- "$current") ;;
    pcap | *,capture) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    --mock-disk | --in | --out | --plot | --pcap) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    *)
        if [[ $previous == -* && $_xenpv_valued =~ [[:space:]]${previous}[[:space:]] ]]; then
            return
        elif [[ $current == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_xenpv_options)" -- "$current")
        else
            mapfile -t COMPREPLY < <(_xenpv_next)
        fi
        ;;
    esac
}

complete -o filenames -F _xenpv xenpv
