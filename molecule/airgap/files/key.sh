#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Usage: key.sh FOLDER
# Creates a key in FOLDER/gnupg, its public part in FOLDER/key.asc, and its fingerprint in FOLDER/fingerprint.

set -euo pipefail
export GNUPGHOME=$1/gnupg
gpg --batch --quiet --passphrase '' --quick-generate-key 'A bundle <bundle@example.com>' default sign never
gpg --batch --armor --export >"$1/key.asc"
gpg --batch --with-colons --list-keys | awk -F: '$1 == "fpr" {print $10; exit}' >"$1/fingerprint"
