# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # the parts share variables
# `xenlab build`: what does not change from run to run, in $cache/base-KEY: xen, initrd (an
# uncompressed cpio archive of dom0's file system), net.cpio (what dom0 gets with a vif), domu.cpio (of a
# guest's file system), vmlinux (both kernels), lab-client.

build_help() {
    cat <<'END'
usage: xenlab build

Prepares the machine that `xenlab run` and `xenlab shell` boot, in $XENLAB_CACHE
(default ~/.cache/xenlab): downloads Debian's Xen and kernel as apt knows them now, compiles the
lab's own programs, packs dom0's and the guests' file systems. Does nothing when all is up to date.

`run` and `shell` build by themselves when there is nothing yet or when the lab's own files or the
installed packages change; only `build` looks for newer versions of the downloaded ones.

Missing packages are installed when run as root; otherwise the command to do so is printed.

examples:
    xenlab build
    XENLAB_CACHE=/var/tmp/lab xenlab build
END
}

build_command() {
    case ${1:-} in
    '') ;;
    --help | -h)
        build_help
        return
        ;;
    *) usage_error "build takes no arguments: $1" "xenlab build --help" ;;
    esac
    choose_packages
    ensure_base
    say "ready in $base"
}

# Take the versions that apt has now.
choose_packages() {
    require_installed "${installed_packages[@]}"
    mkdir -p "$cache/packages.d"
    if ! candidate_versions >"$cache/packages.$$"; then
        update_lists
        candidate_versions >"$cache/packages.$$" || fail "apt knows no version of: ${unpacked_packages[*]}"
    fi
    mv "$cache/packages.$$" "$(package_list)"
}

compile_flags=(-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -Wconversion -Wformat=2)

base_key() {
    {
        cat "$(package_list)"
        installed_versions "${installed_packages[@]}"
        printf '%s\n' "${CC:-cc} ${compile_flags[*]}"
        cd "$lab_home"
        find . -type f ! -name '*.md' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    } | sha256sum | cut -c 1-16
}

# Sets $base to a directory that is ready.
ensure_base() {
    mkdir -p "$cache" 2>/dev/null || fail "cannot make $cache"
    [[ -s $(package_list) ]] || choose_packages
    base=$cache/base-$(base_key)
    if [[ ! -d $base ]]; then
        exec {lock}>"$cache/lock"
        flock "$lock"
        if [[ ! -d $base ]]; then build_base; fi
        exec {lock}>&-
    fi
    touch "$base"
}

build_base() {
    local work package version tree failed

    say "building $base"
    require_installed "${installed_packages[@]}"
    while read -r package version; do
        tree=$(package_tree "$package" "$version")
        [[ -d $tree ]] || unpack_package "$package" "$version" "$tree"
        touch "$tree"
    done <"$(package_list)"
    work=$(mktemp -d "$cache/build.XXXXXX")
    # As a condition, or before ||, the steps would not end at the first that fails.
    set +e
    (
        set -e
        cd "$work"
        build_in "$work"
    ) >"$cache/build.log" 2>&1
    failed=$?
    set -e
    if ((failed)); then
        tail -n 5 "$cache/build.log" >&2
        rm -rf "$work"
        fail "the build failed (log: $cache/build.log)"
    fi
    rm -rf "$work/domu" "$work/dom0" "$work/net" "$work/packages"
    mv -T "$work" "$base"
    forget_old
}

# What has not been used for a week. What is newer may be another checkout's, which wants other packages.
forget_old() {
    find "$cache/packages.d" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} +
    find "$cache" -maxdepth 1 \( -name "base-*" -o -name "build.*" -o -name "download.*" \) -mtime +7 \
        -exec rm -rf {} +
}

