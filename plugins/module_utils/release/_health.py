# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Waits until a server is ready, and fails early if it cannot become ready any more."""

from __future__ import annotations

import time
import traceback
import typing as t
from contextlib import contextmanager

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LogPatterns,
    explain,
    server_reason,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import Deadline

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

DOCKER_IMPORT_ERROR: str | None = None
try:
    import docker
    from docker.errors import DockerException, NotFound
except ImportError:
    DOCKER_IMPORT_ERROR = traceback.format_exc()

LOG_LINES = 400
SHOWN_LINES = 15
# The known failure whose only symptom is exit code 0 and an empty log.
SILENT_END = "launch_script_returns"
UNIT_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "NRestarts",
    "InvocationID",
    "ExecMainCode",
    "ExecMainStatus",
)

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]


# The options of every module that waits for a server.
WAIT_ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "deadline": {"type": "float", "default": 600},
    "interval": {"type": "float", "default": 1},
    "unit": {"type": "str"},
    "restarts": {"type": "int", "default": 0},
    "container": {"type": "str"},
}


class Status(t.Protocol):
    """What was found out about the server at one moment. `waited` is in seconds."""

    waited: float

    def is_complete(self) -> bool: ...

    def describe(self) -> str: ...

    def failure(self) -> tuple[str, str] | None:
        """Why the server cannot become ready any more, and its own reason; None if it still can."""


AnyStatus = t.TypeVar("AnyStatus", bound=Status)


class HealthError(ModuleFailure):
    """Why the server is not going to be ready, with what was reached and what the log says."""

    def __init__(self, what: str, report: t.Any, log: str = "", reason: str = "", exit_code: int | None = None) -> None:
        super().__init__(what)
        self.report = report
        self.reason = reason or server_reason(log)
        self.log = log.splitlines()[-LOG_LINES:]
        self._said = f"{self.reason}\n{log}"
        self._exit_code = exit_code

    def explanations(self, known: LogPatterns) -> list[dict[str, str]]:
        """The known failures in the log, earliest first."""
        found = explain(self._said, known)
        if self._exit_code == 0 and not self.reason and not found:
            return [pattern.explanation("") for pattern in known if pattern.name == SILENT_END]
        return found

    def message(self, explanations: t.Sequence[t.Mapping[str, str]]) -> str:
        parts = [f"{self}: {self.reason}" if self.reason else str(self)]
        if explanations:
            first = explanations[0]
            # A known failure elsewhere in the log may have nothing to do with the server's own reason.
            certainty = "Known" if not self.reason or first["line"] in self.reason else "Possible"
            parts += [f"{certainty} cause ({first['id']}): {first['cause']}", f"Remedy: {first['remedy']}"]
        if self.log:
            parts.append("Last lines of the log:\n" + "\n".join(self.log[-SHOWN_LINES:]))
        return " ".join(part if part.endswith((".", "\n")) else f"{part}." for part in parts)


class DockerError(ModuleFailure):
    """Docker itself cannot be asked."""


STOPPED = ("failed", "inactive")
AUTO_RESTART = "auto-restart"


class ServerExit(t.NamedTuple):
    """How a server ended, as a sentence, and its exit code if that is known."""

    sentence: str
    exit_code: int | None = None


class Monitor(t.Protocol):
    """Checks whether the server's process is running."""

    def check_exit(self) -> ServerExit | None: ...

    def log(self) -> str: ...


class UnitMonitor:
    """The systemd unit of the server. A restart counts as an exit, unless it is one of the `allowed_restarts`.

    `restarts` describes the restarts so far.
    """

    def __init__(self, unit: str, run: Run, allowed_restarts: int = 0) -> None:
        self.unit = unit
        self.restarts: list[str] = []
        self._run = run
        self._allowed = allowed_restarts
        self._first: dict[str, str] = {}
        self._invocation = ""

    def check_exit(self) -> ServerExit | None:
        rc, out, err = self._run(["systemctl", "show", "-p", ",".join(UNIT_PROPERTIES), self.unit])
        if rc != 0:
            return ServerExit(f"systemctl show {self.unit} failed: {err.strip()}")
        state = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
        self._first = self._first or state
        if state.get("LoadState") == "not-found":
            return ServerExit(f"unit {self.unit} does not exist")
        server_exit = self._exit_of(state)
        if server_exit and self._is_allowed(state):
            if len(self.restarts) < self._restarts_in(state):
                self.restarts.append(server_exit.sentence)
            server_exit = None
        if not server_exit and state.get("SubState") != AUTO_RESTART:
            self._invocation = state.get("InvocationID", "")
        return server_exit

    def _exit_of(self, state: t.Mapping[str, str]) -> ServerExit | None:
        ended = state.get("ActiveState") in STOPPED or state.get("SubState") == AUTO_RESTART
        again = any(state.get(name) != self._first.get(name) for name in ("NRestarts", "InvocationID"))
        if not (ended or again):
            return None
        how = f"is {state.get('ActiveState')} ({state.get('SubState')})" if ended else "was restarted"
        status = state.get("ExecMainStatus", "")
        detail = (
            f"result {state.get('Result')}, exit status {status}" if ended else f"{state.get('NRestarts')} restarts"
        )
        return ServerExit(f"unit {self.unit} {how}: {detail}", int(status) if ended and status.isdigit() else None)

    def _restarts_in(self, state: t.Mapping[str, str]) -> int:
        """Restarts by systemd since the first check, including one that it is about to make."""
        before, now = (int(shown.get("NRestarts") or 0) for shown in (self._first, state))
        return now - before + (state.get("SubState") == AUTO_RESTART)

    def _is_allowed(self, state: t.Mapping[str, str]) -> bool:
        """A stopped unit, or one that somebody else has restarted, is not."""
        return state.get("ActiveState") not in STOPPED and 0 < self._restarts_in(state) <= self._allowed

    def lines(self, pattern: str) -> list[str]:
        """The lines of the running invocation that match."""
        match = [f"_SYSTEMD_INVOCATION_ID={self._invocation}"] if self._invocation else ["-u", self.unit]
        command = ["journalctl", "--no-pager", "-q", "-o", "cat", "--grep", pattern, *match]
        return self._run(command)[1].splitlines()

    def log(self) -> str:
        """The log of the invocation that ended, not of one that systemd has started since."""
        self._run(["journalctl", "--sync"])
        invocation = self._invocation or self._first.get("InvocationID")
        match = ["-u", self.unit]
        if invocation:
            match = [f"_SYSTEMD_INVOCATION_ID={invocation}", "+", f"INVOCATION_ID={invocation}"]
        _rc, out, _err = self._run(["journalctl", "--no-pager", "-q", "-o", "cat", "-n", str(LOG_LINES), *match])
        return out


