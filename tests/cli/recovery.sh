# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# A backend that goes away, and comes again or not.

bytes source.img $((8 * MiB + 512))
bytes target.img $((9 * MiB))
cp target.img wanted
dd if=source.img of=wanted bs=64K conv=notrunc status=none

echo "# a backend that restarts"
for after in 1 2 7 20; do
    for offer in queues=1 queues=4 queues=4,segments=0 persistent=0; do
        what="after $after requests, $offer"
        backend=restart=$after,$offer
        run -v --mock-disk source.img --mock-backend "$backend" blk read vbd/51712
        same "read, restart $what" out source.img
        says "read, restart $what: it is told once" "the connection is lost; waiting up to 30000 ms" 1
        says "read, restart $what: and that it is back" "^xenpv: vbd/51712: connected again" 1
        cp target.img disk.img
        run --mock-disk disk.img --mock-backend "$backend" blk write vbd/51712 --in source.img
        judge "write, restart $what" 0 ""
        same "write, restart $what: the disk" disk.img wanted
        cp target.img disk.img
        run --mock-disk source.img --mock-disk disk.img --mock-backend "$backend" blk copy vbd/xvda vbd/xvdb
        judge "copy, both restart $what" 0 ""
        same "copy, both restart $what: the disk" disk.img wanted
    done
done
cp target.img disk.img
expect "flush, restart" 0 "" --mock-disk disk.img --mock-backend restart=1 blk flush vbd/51712

echo "# a backend that stays away"
lost="vbd/51712: .*backend/vbd/1/51712/state: found 6 \(Closed\), expected state 2 \(InitWait\): gave up after"
expect "read" 1 "$lost 30000 ms; .*; [0-9]+ bytes were read" \
    --mock-disk source.img --mock-backend vanish=3 blk read vbd/51712 --out file
expect "read, for a while" 1 "$lost 250 ms; .*; [0-9]+ bytes were read" \
    --mock-disk source.img --mock-backend vanish=3 --timeout 250 blk read vbd/51712 --out file
expect "write" 1 "$lost 30000 ms; .*; [0-9]+ bytes were written" \
    --mock-disk disk.img --mock-backend vanish=3 blk write vbd/51712 --in source.img
run --mock-disk source.img --mock-backend vanish=3 blk read vbd/51712 --out file
came=$(sed -n 's/.*; \([0-9]*\) bytes were read/\1/p' err)
head -c "$came" source.img >part
same "read: what came before is right, and no more" file part
"$xenpv" -v --mock-disk source.img --mock-backend vanish=3 blk verify vbd/51712 >out 2>err </dev/null || true
says "with -v it says what it waits for, once" "the connection is lost; waiting" 1
