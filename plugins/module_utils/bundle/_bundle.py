# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A bundle: a folder with everything that a deployment downloads, and a manifest with size and sha256 of every file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    ArtifactError,
    canonical,
    check_apart,
    check_replaceable,
    check_space,
    hash_files,
    locked,
    make_partial,
    marked,
    read_artifact,
    remove,
    replace_folder,
    sync_tree,
    try_hard_link,
    write_json,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import Progress
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import check_names, open_regular
from ansible_collections.tritonops.trtllm.plugins.module_utils.bundle._writable import changeable, is_being_written

FORMAT = 1
MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.asc"
# The manifest cannot list these.
UNLISTED = frozenset([MANIFEST, SIGNATURE])
# The bundle can be the root of a file system, which has this folder.
NOT_OURS = "lost+found"
# Of a manifest and of its signature, in bytes. A manifest has about 150 for each file.
LARGEST_MANIFEST = 16 << 20
# A bundle on a failed disk has thousands of wrong files.
MOST_SHOWN = 20

Files = t.Dict[str, t.Dict[str, t.Any]]


class BundleError(ArtifactError):
    """The bundle cannot be made, or does not match its manifest."""


# --- making --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A complete artifact (`src`) and the folder of the bundle for its files."""

    path: str
    src: str

    def files(self) -> Files:
        """The files by their names in the bundle. They were hashed when the part was made."""
        record = read_artifact(self.src)
        if record is None:
            raise BundleError(f"{self.src} is not a complete part: make it first")
        return {f"{self.path}/{name}": entry for name, entry in record["files"].items()}

    def inputs(self) -> dict[str, t.Any]:
        return (read_artifact(self.src) or {}).get("inputs", {})


@dataclass(frozen=True)
class Bundle:
    """The contents of a bundle. `about` describes what it is for; its keys are in the manifest."""

    dest: str
    about: t.Mapping[str, t.Any]
    parts: t.Sequence[Part]
    signed: bool

    def inputs(self) -> dict[str, t.Any]:
        return {"about": canonical(self.about), "parts": {part.path: part.inputs() for part in self.parts}}

    def stale(self) -> str | None:
        """Why the bundle must be assembled (a sentence), or None if it is up to date."""
        check_apart({"dest": self.dest}, {part.path: part.src for part in self.parts})
        if not os.path.lexists(os.path.join(self.dest, MANIFEST)):
            check_replaceable(self.dest, MANIFEST)
            return f"no bundle at {self.dest}"
        manifest = read_manifest(self.dest)
        if manifest.get("inputs") != self.inputs():
            return "its contents have changed"
        if self.signed != os.path.exists(os.path.join(self.dest, SIGNATURE)):
            return "it is not signed" if self.signed else "it is signed, but no key is set"
        wrong = presence_problems(self.dest, manifest["files"])
        return wrong[0] if wrong else None

    def assemble(self, sign: t.Callable[[str], None]) -> dict[str, t.Any]:
        """Link the files of the parts in a partial folder, write and sign the manifest, and rename the folder."""
        with locked(self.dest):
            payload = make_partial(self.dest, self.inputs())
            files: Files = {}
            for part in self.parts:
                files.update(part.files())
                _link_files(part, payload)
            manifest = self._manifest(files)
            write_json(os.path.join(payload, MANIFEST), manifest)
            if self.signed:
                sign(os.path.join(payload, MANIFEST))
            sync_tree(payload)
            replace_folder(payload, self.dest, MANIFEST)
            remove(os.path.dirname(payload))
        return manifest

    def _manifest(self, files: Files) -> dict[str, t.Any]:
        return {
            "format": FORMAT,
            "made": datetime.fromtimestamp(time.time(), timezone.utc).isoformat(timespec="seconds"),
            "size": sum(entry["size"] for entry in files.values()),
            **marked(self.inputs()),
            **canonical(self.about),
            "files": dict(sorted(files.items())),
        }


def _link_files(part: Part, payload: str) -> None:
    """Hard links need no disk space. Parts on another file system are copied."""
    for name in (read_artifact(part.src) or {})["files"]:
        source, target = os.path.join(part.src, name), os.path.join(payload, part.path, name)
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        if not try_hard_link(source, target):
            check_space(payload, os.path.getsize(source), f"the bundle's {part.path}")
            shutil.copyfile(source, target)


# --- checking ------------------------------------------------------------------------------------------------------


def read_manifest(path: str) -> dict[str, t.Any]:
    """The manifest of the bundle at path."""
    return parsed_manifest(path, _manifest_content(path))


def _manifest_content(path: str) -> bytes:
    name = os.path.join(path, MANIFEST)
    try:
        content = _read(name, LARGEST_MANIFEST + 1)
    except OSError as exc:
        raise BundleError(
            f"{path} is not a bundle: {name} cannot be read ({exc.strerror or exc}). Set the folder that bundle.yml"
            " wrote, which only exists when it is complete"
        ) from exc
    if len(content) > LARGEST_MANIFEST:
        raise BundleError(f"{name} is larger than {LARGEST_MANIFEST >> 20} MiB, so it is not a manifest: copy it again")
    return content


def parsed_manifest(path: str, content: bytes) -> dict[str, t.Any]:
    name = os.path.join(path, MANIFEST)
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise BundleError(f"{name} is damaged: {exc}; copy the bundle again") from exc
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(
            f"{name} does not have the format {FORMAT}, which this version of the collection reads: make the bundle"
            " with the version that will use it"
        )
    files = manifest.get("files")
    if not (isinstance(files, dict) and all(map(_is_entry, files.values()))):
        raise BundleError(f"{name} is damaged: it has no size and sha256 for every file; copy the bundle again")
    check_names(files, name)
    return manifest


