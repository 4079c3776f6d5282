# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Values of the model repository that must agree with other variables, with the engine, or with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._options import (
    PAGED_CONTEXT_FMHA,
    has_lora,
    option,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import PRECISIONS
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import (
    TENSORRT_LLM,
    Spec,
    cache_fraction_of,
)

Refuse = Callable[[str, Any, str], None]
_LIMITS_OF_ENGINE = {"triton_max_batch_size": "max_batch_size", "max_beam_width": "max_beam_width"}
_LIMITS_OF_LLM_API = ("max_batch_size", "max_input_len", "max_seq_len", "max_num_tokens", "max_beam_width")
_SIZES_OF_LLM_API = {
    "tensor_parallel_size": "tensor",
    "pipeline_parallel_size": "pipeline",
    "moe_tensor_parallel_size": "moe_tensor",
    "moe_expert_parallel_size": "moe_expert",
}
# Parameters that need an engine which was built for speculative decoding, and the value of the option.
_SPECULATIVE = {"medusa_choices": "medusa", "eagle_choices": "eagle"}
_SPECULATIVE_PREFIX, _LOOKAHEAD = "lookahead_", "lookahead_decoding"
_SPECULATIVE_MODES = {"medusa": "medusa", "lookahead": _LOOKAHEAD, "eagle": "eagle"}
_ENCODER_DECODER = ("cross_kv_cache_fraction", "encoder_engine_dir")
_LOGITS = {"float16": "TYPE_FP16", "float32": "TYPE_FP32"}


class Stated(NamedTuple):
    """A value that the user gives to a Triton model; `name` is that of a placeholder or an argument of LLM()."""

    variable: str
    model: str
    name: str
    value: Any

    def states(self, value: Any) -> bool:
        """Whether it is this value. Templates contain text, so 1, "1" and 1.0 are the same, like true and "True"."""
        if isinstance(value, bool):
            return (_plain(self.value) in ("true", 1.0)) == value
        return _plain(self.value) == _plain(value)


def _plain(value: Any) -> Any:
    text = str(value).strip().lower()
    try:
        return float(text)
    except ValueError:
        return text


def check_agreement(spec: Spec, refuse: Refuse) -> None:
    checks = [_limits_of_engine, _engine_settings, _engine_needs, _beams, tokens_in_cache]
    if spec.profile != "engine":
        checks = [_limits_of_llm_api, _llm_api_settings, tokens_in_cache]
    for check in (*checks, _streaming, _cache_fraction, _instances):
        for variable, value, message in check(spec):
            refuse(variable, value, message)


Problems = Iterator["tuple[str, Any, str]"]


def stated(spec: Spec) -> Iterator[Stated]:
    """The repository parameters, and the same values in fields of the configuration. Null leaves the default."""
    defaults = {"max_beam_width": 1, **spec.release["runtime_defaults"]}
    for model, values in spec.repository_parameters.items():
        for name, given in values.items():
            # Upstream takes an empty text for an unset parameter.
            value = defaults.get(name) if given in (None, "") else given
            if value is not None:
                yield Stated(f"repository_parameters.{model}.{name}", model, name, value)
    for model, fields in spec.repository_overrides.items():
        variable = f"repository_overrides.{model}"
        parameters = fields.get("parameters")
        for name, value in parameters.items() if isinstance(parameters, Mapping) else ():
            if isinstance(value, Mapping) and value.get("string_value") is not None:
                yield Stated(f"{variable}.parameters.{name}", model, name, value["string_value"])
        if spec.profile == "engine" and fields.get("max_batch_size") is not None:
            yield Stated(f"{variable}.max_batch_size", model, "triton_max_batch_size", fields["max_batch_size"])
        policy = fields.get("model_transaction_policy")
        if isinstance(policy, Mapping) and policy.get("decoupled") is not None:
            name = f"{variable}.model_transaction_policy.decoupled"
            yield Stated(name, model, "decoupled_mode", policy["decoupled"])


def _of_engine(spec: Spec) -> dict[str, Stated]:
    """The parameters of the model that computes."""
    return {entry.name: entry for entry in stated(spec) if entry.model == TENSORRT_LLM}


def _limits_of_engine(spec: Spec) -> Problems:
    for entry in stated(spec):
        limit = _LIMITS_OF_ENGINE.get(entry.name)
        if limit:
            yield from _differs_from_limit(spec, entry, limit)


def _limits_of_llm_api(spec: Spec) -> Problems:
    supported = spec.release["llmapi"]["model_yaml"]
    for entry in stated(spec):
        if entry.name in _LIMITS_OF_LLM_API and entry.name in supported:
            yield from _differs_from_limit(spec, entry, entry.name)
    beams = spec.limits.max_beam_width
    if beams > 1:
        message = "with profile llmapi, each request would have to ask for exactly as many beams: use profile engine"
        yield "limits.max_beam_width", beams, message


