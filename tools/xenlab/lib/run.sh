# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # the parts share variables
# `xenlab run` and `xenlab shell`.

run_options_help() {
    cat <<'END'
options:
    --disk IMG          a raw image, written to in place; repeatable. xen-blkback exports it as vbd
                        51712 (xvda), 51728 (xvdb), ... 51952, then 268439552, 268439808, ...
                        An image without write permission is exported read-only.
    --backend KIND      who exports the disks: blkback, Linux xen-blkback (default); qdisk, QEMU in dom0,
                        which cannot export read-only
    --vif               a network device, served by Linux xen-netback; repeatable: vif/0, vif/1, ...
                        The backend's end of vif/K is 10.77.K.1/24 and fd77:K::1/64, in a network
                        namespace of its own in dom0; lab-net K CMD runs a program there.
    --xenstored NAME    dom0's xenstored: xenstored, the one in C (default); oxenstored, the one in OCaml
    --guest pv|pvh      run in an unprivileged guest with these disks and vifs, not in dom0
    --with PROGRAM      a program of this machine, with its libraries, for dom0 and for guests, e.g. fio;
                        repeatable. A path, or a name in $PATH.
    --put HOST:GUEST    copy a file in before CMD, with its mode; repeatable. No directories.
    --get GUEST:HOST    copy a file out after CMD, with its mode; repeatable. No directories.
                        HOST may have colons in its name, GUEST may not.
    --timeout S         give up after S seconds, counted from the start of QEMU (default 600; 0: never)
    --mem MB            dom0's memory (default 512)
    --cpus N            dom0's virtual CPUs (default 1, which boots fastest on a busy host)
    --xenpv PATH        the xenpv program to put in place (default: $XENPV, then build/tools/xenpv)
    -v                  say what happens, on stderr
END
}

run_help() {
    cat <<'END'
usage: xenlab run [OPTION]... -- CMD [ARG]...

Boots Xen, runs CMD in dom0 or in a guest with stdin, stdout and stderr passed through byte for byte,
and ends with CMD's status (128 + N when signal N ended it). CMD is not a shell line: use sh -c '...'.
It is run as root in /root; GUEST names the machine where it runs. The run is over when CMD ends,
whatever it left in the background; what was written to a disk is then in its image.

END
    run_options_help
    cat <<'END'

status: CMD's own, or
    124  timed out: CMD was cut off, --get files were not fetched
    125  the lab failed: bad usage, a missing image, a machine that does not boot, a --get that failed
         after a CMD that did not; one line on stderr says why and where the log is
    126, 127  CMD cannot be run, is not there

The log (console of Xen, dom0 and QEMU) is $XENLAB_LOG, or a file in $XENLAB_CACHE/logs.
The machine has $XENLAB_PROCESSORS processors, else 2, or as many as dom0. Where machines share this one,
1 is much faster than 2: processors of one machine that do not run at once wait for each other.

examples:
    xenlab run -- xl info
    truncate -s 64M disk.img; xenlab run --disk disk.img -- xenpv list
    xenlab run --backend qdisk --disk disk.img -- xenpv info vbd/51712
    xenlab run --guest pv --disk a.img --disk b.img -- xenstore-ls device
    xenlab run --vif -- xenpv net ping vif/0 --address 10.77.0.2/24 10.77.0.1 --count 100
    xenlab run --put test.sh:/tmp/t --get /tmp/out:out -- sh /tmp/t
    tar c src | xenlab run -- sh -c 'tar x && ls -l src'
END
}

shell_help() {
    cat <<'END'
usage: xenlab shell [OPTION]...

A terminal in dom0, or in a guest with --guest. There is no time-out unless one is given.

END
    run_options_help
    cat <<'END'

examples:
    xenlab shell --disk disk.img
    xenlab shell --guest pvh --put my-frontend:/root/my-frontend
END
}

disks=() disk_modes=() programs=() copies=() vifs=0 guest='' backend=blkback xenstored=xenstored dom0_mb=512 dom0_cpus=1 xenpv='' verbose=() crashed=0

# parse_options SUBCOMMAND ARG...: sets the variables above, timeout, and command (what follows --).
parse_options() {
    local subcommand=$1 help="xenlab $1 --help"

    shift
    command=()
    while (($#)); do
        case $1 in
        --disk | --backend | --xenstored | --guest | --with | --put | --get | --timeout | --mem | --cpus | --xenpv)
            (($# > 1)) || usage_error "$1 needs a value" "$help"
            take_option "$1" "$2" "$help"
            shift 2
            ;;
        --vif)
            vifs=$((vifs + 1))
            ((vifs <= 256)) || usage_error "no address for more than 256 vifs" "$help"
            shift
            ;;
        -v)
            verbose=(--verbose)
            shift
            ;;
        --help | -h)
            "${subcommand}_help" || fail "cannot write the help"
            exit 0
            ;;
        --)
            command=("${@:2}")
            return
            ;;
        *) usage_error "not an option: $1" "$help" ;;
        esac
    done
}

