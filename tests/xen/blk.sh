#!/bin/sh
# SPDX-License-Identifier: MIT
# The command line tool's block commands on disks of Linux xen-blkback, the same in dom0 and in a guest:
# between two disks, with and without each feature, on every ring, polled, and with few pages to share.
# usage: blk.sh MIB [all] (disks 51712 and 51728, of MIB MiB both, at least 32; all: all of them with all
# options). Of the second, 8 MiB from 16 MiB on are discarded in the end; the line "# discarded: SUM" has what
# is read there.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh

one=vbd/xvda two=vbd/xvdb
size=$(($1 * 1024 * 1024))
span="--length 8M"
[ -z "${2:-}" ] || span=
limit=/sys/module/xen_gntalloc/parameters/limit

# used: the features that the first disk of the last run, with -v to /tmp/err, says it uses.
used() {
    sed -n 's/.*: in use: .*; features: *//p' /tmp/err | head -n 1
}

# holds WHAT COMMAND...: the command succeeds.
holds() {
    what=$1
    shift
    if "$@" >/tmp/out 2>/tmp/err; then ok "$what"; else not_ok "$what" "$* fails: $(tail -n 1 /tmp/err)"; fi
}

# ---- between two disks ----------------------------------------------------------------------------
holds "copy" xenpv blk copy $one $two
same "a copy is equal" "$(xenpv blk verify $one $two)" "vbd/51712 and vbd/51728 are equal: $size bytes"
head -c 70001 /dev/urandom >/tmp/data
holds "write" xenpv blk write $two --offset 12345 --in /tmp/data
refused "a copy that was changed is not" 1 "differ, first at byte 1234[5-9]" xenpv blk verify $one $two
holds "copy a part" xenpv blk copy $one $two --offset 12345 --length 70001 --target-offset 12345
holds "mended off all alignments" xenpv blk verify $one $two
same "a part of a disk in a file" "$(xenpv blk copy $one /tmp/part --offset 511 --length 1000002 &&
    xenpv blk verify $one /tmp/part --offset 511 --length 1000002)" \
    "vbd/51712 and /tmp/part are equal: 1000002 bytes"
same "a disk through a pipe is equal" "$(xenpv blk read $one | xenpv blk verify - $two)" \
    "standard input and vbd/51728 are equal: $size bytes"
holds "flush" xenpv blk flush $two

# ---- discard --------------------------------------------------------------------------------------
# old_or_zeros FILE: each of its MiB is zeros, or what the first disk has from 1 MiB on.
old_or_zeros() {
    zeros=$(head -c 1048576 /dev/zero | sum) good=0 zeroed=0
    for part in 0 1 2 3 4 5 6 7; do
        case $(dd if="$1" bs=1M skip=$part count=1 2>/dev/null | sum) in
        "$zeros") good=$((good + 1)) zeroed=$((zeroed + 1)) ;;
        "$(xenpv blk read $one --offset $((part + 1))M --length 1M | sum)") good=$((good + 1)) ;;
        esac
    done
    same "seed_A3 what is read where was discarded is old, or zeros ($zeroed of 8 MiB)" $good 8
}

holds "seed_A3 discard" xenpv blk discard $two --offset 1M --length 8M
holds "seed_A3 what stands before is unchanged" xenpv blk verify $one $two --length 1M
holds "seed_A3 what stands behind is unchanged" xenpv blk verify $one $two --offset 9M --target-offset 9M
holds "seed_A3 where was discarded can be read" xenpv blk read $two --offset 1M --length 8M --out /tmp/part
old_or_zeros /tmp/part
holds "seed_A3 discard off all alignments" xenpv blk discard $two --offset 30000001 --length 1000003
holds "seed_A3 what stands before that is unchanged" \
    xenpv blk verify $one $two --offset 9M --target-offset 9M --length 20562817
holds "seed_A3 what stands behind that is unchanged" \
    xenpv blk verify $one $two --offset 31000004 --target-offset 31000004
