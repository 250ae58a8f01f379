#!/bin/sh
# SPDX-License-Identifier: MIT
# In dom0, with vif 0 that xen-netback serves: queues with split channels, the control ring, flows that land
# where they are mapped to, multicast control.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh
# shellcheck source=tests/xen/vifs.sh
. /root/vifs.sh
log=/tmp/flows.log

# shellcheck disable=SC2317 # await calls them
flows_said() { # WORDS TIMES
    [ "$(grep -c "$1" "$log")" -ge "$2" ]
}

# shellcheck disable=SC2317
ended() { # PID
    ! kill -0 "$1" 2>/dev/null
}

# flows_start QUEUES [filter]
flows_start() {
    rm -f /tmp/flows.fifo
    mkfifo /tmp/flows.fifo
    net_flows 0 /tmp/flows.fifo "$@" >$log 2>&1 &
    flows=$!
    await 30 flows_said ^connected 1 || not_ok "net_flows" "$(cat $log)"
}

# tell COMMAND...: and prints the answer.
tell() {
    answers=$(grep -c "^$1: " $log)
    echo "$*" >/tmp/flows.fifo
    await 20 flows_said "^$1: " $((answers + 1)) || echo "no answer to $*"
    grep "^$1: " $log | tail -n 1
}

flows_stop() { # WHAT
    echo quit >/tmp/flows.fifo
    wait $flows
    same "$1" "$? $(tail -n 1 $log)" "0 closed"
}

before_grants=$(grants) before_ports=$(ports)
# Or no neighbour would answer, and nothing be sent.
lab-net 0 ip neigh replace 10.77.0.2 lladdr 00:16:3e:77:00:00 dev vif0.0

# ---- queues, and the control ring -----------------------------------------------------------------
flows_start 2
same "two queues" "$(sed -n 's/^connected: \(.* queues\),.*/\1/p' $log)" "2 queues"
same "each with split channels, and a control ring: keys" "$(for key in queue-0/event-channel-tx \
    queue-0/event-channel-rx queue-1/event-channel-tx queue-1/event-channel-rx event-channel-ctrl; do
    xenstore-exists "device/vif/0/$key" && echo "$key"
done | wc -l)" 5
same "and event channels with two ends each" "$(ports)" $((before_ports + 10))
same "hash algorithm Toeplitz" "$(tell algorithm 1)" "algorithm: SUCCESS 0"
same "hash types that are supported" "$(tell supported)" "supported: SUCCESS 15"
same "hash types set" "$(tell flags 15)" "flags: SUCCESS 0"
same "key set" "$(tell key 40)" "key: SUCCESS 0"
same "entries a mapping may have" "$(tell entries)" "entries: SUCCESS 128"
same "mapping size set" "$(tell size 128)" "size: SUCCESS 0"
# shellcheck disable=SC2046 # words
same "mapping set" "$(tell map 0 $(for i in $(seq 64); do echo 0 1; done))" "map: SUCCESS 0"
same "a part of it" "$(tell map 126 0 1)" "map: SUCCESS 0"
same "a queue that is not there is refused" "$(tell map 0 2)" "map: XENPV_EINVAL"
same "so is a mapping that is too large" "$(tell size 129)" "size: XENPV_EINVAL"
same "and an algorithm that is none" "$(tell algorithm 7)" "algorithm: XENPV_EINVAL"
same "Linux knows of no static grants" "$(tell grants 0)" "grants: XENPV_ENOTSUP"

# ---- flows ----------------------------------------------------------------------------------------
# knock PORT...: a connection from each is asked for. Nobody answers.
knock() {
    for port; do
        lab-net 0 nc.openbsd -w 1 -p "$port" 10.77.0.2 5001 </dev/null >/dev/null 2>&1 &
        knocking="$knocking $!"
    done
    # shellcheck disable=SC2086 # words
    wait $knocking
    knocking=
}

# The queue that each flow took, from that line of the log on.
queues_of_flows() { # LINE
    tail -n +$(($1 + 1)) $log |
        sed -n 's/^tcp \([0-9]*\) > 5001: queue \([0-9]\) as mapped, hash right$/\1 \2/p' | sort -u
}

lines() {
    wc -l <$log
}

knocking=
knock 40001 40002 40003 40004 40005 40006
queues_of_flows 0 >/tmp/first
same "six flows, each on the queue that its hash is mapped to" \
    "$(wc -l </tmp/first) $(grep -c 'is not\|wrong\|none' $log)" "6 0"
