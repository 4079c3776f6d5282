# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The program that a timer runs for each deployment: looks at the server once, and does what is to be done."""

from __future__ import annotations

import json
import os
import sys
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.haproxy._runtime import HAProxyError
from ansible_collections.tritonops.trtllm.plugins.module_utils.host import _lease
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import CURRENT, RELEASE_JSON
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._timeout import output_or_none, run_with_timeout
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog import _evidence, _ranks
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._decision import (
    COLLECT,
    RESTART,
    RUNNING_UNIT,
    STARTING,
    Policy,
    Seen,
    State,
    decide,
    read_state,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._host import Commands, Host, gpu_faults
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._probe import Probe, Prompt, probe_of
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._report import Served, as_metrics
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._rotation import (
    is_in_rotation,
    ready_others,
    set_rotation,
)

UNIT_PROPERTIES = ("ActiveState", "InvocationID", "ActiveEnterTimestampMonotonic")
COMMAND_TIMEOUT = 20
# Queries of nvidia-smi are slow.
GPU_INTERVAL = 60


@dataclass(frozen=True)
class Settings:
    """The file that the role writes. `folder` is the folder of the deployment.

    With `min_ready` other hosts behind each gateway, a host with a faulty GPU leaves the rotation.
    """

    deployment: str
    folder: str
    prompt: Prompt
    policy: Policy
    timeout: float
    proof_timeout: float
    metrics_file: str
    rotation_map: str
    rotation_socket: str
    min_ready: int
    lease_file: str = _lease.PATH

    @property
    def unit(self) -> str:
        return f"trtllm@{self.deployment}.service"

    @property
    def container(self) -> str:
        return f"trtllm-{self.deployment}"

    @property
    def state_file(self) -> str:
        return f"{self.folder}/watchdog.json"


def read_settings(path: str) -> Settings:
    with open(path, encoding="utf-8") as stream:
        values = json.load(stream)
    policy = Policy(**{name: int(value) for name, value in values["policy"].items()})
    known = {**values, "policy": policy, "prompt": Prompt(**values["prompt"]), "min_ready": int(values["min_ready"])}
    return Settings(**known)


@dataclass(frozen=True)
class UnitState:
    active: str
    invocation: str
    uptime: float


def unit_state(text: str, monotonic: float) -> UnitState:
    """What `systemctl show` says about the unit. The uptime is that of a unit that is active."""
    known = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    active = known.get("ActiveState", "")
    since = known.get("ActiveEnterTimestampMonotonic", "")
    uptime = monotonic - int(since) / 1e6 if active in RUNNING_UNIT and since.isdigit() else 0.0
    return UnitState(active, known.get("InvocationID", ""), max(0.0, uptime))


def current_release(folder: str) -> tuple[str, t.Mapping[str, t.Any]]:
    """The name of the release that the deployment should serve, and its record."""
    path = os.path.realpath(f"{folder}/{CURRENT}")
    record = _read_json(f"{path}/{RELEASE_JSON}")
    return os.path.basename(path), record if isinstance(record, dict) else {}


def is_leased(path: str) -> bool:
    """Whether a run of Ansible changes the host."""
    try:
        lease = _lease.read(path)
    except (_lease.LeaseError, OSError):
        # No run can have it.
        return False
    return lease is not None and not _lease.why_stale(lease, _lease.Moment.now())


class Watchdog:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.commands: t.Any = Commands()

    def run(self) -> State:
        stored = _read_json(self.settings.state_file)
        before = read_state(stored)
        unit = self._unit()
        faults, checked = self._gpu_faults(stored)
        seen = self._look(unit, before, faults)
        now = time.time()
        after, actions = decide(self.settings.policy, before, seen, now)
        # Before the actions: a run that is killed must not forget a restart.
        self._save(after, faults, checked, now)
        if after.phase != before.phase or actions:
            self._say(f"{before.phase} -> {after.phase} {after.message}".rstrip())
        self._set_rotation(after)
        self._publish(after, unit, faults, now)
        if COLLECT in actions:
            self._collect(now)
        # Collecting takes time, in which a run of Ansible may have begun.
        if RESTART in actions and not is_leased(self.settings.lease_file):
            self._restart()
        return after

    def _unit(self) -> UnitState:
        command = ["systemctl", "show", "-p", ",".join(UNIT_PROPERTIES), self.settings.unit]
        return unit_state(run_with_timeout(self.commands, command, COMMAND_TIMEOUT), time.monotonic())

    def _look(self, unit: UnitState, state: State, faults: tuple[str, ...]) -> Seen:
        release, record = current_release(self.settings.folder)
        fault, progress = "the unit does not run", None
        if unit.active in RUNNING_UNIT:
            fault, progress = self._ask(probe_of(record.get("service"), self.settings.prompt), state.proving)
        return Seen(
            unit=unit.active,
            invocation=unit.invocation,
            uptime=unit.uptime,
            fault=fault,
            progress=progress,
            gpu_faults=faults,
            spare=bool(faults) and self._has_spare(),
            release=release,
            leased=is_leased(self.settings.lease_file),
        )

    def _ask(self, probe: Probe, prove: bool) -> tuple[str, float | None]:
        """The fault and the progress. A server that does not answer must not take the time of both."""
        with ThreadPoolExecutor(1) as other:
            progress = other.submit(probe.progress)
            fault = probe.prove(self.settings.proof_timeout) if prove else probe.ask(self.settings.timeout)
            return fault, progress.result()

    def _has_spare(self) -> bool:
        settings = self.settings
        try:
            return ready_others(settings.rotation_socket, settings.deployment) >= settings.min_ready
        except (OSError, HAProxyError) as exc:
            self._say(f"cannot ask {settings.rotation_socket} for other hosts: {exc}")
            return False

    def _gpu_faults(self, stored: t.Any) -> tuple[tuple[str, ...], float]:
        """The faults, and when they were looked for."""
        known = stored.get("gpu", {}) if isinstance(stored, dict) else {}
        now = time.time()
        if 0 <= now - known.get("checked", 0) < GPU_INTERVAL:
            return tuple(map(str, known["faults"])), known["checked"]
        return gpu_faults(Host()), now

    def _say(self, text: str) -> None:
        """In the journal."""
        sys.stdout.write(f"{self.settings.deployment}: {text}\n")
        sys.stdout.flush()

    def _set_rotation(self, state: State) -> None:
        settings = self.settings
        try:
            set_rotation(settings.rotation_map, settings.rotation_socket, settings.deployment, state.out)
        except (OSError, HAProxyError) as exc:
            # The next run tries again. A hung server is restarted in any case.
            self._say(f"cannot change {settings.rotation_map}: {exc}")

    def _collect(self, now: float) -> None:
        kept = f"{self.settings.folder}/watchdog"
        folder = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime(now))
        try:
            _evidence.collect(f"{kept}/{folder}", self.settings.unit, self.settings.container, self.commands)
            _evidence.prune(kept)
        except OSError as exc:
            self._say(f"cannot keep the log: {exc}")

    def _restart(self) -> None:
        """A hung server does not stop when it is told to, so it is killed first."""
        output_or_none(self.commands, COMMAND_TIMEOUT, "docker", "kill", self.settings.container)
        # The watchdog has its own limit, and systemd's would end the unit before it.
        output_or_none(self.commands, COMMAND_TIMEOUT, "systemctl", "reset-failed", self.settings.unit)
        run_with_timeout(self.commands, ["systemctl", "restart", "--no-block", self.settings.unit], COMMAND_TIMEOUT)

    def _save(self, state: State, faults: tuple[str, ...], checked: float, now: float) -> None:
        content = {**asdict(state), "gpu": {"faults": faults, "checked": checked}, "run": now}
        _replace(self.settings.state_file, json.dumps(content, indent=2) + "\n")

    def _publish(self, state: State, unit: UnitState, faults: tuple[str, ...], now: float) -> None:
        in_rotation = is_in_rotation(self.settings.rotation_map, self.settings.deployment)
        if self.settings.metrics_file:
            # A server that starts has no ranks yet.
            served = self._served(unit.active in RUNNING_UNIT and state.phase != STARTING)
            text = as_metrics(self.settings.deployment, state, in_rotation, faults, now, served)
            _replace(self.settings.metrics_file, text)

    def _served(self, runs: bool) -> Served:
        release, record = current_release(self.settings.folder)
        model = record.get("model")
        name = str(model.get("name", "")) if isinstance(model, dict) else ""
        served, ranks = Served(release, name, str(record.get("image", ""))), _ranks.planned(record)
        if not runs or ranks is None:
            return served
        table = output_or_none(
            self.commands, COMMAND_TIMEOUT, "docker", "top", self.settings.container, "-eo", "pid,args"
        )
        found = None if table is None else _ranks.running(table, record["service"]["api"])
        return served._replace(ranks=found, ranks_planned=ranks)


def _read_json(path: str) -> t.Any:
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return {}


def _replace(path: str, text: str) -> None:
    candidate = f"{path}.new"
    with open(candidate, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.chmod(candidate, 0o644)
    os.replace(candidate, path)


def main(arguments: t.Sequence[str]) -> int:
    settings = read_settings(arguments[0])
    try:
        Watchdog(settings).run()
    except (ModuleFailure, OSError) as exc:
        sys.stderr.write(f"{settings.deployment}: {exc}\n")
        return 1
    return 0
