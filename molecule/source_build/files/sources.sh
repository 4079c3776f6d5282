#!/usr/bin/env bash
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Creates bare repositories like upstream's, with a submodule, a nested submodule, git-lfs files in two of them, and tags. The
# URLs of the submodules do not exist, so the role needs mirrors. Two more repositories have defects.

set -euo pipefail

export GIT_AUTHOR_NAME=test GIT_AUTHOR_EMAIL=test@localhost GIT_COMMITTER_NAME=test GIT_COMMITTER_EMAIL=test@localhost
export GIT_CONFIG_GLOBAL=/tmp/gitconfig
git lfs install --skip-repo
git config --global protocol.file.allow always
git config --global init.defaultBranch main
git config --global url.file:///srv/git/.insteadOf https://git.example.com/

# publish NAME: pushes /srv/checkouts/NAME to a bare repository, including its git-lfs files.
publish() {
    git init --quiet --bare "/srv/git/$1.git"
    git -C "/srv/checkouts/$1" remote add origin "file:///srv/git/$1.git"
    git -C "/srv/checkouts/$1" push --quiet origin HEAD:main --tags
}

# commit NAME
commit() {
    git -C "/srv/checkouts/$1" add .
    git -C "/srv/checkouts/$1" commit --quiet --message sources
}

mkdir -p /srv/git /srv/checkouts/cutlass
git init --quiet /srv/checkouts/cutlass
echo "# of the nested submodule" >/srv/checkouts/cutlass/README.md
commit cutlass
publish cutlass

cd /srv/checkouts/tensorrt_llm
git init --quiet .
git lfs track --filename cpp/libtensorrt_llm_batch_manager_static.a
mkdir -p cpp examples/llama
head --bytes 1200000 /dev/urandom >cpp/libtensorrt_llm_batch_manager_static.a
echo "# of the submodule" >examples/llama/convert_checkpoint.py
git submodule --quiet add https://git.example.com/cutlass.git 3rdparty/cutlass
commit tensorrt_llm
publish tensorrt_llm

cd /srv/checkouts/backend
git init --quiet .
cp -r /var/cache/rehearsal/context/backend-1.2.1/app/all_models .
git lfs track '*.png'
mkdir images
head --bytes 5000 /dev/urandom >images/overview.png
git submodule --quiet add https://git.example.com/tensorrt_llm.git tensorrt_llm
commit backend
git tag --annotate --message release v0.9.0
publish backend

# A repository that has the commits, but not the git-lfs files.
cp -r /srv/git/tensorrt_llm.git /srv/git/without_lfs.git
rm -r /srv/git/without_lfs.git/lfs

# A repository whose tag was moved.
cp -r /srv/git/backend.git /srv/git/moved.git
git -C /srv/git/moved.git tag --force v0.9.0 "$(git -C /srv/git/moved.git commit-tree -m other 'main^{tree}')"

cat >/srv/sources.json <<JSON
{"backend": {"repository": "file:///srv/git/backend.git", "ref": "v0.9.0", "commit": "$(git rev-parse HEAD)"},
 "tensorrt_llm": {"repository": "/srv/git/tensorrt_llm.git", "commit": "$(git -C tensorrt_llm rev-parse HEAD)"}}
JSON
rm -r /srv/checkouts /tmp/gitconfig
