# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
# store.
echo "# store"
store=(--mock-disk tiny.img store)
run "${store[@]}" ls device/vbd
judge "ls" 0 ""
printed "ls: the names" 51712
run "${store[@]}" ls
judge "ls of the own directory" 0 ""
grep -qx device out || not_ok "ls of the own directory" "$(<out)"
run "${store[@]}" ls device/vbd /local/domain/1/device/vbd
printed "ls of two: with their paths" $'device/vbd/51712\n/local/domain/1/device/vbd/51712'
run "${store[@]}" ls device/vbd --output json
json "ls, JSON" '. == [{"path": "device/vbd", "names": ["51712"]}]'
run "${store[@]}" read device/vbd/51712/state
printed "read: the value" 1
run "${store[@]}" read device/vbd/51712/state /local/domain/1/device/vbd/51712/backend-id
printed "read of two: with their paths" \
    $'device/vbd/51712/state: 1\n/local/domain/1/device/vbd/51712/backend-id: 0'
run "${store[@]}" read device/vbd/51712/state --output json
json "read, JSON" '. == [{"path": "device/vbd/51712/state", "value": "1"}]'
expect "read what is missing" 1 "store read device/no: there is no such node" "${store[@]}" read device/no
expect "one of two is missing" 1 "store read device/no: .*" "${store[@]}" read device/vbd/51712/state device/no
expect "ls what is missing" 1 "store ls device/no: there is no such node" "${store[@]}" ls device/no
expect "read without permission" 4 "store read /vm: this domain has no permission" "${store[@]}" read /vm
expect "no valid path" 1 "store read a//b: this is no valid path" "${store[@]}" read a//b
expect "write" 0 "" "${store[@]}" write data/a 1
expect "write of several" 0 "" "${store[@]}" write data/a 1 data/b 2
expect "write of bytes" 0 "" "${store[@]}" write data/a $'\x01\\\xff' --output json
json "write, JSON" '. == [{"path": "data/a"}]'
expect "write of what looks like an option" 0 "" "${store[@]}" write data/a -- -1
expect "write without a value" 2 "store write: b has no value.*" "${store[@]}" write a 1 b
expect "write without permission" 4 "store write /vm/a: this domain has no permission" "${store[@]}" write /vm/a 1
expect "write of much" 1 "store write data/a: .*" "${store[@]}" write data/a "$(head -c 5000 /dev/zero | tr '\0' x)"
expect "rm" 0 "" "${store[@]}" rm device/vbd/51712
expect "rm of several" 0 "" "${store[@]}" rm device/vbd/51712/state data
expect "rm of what is missing below what is there" 0 "" "${store[@]}" rm data/no
expect "rm below what is missing" 1 "store rm data/no/node: there is no such node" "${store[@]}" rm data/no/node
expect "rm without permission" 4 "store rm /tool: this domain has no permission" "${store[@]}" rm /tool

echo "# store: looking"
run "${store[@]}" ls -R device/suspend
printed "ls -R: names and values" 'event-channel = ""'
run "${store[@]}" ls -R device
holds "ls -R: indented" grep -qx '  state = "1"' out
run "${store[@]}" ls -fR device/vbd
holds "ls -R -f: paths" grep -qx 'device/vbd/51712/state = "1"' out
run "${store[@]}" ls -f device/vbd
printed "ls -f: paths" device/vbd/51712
run "${store[@]}" ls -R device/suspend device/vbd
holds "ls -R of two: under their paths" [ "$(grep -c '^device/.*:$' out)" = 2 ]
run "${store[@]}" ls --recursive device --output json
json "ls -R, JSON" '.[0].children | map(select(.name == "vbd"))[0].children[0] |
    .name == "51712" and .value == "" and (.children | map(select(.name == "state"))[0].value == "1")'
