# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
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
