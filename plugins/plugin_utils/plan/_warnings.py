# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Warnings: what works, but maybe not as expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._decoder import (
    ARCHITECTURES,
    Decoder,
    describe,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._format import engine_warnings
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._vulnerabilities import older
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._agreement import (
    chunk_parameter,
    required_build_options,
    reuses_blocks,
    takes_chunks,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._commands import llmapi_limits
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gpu_fit import Sized, precision_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._limits import open_limits
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._preflight_needs import dotted
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._serve_checks import serve_warnings
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import counted, hint
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import (
    TENSORRT_LLM,
    Spec,
    first_serving,
    is_commit,
)

WINDOW = "sliding_window"
WINDOW_PARAMETER = "max_attention_window_size"


def warnings(spec: Spec, host: HostFacts, sized: Sized, catalogue: Catalogue) -> list[str]:
    found = [
        *_server_warnings(spec),
        *_limit_warnings(spec),
        *_engine_warnings(spec),
        *_model_warnings(spec, catalogue),
    ]
    found += serve_warnings(spec, host, sized)
    return [*found, *_host_warnings(spec, host, catalogue), *_size_warnings(spec, host, sized)]


def _server_warnings(spec: Spec) -> Iterator[str]:
    if spec.server.exposed:
        server = "trtllm-serve" if spec.profile == "serve" else "Triton"
        yield (
            f"trtllm_server.address {spec.server.address}: {server} has no authentication; put a gateway in front of it"
        )
    for model, fields in spec.repository_overrides.items():
        if "KIND_GPU" in str(fields):
            yield (
                f"trtllm_repository_overrides.{model}: KIND_GPU starts an instance for each GPU; use KIND_CPU, because "
                "TensorRT-LLM chooses the GPU of each rank"
            )


def _limit_warnings(spec: Spec) -> Iterator[str]:
    release, limits = spec.release["release"], spec.limits
    if spec.profile != "serve" and limits.max_num_tokens < limits.max_input_len and not takes_chunks(spec):
        yield (
            f"trtllm_limits.max_num_tokens {limits.max_num_tokens}: the server rejects longer prompts, although "
            f"max_input_len is {limits.max_input_len}: raise it, or set {chunk_parameter(spec)}: true in "
            f"trtllm_repository_parameters.{TENSORRT_LLM}"
        )
    if limits.max_batch_size == 1 and "max_batch_size" in spec.explicit_limits:
        yield "trtllm_limits.max_batch_size 1: in-flight batching serves one request at a time"
    if spec.profile == "llmapi":
        unknown = [name for name in llmapi_limits(limits) if name not in spec.release["llmapi"]["model_yaml"]]
        dropped = ", ".join(name for name in unknown if name in spec.explicit_limits)
        if dropped:
            yield f"trtllm_limits: not supported in model.yaml of TensorRT-LLM {release} and ignored: {dropped}"


def _engine_warnings(spec: Spec) -> Iterator[str]:
    if spec.profile != "engine":
        return
    if spec.limits.max_beam_width > 1 and reuses_blocks(spec):
        yield (
            f"trtllm_limits.max_beam_width {spec.limits.max_beam_width}: the KV cache of earlier prompts is not reused,"
            " because TensorRT-LLM cannot do so with several beams"
        )
    if not spec.engine_dir:
        return
    still_open = ", ".join(open_limits(spec))
    if still_open:
        yield f"trtllm_limits without {still_open}: set those that the engine in trtllm_engine_dir was built for"
    for flag, value in required_build_options(spec).items():
        yield f"trtllm_engine_dir: the repository parameters need an engine that was built with {flag} {value}"


def _model_warnings(spec: Spec, catalogue: Catalogue) -> Iterator[str]:
    yield from _computation_warnings(spec, catalogue)
    if spec.profile == "llmapi":
        known = [*spec.release["llmapi"]["model_yaml"], "triton_config"]
        for name in spec.repository_parameters.get(TENSORRT_LLM, {}):
            if name not in known and hint(name, known):
                yield (
                    f"trtllm_repository_parameters.{TENSORRT_LLM}.{name} is not a known key of model.yaml"
                    f"{hint(name, known)}; it is passed to LLM() unchanged"
                )
    model, tokenizer = spec.model, spec.tokenizer
    if not spec.weights.path and not is_commit(model.revision):
        yield (
            f"trtllm_model.revision {model.revision} is not a commit: what it names can change, and then hosts differ; "
            "use the commit"
        )
    if model.quantization and precision_of(spec).weight_bytes > 1:
        yield (
            f"{model.name} is quantised ({model.quantization}), but its memory is calculated for {spec.precision}: the "
            "KV cache has more room than shown"
        )
    if tokenizer and tokenizer.kind != spec.model.kind:
        yield (
            f"trtllm_tokenizer {tokenizer.repository or tokenizer.path} (kind: {tokenizer.kind}) does not match the "
            f"weights of {spec.model.name} (kind: {spec.model.kind}), which were not trained with its chat format"
        )


def _computation_warnings(spec: Spec, catalogue: Catalogue) -> Iterator[str]:
    """What may not be computed, or not as the model does."""
    architecture, release = spec.model.architecture, spec.release
    if spec.profile == "llmapi" and architecture not in release["llmapi"]["architectures"]:
        first = first_serving(architecture, catalogue)
        other = f", but for {first} and later" if first else ""
        yield (
            f"trtllm_model.architecture {architecture} is not among those that the catalogue lists for TensorRT-LLM "
            f"{release['release']}{other}: the server may not start, and the memory that it needs is only estimated"
        )
    if not spec.engine_dir and architecture in ARCHITECTURES:
        yield from _attention_warnings(spec, describe(spec.model.config))


def _attention_warnings(spec: Spec, decoder: Decoder) -> Iterator[str]:
    # With Qwen2 only some layers have the window.
    has_parameter = spec.profile == "engine" and decoder.architecture != "Qwen2ForCausalLM"
    if has_parameter and spec.repository_parameters.get(TENSORRT_LLM, {}).get(WINDOW_PARAMETER):
        decoder = replace(decoder, full_attention={})
    remedy = f", or set trtllm_repository_parameters.{TENSORRT_LLM}.{WINDOW_PARAMETER}" if has_parameter else ""
    for found in engine_warnings(decoder, spec.limits.max_seq_len):
        other = remedy if WINDOW in found else ""
        yield f"trtllm_limits.max_seq_len {spec.limits.max_seq_len}: {found}; lower it{other}"


def _host_warnings(spec: Spec, host: HostFacts, catalogue: Catalogue) -> Iterator[str]:
    if not host.gpus:
        yield "this host has no GPU: the image must have a backend that needs none"
        return
    tested = version(spec.release["compute_capability"].get("tested", ""))
    if host.capability and host.capability < tested:
        yield (
            f"trtllm_release {spec.release['release']}: upstream does not test it on GPUs with compute capability "
            f"{dotted(host.capability)}, but from {dotted(tested)} on, and NGC's images may lack their kernels"
        )
    toolkit = [entry for entry in catalogue.vulnerabilities if entry["component"] == "nvidia_container_toolkit"]
    have = host.container_toolkit
    found = [entry["id"] for entry in toolkit if have and older(have, entry["fixed_in"])]
    if found:
        yield f"nvidia-container-toolkit {have} has known vulnerabilities ({', '.join(found)}): update it"


def _size_warnings(spec: Spec, host: HostFacts, sized: Sized) -> Iterator[str]:
    budget = sized.budget
    if host.gpus and budget is None:
        yield "the GPUs' memory is not known, so it was not checked whether the model fits"
    chosen = "max_batch_size" not in spec.explicit_limits and "max_seq_len" not in spec.explicit_limits
    if budget and not chosen and 1 <= budget.sequences < spec.limits.max_batch_size:
        yield (
            f"trtllm_limits.max_batch_size {spec.limits.max_batch_size}: the KV cache holds "
            f"{counted(budget.sequences, 'sequence')} of {spec.limits.max_seq_len} tokens; others wait or are paused"
        )
