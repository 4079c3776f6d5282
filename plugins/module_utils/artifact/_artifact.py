# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Artifacts: folders named after a hash of their inputs, built in a temporary folder and published by one rename."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import time
import typing as t
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._errors import ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress, human_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import (
    ARTIFACT_JSON,
    create_regular,
    foreign_access,
    open_regular,
    set_modes,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._umask import readable_by_everybody

# Written to a .partial folder first, to mark it as ours.
INPUTS_JSON = "inputs.json"
KEY_LENGTH = 16
KEY = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
# Files that mark a folder as ours. They are written as <name>.new and renamed when they are complete.
RECORDS = (ARTIFACT_JSON, INPUTS_JSON, "release.json", "manifest.json")
NEW = ".new"
# A lock file contains a PID or nothing.
LOCK_CONTENT = re.compile(r"\d{0,20}\n?")
LOCK_READ = 64
HASH_THREADS = 4
# Errors of link(2) across file systems, for files of other users, and on file systems without hard links.
NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)
# From <fcntl.h> and <linux/fs.h>, for renameat2(2).
AT_FDCWD, RENAME_EXCHANGE = -100, 2
CHUNK = 1 << 20


class EngineImageMismatch(ArtifactError):
    """The engine was built with a different image than the one that would serve it."""


def canonical(value: t.Any) -> t.Any:
    """The value in plain JSON types; callers such as Ansible's templating pass subclasses of them."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return "".join(value)
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    raise TypeError(f"an artifact's inputs must be plain JSON values, not {type(value).__name__}: {value!r}")


def artifact_key(inputs: t.Mapping[str, t.Any]) -> str:
    """The first 16 hex digits of the SHA-256 of the inputs as canonical JSON."""
    text = json.dumps(canonical(inputs), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:KEY_LENGTH]


def list_files(root: str) -> dict[str, int]:
    """The size in bytes of every file below root, by relative path; artifact.json is left out."""
    found = {}
    for folder, _dirs, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root)
            # Sources may contain dangling links.
            if relative != ARTIFACT_JSON and os.path.exists(path):
                found[relative] = os.path.getsize(path)
    return dict(sorted(found.items()))


def listing_hash(root: str) -> str:
    """Identifies a folder that is not one of our artifacts, by the names, sizes and mtimes of its files."""
    rows = [[name, size, os.stat(os.path.join(root, name)).st_mtime_ns] for name, size in list_files(root).items()]
    return hashlib.sha256(json.dumps(rows).encode("utf-8")).hexdigest()


def sha256_of(path: str, on_bytes: t.Callable[[int], None] | None = None) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        for block in iter(lambda: stream.read(CHUNK), b""):
            digest.update(block)
            if on_bytes:
                on_bytes(len(block))
    return digest.hexdigest()


def hash_files(root: str, names: t.Iterable[str], progress: Progress | None = None) -> dict[str, str]:
    """The SHA-256 of each file, in parallel threads (hashlib releases the GIL)."""
    on_bytes = progress.advance if progress else None
    names = list(names)
    with ThreadPoolExecutor(HASH_THREADS) as pool:
        digests = pool.map(lambda name: sha256_of(os.path.join(root, name), on_bytes), names)
        return dict(zip(names, digests))


def read_artifact(dest: str) -> dict[str, t.Any] | None:
    """The record of the artifact at dest; None if it is missing or invalid."""
    return read_record(dest, ARTIFACT_JSON)


def read_record(folder: str, name: str) -> dict[str, t.Any] | None:
    """The record with this file name in the folder; None if it is missing or invalid."""
    record = _read_json(os.path.join(folder, name))
    if not isinstance(record, dict) or not isinstance(record.get("inputs"), dict):
        return None
    files = record.get("files", {})
    is_sound = isinstance(files, dict) and all(isinstance(entry, dict) and "size" in entry for entry in files.values())
    return record if is_sound else None


def is_complete(folder: str) -> bool:
    """Whether the folder is a finished artifact: the record is written last."""
    return read_artifact(folder) is not None


def source_key(src: str, may_be_absent: bool = False) -> str:
    """What identifies src among the inputs of another artifact: its key, or a hash of its listing if it has none.

    An artifact that was removed to free its space is still identified by its folder name. With `may_be_absent` (check
    mode, before src is made) so is any other folder.
    """
    record = read_artifact(src)
    if record is not None:
        return artifact_key(record["inputs"])
    if os.path.isdir(src):
        return listing_hash(src)
    name = os.path.basename(os.path.normpath(src))
    if KEY.fullmatch(name) or may_be_absent:
        return name
    raise ArtifactError(f"the source {src} does not exist: create it first, or correct src")


def check_apart(dests: t.Mapping[str, str], sources: t.Mapping[str, str]) -> None:
    """Refuse folders to be created or replaced that overlap with each other or with a source.

    The keys of both mappings are the options that name the folders.
    """
    ours = {name: os.path.realpath(path) for name, path in dests.items()}
    ours.update({f"the working folder of {name}": f"{path}.partial" for name, path in ours.items()})
    others = {name: os.path.realpath(path) for name, path in sources.items() if path}
    for name, path in ours.items():
        for other, there in {**ours, **others}.items():
            if name != other and os.path.commonpath([path, there]) in (path, there):
                raise ArtifactError(
                    f"{name} ({path}) and {other} ({there}) must not be the same folder, nor one inside the other:"
                    f" choose another {name}"
                )


def check_replaceable(dest: str, mark: str = ARTIFACT_JSON) -> None:
    """Refuse to replace anything but an empty folder or one that this collection marked as its own."""
    if not os.path.lexists(dest):
        return
    mounts = mounts_in(dest)
    if mounts:
        problem = f"has a file system mounted at {mounts[0]}"
    elif is_marked(dest, mark):
        return
    elif os.path.islink(dest) or not os.path.isdir(dest):
        problem = "is not a folder"
    elif set(os.listdir(dest)) - {f"{mark}{NEW}"}:
        problem = f"is not empty and contains no {mark} written by this collection"
    else:
        return
    raise ArtifactError(f"{dest} {problem}. Nothing was changed: move it away, or choose another dest")


def mark_of(folder: str) -> str:
    """The name of the record that marks the folder of an artifact as ours. An unfinished one only has its inputs."""
    return INPUTS_JSON if folder.endswith(".partial") else ARTIFACT_JSON


def is_marked(folder: str, mark: str) -> bool:
    """Whether the folder contains one of our records: inputs and the key that belongs to them."""
    record = read_record(folder, mark)
    try:
        return record is not None and record.get("key") == artifact_key(record["inputs"])
    except (ValueError, RecursionError):
        return False


def marked(inputs: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The fields that mark a record as ours."""
    return {"inputs": canonical(inputs), "key": artifact_key(inputs)}


