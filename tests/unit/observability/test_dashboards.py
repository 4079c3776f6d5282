# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dashboards: the JSON is current and Grafana's, and every query reads known metrics and has series."""

from __future__ import annotations

import importlib.util
import json
import re
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible_collections.tritonops.trtllm.tests.unit.observability.known_metrics import (
    DASHBOARDS,
    PROJECT,
    dashboard_queries,
    exporters,
    read_by,
    recorded,
    series,
)
from ansible_collections.tritonops.trtllm.tests.unit.observability.promtool import check_scenarios, scenario
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

NAMES = ["deployment", "fleet", "gateway", "host"]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dashboards", PROJECT / "scripts/dashboards.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def content(name: str) -> dict[str, Any]:
    return json.loads((DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in content(name)["panels"] if panel["type"] != "row"]


QUERIES = dashboard_queries()


def test_the_files_are_those_of_the_generator(generator: ModuleType) -> None:
    assert sorted(path.stem for path in DASHBOARDS.iterdir()) == sorted(generator.DASHBOARDS) == NAMES
    for name in NAMES:
        written = (DASHBOARDS / f"{name}.json").read_text(encoding="utf-8")
        assert written == generator.text_of(name), "run `make docs`"


def test_the_files_say_what_writes_them() -> None:
    assert all("scripts/dashboards.py" in content(name)["description"] for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_fields_are_grafanas(name: str) -> None:
    """A field that Grafana's own types do not have would be lost."""
    read = Dashboard.from_json(content(name))
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == content(name)


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_their_own_place(name: str) -> None:
    everything = content(name)["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in everything)
    for one, other in combinations([panel["gridPos"] for panel in everything], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


def test_variables_are_defined() -> None:
    for name in NAMES:
        defined = {variable["name"] for variable in content(name)["templating"]["list"]}
        assert set(re.findall(r"\$\{?(\w+)", json.dumps(content(name)))) - {"__rate_interval"} <= defined


@pytest.mark.parametrize("place", QUERIES)
def test_a_query_reads_known_metrics(place: str) -> None:
    names = read_by(QUERIES[place])
    assert names and names - recorded() <= set().union(*map(series, exporters()))


def test_every_query_has_series_in_a_healthy_fleet(tmp_path: Path) -> None:
    alerts = {f"Query{number}": query for number, query in enumerate(QUERIES.values())}
    rules = [{"alert": name, "expr": f"count({query}) > 0"} for name, query in alerts.items()]
    # Nothing fires in a healthy fleet.
    rules.append({"alert": "TrtllmExample", "expr": "vector(1)", "labels": {"severity": "ticket"}})
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}), encoding="utf-8")
    found = {name: [{"exp_labels": {}}] for name in alerts}
    check_scenarios([scenario("healthy", {}, found)], tmp_path, file)
