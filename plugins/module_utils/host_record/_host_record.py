# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a host's state: a role opens its part before it changes anything and closes it afterwards, teardown
restores it. The host itself is behind the protocol LiveHost, so that tests need none."""

from __future__ import annotations

import copy
import json
import os
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record import _files as files
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._packages import (
    PackageManager,
    Packages,
    add_changes,
    baseline,
    candidates,
    empty_tally,
    is_key,
    plan,
    remaining,
)

VERSION = 2
FSTAB = "/etc/fstab"
Record = t.Dict[str, t.Any]
# What a role is going to change.
SCOPES = ("packages", "files", "json_files", "line_files", "trees", "units", "users", "groups")


class HostRecordError(ModuleFailure):
    """The record cannot be used, or the host cannot be read or restored."""


class LiveHost(PackageManager, t.Protocol):
    """Reads and changes a host. What does not exist is None."""

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

    def set_group(self, name: str, now: dict[str, t.Any], before: dict[str, t.Any] | None) -> None: ...


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
            f"The host record {path} cannot be read: {exc}. To continue without it, move it away. Teardown then leaves"
            " the host's packages and settings unchanged."
        ) from exc
    if record.get("version") != VERSION:
        raise HostRecordError(
            f"The host record {path} has version {record.get('version')}, but this collection uses version {VERSION}."
            " Use the version of the collection that wrote it."
        )
    return t.cast(Record, record)


def save(record: Record, path: str) -> None:
    """Only root may read it, because it contains files of others."""
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
    """The record without what only matters while parts are open."""
    kept = copy.deepcopy(record or new())
    kept["open"], kept["baseline"] = {}, None
    for kind in ("files", "units", "users", "groups"):
        for entry in kept[kind].values():
            entry.pop("ours", None)
    return kept


def parts_of(record: Record | None) -> list[str]:
    """The parts that have entries in the record."""
    if record is None:
        return []
    kinds = [*record["packages"].values(), *(record[kind] for kind in ("files", "trees", "units", "users", "groups"))]
    return sorted({entry["part"] for entries in kinds for entry in entries.values()})


def _patterns(scope: t.Mapping[str, t.Any]) -> dict[str, t.Sequence[str]]:
    return {"": scope["files"], "json": scope["json_files"], "lines": scope["line_files"]}


def _readers(host: LiveHost) -> dict[str, t.Callable[[str], files.State | None]]:
    return {"units": host.unit, "users": host.user, "groups": host.group}


def _rebase_group(entry: files.Entry, now: files.State | None) -> files.Entry:
    """As files.rebase, for each member of the group."""
    ours, before = entry.get("ours"), entry["before"]
    if not (ours and now and before):
        return files.rebase(entry, now)
    old, new_members = set(ours["members"]), set(now["members"])
    members = sorted(set(before["members"]) - (old - new_members) | (new_members - old))
    return {**entry, "before": {"members": members}, "ours": now}


def open_part(
    record: Record | None, part: str, scope: t.Mapping[str, t.Any], host: LiveHost, before: Packages | None = None
) -> Record:
    """Record what the part is going to change, unless it is already recorded.

    `before` has the packages of an earlier moment, if the part had to make changes before it could be opened.
    """
    record = copy.deepcopy(record or new())
    # A part that a killed run left open keeps its baseline, so that its changes are found when it is closed.
    if scope["packages"] and record["baseline"] is None:
        record["baseline"] = baseline(host.packages() if before is None else before)
    record["open"][part] = dict(scope)
    record["files"] = files.begin(record["files"], part, _patterns(scope))
    for path in scope["trees"]:
        entry = record["trees"].setdefault(path, {"part": part, "before": files.tree_before(path)})
        if entry["before"] == "empty":
            # The program that fills the folder may change its mode and owner.
            record["files"].setdefault(path, {"part": part, "before": files.read_state(path)})
        for folder in files.missing_folders(path):
            record["files"].setdefault(folder, {"part": part, "before": None})
    for kind, read in _readers(host).items():
        rebase = _rebase_group if kind == "groups" else files.rebase
        entries = {name: rebase(entry, read(name)) for name, entry in record[kind].items()}
        for name in scope[kind]:
            entries[name] = files.opened(entries.get(name, {"part": part, "before": read(name)}))
        record[kind] = entries
    return record


def close_part(record: Record, part: str, host: LiveHost) -> Record:
    """Record what the part changed."""
    if part not in record["open"]:
        return record
    record = copy.deepcopy(record)
    scope = record["open"].pop(part)
    record["files"] = files.finish(record["files"], part, _patterns(scope))
    if scope["packages"] and record["baseline"] is not None:
        record["packages"] = add_changes(
            record["packages"], record["baseline"], host.packages(), part, scope["packages"], host
        )
    if not any(other["packages"] for other in record["open"].values()):
        record["baseline"] = None
    for kind, read in _readers(host).items():
        record[kind] = {
            name: files.closed(entry, read(name)) if name in scope[kind] else entry
            for name, entry in record[kind].items()
        }
    return record


def close_all(record: Record, host: LiveHost) -> Record:
    """Close the parts that a killed run left open: the next run may be a teardown."""
    for part in list(record["open"]):
        record = close_part(record, part, host)
    return record


class PackagePlan:
    """How the packages become what they were. `keep` has parts that stay as they are, with the reason."""

    def __init__(self, record: Record, keep: t.Mapping[str, str], host: LiveHost) -> None:
        self._tally = record["packages"]
        self._keep = keep
        self._now = host.packages()
        names = [name for name in candidates(self._tally, self._now, keep) if not is_key(name)]
        self._required = host.required_by_others(names) if names else {}

    def without(self, unavailable: t.Container[str]) -> dict[str, t.Any]:
        """The plan if these packages cannot be reinstalled."""
        return plan(self._tally, self._now, self._keep, self._required, unavailable)


class Restoration:
    """Restores everything except packages, and reports what it does not restore and why."""

    def __init__(
        self,
        record: Record,
        keep: t.Mapping[str, str],
        host: LiveHost,
        check_mode: bool,
        already_removed: t.Iterable[str] = (),
    ) -> None:
        self._record = close_all(record, host)
        self._host = host
        self._check_mode = check_mode
        self._already_removed = set(already_removed) if check_mode else set()
        self._packages = host.packages()
        self._keep = keep
        # In a real run, what can be reinstalled is reinstalled by now.
        unavailable = () if check_mode else self._record["packages"]["removed"]
        packages = PackagePlan(self._record, keep, host).without(unavailable)
        self._removable = packages["remove"] + packages["remove_later"]
        self.changes: list[str] = []
        # What is not restored and stays in the record for the next time.
        self._unrestored: set[tuple[str, str]] = set()
        self.notes: dict[str, str] = {f"package {name}": why for name, why in packages["kept"].items()}

    def run(self) -> Record | None:
        """Restore the host and return the rest of the record, or None if everything is restored."""
        self._removed_packages()
        self._named_items()
        self._trees()
        self._mounts()
        self._files()
        return self._remaining()

    def _removed_packages(self) -> None:
        """The package manager has removed the packages, but it cannot remove keys."""
        for name in self._removable:
            if is_key(name):
                self.changes.append(f"key {name}")
                if not self._check_mode:
                    self._host.remove_key(name)
            elif not self._check_mode:
                self.notes[f"package {name}"] = "was not removed"
                continue
            del self._packages[name]

    def _leave(self, kind: str, name: str, why: str) -> None:
        self._unrestored.add((kind, name))
        self.notes[name if name.startswith("/") else f"{kind[:-1]} {name}"] = why

    def _still_used(self, part: str) -> bool:
        """Others may have installed the same program after it was removed."""
        units = [name for name, entry in self._record["units"].items() if entry["part"] == part]
        present = [name for name in units if self._host.unit(name)]
        if self._check_mode:
            present = [name for name in present if self._host.unit_owner(name) not in self._removable]
        return bool(present)

    def _named_items(self) -> None:
        for kind, read in _readers(self._host).items():
            rebase = _rebase_group if kind == "groups" else files.rebase
            for name, entry in self._record[kind].items():
                now = read(name)
                before = rebase(entry, now)["before"]
                if entry["part"] in self._keep or now is None or now == before:
                    continue
                if kind == "units":
                    self._unit(name, before)
                elif before is None and self._still_used(entry["part"]):
                    self._leave(kind, name, "is still used")
                else:
                    self._account(kind, name, now, before)

    def _unit(self, name: str, before: files.State | None) -> None:
        # A unit that was installed with a package is removed with it.
        if before is not None:
            self.changes.append(f"unit {name}")
            if not self._check_mode:
                self._host.set_unit(name, before)

    def _account(self, kind: str, name: str, now: files.State, before: files.State | None) -> None:
        self.changes.append(f"{kind[:-1]} {name}")
        if self._check_mode:
            return
        if kind == "groups":
            self._host.set_group(name, now, before)
        else:
            self._host.remove_user(name)

    def _trees(self) -> None:
        for path, entry in self._record["trees"].items():
            if entry["part"] in self._keep or entry["before"] == "present":
                continue
            mounted = files.mounted_below(path, self._host.mounts())
            if self._still_used(entry["part"]):
                if files.tree_before(path) not in ("absent", entry["before"]):
                    self._leave("trees", path, "is still used")
            elif mounted and not self._check_mode:
                self._leave("trees", path, f"contains the mount point {mounted[0]}")
            elif files.remove_tree(path, entry["before"], self._check_mode):
                self.changes.append(path)

    def _mounts(self) -> None:
        """Unmount what the collection added to /etc/fstab. The data stays on the drives."""
        entry = self._record["files"].get(FSTAB)
        if entry is None or entry["part"] in self._keep:
            return
        before, now = files.rebase(entry, files.read_state(FSTAB))["before"], files.read_state(FSTAB)
        added = set(files.text(now).splitlines()) - set(files.text(before).splitlines())
        for path in sorted((line.split()[1] for line in added if len(line.split()) > 1), reverse=True):
            if files.is_mounted(path, self._host.mounts()):
                self.changes.append(f"mount {path}")
                if not self._check_mode:
                    self._host.unmount(path)

    def _files(self) -> None:
        removed = self._already_removed | {
            path for path in self.changes if self._record["trees"].get(path, {}).get("before") == "absent"
        }
        for path in sorted(self._record["files"], reverse=True):
            entry = self._record["files"][path]
            if entry["part"] in self._keep:
                continue
            entry = files.rebase(entry, files.read_state(path))
            changed, why = files.restore(path, entry["before"], self._check_mode, removed)
            if changed:
                self.changes.append(path)
                removed.update([path] if entry["before"] is None else [])
            if why:
                self._leave("files", path, why)
            elif entry.get("changed_by_others"):
                self.notes[path] = "was changed by others"

    def _remaining(self) -> Record | None:
        record = copy.deepcopy(self._record)
        record["packages"] = remaining(record["packages"], self._packages)
        for kind in ("files", "trees", "units", "users", "groups"):
            record[kind] = {
                name: entry
                for name, entry in record[kind].items()
                if entry["part"] in self._keep or (kind, name) in self._unrestored
            }
        return None if lasting(record) == new() else record
