#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: blk_vs_kernel.sh REPEATS SECONDS
# In dom0: our frontend and the kernel's, each on a disk that xen-blkback exports to dom0 itself, both of the
# same memory. A line for each run: "run WORKLOAD CONTENDER IOPS MIB/S".
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh
repeats=$1 seconds=$2

modprobe brd rd_nr=1 rd_size=65536
dd if=/dev/zero of=/dev/ram0 bs=1M count=64 2>/dev/null
attach 51712 /dev/ram0
modprobe xen-blkfront
await 20 test -b /dev/xvda || not_ok "the kernel's frontend" "no device"
echo none >/sys/block/xvda/queue/scheduler
# The kernel's driver takes the other, too.
# shellcheck disable=SC2046 # words are wanted
xenstore-write $(disk_keys 51728 /dev/ram0)
await 20 test -b /dev/xvdb
echo vbd-51728 >/sys/bus/xen/drivers/vbd/unbind

# json WORKLOAD CONTENDER COMMAND...: of programs that print our line.
json() {
    workload=$1 contender=$2
    shift 2
    if "$@" >/tmp/line; then
        sed 's/.*"iops":\([0-9]*\),"mib_per_s":\([0-9.]*\).*/run '"$workload $contender"' \1 \2/' /tmp/line
    else
        not_ok "$workload $contender" "exit $?"
    fi
}

# fio MODE BLOCK DEPTH: with what it has to be fast, all of which it leaves off by itself.
fio_run() {
    fio --name=x --filename=/dev/xvda --ioengine=io_uring --direct=1 --rw="$1" --bs="$2" --iodepth="$3" \
        --fixedbufs=1 --registerfiles=1 --norandommap=1 --gtod_reduce=1 --iodepth_batch_submit="$3" \
        --iodepth_batch_complete_max="$3" --time_based --runtime="$seconds" \
        --output-format=terse --terse-version=3 >/tmp/line || not_ok "fio $1" "exit $?"
    case $1 in
    write) cut -d ';' -f 49,48 /tmp/line ;;
    *) cut -d ';' -f 8,7 /tmp/line ;;
    esac | awk -F ';' -v what="$4" '{ printf "run %s fio %d %.1f\n", what, $2, $1 / 1024 }'
}

compare() { # WORKLOAD MODE BLOCK DEPTH
    json "$1" polled blk_rate 51728 "$2" "$3" "$4" "$seconds" poll shared
    fio_run "$2" "$3" "$4" "$1"
    json "$1" events blk_rate 51728 "$2" "$3" "$4" "$seconds" event shared
    json "$1" uring uring_loop /dev/xvda "$2" "$3" "$4" "$seconds"
    json "$1" polled-copy blk_rate 51728 "$2" "$3" "$4" "$seconds" poll copy
}

turn=0
while [ $turn -lt "$repeats" ]; do
    compare randread-4k-qd32 randread 4096 32
    compare read-1m-qd4 read 1048576 4
    compare write-1m-qd4 write 1048576 4
    turn=$((turn + 1))
done
finish
