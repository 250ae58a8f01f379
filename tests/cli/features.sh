# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# What is negotiated: each of it with and without, asked for and offered; how much of it; units.

bytes source.img $((3 * MiB + 512))
bytes target.img $((4 * MiB))
all="flush barrier discard secure-discard persistent indirect large-ring multi-queue"

# moves NAME BACKEND OPTION...: copies from disk to disk, off all alignments, and back in one go;
# the data must be right. Leaves err of the first, made with -v.
moves() {
    local name=$1 backend=$2
    shift 2
    cp target.img disk.img
    cp target.img wanted
    dd if=source.img of=wanted bs=64K skip=1001 count=3000001 seek=70007 conv=notrunc status=none \
        iflag=skip_bytes,count_bytes oflag=seek_bytes
    run -v --mock-disk source.img --mock-disk disk.img --mock-backend "$backend" blk copy vbd/xvda \
        vbd/xvdb --offset 1001 --length 3000001 --target-offset 70007 "$@"
    if [[ $status -ne 0 ]]; then
        not_ok "$name" "status $status" "$(tail -n 5 err)"
        return
    fi
    cp err told
    same "$name: written" disk.img wanted
    run --mock-disk disk.img --mock-backend "$backend" blk read vbd/xvda "$@"
    same "$name: read" out wanted
    cp told err
}

# used: the features that both disks of the last run say they used, in the order of their bits.
used() {
    sed -n 's/.*: in use: .*; features: *//p' err | sort -u
}

echo "# seed_C1: every feature has an off switch, and data is right without it"
moves "seed_C1 with all features" secure-discard=1
holds "seed_C1 with all features: they are used" [ "$(used)" = "$all" ]
says "seed_C1 with all features: how much of them" "in use: 4 queues, 4 ring pages, 64 segments" 2
says "seed_C1 with all features: indirect requests" "requests, 0 refused, [1-9][0-9]* indirect" 2
switches=()
for feature in $all; do
    switches+=("--no-$feature")
    moves "seed_C1 --no-$feature" secure-discard=1 "--no-$feature"
    wanted=$(for other in $all; do
        # Without discard there is no secure discard either.
        [[ $other == "$feature" || $feature-$other == discard-secure-discard ]] || echo -n "$other "
    done)
    holds "seed_C1 --no-$feature: all others are used" [ "$(used)" = "${wanted% }" ]
    case $feature in
    flush) says "flushed by a barrier" "vbd/51728: .* 0 flushes, [1-9][0-9]* barriers" ;;
    persistent) says "every page is mapped anew" "[1-9][0-9]{2,} pages mapped or copied" 2 ;;
    indirect)
        says "small requests" ", 11 segments," 2
        says "and no others" ", 0 indirect," 2
        ;;
    large-ring) says "one page" ", 1 ring pages," 2 ;;
    multi-queue) says "one queue" "in use: 1 queues," 2 ;;
    esac
done
moves "seed_C1 without any" secure-discard=1 "${switches[@]}"
holds "seed_C1 without any: none is used" [ "$(used)" = none ]
says "seed_C1 without any: how much there is" "in use: 1 queues, 1 ring pages, 11 segments" 2

echo "# what a backend does not offer is not used"
while read -r backend missing; do
    moves "a backend with $backend" "$backend"
    for feature in $missing; do
        [[ " $(used) " != *" $feature "* ]] || not_ok "a backend with $backend" "used: $(used)"
    done
done <<TABLE
flush=0 flush
barrier=0 barrier
flush=0,barrier=0 flush barrier
discard=0 discard secure-discard
persistent=0 persistent
segments=0 indirect
segments=11 indirect
ring-order=0 large-ring
queues=1 multi-queue
queues=1,ring-order=0,segments=0,persistent=0,flush=0,barrier=0,discard=0 $all
TABLE
holds "seed_R1 the oldest backend there is" [ "$(used)" = none ]

echo "# as much as is asked for, or offered"
while read -r backend option number pattern; do
    moves "$option $number of $backend" "$backend" "$option" "$number"
    says "$option $number of $backend: in use" "$pattern" 2
done <<TABLE
queues=8 --queues 8 in use: 8 queues
queues=8 --queues 3 in use: 3 queues
queues=2 --queues 64 in use: 2 queues
ring-order=4 --ring-order 2 , 4 ring pages
ring-order=1 --ring-order 4 , 2 ring pages
segments=256 --segments 256 , [0-9]{2,3} segments
segments=256 --segments 20 , 20 segments
segments=17 --segments 64 , 17 segments
segments=256 --segments 1 , 1 segments
TABLE
moves "with events" queues=4
says "with events: they come" "mock .* [1-9][0-9]* events" 2
moves "--poll" queues=4 --poll
says "--poll: no events" "mock .* 0 events" 2

echo "# units"
bytes source.img $((3 * MiB))
for units in 512 sector-size freebsd mini-os; do
    moves "units $units, sectors of 4096" "units=$units,sector-size=4096" --units "$units"
    moves "units $units, sectors of 512" "units=$units,sector-size=512" --units 512
done
# A backend that counts in sectors of 4096: by blkif.h its disk is an eighth of what it is, and no
# whole number of sectors.
bytes source.img $((3 * MiB + 4096))
run --mock-disk source.img --mock-backend units=mini-os,sector-size=4096 blk read vbd/xvda
says "units: a doubt" "vbd/51712: doubt: sectors.*quirk.*; the switch is --units" 1
holds "units: what the wrong ones see" [ "$(stat -c %s out)" = $((96 * 4096)) ]
expect "units: no doubt about the right ones" 0 "" --mock-disk source.img \
    --mock-backend units=mini-os,sector-size=4096 blk verify vbd/xvda --units mini-os
printed "units: what the right ones see" "vbd/51712 can be read: $((3 * MiB + 4096)) bytes"

echo "# as many pages as may be shared"
moves "the only queue there is" queues=1
says "the only queue there is has the pages of four" "in use: 1 queues.*, [45][0-9]{2} buffer pages" 2
# Of 8 more are Xen's own.
while read -r grants pattern; do
    moves "$grants pages may be shared" "grants=$grants"
    says "$grants pages may be shared: in use" "$pattern" 2
done <<TABLE
4096 in use: 4 queues, 4 ring pages
1024 in use: 2 queues, 4 ring pages
400 in use: 1 queues, 4 ring pages
150 in use: 1 queues, 1 ring pages
34 in use: 1 queues, 1 ring pages, 11 segments
TABLE
run -v --mock-disk source.img --mock-backend grants=60 blk verify vbd/xvda --queues 4 --ring-order 4
holds "what was asked for is given up where pages are lacking" [ "$status" = 0 ]
says "what was asked for is given up: it is told" "too few pages can be shared; trying with half"
says "what was asked for is given up: and why" \
    "device/vbd/51712: sharing memory with the peer: no grant reference is free$"
expect "too few pages for anything" 4 \
    "vbd/51712: .*no grant reference is free; all programs together may share 19 pages: '--mock-backend grants=N' allows more" \
    --mock-disk source.img --mock-backend grants=19 blk verify vbd/xvda
