# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real load generator measures Triton on the rehearsed site, and trtllm-serve behind a real gateway.

Its environment is in .cache/benchmark, where `make stage` installs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils.benchmark._generator import OPENAI, Load, Target
from ansible_collections.tritonops.trtllm.plugins.module_utils.benchmark._run import measure
from ansible_collections.tritonops.trtllm.tests.unit.gateway.fleet import Fleet
from ansible_collections.tritonops.trtllm.tests.unit.support.serve_process import Serve, serve
from site_under_test import MODELS, PROJECT, Site

pytestmark = pytest.mark.long

ROOT = (PROJECT / ".cache").resolve() / "benchmark"
TINY = PROJECT / "rehearsal/mixtral/tiny-mixtral"
PROMPT, ANSWER, EACH = 32, 8, 3


class ServedFleet(Fleet):
    """The deployment `chat` is trtllm-serve, the same process on both hosts."""

    def __init__(self, folder: Path, server: Serve) -> None:
        self.port_of_chat = server.port
        super().__init__(folder)

    def model_server(self, name: str) -> Any:
        found = super().model_server(name)
        if name == "chat":
            found.server_address = ("127.0.0.1", self.port_of_chat)
        return found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("benchmarks")


def options(results: Path, **changed: Any) -> dict[str, Any]:
    of_requests = {"prompt_tokens": PROMPT, "answer_tokens": ANSWER, "each": EACH, "seconds": 60}
    where = {"url": MODELS.removesuffix("/v2/models"), "dest": str(results), "root": str(ROOT)}
    return {"trtllm_benchmark": {**where, **of_requests, "objective": {"end_to_end": 60}, **changed}}


def own(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The generator's results, and what it recorded of each request that counts."""
    lines = (folder / "profile_export.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if record["metadata"]["benchmark_phase"] == "profiling"]
    return json.loads((folder / "profile_export_aiperf.json").read_text()), records


def mean(records: list[dict[str, Any]], metric: str) -> float:
    """In seconds."""
    return fmean(record["metrics"][metric]["value"] for record in records) / 1000


def result_in(results: Path) -> tuple[str, dict[str, Any]]:
    (path,) = (path for path in results.glob("*.json") if ".baseline." not in path.name)
    ((key, result),) = json.loads(path.read_text()).items()
    return key, result


def test_triton_is_measured(site: Site, results: Path, tmp_path: Path) -> None:
    played = site.play("benchmark", variables=options(results, at_once=[1, 2]))
    assert played.returncode == 0, played.output[-3000:]
    assert "2 at once: " in played.output and "requests" in played.output
    key, result = result_in(results)
    assert key == site.plan(tmp_path / "plan.json")["estimate"]["key"]
    assert [row["at_once"] for row in result["rows"]] == [1, 2]
    for row in result["rows"]:
        found, records = own(ROOT / "results" / str(row["at_once"]))
        assert len(records) == row["level"]["answered"] == EACH * row["at_once"] and row["level"]["failed"] == 0
        # Each token is an event, so every answer has exactly as many as were requested.
        assert {len(record["metrics"]["inter_chunk_latency"]["value"]) for record in records} == {ANSWER - 1}
        seconds = found["benchmark_duration"]["avg"]
        assert row["tokens_per_second"] == pytest.approx(len(records) * ANSWER / seconds)
        assert row["first_token"] == pytest.approx(mean(records, "time_to_first_token"))
        assert row["end_to_end"] == pytest.approx(mean(records, "request_latency"))
        between = (row["end_to_end"] - row["first_token"]) / (ANSWER - 1)
        assert row["between_tokens"] == pytest.approx(between, rel=0.01)
        assert row["level"]["good_per_second"] == pytest.approx(row["level"]["requests_per_second"])
    (page,) = results.glob("*.html")
    assert f"answers of {ANSWER} tokens" in page.read_text()


def test_the_plan_shows_what_was_measured(site: Site, results: Path) -> None:
    (path,) = (path for path in results.glob("*.json") if ".baseline." not in path.name)
    played = site.play("plan", variables={"trtllm_benchmarks": str(path)})
    assert f"measured for prompts of {PROMPT} and answers of {ANSWER} tokens" in played.output


def test_a_slower_server_fails_the_run(site: Site, results: Path) -> None:
    (path,) = results.glob("*.baseline.json")
    baseline = json.loads(path.read_text())
    for result in baseline.values():
        result["rows"][0]["tokens_per_second"] *= 100
    path.write_text(json.dumps(baseline))
    played = site.play("benchmark", variables=options(results, at_once=[1], each=1))
    assert played.returncode != 0
    assert "1 request at once: tokens per second fell from" in played.output
    assert "Worse than the baseline" in next(results.glob("*.html")).read_text()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"url": ""}, ["trtllm_benchmark.url is not set", "ssh -N -L 8000:127.0.0.1:8000 rehearsal"]),
        ({"at_once": [100000]}, ["100000 requests are more than", "max_batch_size"]),
        ({"answer_tokens": 9, "at_once": [1]}, ["the baseline was measured with answer_tokens 8"]),
    ],
)
def test_what_cannot_be_measured_is_refused_before(
    site: Site, results: Path, changed: dict[str, Any], words: list[str]
) -> None:
    played = site.play("benchmark", variables=options(results, **changed))
    assert played.returncode != 0
    text = " ".join(played.output.split())
    assert [part for part in words if part not in text] == []
    assert "Measure the deployment" not in played.output


# --- trtllm-serve behind a gateway ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    limits = ("--max_batch_size", "4", "--max_seq_len", "128", "--served_model_name", "chat")
    with serve(tmp_path_factory.mktemp("serve"), TINY, *limits, version="1.3.0rc29") as server:
        fleet = ServedFleet(tmp_path_factory.mktemp("fleet"), server)
        yield fleet
        fleet.close()


def measured(fleet: Fleet, folder: Path, key: str) -> list[dict[str, Any]]:
    target = Target(fleet.url, OPENAI, "chat", stream=True, exact=True, key=key)
    load = Load(PROMPT, ANSWER, str(TINY), each=EACH, seconds=60)
    return measure(str(ROOT / "venv/bin/aiperf"), target, load, [2], str(folder), str(fleet.ca))


def test_a_server_is_measured_through_the_gateway(fleet: Fleet, tmp_path: Path) -> None:
    (level,) = measured(fleet, tmp_path / "results", fleet.KEY)
    found, records = own(tmp_path / "results" / "2")
    assert len(records) == level["answered"] == 2 * EACH and level["failed"] == 0
    assert {record["metrics"]["usage_completion_tokens"]["value"] for record in records} == {ANSWER}
    assert level["prompt_tokens"] == PROMPT
    # Its clock begins and ends at other moments, which is more on a busy machine.
    assert level["tokens_per_second"] == pytest.approx(found["output_token_throughput"]["avg"], rel=0.3)
    assert level["tokens_per_second"] == pytest.approx(2 * EACH * ANSWER / found["benchmark_duration"]["avg"])
    assert level["first_token"]["mean"] == pytest.approx(mean(records, "time_to_first_token"))
    assert level["between_tokens"]["mean"] == pytest.approx(mean(records, "inter_token_latency"))
    kept = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert [path for path in kept if fleet.KEY in path.read_text(errors="replace")] == []


def test_an_unknown_key_is_named_in_the_error(fleet: Fleet, tmp_path: Path) -> None:
    with pytest.raises(ModuleFailure, match="a request failed with 401") as caught:
        measured(fleet, tmp_path / "results", "sk-unknown")
    assert "sk-unknown" not in str(caught.value)
