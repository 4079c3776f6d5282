# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A decoder model, read from its Hugging Face config.json, and the tensors that its files must contain."""

from __future__ import annotations

import math
import typing as t
from dataclasses import dataclass
from reprlib import Repr

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError

Shape = t.Tuple[int, ...]

# Defaults of transformers' configuration classes, the same in 4.40 and 5.23. The classes have defaults for the sizes,
# too, but save_pretrained always writes those: a config.json without them is damaged.
_COMMON = {"hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0}
_DEFAULTS: dict[str, dict[str, t.Any]] = {
    "LlamaForCausalLM": {**_COMMON, "max_position_embeddings": 2048},
    "MistralForCausalLM": {**_COMMON, "max_position_embeddings": 131072, "num_key_value_heads": 8},
    "Qwen2ForCausalLM": {**_COMMON, "max_position_embeddings": 32768, "num_key_value_heads": 32},
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
    """Sizes are in elements. `experts` is 0 for a dense model; `ffn` is the width of one expert."""

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


def read_decoder(config: t.Any) -> Decoder:
    """The model that config.json describes; ConversionError lists every reason why it cannot be converted."""
    if not isinstance(config, t.Mapping):
        raise ConversionError("config.json is not a JSON object")
    problems = _unsupported(config)
    if problems:
        raise ConversionError("; ".join(problems))
    return describe(config)


def describe(config: t.Mapping[str, t.Any]) -> Decoder:
    """The model that config.json describes, if its architecture is in ARCHITECTURES; ConfigError lists all problems."""
    architecture = architecture_of(config)
    settings = {**_DEFAULTS[architecture], **{key: value for key, value in config.items() if value is not None}}
    # Null means the number of heads, only a missing key means the default of the class.
    if config.get("num_key_value_heads", 0) is None:
        settings.pop("num_key_value_heads", None)
    reader = _Reader(settings)
    decoder = reader.decoder(architecture)
    if reader.problems:
        raise ConfigError(reader.problems)
    return decoder


def architecture_of(config: t.Mapping[str, t.Any]) -> t.Any:
    """The first of `architectures`; None if there is none."""
    architectures = config.get("architectures")
    return architectures[0] if isinstance(architectures, list) and architectures else None


def dtype_of(config: t.Mapping[str, t.Any]) -> t.Any:
    """The dtype of the stored weights; None if config.json does not have it. transformers 5 renamed the key."""
    return config.get("torch_dtype") or config.get("dtype")


def quantization_of(config: t.Mapping[str, t.Any]) -> t.Any:
    """The quantisation method; None if the weights are not quantised. compressed-tensors had a key of its own."""
    quantization = config.get("quantization_config") or config.get("compression_config")
    if isinstance(quantization, t.Mapping):
        return quantization.get("quant_method") or "unknown"
    return quantization or None


def _unsupported(config: t.Mapping[str, t.Any]) -> list[str]:
    problems, architecture, quantization = [], architecture_of(config), quantization_of(config)
    if architecture not in ARCHITECTURES:
        problems.append(
            f"config.json: architectures[0] is {quoted(architecture)}; this converter supports"
            f" {', '.join(ARCHITECTURES)}. Use converter upstream if the release supports the model"
        )
    if quantization:
        problems.append(
            f"config.json: the weights are quantised ({quoted(quantization)}); this converter writes float16, bfloat16"
            " and float32. Use weights that are not quantised, converter upstream, or the profile llmapi"
        )
    if config.get("mlp_bias"):
        problems.append("config.json: mlp_bias is not supported; use converter upstream for such a model")
    return problems


class _Reader:
    """Reads one config.json and collects all problems."""

    def __init__(self, config: t.Mapping[str, t.Any]) -> None:
        self.problems: list[str] = []
        self._config = config
        # transformers 5 moved the rotary settings into one mapping.
        parameters = config.get("rope_parameters")
        self._rope: dict[str, t.Any] = parameters if isinstance(parameters, dict) else {}

    def decoder(self, architecture: str) -> Decoder:
        config = self._config
        mixture, bias = architecture == "MixtralForCausalLM", self._flag("attention_bias") or self._flag("bias")
        heads, hidden = self._count("num_attention_heads"), self._count("hidden_size")
        return Decoder(
            architecture=architecture,
            layers=self._count("num_hidden_layers"),
            heads=heads,
            kv_heads=self._count("num_key_value_heads") if "num_key_value_heads" in config else heads,
            head_size=self._count("head_dim") if "head_dim" in config else self._head_size(hidden, heads),
            hidden=hidden,
            ffn=self._count("intermediate_size"),
            vocab=self._count("vocab_size"),
            max_positions=self._count("max_position_embeddings"),
            epsilon=self._number("rms_norm_eps", config["rms_norm_eps"]),
            hidden_act=self._text("hidden_act"),
            rotary_base=self._number("rope_theta", self._rope.get("rope_theta") or config["rope_theta"]),
            rotary_scaling=self._rotary_scaling(),
            qkv_bias=architecture == "Qwen2ForCausalLM" or bias,
            dense_bias=architecture != "Qwen2ForCausalLM" and bias,
            experts=self._count("num_local_experts") if mixture else 0,
            experts_per_token=self._count("num_experts_per_tok") if mixture else 0,
            tied=self._flag("tie_word_embeddings"),
        )

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

    def _text(self, key: str) -> str:
        value = self._config.get(key)
        if isinstance(value, str):
            return value
        self.problems.append(f"{key} must be a string, not {quoted(value)}")
        return ""

    def _rotary_scaling(self) -> dict[str, t.Any] | None:
        scaling = self._config.get("rope_scaling")
        if scaling is None and self._rope.get("rope_type", "default") != "default":
            scaling = {key: value for key, value in self._rope.items() if key != "rope_theta"}
        if scaling is not None and not isinstance(scaling, dict):
            self.problems.append(f"rope_scaling must be a mapping, not {quoted(scaling)}")
            return None
        return scaling or None


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
