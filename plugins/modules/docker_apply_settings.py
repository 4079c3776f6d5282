#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_apply_settings
short_description: Restart the Docker engine when its settings are newer than it
version_added: "0.1.0"
description:
  - Restarts the engine when a file with its settings was written after the engine was started, and not otherwise.
    Unlike a handler this is not forgotten when a play is killed between the change and the restart, and roles that each
    bring settings share one restart.
  - Services that must not lose the engine are stopped before, by their own way of stopping, and started again after.
    This is needed with C(live-restore) too, which keeps containers but not the client that a service runs.
    Containers that belong to no such service stop with the engine, unless it has C(live-restore).
  - An engine that is not running is left alone.
extends_documentation_fragment:
  - tritonops.trtllm.attributes
attributes:
  check_mode:
    support: full
    details:
      - Settings that check mode has not written are not seen; O(pending) tells of them.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  files:
    description:
      - Files with settings, and folders of which every file is one. What is missing is passed over.
    type: list
    elements: path
    default: [/etc/docker/daemon.json, /etc/systemd/system/docker.service.d]
  drained_units:
    description:
      - Services to stop before the engine, in this order, if they are running. They are started again in the opposite
        order, also when the engine does not come back.
    type: list
    elements: str
    default: []
  pending:
    description:
      - Whether settings were changed by this play, so that check mode can tell what they will lead to. Used by it only.
    type: bool
    default: false
  unit:
    description:
      - The engine's service.
    type: str
    default: docker.service
seealso:
  - module: tritonops.trtllm.docker_daemon_config
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Keep the logs of containers small
  tritonops.trtllm.docker_daemon_config:
    config:
      log-driver: local
  register: docker_settings

- name: Have the engine keep to it, without cutting off who uses the model
  tritonops.trtllm.docker_apply_settings:
    pending: "{{ docker_settings is changed }}"
    drained_units: [trtllm.service]
"""

RETURN = r"""
newer:
  description: The files that were written after the engine was started.
  returned: always
  type: list
  elements: str
  sample: [/etc/docker/daemon.json]
drained:
  description: The services that were (in check mode, would be) stopped and started again.
  returned: always
  type: list
  elements: str
  sample: [trtllm.service]
"""

import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule


class ApplyError(Exception):
    """The engine or a service did not do as told."""


def setting_files(paths: list[str]) -> list[str]:
    """The files, and each folder itself: it changes when a file in it is removed."""
    found = []
    for path in paths:
        found.append(path)
        if os.path.isdir(path):
            found += sorted(os.path.join(path, name) for name in os.listdir(path))
    return [path for path in found if os.path.exists(path)]


def newer_than(started: float, now: float, paths: list[str]) -> list[str]:
    """A time in the future tells of a clock that was put back, and would be newer after a restart, too."""
    return [path for path in setting_files(paths) if started < os.stat(path).st_mtime <= now]


class Systemd:
    """systemctl, by the words of which failures are told."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.systemctl = module.get_bin_path("systemctl", required=True)

    def show(self, unit: str, name: str) -> str:
        argv = [self.systemctl, "show", "--property", name, unit]
        return self.module.run_command(argv, check_rc=True)[1].strip().partition("=")[2]

    def is_active(self, unit: str) -> bool:
        return self.show(unit, "ActiveState") in ("active", "activating", "reloading")

    def started(self, unit: str) -> float:
        """The time of day at which a running unit's process was started."""
        monotonic = int(self.show(unit, "ExecMainStartTimestampMonotonic") or 0) / 1e6
        return time.time() - time.monotonic() + monotonic

    def do(self, *command: str) -> None:
        rc, out, err = self.module.run_command([self.systemctl, *command])
        if rc != 0:
            words = err.strip() or out.strip()
            raise ApplyError(
                f"systemctl {' '.join(command)} failed: {words}. See `journalctl -u {command[-1]}` on the host. A copy"
                " of the settings before may be beside /etc/docker/daemon.json."
            )


def restart(systemd: Systemd, unit: str, drained: list[str]) -> None:
    systemd.do("daemon-reload")
    try:
        for name in drained:
            systemd.do("stop", name)
        # Otherwise a few restarts in a minute are taken for a crash loop.
        systemd.do("reset-failed", unit)
        systemd.do("restart", unit)
    finally:
        for name in reversed(drained):
            systemd.do("start", name)


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    systemd = Systemd(module)
    newer: list[str] = []
    drained: list[str] = []
    needed = False
    if systemd.is_active(params["unit"]):
        newer = newer_than(systemd.started(params["unit"]), time.time(), params["files"])
        needed = bool(newer) or (module.check_mode and params["pending"])
    if needed:
        drained = [name for name in params["drained_units"] if systemd.is_active(name)]
        if not module.check_mode:
            restart(systemd, params["unit"], drained)
    result: dict[str, t.Any] = {"changed": needed, "newer": newer, "drained": drained}
    if module._diff:
        settings = "older than its settings\n" if needed else ""
        result["diff"] = {"before": settings, "after": "restarted\n" if needed else ""}
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "path",
                "default": ["/etc/docker/daemon.json", "/etc/systemd/system/docker.service.d"],
            },
            "drained_units": {"type": "list", "elements": "str", "default": []},
            "pending": {"type": "bool", "default": False},
            "unit": {"type": "str", "default": "docker.service"},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except ApplyError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