def reason_to_make(dest: str, inputs: t.Mapping[str, t.Any], verify: bool = False) -> str | None:
    """Why the artifact at dest must be created, as a sentence; None if it is complete and up to date."""
    if not os.path.lexists(dest):
        return f"no artifact at {dest}"
    check_replaceable(dest)
    record = read_artifact(dest)
    if record is None:
        return f"{dest} is empty"
    return _inputs_reason(record["inputs"], canonical(inputs)) or _files_reason(dest, record.get("files", {}), verify)


def reason_unfinished(dest: str) -> str | None:
    """Why dest is not the artifact of the inputs that its folder is named after, as a sentence; None if it is.

    Unlike reason_to_make(), it needs no inputs, and takes what is not one of our artifacts for a missing one.
    """
    record = read_artifact(dest) if is_marked(dest, ARTIFACT_JSON) else None
    if record is None or record["key"] != os.path.basename(dest):
        return f"no artifact at {dest}"
    return _files_reason(dest, record.get("files", {}), verify=False)


def _inputs_reason(old: t.Mapping[str, t.Any], new: t.Mapping[str, t.Any]) -> str | None:
    absent = object()
    changed = sorted(name for name in set(old) | set(new) if old.get(name, absent) != new.get(name, absent))
    return f"inputs changed: {', '.join(changed)}" if changed else None


def _files_reason(dest: str, files: t.Mapping[str, t.Mapping[str, t.Any]], verify: bool) -> str | None:
    present = list_files(dest)
    for name, expected in files.items():
        if name not in present:
            return f"file {name} is missing"
        if present[name] != expected["size"]:
            return f"file {name} has size {present[name]} instead of {expected['size']}"
    if verify:
        unknown = [name for name, expected in files.items() if expected["sha256"] is None]
        if unknown:
            return f"file {unknown[0]} was not hashed when it was made"
        digests = hash_files(dest, files)
        for name, expected in files.items():
            if digests[name] != expected["sha256"]:
                return f"file {name} has sha256 {digests[name]} instead of {expected['sha256']}"
    return None


