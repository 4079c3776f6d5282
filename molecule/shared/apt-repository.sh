#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Usage: apt-repository.sh ROOT INDEX RELEASE KEY
# Creates a signed repository of the packages below ROOT: the package index in the folder INDEX, the signed release file
# in the folder RELEASE (both below ROOT), the public key in the file KEY, and its checksum in KEY.sha256.

set -euo pipefail
root=$1 index=$2 release=$3 key=$4

export GNUPGHOME=/srv/gnupg
if [ ! -d "$GNUPGHOME" ]; then
    mkdir -m 0700 "$GNUPGHOME"
    gpg --batch --quiet --passphrase '' --quick-generate-key 'Test repository <test@example.com>' default sign never
fi

cd "$root"
mkdir -p "$index" "$release"
apt-ftparchive packages . >"$index/Packages"
apt-ftparchive -o APT::FTPArchive::Release::Suite=bookworm -o APT::FTPArchive::Release::Components=stable \
    -o APT::FTPArchive::Release::Architectures=amd64 release "$release" >/tmp/Release
gpg --batch --yes --clearsign --output "$release/InRelease" /tmp/Release
gpg --armor --export >"$key"
(cd "$(dirname "$key")" && sha256sum "$(basename "$key")" >"$key.sha256")
