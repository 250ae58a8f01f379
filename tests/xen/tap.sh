# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# For scripts that run inside the lab (busybox): lines "ok - " and "not ok - ", and a status at the end.

failures=0

ok() { # WHAT
    echo "ok - $1"
}

not_ok() { # WHAT DETAIL
    echo "not ok - $1: $2"
    failures=$((failures + 1))
}

same() { # WHAT FOUND EXPECTED
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "found '$2', expected '$3'"; fi
}

# refused WHAT STATUS WORDS COMMAND...: exactly one line on stderr, with these words, nothing on stdout.
refused() {
    what=$1 status=$2 words=$3
    shift 3
    found=0
    "$@" >/tmp/out 2>/tmp/err </dev/null || found=$?
    if [ $found -ne "$status" ]; then
        not_ok "$what" "exit $found, expected $status: $(cat /tmp/err)"
    elif [ -s /tmp/out ]; then
        not_ok "$what" "it wrote to standard output"
    elif [ "$(wc -l </tmp/err)" -ne 1 ]; then
        not_ok "$what" "not one line: $(cat /tmp/err)"
    elif ! grep -q -e "$words" /tmp/err; then
        not_ok "$what" "no '$words' in: $(cat /tmp/err)"
    else
        ok "$what ($(cat /tmp/err))"
    fi
}

sum() {
    sha256sum | cut -d ' ' -f 1
}

finish() {
    [ $failures -eq 0 ]
    exit $?
}