def check_engine_image(engine_dir: str, image_digest: str) -> None:
    """Refuse an engine of another image before the server does: an engine only loads in the image that built it."""
    record = read_artifact(engine_dir)
    if record is None:
        raise ArtifactError(
            f"{engine_dir} is not a complete engine: it has no valid {ARTIFACT_JSON}; build it with trtllm_engine"
        )
    built_by = record["inputs"].get("image")
    if built_by != image_digest:
        raise EngineImageMismatch(
            f"engine {engine_dir} was built with image {built_by} but would be served with {image_digest}:"
            f" rebuild the engine with {image_digest}, or serve it with {built_by}"
        )


def nearest_existing(path: str) -> str:
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def free_bytes(path: str) -> int:
    """Bytes available to unprivileged users on the file system that contains, or will contain, the path."""
    return shutil.disk_usage(nearest_existing(path)).free


def check_space(folder: str, needed: int, what: str) -> None:
    """Fail early if the file system of folder has fewer than `needed` bytes available."""
    available = free_bytes(folder)
    if needed > available:
        raise ArtifactError(space_message(what, folder, needed, available))


def space_message(what: str, folder: str, needed: int | None, available: int) -> str:
    wanted = f"{human_bytes(needed)} needed, " if needed is not None else ""
    return (
        f"no space left for {what} in {folder} ({errno.errorcode[errno.ENOSPC]}): {wanted}{human_bytes(available)}"
        " available; free space there or choose a root folder on a larger file system"
    )


def _lock_holder(stream: t.TextIO) -> str:
    stream.seek(0)
    return stream.read().strip() or "unknown"


def _open_lock(path: str) -> t.TextIO:
    """Open or create the lock file; ArtifactError if the path is not a lock file."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    stream = t.cast(t.TextIO, os.fdopen(handle, "r+", encoding="ascii", errors="replace"))
    if LOCK_CONTENT.fullmatch(stream.read(LOCK_READ)):
        return stream
    stream.close()
    raise ArtifactError(f"{path} is not a lock file of this collection: move it away, or choose another dest")


@contextmanager
def locked(dest: str) -> t.Iterator[str | None]:
    """Hold the lock of dest; yields the PID of the run that it had to wait for, if any.

    The kernel releases the lock when the process ends, for whatever reason. The file is not removed, because removing
    a locked file would let two runs hold a lock of the same name.
    """
    dest = os.path.normpath(dest)
    os.makedirs(os.path.dirname(os.path.abspath(dest)), mode=0o755, exist_ok=True)
    with _open_lock(f"{dest}.lock") as stream:
        waited_for = None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited_for = _lock_holder(stream)
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        stream.truncate()
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield waited_for


@contextmanager
def lock_if_free(dest: str) -> t.Iterator[bool]:
    """Hold the lock of dest unless a run holds it; yields whether it is held."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(_open_lock(f"{os.path.normpath(dest)}.lock"))
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            # The folder of dest was removed, so no run can be writing to it.
            yield True
        except (ArtifactError, OSError):
            yield False
        else:
            yield True


def is_locked(lock: str) -> bool:
    """Whether a run holds this lock file. Nothing is created or written, so that any user can ask."""
    try:
        handle = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        # It is not a lock file of ours, or may not be read.
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def make_partial(dest: str, inputs: t.Any, keep: bool = False) -> str:
    """Create <dest>.partial, marked as ours, with an empty folder `payload`, and return the path of `payload`.

    With `keep`, files from an earlier run with the same inputs are kept.
    """
    partial = f"{os.path.normpath(dest)}.partial"
    check_replaceable(partial, INPUTS_JSON)
    payload, mark = os.path.join(partial, "payload"), os.path.join(partial, INPUTS_JSON)
    wanted = marked(inputs)
    if not (keep and _read_json(mark) == wanted):
        remove(partial)
        # Other users must not see a tool's output before it is checked.
        os.makedirs(partial, mode=0o700)
        write_json(mark, wanted)
    os.makedirs(payload, mode=0o755, exist_ok=True)
    os.chmod(payload, 0o755)
    return payload


