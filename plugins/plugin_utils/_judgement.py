# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What stands against a deployment on this host, and what will disappoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import Catalogue, Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._commands import llmapi_limits
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._host_facts import HostFacts, version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._refusal import Refusal
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._sizing import (
    PRECISIONS,
    GpuBudget,
    Limits,
    Load,
    Parallelism,
    choose_parallelism,
    legal_pipeline_sizes,
    legal_tensor_sizes,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import Spec
from packaging.version import Version

# The driver branch that a major version of CUDA cannot do without (CUDA compatibility, minor version compatibility).
DRIVER_OF_CUDA = {12: 525, 13: 580}
CAPABILITY_OF_DTYPE = {"bfloat16": (8, 0), "fp8": (8, 9)}


@dataclass(frozen=True)
class Sized:
    """The parallelism that was asked for or chosen, and what it leaves; no budget where no GPU is known."""

    parallelism: Parallelism
    budget: GpuBudget | None


def size(spec: Spec, host: HostFacts) -> tuple[Sized, list[Refusal]]:
    """Choose what was left open, and say what does not fit."""
    asked = spec.asked
    wanted = Parallelism(asked.tensor or 1, asked.pipeline or 1, asked.moe_tensor, asked.moe_expert)
    if not host.gpus:
        return Sized(wanted, None), _no_gpu(spec)
    if wanted.world_size > len(host.gpus):
        return Sized(wanted, None), [_too_few(spec, host, wanted)]
    if host.gpu_memory is None:
        return Sized(wanted, None), []
    load = load_of(spec, host.gpu_memory)
    chosen = choose_parallelism(load, len(host.gpus), asked.tensor, asked.pipeline)
    if chosen:
        chosen = Parallelism(chosen.tensor, chosen.pipeline, asked.moe_tensor, asked.moe_expert)
    largest = chosen or _largest(load, len(host.gpus), wanted, asked.tensor, asked.pipeline)
    sized = Sized(largest, load.on(largest))
    return sized, [] if chosen else _does_not_fit(spec, load, sized, host)


def load_of(spec: Spec, gpu_memory: int) -> Load:
    block = spec.release["runtime_defaults"]["tokens_per_block"]
    return Load(spec.model.shape, PRECISIONS[spec.precision], spec.limits, gpu_memory, block)


def _largest(load: Load, gpus: int, wanted: Parallelism, tensor: int | None, pipeline: int | None) -> Parallelism:
    """The best that can be tried where nothing fits: for the figures in the refusal."""
    tensors = [tensor] if tensor else legal_tensor_sizes(load.shape, gpus // wanted.pipeline)
    stages = [pipeline] if pipeline else legal_pipeline_sizes(load.shape, gpus // tensors[-1])
    return Parallelism(tensors[-1], stages[-1], wanted.moe_tensor, wanted.moe_expert)


def _no_gpu(spec: Spec) -> list[Refusal]:
    if not spec.gpus_required:
        return []
    message = (
        "this host shows no GPU (nvidia-smi is missing or fails): install the driver, "
        "or set trtllm_gpus_required to false where the backend image needs none"
    )
    return [Refusal("trtllm_gpus_required", True, message)]


def _too_few(spec: Spec, host: HostFacts, wanted: Parallelism) -> Refusal:
    found, advice = len(host.gpus), "a host with more GPUs"
    if host.gpu_memory:
        fitting = choose_parallelism(load_of(spec, host.gpu_memory), found, None, None)
        if fitting:
            advice = f"{{tensor: {fitting.tensor}, pipeline: {fitting.pipeline}}} fits"
    message = f"tensor x pipeline needs {wanted.world_size} GPUs, the host has {found}: {advice}"
    return Refusal("trtllm_parallelism", wanted.world_size, message)


def _does_not_fit(spec: Spec, load: Load, sized: Sized, host: HostFacts) -> list[Refusal]:
    """The variables to change are those that need changing least; more than one where one alone does not do."""
    budget, parallelism = sized.budget, sized.parallelism
    assert budget is not None
    figures = (
        f"each of {parallelism.world_size} GPUs of {_gib(budget.memory)} needs {_gib(budget.weights)} for weights, "
        f"{_gib(budget.activations)} for activations and {_gib(budget.runtime)} for the runtime, and holds "
        f"{budget.kv_tokens} tokens in its KV cache; a sequence is {load.limits.max_seq_len}"
    )
    wider = choose_parallelism(load, len(host.gpus), None, None)
    if wider:
        fits = f"{{tensor: {wider.tensor}, pipeline: {wider.pipeline}}} fits"
        return [Refusal("trtllm_parallelism", _asked(parallelism), f"{figures}: {fits}", "gpu_memory")]
    remedy = next((remedy for remedy in _remedies(spec, load.limits) if remedy.cures(load, parallelism)), None)
    if remedy is None:
        message = f"{figures}: choose a smaller model or larger GPUs"
        return [Refusal("trtllm_model", spec.model.name, message, "gpu_memory")]
    advices = remedy.advices(spec)
    together = " with the other" if len(advices) > 1 else ""
    return [
        Refusal(variable, value, f"{figures}: {advice} would do{together}", "gpu_memory")
        for variable, value, advice in advices
    ]


@dataclass(frozen=True)
class _Remedy:
    """Changes that may make a model fit: smaller limits, a smaller precision, or so many GPUs."""

    limits: Mapping[str, int]
    precision: str = ""
    gpus: int = 0

    def cures(self, load: Load, parallelism: Parallelism) -> bool:
        eased = load.within(**self.limits)
        if self.precision:
            eased = replace(eased, precision=PRECISIONS[self.precision])
        return choose_parallelism(eased, self.gpus, None, None) is not None if self.gpus else eased.on(parallelism).fits

    def advices(self, spec: Spec) -> list[tuple[str, Any, str]]:
        """Variable, its value, and what would do instead."""
        found: list[tuple[str, Any, str]] = []
        given = {name: getattr(spec.limits, name) for name in self.limits}
        if len(given) == 1:
            ((name, value),) = given.items()
            found.append((f"trtllm_limits.{name}", value, str(self.limits[name])))
        elif given:
            pairs = ", ".join(f"{name}: {value}" for name, value in self.limits.items())
            found.append(("trtllm_limits", given, f"{{{pairs}}}"))
        if self.precision:
            found.append(("trtllm_precision", spec.precision, self.precision))
        if self.gpus:
            found.append(("trtllm_model", spec.model.name, f"{self.gpus} such GPUs"))
        return found


def _remedies(spec: Spec, limits: Limits) -> Iterator[_Remedy]:
    """One change before two."""
    smaller = list(_smaller_limits(limits))
    others = [_Remedy({}, precision=name) for name in _smaller_precisions(spec)]
    more = [_Remedy({}, gpus=gpus) for gpus in (2, 4, 8, 16, 32, 64)]
    yield from (_Remedy(change) for change in smaller)
    yield from (*others, *more)
    yield from (replace(other, limits=change) for other in (*others, *more) for change in smaller)


def _smaller_precisions(spec: Spec) -> list[str]:
    """Those that halve the weights and compute as before; fewer bits are a choice about answers, not about memory."""
    names = ("float16", "int8_weight_only") if spec.profile == "engine" else ("float16",)
    return [name for name in names if PRECISIONS[name].weight_bytes < PRECISIONS[spec.precision].weight_bytes]


def _smaller_limits(limits: Limits) -> Iterator[dict[str, int]]:
    """Those that a spec may have, one limit at a time before two."""
    shorter = [limits.max_seq_len >> shift for shift in range(1, 12) if limits.max_seq_len >> shift > 1]
    fewer = [limits.max_num_tokens >> shift for shift in range(1, 12)]
    yield from ({"max_seq_len": length} for length in shorter if length > limits.max_input_len)
    yield from ({"max_num_tokens": tokens} for tokens in fewer if tokens >= limits.max_batch_size)
    for length in shorter:
        yield {"max_seq_len": length, "max_input_len": min(limits.max_input_len, length // 2)}


def _asked(parallelism: Parallelism) -> dict[str, int]:
    return {"tensor": parallelism.tensor, "pipeline": parallelism.pipeline}


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"


# --- the host against the image ------------------------------------------------------------------------------------


def image_of(spec: Spec) -> Mapping[str, Any]:
    """What is known of the image that will run: the NGC image of that tag, else the newest of the release."""
    images = spec.release["images"]
    for image in images:
        if spec.image.reference.endswith(image["reference"].rpartition("/")[2]):
            return dict(image)
    return dict(images[-1]) if images else {}


def host_refusals(spec: Spec, host: HostFacts, catalogue: Catalogue) -> list[Refusal]:
    """What stands against the image and the precision on this host, however the model is cut."""
    return [*_capability(spec, host), *_driver(spec, host, catalogue), *_exposed(spec, catalogue)]


def room_refusals(spec: Spec, host: HostFacts, needs: Mapping[str, int]) -> list[Refusal]:
    """`needs`: bytes of `memory` for the conversion and of `disk` below the root folder."""
    found = []
    if host.memory is not None and host.memory < needs["memory"]:
        message = (
            f"converting takes {human_bytes(needs['memory'])} of memory, the host has {human_bytes(host.memory)}: "
            "a smaller model, or trtllm_engine_dir with an engine that was built elsewhere, would do"
        )
        found.append(Refusal("trtllm_model", spec.model.name, message, "host_memory"))
    if host.disk_free is not None and host.disk_free < needs["disk"]:
        message = (
            f"{human_bytes(needs['disk'])} are still to be written, {human_bytes(host.disk_free)} are free: "
            "a folder on a larger file system would do"
        )
        found.append(Refusal("trtllm_root", spec.root, message, "disk"))
    return found


def _capability(spec: Spec, host: HostFacts) -> list[Refusal]:
    quantised = spec.model.quantization == "fp8"
    dtype = "fp8" if quantised or spec.precision == "fp8" else PRECISIONS[spec.precision].dtype
    least, have = CAPABILITY_OF_DTYPE.get(dtype), host.capability
    if not (least and have) or have >= least:
        return []
    name = next(gpu.name for gpu in host.gpus if gpu.capability == have)
    if quantised:
        message = f"its weights are FP8, which needs compute capability {_dotted(least)}, {name} has {_dotted(have)}: "
        return [Refusal("trtllm_model", spec.model.name, f"{message}a repository that is not quantised would do")]
    able = "float16" if dtype == "bfloat16" else "float16 or bfloat16"
    message = f"{dtype} needs compute capability {_dotted(least)}, {name} has {_dotted(have)}: {able} would do"
    return [Refusal("trtllm_precision", spec.precision, message)]


def _driver(spec: Spec, host: HostFacts, catalogue: Catalogue) -> list[Refusal]:
    needed = driver_needed(image_of(spec))
    if not (host.gpus and host.driver and needed) or version(host.driver)[0] >= needed:
        return []
    works = [
        name
        for name, release in catalogue.releases.items()
        if spec.profile in release["profiles"] and _runs_with(release, host.driver)
    ]
    advice = f"trtllm_release {works[-1]} works with it" if works else "no release works with it"
    message = f"the image's CUDA needs driver {needed} or newer, the host has {host.driver}: update it, or {advice}"
    return [Refusal("trtllm_release", spec.release["release"], message)]


def driver_needed(image: Mapping[str, Any]) -> int | None:
    """The oldest driver branch that an image's CUDA runs on."""
    return DRIVER_OF_CUDA.get(version(str(image.get("cuda") or "0"))[0])


def _runs_with(release: Release, driver: str) -> bool:
    needed = driver_needed(release["images"][-1]) if release["images"] else None
    return needed is not None and version(driver)[0] >= needed


def vulnerabilities(spec: Spec, catalogue: Catalogue) -> list[Mapping[str, Any]]:
    """Those that the image has, worst first."""
    versions = {"tensorrt_llm": spec.release["release"], "triton": image_of(spec).get("tag")}
    known = [entry for entry in catalogue.vulnerabilities if versions.get(entry["component"])]
    found = [entry for entry in known if _older(str(versions[entry["component"]]), entry["fixed_in"])]
    return sorted(found, key=lambda entry: -(entry.get("cvss") or 0))


def _older(have: str, fixed: str) -> bool:
    return Version(have) < Version(fixed)


def _exposed(spec: Spec, catalogue: Catalogue) -> list[Refusal]:
    found = vulnerabilities(spec, catalogue) if spec.server.exposed else []
    if not found:
        return []
    worst = ", ".join(entry["id"] for entry in found[:3])
    floors = {entry["component"]: entry["fixed_in"] for entry in sorted(found, key=lambda e: Version(e["fixed_in"]))}
    needed = " and ".join(f"{component} {floor}" for component, floor in sorted(floors.items()))
    message = (
        f"release {spec.release['release']} has {len(found)} known vulnerabilities (fixed by {needed}), {worst} among "
        "them, and would be reached from beyond this host: 127.0.0.1 and a gateway in front would do"
    )
    return [Refusal("trtllm_server.address", spec.server.address, message, "exposed_vulnerable_release")]


# --- what works, and disappoints -----------------------------------------------------------------------------------


def warnings(spec: Spec, host: HostFacts, sized: Sized, catalogue: Catalogue) -> list[str]:
    found = [*_server_warnings(spec), *_limit_warnings(spec), *_model_warnings(spec)]
    return [*found, *_host_warnings(spec, host, catalogue), *_size_warnings(spec, sized)]


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
    tokenizer = spec.tokenizer
    if tokenizer and tokenizer.kind != spec.model.kind:
        yield (
            f"trtllm_tokenizer {tokenizer.repository or tokenizer.path} (kind: {tokenizer.kind}) does not go with the "
            f"weights of {spec.model.name} (kind: {spec.model.kind}): its chat format was not trained on them"
        )


def _host_warnings(spec: Spec, host: HostFacts, catalogue: Catalogue) -> Iterator[str]:
    if not host.gpus:
        yield "no GPU on this host: the image must bring a backend that needs none"
        return
    image = image_of(spec)
    listed = str(image.get("driver") or "")
    if not host.driver:
        yield f"the host's driver is not known: the image is made for {listed or 'a driver that is not known'}"
    elif version(host.driver) < version(listed):
        yield f"the image is made for driver {listed}, the host has {host.driver}: CUDA's minor compatibility has to do"
    toolkit = [entry for entry in catalogue.vulnerabilities if entry["component"] == "nvidia_container_toolkit"]
    have = host.container_toolkit
    holes = [entry["id"] for entry in toolkit if have and _older(have, entry["fixed_in"])]
    if holes:
        yield f"nvidia-container-toolkit {have} has known vulnerabilities ({', '.join(holes)}): update it"


def _size_warnings(spec: Spec, sized: Sized) -> Iterator[str]:
    budget = sized.budget
    if budget and budget.fits and budget.sequences < spec.limits.max_batch_size:
        yield (
            f"trtllm_limits.max_batch_size {spec.limits.max_batch_size}: the KV cache holds {budget.sequences} "
            f"sequences of {spec.limits.max_seq_len} tokens; more of them wait or are paused"
        )


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in numbers)
