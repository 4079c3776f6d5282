#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_release
short_description: Choose the release that a deployment serves
version_added: "0.1.0"
description:
  - A deployment has a folder C(releases), and two links. C(current) leads to the release that is served, C(previous) to
    the one before it that has passed its proof.
  - The links are replaced by renaming, so that there is always a release to serve. The service is not restarted.
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
      - With V(current), the release is made the current one. The one that was current becomes the previous one if it
        was proved.
      - With V(proved), the release is marked as one that has passed its proof.
      - With V(restored), the links become those of RV(fallback), which O(fallback) has.
    type: str
    choices: [current, proved, restored]
    default: current
  fallback:
    description:
      - The RV(fallback) that the module has returned before.
    type: dict
    suboptions:
      current:
        description:
          - The release that becomes the current one. If it is empty, none is.
        type: str
        default: ''
      previous:
        description:
          - The release that becomes the previous one. If it is empty, none is.
        type: str
        default: ''
  unit:
    description:
      - With O(state=current), the systemd unit that serves, to find out which release it runs.
    type: str
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Make a release the current one
  tritonops.trtllm.deployment_release:
    path: /opt/trtllm/deployments/default
    release: mixtral-8x7b-instruct-1.2.1-50c1c1ce
    unit: trtllm@default.service
  register: switched

- name: Record that it has passed its proof
  tritonops.trtllm.deployment_release:
    path: /opt/trtllm/deployments/default
    release: mixtral-8x7b-instruct-1.2.1-50c1c1ce
    state: proved

- name: Go back
  tritonops.trtllm.deployment_release:
    path: /opt/trtllm/deployments/default
    fallback: "{{ switched.fallback }}"
    state: restored
"""

RETURN = r"""
current:
  description: The release that is current now; empty for none.
  returned: success
  type: str
  sample: mixtral-8x7b-instruct-1.2.1-50c1c1ce
previous:
  description: The one before it; empty for none.
  returned: success
  type: str
  sample: mixtral-8x7b-instruct-1.2.1-9e3e8b9f
fallback:
  description:
    - The links to go back to if the release fails its proof. Only a release that was proved is gone back to. Without
      C(current) there is none.
  returned: with O(state=current)
  type: dict
  contains:
    current:
      description: The release.
      type: str
      sample: mixtral-8x7b-instruct-1.2.1-9e3e8b9f
    previous:
      description: The one before it.
      type: str
      sample: ''
proved:
  description: Whether the release has passed its proof.
  returned: with O(state=current)
  type: bool
  sample: false
reload:
  description: Whether the file of O(unit) has changed since systemd read it.
  returned: with O(state=current)
  type: bool
  sample: false
running:
  description: Whether O(unit) runs this release; V(null) where it does not run at all.
  returned: with O(state=current)
  type: bool
  sample: true
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import RELEASES
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import command_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._served import (
    Links,
    fallback,
    is_proved,
    links,
    mark_proved,
    serving,
    set_links,
)


def shown(module: AnsibleModule, unit: str | None) -> dict[str, str]:
    """What systemd says of the unit."""
    if not unit:
        return {}
    _rc, out, _err = module.run_command(["systemctl", "show", "--property", "MainPID,NeedDaemonReload", unit])
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def runs(unit: dict[str, str], folder: str) -> bool | None:
    """By the command line of the unit's process, which names the folder that the container gets."""
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
        "reload": unit.get("NeedDaemonReload") == "yes",
        "running": runs(unit, os.path.join(path, RELEASES, release)),
    }
    return {**changed(module, path, before, after), **found}


def make_proved(module: AnsibleModule, path: str, release: str) -> dict[str, t.Any]:
    new = not is_proved(path, release)
    if new and not module.check_mode:
        mark_proved(path, release)
    return {"changed": new, **links(path)._asdict()}


def restore(module: AnsibleModule, path: str, _release: str) -> dict[str, t.Any]:
    return changed(module, path, links(path), Links(**module.params["fallback"]))


def changed(module: AnsibleModule, path: str, before: Links, after: Links) -> dict[str, t.Any]:
    if before != after and not module.check_mode:
        set_links(path, after)
    described = [f"current: {state.current}\nprevious: {state.previous}\n" for state in (before, after)]
    return {"changed": before != after, **after._asdict(), "diff": {"before": described[0], "after": described[1]}}


STATES = {"current": make_current, "proved": make_proved, "restored": restore}


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
    path, release = module.params["path"], module.params["release"]
    try:
        result = STATES[module.params["state"]](module, path, release)
    except OSError as exc:
        module.fail_json(msg=f"the release that {path} serves cannot be changed: {exc}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
