# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# Network cards: list, info, stats, ping, recv, and what is negotiated.

times="time least [0-9.]+, mean [0-9.]+, most [0-9.]+ ms"
ping4=(net ping vif/0 --address 10.77.0.2/24 10.77.0.1)
ping6=(net ping vif/0 --address fd77::2/64 fd77::1)
echo "# network cards of the mock"
expect "no such wire" 2 "--mock-net ring: it is none of loopback, pair, pcap=FILE" --mock-net ring list
expect "no such wire beside another" 2 "--mock-net ring: .*" --mock-net pair --mock-net ring list
expect "a card on a real port" 2 "--mock-net: .*--port linux" --port linux --mock-net pair list
run --mock-net pair --mock-net loopback --mock-disk tiny.img list --output json
judge "two cards and a disk" 0 ""
json "two cards and a disk: who they are" \
    'map("\(.class)/\(.id)") == ["vbd/51712", "vif/0", "vif/1"] and .[1].backend_state == 2
     and .[1].mac == "00:16:3e:00:01:00" and .[2].mac == "00:16:3e:00:01:01"'
for name in 0 vif vif/ vif/x vif/-1 vif/4294967296 vbd/51712 mac: mac:00:16:3e:00:01 \
    mac:00:16:3e:00:01:0g ""; do
    expect "card '$name'" 2 "'$name' is no network card.*" --mock-net pair net stats "$name"
done
for command in stats "ping --address 10.77.0.2/24" recv tap; do
    target=()
    [[ $command != ping* ]] || target=(10.77.0.1)
    [[ $command != tap || -w /dev/net/tun ]] || continue
    # shellcheck disable=SC2086 # words
    expect "missing card, ${command%% *}" 1 "vif/7: there is no such device .*xenpv list.*" \
        --mock-net pair net $command vif/7 "${target[@]}"
done
expect "missing card, by its address" 1 "mac:00:16:3e:00:01:09: no network card here has it; .*" \
    --mock-net pair info mac:00:16:3e:00:01:09

echo "# info and stats of a card"
run --mock-net pair --mock-net loopback info mac:00:16:3E:00:01:01
judge "info by the address" 0 ""
holds "info by the address: it is that one" grep -qx vif/1 out
run --mock-net pair info vif/0 --output json
judge "info of a card, JSON" 0 ""
json "info of a card, JSON: both ends and the features" \
    '.device == "vif/0" and .frontend.state == 1 and .backend.state == 2 and .backend.domain == 0
     and .mac == "00:16:3e:00:01:00" and .carrier and .mtu == 1500 and .queues == 1
     and (.features | length) == 12
     and (.features | all(has("key") and has("offered") and has("used") and has("why_not_more")))'
expect "info of a card has no options of disks" 2 "--segments: 'info' has no such option.*" \
    --mock-net pair info vif/0 --segments 1
expect "info of a disk has no options of cards" 2 "--no-gso4: 'info' has no such option.*" \
    --mock-disk tiny.img info vbd/xvda --no-gso4
run --mock-net pair net stats vif/0 --output json
judge "stats" 0 ""
json "stats: connected, and what the neighbour announced" \
    '.frontend.state == 4 and .backend.state == 4 and .seconds == 1 and .counters.rx_frames == 2
     and .counters.rx_broadcast == 1 and .counters.rx_multicast == 1 and .counters.rx_dropped == 0'
run --mock-net pair --mock-backend mtu=9000 net stats vif/0 --output json
json "seed_A5 its MTU" '.mtu == 9000'

echo "# ping"
run --mock-net pair "${ping4[@]}" --count 100
judge "ping" 0 ""
last "ping: all of them" "100 sent, 100 received: 100 of 100 answered; $times"
holds "ping: a line for each" [ "$(grep -Ecx '64 bytes from 10.77.0.1: seq [0-9]+, time [0-9.]+ ms' out)" = 100 ]
run --mock-net pair "${ping6[@]}" --count 100 --interval 0 --size 1000
judge "ping, IPv6" 0 ""
last "ping, IPv6: all of them" "100 sent, 100 received: 100 of 100 answered; $times"
run --mock-net pair --mock-net pair net ping vif/1 --address 10.77.1.2/24 10.77.1.1 --count 2 --output json
judge "ping, JSON" 0 ""
json "ping, JSON: what it says" \
    '.device == "vif/1" and .target_mac == "00:16:3e:00:02:01" and .sent == 2 and .received == 2
     and .size == 56 and .time_ms.least <= .time_ms.most'
