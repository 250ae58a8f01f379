# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# What the parts of the test share: running the tool and judging it, and images.
failures=0

ok() {
    echo "ok - $1"
}

not_ok() {
    echo "not ok - $1"
    failures=$((failures + 1))
    shift
    printf '#   %s\n' "$@"
}

# run ARGS...: runs it; leaves out, err and $status.
run() {
    status=0
    "$xenpv" "$@" >out 2>err </dev/null || status=$?
}

# judge NAME STATUS PATTERN: how the last run ended. PATTERN is an extended regular expression for
# the one line on stderr; empty: nothing may be there.
judge() {
    local name=$1 wanted=$2 pattern=$3 lines
    lines=$(wc -l <err)
    if [[ $status -ne $wanted ]]; then
        not_ok "$name" "status $status instead of $wanted" "stderr: $(head -c 500 err)"
    elif [[ -z $pattern && -s err ]]; then
        not_ok "$name" "unexpected on stderr: $(head -c 500 err)"
    elif [[ -n $pattern ]] && { [[ $lines -ne 1 ]] || ! grep -Eqx -- "xenpv: $pattern" err; }; then
        not_ok "$name" "stderr is not one line of '$pattern'" "$(head -c 500 err)"
    else
        ok "$name"
    fi
}

# expect NAME STATUS PATTERN ARGS...: runs and judges; what failed may have printed nothing.
expect() {
    local name=$1 wanted=$2 pattern=$3
    shift 3
    run "$@"
    if [[ $wanted -ne 0 && -s out ]]; then
        not_ok "$name" "it failed, and still printed: $(head -c 200 out)"
        return
    fi
    judge "$name" "$wanted" "$pattern"
}

# same NAME A B
same() {
    if cmp -s "$2" "$3"; then
        ok "$1"
    else
        not_ok "$1" "$(cmp "$2" "$3" 2>&1 || true)"
    fi
}

# printed NAME TEXT: stdout of the last run is this and nothing else.
printed() {
    if [[ $(<out) == "$2" ]]; then
        ok "$1"
    else
        not_ok "$1" "printed: $(<out)" "instead of: $2"
    fi
}

# last NAME PATTERN: the last line of stdout of the last run is this extended regular expression.
last() {
    if tail -n 1 out | grep -Eqx -- "$2"; then
        ok "$1"
    else
        not_ok "$1" "the last line is no '$2': $(tail -n 1 out)"
    fi
}

# json NAME FILTER: stdout of the last run is one JSON document for which the filter is true.
json() {
    if jq -es "length == 1 and (.[0] | $2)" out >/dev/null 2>jq-err; then
        ok "$1"
    else
        not_ok "$1" "$(head -c 500 jq-err)" "$(head -c 1000 out)"
    fi
}

# holds NAME COMMAND...: the command succeeds; if not, stderr of the last run is shown.
holds() {
    local name=$1
    shift
    if "$@"; then
        ok "$name"
    else
        not_ok "$name" "$* does not hold" "stderr: $(head -c 2000 err)"
    fi
}

# says NAME PATTERN [COUNT]: so many lines, 1 or more, on stderr of the last run have the extended
# regular expression in them.
says() {
    local lines
    lines=$(grep -Ec -- "$2" err || true)
    if [[ $lines -eq ${3-$lines} && $lines -ge 1 ]]; then
        ok "$1"
    else
        not_ok "$1" "'$2' is on $lines lines of stderr" "$(head -c 2000 err)"
    fi
}

# What nobody reads is opened through this.
mkfifo pipe

bytes() {
    head -c "$2" /dev/urandom >"$1"
}

# slice FILE OFFSET LENGTH
slice() {
    dd if="$1" bs=64K skip="$2" count="$3" iflag=skip_bytes,count_bytes status=none
}

sum() {
    sha256sum <"$1" | cut -d' ' -f1
}

KiB=1024
MiB=$((1024 * KiB))
bytes tiny.img 512
bytes odd.img $((MiB + 512))
bytes big.img $((64 * MiB))
bytes 100.img 100
: >empty.img
mkdir directory
