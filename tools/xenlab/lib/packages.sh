# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154 # the parts share variables
# The Debian packages that the lab is made of.

# Installed on this machine: tools, and the libraries that Xen's tools in dom0 are linked with.
installed_packages=(
    qemu-system-x86 busybox-static cpio kmod xz-utils
    gcc libc6-dev libxen-dev libxenmisc4.17 xenstore-utils
)

# And these when qdisk serves the disks.
qdisk_packages=(qemu-system-xen)

# Downloaded and unpacked into the cache, never installed: their hooks would change how this machine
# boots. linux-image-amd64 stands for the kernel it depends on. The second line is network programs for
# dom0, the others their libraries.
unpacked_packages=(
    xen-hypervisor-4.17-amd64 xen-utils-4.17 linux-image-amd64
    iproute2 tcpdump iperf3 ethtool netcat-openbsd
    libbpf1 libbsd0 libcap2 libdbus-1-3 libelf1 libiperf0 libmd0 libmnl0 libpcap0.8 libsctp1 libssl3
)

# What is unpacked of them.
unpacked_files=(
    './boot/xen-*.gz' './boot/vmlinuz-*' './usr/lib/xen-*/bin/*'
    ./{usr/,}{bin,sbin}/{ip,tcpdump,iperf3,ethtool,nc.openbsd} ./{usr/,}lib/x86_64-linux-gnu/'lib*.so.*'
    './lib/modules/*/modules.*'
    './lib/modules/*/kernel/drivers/'{block,char,net,nvme,virtio,xen}'/*'
    './lib/modules/*/kernel/'{arch,block,crypto,fs/{9p,fscache,netfs},lib,net}'/*'
)

as_root() {
    ((EUID == 0))
}

# installed_versions PACKAGE...: one "name version" line for each that is installed.
installed_versions() {
    dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "$@" 2>/dev/null |
        sed -n 's/^installed //p' || true
}

update_lists() {
    if as_root; then
        say "updating the package lists"
        apt-get -qq update >&2 || fail "apt-get update failed"
    else
        fail "the package lists are missing; run: sudo apt-get update"
    fi
}

# The version that apt would download, empty when it knows none.
candidate() {
    apt-cache policy "$1" | sed -n 's/^  Candidate: //p' | grep -vx '(none)' || true
}

kernel_package() {
    apt-cache depends linux-image-amd64 | sed -n 's/^  Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}

# One "name version" line per package to unpack, as apt has them now.
candidate_versions() {
    local package version

    for package in "${unpacked_packages[@]}"; do
        [[ $package != linux-image-amd64 ]] || package=$(kernel_package)
        version=$(candidate "$package")
        [[ -n $version ]] || return 1
        printf '%s %s\n' "$package" "$version"
    done
}

# require_installed PACKAGE...
require_installed() {
    local missing=() package have

    have=$(installed_versions "$@")
    for package; do
        grep -q "^$package " <<<"$have" || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    as_root || fail "packages are missing; run: sudo apt-get install --no-install-recommends ${missing[*]}"
    [[ -n $(candidate "${missing[0]}") ]] || update_lists
    say "installing ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "${missing[@]}" >&2 ||
        fail "apt-get install ${missing[*]} failed"
}

# unpack NAME VERSION INTO
unpack_package() {
    local work sandbox=()

    work=$(mktemp -d "$cache/download.XXXXXX")
    # apt gives up its rights for downloads, and could then not write here.
    ! as_root || sandbox=(-o APT::Sandbox::User=root)
    (cd "$work" && apt-get -qq "${sandbox[@]}" download "$1=$2") >&2 ||
        fail "cannot download $1 $2; try: apt-get update"
    dpkg-deb --fsys-tarfile "$work"/*.deb >"$work/tar" || fail "cannot unpack $1 $2"
    # tar complains of every pattern that another package has the files for.
    tar -xf "$work/tar" -C "$work" --wildcards "${unpacked_files[@]}" 2>/dev/null ||
        [[ -n $(find "$work" -mindepth 2 -print -quit) ]] || fail "cannot unpack $1 $2"
    rm "$work"/*.deb "$work/tar"
    mv -T "$work" "$3"
}

# package_tree NAME VERSION: where its files are; another directory when other files are wanted.
package_tree() {
    echo "$cache/packages.d/$1_$2_$(sha256sum <<<"${unpacked_files[*]}" | cut -c 1-8)"
}

# Where the versions are noted that were chosen; another file when other packages are wanted.
package_list() {
    echo "$cache/packages-$(sha256sum <<<"${unpacked_packages[*]}" | cut -c 1-8)"
}

package_trees() {
    local package version

    while read -r package version; do
        package_tree "$package" "$version"
    done <"$(package_list)"
}
