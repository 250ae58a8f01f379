#!/bin/sh
# SPDX-License-Identifier: MIT
# The command line tool's block commands on disks of Linux xen-blkback, in dom0: between two disks, with and
# without each feature, with few pages to share, and with a backend that goes away.
# usage: blk.sh (disks 51712 and 51728, of 64 MiB both)
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh

one=vbd/xvda two=vbd/xvdb
size=$((64 * 1024 * 1024))
backend=/local/domain/0/backend/vbd/0/51712
driver=/sys/bus/xen-backend/drivers/vbd
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
holds "discard" xenpv blk discard $two --offset 1M --length 8M
holds "what stands before is unchanged" xenpv blk verify $one $two --length 1M
holds "what stands behind is unchanged" xenpv blk verify $one $two --offset 9M --target-offset 9M
holds "copy again" xenpv blk copy $one $two
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
for options in "--queues 1 --ring-order 0 --no-indirect --no-persistent" "--queues 2 --ring-order 4" \
    "--segments 256" "--poll"; do
    # shellcheck disable=SC2086 # words
    holds "copy $options" xenpv blk copy $one $two $options
    # shellcheck disable=SC2086
    holds "verify $options" xenpv blk verify $one $two $options
done

# ---- few pages to share -----------------------------------------------------------------------------
before=$(cat $limit)
for pages in 1024 100 24; do
    echo $pages >$limit
    holds "two disks, $pages pages" xenpv -v blk verify $one $two
    grep -o 'in use: [^;]*' /tmp/err | sed 's/^/# /'
done
echo 10 >$limit
refused "too few pages" 4 "may share 10 pages: 'echo 8192 > $limit' allows more" xenpv blk verify $one
echo "$before" >$limit

# ---- a backend that goes away -----------------------------------------------------------------------
mkfifo /tmp/pipe
# hold OPTIONS...: a read that is held back in the middle; its output is descriptor 7.
hold() {
    xenpv -v "$@" blk read $one >/tmp/pipe 2>/tmp/holder &
    holder=$!
    exec 7</tmp/pipe
    dd bs=4096 count=1 <&7 2>/dev/null >/tmp/first
    echo vbd-0-51712 >$driver/unbind
}
came() {
    cat /tmp/first - <&7 | sum
    exec 7<&-
}
hold
echo vbd-0-51712 >$driver/bind
same "a backend that restarts: all is read" "$(came)" "$(xenpv blk read $two | sum)"
wait $holder || not_ok "a backend that restarts" "$(cat /tmp/holder)"
same "a backend that restarts: it is told" "$(grep -c '^xenpv: vbd/51712: connected again' /tmp/holder)" 1
hold --timeout 2000
xenstore-write $backend/state 6
came >/dev/null
wait $holder
same "a backend that stays away: the status" $? 1
holds "a backend that stays away: it is told" \
    grep "state: found 6 (Closed), .* gave up after 2[0-9]* ms; .* bytes were read$" /tmp/holder
echo vbd-0-51712 >$driver/bind
hold
xenstore-write $backend/state 6
until grep -q "connection is lost" /tmp/holder; do usleep 100000; done
kill -TERM $holder
came >/dev/null
wait $holder
same "a signal while it is awaited" $? 143
echo vbd-0-51712 >$driver/bind
holds "and the disk is good afterwards" xenpv blk verify $one $two

same "no lock file is left" "$(find /run -name 'xenpv-*')" ""
finish
