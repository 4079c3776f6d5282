# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of a plan that the golden files record. Their names do not change when the layout of a plan does.

No other part of the golden test knows the layout of a plan or how one is made.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Dict, List

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._bundle import bundle_contents, bundled_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._converter import OPTIONS
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._planner import make_plan
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import refusal_line
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE

KEY = re.compile(r"(?<=/)[0-9a-f]{16}\b")
# The lines of a fact's value, by name. Facts without a value are omitted. The part before the dot is the topic.
Facts = Dict[str, List[str]]


def facts_of_request(
    request: Mapping[str, Any], host_facts: Mapping[str, Any], bundle: Mapping[str, Any] | None = None
) -> Facts:
    """`bundle` lists differences from the bundle and host that match the request; None means without a bundle."""

    def plan(asked: Mapping[str, Any]) -> dict[str, Any]:
        return make_plan(asked, host_facts, CATALOGUE)

    online = plan(request)
    # A refused request has no bundle.
    if bundle is None or online["refusals"]:
        return facts_of_plan(online)
    manifest = {
        **bundle_contents(online, request)["about"],
        "systems": {"debian-12": {"docker_source": "vendor", "nvidia": True}},
        "pythons": ["3.11"],
        "image_id": "sha256:" + "b" * 64,
        **bundle.get("manifest", {}),
    }
    suiting = {"path": "/b", "system": "debian-12", "python": "3.11", "docker_source": "vendor", "haproxy": False}
    return facts_of_plan(bundled_plan(request, {**suiting, **bundle, "manifest": manifest}, plan))


def facts_of_plan(plan: Mapping[str, Any]) -> Facts:
    if plan["refusals"]:
        return {"refusals": [KEY.sub("<key>", refusal_line(refusal)) for refusal in plan["refusals"]]}
    keys = {name: artifact["key"] for name, artifact in plan["artifacts"].items()}
    keys["release"] = plan["release_id"]
    named = {name: _with_names(lines, keys) for name, lines in _described(plan).items()}
    facts = {**named, **{f"key.{kind}": [key] for kind, key in keys.items() if key}}
    return {name: lines for name, lines in facts.items() if lines}


def _described(plan: Mapping[str, Any]) -> Facts:
    served = "serve_service" in plan
    service = plan["serve_service" if served else "triton_service"]
    release = service["release"] if served else plan["model_repo"]["release"]
    image, needs, budget = plan["trtllm_backend"]["image"], plan["needs"], plan["budget"]
    weights, *tokenizer = plan["model_weights"]["snapshots"]
    launch = {
        **{name: value for name, value in service["container"].items() if name in ("shm_size", "tmpfs")},
        **plan["server"],
        "listen": [{"address": port["address"], "port": port["port"]} for port in needs["ports"]],
        "world_size": plan.get("engine_build", {}).get("world_size", 1),
    }
    # The others are recorded with the artifacts that need them.
    others = ("disk", "engine", "memory_bytes", "ports", "reach")
    preflight = {name: value for name, value in needs.items() if name not in others}
    preflight["sources"] = [{"url": source["url"], "what": source["what"]} for source in needs["reach"]]
    return {
        "warnings": list(plan["warnings"]),
        "vulnerabilities": list(plan["vulnerabilities"]),
        "model.name": _fields(plan["model"]),
        "model.precision": [plan["precision"]],
        "model.parallelism": _on_one_line(plan["parallelism"]),
        "model.limits": _on_one_line(plan["limits"]),
        "convert.converter": [plan["converter"]["reason"]],
        "launch.argv": _argv(service["container"]["command"]),
        "launch.container": _fields(launch),
        **(_of_trtllm_serve(plan) if served else _of_triton(plan)),
        "image": _fields({**_without_sizes(image), "identity": release["image_digest"]}),
        "weights": _fields(weights),
        "tokenizer": _fields(tokenizer[0] if tokenizer else {}),
        **{f"budget.gpu.{name}": [value] for name, value in _leaves(budget["gpu"] or {})},
        "budget.host_memory": [str(budget["host_memory"])],
        "budget.disk": [f"{entry['what']} {entry['bytes']} {entry['path']}" for entry in budget["disk"]],
        "budget.disk_total": [str(budget["disk_total"])],
        "budget.disk_missing": [str(budget["disk_missing"])],
        "estimate.rows": [" ".join(_on_one_line(row)) for row in plan["estimate"]["rows"]],
        **{f"preflight.{name}": [value] for name, value in _leaves({**preflight, "host_gpus": plan["gpus"]})},
        "steps.actions": [f"{step['what']}: {step['action']} {step['path']}" for step in plan["steps"]],
        "steps.bytes": _on_one_line({step["what"]: step["bytes"] for step in plan["steps"] if step["bytes"]}),
        "release.dir": [service["release_dir"]],
        "release.manifest": [" ".join(sorted(release["manifest"]))],
    }


