#!/bin/sh
# SPDX-License-Identifier: MIT
# The command line tool on disks of Linux xen-blkback; the same in dom0 and in a guest.
# usage: suite.sh SUM-OF-51712 SUM-OF-51728 SUM-OF-51744 MIB TURNS (512 bytes, 1 MiB + 512, MIB MiB)
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh

device=vbd/51744
size=$(($4 * 1024 * 1024))

states() {
    for id in 51712 51728 51744; do
        xenstore-read device/vbd/$id/state "$(xenstore-read device/vbd/$id/backend)/state"
    done | tr '\n' ' '
}

# ---- looking --------------------------------------------------------------------------------------
before=$(states)
same "list shows three disks" "$(xenpv list | grep -c '^vbd/')" 3
same "list in JSON has three devices" "$(xenpv --output json list | grep -o '"id"' | wc -l)" 3
xenpv info vbd/51712 >/tmp/info || not_ok "info" "exit $?"
grep -q multi-queue-max-queues /tmp/info && ok "info shows what is offered"
same "list and info change no state" "$(states)" "$before"

# ---- reading --------------------------------------------------------------------------------------
same "512 bytes are read" "$(xenpv blk read vbd/51712 | sum)" "$1"
same "1 MiB + 512 are read" "$(xenpv blk read vbd/51728 | sum)" "$2"
same "$4 MiB are read" "$(xenpv blk read vbd/51744 | sum)" "$3"
same "a file is written" "$(xenpv blk read vbd/51728 --out /tmp/copy && sum </tmp/copy)" "$2"

# ---- writing --------------------------------------------------------------------------------------
# Of what xen-blkback takes to connect, most is for its queues and their pages.
lean="--queues 1 --ring-order 0"
# shellcheck disable=SC2086 # words
for range in "0 512" "0 1" "511 2" "4095 8194" "12345 67891" "1048577 1048575" "$((size - 1)) 1"; do
    offset=${range% *} length=${range#* }
    head -c "$length" /dev/urandom >/tmp/data
    xenpv $lean blk read $device --offset $((offset > 512 ? offset - 512 : 0)) \
        --length $((offset > 512 ? 512 : offset)) >/tmp/before
    xenpv $lean blk write $device --offset "$offset" --in /tmp/data || not_ok "write" "exit $?"
    same "$length bytes written at $offset are read back" \
        "$(xenpv $lean blk read $device --offset "$offset" --length "$length" | sum)" "$(sum </tmp/data)"
    same "what stands before is unchanged" "$(xenpv $lean blk read $device \
        --offset $((offset > 512 ? offset - 512 : 0)) --length $((offset > 512 ? 512 : offset)) | sum)" \
        "$(sum </tmp/before)"
done
head -c 8388608 /dev/urandom >/tmp/data
xenpv blk write $device --offset 3000001 </tmp/data
same "8 MiB through a pipe are read back" \
    "$(xenpv blk read $device --offset 3000001 --length 8388608 | sum)" "$(sum </tmp/data)"

# ---- refusing -------------------------------------------------------------------------------------
refused "a read past the end" 1 "end" xenpv blk read $device --offset $size --length 1
before=$(xenpv blk read $device --offset $((size - 5000)) | sum)
refused "a write past the end" 1 "end" xenpv blk write $device --offset $((size - 5000)) --in /tmp/data
same "a refused write writes nothing" \
    "$(xenpv blk read $device --offset $((size - 5000)) | sum)" "$before"
for number in -1 "" 1x 99999999999999999999 0x10 " 1"; do
    refused "--offset '$number'" 2 "offset" xenpv blk read $device --offset "$number"
    refused "--length '$number'" 2 "length" xenpv blk read $device --length "$number"
done
refused "a missing device" 1 "vbd/51999" xenpv blk read vbd/51999
refused "a device that is no device" 2 "vbd" xenpv blk read vbd
refused "a missing input file" 4 "/nowhere" xenpv blk write $device --in /nowhere

# ---- again and again ------------------------------------------------------------------------------
turns=0
while [ $turns -lt "$5" ] && xenpv blk read vbd/51712 >/dev/null; do turns=$((turns + 1)); done
same "$5 times connected and closed, one after the other" $turns "$5"
backend=$(xenstore-read device/vbd/51712/backend)
same "the backend is Closed afterwards" "$(xenstore-read "$backend/state")" 6

# ---- held by another ------------------------------------------------------------------------------
mkfifo /tmp/hold
xenpv blk write vbd/51728 </tmp/hold 2>/tmp/holder.err &
holder=$!
exec 7>/tmp/hold
until [ "$(xenstore-read device/vbd/51728/state)" = 4 ]; do usleep 20000; done
refused "a device held by another process" 1 "pid $holder" xenpv blk read vbd/51728
same "the first still has it" "$(xenstore-read device/vbd/51728/state)" 4
same "list says who holds it" "$(xenpv list | grep -c "pid $holder")" 1
same "--take-over takes it" "$(xenpv blk read --take-over vbd/51728 | sum)" "$2"
exec 7>&-
wait $holder
same "the first was ended by a signal" $? 143

# ---- left by a process that died ------------------------------------------------------------------
xenpv blk write vbd/51728 </tmp/hold &
holder=$!
exec 7>/tmp/hold
until [ "$(xenstore-read device/vbd/51728/state)" = 4 ]; do usleep 20000; done
kill -9 $holder
exec 7>&-
wait $holder
same "after kill -9 the device is connected again" "$(xenpv blk read vbd/51728 | sum)" "$2"

[ ! -x /root/first-sector ] ||
    same "the example reads the first sector" "$(/root/first-sector | sum)" "$1"
finish
