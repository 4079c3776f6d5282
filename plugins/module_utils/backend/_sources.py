# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Clones the sources of a TensorRT-LLM version at a pinned commit, with submodules and git-lfs objects."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError, Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import bytes_in, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend._git_auth import helper_of

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

TENSORRT_LLM = "tensorrt_llm"
COMMIT = re.compile(r"[0-9a-f]{40}")
# The first version with GIT_CONFIG_GLOBAL.
MIN_GIT_VERSION = (2, 32)
POINTER = b"version https://git-lfs.github.com/spec/"
POINTER_BYTES = 1024
MAX_LISTED = 5
LAST_LINES = 8
AUTH_REMEDY = "correct trtllm_sources, or the login in trtllm_git_auth_file"
# Remedies by text in the messages of git and git-lfs, in lower case.
REMEDIES = (
    ("no space left", "free space, or choose a folder on a larger file system (trtllm_root or trtllm_bundle_dest)"),
    ("could not resolve host", "check this machine's DNS and proxy settings (for a host: trtllm_proxy)"),
    ("couldn't resolve host", "check this machine's DNS and proxy settings (for a host: trtllm_proxy)"),
    ("connection refused", "check that the git server runs, and that this machine can reach it"),
    ("timed out", "check that this machine can reach the git server, or set a proxy (for a host: trtllm_proxy)"),
    ("certificate", "add the certificate authority of the git server to this machine (for a host: trtllm_ca_bundle)"),
    ("could not read username", f"the repository is private or does not exist: {AUTH_REMEDY}"),
    ("authentication failed", f"the repository is private or does not exist: {AUTH_REMEDY}"),
    ("early eof", "the connection broke: run again, fetched objects are kept"),
    ("rpc failed", "the connection broke: run again, fetched objects are kept"),
    ("a second time, aborting", "run again, or name a mirror of the submodule's server (trtllm_git_mirrors)"),
    ("does not appear to be a git repository", "correct the repository in trtllm_sources"),
    ("repository not found", "correct the repository in trtllm_sources"),
    ("not our ref", "the server does not have that commit: correct the commit in trtllm_sources"),
)


class SourceError(ArtifactError):
    """The requested sources cannot be cloned."""


def git_error(what: str, words: str) -> SourceError:
    """An error with what failed, git's own message and the remedy, if one is known."""
    said = "\n".join(words.strip().splitlines()[-LAST_LINES:])
    known = next((remedy for text, remedy in REMEDIES if text in said.lower()), "")
    return SourceError(f"{what}: {said}" + (f"\nRemedy: {known}" if known else ""))


def check_sources(sources: t.Mapping[str, t.Any]) -> None:
    """SourceError with everything that is wrong with the option `sources`."""
    problems = []
    for name in ("backend", TENSORRT_LLM):
        source = sources.get(name)
        if not isinstance(source, t.Mapping) or not source.get("repository"):
            problems.append(f"{name} must be a mapping with repository and commit")
        elif not COMMIT.fullmatch(str(source.get("commit"))):
            problems.append(f"{name}.commit must be 40 hexadecimal digits, not {source.get('commit')!r}")
    if problems:
        raise SourceError(f"sources: {'; '.join(problems)}")


def pointer_files(root: str) -> list[str]:
    """Files that are git-lfs pointers, recognised by their size and first line."""
    found = []
    for folder, dirs, names in os.walk(root):
        dirs[:] = sorted(name for name in dirs if name != ".git")
        for path in (os.path.join(folder, name) for name in sorted(names)):
            if not os.path.islink(path) and os.path.getsize(path) <= POINTER_BYTES and _is_pointer(path):
                found.append(os.path.relpath(path, root))
    return found


def _is_pointer(path: str) -> bool:
    with open(path, "rb") as stream:
        return stream.read(len(POINTER)) == POINTER


def remove_locks(folder: str) -> None:
    """Remove lock files of a killed git, which would stop the next one. The artifact's lock excludes other runs."""
    for parent, _dirs, names in os.walk(folder):
        for name in names:
            if name.endswith(".lock"):
                os.unlink(os.path.join(parent, name))


def settings(whole: bool, mirrors: t.Mapping[str, str], local: bool, helper: str) -> str:
    """Git's configuration for the clone. It includes the user's own, to which nothing is written.

    `helper` is a credential.helper to use instead of the user's; empty for the user's.
    """
    # Not as ~, which git cannot resolve without HOME, as in a systemd service.
    own = os.path.expanduser("~/.gitconfig")
    lines = ["[include]", f'\tpath = "{own}"']
    # Give up on a server that sends nothing for a minute.
    lines += ["[http]", "\tlowSpeedLimit = 100", "\tlowSpeedTime = 60"]
    if helper:
        quoted = helper.replace("\\", "\\\\").replace('"', '\\"')
        lines += ["[credential]", "\thelper =", f'\thelper = "{quoted}"']
    if local:
        lines += ['[protocol "file"]', "\tallow = always"]
    for there, here in mirrors.items():
        lines += [f'[url "{here}"]', f"\tinsteadOf = {there}"]
    if not whole:
        lines += ['[filter "lfs"]', "\tsmudge = ", "\tprocess = ", "\trequired = false"]
    return "\n".join(lines) + "\n"


