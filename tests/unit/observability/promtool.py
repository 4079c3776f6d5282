# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of rules and queries by promtool, with series of a fleet under healthy load."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from ansible_collections.tritonops.trtllm.tests.unit.observability.known_metrics import PROJECT, RULES, read
from ansible_collections.tritonops.trtllm.tests.unit.observability.series import TARGETS, healthy_series, named

FILES = sorted(RULES.glob("*.yml"))
END = "200m"
"""When alerts are looked at: later than the longest `for`."""


@cache
def program(name: str) -> str:
    found = subprocess.run([PROJECT / "scripts/program", name], stdout=subprocess.PIPE, text=True, check=True)
    return found.stdout.strip()


def promtool() -> str:
    return program("promtool")


def run(*arguments: str | Path) -> None:
    done = subprocess.run([promtool(), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def input_series(changes: dict[str, str]) -> list[dict[str, str]]:
    """The healthy series with changes, with the labels of the targets. A series that becomes _x240 is left out."""

    def written(name: str) -> str:
        return re.sub(r"(?<={)@(\w+)", lambda match: TARGETS[match[1]], name)

    healthy = healthy_series()
    changed = {one: values for name, values in changes.items() for one in named(name, healthy)}
    merged = {**healthy, **changed}
    return [{"series": written(name), "values": values} for name, values in merged.items() if values != "_x240"]


def scenario(name: str, changes: dict[str, str], alerts: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    checks = [{"eval_time": END, "alertname": alert, "exp_alerts": found} for alert, found in alerts.items()]
    return {"name": name, "interval": "1m", "input_series": input_series(changes), "alert_rule_test": checks}


def check_scenarios(scenarios: list[dict[str, Any]], folder: Path, *more_rules: Path) -> None:
    files = [*FILES, *more_rules]
    order = [group["name"] for path in files for group in read(path)["groups"]]
    # Alerts read the records of the same moment.
    order.sort(key=lambda name: name not in ("trtllm budgets", "trtllm records"))
    content = {"rule_files": list(map(str, files)), "group_eval_order": order, "evaluation_interval": "5m"}
    file = folder / "tests.yml"
    # JSON is YAML, without references to repeated objects.
    file.write_text(json.dumps({**content, "tests": scenarios}), encoding="utf-8")
    run("test", "rules", file)
