#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# usage: port_linux.sh PORT_LINUX
# The Linux port on a real Xen, in dom0 and in guests.
set -euo pipefail
program=${1:?usage: port_linux.sh PORT_LINUX}
here=$(dirname -- "$(realpath -- "$0")")
lab=$here/../../tools/xenlab/xenlab
disk=$(mktemp)
trap 'rm -f "$disk"' EXIT
truncate -s 16M "$disk"

# in_lab SCRIPT [OPTION]...: the script is run beside the program.
in_lab() {
    local script=$1

    shift
    echo "# $script"
    "$lab" run --timeout 240 "$@" --put "$program:/root/port_linux" \
        --put "$here/$script:/root/$script" -- sh "/root/$script"
}

failed=0
in_lab port_linux_dom0.sh || failed=1
in_lab port_linux_restore.sh --mem 900 || failed=1
in_lab port_linux_claim.sh --guest pv --disk "$disk" || failed=1
exit $failed
