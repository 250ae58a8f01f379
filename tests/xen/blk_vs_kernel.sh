#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: blk_vs_kernel.sh REPEATS SECONDS
# In dom0: our frontend and the kernel's, each on a disk that xen-blkback exports to dom0 itself, both of the
# same memory. A line for each run: "run WORKLOAD CONTENDER IOPS MIB/S SWITCHES INTERRUPTS"; the last two are
# context switches and interrupts of all of dom0, for each operation.
# shellcheck disable=SC2317 # timed calls them
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

# Since boot.
switches() {
    awk '$1 == "ctxt" || $1 == "intr" { print $2 }' /proc/stat | tr '\n' ' '
}

# timed WORKLOAD CONTENDER COMMAND...: which prints "IOPS MIB/S".
timed() {
    workload=$1 contender=$2
    shift 2
    before=$(switches)
    if "$@" >/tmp/rate; then
        # intr comes before ctxt there.
        echo "$before$(switches)$(cat /tmp/rate)" | awk -v what="$workload $contender" -v seconds="$seconds" '{
            operations = $5 * seconds
            printf "run %s %d %.1f %.2f %.2f\n", what, $5, $6, ($4 - $2) / operations, ($3 - $1) / operations
        }'
    else
        not_ok "$workload $contender" "exit $?"
    fi
}

# Of programs that print our line.
json() { # COMMAND...
    "$@" | sed 's/.*"iops":\([0-9]*\),"mib_per_s":\([0-9.]*\).*/\1 \2/'
}

# With what fio has to be fast, all of which it leaves off by itself.
fio_rate() { # MODE BLOCK DEPTH
    fio --name=x --filename=/dev/xvda --ioengine=io_uring --direct=1 --rw="$1" --bs="$2" --iodepth="$3" \
        --fixedbufs=1 --registerfiles=1 --norandommap=1 --gtod_reduce=1 --iodepth_batch_submit="$3" \
        --iodepth_batch_complete_max="$3" --time_based --runtime="$seconds" \
        --output-format=terse --terse-version=3 | awk -F ';' -v write="$([ "$1" = write ] && echo 41)" \
        '{ print $(8 + write), $(7 + write) / 1024 }'
}

compare() { # WORKLOAD MODE BLOCK DEPTH
    timed "$1" polled json blk_rate 51728 "$2" "$3" "$4" "$seconds" poll shared
    timed "$1" fio fio_rate "$2" "$3" "$4"
    timed "$1" events json blk_rate 51728 "$2" "$3" "$4" "$seconds" event shared
    timed "$1" uring json uring_loop /dev/xvda "$2" "$3" "$4" "$seconds"
    timed "$1" polled-copy json blk_rate 51728 "$2" "$3" "$4" "$seconds" poll copy
}

turn=0
while [ $turn -lt "$repeats" ]; do
    compare randread-4k-qd32 randread 4096 32
    compare read-1m-qd4 read 1048576 4
    compare write-1m-qd4 write 1048576 4
    turn=$((turn + 1))
done
finish
