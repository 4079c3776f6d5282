# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The timer of a deployment's watchdog on the host."""

from __future__ import annotations

import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import HAProxyError
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._rotation import is_kept_out, set_rotation

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

UNIT = "trtllm-watchdog@"
PROGRAM = "watchdog.pyz"
_PROPERTIES = "ActiveState,UnitFileState,NeedDaemonReload"


class Timer:
    """The timer of a deployment. Its unit is a template that all deployments of the host share."""

    def __init__(self, module: AnsibleModule, deployment: str) -> None:
        self.module = module
        self.name = f"{UNIT}{deployment}.timer"
        self.service = f"{UNIT}{deployment}.service"
        shown = self._run("show", "--property", _PROPERTIES, self.name)
        self._known = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def start(self, restart: bool) -> bool:
        """Whether anything had to be done. A reload without need can take the GPUs away from running containers."""
        state = self._known
        runs = state.get("ActiveState") == "active" and state.get("UnitFileState") == "enabled"
        if runs and not restart and state.get("NeedDaemonReload") != "yes":
            return False
        if not self.module.check_mode:
            self._run("daemon-reload")
            self._run("enable", self.name)
            self._run("restart", self.name)
        return True

    def stop(self) -> bool:
        if self._known.get("ActiveState") != "active" and self._known.get("UnitFileState") != "enabled":
            return False
        if not self.module.check_mode:
            self._run("disable", "--now", self.name)
            # A run that has begun would write its state once more.
            self._run("stop", self.service)
        return True

    def _run(self, *arguments: str) -> str:
        rc, out, err = self.module.run_command(["systemctl", *arguments])
        if rc != 0:
            raise ModuleFailure(f"systemctl {' '.join(arguments)} failed: {err.strip() or out.strip()}")
        return str(out)


def put_back(deployment: str, rotation_map: str, socket: str, check_mode: bool) -> bool:
    """Whether the watchdog keeps the deployment out of rotation, which this ends, because nobody else would."""
    ours = is_kept_out(rotation_map, deployment)
    if ours and not check_mode:
        try:
            set_rotation(rotation_map, socket, deployment, out=False)
        except HAProxyError as exc:
            raise ModuleFailure(f"cannot put {deployment} back in rotation: {exc}") from exc
    return ours
