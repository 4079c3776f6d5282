# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Packages of a distribution with all that they depend on, fetched without a machine that has it, as a repository."""

from __future__ import annotations

import glob
import os
import re
import shutil
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft, check_space
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress, bytes_in, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError

# Runs a command and returns what it prints; BundleError when it fails.
Run = t.Callable[..., str]
DEB_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
TOOLS = {
    "apt-get": "apt-get, of Debian's apt",
    "apt-ftparchive": "apt-ftparchive, of the package apt-utils",
    "dnf": "dnf 4",
    "createrepo_c": "createrepo_c, of the package createrepo_c (Debian: createrepo-c)",
    "rpmkeys": "rpmkeys, of the package rpm",
}
_SIZE = re.compile(r"^'[^']+' \S+ (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Wanted:
    """The packages of a system. A repository of apt has uris, suites, components, key; one of dnf has baseurl, key,
    and signed, which is index where its packages are not."""

    system: str
    architecture: str
    packages: t.Sequence[str]
    repositories: t.Sequence[t.Mapping[str, t.Any]]

    @property
    def release(self) -> str:
        """The major version, which dnf calls releasever."""
        return self.system.rpartition("-")[2]


class Packages:
    """One fetching of packages, by one of the package managers."""

    tools: tuple[str, ...] = ()

    def __init__(self, wanted: Wanted, run: Run, find: t.Callable[[str], str | None]) -> None:
        self.wanted = wanted
        self._run = run
        missing = [TOOLS[tool] for tool in self.tools if not find(tool)]
        if missing:
            raise BundleError(
                f"fetching packages of {wanted.system} takes {' and '.join(missing)}, which this machine has not:"
                " install it, or make the bundle on a machine that has it (trtllm_bundle_host)"
            )

    def make(self, draft: Draft) -> dict[str, t.Any]:
        """Fill the draft: what an earlier run has fetched already is not fetched again."""
        progress = draft.begin(keep=True)
        work = draft.path("work")
        os.makedirs(work, exist_ok=True)
        progress.start("lists")
        self.fetch(work, draft.payload, progress)
        progress.start("index")
        self.index(draft.payload)
        return draft.publish({"versions": self.versions(draft.payload)}, progress)

    def fetch(self, work: str, payload: str, progress: Progress) -> None:
        raise NotImplementedError

    def index(self, payload: str) -> None:
        raise NotImplementedError

    def versions(self, payload: str) -> list[str]:
        """The files' names say package and version."""
        return sorted(os.path.basename(name) for name in glob.glob(os.path.join(payload, self.pattern)))

    pattern = ""


class Apt(Packages):
    """By apt with lists, cache and status of its own. The status is empty, so that nothing is taken for installed."""

    tools = ("apt-get", "apt-ftparchive")
    pattern = "*.deb"

    def fetch(self, work: str, payload: str, progress: Progress) -> None:
        settings = self._prepare(work)
        archives = os.path.join(work, "var/cache/apt/archives")
        apt = ["apt-get", f"--config-file={settings}"]
        # Without it a repository that cannot be reached is but a warning.
        self._run([*apt, "--option=APT::Update::Error-Mode=any", "update"], "cannot fetch the lists of packages")
        asked = [*apt, "install", "--yes", "--no-install-recommends"]
        listed = self._run([*asked, "--print-uris", *self.wanted.packages], "cannot find all packages")
        missing = sum(int(size) for size in _SIZE.findall(listed))
        check_space(work, missing, f"the packages of {self.wanted.system}")
        there = bytes_in(archives)
        progress.start("download", total=there + missing, done=there)
        with sampled(progress, lambda: bytes_in(archives)):
            self._run([*asked, "--download-only", *self.wanted.packages], "cannot fetch the packages")
        for package in glob.glob(os.path.join(archives, self.pattern)):
            # The colon of an epoch, which apt writes as %3a, is none that every file system can take.
            os.rename(package, os.path.join(payload, os.path.basename(package).replace("%3a", "-")))

    def index(self, payload: str) -> None:
        for name in ("Packages", "Release"):
            _remove_file(os.path.join(payload, name))
        for name in ("Packages", "Release"):
            text = self._run(["apt-ftparchive", name.lower(), "."], f"cannot write {name}", cwd=payload)
            with open(os.path.join(payload, name), "w", encoding="utf-8") as stream:
                stream.write(text)

    def _prepare(self, work: str) -> str:
        for folder in ("etc/apt", "var/lib/apt/lists/partial", "var/lib/dpkg", "var/cache/apt/archives/partial"):
            os.makedirs(os.path.join(work, folder), exist_ok=True)
        _write(os.path.join(work, "var/lib/dpkg/status"), "")
        _write(os.path.join(work, "etc/apt/bundle.sources"), apt_sources(self.wanted))
        settings = os.path.join(work, "apt.conf")
        _write(settings, apt_settings(work, DEB_ARCHITECTURES[self.wanted.architecture]))
        return settings


def apt_settings(work: str, architecture: str) -> str:
    """The machine's own settings, such as its proxy, stay; its repositories, keys and packages do not count."""
    return f"""\
#clear APT::Architectures;
#clear APT::Update;
#clear DPkg;
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::AllowInsecureRepositories "false";
Dir::State "{work}/var/lib/apt";
Dir::State::status "{work}/var/lib/dpkg/status";
Dir::Cache "{work}/var/cache/apt";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{work}/etc/apt";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
"""


def apt_sources(wanted: Wanted) -> str:
    """One deb822 paragraph a repository, each trusted by its own key alone."""
    paragraphs = []
    for repository in wanted.repositories:
        lines = [
            "Types: deb",
            f"URIs: {repository['uris']}",
            f"Suites: {repository['suites']}",
            *([f"Components: {repository['components']}"] if repository.get("components") else []),
            f"Architectures: {DEB_ARCHITECTURES[wanted.architecture]}",
            f"Signed-By: {repository['key']}",
        ]
        paragraphs.append("\n".join(lines) + "\n")
    return "\n".join(paragraphs)


class Dnf(Packages):
    """By dnf into an empty root, so that nothing is taken for installed."""

    tools = ("dnf", "createrepo_c", "rpmkeys")
    pattern = "*.rpm"

    def fetch(self, work: str, payload: str, progress: Progress) -> None:
        for folder in ("repos", "root", "cache", "keys"):
            os.makedirs(os.path.join(work, folder), exist_ok=True)
        _write(os.path.join(work, "dnf.conf"), dnf_settings(work))
        _write(os.path.join(work, "repos/bundle.repo"), dnf_repositories(self.wanted))
        dnf = [
            *("dnf", f"--config={work}/dnf.conf", f"--installroot={work}/root", f"--setopt=reposdir={work}/repos"),
            *(f"--setopt=cachedir={work}/cache", f"--releasever={self.wanted.release}"),
            *(f"--forcearch={self.wanted.architecture}", "--assumeyes", "--quiet"),
        ]
        self._run([*dnf, "makecache"], "cannot fetch the lists of packages")
        progress.start("download")
        fetch = ["install", "--downloadonly", f"--downloaddir={payload}", *self.wanted.packages]
        with sampled(progress, lambda: bytes_in(payload)):
            self._run([*dnf, *fetch], "cannot fetch the packages")
        self._check_signatures(work, payload, self._listed_by_signed_indexes(dnf))

    def _listed_by_signed_indexes(self, dnf: list[str]) -> set[str]:
        """Files that no other repository has: dnf itself has compared them with the index."""
        indexed = {repository["name"] for repository in self.wanted.repositories if repository.get("signed") == "index"}
        if not indexed:
            return set()
        query = ["repoquery", "--queryformat", "%{repoid} %{location}"]
        offering: dict[str, set[str]] = {}
        for line in self._run([*dnf, *query], "cannot list the repositories").splitlines():
            repository, _space, location = line.partition(" ")
            offering.setdefault(os.path.basename(location), set()).add(repository)
        return {name for name, repositories in offering.items() if repositories <= indexed}

    def _check_signatures(self, work: str, payload: str, listed: set[str]) -> None:
        """Of what an earlier run has fetched as well."""
        keys = [f"--dbpath={work}/keys"]
        for key in sorted({str(repository["key"]) for repository in self.wanted.repositories}):
            self._run(["rpmkeys", *keys, "--import", key], f"cannot read the key {key}")
        there = sorted(glob.glob(os.path.join(payload, self.pattern)))
        files = [file for file in there if os.path.basename(file) not in listed]
        # A package without a signature has digests alone, and would pass.
        level = ["--define", "_pkgverify_level all"]
        if files:
            self._run(
                ["rpmkeys", *keys, *level, "--checksig", *files], "a package is not signed by its repository's key"
            )

    def index(self, payload: str) -> None:
        shutil.rmtree(os.path.join(payload, "repodata"), ignore_errors=True)
        self._run(["createrepo_c", "--quiet", "."], "cannot write the repository's index", cwd=payload)


def dnf_settings(work: str) -> str:
    return f"""\
[main]
gpgcheck=1
install_weak_deps=0
best=1
cachedir={work}/cache
persistdir={work}/root/var/lib/dnf
reposdir={work}/repos
varsdir=/nonexistent
"""


def dnf_repositories(wanted: Wanted) -> str:
    paragraphs = []
    for repository in wanted.repositories:
        lines = [
            f"[{repository['name']}]",
            f"name={repository['name']}",
            f"baseurl={repository['baseurl']}",
            f"gpgkey=file://{repository['key']}",
            "gpgcheck=0\nrepo_gpgcheck=1" if repository.get("signed") == "index" else "gpgcheck=1",
            "enabled=1",
            "skip_if_unavailable=0",
        ]
        paragraphs.append("\n".join(lines) + "\n")
    return "\n".join(paragraphs)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def _remove_file(path: str) -> None:
    if os.path.exists(path):
        os.unlink(path)
