# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The root folder: which folders can be used, the marker that makes one ours, and what may be removed in it."""

from __future__ import annotations

import os
import re
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    LOCK_CONTENT,
    LOCK_READ,
    is_marked,
    mark_of,
    mounts_in,
    read_record,
    remove,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._errors import ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._untrusted import create_regular, open_regular
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import (
    CACHE,
    CURRENT,
    DEPLOYMENTS,
    KINDS,
    PREVIOUS,
    RELEASES,
    ROLLING,
    UNFINISHED,
    deployments,
    is_release,
)

DEFAULT_ROOT = "/opt/trtllm"
MARK = ".trtllm"
MARK_TEXT = "This folder belongs to the Ansible collection tritonops.trtllm: its playbook teardown cleans it up.\n"
# At the top of ext file systems.
LOST_AND_FOUND = "lost+found"
KEEPABLE = (*KINDS, DEPLOYMENTS, "venv", "logs", "secrets")
"""Names below the root folder that teardown can be told to keep."""

_SYSTEM = frozenset(
    f"/{name}"
    for name in (
        *("", "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "proc"),
        *("root", "run", "sbin", "snap", "srv", "sys", "tmp", "usr", "usr/local", "var", "var/cache", "var/lib"),
        *("var/lib/docker", "var/lib/trtllm", "var/log", "var/tmp"),
    )
)
# The root folder must not be below these.
_SYSTEM_TREES = re.compile(r"/(bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|run|sbin|sys)/|/usr/(?!local/)")
# The service's unit has ProtectHome and PrivateTmp.
_HIDDEN_TREES = re.compile(r"/(home|root|tmp|var/tmp)/")
# systemd and shells keep these as they are. Virtual environments do not work in a path with spaces.
_PLAIN = re.compile(r"[\w/.,+=@~-]*")
_VENV = re.compile(r"venv(-[0-9a-f]{12})?")
_RELEASE_PART = re.compile(r"(model_repository|tokenizer|weights)(\.partial|\.lock)?|release\.json|run")
_BUILD_LOG = re.compile(r"image-[0-9a-f]{16}\.log(\.1)?")
_CACHE_NAME = re.compile(r"[0-9a-f]{16}")
_TOKEN = "hf_token"
_WATCHDOG = re.compile(r"watchdog\.pyz|[a-z0-9-]{1,32}\.json")
# In the folder of a deployment: the watchdog's, and the mark of a roll.
_STATE = re.compile(rf"watchdog\.json(\.new)?|{ROLLING}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")


def path_problem(path: str) -> str | None:
    """Why a path cannot be the root folder; None if it can. Only the path is checked."""
    if ".." in path.split("/"):
        return "must not contain .."
    normal = os.path.normpath(f"/{path.lstrip('/')}")
    if normal in _SYSTEM or _SYSTEM_TREES.match(normal):
        return "is a system folder, or below one"
    return None


def service_problem(path: str) -> str | None:
    """Why systemd could not start a service in the folder; None if it can. Only the path is checked."""
    if not _PLAIN.fullmatch(path):
        return "has characters that systemd or the shell would change (letters, digits and any of -_./,+=@~ are safe)"
    if is_hidden(path):
        return "is below /home, /root, /tmp or /var/tmp, which the service cannot see (ProtectHome, PrivateTmp)"
    return None


def is_hidden(path: str) -> bool:
    """Whether the service's unit cannot see the path."""
    return bool(_HIDDEN_TREES.match(os.path.normpath(f"/{path.lstrip('/')}")))


def is_claimed(root: str) -> bool:
    """Whether the folder has our marker."""
    try:
        open_regular(os.path.join(root, MARK)).close()
    except OSError:
        return False
    return True


def outdated_names(root: str) -> list[str]:
    """Names in our root folder from earlier versions, which had a single deployment without a name."""
    if not is_claimed(root):
        return []
    return [name for name in (CURRENT, PREVIOUS, RELEASES) if os.path.lexists(os.path.join(root, name))]


def foreign_names(root: str) -> list[str]:
    """The names in a folder without our marker, which must not become our root folder."""
    if is_claimed(root) or not os.path.lexists(root):
        return []
    try:
        return sorted(name for name in os.listdir(root) if name != LOST_AND_FOUND)
    except NotADirectoryError:
        return [os.path.basename(root)]
    except PermissionError:
        # Not readable for this user. Only root writes to it, and then checks again.
        return []


def claim(root: str, check_mode: bool = False) -> bool:
    """Create the folder with our marker, or mark an empty one. Returns whether anything is changed."""
    if os.path.isdir(root) and (is_claimed(root) or foreign_names(root) or path_problem(os.path.realpath(root))):
        return False
    if not check_mode:
        os.makedirs(root, mode=0o755, exist_ok=True)
        os.chmod(root, 0o755)
        os.chown(root, os.geteuid(), os.getegid())
        if not path_problem(os.path.realpath(root)):
            with create_regular(os.path.join(root, MARK)) as stream:
                stream.write(MARK_TEXT.encode("ascii"))
    return True


@dataclass
class Removal:
    """`removed` and `left` are paths; `left` is kept because it is not ours.

    `images` are those that were pulled, loaded or built, or would have been, with `image` and, if known, `image_id`.
    """

    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)


