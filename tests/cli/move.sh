# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# blk read and write, pipes and signals.
echo "# reading"
for image in tiny.img odd.img big.img; do
    run --mock-disk "$image" blk read vbd/51712
    judge "read $image" 0 ""
    if [[ $(sum out) == $(sum "$image") ]]; then
        ok "read $image: its sum"
    else
        not_ok "read $image: its sum" "$(stat -c %s out) bytes"
    fi
done
while read -r offset length; do
    run --mock-disk odd.img blk read vbd/51712 --offset "$offset" --length "$length"
    judge "read $length bytes at $offset" 0 ""
    slice odd.img "$offset" "$length" >part
    same "read $length bytes at $offset: the bytes" out part
done <<TABLE
0 1
511 2
1 511
513 4096
262143 2
262145 786000
1049087 1
1049088 0
0 0
TABLE
run --mock-disk odd.img blk read vbd/51712 --offset 1M
judge "read to the end" 0 ""
tail -c 512 odd.img >part
same "read to the end: the bytes" out part
run --mock-disk odd.img blk read vbd/51712 --out file --output json
judge "read into a file" 0 ""
same "read into a file: the bytes" file odd.img
json "read into a file: the summary" '.bytes == 1049088 and .seconds >= 0'
run --mock-disk odd.img blk read vbd/51712 --out - --output json
judge "--out -" 0 ""
same "--out - is standard output" out odd.img
[[ ! -e - ]] || not_ok "--out - is standard output" "a file is there"
run --mock-disk odd.img blk read vbd/51712 --output json
judge "read to stdout, JSON" 0 ""
same "read to stdout, JSON: the bytes alone" out odd.img
run -v --mock-disk odd.img blk read vbd/51712
if [[ $status -eq 0 ]] && grep -q 'vbd/51712: frontend 4 Connected, backend 4 Connected' err; then
    ok "-v tells the handshake"
else
    not_ok "-v tells the handshake" "$(<err)"
fi

echo "# reading what is not there"
cp odd.img file
past="vbd/51712: .* past its end, it has 1049088 bytes"
read_odd=(--mock-disk odd.img blk read vbd/51712)
expect "length past the end" 1 "$past" "${read_odd[@]}" --length 1049089 --out file
expect "offset and length past the end" 1 "$past" "${read_odd[@]}" --offset 1M --length 513 --out file
expect "offset past the end" 1 "$past" "${read_odd[@]}" --offset 1049089 --out file
expect "offset past the end, length 0" 1 "$past" "${read_odd[@]}" --offset 1049089 --length 0
expect "the largest numbers" 1 "$past" "${read_odd[@]}" --offset 1 --length 18446744073709551615
same "a refused read leaves --out as it was" file odd.img
expect "a refused read makes no file" 1 "$past" "${read_odd[@]}" --length 2M --out new
[[ ! -e new ]] || not_ok "a refused read makes no file" "it is there"
expect "--out in no directory" 4 "--out no/file: cannot create it: No such file.*" "${read_odd[@]}" --out no/file
expect "--out is a directory" 4 "--out directory: cannot create it: Is a directory" "${read_odd[@]}" --out directory
if [[ -c /dev/full ]]; then
    expect "--out on a full disk" 4 "cannot write /dev/full: No space left on device.*" "${read_odd[@]}" --out /dev/full
    status=0
    "$xenpv" --mock-disk tiny.img list >/dev/full 2>err || status=$?
    judge "list to a full disk" 4 "cannot write standard output: No space left on device"
fi

status=0
(ulimit -f 64 && exec "$xenpv" -v "${read_odd[@]}" --out large) >out 2>err || status=$?
holds "--out past the limit of a file's size" [ "$status" = 4 ]
says "--out past the limit: it says so" "^xenpv: cannot write large: File too large" 1
says "--out past the limit: the device is closed" "frontend 6 Closed, backend 6 Closed"

# The image shrinks under the backend once the first bytes have come.
cp big.img shrinks.img
{
    status=0
    "$xenpv" --mock-disk shrinks.img blk read vbd/51712 2>err || status=$?
    echo "$status" >status
} | {
    head -c 10
    truncate -s 4M shrinks.img
    cat
} >out
status=$(<status)
judge "a backend that fails" 1 \
    "vbd/51712: at offset 4194304: the other end failed the request; 4194304 bytes before it were read"
slice big.img 0 4194304 >part
same "a backend that fails: what came before" out part

echo "# writing"
# write_at OFFSET LENGTH HOW: writes random bytes and compares the whole disk with what dd makes.
write_at() {
    local offset=$1 length=$2 how=$3
    bytes input "$length"
    cp odd.img disk.img
    cp odd.img wanted.img
    dd if=input of=wanted.img bs=1M seek="$offset" oflag=seek_bytes conv=notrunc status=none
    status=0
    case $how in
    file) "$xenpv" --mock-disk disk.img blk write vbd/51712 --offset "$offset" --in input ;;
    stdin) "$xenpv" --mock-disk disk.img blk write vbd/51712 --offset "$offset" <input ;;
    pipe) head -c "$length" input | "$xenpv" --mock-disk disk.img blk write vbd/51712 --offset "$offset" ;;
    esac >out 2>err || status=$?
    judge "write $length bytes at $offset from a $how" 0 ""
    same "write $length bytes at $offset from a $how: the disk" disk.img wanted.img
}
while read -r offset length; do
    for how in file stdin pipe; do
        write_at "$offset" "$length" "$how"
    done