def is_local(url: str) -> bool:
    return url.startswith(("/", "file:"))


class Git:
    """Runs git with our own configuration, and without password prompts."""

    def __init__(self, module: AnsibleModule, config: str, **environment: str) -> None:
        self._module = module
        self._environment = {
            "GIT_CONFIG_GLOBAL": config,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            # Objects are fetched in a separate step, which reports its own errors and fetches only missing ones.
            "GIT_LFS_SKIP_SMUDGE": "1",
            "LANGUAGE": "C",
            "LC_ALL": "C.UTF-8",
            **environment,
        }

    def attempt(self, folder: str, *arguments: str) -> tuple[int, str, str]:
        code, out, err = self._module.run_command(
            ["git", *arguments],
            cwd=folder,
            environ_update=self._environment,
            handle_exceptions=False,
            expand_user_and_vars=False,
        )
        return code, out, err

    def run(self, what: str, folder: str, *arguments: str) -> str:
        code, out, err = self.attempt(folder, *arguments)
        if code:
            raise git_error(f"cannot {what}", err or out)
        return out

    def fetch_commit(self, folder: str, repository: str, commit: str, *options: str) -> None:
        """Fetch a commit from the remote origin. If its server does not allow that, fetch all branches and tags."""
        if self.attempt(folder, "fetch", "--quiet", *options, "origin", commit)[0]:
            every = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
            self.run(f"fetch {repository}", folder, "fetch", "--quiet", "origin", *every)
            if not self.has_commit(folder, commit):
                raise SourceError(
                    f"{repository} does not have the commit {commit}: correct the commit in trtllm_sources"
                )

    def has_commit(self, folder: str, commit: str) -> bool:
        return not self.attempt(folder, "cat-file", "-e", f"{commit}^{{commit}}")[0]

    def check_version(self, lfs: bool) -> None:
        try:
            text = self.run("get the version of git", "/", "--version")
        except OSError as exc:
            raise SourceError("git is not installed on the host: install it first") from exc
        numbers = re.search(r"(\d+)\.(\d+)", text)
        if numbers and tuple(int(part) for part in numbers.groups()) < MIN_GIT_VERSION:
            raise SourceError(f"{text.strip()} is too old: {'.'.join(map(str, MIN_GIT_VERSION))} or later is required")
        if lfs and self.attempt("/", "lfs", "version")[0]:
            raise SourceError("git-lfs is not installed on the host: install it first, the sources have large files")


def open_git(module: AnsibleModule, draft: Draft, config: str, **environment: str) -> Git:
    """Git with these settings, which are stored in the draft beside the payload."""
    path = draft.path("gitconfig")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(config)
    return Git(module, path, **environment)


@dataclass(frozen=True)
class SourceRequest:
    """The options of trtllm_sources. `whole` includes all submodules and large files, which an image build needs."""

    sources: t.Mapping[str, t.Any]
    whole: bool
    mirrors: t.Mapping[str, str]
    auth: str | None

    @property
    def inputs(self) -> dict[str, t.Any]:
        return {"sources": self.sources, "whole": self.whole}

    @property
    def is_local(self) -> bool:
        urls = [source["repository"] for source in self.sources.values()]
        return any(is_local(url) for url in [*urls, *self.mirrors.values()])


def make_sources(request: SourceRequest, module: AnsibleModule, draft: Draft) -> dict[str, t.Any]:
    """Clone into the draft, continuing an interrupted run, and publish it."""
    progress = draft.begin(keep=True)
    helper = helper_of(module, request.auth)
    git = open_git(module, draft, settings(request.whole, request.mirrors, request.is_local, helper))
    git.check_version(lfs=request.whole)
    clone = _Clone(request, git, draft.payload)
    progress.start("clone")
    with sampled(progress, lambda: bytes_in(draft.payload)):
        record = clone.make(progress.start)
    return draft.publish(record, progress, hashed=False, without=".git")


