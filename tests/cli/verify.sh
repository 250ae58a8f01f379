# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# blk verify.

bytes one.img $((MiB + 512))
cp one.img other.img
cp one.img larger.img
truncate -s 2M larger.img
both=(--mock-disk one.img --mock-disk other.img)
before=$(sum one.img)

echo "# verify: equal"
while read -r source target; do
    run "${both[@]}" blk verify "$source" "$target"
    judge "$source and $target" 0 ""
    printed "$source and $target: it says so" \
        "${source/xvda/51712} and ${target/xvdb/51728} are equal: 1049088 bytes"
done <<TABLE
vbd/xvda vbd/xvdb
vbd/xvda other.img
one.img vbd/xvdb
vbd/51712 larger.img
TABLE
run "${both[@]}" blk verify vbd/xvda vbd/xvdb --output json
json "equal, JSON" '.equal and .bytes == 1049088 and .different == 0 and .first_difference == null and .seconds >= 0'
for source in vbd/xvda -; do
    target=$([[ $source == - ]] && echo vbd/xvda || echo -)
    status=0
    head -c 1049088 one.img | "$xenpv" "${both[@]}" blk verify "$source" "$target" >out 2>err || status=$?
    judge "a pipe, $source and $target" 0 ""
done
run "${both[@]}" blk verify vbd/xvda vbd/xvdb --offset 1M --length 0
judge "no bytes" 0 ""
run "${both[@]}" blk verify vbd/xvda
judge "without a reference" 0 ""
printed "without a reference: what it says" "vbd/51712 can be read: 1049088 bytes"
run "${both[@]}" blk verify vbd/xvda --offset 1 --length 1000 --output json
json "without a reference, JSON" '.bytes == 1000 and (has("equal") | not)'
run -v "${both[@]}" --mock-backend readonly=1 blk verify vbd/xvda vbd/xvdb
[[ $status -eq 0 ]] || not_ok "read-only disks can be compared" "$(<err)"
holds "nothing was written" [ "$(sum one.img) $(sum other.img)" = "$before $before" ]

echo "# verify: different"
# patch OFFSET LENGTH: other.img with bytes that differ.
patch() {
    cp one.img other.img
    slice one.img "$1" "$2" | tr '\000-\377' '\001-\377\000' |
        dd of=other.img bs=64K seek="$1" oflag=seek_bytes conv=notrunc status=none
}
while read -r offset length; do
    patch "$offset" "$length"
    expect "$length bytes at $offset" 1 \
        "vbd/51712 and vbd/51728 differ, first at byte $offset; $length of 1049088 bytes differ" \
        "${both[@]}" blk verify vbd/xvda vbd/xvdb
    [[ $offset -eq 0 ]] || {
        run "${both[@]}" blk verify vbd/xvda other.img --length "$offset"
        judge "$length bytes at $offset: equal before" 0 ""
    }
done <<TABLE
0 1
0 1049088
511 2
262143 2
262144 262144
1049087 1
TABLE
run "${both[@]}" blk verify vbd/xvda other.img --output json
judge "different, JSON" 1 "vbd/51712 and other.img differ, first at byte 1049087; 1 of .*"
json "different, JSON: the numbers" \
    '(.equal | not) and .different == 1 and .first_difference == 1049087 and .bytes == 1049088'
# Moved by 3 bytes: the same bytes at other offsets.
slice one.img 3 5000 >moved
run --mock-disk one.img blk verify vbd/xvda moved --offset 3 --length 5000
judge "equal at another offset" 0 ""
printf x | dd of=moved bs=1 seek=1000 conv=notrunc status=none
slice one.img 1003 1 >byte
[[ $(<byte) != x ]] || printf y | dd of=moved bs=1 seek=1000 conv=notrunc status=none
expect "different at another offset" 1 \
    "vbd/51712 and moved differ, first at byte 1003 \(1000 of the second\); 1 of 5000 bytes differ" \
    --mock-disk one.img blk verify vbd/xvda moved --offset 3 --length 5000

echo "# verify: refused"
expect "a target that is too short" 1 "moved: the 1049088 bytes of vbd/51712 at offset 0 would go past its end, it has 5000 bytes; nothing was compared" \
    "${both[@]}" blk verify vbd/xvda moved
for length in 0 1 5000 262143 262144 262145 1049087; do
    status=0
    head -c "$length" one.img | "$xenpv" "${both[@]}" blk verify vbd/xvda - >out 2>err || status=$?
    judge "a pipe that ends after $length bytes" 1 \
        "standard input: it ended after $length bytes instead of 1049088"
done
status=0
cat one.img one.img | "$xenpv" "${both[@]}" blk verify - vbd/xvda >out 2>err || status=$?
judge "a pipe that is too long" 1 "vbd/51712: the input goes past its end at 1049088 bytes; 1049088 bytes were compared, the rest was not"
expect "no disk" 2 "one.img: none of what is given is a disk.*" blk verify one.img
expect "an offset of nothing" 2 "--target-offset: there is no second disk or file" \
    "${both[@]}" blk verify vbd/xvda --target-offset 1
expect "a file that is not there" 4 "none: cannot open it: .*" "${both[@]}" blk verify vbd/xvda none
