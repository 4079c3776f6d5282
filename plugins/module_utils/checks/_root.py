# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The root folder: whether it responds, is ours and of nobody else, and whether systemd can start programs there."""

from __future__ import annotations

import json
import os
import pwd
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import nearest_existing
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Fact,
    Finding,
    error,
    warning,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._room import mount_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import (
    MARK,
    foreign_names,
    is_hidden,
    outdated_names,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import hung_message, hung_remedy

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs

_MOST_NAMED = 5
# SELinux types of folders from which systemd may not start programs.
_FOREIGN_LABELS = ("unlabeled_t", "default_t", "mnt_t", "file_t", "user_home_t", "home_root_t", "tmp_t", "user_tmp_t")


@dataclass(frozen=True)
class FileSystems(Fact):
    """The folders whose file system does not respond. Other facts about what is there are unknown."""

    hung: t.Collection[str]

    @classmethod
    def gather(cls, host: LiveHost) -> FileSystems:
        needs = host.needs
        paths = [needs.root, *(wanted.path for wanted in needs.disk)]
        paths += [wanted.path for wanted in (needs.archive, needs.engine) if wanted]
        return cls(sorted({folder for folder in map(host.hung, paths) if folder}))


def file_system_hung(_root: str, found: FileSystems) -> t.Iterator[Finding]:
    for folder in found.hung:
        yield error(hung_message(folder), hung_remedy(folder))


@dataclass(frozen=True)
class RootPlace(Fact):
    """Where the root folder really is.

    `noexec` is its file system, if that has this option, and `open_parents` are parents that others can change.
    """

    path: str
    noexec: str
    open_parents: t.Sequence[str]

    @classmethod
    def gather(cls, host: LiveHost) -> RootPlace | None:
        root = host.needs.root
        # A file system that will be mounted there has its own options.
        coming = any(f"{root}/".startswith(f"{entry['mount'].rstrip('/')}/") for entry in host.options["storage"])
        return None if host.hung(root) else read_place(root, coming)


def read_place(root: str, coming: bool = False) -> RootPlace:
    existing = nearest_existing(root)
    noexec = bool(os.statvfs(existing).f_flag & os.ST_NOEXEC) and not coming
    reasons = {folder: _open_to(os.stat(folder)) for folder in _parents(root)}
    open_parents = [f"{folder} ({reason})" for folder, reason in reasons.items() if reason]
    return RootPlace(os.path.realpath(root), mount_of(existing) if noexec else "", open_parents)


def _parents(root: str) -> list[str]:
    """The existing folders above the path, and above what it links to."""
    found = set()
    for folder in map(os.path.dirname, (os.path.abspath(root), os.path.realpath(root))):
        while folder not in found:
            found.add(folder)
            folder = os.path.dirname(folder)
    return sorted(folder for folder in found if os.path.isdir(folder))


def _open_to(status: os.stat_result) -> str:
    """Who besides root can replace what is in a folder; empty for nobody."""
    if status.st_uid:
        return f"owner {_user(status.st_uid)}"
    # With the sticky bit, only the owner of a file can replace it.
    writable = status.st_mode & stat.S_IWOTH or (status.st_gid and status.st_mode & stat.S_IWGRP)
    return f"mode {stat.S_IMODE(status.st_mode):04o}" if writable and not status.st_mode & stat.S_ISVTX else ""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def root_hidden(root: str, found: RootPlace) -> t.Iterator[Finding]:
    if is_hidden(found.path):
        yield error(
            f"{root} leads to {found.path}, which the service cannot see (ProtectHome, PrivateTmp)",
            "move it out of /home, /root, /tmp and /var/tmp, or choose another O(root)",
        )


def root_noexec(root: str, found: RootPlace) -> t.Iterator[Finding]:
    if found.noexec:
        yield error(
            f"{root} is on the file system {found.noexec}, which is mounted with noexec: the service cannot be started"
            " there",
            f"remove noexec from its options (mount -o remount,exec {found.noexec}; /etc/fstab), or choose another"
            " O(root)",
        )


def root_replaceable(root: str, found: RootPlace) -> t.Iterator[Finding]:
    """Root starts what is there."""
    if found.open_parents:
        yield warning(
            f"users other than root can replace {root}, and with it programs that root runs:"
            f" {', '.join(found.open_parents)}",
            "give these folders to root, with mode 0755, or choose another O(root)",
        )


@dataclass(frozen=True)
class RootFolder(Fact):
    """The names in a folder that is not marked as ours, and the names of an earlier layout in our own folder."""

    foreign: t.Sequence[str]
    outdated: t.Sequence[str] = ()

    @classmethod
    def gather(cls, host: LiveHost) -> RootFolder | None:
        root = host.needs.root
        return None if host.hung(root) else cls(foreign_names(root), outdated_names(root))


def root_foreign(root: str, found: RootFolder) -> t.Iterator[Finding]:
    """Files of others would be mixed up with ours."""
    if found.foreign:
        some = ", ".join(found.foreign[:_MOST_NAMED])
        yield error(
            f"{root} is not empty ({some}) and has no {MARK}, which marks a root folder of this collection",
            f"choose an empty folder, such as {root}/trtllm, in O(root); if it is a root folder of an earlier version,"
            f" create {root}/{MARK}",
        )


def root_outdated(root: str, found: RootFolder) -> t.Iterator[Finding]:
    """The service of the earlier layout would continue to run in parallel."""
    if found.outdated:
        names = ", ".join(found.outdated)
        yield error(
            f"{root} is from an earlier version of this collection, whose deployments had no names ({names})",
            f"stop its service (systemctl disable --now trtllm.service), remove the unit and {names} in {root}, and run"
            " again: image, weights, checkpoint and engine are reused",
        )


@dataclass(frozen=True)
class SELinux(Fact):
    """Whether SELinux is enforcing, whether Docker uses it for containers, and the type of the root folder."""

    enforcing: bool
    containers: bool
    label: str | None

    @classmethod
    def gather(cls, host: LiveHost) -> SELinux | None:
        return None if host.hung(host.needs.root) else read_selinux(host.needs.root)

    def as_result(self, needs: Needs) -> dict[str, t.Any]:
        return {"selinux_enforcing": self.enforcing}


def read_selinux(root: str, enforce: str = "/sys/fs/selinux/enforce", etc: str = "/etc") -> SELinux:
    return SELinux(read_text(enforce).strip() == "1", _docker_labels(etc), _label(root))


def _docker_labels(etc: str) -> bool:
    try:
        return bool(json.loads(read_text(os.path.join(etc, "docker/daemon.json"))).get("selinux-enabled"))
    except (ValueError, AttributeError):
        # Missing, or invalid, which other modules report.
        return False


def _label(path: str) -> str | None:
    try:
        context = os.getxattr(nearest_existing(path), "security.selinux")
    except OSError:
        return None
    parts = context.decode("ascii", "replace").rstrip("\0").split(":")
    return parts[2] if len(parts) > 2 else None


def selinux_containers(root: str, found: SELinux) -> t.Iterator[Finding]:
    if found.enforcing and found.containers:
        yield warning(
            f"SELinux is enforcing for containers: they cannot read {root} unless it is labelled",
            f"semanage fcontext -a -t container_file_t '{root}(/.*)?' && restorecon -R {root}",
        )


def selinux_label(root: str, found: SELinux) -> t.Iterator[Finding]:
    if found.enforcing and found.label in _FOREIGN_LABELS:
        yield warning(
            f"SELinux is enforcing and {root} has type {found.label}, from which systemd may not start programs",
            f"semanage fcontext -a -t usr_t '{root}(/.*)?' && restorecon -R {root}",
        )


CHECKS = (
    Check(file_system_hung, "root", (FileSystems,), waivable=False),
    Check(root_hidden, "root", (RootPlace,), waivable=False),
    Check(root_noexec, "root", (RootPlace,), waivable=False),
    Check(root_replaceable, "root", (RootPlace,)),
    Check(root_foreign, "root", (RootFolder,), waivable=False),
    Check(root_outdated, "root", (RootFolder,), waivable=False),
    Check(selinux_containers, "root", (SELinux,)),
    Check(selinux_label, "root", (SELinux,)),
)
