# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans as tables."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._table import plan_table
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, IMAGE, accepted, host, host_plan

MIXTRAL = "mixtral-8x7b-instruct"
SMALL = {"model": "smollm2-135m-instruct", "server": {"http_port": 8010, "grpc_port": 8011, "metrics_port": 8012}}


def table_of(facts: dict[str, Any] | None = None, **options: Any) -> list[str]:
    return plan_table({"one": host_plan(facts, **{"model": MIXTRAL, **options})}).splitlines()


def rows(facts: dict[str, Any] | None = None, **options: Any) -> dict[str, list[str]]:
    """The words of each line, by its first word; nothing may be refused."""
    lines = table_of(facts, **options)
    assert lines[1] != "This cannot work:", lines
    return {words[0]: words[1:] for line in lines if (words := line.split())}


def test_a_table_shows_steps_sizes_and_what_is_left() -> None:
    table = rows(model="mixtral-8x7b", parallelism={"tensor": 8})
    assert table["image"][:3] == ["pull", "50", "GB"] and table["image"][3].startswith("nvcr.io/")
    assert table["weights"] == ["fetch", "93.4", "GB", "mistralai/Mixtral-8x7B-v0.1", "at", "fc7ac94680e3"]
    assert table["checkpoint"][0] == "convert" and table["engine"][0] == "build"
    assert " ".join(table["service"]).startswith("start grpc at 127.0.0.1:8001, http at 127.0.0.1:8000")
    assert " ".join(table["KV"]) == "cache 1583072 tokens of 16 KiB: 96 sequences of 16384 tokens at once"
    assert "40.0 GiB: runtime 1.5 GiB, weights 11.1 GiB" in " ".join(table["each"])
    assert " ".join(table["disk"]).endswith("in total)")
    assert " ".join(table["convert"]) == "native: converts the safetensors without a GPU or a container"
    assert table["memory"][:2] == ["1.07", "GB"]
    assert table["security"][1:3] == ["known", "CVEs"]


def test_the_state_of_the_profile_upstream_is_shown() -> None:
    assert rows()["upstream"] == ["profile", "engine:", "frozen", "since", "26.07"]
    assert rows(profile="serve", release="1.2.1")["upstream"] == ["profile", "serve:", "current"]


def test_a_table_for_trtllm_serve_shows_its_api_and_defaults() -> None:
    table = rows(profile="serve", release="1.2.1", server={"address": "127.0.0.1", "http_port": 8123})
    assert " ".join(table["service"]) == "start http at 127.0.0.1:8123"
    assert " ".join(table["clients"]) == f"the OpenAI API, with the model {MIXTRAL}; parsers: none"
    assert "keep trtllm-serve on loopback" in " ".join(table["security"])
    assert table["default"]
    assert not {"backend", "checkpoint", "engine", "convert"} & set(table)


def test_the_chosen_parsers_are_shown() -> None:
    shape = CATALOGUE.models["qwen2.5-7b-instruct"]["shape"]
    qwen = {"repository": "Qwen/Qwen3-8B", "revision": "a" * 40, "architecture": "Qwen3ForCausalLM", "shape": shape}
    table = rows(model=qwen, profile="serve", release="1.2.1")
    assert " ".join(table["clients"]).endswith("qwen3-8b; parsers: reasoning qwen3, tools qwen3")


def test_the_speed_is_labelled_and_has_a_line_for_each_number_of_requests() -> None:
    lines = table_of(price_per_hour=30, limits={"max_batch_size": 8})
    start = next(number for number, line in enumerate(lines) if line.startswith("speed "))
    head = "speed     estimated, not measured, for prompts of 512 and answers of 256 tokens:"
    assert lines[start] == head
    assert re.fullmatch(
        r"          1 request at once: \d+ tokens/s, first token [\d.]+ ms, between tokens [\d.]+ ms, "
        r"[\d.]+ per million tokens",
        lines[start + 1],
    )
    assert lines[start + 2].startswith("          8 requests at once: ")


def test_a_measured_speed_is_labelled() -> None:
    plan = host_plan(model=MIXTRAL)
    plan["deployments"]["default"]["estimate"]["measured"] = True
    assert "speed     measured for prompts" in plan_table({"one": plan})


def test_existing_artifacts_have_no_size() -> None:
    key = accepted()["artifacts"]["weights"]["key"]
    assert rows(host(artifacts=[f"weights/{key}"]))["weights"][0:2] == [
        "reuse",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
    ]


def test_an_unknown_host_has_no_gpu_budget() -> None:
    table = rows({}, gpus_required=False, profile="llmapi")
    assert not {"each", "KV", "memory", "convert", "checkpoint", "engine"} & set(table)
    assert table["warning"]


def test_weights_from_a_folder_are_shown_with_its_path() -> None:
    assert rows(weights={"path": "/srv/mixtral"})["weights"][-1] == "/srv/mixtral"


def test_hosts_with_the_same_plan_share_a_table() -> None:
    same, other = host_plan(model=MIXTRAL), host_plan(model="llama-3.1-8b")
    table = plan_table({"a": same, "b": other, "c": same, **{f"d{number}": same for number in range(10)}})
    heads = [line for line in table.splitlines() if line.startswith("==")]
    assert heads == ["== a, c, d0, d1, d2 and 7 more", "== b"]


