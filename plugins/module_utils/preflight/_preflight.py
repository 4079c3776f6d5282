# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a host before anything is changed on it. Each check returns its findings; none writes."""

from __future__ import annotations

import os
import platform
import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import (
    EngineImageMismatch,
    check_engine_image,
    is_complete,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import EngineError, archive_ids
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._cgroups import OwnService, is_ours
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import (
    Holder,
    Listener,
    collides,
    holders,
    listening,
    read_text,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding, error, warning

_MACHINE_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}


# --- ports ---------------------------------------------------------------------------------------------------------


def is_own(holder: Holder, port: int, own: OwnService, proc: str) -> bool:
    # A published port is held by a docker-proxy in the engine's own control group.
    by_proxy = own.container is not None and "docker-proxy" in holder.command and port in own.container.published
    return by_proxy or is_ours(holder.pid, own, proc)


def _port_taken(wanted: t.Mapping[str, t.Any], listener: Listener, holder: Holder | None, variable: str) -> Finding:
    who = f"pid {holder.pid}: {holder.command}" if holder else "a process of another user or of the kernel"
    what = f" ({wanted['what']})" if wanted.get("what") else ""
    return error(
        "port_taken",
        f"port {wanted['port']} on {wanted['address']}{what} is taken by {who} (it listens on {listener.address})",
        f"stop it, or choose another port in {variable}",
    )


def check_ports(
    ports: t.Sequence[t.Mapping[str, t.Any]], own: OwnService, variable: str, proc: str = "/proc"
) -> list[Finding]:
    """One finding for each wanted port that somebody else listens on."""
    listeners = listening(proc) if ports else []
    clashes = [
        (wanted, listener)
        for wanted in ports
        for listener in listeners
        if collides(listener, wanted["address"], wanted["port"])
    ]
    who = holders([listener.inode for _wanted, listener in clashes], proc)
    found: dict[int, Finding] = {}
    for wanted, listener in clashes:
        holder = who.get(listener.inode)
        if holder is None or not is_own(holder, wanted["port"], own, proc):
            found.setdefault(wanted["port"], _port_taken(wanted, listener, holder, variable))
    return list(found.values())


# --- memory --------------------------------------------------------------------------------------------------------


def check_memory(needed: int, total: int, variable: str) -> list[Finding]:
    if needed <= total:
        return []
    return [
        error(
            "memory",
            f"the host has {human_bytes(total)} of memory, {human_bytes(needed)} is needed",
            f"use a larger host or a smaller model; the need is set in {variable}",
        )
    ]


# --- the system ----------------------------------------------------------------------------------------------------


def architecture() -> str:
    machine = platform.machine()
    return _MACHINE_ALIASES.get(machine, machine)


def check_architecture(machine: str, supported: t.Sequence[str]) -> list[Finding]:
    if not supported or machine in supported:
        return []
    return [
        error(
            "architecture",
            f"the processor is {machine}, supported: {', '.join(supported)}",
            "use a host of that architecture: the backend's images exist for no other",
        )
    ]


def os_release(root: str = "/") -> dict[str, str]:
    """ID and VERSION_ID of the distribution."""
    text = read_text(os.path.join(root, "etc/os-release"))
    return {key: value.strip("\"'") for key, value in re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)}


def _version(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def check_os(release: t.Mapping[str, str], supported: t.Mapping[str, str]) -> list[Finding]:
    """A distribution that nobody has tried may well work: that is a warning. A known one that is too old is not."""
    if not supported:
        return []
    name, version = release.get("ID", "unknown"), release.get("VERSION_ID", "")
    known = ", ".join(f"{system} {oldest} or later" for system, oldest in sorted(supported.items()))
    if name not in supported:
        message = f"{name} {version} is not among the tested systems: {known}"
        return [warning("os_untested", message, "none")]
    # Rolling releases have no number.
    if version and _version(version) < _version(supported[name]):
        message = f"{name} {version} is too old, supported: {known}"
        return [error("os_unsupported", message, "upgrade the host's system")]
    return []


def check_systemd(root: str = "/") -> list[Finding]:
    # The documented way to ask, sd_booted(3).
    if os.path.isdir(os.path.join(root, "run/systemd/system")):
        return []
    return [
        error(
            "systemd",
            "the system was not started by systemd, which is to run the service",
            "use a host that systemd runs on; in a container make it process 1",
        )
    ]


# --- image archive -------------------------------------------------------------------------------------------------


def _is_compressed(path: str) -> bool:
    with open(path, "rb") as stream:
        return stream.read(4).startswith((b"\x1f\x8b", b"BZh", b"\xfd7zX", b"\x28\xb5\x2f\xfd"))


def check_archive(path: str, digest: str | None, variable: str) -> list[Finding]:
    try:
        # To find the list of images in a compressed one, all of it would have to be unpacked.
        if _is_compressed(path):
            message = f"{path} is compressed: which image is in it shows only when it is loaded"
            return [warning("archive_unchecked", message, "keep it uncompressed to have it checked now")]
        ids = archive_ids(path)
    except OSError as exc:
        return [error("archive_missing", f"the image archive cannot be read: {exc}", f"correct {variable}")]
    except EngineError as exc:
        return [error("archive_unreadable", str(exc), f"make it again with docker save, or correct {variable}")]
    if digest and digest not in ids:
        message = f"the archive {path} has the image {' or '.join(sorted(ids)) or 'none'}, wanted is {digest}"
        return [error("archive_image", message, f"correct the archive or the digest in {variable}")]
    return []


# --- engine --------------------------------------------------------------------------------------------------------


def check_engine(path: str, image_digest: str, variable: str) -> list[Finding]:
    """An engine that is not there yet is going to be built by the right image."""
    if not is_complete(path):
        return []
    try:
        check_engine_image(path, image_digest)
    except EngineImageMismatch as exc:
        return [error("engine_image", str(exc), f"name another engine or another image in {variable}")]
    return []
