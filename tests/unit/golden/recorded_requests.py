# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests whose plans are recorded: all plain ones, and those with further options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import facts_of_shape
from ansible_collections.tritonops.trtllm.tests.unit.support.planning import CATALOGUE, DIGEST, IMAGE, NEWEST_DRIVER

PROFILES = ("engine", "llmapi", "serve")
# A small and a large model, a base model, and one with experts, on hosts without and with one, four and eight GPUs.
SERVED = (
    "smollm2-135m-instruct",
    "qwen2.5-7b-instruct",
    "llama-3.1-8b",
    "mixtral-8x7b-instruct",
    "llama-3.1-70b-instruct",
)
SERVING = ("rehearsal", "VM.GPU.A10.1", "BM.GPU.L40S.4", "BM.GPU4.8", "BM.GPU.H100.8")


@dataclass(frozen=True)
class Plain:
    """A model preset on a new host, with a TensorRT-LLM version and a profile."""

    release: str
    profile: str = "engine"
    model: str = "mixtral-8x7b-instruct"
    shape: str = "BM.GPU4.8"

    @property
    def request(self) -> dict[str, Any]:
        """With the required options: an image if NGC has none, and permission to have no GPU if the host has none."""
        needs: dict[str, Any] = {}
        if not CATALOGUE.versions(self.profile)[self.release]["images"]:
            needs["image"] = IMAGE
        if not CATALOGUE.shapes[self.shape]["gpus"]["count"]:
            needs["gpus_required"] = False
        return {"model": self.model, "release": self.release, "profile": self.profile, **needs}

    @property
    def host_facts(self) -> dict[str, Any]:
        return facts_of_shape(CATALOGUE.shapes[self.shape])


def plain() -> Iterator[Plain]:
    for_triton = product(CATALOGUE.releases, ("engine", "llmapi"), CATALOGUE.models, CATALOGUE.shapes)
    for release, profile, model, shape in (*for_triton, *product(CATALOGUE.serve, ("serve",), SERVED, SERVING)):
        yield Plain(release, profile, model, shape)


@dataclass(frozen=True)
class Special:
    """Further options of a plain request and further facts of its host, for each of the versions."""

    changes: Mapping[str, Any]
    releases: tuple[str, ...]
    host: Mapping[str, Any] = field(default_factory=dict)
    like: Mapping[str, str] = field(default_factory=dict)
    bundle: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        example = self.plain(self.releases[0])
        words = [example.profile, example.model, "on", example.shape, "with", json.dumps(self.changes)]
        if self.host:
            words += ["where", json.dumps(self.host)]
        if self.bundle is not None:
            words += ["out of a bundle", json.dumps(self.bundle)]
        return " ".join(words)

    def plain(self, release: str) -> Plain:
        return Plain(release, **self.like)

    def request(self, release: str) -> dict[str, Any]:
        return {**self.plain(release).request, **self.changes}

    def host_facts(self, release: str) -> dict[str, Any]:
        return {**self.plain(release).host_facts, **self.host}


ALL = tuple(CATALOGUE.releases)
# Versions that differ in flags, converter, layout of the image, or launch line.
SOME = ("0.8.0", "0.9.0", "0.12.0", "0.18.1", "0.20.0", "1.2.1")
LLMAPI = ("0.19.0", "1.2.1")
ONE = ("1.2.1",)
BY_LLMAPI = {"profile": "llmapi"}
SERVES = tuple(CATALOGUE.serve)
BY_SERVE = {"profile": "serve", "model": "qwen2.5-7b-instruct", "shape": "BM.GPU.L40S.4"}
SMALL_HOST = {"model": "llama-3.1-8b", "shape": "VM.GPU.A10.1"}
# A model of each architecture in the catalogue.
ARCHITECTURES = ("llama-3-8b-instruct", "mistral-7b", "mixtral-8x7b", "qwen2.5-7b-instruct")

DIMENSIONS = {"layers": 2, "heads": 4, "kv_heads": 2, "hidden": 64, "ffn": 128, "vocab": 100, "max_positions": 4096}
# A model that fits on one GPU, and one that fits on none.
INDIVISIBLE = {**DIMENSIONS, "layers": 1, "heads": 1, "kv_heads": 1, "vocab": 10**8, "max_positions": 2**30}
OWN_MODEL = {"repository": "me/own", "revision": "main", "architecture": "LlamaForCausalLM", "shape": DIMENSIONS}
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "torch_dtype": "float16",
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 64,
    "intermediate_size": 128,
    "vocab_size": 100,
    "max_position_embeddings": 4096,
}
BACKEND_1_2_1 = CATALOGUE.releases["1.2.1"]["sources"]["backend"]["commit"]

