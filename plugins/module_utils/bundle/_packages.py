# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The packages of a bundle: a repository for a distribution that this machine need not run."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import Draft, check_space
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress, bytes_in, sampled
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._bundle import BundleError
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._command import Run, runner
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._part import (
    ARCHITECTURE,
    ArgumentSpec,
    Kind,
    Options,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

REPOSITORY: ArgumentSpec = {
    "name": {"type": "str", "required": True},
    "uris": {"type": "str"},
    "suites": {"type": "str"},
    "components": {"type": "str"},
    "baseurl": {"type": "str"},
    "key": {"type": "path", "no_log": False},
    "key_url": {"type": "str", "no_log": False},
    "signed": {"type": "str", "choices": ["packages", "index"]},
}
SPEC: ArgumentSpec = {
    "type": "dict",
    "options": {
        "system": {"type": "str", "required": True},
        "manager": {"type": "str", "choices": ["apt", "dnf"], "required": True},
        "architecture": ARCHITECTURE,
        "packages": {"type": "list", "elements": "str", "required": True},
        "repositories": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": REPOSITORY,
            "mutually_exclusive": [("key", "key_url")],
            "required_one_of": [("key", "key_url")],
        },
        "keys": {"type": "path", "no_log": False},
    },
}
DEB_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
TOOLS = {
    "apt-get": "apt-get, from Debian's package apt",
    "apt-ftparchive": "apt-ftparchive, from the package apt-utils",
    "dnf": "dnf 4",
    "createrepo_c": "createrepo_c, from the package createrepo_c (Debian: createrepo-c)",
    "rpmkeys": "rpmkeys, from the package rpm",
}
_SIZE = re.compile(r"^'[^']+' \S+ (\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Wanted:
    """The packages of a system. A repository has uris, suites and components for apt, or baseurl and signed for dnf.

    Its key is a file. `signed` is index if the packages themselves are not signed.
    """

    system: str
    architecture: str
    packages: t.Sequence[str]
    repositories: t.Sequence[t.Mapping[str, t.Any]]

    @property
    def release(self) -> str:
        """The major version, as dnf's releasever."""
        return self.system.rpartition("-")[2]


class Packages:
    """Downloads packages with a package manager."""

    tools: tuple[str, ...] = ()

    def __init__(self, wanted: Wanted, run: Run, find: t.Callable[[str], str | None]) -> None:
        self.wanted = wanted
        self._run = run
        missing = [TOOLS[tool] for tool in self.tools if not find(tool)]
        if missing:
            raise BundleError(
                f"downloading packages for {wanted.system} requires {' and '.join(missing)}, which this machine does"
                " not have: install it, or make the bundle on a machine that has it (trtllm_bundle_host)"
            )

    def make(self, draft: Draft) -> dict[str, t.Any]:
        """Fill and publish the draft, without downloading again what an interrupted run downloaded."""
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
        """The file names, which contain package and version."""
        return sorted(os.path.basename(name) for name in glob.glob(os.path.join(payload, self.pattern)))

    pattern = ""


class Apt(Packages):
    """Uses apt with its own lists, cache and status. The status is empty, so that no package counts as installed."""

    tools = ("apt-get", "apt-ftparchive")
    pattern = "*.deb"

    def fetch(self, work: str, payload: str, progress: Progress) -> None:
        settings = self._prepare(work)
        archives = os.path.join(work, "var/cache/apt/archives")
        apt = ["apt-get", f"--config-file={settings}"]
        # Without this option, an unreachable repository is only a warning.
        self._run([*apt, "--option=APT::Update::Error-Mode=any", "update"], "cannot download the package lists")
        install = [*apt, "install", "--yes", "--no-install-recommends"]
        listed = self._run([*install, "--print-uris", *self.wanted.packages], "cannot resolve the packages")
        missing = sum(int(size) for size in _SIZE.findall(listed))
        check_space(work, missing, f"the packages of {self.wanted.system}")
        done = bytes_in(archives)
        progress.start("download", total=done + missing, done=done)
        with sampled(progress, lambda: bytes_in(archives)):
            self._run([*install, "--download-only", *self.wanted.packages], "cannot download the packages")
        for package in glob.glob(os.path.join(archives, self.pattern)):
            # Not every file system allows the colon of an epoch, which apt writes as %3a.
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
    """The machine's own settings, such as its proxy, apply; its repositories, keys and packages do not."""
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
    """One deb822 paragraph for each repository, which only its own key can sign."""
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
    """Uses dnf with an empty root, so that no package counts as installed."""

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
        self._run([*dnf, "makecache"], "cannot download the package lists")
        progress.start("download")
        fetch = ["install", "--downloadonly", f"--downloaddir={payload}", *self.wanted.packages]
        with sampled(progress, lambda: bytes_in(payload)):
            self._run([*dnf, *fetch], "cannot download the packages")
        self._check_signatures(work, payload, self._listed_by_signed_indexes(dnf))

    def _listed_by_signed_indexes(self, dnf: list[str]) -> set[str]:
        """Files that only repositories with a signed index offer: dnf itself has compared them with that index."""
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
        """Includes packages that an interrupted run downloaded."""
        keys = [f"--dbpath={work}/keys"]
        for key in sorted({str(repository["key"]) for repository in self.wanted.repositories}):
            self._run(["rpmkeys", *keys, "--import", key], f"cannot read the key {key}")
        downloaded = sorted(glob.glob(os.path.join(payload, self.pattern)))
        files = [file for file in downloaded if os.path.basename(file) not in listed]
        # Otherwise a package without a signature, which only has digests, would pass.
        level = ["--define", "_pkgverify_level all"]
        if files:
            checksig = ["rpmkeys", *keys, *level, "--checksig", *files]
            self._run(checksig, "a package is not signed with its repository's key")

    def index(self, payload: str) -> None:
        shutil.rmtree(os.path.join(payload, "repodata"), ignore_errors=True)
        self._run(["createrepo_c", "--quiet", "."], "cannot write the index of the repository", cwd=payload)


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


def wanted_of(options: Options) -> Wanted:
    repositories = [with_key(repository, options["keys"]) for repository in options["repositories"]]
    return Wanted(options["system"], options["architecture"], options["packages"], repositories)


def with_key(repository: t.Mapping[str, t.Any], keys: str | None) -> dict[str, t.Any]:
    """The options of the repository that are set, with its key as a file."""
    given = {name: value for name, value in repository.items() if value is not None}
    if "key" in given:
        return given
    name = hashlib.sha256(given["key_url"].encode("utf-8")).hexdigest()
    return {**given, "key": os.path.join(keys or "", f"{name}.asc")}


def inputs(options: Options) -> dict[str, t.Any]:
    wanted = wanted_of(options)
    # The location of a key does not affect the packages.
    repositories = [{name: value for name, value in each.items() if name != "key"} for each in wanted.repositories]
    return {**vars(wanted), "packages": sorted(wanted.packages), "repositories": repositories}


def make(options: Options, module: AnsibleModule, draft: Draft) -> dict[str, t.Any]:
    manager = {"apt": Apt, "dnf": Dnf}[options["manager"]]
    return manager(wanted_of(options), runner(module), module.get_bin_path).make(draft)


def results(record: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"packages": record.get("versions", [])}


KIND = Kind(SPEC, inputs, make, results)
