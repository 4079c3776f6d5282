# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of paths before the collection changed them, and how to restore it."""

from __future__ import annotations

import base64
import contextlib
import glob
import hashlib
import os
import shutil
import stat
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import mount_points
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._merge import PATCHES

State = t.Dict[str, t.Any]
Entry = t.Dict[str, t.Any]


def read_state(path: str) -> State | None:
    """The state of a path without following links, or None if it does not exist."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(found.st_mode):
        return {"kind": "link", "target": os.readlink(path)}
    state = {"mode": stat.S_IMODE(found.st_mode), "owner": found.st_uid, "group": found.st_gid}
    if stat.S_ISDIR(found.st_mode):
        return {"kind": "folder", **state}
    if not stat.S_ISREG(found.st_mode):
        return {"kind": "device or socket", **state}
    with open(path, "rb") as stream:
        return {"kind": "file", **state, "content": base64.b64encode(stream.read()).decode()}


def without_content(state: State | None) -> State | None:
    """Replace the content by a digest, which shows changes. Files may contain secrets that need no second copy."""
    if state is None or "content" not in state:
        return state
    content = base64.b64decode(state["content"])
    return {**state, "content": "sha256:" + hashlib.sha256(content).hexdigest()}


def missing_folders(path: str) -> list[str]:
    """The parent folders that do not exist, the topmost first."""
    missing: list[str] = []
    parent = os.path.dirname(path)
    while parent not in ("", "/") and not os.path.lexists(parent):
        missing.insert(0, parent)
        parent = os.path.dirname(parent)
    return missing


def matching(patterns: t.Iterable[str]) -> list[str]:
    """Plain paths as they are, and the existing paths that match a pattern."""
    paths: list[str] = []
    for pattern in patterns:
        paths.extend(sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern])
    return paths


def text(state: State | None) -> str:
    return "" if state is None else base64.b64decode(state["content"]).decode()


def _patched(entry: Entry, now: State) -> State | None:
    """The state before the collection, with the changes that others made after its last run."""
    before, ours = entry["before"], entry["ours"]
    merged = PATCHES[entry["merge"]](text(before), text(ours), text(now))
    if before is None and not merged.strip():
        return None
    model = before or now
    rights = {key: now[key] if now[key] != ours[key] else model[key] for key in ("mode", "owner", "group")}
    return {**model, **rights, "content": base64.b64encode(merged.encode()).decode()}


def rebase(entry: Entry, now: State | None) -> Entry:
    """Treat the changes that others made after the last run as made before the first one, so that they are kept.

    If the last run did not finish (no `ours`), all changes count as the collection's.
    """
    merge = entry.get("merge")
    if "ours" not in entry:
        return entry
    seen = now if merge else without_content(now)
    if seen == entry["ours"]:
        return entry
    before = now
    if merge and now and entry["ours"] and now["kind"] == entry["ours"]["kind"] == "file":
        # What cannot be merged is kept as others left it.
        with contextlib.suppress(ValueError):
            before = _patched(entry, now)
    # A file that the collection made and others changed now belongs to them.
    changed = {"changed_by_others": True} if now is not None and before == now else {}
    return {**entry, **changed, "before": before, "ours": seen}


def begin(entries: t.Mapping[str, Entry], part: str, patterns: t.Mapping[str, t.Iterable[str]]) -> dict[str, Entry]:
    """Record the paths of each kind of merge ('' for none), unless they are already recorded."""
    entries = {path: rebase(entry, read_state(path)) for path, entry in entries.items()}
    for merge, listed in patterns.items():
        for path in matching(listed):
            for folder in missing_folders(path):
                entries.setdefault(folder, {"part": part, "before": None})
            entries.setdefault(path, {"part": part, "before": read_state(path), **({"merge": merge} if merge else {})})
    touched = touched_by(part, patterns)
    return {path: opened(entry) if touched(path, entry) else entry for path, entry in entries.items()}


def touched_by(part: str, patterns: t.Mapping[str, t.Iterable[str]]) -> t.Callable[[str, Entry], bool]:
    """A predicate for the entries that a part works on. A path that several parts name belongs to the first one."""
    named = {path for listed in patterns.values() for path in matching(listed)}
    return lambda path, entry: entry["part"] == part or path in named


def opened(entry: Entry) -> Entry:
    """Until the part is closed, all changes count as the collection's."""
    return {key: value for key, value in entry.items() if key != "ours"}