def _of_triton(plan: Mapping[str, Any]) -> Facts:
    templates, clone = plan["trtllm_backend"]["templates"], plan["trtllm_backend"].get("clone", {})
    checkpoint, engine = (plan["engine_build"].get(name, {}) for name in ("checkpoint", "engine"))
    release = plan["model_repo"]["release"]
    return {
        "convert.options": _on_one_line({name: checkpoint[name] for name in OPTIONS if name in checkpoint}),
        "convert.argv": _argv(checkpoint.get("command", [])),
        "convert.dest": [checkpoint.get("dest", "")],
        "build.argv": _argv(engine.get("command", [])),
        "build.gpu": [engine.get("gpu", "")],
        "build.dest": [engine.get("dest", "")],
        "build.engine_dir": [release["engine"]],
        "build.engine_check": _fields(plan["needs"].get("engine", {})),
        **{f"repository.{name}": [value] for name, value in _leaves(release["parameters"] or release["llm_args"])},
        "repository.overrides": _fields(release["overrides"]),
        "repository.proof": _fields(plan["triton_service"]["proof"]),
        "backend": _fields({**templates, "all_models": release["src"], "clone": clone}),
    }


def _of_trtllm_serve(plan: Mapping[str, Any]) -> Facts:
    service = plan["serve_service"]
    links = {name: service["release"].get(name, "") for name in ("weights", "model", "tokenizer")}
    return {
        **{f"serve.config.{name}": [value] for name, value in _leaves(service["release"]["config"])},
        "serve.environment": _fields(service["container"]["environment"]),
        "serve.links": _fields(links),
        "serve.endpoint": _fields(service["endpoint"]),
        "serve.proof": _fields(service["proof"]),
        "serve.defaults": list(plan["defaults"]),
    }


def _without_sizes(part: Mapping[str, Any]) -> dict[str, Any]:
    """Keys and sizes are separate facts."""
    return {name: value for name, value in part.items() if name not in ("key", "expected_bytes")}


def _with_names(lines: list[str], keys: Mapping[str, str]) -> list[str]:
    """Replace keys in paths with their names, which do not change with the key."""
    text = "\n".join(lines)
    for kind, key in keys.items():
        text = text.replace(key, f"<{kind}>") if key else text
    return [line for line in text.split("\n") if line]


def _argv(argv: list[str]) -> list[str]:
    """An option and its value share a line."""
    lines: list[str] = []
    for word in argv:
        if lines and not word.startswith("-"):
            lines[-1] += f" {shlex.quote(word)}"
        else:
            lines.append(shlex.quote(word))
    return lines


def _on_one_line(values: Mapping[str, Any]) -> list[str]:
    return [" ".join(f"{name}={value}" for name, value in _leaves(values))] if values else []


def _fields(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in _leaves(values)]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """All values that are not mappings, as JSON by path; without empty ones, and independent of the order."""
    if isinstance(value, Mapping):
        for name, item in sorted(value.items()):
            yield from _leaves(item, f"{path}.{name}" if path else name)
    elif value not in (None, "", []):
        yield path, json.dumps(value, sort_keys=True)
