#!/bin/sh
# SPDX-License-Identifier: MIT
# What only dom0 can show: backends that hang, and that nothing stays granted or bound.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh

# The hypervisor's own account of dom0: grants in use, and open event channels.
grants() {
    xl dmesg -c >/dev/null
    xl debug-keys g
    xl dmesg | grep -c '^(XEN) .*\[0x[0-9a-f]*\]'
}
ports() {
    xl dmesg -c >/dev/null
    xl debug-keys e
    xl dmesg | grep -c '^(XEN) .*s=[0-9] '
}

before_grants=$(grants) before_ports=$(ports)
mkfifo /tmp/hold
xenpv blk write vbd/51712 --queues 1 --ring-order 0 </tmp/hold &
exec 7>/tmp/hold
until [ "$(xenstore-read device/vbd/51712/state)" = 4 ]; do usleep 20000; done
same "a connected ring is one mapped grant" "$(grants)" $((before_grants + 1))
same "and an event channel with two ends" "$(ports)" $((before_ports + 2))
exec 7>&-
wait
xenpv blk write vbd/51712 --queues 3 --ring-order 2 </tmp/hold &
exec 7>/tmp/hold
until [ "$(xenstore-read device/vbd/51712/state)" = 4 ]; do usleep 20000; done
same "3 rings of 4 pages are 12 mapped grants" "$(grants)" $((before_grants + 12))
same "and 3 event channels with two ends" "$(ports)" $((before_ports + 6))
exec 7>&-
wait
xenpv blk read vbd/51712 >/dev/null || not_ok "a read" "exit $?"
sleep 2 # blkback lets go of what it kept; Linux retries deferred grants once a second
same "no grant is left" "$(grants)" "$before_grants"
same "no event channel is left" "$(ports)" "$before_ports"

# A device whose backend is nobody: it says state 2 and never moves.
frontend=/local/domain/0/device/vbd/51999
backend=/local/domain/0/data/stuck
xenstore-write $frontend/backend $backend $frontend/backend-id 0 $frontend/state 1 \
    $backend/frontend $frontend $backend/frontend-id 0 $backend/online 1 $backend/state 2
refused "a backend that stays in InitWait" 1 "InitWait" xenpv --timeout 1000 blk read vbd/51999
same "the frontend gave up in order" "$(xenstore-read $frontend/state)" 6
same "no grant is left by it" "$(grants)" "$before_grants"
same "no event channel is left by it" "$(ports)" "$before_ports"

# dom0 may ask what became of the backend's domain.
xenstore-write $backend/state 2 $frontend/backend-id 4711 $frontend/state 1
refused "a backend whose domain is gone" 1 "domain 4711 is gone" xenpv --timeout 1000 blk read vbd/51999
lab-guest start doomed pv >/dev/null 2>&1
doomed=$(xl domid doomed)
lab-guest exec doomed sh -c 'sleep 1; echo c >/proc/sysrq-trigger' >/dev/null 2>&1 &
turns=0
until [ "$(xl list doomed 2>/dev/null | awk 'NR == 2 {print substr($5, 5, 1)}')" = c ] || [ $turns -gt 300 ]; do
    usleep 100000
    turns=$((turns + 1))
done
xenstore-write $frontend/backend-id "$doomed" $frontend/state 1
refused "a backend whose domain has crashed" 1 "domain $doomed has crashed" xenpv --timeout 1000 blk read vbd/51999
xenstore-write $frontend/backend-id 0
xenstore-rm $backend
refused "a backend that is gone" 1 "state" xenpv --timeout 1000 blk read vbd/51999
xenstore-rm $frontend

xenstore-write data/a/b 'two words' && same "store read" "$(xenpv store read data/a/b)" 'two words'
xenpv store write data/a/c 17 && same "store write" "$(xenstore-read data/a/c)" 17
same "store ls" "$(xenpv store ls data/a | tr '\n' ' ')" "b c "
xenpv store rm data/a
refused "store read of what is not there" 1 "data/a/b" xenpv store read data/a/b
finish
