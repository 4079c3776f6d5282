# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The parts of a system that make a deployment fail later: its clock, its limits, SELinux and the firewall."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import nearest_existing
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._limited import answer_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding, error, warning

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# What NCCL wants between the ranks of a model.
RANKS_SHM = 1 << 30
# Labels of folders that systemd may not start programs from.
_FOREIGN_LABELS = ("unlabeled_t", "default_t", "mnt_t", "file_t", "user_home_t", "home_root_t", "tmp_t", "user_tmp_t")
_LIMITS = {"memlock": "Max locked memory", "stack": "Max stack size", "nofile": "Max open files"}
_CAP_SYS_RESOURCE = 24


# --- the clock -----------------------------------------------------------------------------------------------------


def is_synchronised(module: AnsibleModule, timeout: int) -> bool | None:
    """Whether anything keeps the kernel's clock right, chrony included; None where nobody tells."""
    said = answer_of(module, timeout, "timedatectl", "show", "--property=NTPSynchronized", "--value")
    return None if said is None else said.strip() == "yes"


def check_clock(synchronised: bool | None) -> list[Finding]:
    if synchronised is not False:
        return []
    return [
        warning(
            "clock",
            "the clock is not synchronised: with a wrong one, certificates are not valid yet or not any more",
            "systemctl enable --now chronyd, or systemd-timesyncd; timedatectl shows when it is",
        )
    ]


# --- shared memory and limits --------------------------------------------------------------------------------------


def check_shm(size: int, ranks: int, memory: int, variable: str) -> list[Finding]:
    """The container has a /dev/shm of its own, whose pages are memory of the host."""
    if size > memory:
        message = f"a /dev/shm of {human_bytes(size)} is asked for, the host has {human_bytes(memory)} of memory"
        return [error("shm", message, f"ask for less in {variable}")]
    if ranks > 1 and size < RANKS_SHM:
        message = f"a /dev/shm of {human_bytes(size)} is little for {ranks} ranks: NCCL wants {human_bytes(RANKS_SHM)}"
        return [warning("shm", message, f"ask for more in {variable}")]
    return []


def check_limits(wanted: t.Sequence[str], variable: str, proc: str = "/proc") -> list[Finding]:
    """`wanted` as docker takes them: name=soft[:hard], -1 for unlimited. Who may raise limits is not bound by them."""
    capabilities = re.search(r"^CapBnd:\s*([0-9a-f]+)", read_text(f"{proc}/1/status"), re.MULTILINE)
    if capabilities is None or int(capabilities.group(1), 16) >> _CAP_SYS_RESOURCE & 1:
        return []
    limits = read_text(f"{proc}/1/limits")
    low = [text for text in wanted if _is_beyond(text, limits)]
    if not low:
        return []
    return [
        warning(
            "ulimits",
            f"the host may not raise limits as high as the container asks for: {', '.join(low)}",
            f"raise them where the host is started (a container or virtual machine), or ask for less in {variable}",
        )
    ]


def _is_beyond(wanted: str, limits: str) -> bool:
    name, _equals, values = wanted.partition("=")
    hard = re.search(rf"^{_LIMITS.get(name, name)}\s+\S+\s+(\S+)", limits, re.MULTILINE)
    if hard is None or hard.group(1) == "unlimited":
        return False
    asked = int(values.split(":")[-1])
    return asked < 0 or asked > int(hard.group(1))


# --- SELinux -------------------------------------------------------------------------------------------------------


class SELinux(t.NamedTuple):
    """Whether rules are enforced, whether Docker labels its containers, and the type of the root folder."""

    enforcing: bool
    containers: bool
    label: str | None


def look_at_selinux(root: str, enforce: str = "/sys/fs/selinux/enforce", etc: str = "/etc") -> SELinux:
    return SELinux(read_text(enforce).strip() == "1", _docker_labels(etc), _label(root))


def _docker_labels(etc: str) -> bool:
    try:
        return bool(json.loads(read_text(os.path.join(etc, "docker/daemon.json"))).get("selinux-enabled"))
    except (ValueError, AttributeError):
        # Not there yet, or not for us to judge.
        return False


def _label(path: str) -> str | None:
    try:
        context = os.getxattr(nearest_existing(path), "security.selinux")
    except OSError:
        return None
    parts = context.decode("ascii", "replace").rstrip("\0").split(":")
    return parts[2] if len(parts) > 2 else None


def check_selinux(found: SELinux, root: str) -> list[Finding]:
    if not found.enforcing:
        return []
    findings = []
    if found.containers:
        findings.append(
            warning(
                "selinux_containers",
                f"SELinux is enforcing and Docker labels containers: they may not read {root} unless it is labelled",
                f"semanage fcontext -a -t container_file_t '{root}(/.*)?' && restorecon -R {root}; or leave"
                " selinux-enabled out of /etc/docker/daemon.json",
            )
        )
    if found.label in _FOREIGN_LABELS:
        findings.append(
            warning(
                "selinux_label",
                f"SELinux is enforcing and the folder for {root} is of type {found.label}, from which systemd may not"
                " start a program",
                f"semanage fcontext -a -t usr_t '{root}(/.*)?' && restorecon -R {root}",
            )
        )
    return findings


# --- the firewall --------------------------------------------------------------------------------------------------


class Firewall(t.NamedTuple):
    """The default zone of firewalld and what is open in it, as it prints them."""

    zone: str
    ports: str


def look_at_firewall(module: AnsibleModule, timeout: int) -> Firewall | None:
    """None where firewalld does not run."""
    if (answer_of(module, timeout, "firewall-cmd", "--state") or "").strip() != "running":
        return None
    zone = (answer_of(module, timeout, "firewall-cmd", "--get-default-zone") or "").strip()
    return Firewall(zone, (answer_of(module, timeout, "firewall-cmd", "--list-ports") or "").strip())


def check_firewall(firewall: Firewall | None, ports: t.Sequence[t.Mapping[str, t.Any]]) -> list[Finding]:
    """A port on the loopback needs no way in."""
    outside = sorted({wanted["port"] for wanted in ports if not ipaddress.ip_address(wanted["address"]).is_loopback})
    shut = [port for port in outside if firewall and not _is_open(port, firewall.ports)]
    if not shut or firewall is None:
        return []
    listed = ", ".join(f"{port}/tcp" for port in shut)
    add = " ".join(f"--add-port={port}/tcp" for port in shut)
    return [
        warning(
            "firewall",
            f"firewalld runs and does not have {listed} open in zone {firewall.zone}",
            f"firewall-cmd --permanent --zone={firewall.zone} {add} && firewall-cmd --reload, where clients are to"
            " reach them (Docker opens published ports by itself on most systems)",
        )
    ]


def _is_open(port: int, ports: str) -> bool:
    for entry in ports.split():
        numbers, _slash, protocol = entry.partition("/")
        first, _dash, last = numbers.partition("-")
        if protocol == "tcp" and int(first) <= port <= int(last or first):
            return True
    return False
