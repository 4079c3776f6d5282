# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages the collection installed, removed or changed, and how to undo that.

Dependencies are the package manager's business: it is asked, nothing is resolved here.
"""

from __future__ import annotations

import copy
import re
import typing as t


class Package(t.NamedTuple):
    """`auto` means that it was installed as a dependency. It is only known for Debian's packages."""

    version: str
    auto: bool = False


Packages = t.Dict[str, Package]
# As stored in the record: version and `auto` by name.
Baseline = t.Mapping[str, t.Sequence[t.Any]]
Tally = t.Dict[str, t.Dict[str, t.Any]]


class PackageManager(t.Protocol):
    """What is asked about the installed packages."""

    def dependencies(self, names: t.Collection[str]) -> set[str]:
        """The packages that these directly depend on, or recommend."""

    def required_by_others(self, names: t.Collection[str]) -> dict[str, str]:
        """Those of the packages that cannot be removed, each with a package that stays and depends on it."""


def plain(name: str) -> str:
    """The name as a role writes it, without the architecture that dpkg may add."""
    return name.split(":", 1)[0]


def is_key(name: str) -> bool:
    """Whether it is a repository's key, which rpm lists as a package. dnf imports keys when it installs packages."""
    return name.startswith("gpg-pubkey-")


def empty_tally() -> Tally:
    """Changes of packages by name: `changed` is for those with another version than before, `marked_manual` for those
    that were only there as a dependency until a role installed them by name."""
    return {"installed": {}, "removed": {}, "changed": {}, "marked_manual": {}}


DPKG_FORMAT = "${db:Status-Status}\t${binary:Package}\t${Version}\n"


def parse_dpkg(listed: str, auto: t.Iterable[str]) -> Packages:
    """Parse the output of dpkg-query in DPKG_FORMAT and that of `apt-mark showauto`."""
    automatic = {plain(name) for name in auto}
    packages = {}
    for line in listed.splitlines():
        status, name, version = line.split("\t")
        # Only the configuration of a removed package may remain. A package that is half installed counts as installed.
        if status not in ("not-installed", "config-files"):
            packages[name] = Package(version, plain(name) in automatic)
    return packages


RPM_FORMAT = "%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{EPOCHNUM}\\n"


def parse_rpm(listed: str) -> Packages:
    """Parse the output of `rpm --query --all` in RPM_FORMAT."""
    packages = {}
    for line in listed.splitlines():
        name, version, _architecture, epoch = line.split("\t")
        # All imported keys have this package name.
        key = f"{name}-{version}" if name == "gpg-pubkey" else name
        packages[key] = Package(version if epoch == "0" else f"{epoch}:{version}")
    return packages


def baseline(packages: Packages) -> dict[str, list[t.Any]]:
    """The packages as the record stores them."""
    return {name: list(package) for name, package in packages.items()}


def _installed(before: Baseline, now: Packages, names: t.Container[str], manager: PackageManager) -> dict[str, bool]:
    """The new packages that belong to a part, and whether each only replaces a package that was removed.

    Others may have installed packages meanwhile, or between a run that was killed and the next.
    """
    new = set(now) - set(before)
    named = {name for name in now if plain(name) in names}
    found = {name: False for name in new if name in named or is_key(name)}
    if len(found) == len(new):
        return found
    changed = new | {name for name in set(before) & set(now) if before[name][0] != now[name].version}
    needed, more = set(), named & changed
    while more:
        needed |= more
        more = (manager.dependencies(more) & changed) - needed
    found.update(dict.fromkeys((needed & new) - set(found), False))
    rest = new - set(found)
    if rest and not set(before) <= set(now):
        found.update(dict.fromkeys(_replacements(rest, changed, manager), True))
    return found


def _replacements(names: t.Collection[str], changed: t.Container[str], manager: PackageManager) -> set[str]:
    """New packages that an earlier one now needs in place of a removed one, and their dependencies."""
    required = manager.required_by_others(names)
    found: set[str] = set()
    while True:
        more = {name for name, dependent in required.items() if dependent in found or dependent not in changed}
        if more == found:
            return found
        found = more


