# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Lists or removes what no release needs, below the root folder and in Docker."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils._deadline import within
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import (
    Docker,
    DockerError,
    load_sdk,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._held import held_files
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import check_removable
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import check_responds
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record import _host_record
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune import _docker
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune._decision import Entry, freed_by
from ansible_collections.tritonops.trtllm.plugins.module_utils.prune._root import (
    Found,
    files_in,
    find,
    image_names,
    remove_entry,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# In seconds. It takes milliseconds, unless a process has a file on a dead file server.
HELD_TIMEOUT = 60
BUILD_CACHE = "build cache"
BUSY = "a process or another run uses it"


@dataclass
class Pruned:
    """`removed`: entries that were removed, or would be. `kept`: those that are not needed and stay, by path."""

    removed: list[dict[str, t.Any]]
    kept: list[dict[str, str]]


class Images:
    """The images of the records that are not needed. `problem` says why Docker cannot be asked."""

    def __init__(self, docker: Docker | None, problem: str) -> None:
        self.docker, self.problem = docker, problem
        self.usage: t.Mapping[str, t.Any] = docker.usage() if docker else {}
        self._by_id = _docker.images_of(self.usage, docker.containers()) if docker else {}

    @classmethod
    def connect(cls, docker_host: str | None) -> Images:
        try:
            return cls(Docker(load_sdk(), docker_host), "")
        except ImportError:
            return cls(None, "the Docker SDK for Python is not installed for the Python that runs this module")
        except DockerError as exc:
            return cls(None, str(exc))

    def known(self, names: t.Iterable[str]) -> str | None:
        """The first of these names that Docker has."""
        return next((name for name in names if self.docker and self.docker.image(name)), None)

    def of(self, name: str) -> _docker.Image | None:
        known = self.docker.image(name) if self.docker else None
        return self._by_id.get(known["Id"]) if known else None

    def why_kept(self, name: str | None) -> str:
        if self.problem:
            return f"whether its image is used is not known: {self.problem}"
        image = self.of(name) if name else None
        return f"the container {', '.join(image.users)} uses its image" if image and image.users else ""


def prune(module: AnsibleModule) -> dict[str, t.Any]:
    params, root = module.params, module.params["path"]
    check_responds(module, root)
    check_removable(root)
    found = find(root, params["keep"], json.dumps(params["wanted"]), _held(root))
    images = Images.connect(params["docker_host"])
    pruned = _entries(root, found, images, module.check_mode)
    pruned.removed += _build_cache(images, params["host_record"], module.check_mode)
    paths = [entry["path"] or entry["what"] for entry in pruned.removed]
    return {
        "changed": bool(pruned.removed),
        "removed": pruned.removed,
        "kept": pruned.kept,
        "freed_bytes": sum(entry["bytes"] for entry in pruned.removed),
        "diff": {"before": "".join(f"{path}\n" for path in paths), "after": ""},
    }


def _held(root: str) -> set[tuple[int, int]]:
    try:
        return within(HELD_TIMEOUT, lambda: held_files(root))
    except TimeoutError as exc:
        raise ModuleFailure(
            f"which files below {root} are in use could not be found out: {exc}. A process may have a file on a file"
            " server that does not respond: correct this first"
        ) from exc


def _entries(root: str, found: Found, images: Images, check_mode: bool) -> Pruned:
    """Releases come first. The files that they share with artifacts count for these."""
    pruned = Pruned([], [{"path": os.path.join(root, path), "why": BUSY} for path in found.busy])
    paths = sorted(found.unused, key=lambda path: Entry(path).what != "release")
    names = {path: images.known(known) for path in paths for known in [image_names(root, path)] if known}
    removable = {name for name in names.values() if name}
    of_files = {path: list(files_in(os.path.join(root, path))) for path in paths}
    of_images = {path: _docker.freed(images.of(name), removable) for path, name in names.items() if name}
    for path in paths:
        why_kept = images.why_kept(names[path]) if path in names else ""
        if not why_kept and not check_mode:
            why_kept = _remove(root, path, names.get(path), images)
        if why_kept:
            pruned.kept.append({"path": os.path.join(root, path), "why": why_kept})
            del of_files[path]
    freed = freed_by(of_files)
    pruned.removed = [
        _removed(Entry(path).what, os.path.join(root, path), found.unused[path], freed[path] + of_images.get(path, 0))
        for path in of_files
    ]
    return pruned


def _remove(root: str, path: str, image: str | None, images: Images) -> str:
    """Why it was not removed; empty if it was. The image goes first, because only its record says that it is ours."""
    try:
        if image and images.docker:
            images.docker.remove_image(image)
    except DockerError as exc:
        return str(exc)
    return "" if remove_entry(root, path) else BUSY


def _build_cache(images: Images, host_record: str, check_mode: bool) -> list[dict[str, t.Any]]:
    """Only of a Docker that the collection installed: in any other, builds of others have their cache, too."""
    size = _docker.cache_bytes(images.usage)
    if not images.docker or not size or not _installed_docker(host_record):
        return []
    if not check_mode:
        size = images.docker.remove_build_cache()
    return [_removed(BUILD_CACHE, "", "builds can make it again", size)] if size else []


def _installed_docker(host_record: str) -> bool:
    record = _host_record.load(host_record)
    installed = record["packages"]["installed"] if record else {}
    return any(entry.get("part") == "docker" for entry in installed.values())


def _removed(what: str, path: str, why: str, size: int) -> dict[str, t.Any]:
    return {"what": what, "path": path, "why": why, "bytes": size}
