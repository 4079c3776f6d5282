# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The findings on hosts as a report, for programs and for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import counted

WIDTH = 120
ORDER = ("error", "warning", "waived")
ROW = "{:<8} {:<22} {}"

Report = dict[str, Any]


def report_of(found: Mapping[str, Any], waive: Iterable[str], refusals: Iterable[Mapping[str, Any]] = ()) -> Report:
    """`found`: what preflight_info returns; `refusals`: why there is no plan. Errors come first."""
    waived, refused, live = set(waive), list(refusals), found.get("findings", [])
    seen = {finding["id"] for finding in live}
    findings = [
        *(_of_refusal(refusal) for refusal in refused if refusal["check"] not in seen),
        *(_with_advice(finding, refused) for finding in live),
    ]
    findings = [{**finding, "waived": finding["waivable"] and finding["id"] in waived} for finding in findings]
    findings.sort(key=lambda finding: ORDER.index(_status(finding)))
    counts = [_status(finding) for finding in findings]
    return {
        "errors": counts.count("error"),
        "warnings": counts.count("warning"),
        "waived": counts.count("waived"),
        "findings": findings,
        "facts": dict(found.get("facts", {})),
    }


def _of_refusal(refusal: Mapping[str, Any]) -> dict[str, Any]:
    """An error, because nothing can be done without a plan. If it can be waived, the remedy says how."""
    accept = f", or add {refusal['waive']} to trtllm_waive" if refusal["waive"] else ""
    return {
        "id": "plan",
        "severity": "error",
        "message": f"{refusal['variable']}: {refusal['message']}",
        "remedy": f"change {refusal['variable']}{' or the host' if refusal['check'] else ''}{accept}",
        "waivable": False,
    }


def _with_advice(finding: Mapping[str, Any], refusals: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Replaces the remedy by the advice of the plan, which has refused the same thing and knows more."""
    same = [entry for entry in refusals if entry["check"] == finding["id"] and entry["advice"] != finding["remedy"]]
    advices = [f"{entry['variable']}: {entry['advice']}" for entry in same]
    return {**finding, "remedy": "; ".join(advices)} if advices else dict(finding)


def _status(finding: Mapping[str, Any]) -> str:
    return "waived" if finding["waived"] else str(finding["severity"])


def table_of(reports: Mapping[str, Report]) -> list[str]:
    """A heading for each host and a line for each finding, in ASCII, cut to the width of a wide terminal."""
    return [_cut(line) for host, report in reports.items() for line in _lines(host, report)]


def _lines(host: str, report: Report) -> Iterator[str]:
    yield f"{host}: {_hardware(report['facts'])}: {_counts(report)}"
    for finding in report["findings"]:
        yield "  " + ROW.format(_status(finding), finding["id"], finding["message"])


def _hardware(facts: Mapping[str, Any]) -> str:
    if "gpus" not in facts:
        return "GPUs not checked"
    gpus = facts["gpus"]["devices"]
    if not gpus:
        return "no GPU responds"
    kinds = [f"{gpu['name']} {gpu['memory_mib']} MiB" for gpu in gpus]
    listed = ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds))
    return f"{listed}, driver {facts['gpus']['driver_version']}"


def _counts(report: Report) -> str:
    parts = [
        f"{report[kind]} waived" if kind == "waived" else counted(report[kind], kind.rstrip("s"))
        for kind in ("errors", "warnings", "waived")
        if report[kind]
    ]
    return ", ".join(parts) or "no findings"


def _cut(line: str) -> str:
    text = " ".join(line.split("\n")).encode("ascii", "replace").decode()
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."
