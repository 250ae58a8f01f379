#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: net.sh dom0|pv|pvh short|plain|full
# In dom0, with a vif of it that xen-netback serves, or a guest's: echo requests of many sizes at many MTUs, and
# TCP through xenpv net tap, with and without offloads. Short is without sizes and switches, and with all
# offloads or none.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh
# shellcheck source=tests/xen/vifs.sh
. /root/vifs.sh
where=$1 how=$2
case $how in
short) count=100 mib=4 mib_none=1 ;;
plain) count=100 mib=8 mib_none=2 mib_some=4 ;;
full) count=1000 mib=256 mib_none=256 mib_some=32 ;;
esac

case $where in
pv | pvh)
    start_guest "$where" one
    guest=one
    ;;
esac
prepare

# ---- echo requests --------------------------------------------------------------------------------
for version in 4 6; do
    pings "$where: $count of $count over IPv$version" $version "$count" --interval 0
done

# sizes MTU HEADER: what a request carries so that the frame, with Ethernet's 14 bytes, ends beside each border of
# a page, or of the MTU; and the least. Plain, only some of them.
if [ "$how" = full ]; then
    pages="1 2 3 8 15" beside="-1 0 1" from=4096
else
    pages="1 15" beside="0 1" from=65517
fi
sizes() {
    echo "0 $(($1 - $2))" | tr ' ' '\n'
    [ "$1" -ge $from ] || return 0
    for page in $pages; do
        for more in $beside; do
            bytes=$((page * 4096 + more - 14 - $2))
            [ $bytes -gt $(($1 - $2)) ] || echo $bytes
        done
    done
}

all_sizes() {
    tried=0 before=$failures
    for bytes in 68 1500 8900 9000 65517; do
        mtu $bytes
        for size in $(sizes $bytes 28); do
            pings "" 4 3 --interval 0 --size "$size"
            tried=$((tried + 1))
        done
    done
    same "$where: seed_A5 $tried sizes around the borders of MTU and page, MTU 68 to 65517" $((failures - before)) 0
    # Linux took its IPv6 address away with an MTU below 1280.
    lab-net 0 ip addr add fd77:0::1/64 dev "vif$(domid).0"
    tried=0 before=$failures
    for bytes in 1500 9000 65517; do
        mtu $bytes
        for size in $(sizes $bytes 48 | sort -n | uniq | tail -n 2); do
            pings "" 6 3 --interval 0 --size "$size"
            tried=$((tried + 1))
        done
    done
    same "$where: seed_A5 $tried sizes over IPv6, MTU 1500 to 65517" $((failures - before)) 0
}

# Features that are switched off.
all_switches() {
    for switch in --poll --no-split --no-control --no-rx-notify --no-multi-queue --no-sg --no-csum4; do
        pings "$where: seed_C1 with $switch" 4 5 --interval 0 --queues 2 $switch
    done
}

if [ "$how" != short ]; then
    all_sizes
    all_switches
fi

# ---- TCP ------------------------------------------------------------------------------------------
# What Linux makes of the frontend's keys.
offloads() {
    lab-net 0 ethtool -k "vif$(domid).0" | grep -E '^(tx-checksumming|scatter-gather|tcp-segmentation-offload):' |
        tr '\n' ' '
}

# both_ways WHAT MIB LARGE: LARGE is yes if packets larger than a segment are to be seen.
both_ways() {
    for version in 4 6; do
        stream "$where: $1" up $version "$2"
        stream "$where: $1" down $version "$2"
    done
    echo "# $where: $1: $(offloads)"
    tap_stop
    case $(tap_large) in
    0) large=no ;;
    '') large=unknown ;;
    *) large=yes ;;
    esac
    same "$where: $1: large packets: $3" $large "$3"
}

mtu 1500
tap_start
both_ways "all offloads" "$mib" yes
tap_start --no-csum4 --no-csum6
both_ways "seed_C1 without checksum offload, and so without GSO" "$mib_none" no
if [ "$how" != short ]; then
    tap_start --no-gso4 --no-gso6
    both_ways "without GSO" "$mib_some" no
    tap_start --no-sg --no-csum6
    both_ways "seed_C1 without scatter-gather" "$mib_some" no
    tap_start --queues 2
    mtu 9000
    both_ways "seed_O12 MTU 9000 and GSO, two queues" "$mib_some" yes
    mtu 1500
fi
[ "$where" = dom0 ] || lab-guest stop one
! dmesg | grep -E 'BUG|WARNING|Oops' || not_ok "the kernel" "it complains"
finish
