# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what a host was like before us: opened before a role works, closed after, restored in the end.

The host itself is behind HostState, so that all of this can be tried without one.
"""

from __future__ import annotations

import copy
import json
import os
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record import _files as files
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._packages import (
    Packages,
    absorb,
    empty_tally,
    is_key,
    left_over,
    listing,
    way_back,
)

VERSION = 1
FSTAB = "/etc/fstab"
Record = t.Dict[str, t.Any]
# What a role says that it is going to touch.
SCOPES = ("packages", "files", "json_files", "line_files", "trees", "units", "users", "groups")


class HostRecordError(Exception):
    """The record cannot be worked with."""


class HostState(t.Protocol):
    """What is asked of a host, and done to it. A thing that is not there is None."""

    def packages(self) -> Packages: ...

    def remove_key(self, name: str) -> None: ...

    def unit(self, name: str) -> dict[str, t.Any] | None: ...

    def unit_owner(self, name: str) -> str: ...

    def user(self, name: str) -> dict[str, t.Any] | None: ...

    def group(self, name: str) -> dict[str, t.Any] | None: ...

    def mounts(self) -> str: ...

    def unmount(self, path: str) -> None: ...

    def set_unit(self, name: str, state: dict[str, t.Any]) -> None: ...

    def remove_user(self, name: str) -> None: ...

    def set_group(self, name: str, now: dict[str, t.Any], wanted: dict[str, t.Any] | None) -> None: ...


def new() -> Record:
    return {
        "version": VERSION,
        "open": {},
        "baseline": None,
        "packages": empty_tally(),
        "files": {},
        "trees": {},
        "units": {},
        "users": {},
        "groups": {},
    }


def load(path: str) -> Record | None:
    try:
        with open(path, encoding="utf-8") as stream:
            record = json.load(stream)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise HostRecordError(
            f"The record {path} cannot be read: {exc}. Move it away to go on without it: teardown.yml then removes only"
            " what it knows by name."
        ) from exc
    if record.get("version") != VERSION:
        raise HostRecordError(
            f"The record {path} is of version {record.get('version')}, this collection writes {VERSION}: use the"
            " version of the collection that has written it."
        )
    return t.cast(Record, record)


def save(record: Record, path: str) -> None:
    """Only root reads it: it has what was in files of others."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle = os.open(f"{path}.partial", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(record, stream, indent=1, sort_keys=True)
        os.fsync(stream.fileno())
    os.replace(f"{path}.partial", path)


def remove(path: str) -> None:
    os.unlink(path)
    folder = os.path.dirname(path)
    if not os.listdir(folder):
        os.rmdir(folder)


def lasting(record: Record | None) -> Record:
    """What is remembered, without who is just working and how things look meanwhile."""
    shown = copy.deepcopy(record or new())
    shown["open"], shown["baseline"] = {}, None
    for kind in ("files", "units", "users", "groups"):
        for entry in shown[kind].values():
            entry.pop("ours", None)
    return shown


def parts_of(record: Record | None) -> list[str]:
    """Whose doings are remembered."""
    if record is None:
        return []
    kinds = [*record["packages"].values(), *(record[kind] for kind in ("files", "trees", "units", "users", "groups"))]
    return sorted({entry["part"] for entries in kinds for entry in entries.values()})


def _patterns(scope: t.Mapping[str, t.Any]) -> dict[str, t.Sequence[str]]:
    return {"": scope["files"], "json": scope["json_files"], "lines": scope["line_files"]}


def _named(host: HostState) -> dict[str, t.Callable[[str], files.State | None]]:
    return {"units": host.unit, "users": host.user, "groups": host.group}


def _rebase_group(entry: files.Entry, now: files.State | None) -> files.Entry:
    """Members whom others have added or removed were so before us."""
    ours, before = entry.get("ours"), entry["before"]
    if not (ours and now and before):
        return files.rebase(entry, now)
    was, is_now = set(ours["members"]), set(now["members"])
    members = sorted(set(before["members"]) - (was - is_now) | (is_now - was))
    return {**entry, "before": {"members": members}, "ours": now}


