#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: net_dom0.sh CYCLES DISTURBANCES SECONDS
# In dom0, with vif 0 that xen-netback serves, and others that come and go: attached and detached, under load;
# the backend unbound and bound; pages that run out. Taken from the kernel's own frontend at first.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh
# shellcheck source=tests/xen/vifs.sh
. /root/vifs.sh
cycles=$1 disturbances=$2 seconds=$3

prepare
mount -t debugfs none /sys/kernel/debug

# ---- handed over ----------------------------------------------------------------------------------
# Before anything else: Linux 6.1 connects to no device that another had first.
modprobe xen-netfront
await 20 test -e /sys/class/net/eth0 || not_ok "the kernel takes the vif" "no device"
xenpv net ping vif/0 --address 10.77.0.2/24 10.77.0.1 --count 3 --interval 0 >/tmp/out 2>&1
same "a vif that the kernel has is refused" "$? $(grep -c 'kernel driver vif' /tmp/out)" "1 1"
pings "--take-over takes it" 4 3 --interval 0 --take-over
modprobe -r xen-netfront
before_grants=$(grants) before_ports=$(ports)

# ---- attached and detached ------------------------------------------------------------------------
# cycle TIMES: a vif 9 comes, is pinged through, and goes.
cycle() {
    turns=0
    while [ $turns -lt "$1" ] && [ $failures -eq 0 ]; do
        attach_vif 9
        xenpv net ping vif/9 --address 10.78.9.2/24 10.78.9.1 --count 3 --interval 0 >/tmp/out 2>&1 ||
            not_ok "cycle $turns" "$(cat /tmp/out)"
        detach_vif 9
        turns=$((turns + 1))
    done
}

cycle "$cycles"
same "seed_A10 attached, used and detached, $cycles times" $turns "$cycles"
nothing_left "$before_grants" "$before_ports"

# ---- load -----------------------------------------------------------------------------------------
# What Linux says of its rings: requests that it has not answered.
outstanding() {
    awk '/^(TX|RX):/ { half = $1 } /^req prod/ { gsub(/[()]/, ""); print half, $4 }' \
        "/sys/kernel/debug/xen-netback/vif0.0/io_ring_q$1" | tr '\n' ' '
}

# ended WHAT STATUS: of iperf3.
ended() {
    if [ "$2" = 0 ]; then
        ok "$1: $(grep receiver /tmp/iperf | tail -n 2 | tr '\n' ' ')"
    else
        not_ok "$1" "$(cat /tmp/iperf)"
    fi
}

tap_start --queues 2
iperf3 -c 10.77.0.1 --bidir -P 2 -t "$seconds" >/tmp/iperf 2>&1 &
load=$!
cycle 3
same "seed_A10 and under load on another, $turns times" $turns 3
wait $load
ended "seed_R2 TCP both ways, $seconds s" $?
# More than are taken.
iperf3 -c 10.77.0.1 -u -b 0 -l 64 -t $((seconds / 4)) >/tmp/iperf 2>&1
ended "seed_R2 small datagrams" $?
iperf3 -c 10.77.0.1 -R -u -b 0 -l 64 -t $((seconds / 4)) >/tmp/iperf 2>&1
ended "seed_R2 small datagrams, the other way" $?
sleep 1
same "no buffer is lost: queue 0" "$(outstanding 0)" "TX: 0 RX: 256 "
same "no buffer is lost: queue 1" "$(outstanding 1)" "TX: 0 RX: 256 "
ping -c 5 -i 0.2 -w 20 10.77.0.1 >/tmp/out || not_ok "it is alive" "$(cat /tmp/out)"
same "the connection was never lost" "$(grep -c 'connection is lost' /tmp/tap.log)" 0
tap_stop
nothing_left "$before_grants" "$before_ports"

# ---- the backend is disturbed under load ----------------------------------------------------------
# shellcheck disable=SC2317 # await calls it
said() { # FILE WORDS TIMES
    [ "$(grep -c "$2" "$1")" -ge "$3" ]
}

