# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# A network card as a TAP device. It lives in a network namespace of this test's own, where one can be
# made; anybody but root is told that no TAP device can be.

# inside COMMAND...: in the namespace of the test.
inside() {
    nsenter --net="/proc/$keeper/ns/net" "$@"
}

# tap OPTION...: begins, and waits until the device has the card's address, or it has ended. Leaves $tap.
tap() {
    nsenter --net="/proc/$keeper/ns/net" "$xenpv" "$@" >out 2>err </dev/null &
    tap=$!
    while kill -0 $tap 2>/dev/null &&
        ! inside ip link show "$device" 2>/dev/null | grep -q "link/ether 00:16:3e:00:01:00 "; do
        sleep 0.01
    done
}

# ended NAME STATUS PATTERN [SIGNAL]: how it ends, after the signal if there is one; judged as by judge.
ended() {
    [[ -z ${4-} ]] || kill "-$4" $tap
    status=0
    wait $tap || status=$?
    judge "$1" "$2" "$3"
    if inside ip link show "$device" >/dev/null 2>&1; then
        not_ok "$1" "the device is still there"
    fi
}

# shows NAME PATTERN: what ip tells of the device; waits for it, for what follows does so by itself.
shows() {
    local i
    for ((i = 0; i < 200; i++)); do
        if inside ip -details link show "$device" | tr -d '\n' | grep -Eq -- "$2"; then
            ok "$1"
            return
        fi
        sleep 0.01
    done
    not_ok "$1" "no '$2': $(inside ip -details link show "$device")"
}

# up ADDRESS...: gives it addresses.
up() {
    local address
    for address; do
        [[ $address != *:* ]] || address+=" nodad"
        # shellcheck disable=SC2086 # words
        inside ip address add $address dev "$device"
    done
    inside ip link set "$device" up
}

# pings NAME SIZE TARGET: of ten requests of the kernel's, ten are answered.
pings() {
    inside ping -q -c 10 -i 0.01 -W 5 -s "$2" "$3" >pinged 2>&1 || true
    holds "$1" grep -q "10 packets transmitted, 10 received" pinged
}

can_make() {
    [[ -w /dev/net/tun ]] && unshare --net true 2>/dev/null
}

test_devices() {
    local mtu
    unshare --net sleep 100 &
    keeper=$!
    while [[ $(readlink "/proc/$keeper/ns/net") = "$(readlink /proc/self/ns/net)" ]]; do
        sleep 0.01
    done
    device=xenpv0
    echo "# a card as a network device"
    tap --mock-net pair net tap vif/0
    shows "its address" "link/ether 00:16:3e:00:01:00 .* tun type tap pi off vnet_hdr on"
    up 10.77.0.2/24 fd77::2/64
    shows "its carrier" "UP,LOWER_UP> mtu 1500 "
    pings "programs of the kernel's use it" 56 10.77.0.1
    pings "full frames" 1472 10.77.0.1
    pings "IPv6" 1452 fd77::1
    cp err err-before
    status=0
    # shellcheck disable=SC2034 # it is judged
    inside "$xenpv" --mock-net pair net tap vif/0 >out 2>err </dev/null || status=$?
    judge "another of that name" 4 "xenpv0: this network device is in use"
    cp err-before err
    ended "a signal ends it" 143 "" TERM
    for mtu in 68 1000 9000 65517; do
        tap --mock-net pair --mock-backend mtu=$mtu net tap vif/0
        shows "seed_A5 an MTU of $mtu" " mtu $mtu "
        up 10.77.0.2/24
        pings "seed_A5 frames of an MTU of $mtu" $((mtu - 28)) 10.77.0.1
        ended "an MTU of $mtu: a signal ends it" 129 "" HUP
    done
    tap --mock-net pair --mock-backend mtu=65535 net tap vif/0
    shows "an MTU of more than a frame has room for" " mtu 65521 "
    ended "an MTU of more than a frame has room for: a signal ends it" 143 "" TERM
    tap --mock-net pair --mock-backend mtu=9000 net tap vif/0 --no-sg
    shows "frames of one page: the MTU" " mtu 4082 "
    up 10.77.0.2/24
    pings "frames of one page" 4054 10.77.0.1
    ended "frames of one page: a signal ends it" 143 "" TERM
    device=card
    tap --mock-net pair net tap vif/0 --name card
    inside ip link set card name other
    device=other
    up 10.77.0.2/24
    pings "another name, and then another" 56 10.77.0.1
    inside ip link delete other
    ended "a device that is removed" 4 "other: somebody has removed this network device"
    for name in "" "a b" 0123456789abcdef lo; do
        expect "no device '$name'" 2 "--name $name: it is no name of 1 to 15 bytes .*" \
            --mock-net pair net tap vif/0 --name "$name"
    done

    echo "# a backend that goes"
    device=xenpv0
    tap -v --mock-net pair --mock-backend restart=12 net tap vif/0
    up 10.77.0.2/24
    inside ping -q -c 30 -i 0.01 -W 5 10.77.0.1 >pinged 2>&1 || true
    holds "seed_O18 it returns: pings go on" grep -Eq "30 packets transmitted, (29|30) received" pinged
    kill $tap
    wait $tap || true
    says "it returns: the carrier was lost" "xenpv0: carrier down" 1
    says "it returns: and came back" "xenpv0: carrier up" 1
    tap --timeout 200 --mock-net pair --mock-backend vanish=12 net tap vif/0
    up 10.77.0.2/24
    inside ping -q -c 15 -i 0.01 -W 1 10.77.0.1 >pinged 2>&1 || true
    ended "it stays away" 1 "vif/0: .*state: found 6 \(Closed\), .*gave up after 200 ms; .*"

    echo "# seed_C1: a device without features"
    local switch
    for switch in --no-sg "--no-csum4 --no-csum6" "--no-gso4 --no-gso6" --no-split --no-control --poll \
        "--queues 4"; do
        # shellcheck disable=SC2086 # words
        tap --mock-net pair net tap vif/0 $switch
        up 10.77.0.2/24
        pings "seed_C1 a device with $switch" 1400 10.77.0.1
        ended "seed_C1 a device with $switch: a signal ends it" 143 "" TERM
    done
    kill "$keeper"
    wait "$keeper" || true
}

if can_make; then
    test_devices
else
    expect "no TAP device can be made here" 4 "xenpv0: (no permission|there is no /dev/net/tun) .*" \
        --mock-net pair net tap vif/0
fi
