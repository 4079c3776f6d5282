# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages came, went or moved by us, and which of them can go again. Pure."""

from __future__ import annotations

import copy
import itertools
import re
import typing as t
from dataclasses import dataclass

NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9+._-]*)")


@dataclass(frozen=True)
class Package:
    """`needs` has groups of which one capability each has to be there, `wants` what is only recommended."""

    version: str
    auto: bool = False
    needs: tuple[frozenset[str], ...] = ()
    wants: frozenset[str] = frozenset()
    gives: frozenset[str] = frozenset()


Packages = t.Dict[str, Package]


def plain(name: str) -> str:
    """The name as a role says it: without the architecture that dpkg gives after a colon."""
    return name.split(":", 1)[0]


def is_key(name: str) -> bool:
    """Whether it is one that rpm trusts, which it lists as a package; dnf imports them as it installs."""
    return name.startswith("gpg-pubkey-")


def empty_tally() -> dict[str, t.Any]:
    """What is remembered of packages, by name: those that were not there before us, those that were and are not, those
    in another version, and those that were there only for others' sake (`asked`: until a role asked for them)."""
    return {"came": {}, "went": {}, "moved": {}, "asked": {}}


def _groups(field: str) -> tuple[frozenset[str], ...]:
    groups = []
    for group in field.split(","):
        found = [NAME.match(alternative) for alternative in group.split("|")]
        names = frozenset(match.group(1) for match in found if match)
        if names:
            groups.append(names)
    return tuple(groups)


def _names(field: str) -> frozenset[str]:
    return frozenset(name for group in _groups(field) for name in group)


# Fields are many lines long in some packages, and none of them has these two characters.
DPKG_FIELDS = ("db:Status-Status", "binary:Package", "Version", "Pre-Depends", "Depends", "Recommends", "Provides")
DPKG_FORMAT = "\x1f".join(f"${{{field}}}" for field in DPKG_FIELDS) + "\x1e"


def parse_dpkg(listed: str, auto: t.Iterable[str]) -> Packages:
    """`listed` is what dpkg-query shows by DPKG_FORMAT, `auto` what apt-mark shows as installed for others' sake."""
    by_itself = {plain(name) for name in auto}
    packages = {}
    for entry in listed.split("\x1e"):
        if not entry.strip():
            continue
        status, name, version, before, needs, wants, gives = entry.split("\x1f")
        # Of a package that was removed the settings may be left: it is not there, unless it is half-way in or out.
        if status in ("not-installed", "config-files"):
            continue
        packages[name] = Package(
            version=version,
            auto=plain(name) in by_itself,
            needs=_groups(before) + _groups(needs),
            wants=_names(wants),
            gives=_names(gives) | {plain(name)},
        )
    return packages


# The words between the alternatives and the parts of a rich dependency; of the others, which are conditions, nothing is
# said here.
RICH_WORDS = ("or", "and", "with")


def _rich_words(text: str) -> list[str]:
    """The names, words and parentheses of a rich dependency, without the versions. Names have parentheses, too."""
    words: list[str] = []
    skip = False
    for token in text.split():
        opening = len(token) - len(token.lstrip("("))
        bare = token[opening:]
        closing = max(0, bare.count(")") - bare.count("("))
        name = bare[: len(bare) - closing]
        is_version = skip
        skip = bool(name) and set(name) <= set("<>=")
        words += ["("] * opening
        if name and not skip and not is_version:
            words.append(name)
        words += [")"] * closing
    return words


def _rich(words: list[str]) -> list[frozenset[str]]:
    """The groups of the expression that the words begin with, which are taken from them."""
    if words.pop(0) != "(":
        raise ValueError("no parenthesis")
    sides, joined_by = [], set()
    while True:
        sides.append(_rich(words) if words[0] == "(" else [frozenset([words.pop(0)])])
        word = words.pop(0)
        if word == ")":
            break
        joined_by.add(word)
    if not joined_by <= set(RICH_WORDS):
        return []
    if "or" not in joined_by:
        return [group for side in sides for group in side]
    # One of the sides as a whole; a side of which nothing can be said may be the one.
    return [frozenset().union(*chosen) for chosen in itertools.product(*sides)]


