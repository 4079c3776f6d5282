#!/usr/bin/python
# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_service
short_description: Keep the Docker service enabled, running and up to date with its settings
version_added: "0.1.0"
description:
  - Enables and starts the Docker service, restarts it when its settings are newer than it, and waits until Docker
    answers.
  - The service is restarted when a file with its settings was written after it was started, and not otherwise.
    Unlike a handler this is not forgotten when a play is killed between the change and the restart, and roles that each
    bring settings share one restart.
  - Services in O(drained_units) are stopped before a restart, by their own way of stopping, and started again after.
    This is needed with C(live-restore) too, which keeps containers but not the client that a service runs.
    Containers that belong to no such service stop with Docker, unless it has C(live-restore).
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
  apply_settings:
    description:
      - Whether to restart a running service whose settings are newer than it.
    type: bool
    default: true
  files:
    description:
      - Files with settings, and folders of which every file is one. What is missing is passed over.
    type: list
    elements: path
    default: [/etc/docker/daemon.json, /etc/systemd/system/docker.service.d]
  drained_units:
    description:
      - Services to stop before a restart, in this order, if they are running. They are started again in the opposite
        order, also when Docker does not come back.
      - Patterns such as V(trtllm@*.service) stand for all running services that match.
    type: list
    elements: str
    default: []
  pending:
    description:
      - Whether settings were changed by this play, so that check mode can predict the restart. Used only in check mode.
    type: bool
    default: false
  unit:
    description:
      - The Docker service.
    type: str
    default: docker.service
  timeout:
    description:
      - Seconds to wait for Docker to answer.
    type: int
    default: 30
seealso:
  - module: tritonops.trtllm.docker_daemon_config
author:
  - tritonops.trtllm contributors (@tritonops)
"""

EXAMPLES = r"""
- name: Limit the size of container logs
  tritonops.trtllm.docker_daemon_config:
    config:
      log-driver: local
  register: docker_settings

- name: Restart Docker for it, and stop the model's services properly before
  tritonops.trtllm.docker_service:
    pending: "{{ docker_settings is changed }}"
    drained_units: [trtllm@*.service]
"""

RETURN = r"""
newer:
  description: The files that were written after the service was started.
  returned: success
  type: list
  elements: str
  sample: [/etc/docker/daemon.json]
drained:
  description: The services that were (in check mode, would be) stopped and started again.
  returned: success
  type: list
  elements: str
  sample: [trtllm@default.service]
version:
  description: The version of Docker that answers. Empty in check mode where it is not running.
  returned: success
  type: str
  sample: 28.5.1
runtimes:
  description: The names of the runtimes that Docker can run containers with.
  returned: success
  type: list
  elements: str
  sample: [io.containerd.runc.v2, runc]
