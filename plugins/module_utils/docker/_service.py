# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Keeps the Docker service enabled and running, and restarts it if its settings are newer than the process."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

RUNNING = ("active", "activating", "reloading")
# The states for which `systemctl is-enabled` succeeds.
ENABLED = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated")


class Unit(t.NamedTuple):
    """The state of the Docker service; `started` is in seconds since the epoch."""

    exists: bool
    enabled: bool
    running: bool
    started: float


class Steps(t.NamedTuple):
    """The changes that the service needs."""

    enable: bool
    start: bool
    restart: bool


def setting_files(paths: list[str]) -> list[str]:
    """The files, and the folders themselves, because a folder changes when a file in it is removed."""
    found = []
    for path in paths:
        found.append(path)
        if os.path.isdir(path):
            found += sorted(os.path.join(path, name) for name in os.listdir(path))
    return [path for path in found if os.path.exists(path)]


def newer_than(started: float, now: float, paths: list[str]) -> list[str]:
    """The files that changed after the start. A time in the future is ignored: a restart would not make it older."""
    return [path for path in setting_files(paths) if started < os.stat(path).st_mtime <= now]


class Systemd:
    """Runs systemctl and quotes it in errors."""

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
                " of the previous settings may be beside /etc/docker/daemon.json."
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
        # Otherwise systemd mistakes a few restarts within a minute for a crash loop.
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
    """The output of `docker info`, or why there is none."""
    rc, out, err = module.run_command([docker, "info", "--format", "{{json .}}"])
    try:
        info = json.loads(out)
    except ValueError:
        info = {}
    # Some versions of the client exit with 0 if the daemon did not answer.
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


def ensure_running(module: AnsibleModule) -> dict[str, t.Any]:
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
