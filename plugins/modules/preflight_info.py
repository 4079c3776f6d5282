#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_info
short_description: Find out what would stop a deployment on a host, all of it at once
version_added: "0.1.0"
description:
  - Looks at a host before anything is changed on it and returns every obstacle it finds, each with what to do about it.
  - It needs nothing but Python on the host. It fails only when it cannot look; obstacles are returned,
    so that the caller decides.
  - Only what is asked for is looked at.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
  - tritonops.trtllm.attributes.info_module
  - tritonops.trtllm.coming_storage
options:
  ports:
    description:
      - TCP ports that the service will listen on.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description: The port.
        type: int
        required: true
      address:
        description: The address that the service will listen on.
        type: str
        default: 127.0.0.1
      what:
        description: What the port is for, in the messages.
        type: str
  unit:
    description:
      - Name of the service's systemd unit, C(.service) included. A port that a process of this unit has is not taken.
    type: str
  container:
    description:
      - Name of the service's container. A port that this container has is not taken.
    type: str
  disk:
    description:
      - What is going to be written. The sum is compared with the free space for each file system.
      - A folder which has an C(artifact.json) is finished and needs nothing more. What is already in a folder of that
        name with C(.partial) appended counts as written.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The folder or file. It need not exist, its nearest existing parent tells the file system.
        type: path
        required: true
      bytes:
        description: How much, in bytes.
        type: int
        required: true
      what:
        description: What it is, in the messages.
        type: str
  memory_bytes:
    description:
      - How much memory the host must have, in bytes.
    type: int
  gpus:
    description:
      - Look at the host's GPUs, at their health and at what they are to be. Without it they are not looked at.
      - What is said of them must be true of each of them.
    type: dict
    suboptions:
      count:
        description: How many there must be at least. They work together, so that NVLinks matter when it is above 1.
        type: int
        default: 0
      name:
        description: What C(nvidia-smi) calls them.
        type: str
      memory_mib:
        description: How much memory each must have, in MiB.
        type: int
      compute_capability:
        description: The compute capability that each must have.
        type: str
      driver:
        description: The oldest driver, or driver branch, that the image's CUDA runs on.
        type: str
      driver_listed:
        description: The driver that the image is made for. An older one is a warning only.
        type: str
      executable:
        description: Name or path of C(nvidia-smi).
        type: str
        default: nvidia-smi
  shm:
    description:
      - The C(/dev/shm) that the container gets. It is memory of the host.
    type: dict
    suboptions:
      size:
        description: How large, as C(docker run --shm-size) takes it.
        type: str
        required: true
      ranks:
        description: How many processes exchange data in it.
        type: int
        default: 1
  ulimits:
    description:
      - Limits that the container asks for, as C(docker run --ulimit) takes them.
    type: list
    elements: str
    default: []
  clock:
    description:
      - Whether to look if something keeps the clock right.
    type: bool
    default: false
  selinux_root:
    description:
      - The folder that containers read and systemd starts the service from. With it, SELinux is looked at.
    type: path
  firewall:
    description:
      - Whether to look if firewalld has O(ports) open that are not on the loopback.
    type: bool
    default: false
  hub:
    description:
      - A model that will be downloaded. It is asked for at the hub, without downloading it.
      - The proxy variables of the environment are honoured.
    type: dict
    suboptions:
      endpoint:
        description: URL of the hub.
        type: str
        default: https://huggingface.co
      repository:
        description: Name of the model, owner and name.
        type: str
        required: true
      revision:
        description: Commit, tag or branch.
        type: str
        required: true
      files:
        description: Files of the model. One is asked for, as the descriptions of gated models are public.
        type: list
        elements: str
        default: [config.json]
      token_file:
        description: File on the host which has the access token. It may be missing for a public model.
        type: path
      token:
        description: The access token itself; takes precedence over the file.
        type: str
      ca_bundle:
        description: File with the certificates to trust in place of the system's.
        type: path
      dest:
        description: Folder that the model will be put in. The hub is not asked when it is finished already.
        type: path
  registry:
    description:
      - An image registry which must answer.
    type: dict
    suboptions:
      url:
        description: URL, or host name and port, of the registry.
        type: str
        required: true
      ca_bundle:
        description: File with the certificates to trust in place of the system's.
        type: path
  reach:
    description:
      - Sources of packages, code or files which must answer. What they answer does not matter.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: The URL to ask for.
        type: str
        required: true
      what:
        description: What comes from there, in the messages.
        type: str
        required: true
      unless:
        description: A file that makes it needless where it exists.
        type: path
      ca_bundle:
        description: File with the certificates to trust in place of the system's.
        type: path
  archive:
    description:
      - An image archive, as C(docker save) writes it, which must be there.
    type: dict
    suboptions:
      path:
        description: The archive.
        type: path
        required: true
      digest:
        description: The id of the image that must be in it, C(sha256:) and 64 hexadecimal digits.
        type: str
  engine:
    description:
      - An engine that will be served. It must have been built by the image that is going to serve it.
    type: dict
    suboptions:
      path:
        description: The engine's folder. It may be missing.
        type: path
        required: true
      image_digest:
        description: The digest of the image.
        type: str
        required: true
  architectures:
    description:
      - Processor architectures that will do, in the kernel's names. Empty for any.
    type: list
    elements: str
    default: []
  systems:
    description:
      - Distributions that will do, by their C(ID) in C(/etc/os-release), and the oldest version of each. Empty for any.
    type: dict
    default: {}
  systemd:
    description:
      - Whether systemd must be running.
    type: bool
    default: false
  variables:
    description:
      - What remedies call the settings that they tell to correct. The keys are V(ports), V(disk), V(memory),
        V(endpoint), V(repository), V(token), V(ca_bundle), V(registry), V(reach), V(archive), V(engine), V(gpus),
        V(shm) and V(ulimits). The default is the name of the option.
    type: dict
    default: {}
  timeout:
    description:
      - Seconds to wait for each answer over the network.
    type: int
    default: 20
  command_timeout:
    description:
      - Seconds to wait for each of the programs that are asked. One GPU in trouble can make them hang.
    type: int
    default: 120
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Look whether a small model could be served here
  tritonops.trtllm.preflight_info:
    ports:
      - port: 8000
        what: HTTP
      - port: 8001
        what: gRPC
    unit: triton.service
    container: triton
    disk:
      - path: /opt/trtllm/weights/0123456789abcdef
        bytes: 269000000
        what: weights
    hub:
      repository: HuggingFaceTB/SmolLM2-135M-Instruct
      revision: main
    systemd: true
  register: preflight

