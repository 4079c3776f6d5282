#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_sources

short_description: Take a commit of a git repository along, as a bare repository

version_added: "0.1.0"

description:
  - Makes a bare repository with one commit, which can be cloned by its path, and the large files (git-lfs) of that
    commit.
  - Of the history it has what leads to that commit, where the server gives a commit; else all of it.

extends_documentation_fragment:
  - tritonops.trtllm.attributes

attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full

options:
  repository:
    description:
      - The repository's URL.
    type: str
    required: true
  commit:
    description:
      - The commit, 40 hexadecimal digits.
    type: str
    required: true
  ref:
    description:
      - A tag of that commit, which the bare repository is to have as well.
    type: str
    default: ''
  name:
    description:
      - Name of the bare repository in O(dest), without C(.git).
    type: str
    required: true
  dest:
    description:
      - Folder that will hold the bare repository and C(artifact.json).
    type: path
    required: true

requirements:
  - git, and git-lfs for a repository with large files

author:
  - tritonops.trtllm contributors (@tritonops)

seealso:
  - module: tritonops.trtllm.bundle
"""

EXAMPLES = r"""
---
- name: Take the backend's templates along
  tritonops.trtllm.bundle_sources:
    repository: https://github.com/triton-inference-server/tensorrtllm_backend.git
    commit: 76464e9be06600f3979acad9c14857938a66ff9f
    name: backend
    dest: /srv/bundle.parts/sources/backend
"""

RETURN = r"""
reason:
  description: Why it was made; null when it was there already.
  returned: success
  type: str
  sample: no artifact at /srv/bundle.parts/sources/backend
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._part import have_part, runner

# A clone takes what a branch names.
BRANCH = "refs/heads/bundle"


def fetch(module: AnsibleModule, draft: Draft) -> dict[str, t.Any]:
    params, run = module.params, runner(module)
    repository, commit = params["repository"], params["commit"]
    progress = draft.begin()
    progress.start("fetch")
    folder = os.path.join(draft.payload, f"{params['name']}.git")
    git = ["git", "--git-dir", folder]
    run(["git", "init", "--quiet", "--bare", folder], "cannot make a repository")
    # With what came before it: git gives nobody a tag out of a repository without.
    try:
        run([*git, "fetch", "--quiet", repository, f"{commit}:{BRANCH}"], f"cannot fetch {commit}")
    except BundleError:
        # Not every server gives a commit that no branch or tag is at.
        run([*git, "fetch", "--quiet", repository, "+refs/*:refs/remotes/origin/*"], f"cannot fetch {repository}")
        run([*git, "update-ref", BRANCH, commit], f"{repository} has no commit {commit}")
    if params["ref"]:
        # Whoever clones a release asks for its tag.
        run([*git, "update-ref", f"refs/tags/{params['ref']}", commit], f"cannot set the tag {params['ref']}")
    run([*git, "symbolic-ref", "HEAD", BRANCH], "cannot set the branch")
    _fetch_large_files(git, repository, commit, run)
    return draft.publish({}, progress)


def _fetch_large_files(git: list[str], repository: str, commit: str, run: t.Callable[..., str]) -> None:
    names = run([*git, "ls-tree", "-r", "--name-only", commit], f"cannot list {commit}").splitlines()
    attributes = [name for name in names if os.path.basename(name) == ".gitattributes"]
    texts = [run([*git, "show", f"{commit}:{name}"], f"cannot read {name}") for name in attributes]
    if any("filter=lfs" in text for text in texts):
        run([*git, "config", "remote.origin.url", repository], "cannot set the remote")
        run([*git, "lfs", "fetch", "origin", commit], f"cannot fetch the large files of {repository} (git-lfs)")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "repository": {"type": "str", "required": True},
            "commit": {"type": "str", "required": True},
            "ref": {"type": "str", "default": ""},
            "name": {"type": "str", "required": True},
            "dest": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    inputs = {name: params[name] for name in ("repository", "commit", "ref", "name")}
    have_part(module, inputs, lambda draft: fetch(module, draft))


if __name__ == "__main__":
    main()
