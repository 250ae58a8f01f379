# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# blk flush and discard.

echo "# flush"
cp odd.img disk.img
expect "flush" 0 "" --mock-disk disk.img blk flush vbd/51712
run -v --mock-disk disk.img blk flush vbd/51712 --output json
says "flush: one request" "mock vbd/51712: (.* )?1 requests, .* 1 flushes, 0 barriers"
json "flush, JSON" 'has("seconds") and (has("bytes") | not)'
run -v --mock-disk disk.img --mock-backend flush=0 blk flush vbd/51712
says "flush by a barrier" "mock vbd/51712: (.* )?0 flushes, 1 barriers"
run -v --mock-disk disk.img blk flush vbd/51712 --no-flush
says "flush by a barrier, as asked" "mock vbd/51712: (.* )?0 flushes, 1 barriers"
none="vbd/51712: flush: its backend offers none, or it is not to be used"
expect "a backend without flush" 1 "$none" --mock-disk disk.img --mock-backend flush=0,barrier=0 blk flush vbd/51712
expect "flush by nothing" 1 "$none" --mock-disk disk.img blk flush vbd/51712 --no-flush --no-barrier

echo "# discard"
# zeroed OFFSET LENGTH: odd.img with zeroes there.
zeroed() {
    cp odd.img wanted
    dd if=/dev/zero of=wanted bs=64K seek="$1" count="$2" iflag=count_bytes oflag=seek_bytes \
        conv=notrunc status=none
}
# discards OPTIONS BACKEND FROM LENGTH: of odd.img, and what must be zero then.
discards() {
    cp odd.img disk.img
    # shellcheck disable=SC2086 # words
    run --mock-disk disk.img --mock-backend "$2" blk discard vbd/51712 $1 --output json
    judge "discard $1 ($2)" 0 ""
    json "discard $1 ($2): how much" ".bytes == $4"
    zeroed "$3" "$4"
    same "discard $1 ($2): the disk" disk.img wanted
}
discards "--all" granularity=512 0 1049088
discards "--length 1M" granularity=512 0 1048576
discards "--offset 512 --length 1536" granularity=512 512 1536
discards "--offset 1 --length 1535" granularity=512 512 1024
discards "--offset 4K --length 8K" granularity=4096 4096 8192
discards "--offset 4095 --length 8193" granularity=4096 4096 8192
discards "--offset 4097 --length 8191" granularity=4096 8192 4096
discards "--offset 4097 --length 4095" granularity=4096 0 0
discards "--offset 0 --length 8K" granularity=4096,alignment=1024 1024 4096
discards "--offset 5K --length 8K" granularity=4096,alignment=1024 5120 8192
discards "--length 0" granularity=512 0 0
discards "--length 10" granularity=512 0 0
discards "--offset 1048064 --length 1024" granularity=4096 1048576 512
discards "--offset 512 --length 512 --secure" granularity=512,secure-discard=1 512 512
cp odd.img disk.img
run -v --mock-disk disk.img --mock-backend granularity=512 blk discard vbd/51712 --all --output json
json "discard, JSON" '.bytes == 1049088 and .seconds >= 0'
says "discard: and a flush" "mock vbd/51712: (.* )?1 flushes, 0 barriers, [1-9][0-9]* discards"

# So large that it is discarded in stretches: no granule may be left where they meet.
bytes part 131072
truncate -s 3G large.img
dd if=part of=large.img bs=64K seek=$((1024 * MiB - 65536)) oflag=seek_bytes conv=notrunc status=none
run --mock-disk large.img --mock-backend granularity=4096,alignment=1024 blk discard vbd/51712 --length 2G
judge "discard in stretches" 0 ""
slice large.img $((1024 * MiB - 65536)) 131072 >part
head -c 131072 /dev/zero >wanted
same "discard in stretches: where they meet" part wanted
rm large.img

cp odd.img disk.img
discard=(--mock-disk disk.img blk discard vbd/51712)
expect "how much is not said" 2 "blk discard: give --length, or --all for the whole disk" "${discard[@]}"
expect "an offset alone" 2 "blk discard: give --length, or --all for the whole disk" "${discard[@]}" --offset 1K
expect "all from an offset" 2 "blk discard: --all does not go with --offset or --length" "${discard[@]}" --all --offset 0
expect "all of a length" 2 "blk discard: --all does not go with --offset or --length" "${discard[@]}" --all --length 1M
expect "past the end" 1 "vbd/51712: 1048577 bytes at offset 512 are past its end, .*nothing was discarded" \
    "${discard[@]}" --offset 512 --length 1048577
expect "an offset past the end" 1 "vbd/51712: 1 bytes at offset 1049089 are past its end, .*" \
    "${discard[@]}" --offset 1049089 --length 1
expect "a read-only disk" 1 "vbd/51712: the disk is read-only, nothing was discarded" \
    --mock-backend readonly=1 "${discard[@]}" --all
none="discard: its backend offers none, or it is not to be used"
expect "a backend without discard" 1 "vbd/51712: $none" --mock-backend discard=0 "${discard[@]}" --all
expect "discard by nothing" 1 "vbd/51712: $none" "${discard[@]}" --all --no-discard
expect "a backend without secure discard" 1 "vbd/51712: secure $none" "${discard[@]}" --all --secure
expect "secure discard by nothing" 1 "vbd/51712: secure $none" \
    --mock-backend secure-discard=1 "${discard[@]}" --all --secure --no-secure-discard
expect "secure discard of half a granule" 1 "vbd/51712: discard: with --secure, .* multiples of 4096 .*" \
    --mock-backend secure-discard=1,granularity=4096 "${discard[@]}" --length 6K --secure
same "a refused discard changes nothing" disk.img odd.img