- name: Look whether the GPUs are healthy and what they should be
  tritonops.trtllm.preflight_info:
    gpus:
      count: 8
      name: NVIDIA A100-SXM4-40GB
      driver: "525"
    unit: triton.service
  register: gpus

- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ item.message }}; {{ item.remedy }}"
  loop: "{{ preflight.findings }}"
"""

RETURN = r"""
findings:
  description: The obstacles; empty when there are none.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description:
        - Which check it comes from.
        - Of the system, one of V(architecture), V(os_untested), V(os_unsupported), V(systemd), V(port_taken),
          V(disk_space), V(memory), V(shm), V(ulimits), V(clock), V(selinux_containers), V(selinux_label), V(firewall).
        - Of what is to be fetched or served, one of V(hub_token_missing), V(hub_token_refused), V(hub_not_found),
          V(hub_unreachable), V(registry_unreachable), V(registry_certificate), V(unreachable), V(archive_missing),
          V(archive_unreadable), V(archive_image), V(archive_unchecked), V(engine_image).
        - Of the GPUs and their driver, one of V(nvidia_smi), V(gpu_absent), V(gpu_lost), V(gpu_count), V(gpu_model),
          V(gpu_mixed), V(gpu_memory), V(gpu_capability), V(driver_too_old), V(driver_older), V(fabric_manager),
          V(fabric_manager_version), V(fabric_state), V(mig_mode), V(persistence_mode), V(ecc_mode), V(ecc_uncorrected),
          V(ecc_history), V(ecc_sram_threshold), V(row_remapping_failed), V(row_remapping_pending),
          V(page_retirement_pending), V(gpu_recovery), V(pcie_width), V(pcie_generation), V(nvlink_inactive), V(xid),
          V(xid_notable), V(gpu_in_use), V(gpu_memory_held).
      type: str
      sample: port_taken
    severity:
      description: V(error) for what will stop the deployment, V(warning) for what may.
      type: str
      sample: error
    message:
      description: What was found.
      type: str
      sample: "port 8000 on 127.0.0.1 (HTTP) is taken by pid 4242: nginx: master process (it listens on 0.0.0.0)"
    remedy:
      description: What to do about it.
      type: str
      sample: stop it, or choose another port in ports