done <<TABLE
0 512
0 1
511 2
12345 70001
262143 2
1 1049087
0 1049088
1049087 1
1049088 0
700 0
TABLE
cp odd.img disk.img
expect "--in -" 0 "" --mock-disk disk.img blk write vbd/51712 --in - --offset 512
same "--in - is standard input, here empty" disk.img odd.img
run --mock-disk disk.img blk write vbd/51712 --in input --output json
json "write: the summary" '.bytes == 0 and .seconds >= 0'

echo "# writing what does not fit"
bytes input 1000
cp odd.img disk.img
write_disk=(--mock-disk disk.img blk write vbd/51712)
expect "a file past the end" 1 "vbd/51712: the 1000 bytes of input .*nothing was written" \
    "${write_disk[@]}" --offset 1048089 --in input
expect "an offset past the end" 1 "vbd/51712: offset 1049089 is past its end.*" \
    "${write_disk[@]}" --offset 1049089 --in input
same "a refused write changes nothing" disk.img odd.img
status=0
head -c 1000 input | "$xenpv" "${write_disk[@]}" --offset 1048089 >out 2>err || status=$?
judge "a pipe past the end" 1 "vbd/51712: the input goes past its end at 1049088 bytes; 999 bytes were written.*"
tail -c 999 disk.img >part
head -c 999 input >wanted
same "a pipe past the end: what fits is there" part wanted
expect "--in is missing" 4 "--in no: cannot open it: No such file.*" "${write_disk[@]}" --in no
expect "--in is a directory" 4 "--in directory: cannot open it: Is a directory" "${write_disk[@]}" --in directory

# Root may write to any file, so it becomes nobody for this.
as_nobody=()
[[ $(id -u) -ne 0 ]] || as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
cp odd.img readonly.img
chmod 444 readonly.img
status=0
"${as_nobody[@]}" "$xenpv" --mock-disk readonly.img blk write vbd/51712 <input >out 2>err || status=$?
judge "writing to a read-only disk" 1 "vbd/51712: the disk is read-only, nothing was written"
same "writing to a read-only disk changes nothing" readonly.img odd.img
status=0
"${as_nobody[@]}" "$xenpv" --mock-disk readonly.img blk read vbd/51712 >out 2>err </dev/null || status=$?
judge "reading a read-only disk" 0 ""
same "reading a read-only disk: the bytes" out odd.img
chmod 000 readonly.img
status=0
"${as_nobody[@]}" "$xenpv" --mock-disk readonly.img list >out 2>err </dev/null || status=$?
judge "an image without permission" 4 "--mock-disk readonly.img: cannot open it: permission denied"

echo "# pipes and signals"
{
    status=0
    "$xenpv" --mock-disk big.img blk read vbd/51712 2>err || status=$?
    echo "$status" >status
} | head -c 10 >out
status=$(<status)
judge "nobody reads the output any more" 141 ""
head -c 10 big.img >part
same "nobody reads the output any more: what came" out part

for name in INT TERM HUP; do
    mkfifo stdin stderr
    # A job in the background would ignore SIGINT.
    env --default-signal=INT "$xenpv" -v --mock-disk disk.img blk write vbd/51712 <stdin >out 2>stderr &
    pid=$!
    exec 3>stdin 4<stderr
    while read -r line <&4 && [[ $line != *"backend 4 Connected" ]]; do :; done
    kill -s "$name" "$pid"
    status=0
    wait "$pid" || status=$?
    cat <&4 >err
    exec 3>&- 4<&-
    rm stdin stderr
    wanted=$((128 + $(kill -l "$name")))
    if [[ $status -eq $wanted ]] && grep -q "frontend 6 Closed, backend 6 Closed" err; then
        ok "SIG$name closes the device"
    else
        not_ok "SIG$name closes the device" "status $status instead of $wanted" "$(<err)"
    fi
done

# ---- streams that are closed, and files that are one ---------------------------------------------
head -c 1049088 /dev/urandom >closed.img
sha256sum closed.img >closed.sum
# closed NAME COMMAND: the status is 4, soon, and the image is untouched.
closed() {
    local name=$1
    shift
    status=0
    timeout 20 bash -c "$1" closed "$xenpv" || status=$?
    if [[ $status -ne 4 ]]; then
        not_ok "$name" "status $status instead of 4"
    elif ! sha256sum --quiet -c closed.sum >/dev/null 2>&1; then
        not_ok "$name" "the image has changed"
    else
        ok "$name"
    fi
}
disk="--mock-disk closed.img blk"
closed "all streams closed" "\"\$1\" -v $disk read vbd/51712 --length 1 <&- >&- 2>&-"
closed "stdin and stdout closed" "\"\$1\" $disk read vbd/51712 --length 10 <&- >&- 2>/dev/null"
closed "stdout closed" "\"\$1\" $disk read vbd/51712 >&- 2>/dev/null"
closed "stdout closed for list" "\"\$1\" --mock-disk closed.img list >&- 2>/dev/null"
closed "stdin closed" "\"\$1\" $disk write vbd/51712 <&- 2>/dev/null"
expect "output onto the image" 2 "--out closed.img: it is --mock-disk closed.img" \
    --mock-disk closed.img blk read vbd/51712 --out closed.img
closed "and it is untouched" "exit 4"
