#!/bin/sh
# SPDX-License-Identifier: MIT
# In dom0: `xenpv agent` in PV guests whose kernel obeys control/ itself. What xl asks for leaves its hook's
# marker on the guest's console, each time.
# usage: agent.sh ROUNDS
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh
rounds=$1

markers() { # EVENT
    tr -d '\r' <"/var/log/xen/console/guest-$name.log" | grep -c "^marker $1 "
}

# shellcheck disable=SC2317 # await calls it
has_markers() { # EVENT COUNT
    [ "$(markers "$1")" = "$2" ]
}

# marked WHAT EVENT COUNT: as many, and no more a moment later.
marked() {
    await 20 has_markers "$2" "$3"
    same "$name: $1: the marker of $2" "$(markers "$2")" "$3"
}

# shellcheck disable=SC2317 # await calls it
publishes() { # PATH VALUE
    [ "$(xenstore-read "/local/domain/$(xl domid "$name")/$1" 2>/dev/null)" = "$2" ]
}

# After a checkpoint no xl waits for its end any more, and it stays as one that is shut down.
# shellcheck disable=SC2317 # await calls it
is_over() {
    ! xl domid "$name" >/dev/null 2>&1 || xl list "$name" | tail -n 1 | grep -q -e ' ---s-* '
}

# start_agent NAME: with a hook for all that may be asked for.
start_agent() {
    name=$1
    lab-guest start "$name" pv
    # shellcheck disable=SC2016 # for the shells inside
    lab-guest exec "$name" sh -c 'set --
        for event in poweroff reboot halt suspend resume shutdown memory sysrq; do
            set -- "$@" --hook "$event=echo marker \$XENPV_EVENT \$XENPV_EVIDENCE \$XENPV_TARGET_KIB >/dev/console"
        done
        setsid xenpv agent "$@" </dev/null >/root/agent.log 2>&1 &'
    await 20 publishes attr/PVAddons/Installed 1 || not_ok "$name: the agent" "it publishes nothing"
    # It is quiet for a second.
    lab-guest exec "$name" usleep 1500000
}

# The agent owns nothing there: these are what the kernel wrote.
kernel_owns() {
    directory=/local/domain/$(xl domid "$name")
    same "$name: the agent is passive" \
        "$(lab-guest exec "$name" grep -o 'mode=[a-z]*' /root/agent.log | head -n 1)" mode=passive
    same "$name: feature-poweroff is the kernel's" "$(xenstore-read "$directory/control/feature-poweroff")" 1
    same "$name: no mark of an active agent" "$(xenstore-read "$directory/data/xenpv/active" 2>/dev/null)" ""
}

mem_sets() { # ROUNDS
    for round in $(seq "$1"); do
        xl mem-set "$name" $((128 - round % 2 * 8))
        marked "mem-set $round" memory "$round"
    done
}

saves() { # ROUNDS
    for round in $(seq "$1"); do
        xl save "$name" /tmp/saved >/dev/null 2>&1
        xl restore /tmp/saved >/dev/null 2>&1
        rm /tmp/saved
        marked "restore $round" resume "$round"
        if await 20 publishes attr/PVAddons/Installed 1; then ok "$name: restore $round: published again"; else
            not_ok "$name: restore $round" "it publishes nothing"
        fi
        same "$name: restore $round: the marker of suspend" "$(markers suspend)" "$round"
        same "$name: restore $round: nobody asked for a sysrq" "$(markers sysrq)" 0
        same "$name: restore $round: nothing of unknown kind" "$(markers shutdown)" 0
    done
}

checkpoints() { # ALREADY
    xl save -c "$name" /tmp/saved >/dev/null 2>&1
    rm /tmp/saved
    marked "checkpoint" resume $(($1 + 1))
}

ends() { # VERB EVENT
    xl "$1" "$name"
    await 40 is_over || not_ok "$name: $1" "the guest still runs: $(xl list "$name" | tail -n 1)"
    ! xl domid "$name" >/dev/null 2>&1 || lab-guest stop "$name"
    marked "xl $1" "$2" 1
    same "$name: xl $1: nothing of unknown kind" "$(markers shutdown)" 0
}

start_agent one
kernel_owns
mem_sets "$rounds"
saves "$rounds"
checkpoints "$rounds"
ends shutdown poweroff
start_agent two
ends reboot reboot
for number in $(seq 2 "$rounds"); do
    start_agent "down$number"
    ends shutdown poweroff
    start_agent "again$number"
    ends reboot reboot
done
for log in /var/log/xen/console/guest-*.log; do
    ! grep -q 'kernel BUG' "$log" || not_ok "$log" "kernel BUG"
done
finish