class ContainerMonitor:
    """The container of the server."""

    def __init__(self, name: str, client: t.Any, may_be_missing: bool = False) -> None:
        self.name = name
        self._client = client
        # A unit creates the container some time after its start.
        self._may_be_missing = may_be_missing
        self._first: tuple[str, str] | None = None

    def check_exit(self) -> ServerExit | None:
        try:
            container = self._client.containers.get(self.name)
        except NotFound:
            if self._may_be_missing and self._first is None:
                return None
            return ServerExit(f"container {self.name} {'does not exist' if self._first is None else 'was removed'}")
        except DockerException as exc:
            raise DockerError(str(exc)) from exc
        state = container.attrs["State"]
        if state["Status"] in ("exited", "dead", "removing", "restarting"):
            killed = ", killed by the out-of-memory killer" if state.get("OOMKilled") else ""
            return ServerExit(
                f"container {self.name} is {state['Status']}: exit code {state.get('ExitCode')}{killed}",
                state.get("ExitCode"),
            )
        if state["Status"] == "created":
            error = state.get("Error")
            return ServerExit(f"container {self.name} did not start: {error}") if error else None
        identity = (container.id, state.get("StartedAt", ""))
        self._first = self._first or identity
        return None if identity == self._first else ServerExit(f"container {self.name} was restarted")

    def log(self) -> str:
        try:
            return self._client.containers.get(self.name).logs(tail=LOG_LINES).decode("utf-8", "replace")
        except NotFound:
            return ""


def docker_client() -> t.Any:
    try:
        return docker.from_env(timeout=10)
    except DockerException as exc:
        raise DockerError(str(exc)) from exc


def wait_until_ready(
    check: t.Callable[[], AnyStatus],
    status: AnyStatus,
    deadline: Deadline,
    interval: float,
    monitors: t.Sequence[Monitor],
) -> AnyStatus:
    """The first complete status; `status` is the one before the first check."""
    while True:
        for monitor in monitors:
            server_exit = monitor.check_exit()
            if server_exit:
                status.waited = round(deadline.waited(), 1)
                raise HealthError(server_exit.sentence, status, _log_of(monitors), exit_code=server_exit.exit_code)
        status = check()
        status.waited = round(deadline.waited(), 1)
        if status.is_complete():
            return status
        failure = status.failure()
        if failure:
            raise HealthError(failure[0], status, _log_of(monitors), reason=failure[1])
        if deadline.left() <= 0:
            what = f"not ready after {deadline.seconds:g} s, {status.describe()}"
            raise HealthError(what, status, _log_of(monitors))
        time.sleep(min(interval, max(0.0, deadline.left())))


def _log_of(monitors: t.Sequence[Monitor]) -> str:
    """The first log that is not empty: a unit's journal contains the output of its container."""
    for monitor in monitors:
        log = monitor.log()
        if log.strip():
            return log
    return ""


@contextmanager
def monitors_of(module: AnsibleModule) -> t.Iterator[list[Monitor]]:
    """The monitors that the module's options name. At the end, restarts that were allowed become warnings."""
    params = module.params
    if params["container"] and DOCKER_IMPORT_ERROR:
        raise ModuleFailure(missing_required_lib("docker"), exception=DOCKER_IMPORT_ERROR)
    unit = UnitMonitor(params["unit"], module.run_command, params["restarts"]) if params["unit"] else None
    try:
        monitors: list[Monitor] = [unit] if unit else []
        if params["container"]:
            monitors.append(ContainerMonitor(params["container"], docker_client(), may_be_missing=bool(unit)))
        yield monitors
    except DockerError as exc:
        raise ModuleFailure(f"cannot ask Docker about container {params['container']}: {exc}") from exc
    finally:
        for restart in unit.restarts if unit else ():
            module.warn(f"{restart}. systemd has started it again.")
