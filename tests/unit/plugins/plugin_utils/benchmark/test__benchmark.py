# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is measured, and what the figures mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.benchmark._benchmark import (
    CannotMeasure,
    check_comparable,
    entry_key,
    figure_lines,
    power_of,
    regressions,
    report_of,
    rows_of,
    settings_of,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._files import read_benchmarks
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import host, host_plan

URL = {"url": "http://127.0.0.1:8000"}
ABOUT = {"deployment": "default", "hosts": ["one"], "generator": "aiperf 0.13.0 on localhost", "measured": "2026-11-28"}


def plan(**options: Any) -> dict[str, Any]:
    planned: dict[str, Any] = host_plan(host(), **{"model": "mixtral-8x7b-instruct", **options})["deployments"][
        "default"
    ]
    return planned


def level(at_once: int = 8, **figures: Any) -> dict[str, Any]:
    times = {"mean": 0.1, "p50": 0.1, "p90": 0.2, "p99": 0.3}
    return {
        "at_once": at_once,
        "generator": "aiperf 0.13.0",
        "answered": 64,
        "failed": 0,
        "errors": [],
        "started": 1795888800.0,
        "ended": 1795888804.0,
        "seconds": 4.0,
        "prompt_tokens": 512.0,
        "answer_tokens": 256.0,
        "requests_per_second": 16.0,
        "tokens_per_second": 400.0,
        "first_token": times,
        "between_tokens": times,
        "end_to_end": times,
        "good_per_second": None,
        "good_fraction": None,
        **figures,
    }


def report(settings: dict[str, Any] | None = None, levels: Any = None, baseline: Any = None) -> dict[str, Any]:
    made = plan()
    return report_of(levels or [level()], made, settings or settings_of(made, URL, 1), baseline, [[]], **ABOUT)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_the_estimate_says_what_is_measured_so_that_they_can_be_compared() -> None:
    made = plan()
    found = settings_of(made, URL, 1)
    assert found["at_once"] == [row["at_once"] for row in made["estimate"]["rows"]]
    assert (found["prompt_tokens"], found["answer_tokens"]) == (512, 256)
    assert (found["api"], found["model"], found["exact"]) == ("triton", "ensemble", True)
    assert settings_of(made, URL, 3)["at_once"] == [3 * number for number in found["at_once"]]


def test_a_plan_without_an_estimate_is_measured_within_its_limits() -> None:
    made = {**plan(limits={"max_batch_size": 4, "max_seq_len": 300}), "estimate": {"rows": []}}
    found = settings_of(made, URL, 1)
    assert found["at_once"] == [1, 4]
    assert found["prompt_tokens"] + found["answer_tokens"] <= 300


def test_what_is_set_is_measured() -> None:
    given = {**URL, "at_once": [4, 1, 4], "prompt_tokens": 10, "answer_tokens": 20, "objective": {"first_token": None}}
    found = settings_of(plan(), given, 1)
    assert (found["at_once"], found["prompt_tokens"], found["answer_tokens"]) == ([1, 4], 10, 20)
    assert (found["objective"], found["seconds"], found["regression"]) == ({}, 120, 10)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"at_once": [100000]}, "at_once: 100000 requests are more than"),
        ({"prompt_tokens": 100000}, "prompt_tokens, answer_tokens: 100000 and 256"),
        ({"answer_tokens": 100000}, "512 and 100000 tokens are more than"),
    ],
)
def test_what_the_limits_do_not_allow_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(CannotMeasure, match=words):
        settings_of(plan(), {**URL, **given}, 1)


def test_each_profile_is_asked_in_its_own_way() -> None:
    serve = settings_of(plan(model="llama-3.1-8b-instruct", profile="serve", release="1.2.1"), URL, 1)
    assert (serve["api"], serve["stream"], serve["exact"]) == ("openai", True, True)
    llmapi = settings_of(plan(model="llama-3.1-8b-instruct", profile="llmapi", release="1.2.1"), URL, 1)
    assert (llmapi["api"], llmapi["stream"], llmapi["exact"]) == ("triton", False, False)
    assert llmapi["max_tokens_field"] == "sampling_param_max_tokens"
    plain = settings_of(plan(streaming=False), URL, 1)
    assert (plain["stream"], plain["exact"]) == (False, True)


