#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Usage: world.sh NAME SHARED
# Starts the servers behind the proxy on the gateway. They use TLS with the host name NAME and a certificate signed by
# SHARED/authority.{pem,key}: a model hub on 8443, a package index and a git server on 8444, an image registry on 8445.

set -euo pipefail
name=$1 shared=$2
grep -q "$name" /etc/hosts || echo "127.0.0.1 $name" >>/etc/hosts
mkdir -p /srv/www/simple /srv/git
cd /srv

openssl req -newkey rsa:2048 -nodes -keyout tls.key -out tls.csr -subj "/CN=$name" 2>/dev/null
printf 'subjectAltName=DNS:%s\n' "$name" >tls.ext
openssl x509 -req -in tls.csr -CA "$shared/authority.pem" -CAkey "$shared/authority.key" -CAcreateserial -days 2 \
    -extfile tls.ext -out tls.crt 2>/dev/null
cat tls.crt tls.key >tls.pem

# tls PORT BACKEND: terminates TLS on PORT for plain HTTP on BACKEND.
tls() {
    systemd-run --quiet --unit "tls-$1" socat \
        "OPENSSL-LISTEN:$1,bind=127.0.0.1,reuseaddr,fork,cert=/srv/tls.pem,verify=0" "TCP:127.0.0.1:$2"
}

# The web server's directory listing is a package index for pip.
for wheel in /var/cache/wheelhouse/*.whl; do
    file=${wheel##*/}
    project=$(tr 'A-Z_' 'a-z-' <<<"${file%%-*}")
    mkdir -p "www/simple/$project"
    ln -sf "$wheel" "www/simple/$project/$file"
done

export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@localhost GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@localhost
git init --quiet git/part && echo part >git/part/file && git -C git/part add . && git -C git/part commit --quiet -m part
git init --quiet git/whole && echo whole >git/whole/file
git -C git/whole -c protocol.file.allow=always submodule --quiet add /srv/git/part part
git -C git/whole config --file .gitmodules submodule.part.url "https://$name:8444/part.git"
git -C git/whole add . && git -C git/whole commit --quiet -m whole
for repository in part whole; do
    git clone --quiet --bare "git/$repository" "www/$repository.git"
    git -C "www/$repository.git" update-server-info
done
systemd-run --quiet --unit www python3 -m http.server --bind 127.0.0.1 --directory /srv/www 8091
tls 8444 8091

systemd-run --quiet --unit hub python3 /srv/hub.py --root /var/cache/rehearsal/models --address 127.0.0.1 --port 8090
tls 8443 8090

# Debian's default settings require credentials and listen on all addresses.
cat >/etc/docker/registry/config.yml <<'SETTINGS'
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: "127.0.0.1:5000"}
SETTINGS
systemctl restart docker-registry
tls 8445 5000
for port in 8090 8091 5000 8443 8444 8445; do
    timeout 120 sh -c "until ss -Hltn src 127.0.0.1:$port | grep -q .; do sleep 0.1; done"
done

mkdir image && echo hello >image/hello
tar -C image -c . | docker import - localhost:5000/hello:1 >/dev/null
docker push --quiet localhost:5000/hello:1
docker image inspect --format '{{index .RepoDigests 0}}' localhost:5000/hello:1 | cut -d@ -f2 >digest
