# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The plan: every path, argv, key and placeholder value of a deployment, from the spec and facts alone. No I/O."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.tritonops.trtllm.plugins.module_utils._artifact import artifact_key
from ansible_collections.tritonops.trtllm.plugins.module_utils._hf_hub import DEFAULT_ALLOW, DEFAULT_IGNORE
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import (
    PRECISIONS,
    Refusal,
    Spec,
    placeholders,
    read_spec,
)

MODEL_REPOSITORY = "/release/model_repository"
ENGINE_DIR = f"{MODEL_REPOSITORY}/tensorrt_llm/1"
TOKENIZER_DIR = "/release/tokenizer"
TRITONSERVER = "/opt/tritonserver/bin/tritonserver"
BACKEND_MOUNT = "/backend"
PORTS = ("grpc", "http", "metrics")


def make_plan(request: Mapping[str, Any], host_facts: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """What a run would do, or all the reasons why it cannot.

    `request`: the `trtllm_*` variables without their prefix. `host_facts`: `gpus` (as `gpu_info` returns them) and
    `processors` (vCPUs). With `refusals` in the result there is nothing else to rely on.
    """
    spec, refusals = read_spec(request, catalogue)
    if spec is not None:
        refusals = refusals + _host_refusals(spec, host_facts)
    if spec is None or refusals:
        return {"refusals": [refusal.as_dict() for refusal in refusals], "warnings": []}
    return _Planner(spec, host_facts).plan()


def _host_refusals(spec: Spec, host_facts: Mapping[str, Any]) -> list[Refusal]:
    found = len(host_facts.get("gpus", []))
    world_size = spec.parallelism.world_size
    if not found and spec.gpus_required:
        message = (
            "this host shows no GPU (nvidia-smi is missing or fails): install the driver, "
            "or set trtllm_gpus_required to false where the backend image needs none"
        )
        return [Refusal("trtllm_gpus_required", True, message)]
    if found and world_size > found:
        message = f"tensor x pipeline needs {world_size} GPUs, the host has {found}"
        return [Refusal("trtllm_parallelism", world_size, message)]
    return []


class _Planner:
    """One method a part of the plan; parts that others need are attributes."""

    def __init__(self, spec: Spec, host_facts: Mapping[str, Any]) -> None:
        self.spec = spec
        self.gpus = list(host_facts.get("gpus", []))
        self.processors = int(host_facts.get("processors") or 0)
        self.layout = spec.release["layout"][self._layout_name()]
        self.image = self._image()
        self.weights = self._weights()
        self.backend = self._backend()
        self.convert = self._convert()
        self.build = self._build()

    def plan(self) -> dict[str, Any]:
        spec = self.spec
        repository = self._repository()
        launch = self._launch()
        release_inputs = {
            "repository": repository,
            "overrides": spec.repository_overrides,
            "backend": self.backend["key"],
            "engine": spec.engine_dir or self.build["dest"],
            "image": self.image["identity"],
            "launch": launch,
        }
        release_id = f"{spec.model.name}-{spec.release['release']}-{artifact_key(release_inputs)[:8]}"
        manifest = {
            "id": release_id,
            "release": spec.release["release"],
            "model": {"name": spec.model.name, "repository": spec.model.repository, "revision": spec.model.revision},
            **release_inputs,
            "run": self.image["run"],
        }
        return {
            "release": spec.release["release"],
            "profile": "engine",
            "root": spec.root,
            "model": manifest["model"],
            "image": self.image,
            "backend": self.backend,
            "weights": self.weights,
            "convert": None if spec.engine_dir else self.convert,
            "build": None if spec.engine_dir else self.build,
            "engine_dir": spec.engine_dir or self.build["dest"],
            "engine_check": {"path": spec.engine_dir, "image_digest": self.image["identity"]}
            if spec.engine_dir
            else {},
            "repository": repository,
            "overrides": spec.repository_overrides,
            "required": self._required(),
            "launch": launch,
            "release_id": release_id,
            "release_dir": f"{spec.root}/releases/{release_id}",
            "manifest": manifest,
            "gpus": len(self.gpus),
            "budget": self._budget(),
            "warnings": self._warnings(),
            "refusals": [],
        }

    # The inputs below are those that the modules write into artifact.json: a folder's name is its record's key.

    def _dest(self, kind: str, key: str) -> str:
        return f"{self.spec.root}/{kind}/{key}"

    def _layout_name(self) -> str:
        return self.spec.image.layout or ("self_built" if self.spec.image.source == "build" else "ngc")

    def _image(self) -> dict[str, Any]:
        image = self.spec.image
        build = {"release": self.spec.release["release"], "sources": self.spec.release["sources"]}
        # A build's image id is not known before; what goes into it is.
        identity = image.digest or f"build:{artifact_key(build)}"
        run = {
            "registry": f"{image.reference}@{image.digest}",
            "archive": image.digest,
            "build": f"tritonops/backend:{self.spec.release['release']}-{identity[-12:]}",
        }[image.source]
        return {
            "source": image.source,
            "reference": image.reference,
            "digest": image.digest,
            "archive": image.archive,
            "check": {"path": image.archive, "digest": image.digest} if image.source == "archive" else {},
            "identity": identity,
            "run": run,
            "dest": self._dest("image", artifact_key({"image": run})),
        }

    def _weights(self) -> dict[str, Any]:
        model, weights = self.spec.model, self.spec.weights
        at_hub = {"repository": model.repository, "revision": model.revision}
        inputs = {
            "repository": model.repository,
            "commit": model.revision,
            "allow_patterns": DEFAULT_ALLOW,
            "ignore_patterns": DEFAULT_IGNORE,
        }
        key = artifact_key({"src": weights.path} if weights.path else inputs)
        dest = self._dest("weights", key)
        return {
            **at_hub,
            "endpoint": weights.endpoint,
            "path": weights.path,
            "offline": weights.offline,
            "key": key,
            "dest": dest,
            # Nothing to ask a hub for where none is used.
            "hub": {} if weights.path or weights.offline else {**at_hub, "endpoint": weights.endpoint, "dest": dest},
            "bytes": model.shape.parameters * 2,
        }

    def _backend(self) -> dict[str, Any]:
        """Templates and scripts: out of the image where it carries them, else from a clone of the release."""
        release = self.spec.release
        in_image = self.layout["all_models"] is not None and self.layout["examples"] is not None
        of_image = {"image": self.image["run"], "path": self.layout["all_models"]}
        inputs = of_image if in_image else {"sources": release["sources"]}
        key = artifact_key(inputs)
        dest = self._dest("backend", key)
        clone = release["layout"]["clone"]
        return {
            "source": "image" if in_image else "git",
            "key": key,
            "dest": dest,
            "image_path": self.layout["all_models"],
            "sources": release["sources"],
            "all_models": f"{dest}/{'inflight_batcher_llm' if in_image else clone['all_models']}",
            "examples": self.layout["examples"] or f"{BACKEND_MOUNT}/{clone['examples']}",
        }

    def _convert(self) -> dict[str, Any]:
        spec = self.spec
        script = f"{self.backend['examples']}/{spec.release['convert']['scripts'][spec.model.architecture]}"
        argv = ["python3", script, "--model_dir", "/src", "--output_dir", "/dest", "--dtype", spec.precision]
        argv += ["--tp_size", str(spec.parallelism.tensor), "--pp_size", str(spec.parallelism.pipeline)]
        argv += self._moe_flags()
        # One worker holds one copy of the model; more of them is what exhausts 40 GB GPUs and host memory.
        argv += ["--workers", "1"]
        key = artifact_key({**self._tool_inputs(self.weights["key"], argv), "converter": "upstream"})
        return {
            "converter": "upstream",
            "argv": argv,
            "key": key,
            "dest": self._dest("checkpoint", key),
            "bytes": self._checkpoint_bytes(),
        }

    def _tool_inputs(self, source: str, argv: list[str]) -> dict[str, Any]:
        return {
            "source": source,
            "image": self.image["identity"],
            "command": argv,
            "release": self.spec.release["release"],
        }

    def _moe_flags(self) -> list[str]:
        spec = self.spec
        tensor, expert = spec.parallelism.moe_tensor, spec.parallelism.moe_expert
        if not spec.model.shape.experts or not (tensor or expert):
            return []
        if "--moe_tp_size" in spec.release["convert"]["flags"]:
            return ["--moe_tp_size", str(tensor or 1), "--moe_ep_size", str(expert or 1)]
        # Before 0.11 it is all or nothing: 1 spreads whole experts, 2 cuts each of them.
        return ["--moe_tp_mode", "1" if expert and expert > 1 else "2"]

    def _checkpoint_bytes(self) -> int:
        shape, element = self.spec.model.shape, PRECISIONS[self.spec.precision]
        # The embedding table is on every tensor rank.
        copies = (self.spec.parallelism.tensor - 1) * shape.vocab * shape.hidden
        return (shape.parameters + copies) * element

    def _build(self) -> dict[str, Any]:
        spec, limits = self.spec, self.spec.limits
        flags = spec.release["build"]["flags"]
        argv = ["trtllm-build", "--checkpoint_dir", "/src", "--output_dir", "/dest", "--gemm_plugin", spec.precision]
        argv += ["--max_batch_size", str(limits.max_batch_size), "--max_input_len", str(limits.max_input_len)]
        if "--max_seq_len" in flags:
            argv += ["--max_seq_len", str(limits.max_seq_len)]
        else:
            argv += ["--max_output_len", str(limits.max_seq_len - limits.max_input_len)]
        argv += ["--max_num_tokens", str(limits.max_num_tokens), "--max_beam_width", str(limits.max_beam_width)]
        argv += ["--workers", str(max(1, min(len(self.gpus), spec.parallelism.world_size)))]
        gpu = self.gpus[0]["name"] if self.gpus else ""
        key = artifact_key({**self._tool_inputs(self.convert["key"], argv), **({"gpu": gpu} if gpu else {})})
        return {
            "argv": argv,
            "gpu": gpu,
            "key": key,
            "dest": self._dest("engine", key),
            "bytes": self._checkpoint_bytes(),
        }

    def _repository(self) -> dict[str, dict[str, str]]:
        """Model -> placeholder -> value, of the placeholders that this release's templates have."""
        values = self._placeholder_values()
        repository = {}
        for model in self.spec.release["placeholders"]:
            known = placeholders(self.spec.release, model)
            own = {name: values[name] for name in known if name in values}
            repository[model] = {**own, **{k: str(v) for k, v in self._given_parameters(model).items()}}
        return repository

    def _given_parameters(self, model: str) -> Mapping[str, Any]:
        return self.spec.repository_parameters.get(model, {})

    def _placeholder_values(self) -> dict[str, str]:
        limits = self.spec.limits
        return {
            "triton_max_batch_size": str(limits.max_batch_size),
            "triton_backend": "tensorrtllm",
            "decoupled_mode": str(self.spec.streaming),
            "max_queue_delay_microseconds": "0",
            "max_queue_size": "0",
            "batching_strategy": "inflight_fused_batching",
            "engine_dir": ENGINE_DIR,
            "tokenizer_dir": TOKENIZER_DIR,
            # Unfilled means "no BOS token" in 0.9 and 0.10.
            "add_special_tokens": "True",
            "skip_special_tokens": "True",
            "preprocessing_instance_count": "1",
            "postprocessing_instance_count": "1",
            "bls_instance_count": "1",
            "tensorrt_llm_model_name": "tensorrt_llm",
            "max_beam_width": str(limits.max_beam_width),
            "logits_datatype": "TYPE_FP32",
            "encoder_input_features_data_type": "TYPE_FP16",
            "prompt_embedding_table_data_type": "TYPE_FP16",
        }

    def _required(self) -> dict[str, list[str]]:
        """Model -> placeholders that parse when left, but make no sense."""
        return {
            model: list(groups["required_for_sense"]) for model, groups in self.spec.release["placeholders"].items()
        }

    def _launch(self) -> dict[str, Any]:
        world_size = self.spec.parallelism.world_size
        server = self.spec.server
        return {
            "argv": launch_argv(world_size, server, oversubscribe=0 < self.processors < world_size),
            "world_size": world_size,
            "address": server.address,
            "ports": {kind: getattr(server, f"{kind}_port") for kind in PORTS},
            "listen": [{"address": server.address, "port": getattr(server, f"{kind}_port")} for kind in PORTS],
            "shm_size": server.shm_size,
        }

    def _budget(self) -> dict[str, Any]:
        """Bytes each step needs below the root folder; the release itself is hard links."""
        steps = {"weights": self.weights}
        if not self.spec.engine_dir:
            steps.update(checkpoint=self.convert, engine=self.build)
        disk = [{"what": what, "path": step["dest"], "bytes": step["bytes"]} for what, step in steps.items()]
        return {"disk": disk, "disk_total": sum(entry["bytes"] for entry in disk)}

    def _warnings(self) -> list[str]:
        spec, warnings = self.spec, []
        if spec.server.address not in ("127.0.0.1", "::1", "localhost"):
            warnings.append(
                f"trtllm_server.address {spec.server.address}: Triton has no authentication of its own; "
                "put a gateway in front of it"
            )
        if spec.limits.max_batch_size == 1:
            warnings.append("trtllm_limits.max_batch_size 1 makes in-flight batching serve one request at a time")
        if not self.gpus:
            warnings.append("no GPU on this host: the image must bring a backend that needs none")
        return warnings


def launch_argv(world_size: int, server: Any, oversubscribe: bool = False) -> list[str]:
    """The mpirun line of upstream's launch script, which itself forks and returns: a container around it ends at once.

    One tritonserver a rank; ranks above 0 load the `tensorrt_llm` model only and follow rank 0.
    """
    argv = ["mpirun", "--allow-run-as-root", *(["--oversubscribe"] if oversubscribe else [])]
    for rank in range(world_size):
        argv += ["-n", "1", TRITONSERVER, f"--model-repository={MODEL_REPOSITORY}"]
        if rank:
            argv += ["--model-control-mode=explicit", "--load-model=tensorrt_llm"]
        argv += [f"--{kind}-port={getattr(server, f'{kind}_port')}" for kind in PORTS]
        argv += ["--disable-auto-complete-config", f"--backend-config=python,shm-region-prefix-name=prefix{rank}_", ":"]
    return argv
