#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: blk_guests.sh TIMES
# In dom0: loads in a guest while its backend is unbound and bound, while it is saved and restored, and
# while the domain that has the backend is destroyed and another takes its place.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh
times=$1
driver=/sys/bus/xen-backend/drivers/vbd

modprobe brd rd_nr=3 rd_size=16384

# start NAME DISK...
start() {
    name=$1
    shift
    timeout 120 lab-guest start "$name" pv "$@" >/tmp/start 2>&1 && return
    not_ok "guest $name starts" "$(cat /tmp/start)"
    finish
}

# ---- the backend's driver is unbound and bound ----------------------------------------------------
start load /dev/ram0:xvda:w
guest=load
hammer_start 51712 2 || finish
turns=0
while [ $turns -lt "$times" ]; do
    turns=$((turns + 1))
    device=vbd-$(xl domid load)-51712
    echo "$device" >$driver/unbind
    usleep 300000
    echo "$device" >$driver/bind
    hammer_awaits 51712 ^reconnected $turns || finish
done
hammer_verifies 51712 "in a guest nothing is lost when the driver is unbound and bound, $turns times"

# ---- checkpointed, and saved and restored twice in a row ------------------------------------------
# The lab's agent is to be at rest: Linux 6.1 has a BUG where a process closes, after a restore, an event
# channel that it had before.
save() { # OPTION...
    await 30 xenstore-exists "/local/domain/$(xl domid load)/data/xenlab/ready" || not_ok "the agent" "it is not ready"
    timeout 120 xl save "$@" load /tmp/saved >/tmp/out 2>&1 || not_ok "xl save $*" "$(cat /tmp/out)"
}

restored() {
    save
    timeout 120 xl restore /tmp/saved >/tmp/out 2>&1 || not_ok "xl restore" "$(cat /tmp/out)"
    rm /tmp/saved
}

save -c
rm /tmp/saved
hammer_verifies 51712 "seed_O8 nothing is lost in a checkpoint"
restored
restored
# Of the first it may have had no time to learn.
hammer_awaits 51712 ^reconnected $((turns + 1)) || finish
hammer_verifies 51712 "seed_O8 nothing is lost when the guest is saved and restored twice in a row"
restored
hammer_ends 51712 "seed_O8 nor a third time:"
# It must not end: Linux 6.1 would not survive it.
same "no kernel complains" "$(grep -E -A 12 'BUG|Oops' /var/log/xen/console/guest-load.log)" ""
lab-guest stop load

# ---- a driver domain ------------------------------------------------------------------------------
# Its disks are served by our own backend in another domain, which has them from dom0.

# offer DRIVER-DOMID FRONTEND-DOMID VBD: the toolstack's part of it.
offer() {
    b=/local/domain/$1/backend/vbd/$2/$3 f=/local/domain/$2/device/vbd/$3
    xenstore-write "$b/frontend" "$f" "$b/frontend-id" "$2" "$b/online" 1 "$b/mode" w "$b/state" 1
    xenstore-chmod -r "$b" "n$1" "r$2"
    xenstore-exists "$f" || xenstore-write "$f/virtual-device" "$3" "$f/device-type" disk "$f/state" 1
    xenstore-write "$f/backend" "$b" "$f/backend-id" "$1"
    xenstore-chmod -r "$f" "n$2" "r$1"
}

# serve NAME: a driver domain that serves its xvda to the guest and its xvdb to dom0.
serve() {
    start "$1" /dev/ram1:xvda:w /dev/ram2:xvdb:w
    driver_domid=$(xl domid "$1")
    offer "$driver_domid" "$load_domid" 51712
    offer "$driver_domid" 0 51728
    # shellcheck disable=SC2016 # for the shell inside
    timeout 60 lab-guest exec "$1" sh -c 'modprobe xen-blkfront
        until [ -b /dev/xvda ] && [ -b /dev/xvdb ]; do usleep 50000; done
        setsid blkback_serve backend/vbd/$0/51712 /dev/xvda </dev/null >/dev/console 2>&1 &
        setsid blkback_serve backend/vbd/0/51728 /dev/xvdb </dev/null >/dev/console 2>&1 &' "$load_domid"
    for directory in "$load_domid/51712" 0/51728; do
        await 30 state_is "/local/domain/$driver_domid/backend/vbd/$directory" 2 ||
            not_ok "$1 offers $directory" "$(tail -n 5 "/var/log/xen/console/guest-$1.log")"
    done
}

# through VBD DISK: what was put into the disk is read, and what is written is in it. Not through dom0's own
# cache of the disk.
through() {
    head -c 4194304 /dev/urandom >/tmp/data
    dd if=/tmp/data of="$2" bs=64k oflag=direct 2>/dev/null
    same "seed_O7 through a driver domain, ${guest:-dom0} reads" \
        "$(inside xenpv blk read "vbd/$1" --length 4194304 | sum)" "$(sum </tmp/data)"
    head -c 4194304 /dev/urandom >/tmp/data
    inside xenpv blk write "vbd/$1" --offset 65536 </tmp/data
    same "seed_O7 and ${guest:-dom0} writes" \
        "$(dd if="$2" bs=64k skip=1 count=64 iflag=direct 2>/dev/null | sum)" "$(sum </tmp/data)"
}

start load
load_domid=$(xl domid load)
before_grants=$(grants) before_ports=$(ports)
serve first
guest=load
through 51712 /dev/ram1
guest=
through 51728 /dev/ram2
hammer_start 51728 1 cached || finish
guest=load
hammer_start 51712 2 cached || finish
lab-guest stop first
serve second
hammer_awaits 51712 ^reconnected 1 || finish
hammer_ends 51712 "seed_O7 what was flushed outlives the driver domain: a guest"
guest=
hammer_awaits 51728 ^reconnected 1 || finish
hammer_ends 51728 "seed_O7 what was flushed outlives the driver domain: dom0"
lab-guest stop second
xenstore-rm $front/51728
nothing_left "$before_grants" "$before_ports"
finish
