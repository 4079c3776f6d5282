# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""The status of a server with the OpenAI API: whether it generates, not only whether it answers."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field
from http import HTTPStatus

from ansible_collections.tritonops.trtllm.plugins.module_utils.openai._client import OpenAiClient
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._health import Monitor, UnitMonitor
from ansible_collections.tritonops.trtllm.plugins.module_utils.release._http import Refused, Unreachable

# trtllm-serve writes it once the KV cache has its size.
LENGTH_LINE = r"max sequence length=\d+"
CAPACITY = ("kv_cache_max_blocks", "kv_cache_tokens_per_block")


@dataclass(frozen=True)
class Expected:
    model: str = ""
    max_seq_len: int = 0  # of the plan; 0 if the capacity of the KV cache is not checked
    probe_seconds: float = 8.0


@dataclass
class Report:
    """The status of the server at one moment. `waited` is in seconds."""

    live: bool = False
    generates: bool = False
    models: list[str] = field(default_factory=list)
    kv_cache_tokens: int | None = None  # None if the server does not say
    waited: float = 0.0
    obstacle: str = ""  # why the status is incomplete
    refusal: str = ""  # what the server said to a request for a token
    expected: Expected = field(default_factory=Expected)

    def is_complete(self) -> bool:
        return self.live and self.generates and not self.obstacle and self.failure() is None

    def describe(self) -> str:
        state = "live, but does not generate" if self.live else "not live"
        return f"the server is {state}" + (f" ({self.obstacle})" if self.obstacle else "")

    def failure(self) -> tuple[str, str] | None:
        wanted, room = self.expected, self.kv_cache_tokens
        if self.refusal:
            return "the server is live, but refuses to generate a token", self.refusal
        if self.models and wanted.model and wanted.model not in self.models:
            return f"it serves {', '.join(self.models)}, not {wanted.model}", ""
        if room is not None and room < wanted.max_seq_len:
            return (
                f"its KV cache holds {room} tokens, but one sequence can have {wanted.max_seq_len}: requests of that"
                " length would fail. Lower max_seq_len, or leave more GPU memory to the KV cache",
                "",
            )
        return None


def check_server(client: OpenAiClient, expected: Expected, monitors: t.Sequence[Monitor] = ()) -> Report:
    """The current status of the server; an unreachable server is not an error."""
    report = Report(expected=expected)
    try:
        report.live = client.is_live()
        if report.live:
            report.models = client.models()
            _generate(client, report)
            if expected.max_seq_len and report.generates:
                report.kv_cache_tokens = _capacity(client, report, monitors)
    except Unreachable as exc:
        report.obstacle = str(exc)
    except Refused as exc:
        report.obstacle = f"it responded with status {exc.status}: {exc}"
    return report


def _generate(client: OpenAiClient, report: Report) -> None:
    name = report.expected.model or (report.models or [""])[0]
    try:
        report.generates = client.generates(name, client.deadline.timeout(report.expected.probe_seconds))
    except Refused as exc:
        if exc.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        report.refusal = str(exc)
        return
    report.obstacle = "" if report.generates else "it returned no token"


def _capacity(client: OpenAiClient, report: Report, monitors: t.Sequence[Monitor]) -> int | None:
    """The tokens that the KV cache holds: by the metrics of late versions, or by the log of the unit."""
    return _capacity_by_metrics(client, report) or _capacity_by_log(monitors)


def _capacity_by_metrics(client: OpenAiClient, report: Report) -> int:
    text = client.metrics()
    if CAPACITY[0] in text and not _metric(text, CAPACITY[0]):
        # The metric is created with the first request, and gets its value with the next one.
        _generate(client, report)
        text = client.metrics()
    blocks, tokens_per_block = (_metric(text, name) for name in CAPACITY)
    return int(blocks * tokens_per_block)


def _capacity_by_log(monitors: t.Sequence[Monitor]) -> int | None:
    lines = [line for monitor in monitors if isinstance(monitor, UnitMonitor) for line in monitor.lines(LENGTH_LINE)]
    # The server first estimates with a smaller cache.
    found = re.findall(r"max sequence length=(\d+)", "\n".join(lines))
    return int(found[-1]) if found else None


def _metric(text: str, name: str) -> float:
    """The first value of a metric, 0 if there is none."""
    found = re.search(rf"^(?:trtllm_)?{name}(?:\{{[^\n]*\}})? ([0-9.e+]+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0
