# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics that exist, by the program that exports them, and those that an expression of PromQL reads."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[3]
RULES = PROJECT / "roles/observability/files/rules"
DASHBOARDS = PROJECT / "roles/observability/files/dashboards"
SUFFIXES = {
    "counter": [""],
    "gauge": [""],
    "histogram": ["_bucket", "_sum", "_count"],
    "summary": ["", "_sum", "_count"],
}
WORDS = {"and", "bool", "by", "group_left", "group_right", "ignoring", "offset", "on", "or", "unless", "without"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def exporters() -> dict[str, dict[str, str]]:
    """The kind of each metric, by exporter, and for servers whose metrics depend on the version by version."""
    known = {}
    for name, entry in read(PROJECT / "catalogue/metrics.yml")["metrics"].items():
        names = {**entry["names"], **entry.get("opt_in", {})}
        known |= _by_version(name, names, entry["settings"]) if "settings" in entry else {name: names}
    for path in (PROJECT / "rehearsal/backend/trtllm_cpu/flags").glob("*.json"):
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        known[f"backend {path.stem}"] = {name: entry["kind"] for name, entry in metrics.items()}
    for path in (PROJECT / "catalogue/serve").glob("*.yml"):
        metrics = read(path)["metrics"]
        names = {**metrics["requests"], **metrics.get("late", {})}
        known[f"serve {path.stem}"] = {metrics["prefix"] + name: kind for name, kind in names.items()}
    return known


def _by_version(name: str, names: dict[str, str], settings: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Triton's metrics of each TensorRT-LLM version: those of the settings that it has as well."""
    found = {}
    for path in (PROJECT / "catalogue/releases").glob("*.yml"):
        own = [settings[setting] for setting in read(path)["launch"]["metrics_config"]]
        found[f"{name} {path.stem}"] = {key: kind for part in (names, *own) for key, kind in part.items()}
    return found


@cache
def series(exporter: str) -> frozenset[str]:
    """The names of the series of an exporter."""
    return frozenset(name + suffix for name, kind in exporters()[exporter].items() for suffix in SUFFIXES[kind])


@cache
def rules() -> tuple[dict[str, Any], ...]:
    groups = [group for path in sorted(RULES.glob("*.yml")) for group in read(path)["groups"]]
    return tuple(rule for group in groups for rule in group["rules"])


@cache
def dashboard_queries() -> dict[str, str]:
    """The queries of panels by their place, with values for what Grafana replaces: any choice, and the interval."""
    found = {}
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", []):
                query = target["expr"]
                for variable, value in {"$__rate_interval": "5m", "$deployment": ".+", "$host": ".+"}.items():
                    query = query.replace(variable, value)
                found[f"{path.stem}: {panel['title']} {target['refId']}"] = query
    return found


@cache
def recorded() -> frozenset[str]:
    return frozenset(rule["record"] for rule in rules() if "record" in rule)


def read_by(expression: str) -> set[str]:
    """The names of the series that an expression reads."""
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    names = re.findall(r"(?<![\w:.])[A-Za-z_:][\w:]*(?![\w:]|\s*\()", text)
    return set(names) - WORDS
