# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# Bash completion.

echo "# completion"
# completes WANTED WORD...: what is offered for the last word, among it WANTED; as bash cuts words,
# with the = between an option and its value alone.
completes() {
    local wanted=$1 offered
    shift
    offered=$(
        # shellcheck source=completions/xenpv.bash
        . "$here/../../completions/xenpv.bash"
        xenpv() { "$xenpv" "$@"; }
        COMP_WORDS=(xenpv "$@")
        COMP_CWORD=$#
        _xenpv
        echo " ${COMPREPLY[*]} "
    )
    case $offered in
    *" $wanted "*) ok "completing '$*'" ;;
    *) not_ok "completing '$*'" "'$wanted' is not among:$offered" ;;
    esac
}
completes blk ""
completes mock --port m
completes mock --port = m
completes auto --port =
completes blk --port = mock ""
completes blk --port = mock b
completes copy --port = mock blk c
completes discard blk ""
completes net ""
completes ping net ""
completes --no-gso4 net tap --no-g
completes --no-static-grants info vif/0 --no-s
completes --pcap net recv vif/0 --pc
completes pair --mock-net p
completes loopback --mock-net = l
completes odd.img --mock-net pcap = o
completes odd.img --mock-net = pair,capture = o
completes vif/0 --mock-net pair net recv v
completes vif/1 --mock-net = pair --mock-net = loopback info v
completes memory bench net --link m
completes rx bench net --direction = r
completes off bench net --gso ""
completes vif/0 --mock-net pair bench net --gso off v
completes agent a
completes --hook agent --h
completes resume= agent --hook r
completes nobody agent --user nob
completes ls store ""
completes transaction store t
completes --recursive store chmod --r
completes --watch-timeout store watch --w
completes --in store transaction --i
completes device --mock-disk odd.img store ls ""
completes device/vbd --mock-disk odd.img store ls device/
completes /local/domain/1/device --mock-disk odd.img store ls /local/domain/1/d
completes device/vbd/51712/state --mock-disk = odd.img store read -n 1 device/vbd/51712/st
completes --budget list --b
completes --watch list --w
completes send message ""
completes --no-wait message send --n
completes --follow message receive --f
completes time ti
completes --no-persistent info --no-p
completes --take-over blk flush --t
completes --target-offset blk copy --t
completes freebsd blk flush --units = f
completes vbd/51712 --mock-disk odd.img blk read v
completes vbd/xvda --mock-disk = odd.img info vbd/x
completes odd.img --mock-disk odd.img blk copy vbd/51712 o
completes odd.img --mock-disk o
completes odd.img net send vif/0 --pcap o
