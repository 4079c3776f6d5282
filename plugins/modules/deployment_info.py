#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_info
short_description: Get what a host serves, and the state of what it needs for that
version_added: "0.1.0"
description:
  - Returns the deployments of a host, its GPUs, disk and certificates, and, on a gateway, the servers that it sends
    requests to. It changes nothing.
  - What does not exist on the host, or cannot be read, is V(null). To read everything, run the module as root.
  - It fails if the file system of O(root) does not respond within 30 seconds, such as that of a dead NFS server.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
options:
  root:
    description:
      - The root folder of the collection on the host. It does not have to exist.
    type: path
    default: /opt/trtllm
  executable:
    description:
      - Name or path of C(nvidia-smi).
    type: str
    default: nvidia-smi
  timeout:
    description:
      - Seconds to wait for C(nvidia-smi). A faulty GPU can make it hang.
    type: int
    default: 30
  configuration:
    description:
      - The folder with the configurations of the roles P(tritonops.trtllm.endpoint#role) and
        P(tritonops.trtllm.gateway#role).
    type: path
    default: /etc/trtllm
  gateway_socket:
    description:
      - The stats socket of the gateway's HAProxy.
    type: path
    default: /run/trtllm-gateway/haproxy.sock
seealso:
  - module: tritonops.trtllm.trtllm_host_info
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Get what the host serves
  tritonops.trtllm.deployment_info:
  register: deployed
"""

RETURN = r"""
deployments:
  description: The deployments of the host.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the deployment.
      type: str
      sample: default
    release:
      description: ID of the release that is served; V(null) for none.
      type: str
      sample: mixtral-8x7b-instruct-1.2.1-0f1e2d3c
    version:
      description: The TensorRT-LLM version.
      type: str
      sample: 1.2.1
    profile:
      description: The profile.
      type: str
      sample: engine
    image:
      description: The image by digest.
      type: str
      sample: sha256:9a3f0c2b7d51e8469a3f0c2b7d51e8469a3f0c2b7d51e8469a3f0c2b7d51e846
    gpus:
      description: Indexes of the GPUs; V(null) for all of the host.
      type: list
      elements: int
      sample: [0, 1, 2, 3]
    since:
      description: Since when the release is the current one.
      type: str
      sample: "2026-11-28T17:55:03+00:00"
    proved:
      description: When the release passed its proof; V(null) if it did not.
      type: str
      sample: "2026-11-28T17:58:41+00:00"
    service:
      description: The state of the unit in systemd.
      type: str
      sample: active
    in_rotation:
      description: Whether the endpoint of the host lets gateways send requests; V(null) without an endpoint.
      type: bool
      sample: true
gpus:
  description: The GPUs.
  returned: success
  type: list
  elements: dict
  contains:
    index:
      description: Index in nvidia-smi.
      type: int
      sample: 0
    name:
      description: Product name.
      type: str
      sample: NVIDIA A100-SXM4-40GB
    memory_mib:
      description: Memory in MiB.
      type: int
      sample: 40960
    memory_used_mib:
      description: Memory in use in MiB.
      type: int
      sample: 38112
gpu_error:
  description: Output of C(nvidia-smi) if it failed; V(null) if it works or is not installed.
  returned: success
  type: str
  sample: "Failed to initialize NVML: Driver/library version mismatch"
disk:
  description: The file system that contains, or will contain, O(root).
  returned: success
  type: dict
  contains:
    free_bytes:
      description: Free space in bytes.
      type: int
      sample: 6800000000000
    total_bytes:
      description: Size in bytes.
      type: int
      sample: 27200000000000
certificates:
  description: The certificates of endpoint and gateway.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path of the file.
      type: str
      sample: /etc/trtllm/endpoint/certificate.pem
    days_left:
      description: Days until it expires; V(null) if C(openssl) is missing or cannot read it.
      type: int
      sample: 364
gateway:
  description: The servers that the gateway on this host sends requests to; V(null) if no gateway runs here.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: Name of the host in the inventory.
      type: str
      sample: gpu1
    deployment:
      description: Name of the deployment.
      type: str
      sample: default
    backend:
      description: HAProxy's backend.
      type: str
      sample: openai-chat
    state:
      description: The administrative state, V(ready), V(drain) or V(maint).
      type: str
      sample: ready
    status:
      description: HAProxy's status.
      type: str
      sample: UP
    in_flight:
      description: Number of requests under way or queued.
      type: int
      sample: 3
"""

import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import nearest_existing
from ansible_collections.tritonops.trtllm.plugins.module_utils.gpu._nvidia_smi import query_gpus
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import HAProxyError
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import unit_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import DEFAULT_ROOT
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._status import (
    certificates,
    gateway_servers,
    unit_states,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import check_responds
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._deployed import deployed
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._rotation import is_in_rotation

GPU = ("index", "name", "memory_mib", "memory_used_mib")


def look(module: AnsibleModule) -> dict[str, t.Any]:
    root, configuration = module.params["root"], module.params["configuration"]
    check_responds(module, root)
    found = deployed(root)
    states = unit_states(module, [unit_of(entry["name"]) for entry in found])
    rotation = f"{configuration}/endpoint/rotation.map"
    smi = query_gpus(module, module.params["executable"], module.params["timeout"])
    usage = shutil.disk_usage(nearest_existing(root))
    return {
        "changed": False,
        "deployments": [
            {
                **entry,
                "service": states.get(unit_of(entry["name"])) or None,
                "in_rotation": is_in_rotation(rotation, entry["name"]),
            }
            for entry in found
        ],
        "gpus": [{name: gpu[name] for name in GPU} for gpu in smi["gpus"]],
        "gpu_error": smi["error"],
        "disk": {"free_bytes": usage.free, "total_bytes": usage.total},
        "certificates": certificates(module, [f"{configuration}/endpoint", f"{configuration}/gateway"]),
        "gateway": gateway_servers(module.params["gateway_socket"]),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": DEFAULT_ROOT},
            "executable": {"type": "str", "default": "nvidia-smi"},
            "timeout": {"type": "int", "default": 30},
            "configuration": {"type": "path", "default": "/etc/trtllm"},
            "gateway_socket": {"type": "path", "default": "/run/trtllm-gateway/haproxy.sock"},
        },
        supports_check_mode=True,
    )
    run_module(module, look, "cannot get what the host serves", errors=(OSError, HAProxyError))


if __name__ == "__main__":
    main()
