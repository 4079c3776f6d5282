# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# shellcheck shell=bash
# The variables are used by the scripts that source this file:
# shellcheck disable=SC2034
# Shared by the scripts in this folder. Every script is idempotent and prints `changed` or `unchanged` as its last line.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
cache=${TRTLLM_CACHE:-$root/.cache}
state=$cache/rehearsal
base_image=tritonops/debian:bookworm
host_image=tritonops/rehearsal-host:bookworm
backend_image=tritonops/rehearsal-backend
serve_image=tritonops/rehearsal-serve
load_image=tritonops/rehearsal-load:latest
# The default TensorRT-LLM version.
default_release=1.2.1
result=unchanged
mkdir -p "$state/logs"

say() { printf '%s: %s\n' "${0##*/}" "$*"; }

die() {
    say "$*" >&2
    exit 1
}

# logged NAME COMMAND...: runs a long step with its output in a log file, and prints the end of the log on failure.
logged() {
    local log=$state/logs/$1.log
    shift
    "$@" >"$log" 2>&1 && return
    tail -n 30 "$log" >&2
    die "failed: $* (log: $log)"
}

# wait_for SECONDS WHAT COMMAND...: waits until the command succeeds.
wait_for() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || die "gave up waiting for $what: '$*' never succeeded"
        sleep 0.2
    done
}

# write_if_changed FILE: replaces FILE with standard input if they differ.
write_if_changed() {
    cat >"$1.partial"
    if cmp -s "$1.partial" "$1"; then
        rm "$1.partial"
    else
        mv "$1.partial" "$1"
        result=changed
    fi
}

# lay_out_templates RELEASE FOLDER: creates FOLDER/inflight_batcher_llm as in that version's repository.
lay_out_templates() {
    local templates=$2/inflight_batcher_llm
    mkdir -p "$templates"
    cp -r "$root/rehearsal/backend/all_models/models/." "$root/rehearsal/backend/all_models/$1/." "$templates/"
    without_caches "$templates"
}

# without_caches FOLDER: removes bytecode and the caches of linters.
without_caches() { find "$1" \( -name __pycache__ -o -name '.*_cache' \) -prune -exec rm -r {} +; }

has() { command -v "$1" >/dev/null; }

# The lock is needed because tests run in parallel, and apt-get does not wait for another apt-get.
apt_install() {
    say "installing $* (log: $state/logs/apt.log)"
    (
        flock 9
        logged apt apt-get update
        DEBIAN_FRONTEND=noninteractive logged apt apt-get install -y --no-install-recommends "$@"
    ) 9>"$state/apt.lock"
    result=changed
}

# running_as PID-FILE TEXT: succeeds if the recorded process is running with TEXT on its command line.
running_as() {
    local pid
    pid=$(cat "$1" 2>/dev/null) && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$2"
}

# stop_recorded PID-FILE TEXT: stops the recorded process if it is running with TEXT on its command line.
stop_recorded() {
    if running_as "$1" "$2"; then
        kill "$(cat "$1")"
        result=changed
    fi
    rm -f "$1"
}

# Prints the address where containers on Docker's default bridge reach this machine.
bridge_address() {
    local bridge address
    bridge=$(docker network inspect bridge --format '{{index .Options "com.docker.network.bridge.name"}}')
    address=$(ip -4 -brief address show "$bridge" | awk '{sub("/.*", "", $3); print $3}')
    [ -n "$address" ] || die "Docker's bridge $bridge has no address"
    echo "$address"
}

# Lists the certificates that this machine trusts in addition to its distribution's; there are usually none.
extra_certificates() {
    find /usr/local/share/ca-certificates -name '*.crt' -size +0 2>/dev/null | sort
}
