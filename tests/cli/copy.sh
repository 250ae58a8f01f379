# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# blk copy.

# model SOURCE TARGET OFFSET LENGTH TARGET-OFFSET: what a copy makes of TARGET, by dd.
model() {
    dd if="$1" of="$2" bs=64K skip="$3" count="$4" seek="$5" conv=notrunc status=none \
        iflag=skip_bytes,count_bytes oflag=seek_bytes
}

bytes source.img $((MiB + 512))
bytes target.img $((2 * MiB))

# copies OFFSET LENGTH TARGET-OFFSET: the same bytes between all kinds of places.
copies() {
    local range=(--offset "$1" --length "$2" --target-offset "$3") what="$2 bytes from $1 to $3"
    cp target.img wanted
    model source.img wanted "$1" "$2" "$3"
    cp target.img disk.img
    run --mock-disk source.img --mock-disk disk.img blk copy vbd/xvda vbd/xvdb "${range[@]}"
    judge "copy $what, disk to disk" 0 ""
    same "copy $what, disk to disk: the disk" disk.img wanted
    cp target.img disk.img
    run --mock-disk disk.img blk copy source.img vbd/xvda "${range[@]}"
    judge "copy $what, file to disk" 0 ""
    same "copy $what, file to disk: the disk" disk.img wanted
    cp target.img file
    run --mock-disk source.img blk copy vbd/xvda file "${range[@]}"
    judge "copy $what, disk to file" 0 ""
    same "copy $what, disk to file: the file" file wanted
}
while read -r offset length target_offset; do
    copies "$offset" "$length" "$target_offset"
done <<TABLE
0 1049088 0
0 1049088 1048064
0 1049088 3
1 1049087 0
511 2 4095
512 262144 262143
262143 524290 1
1000000 0 7
TABLE

cp target.img file
run --mock-disk source.img blk copy vbd/xvda file
judge "copy over a file" 0 ""
same "copy over a file: what it held is gone" file source.img
run --mock-disk source.img --mock-disk target.img blk copy vbd/xvda - --output json
judge "copy to standard output" 0 ""
same "copy to standard output: the bytes alone" out source.img
cp target.img disk.img
cp target.img wanted
model source.img wanted 0 1049088 0
status=0
"$xenpv" --mock-disk disk.img blk copy - vbd/51712 <source.img >out 2>err || status=$?
judge "copy from standard input, a file" 0 ""
same "copy from standard input, a file: the disk" disk.img wanted
cp target.img disk.img
status=0
head -c 1049088 source.img | "$xenpv" --mock-disk disk.img blk copy - vbd/51712 --output json >out 2>err || status=$?
judge "copy from standard input, a pipe" 0 ""
same "copy from standard input, a pipe: the disk" disk.img wanted
json "copy, JSON" '.bytes == 1049088 and .seconds >= 0'
cp target.img disk.img
slice source.img 100 5000 >part
status=0
{ head -c 100 >/dev/null && "$xenpv" --mock-disk disk.img blk copy - vbd/51712 --length 5000; } \
    <source.img >out 2>err || status=$?
judge "copy from within standard input" 0 ""
slice disk.img 0 5000 >wanted
same "copy from within standard input: the disk" part wanted
run -v --mock-disk disk.img blk copy part vbd/51712
says "a disk that was written is flushed" "mock vbd/51712: .* 1 flushes"
run -v --mock-disk disk.img blk copy vbd/51712 file
says "one that was read is not" "mock vbd/51712: .* 0 flushes"

echo "# copy: files with holes"
truncate -s 8M holes.img
printf x | dd of=holes.img bs=1 seek=4000000 conv=notrunc status=none
run --mock-disk holes.img blk copy vbd/xvda file
judge "zeroes take no room" 0 ""
same "zeroes take no room: the bytes" file holes.img
blocks=$(stat -c %b file)
[[ $blocks -lt 1000 ]] || not_ok "zeroes take no room" "$blocks blocks"
cp source.img file
run --mock-disk holes.img blk copy vbd/xvda file --target-offset 1 --length 4M
judge "zeroes into a file that is kept" 0 ""
cp source.img wanted
model holes.img wanted 0 $((4 * MiB)) 1
same "zeroes into a file that is kept: the bytes" file wanted

