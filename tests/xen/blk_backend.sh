#!/bin/sh
# SPDX-License-Identifier: MIT
# In dom0, which alone can unbind the backend's driver: the command line tool while its backend goes away, and
# comes back or does not.
# usage: blk_backend.sh MIB (disks 51712 and 51728, of MIB MiB both)
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh

one=vbd/xvda two=vbd/xvdb
backend=/local/domain/0/backend/vbd/0/51712
driver=/sys/bus/xen-backend/drivers/vbd

xenpv blk copy $one $two || not_ok "copy" "exit $?"
mkfifo /tmp/pipe
# hold OPTIONS...: a read that is held back in the middle; its output is descriptor 7.
hold() {
    xenpv -v "$@" blk read $one >/tmp/pipe 2>/tmp/holder &
    holder=$!
    exec 7</tmp/pipe
    dd bs=4096 count=1 <&7 2>/dev/null >/tmp/first
    echo vbd-0-51712 >$driver/unbind
}
came() {
    cat /tmp/first - <&7 | sum
    exec 7<&-
}
hold
echo vbd-0-51712 >$driver/bind
same "a backend that restarts: all is read" "$(came)" "$(xenpv blk read $two | sum)"
wait $holder || not_ok "a backend that restarts" "$(cat /tmp/holder)"
same "a backend that restarts: it is told" "$(grep -c '^xenpv: vbd/51712: connected again' /tmp/holder)" 1
hold --timeout 2000
xenstore-write $backend/state 6
came >/dev/null
wait $holder
same "a backend that stays away: the status" $? 1
same "a backend that stays away: it is told" \
    "$(grep -c "state: found 6 (Closed), .* gave up after 2[0-9]* ms; .* bytes were read$" /tmp/holder)" 1
echo vbd-0-51712 >$driver/bind
hold
xenstore-write $backend/state 6
until grep -q "connection is lost" /tmp/holder; do usleep 100000; done
kill -TERM $holder
came >/dev/null
wait $holder
same "a signal while it is awaited" $? 143
echo vbd-0-51712 >$driver/bind
same "and the disk is good afterwards" "$(xenpv blk verify $one $two)" \
    "vbd/51712 and vbd/51728 are equal: $(($1 * 1024 * 1024)) bytes"

same "no lock file is left" "$(find /run -name 'xenpv-*')" ""
finish
