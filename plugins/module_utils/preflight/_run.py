# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Runs every check of a host that was asked for."""

from __future__ import annotations

import json
import typing as t

from ansible.module_utils.common.text.formatters import human_to_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi import look_for_gpus
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._pci import gpus_of, nvidia_devices, switches_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._cgroups import Container, OwnService
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import memory_total
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight import _preflight as checks
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight import _system_state as system
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._disk_space import (
    Space,
    check_disk,
    measure_disk,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._fabric import check_fabric, look_for_manager
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._gpu_health import check_health
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._gpu_need import (
    check_need,
    check_presence,
    check_use,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._network import check_network
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._xid import check_xids, kernel_log, parse_log

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# What remedies call the settings that they tell to correct.
NAMES = {
    "ports": "ports",
    "disk": "disk",
    "memory": "memory_bytes",
    "endpoint": "hub.endpoint",
    "repository": "hub.repository",
    "token": "hub.token_file",
    "ca_bundle": "hub.ca_bundle",
    "registry": "registry.url",
    "reach": "reach",
    "archive": "archive",
    "engine": "engine",
    "gpus": "gpus",
    "shm": "shm.bytes",
    "ulimits": "ulimits",
}

Facts = t.Dict[str, t.Any]


class Look:
    """One look at a host: what was found, and what was measured."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: t.Mapping[str, t.Any] = module.params
        self.timeout: int = module.params["command_timeout"]
        self.names = dict(NAMES, **module.params["variables"])
        self.own = OwnService(self.params["unit"], own_container(module, self.params["container"]))
        self.findings: list[Finding] = []
        self.facts: Facts = {}

    def run(self) -> dict[str, t.Any]:
        self._look_at_system()
        if self.params["gpus"]:
            self._look_at_gpus(self.params["gpus"])
        self._look_at_room()
        self._look_at_safety()
        self._look_at_artifacts()
        self.findings += check_network(self.module, self.names)
        return {"findings": self.findings, "facts": self.facts}

    def _look_at_system(self) -> None:
        release, machine = checks.os_release(), checks.architecture()
        self.findings += checks.check_architecture(machine, self.params["architectures"])
        self.findings += checks.check_os(release, self.params["systems"])
        self.findings += checks.check_systemd() if self.params["systemd"] else []
        self.findings += checks.check_ports(self.params["ports"], self.own, self.names["ports"])
        self.facts["architecture"] = machine
        self.facts["system"] = f"{release.get('ID', 'unknown')} {release.get('VERSION_ID', '')}"

    def _look_at_gpus(self, need: t.Mapping[str, t.Any]) -> None:
        found = look_for_gpus(self.module, need["executable"], self.timeout)
        on_bus = nvidia_devices()
        switches = len(switches_of(on_bus))
        xids = parse_log(kernel_log(self.module, self.timeout))
        self.findings += check_presence(found, gpus_of(on_bus))
        self.findings += check_need(found, need, self.names["gpus"])
        manager = look_for_manager(self.module, self.timeout) if switches else None
        self.findings += check_fabric(found["gpus"], switches, found["driver_version"], manager)
        self.findings += check_health(found["gpus"], need["count"])
        self.findings += check_xids(xids, found["gpus"])
        self.findings += check_use(found, self.own)
        self.facts["gpus"] = {
            "driver_version": found["driver_version"],
            "cuda_version": found["cuda_version"],
            "devices": found["gpus"],
            "on_bus": len(gpus_of(on_bus)),
            "switches": switches,
            "fabric_manager": manager._asdict() if manager else None,
            "xids": [xid._asdict() for xid in xids],
        }

    def _look_at_room(self) -> None:
        memory = memory_total()
        storage = {entry["mount"]: entry["free_bytes"] for entry in self.params["storage"]}
        spaces = measure_disk(self.params["disk"], storage)
        self.findings += check_disk(spaces, self.names["disk"])
        self.findings += checks.check_memory(self.params["memory_bytes"] or 0, memory, self.names["memory"])
        shm = self.params["shm"]
        if shm:
            size = human_to_bytes(shm["size"].lower().rstrip("b"))
            self.findings += system.check_shm(size, shm["ranks"], memory, self.names["shm"])
        self.findings += system.check_limits(self.params["ulimits"], self.names["ulimits"])
        self.facts["memory_bytes"] = memory
        self.facts["disk"] = [_measured(space) for space in spaces]

    def _look_at_safety(self) -> None:
        if self.params["clock"]:
            self.facts["clock_synchronised"] = system.is_synchronised(self.module, self.timeout)
            self.findings += system.check_clock(self.facts["clock_synchronised"])
        if self.params["selinux_root"]:
            root = self.params["selinux_root"]
            selinux = system.look_at_selinux(root)
            self.findings += system.check_selinux(selinux, root)
            self.facts["selinux_enforcing"] = selinux.enforcing
        if self.params["firewall"]:
            firewall = system.look_at_firewall(self.module, self.timeout)
            self.findings += system.check_firewall(firewall, self.params["ports"])
            self.facts["firewalld"] = firewall is not None

    def _look_at_artifacts(self) -> None:
        archive, engine = self.params["archive"], self.params["engine"]
        if archive:
            self.findings += checks.check_archive(archive["path"], archive["digest"], self.names["archive"])
        if engine:
            self.findings += checks.check_engine(engine["path"], engine["image_digest"], self.names["engine"])


def _measured(space: Space) -> Facts:
    return {"mount": space.mount, "needed_bytes": space.needed, "free_bytes": space.free}


def own_container(module: AnsibleModule, name: str | None) -> Container | None:
    """What the engine knows about the service's container, if there are an engine and such a container."""
    docker = module.get_bin_path("docker") if name else None
    if docker is None:
        return None
    rc, out, _err = module.run_command([docker, "container", "inspect", t.cast(str, name)])
    if rc != 0:
        return None
    inspected = json.loads(out)[0]
    bindings = (inspected.get("NetworkSettings") or {}).get("Ports") or {}
    published = (int(binding["HostPort"]) for bound in bindings.values() for binding in bound or [])
    return Container(inspected["Id"], frozenset(published))