@dataclass
class Draft:
    """An unfinished artifact: <dest>.partial with its payload, which publish() turns into dest."""

    dest: str
    inputs: dict[str, t.Any]
    started: float = field(default_factory=time.time)
    # SHA-256 of payload files that were hashed while they were written, so that publish() need not read them.
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def partial(self) -> str:
        return f"{os.path.normpath(self.dest)}.partial"

    @property
    def payload(self) -> str:
        return os.path.join(self.partial, "payload")

    def path(self, name: str) -> str:
        """The path of a working file next to the payload; it does not become part of the artifact."""
        return os.path.join(self.partial, name)

    def begin(self, keep: bool = False) -> Progress:
        """Create the partial folder, empty unless `keep` is set and an earlier run with the same inputs left one."""
        make_partial(self.dest, self.inputs, keep)
        return Progress(self.path("progress.json"))

    def publish(
        self,
        record: t.Mapping[str, t.Any],
        progress: Progress,
        hashed: bool = True,
        without: str | None = None,
    ) -> dict[str, t.Any]:
        """Hash, sync, record and rename the payload to dest. With `hashed` false only sizes are recorded.

        Files in folders named `without` are not recorded: they may change while the artifact is used.
        """
        set_modes(self.payload)
        sizes = {name: size for name, size in list_files(self.payload).items() if without not in name.split(os.sep)}
        missing = [name for name in sizes if hashed and name not in self.digests]
        # In parallel, because hashing is bound by the processor and syncing by the disk.
        with ThreadPoolExecutor(1) as disk:
            synced = disk.submit(sync_tree, self.payload)
            if missing:
                progress.start("hash", total=sum(sizes[name] for name in missing))
                self.digests.update(hash_files(self.payload, missing, progress))
            progress.start("publish")
            synced.result()
        artifact = {
            **marked(self.inputs),
            **record,
            "started": datetime.fromtimestamp(self.started, timezone.utc).isoformat(timespec="seconds"),
            "duration_seconds": round(time.time() - self.started, 1),
            "files": {name: {"size": size, "sha256": self.digests.get(name)} for name, size in sizes.items()},
        }
        write_json(os.path.join(self.payload, ARTIFACT_JSON), artifact)
        replace_folder(self.payload, self.dest)
        remove(self.partial)
        return artifact


@dataclass
class Outcome:
    """What ensure() found and did."""

    reason: str | None
    artifact: dict[str, t.Any] | None
    waited_for: str | None = None

    @property
    def changed(self) -> bool:
        return self.reason is not None

    @property
    def sentence(self) -> str | None:
        """The reason, as reported to the user."""
        if self.reason is None and self.waited_for:
            return f"another run (pid {self.waited_for}) created it in the meantime"
        return self.reason


@readable_by_everybody()
def ensure(
    dest: str,
    inputs: t.Mapping[str, t.Any],
    make: t.Callable[[Draft], dict[str, t.Any]],
    verify: bool = False,
    check_mode: bool = False,
    sources: t.Mapping[str, str] | None = None,
) -> Outcome:
    """Make sure that dest is the artifact of these inputs; if it is not, call make() with a draft, under the lock.

    make() fills and publishes the draft. `sources` are the folders and files it reads, by the option that names them.
    """
    dest = os.path.normpath(dest)
    check_apart({"dest": dest}, sources or {})
    reason = reason_to_make(dest, inputs, verify)
    if reason is None or check_mode:
        return Outcome(reason, read_artifact(dest))
    with locked(dest) as waited_for:
        reason = reason_to_make(dest, inputs, verify)
        if reason is None:
            return Outcome(None, read_artifact(dest), waited_for)
        try:
            return Outcome(reason, make(Draft(dest, canonical(inputs))), waited_for)
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                raise
            raise ArtifactError(space_message(os.path.basename(dest), dest, None, free_bytes(dest))) from exc


def difference(
    before: t.Mapping[str, t.Any] | None, dest: str, inputs: t.Mapping[str, t.Any], reason: str | None
) -> dict[str, t.Any]:
    """The before and after of --diff: what identifies the artifact, not its content."""
    old = {"inputs": before["inputs"], "state": reason or "complete"} if before else None
    return {
        "before_header": dest,
        "after_header": dest,
        "before": pretty(old) if old else "",
        "after": pretty({"inputs": canonical(inputs), "state": "complete"}),
    }


