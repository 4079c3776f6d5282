# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Keeps the Docker service enabled and running, and restarts it if its settings are newer than the process."""

from __future__ import annotations

import glob
import json
import os
import shutil
import time
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

RUNNING = ("active", "activating", "reloading")
LAST_LINES = 5
# The states for which `systemctl is-enabled` succeeds.
ENABLED = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated")


class Unit(t.NamedTuple):
    """The state of the Docker service; `started` is in seconds since the epoch."""

    exists: bool
    enabled: bool
    running: bool
    started: float
    # Whether systemd has to read changed files of the unit first.
    outdated: bool


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


def drop_ins(unit: str, paths: list[str]) -> list[str]:
    """The drop-ins of the unit among the files."""
    return [path for path in setting_files(paths) if path.endswith(".conf") and f"/{unit}.d/" in path]


def newer_than(started: float, paths: list[str]) -> list[str]:
    """The files that changed after the start, or in the future, as those of a clock that was ahead."""
    return [path for path in setting_files(paths) if started < os.stat(path).st_mtime]


def end_future(now: float, paths: list[str]) -> None:
    """Files from the future become those of now, as no start of Docker would be newer."""
    for path in setting_files(paths):
        if os.stat(path).st_mtime > now:
            os.utime(path, (now, now))


def backups(started: float, paths: list[str]) -> dict[str, str]:
    """By file, the copy that docker_daemon_config made at its first change after the start: Docker ran with that."""
    found = {}
    for path in map(os.path.realpath, paths):
        copies = {copy: os.stat(copy).st_ctime for copy in glob.glob(f"{glob.escape(path)}.[0-9]*~")}
        later = [copy for copy, created in copies.items() if created > started]
        if later and os.path.exists(path):
            found[path] = min(later, key=copies.__getitem__)
    return found


def put_back(path: str, backup: str) -> str:
    """Restore the file; returns the name of the copy of what was there."""
    refused, restored, was = f"{path}.refused~", f"{path}.restored~", os.stat(path)
    shutil.copy2(path, refused)
    if os.path.getsize(backup) == 0:
        # There was no file, or one that means the same.
        os.unlink(path)
        return refused
    shutil.copyfile(backup, restored)
    shutil.copymode(path, restored)
    os.chown(restored, was.st_uid, was.st_gid)
    os.replace(restored, path)
    return refused


class Systemd:
    """Runs systemctl and quotes it in errors."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.systemctl = module.get_bin_path("systemctl", required=True)

    def look(self, name: str, settings: list[str]) -> Unit:
        wanted = "LoadState,ActiveState,UnitFileState,NeedDaemonReload,DropInPaths,ExecMainStartTimestampMonotonic"
        shown = self.module.run_command([self.systemctl, "show", "--property", wanted, name], check_rc=True)[1]
        state = dict(line.partition("=")[::2] for line in shown.splitlines())
        monotonic = int(state.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
        # systemd does not notice drop-ins in a new folder.
        unread = [path for path in drop_ins(name, settings) if path not in state.get("DropInPaths", "").split()]
        return Unit(
            exists=state.get("LoadState") != "not-found",
            enabled=state.get("UnitFileState") in ENABLED,
            running=state.get("ActiveState") in RUNNING,
            started=time.time() - time.monotonic() + monotonic,
            outdated=state.get("NeedDaemonReload") == "yes" or bool(unread),
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
                f"systemctl {' '.join(command)} failed: {words}. See `journalctl -u {command[-1]}` on the host."
            )

    def last_lines(self, name: str, since: float) -> str:
        """What the unit's own processes logged; what systemd says about the unit is left out."""
        journalctl = self.module.get_bin_path("journalctl")
        if journalctl is None:
            return ""
        self.module.run_command([journalctl, "--sync"])
        wanted = ["--output=cat", f"--lines={LAST_LINES}", f"--since=@{int(since)}", f"_SYSTEMD_UNIT={name}"]
        said = self.module.run_command([journalctl, "--quiet", "--no-pager", *wanted])[1]
        return said.strip()


