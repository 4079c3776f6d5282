# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Which converter writes the checkpoint, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import native_inputs, unsupported
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import PRECISIONS, Parallelism
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import NATIVE, UPSTREAM, Spec

OPTIONS = ("dtype", "tp_size", "pp_size", "moe_tp_size", "moe_ep_size")
"""The options of the native converter that depend on the plan."""


def obstacle(spec: Spec) -> str:
    """Why the native converter cannot be used; empty if it can."""
    options = "trtllm_convert_options are those of upstream's converter" if spec.convert_options else ""
    return _precision_obstacle(spec) or options or _format_obstacle(spec)


def needs_other_precision(spec: Spec) -> bool:
    """Whether the native converter could be used with another precision."""
    return bool(_precision_obstacle(spec)) and not _format_obstacle(spec)


def _precision_obstacle(spec: Spec) -> str:
    if PRECISIONS[spec.precision].weight_bytes >= 2:
        return ""
    return f"{spec.precision} weights have a layout that depends on the GPU, which only upstream's converter supports"


def _format_obstacle(spec: Spec) -> str:
    return unsupported(spec.release["release"], spec.model.architecture)


def choose(spec: Spec) -> tuple[str, str]:
    """The converter and the reason for it. The converter is empty if nothing is converted."""
    if spec.profile != "engine":
        return "", f"nothing is converted: profile {spec.profile} serves the weights as they are"
    if spec.engine_dir:
        return "", "nothing is converted: an existing engine is served (trtllm_engine_dir)"
    if spec.converter == UPSTREAM:
        return UPSTREAM, "upstream (set by trtllm_converter)"
    reason = obstacle(spec)
    if reason:
        return UPSTREAM, f"upstream: {reason}"
    return NATIVE, "native: converts the safetensors without a GPU or a container"


def native_step(spec: Spec, parallelism: Parallelism, source: str) -> tuple[dict[str, int | str], dict[str, int | str]]:
    """The options of the native converter, and the inputs to record in its artifact."""
    cut = Cut.of(parallelism.tensor, parallelism.pipeline, parallelism.moe_tensor, parallelism.moe_expert)
    inputs = native_inputs(source, spec.release["release"], PRECISIONS[spec.precision].dtype, cut)
    return {name: inputs[name] for name in OPTIONS}, inputs


def conversions(hosts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The checkpoints that these hosts need, each once, with its hosts."""
    found: dict[str, dict[str, Any]] = {}
    planned = [(host, plan) for host, plans in hosts.items() for plan in plans["deployments"].values()]
    for host, plan in planned:
        if not plan["refusals"]:
            known = {
                "release": plan["release"],
                "converter": plan["converter"],
                "weights": plan["model_weights"]["snapshots"][0],
                "checkpoint": plan.get("engine_build", {}).get("checkpoint", {}),
                "hosts": [],
            }
            users = found.setdefault(known["checkpoint"].get("dest", ""), known)["hosts"]
            users += [] if host in users else [host]
    return list(found.values())
