#!/bin/sh
# SPDX-License-Identifier: MIT
# The store commands beside xenstore-*, in dom0 or in a guest. usage: store.sh dom0|guest
# shellcheck source=tests/xen/tap.sh
. /root/tap.sh

where=$1
home=$(xenstore-read domid)
home=/local/domain/$home
rm -rf /tmp/store
mkdir /tmp/store
cd /tmp/store || exit 1

# says_what WHAT COMMAND...: what it prints is what is in `wanted`.
says_what() {
    what=$1
    shift
    "$@" >found 2>&1 || echo "exit $?" >>found
    same "$what" "$(cat found)" "$(cat wanted)"
}

# until_lines FILE COUNT: waits for so many lines, 20 s at the most.
until_lines() {
    tries=0
    until [ "$(wc -l <"$1")" -ge "$2" ] || [ $tries -ge 1000 ]; do
        usleep 20000
        tries=$((tries + 1))
    done
}

# watching ARG...: a watch in the background, once it has told its first change.
watching() {
    : >found
    xenpv store watch "$@" >found 2>err &
    watcher=$!
    until_lines found 1
}

# ------------------------------------------------------------------------ what one writes the other reads
xenpv store write data/t/a one "$home/data/t/b" "two  words" data/t/c/d ""
xenstore-read data/t/a data/t/b data/t/c/d >wanted
printf 'data/t/a: one\ndata/t/b: two  words\ndata/t/c/d: \n' >found
same "written by us, read by xenstore-read" "$(sed 's/^/x/' wanted)" "$(sed 's/^[^:]*: /x/' found)"
xenstore-write data/t/e three
xenstore-read data/t/e >wanted
says_what "read" xenpv store read data/t/e
xenstore-list data/t >wanted
says_what "ls" xenpv store ls data/t
xenstore-list "$home/data" >wanted
says_what "ls of an absolute path" xenpv store ls "$home/data"
xenstore-ls data/t >wanted
says_what "ls -R" xenpv store ls -R data/t
xenstore-ls -f "$home/data" >wanted
says_what "ls -R -f" xenpv store ls -R -f "$home/data"
xenstore-ls -f -p data/t >wanted
says_what "ls -R -f -p" xenpv store ls -R -f -p data/t
printf 'a\0\001\\\377' >value
xenpv store write --in value data/t/bytes
xenpv store read --raw data/t/bytes >found
same "bytes from a file and back" "$(od -An -tx1 found)" "$(od -An -tx1 value)"
xenstore-read -R data/t/bytes >found
same "and xenstore-read -R has them" "$(head -c 5 found | od -An -tx1)" "$(od -An -tx1 value)"
xenpv store write --in - data/t/bytes <value
same "bytes from standard input" "$(xenpv store read data/t/bytes)" 'a\x00\x01\\\xff'
xenpv store mkdir data/t/dir/deep
same "mkdir makes parents" "$(xenstore-list data/t/dir)" deep
xenpv store exists data/t/a data/t/dir
same "exists" $? 0
xenstore-exists data/t/none
wanted=$?
xenpv store exists data/t/a data/t/none
same "one does not exist" $? $wanted

# ------------------------------------------------------------------------------------------------ removal
xenstore-write data/x/1/2/3 "" data/y/1/2/3 "" data/y/keep 1 data/x/keep 1
xenstore-rm -t data/x/1/2/3
xenpv store rm -t data/y/1/2/3
same "rm -t" "$(xenpv store ls -R data/y)" "$(xenstore-ls data/x)"
xenpv store rm data/x data/y
xenstore-exists data/x
same "rm" $? 1
refused "rm below nothing" 1 "no such node" xenpv store rm data/none/none
refused "read of nothing" 1 "no such node" xenpv store read data/none

