# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tells the module of the same name which run of Ansible this is, and waits for other runs."""

from __future__ import annotations

import getpass
import os
import platform
import time
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_seconds
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._lease import Owner

POLL_INTERVAL = 5.0

display = Display()


class ActionModule(ActionBase):
    """Waiting on the control node: a module that waits on the host would outlive a run that is killed."""

    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validated, arguments = self.validate_argument_spec(
            argument_spec={
                "state": {"type": "str", "default": "acquired"},
                "wait": {"type": "int", "default": 0},
                "path": {"type": "path"},
            }
        )
        asked = {name: value for name, value in arguments.items() if value is not None}
        run = this_run()
        asked.update(owner=run._asdict(), ended=[])
        until, waits_for = time.monotonic() + arguments["wait"], None
        # A worker outlives a run that is killed, and must not acquire the lease for it.
        while os.getppid() == run.pid:
            found = self._execute_module(module_args=asked, task_vars=task_vars)
            if "held_by" not in found:
                return {**result, **found}
            holder, left = Owner(**found["held_by"]), until - time.monotonic()
            if has_ended(holder) and holder.run not in asked["ended"]:
                asked["ended"].append(holder.run)
                continue
            if left <= 0:
                return {**result, **found}
            if holder != waits_for:
                waits_for = holder
                host = (task_vars or {}).get("inventory_hostname")
                display.display(f"{host} | waiting up to {human_seconds(left)} for {holder}, who is changing this host")
            time.sleep(min(POLL_INTERVAL, left))
        return {**result, "failed": True, "msg": "This run of Ansible was killed."}


def this_run() -> Owner:
    """The folder for temporary files is a new one for each run, and its workers share it."""
    return Owner(
        run=os.path.basename(constants.DEFAULT_LOCAL_TMP),
        user=_user(),
        node=platform.node(),
        # A worker is a child of the process that the user started.
        pid=os.getppid(),
        place=_place(),
    )


def has_ended(owner: Owner) -> bool:
    """Whether the run was started here and does not exist any more."""
    if not owner.place or owner.place != _place():
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        # Of another user.
        return False
    return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return str(os.getuid())


def _place() -> str:
    """The machine since its start, and the container if this is one; empty if that is not known."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return f"{stream.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
