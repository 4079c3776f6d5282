# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Who writes the checkpoint, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import native_inputs, unsupported
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._layout import Cut
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._sizing import PRECISIONS, Parallelism
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import NATIVE, UPSTREAM, Spec

OPTIONS = ("dtype", "tp_size", "pp_size", "moe_tp_size", "moe_ep_size")
"""What the native converter is told of a plan."""


def obstacle(spec: Spec) -> str:
    """Why the native converter cannot do it; empty when it can."""
    return _precision_obstacle(spec) or _format_obstacle(spec)


def needs_other_precision(spec: Spec) -> bool:
    """Whether nothing but the precision keeps the native converter from it."""
    return bool(_precision_obstacle(spec)) and not _format_obstacle(spec)


def _precision_obstacle(spec: Spec) -> str:
    if PRECISIONS[spec.precision].weight_bytes >= 2:
        return ""
    return f"{spec.precision} is laid out for the kind of GPU, which only the release's own converter knows"


def _format_obstacle(spec: Spec) -> str:
    return unsupported(spec.release["release"], spec.model.architecture)


def choose(spec: Spec) -> tuple[str, str]:
    """The converter, and the sentence that says why it is that one; empty where nothing is converted."""
    if spec.profile != "engine":
        return "", f"nothing is converted: profile {spec.profile} serves the weights as they are"
    if spec.engine_dir:
        return "", "nothing is converted: there is an engine (trtllm_engine_dir)"
    if spec.converter == UPSTREAM:
        return UPSTREAM, "upstream: asked for (trtllm_converter)"
    against = obstacle(spec)
    if against:
        return UPSTREAM, f"upstream: {against}"
    return NATIVE, "native: cuts and casts the safetensors, without a GPU or a container"


def native_step(spec: Spec, parallelism: Parallelism, source: str) -> tuple[dict[str, int | str], dict[str, int | str]]:
    """Options of the native converter, and the inputs that its artifact records."""
    cut = Cut.of(parallelism.tensor, parallelism.pipeline, parallelism.moe_tensor, parallelism.moe_expert)
    inputs = native_inputs(source, spec.release["release"], PRECISIONS[spec.precision].dtype, cut)
    return {name: inputs[name] for name in OPTIONS}, inputs


def conversions(hosts: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is to be converted for these hosts: each checkpoint once, with the hosts that it is for."""
    found: dict[str, dict[str, Any]] = {}
    planned = [(host, plan) for host, plans in hosts.items() for plan in plans["deployments"].values()]
    for host, plan in planned:
        if not plan["refusals"]:
            known = {
                "release": plan["release"],
                "converter": plan["converter"],
                "weights": plan["model_weights"]["snapshots"][0],
                "checkpoint": plan["engine_build"].get("checkpoint", {}),
                "hosts": [],
            }
            wanting = found.setdefault(known["checkpoint"].get("dest", ""), known)["hosts"]
            wanting += [] if host in wanting else [host]
    return list(found.values())
