# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Readiness, and every way in which it fails."""

from __future__ import annotations

import json
import socket
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.release import _health, _http
from ansible_collections.tritonops.trtllm.plugins.modules import triton_health
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.actions._log_patterns import log_patterns_option
from ansible_collections.tritonops.trtllm.tests.unit.support.clock import Clock
from ansible_collections.tritonops.trtllm.tests.unit.support.healthy_logs import healthy_log, starts
from ansible_collections.tritonops.trtllm.tests.unit.support.module_run import Result, run_module
from ansible_collections.tritonops.trtllm.tests.unit.support.triton_stub import (
    RECORDED,
    STALL,
    TritonStub,
    as_json,
    noted_timeouts,
)

LOAD_FAILURE = (
    "E1122 18:26:50.800587 1 model_lifecycle.cc:642] \"failed to load 'tensorrt_llm' version 1: Internal: unexpected "
    'error when creating modelInstanceState: MPI size 1 != TP size 8 * PP size 1\\n"\n'
    "error: creating server: Internal - failed to load all models\n"
)
LM_LOADING = '"lm","version":"1","state":"LOADING"'


@pytest.fixture(name="stub")
def fixture_stub() -> t.Iterator[TritonStub]:
    with TritonStub() as stub:
        yield stub


@pytest.fixture(name="clock")
def fixture_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (_health, _http):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture(name="health")
def fixture_health(stub: TritonStub, clock: Clock, capsys: pytest.CaptureFixture[str]) -> t.Callable[..., Result]:
    def run(**arguments: t.Any) -> Result:
        defaults = {"url": stub.url, "deadline": 60, "interval": 1, "log_patterns": log_patterns_option()}
        return run_module(triton_health, capsys, **{**defaults, **arguments})

    return run