# -------------------------------------------------------------------------------------------- permissions
xenstore-write data/p/q/r 1 data/s/q/r 1
me=${home##*/}
xenstore-chmod data/p "n$me" r7
xenpv store chmod data/s "n$me" r7
same "chmod" "$(xenpv store getperms data/s)" "$(xenpv store getperms data/p)"
same "getperms" "$(xenpv store getperms data/p)" "n$me r7"
xenstore-chmod -r data/p "b$me" w7 r9
xenpv store chmod -R data/s "b$me" w7 r9
same "chmod -R" "$(xenstore-ls -p data/s)" "$(xenstore-ls -p data/p)"
xenpv store chmod -u data/s/q "r$me"
same "chmod -u" "$(xenpv store getperms data/s/q data/s data/s/q/r)" "data/s/q: r$me
data/s: r$me
data/s/q/r: b$me w7 r9"
refused "no mode" 2 "no mode" xenpv store chmod data/s q1

# ------------------------------------------------------------------------------------------- transactions
xenpv store transaction >found <<END
write data/t/a "one two"
read data/t/a
exists data/t/none
rm data/t/b
chmod data/t/a n$me r7
getperms data/t/a
ls data/t/c
END
same "a transaction" "$(cat found)" "data/t/a: one two
data/t/none: false
data/t/a: n$me r7
data/t/c/d"
same "it took effect" "$(xenstore-read data/t/a; xenstore-exists data/t/b || echo gone)" "one two
gone"
printf 'write data/t/a never\nread data/t/a\nrm data/none/none\n' >script
refused "one that fails" 1 "line 3: rm data/none/none: there is no such node" xenpv store transaction --in script
same "had no effect" "$(xenstore-read data/t/a)" "one two"
# xenstored gives up a transaction when what it has read or written was changed meanwhile.
while xenstore-write data/t/busy "$(date)"; do :; done 2>/dev/null &
disturber=$!
done=0
for i in 1 2 3; do
    printf 'read data/t/busy\nwrite data/t/busy %s\nwrite data/t/other %s\n' $i $i |
        xenpv store transaction >/dev/null 2>err && done=$((done + 1))
    [ ! -s err ] || cat err
done
kill $disturber
wait $disturber 2>/dev/null
same "XS_03 done in spite of a disturber" $done 3

# ------------------------------------------------------------------------------------------------ watches
: >wanted
xenstore-watch -n 4 data/t >wanted &
theirs=$!
watching -n 4 data/t
until_lines wanted 1
xenstore-write data/t/w/1 1
until_lines wanted 2
until_lines found 2
xenstore-write "$home/data/t/w/1" 2
until_lines wanted 3
until_lines found 3
xenstore-rm data/t/w
wait $theirs "$watcher"
same "watch" "$(cat found)" "$(cat wanted)"
xenpv store watch --watch-timeout 300 data/t >found 2>err
same "a watch that gives up" "$? $(cat found) $(cat err)" "1 data/t xenpv: store watch: 1 changes in 300 ms, then gave up"

# Many changes at once: the last one is seen.
for i in $(seq 300); do echo "write data/t/many/$i $i"; done >script
watching data/t/many --watch-timeout 60000
xenpv store transaction --in script
xenpv store write data/t/many/last 1
tries=0
until grep -q -x -e data/t/many/last found || [ $tries -ge 500 ]; do
    usleep 20000
    tries=$((tries + 1))
done
same "a change among many is seen" "$(grep -c -x -e data/t/many/last found)" 1
kill "$watcher"

guest() {
    refused "another's node" 4 "no permission" xenpv store read /tool
    for i in 1 2 3; do
        sed "s/many/many$i/" script >again
        xenpv store transaction --in again 2>err || break
    done
    same "the quota of nodes" "$i $(grep -c 'quota of the store is used up' err)" "3 1"
    xenpv store exists data/t/many3
    same "and nothing is there of what failed" $? 1
    refused "a value that is too long" 1 "quota\|too long" xenpv store write --in /bin/busybox data/t/long
}

dom0() {
    xenpv store rm data/t/bytes # xenstore-ls has another way to write them
    xenstore-ls -f -p >wanted
    says_what "all of the store" xenpv store ls -R -f -p /
    watching -n 2 @introduceDomain
    lab-guest start one pv >/dev/null 2>&1
    wait "$watcher"
    same "a domain comes" "$(cat found)" "@introduceDomain
@introduceDomain"
    watching -n 2 @releaseDomain
    for file in tap.sh store.sh; do lab-guest exec one sh -c "cat >/root/$file" <"/root/$file"; done
    lab-guest exec one sh /root/store.sh guest </dev/null
    same "in a guest" $? 0
    lab-guest stop one
    wait "$watcher"
    same "a domain goes" "$(tail -n 1 found)" "@releaseDomain"

    # xenstored is killed: nobody hangs, and each says so.
    watching data/t
    kill -9 "$(cat /run/xenstored.pid)"
    wait "$watcher"
    same "a watch ends when xenstored is killed" "$? $(cat err)" \
        "4 xenpv: store watch data/t: the store cannot be reached"
    refused "and so does a command" 4 "XenStore" timeout 30 xenpv store read data/t
}

case $where in dom0) dom0 ;; *) guest ;; esac
finish