expect "ls -R of what is missing" 1 "store ls device/no: there is no such node" "${store[@]}" ls -R device/no
expect "ls -R without permission" 4 "store ls /vm: this domain has no permission" "${store[@]}" ls -R /vm
run "${store[@]}" exists device device/vbd
judge "exists" 0 ""
printed "exists prints nothing" ""
expect "one does not exist" 1 "" "${store[@]}" exists device device/no
run "${store[@]}" exists device device/no --output json
json "exists, JSON" '. == [{"path": "device", "exists": true}, {"path": "device/no", "exists": false}]'
expect "exists without permission" 4 "store exists /vm: this domain has no permission" "${store[@]}" exists /vm
run "${store[@]}" read --raw device/vbd/51712/state device/vbd/51712/backend-id
judge "read --raw" 0 ""
holds "read --raw: the bytes and nothing else" [ "$(od -An -c out | tr -d ' ')" = 10 ]
expect "raw JSON" 2 "store read: --raw is not --output json" "${store[@]}" read --raw device --output json

echo "# store: changing"
expect "mkdir" 0 "" "${store[@]}" mkdir data/d data/e/f
expect "mkdir without permission" 4 "store mkdir /tool/a: .*no permission" "${store[@]}" mkdir data/d /tool/a
expect "mkdir of what is there" 0 "" "${store[@]}" mkdir data
expect "rm -t" 0 "" "${store[@]}" rm -t device/suspend/event-channel
long=data/$(printf 'x%.0s' {1..5000})
expect "a path beyond all limits: the reason is told" 1 \
    "store read data/x+\.\.\.x+: the value or the path is too long" "${store[@]}" read "$long"
printf 'a\0\xff' >value
expect "write --in" 0 "" "${store[@]}" write --in value data/v
expect "write --in of two" 2 "store write: with --in .*" "${store[@]}" write --in value data/v 1
expect "write --in of nothing" 4 "none: cannot open it: .*" "${store[@]}" write --in none data/v
expect "write --in of much" 1 "store write data/v: the value or the path is too long" "${store[@]}" write --in big.img data/v

run "${store[@]}" getperms device
judge "getperms" 0 ""
printed "getperms: the modes" "n0 r1"
run "${store[@]}" getperms device data --output json
json "getperms, JSON" '. == [{"path": "device", "permissions": ["n0", "r1"]}, {"path": "data", "permissions": ["n1"]}]'
run "${store[@]}" ls -p device
printed "ls -p" $'suspend   (n0,r1)\nvbd   (n0,r1)'
run "${store[@]}" ls -pfR device/suspend
printed "ls -p -f -R" 'device/suspend/event-channel = ""   (n1)'
run "${store[@]}" ls -p device --output json
json "ls -p, JSON" '.[0].permissions == ["n0", "r1"] and .[0].children[0] == {"name": "suspend", "permissions": ["n0", "r1"]}'
expect "getperms without permission" 4 "store getperms /vm: this domain has no permission" "${store[@]}" getperms /vm
expect "chmod" 0 "" "${store[@]}" chmod data n1 r2
expect "chmod of what is missing" 1 "store chmod data/no: there is no such node" "${store[@]}" chmod data/no n1
expect "chmod without permission" 4 "store chmod device: this domain has no permission" "${store[@]}" chmod device n1
expect "chmod: no mode" 2 "store chmod: 'x1' is no mode: .*" "${store[@]}" chmod data n1 x1
run "${store[@]}" chmod -Ru device/vbd/51712/state n1 --output json
judge "chmod -R -u is all or nothing" 4 "store chmod .*: this domain has no permission"

# script TEXT ARGS...: as a transaction's standard input; the text goes through printf %b.
script() {
    local text=$1
    shift
    status=0
    printf '%b' "$text" | "$xenpv" "${store[@]}" transaction "$@" >out 2>err || status=$?
}

