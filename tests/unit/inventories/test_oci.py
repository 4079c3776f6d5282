# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The OCI inventory: which instances are GPU hosts, and the plan for the tutorial's host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._deployments import request_of
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import accepted, host, refused

PROJECT = Path(__file__).parents[3]
OCI = PROJECT / "inventories" / "oci"
VARIABLES: dict[str, Any] = yaml.safe_load((OCI / "group_vars" / "trtllm.yml").read_text())

# Like the real plugin, without OCI: accepts files by name, and passes instances' fields to the constructed features.
STAND_IN = '''
DOCUMENTATION = """
name: oci
short_description: stand-in
extends_documentation_fragment: [inventory_cache, constructed]
options:
  plugin: {required: true, choices: [oracle.oci.oci], description: token}
  config_file: {description: x}
  config_profile: {description: x}
  filters: {description: x}
  hostname_format: {description: x}
"""
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

class InventoryModule(BaseInventoryPlugin, Constructable):
    NAME = "oracle.oci.oci"

    def verify_file(self, path):
        return super().verify_file(path) and path.endswith((".oci.yml", ".oci.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path)
        self._read_config_data(path)
        for number, shape in enumerate(("BM.GPU4.8", "VM.GPU.A10.1", "VM.Standard.E4.Flex"), 1):
            name = f"192.0.2.{number}"
            self.inventory.add_host(name)
            self._add_host_to_composed_groups(self.get_option("groups"), {"shape": shape}, name, strict=True)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), {"shape": shape}, name, strict=True)
'''


@pytest.fixture(name="inventory", scope="module")
def fixture_inventory(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    collections = tmp_path_factory.mktemp("collections")
    plugin = collections / "ansible_collections" / "oracle" / "oci" / "plugins" / "inventory" / "oci.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(STAND_IN)
    command = [str(Path(sys.executable).parent / "ansible-inventory"), "--inventory", str(OCI), "--list"]
    settings = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true"}
    ran = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_only_instances_with_gpus_are_hosts(inventory: dict[str, Any]) -> None:
    assert inventory["trtllm"]["hosts"] == ["192.0.2.1", "192.0.2.2"]
    assert inventory["shape_bm_gpu4_8"]["hosts"] == ["192.0.2.1"]
    assert inventory["_meta"]["hostvars"]["192.0.2.1"]["ansible_user"] == "opc"


def test_the_host_serves_the_tutorials_model() -> None:
    tutorial = yaml.safe_load((PROJECT / "inventories/sample/tutorial.yml").read_text())["trtllm"]["hosts"]
    assert request_of(VARIABLES) == request_of(next(iter(tutorial.values())))
    plan = accepted(**request_of(VARIABLES))
    assert (plan["release"], plan["gpus"], plan["parallelism"]["world_size"]) == ("0.9.0", 8, 8)


def test_the_model_only_fits_on_the_grown_boot_volume() -> None:
    """1000 GB minus the system's files; the image's root file system has 47 GB."""
    assert accepted(host(disk_free_bytes=950 * 10**9), **request_of(VARIABLES))
    assert "trtllm_root" in refused(host(disk_free_bytes=30 * 10**9), **request_of(VARIABLES))
