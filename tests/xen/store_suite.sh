#!/bin/sh
# SPDX-License-Identifier: MIT
# The store suite in dom0, over xenstored's socket, through our store client over the same, over Linux's
# /dev/xen/xenbus, and in a PV guest over the latter; beside it test-xenstore, Debian's own. Run in dom0; store_suite is
# there and in guests.
# usage: store_suite.sh CONNECTION... (socket, client, xenbus: those of dom0)
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh
for connection in "$@"; do store_suite "$connection" || failures=$((failures + 1)); done
lab-guest start one pv || exit 1
domid=$(xl domid one)
store_suite "guest:$domid:exec lab-guest exec one store_suite relay" || failures=$((failures + 1))
xenstore-write "/local/domain/$domid/xenstore-test" ""
xenstore-chmod "/local/domain/$domid/xenstore-test" "n$domid"
same "test-xenstore in dom0" "$(test-xenstore -i 5 2>&1 | grep -c ' ns$\|avg')" 12
same "test-xenstore in a guest" "$(lab-guest exec one test-xenstore -i 5 2>&1 | grep -c ' ns$\|avg')" 12
finish