same "on both queues" "$(cut -d ' ' -f 2 /tmp/first | sort -u | tr '\n' ' ')" "0 1 "
# shellcheck disable=SC2046 # words
same "the mapping is turned round" "$(tell map 0 $(for i in $(seq 64); do echo 1 0; done))" "map: SUCCESS 0"
before=$(lines)
knock 40001 40002 40003 40004 40005 40006
same "and each flow is on the other queue" "$(queues_of_flows "$before")" "$(awk '{ print $1, 1 - $2 }' /tmp/first)"
same "mapping size 0" "$(tell size 0)" "size: SUCCESS 0"
before=$(lines)
knock 40007
same "then it is the hash modulo the queues" "$(queues_of_flows "$before" | wc -l)" 1

# ---- headroom -------------------------------------------------------------------------------------
# shellcheck disable=SC2317 # await calls it
lands_at() { # OFFSET
    before=$(lines)
    lab-net 0 ping -c 1 -W 1 10.77.0.2 >/dev/null
    tail -n +$((before + 1)) "$log" | grep -q "^frame at $1 of its page"
}

# The second time xen-netback stands at 8 already.
for bytes in 256 128 0; do
    same "a headroom of $bytes is asked for" "$(tell headroom $bytes)" "headroom: done"
    if await 10 lands_at $bytes; then ok "and frames have it before them"; else
        not_ok "frames have it before them" "$(tail -n 5 $log)"
    fi
    await 10 state_is device/vif/0 4
    same "both are connected" "$(xenstore-read device/vif/0/state "$netback/0/state" | tr '\n' ' ')" "4 8 "
done

dump_start -i vif0.0 -c 2 arp
same "a frame with its hash is taken on queue 0" "$(tell announce 0 0x12345678)" "announce: done"
same "and on queue 1" "$(tell announce 1 0x87654321)" "announce: done"
await 20 ended $dump || kill $dump
same "both are there" "$(grep -c 'who-has 10.77.0.2' /tmp/seen)" 2
flows_stop "it closes"
nothing_left "$before_grants" "$before_ports"

# ---- multicast ------------------------------------------------------------------------------------
# Linux filters what it forwards, and not what it sends itself: so this comes from beyond a bridge.
modprobe bridge
modprobe veth
lab-net 0 ip -batch - <<TEXT
link add br0 type bridge mcast_snooping 0
link add near type veth peer name far
link set near master br0
link set vif0.0 master br0
link set near up
link set far up
link set br0 up
addr add 10.79.0.1/24 dev far
route add 224.0.0.0/4 dev far
TEXT

# call GROUP...: to each in turn; the last is waited for.
call() {
    for group; do lab-net 0 ping -c 1 -W 1 "$group" >/dev/null; done
}

heard() {
    grep '^multicast 01:00:5e:01' $log | tr '\n' ' '
}

flows_start 1 filter
same "an address is put into the filter" "$(tell multicast add 01:00:5e:01:01:02)" "multicast: done"
call 239.1.1.1 239.1.1.2
await 10 flows_said 'multicast 01:00:5e:01:01:02' 1
same "what is in the filter arrives, and nothing else" "$(heard)" "multicast 01:00:5e:01:01:02 "
same "it is taken out" "$(tell multicast del 01:00:5e:01:01:02)" "multicast: done"
same "another is put in" "$(tell multicast add 01:00:5e:01:01:03)" "multicast: done"
call 239.1.1.2 239.1.1.3
await 10 flows_said 'multicast 01:00:5e:01:01:03' 1
same "then only that arrives" "$(heard)" "multicast 01:00:5e:01:01:02 multicast 01:00:5e:01:01:03 "
for i in $(seq 63); do echo "multicast add 01:00:5e:02:00:$(printf %02x "$i")"; done >/tmp/flows.fifo
await 20 flows_said '^multicast: done' 66
same "64 fit into Linux's filter" "$(grep -c '^multicast: done' $log)" 66
same "not a 65th" "$(tell multicast add 01:00:5e:02:00:ff)" "multicast: XENPV_EIO"
same "the filter is switched off while it is connected" "$(tell filter off)" "filter: done"
sleep 1 # xen-netback follows the key
call 239.1.1.4
await 10 flows_said 'multicast 01:00:5e:01:01:04' 1 && ok "and all arrives"
flows_stop "it closes"
nothing_left "$before_grants" "$before_ports"
! dmesg | grep -E 'BUG|WARNING|Oops' || not_ok "the kernel" "it complains"
finish