@pytest.fixture(name="closed_port")
def fixture_closed_port() -> t.Iterator[int]:
    """A port that is reserved, but on which nobody listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


class Unit:
    """Stand-ins for systemctl and journalctl."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.set()
        (folder / "log").write_text("", encoding="utf-8")
        self._program("systemctl", f'cat "{folder}/state"')
        self._program("journalctl", f'echo "$@" >> "{folder}/asked"; [ "$1" = --sync ] || cat "{folder}/log"')
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def _program(self, name: str, line: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        path.chmod(0o755)

    def set(self, **changes: str) -> None:
        state = {
            "LoadState": "loaded",
            "ActiveState": "active",
            "SubState": "running",
            "Result": "success",
            "NRestarts": "0",
            "InvocationID": "aaaa",
            "ExecMainStatus": "0",
            **changes,
        }
        aside = self.folder / "state.new"
        aside.write_text("".join(f"{key}={value}\n" for key, value in state.items()), encoding="utf-8")
        aside.rename(self.folder / "state")

    def fail(self, log: str, **changes: str) -> None:
        (self.folder / "log").write_text(log, encoding="utf-8")
        failed = {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code", "ExecMainStatus": "1"}
        self.set(**{**failed, **changes})


@pytest.fixture(name="unit")
def fixture_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unit:
    return Unit(tmp_path, monkeypatch)


class Containers:
    """The Docker SDK's view of one container."""

    def __init__(self, status: str = "running", **state: t.Any) -> None:
        self.state = {"Status": status, "StartedAt": "then", "ExitCode": 0, **state}
        self.output = b""
        self.present = True

    def get(self, _name: str) -> SimpleNamespace:
        if not self.present:
            raise _health.NotFound("No such container")
        return SimpleNamespace(id="cafe", attrs={"State": dict(self.state)}, logs=lambda tail: self.output)


@pytest.fixture(name="containers")
def fixture_containers(monkeypatch: pytest.MonkeyPatch) -> Containers:
    containers = Containers()
    monkeypatch.setattr(_health, "docker_client", lambda: SimpleNamespace(containers=containers))
    return containers


def test_everything_ready(health: t.Callable[..., Result]) -> None:
    result = health()
    assert not result.get("failed") and not result["changed"]
    assert result["live"] and result["ready"]
    assert result["models"] == [
        {"name": name, "version": "1", "state": "READY", "reason": ""} for name in ("ensemble", "lm")
    ]
    assert result["server"]["version"] == "2.51.0"
    assert result["waited"] == 0


def test_check_mode_also_checks(health: t.Callable[..., Result]) -> None:
    assert health(check=True)["ready"] is True


def test_only_requested_models_are_checked(health: t.Callable[..., Result]) -> None:
    assert [row["name"] for row in health(models=["ensemble"])["models"]] == ["ensemble"]


def test_the_module_waits_through_every_stage(stub: TritonStub, health: t.Callable[..., Result]) -> None:
    unavailable = as_json({"error": "try later"}, status=503)
    stub.routes["GET /v2/health/live"] = [unavailable, RECORDED["ok"]]
    stub.routes["GET /v2/health/ready"] = [RECORDED["not_ready"], RECORDED["not_ready"], RECORDED["ok"]]
    stub.routes["POST /v2/repository/index"] = [unavailable, RECORDED["index_loading"], RECORDED["index_ready"]]
    stub.routes["GET /v2/models/lm/ready"] = [RECORDED["model_not_ready"], RECORDED["ok"]]
    result = health()
    assert not result.get("failed")
    asked = [route for route, _body in stub.requests]
    assert asked.count("GET /v2/health/live") == 5
    assert asked.count("GET /v2/models/lm/ready") == 2


def test_a_refused_connection_means_not_ready_yet(
    closed_port: int, clock: Clock, health: t.Callable[..., Result]
) -> None:
    result = health(url=f"http://127.0.0.1:{closed_port}", deadline=2.5)
    assert clock.now == result["waited"] == 2.5
    assert result["failed"] and not result["live"]
    assert "not ready after 2.5 s, the server is not live" in result["msg"] and "refused" in result["msg"]


def test_a_stalled_server_does_not_exceed_the_deadline(
    stub: TritonStub, health: t.Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub.routes["GET /v2/health/live"] = STALL
    timeouts = noted_timeouts(monkeypatch)
    assert "did not respond in time" in health(deadline=0.5)["msg"]
    assert timeouts == [0.5, _http.MIN_SECONDS]


def test_no_proxy_is_used_for_loopback(
    monkeypatch: pytest.MonkeyPatch, closed_port: int, health: t.Callable[..., Result]
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")
    assert not health().get("failed")


def test_an_unavailable_model_fails_at_once(stub: TritonStub, health: t.Callable[..., Result]) -> None:
    stub.routes["GET /v2/health/ready"] = RECORDED["not_ready"]
    stub.routes["POST /v2/repository/index"] = RECORDED["index_broken"]
    result = health()
    assert result["waited"] == 0
    assert result["reason"].startswith("Internal: ValueError: Couldn't instantiate the backend tokenizer")
    assert (
        "model broken is UNAVAILABLE: Internal: ValueError" in result["msg"]
        and "Remedy: Install sentencepiece" in result["msg"]
    )
    assert result["explanations"][0]["id"] == "tokenizer"
    assert result["live"] and not result["ready"]


def test_a_failed_model_that_was_not_requested(stub: TritonStub, health: t.Callable[..., Result]) -> None:
    stub.routes["POST /v2/repository/index"] = RECORDED["index_broken"]
    assert not health(models=["ensemble"]).get("failed")
    # It does not matter either while another one is still loading.
    loading = json.loads(RECORDED["index_broken"]["parts"][0].replace('"lm","version":"1","state":"READY"', LM_LOADING))
    stub.routes["POST /v2/repository/index"] = [as_json(loading), RECORDED["index_broken"]]
    assert not health(models=["lm"]).get("failed")
    # A strict server never becomes ready with it.
    stub.routes["GET /v2/health/ready"] = RECORDED["not_ready"]
    assert "model broken is UNAVAILABLE" in health(models=["ensemble"])["msg"]


def test_a_model_that_is_not_in_the_repository(health: t.Callable[..., Result]) -> None:
    assert "model ensembel is not in the model repository" in health(models=["ensembel"])["msg"]


def test_the_message_at_the_deadline_says_what_is_missing(
    stub: TritonStub, health: t.Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last look is at the deadline; on a busy machine the stub may take longer to answer than a server may then.
    monkeypatch.setattr(_http, "MIN_SECONDS", _http.RESPONSE_SECONDS)
    stub.routes["GET /v2/health/ready"] = RECORDED["not_ready"]
    stub.routes["POST /v2/repository/index"] = RECORDED["index_loading"]
    result = health(deadline=2, models=["ensemble", "lm"])
    assert "the server is live, but not ready; ensemble is not loaded, lm is LOADING" in result["msg"]
    assert [row["state"] for row in result["models"]] == ["", "LOADING"]


def test_a_restricted_index(stub: TritonStub, health: t.Callable[..., Result]) -> None:
    stub.routes["POST /v2/repository/index"] = as_json({"error": "This API is restricted"}, status=403)
    assert not health(models=["ensemble"]).get("failed")
    assert "This API is restricted; if its model-repository API is restricted, set the models" in health()["msg"]


def test_a_unit_that_fails_during_the_wait(
    stub: TritonStub, unit: Unit, clock: Clock, health: t.Callable[..., Result]
) -> None:
    stub.routes["GET /v2/health/live"] = RECORDED["not_ready"]
    clock.while_asleep = lambda: unit.fail(LOAD_FAILURE)
    result = health(unit="trtllm.service")
    assert result["waited"] == 1
    assert "unit trtllm.service is failed (failed): result exit-code, exit status 1: failed to load" in result["msg"]
    assert "MPI size 1 != TP size 8 * PP size 1" in result["reason"]
    assert (
        result["explanations"][0]["id"] == "mpi_world_size"
        and "Remedy: Start tritonserver with mpirun" in result["msg"]
    )
    assert result["log"] == LOAD_FAILURE.splitlines()


@pytest.mark.parametrize(
    "changes",
    [{"NRestarts": "1"}, {"InvocationID": "bbbb"}, {"ActiveState": "activating", "SubState": "auto-restart"}],
    ids=["NRestarts", "InvocationID", "auto-restart"],
)
def test_a_restart_counts_as_a_failure(
    changes: dict[str, str], stub: TritonStub, unit: Unit, clock: Clock, health: t.Callable[..., Result]
) -> None:
    stub.routes["GET /v2/health/live"] = RECORDED["not_ready"]
    active = {"ActiveState": "active", "SubState": "running"}
    clock.while_asleep = lambda: unit.fail(LOAD_FAILURE, **{**active, **changes})
    result = health(unit="trtllm.service")
    assert result["waited"] == 1 and result["explanations"][0]["id"] == "mpi_world_size"
    # The journal of the invocation that failed, not of the next one.
    assert "_SYSTEMD_INVOCATION_ID=aaaa + INVOCATION_ID=aaaa" in (unit.folder / "asked").read_text(encoding="utf-8")


def test_one_restart_can_be_allowed(
    stub: TritonStub, unit: Unit, clock: Clock, health: t.Callable[..., Result]
) -> None:
    ready = stub.routes["GET /v2/health/live"]
    stub.routes["GET /v2/health/live"] = RECORDED["not_ready"]

    def restart() -> None:
        unit.set(ActiveState="activating", SubState="auto-restart", ExecMainStatus="134", Result="exit-code")
        clock.while_asleep = start

    def start() -> None:
        unit.set(NRestarts="1", InvocationID="bbbb")
        stub.routes["GET /v2/health/live"] = ready

    clock.while_asleep = restart
    result = health(unit="trtllm.service", restarts=1)
    assert not result.get("failed") and result["waited"] == 2
    assert "exit status 134. systemd has started it again." in str(result["warnings"])


@pytest.mark.parametrize(
    "changes",
    [
        {"NRestarts": "2", "InvocationID": "cccc"},
        {"NRestarts": "1", "InvocationID": "bbbb", "ActiveState": "activating", "SubState": "auto-restart"},
        {"NRestarts": "1", "InvocationID": "bbbb", "ActiveState": "failed", "SubState": "failed"},
        {"InvocationID": "bbbb"},
    ],
    ids=["twice", "about to", "failed", "by somebody"],
)
def test_more_than_the_allowed_restarts_fail(
    changes: dict[str, str], stub: TritonStub, unit: Unit, clock: Clock, health: t.Callable[..., Result]
) -> None:
    stub.routes["GET /v2/health/live"] = RECORDED["not_ready"]
    active = {"ActiveState": "active", "SubState": "running"}
    clock.while_asleep = lambda: unit.fail(LOAD_FAILURE, **{**active, **changes})
    assert health(unit="trtllm.service", restarts=1)["waited"] == 1


def test_the_log_is_that_of_the_last_failure(
    stub: TritonStub, unit: Unit, clock: Clock, health: t.Callable[..., Result]
) -> None:
    stub.routes["GET /v2/health/live"] = RECORDED["not_ready"]

    def restart() -> None:
        unit.set(NRestarts="1", InvocationID="bbbb")
        clock.while_asleep = lambda: unit.fail(LOAD_FAILURE, NRestarts="2", InvocationID="cccc")

    clock.while_asleep = restart
    result = health(unit="trtllm.service", restarts=1)
    assert "trtllm.service was restarted: 1 restarts. systemd has started it again." in str(result["warnings"])
    assert "_SYSTEMD_INVOCATION_ID=bbbb + INVOCATION_ID=bbbb" in (unit.folder / "asked").read_text(encoding="utf-8")


def test_a_stopped_or_missing_unit(unit: Unit, health: t.Callable[..., Result]) -> None:
    unit.set(ActiveState="inactive", SubState="dead")
    assert "unit trtllm.service is inactive (dead)" in health(unit="trtllm.service")["msg"]
    unit.set(LoadState="not-found", ActiveState="inactive")
    assert "unit trtllm.service does not exist" in health(unit="trtllm.service")["msg"]


def test_a_unit_that_starts_and_is_ready(unit: Unit, health: t.Callable[..., Result]) -> None:
    unit.set(ActiveState="activating", SubState="start-pre")
    assert not health(unit="trtllm.service").get("failed")


def test_a_unit_that_exits_successfully_without_a_message(unit: Unit, health: t.Callable[..., Result]) -> None:
    unit.fail("some line\n", ActiveState="inactive", Result="success", ExecMainStatus="0")
    result = health(unit="trtllm.service")
    assert result["explanations"][0]["id"] == "launch_script_returns" and "in the foreground" in result["msg"]


def test_a_container_that_exits_during_the_wait(
    stub: TritonStub, containers: Containers, clock: Clock, health: t.Callable[..., Result]
) -> None:
    stub.routes["GET /v2/health/live"] = RECORDED["not_ready"]
    containers.output = LOAD_FAILURE.encode()
    clock.while_asleep = lambda: containers.state.update(Status="exited", ExitCode=1)
    result = health(container="triton")
    assert result["waited"] == 1
    assert "container triton is exited: exit code 1: failed to load 'tensorrt_llm' version 1" in result["msg"]
    assert result["explanations"][0]["id"] == "mpi_world_size"


def test_a_container_killed_for_memory(containers: Containers, health: t.Callable[..., Result]) -> None:
    containers.state.update(Status="exited", ExitCode=137, OOMKilled=True)
    assert "exit code 137, killed by the out-of-memory killer" in health(container="triton")["msg"]


def test_a_container_that_does_not_start(containers: Containers, health: t.Callable[..., Result]) -> None:
    containers.state.update(Status="created", Error="")
    assert not health(container="triton").get("failed")
    containers.state["Error"] = "exec: mpirun: executable file not found"
    assert "container triton did not start: exec: mpirun" in health(container="triton")["msg"]


def test_a_container_that_was_restarted(
    stub: TritonStub, containers: Containers, clock: Clock, health: t.Callable[..., Result]
) -> None:
    stub.routes["GET /v2/health/live"] = RECORDED["not_ready"]
    clock.while_asleep = lambda: containers.state.update(StartedAt="later")
    assert "container triton was restarted" in health(container="triton")["msg"]


def test_a_missing_container(
    stub: TritonStub, unit: Unit, containers: Containers, clock: Clock, health: t.Callable[..., Result]
) -> None:
    containers.present = False
    assert "container triton does not exist" in health(container="triton")["msg"]
    # A unit may be about to create it, but once it exists it must not disappear.
    assert not health(container="triton", unit="trtllm.service").get("failed")
    containers.present = True
    stub.routes["GET /v2/health/live"] = RECORDED["not_ready"]
    clock.while_asleep = lambda: setattr(containers, "present", False)
    assert "container triton was removed" in health(container="triton", unit="trtllm.service")["msg"]


def test_docker_without_an_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch, closed_port: int, health: t.Callable[..., Result]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{closed_port}")
    message = health(container="triton")["msg"]
    assert message.startswith("cannot ask Docker about container triton: ")


def test_unknown_failures_show_the_last_lines(unit: Unit, health: t.Callable[..., Result]) -> None:
    unit.fail("".join(f"line {number}\n" for number in range(40)))
    result = health(unit="trtllm.service")
    assert "Last lines of the log:\nline 25\n" in result["msg"] and result["msg"].endswith("line 39.")
    assert len(result["log"]) == 40


def hanging(unit: Unit, stub: TritonStub, log: str) -> None:
    """The unit runs, but nobody answers."""
    stub.routes["GET /v2/health/live"] = RECORDED["not_ready"]
    (unit.folder / "log").write_text(log, encoding="utf-8")


@pytest.mark.parametrize(("release", "profile"), starts())
def test_warnings_of_a_healthy_start_are_no_cause(
    release: str, profile: str, stub: TritonStub, unit: Unit, health: t.Callable[..., Result]
) -> None:
    log = healthy_log(release, profile)
    hanging(unit, stub, log)
    result = health(unit="trtllm.service", deadline=1)
    assert result["explanations"] == [] and " cause (" not in result["msg"]
    assert result["msg"].rstrip(".").endswith(log.splitlines()[-1].rstrip("."))


def test_warnings_do_not_explain_an_unknown_error(unit: Unit, health: t.Callable[..., Result]) -> None:
    error = "[TensorRT-LLM][ERROR] Assertion failed: some new thing"
    unit.fail(healthy_log("0.9.0", "engine") + error)
    result = health(unit="trtllm.service")
    assert result["explanations"] == [] and " cause (" not in result["msg"] and error in result["msg"]


def test_the_log_is_shown_with_a_known_cause(unit: Unit, health: t.Callable[..., Result]) -> None:
    unit.fail(LOAD_FAILURE)
    message = health(unit="trtllm.service")["msg"]
    assert "Known cause (mpi_world_size): " in message
    assert "Last lines of the log:\n" + LOAD_FAILURE.strip() in message


def test_a_cause_that_the_reason_does_not_contain_is_only_possible(unit: Unit, health: t.Callable[..., Result]) -> None:
    unit.fail(f"NCCL WARN Call to posix_fallocate failed : No space left on device\n{LOAD_FAILURE}".replace("MPI", "x"))
    result = health(unit="trtllm.service")
    assert "failed to load 'tensorrt_llm' version 1" in result["reason"]
    assert "Possible cause (shm_size): /dev/shm of the container is too small" in result["msg"]
    assert "Last lines of the log:\n" in result["msg"]


def test_without_log_patterns_the_last_lines_are_shown(unit: Unit, health: t.Callable[..., Result]) -> None:
    unit.fail(LOAD_FAILURE)
    result = health(unit="trtllm.service", log_patterns=None)
    assert result["explanations"] == [] and "MPI size 1 != TP size 8" in result["reason"]
    assert "Last lines of the log:\n" in result["msg"]


def test_missing_packages(monkeypatch: pytest.MonkeyPatch, health: t.Callable[..., Result]) -> None:
    monkeypatch.setattr(_health, "DOCKER_IMPORT_ERROR", "no docker")
    assert "docker" in health(container="triton")["msg"]
    monkeypatch.setattr(triton_health, "REQUESTS_IMPORT_ERROR", "no requests")
    assert "requests" in health()["msg"]
