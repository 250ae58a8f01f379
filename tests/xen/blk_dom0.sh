#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: blk_dom0.sh CYCLES DISTURBANCES ROUNDS DISKS (a multiple of 8, up to 64)
# In dom0, with disks in memory that xen-blkback exports to dom0: attached and detached, many at once, taken
# away and disturbed under load, handed over to the kernel's driver and back.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh
cycles=$1 disturbances=$2 rounds=$3 many=$4
driver=/sys/bus/xen-backend/drivers/vbd

modprobe brd rd_nr=64 rd_size=16384
before_grants=$(grants) before_ports=$(ports)

# ---- attached and detached ------------------------------------------------------------------------
head -c 1048576 /dev/urandom >/tmp/data
data_sum=$(sum </tmp/data)
dd if=/tmp/data of=/dev/ram0 bs=1M 2>/dev/null
turns=0
while [ $turns -lt "$cycles" ] && [ $failures -eq 0 ]; do
    attach 51712 /dev/ram0
    [ "$(xenpv blk read vbd/51712 --length 1048576 | sum)" = "$data_sum" ] || not_ok "cycle $turns" "other data"
    detach 51712
    turns=$((turns + 1))
done
same "attached, read and detached, $cycles times" $turns "$cycles"
nothing_left "$before_grants" "$before_ports"

# ---- many disks at once ---------------------------------------------------------------------------
# The number of disk I: 16 of them, then the extended scheme.
vbd_of() {
    if [ "$1" -lt 16 ]; then echo $((51712 + 16 * $1)); else echo $((268435456 + 256 * $1)); fi
}

# shellcheck disable=SC2046,SC2317 # words are wanted; await calls it
in_state() { # COUNT DIRECTORY STATE
    [ "$(xenstore-read $(for i in $disks; do echo "$2/$(vbd_of "$i")/state"; done) 2>/dev/null | grep -cx "$3")" = "$1" ]
}

disks=$(seq 0 $((many - 1))) all=
# shellcheck disable=SC2046 # words are wanted
xenstore-write $(for i in $disks; do disk_keys "$(vbd_of "$i")" "/dev/ram$i"; done)
await 60 in_state "$many" $back 2 && ok "seed_A1 $many disks are offered"
# Eight at a time come and go: the backend connects and closes them one after the other. One queue and page
# each: xen-blkback takes more than a megabyte of dom0 for each queue with a ring of four.
for i in $disks; do
    [ -e /tmp/go.$((i / 8)) ] || mkfifo /tmp/go.$((i / 8))
    head -c 65536 /dev/urandom >"/tmp/data.$i"
    (read -r _ </tmp/go.$((i / 8)); cat "/tmp/data.$i") | xenpv --queues 1 --ring-order 0 blk write "vbd/$(vbd_of "$i")" 2>>/tmp/errors &
    all="$all$! "
    [ $((i % 8)) -lt 7 ] || await 60 in_state $((i + 1)) $front 4 || not_ok "$((i + 1)) disks" "not connected"
done
in_state "$many" $front 4 && ok "seed_A1 $many disks are connected at once"
for group in $(seq 0 $((many / 8 - 1))); do
    : >"/tmp/go.$group"
    # shellcheck disable=SC2046 # words are wanted
    wait $(echo "$all" | cut -d ' ' -f $((group * 8 + 1))-$((group * 8 + 8)))
done
good=0
for i in $disks; do
    [ "$(head -c 65536 "/dev/ram$i" | sum)" = "$(sum <"/tmp/data.$i")" ] && good=$((good + 1))
done
same "seed_A1 $many disks have what was written to each" "$good $(cat /tmp/errors)" "$many "
rm /tmp/go.* /tmp/data.* /tmp/errors
# shellcheck disable=SC2046 # words are wanted
xenstore-write $(for i in $disks; do echo "$back/$(vbd_of "$i")/online 0 $front/$(vbd_of "$i")/state 6"; done)
await 60 in_state "$many" $back 6 || not_ok "$many disks are detached" "not all are closed"
# shellcheck disable=SC2046 # words are wanted
xenstore-rm $(for i in $disks; do echo "$back/$(vbd_of "$i") $front/$(vbd_of "$i")"; done)
nothing_left "$before_grants" "$before_ports"

# ---- the backend is disturbed under load ----------------------------------------------------------
attach 51712 /dev/ram0
attach 51728 /dev/ram1
hammer_start 51712 2 || finish
turns=0
while [ $turns -lt "$disturbances" ]; do
    turns=$((turns + 1))
    echo vbd-0-51712 >$driver/unbind
    usleep 300000
    echo vbd-0-51712 >$driver/bind
    hammer_awaits 51712 ^reconnected $turns || finish
