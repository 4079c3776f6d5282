# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a path was like before us, and how it becomes that again."""

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


def look(path: str) -> State | None:
    """The path itself, a link not followed; None where there is nothing."""
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
    """Enough to see that a file was changed: nobody's secrets are kept a second time without need."""
    if state is None or "content" not in state:
        return state
    content = base64.b64decode(state["content"])
    return {**state, "content": "sha256:" + hashlib.sha256(content).hexdigest()}


def missing_folders(path: str) -> list[str]:
    """The folders above the path that are not there, the uppermost first."""
    missing: list[str] = []
    above = os.path.dirname(path)
    while above not in ("", "/") and not os.path.lexists(above):
        missing.insert(0, above)
        above = os.path.dirname(above)
    return missing


def matching(patterns: t.Iterable[str]) -> list[str]:
    """The paths that are named, and those there that match where a pattern is."""
    paths: list[str] = []
    for pattern in patterns:
        paths.extend(sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern])
    return paths


def text(state: State | None) -> str:
    return "" if state is None else base64.b64decode(state["content"]).decode()


def _patched(entry: Entry, now: State) -> State | None:
    """What was there before us, with what others have changed in the file since we left it."""
    before, ours = entry["before"], entry["ours"]
    merged = PATCHES[entry["merge"]](text(before), text(ours), text(now))
    if before is None and not merged.strip():
        return None
    model = before or now
    rights = {key: now[key] if now[key] != ours[key] else model[key] for key in ("mode", "owner", "group")}
    return {**model, **rights, "content": base64.b64encode(merged.encode()).decode()}


def rebase(entry: Entry, now: State | None) -> Entry:
    """The entry as if others' changes since our last run had been made before us; then they stay when we go.

    While our run was not finished (no `ours`) every change is taken for ours.
    """
    merge = entry.get("merge")
    if "ours" not in entry:
        return entry
    seen = now if merge else without_content(now)
    if seen == entry["ours"]:
        return entry
    before = now
    if merge and now and entry["ours"] and now["kind"] == entry["ours"]["kind"] == "file":
        # What cannot be merged stays as they have left it.
        with contextlib.suppress(ValueError):
            before = _patched(entry, now)
    # What we made and they have changed is theirs now.
    theirs = {"theirs": True} if now is not None and before == now else {}
    return {**entry, **theirs, "before": before, "ours": seen}


def begin(entries: t.Mapping[str, Entry], part: str, patterns: t.Mapping[str, t.Iterable[str]]) -> dict[str, Entry]:
    """Remember the paths of each kind of merge ('' for none), what is remembered already first."""
    entries = {path: rebase(entry, look(path)) for path, entry in entries.items()}
    for merge, listed in patterns.items():
        for path in matching(listed):
            for above in missing_folders(path):
                entries.setdefault(above, {"part": part, "before": None})
            entries.setdefault(path, {"part": part, "before": look(path), **({"merge": merge} if merge else {})})
    touched = touched_by(part, patterns)
    return {path: opened(entry) if touched(path, entry) else entry for path, entry in entries.items()}


def touched_by(part: str, patterns: t.Mapping[str, t.Iterable[str]]) -> t.Callable[[str, Entry], bool]:
    """Whether a part works on an entry. Several parts may name one path; it belongs to the first."""
    named = {path for listed in patterns.values() for path in matching(listed)}
    return lambda path, entry: entry["part"] == part or path in named


def opened(entry: Entry) -> Entry:
    """What happens from here on is ours, until the part is closed."""
    return {key: value for key, value in entry.items() if key != "ours"}


def finish(entries: t.Mapping[str, Entry], part: str, patterns: t.Mapping[str, t.Iterable[str]]) -> dict[str, Entry]:
    """Remember how the part leaves its paths, and what has come that matches its patterns."""
    entries = dict(entries)
    for merge, listed in patterns.items():
        for path in matching(listed):
            entries.setdefault(path, {"part": part, "before": None, **({"merge": merge} if merge else {})})
    touched = touched_by(part, patterns)
    return {path: closed(entry, look(path)) if touched(path, entry) else entry for path, entry in entries.items()}


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


def restore(path: str, before: State | None, dry: bool, going: t.Container[str] = ()) -> tuple[bool, str]:
    """Whether it changes (or would), and why it is left as it is where that is not what it was.

    `going` has what a real run would have removed before: a folder with nothing else in it can go.
    """
    now = look(path)
    if now == before:
        return False, ""
    if before is None:
        return _take_away(path, bool(now and now["kind"] == "folder"), dry, going)
    if before["kind"] == "folder" or (now and now["kind"] == "folder"):
        return _restore_folder(path, before, now, dry)
    if not dry:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        _write(path, before)
    return True, ""


def _take_away(path: str, is_folder: bool, dry: bool, going: t.Container[str]) -> tuple[bool, str]:
    others = [name for name in os.listdir(path) if os.path.join(path, name) not in going] if is_folder else []
    if others:
        return False, f"has {others[0]} in it"
    if is_folder and os.path.ismount(path):
        return False, "has a file system mounted on it"
    if not dry:
        (os.rmdir if is_folder else os.unlink)(path)
    return True, ""


def _restore_folder(path: str, before: State, now: State | None, dry: bool) -> tuple[bool, str]:
    if before["kind"] != "folder" or (now and now["kind"] != "folder"):
        return False, f"was a {before['kind']}"
    if not dry:
        os.makedirs(path, exist_ok=True)
        os.chown(path, before["owner"], before["group"])
        os.chmod(path, before["mode"])
    return True, ""


def tree_before(path: str) -> str:
    """What is told of what fills up or is made by a program: whether it was not there, empty, or somebody's already."""
    if not os.path.lexists(path):
        return "absent"
    return "present" if not os.path.isdir(path) or os.path.islink(path) or os.listdir(path) else "empty"


def remove_tree(path: str, before: str, dry: bool) -> bool:
    """Empty a folder that was empty, remove what was not there. Whether that changes anything."""
    if tree_before(path) in ("absent", before):
        return False
    if dry:
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
    """By /proc/mounts."""
    return path in mount_points(mounts)


def mounted_below(path: str, mounts: str) -> list[str]:
    """What is mounted in the folder."""
    return [point for point in mount_points(mounts) if point.startswith(f"{path}/")]
