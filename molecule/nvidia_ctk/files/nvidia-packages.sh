#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Usage: nvidia-packages.sh FOLDER VERSION
# Builds packages with the names of NVIDIA's. The runtime works for Docker: it runs runc and records that it was called.

set -euo pipefail
folder=$1 version=$2
work=$(mktemp -d)
mkdir -p "$folder"

# pack NAME [DEPENDS]
pack() {
    mkdir -p "$work/$1/DEBIAN"
    printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: Test <test@example.com>\nDescription: a test\n' \
        "$1" "$version" >"$work/$1/DEBIAN/control"
    [ -z "${2:-}" ] || echo "Depends: $2" >>"$work/$1/DEBIAN/control"
    dpkg-deb --build "$work/$1" "$folder/$1_$version.deb" >/dev/null
}

runtime=$work/nvidia-container-toolkit-base/usr/bin/nvidia-container-runtime
mkdir -p "$(dirname "$runtime")"
cat >"$runtime" <<'SHIM'
#!/bin/sh
touch /run/nvidia-container-runtime.called
exec runc "$@"
SHIM
chmod 0755 "$runtime"
pack libnvidia-container1
pack libnvidia-container-tools libnvidia-container1
pack nvidia-container-toolkit-base
pack nvidia-container-toolkit nvidia-container-toolkit-base
