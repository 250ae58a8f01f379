# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# Help, wrong usage, numbers.
echo "# help and version"
for words in --help -h help "help list" "help info" "help store" "help store ls" "help blk" \
    "list --help" "info --help" "store --help" "store read --help" "store write -h" \
    "store rm --help" "store mkdir -h" "help store exists" "store chmod -h" "help store getperms" \
    "store watch -h" "help store transaction" "blk --help" "blk read --help" "blk write --help" "help blk copy" \
    "help blk verify" "help blk flush" "help blk discard" "help net" "net --help" \
    "help net stats" "net ping --help" "help net recv" "help net send" "net tap -h" "agent --help"; do
    # shellcheck disable=SC2086
    run $words
    judge "xenpv $words" 0 ""
    [[ $(wc -l <out) -ge 5 ]] || not_ok "xenpv $words" "it says almost nothing"
done
run --version
judge "--version" 0 ""
grep -Eqx 'xenpv [0-9]+\.[0-9]+\.[0-9]+' out || not_ok "--version" "$(<out)"

echo "# wrong usage"
expect "no command" 2 "no command is given.*"
expect "unknown command" 2 "there is no command 'frob'.*" frob
expect "half a command" 2 "'blk' is no command: there are .*'blk read'.*" blk
expect "half a command and a stranger" 2 "'store frob' is no command: there are .*" store frob
expect "help for a stranger" 2 "there is no command 'frob'.*" help frob
expect "unknown option" 2 "there is no option --frob.*" list --frob
expect "a letter of another command" 2 "--recursive: 'store read' has no such option.*" store read -R x
expect "a letter without its value" 2 "-n: a value is missing" store watch x -n
expect "a letter with a bad value" 2 "--count: 'x' is no number.*" store watch a -nx
expect "unknown letter" 2 "there is no option -x.*" list -x
expect "unknown letter among others, behind a long option" 2 "there is no option -x; .*" --verbose -xv
expect "unknown letter behind another" 2 "there is no option -x; .*" -vx list
expect "option without its value" 2 "--offset: a value is missing" blk read vbd/51712 --offset
expect "value for an option without" 2 "--verbose=1: this option takes no value" --verbose=1 list
expect "too many arguments" 2 "list: too many arguments.*" list all
expect "too few arguments" 2 "blk read: too few arguments.*" blk read
expect "another command's option" 2 "--offset: 'list' has no such option.*" list --offset 1
expect "read has no --in" 2 "--in: 'blk read' has no such option.*" blk read vbd/1 --in x
expect "write has no --length" 2 "--length: 'blk write' has no such option.*" blk write vbd/1 --length 1
expect "read cannot copy" 2 "--target-offset: 'blk read' has no such option.*" blk read vbd/1 --target-offset 1
expect "list uses no disk" 2 "--no-barrier: 'list' has no such option.*" list --no-barrier
expect "info does not connect" 2 "--take-over: 'info' has no such option.*" info vbd/1 --take-over
expect "discard has no place to write" 2 "--out: 'blk discard' has no such option.*" blk discard vbd/1 --all --out x
expect "half a command of net" 2 "'net' is no command: there are .*'net stats'.*'net tap'.*" net
expect "a disk has no --no-gso4" 2 "--no-gso4: 'blk flush' has no such option.*" blk flush vbd/1 --no-gso4
expect "a network card has no --no-flush" 2 "--no-flush: 'net recv' has no such option.*" net recv vif/0 --no-flush
expect "recv sends nothing" 2 "--rate: 'net recv' has no such option.*" net recv vif/0 --rate 1
expect "bad units" 2 "--units: 'kib' is none of 512, sector-size, freebsd, mini-os" blk flush vbd/1 --units kib
expect "bad port" 2 "--port: 'kvm' is none of auto, linux, mock" --port kvm list
expect "bad output" 2 "--output: 'xml' is none of text, json" --output xml list
expect "mock disk on a real port" 2 "--mock-disk: .*--port linux" --port linux --mock-disk tiny.img list
for name in 51712 vbd vbd/ vbd/x vbd/-1 vbd/1x vbd/4294967296 vbd/xvd vbd/xvda01 vbd/XVDA xvda \
    serial: serial vif/0 /vbd/1 ""; do
    expect "device '$name'" 2 "'$name' is no disk.*" --mock-disk tiny.img blk read "$name"