def remove_deployment(root: str, name: str, check_mode: bool = False) -> Removal:
    """Remove the folder of a deployment, but not the artifacts that its releases link to."""
    check_removable(root)
    path = os.path.join(root, DEPLOYMENTS, name)
    if not is_claimed(root) or not os.path.lexists(path):
        return Removal()
    others = _others_in(path, _DEPLOYMENT)
    if not check_mode:
        _remove_but(path, _DEPLOYMENT, others)
    return Removal(removed=[] if others else [path], left=others)


def remove_ours(root: str, keep: t.Collection[str], check_mode: bool = False) -> Removal:
    """Remove everything that this collection created in the root folder, except the names in `keep`."""
    check_removable(root)
    if not is_claimed(root):
        return Removal()
    found = Removal(images=_images(os.path.join(root, "image")))
    kept = False
    # The marker is removed last, so that an interrupted removal can be continued.
    for name in sorted(set(os.listdir(root)) - {MARK, LOST_AND_FOUND}):
        path = os.path.join(root, name)
        if name.split("-")[0] in keep and _is_known(name):
            kept = True
            continue
        others = _others_in(path, _node_of(name))
        if not check_mode:
            _remove_but(path, _node_of(name), others)
        if others:
            found.left += others
        else:
            found.removed.append(path)
    # If anything is left, the marker is kept, so that the removal can be repeated.
    if not kept and not found.left:
        found.removed.append(os.path.join(root, MARK))
        if not check_mode:
            os.unlink(os.path.join(root, MARK))
    return found


def check_removable(root: str) -> None:
    problem = path_problem(root) or path_problem(os.path.realpath(root))
    if problem:
        raise ArtifactError(f"{root} {problem}: nothing was removed. Correct trtllm_root")
    foreign = foreign_names(root)
    if foreign:
        raise ArtifactError(
            f"{root} is not empty ({', '.join(foreign[:5])}) and has no {MARK}, which marks a root folder of this"
            f" collection: nothing was removed. Correct trtllm_root; if it is a root folder of this collection, create"
            f" {root}/{MARK} and run again"
        )


def own_entries(root: str) -> list[str]:
    """The artifacts, releases, caches and logs in our root folder, relative to it, without what is not ours or has
    mounts."""
    if not is_claimed(root):
        return []
    parents = dict.fromkeys(KINDS, _is_artifact)
    for name in deployments(root):
        parents.update({f"{DEPLOYMENTS}/{name}/{RELEASES}": _is_release, f"{DEPLOYMENTS}/{name}/{CACHE}": _is_cache})
    parents["logs"] = _is_build_log
    return [
        f"{parent}/{os.path.basename(path)}"
        for parent, is_ours in parents.items()
        if _leads_nowhere_else(root, parent)
        for path in _children(os.path.join(root, parent))
        if not path.endswith(".lock") and is_ours(path) and not mounts_in(path)
    ]


def _leads_nowhere_else(root: str, relative: str) -> bool:
    """Whether it is a readable folder, and no link on the way leads out of the root folder."""
    path = os.path.join(root, relative)
    expected = os.path.join(os.path.realpath(root), relative)
    return os.path.isdir(path) and os.access(path, os.R_OK) and os.path.realpath(path) == expected


def _is_known(name: str) -> bool:
    return name in KEEPABLE or bool(_VENV.fullmatch(name))


class _Folder(t.NamedTuple):
    """A folder of ours: the nodes of known names in it, and the node of any other entry."""

    named: t.Mapping[str, _Node] = {}
    each: _Node | None = None

    def of(self, path: str) -> _Node | None:
        return self.named.get(os.path.basename(path), self.each)