def rich_groups(text: str) -> list[frozenset[str]]:
    """What a rich dependency of rpm's such as "(crun >= 1.0 or runc)" needs, as far as it is under no condition."""
    try:
        return _rich(_rich_words(text))
    except (IndexError, ValueError):
        return []


RPM_FORMAT = "%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{EPOCHNUM}\\n"
RPM_NEEDS = "[%{=NAME}\t%{REQUIRENAME}\\n]"
RPM_WANTS = "[%{=NAME}\t%{RECOMMENDNAME}\\n]"
RPM_GIVES = "[%{=NAME}\t%{PROVIDENAME}\\n]"
RPM_FILES = "[%{=NAME}\t%{FILENAMES}\\n]"


def _pairs(listed: str) -> dict[str, set[str]]:
    pairs: dict[str, set[str]] = {}
    for line in listed.splitlines():
        name, separator, value = line.partition("\t")
        if separator and value and not value.startswith("rpmlib("):
            pairs.setdefault(name, set()).add(value)
    return pairs


def _rpm_groups(needed: t.Iterable[str]) -> tuple[frozenset[str], ...]:
    groups = []
    for capability in sorted(needed):
        groups += rich_groups(capability) if capability.startswith("(") else [frozenset([capability])]
    return tuple(groups)


def parse_rpm(listed: str, needs: str, wants: str, gives: str, files: str) -> Packages:
    """Of RPM_FORMAT and its companions. `files` counts only where somebody needs that very file."""
    needed, wanted, given = _pairs(needs), _pairs(wants), _pairs(gives)
    paths = {path for names in needed.values() for path in names if path.startswith("/")}
    for name, owned in _pairs(files).items():
        given.setdefault(name, set()).update(owned & paths)
    packages = {}
    for line in listed.splitlines():
        name, version, _architecture, epoch = line.split("\t")
        # Every imported key is a package of this one name.
        key = f"{name}-{version}" if name == "gpg-pubkey" else name
        packages[key] = Package(
            version=version if epoch == "0" else f"{epoch}:{version}",
            needs=_rpm_groups(needed.get(name, ())),
            wants=frozenset(want for want in wanted.get(name, ()) if not want.startswith("(")),
            gives=frozenset(given.get(name, ())) | {name},
        )
    return packages


def _providers(packages: Packages) -> dict[str, set[str]]:
    providers: dict[str, set[str]] = {}
    for name, package in packages.items():
        for capability in package.gives:
            providers.setdefault(capability, set()).add(name)
    return providers


def closure(packages: Packages, roots: t.Iterable[str]) -> set[str]:
    """The named packages as far as they are there, and all that they need or want."""
    providers = _providers(packages)
    waiting = [name for name in packages if plain(name) in set(roots)]
    reached: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        package = packages[name]
        for capability in package.wants.union(*package.needs):
            waiting.extend(providers.get(capability, ()))
    return reached


def needed_by_others(packages: Packages, going: t.Iterable[str]) -> dict[str, str]:
    """Which of the packages that are to go have to stay, each with the name of one that needs it."""
    providers = _providers(packages)
    gone, held = set(going), {}
    staying = [name for name in packages if name not in gone]
    while staying:
        name = staying.pop()
        for group in packages[name].needs:
            candidates: set[str] = set().union(*(providers.get(capability, ()) for capability in group))
            # What nobody provides now is not ours to break.
            if candidates and candidates <= gone:
                gone -= candidates
                held.update(dict.fromkeys(candidates, name))
                staying.extend(candidates)
    return held


def listing(packages: Packages) -> dict[str, list[t.Any]]:
    """What a record has of the packages that are there: what they give counts once they have gone."""
    return {name: [package.version, package.auto, sorted(package.gives)] for name, package in packages.items()}


def in_place_of(gone: t.Container[str], before: t.Mapping[str, t.Sequence[t.Any]], now: Packages) -> set[str]:
    """The newcomers that somebody's package now has for a need that only what is gone fulfilled before."""
    providers = _providers(now)
    found: set[str] = set()
    for name in set(before) & set(now):
        for group in now[name].needs if before[name][0] == now[name].version else ():
            fulfilled_by: set[str] = set().union(*(providers.get(capability, ()) for capability in group))
            if fulfilled_by.isdisjoint(before) and any(capability in gone for capability in group):
                found |= fulfilled_by
    return found


