# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON report and the table of preflight."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.tritonops.trtllm.plugins.filter.preflight_report import preflight_report
from ansible_collections.tritonops.trtllm.plugins.filter.preflight_table import preflight_table
from ansible_collections.tritonops.trtllm.rehearsal.gpu.recordings import L40S
from ansible_collections.tritonops.trtllm.tests.unit.support.gpu_stand_in import answers


def finding(
    name: str, severity: str = "error", message: str = "seen", remedy: str = "do it", waivable: bool = True
) -> dict[str, Any]:
    return {"id": name, "severity": severity, "message": message, "remedy": remedy, "waivable": waivable}


def facts(**described: Any) -> dict[str, Any]:
    found = answers(**described)
    return {"gpus": {"driver_version": found["driver_version"], "devices": found["gpus"]}}


FOUND = {"findings": [finding("os_untested", "warning"), finding("mig_mode"), finding("memory")], "facts": {"a": 1}}


def test_waived_findings_are_counted_separately_and_come_last() -> None:
    report = preflight_report(FOUND, ["memory"])
    assert (report["errors"], report["warnings"], report["waived"]) == (1, 1, 1)
    assert [(entry["id"], entry["waived"]) for entry in report["findings"]] == [
        ("mig_mode", False),
        ("os_untested", False),
        ("memory", True),
    ]
    assert report["facts"] == {"a": 1} and json.dumps(report)


def test_findings_that_cannot_be_waived_are_not_waived() -> None:
    report = preflight_report({"findings": [finding("gpu_count", waivable=False)]}, ["gpu_count"])
    assert (report["errors"], report["waived"]) == (1, 0)


def refusal(variable: str, message: str, waive: str = "", check: str = "", advice: str = "") -> dict[str, Any]:
    return {
        "variable": variable,
        "value": None,
        "message": message,
        "waive": waive,
        "check": check,
        "advice": advice,
    }


def test_a_refused_plan_is_a_finding() -> None:
    refusals = [
        refusal("trtllm_release", "needs driver 580"),
        refusal("trtllm_root", "is full", waive="disk_space", check="disk_space"),
    ]
    release, root = preflight_report({"findings": []}, [], refusals)["findings"]
    assert (release["id"], release["severity"], release["waivable"]) == ("plan", "error", False)
    assert release["message"] == "trtllm_release: needs driver 580"
    assert release["remedy"] == "change trtllm_release"
    assert root["remedy"] == "change trtllm_root or the host, or add disk_space to trtllm_waive"
    assert preflight_report({}, ["plan"], refusals)["errors"] == 2


def test_a_problem_that_both_find_is_one_finding_with_the_plans_advice() -> None:
    refusals = [
        refusal("trtllm_limits", "too long: 8 would do", "gpu_memory", "gpu_memory", "8 would do"),
        refusal("trtllm_precision", "too long: float16 would do", "gpu_memory", "gpu_memory", "float16 would do"),
        refusal("trtllm_model", "is unknown"),
    ]
    found = {"findings": [finding("gpu_memory"), finding("clock", "warning")]}
    plan, memory, clock = preflight_report(found, [], refusals)["findings"]
    assert (plan["id"], plan["message"]) == ("plan", "trtllm_model: is unknown")
    assert (memory["id"], memory["message"]) == ("gpu_memory", "seen")
    assert memory["remedy"] == "trtllm_limits: 8 would do; trtllm_precision: float16 would do"
    assert clock["remedy"] == "do it"
    assert preflight_report(found, ["gpu_memory"], refusals)["waived"] == 1


def test_table() -> None:
    long = finding("gpu_in_use", message="GPU 3 is used by pid 1: caf\u00e9\n" + "x" * 200)
    reports = {
        "a": preflight_report({"findings": [], "facts": facts()}),
        "b": preflight_report({"findings": [finding("clock", "warning"), long], "facts": facts(kind=L40S, count=4)}),
        "c": preflight_report({"findings": [finding("memory")], "facts": {}}, ["memory"]),
        "d": preflight_report({"findings": [finding("x"), finding("y")], "facts": facts(count=0)}),
    }
    lines = preflight_table(reports)
    assert lines[0] == "a: 8 x NVIDIA A100-SXM4-40GB 40960 MiB, driver 580.95.05: no findings"
    assert lines[1] == "b: 4 x NVIDIA L40S 46068 MiB, driver 580.95.05: 1 error, 1 warning"
    assert lines[2].startswith("  error    gpu_in_use             GPU 3 is used by pid 1: caf? xxx")
    assert lines[3] == "  warning  clock                  seen"
    assert lines[4:6] == ["c: GPUs not checked: 1 waived", "  waived   memory                 seen"]
    assert lines[6] == "d: no GPU responds: 2 errors"
    assert max(map(len, lines)) == len(lines[2]) == 120 and lines[2].endswith("...")
    assert all(line.isascii() and line.isprintable() for line in lines)


@pytest.mark.parametrize("wrong", [None, "text", [1]])
def test_anything_else_is_refused(wrong: Any) -> None:
    for use in (preflight_report, preflight_table):
        with pytest.raises(AnsibleFilterError, match="requires"):
            use(wrong)