def test_an_objective_that_is_not_measured_is_refused() -> None:
    made = plan(streaming=False)
    assert settings_of(made, {**URL, "objective": {"end_to_end": 9.0}}, 1)["objective"] == {"end_to_end": 9.0}
    with pytest.raises(CannotMeasure, match="not streamed, so only end_to_end"):
        settings_of(made, {**URL, "objective": {"first_token": 1.0}}, 1)


# --- power ------------------------------------------------------------------------------------------------------------

# As nvidia-smi writes it.
SAMPLES = """\
2026/11/28 17:59:59.900, 0, 60.00
2026/11/28 18:00:00.900, 0, 300.00
2026/11/28 18:00:00.905, 1, 310.50
2026/11/28 18:00:01.900, 0, 320.00
2026/11/28 18:00:01.905, 1, [N/A]
2026/11/28 18:00:05.000, 0, 60.00
2026/11/28 18:""".splitlines()


def test_the_power_is_the_mean_of_each_gpu_while_requests_were_under_way() -> None:
    assert power_of(SAMPLES, level()) == 310 + 310.5
    assert power_of([], level()) is None
    assert power_of(SAMPLES, level(started=None, ended=None)) is None


def test_the_energy_of_a_token() -> None:
    (row,) = rows_of([level()], [SAMPLES, SAMPLES])
    assert (row["power"], row["joules_per_token"]) == (1241, 1241 / 400)
    (row,) = rows_of([level()], [SAMPLES, []])
    assert (row["power"], row["joules_per_token"]) == (None, None)
    assert rows_of([level()], [])[0]["power"] is None


# --- regressions ------------------------------------------------------------------------------------------------------


def slower(**figures: Any) -> list[str]:
    return list(regressions(rows_of([level(**figures)], []), rows_of([level()], []), 10))


def test_only_what_is_worse_by_more_is_a_regression() -> None:
    times = {"mean": 0.111, "p50": 0.1, "p90": 0.2, "p99": 0.3}
    assert slower() == slower(tokens_per_second=361.0) == slower(tokens_per_second=900.0) == []
    assert slower(tokens_per_second=359.0) == [
        "8 requests at once: tokens per second fell from 400.0 to 359.0 (-10 %)",
    ]
    assert slower(first_token=times) == ["8 requests at once: first token rose from 100.0 to 111.0 ms (+11 %)"]
    assert slower(between_tokens=times)[0].startswith("8 requests at once: between tokens rose")
    assert slower(end_to_end=times)[0].startswith("8 requests at once: end to end rose")
    assert slower(answered=50, failed=14) == ["8 requests at once: failed requests rose from 0 to 21.9 %"]
    assert slower(first_token=None) == slower(at_once=9, tokens_per_second=1.0) == []


def test_a_baseline_must_have_been_measured_in_the_same_way() -> None:
    before = report()
    settings = settings_of(plan(), URL, 1)
    check_comparable(settings, before)
    with pytest.raises(CannotMeasure, match="measured with hosts 1, prompt_tokens 512"):
        check_comparable({**settings, "prompt_tokens": 9, "hosts": 2}, before)


# --- the report -------------------------------------------------------------------------------------------------------


def test_a_result_is_read_as_a_measured_benchmark(tmp_path: Path) -> None:
    made, path = plan(), tmp_path / "result.json"
    path.write_text(json.dumps({entry_key(made, 1): report()}))
    found = read_benchmarks(str(path))[made["estimate"]["key"]]
    row = {"at_once": 8, "tokens_per_second": 400.0, "first_token": 0.1, "between_tokens": 0.1}
    assert found == {"prompt_tokens": 512, "answer_tokens": 256, "rows": [row]}


def test_the_figures_of_several_hosts_do_not_replace_the_estimate_of_one() -> None:
    made = plan()
    assert entry_key(made, 2) != entry_key(made, 1) == made["estimate"]["key"]
    assert report(settings_of(made, URL, 2))["estimate"] == []


def test_a_report_compares_with_its_baseline() -> None:
    before = report()
    after = report(levels=[level(tokens_per_second=200.0)], baseline=before)
    assert len(after["regressions"]) == 1 and before["regressions"] == [] and before["baseline"] is None
    assert set(after["baseline"]) == {"release_id", "measured", "rows"}


def test_figures_as_text() -> None:
    assert list(figure_lines(report(levels=[level(1, first_token=None, between_tokens=None, failed=3)]))) == [
        "measured for prompts of 512 and answers of 256 tokens:",
        "1 request at once: 400.0 tokens/s, end to end 100.0 ms, 3 failed",
    ]