def pretty(value: t.Any) -> str:
    """The value as indented JSON, as in records and in --diff."""
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def _read_json(path: str) -> t.Any:
    try:
        with open_regular(path) as stream:
            return json.load(stream)
    except (OSError, ValueError, RecursionError):
        return None


def write_json(path: str, value: t.Any) -> None:
    """Write, sync and rename, so that the file is either complete or missing, even after a crash."""
    with create_regular(f"{path}{NEW}") as stream:
        stream.write(pretty(value).encode("utf-8"))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(f"{path}{NEW}", path)


def try_hard_link(source: str, target: str) -> bool:
    """Hard link target to the file source; False if it must be copied instead.

    The target of a symbolic link is not linked: the file may belong to someone other than the link's owner. Neither is
    a file that others cannot read or can write to: a link has the mode of its source, which may not be ours to change.
    """
    status = os.lstat(source)
    if stat.S_ISLNK(status.st_mode) or not status.st_mode & stat.S_IROTH or others_can_write(status):
        return False
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in NO_LINK:
            raise
        return False
    return True


def others_can_write(status: os.stat_result) -> bool:
    """Whether anyone but root and this process can write to the file, and so to every hard link to it."""
    return foreign_access(status) is not None


def remove(path: str) -> None:
    """Remove a file or folder. A folder's records go last, so that a half-removed folder is still marked as ours."""
    if os.path.islink(path) or not os.path.isdir(path):
        if os.path.lexists(path):
            os.unlink(path)
        return
    mounts = mounts_in(path)
    if mounts:
        raise ArtifactError(f"{path} has a file system mounted at {mounts[0]}, which is not removed: unmount it first")
    for name in sorted(os.listdir(path), key=RECORDS.__contains__):
        child = os.path.join(path, name)
        if os.path.isdir(child) and not os.path.islink(child):
            shutil.rmtree(child)
        else:
            os.unlink(child)
    os.rmdir(path)


def mounts_in(path: str) -> list[str]:
    """The mount points at or below the folder, as real paths, nearest first."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as stream:
            points = mount_points(stream.read())
    except OSError:
        # Not every control node runs Linux.
        return []
    real = os.path.realpath(path)
    return sorted(point for point in points if point == real or point.startswith(os.path.join(real, "")))


def mount_points(mounts: str) -> list[str]:
    """The mount points in the text of /proc/mounts."""
    return [unescape_mount(line.split()[1]) for line in mounts.splitlines() if line]


def unescape_mount(path: str) -> str:
    """A path of the kernel's lists of mounts, where spaces and similar characters are octal escapes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), path)


def replace_folder(new: str, dest: str, mark: str = ARTIFACT_JSON) -> None:
    """Rename the finished folder `new`, which is in one of our partial folders, to dest.

    An old dest is exchanged with the new one, because a server may be using it. Where the file system cannot do that,
    it is kept in the partial folder until the new one is in place.
    """
    check_replaceable(dest, mark)
    partial = os.path.dirname(new)
    ready, old = os.path.join(partial, "ready"), os.path.join(partial, "replaced")
    remove(ready)
    remove(old)
    # After an exchange the old folder has this name, and must not be taken for the payload of an unfinished run.
    os.rename(new, ready)
    if not (os.path.lexists(dest) and exchange(ready, dest)):
        if os.path.lexists(dest):
            os.rename(dest, old)
        os.rename(ready, dest)
    sync(os.path.dirname(os.path.abspath(dest)))
    remove(ready)
    remove(old)


def exchange(one: str, other: str) -> bool:
    """Exchange two folders in one step; False if the kernel, the file system or the C library cannot."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except AttributeError:
        return False
    return renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0


def sync(path: str) -> None:
    """Make a file, or the names in a folder, survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(root: str) -> None:
    for folder, _dirs, names in os.walk(root):
        for path in (os.path.join(folder, name) for name in names):
            if os.path.exists(path):
                sync(path)
        sync(folder)


def sync_files(folder: str) -> None:
    """Like sync_tree(), without the folders in it."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            sync(path)
    sync(folder)
