# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# For scripts in the lab's dom0: vifs and what goes over them. tap.sh and toolstack.sh come first. The frontend
# is in dom0, or in the guest that $guest names. The other end, 10.77.K.1 and fd77:K::1, is the lab's namespace of
# vif K, or the guest that $driver names. The frontend's own addresses are 10.77.K.2 and fd77:K::2.
vif=0 # the frontend's number
net=0 # K
driver=
# shellcheck disable=SC2034 # toolstack.sh uses it
patience=900

other() {
    if [ -n "$driver" ]; then timeout 900 lab-guest exec "$driver" "$@"; else lab-net "$net" "$@"; fi
}

# shellcheck disable=SC2120 # no arguments: the ones that are there
domid() {
    if [ -n "$guest" ]; then xl domid "$guest"; else echo 0; fi
}

# prepare: what a stream needs where the frontend is, and at the other end.
prepare() {
    for place in inside other; do
        # shellcheck disable=SC2016 # for the shell inside
        $place sh -c 'mkdir -p /tmp/stream; cat >/tmp/stream/run
            head -c 4194304 /dev/urandom >/tmp/stream/data' </root/stream.sh
    done
    inside modprobe tun
}

# start_guest KIND NAME [OPTION]...
start_guest() {
    timeout 240 lab-guest start "$2" "$1" --vif >/tmp/start 2>&1 && return
    not_ok "guest $2 starts" "$(cat /tmp/start)"
    finish
}

# ---- echo requests --------------------------------------------------------------------------------
# The addresses of this vif, by version: OWN/PREFIX OTHER.
addresses() { # 4|6
    case $1 in
    4) echo "10.77.$net.2/24 10.77.$net.1" ;;
    6) echo "fd77:$net::2/64 fd77:$net::1" ;;
    esac
}

# pings WHAT 4|6 COUNT [OPTION]...: all come back, with what they carry.
pings() {
    what=$1 version=$2 count=$3
    shift 3
    # shellcheck disable=SC2046 # two words
    inside xenpv net ping "vif/$vif" --address $(addresses "$version") --count "$count" "$@" \
        >/tmp/pings 2>&1
    case $?:$(tail -n 1 /tmp/pings) in
    "0:$count sent, $count received"[,:]*) [ -z "$what" ] || ok "$what ($(tail -n 1 /tmp/pings))" ;;
    *) not_ok "${what:-ping over IPv$version with $*}" "$(tail -n 3 /tmp/pings)" ;;
    esac
}

# Of both ends. Linux takes more than 1500 from a frontend that is connected, or was, only.
mtu() { # BYTES
    lab-net "$net" ip link set "vif$(domid).$vif" mtu "$1"
    xenstore-write "/local/domain/$(domid)/device/vif/$vif/mtu" "$1"
}

# ---- what is seen on the wire ---------------------------------------------------------------------
# dump_start ARG...: tcpdump in the namespace of vif $net, into /tmp/seen. What an earlier one said must be gone
# before it is waited for.
dump_start() {
    : >/tmp/said
    lab-net "$net" tcpdump -ln "$@" >/tmp/seen 2>/tmp/said &
    dump=$!
    await 20 grep -q listening /tmp/said
}

dump_stop() {
    sleep 1
    kill "$dump"
    wait "$dump" 2>/dev/null
}

# ---- xenpv net tap --------------------------------------------------------------------------------
# tap_start [OPTION]...
tap_start() {
    # shellcheck disable=SC2016 # for the shell inside
    inside sh -c 'k=$1 vif=$2; shift 2
        rm -f /tmp/tap.log
        setsid xenpv -v "$@" net tap vif/$vif </dev/null >/tmp/tap.log 2>&1 &
        echo $! >/tmp/tap.pid
        turns=0
        until grep -q "is the network device" /tmp/tap.log; do
            turns=$((turns + 1))
            [ $turns -lt 400 ] || exit 1
            usleep 50000
        done
        echo 0 >/proc/sys/net/ipv6/conf/xenpv0/accept_dad
        echo 0 >/proc/sys/net/ipv6/conf/xenpv0/accept_ra
        ifconfig xenpv0 10.77.$k.2 netmask 255.255.255.0 up
        ifconfig xenpv0 add fd77:$k::2/64' sh "$net" "$vif" "$@" ||
        not_ok "net tap" "$(inside cat /tmp/tap.log)"
}

# tap_stop: none of the kernel's frames was lost on the way, and the backend let go.
tap_stop() {
    # shellcheck disable=SC2016
    inside sh -c 'kill $(cat /tmp/tap.pid)
        while [ -d /proc/$(cat /tmp/tap.pid) ]; do usleep 50000; done'
    inside cat /tmp/tap.log >/tmp/tap
    case $(cat /tmp/tap) in
    *' frames from the kernel, 0 of them lost, '*'backend 6 Closed'*) ;;
    *) not_ok "net tap ends, and no frame of the kernel's was lost" "$(cat /tmp/tap)" ;;
    esac
}

