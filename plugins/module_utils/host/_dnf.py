# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and output of rpm and dnf (version 4)."""

from __future__ import annotations

import re
import typing as t
from fnmatch import fnmatchcase

QUERY_FORMAT = r"%{NAME}\t%{EPOCHNUM}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\n"

# Headings in dnf's table of a transaction, with the action for the packages below them.
SECTIONS = (
    (re.compile(r"Install.*:$"), "install"),
    (re.compile(r"Upgrading:$"), "upgrade"),
    (re.compile(r"Downgrading:$"), "downgrade"),
    (re.compile(r"Reinstalling:$"), "reinstall"),
    (re.compile(r"Removing.*:$"), "remove"),
)


class DnfError(Exception):
    """Why the packages cannot be in the wanted state, and what to change."""


class Package(t.NamedTuple):
    """An installed package."""

    name: str
    epoch: str
    version: str
    release: str
    arch: str

    def evr(self) -> str:
        epoch = "" if self.epoch == "0" else f"{self.epoch}:"
        return f"{epoch}{self.version}-{self.release}"

    def matches(self, spec: str) -> bool:
        """Whether dnf's `spec` matches: a name, optionally with version, release and architecture."""
        versions = [f"{epoch}{self.version}" for epoch in ("", f"{self.epoch}:")]
        names = [self.name]
        for version in versions:
            names += [f"{self.name}-{version}", f"{self.name}-{version}-{self.release}"]
        return any(fnmatchcase(form, spec) for name in names for form in (name, f"{name}.{self.arch}"))


class Change(t.NamedTuple):
    """What a transaction does to one package."""

    action: str
    name: str
    arch: str
    evr: str


def parse_installed(text: str) -> list[Package]:
    """The output of `rpm -qa` in QUERY_FORMAT, without the GPG keys that rpm lists as packages."""
    packages = [Package(*line.split("\t")) for line in text.splitlines() if line]
    return [package for package in packages if package.name != "gpg-pubkey"]


def parse_transaction(text: str) -> list[Change]:
    """The table that dnf prints before it asks for confirmation."""
    table = text.partition("Dependencies resolved.")[2].partition("Transaction Summary")[0]
    changes = []
    action: str | None = None
    words: list[str] = []
    for line in table.splitlines():
        if line[:1].strip():
            action = next((action for heading, action in SECTIONS if heading.match(line)), None)
        elif action:
            # A row with a long name continues on the next line.
            words += line.split()
            if words[:1] == ["replacing"] and len(words) == 3:
                name, arch = words[1].rsplit(".", 1)
                changes.append(Change("remove", name, arch, words[2]))
                words = []
            elif len(words) >= 5:
                changes.append(Change(action, *words[:3]))
                words = []
    return changes


def options(params: dict[str, t.Any]) -> list[str]:
    """The dnf options for the module's parameters."""
    flags = [f"--disablerepo={name}" for name in params["disablerepo"]]
    flags += [f"--enablerepo={name}" for name in params["enablerepo"]]
    if params["reposdir"]:
        flags.append("--setopt=reposdir=" + ",".join(params["reposdir"]))
    if params["state"] == "absent":
        return [*flags, "--noautoremove"]
    if not params["install_weak_deps"]:
        flags.append("--setopt=install_weak_deps=False")
    if params["refresh"]:
        flags.append("--refresh")
    if params["nobest"]:
        flags.append("--nobest")
    elif params["state"] == "latest":
        # Without it, dnf accepts an installed package as it is.
        flags.append("--best")
    if params["removable"]:
        flags.append("--allowerasing")
    return flags


def unexpected_removals(changes: list[Change], allowed: list[str]) -> list[str]:
    """The packages that a transaction removes although they match none of the patterns in `allowed`."""
    removed = sorted({change.name for change in changes if change.action == "remove"})
    return [name for name in removed if not any(fnmatchcase(name, pattern) for pattern in allowed)]


def remedy(words: str) -> str:
    """What to change after a transaction failed with this message."""
    if "Unable to find a match" in words:
        return "Correct the names, or add or enable the repository that has them."
    if "conflict" in words or "obsoletes" in words:
        return "List packages that may be removed in 'removable', or set 'nobest' if an older version is acceptable."
    if "GPG" in words or "public key" in words.lower():
        return "Check and import the key that the repository is signed with."
    if "Cannot download" in words or "Failed to download" in words or "Curl error" in words:
        return (
            "Check that the host can reach its repositories (through a proxy if necessary), or disable those it cannot."
        )
    return "Fix the cause that dnf reports, and run again."


def listing(packages: t.Iterable[tuple[str, str]]) -> str:
    return "".join(f"{name}-{evr}\n" for name, evr in sorted(set(packages)))


def diff(installed: list[Package], changes: list[Change]) -> dict[str, str]:
    """The packages that a transaction changes, before and after."""
    touched = {(change.name, change.arch) for change in changes}
    before = [(package.name, package.evr()) for package in installed if (package.name, package.arch) in touched]
    after = [(change.name, change.evr) for change in changes if change.action != "remove"]
    return {"before": listing(before), "after": listing(after)}
