# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# shellcheck shell=bash
# Shared by the scripts in this folder.

set -euo pipefail
export GNUPGHOME=${GNUPGHOME:-/tmp/gnupg}
debs=$1 repositories=$2
work=$(mktemp -d)
# Each repository has its own key.
user="Test $(basename "$0") <test@example.com>"

gpg --batch --quiet --passphrase '' --quick-generate-key "$user" rsa3072 sign never

# unpack PACKAGE TREE: extracts the files of a Debian package to TREE, with merged /usr.
unpack() {
    local parts=$work/parts
    rm -rf "$parts"
    dpkg-deb --extract "$debs/$1"_*.deb "$parts"
    rm -rf "$parts/usr/share/doc" "$parts/usr/share/man" "$parts/usr/share/locale"
    mkdir -p "$2/usr"
    for folder in bin lib sbin; do
        [ ! -d "$parts/$folder" ] || { mkdir -p "$2/usr/$folder" && cp -a "$parts/$folder/." "$2/usr/$folder/" && rm -r "${parts:?}/$folder"; }
    done
    cp -a "$parts/." "$2/"
}

# pack REPOSITORY TREE NAME [EPOCH:]VERSION-RELEASE: builds an rpm. Standard input has further tags and scripts for its spec.
pack() {
    local folder=$repositories/$1 tree=$2 name=$3 epoch=0 version=${4%-*} release=${4##*-} listed
    case $version in *:*) epoch=${version%%:*} version=${version#*:} ;; esac
    mkdir -p "$folder" "$tree"
    (cd "$tree" && find . ! -type d -printf '"/%P"\n') >"$work/files"
    # rpmbuild rejects an empty list of files.
    listed=$([ ! -s "$work/files" ] || echo "-f $work/files")
    cat - <(printf '%%description\nA test.\n%%install\ncp -a %s/. %%{buildroot}/\n%%files %s\n' "$tree" "$listed") \
        >"$work/body"
    {
        printf 'Name: %s\nEpoch: %s\nVersion: %s\nRelease: %s\n' "$name" "$epoch" "$version" "$release"
        printf 'Summary: A test\nLicense: none\nBuildArch: x86_64\nAutoReqProv: no\n'
        cat "$work/body"
    } >"$work/$name.spec"
    rpmbuild -bb --quiet --define "_topdir $work/build" --define "_rpmdir $folder" --define '_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.rpm' \
        --define '__os_install_post %{nil}' --define 'debug_package %{nil}' --define '_build_id_links none' --define '_binary_payload w1.gzdio' "$work/$name.spec"
}

# sign_packages REPOSITORY
sign_packages() { rpmsign --addsign --define "_gpg_name $user" --define '__gpg /usr/bin/gpg' "$repositories/$1"/*.rpm >/dev/null; }

# index REPOSITORY
index() { createrepo_c --quiet "$repositories/$1"; }

# sign_index REPOSITORY
sign_index() { gpg --batch --yes --armor --local-user "=$user" --detach-sign "$repositories/$1/repodata/repomd.xml"; }

# export_key FILE: writes the public key, and its checksum beside it.
export_key() {
    mkdir -p "$repositories/$(dirname "$1")"
    gpg --armor --export "=$user" >"$repositories/$1"
    (cd "$repositories/$(dirname "$1")" && sha256sum "$(basename "$1")" >"$(basename "$1").sha256")
}