# disturbed up|down: a stream lives through it.
disturbed() {
    (stream "TCP while the driver is unbound and bound, $disturbances times" "$1" 4 32) >/tmp/streamed &
    streaming=$!
    turns=0
    while [ $turns -lt "$disturbances" ]; do
        sleep 1
        turns=$((turns + 1))
        rebind 0
        await 60 ping -c 1 -W 1 10.77.0.1 >/tmp/out ||
            not_ok "seed_O7 it returns" "$(cat /tmp/tap.log /var/log/lab-net.log; xenstore-ls -f $netback)"
    done
    wait $streaming
    cat /tmp/streamed
    grep -q '^ok' /tmp/streamed || failures=$((failures + 1))
}

# ---- keys that change while it is connected -------------------------------------------------------
# shellcheck disable=SC2317 # await calls it
mtu_is() { # BYTES
    [ "$(cat /sys/class/net/xenpv0/mtu)" = "$1" ]
}

tap_start
for bytes in 1400 1500; do
    xenstore-write $netfront/0/mtu $bytes
    if await 10 mtu_is $bytes; then ok "an MTU of $bytes is followed"; else not_ok "MTU" "$(cat /tmp/tap.log)"; fi
done
xenstore-write $netfront/0/disconnect 1
if await 10 said /tmp/tap.log 'carrier down' 1; then ok "so is disconnect"; else not_ok "disconnect" "$(cat /tmp/tap.log)"; fi
xenstore-write $netfront/0/disconnect 0
if await 10 said /tmp/tap.log 'carrier up' 1; then ok "and its end"; else not_ok "disconnect 0" "$(cat /tmp/tap.log)"; fi

disturbed up
disturbed down
tap_stop

# announced VERSION WORDS: a vif that comes back says where its address is now.
announced() {
    dump_start -i any
    : >/tmp/pinging
    # shellcheck disable=SC2046 # two words
    xenpv -v net ping vif/0 --address $(addresses "$1") --interval 100 >/tmp/pinging 2>&1 &
    pinging=$!
    await 20 grep -q 'seq 5,' /tmp/pinging
    rebind 0 told
    await 60 grep -q 'connected again' /tmp/pinging
    answers=$(grep -c 'bytes from' /tmp/pinging)
    await 20 said /tmp/pinging 'bytes from' $((answers + 5)) ||
        not_ok "echoes return" "$(tail -n 3 /tmp/pinging)"
    kill $pinging
    wait $pinging
    dump_stop
    same "seed_O18 announced at first and when it has returned, IPv$1" "$(grep -c "$2" /tmp/seen)" 2
}

announced 4 'ARP, Request who-has 10.77.0.2 \(([0-9a-f:]*) \)*tell 10.77.0.2,'
announced 6 'fd77::2 > ff02::1: ICMP6, neighbor advertisement'
nothing_left "$before_grants" "$before_ports"

# ---- pages run out --------------------------------------------------------------------------------
# gntalloc's limit is shared by disks and vifs.
modprobe brd rd_nr=1 rd_size=16384
attach 51712 /dev/ram0
attach_vif 9
tap_start
hammer_start 51712 1 || finish
limit=$(cat /sys/module/xen_gntalloc/parameters/limit)
echo 1 >/sys/module/xen_gntalloc/parameters/limit
xenpv net ping vif/9 --address 10.78.9.2/24 10.78.9.1 --count 3 --interval 0 >/tmp/out 2>&1
status=$?
same "seed_O13 when no page is left a vif says so: $(grep ^xenpv /tmp/out | tail -n 1)" "$status" 4
stream "seed_O13 and the other vif goes on" up 4 8
hammer_verifies 51712 "seed_O13 and so does a disk"
echo "$limit" >/sys/module/xen_gntalloc/parameters/limit
xenpv net ping vif/9 --address 10.78.9.2/24 10.78.9.1 --count 3 --interval 0 >/tmp/out 2>&1
same "seed_O13 and with pages it connects" $? 0
hammer_ends 51712 "seed_O13 the disk has lost nothing"
tap_stop
detach 51712
detach_vif 9
nothing_left "$before_grants" "$before_ports"

! dmesg | grep -E 'BUG|WARNING|Oops' || not_ok "the kernel" "it complains"
finish
