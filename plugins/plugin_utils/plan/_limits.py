# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The limits that a request leaves open. docs/sizing.md describes how they are chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import artifact_key
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._agreement import takes_chunks
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gpu_fit import load_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import (
    GIB,
    Limits,
    Load,
    Parallelism,
    Shape,
    choose_parallelism,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Spec

OPEN = ("max_batch_size", "max_input_len", "max_seq_len", "max_num_tokens")
"""Limits that the plan chooses."""

CHOSEN_FOR = "chosen_for"
"""The key of what the limits were chosen for, among the limits in the record of a release."""

WANTED_SEQUENCES = 64
"""The KV cache should hold so many sequences of the chosen length."""

MOST_SEQUENCES = 256
"""Largest batch to choose: the throughput of larger ones hardly grows, and their logits need memory."""

ENOUGH_SEQUENCES = 8
"""With fewer, smaller steps and shorter sequences are chosen."""

# Tokens of a step and of a sequence, for GPUs that have less and less memory left.
_LEAST = ((8192, 2048), (4096, 2048), (2048, 2048), (2048, 1024))
# TensorRT counts the elements of a tensor with 32 bits.
_MOST_ELEMENTS = 2**31 - 1
_UNNAMED_STEP = 2 * GIB
# GPUs with the same name and another size differ by at least as much.
_SIZES_APART = 8 * GIB

Stored = Mapping[str, Mapping[str, int]]
"""Limits that were chosen in earlier runs, by what they were chosen for."""


def with_limits(spec: Spec, host: HostFacts, catalogue: Catalogue, stored: Stored) -> tuple[Spec, str]:
    """The spec with all limits, and the key of what they were chosen for; empty if none was left open."""
    still_open = open_limits(spec)
    if not still_open:
        return spec, ""
    # What an existing engine was built for is not known.
    memory = None if spec.engine_dir else nominal_memory(host, catalogue)
    key = _chosen_for(spec, host)
    earlier = stored.get(key, {})
    if all(name in earlier for name in still_open):
        chosen = replace(spec.limits, **{name: earlier[name] for name in still_open})
    else:
        chosen = _chosen(spec, memory, len(host.gpus))
    return replace(spec, limits=chosen), key


def open_limits(spec: Spec) -> list[str]:
    return [name for name in OPEN if name not in spec.explicit_limits]


def nominal_memory(host: HostFacts, catalogue: Catalogue) -> int | None:
    """Bytes of the smallest GPU, as in the catalogue: what a driver reports differs a little from host to host."""
    found = host.gpu_memory
    if found is None:
        return None
    smallest = next(gpu.name for gpu in host.gpus if gpu.memory == found)
    for shape in catalogue.shapes.values():
        # Only a GPU of about this memory: some have the same name and another size.
        size = shape["gpus"].get("memory_mib", 0) << 20
        if shape["gpus"].get("name") == smallest and abs(size - found) < size // 10:
            return int(size)
    return max(found // _UNNAMED_STEP, 1) * _UNNAMED_STEP


def _chosen_for(spec: Spec, host: HostFacts) -> str:
    """From what the user and the host determine: additions to the catalogue must not change it."""
    size = ((host.gpu_memory or 0) + _SIZES_APART // 2) // _SIZES_APART
    return artifact_key(
        {
            "model": [spec.model.repository, spec.model.revision or spec.weights.path],
            "release": spec.release["release"],
            "profile": spec.profile,
            "precision": spec.precision,
            "parallelism": asdict(spec.parallelism_request),
            "limits": {name: getattr(spec.limits, name) for name in sorted(spec.explicit_limits)},
            "cache": [spec.limits.kv_cache_fraction, load_of(spec, 0).tokens_per_block, load_of(spec, 0).most_tokens],
            "chunks": takes_chunks(spec),
            **({"kv_cache": spec.serve.kv_cache_type} if spec.profile == "serve" else {}),
            "engine_dir": spec.engine_dir,
            "gpus": [len(host.gpus), host.gpus[0].name if host.gpus else "", size],
        }
    )


def _chosen(spec: Spec, memory: int | None, gpus: int) -> Limits:
    """For as much of the GPUs' memory as the model leaves; without GPUs, the defaults of `Limits`."""
    asked, explicit, load = spec.parallelism_request, spec.explicit_limits, load_of(spec, memory or 0)
    positions = spec.model.shape.max_positions
    longest = power_of_two(min(positions, load.most_tokens or positions))
    chunks = takes_chunks(spec)
    candidates = list(_smallest(load, explicit, longest, chunks))
    found: list[tuple[int, Limits]] = []
    for limits in candidates if memory is not None else ():
        least = replace(load, limits=limits)
        parallelism = choose_parallelism(least, gpus, asked.tensor, asked.pipeline)
        if parallelism:
            largest = _with_input(_largest(least, parallelism, explicit, longest), explicit, chunks)
            found.append((replace(load, limits=largest).on(parallelism).sequences, largest))
            if found[-1][0] >= ENOUGH_SEQUENCES:
                return largest
    if found:
        return max(found, key=lambda entry: entry[0])[1]
    if memory is not None:
        # It is refused, with the figures of the least.
        return _with_input(candidates[-1], explicit, chunks)
    limits = candidates[0]
    if "max_batch_size" not in explicit:
        limits = replace(limits, max_batch_size=min(load.limits.max_batch_size, limits.max_num_tokens))
    return _with_input(limits, explicit, chunks)


def _smallest(load: Load, explicit: frozenset[str], longest: int, chunks: bool) -> Iterator[Limits]:
    """The least that is worth serving, for less and less memory. What is set stays as it is."""
    limits = load.limits
    batch = limits.max_batch_size if "max_batch_size" in explicit else 1
    prompt = limits.max_input_len if "max_input_len" in explicit else 1
    # A step has a whole prompt if there is memory for that.
    steps = (1,) if chunks else tuple(dict.fromkeys((prompt, 1)))
    for step, tokens, length in ((step, *sizes) for step in steps for sizes in _LEAST):
        # It has a token of each sequence.
        tokens = max(min(tokens, _most_tokens(load.shape)), _at_least(batch), _at_least(step))
        # A sequence is longer than its prompt.
        length = min(max(length, _at_least(prompt + 1)), max(longest, prompt + 1))
        own = {"max_batch_size": batch, "max_seq_len": length, "max_num_tokens": tokens}
        yield replace(limits, **{name: value for name, value in own.items() if name not in explicit})


def _largest(load: Load, parallelism: Parallelism, explicit: frozenset[str], longest: int) -> Limits:
    """The longest sequence of which the KV cache holds many, and then as many as it holds."""
    limits = load.limits
    if "max_seq_len" not in explicit:
        wanted = limits.max_batch_size if "max_batch_size" in explicit else WANTED_SEQUENCES
        held = load.on(parallelism).kv_tokens // (limits.max_beam_width * wanted)
        limits = replace(limits, max_seq_len=max(limits.max_seq_len, min(power_of_two(held), longest)))
    if "max_batch_size" not in explicit:
        limits = replace(limits, max_batch_size=_batch(replace(load, limits=limits), parallelism))
    return limits


def _batch(load: Load, parallelism: Parallelism) -> int:
    size = min(MOST_SEQUENCES, power_of_two(load.limits.max_num_tokens))
    while size > 1:
        limits = replace(load.limits, max_batch_size=size)
        widest = max(limits.max_seq_len, load.shape.vocab)
        builds = size * limits.max_beam_width * widest <= _MOST_ELEMENTS
        if builds and replace(load, limits=limits).on(parallelism).sequences >= size:
            return size
        size //= 2
    return 1


def _most_tokens(shape: Shape) -> int:
    """Tokens of a step whose largest tensor TensorRT can build: the two inputs of a feed-forward layer, or a QKV."""
    widest = max(2 * shape.ffn * max(shape.experts_per_token, 1), (shape.heads + 2 * shape.kv_heads) * shape.head_dim)
    return power_of_two(_MOST_ELEMENTS // widest)


def _with_input(limits: Limits, explicit: frozenset[str], chunks: bool) -> Limits:
    """Half of a sequence, but not more than a step, unless prompts are processed in chunks."""
    if "max_input_len" in explicit:
        return limits
    half = power_of_two(max(1, limits.max_seq_len // 2))
    step = half if chunks else power_of_two(limits.max_num_tokens)
    return replace(limits, max_input_len=min(half, step))


def power_of_two(number: int) -> int:
    """The largest power of two that is not larger."""
    return 1 << (max(number, 1).bit_length() - 1)


def _at_least(number: int) -> int:
    """The smallest power of two that is not smaller."""
    return 1 << (max(number, 1) - 1).bit_length()
