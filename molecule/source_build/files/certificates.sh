#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Creates a private CA and a certificate for 127.0.0.1.

set -euo pipefail
mkdir -p /srv/tls && cd /srv/tls
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=Authority of the site' -keyout ca.key -out ca.crt
openssl req -newkey rsa:2048 -nodes -subj '/CN=127.0.0.1' -keyout gate.key -out gate.csr
openssl x509 -req -in gate.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out gate.crt \
    -extfile <(echo 'subjectAltName = IP:127.0.0.1, DNS:localhost')
