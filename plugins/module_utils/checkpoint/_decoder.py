# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A decoder model, read from its Hugging Face config.json, and the tensors that its files must contain."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass, field
from reprlib import Repr

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint import _rotary
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint._uncomputed import uncomputed

Shape = t.Tuple[int, ...]

# Defaults of transformers' configuration classes, the same in 4.40 and 5.23. The classes have defaults for the sizes,
# too, but save_pretrained always writes those: a config.json without them is damaged.
_COMMON = {"hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0}
_DEFAULTS: dict[str, dict[str, t.Any]] = {
    "LlamaForCausalLM": {**_COMMON, "max_position_embeddings": 2048},
    "MistralForCausalLM": {
        **_COMMON,
        "max_position_embeddings": 131072,
        "num_key_value_heads": 8,
        "sliding_window": 4096,
    },
    "Qwen2ForCausalLM": {
        **_COMMON,
        "max_position_embeddings": 32768,
        "num_key_value_heads": 32,
        "sliding_window": 4096,
        "max_window_layers": 28,
    },
    "MixtralForCausalLM": {
        **_COMMON,
        "max_position_embeddings": 131072,
        "num_key_value_heads": 8,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1e6,
    },
}
ARCHITECTURES = tuple(_DEFAULTS)
QUANTIZATION = ("quantization_config", "compression_config")
# Null means none, only a missing key means the default of the class.
_NULLABLE = ("num_key_value_heads", "sliding_window")
# The configuration of the language model in that of a model with several parts.
_NESTED = ("text_config", "language_config", "llm_config")
# The number of experts, and of those for a token, in the architectures that only the LLM API serves.
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_EXPERTS_PER_TOKEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "top_k_experts")
_EXPERT_WIDTH = "moe_intermediate_size"
# Activations of a gated MLP that upstream's layers have.
_ACTIVATIONS = ("silu", "gelu", "gelu_new", "gelu_fast", "relu")
# No count in any model is larger: a larger number means that the file is damaged.
MAX_COUNT = 10**9
_REPR = Repr()
_REPR.maxstring = 80


def quoted(value: t.Any) -> str:
    """A value of config.json for a message, shortened. Python refuses to format integers of thousands of digits."""
    try:
        return _REPR.repr(value)
    except ValueError:
        return "a value too large to show"


class ConversionError(ArtifactError):
    """Why these weights cannot be converted, and what to change."""