def open_part(
    record: Record | None, part: str, scope: t.Mapping[str, t.Any], host: HostState, before: Packages | None = None
) -> Record:
    """Take down what is not remembered yet of all that the part is going to touch.

    `before` has the packages of a moment before this, where the part's work had to begin earlier.
    """
    record = copy.deepcopy(record or new())
    # A part that is open still was killed: what it did is found when it is closed, by the baseline of before.
    if scope["packages"] and record["baseline"] is None:
        record["baseline"] = listing(host.packages() if before is None else before)
    record["open"][part] = dict(scope)
    record["files"] = files.begin(record["files"], part, _patterns(scope))
    for path in scope["trees"]:
        entry = record["trees"].setdefault(path, {"part": part, "before": files.tree_before(path)})
        if entry["before"] == "empty":
            # Its rights may be changed by what fills it.
            record["files"].setdefault(path, {"part": part, "before": files.look(path)})
        for above in files.missing_folders(path):
            record["files"].setdefault(above, {"part": part, "before": None})
    for kind, ask in _named(host).items():
        rebase = _rebase_group if kind == "groups" else files.rebase
        entries = {name: rebase(entry, ask(name)) for name, entry in record[kind].items()}
        for name in scope[kind]:
            entries[name] = files.opened(entries.get(name, {"part": part, "before": ask(name)}))
        record[kind] = entries
    return record


def close_part(record: Record, part: str, host: HostState) -> Record:
    """Remember what the part has done."""
    if part not in record["open"]:
        return record
    record = copy.deepcopy(record)
    scope = record["open"].pop(part)
    record["files"] = files.finish(record["files"], part, _patterns(scope))
    if scope["packages"] and record["baseline"] is not None:
        record["packages"] = absorb(record["packages"], record["baseline"], host.packages(), part, scope["packages"])
    if not any(other["packages"] for other in record["open"].values()):
        record["baseline"] = None
    for kind, ask in _named(host).items():
        record[kind] = {
            name: files.closed(entry, ask(name)) if name in scope[kind] else entry
            for name, entry in record[kind].items()
        }
    return record


def close_all(record: Record, host: HostState) -> Record:
    """As at the end of the run that was killed: teardown.yml may be what is run next."""
    for part in list(record["open"]):
        record = close_part(record, part, host)
    return record


