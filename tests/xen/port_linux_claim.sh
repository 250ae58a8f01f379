#!/bin/sh
# SPDX-License-Identifier: MIT
# In a guest with a disk: a device is claimed from the kernel's driver.
set -u
failed=0

# says WORDS ARG...: port_linux claim vbd 51712 ARG says these words.
says() {
    words=$1
    shift
    said=$(./port_linux claim vbd 51712 "$@")
    case $said in
    *"$words"*) echo "ok - claim $* says: $said" ;;
    *) echo "not ok - claim $* says: $said, not: $words" && failed=1 ;;
    esac
}

says "holder '', claim 0"
modprobe xen-blkfront
until [ -e /sys/block/xvda ]; do usleep 100000; done
says "holder 'kernel driver vbd', claim -9 it is bound to kernel driver vbd"
says "holder 'kernel driver vbd', claim 0" take
says "holder '', claim 0"
exit $failed
