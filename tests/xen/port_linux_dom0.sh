#!/bin/sh
# SPDX-License-Identifier: MIT
# In dom0, which is lost afterwards: port_linux, then what it says of each thing that can be missing.
set -u
failed=0

# says WORDS ARG...: port_linux open ARG says these words.
says() {
    words=$1
    shift
    said=$(./port_linux open "$@")
    case $said in
    *"$words"*) echo "ok - open $* says: $said" ;;
    *) echo "not ok - open $* says: $said, not: $words" && failed=1 ;;
    esac
}

without() {
    mv "/dev/xen/$1" /root/node
    says "$2"
    mv /root/node "/dev/xen/$1"
}

# A machine that xenstored has left hangs who asks it: the last thing to try.
without_xenstored() {
    kill "$(cat /run/xenstored.pid)"
    while kill -0 "$(cat /run/xenstored.pid)" 2>/dev/null; do usleep 10000; done
    says "does not answer: is xenstored running?"
}

./port_linux || failed=1
says "open, caps 1d, with map calls"
without gntdev "open, caps 11, without map calls"
without gntalloc "/dev/xen/gntalloc is missing: load its module with 'modprobe xen-gntalloc'"
without evtchn "/dev/xen/evtchn is missing: load its module with 'modprobe xen-evtchn'"
says "no permission to open /dev/xen/xenbus: run as root" 1000
chmod 666 /run/xenstored/socket /dev/xen/evtchn
says "no permission to open /dev/xen/gntalloc: run as root" 1000
chmod 666 /dev/xen/gntalloc
says "open, caps 11, without map calls" 1000
without_xenstored
exit $failed