def finish(entries: t.Mapping[str, Entry], part: str, patterns: t.Mapping[str, t.Iterable[str]]) -> dict[str, Entry]:
    """Record how the part leaves its paths, and new paths that match its patterns."""
    entries = dict(entries)
    for merge, listed in patterns.items():
        for path in matching(listed):
            entries.setdefault(path, {"part": part, "before": None, **({"merge": merge} if merge else {})})
    touched = touched_by(part, patterns)
    return {path: closed(entry, read_state(path)) if touched(path, entry) else entry for path, entry in entries.items()}


def closed(entry: Entry, now: State | None) -> Entry:
    return {**entry, "ours": now if entry.get("merge") else without_content(now)}


def _write(path: str, state: State) -> None:
    partial = f"{path}.partial"
    if state["kind"] == "link":
        os.symlink(state["target"], partial)
    else:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(base64.b64decode(state["content"]))
            os.fchown(stream.fileno(), state["owner"], state["group"])
            os.fchmod(stream.fileno(), state["mode"])
            os.fsync(stream.fileno())
    os.replace(partial, path)


def restore(
    path: str, before: State | None, check_mode: bool, already_removed: t.Container[str] = ()
) -> tuple[bool, str]:
    """Return whether the path changes, and why it does not if it cannot be restored.

    `already_removed` has paths that a real run would have removed by now, so that their folders can be removed.
    """
    now = read_state(path)
    if now == before:
        return False, ""
    if before is None:
        return _remove_path(path, bool(now and now["kind"] == "folder"), check_mode, already_removed)
    if before["kind"] == "folder" or (now and now["kind"] == "folder"):
        return _restore_folder(path, before, now, check_mode)
    if not check_mode:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _write(path, before)
    return True, ""


def _remove_path(path: str, is_folder: bool, check_mode: bool, already_removed: t.Container[str]) -> tuple[bool, str]:
    others = [name for name in os.listdir(path) if os.path.join(path, name) not in already_removed] if is_folder else []
    if others:
        return False, f"contains {others[0]}"
    if is_folder and os.path.ismount(path):
        return False, "is a mount point"
    if not check_mode:
        (os.rmdir if is_folder else os.unlink)(path)
    return True, ""


def _restore_folder(path: str, before: State, now: State | None, check_mode: bool) -> tuple[bool, str]:
    if before["kind"] != "folder" or (now and now["kind"] != "folder"):
        return False, f"was a {before['kind']}"
    if not check_mode:
        os.makedirs(path, exist_ok=True)
        os.chown(path, before["owner"], before["group"])
        os.chmod(path, before["mode"])
    return True, ""


def tree_before(path: str) -> str:
    """The recorded state of a folder that a program fills: absent, empty, or present."""
    if not os.path.lexists(path):
        return "absent"
    return "present" if not os.path.isdir(path) or os.path.islink(path) or os.listdir(path) else "empty"


def remove_tree(path: str, before: str, check_mode: bool) -> bool:
    """Remove what was absent and empty a folder that was empty. Return whether that changes anything."""
    if tree_before(path) in ("absent", before):
        return False
    if check_mode:
        return True
    _remove_below(path)
    if before == "absent":
        _remove(path)
    return True


def _remove_below(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        for name in os.listdir(path):
            _remove(os.path.join(path, name))


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def is_mounted(path: str, mounts: str) -> bool:
    """Whether a file system is mounted there. `mounts` is the content of /proc/mounts."""
    return path in mount_points(mounts)


def mounted_below(path: str, mounts: str) -> list[str]:
    """The mount points below the folder."""
    return [point for point in mount_points(mounts) if point.startswith(f"{path}/")]
