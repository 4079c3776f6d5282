# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# shellcheck shell=bash
# What is set here is for the scripts that read it:
# shellcheck disable=SC2034
# What the scripts beside this file share. Every script is idempotent and ends with the line `changed` or `unchanged`.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cache=${TRTLLM_CACHE:-$root/.cache}
state=$cache/rehearsal
base_image=tritonops/debian:bookworm
host_image=tritonops/rehearsal-host:bookworm
backend_image=tritonops/rehearsal-backend
# The release that is rehearsed unless another one is asked for.
default_release=1.2.1
result=unchanged
mkdir -p "$state/logs"

say() { printf '%s: %s\n' "${0##*/}" "$*"; }

die() {
    say "$*" >&2
    exit 1
}

# logged NAME COMMAND...: runs a long step with its output in a file, and shows the end of it on failure.
logged() {
    local log=$state/logs/$1.log
    shift
    "$@" >"$log" 2>&1 && return
    tail -n 30 "$log" >&2
    die "failed: $* (log: $log)"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || die "gave up waiting for $what: '$*' never succeeded"
        sleep 0.2
    done
}

# write_if_changed FILE: standard input becomes the file, by rename, only when it differs.
write_if_changed() {
    cat >"$1.partial"
    if cmp -s "$1.partial" "$1"; then
        rm "$1.partial"
    else
        mv "$1.partial" "$1"
        result=changed
    fi
}

# lay_out_templates RELEASE FOLDER: FOLDER/inflight_batcher_llm becomes what the release has there.
lay_out_templates() {
    local templates=$2/inflight_batcher_llm
    mkdir -p "$templates"
    cp -r "$root/rehearsal/backend/all_models/models/." "$root/rehearsal/backend/all_models/$1/." "$templates/"
    without_caches "$templates"
}

# without_caches FOLDER: removes byte code and linters' caches.
without_caches() { find "$1" \( -name __pycache__ -o -name '.*_cache' \) -prune -exec rm -r {} +; }

has() { command -v "$1" >/dev/null; }

# One at a time: tests run beside each other, and apt-get does not wait for another one.
apt_install() {
    say "installing $* (log: $state/logs/apt.log)"
    (
        flock 9
        logged apt apt-get update
        DEBIAN_FRONTEND=noninteractive logged apt apt-get install -y --no-install-recommends "$@"
    ) 9>"$state/apt.lock"
    result=changed
}

# running_as PID-FILE TEXT: whether the recorded process lives and has TEXT on its command line.
running_as() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$2"
}

# stop_recorded PID-FILE TEXT: ends the recorded process, if it is still that one.
stop_recorded() {
    if running_as "$1" "$2"; then
        kill "$(cat "$1")"
        result=changed
    fi
    rm -f "$1"
}

# The address under which containers on Docker's default bridge reach this machine.
bridge_address() {
    local bridge address
    bridge=$(docker network inspect bridge --format '{{index .Options "com.docker.network.bridge.name"}}')
    address=$(ip -4 -brief address show "$bridge" | awk '{sub("/.*", "", $3); print $3}')
    [ -n "$address" ] || die "Docker's bridge $bridge has no address"
    echo "$address"
}

# The certificates that this machine trusts in addition to its distribution's; empty on most machines.
extra_certificates() {
    find /usr/local/share/ca-certificates -name '*.crt' -size +0 2>/dev/null | sort
}