done

# Out of range: the range is named.
while read -r option number range; do
    expect "$option $number" 2 "$option: $number is out of range: $range" \
        --mock-disk tiny.img blk flush vbd/51712 "$option" "$number"
done <<TABLE
--queues 0 1 to 64
--queues 65 1 to 64
--ring-order 5 0 to 4
--segments 0 1 to 4096
--segments 4097 1 to 4096
TABLE
while read -r command option number range; do
    expect "net $command $option $number" 2 "$option: $number is out of range: $range" \
        --mock-net pair net "$command" vif/0 "$option" "$number"
done <<TABLE
recv --count 0 1 to 4294967295
recv --duration 0 1 to 4294967
send --rate 0 1 to 1000000
send --rate 1000001 1 to 1000000
send --repeat 0 1 to 4294967295
tap --queues 65 1 to 64
TABLE
while read -r option number; do
    expect "$option $number" 0 "" --mock-disk tiny.img blk flush vbd/51712 "$option" "$number"
done <<TABLE
--queues 1
--queues 64
--ring-order 0
--ring-order 4
--segments 1
--segments 4096
TABLE

echo "# numbers"
for number in "" -1 +1 " 1" "1 " 0x10 1e3 1.5 ten K 1k 1KK 1KiB 1P; do
    expect "--offset '$number'" 2 "--offset: '.*' is no number.*" \
        --mock-disk tiny.img blk read vbd/51712 --offset="$number"
    expect "--length '$number'" 2 "--length: '.*' is no number.*" \
        --mock-disk tiny.img blk read vbd/51712 --length="$number"
done
for number in 18446744073709551616 99999999999999999999999 16777216T 18014398509481984K; do
    expect "--offset $number" 2 "--offset: $number is out of range: 0 to .*" \
        --mock-disk tiny.img blk read vbd/51712 --offset "$number"
done
for number in "" -1 1K ms 1.5; do
    expect "--timeout '$number'" 2 "--timeout: '.*' is no number.*" --timeout="$number" list
done
expect "--timeout 4294967296" 2 "--timeout: 4294967296 is out of range: 0 to .*" --timeout 4294967296 list
run --mock-disk odd.img blk read vbd/51712 --offset 1K --length 0001K --timeout 200
judge "1K is 1024" 0 ""
slice odd.img 1024 1024 >part
same "1K is 1024: the bytes" out part

echo "# what the mock's backends offer"
for pair in sg=2 gso4=x mtu=67 mtu=65536 queues=0 queues=65 queues=x queues= ring-order=5 segments=4097 flush=2 trusted=-1 \
    sector-size=511 granularity=0 restart=0 grants=8; do
    expect "--mock-backend $pair" 2 "--mock-backend ${pair%=*}: .*" --mock-backend "$pair" list
done
expect "a key without a value" 2 "--mock-backend: 'queues' has no value.*" --mock-backend queues list
expect "nothing" 2 "--mock-backend: '' has no value.*" --mock-backend "" list
expect "a comma too many" 2 "--mock-backend: '' has no value.*" --mock-backend queues=2, list
expect "an unknown key" 2 "--mock-backend: there is no key 'colour'.*" --mock-backend queues=2,colour=red list
expect "unknown units" 2 "--mock-backend units: 'kib' is none of .*" --mock-backend units=kib list
expect "a serial that is too long" 2 "--mock-backend serial: .* 63 .*" \
    --mock-backend "serial=$(head -c 64 /dev/zero | tr '\0' x)" list
expect "a mock on a real port" 2 "--mock-backend: .*--port linux" --port linux --mock-backend queues=2 list
expect "a backend that cannot be" 4 "--mock-disk tiny.img: cannot be made a disk: .*" \
    --mock-backend sector-size=4096,physical-sector-size=512 --mock-disk tiny.img list