done
hammer_verifies 51712 "nothing is lost when the driver is unbound and bound, $turns times"
done=$turns turns=0
while [ $turns -lt "$disturbances" ]; do
    turns=$((turns + 1))
    xenstore-rm $back/51712
    hammer_awaits 51712 ^recovering $((done + turns)) || finish
    # shellcheck disable=SC2046 # words are wanted
    xenstore-write $(disk_keys 51712 /dev/ram0 | tr ' ' '\n' | paste -d ' ' - - | grep "^$back")
    hammer_awaits 51712 ^reconnected $((done + turns)) || finish
done
hammer_verifies 51712 "nothing is lost when the directory is removed and made anew, $turns times"

# ---- taken away under load ------------------------------------------------------------------------
held_ports=$(ports)
hammer_start 51728 1
unplug 51728
hammer_awaits 51728 '^{' 1
case $(grep '^{' /tmp/hammer.51728.log) in
*'"lost":0,"wrong":0,"unfinished":0,"abandoned":0,"error":"XENPV_EPEER"}')
    ok "a load on a disk that is taken away ends: $(grep ^failed /tmp/hammer.51728.log)"
    ;;
*) not_ok "a load on a disk that is taken away" "$(cat /tmp/hammer.51728.log)" ;;
esac
await 10 state_is $back/51728 6
same "the backend has let go of it" "$(xenstore-read $back/51728/state)" 6
xenstore-rm $back/51728 $front/51728
same "no event channel of it is left" "$(ports)" "$held_ports"
hammer_verifies 51712 "the other goes on"
hammer_ends 51712 "and has lost nothing"
detach 51712
nothing_left "$before_grants" "$before_ports"

# ---- a load that sees no loss would prove nothing --------------------------------------------------
attach 51744 /dev/ram2
hammer_start 51744 1
dd if=/dev/ram2 of=/tmp/old bs=1M count=8 iflag=direct 2>/dev/null
usleep 500000
dd if=/tmp/old of=/dev/ram2 bs=1M count=8 oflag=direct 2>/dev/null
hammer_tell 51744 quit
hammer_awaits 51744 '^{' 1
case $(grep '^{' /tmp/hammer.51744.log) in
*'"lost":0,'* | '') not_ok "a load sees that old blocks came back" "$(cat /tmp/hammer.51744.log)" ;;
*) ok "a load sees that old blocks came back" ;;
esac
detach 51744

# ---- handed over ----------------------------------------------------------------------------------
# Linux 6.1 connects to no device that it once gave away: it gets them back as devices that are attached anew.
name_of() { # VBD
    # shellcheck disable=SC2059 # the letter
    printf "xvd\\$(printf %o $((($1 - 51712) / 16 + 97)))"
}

to_kernel() { # VBD
    # shellcheck disable=SC2046 # words are wanted
    xenstore-write $(disk_keys "$1" "/dev/ram$((($1 - 51712) / 16))")
    await 20 test -b "/dev/$(name_of "$1")" || not_ok "the kernel takes $1" "no device"
}

from_kernel() { # VBD
    unplug "$1"
    await 20 state_is "$back/$1" 6 || not_ok "the kernel gives $1" "the backend is in $(xenstore-read "$back/$1/state")"
    xenstore-rm "$back/$1" "$front/$1"
}

vbds="51712 51728 51744 51760"
modprobe xen-blkfront
for vbd in $vbds; do to_kernel "$vbd"; done
good=0 turns=0
while [ $turns -lt "$rounds" ]; do
    turns=$((turns + 1))
    head -c 262144 /dev/urandom >/tmp/data
    order=$(for vbd in $vbds; do echo "$vbd"; done | shuf)
    for vbd in $order; do
        xenpv blk write --take-over "vbd/$vbd" --offset 12345 --in /tmp/data && good=$((good + 1))
    done
    for vbd in $(echo "$order" | shuf); do
        detach "$vbd"
        to_kernel "$vbd"
        tail -c +12346 "/dev/$(name_of "$vbd")" | head -c 262144 | cmp -s - /tmp/data && good=$((good + 1))
        dd if=/tmp/data of="/dev/$(name_of "$vbd")" bs=4k seek=100 conv=fsync 2>/dev/null
    done
    for vbd in $(echo "$order" | shuf | head -n 2); do
        xenpv blk read --take-over "vbd/$vbd" --offset 409600 --length 262144 | cmp -s - /tmp/data &&
            good=$((good + 1))
        detach "$vbd"
        to_kernel "$vbd"
    done
done
same "seed_O15 four disks between the kernel's driver and ours, $rounds rounds in any order" $good $((rounds * 10))
for vbd in $vbds; do from_kernel "$vbd"; done
nothing_left "$before_grants" "$before_ports"
# Linux 6.1's xen-blkback miscounts its own requests when it is unbound at work, and warns of it.
! dmesg | grep -E 'BUG|WARNING|Oops' | grep -v 'xen_blkif_disconnect' || not_ok "the kernel" "it complains"
finish
