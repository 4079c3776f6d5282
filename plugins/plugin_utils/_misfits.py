# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What cannot work although every single value of the spec is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import Catalogue, Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._converter import (
    choose,
    needs_other_precision,
    obstacle,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._refusal import Checker, Refusal, hint
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._sizing import PRECISIONS, legal_tensor_sizes
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import NATIVE, Asked, Spec, placeholders

Refuse = Callable[[str, Any, str], None]


def misfits(spec: Spec, catalogue: Catalogue) -> list[Refusal]:
    """What cannot work although every single value is allowed."""
    checker = Checker()
    for check in (
        *(_release_misfits, _image_misfits, _precision_misfits, _converter_misfits, _parallelism_misfits),
        *(_limit_misfits, _parameter_misfits),
    ):
        check(spec, catalogue, checker.refuse)
    return checker.refusals


def _release_misfits(spec: Spec, catalogue: Catalogue, refuse: Refuse) -> None:
    release, architecture = spec.release["release"], spec.model.architecture
    if spec.profile not in spec.release["profiles"]:
        able = [name for name, entry in catalogue.releases.items() if spec.profile in entry["profiles"]]
        refuse("profile", spec.profile, f"release {release} has no such profile; {able[0]} to {able[-1]} have")
        return
    known = spec.release["convert"]["scripts"] if spec.profile == "engine" else spec.release["llmapi"]["architectures"]
    if architecture not in known:
        verb = "converts" if spec.profile == "engine" else "serves"
        refuse("model.architecture", architecture, f"release {release} {verb} {', '.join(known)}")
    if spec.engine_dir and spec.profile == "llmapi":
        refuse("engine_dir", spec.engine_dir, "the profile llmapi serves weights: leave it out, or use profile engine")


def _image_misfits(spec: Spec, catalogue: Catalogue, refuse: Refuse) -> None:
    release, image = spec.release, spec.image
    if image.source != "registry":
        return
    if not image.reference:
        if not release["images"]:
            refuse(
                "image.reference", "", f"NGC has no image of {release['release']}: name one, or build it (image.source)"
            )
        return
    named = image.reference.rpartition("/")[2]
    if ":" not in named and not image.digest:
        refuse("image.reference", image.reference, "has no tag: add one, or say image.digest")
    other = _release_of(image.reference, catalogue)
    if other and other != release["release"]:
        refuse("image.reference", image.reference, f"carries release {other}, not {release['release']}: change one")


def _release_of(reference: str, catalogue: Catalogue) -> str | None:
    """The release that an NGC image carries."""
    if not re.search(r"tritonserver:\d\d\.\d\d-trtllm", reference):
        return None
    tag = reference.rpartition("/")[2]
    for name, entry in catalogue.releases.items():
        if any(image["reference"].endswith(tag) for image in entry["images"]):
            return name
    return None


def _precision_misfits(spec: Spec, _catalogue: Catalogue, refuse: Refuse) -> None:
    precision = PRECISIONS[spec.precision]
    able = ", ".join(name for name, entry in PRECISIONS.items() if entry.weight_bytes >= 2)
    if spec.model.quantization and spec.profile == "engine":
        refuse("model", spec.model.name, f"is quantised ({spec.model.quantization}): serve it by trtllm_profile llmapi")
    if precision.weight_only and spec.profile == "llmapi":
        refuse("precision", spec.precision, f"weight-only needs profile engine; llmapi has {able}")
    if spec.precision == "fp8" and spec.model.quantization != "fp8":
        message = "the weights are not FP8: name a repository that is quantised to it, with profile llmapi, or use "
        refuse("precision", "fp8", message + able)


def _converter_misfits(spec: Spec, _catalogue: Catalogue, refuse: Refuse) -> None:
    against = obstacle(spec)
    if spec.converter == NATIVE and choose(spec)[0] and against:
        other = ", or take trtllm_precision float16, bfloat16 or float32" if needs_other_precision(spec) else ""
        refuse("converter", NATIVE, f"{against}: leave it out for the release's own converter{other}")


