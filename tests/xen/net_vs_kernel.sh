#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: net_vs_kernel.sh REPEATS SECONDS
# In dom0, with vifs 0 and 1 that xen-netback serves: the kernel's frontend has the first, ours the second. A line
# for each run: "run WORKLOAD CONTENDER NUMBER".
# shellcheck disable=SC2119,SC2317 # run calls what is not called; tap_start has no options here
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh
# shellcheck source=tests/xen/vifs.sh
. /root/vifs.sh
repeats=$1 seconds=$2

modprobe tun
modprobe xen-netfront
await 20 test -e /sys/class/net/eth1 || not_ok "the kernel's frontend" "no device"
ifconfig eth0 10.77.0.2 netmask 255.255.255.0 up
# The kernel's driver takes the other, too.
echo vif-1 >/sys/bus/xen/drivers/vif/unbind
vif=1 net=1

# megabits COMMAND...: what arrived.
megabits() {
    "$@" --format m | awk '/receiver/ { for (i = 1; i <= NF; i++) if ($i == "Mbits/sec") print $(i - 1) }'
}

# datagrams COMMAND...: a second, that arrived.
datagrams() {
    "$@" | awk -v seconds="$seconds" '/receiver/ { for (i = 1; i <= NF; i++) if ($i ~ /\//) split($i, n, "/")
        print int((n[2] - n[1]) / seconds) }' | tail -n 1
}

# Milliseconds, the mean; of the kernel by its own ping.
latency() {
    ping -c 100 -i 0.01 -w 60 "$1" | sed -n 's,.*min/avg/max = [^/]*/\([^/]*\)/.*,\1,p'
}

mean() {
    xenpv net ping vif/1 --address 10.77.1.2/24 10.77.1.1 --count 100 --interval 10 "$@" |
        sed -n 's/.*, mean \([0-9.]*\), .*/\1/p'
}

run() { # WORKLOAD CONTENDER COMMAND...
    workload=$1 contender=$2
    shift 2
    found=$("$@")
    if [ -n "$found" ]; then echo "run $workload $contender $found"; else not_ok "$workload $contender" "nothing"; fi
}

turn=0
while [ $turn -lt "$repeats" ]; do
    tap_start
    for to in "0 kernel" "1 tap"; do
        address=10.77.${to% *}.1 who=${to#* }
        run tcp-send-mbit "$who" megabits iperf3 -c "$address" -t "$seconds"
        run tcp-receive-mbit "$who" megabits iperf3 -c "$address" -R -t "$seconds"
        run udp-64-send-pps "$who" datagrams iperf3 -c "$address" -u -b 0 -l 64 -t "$seconds"
        run udp-64-receive-pps "$who" datagrams iperf3 -c "$address" -u -R -b 0 -l 64 -t "$seconds"
        run ping-ms "$who" latency "$address"
    done
    tap_stop
    run ping-ms events mean
    run ping-ms polled mean --poll
    turn=$((turn + 1))
done
finish