echo "# copy: refused"
cp target.img disk.img
both=(--mock-disk source.img --mock-disk disk.img)
expect "no disk" 2 "source.img: none of what is given is a disk.*" blk copy source.img disk.img
expect "no disk, streams" 2 "-: none of what is given is a disk.*" blk copy - -
expect "one disk at both ends" 2 "vbd/51712: it cannot be both ends" "${both[@]}" blk copy vbd/xvda vbd/51712
expect "one disk at both ends, by serial number" 2 "vbd/51712: it cannot be both ends" \
    "${both[@]}" blk copy serial:MOCK-51712 vbd/51712
expect "onto an image" 2 "./disk.img: it is --mock-disk disk.img" "${both[@]}" blk copy vbd/xvda ./disk.img
expect "more than there is room" 1 "vbd/51712: the 2097152 bytes of vbd/51728 at offset 0 would go past its end, it has 1049088 bytes; nothing was written" \
    "${both[@]}" blk copy vbd/xvdb vbd/xvda
expect "an offset past the source" 1 "vbd/51712: offset 1049089 is past its end.*" \
    "${both[@]}" blk copy vbd/xvda vbd/xvdb --offset 1049089
expect "an offset past a file" 1 "source.img: offset 1049089 is past its end.*" \
    "${both[@]}" blk copy source.img vbd/xvdb --offset 1049089
expect "an offset past the target" 1 "vbd/51728: offset 2097153 is past its end.*" \
    "${both[@]}" blk copy vbd/xvda vbd/xvdb --target-offset 2097153
expect "a file that is not there" 4 "none: cannot open it: No such file.*" "${both[@]}" blk copy none vbd/xvda
expect "a disk that is not there" 1 "vbd/51744: there is no such device.*" "${both[@]}" blk copy vbd/xvda vbd/xvdc
expect "a read-only target" 1 "vbd/51728: the disk is read-only, nothing was written" \
    "${both[@]}" --mock-backend readonly=1 blk copy vbd/xvda vbd/xvdb
same "a refused copy changes nothing" disk.img target.img
expect "a refused copy makes no file" 1 "vbd/51712: .* past its end.*" \
    "${both[@]}" blk copy vbd/xvda new --length 2M
[[ ! -e new ]] || not_ok "a refused copy makes no file" "it is there"
status=0
head -c 5000 source.img | "$xenpv" "${both[@]}" blk copy - vbd/xvdb --offset 1 >out 2>err || status=$?
judge "an offset into a pipe" 4 "standard input: cannot go to offset 1: Illegal seek"
same "an offset into a pipe: nothing is written" disk.img target.img
status=0
head -c 5000 source.img | "$xenpv" "${both[@]}" blk copy - vbd/xvdb --length 6000 >out 2>err || status=$?
judge "a pipe that ends too early" 1 "standard input: it ended after 5000 bytes instead of 6000"
cp target.img wanted
model source.img wanted 0 5000 0
same "a pipe that ends too early: what came is there" disk.img wanted
cp target.img disk.img
status=0
head -c 5000 source.img | "$xenpv" "${both[@]}" blk copy - vbd/xvdb --target-offset 2096152 >out 2>err || status=$?
judge "a pipe past the end" 1 "vbd/51728: the input goes past its end at 2097152 bytes; 1000 bytes were copied.*"

# The source's image shrinks while it is copied: the pipe before it holds the copy back.
cp big.img shrinks.img
{
    status=0
    "$xenpv" --mock-disk shrinks.img blk copy vbd/xvda - 2>err || status=$?
    echo "$status" >status
} | {
    head -c 10
    truncate -s 4M shrinks.img
    cat
} >out
status=$(<status)
judge "a source that fails" 1 \
    "vbd/51712: at offset 4194304: the other end failed the request; 4194304 bytes before it were copied"

echo "# copy: signals"
# A FIFO without a writer keeps the tool in open(2).
mkfifo fifo
env --default-signal=INT "$xenpv" --mock-disk disk.img blk copy fifo vbd/51712 >out 2>err &
pid=$!
until [[ $(awk '/^Name:/ {name = $2} /^State:/ {print name, $2}' /proc/$pid/status) == "xenpv S" ]]; do :; done
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
judge "SIGTERM while a FIFO is opened" 143 ""
rm fifo
