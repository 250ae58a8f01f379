#!/bin/sh
# SPDX-License-Identifier: MIT
# In dom0: port_linux in a guest that is checkpointed, then saved and restored.
set -eu
log=/var/log/xen/console/guest-g.log

# The guest's console, for a restored guest's own connection to dom0 is as dead as its other channels.
wait_for() {
    turns=0
    until grep -q "^# $1" $log; do
        turns=$((turns + 1))
        if [ $turns -gt 300 ]; then
            tail -n 30 $log
            echo "not ok - the guest does not say: $1"
            exit 1
        fi
        usleep 100000
    done
}

lab-guest start g pv
lab-guest exec g sh -c 'cat >port_linux && chmod +x port_linux
    setsid ./port_linux survive </dev/null >/dev/console 2>&1 &' <port_linux
wait_for held
xl save -c g /tmp/saved >/dev/null 2>&1
rm /tmp/saved
# The guest goes on as before: had it seen a restore here, it would see two below.
xl save g /tmp/saved >/dev/null 2>&1
xl restore /tmp/saved >/dev/null 2>&1
wait_for 'done'
tr -d '\r' <$log | grep -E '^(not )?ok |^# '
if grep 'kernel BUG' $log; then
    echo "not ok - the guest's kernel"
    exit 1
fi
tr -d '\r' <$log | grep -qx '# done, 0 failures'