def _is_entry(entry: t.Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("size"), int) and isinstance(entry.get("sha256"), str)


def _read(name: str, limit: int = -1) -> bytes:
    with open_regular(name) as stream:
        return stream.read(limit)


def presence_problems(path: str, files: t.Mapping[str, t.Mapping[str, t.Any]], below: str = "") -> list[str]:
    """Problems that are found without reading files: missing and unexpected files, and wrong sizes."""
    found = {name: size for name, size in _files_below(path).items() if name not in UNLISTED and _is_in(name, below)}
    problems = []
    for name, entry in files.items():
        if name not in found:
            problems.append(f"{name} is missing")
        elif found[name] is None:
            problems.append(f"{name} is not a regular file")
        elif found[name] != entry["size"]:
            problems.append(f"{name} has {found[name]} bytes instead of {entry['size']}")
    return problems + [f"{name} is not in the manifest" for name in sorted(set(found) - set(files))]


def _is_in(name: str, folder: str) -> bool:
    """Every file is in the folder without a name."""
    return not folder or name.startswith(f"{folder}/")


def _files_below(path: str) -> dict[str, int | None]:
    """Size of every file below path; None if it is not a regular file, because a link can lead out of the bundle."""
    found: dict[str, int | None] = {}
    for folder, folders, names in os.walk(path):
        if folder == path and NOT_OURS in folders:
            folders.remove(NOT_OURS)
        for name in [*names, *(entry for entry in folders if os.path.islink(os.path.join(folder, entry)))]:
            whole = os.path.join(folder, name)
            status = os.lstat(whole)
            found[os.path.relpath(whole, path)] = status.st_size if stat.S_ISREG(status.st_mode) else None
    return found


def stamps(path: str, names: t.Iterable[str]) -> dict[str, list[int]]:
    """Attributes of which at least one changes if a file is written to, even if its time is set back."""
    found = {}
    for name in names:
        status = os.lstat(os.path.join(path, name))
        found[name] = [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    return found


@dataclass(frozen=True)
class Checked:
    """A verified bundle. `hashed` is the number of bytes that were read."""

    manifest: dict[str, t.Any]
    hashed: int


def check(path: str, checksum: str | None, record: str | None, below: str = "") -> Checked:
    """Verify a bundle, and report all problems in one BundleError. `checksum` is the sha256 its manifest must have.

    Files that `record` lists as verified are not read again, unless they have been written to since. If `below` is a
    folder of the bundle, other files are not verified, and may be missing.
    """
    content = _manifest_content(path)
    _check_writers(path)
    digest = hashlib.sha256(content).hexdigest()
    # Before the content is parsed: it is not trusted yet.
    if checksum and checksum != digest:
        raise BundleError(f"{path}/{MANIFEST} is not the one whose signature was verified: it has changed since then")
    manifest = parsed_manifest(path, content)
    files: Files = {name: entry for name, entry in manifest["files"].items() if _is_in(name, below)}
    wrong = presence_problems(path, files, below)
    present = [name for name in files if not any(problem.startswith(f"{name} ") for problem in wrong)]
    known = _recorded(record, digest)
    now = stamps(path, present)
    unread = [name for name in present if now[name] != known.get(name)]
    _check_writing(path, unread)
    digests = _hashed(path, unread, sum(files[name]["size"] for name in unread), record)
    wrong += [
        f"{name} has been changed: its sha256 is {digests[name]}" for name in unread if _differs(name, digests, files)
    ]
    if wrong:
        raise BundleError(_complaint(path, wrong))
    if record and unread:
        os.makedirs(os.path.dirname(record), mode=0o700, exist_ok=True)
        write_json(record, {"manifest": digest, "files": {**known, **now}})
    return Checked(manifest, sum(files[name]["size"] for name in unread))


def _check_writers(path: str) -> None:
    """Otherwise a package could be replaced after it was verified and before it is installed."""
    problems = changeable(path)
    if problems:
        raise BundleError(
            f"others than root can change the bundle {path}:\n{_shown(problems)}\nGive it to root (chown -R root:root"
            f" {path}; chmod -R go-w {path}), in a folder that only root can change, or mount it read-only."
        )


def _check_writing(path: str, names: t.Iterable[str]) -> None:
    """A program that opened a file before it was given to root can still write to it after it was verified."""
    problems = [f"{name} is open for writing" for name in names if is_being_written(os.path.join(path, name))]
    if problems:
        raise BundleError(
            f"programs can write to the bundle {path}:\n{_shown(problems)}\nWait until the bundle is copied, or end the"
            f" programs (fuser --verbose FILE shows them), and run again."
        )


def _differs(name: str, digests: t.Mapping[str, str], files: Files) -> bool:
    return digests[name] != files[name]["sha256"]


def _recorded(record: str | None, digest: str) -> dict[str, t.Any]:
    try:
        known = json.loads(_read(record)) if record else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return known["files"] if known.get("manifest") == digest else {}


def _hashed(path: str, names: list[str], total: int, record: str | None) -> dict[str, str]:
    if not (record and names):
        return hash_files(path, names)
    partial = f"{record}.partial"
    os.makedirs(partial, mode=0o700, exist_ok=True)
    progress = Progress(os.path.join(partial, "progress.json"))
    progress.start("verify", total=total)
    try:
        return hash_files(path, names, progress)
    finally:
        remove(partial)


def _complaint(path: str, wrong: list[str]) -> str:
    return f"the bundle {path} does not match its manifest:\n{_shown(wrong)}\nCopy it again; nothing in it was used."


def _shown(problems: list[str]) -> str:
    shown = [f"- {problem}" for problem in problems[:MOST_SHOWN]]
    if len(problems) > MOST_SHOWN:
        shown.append(f"- and {len(problems) - MOST_SHOWN} more")
    return "\n".join(shown)