# A function returns whether the path is ours and can be removed completely.
_Node = t.Union[_Folder, t.Callable[[str], bool]]


def _others_in(path: str, node: _Node | None) -> list[str]:
    """What is not ours at this path: the path itself, or paths in it."""
    if isinstance(node, _Folder):
        if os.path.islink(path) or not os.path.isdir(path):
            return [path]
        return [other for child in _children(path) for other in _others_in(child, node.of(child))]
    if node is None or not (node(path) or _is_empty(path)):
        return [path]
    return _mounted(path)


def _is_empty(path: str) -> bool:
    """Whether it is an empty folder, as an interrupted removal may leave."""
    return os.path.isdir(path) and not os.path.islink(path) and not os.listdir(path)


def _mounted(path: str) -> list[str]:
    return [path] if mounts_in(path) else []


def _children(path: str) -> list[str]:
    return [os.path.join(path, name) for name in sorted(os.listdir(path))]


def _is_artifact(path: str) -> bool:
    if path.endswith(".lock"):
        return _is_lock(path)
    return not os.path.islink(path) and is_marked(path, mark_of(path))


def _is_lock(path: str) -> bool:
    try:
        with open_regular(path) as stream:
            return bool(LOCK_CONTENT.fullmatch(stream.read(LOCK_READ).decode("ascii", "replace")))
    except OSError:
        return False


def _is_release(path: str) -> bool:
    if os.path.islink(path) or not os.path.isdir(path):
        return False
    # One that a killed run left may not have a record yet.
    return is_release(path) or (path.endswith(".partial") and all(map(_RELEASE_PART.fullmatch, os.listdir(path))))


def _is_file(path: str, name: t.Pattern[str]) -> bool:
    return bool(name.fullmatch(os.path.basename(path))) and stat.S_ISREG(os.lstat(path).st_mode)


def _is_build_log(path: str) -> bool:
    return _is_file(path, _BUILD_LOG)


def _is_cache(path: str) -> bool:
    """The container writes there, so only the folder's name shows that it is ours."""
    return bool(_CACHE_NAME.fullmatch(os.path.basename(path))) and os.path.isdir(path) and not os.path.islink(path)


_LINKS = (CURRENT, PREVIOUS, CURRENT + UNFINISHED, PREVIOUS + UNFINISHED)
# The logs and stacks that a watchdog kept, in a folder for each time.
_KEPT = _Folder(each=lambda path: bool(_TIME.fullmatch(os.path.basename(path))) and os.path.isdir(path))
_DEPLOYMENT = _Folder(
    {
        RELEASES: _Folder(each=_is_release),
        CACHE: _Folder(each=_is_cache),
        "watchdog": _KEPT,
        **dict.fromkeys(_LINKS, os.path.islink),
    },
    each=lambda path: _is_file(path, _STATE),
)
_ROOT = _Folder(
    {
        **dict.fromkeys(KINDS, _Folder(each=_is_artifact)),
        DEPLOYMENTS: _Folder(each=_DEPLOYMENT),
        "watchdog": _Folder(each=lambda path: _is_file(path, _WATCHDOG)),
        "logs": _Folder(each=_is_build_log),
        "secrets": _Folder(each=lambda path: _is_file(path, re.compile(_TOKEN))),
    }
)


def _node_of(name: str) -> _Node | None:
    return (lambda _path: True) if _VENV.fullmatch(name) else _ROOT.of(name)


def _remove_but(path: str, node: _Node | None, others: t.Collection[str]) -> None:
    if path in others:
        return
    if not isinstance(node, _Folder):
        remove(path)
        return
    for child in _children(path):
        _remove_but(child, node.of(child), others)
    # A mount point cannot be removed and stays, empty.
    if not any(other.startswith(f"{path}/") for other in others) and not mounts_in(path):
        os.rmdir(path)


def _images(folder: str) -> list[dict[str, str]]:
    """The images in the folder's records. A killed run may have pulled one without a complete record."""
    found = []
    for path in _children(folder) if os.path.isdir(folder) else []:
        record = read_record(path, mark_of(path))
        if record and _is_artifact(path):
            asked, pulled = record["inputs"].get("image"), str(record.get("image"))
            # The image of a tag is pulled by its digest, and Docker then does not know the tag.
            known = {"image": pulled if "@" in pulled else asked, "image_id": record.get("image_id")}
            found.append({name: value for name, value in known.items() if isinstance(value, str)})
    return [image for image in found if "image" in image]
