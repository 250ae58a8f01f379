#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: net_guests.sh TIMES [--full]
# In dom0: a guest's vif while its backend is unbound and bound, while the guest is saved and restored, and
# vifs of dom0 and of a guest that our own backend in another guest serves.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh
# shellcheck source=tests/xen/vifs.sh
. /root/vifs.sh
times=$1 full=${2:-} mib=${2:+8}
mib=${mib:-2}

# ---- a guest whose backend goes and comes ---------------------------------------------------------
# ping_start VERSION: in the guest, until it is killed.
ping_start() {
    # shellcheck disable=SC2016,SC2046 # for the shell inside; two words
    inside sh -c 'setsid xenpv -v net ping vif/0 --address $1 $2 --interval 100 --timeout 60000 </dev/null \
        >/tmp/ping.log 2>&1 & echo $! >/tmp/ping.pid' sh $(addresses "$1")
    echoes_return "echoes over IPv$1"
}

# shellcheck disable=SC2317 # await calls it
echoes() {
    inside grep -c 'bytes from' /tmp/ping.log
}

# shellcheck disable=SC2317 # await calls them
echoes_are() { # COUNT
    [ "$(echoes)" -ge "$1" ]
}

echoes_return() { # WHAT
    if await 60 echoes_are $(($(echoes) + 5)); then ok "$1"; else not_ok "$1" "$(inside tail -n 5 /tmp/ping.log)"; fi
}

again() {
    inside grep -c 'connected again' /tmp/ping.log
}

# shellcheck disable=SC2317
again_is() { # COUNT
    [ "$(again)" -ge "$1" ]
}

restored() {
    timeout 120 xl save "$guest" /tmp/saved >/tmp/out 2>&1 || not_ok "xl save" "$(cat /tmp/out)"
    timeout 120 xl restore /tmp/saved >/tmp/out 2>&1 || not_ok "xl restore" "$(cat /tmp/out)"
    rm /tmp/saved
}

ARP='ARP, Request who-has 10.77.0.2 (ff:ff:ff:ff:ff:ff) tell 10.77.0.2\|ARP, Request who-has 10.77.0.2 tell 10.77.0.2\|ARP, Announcement 10.77.0.2'
NA='fd77::2 > ff02::1: ICMP6, neighbor advertisement'

# a_life VERSION WORDS: with its announcements.
a_life() {
    start_guest pv load
    guest=load
    ping_start "$1"
    rebind "$(xl domid load)"
    echoes_return "seed_O7 echoes return when the driver was unbound and bound and nobody was told, IPv$1"
    before=$(again)
    turns=0
    while [ $turns -lt "$times" ]; do
        turns=$((turns + 1))
        rebind "$(xl domid load)" told
        await 60 again_is $((before + turns)) || not_ok "it returns" "$(inside tail -n 5 /tmp/ping.log)"
    done
    echoes_return "seed_O7 echoes return when the driver was unbound and bound, $turns times, IPv$1"
    dump_start -i any
    restored
    restored
    # Of the first it may have had no time to learn.
    await 60 again_is $((before + turns + 1)) || not_ok "it returns" "$(inside tail -n 5 /tmp/ping.log)"
    echoes_return "seed_O8 echoes return when the guest was saved and restored twice in a row, IPv$1"
    dump_stop
    if grep -q "$2" /tmp/seen; then ok "seed_O18 it has said where it is now, IPv$1"; else
        not_ok "seed_O18 it says where it is now, IPv$1" "$(grep 'ARP\|neighbor' /tmp/seen)"
    fi
    same "no kernel complains" "$(grep -cE 'BUG|Oops' /var/log/xen/console/guest-load.log)" 0
    lab-guest stop load
    guest=
}

a_life 4 "$ARP"
[ -z "$full" ] || a_life 6 "$NA"

# ---- a driver domain ------------------------------------------------------------------------------
# offer DRIVER-DOMID FRONTEND-DOMID HANDLE: the toolstack's part; a frontend that is there is not disturbed.
offer() {
    b=/local/domain/$1/backend/vif/$2/$3 f=/local/domain/$2/device/vif/$3
        xenstore-write "$b/frontend" "$f" "$b/frontend-id" "$2" "$b/online" 1 "$b/handle" "$3" \
        "$b/mac" "00:16:3e:79:00:0$3" "$b/state" 1
    xenstore-chmod -r "$b" "n$1" "r$2"
    xenstore-exists "$f" || xenstore-write "$f/handle" "$3" "$f/mac" "00:16:3e:79:00:0$3" "$f/state" 1
    xenstore-write "$f/backend" "$b" "$f/backend-id" "$1"
    xenstore-chmod -r "$f" "n$2" "r$1"
}

# shellcheck disable=SC2317 # await calls it
offers() { # DIRECTORY: or is connected by now
    state_is "$1" 2 || state_is "$1" 4
}

# serve NAME FRONTEND-DOMID HANDLE K: our backend in that guest, joined to a TAP device of it.
serve() {
    offer "$(xl domid "$1")" "$2" "$3"
    # shellcheck disable=SC2016
    timeout 60 lab-guest exec "$1" sh -c 'modprobe tun
        setsid netback_serve backend/vif/$1/$2 vif$1.$2 </dev/null >/dev/console 2>&1 &
        until [ -e /sys/class/net/vif$1.$2 ]; do usleep 50000; done
        echo 0 >/proc/sys/net/ipv6/conf/vif$1.$2/accept_dad
        ifconfig vif$1.$2 10.77.$3.1 netmask 255.255.255.0 up
        ifconfig vif$1.$2 add fd77:$3::1/64' sh "$2" "$3" "$4"
    await 30 offers "/local/domain/$(xl domid "$1")/backend/vif/$2/$3" ||
        not_ok "$1 offers a vif" "$(tail -n 5 "/var/log/xen/console/guest-$1.log")"
}

start_driver() {
    timeout 240 lab-guest start "$1" pv >/tmp/start 2>&1 || not_ok "guest $1 starts" "$(cat /tmp/start)"
}

# through WHOSE: echoes and streams through the driver domain.
through() {
    prepare
    for version in 4 6; do
        pings "seed_O7 through a driver domain, $1: 20 of 20 over IPv$version" $version 20 --interval 0
    done
    pings "seed_O7 and large ones" 4 20 --interval 0 --size 1472
    tap_start --queues 2
    stream "seed_O7 through a driver domain, $1" up 4 "$mib"
    stream "seed_O7 through a driver domain, $1" down 6 "$mib"
    tap_stop
}

before_grants=$(grants) before_ports=$(ports)
start_driver first
driver=first
serve first 0 7 7
vif=7 net=7
through dom0
timeout 240 lab-guest start load pvh >/tmp/start 2>&1 || not_ok "guest load starts" "$(cat /tmp/start)"
serve first "$(xl domid load)" 0 8
vif=0 net=8 guest=load
through "a guest"

# The driver domain dies, and another takes its place.
driver=second
ping_start 4
lab-guest stop first
start_driver second
serve second "$(xl domid load)" 0 8
await 60 again_is 1 || not_ok "it returns" "$(inside tail -n 5 /tmp/ping.log)"
echoes_return "seed_O7 a guest outlives the driver domain"
lab-guest stop load
guest=
lab-guest stop second
xenstore-rm $netfront/7
nothing_left "$before_grants" "$before_ports"
finish
