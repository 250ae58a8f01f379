# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2034
# Frames of files: recv and send with pcap files, captures of the mock, large packets.

# le BYTES NUMBER: the number as so many bytes, the lowest first; be: the highest first.
le() {
    local number=$2 text="" i
    for ((i = 0; i < $1; i++)); do
        text+=$(printf '\\x%02x' $((number & 255)))
        number=$((number >> 8))
    done
    printf '%b' "$text"
}
be() {
    local text="" i
    for ((i = $1 - 1; i >= 0; i--)); do
        text+=$(printf '\\x%02x' $((($2 >> 8 * i) & 255)))
    done
    printf '%b' "$text"
}

# pcap FRAME...: a file of these files.
pcap() {
    local frame size
    le 4 $((0xa1b2c3d4))
    le 2 2 && le 2 4 && le 4 0 && le 4 0 && le 4 65535 && le 4 1
    for frame; do
        size=$(stat -c %s "$frame")
        le 4 1700000000 && le 4 1 && le 4 "$size" && le 4 "$size"
        cat "$frame"
    done
}

# tcp 4|6 PAYLOAD: a segment of TCP from our address to the neighbour's, whatever its size. Its
# checksum is left out.
tcp() {
    local size sum
    size=$(stat -c %s "$2")
    printf '\x00\x16\x3e\x00\x02\x00\x00\x16\x3e\x00\x01\x00'
    if [[ $1 = 4 ]]; then
        sum=$((0x4500 + size + 40 + 0x4006 + 0x0a4d + 0x0002 + 0x0a4d + 0x0001))
        printf '\x08\x00\x45\x00'
        be 2 $((size + 40))
        printf '\x00\x00\x00\x00\x40\x06'
        be 2 $((~(sum % 65535) & 0xffff))
        printf '\x0a\x4d\x00\x02\x0a\x4d\x00\x01'
    else
        printf '\x86\xdd\x60\x00\x00\x00'
        be 2 $((size + 20))
        printf '\x06\x40\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\xfd\x77\0\0\0\0\0\0\0\0\0\0\0\0\0\x01'
    fi
    printf '\x10\x00\x20\x00\0\0\0\x01\0\0\0\x01\x50\x18\x10\x00\0\0\0\0'
    cat "$2"
}

