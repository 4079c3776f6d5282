# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version of trtllm-serve is chosen."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._planner import make_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._serve_version import safe_versions
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, host

NEW_DRIVER = "615.65.02"


def unset(facts: dict[str, Any], **request: Any) -> dict[str, Any]:
    """A plan without a version."""
    return make_plan({"model": "qwen2.5-7b-instruct", "profile": "serve", **request}, facts, CATALOGUE)


def test_the_default_version_has_no_known_vulnerabilities() -> None:
    assert safe_versions(CATALOGUE) == ["1.3.0rc29"]
    made = unset(host("VM.GPU.A10.1", driver_version=NEW_DRIVER))
    assert (made["refusals"], made["release"], made["vulnerabilities"]) == ([], "1.3.0rc29", [])


@pytest.mark.parametrize(
    ("shape", "driver", "said"),
    [
        ("BM.GPU.L40S.4", NEW_DRIVER, "with more than 1 GPU"),
        ("VM.GPU.A10.1", "580.95.05", "with a driver older than 615 (this host has 580.95.05)"),
    ],
)
def test_a_version_that_nobody_has_run_so_is_asked_for(shape: str, driver: str, said: str) -> None:
    (refusal,) = unset(host(shape, driver_version=driver))["refusals"]
    assert refusal["variable"] == "trtllm_release"
    assert f"1.3.0rc29 (nobody is known to have run it {said})" in refusal["message"]
    assert "1.2.1 (has" in refusal["message"]
    chosen = unset(host(shape, driver_version=driver), release="1.3.0rc29")
    assert any(said in text for text in chosen["warnings"])
    assert unset(host(shape, driver_version=driver), release="1.2.1")["refusals"] == []


def test_a_driver_that_runs_no_safe_version_is_refused() -> None:
    found = unset(host("VM.GPU.A10.1", driver_version="550.10"))["refusals"]
    assert any("use trtllm_release 1.0.0" in entry["message"] for entry in found)


def test_without_gpus_nothing_is_asked() -> None:
    made = unset(host("rehearsal"), gpus_required=False, parallelism={"tensor": 3}, model="smollm2-135m-instruct")
    assert (made["refusals"], made["release"]) == ([], "1.3.0rc29")


@pytest.mark.parametrize(("given", "near"), [("1.2.0", "1.2.1"), ("1.3.0rc28", "1.3.0rc29"), ("1.1", "1.1.0")])
def test_another_version_is_refused_with_the_nearest(given: str, near: str) -> None:
    made = unset(host("VM.GPU.A10.1"), release=given)
    refusals = {entry["variable"]: entry["message"] for entry in made["refusals"]}
    assert f"did you mean {near}?" in refusals["trtllm_release"]
