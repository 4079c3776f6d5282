# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Memory and disk space of a deployment. docs/sizing.md has the formulas and the sources of the allowances."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import memory_for_containers

GIB = 1 << 30

RUNTIME_BYTES = 3 * GIB // 2
"""Allowance per GPU for the CUDA context, kernels and the buffers of cuBLAS and NCCL."""

COMFORTABLE_WEIGHTS = 4 * GIB
"""Weights per GPU below which another GPU costs more communication than it saves computation."""

NATIVE_BYTES = GIB
"""Maximum memory of the native converter for any model. docs/benchmarks.md has measurements."""

IMAGE_BYTES = 50 * 10**9
"""Allowance on disk for an NGC image while it is pulled, for compressed and unpacked layers."""

SERVE_IMAGE_BYTES = 68 * 10**9
"""The same for the release image of TensorRT-LLM, of which 21 GB are pulled, according to those who measured 1.2.1."""

BUILD_BYTES = 120 * 10**9
"""Allowance on disk for building an image from source: base images, object files, layers."""

COMPILER_BYTES = 4 * GIB
"""Maximum memory of one compiler process, according to reports of killed ones."""

MOST_GPUS = 64
"""Largest parallel size to try."""


def gib(size: int) -> str:
    """GPU memory for a message."""
    return f"{size / GIB:.1f} GiB"


def pulled_bytes(profile: str) -> int:
    """Allowance on disk for the image of a profile."""
    return SERVE_IMAGE_BYTES if profile == "serve" else IMAGE_BYTES


def serving_memory(host: int | None, share: float) -> int | None:
    """Bytes that the container of a server may use of a host's memory; None if that is not known.

    `share`: the part of the memory for containers that the deployment gets.
    """
    return int(memory_for_containers(host or 0) * share) or None


@dataclass(frozen=True)
class Precision:
    """`dtype` is used for computation; a weight of a linear layer takes `weight_bytes`."""

    dtype: str
    weight_bytes: float
    weight_only: str = ""

    @property
    def dtype_bytes(self) -> int:
        return 4 if self.dtype == "float32" else 2


PRECISIONS = {
    "float32": Precision("float32", 4),
    "float16": Precision("float16", 2),
    "bfloat16": Precision("bfloat16", 2),
    "int8_weight_only": Precision("float16", 1, "int8"),
    "int4_weight_only": Precision("float16", 0.5, "int4"),
    "fp8": Precision("bfloat16", 1),
}


CACHE_BYTES = {"auto": None, "fp8": 1, "nvfp4": 9 / 16}
"""Bytes of a number in the KV cache, by its data type. NVFP4 has a scale of one byte for 16 numbers."""


@dataclass(frozen=True)
class Shape:
    """A decoder's dimensions; `experts` is 0 for a dense model, `ffn` the width of one expert."""

    layers: int
    heads: int
    kv_heads: int
    hidden: int
    ffn: int
    vocab: int
    max_positions: int
    experts: int = field(default=0, metadata={"least": 0})
    experts_per_token: int = field(default=0, metadata={"least": 0})
    head_size: int = field(default=0, metadata={"least": 0})
    tied_embeddings: bool = False
    qkv_bias: bool = False

    @property
    def head_dim(self) -> int:
        return self.head_size or self.hidden // self.heads

    @property
    def stored(self) -> int:
        """Number of weights in the model's own files."""
        return _model_weights(self, tensor=1) + self.vocab * self.hidden * (1 if self.tied_embeddings else 2)


@dataclass(frozen=True)
class Parallelism:
    """GPUs by tensor and pipeline parallelism; the expert split divides the tensor ranks (None: not requested)."""

    tensor: int = 1
    pipeline: int = 1
    moe_tensor: int | None = None
    moe_expert: int | None = None

    @property
    def world_size(self) -> int:
        return self.tensor * self.pipeline


@dataclass(frozen=True)
class Limits:
    """Sequences at once, tokens of a prompt, a sequence and a step, beams; share of free memory for the KV cache."""

    max_batch_size: int = 8
    max_input_len: int = 1024
    max_seq_len: int = 2048
    max_num_tokens: int = 8192
    max_beam_width: int = 1
    kv_cache_fraction: float = 0.9