run --mock-net loopback net ping vif/0 --address 10.77.0.2/24 10.77.0.2 --count 3
judge "ping of its own address over a loopback" 0 ""
expect "nobody is there" 1 "vif/0: nobody says to be 10.77.0.9, for 30000 ms" \
    --mock-net pair net ping vif/0 --address 10.77.0.2/24 10.77.0.9 --count 1
expect "nobody is there, for a while" 1 "vif/0: nobody says to be fd77::9, for 250 ms" \
    --mock-net pair net ping vif/0 --address fd77::2/64 fd77::9 --count 1 --timeout 250
for size in 0 1 1472; do
    run --mock-net pair "${ping4[@]}" --count 1 --size $size
    judge "ping --size $size" 0 ""
done
expect "ping --size 1473" 2 "--size: an MTU of 1500 has room for 1472 bytes" \
    --mock-net pair "${ping4[@]}" --size 1473
for mtu in 68 1500 8900 9000 65517; do
    run --mock-net pair --mock-backend mtu=$mtu "${ping4[@]}" --count 2 --size $((mtu - 28))
    judge "seed_A5 ping with an MTU of $mtu" 0 ""
    last "seed_A5 ping with an MTU of $mtu: all of them" "2 sent, 2 received: 2 of 2 answered; .*"
done
for switch in "--no-sg" "--mock-backend sg=0"; do
    # shellcheck disable=SC2086 # words
    run --mock-net pair --mock-backend mtu=9000 "${ping4[@]}" --count 1 --size 4054 $switch
    judge "ping of a whole page with $switch" 0 ""
    # shellcheck disable=SC2086 # words
    expect "ping of more than a page with $switch" 2 "--size: an MTU of 4082 has room for 4054 bytes" \
        --mock-net pair --mock-backend mtu=9000 "${ping4[@]}" --count 1 --size 4055 $switch
done
while read -r pattern; do
    # shellcheck disable=SC2086 # words
    expect "ping: '$pattern'" 2 ".*" --mock-net pair net ping vif/0 --address $pattern
done <<TABLE
10.77.0.2 10.77.0.1
10.77.0.2/33 10.77.0.1
10.77.0.2/24 10.77.1.1
10.77.0.2/24 fd77::1
fd77::2/64 10.77.0.1
224.0.0.1/24 10.77.0.1
10.77.0.2/24 255.255.255.255
10.77.0.2/24 host
TABLE
expect "ping without a target" 2 "net ping: too few arguments; usage: xenpv net ping VIF TARGET --address ADDR/PREFIX" \
    --mock-net pair net ping vif/0
expect "ping without an address" 2 "net ping: give --address ADDRESS/PREFIX, .*" \
    --mock-net pair net ping vif/0 10.77.0.1

run --mock-net pair --mock-backend vanish=3 "${ping4[@]}" --count 1 --output json
holds "ping, JSON: nothing came" [ "$status" = 1 ]
json "ping, JSON: nothing came, in no time" '.sent == 1 and .received == 0 and .time_ms == null'

echo "# recv"
run --mock-net pair net recv vif/0 --count 2 --duration 1
judge "recv" 0 ""
holds "recv: a line for each" grep -Eq "^[0-9.]+ 00:16:3e:00:02:00 > ff:ff:ff:ff:ff:ff, length 60: who has 10.77.0.1" out
last "recv: how many" "2 frames, 146 bytes; 0 large packets, 0 blank checksums"
run --mock-net pair net recv vif/0 --count 3 --duration 2
judge "recv: too few" 1 "vif/0: 2 of 3 frames came in 2 seconds"
for end in "net recv vif/0" "net recv vif/0 --output json" "${ping4[*]}" \
    "${ping4[*]} --interval 0"; do
    status=0
    # shellcheck disable=SC2086,SC2094 # words; it is held open to be opened
    (
        exec 3<>pipe >pipe 3<&-
        exec timeout 20 "$xenpv" --mock-net pair $end
    ) 2>err || status=$?
    judge "$end: nobody reads it" 141 ""
