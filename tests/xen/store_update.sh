#!/bin/sh
# SPDX-License-Identifier: MIT
# xenstored is replaced by itself, again and again, while the store suite talks to it: the answers are the same, and
# connections keep their watches and transactions. Run in dom0.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
store_suite socket >/tmp/suite 2>&1 &
suite=$!
updates=0
while kill -0 $suite 2>/dev/null; do
    said=$(xenstore-control live-update -t 10 /usr/lib/xen-4.17/bin/xenstored 2>&1) ||
        not_ok "live update $updates" "$said"
    updates=$((updates + 1))
    usleep 300000
done
status=0
wait $suite || status=$?
grep -v '^# not on' /tmp/suite
same "the suite passes, with $updates live updates meanwhile" "$status $((updates > 2))" "0 1"
finish
