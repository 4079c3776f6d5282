# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The status of a Triton server and its models."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from http import HTTPStatus

from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import Refused, Unreachable
from ansible_collections.tritonops.trtllm.plugins.module_utils.triton._http import TritonClient

NOT_THERE = "not in the model repository"


@dataclass
class Report:
    """The status of the server at one moment. `waited` is in seconds."""

    live: bool = False
    ready: bool = False
    models: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    server: dict[str, t.Any] = field(default_factory=dict)
    waited: float = 0.0
    obstacle: str = ""  # why the status is incomplete

    def missing(self) -> list[str]:
        return [f"{row['name']} is {row['state'] or 'not loaded'}" for row in self.models if row["state"] != "READY"]

    def is_complete(self) -> bool:
        return self.live and self.ready and bool(self.models) and not self.missing() and not self.obstacle

    def describe(self) -> str:
        if not self.live:
            return f"the server is not live ({self.obstacle})" if self.obstacle else "the server is not live"
        parts = ["the server is live" + (" and ready" if self.ready else ", but not ready")]
        parts += [", ".join(self.missing())] if self.missing() else []
        return "; ".join(parts + ([self.obstacle] if self.obstacle else []))

    def failure(self) -> tuple[str, str] | None:
        for row in self.failed:
            return f"model {row['name']} is UNAVAILABLE", row["reason"].split("\n\nAt:")[0].strip()
        for row in self.models:
            if self.ready and row["reason"] == NOT_THERE:
                return f"model {row['name']} is {NOT_THERE} of the server", ""
        return None


def check_server(client: TritonClient, expected: t.Sequence[str]) -> Report:
    """The current status of the server; an unreachable server is not an error."""
    report = Report()
    try:
        report.live = client.is_live()
        if report.live:
            report.ready = client.is_ready()
            report.server = client.server()
            _check_models(report, client, expected)
    except Unreachable as exc:
        report.obstacle = str(exc)
    except Refused as exc:
        if exc.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        report.obstacle = f"it responded with status {exc.status}: {exc}"
    return report


def _index(client: TritonClient, expected: t.Sequence[str]) -> dict[str, dict[str, str]]:
    """The most ready version of every model in the index; if the index is restricted, the expected models."""
    try:
        answer = client.index()
    except Refused as exc:
        if not expected or exc.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        answer = [{"name": name, "state": "READY"} for name in expected]
    versions: dict[str, list[dict[str, str]]] = {name: [] for name in expected}
    for entry in answer:
        row = {key: str(entry.get(key, "")) for key in ("name", "version", "state", "reason")}
        versions.setdefault(row["name"], []).append(row)
    return {name: _best_version(name, rows) for name, rows in versions.items()}


def _best_version(name: str, rows: t.Sequence[dict[str, str]]) -> dict[str, str]:
    absent = {"name": name, "version": "", "state": "", "reason": NOT_THERE}
    order = ("READY", "LOADING", "UNLOADING", "UNAVAILABLE", "")
    return min(rows, key=lambda row: order.index(row["state"]) if row["state"] in order else 1, default=absent)


def _check_models(report: Report, client: TritonClient, expected: t.Sequence[str]) -> None:
    index = _index(client, expected)
    report.models = [row for name, row in sorted(index.items()) if (name in expected if expected else row["state"])]
    for row in report.models:
        # The index only lists what is loaded; a loaded model may not accept requests yet.
        if row["state"] == "READY" and not client.is_model_ready(row["name"]):
            row["state"] = "NOT READY"
    # With strict readiness, any model that fails to load keeps the server from becoming ready.
    report.failed = [
        row
        for row in index.values()
        if row["state"] == "UNAVAILABLE" and row["reason"] and (row in report.models or not report.ready)
    ]
