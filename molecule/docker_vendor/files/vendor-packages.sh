#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Usage: vendor-packages.sh FOLDER
# Builds docker-ce, docker-ce-cli, docker-buildx-plugin and containerd.io. Like the vendor's packages, they conflict with the
# distribution's. They contain the distribution's programs, so what the role installs really runs.

set -euo pipefail
folder=$1
version=5:20.10.24-1~debian.12~bookworm
work=$(mktemp -d)
chmod 0755 "$work"
mkdir -p "$folder"
cd "$work"
apt-get download docker.io containerd runc >/dev/null

unpack() {
    dpkg-deb --raw-extract "$1"_*.deb "$2"
    # Configuration files would still belong to the package that is removed.
    rm -rf "${2:?}"/DEBIAN/conffiles "${2:?}"/DEBIAN/md5sums "${2:?}"/etc
}

# pack FOLDER NAME DEPENDS CONFLICTS
pack() {
    printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: Test <test@example.com>\nDescription: a test\n' \
        "$2" "$version" >"$1/DEBIAN/control"
    printf 'Depends: %s\nConflicts: %s\nReplaces: %s\n' "$3" "$4" "$4" >>"$1/DEBIAN/control"
    dpkg-deb -Znone --build "$1" "$folder/$2.deb" >/dev/null
}

unpack containerd containerd
dpkg-deb --extract runc_*.deb containerd
pack containerd containerd.io 'libc6, libseccomp2' 'containerd, runc'

unpack docker.io daemon
mkdir -p cli/DEBIAN cli/usr/bin
mv daemon/usr/bin/docker cli/usr/bin/
pack daemon docker-ce 'containerd.io, docker-ce-cli, adduser, iptables, libdevmapper1.02.1, libsystemd0' docker.io
pack cli docker-ce-cli libc6 docker.io
mkdir -p buildx/DEBIAN
pack buildx docker-buildx-plugin docker-ce-cli docker-buildx
