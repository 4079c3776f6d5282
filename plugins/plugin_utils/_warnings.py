# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What works, and will disappoint."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._commands import llmapi_limits
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._gpu_fit import Sized
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._host_facts import HostFacts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._refusal import hint
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import TENSORRT_LLM, Spec
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._vulnerabilities import older


def warnings(spec: Spec, host: HostFacts, sized: Sized, catalogue: Catalogue) -> list[str]:
    found = [*_server_warnings(spec), *_limit_warnings(spec), *_model_warnings(spec)]
    return [*found, *_host_warnings(spec, host, catalogue), *_size_warnings(spec, host, sized)]


def _server_warnings(spec: Spec) -> Iterator[str]:
    if spec.server.exposed:
        yield (
            f"trtllm_server.address {spec.server.address}: Triton has no authentication of its own; "
            "put a gateway in front of it"
        )
    if spec.streaming:
        yield (
            "trtllm_streaming makes the model decoupled: clients ask for a stream at generate_stream; "
            "plain generate answers only requests that do not ask for one"
        )
    for model, fields in spec.repository_overrides.items():
        if "KIND_GPU" in str(fields):
            yield (
                f"trtllm_repository_overrides.{model}: KIND_GPU starts an instance for each GPU; "
                "KIND_CPU is right, TensorRT-LLM picks the GPU of each rank"
            )


def _limit_warnings(spec: Spec) -> Iterator[str]:
    release, limits = spec.release["release"], spec.limits
    if limits.max_num_tokens < limits.max_input_len:
        yield (
            f"trtllm_limits.max_num_tokens {limits.max_num_tokens}: a longer prompt, up to max_input_len "
            f"{limits.max_input_len}, is refused by the server unless it is told to take prompts in chunks"
        )
    if limits.max_batch_size == 1:
        yield "trtllm_limits.max_batch_size 1 makes in-flight batching serve one request at a time"
    if spec.profile == "llmapi":
        unknown = [name for name in llmapi_limits(limits) if name not in spec.release["llmapi"]["model_yaml"]]
        dropped = ", ".join(name for name in unknown if name in spec.given)
        if dropped:
            yield f"trtllm_limits: {dropped} has no place in the model.yaml of {release} and is not passed on"
    elif spec.release["build"]["flags"]["--max_batch_size"].get("default") == 1 and "max_batch_size" not in spec.given:
        yield (
            f"trtllm_limits.max_batch_size is not said: trtllm-build of {release} by itself would build for batch 1; "
            f"this plan builds for {limits.max_batch_size}"
        )


def _model_warnings(spec: Spec) -> Iterator[str]:
    if spec.profile == "llmapi":
        known = [*spec.release["llmapi"]["model_yaml"], "triton_config"]
        for name in spec.repository_parameters.get(TENSORRT_LLM, {}):
            if name not in known and hint(name, known):
                yield (
                    f"trtllm_repository_parameters.{TENSORRT_LLM}.{name} is not among the keys that are known of "
                    f"model.yaml{hint(name, known)}; it is passed on to LLM() as it is"
                )
    tokenizer = spec.tokenizer
    if tokenizer and tokenizer.kind != spec.model.kind:
        yield (
            f"trtllm_tokenizer {tokenizer.repository or tokenizer.path} (kind: {tokenizer.kind}) does not go with the "
            f"weights of {spec.model.name} (kind: {spec.model.kind}): they were not trained on its chat format"
        )


def _host_warnings(spec: Spec, host: HostFacts, catalogue: Catalogue) -> Iterator[str]:
    if not host.gpus:
        yield "no GPU on this host: the image must bring a backend that needs none"
        return
    if not host.driver:
        listed = spec.known_image.get("driver") or "a driver that is not known"
        yield f"the host's driver is not known: the image is made for {listed}"
    toolkit = [entry for entry in catalogue.vulnerabilities if entry["component"] == "nvidia_container_toolkit"]
    have = host.container_toolkit
    holes = [entry["id"] for entry in toolkit if have and older(have, entry["fixed_in"])]
    if holes:
        yield f"nvidia-container-toolkit {have} has known vulnerabilities ({', '.join(holes)}): update it"


def _size_warnings(spec: Spec, host: HostFacts, sized: Sized) -> Iterator[str]:
    budget = sized.budget
    if host.gpus and budget is None:
        yield "the GPUs' memory is not known: whether the model fits was not reckoned"
    if budget and 1 <= budget.sequences < spec.limits.max_batch_size:
        yield (
            f"trtllm_limits.max_batch_size {spec.limits.max_batch_size}: the KV cache holds {budget.sequences} "
            f"sequences of {spec.limits.max_seq_len} tokens; more of them wait or are paused"
        )
