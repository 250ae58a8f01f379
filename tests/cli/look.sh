# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# Machines, images, list and info.
echo "# machines and images"
if [[ ! -e /proc/xen ]]; then
    expect "no Xen here" 4 "(this is not a Xen guest|this xenpv is built without).*" --port linux list
    expect "no Xen here, by itself" 4 "(this is not a Xen guest|this xenpv is built without).*" list
fi
expect "missing image" 4 "--mock-disk no.img: there is no such file" --mock-disk no.img list
expect "empty image" 4 "--mock-disk empty.img: it is a file of 0 bytes.*512.*" --mock-disk empty.img list
expect "image of 100 bytes" 4 "--mock-disk 100.img: it is a file of 100 bytes.*" --mock-disk 100.img list
expect "directory as image" 4 "--mock-disk directory: it is a directory.*" --mock-disk directory list
expect "second image missing" 4 "--mock-disk no.img: .*" --mock-disk tiny.img --mock-disk no.img list
expect "one image twice" 2 "--mock-disk ./tiny.img: it is --mock-disk tiny.img, too" \
    --mock-disk tiny.img --mock-disk odd.img --mock-disk ./tiny.img list
expect "a line break in a name" 4 "--mock-disk no\?img: there is no such file" --mock-disk $'no\nimg' list
expect "missing device" 1 "vbd/51728: there is no such device .*xenpv list.*" \
    --mock-disk tiny.img blk read vbd/51728
expect "missing device, by name" 1 "vbd/51728: there is no such device.*" \
    --mock-disk tiny.img blk read vbd/xvdb
expect "missing device, by serial number" 1 "serial:MOCK-1: no disk here has it; .*xenpv info.*" \
    --mock-disk tiny.img blk read serial:MOCK-1
expect "no disks at all, by serial number" 1 "serial:MOCK-1: no disk here has it; .*" \
    --port mock info serial:MOCK-1
expect "two disks with one serial number" 1 "serial:TWIN: more than one disk has it; .*" \
    --mock-disk tiny.img --mock-disk odd.img --mock-backend serial=TWIN blk read serial:TWIN
expect "missing device, info" 1 "vbd/51728: there is no such device.*" \
    --mock-disk tiny.img info vbd/51728
expect "missing device, write" 1 "vbd/51728: there is no such device.*" \
    --mock-disk tiny.img blk write vbd/51728

echo "# list and info"
expect "no devices" 0 "this domain has no PV devices" --port mock list
printed "no devices: nothing on stdout" ""
expect "no devices, JSON" 0 "this domain has no PV devices" --port mock list --output json
json "no devices, JSON: an empty list" '. == []'
run --mock-disk tiny.img --mock-disk odd.img list
judge "two disks" 0 ""
if [[ $(awk 'NR > 1 {print $1, $2, $3, $4}' out) == $'vbd/51712 xvda 0 1\nvbd/51728 xvdb 0 1' ]]; then
    ok "two disks: their rows"
else
    not_ok "two disks: their rows" "$(<out)"
fi
disks=()
for i in {1..17}; do
    cp tiny.img "tiny$i.img"
    disks+=(--mock-disk "tiny$i.img")
done
bytes tiny17.img 1024
run "${disks[@]}" --output json list
judge "17 disks" 0 ""
json "17 disks: the last has an extended number" \
    'length == 17 and .[0].id == 51712 and .[15].id == 51952 and .[16].id == 268439552
     and .[16].name == "xvdq" and .[16].backend_domain == 0'
run "${disks[@]}" blk read vbd/268439552
judge "17 disks: reading the last" 0 ""
same "17 disks: its bytes" out tiny17.img
run "${disks[@]}" blk read vbd/xvdq
judge "17 disks: reading the last by its name" 0 ""
same "17 disks: its bytes by its name" out tiny17.img
run "${disks[@]}" blk read serial:MOCK-268439552
judge "17 disks: reading the last by its serial number" 0 ""
same "17 disks: its bytes by its serial number" out tiny17.img
run --mock-disk tiny.img info vbd/51712
judge "info" 0 ""
if grep -q '^backend .*InitWait.*/local/domain/0/backend/vbd/1/51712' out &&
    grep -q '^vbd/51712 (xvda)$' out && grep -q '^feature-flush-cache ' out; then
    ok "info: both ends and the features"
