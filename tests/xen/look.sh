#!/bin/sh
# SPDX-License-Identifier: MIT
# In dom0: what is seen of a guest's devices that come and go, from both sides; messages both ways; the time.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh

modprobe brd rd_nr=2 rd_size=1024
modprobe xen-netback
timeout 120 lab-guest start look pv /dev/ram0:xvda:w >/tmp/start 2>&1 || {
    not_ok "a guest starts" "$(cat /tmp/start)"
    finish
}
domid=$(xl domid look)
# shellcheck disable=SC2034 # toolstack.sh uses it
guest=look

# ---- list --watch, in the guest -------------------------------------------------------------------
# shellcheck disable=SC2317 # await calls it
seen() { # PATTERN
    inside cat /tmp/watch >/tmp/seen
    grep -Eq "$1" /tmp/seen
}

sees() { # WHAT PATTERN
    if await 15 seen "$2"; then ok "$1"; else not_ok "$1" "no '$2' in: $(cat /tmp/seen)"; fi
}

# shellcheck disable=SC2016 # for the shell inside
inside sh -c 'setsid xenpv list --watch >/tmp/watch 2>&1 </dev/null & echo $! >/tmp/watch.pid'
sees "what is there is told at first" '^added +vbd/51712 .* 2 InitWait'
xl block-attach look phy:/dev/ram1 xvdb w >/tmp/out 2>&1 || not_ok "xl block-attach" "$(cat /tmp/out)"
sees "a disk that xl attaches" '^added +vbd/51728 '
sees "and what its backend does" '^(added|changed) +vbd/51728 .*2 InitWait'
xl network-attach look mac=00:16:3e:77:00:01 script="$(which true)" >/tmp/out 2>&1 ||
    not_ok "xl network-attach" "$(cat /tmp/out)"
sees "a vif that xl attaches, and who it is" '^added +vif/0 .*mac:00:16:3e:77:00:01$'
same "list finds it by its address" \
    "$(inside xenpv info mac:00:16:3e:77:00:01 --output json | grep -c '"device": "vif/0"')" 1

# ---- list --all -----------------------------------------------------------------------------------
xenpv list --all >/tmp/all || not_ok "list --all" "exit $?"
same "seed_A4 list --all has the guest's three devices, both ends" \
    "$(awk -v d="$domid" '$1 == d && $2 == "look" && $5 == "Initialising" && $6 == 0 { print $3 }' /tmp/all |
        tr '\n' ' ')" "vbd/51712 vbd/51728 vif/0 "
# The console, too, whose frontend is not below device/.
same "and in JSON" "$(xenpv list --all --output json | grep -c '"domain_name": "look"')" 4
same "no end of them is missing" "$(grep -c missing /tmp/all)" 0
refused "which only dom0 may see" 4 "only domain 0" inside xenpv list --all
# Ends that are gone.
back=/local/domain/0/backend/vbd/$domid/51777
xenstore-write "$back/state" 2 "$back/frontend" "/local/domain/$domid/device/vbd/51777"
xenstore-write "/local/domain/$domid/device/vbd/51778/state" 1 \
    "/local/domain/$domid/device/vbd/51778/backend" "/local/domain/0/backend/vbd/$domid/51778"
xenpv list --all >/tmp/all
same "a frontend's directory that is missing" \
    "$(awk -v d="$domid" '$1 == d && $3 == "vbd/51777" { print $4, $6 }' /tmp/all)" "missing 2"
same "a backend's directory that is missing" \
    "$(awk -v d="$domid" '$1 == d && $3 == "vbd/51778" { print $4, $7 }' /tmp/all)" "1 missing"
xenstore-rm "$back" "/local/domain/$domid/device/vbd/51778"

# ---- detached -------------------------------------------------------------------------------------
# No frontend is loaded in the guest; this is what one says when it has closed.
xenstore-write "/local/domain/$domid/device/vbd/51728/state" 6 "/local/domain/$domid/device/vif/0/state" 6
sees "a frontend's state" '^changed +vbd/51728 +1 Initialising -> 6 Closed'
timeout 20 xl block-detach look 51728 >/tmp/out 2>&1 || not_ok "xl block-detach" "$(cat /tmp/out)"
sees "a disk that xl detaches" '^removed +vbd/51728 '
timeout 20 xl network-detach look 0 >/tmp/out 2>&1 || not_ok "xl network-detach" "$(cat /tmp/out)"
sees "a vif that xl detaches" '^removed +vif/0 '
same "what stays was told once" "$(grep -c '^[a-z]* *vbd/51712' /tmp/seen)" 1
# shellcheck disable=SC2016
inside sh -c 'kill -TERM $(cat /tmp/watch.pid); sleep 1; kill -0 $(cat /tmp/watch.pid) 2>/dev/null'
same "a signal ends it" $? 1

# ---- messages -------------------------------------------------------------------------------------
# shellcheck disable=SC2016
inside sh -c 'setsid xenpv message receive greeting >/tmp/got 2>&1 </dev/null &'
printf 'hi\001\\you' | xenpv message send --domain "$domid" greeting - >/tmp/out 2>&1
same "seed_O5 dom0 sends, and it is acknowledged" "$? $(cat /tmp/out)" "0 "
same "seed_O5 the guest receives it" "$(inside cat /tmp/got)" 'hi\x01\\you'
xenpv message receive --domain "$domid" --follow >/tmp/got 2>&1 &
receiver=$!
same "seed_O5 the guest sends, and it is acknowledged" \
    "$(inside xenpv message send answer 'all is well' --output json | tr -d ' \n')" \
    '{"key":"answer","bytes":11,"acknowledged":true}'
await 5 grep -q well /tmp/got
same "seed_O5 dom0 receives it" "$(cat /tmp/got)" "answer: all is well"
for number in 1 2 3 4 5 6; do
    inside sh -c "xenpv message send k $number-a & xenpv message send k $number-b; wait" || not_ok "send" "exit $?"
done
await 5 grep -q 6-b /tmp/got
same "seed_O5 of two senders nothing is lost" "$(grep -c '^k: ' /tmp/got)" 12
kill $receiver
wait $receiver
same "a signal ends the receiver" $? 143
refused "what nobody receives" 1 "nobody has received it" inside xenpv message send later 1 --timeout 300
same "is found later" "$(xenpv message receive --domain "$domid" later)" 1
refused "a guest may not send to another domain" 4 "no permission" inside xenpv message send --domain 0 k v
refused "a domain that is not there" 1 "no domain 4711" xenpv message send --domain 4711 k v
same "nothing is made for it" "$(xenstore-exists /local/domain/4711; echo $?)" 1

# ---- time -----------------------------------------------------------------------------------------
refused "seed_A7 Linux shows the wallclock to its kernel alone" 4 "wallclock" xenpv time
finish
