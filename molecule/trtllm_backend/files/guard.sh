#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Usage: guard.sh PASSWORD
# Serves the same registry a second time at registry.example.test:5443, with TLS, a private CA and a login.

set -euo pipefail
mkdir -p /srv/guarded && cd /srv/guarded
name=registry.example.test

openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN=Authority of the registry' -keyout ca.key -out ca.crt
openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout server.key -out server.csr
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out server.crt \
    -extfile <(echo "subjectAltName = DNS:$name")
# shellcheck disable=SC2016 # NGC's user name
python3 -W ignore -c 'import crypt, sys; print("$oauthtoken:" + crypt.crypt(sys.argv[1], crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))' \
    "$1" >htpasswd

cat >config.yml <<'SETTINGS'
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: "127.0.0.1:5443", tls: {certificate: /srv/guarded/server.crt, key: /srv/guarded/server.key}}
auth: {htpasswd: {realm: test, path: /srv/guarded/htpasswd}}
SETTINGS
grep -q "$name" /etc/hosts || echo "127.0.0.1 $name" >>/etc/hosts
install -D -m 0644 ca.crt "/etc/docker/certs.d/$name:5443/ca.crt"
cat >/etc/systemd/system/guarded.service <<'UNIT'
[Service]
ExecStart=/usr/bin/docker-registry serve /srv/guarded/config.yml
UNIT
systemctl daemon-reload
touch made