facts:
  description: What was measured.
  returned: always
  type: dict
  contains:
    architecture:
      description: Architecture of the processor.
      type: str
      sample: x86_64
    system:
      description: The distribution's C(ID) and C(VERSION_ID).
      type: str
      sample: debian 12
    memory_bytes:
      description: Memory of the host.
      type: int
      sample: 25208512512
    clock_synchronised:
      description: Whether something keeps the clock right; V(null) where nothing tells. Only with O(clock).
      type: bool
      sample: true
    selinux_enforcing:
      description: Whether SELinux enforces its rules. Only with O(selinux_root).
      type: bool
      sample: false
    firewalld:
      description: Whether firewalld runs. Only with O(firewall).
      type: bool
      sample: false
    gpus:
      description: The GPUs and what belongs to them. Only with O(gpus).
      type: dict
      contains:
        driver_version:
          description: Version of the kernel driver; V(null) where it does not answer.
          type: str
          sample: 590.48.01
        cuda_version:
          description: Newest CUDA version that the driver supports.
          type: str
          sample: "13.1"
        devices:
          description: The GPUs that answer, as M(tritonops.trtllm.gpu_info) returns them.
          type: list
          elements: dict
          sample: []
        on_bus:
          description: How many GPUs are on the PCI bus, whether they answer or not.
          type: int
          sample: 8
        switches:
          description: How many NVSwitches are on the PCI bus.
          type: int
          sample: 6
        fabric_manager:
          description: The state of the fabric manager's unit, and its version. V(null) without NVSwitches.
          type: dict
          sample:
            load: loaded
            active: active
            version: 590.48.01
        xids:
          description: The driver's errors in the kernel's log since boot, by GPU and code.
          type: list
          elements: dict
          sample:
            - place: "0000:0f:00"
              code: 79
              times: 1
    disk:
      description: The file systems that O(disk) asks for.
      type: list
      elements: dict
      sample:
        - mount: /
          needed_bytes: 269000000
          free_bytes: 84000000000
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._disk_space import STORAGE
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._run import Look


def argument_spec() -> dict[str, t.Any]:
    return {
        "ports": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "port": {"type": "int", "required": True},
                "address": {"type": "str", "default": "127.0.0.1"},
                "what": {"type": "str"},
            },
        },
        "unit": {"type": "str"},
        "container": {"type": "str"},
        "disk": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "path", "required": True},
                "bytes": {"type": "int", "required": True},
                "what": {"type": "str"},
            },
        },
        "storage": STORAGE,
        "memory_bytes": {"type": "int"},
        "gpus": {
            "type": "dict",
            "options": {
                "count": {"type": "int", "default": 0},
                "name": {"type": "str"},
                "memory_mib": {"type": "int"},
                "compute_capability": {"type": "str"},
                "driver": {"type": "str"},
                "driver_listed": {"type": "str"},
                "executable": {"type": "str", "default": "nvidia-smi"},
            },
        },
        "shm": {
            "type": "dict",
            "options": {"size": {"type": "str", "required": True}, "ranks": {"type": "int", "default": 1}},
        },
        "ulimits": {"type": "list", "elements": "str", "default": []},
        "clock": {"type": "bool", "default": False},
        "selinux_root": {"type": "path"},
        "firewall": {"type": "bool", "default": False},
        "hub": {
            "type": "dict",
            "options": {
                "endpoint": {"type": "str", "default": "https://huggingface.co"},
                "repository": {"type": "str", "required": True},
                "revision": {"type": "str", "required": True},
                "files": {"type": "list", "elements": "str", "default": ["config.json"]},
                "token_file": {"type": "path"},
                "token": {"type": "str", "no_log": True},
                "ca_bundle": {"type": "path"},
                "dest": {"type": "path"},
            },
        },
        "registry": {
            "type": "dict",
            "options": {"url": {"type": "str", "required": True}, "ca_bundle": {"type": "path"}},
        },
        "reach": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "url": {"type": "str", "required": True},
                "what": {"type": "str", "required": True},
                "unless": {"type": "path"},
                "ca_bundle": {"type": "path"},
            },
        },
        "archive": {
            "type": "dict",
            "options": {"path": {"type": "path", "required": True}, "digest": {"type": "str"}},
        },
        "engine": {
            "type": "dict",
            "options": {"path": {"type": "path", "required": True}, "image_digest": {"type": "str", "required": True}},
        },
        "architectures": {"type": "list", "elements": "str", "default": []},
        "systems": {"type": "dict", "default": {}},
        "systemd": {"type": "bool", "default": False},
        "variables": {"type": "dict", "default": {}},
        "timeout": {"type": "int", "default": 20},
        "command_timeout": {"type": "int", "default": 120},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        result = Look(module).run()
    except (OSError, ValueError) as exc:
        module.fail_json(msg=f"the host cannot be looked at: {exc}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
