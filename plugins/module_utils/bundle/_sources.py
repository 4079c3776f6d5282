# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The sources of a bundle: a bare repository with one commit and its git-lfs objects, which hosts clone by its path."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import bytes_in, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend._git_auth import helper_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend._sources import (
    Git,
    is_local,
    open_git,
    remove_locks,
    settings,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._part import ArgumentSpec, Kind, Options

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

SPEC: ArgumentSpec = {
    "type": "dict",
    "options": {
        "repository": {"type": "str", "required": True},
        "commit": {"type": "str", "required": True},
        "ref": {"type": "str", "default": ""},
        "name": {"type": "str", "required": True},
        "auth": {"type": "str", "no_log": True},
    },
}
# A clone fetches what a branch points at.
BRANCH = "refs/heads/bundle"


def inputs(options: Options) -> dict[str, t.Any]:
    return {name: value for name, value in options.items() if name != "auth"}


def make(options: Options, module: AnsibleModule, draft: Draft) -> dict[str, t.Any]:
    progress = draft.begin(keep=True)
    folder = os.path.join(draft.payload, f"{options['name']}.git")
    config = settings(True, {}, is_local(options["repository"]), helper_of(module, options["auth"]))
    # GIT_DIR, because the user's settings can prevent git from finding a bare repository (safe.bareRepository).
    git = open_git(module, draft, config, GIT_DIR=folder)
    git.check_version(lfs=False)
    progress.start("fetch")
    with sampled(progress, lambda: bytes_in(draft.payload)):
        _fetch(git, draft.payload, folder, options)
        _fetch_large_files(git, draft.payload, options)
    git.run("remove the remote", draft.payload, "config", "--remove-section", "remote.origin")
    return draft.publish({}, progress)


def _fetch(git: Git, cwd: str, folder: str, options: Options) -> None:
    repository, commit, ref = options["repository"], options["commit"], options["ref"]
    remove_locks(folder)
    git.run("create a repository", cwd, "init", "--quiet", "--bare")
    git.run("set the remote", cwd, "config", "remote.origin.url", repository)
    # With its history, because git does not fetch tags from a repository without it.
    git.fetch_commit(cwd, repository, commit)
    git.run("set the branch", cwd, "update-ref", BRANCH, commit)
    if ref:
        # Hosts check that the tag points at the commit.
        git.run(f"set the tag {ref}", cwd, "update-ref", f"refs/tags/{ref}", commit)
    git.run("set HEAD", cwd, "symbolic-ref", "HEAD", BRANCH)


def _fetch_large_files(git: Git, cwd: str, options: Options) -> None:
    repository, commit = options["repository"], options["commit"]
    names = git.run(f"list the files of {commit}", cwd, "ls-tree", "-r", "--name-only", commit).splitlines()
    attributes = [name for name in names if os.path.basename(name) == ".gitattributes"]
    if any("filter=lfs" in git.run(f"read {name}", cwd, "show", f"{commit}:{name}") for name in attributes):
        git.check_version(lfs=True)
        git.run(f"fetch the git-lfs objects of {repository}", cwd, "lfs", "fetch", "origin", commit)


KIND = Kind(SPEC, inputs, make)
