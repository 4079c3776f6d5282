# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The alert rules: each alert fires for its fault and is silent otherwise, reads known metrics, and is explained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._xid import SERIOUS
from ansible_collections.tritonops.trtllm.tests.unit.observability.known_metrics import (
    PROJECT,
    exporters,
    read,
    read_by,
    recorded,
    rules,
    series,
)
from ansible_collections.tritonops.trtllm.tests.unit.observability.promtool import (
    FILES,
    check_scenarios,
    run,
    scenario,
)
from ansible_collections.tritonops.trtllm.tests.unit.observability.series import HERE, healthy_series

ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
FAULTS = read(HERE / "faults.yml")
RUNBOOK = "https://github.com/tritonops/trtllm/blob/main/docs/operations.md#"


def expected(fault: dict[str, Any]) -> dict[str, Any]:
    rule = ALERTS[fault["alert"]]
    annotations = {"summary": fault["summary"], "runbook_url": rule["annotations"]["runbook_url"]}
    return {"exp_labels": {**fault["labels"], **rule["labels"]}, "exp_annotations": annotations}


def alerts_of(fault: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The alert of the fault, and no other than those that the fault names."""
    others = [alert for alert in ALERTS if alert not in fault.get("also", [])]
    return {**{alert: [] for alert in others}, fault["alert"]: [expected(fault)]}


def test_the_rules_are_valid() -> None:
    run("check", "rules", *FILES)


def test_every_alert_fires_for_its_fault_only(tmp_path: Path) -> None:
    scenarios = [scenario("healthy", {}, {alert: [] for alert in ALERTS})]
    for number, fault in enumerate(FAULTS):
        scenarios.append(scenario(f"{fault['alert']} {number}", fault["series"], alerts_of(fault)))
    check_scenarios(scenarios, tmp_path)


def test_every_alert_has_a_fault() -> None:
    assert {fault["alert"] for fault in FAULTS} == set(ALERTS)


def test_the_healthy_series_are_all_that_alerts_read() -> None:
    """An alert would be silent without them as well."""
    raw = {name for rule in rules() for name in read_by(rule["expr"])} - recorded()
    assert raw - {name.partition("{")[0] for name in healthy_series()} == set()


def parts_of(rule: dict[str, Any]) -> list[str]:
    """The parts of an expression for one kind of server each."""
    return re.split(r"^or$", rule["expr"], flags=re.MULTILINE)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_metric_exists(rule: dict[str, Any]) -> None:
    for part in parts_of(rule):
        names = read_by(part) - recorded()
        assert names <= set().union(*map(series, exporters()))
        # What is compared within a part has to come from one server.
        assert rule.get("alert") or not names or any(names <= series(exporter) for exporter in exporters())


def test_every_version_of_trtllm_serve_has_its_records() -> None:
    read_parts = [read_by(part) for rule in rules() if "record" in rule for part in parts_of(rule)]
    names = {"trtllm_time_to_first_token_seconds_bucket", "time_to_first_token_seconds_bucket"}
    for version in (name for name in exporters() if name.startswith("serve ")):
        assert names & series(version) in read_parts


def test_every_version_of_triton_has_percentiles() -> None:
    """Of the time to the first part of a stream, as soon as there is one."""
    read_parts = set().union(*(read_by(part) for rule in rules() if "record" in rule for part in parts_of(rule)))
    histogram = "nv_inference_first_response_histogram_ms_bucket"
    assert {"nv_inference_queue_summary_us", histogram} <= read_parts
    for name in (name for name in exporters() if name.startswith("triton ")):
        assert "nv_inference_queue_summary_us" in series(name)
        assert (histogram in series(name)) == (tuple(map(int, name.split()[1].split("."))) >= (0, 15, 0))


def test_the_values_of_labels_are_upstreams() -> None:
    newest = json.loads((PROJECT / "rehearsal/backend/trtllm_cpu/flags/1.2.1.json").read_text(encoding="utf-8"))
    checked = 0
    for name, entry in newest["metrics"].items():
        for rule in rules():
            used = set(re.findall(rf'{name}{{{entry["label"]}="(\w+)"}}', rule["expr"]))
            assert used <= set(entry["values"])
            checked += len(used)
    assert checked > 5


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_happens_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("page", "ticket")
    # The number of an XID is a label.
    assert re.search(r"\$value|\$labels\.xid", rule["annotations"]["summary"])
    assert rule["annotations"]["runbook_url"] == RUNBOOK + alert.lower()
    page = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    section = re.search(rf"^### {alert}\n\n(.+?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert section and len(section[1]) > 80


def test_operations_names_no_other_alert() -> None:
    page = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\bTrtllm[A-Z]\w+", page)) == set(ALERTS)


def test_the_table_of_alerts_is_complete() -> None:
    page = (PROJECT / "docs/observability.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\w+)\]\(operations\.md#(\w+)\) \| (page|ticket) \| (\w+) \|", page, re.MULTILINE)
    assert {name: (severity, after) for name, _anchor, severity, after in rows} == {
        name: (rule["labels"]["severity"], rule["for"]) for name, rule in ALERTS.items()
    }
    assert all(anchor == name.lower() for name, anchor, *_values in rows)


def test_a_serious_xid_is_an_alert() -> None:
    (numbers,) = re.findall(r'xid=~"([\d|]+)"', ALERTS["TrtllmGpuXid"]["expr"])
    assert {int(number) for number in numbers.split("|")} == set(SERIOUS)
