#!/bin/sh
# SPDX-License-Identifier: MIT
# In dom0 of a lab with --backend qdisk: a load on vbd/51744, and QEMU dies under it.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
# shellcheck source=tests/xen/toolstack.sh
. /root/toolstack.sh
program=$(pidof xen-qemu-system-i386)
command=$(tr '\0' ' ' <"/proc/$program/cmdline")
backend=/local/domain/0/backend/qdisk/0/51744

hammer_start 51744 2 discard || finish
hammer_verifies 51744 "qdisk keeps what is written"
kill -9 "$program"
usleep 300000
$command </dev/null >/var/log/qdisk.log 2>&1 &
await 20 state_is /local/domain/0/device-model/0 running
# It takes no device up by itself that another QEMU had: that is the toolstack's part.
xenstore-write $backend/state 1
hammer_awaits 51744 ^reconnected 1 || finish
hammer_ends 51744 "nothing is lost when QEMU dies and another takes its place"
finish