head -c 70001 /dev/urandom >/tmp/data
holds "seed_A3 write where was discarded" xenpv blk write $two --offset 3000001 --in /tmp/data
holds "seed_A3 what was written is read" xenpv blk verify $two /tmp/data --offset 3000001 --length 70001
holds "copy again" xenpv blk copy $one $two
holds "and all is as it was" xenpv blk verify $one $two
refused "a secure discard that is not offered" 1 "secure discard" xenpv blk discard $two --all --secure

# ---- features -------------------------------------------------------------------------------------
all="flush barrier discard persistent indirect large-ring multi-queue"
holds "seed_C1 all features" xenpv -v blk verify $one $two
same "seed_C1 all that xen-blkback offers is used" "$(used)" "$all"
for feature in $all; do
    wanted=$(for other in $all; do [ "$other" = "$feature" ] || printf "%s " "$other"; done)
    head -c 300001 /dev/urandom >/tmp/data
    holds "seed_C1 --no-$feature" xenpv -v blk write $two --offset 4000001 --in /tmp/data --no-"$feature"
    same "seed_C1 --no-$feature: all others are used" "$(used) " "$wanted"
    holds "seed_C1 --no-$feature: what was written is read" \
        xenpv blk verify $two /tmp/data --offset 4000001 --length 300001 --no-"$feature"
done
# moves ID OPTIONS: data goes through, and comes back, with these.
moves() {
    id=$1 options=$2
    head -c 1000003 /dev/urandom >/tmp/data
    # shellcheck disable=SC2086 # words
    holds "$id write $options" xenpv -v blk write $two --offset 5000011 --in /tmp/data $options
    form=$(sed -n 's/.*: in use: //p' /tmp/err)
    # shellcheck disable=SC2086
    holds "$id verify $options" xenpv blk verify $two /tmp/data --offset 5000011 --length 1000003 $options
}

for order in 0 1 2 3 4; do
    moves seed_O1 "--ring-order $order"
    same "seed_O1 so many pages" "${form#* queues, }" "$((1 << order)) ring pages${form#*ring pages}"
done
for queues in 1 2; do
    moves seed_O4 "--queues $queues"
    same "seed_O4 so many queues" "${form%% *}" $queues
done
moves seed_A9 "--poll"
moves seed_A9 "--poll --queues 1 --ring-order 0"
same "seed_A9 one page, one queue" "${form%%,*}${form#* queues}" "1 queues, 1 ring pages${form#*ring pages}"
holds "copy again" xenpv blk copy $one $two --segments 256
for options in "--queues 1 --ring-order 0 --no-indirect --no-persistent" "--queues 2 --ring-order 4" \
    "--segments 256" "--poll"; do
    # shellcheck disable=SC2086 # words
    holds "copy $options" xenpv blk copy $one $two $span $options
    # shellcheck disable=SC2086
    holds "verify $options" xenpv blk verify $one $two $span $options
done

# ---- few pages to share -----------------------------------------------------------------------------
# In a guest the lab's agent shares 65 pages with dom0: libxenvchan's, and 32 for each direction. The tool
# does not know of them: its first disk takes a quarter of all, and must leave the second 13.
others=65 least=40
[ "$(xenstore-read domid)" != 0 ] || others=0 least=24
before=$(cat $limit)
for pages in 1024 100 $least; do
    echo $((pages + others)) >$limit
    holds "seed_R2 copy, $pages pages" xenpv blk copy $one $two --length 8M
    holds "seed_R2 two disks, $pages pages" xenpv -v blk verify $one $two --length 8M
    grep -o 'in use: [^;]*' /tmp/err | sed 's/^/# /'
done
few=$((10 + others))
echo $few >$limit
refused "seed_R2 too few pages" 4 "may share $few pages: 'echo 8192 > $limit' allows more" xenpv blk verify $one
echo "$before" >$limit

# ---- what is left -----------------------------------------------------------------------------------
same "the disks are equal in the end" "$(xenpv blk verify $one $two)" "vbd/51712 and vbd/51728 are equal: $size bytes"
holds "seed_A3 discard what is left so" xenpv blk discard $two --offset 16M --length 8M
holds "flush" xenpv blk flush $two
echo "# discarded: $(xenpv blk read $two --offset 16M --length 8M | sum)"

same "no lock file is left" "$(find /run -name 'xenpv-*')" ""
finish