# take_option NAME VALUE HELP
take_option() {
    local number

    case $1 in
    --disk) disks+=("$2") ;;
    --with) programs+=("$2") ;;
    --backend)
        [[ $2 == blkback || $2 == qdisk ]] || usage_error "--backend is blkback or qdisk, not $2" "$3"
        backend=$2
        ;;
    --xenstored)
        [[ $2 == xenstored || $2 == oxenstored ]] ||
            usage_error "--xenstored is xenstored or oxenstored, not $2" "$3"
        xenstored=$2
        ;;
    --put | --get)
        [[ $2 == ?*:?* ]] || usage_error "$1 wants two names with a colon between them: $2" "$3"
        copies+=("$1" "$2")
        ;;
    --guest)
        [[ $2 == pv || $2 == pvh ]] || usage_error "--guest is pv or pvh, not $2" "$3"
        guest=$2
        ;;
    --timeout | --mem | --cpus)
        [[ $2 =~ ^[0-9]{1,7}$ ]] || usage_error "$1 wants a number, not $2" "$3"
        number=$((10#$2))
        case $1 in
        --timeout) timeout=$number ;;
        --mem)
            ((number >= 256)) || usage_error "--mem: dom0 needs 256 MB, not $number" "$3"
            dom0_mb=$number
            ;;
        --cpus)
            ((number >= 1 && number <= 64)) || usage_error "--cpus is 1 to 64, not $number" "$3"
            dom0_cpus=$number
            ;;
        esac
        ;;
    --xenpv) xenpv=$2 ;;
    esac
}

