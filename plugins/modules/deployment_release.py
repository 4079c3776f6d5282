#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_release
short_description: Set the release that a deployment serves
version_added: "0.1.0"
description:
  - A deployment has a folder C(releases) and two symbolic links. C(current) points to the release that is served,
    C(previous) to the last one before it that passed its proof.
  - The links are replaced atomically, so that there always is a release to serve. The service is not restarted.
  - With O(state=current), the files of the release are written to disk before a link points to it, so that the service
    starts after a power failure.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description:
      - The folder of the deployment.
    type: path
    required: true
  release:
    description:
      - Name of a folder in C(releases).
    type: str
  state:
    description:
      - With V(current), the release becomes the current one. The one before it becomes the previous one if it was
        proved.
      - With V(proved), the release is marked as proved.
      - With V(restored), the links are set to O(fallback).
      - With V(rolling), the deployment is marked as taken out of rotation by a roll, and with V(rolled) it is not
        marked any more. A run that finds the mark of a killed run goes on with its roll.
    type: str
    choices: [current, proved, restored, rolling, rolled]
    default: current
  fallback:
    description:
      - The value that the module returned before as RV(fallback).
    type: dict
    suboptions:
      current:
        description:
          - The release that becomes the current one. If it is empty, the link is removed.
        type: str
        default: ''
      previous:
        description:
          - The release that becomes the previous one. If it is empty, the link is removed.
        type: str
        default: ''
  unit:
    description:
      - With O(state=current), the systemd unit of the deployment, used to find out which release it runs.
    type: str
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Switch to a release
  tritonops.trtllm.deployment_release:
    path: /opt/trtllm/deployments/default
    release: mixtral-8x7b-instruct-1.2.1-50c1c1ce
    unit: trtllm@default.service
  register: switched

- name: Mark the release as proved
  tritonops.trtllm.deployment_release:
    path: /opt/trtllm/deployments/default
    release: mixtral-8x7b-instruct-1.2.1-50c1c1ce
    state: proved

- name: Switch back
  tritonops.trtllm.deployment_release:
    path: /opt/trtllm/deployments/default
    fallback: "{{ switched.fallback }}"
    state: restored
"""

RETURN = r"""
current:
  description: The current release; empty if there is none.
  returned: success
  type: str
  sample: mixtral-8x7b-instruct-1.2.1-50c1c1ce
previous:
  description: The previous release; empty if there is none.
  returned: success
  type: str
  sample: mixtral-8x7b-instruct-1.2.1-9e3e8b9f
fallback:
  description:
    - The links to restore if the release fails its proof. They only name releases that were proved. Without C(current)
      there is no such release.
  returned: with O(state=current)
  type: dict
  contains:
    current:
      description: The current release.
      type: str
      sample: mixtral-8x7b-instruct-1.2.1-9e3e8b9f
    previous:
      description: The previous release.
      type: str
      sample: ''
enabled:
  description: Whether O(unit) starts at boot.
  returned: with O(state=current)
  type: bool
  sample: true
proved:
  description: Whether the release passed its proof.
  returned: with O(state=current)
  type: bool
  sample: false
reload:
  description: Whether the file of O(unit) has changed since systemd read it.
  returned: with O(state=current)
  type: bool
  sample: false
rolling:
  description: Whether a roll has the deployment out of rotation, or had when it was killed.
  returned: with O(state=current)
  type: bool
  sample: false
running:
  description: Whether O(unit) runs this release; V(null) if it is not running.
  returned: with O(state=current)
  type: bool
  sample: true
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import run_module
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import RELEASES
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import command_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._served import (
    Links,
    fallback,
    is_proved,
    is_rolling,
    links,
    mark_proved,
    serving,
    set_links,
    set_rolling,
    sync_release,
)


def shown(module: AnsibleModule, unit: str | None) -> dict[str, str]:
    """Properties of the unit in systemd; empty without a unit."""
    if not unit:
        return {}
    _rc, out, _err = module.run_command(
        ["systemctl", "show", "--property", "MainPID,NeedDaemonReload,FragmentPath,UnitFileState", unit]
    )
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def runs(unit: dict[str, str], folder: str) -> bool | None:
    """Whether the unit runs the release. The command line of its process contains the folder of the release."""
    pid = int(unit.get("MainPID") or 0)
    command = command_of(pid) if pid else ""
    return f"{folder}:" in command if command else None


def make_current(module: AnsibleModule, path: str, release: str) -> dict[str, t.Any]:
    before = links(path)
    after = serving(path, before, release)
    unit = shown(module, module.params["unit"])
    found = {
        "fallback": fallback(path, before, release)._asdict(),
        "proved": is_proved(path, release),
        "rolling": is_rolling(path),
        "enabled": unit.get("UnitFileState") == "enabled",
        "reload": unit.get("NeedDaemonReload") == "yes",
        "running": runs(unit, os.path.join(path, RELEASES, release)),
    }
    if not module.check_mode:
        # A release that is current already may have new scripts.
        sync_release(path, release, unit.get("FragmentPath", ""))
    return {**changed(module, path, before, after), **found}


def make_proved(module: AnsibleModule, path: str, release: str) -> dict[str, t.Any]:
    new = not is_proved(path, release)
    if new and not module.check_mode:
        mark_proved(path, release)
    return {"changed": new, **links(path)._asdict()}


def mark_rolling(module: AnsibleModule, path: str, _release: str) -> dict[str, t.Any]:
    rolling = module.params["state"] == "rolling"
    new = is_rolling(path) != rolling
    if new and not module.check_mode:
        set_rolling(path, rolling)
    return {"changed": new, **links(path)._asdict()}


def restore(module: AnsibleModule, path: str, _release: str) -> dict[str, t.Any]:
    return changed(module, path, links(path), Links(**module.params["fallback"]))


def changed(module: AnsibleModule, path: str, before: Links, after: Links) -> dict[str, t.Any]:
    if before != after and not module.check_mode:
        set_links(path, after)
    described = [f"current: {state.current}\nprevious: {state.previous}\n" for state in (before, after)]
    return {"changed": before != after, **after._asdict(), "diff": {"before": described[0], "after": described[1]}}


STATES = {
    "current": make_current,
    "proved": make_proved,
    "restored": restore,
    "rolling": mark_rolling,
    "rolled": mark_rolling,
}


def run(module: AnsibleModule) -> dict[str, t.Any]:
    return STATES[module.params["state"]](module, module.params["path"], module.params["release"])


def main() -> None:
    name = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "release": {"type": "str"},
            "state": {"type": "str", "choices": list(STATES), "default": "current"},
            "fallback": {"type": "dict", "options": {"current": name, "previous": name}},
            "unit": {"type": "str"},
        },
        required_if=[
            ("state", "current", ["release"]),
            ("state", "proved", ["release"]),
            ("state", "restored", ["fallback"]),
        ],
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot change the release that {module.params['path']} serves")


if __name__ == "__main__":
    main()