def described(steps: Steps) -> dict[str, str]:
    """The diff."""
    needed = {"enabled": steps.enable, "running": steps.start, "up to date with its settings": steps.restart}
    lacking = [words for words, is_needed in needed.items() if is_needed]
    return {
        "before": "".join(f"not {words}\n" for words in lacking),
        "after": "".join(f"{words}\n" for words in lacking),
    }


def take(module: AnsibleModule, steps: Steps, systemd: Systemd, before: Unit, drained: list[str]) -> None:
    unit, failures = module.params["unit"], []
    if steps.enable:
        systemd.do("enable", unit)
    if not (steps.start or steps.restart):
        return
    end_future(time.time(), module.params["files"])
    try:
        for name in drained:
            systemd.do("stop", name)
        bring_up(module, systemd, before, "restart" if steps.restart else "start")
    except (ModuleFailure, OSError) as exc:
        failures.append(str(exc))
    finally:
        failures += start_again(systemd, drained)
    if failures:
        raise ModuleFailure(" ".join(failures))


def start_again(systemd: Systemd, drained: list[str]) -> list[str]:
    """Start every service, whatever happens to the others; returns the failures."""
    failures = []
    for name in reversed(drained):
        try:
            systemd.do("start", name)
        except ModuleFailure as exc:
            failures.append(str(exc))
    return failures


def bring_up(module: AnsibleModule, systemd: Systemd, before: Unit, command: str) -> None:
    """Start or restart Docker. If that fails, it is started with the settings that it had before."""
    unit, began = module.params["unit"], time.time()
    # A reload can take the GPUs away from running containers.
    if before.outdated:
        systemd.do("daemon-reload")
    try:
        run_unit(module, systemd, command)
    except ModuleFailure as failed:
        lines = systemd.last_lines(unit, began)
        said = f" Its last lines: {lines}" if lines else ""
        raise ModuleFailure(f"{failed}{said}\n{go_back(module, systemd, before)}") from failed


def run_unit(module: AnsibleModule, systemd: Systemd, command: str) -> None:
    """Start or restart the service, and wait until Docker answers."""
    unit = module.params["unit"]
    if command == "restart":
        # Otherwise systemd mistakes a few restarts within a minute for a crash loop.
        systemd.do("reset-failed", unit)
    systemd.do(command, unit)
    wait_for_answer(module)


def go_back(module: AnsibleModule, systemd: Systemd, before: Unit) -> str:
    """Start Docker with its earlier settings; returns what was done and whether Docker runs."""
    done = ""
    for path, backup in backups(before.started, module.params["files"]).items():
        refused = put_back(path, backup)
        done += f"{path} was restored; the new one is {refused}: correct the variable that the setting comes from. "
    try:
        run_unit(module, systemd, "restart")
    except ModuleFailure as failed:
        return f"{done}Docker still does not run: {failed}"
    return f"{done}Docker runs again."


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


def check_version(found: str, minimum: str | None) -> None:
    """Refuse an older Docker. In check mode, a Docker that does not run has no version."""
    if found and minimum and version(found) < version(minimum):
        raise ModuleFailure(
            f"Docker is {found}, but {minimum} or later is needed: install a later one (with role docker, set"
            " docker_source to vendor, or docker_version to a later one)."
        )


def ensure_running(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    systemd = Systemd(module)
    unit = systemd.look(params["unit"], params["files"])
    if not (unit.exists or module.check_mode):
        raise ModuleFailure(f"There is no {params['unit']} on this host: install Docker")
    newer = newer_than(unit.started, params["files"]) if unit.running else []
    outdated = unit.running and params["apply_settings"] and (bool(newer) or (module.check_mode and params["pending"]))
    steps = Steps(enable=not unit.enabled, start=not unit.running, restart=outdated)
    matching = [name for pattern in params["drained_units"] for name in systemd.running(pattern)] if outdated else []
    drained = list(dict.fromkeys(matching))
    if not module.check_mode:
        take(module, steps, systemd, unit, drained)
    info = wait_for_answer(module) if unit.running or not module.check_mode else {}
    check_version(info.get("ServerVersion", ""), params["minimum_version"])
    return {
        "changed": any(steps),
        "diff": described(steps),
        "newer": newer,
        "drained": drained,
        "version": info.get("ServerVersion", ""),
        "runtimes": sorted(info.get("Runtimes") or {}),
    }
