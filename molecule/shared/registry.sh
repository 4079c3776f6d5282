#!/bin/sh
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Starts Debian's registry, which is installed already, at localhost:5000.

set -eu

# Debian's default settings require credentials and listen on all addresses.
cat >/etc/docker/registry/config.yml <<'SETTINGS'
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: "127.0.0.1:5000"}
SETTINGS
systemctl restart docker-registry
timeout 120 sh -c 'until ss -Hltn src 127.0.0.1:5000 | grep -q .; do sleep 0.1; done'