def _parallelism_misfits(spec: Spec, _catalogue: Catalogue, refuse: Refuse) -> None:
    shape, asked = spec.model.shape, spec.asked
    legal = _listed(legal_tensor_sizes(shape))
    if asked.tensor and shape.heads % asked.tensor:
        message = f"does not divide the {shape.heads} attention heads of {spec.model.name}; these do: {legal}"
        refuse("parallelism.tensor", asked.tensor, message)
    elif asked.tensor and asked.tensor not in legal_tensor_sizes(shape, asked.tensor):
        message = (
            f"neither divides nor is a multiple of the {shape.kv_heads} KV heads of {spec.model.name}, or does not "
            f"divide its feed-forward width {shape.ffn}; these work: {legal}"
        )
        refuse("parallelism.tensor", asked.tensor, message)
    if asked.pipeline and shape.layers % asked.pipeline:
        divisors = _listed([size for size in range(1, 17) if not shape.layers % size])
        refuse(
            "parallelism.pipeline", asked.pipeline, f"does not divide the {shape.layers} layers; these do: {divisors}"
        )
    _expert_misfits(spec, refuse)


def _expert_misfits(spec: Spec, refuse: Refuse) -> None:
    shape, asked = spec.model.shape, spec.asked
    split = {"moe_tensor": asked.moe_tensor, "moe_expert": asked.moe_expert}
    if not any(split.values()):
        return
    product = (asked.moe_tensor or 1) * (asked.moe_expert or 1)
    if not shape.experts:
        refuse(
            "parallelism.moe_expert", split, f"{spec.model.name} has no experts: leave moe_tensor and moe_expert out"
        )
    elif asked.tensor is None:
        refuse("parallelism.tensor", None, f"must be said where the experts' split is: {product}")
    elif product != asked.tensor:
        refuse(
            "parallelism.moe_tensor", split, f"moe_tensor x moe_expert must be the tensor parallelism, {asked.tensor}"
        )
    elif asked.moe_expert and shape.experts % asked.moe_expert:
        refuse("parallelism.moe_expert", asked.moe_expert, f"does not divide the {shape.experts} experts")
    elif _mixes(asked) and spec.profile == "engine" and "--moe_tp_mode" in spec.release["convert"]["flags"]:
        message = f"release {spec.release['release']} spreads experts or cuts them, not both: use {asked.tensor} and 1"
        refuse("parallelism.moe_expert", asked.moe_expert, message)


def _mixes(asked: Asked) -> bool:
    return (asked.moe_tensor or 1) > 1 and (asked.moe_expert or 1) > 1


def _limit_misfits(spec: Spec, _catalogue: Catalogue, refuse: Refuse) -> None:
    limits, most = spec.limits, spec.model.shape.max_positions
    if limits.max_seq_len > most:
        refuse("limits.max_seq_len", limits.max_seq_len, f"{spec.model.name} has {most} positions: {most} at most")
    if limits.max_input_len >= limits.max_seq_len:
        message = f"must be below max_seq_len, {limits.max_seq_len}: a sequence is the prompt and the answer"
        refuse("limits.max_input_len", limits.max_input_len, message)
    if limits.max_num_tokens < limits.max_batch_size:
        message = f"must be at least max_batch_size, {limits.max_batch_size}: a step makes one token a sequence"
        refuse("limits.max_num_tokens", limits.max_num_tokens, message)


def _parameter_misfits(spec: Spec, catalogue: Catalogue, refuse: Refuse) -> None:
    for variable, given in (
        ("repository_parameters", spec.repository_parameters),
        ("repository_overrides", spec.repository_overrides),
    ):
        for model in given:
            if model not in spec.models:
                refuse(f"{variable}.{model}", model, f"is not a model of this repository: {', '.join(spec.models)}")
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
            if name not in known:
                refuse(
                    variable,
                    value,
                    f"the template of {model} in release {spec.release['release']} has no placeholder {name}"
                    f"{_renamed(name, spec.release, catalogue) or hint(name, known)}; it has: {', '.join(known)}",
                )


def _renamed(name: Any, release: Release, catalogue: Catalogue) -> str:
    """What became of a placeholder that an earlier release had."""
    for earlier in catalogue.releases:
        changed = catalogue.releases[earlier]["changes"]["placeholders"]
        if name in changed:
            return f" ({changed[name]} since {earlier})" if changed[name] else f" (removed in {earlier})"
        if earlier == release["release"]:
            break
    return ""


def _listed(values: Iterable[int]) -> str:
    return ", ".join(str(value) for value in values)