echo "# store: transactions"
script 'write data/a 1\nread data/a\n'
judge "a transaction" 0 ""
printed "it reads what it writes" 1
script '# what\n\n  write data/a "two  words" # and why\nread data/a\nread device/vbd/51712/state\nls data\n'
printed "blanks, comments, several answers" $'data/a: two  words\ndevice/vbd/51712/state: 1\ndata/a'
script 'write data/a a\\x00\\n\\"\\\\\\ b""\nread data/a\n'
printed "escapes" 'a\x00\x0a"\\ b'
script 'write data/a ""\nread data/a\nexists data/b\nexists data/a\r\nmkdir data/b\nrm data/a\nexists data/a' --output json
judge "a transaction, JSON" 0 ""
json "a transaction, JSON" '[.[] | [.line, .operation, .path, .value // .exists]] ==
    [[2, "read", "data/a", ""], [3, "exists", "data/b", false], [4, "exists", "data/a", true], [7, "exists", "data/a", false]]'
script 'mkdir data/a/b/c\nchmod data/a b1 r2\ngetperms data/a\ngetperms data/a/b'
printed "permissions" $'data/a: b1 r2\ndata/a/b: n1'
script ''
judge "an empty one" 0 ""
script 'write data/a 1\nwrite /vm/a 1\nread data/a\n'
judge "one change fails" 4 "store transaction: line 2: write /vm/a: this domain has no permission"
printed "and nothing is printed" ""
script 'write data/a 1\nread data/no\nread data/a\n'
judge "one question fails" 1 "store transaction: line 2: read data/no: there is no such node"
printed "and the others are answered" "data/a: 1"
script 'read data/no' --output json
json "a failed question, JSON" '. == [{"line": 1, "operation": "read", "path": "data/no", "error": "XENPV_ENOENT"}]'
while IFS='|' read -r text wanted; do
    script "$text"
    judge "script '$text'" 2 "store transaction: line $wanted"
done <<'TABLE'
frob a|1: frob is no operation; .*
read|1: read has too few words behind it
read a b|1: read has too many words behind it; .*
\n\nwrite a|3: write has too few words behind it
write a "b|1: a " that is not closed
write data/a b\\|1: a backslash with nothing behind it
write data/a \\q|1: there is no such escape: .*
write data/a \\xg0|1: .x without two hexadecimal digits behind it
write a\\x00 b|1: write has a word with .x00 that is no value
write a b\0c|1: a NUL; write .x00
read a//b|1: a//b this is no valid path
read ""|1: this is no valid path
chmod a q1|1: q1 is no mode: .*
chmod a r1 n|1: n is no mode: .*
chmod a r65536|1: r65536 is no mode: .*
TABLE
head -c 1048577 /dev/zero | tr '\0' '\n' >long
run "${store[@]}" transaction --in long
judge "a script of much" 2 "store transaction: the script has more than 1048576 bytes"
expect "a script that is not there" 4 "none: cannot open it: .*" "${store[@]}" transaction --in none

echo "# store: watches"
run "${store[@]}" watch -n 2 device data
judge "watch -n" 0 ""
printed "each path at once" $'device\ndata'
run "${store[@]}" --mock-backend changes=3 watch -n 3 data --watch-timeout 1000
judge "watch" 0 ""
printed "and what changes" $'data\ndata/changes\ndata/changes'
run "${store[@]}" --mock-backend changes=3 watch /local/domain/1/data --watch-timeout 1000 --output json
judge "watch --watch-timeout" 1 "store watch: 4 changes in 1000 ms, then gave up"
if jq -es 'map(.path) == ["/local/domain/1/data"] + ([range(3)] | map("/local/domain/1/data/changes"))' \
    out >/dev/null && [[ $(wc -l <out) -eq 4 ]]; then
    ok "watch, JSON: an object a line"
else
    not_ok "watch, JSON: an object a line" "$(<out)"
fi
expect "watch of no valid path" 1 "store watch a//b: this is no valid path" "${store[@]}" watch data a//b
run "${store[@]}" --mock-backend changes=100000 watch data --watch-timeout 1000000000
judge "watch of 100000 changes" 1 "store watch: 10000[01] changes in .*"
rm out
"$xenpv" "${store[@]}" watch data >out 2>err &
watcher=$!
until [[ -s out ]]; do sleep 0.02; done
printed "a line comes as it is printed" data
kill -TERM "$watcher"
status=0
wait "$watcher" || status=$?
judge "a signal ends it" 143 ""