# Options with the same effect in all versions are recorded for one of them.
CONVERSIONS = [
    *(Special({"converter": "upstream"}, ALL, like={"model": model}) for model in ARCHITECTURES),
    Special({"converter": "native"}, SOME),
    Special({"converter": "native", "precision": "int8_weight_only"}, SOME),
    Special({"precision": "bfloat16"}, SOME),
    Special({"precision": "float32"}, SOME),
    Special({"precision": "int8_weight_only"}, SOME),
    Special({"precision": "int4_weight_only"}, SOME),
    Special({"precision": "fp8"}, ONE),
    Special({"parallelism": {"tensor": 2}}, SOME),
    Special({"parallelism": {"tensor": 4, "pipeline": 2}}, SOME),
    Special({"parallelism": {"tensor": 8, "moe_expert": 8}}, SOME),
    Special({"parallelism": {"tensor": 8, "moe_tensor": 8}}, SOME),
    Special({"parallelism": {"tensor": 8, "moe_tensor": 2, "moe_expert": 4}}, SOME),
    Special({"parallelism": {"tensor": 8, "moe_expert": 8}, "converter": "upstream"}, SOME),
    Special({"parallelism": {"tensor": 8, "moe_tensor": 8}, "converter": "upstream"}, SOME),
    Special({"parallelism": {"tensor": 8, "moe_tensor": 2, "moe_expert": 4}, "converter": "upstream"}, SOME),
    Special({"parallelism": {"tensor": 4, "pipeline": 2}, "converter": "upstream"}, SOME),
    Special({"engine_dir": "/srv/engine", "image": IMAGE}, SOME),
    Special({"engine_dir": "/srv/engine"}, SOME),
]
LIMITS = [
    Special({"limits": {"max_batch_size": 32, "max_input_len": 2048, "max_seq_len": 4096}}, SOME),
    Special({"limits": {"max_num_tokens": 2048, "max_beam_width": 4, "kv_cache_fraction": 0.5}}, SOME),
    Special({"limits": {"max_batch_size": 1}}, SOME),
    Special({"limits": {"max_num_tokens": 512}}, ONE),
    Special({"limits": {"max_batch_size": 1024}}, ONE),
    Special({"limits": {"max_seq_len": 65536}}, ONE),
    Special({"limits": {"max_input_len": 2048, "max_num_tokens": 4}}, ONE),
    Special({"limits": {"max_input_len": 512, "kv_cache_fraction": 0.5}}, LLMAPI, like=BY_LLMAPI),
]
IMAGES = [
    Special({"image": {}}, ("0.18.1",)),
    Special({"image": {"reference": "nvcr.io/nvidia/tritonserver:26.04-trtllm-python-py3"}}, ("0.20.0", "1.2.1")),
    Special({"image": {"reference": "registry.example/backend"}}, ONE),
    Special({"image": IMAGE}, SOME),
    Special({"image": IMAGE}, LLMAPI, like=BY_LLMAPI),
    Special({"image": {**IMAGE, "registry_auth_file": "auth.json", "tag_moved": "keep"}}, ONE),
    Special({"image": {"source": "archive", "archive": "/srv/image.tar", "digest": DIGEST}}, SOME),
    Special({"image": {"source": "archive", "archive": "image.tar"}}, ONE),
    Special({"image": {"source": "build"}}, SOME),
    Special({"image": {"source": "build"}}, LLMAPI, like=BY_LLMAPI),
    Special(
        {
            "image": {
                "source": "build",
                "build": {"cuda_architectures": "90-real", "jobs": 3, "args": {"A": 1}, "network": "host"},
            }
        },
        ("0.9.0", "1.2.1"),
    ),
    Special({"image": {"source": "build"}}, ONE, host={"processors": 128, "memory_bytes": 256 << 30}),
    Special({"image": {**IMAGE, "layout": "self_built"}}, SOME),
]
ORIGINS = [
    Special({"sources": {"backend": {"repository": "https://git.example/b.git", "commit": "1" * 40}}}, SOME),
    Special({"sources": {"backend": {"repository": "/srv/b.git", "commit": BACKEND_1_2_1}}}, ONE),
    Special({"weights": {"endpoint": "https://mirror.example"}}, ONE),
    Special({"weights": {"offline": True}}, ONE),
    Special({"weights": {"path": "/srv/weights"}}, ONE),
    Special({"weights": {"path": "/srv/weights"}}, ONE, like=BY_LLMAPI),
    Special({"tokenizer": "mixtral-8x7b"}, ONE),
    Special({"tokenizer": {"repository": "me/chat", "revision": "main"}}, ONE, like=BY_LLMAPI),
    Special({"tokenizer": {"path": "/srv/tokenizer-instruct"}}, ONE),
    Special({"tokenizer": {"repository": "me/chat"}}, ONE),
    Special({}, ("0.9.0", "1.2.1"), bundle={}),
    Special({"image": {"source": "build"}}, ("0.9.0", "1.2.1"), bundle={}),
    Special({"weights": {"path": "/srv/weights"}, "tokenizer": {"path": "/srv/tokenizer"}}, ONE, bundle={}),
    Special({}, ONE, like=BY_LLMAPI, bundle={}),
    Special({}, ONE, bundle={"system": "rocky-9", "python": "3.9", "manifest": {"release": "1.2.0", "model": {}}}),
    Special({}, ONE, bundle={"docker_source": "distribution"}),
    Special({}, ONE, bundle={"manifest": {"systems": {"debian-12": {"docker_source": "vendor", "nvidia": False}}}}),
]
SERVERS = [
    Special({"streaming": False}, SOME),
    Special({"streaming": False}, LLMAPI, like=BY_LLMAPI),
    Special({"server": {"http_port": 9000, "grpc_port": 9001, "metrics_port": 9002, "shm_size": "16g"}}, SOME),
    Special({"server": {"http_port": 8001}}, ONE),
    Special({"server": {"http_port": 70000, "shm_size": "much", "address": "no address"}}, ONE),
    Special({"server": {"address": "0.0.0.0"}}, SOME),
    Special({"server": {"address": "10.0.0.1"}, "waive": ["exposed_vulnerable_release"]}, SOME),
    Special({"server": {"address": "gpu1.example"}}, ONE),
    Special({"server": {"address": "localhost"}}, ONE),
    Special({"root": "/data/trtllm/"}, ONE),
    Special({"repository_parameters": {"tensorrt_llm": {"max_queue_size": 7, "kv_cache_onboard_blocks": None}}}, SOME),
    Special({"repository_parameters": {"tensorrt_llm": {"enable_trt_overlap": "True"}}}, SOME),
    Special({"repository_parameters": {"tensorrt_llm": {"max_queue_siz": 7, "max_beam_width": [1]}, "x": {}}}, ONE),
    Special(
        {"repository_parameters": {"tensorrt_llm": {"kv_cache_config": {"enable_block_reuse": True}, "modle": "x"}}},
        LLMAPI,
        like=BY_LLMAPI,
    ),
    Special({"repository_overrides": {"preprocessing": {"instance_group": [{"kind": "KIND_GPU"}]}}}, ONE),
    Special({"repository_overrides": {"tensorrt_llm": {"max_batch_size": 4}}}, ONE, like=BY_LLMAPI),
]
SPREAD = [
    Special({"parallelism": {"tensor": 4, "pipeline": 2}}, LLMAPI, like=BY_LLMAPI),
    Special({"parallelism": {"tensor": 8, "moe_tensor": 2, "moe_expert": 4}}, LLMAPI, like=BY_LLMAPI),
    Special({"parallelism": {"tensor": 16}}, ONE),
    Special({"parallelism": {"tensor": 3, "pipeline": 5}}, ONE),
    Special({"parallelism": {"tensor": 8, "moe_tensor": 8, "moe_expert": 8}}, ONE),
    Special({"parallelism": {"moe_expert": 8}}, ONE),
    Special({"parallelism": {"tensor": 2, "moe_expert": 2}}, ONE, like={"model": "llama-3.1-8b"}),
    Special({"parallelism": {"tensor": 1}}, ONE),
    Special({"parallelism": {"tensor": 7}}, ONE, like={"model": "qwen2.5-7b-instruct"}),
    Special({"parallelism": {"tensor": 16, "moe_expert": 16}}, ONE),
    Special({"limits": {"max_batch_size": 4096, "max_num_tokens": 65536}}, ONE, like=SMALL_HOST),
    Special({"limits": {"max_seq_len": 131072, "max_num_tokens": 8192}}, ONE, like=SMALL_HOST),
    Special({"limits": {"max_seq_len": 131072, "max_input_len": 131000}}, ONE, like=SMALL_HOST),
    Special({"precision": "float32"}, ONE, like=SMALL_HOST),
    Special({"precision": "float32", "limits": {"max_seq_len": 131072}}, ONE, like=SMALL_HOST),
    Special({"parallelism": {"tensor": 1, "pipeline": 1}}, ONE, like={"model": "llama-3.1-70b-instruct"}),
    Special({"model": {**OWN_MODEL, "shape": {**DIMENSIONS, "hidden": 2**40}}}, ONE),
    Special(
        {"model": {**OWN_MODEL, "shape": INDIVISIBLE}, "precision": "float32", "limits": {"max_seq_len": 2**27}}, ONE
    ),
    Special({"precision": "float16"}, LLMAPI, like=BY_LLMAPI),
    Special({"precision": "int8_weight_only"}, ONE, like=BY_LLMAPI),
    Special({"engine_dir": "/srv/engine"}, ONE, like=BY_LLMAPI),
    Special({"waive": ["gpu_memory"]}, ONE, like={"model": "llama-3.1-70b-instruct", "shape": "VM.GPU.A10.1"}),
    Special(
        {"waive": ["gpu_memory"]},
        ONE,
        like={**BY_LLMAPI, "model": "llama-3.1-70b-instruct", "shape": "VM.GPU.A10.1"},
    ),
]
NEW = {"driver_version": NEWEST_DRIVER, "container_toolkit": "1.19.1"}
HOSTS = [
    Special({}, SOME, host=NEW),
    Special({}, SOME, host={"driver_version": "550.54.15", "container_toolkit": "1.14.0"}),
    Special({}, ("0.8.0",), host={"driver_version": "470.57.02"}),
    Special({}, ONE, host={"processors": 4}),
    Special({}, ONE, host={"disk_free_bytes": 10**11}),
    Special({"waive": "disk_space"}, ONE, host={"disk_free_bytes": 10**11}),
    Special({"converter": "upstream"}, ONE, host={"memory_bytes": 64 << 30}),
    Special({"converter": "upstream", "waive": ["memory"]}, ONE, host={"memory_bytes": 64 << 30}),
    Special({"precision": "int4_weight_only"}, ONE, host={"memory_bytes": 64 << 30}),
    Special({}, ONE, host={"memory_bytes": 1 << 29}),
    Special({}, ONE, host={"gpus": [{"name": "NVIDIA A100-SXM4-40GB"}] * 8}),
    Special({}, ONE, host={"gpus": [{"name": "Tesla T4", "memory_mib": 15360, "compute_capability": "7.5"}] * 8}),
    Special({"precision": "bfloat16"}, ONE, host={"gpus": [{"name": "Tesla V100-SXM2-32GB", "memory_mib": 32768}] * 8}),
    Special({}, ONE, host={"gpus": []}),
    Special({}, ONE, host={"gpus": [{"name": "NVIDIA A100-SXM4-40GB"}, {"name": "NVIDIA A100-SXM4-80GB"}]}),
    Special({}, ONE, host={"root_foreign": ["etc", "home"]}),
    Special({"server": {"shm_size": "64m"}}, ONE),
    Special({"gpus_required": True}, ONE, like={"shape": "rehearsal", "model": "smollm2-135m-instruct"}),
    # The key of the model's weights.
    Special({}, ONE, host={"artifacts": ["weights/fd0320a677772689"], "deployments": {"default": "another-release"}}),
    Special({}, ONE, host={"gpus": "8", "container_toolkit": "new"}),
    Special({}, ONE, host={"gpus": [{"name": "GPU", "compute_capability": "new"}]}),
    Special({}, ONE, host={"gpus": [{}], "driver_version": "none", "processors": -1, "artifacts": "x"}),
]
MODELS = [
    Special({"model": {"preset": "mixtral-8x7b-instruct", "revision": "main"}}, ONE),
    Special({"model": OWN_MODEL}, SOME),
    Special({"model": {"repository": "me/own-chat", "revision": "main", "config": CONFIG}}, ONE, like=BY_LLMAPI),
    Special({"model": {**OWN_MODEL, "quantization": "fp8"}}, ONE),
    Special({"model": {**OWN_MODEL, "quantization": "fp8"}}, ONE, like=BY_LLMAPI),
    Special({"model": {**OWN_MODEL, "quantization": "fp8"}}, ONE, like={**BY_LLMAPI, "shape": "BM.GPU.H100.8"}),
    Special({"model": {**OWN_MODEL, "architecture": "GPT2LMHeadModel"}}, SOME),
    Special({"model": "mixtral-8x7b-instuct"}, ONE),
    Special({"model": {"repository": "me/own"}}, ONE),
    Special({"model": {**OWN_MODEL, "name": "a/b", "kind": "chat", "shape": {"layers": 0}}}, ONE),
    Special({"release": None}, ONE),
    Special({"release": None}, ONE, like=BY_LLMAPI),
    Special({"release": "v1.2.1"}, ONE),
    Special({"release": "9.9"}, ONE),
    Special({"profile": "vllm", "precision": "half", "converter": "own", "waive": 1, "streaming": "often"}, ONE),
    Special({"waive": ["disk", "host_memory", "gpu_count", "gpu_memry", "x"]}, ONE),
    Special({"preflight_gpus": {"count": 16, "cout": 8}}, ONE),
    Special({"preflight_gpus": {"count": 16, "name": "NVIDIA H100 80GB HBM3"}}, ONE),
    Special({"limits": {"max_seq_length": 4096, "max_batch_size": 0}, "weights": {"endpoint": "ftp://x"}}, ONE),
    Special({"model": 7, "tokenizer": "mixtral", "weights": {"path": 7}, "sources": "x", "limits": "x"}, ONE),
    Special({"repository_parameters": [], "repository_overrides": {"tensorrt_llm": {1: 2}}}, ONE),
    Special({"image": {"digest": "x", "build": {"cuda_architectures": "x"}}}, ONE),
    Special({"image": {"build": {"args": []}}}, ONE),
    Special({"parallelism": {"tensor": "2", "x": 1}}, ONE),
    Special({"model": {**OWN_MODEL, "config": 7}, "limits": {"kv_cache_fraction": 2}}, ONE),
    Special({"model": {**OWN_MODEL, "shape": {**DIMENSIONS, "heads": 5}}, "weights": {"path": "a\nb"}}, ONE),
    Special({"root": "trtllm", "sources": {"backend": {"repository": "x", "commit": "main"}}}, ONE),
]
# A model that reasons and calls tools, and one with FP8 weights.
THINKING = {"repository": "Qwen/Qwen3-8B", "revision": "main", "architecture": "Qwen3ForCausalLM", "shape": DIMENSIONS}
FP8 = {**OWN_MODEL, "quantization": "fp8", "checkpoint_format": "FP8"}
SERVE_OPTIONS = {"chunked_prefill": True, "kv_cache_type": "fp8", "kv_cache_reuse": False, "reasoning_parser": "none"}
SERVE = [
    *(
        Special(changes, SERVES, like=BY_SERVE)
        for changes in (
            {"model": THINKING},
            {"model": FP8},
            {"serve": SERVE_OPTIONS},
            {"served_model_name": "acme/qwen"},
            {"serve_config": {"cuda_graph_config": {"enable_padding": True}, "sampler_type": "TorchSampler"}},
            {"serve_config": {"kv_cache_config": {"host_cache_size": 2**33, "max_tokens": 65536}}},
            {"parallelism": {"tensor": 4, "pipeline": 1}, "tokenizer": "qwen2.5-0.5b-instruct"},
            {"limits": {"max_input_len": 4096, "max_seq_len": 16384, "kv_cache_fraction": 0.8}},
            {"precision": "float16", "server": {"http_port": 8100, "address": "0.0.0.0"}},
            {"image": {"reference": "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"}},
            {"converter": "native", "build_options": {"x": 1}, "repository_parameters": {"tensorrt_llm": {}}},
        )
    ),
    Special({"parallelism": {"tensor": 8, "moe_tensor": 2, "moe_expert": 4}}, SERVES, like={"profile": "serve"}),
    Special({}, SERVES, like=BY_SERVE, bundle={}),
    Special({"image": {"reference": "nvcr.io/nvidia/tritonserver:26.08-py3"}}, ONE),
]
SPECIAL = [*SERVE, *CONVERSIONS, *LIMITS, *IMAGES, *ORIGINS, *SERVERS, *SPREAD, *HOSTS, *MODELS]