def _llm_api_settings(spec: Spec) -> Problems:
    for entry in stated(spec):
        variable, size = entry.variable, _SIZES_OF_LLM_API.get(entry.name)
        if size and not entry.states(getattr(spec.parallelism_request, size)):
            yield variable, entry.value, f"is set by the plan: use trtllm_parallelism.{size} instead"
        elif entry.name in ("model", "tokenizer"):
            other = "model and trtllm_weights" if entry.name == "model" else "tokenizer"
            yield variable, entry.value, f"is set by the plan: use trtllm_{other} instead"
        elif entry.name == "dtype" and not entry.states(PRECISIONS[spec.precision].dtype):
            yield variable, entry.value, "is set by the plan: use trtllm_precision instead"


def _differs_from_limit(spec: Spec, entry: Stated, limit: str) -> Problems:
    known = limit in spec.explicit_limits or limit == "max_beam_width"
    if not known:
        yield entry.variable, entry.value, f"is set by the plan: use trtllm_limits.{limit} instead"
    elif not entry.states(getattr(spec.limits, limit)):
        what = "the engine is built for" if spec.profile == "engine" else "LLM() gets"
        message = f"{what} {getattr(spec.limits, limit)}: use trtllm_limits.{limit} instead"
        yield entry.variable, entry.value, message


def _streaming(spec: Spec) -> Problems:
    for entry in stated(spec):
        decoupled = entry.name == "decoupled_mode"
        if entry.name == "triton_config" and isinstance(entry.value, Mapping):
            entry = entry._replace(variable=f"{entry.variable}.decoupled", value=entry.value.get("decoupled"))
            decoupled = entry.value is not None
        # The other models of the repository are never decoupled in upstream's templates.
        if decoupled and not entry.states(spec.streaming):
            yield entry.variable, entry.value, f"contradicts trtllm_streaming, {str(spec.streaming).lower()}: use that"


def _cache_fraction(spec: Spec) -> Problems:
    """`read_spec` uses the parameter as the limit, unless the limit is set too."""
    found, limit = cache_fraction_of(spec.repository_parameters, spec.profile), spec.limits.kv_cache_fraction
    entries = [entry for entry in stated(spec) if entry.name == "kv_cache_free_gpu_mem_fraction"]
    if found and spec.profile == "llmapi":
        entries.append(Stated(found[0], TENSORRT_LLM, "", found[1]))
    for entry in entries:
        if not entry.states(limit):
            yield entry.variable, entry.value, f"the plan has {limit}: use trtllm_limits.kv_cache_fraction instead"


def _engine_settings(spec: Spec) -> Problems:
    set_by = {"engine_dir": "engine_dir", "tokenizer_dir": "tokenizer"}
    for entry in stated(spec):
        if entry.name in set_by and entry.variable.startswith("repository_parameters"):
            # The template of preprocessing has engine_dir too, for models with images.
            if entry.name == "tokenizer_dir" or entry.model == TENSORRT_LLM:
                yield entry.variable, entry.value, f"is set by the plan: use trtllm_{set_by[entry.name]} instead"
        elif entry.name == "tensorrt_llm_model_name" and not entry.states(TENSORRT_LLM):
            yield entry.variable, entry.value, f"the repository has no other model than {TENSORRT_LLM}: remove it"
        elif entry.name == "logits_datatype" and not spec.engine_dir and not entry.states(logits_type(spec)):
            message = f"the engine's logits are {logits_type(spec)}: use trtllm_build_options.logits_dtype instead"
            yield entry.variable, entry.value, message
        elif entry.name in _ENCODER_DECODER:
            yield entry.variable, entry.value, f"{spec.model.name} has no encoder: remove it"
        elif entry.name == "batching_strategy" and entry.states("V1") and spec.streaming:
            yield entry.variable, entry.value, "V1 cannot stream: remove it, or set trtllm_streaming: false"


def logits_type(spec: Spec) -> str:
    """Triton's data type of the engine's logits."""
    return _LOGITS.get(option(spec, "--logits_dtype") or "float32", "TYPE_FP32")


def required_build_options(spec: Spec) -> dict[str, str]:
    """The options of trtllm-build that parameters need, unless the version has them by default."""
    needs = any(_is_on(spec, name) for name in ("enable_kv_cache_reuse", "enable_chunked_context"))
    known = spec.release["build"]["flags"].get(PAGED_CONTEXT_FMHA)
    return {PAGED_CONTEXT_FMHA: "enable"} if needs and known and known.get("default") != "enable" else {}


def _is_on(spec: Spec, name: str) -> bool:
    entry = _of_engine(spec).get(name)
    return entry is not None and entry.states(True)


def chunk_parameter(spec: Spec) -> str:
    """The parameter with which a prompt can be longer than a step."""
    return "enable_chunked_context" if spec.profile == "engine" else "enable_chunked_prefill"


def takes_chunks(spec: Spec) -> bool:
    if spec.profile == "serve":
        return spec.serve.chunked_prefill
    return _is_on(spec, chunk_parameter(spec))


def reuses_blocks(spec: Spec) -> bool:
    """Whether the server would keep the KV cache of prompts for later ones, by a parameter or by default."""
    entry = _of_engine(spec).get("enable_kv_cache_reuse")
    return entry.states(True) if entry else bool(spec.release["runtime_defaults"]["enable_kv_cache_reuse"])