done
for signal in TERM HUP; do
    for end in "recv vif/0" "ping vif/0 --address 10.77.0.2/24 10.77.0.1"; do
        : >out
        # shellcheck disable=SC2086 # words
        "$xenpv" --mock-net pair net $end >out 2>err </dev/null &
        until [[ -s out ]] || ! kill -0 $!; do sleep 0.01; done
        kill -$signal $!
        status=0
        wait $! || status=$?
        judge "net $end: a signal ends it" $((128 + $(kill -l $signal))) ""
        holds "net $end: with its last line" grep -Eq " (received: |frames( read)?, )" out
    done
done
expect "send needs a file" 2 "net send: give --pcap FILE: its frames are sent" \
    --mock-net pair net send vif/0
echo "# seed_C1: every feature has an off switch, and data is right without it"
all="sg csum4 csum6 gso4 gso6 rx-notify split multi-queue control multicast dynamic headroom static-grants"
while read -r feature gone; do
    name="seed_C1 --no-$feature"
    switch=("--no-$feature")
    [[ $feature != all-of-them ]] || switch=()
    used=$(for other in $all; do [[ " $feature $gone " == *" $other "* ]] || echo -n "$other "; done)
    run --mock-net pair net stats vif/0 --queues 2 --output json "${switch[@]}"
    json "$name: all others are used" "(.features_used | join(\" \")) + \" \" == \"$used\""
    run --mock-net pair "${ping4[@]}" --queues 2 "${switch[@]}" --count 3 --size 1400
    judge "$name: an IPv4 ping" 0 ""
    run --mock-net pair "${ping6[@]}" --queues 2 "${switch[@]}" --count 3 --size 1400
    judge "$name: an IPv6 ping" 0 ""
    # That the frontend wants to be notified is its own business.
    [[ $feature != rx-notify && $feature != all-of-them ]] || continue
    run --mock-net pair --mock-backend "$feature=0" net stats vif/0 --queues 2 --output json
    json "a backend with $feature=0" "(.features_used | join(\" \")) + \" \" == \"$used\""
done <<TABLE
all-of-them
sg gso4 gso6
csum4 gso4
csum6 gso6
gso4
gso6
rx-notify
split
multi-queue
control static-grants
multicast dynamic
dynamic
headroom
static-grants
TABLE

echo "# queues, polling, a backend that goes"
while read -r queues backend used; do
    run -v --mock-net pair --mock-backend "queues=$backend" "${ping4[@]}" --count 3 --queues "$queues"
    holds "seed_O4 --queues $queues of $backend" [ "$status" = 0 ]
    says "seed_O4 --queues $queues of $backend: in use" "in use: $used queues," 1
done <<TABLE
1 4 1
4 4 4
64 2 2
64 64 64
TABLE
run -v --mock-net pair "${ping4[@]}" --count 3
says "with events: they come" "mock vif/0: .* [1-9][0-9]* events" 1
run -v --mock-net pair "${ping4[@]}" --count 3 --poll
holds "--poll" [ "$status" = 0 ]
says "--poll: no events" "mock vif/0: .* 0 events" 1
run -v --mock-net pair --mock-backend restart=5 "${ping4[@]}" --count 20
says "a backend that restarts: it is told" "the connection is lost; waiting up to 30000 ms" 1
says "a backend that restarts: and that it is back" "^xenpv: vif/0: connected again" 1
run --mock-net pair --mock-backend vanish=5 "${ping4[@]}" --count 20
judge "a backend that stays away" 1 "vif/0: .*state: found 6 \(Closed\), .*gave up after 30000 ms; .*"
run -v --mock-net pair --mock-backend grants=400 "${ping4[@]}" --count 2
holds "few pages may be shared" [ "$status" = 0 ]
says "few pages may be shared: it is told" "too few pages can be shared; trying with half"
expect "too few pages for anything" 4 "vif/0: .*no grant reference is free.*" \
    --mock-net pair --mock-backend grants=30 "${ping4[@]}"