# frames FILE [SKIP]: what is in a pcap file without the times, or behind so many bytes of each
# frame alone; of frames that the neighbour has sent nothing.
frames() {
    local at=24 size end sizes
    end=$(stat -c %s "$1")
    while [[ $at -lt $end ]]; do
        sizes=$(od -An -tu4 -j $((at + 8)) -N 8 "$1")
        size=${sizes##* }
        at=$((at + 16))
        if [[ $(od -An -tx1 -j $((at + 10)) -N 1 "$1") != " 02" ]]; then
            [[ -n ${2-} ]] || echo "$sizes"
            slice "$1" $((at + ${2-0})) $((size - ${2-0}))
        fi
        at=$((at + size))
    done
}

run --mock-net pcap=tiny.img list
if grep -q "built without libpcap" err; then
    expect "without libpcap: a capture" 4 "--mock-net capture=x: this xenpv is built without libpcap" \
        --mock-net pair,capture=x list
    expect "without libpcap: recv" 4 "--pcap x: this xenpv is built without libpcap" \
        --mock-net pair net recv vif/0 --pcap x
    expect "without libpcap: send" 4 "--pcap tiny.img: this xenpv is built without libpcap" \
        --mock-net pair net send vif/0 --pcap tiny.img
    return
fi

# Up to an MTU of 1500, whole frames of 60 bytes and more: netif.h has no shorter ones.
for size in 6 46 100 1000 1440 1460; do
    bytes payload $size
    tcp 4 payload >"ip4-$size"
    [[ $size -gt 1440 ]] || tcp 6 payload >"ip6-$size"
done
pcap ip4-* ip6-* >plain.pcap
bytes large4 50000
bytes large6 40000
tcp 4 large4 >frame4
tcp 6 large6 >frame6
pcap frame4 >large4.pcap
pcap frame6 >large6.pcap

echo "# files"
expect "no such file" 4 "--mock-net pcap=no.pcap: there is no such file or directory" \
    --mock-net pcap=no.pcap list
expect "no pcap file" 4 "--mock-net pcap=tiny.img: it is no pcap file of Ethernet frames" \
    --mock-net pcap=tiny.img list
expect "a capture that cannot be" 4 "--mock-net capture=no/x: there is no such file or directory" \
    --mock-net pair,capture=no/x list
expect "a capture of nothing" 2 "--mock-net ring: it is none of loopback, .*" --mock-net ring,capture=x list
run --mock-net pcap=plain.pcap net stats vif/0 --duration 3
judge "stats, text" 0 ""
for line in "link +up, MTU 1500, .*" "IN 3.000 SECONDS" "frames received +11" "  broadcast +0"; do
    holds "stats, text: '$line'" grep -Eqx -- "$line" out
done
run --mock-net pcap=plain.pcap net recv vif/0 --duration 1 --output json
judge "recv, JSON" 0 ""
json "recv, JSON: each" '(.frames | length) == 11 and .received == 11
    and (.frames | map(.seconds) | . == sort and .[0] >= 0 and .[10] > 0)
    and (.frames | all(.checksum == "as it is" and .mss == 0 and (.text | contains(" TCP "))))'
run --mock-net pcap=plain.pcap net recv vif/0 --count 11 --pcap got.pcap --output json
judge "recv --pcap" 0 ""
json "recv --pcap, JSON" '.received == 11 and (has("frames") | not)'
frames plain.pcap >wanted
frames got.pcap >got
same "recv --pcap: the frames, byte for byte" got wanted
run --mock-net pcap=plain.pcap net recv vif/0 --count 11 --pcap -
judge "recv --pcap -" 0 ""
frames out >got
same "recv --pcap -: the file, and nothing else" got wanted
cp plain.pcap copy.pcap
expect "recv from its own file" 2 "--pcap copy.pcap: it is of --mock-net pcap=copy.pcap, too" \
    --mock-net pcap=copy.pcap net recv vif/0 --pcap copy.pcap
expect "recv into a capture" 2 "--pcap both.pcap: it is of --mock-net pair,capture=both.pcap, too" \
    --mock-net pair,capture=both.pcap net recv vif/0 --pcap both.pcap
expect "send of a capture" 2 "--pcap copy.pcap: it is of --mock-net pair,capture=copy.pcap, too" \
    --mock-net pair,capture=copy.pcap net send vif/0 --pcap copy.pcap
expect "a capture of another's file" 2 "--mock-net pair,capture=copy.pcap: its file is that of --mock-net pcap=copy.pcap, too" \
    --mock-net pcap=copy.pcap --mock-net pair,capture=copy.pcap list
expect "a capture of the file of one behind it" 2 "--mock-net pair,capture=./copy.pcap: its file is that of .*" \
    --mock-net pair,capture=./copy.pcap --mock-net pcap=copy.pcap list
cp tiny.img copy.img
expect "a capture of a disk" 2 "--mock-net pair,capture=copy.img: its file is that of --mock-disk copy.img, too" \
    --mock-disk copy.img --mock-net pair,capture=copy.img list
expect "recv into a disk" 2 "--pcap ./copy.img: it is --mock-disk copy.img, too" \
    --mock-disk copy.img --mock-net pair net recv vif/0 --pcap ./copy.img
same "and the disk is as it was" copy.img tiny.img
expect "a capture that is standard output" 2 "--mock-net pair,capture=-: standard output .*" \
    --mock-net pair,capture=- net stats vif/0
expect "a capture of its own file" 2 "--mock-net pcap=copy.pcap,capture=./copy.pcap: it is read and written" \
    --mock-net pcap=copy.pcap,capture=./copy.pcap list
expect "two captures in a file" 2 "--mock-net pair,capture=(./)?both.pcap: its file is that of .*" \
    --mock-net pair,capture=both.pcap --mock-net pair,capture=./both.pcap list
same "and its own file is as it was" copy.pcap plain.pcap
expect "recv into a directory" 4 "--pcap directory: cannot open it: Is a directory" \
    --mock-net pair net recv vif/0 --pcap directory
expect "a capture into a directory" 4 "--mock-net capture=directory: cannot open it: Is a directory" \
    --mock-net pair,capture=directory list
expect "recv into no directory" 4 "--pcap no/x: there is no such file or directory" \
    --mock-net pair net recv vif/0 --pcap no/x
run --mock-net pcap=plain.pcap net recv vif/0 --count 11 --pcap /dev/full
judge "recv onto a full disk" 4 "--pcap /dev/full: cannot write to it: No space left on device"
run --mock-net pair,capture=/dev/full net stats vif/0
judge "a capture onto a full disk" 4 "--mock-net capture=/dev/full: cannot write to it"
status=0
# shellcheck disable=SC2094 # it is held open to be opened
(
    exec 3<>pipe >pipe 3<&-
    exec timeout 20 "$xenpv" --mock-net pair net recv vif/0 --pcap -
) 2>err || status=$?
judge "recv --pcap -: nobody reads it" 141 ""
for end in "recv vif/0 --pcap got.pcap" "send vif/0 --pcap plain.pcap --repeat 4000000000"; do
    : >sent.pcap
    # shellcheck disable=SC2086 # words
    "$xenpv" --mock-net pair,capture=sent.pcap net $end >out 2>err </dev/null &
    until [[ $(stat -c %s sent.pcap) -gt 200 ]] || ! kill -0 $!; do sleep 0.01; done
    kill -TERM $!
    status=0
    wait $! || status=$?
    judge "net $end: a signal ends it" 143 ""
    holds "net $end: with its last line" grep -Eq "^[0-9]+ frames( read)?, " out
done
expect "send of no file" 4 "--pcap no.pcap: there is no such file or directory" \
    --mock-net pair net send vif/0 --pcap no.pcap
run --mock-net pair,capture=sent.pcap net send vif/0 --pcap plain.pcap
judge "send" 0 ""
printed "send: how many" "11 frames read, $(cat ip?-* | wc -c) bytes; 11 sent, 0 of them large packets"
run --mock-net pair,capture=sent.pcap net send vif/0 --pcap plain.pcap --repeat 3 --rate 1000
judge "send --repeat, --rate" 0 ""
for _ in 1 2 3; do frames plain.pcap; done >wanted
frames sent.pcap >got
same "send --repeat: the frames on the wire, byte for byte" got wanted
run --mock-net pcap=sent.pcap net recv vif/0 --count 35 --pcap got.pcap
frames got.pcap >got
same "send, and recv of what was sent" got wanted
printf '\x00\x16\x3e\x00\x02\x00\x00\x16\x3e\x00\x01\x00\x88\xb5' | cat - large4 >frame
pcap frame ip4-100 >too.pcap
run --mock-net pair net send vif/0 --pcap too.pcap
judge "send of a frame that is too large" 1 "vif/0: 1 of 2 frames were too large for its MTU, and no TCP packets"

head -c -10 plain.pcap >broken.pcap
run --mock-net pair net send vif/0 --pcap broken.pcap --repeat 3
judge "send of a file that breaks off" 4 "--pcap broken.pcap: it breaks off, or is damaged: .*"
last "send of a file that breaks off: what is whole is sent, once" "10 frames read, .*; 10 sent, .*"
run --mock-net pcap=broken.pcap,capture=x.pcap net recv vif/0 --duration 1
judge "recv from a file that breaks off" 4 "--mock-net pcap=broken.pcap,capture=x.pcap: it breaks off, .*"
head -c 13 ip4-100 >frame
pcap frame ip4-100 >short.pcap
run --mock-net pair net send vif/0 --pcap short.pcap --repeat 2 --output json
judge "send of what is no frame" 1 "--pcap short.pcap: 2 of 4 frames are cut in it, .*"
json "send of what is no frame: the others are" '.frames_sent == 2 and .left_out == 2'

echo "# large packets"
while IFS='|' read -r v pieces options; do
    name="a large packet of IPv$v${options:+ $options}"
    # shellcheck disable=SC2086 # words
    run --mock-net pair,capture=sent.pcap net send vif/0 --pcap "large$v.pcap" $options
    judge "$name" 0 ""
    last "$name: in how many pieces" "1 frames read, .*; $pieces"
    frames sent.pcap $((v * 10 + 14)) >got
    same "$name: what it carried" got "large$v"
    # What is blank is tcpdump's "incorrect".
    tcpdump -nvvr sent.pcap tcp >told 2>/dev/null
    good=$(grep -c "(correct)" told || true)
    wanted=0
    [[ $options != *csum* ]] || wanted=${pieces%% *}
    holds "$name: checksums" [ "$good" = "$wanted" ]
done <<TABLE
4|1 sent, 1 of them large packets|
6|1 sent, 1 of them large packets|
4|35 sent, 0 of them large packets|--no-gso4
6|28 sent, 0 of them large packets|--no-gso6
4|35 sent, 0 of them large packets|--no-csum4
6|28 sent, 0 of them large packets|--no-csum6
4|35 sent, 0 of them large packets|--no-sg
TABLE

bytes jumbo 8000
tcp 4 jumbo >frame
pcap frame >jumbo.pcap
run --mock-net pair,capture=sent.pcap --mock-backend mtu=9000 net send vif/0 --pcap jumbo.pcap --no-sg
judge "a packet of several pages, frame by frame" 0 ""
frames sent.pcap 54 >got
same "a packet of several pages, frame by frame: what it carried" got jumbo

echo "# both ways, whatever is negotiated"
frames plain.pcap | wc -c >whole
for switch in --queues --no-sg --no-csum4 --no-csum6 --no-gso4 --no-gso6 --no-rx-notify --no-split \
    --no-multi-queue --no-control --no-multicast --no-dynamic --no-headroom --no-static-grants; do
    options=(--queues 2)
    [[ $switch = --queues ]] || options+=("$switch")
    name="seed_C1 ${options[*]}"
    # In any order, for there are two queues.
    run --mock-net pair,capture=sent.pcap net send vif/0 --pcap plain.pcap "${options[@]}"
    frames sent.pcap | wc -c >got
    same "$name: all that was sent" got whole
    run --mock-net pcap=plain.pcap net recv vif/0 --count 11 --pcap got.pcap "${options[@]}"
    frames got.pcap | wc -c >got
    same "$name: all that was received" got whole
done

echo "# a backend that restarts"
run --mock-net pair,capture=sent.pcap --mock-backend restart=5 net ping vif/0 --count 20 \
    --address 10.77.0.2/24 10.77.0.1
holds "seed_O18 each connection begins with an announcement" \
    [ "$(tcpdump -nr sent.pcap 'arp and ether src 00:16:3e:00:01:00' 2>/dev/null | grep -c 'who-has 10.77.0.2 .*tell 10.77.0.2')" = 2 ]
