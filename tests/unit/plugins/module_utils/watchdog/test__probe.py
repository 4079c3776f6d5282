# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters that say whether a server works."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import typing as t
from pathlib import Path

import pytest
import requests
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._decision import (
    BUSY,
    HEALTHY,
    RESTART,
    Policy,
    Seen,
    State,
    decide,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.watchdog._probe import (
    SERVE_WORK,
    Probe,
    Prompt,
    last_iteration,
    probe_of,
    work_done,
)
from ansible_collections.tritonops.trtllm.tests.unit.support.mpi import needs_mpi
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import PROJECT, Serve, serve

TRITON = """\
# HELP nv_inference_request_success Number of successful inference requests
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="ensemble",version="1"} 3
nv_inference_request_success{model="tensorrt_llm",version="1"} 4
nv_inference_request_failure{model="ensemble",version="1",reason="OTHER"} 100
nv_inference_exec_count{model="tensorrt_llm",version="1"} 5
nv_inference_pending_request_count{model="tensorrt_llm",version="1"} 1000
nv_trt_llm_general_metrics{general_type="iteration_counter",model="tensorrt_llm",version="1"} 20
nv_trt_llm_general_metrics{general_type="timestamp",model="tensorrt_llm",version="1"} 1700074049
"""


@pytest.mark.parametrize(
    ("text", "work"),
    [
        (TRITON, 32),
        ('nv_trt_llm_general_statistics{general_type="iteration_counter",model="m",version="1"} 7\n', 7),
        ('trtllm_generation_tokens_total{model_name="m"} 1.5e3\n', 1500),
        ('request_success_total{model_name="undefined",finished_reason="stop"} 2.0\n', 2),
        ('trtllm_num_requests_waiting{model_name="m"} 5\n', None),
        ("nv_inference_pending_request_count 5\n", None),
        ("nv_inference_request_success{} 1.e.e\n", None),
        ("<html>", None),
        ("", None),
    ],
)
def test_work_is_what_only_grows_while_the_server_works(text: str, work: float | None) -> None:
    assert work_done(text) == work


@pytest.mark.parametrize(
    ("text", "iteration"),
    [
        ('[{"iter": 7, "numActiveRequests": 1}, {"iter": 9}]', 9),
        ("[]", None),
        ('[{"numActiveRequests": 1}]', None),
        ('{"detail": "Not Found"}', None),
        ("<html>", None),
        ("", None),
    ],
)
def test_the_last_iteration(text: str, iteration: float | None) -> None:
    assert last_iteration(text) == iteration


def test_the_counters_are_those_of_the_versions() -> None:
    """Each version counts some of them, with or without the prefix."""
    found = set()
    for version in CATALOGUE.serve.values():
        counted = {**version["metrics"]["requests"], **version["metrics"].get("late", {})}
        names = [name for name in SERVE_WORK if counted.get(name) == "counter"]
        text = "".join(f'{version["metrics"]["prefix"]}{name}{{model_name="m"}} 2.0\n' for name in names)
        assert names and work_done(text) == 2 * len(names)
        found.update(names)
    assert found == set(SERVE_WORK)


PROMPT = Prompt("Anna", 4)
TINY_MIXTRAL = PROJECT / "rehearsal/mixtral/tiny-mixtral"
CONFIG = "return_perf_metrics: true\nenable_iter_perf_stats: true\n"


def of_serve(port: int) -> Probe:
    proof = {"chat": False, "reasoning": False, "max_tokens": 4}
    return probe_of({"api": "openai", "endpoint": {"http_port": port, "model": "any"}, "proof": proof}, PROMPT)


@pytest.mark.parametrize("service", [None, {}, {"api": "other"}, {"api": "triton", "endpoint": None, "proof": {}}])
def test_a_record_that_does_not_say_how_to_ask_is_refused(service: t.Any) -> None:
    with pytest.raises(ModuleFailure, match="does not say how it is served"):
        probe_of(service, PROMPT)


@pytest.mark.parametrize("api", ["triton", "openai"])
def test_a_server_that_nobody_runs(api: str) -> None:
    endpoint = {"http_port": 9, "ports": [9, 9, 9], "model": "any"}
    probe = probe_of({"api": api, "endpoint": endpoint, "proof": {}}, PROMPT)
    assert "cannot be reached: Connection refused" in probe.ask(1)
    assert "cannot be reached: Connection refused" in probe.prove(1)
    assert probe.progress() is None


def test_an_address_with_colons() -> None:
    service = {"api": "openai", "endpoint": {"address": "::1", "http_port": 9, "model": "any"}, "proof": {}}
    assert "http://[::1]:9 cannot be reached" in probe_of(service, PROMPT).ask(1)


class Watched:
    """A server, watched as the role does by default."""

    def __init__(self, probe: Probe) -> None:
        self.probe, self.state, self.actions = probe, State(), ()

    def look(self) -> State:
        fault = self.probe.ask(4)
        seen = Seen("active", "a1", 5000, fault, self.probe.progress())
        self.state, self.actions = decide(Policy(), self.state, seen, time.time())
        return self.state


@contextlib.contextmanager
def served(folder: Path, *options: str, version: str = "1.2.1", mpi: bool = False) -> t.Iterator[Serve]:
    config = folder / "config.yml"
    config.write_text(CONFIG, encoding="utf-8")
    given = ("--extra_llm_api_options", str(config), *options)
    with serve(folder, TINY_MIXTRAL, *given, version=version, mpi=mpi) as server:
        yield server


@pytest.mark.parametrize("version", ["1.0.0", "1.3.0rc29"])
def test_a_server_that_answers_makes_progress_and_is_proved(tmp_path: Path, version: str) -> None:
    with served(tmp_path, version=version) as server:
        probe = of_serve(server.port)
        assert probe.ask(20) == ""
        before = probe.progress()
        assert before
        fault = probe.prove(20)
        # The tiny model's weights are random.
        assert fault == "" or fault.startswith("the completion is not an answer")
        after = probe.progress()
        assert after and after > before
        # Nothing was asked since, and reading is no work.
        still = probe.progress()
        assert still is None or still <= after


def test_an_answer_that_has_not_ended_is_progress(tmp_path: Path) -> None:
    """This version only counts requests that have ended."""
    with served(tmp_path, version="1.2.1") as server:
        probe = of_serve(server.port)
        body = {"model": "any", "prompt": "Anna", "max_tokens": 400, "ignore_eos": True}
        thread = threading.Thread(target=server.post, args=("/v1/completions", body))
        thread.start()
        seen = []
        while thread.is_alive():
            seen.append(probe.progress())
        # The last one may be from after the answer.
        assert len(set(filter(None, seen[:-1]))) > 1


@pytest.mark.long
@pytest.mark.parametrize("version", ["1.2.1", "1.3.0rc29"])
def test_a_busy_server_is_not_hung(tmp_path: Path, version: str) -> None:
    """All slots are taken by requests that last longer than the watchdog waits."""
    with served(tmp_path, "--max_batch_size", "1", version=version) as server:
        watched = Watched(of_serve(server.port))
        assert watched.look().phase == HEALTHY
        body = {"model": "any", "prompt": "Anna", "max_tokens": 400, "ignore_eos": True}
        until = time.monotonic() + 14

        def load() -> None:
            while time.monotonic() < until:
                with contextlib.suppress(requests.RequestException):
                    requests.post(f"{server.url}/v1/completions", json=body, timeout=60)

        threads = [threading.Thread(target=load, daemon=True) for _number in range(12)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        phases = []
        while time.monotonic() < until - 4:
            phases.append(watched.look().phase)
            assert not watched.state.out and RESTART not in watched.actions
        assert BUSY in phases, phases
        for thread in threads:
            thread.join()


@pytest.mark.long
@needs_mpi
@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_worker_is_noticed_within_30_seconds(tmp_path: Path, with_signal: int) -> None:
    with served(tmp_path, "--tp_size", "2", mpi=True) as server:
        watched = Watched(of_serve(server.port))
        assert watched.look().phase == HEALTHY
        victim = server.children()[-1]
        os.kill(victim, with_signal)
        begin = time.monotonic()
        try:
            while not watched.look().out:
                assert time.monotonic() - begin < 30
                time.sleep(3)
            assert time.monotonic() - begin < 30 and server.get("/health").ok
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
