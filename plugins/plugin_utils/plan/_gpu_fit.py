# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Whether a model fits on the GPUs of a host, how it is split over them, and what to change if it does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._agreement import most_cached_tokens
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import (
    CACHE_BYTES,
    PRECISIONS,
    GpuBudget,
    Limits,
    Load,
    Parallelism,
    Precision,
    choose_parallelism,
    gib,
    legal_pipeline_sizes,
    legal_tensor_sizes,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import NATIVE, Spec


class Advice(NamedTuple):
    """A variable, its value, what to use instead, and the reason."""

    variable: str
    value: Any
    text: str
    reason: str = ""


@dataclass(frozen=True)
class Sized:
    """The requested or chosen parallelism, and its memory budget, which is None if the GPUs are not known."""

    parallelism: Parallelism
    budget: GpuBudget | None


def size(spec: Spec, host: HostFacts) -> Sized:
    """Choose the sizes that were not requested. If nothing fits, use the sizes that come nearest."""
    asked = spec.parallelism_request
    wanted = Parallelism(asked.tensor or 1, asked.pipeline or 1, asked.moe_tensor, asked.moe_expert)
    if host.gpu_memory is None or wanted.world_size > len(host.gpus):
        return Sized(wanted, None)
    load = load_of(spec, host.gpu_memory)
    chosen = choose_parallelism(load, len(host.gpus), asked.tensor, asked.pipeline)
    if chosen:
        chosen = Parallelism(chosen.tensor, chosen.pipeline, asked.moe_tensor, asked.moe_expert)
    sized = chosen or _largest(load, len(host.gpus), wanted, asked.tensor, asked.pipeline)
    return Sized(sized, load.on(sized))


def load_of(spec: Spec, gpu_memory: int) -> Load:
    """The engine's KV cache has the blocks that it was built for."""
    block = spec.build_options.get("--tokens_per_block", spec.release["runtime_defaults"]["tokens_per_block"])
    limited = most_cached_tokens(spec)
    most, cache = limited[2] if limited else None, CACHE_BYTES[spec.serve.kv_cache_type]
    return Load(spec.model.shape, precision_of(spec), spec.limits, gpu_memory, int(block), most, cache)


def precision_of(spec: Spec) -> Precision:
    """With the size of the weights as they are, if their format is known."""
    precision = PRECISIONS[spec.precision]
    known = spec.release.get("checkpoint_formats", {}).get(spec.model.checkpoint_format, {})
    return replace(precision, weight_bytes=known["bits"] / 8) if "bits" in known else precision


def _largest(load: Load, gpus: int, wanted: Parallelism, tensor: int | None, pipeline: int | None) -> Parallelism:
    """The largest split, for the figures in the refusal if nothing fits."""
    tensors = [tensor] if tensor else legal_tensor_sizes(load.shape, gpus // wanted.pipeline)
    stages = [pipeline] if pipeline else legal_pipeline_sizes(load.shape, gpus // tensors[-1])
    return Parallelism(tensors[-1], stages[-1], wanted.moe_tensor, wanted.moe_expert)


def fewer_gpus(spec: Spec, host: HostFacts, sized: Sized) -> list[Advice]:
    """What to change if the parallelism needs more GPUs than the host has."""
    needed, found = sized.parallelism.world_size, len(host.gpus)
    if needed <= found:
        return []
    advice = "use a host with more GPUs"
    if host.gpu_memory:
        fitting = choose_parallelism(load_of(spec, host.gpu_memory), found, None, None)
        if fitting:
            advice = f"{{tensor: {fitting.tensor}, pipeline: {fitting.pipeline}}} fits"
    return [Advice("trtllm_parallelism", _sizes(sized.parallelism), advice, "tensor x pipeline")]


def ways_to_fit(spec: Spec, host: HostFacts, sized: Sized) -> list[Advice]:
    """What to change if the model does not fit: as few variables as possible."""
    parallelism, budget = sized.parallelism, sized.budget
    if budget is None or budget.sequences:
        return []
    load = load_of(spec, budget.memory)
    figures = (
        f"{gib(budget.weights)} for weights, {gib(budget.activations)} for activations, {gib(budget.runtime)} for "
        f"the runtime, and a KV cache for a sequence of {load.limits.max_seq_len} tokens"
    )
    wider = choose_parallelism(load, len(host.gpus), None, None)
    if wider:
        fits = f"{{tensor: {wider.tensor}, pipeline: {wider.pipeline}}} fits"
        return [Advice("trtllm_parallelism", _sizes(parallelism), fits, figures)]
    remedy = next((remedy for remedy in _remedies(spec, load.limits) if remedy.cures(load, parallelism)), None)
    if remedy is None:
        return [Advice("trtllm_model", spec.model.name, "use a smaller model or larger GPUs", figures)]
    advices = remedy.advices(spec)
    together = ", together with the other change" if len(advices) > 1 else ""
    return [Advice(variable, value, f"use {advice}{together}", figures) for variable, value, advice in advices]


@dataclass(frozen=True)
class _Remedy:
    """Changes that may make a model fit: smaller limits, a smaller precision, or a number of GPUs."""

    limits: Mapping[str, int]
    precision: str = ""
    gpus: int = 0

    def cures(self, load: Load, parallelism: Parallelism) -> bool:
        changed = load.within(**self.limits)
        if self.precision:
            changed = replace(changed, precision=PRECISIONS[self.precision])
        if self.gpus:
            return choose_parallelism(changed, self.gpus, None, None) is not None
        return changed.fits(parallelism)

    def advices(self, spec: Spec) -> list[tuple[str, Any, str]]:
        """Variable, its value, and what to use instead."""
        found: list[tuple[str, Any, str]] = []
        given = {name: getattr(spec.limits, name) for name in self.limits}
        if len(given) == 1:
            ((name, value),) = given.items()
            found.append((f"trtllm_limits.{name}", value, str(self.limits[name])))
        elif given:
            pairs = ", ".join(f"{name}: {value}" for name, value in self.limits.items())
            found.append(("trtllm_limits", given, f"{{{pairs}}}"))
        if self.precision:
            found.append(("trtllm_precision", spec.precision, self.precision))
        if self.gpus:
            found.append(("trtllm_model", spec.model.name, f"{self.gpus} such GPUs"))
        return found


def _remedies(spec: Spec, limits: Limits) -> Iterator[_Remedy]:
    """Single changes before combinations of two."""
    smaller = list(_smaller_limits(limits))
    others = [_Remedy({}, precision=name) for name in _smaller_precisions(spec)]
    more = [_Remedy({}, gpus=gpus) for gpus in (2, 4, 8, 16, 32, 64)]
    yield from (_Remedy(change) for change in smaller)
    yield from (*others, *more)
    yield from (replace(other, limits=change) for other in (*others, *more) for change in smaller)


def _smaller_precisions(spec: Spec) -> list[str]:
    """Precisions with half the memory. Even fewer bits are not suggested, because they change the model's answers."""
    weight_only = spec.profile == "engine" and spec.converter != NATIVE
    if spec.profile == "serve" and spec.model.quantization:
        return []
    names = ("float16", "int8_weight_only") if weight_only else ("float16",)
    return [name for name in names if PRECISIONS[name].weight_bytes < PRECISIONS[spec.precision].weight_bytes]


def _smaller_limits(limits: Limits) -> Iterator[dict[str, int]]:
    """Valid smaller limits, one at a time before two."""
    shorter = [limits.max_seq_len >> shift for shift in range(1, 12) if limits.max_seq_len >> shift > 1]
    fewer = [limits.max_num_tokens >> shift for shift in range(1, 12)]
    yield from ({"max_seq_len": length} for length in shorter if length > limits.max_input_len)
    yield from ({"max_num_tokens": tokens} for tokens in fewer if tokens >= limits.max_batch_size)
    for length in shorter:
        yield {"max_seq_len": length, "max_input_len": min(limits.max_input_len, length // 2)}


def _sizes(parallelism: Parallelism) -> dict[str, int]:
    return {"tensor": parallelism.tensor, "pipeline": parallelism.pipeline}
