# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
# Devices that come and go, of one domain and of all; messages; the time.

echo "# who a device is"
run --mock-disk tiny.img --mock-net pair --mock-backend serial=VOL-1 list
judge "seed_A2 identities" 0 ""
if [[ $(grep -oE '(serial|mac):[^ ]+' out | tr '\n' ' ') == "serial:VOL-1 mac:00:16:3e:00:01:00 " ]]; then
    ok "seed_A2 seed_A4 list tells them as commands take them"
else
    not_ok "seed_A2 seed_A4 list tells them as commands take them" "$(<out)"
fi
run --mock-disk tiny.img --mock-net pair --mock-backend serial=VOL-1 list --output json
json "seed_A2 identities, JSON" '.[0].serial == "VOL-1" and .[1].mac == "00:16:3e:00:01:00"'
for identity in serial:VOL-1 mac:00:16:3e:00:01:00; do
    run --mock-disk tiny.img --mock-net pair --mock-backend serial=VOL-1 info "$identity"
    judge "seed_A4 found by $identity" 0 ""
done

echo "# list --watch"
run --mock-disk tiny.img --mock-disk odd.img --mock-net loopback \
    --mock-backend attach=500,detach=1500 list --watch --duration 3
judge "list --watch" 0 ""
if [[ $(awk '{print $1, $2}' out | sort | uniq -c | awk '{print $1, $2, $3}') == \
"1 added vbd/51712
1 added vbd/51728
1 added vif/0
1 changed vbd/51712
1 changed vbd/51728
1 removed vbd/51712
1 removed vbd/51728" && $(head -n 1 out | awk '{print $2}') == vif/0 ]]; then
    ok "list --watch: what came and went"
else
    not_ok "list --watch: what came and went" "$(<out)"
fi
run --mock-disk tiny.img --mock-backend attach=500,detach=1500 list --watch --count 3 --output json
judge "list --watch, JSON" 0 ""
if jq -es 'map(.event) == ["added", "changed", "removed"] and all(.class == "vbd" and .id == 51712)
        and .[0].serial == "MOCK-51712" and .[0].backend_state == 2 and .[0].backend_domain == 0
        and .[1].backend_before == 2 and .[1].backend_state == 6 and .[1].frontend_before == 1' \
    out >/dev/null && [[ $(wc -l <out) -eq 3 ]]; then
    ok "list --watch, JSON: an object a line"
else
    not_ok "list --watch, JSON: an object a line" "$(<out)"
fi
run --mock-disk tiny.img list --watch --count 2 --duration 1
judge "list --watch: too few" 1 "list: 1 of 2 events came in 1 seconds"
expect "list --count alone" 2 "list: --count and --duration are of --watch" --port mock list --count 1
expect "list --watch --all" 2 ".*exclude each other" --port mock list --watch --all
expect "list --watch --budget" 2 ".*exclude each other" --port mock list --watch --budget 1
"$xenpv" --mock-disk tiny.img list --watch >out 2>err &
pid=$!
for ((tick = 0; tick < 100; tick++)); do [[ -s out ]] || sleep 0.1; done
holds "it is flushed" [ -s out ]
kill -TERM $pid
status=0
wait $pid || status=$?
judge "list --watch ends by a signal" 143 ""

echo "# list --all"
run --mock-disk tiny.img --mock-net pair --mock-backend nics=1 list --all
judge "list --all" 0 ""
if [[ $(awk 'NR > 1 {print $1, $3, $4}' out) == $'1 vbd/51712 1\n1 vif/0 1\n1 vif/1 1\n2 vif/0 4' ]] &&
    grep -Eq '^1 .* vif/1 .* missing ' out; then
    ok "list --all: both domains, and a backend that is missing"
else
    not_ok "list --all: both domains, and a backend that is missing" "$(<out)"
fi
run --mock-disk tiny.img --mock-net pair --mock-backend nics=1 list --all --output json
json "list --all, JSON" 'map(.domain) == [1, 1, 1, 2] and .[0].serial == "MOCK-51712"
    and .[0].frontend == {exists: true, state: 1} and .[0].backend == {exists: true, state: 2}
    and .[2].backend == {exists: false, state: null} and .[2].backend_domain == null
    and .[3].backend.state == 4 and .[3].domain_fate == ""'
expect "list --all of no devices" 0 "no domain has PV devices" --port mock list --all

echo "# message"
run --port mock --mock-backend message=a=1 message send hello world
judge "seed_O5 sent and acknowledged" 0 ""
printed "seed_O5 and nothing is said" ""
run --port mock --mock-backend message=a=1 message send hello --output json
json "seed_O5 sent, JSON" '. == {key: "hello", bytes: 0, acknowledged: true}'
expect "seed_O5 nobody receives" 1 \
    "message send hello: nobody has received it in 500 ms; it stays there for who does later" \
    --port mock message send hello world --timeout 500
run --port mock message send hello world --no-wait --output json
json "seed_O5 not waited for" '. == {key: "hello", bytes: 5, acknowledged: false}'
run --port mock --mock-backend message=greeting=hi=you message receive greeting
judge "seed_O5 received" 0 ""
printed "seed_O5 the value" "hi=you"
holds "seed_O5 a line for each message" [ "$(wc -l <out)" = 1 ]
run --port mock --mock-backend message=greeting='h\i'$'\001' message receive
printed "seed_O5 of any key, with bytes that do not print" 'greeting: h\\i\x01'
run --port mock --mock-backend message=greeting=$'\377' message receive --output json
json "seed_O5 received, JSON" '. == {key: "greeting", value: "\u00ff"}'
expect "seed_O5 nothing to receive" 1 "message receive x: 0 of 1 came in 100 ms" \
    --port mock --mock-backend message=greeting=hi message receive x --timeout 100
run --port mock --mock-backend message=x=1 message receive x --count 2 --timeout 100
judge "seed_O5 too few" 1 "message receive x: 1 of 2 came in 100 ms"
printed "seed_O5 what came is printed" 1
run --port mock --mock-backend message=x=1 message receive --domain 1
printed "seed_O5 from a guest, in domain 0" "x: 1"
run --port mock --mock-backend message=x=1 message send --domain 1 key value
judge "seed_O5 to a guest, from domain 0" 0 ""
for verb in "send k" receive; do
    # shellcheck disable=SC2086 # two words
    expect "seed_O5 no such domain: $verb" 1 "message $verb: there is no domain 9" \
        --port mock message $verb --domain 9
done
for key in "" a.b a/b "a b" "$(printf '%065d' 0)"; do
    expect "seed_O5 no key: '$key'" 2 "message send: .* is no key: .*" --port mock message send "$key"
    expect "seed_O5 no key to receive: '$key'" 2 "message receive: .* is no key: .*" \
        --port mock message receive "$key"
done
for bytes in 1920 1921; do
    wanted=$((bytes == 1920 ? 0 : 2))
    status=0
    head -c $bytes /dev/zero | "$xenpv" --port mock --mock-backend message=a=1 message send k - >out 2>err ||
        status=$?
    [[ $wanted -eq 0 ]] && pattern="" || pattern="message send k: a value has at most 1920 bytes"
    judge "seed_O5 $bytes bytes of standard input" $wanted "$pattern"
    expect "seed_O5 $bytes bytes" $wanted "$pattern" --port mock --mock-backend message=a=1 \
        message send k "$(printf '%0*d' $bytes 0)"
done
mkfifo value.pipe
"$xenpv" --port mock message send k - <value.pipe >out 2>err &
pid=$!
exec {writer}>value.pipe # from now on it has been started, and waits
sleep 0.2
kill -TERM $pid
status=0
wait $pid || status=$?
exec {writer}>&-
judge "a signal while the value is read" 143 ""
expect "message receive --count --follow" 2 ".*exclude each other" \
    --port mock message receive --follow --count 1
"$xenpv" --port mock --mock-backend message=k=1 message receive --follow >out 2>err &
pid=$!
for ((tick = 0; tick < 100; tick++)); do [[ -s out ]] || sleep 0.1; done
holds "it is flushed" [ -s out ]
kill -TERM $pid
status=0
wait $pid || status=$?
judge "seed_O5 --follow ends by a signal" 143 ""
expect "no message for the mock" 2 ".*'x' is no KEY=VALUE" --port mock --mock-backend message=x list
expect "a bad key for the mock" 2 ".*'x y=1' is no KEY=VALUE" --port mock --mock-backend "message=x y=1" list

echo "# time"
run --port mock time
judge "seed_A7 time" 0 ""
printed "seed_A7 the mock's wallclock" 2020-09-13T12:26:40.000000000Z
run --port mock time --output json
json "seed_A7 time, JSON" '. == {ns: 1600000000000000000, utc: "2020-09-13T12:26:40.000000000Z"}'
