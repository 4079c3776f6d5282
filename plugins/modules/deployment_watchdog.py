#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_watchdog
short_description: Install or remove the watchdog of a deployment
version_added: 0.1.0
description:
  - Writes the program, its settings and the systemd units of the watchdog of a deployment, and starts its timer. All of
    it is one task, so that a run that changes nothing is quick.
  - The program is one file, which is packed on the control node from the files of the collection. It runs on the host
    without Ansible, with the Python environment of role C(host_python).
  - The units are recorded in the host record, which M(tritonops.trtllm.host_record) restores.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The program has no readable difference.
  idempotent:
    support: full
  action:
    description: An action plugin on the control node packs the program and renders templates.
    support: full
options:
  state:
    description:
      - With V(absent), the timer is stopped, and the settings and metrics of the deployment are removed. A deployment
        that its watchdog keeps out of rotation is put back. The program and the units, which all deployments share,
        stay.
    type: str
    choices: [present, absent]
    default: present
  path:
    description:
      - Folder on the host for the program and the settings.
    type: path
    required: true
  settings:
    description:
      - What the program reads. Role C(watchdog) has the keys.
    type: dict
    required: true
    suboptions:
      deployment:
        description:
          - The name of the deployment.
        type: str
        required: true
      folder:
        description:
          - The folder of the deployment.
        type: path
        required: true
      prompt:
        description:
          - The prompt of the proof.
        type: dict
        suboptions:
          text:
            description:
              - The text.
            type: str
            required: true
          max_tokens:
            description:
              - The number of tokens to request from Triton.
            type: int
            required: true
      policy:
        description:
          - When the server is out of rotation and when it is restarted.
        type: dict
        suboptions:
          failures:
            description:
              - Failed checks in a row after which the deployment is out of rotation.
            type: int
            required: true
          patience:
            description:
              - Seconds without a sign of life after which the server is restarted.
            type: int
            required: true
          start_deadline:
            description:
              - Seconds that a server has to load its models.
            type: int
            required: true
          restarts:
            description:
              - Restarts within the window after which the watchdog gives up.
            type: int
            required: true
          window:
            description:
              - Seconds in which restarts count.
            type: int
            required: true
          backoff:
            description:
              - Seconds between the first two restarts.
            type: int
            required: true
      timeout:
        description:
          - Seconds that the server has for one token.
        type: int
      proof_timeout:
        description:
          - Seconds that the server has for the proof.
        type: int
      metrics_file:
        description:
          - File for the metrics; none if it is empty.
        type: str
        default: ''
      rotation_map:
        description:
          - Map of the host's endpoint.
        type: path
        required: true
      rotation_socket:
        description:
          - Socket of the host's endpoint.
        type: path
        required: true
      min_ready:
        description:
          - Number of other hosts that must be ready before a host with a faulty GPU leaves the rotation.
        type: int
        default: 1
  service:
    description:
      - Content of the unit that runs the program, or the name of a template of the role (V(*.j2)).
      - Required with O(state=present).
    type: str
  timer:
    description:
      - Content of the unit's timer, or the name of a template of the role (V(*.j2)).
      - Required with O(state=present).
    type: str
  program:
    description:
      - The program. The action plugin sets it.
    type: str
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Stop watching a deployment
  tritonops.trtllm.deployment_watchdog:
    state: absent
    path: /opt/trtllm/watchdog
    settings:
      deployment: default
      folder: /opt/trtllm/deployments/default
      rotation_map: /etc/trtllm/endpoint/rotation.map
      rotation_socket: /run/trtllm-endpoint/haproxy.sock
"""

RETURN = r"""
files:
  description: Files that were written or removed.
  returned: success
  type: list
  elements: str
  sample: [/opt/trtllm/watchdog/default.json]
"""

import base64
import json
import typing as t
import zlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._files import Files
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._live_host import Host
from ansible_collections.tritonops.trtllm.plugins.module_utils.host_record._operations import recorded
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._install import (
    PROGRAM,
    UNIT,
    Timer,
    put_back,
)

UNITS = "/etc/systemd/system"
RECORD = "/var/lib/trtllm/host_record.json"


def install(module: AnsibleModule) -> dict[str, t.Any]:
    params, files = module.params, Files(module)
    units = {f"{UNITS}/{UNIT}.{kind}": params[kind] for kind in ("service", "timer")}
    name = params["settings"]["deployment"]
    with recorded("watchdog", {"files": units}, Host(module), module.check_mode, RECORD):
        program = zlib.decompress(base64.b64decode(params["program"]))
        files.write(f"{params['path']}/{PROGRAM}", program, readable=False)
        files.write(f"{params['path']}/{name}.json", as_json(params["settings"]))
        before = len(files.changed)
        for path, content in units.items():
            files.write(path, content.encode("utf-8"))
        # In check mode the unit may not exist yet.
        new_units = len(files.changed) > before
        started = new_units if module.check_mode and new_units else Timer(module, name).start(restart=new_units)
    return {"changed": started or bool(files.changed), "files": files.changed, "diff": files.diff}


def remove(module: AnsibleModule) -> dict[str, t.Any]:
    settings, files = module.params["settings"], Files(module)
    name = settings["deployment"]
    stopped = Timer(module, name).stop()
    for path in filter(None, (f"{module.params['path']}/{name}.json", settings["metrics_file"])):
        files.remove(path)
    back = put_back(name, settings["rotation_map"], settings["rotation_socket"], module.check_mode)
    return {"changed": stopped or back or bool(files.changed), "files": files.changed, "diff": files.diff}


def as_json(settings: t.Mapping[str, t.Any]) -> bytes:
    known = {name: value for name, value in settings.items() if value is not None}
    return (json.dumps(known, indent=2, sort_keys=True) + "\n").encode("utf-8")


STATES = {"present": install, "absent": remove}


def main() -> None:
    number = {"type": "int", "required": True}
    policy = dict.fromkeys(("failures", "patience", "start_deadline", "restarts", "window", "backoff"), number)
    prompt = {"text": {"type": "str", "required": True}, "max_tokens": {**number, "no_log": False}}
    settings = {
        "deployment": {"type": "str", "required": True},
        "folder": {"type": "path", "required": True},
        "prompt": {"type": "dict", "options": prompt},
        "policy": {"type": "dict", "options": policy},
        "timeout": {"type": "int"},
        "proof_timeout": {"type": "int"},
        "metrics_file": {"type": "str", "default": ""},
        "rotation_map": {"type": "path", "required": True},
        "rotation_socket": {"type": "path", "required": True},
        "min_ready": {"type": "int", "default": 1},
    }
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": list(STATES), "default": "present"},
            "path": {"type": "path", "required": True},
            "settings": {"type": "dict", "required": True, "options": settings},
            "service": {"type": "str"},
            "timer": {"type": "str"},
            # Not secret, but too long for logs.
            "program": {"type": "str", "no_log": True},
        },
        required_if=[("state", "present", ["service", "timer", "program"])],
        supports_check_mode=True,
    )
    run_module(
        module,
        lambda module: STATES[module.params["state"]](module),
        "cannot install or remove the watchdog",
        remedy="Run this task as root.",
    )


if __name__ == "__main__":
    main()
