# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154,SC2016,SC2034
# agent.
echo "# agent"
# lines NAME COUNT PATTERN: so many lines of stdout of the last run have the extended regular expression in them.
lines() {
    local found
    found=$(grep -Ec -- "$3" out || true)
    if [[ $found -eq $2 ]]; then ok "$1"; else not_ok "$1" "'$3' is on $found lines, not $2" "$(head -c 2000 out)"; fi
}

# Active, each kind: a hook each, told what it is.
hooks=()
for event in poweroff reboot halt suspend s3 s4; do
    hooks+=(--hook "$event=echo hook \$XENPV_EVENT \$XENPV_MODE \$XENPV_EVIDENCE")
done
for event in poweroff reboot halt suspend s3 s4; do
    run agent --active "${hooks[@]}" --mock-control control/shutdown=$event
    judge "active: $event" 0 ""
    lines "active: $event: its hook" 1 "^hook $event active store$"
    lines "active: $event: no other" 1 "^hook "
    lines "active: $event: acknowledged" 0 acknowledged
done
run agent --active --hook poweroff=true --mock-control control/shutdown=reboot
judge "active: without a hook" 0 ""
lines "active: without a hook it is not obeyed" 0 event=reboot
lines "active: and it says so" 1 "not obeyed here, and not acknowledged: reboot"
run agent --active --hook sysrq='echo key $XENPV_SYSRQ' --mock-control control/sysrq=h
lines "active: sysrq" 1 "^key h$"
run agent --active --hook memory='echo $XENPV_TARGET_KIB KiB, $XENPV_GOAL_PAGES pages' \
    --mock-control memory/target=131072 --mock-control memory/target=1 --mock-control memory/target=junk
lines "active: memory" 1 "^131072 KiB, 32768 pages$"
lines "active: memory: the floor" 1 "^1 KiB, 8192 pages$"
lines "active: memory: junk" 1 "'junk' is no number of KiB"
run agent --hook resume='echo back' --mock-control resume= --mock-control resume=
lines "resume" 2 "^back$"

# Passive: what was taken before it could be read.
run agent --hook shutdown='echo $XENPV_EVENT $XENPV_EVIDENCE' --mock-control control/shutdown=
lines "passive: a kind that is not known" 1 "^shutdown none$"
lines "passive: it says its mode" 1 "event=started mode=passive"
run agent --hook reboot='echo $XENPV_MODE' --mock-control control/shutdown=reboot
lines "passive: a kind that was seen" 1 "^passive$"

# Hooks: several for one event, in their order; what fails, hangs or floods.
run agent --hook halt='echo 1' --hook halt='exit 7' --hook halt='kill -9 $$' --hook halt='echo 2' \
    --mock-control control/shutdown=halt
holds "hooks in their order" [ "$(grep -E '^[12]$' out | tr -d '\n')" = 12 ]
lines "a hook's status" 1 'status=7 '
lines "a hook killed by a signal" 1 'status=137 '
SECONDS=0
run agent --timeout 300 --hook halt='trap "" TERM; sleep 60' --hook halt='echo next' --mock-control control/shutdown=halt
lines "a hook that hangs" 1 "status=timeout"
lines "and the next one is run" 1 "^next$"
holds "it was killed" [ $SECONDS -lt 20 ]
run agent --hook halt='cat' --mock-control control/shutdown=halt
lines "a hook reads nothing" 1 'status=0 '
run agent --output json --hook halt='true "a  b"' --mock-control control/shutdown=halt
holds "a JSON object a line" [ "$(jq -r .event out | tr '\n' ' ')" = "started halt hook ended " ]

run agent --output json --hook halt='echo loud; printf "no end"' --mock-control control/shutdown=halt
holds "and no word of a hook between them" [ "$(jq -r .event out 2>&1 | tr '\n' ' ')" = "started halt hook ended " ]
holds "which is on the other stream" [ "$(cat err)" = "loud
no end" ]

# Signals.
for signal in TERM HUP; do
    "$xenpv" agent --port mock >out 2>err &
    until grep -q event=started out; do sleep 0.05; done
    kill -$signal $!
    status=0
    wait $! || status=$?
    judge "SIG$signal ends it" 0 ""
    lines "SIG$signal: it says so" 1 event=ended
done 2>/dev/null

expect "agent: no such event" 2 "--hook: 'frob=true' is no EVENT=COMMAND with one of poweroff, .*" agent --hook frob=true
expect "agent: no command" 2 "--hook: 'halt=' has no command" agent --hook halt=
expect "agent: no =" 2 "--hook: 'halt' is no EVENT=COMMAND.*" agent --hook halt
expect "agent: no PATH=VALUE" 2 "--mock-control: 'halt' is no PATH=VALUE" agent --mock-control halt
expect "agent: no such user" 4 "--user nobody-knows: there is no such user" agent --port mock --user nobody-knows
expect "agent: nothing of the mock on Linux" 2 "--mock-control: there is no mock with --port linux" \
    agent --port linux --mock-control resume=
expect "list has no --hook" 2 "--hook: 'list' has no such option.*" list --hook halt=true
if [[ ! -e /sys/hypervisor/type ]]; then
    expect "agent: off Xen" 4 ".*" agent
fi
if [[ $(id -u) -eq 0 ]]; then
    run agent --user nobody --hook halt='id -un' --mock-control control/shutdown=halt
    lines "hooks are run by the user" 1 "^nobody$"
    HOME=/root USER=root run agent --user nobody --hook halt='echo $HOME $USER $LOGNAME' --mock-control control/shutdown=halt
    lines "and find his home" 1 "^$(getent passwd nobody | cut -d : -f 6) nobody nobody$"
fi