class ConfigError(ConversionError):
    """Everything that is wrong with a config.json."""

    def __init__(self, problems: t.Sequence[str]) -> None:
        super().__init__("config.json: " + "; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Decoder:
    """Sizes are in elements. `experts` is 0 for a dense model; `ffn` is the width of one expert.

    `stated_experts` is the number in config.json, where the architecture may have no experts.
    `full_attention`: by key of config.json, the length up to which the model has full attention, which is what engines
    compute.
    """

    architecture: str
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    hidden: int
    ffn: int
    vocab: int
    max_positions: int
    epsilon: float
    hidden_act: str
    rotary_base: float
    rotary_scaling: dict[str, t.Any] | None
    qkv_bias: bool
    dense_bias: bool
    experts: int
    experts_per_token: int
    tied: bool
    stated_experts: int = 0
    full_attention: t.Mapping[str, int] = field(default_factory=dict)

    @property
    def positions(self) -> int:
        """`max_positions` with what the rotary scaling adds."""
        return _rotary.positions(self.rotary_scaling, self.max_positions)


def read_decoder(config: t.Any) -> Decoder:
    """The model that config.json describes; ConfigError lists every reason why it cannot be converted."""
    if not isinstance(config, t.Mapping):
        raise ConversionError("config.json is not a JSON object")
    problems = _unsupported(config)
    if architecture_of(config) not in ARCHITECTURES:
        raise ConfigError(problems)
    decoder, reader = _read(config)
    problems += [*reader.problems, *reader.uncomputed]
    if problems:
        raise ConfigError(problems)
    return decoder


def describe(config: t.Mapping[str, t.Any]) -> Decoder:
    """The model that config.json describes, computed or not; ConfigError lists the values that are missing or wrong.

    If its architecture is not in ARCHITECTURES, only the sizes are read, and are right only approximately.
    """
    decoder, reader = _read(config)
    if reader.problems:
        raise ConfigError(reader.problems)
    return decoder


def _read(config: t.Mapping[str, t.Any]) -> tuple[Decoder, _Reader]:
    architecture, given = architecture_of(config), settings_of(config)
    stated = {key: value for key, value in given.items() if value is not None}
    settings = {**(_DEFAULTS[architecture] if architecture in ARCHITECTURES else _COMMON), **stated}
    for key in _NULLABLE:
        if given.get(key, 0) is None:
            settings.pop(key, None)
    reader = _Reader(settings)
    return reader.decoder(architecture), reader


def settings_of(config: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The settings of the language model, which may be nested."""
    parts = (config[name] for name in _NESTED if isinstance(config.get(name), t.Mapping))
    return {**config, **next(parts, {})}


def architecture_of(config: t.Mapping[str, t.Any]) -> t.Any:
    """The first of `architectures`; None if there is none."""
    architectures = config.get("architectures")
    return architectures[0] if isinstance(architectures, list) and architectures else None


def dtype_of(config: t.Mapping[str, t.Any]) -> t.Any:
    """The dtype of the stored weights; None if config.json does not have it. transformers 5 renamed the key."""
    settings = settings_of(config)
    return settings.get("torch_dtype") or settings.get("dtype")


def quantization_of(config: t.Mapping[str, t.Any]) -> t.Any:
    """The quantisation method; None if the weights are not quantised. compressed-tensors had a key of its own."""
    quantization = next((config[key] for key in QUANTIZATION if config.get(key)), None)
    if isinstance(quantization, t.Mapping):
        return quantization.get("quant_method") or "unknown"
    return quantization or None


def _unsupported(config: t.Mapping[str, t.Any]) -> list[str]:
    """The architecture alone if it is not supported, because other keys then mean something else."""
    architecture, quantization = architecture_of(config), quantization_of(config)
    if architecture not in ARCHITECTURES:
        return [
            f"architectures[0] is {quoted(architecture)}; this converter supports {', '.join(ARCHITECTURES)}."
            " Use converter upstream if the release supports the model"
        ]
    problems = []
    if quantization:
        problems.append(
            f"the weights are quantised ({quoted(quantization)}); this converter writes float16, bfloat16 and float32."
            " Use weights that are not quantised, or the profile llmapi"
        )
    for name in uncomputed(config):
        other = "the profile llmapi, or " if name == "mlp_bias" else ""
        problems.append(
            f"{name} is {quoted(config[name])}, which no engine of {architecture} computes: use {other}another model"
        )
    return problems


class _Reader:
    """Reads one config.json and collects all problems: values that are missing or wrong, and what is not computed."""

    def __init__(self, config: t.Mapping[str, t.Any]) -> None:
        self.problems: list[str] = []
        self.uncomputed: list[str] = []
        self._config = config
        # transformers 5 moved the rotary settings into one mapping.
        parameters = config.get("rope_parameters")
        self._rope: dict[str, t.Any] = parameters if isinstance(parameters, dict) else {}

    def decoder(self, architecture: str) -> Decoder:
        config, known = self._config, architecture in ARCHITECTURES
        bias = self._flag("attention_bias") or self._flag("bias")
        heads, hidden = self._count("num_attention_heads"), self._count("hidden_size")
        experts, chosen = self._experts(architecture)
        positions = self._count("max_position_embeddings")
        scaling = self._rotary_scaling(positions) if known else None
        layers, longest = self._count("num_hidden_layers"), _rotary.positions(scaling, positions)
        return Decoder(
            architecture=architecture,
            layers=layers,
            heads=heads,
            kv_heads=self._count("num_key_value_heads") if "num_key_value_heads" in config else heads,
            head_size=self._count("head_dim") if "head_dim" in config else self._head_size(hidden, heads),
            hidden=hidden,
            ffn=self._count(_EXPERT_WIDTH if experts and config.get(_EXPERT_WIDTH) else "intermediate_size"),
            vocab=self._count("vocab_size"),
            max_positions=positions,
            epsilon=self._number("rms_norm_eps", config["rms_norm_eps"]),
            hidden_act=self._activation(architecture) if known else "",
            rotary_base=self._number("rope_theta", self._rope.get("rope_theta") or config["rope_theta"]),
            rotary_scaling=scaling,
            qkv_bias=architecture == "Qwen2ForCausalLM" or bias,
            dense_bias=architecture != "Qwen2ForCausalLM" and bias,
            experts=experts,
            experts_per_token=chosen,
            tied=self._flag("tie_word_embeddings"),
            stated_experts=self._count("num_local_experts") if config.get("num_local_experts") else 0,
            full_attention=self._full_attention(architecture, layers, longest) if known else {},
        )

    def _experts(self, architecture: str) -> tuple[int, int]:
        """The number of experts and of those for a token, 0 for a dense model."""
        pairs = (_EXPERTS, _EXPERTS_PER_TOKEN)
        names = [next((name for name in known if self._config.get(name)), known[0]) for known in pairs]
        is_dense = architecture in ARCHITECTURES or not all(name in self._config for name in names)
        if architecture != "MixtralForCausalLM" and is_dense:
            return 0, 0
        experts, chosen = map(self._count, names)
        if chosen > experts > 0:
            self.problems.append(f"{names[1]} {chosen} is more than {names[0]} {experts}")
        return experts, chosen

    def _count(self, key: str) -> int:
        value = self._config.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_COUNT:
            return value
        self.problems.append(f"{key} must be a whole number from 1 to {MAX_COUNT}, not {quoted(value)}")
        return 0

    def _head_size(self, hidden: int, heads: int) -> int:
        if not hidden or not heads:
            return 0
        if hidden % heads:
            self.problems.append(
                f"hidden_size {hidden} is not a multiple of num_attention_heads {heads}, and head_dim is not set"
            )
        return hidden // heads

    def _number(self, key: str, value: t.Any) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf:
            try:
                return float(value)
            except OverflowError:
                pass
        self.problems.append(f"{key} must be a number greater than 0, not {quoted(value)}")
        return 1.0

    def _flag(self, key: str) -> bool:
        value = self._config.get(key, False)
        if isinstance(value, bool):
            return value
        self.problems.append(f"{key} must be true or false, not {quoted(value)}")
        return False

    def _activation(self, architecture: str) -> str:
        # The checkpoint of a mixture always says swiglu, which is silu.
        known = ("silu",) if architecture == "MixtralForCausalLM" else _ACTIVATIONS
        value = self._config.get("hidden_act")
        if isinstance(value, str):
            if value not in known:
                self.uncomputed.append(f"hidden_act must be one of {', '.join(known)}, not {quoted(value)}")
            return value
        self.problems.append(f"hidden_act must be a string, not {quoted(value)}")
        return ""

    def _rotary_scaling(self, positions: int) -> dict[str, t.Any] | None:
        given = self._config.get("rope_scaling")
        name = "rope_parameters" if given is None else "rope_scaling"
        scaling, problems = _rotary.normalised(self._rope if given is None else given, positions)
        parts = [part for part in (self._rope, given) if isinstance(part, dict)]
        if any(part.get("partial_rotary_factor") not in (None, 1) for part in parts):
            problems.append("partial_rotary_factor is not computed by TensorRT-LLM")
        self.uncomputed += [f"{name} {problem}" for problem in problems]
        return {key: value for key, value in (scaling or {}).items() if key != "rope_theta"} or None

    def _full_attention(self, architecture: str, layers: int, longest: int) -> dict[str, int]:
        """Without windows that the model's positions do not exceed."""
        found = {"sliding_window": self._window(architecture, layers)}
        chunks = self._config.get("dual_chunk_attention_config")
        if chunks:
            original = chunks.get("original_max_position_embeddings") if isinstance(chunks, dict) else None
            found["dual_chunk_attention_config"] = original if isinstance(original, int) and original > 0 else 1
        return {name: length for name, length in found.items() if 0 < length < longest}

    def _window(self, architecture: str, layers: int) -> int:
        """The sliding window, 0 if no layer uses it."""
        given = self._config.get("layer_types")
        kinds = given if isinstance(given, list) else []
        unknown = [kind for kind in kinds if kind not in ("full_attention", "sliding_attention")]
        if unknown:
            self.uncomputed.append(f"layer_types: {quoted(unknown[0])} is not computed by TensorRT-LLM")
        if not self._config.get("sliding_window"):
            return 0
        window = self._count("sliding_window")
        if kinds:
            return window if "sliding_attention" in kinds else 0
        first = self._config.get("max_window_layers", 0)
        if architecture == "Qwen2ForCausalLM" and (
            not self._flag("use_sliding_window") or not isinstance(first, int) or first >= layers
        ):
            return 0
        return window


def source_tensors(decoder: Decoder, has_head: bool) -> dict[str, Shape]:
    """Name and shape of every tensor in the model's files; without `has_head` the embedding is also the lm_head."""
    embedding = (decoder.vocab, decoder.hidden)
    tensors: dict[str, Shape] = {"model.embed_tokens.weight": embedding, "model.norm.weight": (decoder.hidden,)}
    if has_head:
        tensors["lm_head.weight"] = embedding
    layer = {**_attention_tensors(decoder), **_mlp_tensors(decoder)}
    for number in range(decoder.layers):
        tensors.update({f"model.layers.{number}.{name}": shape for name, shape in layer.items()})
    return tensors


def _attention_tensors(decoder: Decoder) -> dict[str, Shape]:
    hidden, queries = decoder.hidden, decoder.heads * decoder.head_size
    rows = {"q": queries, "k": decoder.kv_heads * decoder.head_size, "v": decoder.kv_heads * decoder.head_size}
    tensors: dict[str, Shape] = {"input_layernorm.weight": (hidden,), "post_attention_layernorm.weight": (hidden,)}
    for part, count in rows.items():
        tensors[f"self_attn.{part}_proj.weight"] = (count, hidden)
        if decoder.qkv_bias:
            tensors[f"self_attn.{part}_proj.bias"] = (count,)
    tensors["self_attn.o_proj.weight"] = (hidden, queries)
    if decoder.dense_bias:
        tensors["self_attn.o_proj.bias"] = (hidden,)
    return tensors


def _mlp_tensors(decoder: Decoder) -> dict[str, Shape]:
    wide, narrow = (decoder.ffn, decoder.hidden), (decoder.hidden, decoder.ffn)
    if not decoder.experts:
        return {"mlp.gate_proj.weight": wide, "mlp.up_proj.weight": wide, "mlp.down_proj.weight": narrow}
    tensors: dict[str, Shape] = {"block_sparse_moe.gate.weight": (decoder.experts, decoder.hidden)}
    for expert in range(decoder.experts):
        prefix = f"block_sparse_moe.experts.{expert}"
        tensors.update({f"{prefix}.w1.weight": wide, f"{prefix}.w2.weight": narrow, f"{prefix}.w3.weight": wide})
    return tensors
