# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Saying what went wrong. The lab's own failures all end with status 125.

say() {
    printf 'xenlab: %s\n' "$*" >&2
}

fail() {
    say "$*"
    exit 125
}

# usage_error MESSAGE HELP-COMMAND
usage_error() {
    fail "$1 (see: $2)"
}
