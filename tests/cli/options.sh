# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# The options that a command takes, and those that its help, the manual and the completion name.

# named: the options that stdout of the last run names.
named() {
    grep -Eo -- '--[a-z]+[0-9]?(-[a-z]+[0-9]?)*' out | sort -u
}

# value_of OPTION: "=" and a value that it may have; nothing if it has none.
value_of() {
    run list "$1"
    grep -q "a value is missing" err || return 0
    case $1 in
    --units) echo "=512" ;;
    --port) echo "=mock" ;;
    --output) echo "=text" ;;
    --mock-disk) echo "=odd.img" ;;
    --mock-net) echo "=pair" ;;
    --mock-backend) echo "=queues=1" ;;
    --repeats | --grants) echo "=9" ;;
    *) echo "=1" ;;
    esac
}

echo "# options: what is taken, and what is said of it"
families=(list info store blk net bench message time)
all=$(for command in "${families[@]}"; do run help "$command" && named; done | sort -u)
declare -A values
for option in $all; do
    values[$option]=$(value_of "$option")
    grep -Eq -- "(Fl| ,) -${option#--}( |\$)" "$here/../../docs/man/xenpv.1" ||
        not_ok "$option" "the manual does not have it"
    grep -Eq -- "$option\\>" "$here/../../completions/xenpv.bash" ||
        not_ok "$option" "the completion does not have it"
done
while read -r command arguments; do
    run help "${command/-/ }"
    says=" $(named | tr '\n' ' ')"
    wrong=""
    for option in $all; do
        [[ $option != --help && $option != --version ]] || continue
        # shellcheck disable=SC2086 # words
        run --mock-disk tiny.img ${command/-/ } $arguments "$option${values[$option]}"
        takes=yes
        ! grep -q "has no such option" err || takes=no
        # Of disks it takes some, and of network cards others.
        if [[ $command = info && $takes = no ]]; then
            run --mock-net pair info vif/1 "$option${values[$option]}"
            grep -q "has no such option" err || takes=yes
        fi
        [[ $says == *" $option "* ]] && tells=yes || tells=no
        [[ $takes == "$tells" ]] || wrong+=" $option (taken: $takes, in its help: $tells)"
    done
    name="help of ${command/-/ } names what it takes, and nothing else"
    if [[ -z $wrong ]]; then
        ok "$name"
    else
        not_ok "$name" "$wrong"
    fi
done <<TABLE
list --count 1
info vbd/1
store-ls
store-read x
store-write x y
store-mkdir x
store-rm x
store-exists x
store-chmod x r0
store-getperms x
store-watch x//y
store-transaction
blk-read vbd/1
blk-write vbd/1
blk-copy vbd/1 vbd/17
blk-verify vbd/1
blk-flush vbd/1
blk-discard vbd/1
net-stats vif/1
net-ping vif/1 10.77.0.1
net-recv vif/1
net-send vif/1
net-tap vif/1
bench-blk vbd/1
bench-net vif/9
message-send x
message-receive --count 1
time
TABLE
for command in "bench blk" "bench net"; do
    # shellcheck disable=SC2086 # words
    run help $command
    holds "$command: each once" [ -z "$(sed -n 's/^  \(--[a-z-]*\).*/\1/p' out | sort | uniq -d)" ]
done
rm -f 1