build_in() {
    local work=$1 tree

    mkdir packages
    package_trees | while read -r tree; do
        cp -a --reflink=auto "$tree/." packages
    done
    set -- packages/boot/vmlinuz-*
    abi=${1##*/vmlinuz-}
    depmod -b packages "$abi"
    extract_kernel "$1" >vmlinux
    gzip -dc packages/boot/xen-*.gz >xen

    compile lab-client client
    compile lab-agent agent
    compile lab-relay relay
    make_domu
    make_dom0
    make_net
}

# compile PROGRAM MAIN
compile() {
    "${CC:-cc}" "${compile_flags[@]}" -o "$1" \
        "$lab_home"/stream/{"$2",pump,link,wire,util}.c -lxenvchan -lxenstore
}

# new_root DIR: an empty, usr-merged file system with busybox in it.
new_root() {
    local applet

    mkdir -p "$1"/{usr/{bin,sbin,lib,lib64,lib/modules},dev,proc,sys,run,tmp,root,etc,var/log,lab}
    for applet in bin sbin lib lib64; do
        ln -s "usr/$applet" "$1/$applet"
    done
    ln -s ../run "$1/var/run"
    cp "$(type -P busybox)" "$1/usr/bin/busybox"
    for applet in $(busybox --list); do
        [[ $applet == busybox ]] || ln -s busybox "$1/usr/bin/$applet"
    done
    # tcpdump becomes the user tcpdump, who could write no file where commands run.
    printf '%s:x:0:0:root:/root:/bin/sh\n' root tcpdump >"$1/etc/passwd"
    printf 'root:x:0:\n' >"$1/etc/group"
    printf '127.0.0.1 localhost\n' >"$1/etc/hosts"
    cp "$lab_home/lib/profile" "$1/etc/profile"
}

# needed_libraries PROGRAM...: the files that the dynamic linker would load.
needed_libraries() {
    ldd "$@" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^\t\(\/[^ ]*\) .*/\1/p' | sort -u
}

# add_libraries ROOT PROGRAM...: also those that LD_LIBRARY_PATH finds among the unpacked packages.
add_libraries() {
    local root=$1 library name

    shift
    # glibc loads libgcc_s by name when a thread is cancelled, as libxenstore does to end its reader.
    for library in $(needed_libraries "$@") "$(ldconfig -p | sed -n "s|.*libgcc_s.so.1 .*x86-64.* => ||p" | head -n 1)"; do
        name=${library#"$PWD/packages"}
        install -D -m 755 "$library" "$root/usr/${name#/usr/}"
    done
}

# add_modules ROOT MODULE...: with what they depend on.
add_modules() {
    local root=$1 file

    shift
    modprobe -d packages -S "$abi" -a --show-depends "$@" | sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u |
        while read -r file; do
            file=lib/modules/${file#*/lib/modules/}
            install -D -m 644 "packages/$file" "$root/usr/$file"
        done
    cp packages/lib/modules/"$abi"/modules.{builtin,builtin.modinfo,order} "$root/usr/lib/modules/$abi"
    depmod -b "$root" "$abi"
}

pack() {
    (cd "$1" && find . -print0 | LC_ALL=C sort -z | cpio --quiet -0 -o -H newc -R 0:0)
}

# extract_kernel BZIMAGE: the ELF file in it. Xen would unpack it too, at a tenth of the speed. The boot
# protocol gives the set-up sectors (0x1f1) and the offset and length of the payload (0x248, 0x24c),
# whose last four bytes are not part of the xz stream.
extract_kernel() {
    local sectors offset length

    sectors=$(od -An -t u1 -j 497 -N 1 "$1")
    offset=$(od -An -t u4 -j 584 -N 4 "$1")
    length=$(od -An -t u4 -j 588 -N 4 "$1")
    tail -c +$(((sectors + 1) * 512 + offset + 1)) "$1" | { head -c $((length - 4)) && cat >/dev/null; } | xz -dc
}

make_domu() {
    new_root domu
    cp "$lab_home/domu/init" domu/init
    cp "$lab_home/domu/lab-end" domu/usr/sbin/poweroff
    cp "$lab_home/domu/lab-end" domu/usr/sbin/reboot
    cp lab-agent "$(type -P xenstore)" packages/usr/lib/xen-*/bin/test-xenstore domu/usr/bin
    xenstore_names domu
    add_libraries domu lab-agent "$(type -P xenstore)"
    # shellcheck disable=SC2046 # one module a word
    add_modules domu $(sed 's/#.*//' "$lab_home/domu/modules")
    pack domu >domu.cpio
}

make_dom0() {
    local bin

    new_root dom0
    cp "$lab_home/dom0/init" dom0/init
    cp lab-agent lab-client lab-relay "$lab_home"/dom0/lab-* "$(type -P xenstore)" "$(type -P flock)" dom0/usr/bin
    xenstore_names dom0
    mkdir -p dom0/{etc/xen/scripts,var/lib/xen,var/log/xen/console,usr/lib}
    touch dom0/etc/xen/xl.conf
    cp "$lab_home/dom0/oxenstored.conf" dom0/etc/xen
    cp "$lab_home"/dom0/{block,vif-lab} dom0/etc/xen/scripts
    bin=$(echo packages/usr/lib/xen-*/bin)
    mkdir -p "dom0/${bin#packages/}"
    cp "$bin"/{xl,xenstored,oxenstored,xenstore-control,test-xenstore,xenconsoled,xen-init-dom0} "dom0/${bin#packages/}"
    cp "$bin"/{libxl-save-helper,xenconsole} "dom0/${bin#packages/}"
    ln -s "/${bin#packages/}" dom0/lab/xen-bin
    add_libraries dom0 lab-client "$(type -P xenstore)" "dom0/${bin#packages/}"/*
    # shellcheck disable=SC2046 # one module a word
    add_modules dom0 $(sed "s/#.*//; s/ .*//" "$lab_home/dom0/modules")
    cp "$lab_home/dom0/modules" dom0/lab/modules
    mkdir dom0/lab/base
    pack dom0 >initrd
}

# The network programs and their libraries are as large as all the rest: dom0 unpacks them when there is a vif.
make_net() {
    local programs program library_path

    mkdir -p net/usr/sbin
    for program in ip tcpdump iperf3 ethtool nc.openbsd; do
        cp "$(PATH=packages/bin:packages/sbin:packages/usr/bin:packages/usr/sbin type -P "$program")" net/usr/sbin
    done
    library_path=$PWD/packages/usr/lib/x86_64-linux-gnu:$PWD/packages/lib/x86_64-linux-gnu
    programs=(net/usr/sbin/*)
    ! LD_LIBRARY_PATH=$library_path ldd "${programs[@]}" | grep "not found"
    LD_LIBRARY_PATH=$library_path add_libraries net "${programs[@]}"
    # Nothing that runs in dom0 may be replaced.
    (cd dom0 && find . -type f) | (cd net && xargs -d '\n' rm -f)
    pack net >net.cpio
}

# The xenstore-* commands are one program under many names.
xenstore_names() {
    local name

    for name in chmod exists list ls read rm watch write; do
        ln -s xenstore "$1/usr/bin/xenstore-$name"
    done
}