@dataclass(frozen=True)
class GpuBudget:
    """Bytes on the fullest GPU, and the tokens and sequences of `max_seq_len` that its KV cache holds."""

    memory: int
    runtime: int
    weights: int
    activations: int
    free: int
    kv_cache: int
    kv_bytes_per_token: int
    kv_tokens: int
    sequences: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Load:
    """What must fit on GPUs with `memory` bytes each. `most_tokens`: of the KV cache; None for no limit.

    `cache_bytes`: of a number in the KV cache; None for the size of the data type.
    """

    shape: Shape
    precision: Precision
    limits: Limits
    memory: int
    tokens_per_block: int = 1
    most_tokens: int | None = None
    cache_bytes: float | None = None

    def on(self, parallelism: Parallelism) -> GpuBudget:
        weights = weight_bytes(self.shape, self.precision, parallelism)
        activations = activation_bytes(self.shape, self.precision, self.limits, parallelism.tensor)
        free = max(0, self.memory - RUNTIME_BYTES - weights - activations)
        kv_cache = int(free * self._kv_cache_fraction)
        per_token = self._cache_per_token(parallelism)
        if self.most_tokens:
            kv_cache = min(kv_cache, self.most_tokens * per_token)
        kv_tokens = kv_cache // (per_token * self.tokens_per_block) * self.tokens_per_block
        return GpuBudget(
            memory=self.memory,
            runtime=RUNTIME_BYTES,
            weights=weights,
            activations=activations,
            free=free,
            kv_cache=kv_cache,
            kv_bytes_per_token=per_token,
            kv_tokens=kv_tokens,
            sequences=kv_tokens // (self.limits.max_seq_len * self.limits.max_beam_width),
        )

    @property
    def _kv_cache_fraction(self) -> Fraction:
        """As an exact number, so that `least_memory` is the exact inverse of `on`."""
        return Fraction(self.limits.kv_cache_fraction)

    def _cache_per_token(self, parallelism: Parallelism) -> int:
        of_dtype = kv_bytes_per_token(self.shape, self.precision, parallelism)
        return of_dtype if self.cache_bytes is None else int(of_dtype / self.precision.dtype_bytes * self.cache_bytes)

    def least_memory(self, parallelism: Parallelism) -> int:
        """Bytes of the smallest GPU that holds one sequence and everything else, for which `on` returns 1."""
        length = self.limits.max_seq_len * self.limits.max_beam_width
        blocks = -(-length // self.tokens_per_block)
        kv_cache = blocks * self.tokens_per_block * self._cache_per_token(parallelism)
        free = math.ceil(kv_cache / self._kv_cache_fraction)
        weights = weight_bytes(self.shape, self.precision, parallelism)
        activations = activation_bytes(self.shape, self.precision, self.limits, parallelism.tensor)
        return RUNTIME_BYTES + weights + activations + free

    def fits(self, parallelism: Parallelism) -> bool:
        return self.memory >= self.least_memory(parallelism)

    def within(self, **limits: int) -> Load:
        return replace(self, limits=replace(self.limits, **limits))


def attention_weights(shape: Shape, tensor: int) -> int:
    """Weights of one rank's part of the attention of a layer. KV heads may be repeated."""
    heads, kv_heads = shape.heads // tensor, max(1, shape.kv_heads // tensor)
    qkv = (heads + 2 * kv_heads) * shape.head_dim
    return shape.hidden * (qkv + heads * shape.head_dim) + (qkv if shape.qkv_bias else 0)


def expert_weights(shape: Shape) -> int:
    """Weights of one expert of a layer, or of the feed-forward network of a dense model."""
    return 3 * shape.hidden * shape.ffn


def _model_weights(shape: Shape, tensor: int) -> int:
    """Weights of one rank's part of all layers and of the last norm, without embeddings."""
    mlp = expert_weights(shape) * max(shape.experts, 1) // tensor
    router_and_norms = shape.hidden * (shape.experts + 2)
    return shape.layers * (attention_weights(shape, tensor) + mlp + router_and_norms) + shape.hidden


def weight_bytes(shape: Shape, precision: Precision, parallelism: Parallelism) -> int:
    """Bytes on the fullest rank. The first stage has the whole embedding, the last stage its part of the head."""
    layers = _model_weights(shape, parallelism.tensor) * -(-shape.layers // parallelism.pipeline) // shape.layers
    embedding = shape.vocab * shape.hidden
    head = embedding // parallelism.tensor
    ends = embedding + head if parallelism.pipeline == 1 else max(embedding, head)
    return int(layers * precision.weight_bytes) + ends * precision.dtype_bytes


def checkpoint_bytes(shape: Shape, precision: Precision, parallelism: Parallelism) -> int:
    """Bytes of all ranks together. Every tensor rank of the first stage has the embedding."""
    layers = _model_weights(shape, parallelism.tensor) * parallelism.tensor
    ends = shape.vocab * shape.hidden * (parallelism.tensor + 1)
    return int(layers * precision.weight_bytes) + ends * precision.dtype_bytes


def kv_bytes_per_token(shape: Shape, precision: Precision, parallelism: Parallelism) -> int:
    """Keys and values of one token on one rank."""
    layers = -(-shape.layers // parallelism.pipeline)
    kv_heads = max(1, shape.kv_heads // parallelism.tensor)
    return 2 * layers * kv_heads * shape.head_dim * precision.dtype_bytes


def activation_bytes(shape: Shape, precision: Precision, limits: Limits, tensor: int) -> int:
    """Allowance for a step with `max_num_tokens`, and for the logits of a batch in float32."""
    experts = max(shape.experts_per_token, 1)
    qkv = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
    per_token = 6 * shape.hidden + (2 * qkv + 3 * shape.ffn * experts) // tensor
    logits = limits.max_batch_size * limits.max_beam_width * shape.vocab * 4
    return limits.max_num_tokens * per_token * precision.dtype_bytes + logits


def legal_tensor_sizes(shape: Shape, most: int = MOST_GPUS) -> list[int]:
    """Tensor parallel sizes that split heads, KV heads (or repeat them) and the feed-forward width evenly."""
    return [
        size
        for size in range(1, most + 1)
        if not shape.heads % size and not shape.ffn % size and (not shape.kv_heads % size or not size % shape.kv_heads)
    ]


def legal_pipeline_sizes(shape: Shape, most: int = MOST_GPUS) -> list[int]:
    return [size for size in range(1, most + 1) if not shape.layers % size]


def choose_parallelism(load: Load, gpus: int, tensor: int | None, pipeline: int | None) -> Parallelism | None:
    """As many GPUs as still get a comfortable share each, with as few stages as possible; None if nothing fits."""
    tensors = [tensor] if tensor else legal_tensor_sizes(load.shape, gpus)
    pipelines = [pipeline] if pipeline else legal_pipeline_sizes(load.shape, gpus)
    for stages in pipelines:
        fitting = _fitting(load, [Parallelism(size, stages) for size in tensors if size * stages <= gpus])
        shares = [option for option in fitting if load.on(option).weights >= COMFORTABLE_WEIGHTS]
        if fitting:
            return shares[-1] if shares else fitting[0]
    return None


def _fitting(load: Load, options: Iterable[Parallelism]) -> list[Parallelism]:
    return [option for option in options if load.fits(option)]