def test_a_refused_plan_only_shows_refusals() -> None:
    lines = table_of(precision="int3", root="x", server={"address": "0.0.0.0"})
    assert lines[:2] == ["== one", "This cannot work:"]
    assert [line.split(" = ")[0] for line in lines[2:]] == ["- trtllm_precision", "- trtllm_root"]


def test_a_refusal_shows_how_to_waive_it() -> None:
    assert table_of(server={"address": "0.0.0.0"})[-1].endswith(
        "(or accept it: trtllm_waive: [exposed_vulnerable_release])"
    )


@pytest.mark.parametrize("release", CATALOGUE.releases)
@pytest.mark.parametrize("shape", ["BM.GPU4.8", "rehearsal"])
def test_any_plan_can_be_shown(release: str, shape: str) -> None:
    for profile in ("engine", "llmapi"):
        request = {"release": release, "profile": profile, "image": IMAGE, "gpus_required": False}
        assert table_of(host(shape), **request)[0] == "== one"


# --- several deployments of a host


def test_a_single_deployment_with_all_gpus_has_no_heading_and_no_gpu_line() -> None:
    lines = table_of(parallelism={"tensor": 8})
    assert not [line for line in lines if line.startswith(("-- ", "GPUs "))]


@pytest.mark.parametrize(
    ("shape", "options", "end"),
    [
        ("VM.GPU.A10.1", {}, "on 1 GPU"),
        ("VM.GPU.A10.2", {}, "on 2 GPUs"),
        ("rehearsal", {"gpus_required": False}, "without GPUs"),
    ],
)
def test_the_heading_counts_the_gpus(shape: str, options: dict[str, Any], end: str) -> None:
    assert table_of(host(shape), model="smollm2-135m-instruct", **options)[1].endswith(f" {end}")


def test_each_deployment_has_its_own_part_and_the_gpus_are_shared_out() -> None:
    lines = table_of(gpus=4, parallelism={"tensor": 4}, deployments={"small": {**SMALL, "gpus": [6]}})
    heads = [line for line in lines if line.startswith(("==", "--"))]
    assert heads == ["== one", "-- deployment default", "-- deployment small"]
    assert [line.split()[:2] for line in lines].count(["weights", "fetch"]) == 2
    assert "GPUs      0-3 default, 6 small, 4-5, 7 unused" in lines


def test_unused_gpus_are_shown_for_a_single_deployment() -> None:
    assert "GPUs      0-3 default, 4-7 unused" in table_of(gpus=4, parallelism={"tensor": 4})


def test_a_refusal_of_one_deployment_is_all_that_is_shown() -> None:
    lines = table_of(deployments={"small": {**SMALL, "gpus": 1, "precision": "int3"}})
    assert lines[1] == "This cannot work:" and lines[2].startswith("- trtllm_deployments.small.precision = 'int3'")
    assert len(lines) == 3


def test_a_warning_of_the_host_is_in_its_table() -> None:
    (warning,) = (line for line in table_of(host(deployments={"old": "x-1"})) if "old" in line)
    assert warning.startswith("warning   deployment old is served on this host, but is not in the inventory")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "max_batch_size 64, max_input_len 8192, max_seq_len 16384, max_num_tokens 8192 (chosen by the plan)"),
        (
            {"max_batch_size": 4, "max_seq_len": 4096},
            "max_batch_size 4, max_input_len 2048, max_seq_len 4096, max_num_tokens 8192 (chosen by the plan, except"
            " max_batch_size, max_seq_len)",
        ),
        (
            {"max_batch_size": 4, "max_input_len": 16, "max_seq_len": 64, "max_num_tokens": 32},
            "max_batch_size 4, max_input_len 16, max_seq_len 64, max_num_tokens 32 (set by trtllm_limits)",
        ),
    ],
)
def test_limits_are_shown_with_what_set_them(given: dict[str, int], words: str) -> None:
    assert " ".join(rows(limits=given)["limits"]) == words


def test_facts_that_are_not_verified_are_counted_and_shown_on_request() -> None:
    release = CATALOGUE.releases["1.2.1"]
    plans = {"one": host_plan(model=MIXTRAL, release="1.2.1")}
    short, long = (plan_table(plans, verbose=verbose).splitlines() for verbose in (False, True))
    count = len(release["unverified"])
    assert count > 1 and f"catalogue {count} unverified facts about TensorRT-LLM 1.2.1 (shown with -v)" in short
    assert f"notes     {len(release['notes'])} about TensorRT-LLM 1.2.1 (shown with -v)" in short
    assert f"- {release['unverified'][0]}" in long and f"- {release['unverified'][0]}" not in short
    assert f"catalogue {count} unverified facts about TensorRT-LLM 1.2.1:" in long
    assert f"- {release['notes'][0]}" in long


def test_a_driver_that_was_not_checked_is_no_warning() -> None:
    table = rows(host(driver_version=None))
    assert " ".join(table["driver"]) == "not known, so not checked; the image was built for 590.44.01"
    assert "driver" not in rows() and "warning" not in table


@pytest.mark.parametrize(
    ("address", "words"), [("127.0.0.1", "keep Triton on loopback"), ("10.0.0.1", "only a gateway may reach Triton")]
)
def test_advice_about_cves_fits_the_address(address: str, words: str) -> None:
    table = rows(server={"address": address}, waive=["exposed_vulnerable_release"])
    assert words in " ".join(table["security"])