else
    not_ok "info: both ends and the features" "$(<out)"
fi
run info vbd/51712 --mock-disk tiny.img --output=json
judge "info, JSON" 0 ""
json "info, JSON: both ends and the features" \
    '.device == "vbd/51712" and .name == "xvda" and .frontend.state == 1 and .backend.state == 2
     and .backend.domain == 0 and (.features | length) == 11
     and (.features | all(has("key") and has("offered") and has("used") and has("why_not_more")))'

# seen NAME LINE...: each stands on stdout of the last run, as an extended regular expression.
seen() {
    local name=$1 line
    shift
    for line in "$@"; do
        grep -Eqx -- "$line" out || {
            not_ok "$name" "no line is '$line'" "$(<out)"
            return
        }
    done
    ok "$name"
}

echo "# info: all of it"
run --mock-disk tiny.img info serial:MOCK-51712
judge "seed_A2 info by the serial number" 0 ""
seen "seed_A2 info shows who the disk is" "vbd/51712 \(xvda\)" "serial +MOCK-51712" \
    "designator +XENPV   MOCK-51712"
run --mock-disk tiny.img --mock-backend serial=VOL-1 info vbd/xvda --output json
json "seed_A2 info shows who the disk is, JSON" \
    '.device == "vbd/51712" and .serial == "VOL-1" and .designator == "XENPV   VOL-1"'
run --mock-disk tiny.img info vbd/51712
seen "info: what is used" "trusted +yes" "transport +queues 4, pages of a ring 4, segments of a request 64" \
    "features +indirect, large-ring, multi-queue \(of what is published so far\)"
run --mock-disk tiny.img --mock-backend trusted=0 info vbd/51712
seen "info: a backend that is not trusted" "trusted +no: .*"
run --mock-disk tiny.img info vbd/51712 --queues 2 --ring-order 1 --segments 20
seen "info: what would be used of what is asked for" \
    "transport +queues 2, pages of a ring 2, segments of a request 20"
run --mock-disk tiny.img info vbd/51712 --no-multi-queue --no-large-ring --no-indirect
seen "info: what would be used without features" \
    "transport +queues 1, pages of a ring 1, segments of a request 11" "features +- .*" \
    "multi-queue-max-queues .* 1  [a-z].*" "max-ring-page-order .* 0  [a-z].*" \
    "feature-max-indirect-segments .* 0  [a-z].*"
run --mock-disk tiny.img --mock-backend queues=1,ring-order=0,segments=0 info vbd/51712 --output json
json "info: a backend that offers nothing" \
    '.queues == 1 and .ring_pages == 1 and .segments == 11 and .features_used == []'

echo "# list --budget"
run "${disks[@]}" list --budget 17
judge "seed_O3 a budget that admits all says nothing" 0 ""
grep -Eq '^vbd/268439552 .* admitted  -$' out || not_ok "seed_O3 its column" "$(<out)"
expect "seed_O3 what is refused is said" 0 \
    "a budget of 15 disks and network cards has no room for vbd/51952, vbd/268439552" \
    "${disks[@]}" list --budget 15 --output json
json "seed_O3 what is refused, JSON" \
    '(map(select(.admitted)) | length) == 15 and .[14].admitted and (.[15].admitted | not)'
expect "seed_O3 many refused" 0 ".* no room for (vbd/[0-9]+, ){7}vbd/[0-9]+ and 9 more" \
    "${disks[@]}" list --budget 0
for i in {18..35}; do
    cp tiny.img "tiny$i.img"
    disks+=(--mock-disk "tiny$i.img")
done
expect "seed_O3 35 disks and 8 cards" 0 \
    "a budget of 40 disks and network cards has no room for vif/5, vif/6, vif/7" \
    "${disks[@]}" --mock-backend nics=8 list --budget 40 --output json
json "seed_O3 35 disks and 8 cards: how many are admitted" \
    '(map(select(.admitted and .class == "vbd")) | length) == 35
     and (map(select(.admitted and .class == "vif") | .id)) == [0, 1, 2, 3, 4]'
run "${disks[@]}" list --output json
json "without a budget nothing is admitted or refused" 'all(has("admitted") | not)'
