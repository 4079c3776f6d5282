# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The sources of a release: cloned at a commit that its tag still points at, with submodules and git-lfs objects."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError, Draft
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import bytes_in, sampled

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

TENSORRT_LLM = "tensorrt_llm"
COMMIT = re.compile(r"[0-9a-f]{40}")
# Since then a file can take the place of the user's settings.
LEAST_GIT = (2, 32)
POINTER = b"version https://git-lfs.github.com/spec/"
POINTER_BYTES = 1024
NAMED = 5
LAST_LINES = 8
# In the words of git and git-lfs, what a person can do about it.
REMEDIES = (
    ("no space left", "free space, or choose a folder on a larger file system (trtllm_root or trtllm_bundle_dest)"),
    ("could not resolve host", "check this machine's DNS and proxy settings (for a host: trtllm_proxy)"),
    ("couldn't resolve host", "check this machine's DNS and proxy settings (for a host: trtllm_proxy)"),
    ("connection refused", "check that the git server runs, and that this machine can reach it"),
    ("timed out", "check that this machine can reach the git server, or set a proxy (for a host: trtllm_proxy)"),
    ("certificate", "add the certificate authority of the git server to this machine (for a host: trtllm_ca_bundle)"),
    ("could not read username", "the repository is private or does not exist: correct trtllm_sources"),
    ("authentication failed", "the repository is private or does not exist: correct trtllm_sources"),
    ("early eof", "the connection broke: run again, what was fetched is kept"),
    ("rpc failed", "the connection broke: run again, what was fetched is kept"),
    ("a second time, aborting", "run again, or name a mirror of the submodule's server (trtllm_git_mirrors)"),
    ("does not appear to be a git repository", "correct the repository in trtllm_sources"),
    ("repository not found", "correct the repository in trtllm_sources"),
    ("not our ref", "the server does not have that commit: correct the commit in trtllm_sources"),
)


class SourceError(ArtifactError):
    """What keeps the sources from being those that were asked for."""


def git_error(what: str, words: str) -> SourceError:
    """One message of what failed, git's own words and what to change."""
    said = "\n".join(words.strip().splitlines()[-LAST_LINES:])
    known = next((remedy for text, remedy in REMEDIES if text in said.lower()), "")
    return SourceError(f"{what}: {said}" + (f"\nRemedy: {known}" if known else ""))


def check_sources(sources: t.Mapping[str, t.Any]) -> None:
    """All that is wrong with what was asked for."""
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
    """Files that only point at a git-lfs object: small, with a known first line."""
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
    """What a killed git has left would stop the next one; ours is the only one, by the artifact's lock."""
    for parent, _dirs, names in os.walk(folder):
        for name in names:
            if name.endswith(".lock"):
                os.unlink(os.path.join(parent, name))