# tap_large: packets larger than a segment that the last one sent to the backend.
tap_large() {
    sed -n 's/.*lost, \([0-9]*\) large;.*/\1/p' /tmp/tap
}

# ---- TCP ------------------------------------------------------------------------------------------
# listen send MIB|take: runs that at the other end for whoever connects to port 5001 (hexadecimal 1389).
listen() {
    # shellcheck disable=SC2016
    other sh -c 'rm -f /tmp/stream/sent /tmp/stream/taken
        setsid timeout 900 nc -lp 5001 -e sh /tmp/stream/run "$@" </dev/null >/dev/null 2>&1 &
        until cat /proc/net/tcp /proc/net/tcp6 | grep -q ":1389 0*:0000 0A"; do usleep 20000; done' sh "$@"
}

# stream WHAT up|down 4|6 MIB: from the frontend's end, or to it; the sums of both ends are the same.
stream() {
    address=$(addresses "$3" | cut -d ' ' -f 2)
    read -r stream_from _ </proc/uptime
    if [ "$2" = up ]; then
        listen take
        inside nc "$address" 5001 -e sh /tmp/stream/run send "$4"
        await 60 other test -e /tmp/stream/taken
        sent=$(inside cat /tmp/stream/sent) taken=$(other cat /tmp/stream/taken)
    else
        listen send "$4"
        inside nc "$address" 5001 -e sh /tmp/stream/run take
        await 60 other test -e /tmp/stream/sent
        sent=$(other cat /tmp/stream/sent) taken=$(inside cat /tmp/stream/taken)
    fi
    read -r stream_to _ </proc/uptime
    same "$1: $4 MiB of TCP over IPv$3, $2 (${stream_from%.*} to ${stream_to%.*} s)" "${taken:-nothing}" \
        "${sent:-something}"
}

# ---- vifs of dom0, without the lab's help ---------------------------------------------------------
netfront=/local/domain/0/device/vif
netback=/local/domain/0/backend/vif/0

# attach_vif HANDLE: until the backend offers it; its end is 10.78.HANDLE.1, in dom0 itself.
attach_vif() {
    xenstore-write "$netback/$1/frontend" "$netfront/$1" "$netback/$1/frontend-id" 0 "$netback/$1/online" 1 \
        "$netback/$1/handle" "$1" "$netback/$1/mac" 00:16:3e:78:00:01 "$netback/$1/script" none \
        "$netback/$1/state" 1 "$netfront/$1/backend" "$netback/$1" "$netfront/$1/backend-id" 0 \
        "$netfront/$1/handle" "$1" "$netfront/$1/mac" 00:16:3e:78:00:01 "$netfront/$1/state" 1
    await 20 state_is "$netback/$1" 2 ||
        not_ok "attach vif $1" "the backend is in $(xenstore-read "$netback/$1/state")"
    await 20 test -e "/sys/class/net/vif0.$1"
    ifconfig "vif0.$1" "10.78.$1.1" netmask 255.255.255.0 up
    xenstore-write "$netback/$1/hotplug-status" connected
}

# detach_vif HANDLE, which no frontend has: until nothing is left of it.
detach_vif() {
    xenstore-write "$netback/$1/online" 0 "$netfront/$1/state" 6
    await 20 state_is "$netback/$1" 6 ||
        not_ok "detach vif $1" "the backend is in $(xenstore-read "$netback/$1/state")"
    xenstore-rm "$netback/$1" "$netfront/$1"
    await 20 gone_interface "vif0.$1" || not_ok "detach vif $1" "its interface is still there"
}

gone_interface() { # NAME
    [ ! -e "/sys/class/net/$1" ]
}

# rebind DOMID [told]: xen-netback forgets vif $vif of that domain, and finds it anew. What it writes itself can pass
# so soon that nobody sees it, and the new one goes on with the old rings; unless the frontend is told in between.
rebind() {
    netback_driver=/sys/bus/xen-backend/drivers/vif
    echo "vif-$1-$vif" >$netback_driver/unbind
    if [ "${2:-}" = told ]; then
        xenstore-write "/local/domain/0/backend/vif/$1/$vif/state" 6
        await 20 let_go "/local/domain/$1/device/vif/$vif" || not_ok "the frontend lets go" "it does not"
    fi
    echo "vif-$1-$vif" >$netback_driver/bind
}

# shellcheck disable=SC2317 # await calls it
let_go() { # DIRECTORY
    ! state_is "$1" 4
}
