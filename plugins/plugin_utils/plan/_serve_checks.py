# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What trtllm-serve of a version cannot do with a request, and what its defaults commonly cause."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue, Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._agreement import tokens_in_cache
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gpu_fit import Sized
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._preflight_needs import (
    CAPABILITY_OF_CACHE,
    dotted,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._serve_command import (
    NO_PARSER,
    REASONING_PARSER,
    SERVED_NAME,
    TOOL_PARSER,
    chats,
    family_parsers,
    folder_of,
    parser_of,
    parsers,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._serve_version import ask, doubts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import GIB, PRECISIONS, gib, serving_memory
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Refusal, hint, shown
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Server, Spec

Refuse = Callable[[str, Any, str], None]
Problems = Iterator["tuple[str, Any, str]"]
# Variables of a model, for Triton or for engines.
_NOT_FOR_SERVE = {
    "converter": "nothing is converted: remove it",
    "convert_options": "nothing is converted: remove it",
    "build_options": "nothing is built: remove it",
    "engine_dir": "weights are served, not an engine: remove it, or use trtllm_profile engine",
    "repository_parameters": "there is no model repository: use trtllm_serve_config",
    "repository_overrides": "there is no model repository: use trtllm_serve_config",
}
ONLY_FOR_SERVE = ("served_model_name", "serve", "serve_config")
# Keys that options or other variables set, and these.
_SET_BY = {
    "tensor_parallel_size": "parallelism.tensor",
    "pipeline_parallel_size": "parallelism.pipeline",
    "moe_tensor_parallel_size": "parallelism.moe_tensor",
    "moe_expert_parallel_size": "parallelism.moe_expert",
    "max_batch_size": "limits.max_batch_size",
    "max_num_tokens": "limits.max_num_tokens",
    "max_seq_len": "limits.max_seq_len",
    "max_input_len": "limits.max_input_len",
    "max_beam_width": "limits.max_beam_width",
    "kv_cache_config.free_gpu_memory_fraction": "limits.kv_cache_fraction",
    "kv_cache_config.dtype": "serve.kv_cache_type",
    "kv_cache_config.enable_block_reuse": "serve.kv_cache_reuse",
    "enable_chunked_prefill": "serve.chunked_prefill",
    "guided_decoding_backend": "serve.guided_decoding_backend",
    "reasoning_parser": "serve.reasoning_parser",
    "dtype": "precision",
    "model": "model",
    "revision": "model.revision",
    "tokenizer": "tokenizer",
    "tokenizer_revision": "tokenizer",
}
_PLANNED_SECTIONS = {path.partition(".")[0] for path in _SET_BY if "." in path}
_REFUSED_KEYS = {
    "trust_remote_code": "would run code from the model's repository: remove it",
    "backend": "the backend is always pytorch: remove it",
    "env_overrides": "the plan sets the environment: remove it",
    "telemetry_config": "the plan switches it off: remove it",
    "return_perf_metrics": "the plan switches it on, for the metrics: remove it",
    "enable_iter_perf_stats": "the plan switches it on, for the metrics: remove it",
    "disagg_cluster": "several servers for one model are not supported: remove it",
    "cache_transceiver_config": "several servers for one model are not supported: remove it",
    "kv_connector_config": "loads code from elsewhere: remove it",
    "orchestrator_type": "workers are started over MPI: remove it",
    "context_parallel_size": "is not planned for: remove it",
    "otlp_traces_endpoint": "the container's network has no way out: remove it",
    "skip_tokenizer_init": "the API takes text: remove it",
}
_NO_FOLDER = "names a folder, and the container only has that of the model: remove it"
_FOLDERS = (
    *("speculative_config.speculative_model", "speculative_config.speculative_model_dir", "lora_config.lora_dir"),
    *("postprocess_tokenizer_dir", "checkpoint_loader"),
)
LEFT_OVER = 3 * GIB // 2
"""Memory of a GPU for CUDA graphs and buffers beside the KV cache: an 8 GiB GPU started with 0.8, not with 0.85."""


def check_serve(spec: Spec, catalogue: Catalogue, refuse: Refuse) -> None:
    for check in (_other_profiles, _image, _weights, _precision, _names, _parsers, _beams, _config, _cache):
        for variable, value, message in check(spec, catalogue):
            refuse(variable, value, message)


def _other_profiles(spec: Spec, _catalogue: Catalogue) -> Problems:
    for name, message in _NOT_FOR_SERVE.items():
        if name in spec.given:
            yield name, None, f"with profile serve {message}"
    if not spec.streaming:
        yield "streaming", False, "trtllm-serve streams if a request asks for it: remove it"
    if spec.server.arguments:
        yield "server.arguments", list(spec.server.arguments), "are those of Triton: use trtllm_serve_config"
    if spec.server.closed_apis != Server.closed_apis:
        yield "server.closed_apis", list(spec.server.closed_apis), "are those of Triton: remove it"


def _image(spec: Spec, catalogue: Catalogue) -> Problems:
    image, release = spec.image, spec.release
    if image.source == "build" or image.layout:
        name = "source" if image.source == "build" else "layout"
        yield f"image.{name}", getattr(image, name), "the image is upstream's release image: use registry or archive"
    named = image.reference.rpartition("/")[2]
    if named.startswith("tritonserver:"):
        other = release["image"]["reference"]
        yield "image.reference", image.reference, f"is an image of Triton, which has no trtllm-serve: use {other}"
    tag = named.partition(":")[2].partition("@")[0]
    if "tensorrt-llm/release:" in image.reference and tag in catalogue.serve and tag != release["release"]:
        message = f"contains TensorRT-LLM {tag}, not {release['release']}: change it or trtllm_release"
        yield "image.reference", image.reference, message


def _weights(spec: Spec, catalogue: Catalogue) -> Problems:
    release, model = spec.release, spec.model
    if model.architecture not in release["architectures"]:
        able = [name for name, entry in catalogue.serve.items() if model.architecture in entry["architectures"]]
        other = f"use trtllm_release {able[-1]}" if able else "no version of the catalogue does"
        near = hint(model.architecture, release["architectures"])
        yield (
            "model.architecture",
            model.architecture,
            f"trtllm-serve of TensorRT-LLM {release['release']} does not serve it{near}; {other}",
        )
    name, formats = model.checkpoint_format, release["formats"]
    if model.quantization in release["unread"]:
        message = f"its weights are quantised by {model.quantization}, which no version reads: use other weights"
        yield "model", model.name, f"{message}, such as FP8, NVFP4 or W4A16_AWQ of ModelOpt"
    elif name and name not in formats:
        able = [known for known, entry in catalogue.serve.items() if name in entry["formats"]]
        other = f"; trtllm_release {able[-1]} does" if able else ""
        message = f"TensorRT-LLM {release['release']} does not read {name}{hint(name, formats)}{other}"
        yield "model.checkpoint_format", name, f"{message}; it reads {', '.join(formats)}"


def _precision(spec: Spec, _catalogue: Catalogue) -> Problems:
    dtype, known = PRECISIONS[spec.precision].dtype, spec.release["checkpoint_formats"]
    if dtype not in known:
        yield "precision", spec.precision, "trtllm-serve computes in float16 or bfloat16: use one of them"


def _names(spec: Spec, _catalogue: Catalogue) -> Problems:
    name = spec.served_model_name
    if SERVED_NAME not in spec.release["options"] and name != folder_of(spec):
        message = f"TensorRT-LLM {spec.release['release']} names the model after its folder: use a name without a slash"
        yield "served_model_name", name, message


def _parsers(spec: Spec, _catalogue: Catalogue) -> Problems:
    for name, option in (("reasoning_parser", REASONING_PARSER), ("tool_parser", TOOL_PARSER)):
        given, known = getattr(spec.serve, name), parsers(spec.release, option)
        if given in ("", NO_PARSER, *known):
            continue
        version_name = spec.release["release"]
        if known:
            listed = f"{hint(given, known)}; use one of: {', '.join([*known, NO_PARSER])}"
            yield f"serve.{name}", given, f"TensorRT-LLM {version_name} has no such parser{listed}"
        else:
            yield f"serve.{name}", given, f"TensorRT-LLM {version_name} has no option {option}: remove it"


def _beams(spec: Spec, _catalogue: Catalogue) -> Problems:
    beams = spec.limits.max_beam_width
    if beams > 1:
        yield "limits.max_beam_width", beams, "the OpenAI API has no beams: remove it, or use profile engine"


def _config(spec: Spec, _catalogue: Catalogue) -> Problems:
    config = spec.release["config"]
    for name, value in spec.serve_config.items():
        variable = f"serve_config.{name}"
        message = _refused_key(spec.release, name)
        if message:
            yield variable, value, message
        elif name in config["nested"] and (value is not None or name in _PLANNED_SECTIONS):
            yield from _nested(spec, name, value)
        else:
            yield from _wrong_type(variable, value, config["keys"][name])
            yield from _named_folders(name, value)


def _refused_key(release: Release, name: str) -> str:
    """Why a key of the file cannot be set; empty if it can."""
    config, release_name = release["config"], release["release"]
    if name in config["tensorrt_backend_only"]:
        return "is for engines, and trtllm-serve serves weights: remove it"
    if name in config["renamed"]:
        new = config["renamed"][name]
        return (
            f"TensorRT-LLM {release_name} has {new} instead" if new else f"TensorRT-LLM {release_name} has no such key"
        )
    if name in _SET_BY:
        return f"is set by the plan: use trtllm_{_SET_BY[name]} instead"
    if name in _REFUSED_KEYS:
        return _REFUSED_KEYS[name]
    if name not in config["keys"]:
        return f"TensorRT-LLM {release_name} has no key {name}{hint(name, config['keys'])}"
    return ""


def _nested(spec: Spec, section: str, given: Any) -> Problems:
    known, release = spec.release["config"]["nested"][section], spec.release["release"]
    if not isinstance(given, Mapping):
        yield f"serve_config.{section}", given, f"must be a mapping with keys from: {', '.join(known)}"
        return
    for name, value in given.items():
        path = f"{section}.{name}"
        if path in _SET_BY:
            yield f"serve_config.{path}", value, f"is set by the plan: use trtllm_{_SET_BY[path]} instead"
        elif name not in known:
            message = f"TensorRT-LLM {release} has no key {path}{hint(name, known)}"
            yield f"serve_config.{path}", value, message
        else:
            yield from _wrong_type(f"serve_config.{path}", value, known[name])


def _wrong_type(variable: str, value: Any, default: Any) -> Problems:
    """A value of another type than the default has."""
    if value is None or default is None:
        return
    if isinstance(default, bool):
        wrong = "" if isinstance(value, bool) else "true or false"
    elif isinstance(default, (int, float)):
        wrong = "" if isinstance(value, (int, float)) and not isinstance(value, bool) else "a number"
    else:
        wrong = "" if isinstance(value, str) else "text"
    if wrong:
        yield variable, value, f"must be {wrong}, not {shown(value)}"


def _named_folders(name: str, value: Any) -> Problems:
    inner = {f"{name}.{key}": item for key, item in value.items()} if isinstance(value, Mapping) else {name: value}
    for path, item in inner.items():
        if path in _FOLDERS and item:
            yield f"serve_config.{path}", item, _NO_FOLDER


def _cache(spec: Spec, _catalogue: Catalogue) -> Problems:
    kind, known = spec.serve.kv_cache_type, spec.release["options"].get("--kv_cache_dtype", {}).get("choices")
    if known and kind not in known:
        yield "serve.kv_cache_type", kind, f"use one of: {', '.join(known)}"
    yield from tokens_in_cache(spec)


# --- the host --------------------------------------------------------------------------------------------------------


def check_serving_host(spec: Spec, host: HostFacts, catalogue: Catalogue, sized: Sized) -> list[Refusal]:
    """What the GPUs cannot run, and a version that nobody chose and nobody is known to have run on such a host."""
    if spec.profile != "serve":
        return []
    return [*_unable(spec, host), *ask(spec, host, catalogue, sized)]


def _unable(spec: Spec, host: HostFacts) -> Iterator[Refusal]:
    name = spec.model.checkpoint_format
    known = sorted({dotted(gpu.capability) for gpu in host.gpus if gpu.capability})
    unable = spec.release["checkpoint_formats"].get(name, {}).get("not_on", ())
    for capability in known:
        if capability in unable:
            message = f"GPUs with compute capability {capability} cannot run {name}: use other weights or other GPUs"
            yield Refusal("trtllm_model", spec.model.name, message)
    yield from _host_cache(spec, host)
    kind = spec.serve.kv_cache_type
    least = CAPABILITY_OF_CACHE.get(kind)
    if least and host.capability and host.capability < least:
        message = f"a KV cache of this type needs compute capability {dotted(least)}, the GPUs have"
        yield Refusal("trtllm_serve.kv_cache_type", kind, f"{message} {dotted(host.capability)}: use auto")


def _host_cache(spec: Spec, host: HostFacts) -> Iterator[Refusal]:
    cache = spec.serve_config.get("kv_cache_config")
    size = cache.get("host_cache_size") if isinstance(cache, Mapping) else None
    most = serving_memory(host.memory, 1.0)
    if isinstance(size, int) and most and size > most:
        message = f"the container gets {human_bytes(most)} of the host's memory: use less"
        yield Refusal("trtllm_serve_config.kv_cache_config.host_cache_size", size, message)


# --- warnings --------------------------------------------------------------------------------------------------------


def serve_warnings(spec: Spec, host: HostFacts, sized: Sized) -> Iterator[str]:
    if spec.profile != "serve":
        return
    release, model = spec.release["release"], spec.model
    unknown = doubts(spec.release, host, sized.parallelism.world_size)
    if unknown:
        yield f"trtllm_release {release}: nobody is known to have run it {' or '.join(unknown)}"
    if not chats(spec):
        yield (
            f"{model.name} (kind: base) probably has no chat template: /v1/completions works, but /v1/chat/completions "
            "and /health_generate fail"
        )
    if model.quantization and not model.checkpoint_format and model.quantization not in spec.release["unread"]:
        yield (
            f"trtllm_model: the format of the weights ({model.quantization}) is not known, so it was not "
            f"checked whether TensorRT-LLM {release} and the GPUs read it: set trtllm_model.checkpoint_format to "
            "quant_algo of hf_quant_config.json"
        )
    kind = spec.serve.kv_cache_type
    if model.quantization and kind != "auto":
        yield (
            f"trtllm_serve.kv_cache_type {kind}: the server does not start if the quantised weights name another type "
            "for the KV cache; auto takes theirs"
        )
    yield from _parser_warnings(spec)
    yield from _left_over(spec, sized)


def defaults(spec: Spec) -> Iterator[str]:
    """Defaults of upstream's that commonly cause failures, with the variable for another value."""
    limits = spec.limits
    if not spec.serve.chunked_prefill and limits.max_num_tokens < limits.max_seq_len:
        yield (
            f"trtllm_serve.chunked_prefill is false: prompts of more than {limits.max_num_tokens} tokens are rejected; "
            "set it to true, or raise trtllm_limits.max_num_tokens"
        )
    yield f"requests without max_tokens may generate until a sequence has {limits.max_seq_len} tokens"
    if TOOL_PARSER in spec.release["options"] and not parser_of(spec, TOOL_PARSER):
        yield "trtllm_serve.tool_parser is none: calls of tools are part of the text"
    yield "the first start compiles kernels, which may take many minutes"


def _parser_warnings(spec: Spec) -> Iterator[str]:
    if spec.serve.guided_decoding_backend == "none":
        yield "trtllm_serve.guided_decoding_backend none: requests with a JSON schema fail"
    for name, option, effect in (
        ("reasoning_parser", REASONING_PARSER, "reasoning is part of the answer"),
        ("tool_parser", TOOL_PARSER, "calls of tools stay text"),
    ):
        wanted = ", ".join(family_parsers(spec, option))
        if wanted and not parser_of(spec, option) and not getattr(spec.serve, name):
            yield f"trtllm_serve.{name}: TensorRT-LLM {spec.release['release']} does not have {wanted}: {effect}"


def _left_over(spec: Spec, sized: Sized) -> Iterator[str]:
    budget = sized.budget
    if budget is None or not budget.sequences:
        return
    left = budget.free - budget.kv_cache
    if left < LEFT_OVER and budget.free > LEFT_OVER:
        fraction = int((budget.free - LEFT_OVER) / budget.free * 20) / 20
        other = f"set it to {fraction}" if fraction > 0 else "use a larger GPU"
        yield (
            f"trtllm_limits.kv_cache_fraction {spec.limits.kv_cache_fraction} leaves {gib(left)} on each GPU for CUDA "
            f"graphs and buffers, and {gib(LEFT_OVER)} is often needed: {other} if the server runs out of memory"
        )
