#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A repository of the backend's sources, with a Dockerfile where upstream has it, and a submodule that a build needs.

set -euo pipefail

export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@localhost GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@localhost
git config --global protocol.file.allow always

git init --quiet /srv/git/tensorrt_llm
cd /srv/git/tensorrt_llm
mkdir -p examples/llama
echo "# of the submodule" >examples/llama/convert_checkpoint.py
git add . && git commit --quiet --message sources

git init --quiet /srv/git/backend
cd /srv/git/backend
cp -r /var/cache/rehearsal/context/backend-1.2.1/app/all_models .
mkdir dockerfile
cat >dockerfile/Dockerfile.trt_llm_backend <<'DOCKERFILE'
FROM scratch
ARG SAYS
LABEL says=$SAYS
COPY tensorrt_llm/examples /app/tensorrt_llm/examples
DOCKERFILE
git submodule --quiet add /srv/git/tensorrt_llm tensorrt_llm
git add . && git commit --quiet --message sources

cat >/srv/sources.json <<JSON
{"backend": {"repository": "/srv/git/backend", "commit": "$(git rev-parse HEAD)"},
 "tensorrt_llm": {"repository": "/srv/git/tensorrt_llm", "commit": "$(git -C tensorrt_llm rev-parse HEAD)"}}
JSON
