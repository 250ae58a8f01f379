# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What scripts/demo and scripts/test share: words on the terminal, and packages.

# shellcheck disable=SC2034 # used by who reads this file
tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() {
    printf '\n== %s\n' "$*"
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# need_packages PACKAGE...: installs what is missing of Debian's packages; root only for that.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "packages are missing; as root: apt-get update && apt-get install ${missing[*]}"
    say "Installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
        >/dev/null
}

# shellcheck disable=SC2034
build_packages=(gcc libc6-dev cmake ninja-build pkg-config libxen-dev libcmocka-dev libpcap-dev)
