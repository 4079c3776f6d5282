# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What a run planned, did and proved, as data and as a page.

Only the named fields of results are taken over, because others could contain secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import without_login
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes, human_seconds
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._page import bullets, definitions, document, table
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.show._table import LIMITS, speed_lines

LONGEST = 2000
"""Characters of a message or a completion."""
COLLECTION = "tritonops.trtllm."
# What artifact_info misses, trtllm_image reports.
IMAGE_ACTIONS = (f"{COLLECTION}artifact_info", f"{COLLECTION}trtllm_image")
IGNORED, RESCUED, FAILED = "ignored", "rescued", "failed"


@dataclass
class Stage:
    """Consecutive tasks of a role or a play on a host. Times are seconds since the start of the run."""

    name: str
    start: float
    end: float
    changed: int = 0
    failed: bool = False


@dataclass
class HostReport:
    stages: list[Stage] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    plans: dict[str, Any] = field(default_factory=dict)
    proofs: list[dict[str, Any]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)
    outcome: str = "succeeded"


@dataclass(frozen=True)
class Task:
    """A task of a host that ended. `kept`: why its failure did not fail the host."""

    name: str
    stage: str
    action: str
    start: float
    end: float
    kept: str = ""


@dataclass
class RunReport:
    """`started` is in UTC, as in 2026-11-28 16:00:00."""

    playbook: str
    started: str
    versions: Mapping[str, str]
    check_mode: bool = False
    seconds: float = 0.0
    hosts: dict[str, HostReport] = field(default_factory=dict)
    planned: dict[str, Any] = field(default_factory=dict)

    def add(self, host: str, task: Task, result: Mapping[str, Any], failed: bool = False) -> None:
        """The result of a task. Values that it must not show were removed by Ansible."""
        report = self.hosts.setdefault(host, HostReport())
        stage = self._stage(report, task)
        if result.get("changed"):
            stage.changed += 1
            report.changes.append({"task": task.name, "at": task.start, "seconds": task.end - task.start})
        for text in result.get("warnings") or ():
            _add(report.warnings, text)
        if failed:
            stage.failed = stage.failed or not task.kept
            message = _said(result.get("censored") or result.get("msg") or "")
            report.failures.append({"task": task.name, "message": message, "status": task.kept or FAILED})
        else:
            self._take(report, task.action, result)

    def _take(self, report: HostReport, action: str, result: Mapping[str, Any]) -> None:
        """What the results of some modules say about the run."""
        if action == f"{COLLECTION}trtllm_plan":
            self.planned.update({name: plan_facts(plan) for name, plan in result.get("hosts", {}).items()})
        elif action == f"{COLLECTION}triton_generate" and "text" in result:
            report.proofs.append(proof_facts(result))
        elif action == f"{COLLECTION}triton_health" and result.get("ready"):
            _add(report.servers, f"{result['server'].get('name')} {result['server'].get('version')}")
        elif action in IMAGE_ACTIONS and result.get("image") and not result.get("missing"):
            _add(report.images, result["image"])

    def finish(self, seconds: float, failed: Iterable[str]) -> dict[str, Any]:
        """The whole report as plain types. `failed`: the hosts that failed or could not be reached."""
        self.seconds = seconds
        for host in failed:
            self.hosts.setdefault(host, HostReport()).outcome = FAILED
        for host, report in self.hosts.items():
            report.plans = self.planned.get(host, {})
        result = asdict(self)
        del result["planned"]
        return result

    @staticmethod
    def _stage(report: HostReport, task: Task) -> Stage:
        last = report.stages[-1] if report.stages else None
        if last is None or last.name != task.stage:
            last = Stage(task.stage, task.start, task.end)
            report.stages.append(last)
        last.end = task.end
        return last


def _add(texts: list[str], text: Any) -> None:
    """Once."""
    if (said := _said(text)) not in texts:
        texts.append(said)


def plan_facts(host: Mapping[str, Any]) -> dict[str, Any]:
    """What the report has of a host's plan: its deployments by name."""
    return {name: _deployment(plan) for name, plan in host["deployments"].items() if not plan["refusals"]}


def _deployment(plan: Mapping[str, Any]) -> dict[str, Any]:
    fields = ("model", "release", "profile", "precision", "parallelism", "gpus", "limits", "release_id", "estimate")
    image = plan["trtllm_backend"]["image"]
    steps = [{name: step[name] for name in ("what", "action", "bytes")} for step in plan["steps"]]
    return {
        **{name: plan[name] for name in fields},
        "image": {"name": image["name"], "digest": image["digest"]},
        "artifacts": {name: artifact["key"] for name, artifact in plan["artifacts"].items()},
        "steps": steps,
        "warnings": [_said(text) for text in plan["warnings"]],
        "vulnerabilities": list(plan["vulnerabilities"]),
    }


def proof_facts(result: Mapping[str, Any]) -> dict[str, Any]:
    figures = ("tokens", "counted_by", "latency_seconds", "tokens_per_second")
    first = result.get("streamed") or result
    return {
        "text": _said(result["text"]),
        **{name: result.get(name) for name in figures},
        "first_token_seconds": first.get("first_token_seconds"),
    }