class _Clone:
    """One clone; every step can be repeated after an interruption."""

    def __init__(self, request: SourceRequest, git: Git, folder: str) -> None:
        self._request = request
        self._git = git
        self._folder = folder
        self._backend: t.Mapping[str, str] = request.sources["backend"]
        self._tensorrt_llm: t.Mapping[str, str] = request.sources[TENSORRT_LLM]

    def make(self, phase: t.Callable[[str], None]) -> dict[str, t.Any]:
        whole = self._request.whole
        if whole:
            self._git.run("set up git-lfs", self._folder, "lfs", "install", "--skip-repo")
        self._check_out(self._folder, self._backend)
        self._check_recorded()
        if not whole:
            # Without its submodules: hundreds of MB that the templates do not need.
            folder = os.path.join(self._folder, TENSORRT_LLM)
            if os.path.islink(folder) or (os.path.exists(folder) and not os.path.isdir(folder)):
                raise SourceError(
                    f"{self._backend['repository']} at {self._backend['commit']} has something other than"
                    f" a folder at {TENSORRT_LLM}, such as a link: correct backend in trtllm_sources"
                )
            os.makedirs(folder, exist_ok=True)
            self._check_out(folder, self._tensorrt_llm)
            return {"commit": self._backend["commit"], "submodules": {}}
        phase("submodules")
        submodules = self._update_submodules()
        phase("large files")
        self._fetch_objects(submodules)
        return {"commit": self._backend["commit"], "submodules": submodules}

    def _check_out(self, folder: str, source: t.Mapping[str, str]) -> None:
        """Check out the commit in the folder, after a check that its tag or branch still contains it."""
        git, commit, repository = self._git, source["commit"], source["repository"]
        git.run("create a repository", folder, "init", "--quiet")
        remove_locks(os.path.join(folder, ".git"))
        git.run("set the remote", folder, "config", "remote.origin.url", repository)
        ref = source.get("ref", "")
        if ref:
            self._check_ref(folder, source, ref)
        elif not git.has_commit(folder, commit):
            git.fetch_commit(folder, repository, commit, "--depth", "1")
        git.run(f"check out {commit} of {repository}", folder, "checkout", "--quiet", "--force", "--detach", commit)

    def _check_ref(self, folder: str, source: t.Mapping[str, str], ref: str) -> None:
        """Check that the tag points at the commit, or that the branch contains it."""
        git, commit, repository = self._git, source["commit"], source["repository"]
        tag, branch = f"refs/tags/{ref}", f"refs/heads/{ref}"
        listed = git.run(f"list {repository}", folder, "ls-remote", "origin", tag, branch)
        name = next((name for name in (tag, branch) if re.search(rf"\s{re.escape(name)}$", listed, re.MULTILINE)), None)
        if name is None:
            raise SourceError(f"{repository} has neither a tag nor a branch {ref}: correct ref in trtllm_sources")
        git.run(f"fetch {ref} of {repository}", folder, "fetch", "--quiet", "--no-tags", "origin", f"+{name}:{name}")
        if name == branch:
            if git.attempt(folder, "merge-base", "--is-ancestor", commit, name)[0]:
                raise SourceError(
                    f"the branch {ref} of {repository} does not contain commit {commit}: correct one of them in"
                    " trtllm_sources"
                )
            return
        found = git.run(f"read tag {ref}", folder, "rev-parse", "--verify", f"{name}^{{commit}}").strip()
        if found != commit:
            raise SourceError(
                f"the tag {ref} of {repository} was moved: it points at {found}, not at {commit}. Find out why; to use"
                " the new commit, set repository and commit in trtllm_sources.backend"
            )

    def _check_recorded(self) -> None:
        """The submodule must be at the planned commit, because the key of the image is calculated from it."""
        listed = self._git.run("list the commit", self._folder, "ls-tree", "HEAD", TENSORRT_LLM).split()
        if self._request.whole and listed[1:2] == ["commit"] and listed[2] != self._tensorrt_llm["commit"]:
            raise SourceError(
                f"the backend at {self._backend['commit']} has TensorRT-LLM at {listed[2]}, not at"
                f" {self._tensorrt_llm['commit']}: correct commit in trtllm_sources (backend, tensorrt_llm)"
            )

    def _update_submodules(self) -> dict[str, str]:
        git, folder = self._git, self._folder
        if not os.path.exists(os.path.join(folder, ".gitmodules")):
            return {}
        git.run("read .gitmodules", folder, "submodule", "--quiet", "init")
        if os.path.isdir(os.path.join(folder, TENSORRT_LLM)):
            name = f"submodule.{TENSORRT_LLM}.url"
            git.run("set the submodule's remote", folder, "config", name, self._tensorrt_llm["repository"])
        update = ("submodule", "--quiet", "update", "--init", "--recursive", "--force")
        git.run(f"fetch the submodules of {self._backend['repository']}", folder, *update)
        listed = git.run("list the submodules", folder, "submodule", "status", "--recursive").splitlines()
        return {line[1:].split()[1]: line[1:].split()[0] for line in listed}

    def _fetch_objects(self, submodules: t.Iterable[str]) -> None:
        """Fetch all git-lfs objects; a file that is still a pointer would only fail hours into the build."""
        failed = []
        for name in ["", *submodules]:
            code, out, err = self._git.attempt(os.path.join(self._folder, name), "lfs", "pull")
            if code:
                failed.append((err or out).strip())
        pointers = pointer_files(self._folder)
        if pointers:
            more = f" and {len(pointers) - MAX_LISTED} more" if len(pointers) > MAX_LISTED else ""
            raise git_error(
                f"{len(pointers)} files of the sources are git-lfs pointers, because the server did not deliver the"
                f" objects: {', '.join(pointers[:MAX_LISTED])}{more}. Use repositories whose server has them"
                " (trtllm_sources, trtllm_git_mirrors), or run again if it was unreachable. git-lfs says",
                "\n".join(failed) or "nothing",
            )
        if failed:
            raise git_error("cannot fetch git-lfs objects", "\n".join(failed))