def absorb(
    tally: t.Mapping[str, t.Any],
    before: t.Mapping[str, t.Sequence[t.Any]],
    now: Packages,
    part: str,
    named: t.Iterable[str],
) -> dict[str, t.Any]:
    """Add to the tally what one part has changed since `before` (see listing).

    Only what the part has named, what that needs, what fills the place of something that it has removed, and the keys
    of repositories have come by it: what somebody else installs meanwhile, or between a run that was killed and the
    next, is theirs.
    """
    counted = copy.deepcopy(dict(tally))
    named = set(named)
    gone = {capability for name in set(before) - set(now) for capability in before[name][2]}
    reached = closure(now, named | in_place_of(gone, before, now)) | set(filter(is_key, now))
    for name in sorted(set(now) - set(before)):
        if counted["went"].pop(name, None) is None and name in reached:
            entry = {"part": part, "named": plain(name) in named, "version": now[name].version}
            counted["came"].setdefault(name, entry)
    for name in sorted(set(before) - set(now)):
        if counted["came"].pop(name, None) is None:
            version, auto, gives = before[name]
            counted["went"].setdefault(name, {"part": part, "version": version, "auto": auto, "gives": gives})
    for name in sorted(set(before) & set(now) - set(counted["came"])):
        version, auto = before[name][:2]
        if plain(name) not in named:
            continue
        if version != now[name].version:
            counted["moved"].setdefault(name, {"part": part, "before": version})["ours"] = now[name].version
        if auto and not now[name].auto:
            counted["asked"][name] = {"part": part}
    return counted


def _coming_and_staying(
    tally: t.Mapping[str, t.Any], now: Packages, going: t.Iterable[str], hold: t.Container[str], lost: t.Container[str]
) -> tuple[dict[str, t.Any], dict[str, str], set[str]]:
    """What comes back, which of those that are to go are needed even then (and by whom), and which parts stay."""
    back = {name: entry for name, entry in tally["went"].items() if name not in now and name not in lost}
    while True:
        returned = {name: Package(entry["version"], gives=frozenset(entry["gives"])) for name, entry in back.items()}
        held = needed_by_others({**now, **returned}, going)
        staying = {entry["part"] for name, entry in tally["came"].items() if name in held and entry["named"]}
        # What it had made way for cannot come back beside it.
        able = {
            name: entry for name, entry in back.items() if entry["part"] not in staying and entry["part"] not in hold
        }
        if able == back:
            return back, held, staying
        back = able


def way_back(
    tally: t.Mapping[str, t.Any], now: Packages, hold: t.Mapping[str, str], lost: t.Container[str] = ()
) -> dict[str, t.Any]:
    """What makes the packages what they were. `hold` has parts that stay as they are, with the reason; `lost` what
    cannot come back, in no version."""
    going = {name for name, entry in tally["came"].items() if name in now and entry["part"] not in hold}
    back, held, staying = _coming_and_staying(tally, now, going, hold, lost)
    staying |= set(hold)
    can_go = going - set(held)
    # Somebody has these in place of what comes back.
    at_last = can_go & set(needed_by_others(now, can_go))
    return {
        "remove": sorted(can_go - at_last),
        "remove_at_last": sorted(at_last),
        "held": {
            **{name: f"{who} needs it" for name, who in held.items()},
            **{
                name: hold[entry["part"]]
                for name, entry in tally["came"].items()
                if name in now and entry["part"] in hold
            },
        },
        "install": {name: entry["version"] for name, entry in sorted(back.items())},
        "move": {
            name: entry["before"]
            for name, entry in sorted(tally["moved"].items())
            # Whoever has brought it to yet another version meanwhile wants that one.
            if name in now and now[name].version == entry["ours"] and entry["part"] not in staying
        },
        "not_asked": sorted(
            [name for name, entry in tally["asked"].items() if name in now and not now[name].auto]
            + [name for name, entry in back.items() if entry["auto"]]
        ),
    }


def left_over(tally: t.Mapping[str, t.Any], now: Packages) -> dict[str, t.Any]:
    """The tally without what is as it was: what is held stays remembered, and what could not be had is given up."""
    came = {name: entry for name, entry in tally["came"].items() if name in now}
    parts = {entry["part"] for entry in came.values()}
    went = {name: entry for name, entry in tally["went"].items() if name not in now and entry["part"] in parts}
    return {**empty_tally(), "came": came, "went": went}
