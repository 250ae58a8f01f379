#!/bin/sh
# SPDX-License-Identifier: MIT
# What only a guest can show: a device that the kernel has bound.
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh

modprobe xen-blkfront
until grep -q xvda /proc/partitions; do usleep 50000; done
refused "a device bound to a kernel driver" 1 "kernel driver vbd" xenpv blk read vbd/51712
grep -q xvda /proc/partitions && ok "the kernel still has it"
same "list says who holds it" "$(xenpv list | grep -c 'kernel driver vbd')" 3
same "--take-over takes it" "$(xenpv blk read --take-over vbd/51712 | sum)" "$1"
finish