def _said(value: Any) -> str:
    text = without_login(str(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


# --- the page ---------------------------------------------------------------------------------------------------------

TIMELINE_STYLE = """
td.track { width: 40%; min-width: 6rem; vertical-align: middle; }
.bar { display: block; height: .75rem; min-width: 2px; background: var(--bar); }
.bar.changed { background: var(--changed); }
.bar.failed { background: var(--failed); }
@media (max-width: 32rem) {
  .from { display: none; }
  .timeline tr { display: grid; grid-template-columns: 1fr 7rem 5.5rem; border-bottom: 1px solid var(--line); }
  .timeline th, .timeline td { border: 0; }
  .timeline td.track { grid-column: 1 / -1; width: auto; padding: 0 0 .5rem; }
}
"""


def page(report: Mapping[str, Any]) -> str:
    """A page that needs nothing else. Whatever is in the report is shown as text."""
    hosts = [part for name, host in report["hosts"].items() for part in _host(name, host, report["seconds"])]
    return document(f"Run of {report['playbook']}", [*_head(report), *hosts], TIMELINE_STYLE)


def _head(report: Mapping[str, Any]) -> Iterator[str]:
    failed = [name for name, host in report["hosts"].items() if host["outcome"] == FAILED]
    outcome = f"failed on {', '.join(failed)}" if failed else "succeeded"
    yield definitions(
        {
            "Outcome": f"{outcome}{' (check mode: nothing was changed)' if report['check_mode'] else ''}",
            "Started": f"{report['started']} UTC",
            "Duration": human_seconds(report["seconds"]),
            **report["versions"],
        }
    )


def _host(name: str, host: Mapping[str, Any], total: float) -> Iterator[str]:
    yield f"<section>\n<h2>{escape(name)}: {escape(host['outcome'])}</h2>"
    for failure in host["failures"]:
        yield f"<h3>{escape(failure['status'].capitalize())}: {escape(_task(failure))}</h3>"
        yield f"<pre>{escape(failure['message'])}</pre>"
    for deployment, plan in host["plans"].items():
        yield from _plan(deployment, plan)
    for proof in host["proofs"]:
        yield from _proof(proof)
    yield from bullets("Images", host["images"])
    yield from bullets("Servers", host["servers"])
    yield from _timeline(host["stages"], total)
    yield from bullets("Warnings", host["warnings"])
    changes = [f"{_task(change)} ({human_seconds(change['seconds'])})" for change in host["changes"]]
    yield from bullets("Changes", changes)
    yield "</section>"


def _task(entry: Mapping[str, Any]) -> str:
    name: str = entry["task"]
    return name.removeprefix(COLLECTION)


def _plan(deployment: str, plan: Mapping[str, Any]) -> Iterator[str]:
    parallelism, model, image = plan["parallelism"], plan["model"], plan["image"]
    yield f"<h3>Plan: deployment {escape(deployment)}</h3>"
    yield definitions(
        {
            "Model": f"{model['name']} ({' at '.join(filter(None, (model['repository'], model['revision'])))})",
            "TensorRT-LLM": f"{plan['release']}, profile {plan['profile']}, {plan['precision']}",
            "GPUs": f"{plan['gpus']}, tensor {parallelism['tensor']} x pipeline {parallelism['pipeline']}",
            "Limits": ", ".join(f"{name} {plan['limits'][name]}" for name in LIMITS),
            # A loaded image may only have its digest as its name.
            "Image": " ".join(dict.fromkeys(filter(None, (image["name"], image["digest"])))),
            "Release": plan["release_id"],
            **{f"Key of {name}": key for name, key in plan["artifacts"].items() if key},
            "Known CVEs": str(len(plan["vulnerabilities"])),
        }
    )
    rows = [
        [step["what"], step["action"], human_bytes(step["bytes"]) if step["bytes"] else ""] for step in plan["steps"]
    ]
    yield table(["Step", "Action", "Size"], rows)
    speed = list(speed_lines(plan["estimate"]))
    yield from bullets(speed[0].rstrip(":").capitalize(), speed[1:]) if speed else ()
    yield from bullets("Warnings of the plan", plan["warnings"])


def _proof(proof: Mapping[str, Any]) -> Iterator[str]:
    yield "<h3>Proof: a completion</h3>"
    yield f"<blockquote>{escape(proof['text'])}</blockquote>"
    speed, first = proof["tokens_per_second"], proof["first_token_seconds"]
    yield definitions(
        {
            "Tokens": f"{proof['tokens']} (counted by {proof['counted_by']})",
            **({} if speed is None else {"Tokens per second": f"{speed:g}"}),
            **({} if first is None else {"First token": f"after {first:g} s"}),
        }
    )


def _timeline(stages: Iterable[Mapping[str, Any]], total: float) -> Iterator[str]:
    yield "<h3>Timeline</h3>"
    yield '<div class="wide" tabindex="0"><table class="timeline"><thead><tr><th scope="col">Stage</th>'
    yield '<th scope="col" class="number from">From</th><th scope="col" class="number">Time</th>'
    yield '<th scope="col">Changes</th><td></td></tr></thead><tbody>'
    for stage in stages:
        seconds = stage["end"] - stage["start"]
        left, width = (100 * part / max(total, 0.001) for part in (stage["start"], seconds))
        kind = FAILED if stage["failed"] else "changed" if stage["changed"] else ""
        track = f'<span class="bar {kind}" style="margin-left:{left:.2f}%;width:{width:.2f}%"></span>'
        yield (
            f'<tr><th scope="row">{escape(stage["name"])}</th>'
            f'<td class="number from">{human_seconds(stage["start"])}</td>'
            f'<td class="number">{human_seconds(seconds)}</td>'
            f'<td>{FAILED if stage["failed"] else stage["changed"]}</td><td class="track">{track}</td></tr>'
        )
    yield "</tbody></table></div>"