def _engine_needs(spec: Spec) -> Problems:
    """What an engine must be built for. What an existing engine was built for is not known."""
    if spec.engine_dir:
        return
    for name, entry in _of_engine(spec).items():
        if name in ("enable_kv_cache_reuse", "enable_chunked_context") and entry.states(True):
            yield from _paged_context(spec, entry)
        elif name.startswith("lora_") and not has_lora(spec):
            message = "the engine is built without LoRA: set trtllm_build_options.lora_plugin, such as auto or float16"
            yield entry.variable, entry.value, message
        elif name == "gpu_weights_percent" and not entry.states(1) and "--weight_streaming" not in spec.build_options:
            message = "the engine is built without weight streaming: set trtllm_build_options.weight_streaming: true"
            yield entry.variable, entry.value, message
        elif (mode := _mode(name, entry)) not in ("", option(spec, "--speculative_decoding_mode")):
            message = f"the engine is not built for it: set trtllm_build_options.speculative_decoding_mode: {mode}"
            yield entry.variable, entry.value, message


def _mode(name: str, entry: Stated) -> str:
    """The speculative decoding that a parameter is for; empty if it is for none."""
    if name == "decoding_mode":
        return _SPECULATIVE_MODES.get(str(entry.value).lower(), "")
    return _LOOKAHEAD if name.startswith(_SPECULATIVE_PREFIX) else _SPECULATIVE.get(name, "")


def _paged_context(spec: Spec, entry: Stated) -> Problems:
    for flag in (PAGED_CONTEXT_FMHA, "--context_fmha"):
        if spec.build_options.get(flag) in ("disable", False):
            message = f"needs paged context attention, which trtllm_build_options.{flag[2:]} disables: remove one"
            yield entry.variable, entry.value, message
    if PRECISIONS[spec.precision].dtype == "float32":
        yield entry.variable, entry.value, "needs paged context attention, which float32 does not have: remove it"


def _beams(spec: Spec) -> Problems:
    beams, parameters = spec.limits.max_beam_width, _of_engine(spec)
    reuse, decoding = parameters.get("enable_kv_cache_reuse"), parameters.get("decoding_mode")
    if beams > 1 and reuse and reuse.states(True):
        message = f"blocks cannot be reused with trtllm_limits.max_beam_width {beams}: remove one of them"
        yield reuse.variable, reuse.value, message
    if decoding and decoding.states("beam_search") and beams == 1:
        yield decoding.variable, decoding.value, "the engine is built for one beam: set trtllm_limits.max_beam_width"
    if decoding and beams > 1 and not any(decoding.states(mode) for mode in ("auto", "beam_search")):
        message = f"does not search with trtllm_limits.max_beam_width {beams} beams: remove one of them"
        yield decoding.variable, decoding.value, message


def most_cached_tokens(spec: Spec) -> tuple[str, Any, int | None] | None:
    """The parameter that limits the KV cache to a number of tokens: its variable, value and number."""
    cache = spec.serve_config.get("kv_cache_config")
    if isinstance(cache, Mapping) and cache.get("max_tokens") is not None:
        return _cached_tokens("serve_config.kv_cache_config.max_tokens", cache["max_tokens"])
    for entry in stated(spec) if spec.profile != "serve" else ():
        name, value = entry.variable, entry.value
        if entry.name == "kv_cache_config" and isinstance(value, Mapping) and value.get("max_tokens") is not None:
            name, value = f"{name}.max_tokens", value["max_tokens"]
        elif entry.name != "max_tokens_in_paged_kv_cache":
            continue
        return _cached_tokens(name, value)
    return None


def _cached_tokens(name: str, value: Any) -> tuple[str, Any, int | None]:
    text = str(value)
    number = int(text) if text.isdecimal() and len(text) < 16 else None
    return name, value, number or None


def tokens_in_cache(spec: Spec) -> Problems:
    found = most_cached_tokens(spec)
    if not found:
        return
    variable, value, number = found
    needed = spec.limits.max_seq_len * spec.limits.max_beam_width
    if number is None:
        yield variable, value, "must be a whole number of at least 1"
    elif "max_seq_len" in spec.explicit_limits and number < needed:
        yield variable, value, f"does not hold one sequence: use at least {needed}, or reduce trtllm_limits.max_seq_len"


def _instances(spec: Spec) -> Problems:
    """Several instances of an engine in a server need the orchestrator mode, which the command does not start."""
    message = "the server runs one instance of the model: remove it; use trtllm_deployments for another one"
    groups = spec.repository_overrides.get(TENSORRT_LLM, {}).get("instance_group")
    groups = groups if isinstance(groups, (list, tuple)) else [groups]
    counts = [group.get("count", 1) for group in groups if isinstance(group, Mapping)]
    if len(counts) > 1 or any(str(number) not in ("0", "1") for number in counts):
        yield f"repository_overrides.{TENSORRT_LLM}.instance_group", None, message
    devices = _of_engine(spec).get("gpu_device_ids")
    if devices and ";" in str(devices.value):
        yield devices.variable, devices.value, message
