# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Waits for a Triton server and its models, and fails early if they cannot become ready any more."""

from __future__ import annotations

import time
import traceback
import typing as t
from dataclasses import dataclass, field
from http import HTTPStatus

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._log_patterns import (
    LogPatterns,
    explain,
    server_reason,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._http import Refused, TritonClient, Unreachable

DOCKER_IMPORT_ERROR: str | None = None
try:
    import docker
    from docker.errors import DockerException, NotFound
except ImportError:
    DOCKER_IMPORT_ERROR = traceback.format_exc()

LOG_LINES = 400
SHOWN_LINES = 15
NOT_THERE = "not in the model repository"
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


class HealthError(ModuleFailure):
    """Why the server is not going to be ready, with what was reached and what the log says."""

    def __init__(
        self, what: str, report: Report, log: str = "", reason: str = "", exit_code: int | None = None
    ) -> None:
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


@dataclass
class Report:
    """The status of the server at one moment. `waited` is in seconds."""

    live: bool = False
    ready: bool = False
    models: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    server: dict[str, t.Any] = field(default_factory=dict)
    waited: float = 0.0
    obstacle: str = ""  # why the status is incomplete

    def missing(self) -> list[str]:
        return [f"{row['name']} is {row['state'] or 'not loaded'}" for row in self.models if row["state"] != "READY"]

    def is_complete(self) -> bool:
        return self.live and self.ready and bool(self.models) and not self.missing() and not self.obstacle

    def describe(self) -> str:
        if not self.live:
            return f"the server is not live ({self.obstacle})" if self.obstacle else "the server is not live"
        parts = ["the server is live" + (" and ready" if self.ready else ", but not ready")]
        parts += [", ".join(self.missing())] if self.missing() else []
        return "; ".join(parts + ([self.obstacle] if self.obstacle else []))


def check_server(client: TritonClient, expected: t.Sequence[str]) -> Report:
    """The current status of the server; an unreachable server is not an error."""
    report = Report()
    try:
        report.live = client.is_live()
        if report.live:
            report.ready = client.is_ready()
            report.server = client.server()
            _check_models(report, client, expected)
    except Unreachable as exc:
        report.obstacle = str(exc)
    except Refused as exc:
        if exc.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        report.obstacle = f"it responded with status {exc.status}: {exc}"
    report.waited = round(client.deadline.waited(), 1)
    return report


def _index(client: TritonClient, expected: t.Sequence[str]) -> dict[str, dict[str, str]]:
    """The most ready version of every model in the index; if the index is restricted, the expected models."""
    try:
        answer = client.index()
    except Refused as exc:
        if not expected or exc.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        answer = [{"name": name, "state": "READY"} for name in expected]
    versions: dict[str, list[dict[str, str]]] = {name: [] for name in expected}
    for entry in answer:
        row = {key: str(entry.get(key, "")) for key in ("name", "version", "state", "reason")}
        versions.setdefault(row["name"], []).append(row)
    return {name: _best_version(name, rows) for name, rows in versions.items()}


def _best_version(name: str, rows: t.Sequence[dict[str, str]]) -> dict[str, str]:
    absent = {"name": name, "version": "", "state": "", "reason": NOT_THERE}
    order = ("READY", "LOADING", "UNLOADING", "UNAVAILABLE", "")
    return min(rows, key=lambda row: order.index(row["state"]) if row["state"] in order else 1, default=absent)


def _check_models(report: Report, client: TritonClient, expected: t.Sequence[str]) -> None:
    index = _index(client, expected)
    report.models = [row for name, row in sorted(index.items()) if (name in expected if expected else row["state"])]
    for row in report.models:
        # The index only lists what is loaded; a loaded model may not accept requests yet.
        if row["state"] == "READY" and not client.is_model_ready(row["name"]):
            row["state"] = "NOT READY"
    # With strict readiness, any model that fails to load keeps the server from becoming ready.
    report.failed = [
        row
        for row in index.values()
        if row["state"] == "UNAVAILABLE" and row["reason"] and (row in report.models or not report.ready)
    ]


def _permanent_failure(report: Report) -> tuple[str, str] | None:
    """A message about a model that cannot become ready any more, and the server's reason; None if there is none."""
    for row in report.failed:
        return f"model {row['name']} is UNAVAILABLE", row["reason"].split("\n\nAt:")[0].strip()
    for row in report.models:
        if report.ready and row["reason"] == NOT_THERE:
            return f"model {row['name']} is {NOT_THERE} of the server", ""
    return None


def wait_until_ready(
    client: TritonClient, expected: t.Sequence[str], interval: float, monitors: t.Sequence[Monitor]
) -> Report:
    report = Report()
    while True:
        for monitor in monitors:
            server_exit = monitor.check_exit()
            if server_exit:
                report.waited = round(client.deadline.waited(), 1)
                raise HealthError(server_exit.sentence, report, _log_of(monitors), exit_code=server_exit.exit_code)
        report = check_server(client, expected)
        if report.is_complete():
            return report
        failure = _permanent_failure(report)
        if failure:
            raise HealthError(failure[0], report, _log_of(monitors), reason=failure[1])
        if client.deadline.left() <= 0:
            what = f"not ready after {client.deadline.seconds:g} s, {report.describe()}"
            raise HealthError(what, report, _log_of(monitors))
        time.sleep(min(interval, max(0.0, client.deadline.left())))


def _log_of(monitors: t.Sequence[Monitor]) -> str:
    """The first log that is not empty: a unit's journal contains the output of its container."""
    for monitor in monitors:
        log = monitor.log()
        if log.strip():
            return log
    return ""