def settings(whole: bool, mirrors: t.Mapping[str, str], local: bool) -> str:
    """Git's settings while cloning. The user's own hold as well, but get nothing written into them."""
    # Not as ~, which git cannot resolve where HOME is not set, as in a service of systemd.
    own = os.path.expanduser("~/.gitconfig")
    lines = ["[include]", f'\tpath = "{own}"']
    # A server that sends nothing for a minute is given up.
    lines += ["[http]", "\tlowSpeedLimit = 100", "\tlowSpeedTime = 60"]
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
    """Runs git with settings of its own, and nobody asked for a password."""

    def __init__(self, module: AnsibleModule, config: str, **environment: str) -> None:
        self._module = module
        self._environment = {
            "GIT_CONFIG_GLOBAL": config,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            # Objects are fetched by themselves: with errors of their own, and only what is missing.
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
            text = self.run("ask git for its version", "/", "--version")
        except OSError as exc:
            raise SourceError("git is not installed on the host: install it first") from exc
        numbers = re.search(r"(\d+)\.(\d+)", text)
        if numbers and tuple(int(part) for part in numbers.groups()) < LEAST_GIT:
            raise SourceError(f"{text.strip()} is too old: {'.'.join(map(str, LEAST_GIT))} or later is needed")
        if lfs and self.attempt("/", "lfs", "version")[0]:
            raise SourceError("git-lfs is not installed on the host: install it first, for the sources' large files")


def open_git(module: AnsibleModule, draft: Draft, config: str, **environment: str) -> Git:
    """Git with these settings, which are stored in the draft beside the payload."""
    path = draft.path("gitconfig")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(config)
    return Git(module, path, **environment)


@dataclass(frozen=True)
class SourceRequest:
    """What trtllm_sources is asked for. `whole` is with all submodules and large files, as building an image needs."""

    sources: t.Mapping[str, t.Any]
    whole: bool
    mirrors: t.Mapping[str, str]

    @property
    def inputs(self) -> dict[str, t.Any]:
        return {"sources": self.sources, "whole": self.whole}

    @property
    def is_local(self) -> bool:
        urls = [source["repository"] for source in self.sources.values()]
        return any(is_local(url) for url in [*urls, *self.mirrors.values()])


def make_sources(request: SourceRequest, module: AnsibleModule, draft: Draft) -> dict[str, t.Any]:
    """Clone into the draft, going on where an earlier run was ended, and publish it."""
    progress = draft.begin(keep=True)
    git = open_git(module, draft, settings(request.whole, request.mirrors, request.is_local))
    git.check_version(lfs=request.whole)
    clone = _Clone(request, git, draft.payload)
    progress.start("clone")
    with sampled(progress, lambda: bytes_in(draft.payload)):
        record = clone.make(progress.start)
    return draft.publish(record, progress, hashed=False, without=".git")


class _Clone:
    """One clone in the making; every step can be done again."""

    def __init__(self, request: SourceRequest, git: Git, folder: str) -> None:
        self._request = request
        self._git = git
        self._folder = folder
        self._backend: t.Mapping[str, str] = request.sources["backend"]
        self._tensorrt_llm: t.Mapping[str, str] = request.sources[TENSORRT_LLM]

    def make(self, phase: t.Callable[[str], None]) -> dict[str, t.Any]:
        whole = self._request.whole
        if whole:
            self._git.run("set git-lfs up", self._folder, "lfs", "install", "--skip-repo")
        self._check_out(self._folder, self._backend)
        self._check_recorded()
        if not whole:
            # At its own commit, without the hundreds of MB of its own submodules, which templates do not need.
            folder = os.path.join(self._folder, TENSORRT_LLM)
            if os.path.islink(folder) or (os.path.exists(folder) and not os.path.isdir(folder)):
                raise SourceError(
                    f"{self._backend['repository']} at {self._backend['commit']} has something else than a folder at"
                    f" {TENSORRT_LLM}, which could lead anywhere: correct backend in trtllm_sources"
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
        """The commit in the folder; that its tag or branch still has it was checked."""
        git, commit, repository = self._git, source["commit"], source["repository"]
        git.run("make a repository", folder, "init", "--quiet")
        remove_locks(os.path.join(folder, ".git"))
        git.run("name the remote", folder, "config", "remote.origin.url", repository)
        ref = source.get("ref", "")
        if ref:
            self._check_ref(folder, source, ref)
        elif not git.has_commit(folder, commit):
            git.fetch_commit(folder, repository, commit, "--depth", "1")
        git.run(f"check out {commit} of {repository}", folder, "checkout", "--quiet", "--force", "--detach", commit)

    def _check_ref(self, folder: str, source: t.Mapping[str, str], ref: str) -> None:
        """A tag must point at the commit, a branch must have it."""
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
                    f"the branch {ref} of {repository} does not have commit {commit}: correct one of them in"
                    " trtllm_sources"
                )
            return
        found = git.run(f"read tag {ref}", folder, "rev-parse", "--verify", f"{name}^{{commit}}").strip()
        if found != commit:
            raise SourceError(
                f"the tag {ref} of {repository} was moved: it points at {found}, not at {commit}. Look into why; where"
                " the new one is meant, say so: trtllm_sources.backend with repository and commit"
            )

    def _check_recorded(self) -> None:
        """What goes into an image must be what the plan says, for keys are made of that."""
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
            git.run("name the submodule's remote", folder, "config", name, self._tensorrt_llm["repository"])
        update = ("submodule", "--quiet", "update", "--init", "--recursive", "--force")
        git.run(f"fetch the submodules of {self._backend['repository']}", folder, *update)
        listed = git.run("list the submodules", folder, "submodule", "status", "--recursive").splitlines()
        return {line[1:].split()[1]: line[1:].split()[0] for line in listed}

    def _fetch_objects(self, submodules: t.Iterable[str]) -> None:
        """All objects that git-lfs knows of; what is still a pointer afterwards would fail hours into the build."""
        failed = []
        for name in ["", *submodules]:
            code, out, err = self._git.attempt(os.path.join(self._folder, name), "lfs", "pull")
            if code:
                failed.append((err or out).strip())
        pointers = pointer_files(self._folder)
        if pointers:
            more = f" and {len(pointers) - NAMED} more" if len(pointers) > NAMED else ""
            raise git_error(
                f"{len(pointers)} files of the sources are only pointers to git-lfs objects, which the server did not"
                f" give: {', '.join(pointers[:NAMED])}{more}. Give repositories whose server has them (trtllm_sources,"
                " trtllm_git_mirrors), or run again if it could not be reached. git-lfs says",
                "\n".join(failed) or "nothing",
            )
        if failed:
            raise git_error("cannot fetch the objects of git-lfs", "\n".join(failed))
