#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Usage: publish.sh REPOSITORY FILE
# Pushes an image with the templates of the rehearsal's image, and nothing else, to a registry on this host, as tag `test`.
# Writes its digest to FILE and removes the local image. Each FILE results in a different image.

set -euo pipefail
repository=$1
file=$2

tar -C /var/cache/rehearsal/context/backend-1.2.1 -c app/all_models | docker import --change "LABEL file=$file" - "$repository:test"
docker push --quiet "$repository:test"
docker image inspect --format '{{index .RepoDigests 0}}' "$repository:test" | cut -d@ -f2 >"$file.new"
docker image rm "$repository:test"
mv "$file.new" "$file"