"""

import json
import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure, run_module

SETTINGS = ["/etc/docker/daemon.json", "/etc/systemd/system/docker.service.d"]
RUNNING = ("active", "activating", "reloading")
# What `systemctl is-enabled` takes for enabled, too.
ENABLED = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated")


class Unit(t.NamedTuple):
    """The state of the Docker service; `started` is a time of day."""

    exists: bool
    enabled: bool
    running: bool
    started: float


class Steps(t.NamedTuple):
    """What has to be done to the service."""

    enable: bool
    start: bool
    restart: bool


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

    def look(self, name: str) -> Unit:
        wanted = "LoadState,ActiveState,UnitFileState,ExecMainStartTimestampMonotonic"
        shown = self.module.run_command([self.systemctl, "show", "--property", wanted, name], check_rc=True)[1]
        state = dict(line.partition("=")[::2] for line in shown.splitlines())
        monotonic = int(state.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
        return Unit(
            exists=state.get("LoadState") != "not-found",
            enabled=state.get("UnitFileState") in ENABLED,
            running=state.get("ActiveState") in RUNNING,
            started=time.time() - time.monotonic() + monotonic,
        )

    def running(self, pattern: str) -> list[str]:
        """Names of the running units that match."""
        argv = [self.systemctl, "list-units", "--plain", "--no-legend", f"--state={','.join(RUNNING)}", pattern]
        listed = self.module.run_command(argv, check_rc=True)[1]
        return [line.split()[0] for line in listed.splitlines() if line.strip()]

    def do(self, *command: str) -> None:
        rc, out, err = self.module.run_command([self.systemctl, *command])
        if rc != 0:
            words = err.strip() or out.strip()
            raise ModuleFailure(
                f"systemctl {' '.join(command)} failed: {words}. See `journalctl -u {command[-1]}` on the host. A copy"
                " of the settings before may be beside /etc/docker/daemon.json."
            )


def described(steps: Steps) -> dict[str, str]:
    """The diff."""
    needed = {"enabled": steps.enable, "running": steps.start, "up to date with its settings": steps.restart}
    lacking = [words for words, is_needed in needed.items() if is_needed]
    return {
        "before": "".join(f"not {words}\n" for words in lacking),
        "after": "".join(f"{words}\n" for words in lacking),
    }


def restart(systemd: Systemd, unit: str, drained: list[str]) -> None:
    try:
        for name in drained:
            systemd.do("stop", name)
        # Otherwise a few restarts in a minute are taken for a crash loop.
        systemd.do("reset-failed", unit)
        systemd.do("restart", unit)
    finally:
        for name in reversed(drained):
            systemd.do("start", name)


def take(steps: Steps, systemd: Systemd, unit: str, drained: list[str]) -> None:
    if steps.enable:
        systemd.do("enable", unit)
    if steps.start or steps.restart:
        systemd.do("daemon-reload")
    if steps.start:
        systemd.do("start", unit)
    if steps.restart:
        restart(systemd, unit, drained)


def ask(module: AnsibleModule, docker: str) -> tuple[dict[str, t.Any], str]:
    """What Docker says of itself, or why it does not."""
    rc, out, err = module.run_command([docker, "info", "--format", "{{json .}}"])
    try:
        info = json.loads(out)
    except ValueError:
        info = {}
    # Some versions of the client exit with 0 when only they themselves have answered.
    if rc == 0 and info.get("ServerVersion"):
        return info, ""
    return {}, "; ".join(info.get("ServerErrors") or []) or err.strip() or out.strip()


def wait_for_answer(module: AnsibleModule) -> dict[str, t.Any]:
    docker = module.get_bin_path("docker", required=True)
    deadline = time.monotonic() + module.params["timeout"]
    info, words = ask(module, docker)
    while not info and time.monotonic() < deadline:
        time.sleep(1)
        info, words = ask(module, docker)
    if not info:
        unit = module.params["unit"]
        raise ModuleFailure(
            f"{unit} runs, but Docker did not answer within {module.params['timeout']} s: {words}."
            f" See `journalctl -u {unit}` on the host."
        )
    return info


def run(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    systemd = Systemd(module)
    unit = systemd.look(params["unit"])
    if not (unit.exists or module.check_mode):
        raise ModuleFailure(f"There is no {params['unit']} on this host: install Docker")
    newer = newer_than(unit.started, time.time(), params["files"]) if unit.running else []
    outdated = unit.running and params["apply_settings"] and (bool(newer) or (module.check_mode and params["pending"]))
    steps = Steps(enable=not unit.enabled, start=not unit.running, restart=outdated)
    matching = [name for pattern in params["drained_units"] for name in systemd.running(pattern)] if outdated else []
    drained = list(dict.fromkeys(matching))
    if not module.check_mode:
        take(steps, systemd, params["unit"], drained)
    info = wait_for_answer(module) if unit.running or not module.check_mode else {}
    return {
        "changed": any(steps),
        "diff": described(steps),
        "newer": newer,
        "drained": drained,
        "version": info.get("ServerVersion", ""),
        "runtimes": sorted(info.get("Runtimes") or {}),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "apply_settings": {"type": "bool", "default": True},
            "files": {"type": "list", "elements": "path", "default": SETTINGS},
            "drained_units": {"type": "list", "elements": "str", "default": []},
            "pending": {"type": "bool", "default": False},
            "unit": {"type": "str", "default": "docker.service"},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    run_module(module, run, f"cannot manage {module.params['unit']}")


if __name__ == "__main__":
    main()
