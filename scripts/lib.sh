# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# shellcheck shell=bash
# What the project's shell scripts share. To be sourced, never run.
#
# Sets `root` (the checkout) and `jobs` (how many compilers at once); defines
# functions only. It changes neither the folder nor the shell's options.

# shellcheck disable=SC2034  # root, jobs: for those who source this
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
jobs=$(nproc)

# One line to the person, named after the script that says it.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$*"
    exit 1
}

# Runs a command as root: directly, or by sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "must be root, or have sudo, for: $*"
    fi
}

# quiet LOG WHAT COMMAND…: runs the command with its output in LOG. Says what
# it does, and shows the log's end only when it fails.
quiet() {
    local log=$1 what=$2
    shift 2
    say "$what"
    mkdir -p -- "$(dirname -- "$log")"
    "$@" >"$log" 2>&1 </dev/null && return
    local status=$?
    tail -n 40 -- "$log" >&2
    say "failed (exit status $status): $what; the whole log: $log"
    return "$status"
}

# The Debian mirror this machine is set up with; Debian's own name for one if
# there is none.
debian_mirror() {
    local uri
    # shellcheck disable=SC2016  # REPO_URI is apt's to expand
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
        'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1) || true
    printf '%s\n' "${uri:-http://deb.debian.org/debian}"
}

# A folder as a cpio archive, owned by root, the same for the same content.
archive() {
    (cd "$1" && find . -print0 | LC_ALL=C sort -z |
        cpio --null --create --format=newc --owner=+0:+0 --reproducible --quiet)
}