class Restoration:
    """Makes all but the packages what it was, and says what it leaves and why."""

    def __init__(
        self, record: Record, hold: t.Mapping[str, str], host: HostState, dry: bool, gone: t.Iterable[str] = ()
    ) -> None:
        self._record = close_all(record, host)
        self._host = host
        self._dry = dry
        # What a real run would have removed before this.
        self._gone = set(gone) if dry else set()
        self._packages = host.packages()
        self._hold = hold
        went = self._record["packages"]["went"]
        # What has not come back by now does not; in check mode it had no chance yet.
        plan = way_back(self._record["packages"], self._packages, hold, () if dry else went)
        self._going = plan["remove"] + plan["remove_at_last"]
        self.changes: list[str] = []
        # What is not as it was, and is remembered for the next time.
        self._left: set[tuple[str, str]] = set()
        self.notes: dict[str, str] = {f"package {name}": why for name, why in plan["held"].items()}

    def run(self) -> Record | None:
        """What is left of the record; None when all is as it was."""
        self._removed_packages()
        self._named_things()
        self._trees()
        self._mounts()
        self._files()
        return self._left_over()

    def _removed_packages(self) -> None:
        """They are the package manager's to remove, and keys ours: it has no way to."""
        for name in self._going:
            if is_key(name):
                self.changes.append(f"key {name}")
                if not self._dry:
                    self._host.remove_key(name)
            elif not self._dry:
                self.notes[f"package {name}"] = "was not removed"
                continue
            del self._packages[name]

    def _leave(self, kind: str, name: str, why: str) -> None:
        self._left.add((kind, name))
        self.notes[name if name.startswith("/") else f"{kind[:-1]} {name}"] = why

    def _still_used(self, part: str) -> bool:
        """Somebody may have installed by themselves what we had installed, and use it."""
        units = [name for name, entry in self._record["units"].items() if entry["part"] == part]
        there = [name for name in units if self._host.unit(name)]
        if self._dry:
            there = [name for name in there if self._host.unit_owner(name) not in self._going]
        return bool(there)

    def _named_things(self) -> None:
        for kind, ask in _named(self._host).items():
            rebase = _rebase_group if kind == "groups" else files.rebase
            for name, entry in self._record[kind].items():
                now = ask(name)
                before = rebase(entry, now)["before"]
                if entry["part"] in self._hold or now is None or now == before:
                    continue
                if kind == "units":
                    self._unit(name, before, entry["part"])
                elif before is None and self._still_used(entry["part"]):
                    self._leave(kind, name, "is still used")
                else:
                    self._account(kind, name, now, before)

    def _unit(self, name: str, before: files.State | None, part: str) -> None:
        # One that came with a package goes with it.
        if before is not None:
            self.changes.append(f"unit {name}")
            if not self._dry:
                self._host.set_unit(name, before)

    def _account(self, kind: str, name: str, now: files.State, before: files.State | None) -> None:
        self.changes.append(f"{kind[:-1]} {name}")
        if self._dry:
            return
        if kind == "groups":
            self._host.set_group(name, now, before)
        else:
            self._host.remove_user(name)

    def _trees(self) -> None:
        for path, entry in self._record["trees"].items():
            if entry["part"] in self._hold or entry["before"] == "present":
                continue
            mounted = files.mounted_below(path, self._host.mounts())
            if self._still_used(entry["part"]):
                if files.tree_before(path) not in ("absent", entry["before"]):
                    self._leave("trees", path, "is still used")
            elif mounted and not self._dry:
                self._leave("trees", path, f"has {mounted[0]} mounted in it")
            elif files.remove_tree(path, entry["before"], self._dry):
                self.changes.append(path)

    def _mounts(self) -> None:
        """What we had mounted at every start is not only forgotten, but let go. What is on it stays there."""
        entry = self._record["files"].get(FSTAB)
        if entry is None or entry["part"] in self._hold:
            return
        before, now = files.rebase(entry, files.look(FSTAB))["before"], files.look(FSTAB)
        ours = set(files.text(now).splitlines()) - set(files.text(before).splitlines())
        for path in sorted((line.split()[1] for line in ours if len(line.split()) > 1), reverse=True):
            if files.is_mounted(path, self._host.mounts()):
                self.changes.append(f"mount {path}")
                if not self._dry:
                    self._host.unmount(path)

    def _files(self) -> None:
        gone = self._gone | {
            path for path in self.changes if self._record["trees"].get(path, {}).get("before") == "absent"
        }
        for path in sorted(self._record["files"], reverse=True):
            entry = self._record["files"][path]
            if entry["part"] in self._hold:
                continue
            entry = files.rebase(entry, files.look(path))
            changed, why = files.restore(path, entry["before"], self._dry, gone)
            if changed:
                self.changes.append(path)
                gone.update([path] if entry["before"] is None else [])
            if why:
                self._leave("files", path, why)
            elif entry.get("theirs"):
                self.notes[path] = "was changed by others since"

    def _left_over(self) -> Record | None:
        record = copy.deepcopy(self._record)
        record["packages"] = left_over(record["packages"], self._packages)
        for kind in ("files", "trees", "units", "users", "groups"):
            record[kind] = {
                name: entry
                for name, entry in record[kind].items()
                if entry["part"] in self._hold or (kind, name) in self._left
            }
        return None if lasting(record) == new() else record
