# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Checks of a spec whose values are valid one by one, but may not work together or with the TensorRT-LLM version."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import ARCHITECTURES
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import config_problems
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue, Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._agreement import check_agreement
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._commands import flag_of, planned_flags
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._converter import (
    choose,
    needs_other_precision,
    obstacle,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._options import check_options
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._serve_checks import ONLY_FOR_SERVE, check_serve
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import PRECISIONS, legal_tensor_sizes
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Checker, Refusal, hint
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import (
    NATIVE,
    ParallelismRequest,
    Spec,
    placeholders,
    unconvertible,
)

Refuse = Callable[[str, Any, str], None]


def check_spec(spec: Spec, catalogue: Catalogue) -> list[Refusal]:
    checker = Checker()
    if spec.profile == "serve":
        for check in (_check_image, _check_precision, _check_parallelism, _check_limits):
            check(spec, catalogue, checker.refuse)
        check_serve(spec, catalogue, checker.refuse)
        return checker.refusals
    for name in sorted(spec.given.intersection(ONLY_FOR_SERVE)):
        checker.refuse(
            name, None, f"is for profile serve, not for {spec.profile}: remove it, or use trtllm_profile serve"
        )
    for check in (
        *(_check_release, _check_config, _check_image, _check_precision, _check_converter, _check_parallelism),
        *(_check_limits, _check_parameters, _check_arguments),
    ):
        check(spec, catalogue, checker.refuse)
    if spec.profile in spec.release["profiles"]:
        check_options(spec, checker.refuse)
        check_agreement(spec, checker.refuse)
    return checker.refusals


def _check_release(spec: Spec, catalogue: Catalogue, refuse: Refuse) -> None:
    release, architecture = spec.release["release"], spec.model.architecture
    if spec.profile not in spec.release["profiles"]:
        able = [name for name, entry in catalogue.releases.items() if spec.profile in entry["profiles"]]
        refuse("profile", spec.profile, f"TensorRT-LLM {release} does not support it; {able[0]} to {able[-1]} do")
        return
    known = spec.release["convert"]["scripts"]
    if spec.converts and architecture not in known:
        refuse("model.architecture", architecture, unconvertible(architecture, release, known, catalogue))
    if spec.engine_dir and spec.profile == "llmapi":
        refuse("engine_dir", spec.engine_dir, "profile llmapi serves weights: remove it, or use trtllm_profile engine")


def _check_config(spec: Spec, _catalogue: Catalogue, refuse: Refuse) -> None:
    """What the converter or the engine would refuse, or compute wrongly."""
    if spec.converts and spec.model.architecture in ARCHITECTURES:
        for problem in config_problems(spec.model.config, spec.release["release"]):
            refuse("model", spec.model.name, f"config.json: {problem}")


def _check_image(spec: Spec, catalogue: Catalogue, refuse: Refuse) -> None:
    release, image = spec.release, spec.image
    if image.source != "registry":
        return
    if not image.reference:
        if not release["images"]:
            message = f"NGC has no image of TensorRT-LLM {release['release']}: set one, or use source: build"
            refuse("image.reference", "", message)
        return
    named = image.reference.rpartition("/")[2]
    if ":" not in named and not image.digest:
        refuse("image.reference", image.reference, "has no tag: add one, or set trtllm_image.digest")
    if spec.profile != "serve":
        _check_backend(named, image.reference, catalogue, refuse)
    other = _version_of(image.reference, catalogue)
    if other and other != release["release"]:
        message = f"contains TensorRT-LLM {other}, not {release['release']}: change it or trtllm_release"
        refuse("image.reference", image.reference, message)


def _check_backend(named: str, reference: str, catalogue: Catalogue, refuse: Refuse) -> None:
    """Triton's later images do not have the backend."""
    without = catalogue.upstream["images_without_backend"]
    tag = re.match(r"tritonserver:(\d\d\.\d\d)", named)
    if tag and version(tag.group(1)) >= version(without["first"]):
        message = f"Triton {tag.group(1)} has no TensorRT-LLM backend, and neither have later images"
        refuse("image.reference", reference, f"{message}. {without['remedy']}")
    elif "tensorrt-llm/release:" in reference:
        refuse("image.reference", reference, "has no Triton: use trtllm_profile serve, or an image of Triton")


def _version_of(reference: str, catalogue: Catalogue) -> str | None:
    """The TensorRT-LLM version of an image from NGC."""
    if not re.search(r"tritonserver:\d\d\.\d\d-trtllm", reference):
        return None
    tag = reference.rpartition("/")[2]
    for name, entry in catalogue.releases.items():
        if any(image["reference"].endswith(tag) for image in entry["images"]):
            return name
    return None


def _check_precision(spec: Spec, _catalogue: Catalogue, refuse: Refuse) -> None:
    precision = PRECISIONS[spec.precision]
    able = ", ".join(name for name, entry in PRECISIONS.items() if entry.weight_bytes >= 2)
    if spec.model.quantization and spec.profile == "engine":
        refuse("model", spec.model.name, f"is quantised ({spec.model.quantization}): use trtllm_profile llmapi")
    if precision.weight_only and spec.profile != "engine":
        message = f"weight-only quantisation needs trtllm_profile engine; {spec.profile} supports {able}"
        refuse("precision", spec.precision, message)
    if spec.precision == "fp8" and spec.model.quantization != "fp8":
        profile = "profile llmapi" if spec.profile == "engine" else f"profile {spec.profile}"
        message = f"the weights are not FP8: use a repository with FP8 weights and {profile}, or one of {able}"
        refuse("precision", "fp8", message)


def _check_converter(spec: Spec, _catalogue: Catalogue, refuse: Refuse) -> None:
    reason = obstacle(spec)
    if spec.converter == NATIVE and choose(spec)[0] and reason:
        other = ", or use trtllm_precision float16, bfloat16 or float32" if needs_other_precision(spec) else ""
        refuse("converter", NATIVE, f"{reason}: remove trtllm_converter to use upstream's{other}")


def _check_parallelism(spec: Spec, _catalogue: Catalogue, refuse: Refuse) -> None:
    shape, asked = spec.model.shape, spec.parallelism_request
    legal = _listed(legal_tensor_sizes(shape))
    if asked.tensor and shape.heads % asked.tensor:
        message = f"does not divide the {shape.heads} attention heads of {spec.model.name}; possible sizes are {legal}"
        refuse("parallelism.tensor", asked.tensor, message)
    elif asked.tensor and asked.tensor not in legal_tensor_sizes(shape, asked.tensor):
        message = (
            f"neither divides nor is a multiple of the {shape.kv_heads} KV heads of {spec.model.name}, or does not "
            f"divide its feed-forward width {shape.ffn}; possible sizes are {legal}"
        )
        refuse("parallelism.tensor", asked.tensor, message)
    if asked.pipeline and shape.layers % asked.pipeline:
        divisors = _listed([size for size in range(1, 17) if not shape.layers % size])
        message = f"does not divide the {shape.layers} layers; possible sizes are {divisors}"
        refuse("parallelism.pipeline", asked.pipeline, message)
    _check_experts(spec, refuse)


def _check_experts(spec: Spec, refuse: Refuse) -> None:
    shape, asked = spec.model.shape, spec.parallelism_request
    split = {"moe_tensor": asked.moe_tensor, "moe_expert": asked.moe_expert}
    if not any(split.values()):
        return
    product = (asked.moe_tensor or 1) * (asked.moe_expert or 1)
    if not shape.experts:
        refuse("parallelism.moe_expert", split, f"{spec.model.name} has no experts: remove moe_tensor and moe_expert")
    elif asked.tensor is None:
        refuse("parallelism.tensor", None, f"is required with moe_tensor and moe_expert: {product}, their product")
    elif product != asked.tensor:
        refuse("parallelism.moe_tensor", split, f"moe_tensor x moe_expert must be equal to tensor, {asked.tensor}")
    elif asked.moe_expert and shape.experts % asked.moe_expert:
        refuse("parallelism.moe_expert", asked.moe_expert, f"does not divide the {shape.experts} experts")
    elif _mixes(asked) and spec.profile == "engine" and "--moe_tp_mode" in spec.release["convert"]["flags"]:
        release = spec.release["release"]
        message = f"TensorRT-LLM {release} either splits or distributes experts, not both: use {asked.tensor} and 1"
        refuse("parallelism.moe_expert", asked.moe_expert, message)


def _mixes(asked: ParallelismRequest) -> bool:
    return (asked.moe_tensor or 1) > 1 and (asked.moe_expert or 1) > 1


def _check_limits(spec: Spec, _catalogue: Catalogue, refuse: Refuse) -> None:
    """A limit that was chosen depends on those that were set, so one of these is refused."""
    limits, most, given = spec.limits, spec.model.shape.max_positions, spec.explicit_limits
    if limits.max_seq_len > most and "max_seq_len" in given:
        refuse("limits.max_seq_len", limits.max_seq_len, f"{spec.model.name} supports at most {most} positions")
    elif limits.max_seq_len > most:
        message = f"{spec.model.name} supports at most {most} positions for the prompt and the answer"
        refuse("limits.max_input_len", limits.max_input_len, message)
    if limits.max_input_len >= limits.max_seq_len and "max_input_len" in given:
        message = f"must be less than max_seq_len, {limits.max_seq_len}, which includes the prompt and the answer"
        refuse("limits.max_input_len", limits.max_input_len, message)
    elif limits.max_input_len >= limits.max_seq_len:
        refuse("limits.max_seq_len", limits.max_seq_len, "must be at least 2: it includes the prompt and the answer")
    if limits.max_num_tokens < limits.max_batch_size:
        message = f"must be at least max_batch_size, {limits.max_batch_size}: a step generates one token per sequence"
        refuse("limits.max_num_tokens", limits.max_num_tokens, message)


def _check_parameters(spec: Spec, catalogue: Catalogue, refuse: Refuse) -> None:
    for variable, given in (
        ("repository_parameters", spec.repository_parameters),
        ("repository_overrides", spec.repository_overrides),
    ):
        for model in given:
            if model not in spec.models:
                message = f"is not a Triton model{hint(model, spec.models)}; use one of: {', '.join(spec.models)}"
                refuse(f"{variable}.{model}", model, message)
    if spec.profile != "engine":
        return
    for model, values in spec.repository_parameters.items():
        known = placeholders(spec.release, model)
        for name, value in values.items() if model in spec.models else ():
            variable = f"repository_parameters.{model}.{name}"
            if isinstance(value, (Mapping, list, tuple)):
                refuse(
                    variable, value, "must be text, a number, true or false, or null to leave the placeholder unfilled"
                )
            if value is None and name in spec.release["placeholders"][model]["required_to_parse"]:
                refuse(variable, value, "Triton cannot read the configuration if this is not filled: remove it")
            if name not in known:
                refuse(
                    variable,
                    value,
                    f"the template of {model} in TensorRT-LLM {spec.release['release']} has no placeholder {name}"
                    f"{_renamed(name, spec.release, catalogue) or hint(name, known)}; use one of: {', '.join(known)}",
                )


def _check_arguments(spec: Spec, _catalogue: Catalogue, refuse: Refuse) -> None:
    planned, known = planned_flags(spec), spec.release["launch"]["server_flags"]
    for argument in spec.server.arguments:
        flag = argument.partition("=")[0]
        if flag_of(argument) in planned:
            refuse("server.arguments", argument, f"{flag_of(argument)} is set by the plan: remove it here")
        elif flag not in known:
            message = f"Triton of TensorRT-LLM {spec.release['release']} has no flag {flag}{hint(flag, known)}"
            refuse("server.arguments", argument, f"{message}; correct or remove it")


def _renamed(name: Any, release: Release, catalogue: Catalogue) -> str:
    """The new name of a placeholder that an earlier version had, or when it was removed."""
    for earlier in catalogue.releases:
        changed = catalogue.releases[earlier]["changes"]["placeholders"]
        if name in changed:
            return f" (called {changed[name]} since {earlier})" if changed[name] else f" (removed in {earlier})"
        if earlier == release["release"]:
            break
    return ""


def _listed(values: Iterable[int]) -> str:
    return ", ".join(str(value) for value in values)