def add_changes(
    tally: Tally, before: Baseline, now: Packages, part: str, names: t.Iterable[str], manager: PackageManager
) -> Tally:
    """Add what a part, which named these packages, changed since `before`. Earlier entries are not replaced."""
    tally = copy.deepcopy(tally)
    names = set(names)
    installed = _installed(before, now, names, manager)
    for name in sorted(set(now) - set(before)):
        if tally["removed"].pop(name, None) is None and name in installed:
            entry = {"part": part, "named": plain(name) in names, "replacement": installed[name]}
            tally["installed"].setdefault(name, entry)
    for name in sorted(set(before) - set(now)):
        if tally["installed"].pop(name, None) is None:
            version, auto = before[name]
            tally["removed"].setdefault(name, {"part": part, "version": version, "auto": auto})
    for name in sorted(set(before) & set(now) - set(tally["installed"])):
        version, auto = before[name]
        if plain(name) not in names:
            continue
        if version != now[name].version:
            tally["changed"].setdefault(name, {"part": part, "before": version})["ours"] = now[name].version
        if auto and not now[name].auto:
            tally["marked_manual"][name] = {"part": part}
    return tally


def candidates(tally: Tally, now: Packages, keep: t.Container[str]) -> list[str]:
    """The packages to remove, unless others depend on them."""
    return sorted(name for name, entry in tally["installed"].items() if name in now and entry["part"] not in keep)


def plan(
    tally: Tally,
    now: Packages,
    keep: t.Mapping[str, str],
    required: t.Mapping[str, str],
    unavailable: t.Container[str] = (),
) -> dict[str, t.Any]:
    """How the packages become what they were.

    `keep` has parts that stay as they are, with the reason. `required` is PackageManager.required_by_others of the
    candidates. `unavailable` packages cannot be reinstalled in any version.
    """
    installed = tally["installed"]
    # A package that was removed in favour of one that stays must not come back, because the two conflict.
    staying = {*keep, *(installed[name]["part"] for name in required if installed[name]["named"])}
    back = {
        name: entry
        for name, entry in sorted(tally["removed"].items())
        if name not in now and name not in unavailable and entry["part"] not in staying
    }
    returning = {entry["part"] for entry in back.values()}
    later = {name for name in required if installed[name]["replacement"] and installed[name]["part"] in returning}
    kept = {name: keep[entry["part"]] for name, entry in installed.items() if name in now and entry["part"] in keep}
    return {
        "remove": [name for name in candidates(tally, now, keep) if name not in required],
        "remove_later": sorted(later),
        "kept": {**{name: f"{who} needs it" for name, who in required.items() if name not in later}, **kept},
        "reinstall": {name: entry["version"] for name, entry in back.items()},
        "change": {
            name: entry["before"]
            for name, entry in sorted(tally["changed"].items())
            # A version that others installed since then stays.
            if name in now and now[name].version == entry["ours"] and entry["part"] not in staying
        },
        "mark_auto": sorted(
            [name for name in tally["marked_manual"] if name in now and not now[name].auto]
            + [name for name, entry in back.items() if entry["auto"]]
        ),
    }


def remaining(tally: Tally, now: Packages) -> Tally:
    """What can still be undone later. A removed package that was not reinstalled is only kept for that if something of
    the same part is still installed."""
    installed = {name: entry for name, entry in tally["installed"].items() if name in now}
    parts = {entry["part"] for entry in installed.values()}
    removed = {name: entry for name, entry in tally["removed"].items() if name not in now and entry["part"] in parts}
    return {**empty_tally(), "installed": installed, "removed": removed}


_DPKG_REFUSAL = re.compile(r"prevent removal of (\S+):\n (\S+) depends on ")
_RPM_REFUSAL = re.compile(r"^\s+(.+) is needed by \(installed\) (\S+)$", re.MULTILINE)


def parse_dpkg_refusals(errors: str) -> dict[str, str]:
    """The packages that `dpkg --remove` refuses to remove, each with one that depends on it."""
    return dict(_DPKG_REFUSAL.findall(errors))


def parse_rpm_refusals(errors: str) -> list[tuple[str, str]]:
    """The capabilities that `rpm --erase` refuses to remove, each with a package that needs it."""
    return _RPM_REFUSAL.findall(errors)
