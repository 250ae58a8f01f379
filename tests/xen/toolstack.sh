# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# For scripts in the lab's dom0: what a toolstack does with disks, and loads on them. tap.sh comes first.

# await SECONDS COMMAND...: until it succeeds.
await() {
    read -r await_end _ </proc/uptime
    await_end=$((${await_end%.*} + $1))
    shift
    until "$@"; do
        usleep 50000
        read -r await_now _ </proc/uptime
        [ "${await_now%.*}" -lt "$await_end" ] || return 1
    done
}

state_is() { # DIRECTORY STATE
    [ "$(xenstore-read "$1/state" 2>/dev/null)" = "$2" ]
}

gone() { # PATH
    ! xenstore-exists "$1"
}

# ---- disks of dom0 that xen-blkback in dom0 exports -----------------------------------------------
front=/local/domain/0/device/vbd
back=/local/domain/0/backend/vbd/0

# disk_keys VBD DEVICE
disk_keys() {
    IFS=: read -r major minor <"/sys/block/${2#/dev/}/dev"
    echo "$back/$1/frontend $front/$1 $back/$1/frontend-id 0 $back/$1/online 1 $back/$1/dev xvd$1" \
        "$back/$1/mode w $back/$1/device-type disk $back/$1/type phy $back/$1/params $2" \
        "$back/$1/physical-device $(printf '%x:%x' "$major" "$minor") $back/$1/state 1" \
        "$front/$1/backend $back/$1 $front/$1/backend-id 0 $front/$1/virtual-device $1" \
        "$front/$1/device-type disk $front/$1/state 1"
}

# attach VBD DEVICE: until the backend offers it.
attach() {
    # shellcheck disable=SC2046 # words are wanted
    xenstore-write $(disk_keys "$1" "$2")
    await 20 state_is "$back/$1" 2 || not_ok "attach $1" "the backend is in $(xenstore-read "$back/$1/state")"
}

# unplug VBD: asks for it as libxl does.
unplug() {
    xenstore-write "$back/$1/online" 0 "$back/$1/state" 5
}

# detach VBD, which no frontend has: until the backend has let go.
detach() {
    xenstore-write "$back/$1/online" 0 "$front/$1/state" 6
    await 20 state_is "$back/$1" 6 || not_ok "detach $1" "the backend is in $(xenstore-read "$back/$1/state")"
    xenstore-rm "$back/$1" "$front/$1"
}

# ---- the hypervisor's own account of dom0 ---------------------------------------------------------
# Grants in use, and open event channels.
grants() {
    xl dmesg -c >/dev/null
    xl debug-keys g
    xl dmesg | grep -c '^(XEN) .*\[0x[0-9a-f]*\]'
}

ports() {
    xl dmesg -c >/dev/null
    xl debug-keys e
    xl dmesg | grep -c '^(XEN) .*s=[0-9] '
}

grants_are() {
    [ "$(grants)" = "$1" ]
}

# nothing_left GRANTS PORTS: Linux retries deferred grants once a second.
nothing_left() {
    await 15 grants_are "$1"
    same "no grant is left" "$(grants)" "$1"
    same "no event channel is left" "$(ports)" "$2"
}

# ---- loads: blk_hammer in dom0, or in the guest that $guest names ---------------------------------
guest=

inside() {
    if [ -n "$guest" ]; then timeout "${patience:-60}" lab-guest exec "$guest" "$@"; else "$@"; fi
}

hammer_said() { # VBD WORDS TIMES
    [ "$(inside grep -c "$2" "/tmp/hammer.$1.log")" -ge "${3:-1}" ]
}

hammer_log() { # VBD
    inside cat "/tmp/hammer.$1.log" | sed 's/^/# /'
}

# hammer_awaits VBD WORDS TIMES [SECONDS]
hammer_awaits() {
    await "${4:-60}" hammer_said "$1" "$2" "$3" && return
    not_ok "the load on $1" "it has not said '$2' $3 times"
    hammer_log "$1"
    return 1
}

# hammer_start VBD QUEUES [OPTION]...: until the disk is filled and has been looked at.
hammer_start() {
    # shellcheck disable=SC2016 # for the shell inside
    inside sh -c 'rm -f /tmp/hammer.$1.*; mkfifo /tmp/hammer.$1.fifo
        vbd=$1; shift
        setsid blk_hammer $vbd /tmp/hammer.$vbd.fifo "$@" </dev/null >/tmp/hammer.$vbd.log 2>&1 &' sh "$@"
    hammer_awaits "$1" ^verified 1
}

hammer_tell() { # VBD verify|quit
    # shellcheck disable=SC2016
    inside timeout 10 sh -c 'echo $2 >/tmp/hammer.$1.fifo' sh "$1" "$2"
}

# hammer_verifies VBD WHAT: all blocks are looked at once more.
hammer_verifies() {
    looks=$(inside grep -c ^verified "/tmp/hammer.$1.log")
    hammer_tell "$1" verify
    hammer_awaits "$1" ^verified $((looks + 1)) && ok "$2"
}

# hammer_ends VBD WHAT: it looks once more, and closes; nothing may have been lost.
hammer_ends() {
    hammer_tell "$1" quit
    hammer_awaits "$1" '^{' 1 || return
    result=$(inside grep '^{' "/tmp/hammer.$1.log")
    case $result in
    *'"lost":0,"wrong":0,"unfinished":0,"abandoned":0,"error":""}') ok "$2 $result" ;;
    *) not_ok "$2" "$result" && hammer_log "$1" ;;
    esac
}
