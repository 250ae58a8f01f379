#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: stream.sh send MIB|take
# One end of a TCP stream, as its standard input or output. The sum of what was sent or taken is then in
# /tmp/stream/sent or taken. /tmp/stream/data are 4 MiB, which repeat with a number before each.
cd /tmp/stream || exit

stream() { # MIB
    turn=0
    while [ $turn -lt $(($1 / 4)) ]; do
        echo $turn
        cat data
        turn=$((turn + 1))
    done
}

# No tee: BusyBox's moves a kilobyte at a time.
case $1 in
send)
    stream "$2" | sha256sum >sending
    stream "$2"
    mv sending sent
    ;;
take)
    sha256sum >taking
    mv taking taken
    ;;
esac
