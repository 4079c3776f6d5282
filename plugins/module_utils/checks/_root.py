# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The root folder: whether it is ours, and what SELinux allows there."""

from __future__ import annotations

import json
import os
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
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import (
    MARK,
    foreign_names,
    outdated_names,
)

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs

_MOST_NAMED = 5
# SELinux types of folders from which systemd may not start programs.
_FOREIGN_LABELS = ("unlabeled_t", "default_t", "mnt_t", "file_t", "user_home_t", "home_root_t", "tmp_t", "user_tmp_t")


@dataclass(frozen=True)
class RootFolder(Fact):
    """The names in a folder that is not marked as ours, and the names of an earlier layout in our own folder."""

    foreign: t.Sequence[str]
    outdated: t.Sequence[str] = ()

    @classmethod
    def gather(cls, host: LiveHost) -> RootFolder:
        return cls(foreign_names(host.needs.root), outdated_names(host.needs.root))


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
    def gather(cls, host: LiveHost) -> SELinux:
        return read_selinux(host.needs.root)

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
    Check(root_foreign, "root", (RootFolder,), waivable=False),
    Check(root_outdated, "root", (RootFolder,), waivable=False),
    Check(selinux_containers, "root", (SELinux,)),
    Check(selinux_label, "root", (SELinux,)),
)