check_disks() {
    local i image size

    ((${#disks[@]} <= 256)) || fail "more than 256 disks"
    for ((i = 0; i < ${#disks[@]}; i++)); do
        image=${disks[i]}
        [[ -e $image ]] || fail "no such image: $image"
        [[ -f $image ]] || fail "not a regular file: $image"
        [[ -r $image ]] || fail "cannot read $image"
        size=$(stat -L -c %s -- "$image")
        ((size > 0 && size % 512 == 0)) || fail "size of $image is $size bytes, not a multiple of 512"
        disks[i]=$(realpath -- "$image")
        disk_modes[i]=w
        # root may write to a file that nobody has the permission to write to.
        [[ -w $image && $(stat -L -c %A -- "$image") == *w* ]] || disk_modes[i]=r
        # It refuses with "Block node is read-only".
        [[ $backend == blkback || ${disk_modes[i]} == w ]] || fail "qdisk cannot export read-only: $image"
    done
}

check_copies() {
    local i name

    for ((i = 0; i < ${#copies[@]}; i += 2)); do
        name=${copies[i + 1]}
        if [[ ${copies[i]} == --put ]]; then
            name=${name%:*}
            [[ -f $name && -r $name ]] || fail "--put: not a readable file: $name"
        else
            name=${name#*:}
            [[ -d $(dirname -- "$name") ]] || fail "--get: no such directory: $(dirname -- "$name")"
            [[ ! -d $name ]] || fail "--get: a directory: $name"
        fi
    done
}

find_programs() {
    local i program

    for i in "${!programs[@]}"; do
        program=$(type -P -- "${programs[i]}") || fail "--with: no such program: ${programs[i]}"
        programs[i]=$program
    done
}

find_xenpv() {
    local default=$lab_home/../../build/tools/xenpv

    xenpv=${xenpv:-${XENPV:-}}
    if [[ -n $xenpv ]]; then
        [[ -f $xenpv && -x $xenpv ]] || fail "not a program: $xenpv"
    elif [[ -f $default && -x $default ]]; then
        xenpv=$default
    elif [[ ${command[0]} == xenpv ]]; then
        fail "no xenpv program: build it, or say where it is with --xenpv or \$XENPV"
    fi
}

count_processors() {
    processors=${XENLAB_PROCESSORS:-$((dom0_cpus > 2 ? dom0_cpus : 2))}
    [[ $processors =~ ^[1-9][0-9]?$ ]] || fail "\$XENLAB_PROCESSORS is 1 to 99, not $processors"
}

open_log() {
    local old

    log=${XENLAB_LOG:-}
    if [[ -z $log ]]; then
        mkdir -p "$cache/logs" 2>/dev/null || fail "cannot make $cache/logs"
        find "$cache/logs" -type f -printf '%T@ %p\n' | sort -rn | tail -n +20 | cut -d ' ' -f 2- |
            while read -r old; do rm -f "$old"; done
        log=$(mktemp "$cache/logs/$(date +%Y%m%d-%H%M%S).XXXX")
    fi
    log=$(realpath -- "$log" 2>/dev/null) || fail "no directory for the log: ${XENLAB_LOG:-}"
    { : >"$log"; } 2>/dev/null || fail "cannot write the log $log"
}

# Directories of runs that were killed before they could remove them.
remove_orphans() {
    local dir pid

    for dir in "${TMPDIR:-/tmp}"/xenlab.*.??????; do
        pid=${dir##*/xenlab.}
        pid=${pid%.*}
        [[ ! -O $dir || ! $pid =~ ^[0-9]+$ || -d /proc/$pid ]] || rm -rf "$dir"
    done
}

cleanup() {
    [[ -z ${client:-} ]] || kill -KILL "$client" 2>/dev/null || true
    stop_qemu
    rm -rf "$run_dir"
}

start_client() {
    local steps=(--begin lab-attach --end sync)

    if [[ -n $guest ]]; then
        steps=(--begin "lab-run-guest $guest" --end sync --inner "unix:$run_dir/guest")
    fi
    setsid setpriv --pdeathsig KILL "$base/lab-client" --log "$log" --complaints "$run_dir/complaints" \
        --timeout "$timeout" "${verbose[@]}" "${terminal[@]}" "${copies[@]}" "${steps[@]}" \
        "unix:$run_dir/dom0" -- "${command[@]}" <&0 &
    client=$!
}

# Waits for the client; sets status. QEMU never ends before it unless something is wrong.
await_end() {
    local ended

    while [[ -n $client ]]; do
        status=0
        # bash would add its own word on a process that a signal ended.
        { wait -n -p ended "$client" ${qemu:+"$qemu"} || status=$?; } 2>/dev/null
        if [[ ${ended:-} == "$client" ]]; then
            client=
        elif [[ ${ended:-} == "${qemu:-none}" ]]; then
            qemu='' crashed=1
            kill -TERM "$client" 2>/dev/null || true
        fi
    done
    ((!crashed)) || status=125
}

# What went wrong, and when the machine is to blame, the end of its log.
report() {
    local line machine=''

    if line=$(grep -A 1 "^qemu-system" "$log" | grep -v "terminating on signal" | tr "\n" " ") && ((crashed)); then
        say "QEMU does not run: ${line#*: }"
    else
        while read -r line; do
            say "$line"
            [[ $line == --* || $status != 125 ]] || machine=1
        done <"$run_dir/complaints"
    fi
    [[ -z $machine ]] || tail -n 5 "$log" | sed "s/^/    /" >&2
    if ((crashed)) || [[ -s $run_dir/complaints ]]; then
        say "the log is $log"
    fi
}

run_machine() {
    { true <&0; } 2>/dev/null || exec </dev/null
    { true >&1; } 2>/dev/null || exec >/dev/null
    check_disks
    check_copies
    find_programs
    find_xenpv
    count_processors
    ensure_base
    [[ $backend != qdisk ]] || require_installed "${qdisk_packages[@]}"
    open_log
    remove_orphans
    run_dir=$(mktemp -d "${TMPDIR:-/tmp}/xenlab.$$.XXXXXX" 2>/dev/null) ||
        fail "cannot make a directory in ${TMPDIR:-/tmp}"
    : >"$run_dir/complaints"
    trap cleanup EXIT
    trap "exit 129" HUP
    trap "exit 130" INT
    trap "exit 143" TERM
    start_qemu
    start_client
    trap "" TSTP
    for signal in INT TERM HUP WINCH; do
        # shellcheck disable=SC2064 # the signal's name now, the process then
        trap "kill -$signal \"\$client\" 2>/dev/null || true" "$signal"
    done
    await_end
    report
    exit "$status"
}

run_command() {
    timeout=600 terminal=()
    parse_options run "$@"
    ((${#command[@]})) || usage_error "no command: it follows --" "xenlab run --help"
    run_machine
}

shell_command() {
    timeout=0 terminal=()
    parse_options shell "$@"
    ((${#command[@]} == 0)) || usage_error "shell runs no command" "xenlab shell --help"
    command=(sh -l)
    [[ ! -t 0 ]] || terminal=(--terminal)
    run_machine
}
