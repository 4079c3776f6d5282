#!/bin/sh
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Pushes the image to the registry on this host, and prints its name by digest. Like the official image, it has a user of its own.

set -eu
image=localhost:5000/haproxy
docker import --change 'USER 99' --change 'ENV PATH=/usr/sbin' /srv/haproxy.tar $image:3.0
docker push --quiet $image:3.0
docker image inspect --format '{{index .RepoDigests 0}}' $image:3.0 >/srv/name
docker image rm $image:3.0
cat /srv/name
