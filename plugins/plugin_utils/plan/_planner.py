# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The plan: all paths, commands, keys and placeholder values of a deployment, from its spec and facts, without I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import artifact_key
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._progress import human_bytes
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Disk, Engine, Needs, Shm
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import CACHE, DEPLOYMENTS, RELEASES
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import DEFAULT_ROOT
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._vulnerabilities import (
    exposure,
    vulnerabilities,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan import _commands as commands
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan import _sections as sections
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan import _serve_command as serve
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._converter import choose, native_step
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._estimate import (
    Work,
    estimates,
    speed_of,
    with_costs,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._gpu_fit import Sized, size
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_checks import (
    PRUNE,
    Case,
    check_host,
    prunable_bytes,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import HostFacts, read_host_facts
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._limits import (
    CHOSEN_FOR,
    Stored,
    open_limits,
    with_limits,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._preflight_needs import (
    DOCKER_ROOT,
    archive_of,
    basic_needs,
    gpu_needs,
    hub_of,
    known_needs,
    newest_image,
    ports_of,
    registry_of,
    repositories,
    weights_bytes,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sections import as_options
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._serve_checks import (
    check_serving_host,
    defaults,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._serve_version import default_version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import (
    BUILD_BYTES,
    COMPILER_BYTES,
    NATIVE_BYTES,
    PRECISIONS,
    Parallelism,
    checkpoint_bytes,
    pulled_bytes,
    serving_memory,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._warnings import warnings
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._keys import (
    image_key,
    pulled_image,
    snapshot_inputs,
    weights_key,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Refusal
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import (
    NATIVE,
    UPSTREAM,
    Spec,
    ports_of_profile,
    read_spec,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec_checks import check_spec

DEFAULT_DEPLOYMENT = "default"
ALL_GPUS = ("all",)
BACKEND_MOUNT = "/backend"
TOKENIZER_FILES = ["*.json", "*.model", "*.txt", "*.jinja"]
ANSWER_TOKENS, REASONING_TOKENS = 64, 1024
"""Tokens of the answer to the proof's prompt."""

PROMPT, SHORT_ANSWER_TOKENS = "What is cloud computing?", 16
"""Of the request that shows that a gateway reaches a deployment."""

# A step that this profile skips.
SKIPPED: dict[str, Any] = {"argv": [], "dest": "", "key": "", "bytes": 0}


def make_plan(
    request: Any,
    host_facts: Any,
    catalogue: Catalogue,
    name: str = DEFAULT_DEPLOYMENT,
    devices: Sequence[str] = ALL_GPUS,
    share: float = 1.0,
    stored: Stored | None = None,
) -> dict[str, Any]:
    """What a run would do for a deployment, or all the reasons why it cannot.

    `request`: the `trtllm_*` variables without their prefix. `host_facts`: as `trtllm_host_info` returns them, but only
    with the GPUs of this deployment, which are `devices` in Docker; missing facts are not known. `share`: the fraction
    of the host's memory that the deployment may use. `stored`: limits that other hosts chose earlier. If the result has
    `refusals`, only `needs` can be used besides them.
    """
    if not isinstance(request, Mapping):
        wrong = Refusal("trtllm_request", request, "must be a mapping of variables")
        return _refused([wrong], basic_needs(DEFAULT_ROOT, name))
    host, wrong_facts = read_host_facts(host_facts)
    spec, refusals = read_spec(request, catalogue, default_version(host, catalogue))
    if spec is None:
        return _refused([*refusals, *wrong_facts], known_needs(request, host, catalogue, name))
    spec, chosen_for = with_limits(spec, host, catalogue, {**(stored or {}), **host.limits})
    refusals, exposed = [*check_spec(spec, catalogue), *wrong_facts], exposure(spec, catalogue)
    if refusals:
        needs = replace(known_needs(request, host, catalogue, name), gpus=gpu_needs(spec, host, None))
        # The needed disk space is not completely known.
        judgeable = replace(needs, disk=())
        on_host = [] if wrong_facts else check_host(judgeable, Case(spec, host, catalogue, None)).refusals
        return _refused([*refusals, *_not_waived([*on_host, *exposed], spec)], needs)
    sized = size(spec, host)
    kind = _ServePlanner if spec.profile == "serve" else _Planner
    planner = kind(name, list(devices) if host.gpus else [], spec, host, catalogue, sized, share, chosen_for)
    needs = planner.preflight_needs()
    verdict = check_host(needs, Case(spec, host, catalogue, planner.sized))
    found = [*verdict.refusals, *check_serving_host(spec, host, catalogue, planner.sized), *exposed]
    not_waived = _not_waived(found, spec)
    if not_waived:
        return _refused(not_waived, needs)
    waived = [f"waived {entry.waive}: {entry.variable}: {entry.text}" for entry in found]
    return planner.plan([*waived, *verdict.warnings])


def _not_waived(refusals: list[Refusal], spec: Spec) -> list[Refusal]:
    """The refusals that are not waived."""
    return [refusal for refusal in refusals if not refusal.waive or refusal.waive not in spec.waived]


def _refused(refusals: list[Refusal], needs: Needs) -> dict[str, Any]:
    return {
        "refusals": [refusal.as_dict() for refusal in refusals],
        "warnings": [],
        "needs": as_options(needs),
    }


class _Planner:
    """One method for each part of the plan. Parts that other parts need are attributes."""

    def __init__(
        self,
        name: str,
        devices: list[str],
        spec: Spec,
        host: HostFacts,
        catalogue: Catalogue,
        sized: Sized,
        share: float,
        chosen_for: str,
    ) -> None:
        self.name = name
        self.devices = devices
        self.spec = spec
        self.host = host
        self.catalogue = catalogue
        self.sized = sized
        self.share = share
        self.chosen_for = chosen_for
        self.sources = {name: self._source(name) for name in spec.release["sources"]}
        self.image = self._image()
        self.weights = self._weights()
        self.tokenizer = self._tokenizer()
        self.backend = self._backend()
        builds = spec.profile == "engine" and not spec.engine_dir
        self.convert = self._convert()
        self.build = self._build() if builds else {**SKIPPED, "gpu": ""}

    @property
    def parallelism(self) -> Parallelism:
        return self.sized.parallelism

    def plan(self, waived: list[str]) -> dict[str, Any]:
        spec, launch = self.spec, self._launch()
        release_inputs = {
            **self._release_inputs(),
            "tokenizer": self.tokenizer["dest"],
            "image": self.image["identity"],
            "launch": launch,
        }
        release_id = f"{spec.model.name}-{spec.release['release']}-{artifact_key(release_inputs)[:8]}"
        model = {"name": spec.model.name, "repository": spec.model.repository, "revision": spec.model.revision}
        release_dir = f"{spec.root}/{self._releases}/{release_id}"
        limits = asdict(spec.limits)
        manifest = {
            "id": release_id,
            "deployment": self.name,
            "release": spec.release["release"],
            "profile": spec.profile,
            "model": model,
            **release_inputs,
            "run": self.image["run"],
            # For later plans.
            "limits": {**limits, **({CHOSEN_FOR: self.chosen_for} if self.chosen_for else {})},
            **self._recorded(launch),
        }
        return {
            "release": spec.release["release"],
            "profile": spec.profile,
            "root": spec.root,
            "model": model,
            "precision": spec.precision,
            "parallelism": {**asdict(self.parallelism), "world_size": self.parallelism.world_size},
            "limits": limits,
            "chosen_limits": open_limits(spec),
            "gpus": len(self.host.gpus),
            "upstream": self.catalogue.upstream["profiles"][spec.profile]["state"],
            "converter": {"name": self.convert["converter"], "reason": self.convert["reason"]},
            "server": {"address": launch["address"], "ports": launch["ports"]},
            "release_id": release_id,
            "artifacts": self._artifacts(),
            "budget": self._budget(),
            "estimate": self._estimate(),
            "steps": self._steps(release_id, release_dir),
            "warnings": [*waived, *warnings(spec, self.host, self.sized, self.catalogue), *self._room_for_another()],
            "vulnerabilities": [entry["id"] for entry in vulnerabilities(spec, self.catalogue)],
            "notes": list(spec.release["notes"]),
            "unverified": list(spec.release["unverified"]),
            # The version that the image was built for, if it could not be compared with the host's.
            "image_driver": self._driver_to_check(),
            "refusals": [],
            "needs": as_options(self.preflight_needs()),
            "served": self._served(launch),
            "trtllm_backend": as_options(self._trtllm_backend()),
            "model_weights": as_options(self._model_weights()),
            **self._release_sections(release_dir, launch, manifest),
            "watchdog": as_options(sections.Watchdog(root=spec.root, name=self.name, **asdict(spec.watchdog))),
        }

    def _served(self, launch: Mapping[str, Any]) -> dict[str, Any]:
        """What gateways and the endpoint of the host need to know."""
        limits, ports = self.spec.limits, launch["ports"]
        return {
            "api": "triton",
            "model": self.name,
            "repository": self.spec.model.repository,
            "version": self.spec.release["release"],
            "profile": self.spec.profile,
            "address": launch["address"],
            "prompt_tokens": limits.max_input_len,
            "answer_tokens": limits.max_seq_len,
            "weight": self.spec.weight,
            "session_header": self.spec.session_header,
            "ports": {"port": ports["http"], "metrics_port": ports.get("metrics", ports["http"])},
            "paths": {"health": "/v2/health/ready", "metrics": "/metrics"},
            "request": self._request(),
        }

    def _request(self) -> dict[str, Any]:
        """For a short completion through a gateway."""
        proof = self._proof()
        return {
            "path": f"/{self.name}/v2/models/{proof.model}/generate",
            "body": {"text_input": PROMPT, proof.max_tokens_field: SHORT_ANSWER_TOKENS},
        }

    def _release_inputs(self) -> dict[str, Any]:
        """What identifies a release, apart from the image, the tokenizer and the command."""
        return {
            "repository": self._repository(),
            "overrides": commands.repository_overrides(self.spec),
            "backend": self.backend["key"],
            "engine": self._engine_dir,
            "weights": self.weights["dest"] if self.spec.profile == "llmapi" else "",
        }

    @property
    def _engine_dir(self) -> str:
        return self.spec.engine_dir or str(self.build["dest"])

    def _recorded(self, launch: Mapping[str, Any]) -> dict[str, Any]:
        """For verify and rollback."""
        parts = (("endpoint", self._endpoint(launch)), ("proof", self._proof()))
        return {"service": {"api": "triton", **{name: as_options(part) for name, part in parts}}}

    def _release_sections(
        self, release_dir: str, launch: Mapping[str, Any], manifest: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The sections of the roles that make and serve a release."""
        return {
            "engine_build": as_options(self._engine_build(launch)) if self.build["argv"] else {},
            "model_repo": as_options(self._model_repo(release_dir, manifest)),
            "triton_service": as_options(self._triton_service(release_dir, launch)),
        }

    # --- sections: the options of the roles --------------------------------------------------------------------------

    def _trtllm_backend(self) -> sections.TrtllmBackend:
        backend, build, clone = self.backend, self.image["build"], None
        if build:
            clone = sections.Clone(self.sources, True, build["clone"])
        elif backend["source"] == "git":
            clone = sections.Clone(self.sources, False, backend["dest"])
        templates = sections.Templates(backend["source"], backend["image_path"], backend["dest"])
        return replace(self._image_section(), templates=templates, clone=clone)

    def _image_section(self) -> sections.TrtllmBackend:
        image, build = self.image, self.image["build"]
        return sections.TrtllmBackend(
            root=self.spec.root,
            image=sections.BackendImage(
                source=image["source"],
                name=image["run"],
                expected_bytes=image["bytes"],
                build=_part(sections.ImageBuild, {**build, "jobs": build["jobs"] or 0}) if build else None,
                **{
                    name: image[name]
                    for name in ("reference", "digest", "archive", "tag_moved", "registry_auth_file", "dest")
                },
            ),
        )

    def _model_weights(self) -> sections.ModelWeights:
        weights, tokenizer = self.weights, self.tokenizer
        hub = {"endpoint": weights["endpoint"], "offline": weights["offline"]}
        snapshots = [_part(sections.Snapshot, {**weights, "src": weights["path"]})]
        if tokenizer["separate"]:
            snapshots.append(_part(sections.Snapshot, {**hub, **tokenizer, "src": tokenizer["path"]}))
        return sections.ModelWeights(self.spec.root, snapshots)

    def _engine_build(self, launch: Mapping[str, Any]) -> sections.EngineBuild:
        convert, build = self.convert, self.build
        upstream = {
            "command": convert["argv"],
            "backend_files": self.backend["dest"] if self.backend["source"] == "git" else None,
        }
        return sections.EngineBuild(
            release=self.spec.release["release"],
            image=self.image["run"],
            image_digest=self.image["identity"],
            world_size=launch["world_size"],
            gpus=self.devices,
            shm_size=launch["shm_size"],
            checkpoint=sections.Checkpoint(
                src=self.weights["dest"],
                dest=convert["dest"],
                converter=convert["converter"],
                expected_bytes=convert["bytes"],
                **(convert["options"] if convert["converter"] == NATIVE else upstream),
            ),
            engine=sections.Engine(build["dest"], build["argv"], build["gpu"], build["bytes"]),
        )

    def _model_repo(self, release_dir: str, manifest: Mapping[str, Any]) -> sections.ModelRepo:
        engine, repository = self.spec.profile == "engine", self._repository()
        release = sections.Release(
            dest=release_dir,
            src=self.backend["all_models"],
            version=self.spec.release["release"],
            parameters=repository if engine else {},
            llm_args={} if engine else repository,
            overrides=commands.repository_overrides(self.spec),
            engine=self._engine_dir,
            image_digest=self.image["identity"],
            tokenizer=self.tokenizer["dest"] if engine or self.tokenizer["separate"] else "",
            weights="" if engine else self.weights["dest"],
            manifest=manifest,
        )
        return sections.ModelRepo(release)

    def _triton_service(self, release_dir: str, launch: Mapping[str, Any]) -> sections.TritonService:
        return sections.TritonService(
            root=self.spec.root,
            name=self.name,
            release_dir=release_dir,
            container=sections.Container(**self._container(launch)),
            endpoint=self._endpoint(launch),
            proof=self._proof(),
            stop_timeout=self.spec.stop_timeout,
        )

    def _container(self, launch: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "image": self.image["run"],
            "command": launch["argv"],
            "gpus": self.devices,
            "shm_size": launch["shm_size"],
            "tmpfs": launch["tmpfs"],
            "ulimits": list(self.spec.server.ulimits),
            "memory": serving_memory(self.host.memory, self.share),
        }

    def _endpoint(self, launch: Mapping[str, Any]) -> sections.Endpoint:
        return sections.Endpoint(
            address=launch["address"],
            http_port=launch["ports"]["http"],
            ports=list(launch["ports"].values()),
            models=list(self._repository()),
        )

    def _artifacts(self) -> dict[str, dict[str, Any]]:
        """The artifacts in the root folder, by kind."""
        backend = {"backend": self.backend} if self.backend["key"] else {}
        made = {"image": self.image, **backend, "weights": self.weights, "tokenizer": self.tokenizer}
        made.update({"checkpoint": self.convert, "engine": self.build} if self.build["argv"] else {})
        return {
            name: {"key": step["key"], "dest": step["dest"], "bytes": step.get("bytes", 0)}
            for name, step in made.items()
        }

    def preflight_needs(self) -> Needs:
        """What must be true of the host, and what must be reachable over the network."""
        spec, image = self.spec, self.image
        has_image = self._exists("image", image)
        cloned: list[Mapping[str, Any]] = []
        if self.backend["source"] == "git" and not self._exists("backend", self.backend):
            cloned += self.backend["sources"].values()
        if image["build"] and not has_image:
            cloned += image["build"]["clone_sources"].values()
        engine = {"path": spec.engine_dir, "image_digest": image["identity"]}
        return replace(
            basic_needs(spec.root, self.name),
            ports=ports_of(spec.server, spec.profile),
            disk=[part for part in self._disk() if part.path != DOCKER_ROOT or not has_image],
            memory_bytes=self._memory_to_convert(),
            shm=Shm(spec.server.shm_size, self.parallelism.world_size),
            ulimits=spec.server.ulimits,
            gpus=gpu_needs(spec, self.host, self.sized),
            hub=hub_of(spec.model.repository, spec.model.revision, spec.weights, self.weights["dest"]),
            registry=registry_of(image["reference"]) if image["source"] == "registry" and not has_image else "",
            reach=repositories(cloned),
            archive=archive_of(spec.image),
            engine=Engine(**engine) if spec.engine_dir else None,
        )

    def _memory_to_convert(self) -> int:
        """Bytes that the host must have for a conversion that is still to be done; otherwise 0."""
        # Upstream's converter holds the model and the rank that it is writing.
        memory = {"": 0, NATIVE: NATIVE_BYTES, UPSTREAM: 2 * self.weights["bytes"]}[self.convert["converter"]]
        return 0 if self._exists("checkpoint", self.convert) else memory

    # The inputs below are those that the modules record in artifact.json, whose key is the name of the folder.

    def _dest(self, kind: str, key: str) -> str:
        return f"{self.spec.root}/{kind}/{key}"

    def _layout_name(self) -> str:
        return self.spec.image.layout or ("self_built" if self.spec.image.source == "build" else "ngc")

    def _source(self, name: str) -> dict[str, str]:
        """Upstream's source or a replacement, which has upstream's tag only if it is the same commit."""
        own, given = self.spec.release["sources"][name], self.spec.sources.get(name)
        if given is None:
            return dict(own)
        tagged = {"ref": own["ref"]} if "ref" in own and given["commit"] == own["commit"] else {}
        return {**tagged, **given}

    def _image(self) -> dict[str, Any]:
        image, release = self.spec.image, self.spec.release
        reference = image.reference
        if image.source == "registry":
            reference = reference or newest_image(release)
        recipe = self._recipe() if image.source == "build" else {}
        # The id of a built image is not known yet, but its inputs are. A tag is resolved on the host, once.
        unknown = {"build": f"build:{artifact_key(recipe)}", "registry": f"tag:{reference}", "archive": ""}
        identity = image.digest or unknown[image.source]
        run = {
            "registry": pulled_image(reference, image.digest),
            "archive": image.digest,
            "build": f"tritonops/backend:{release['release']}-{identity[-12:]}",
        }[image.source]
        key = image_key(run, recipe)
        return {
            "source": image.source,
            "reference": reference,
            "digest": image.digest,
            "archive": image.archive,
            "tag_moved": image.tag_moved,
            "registry_auth_file": image.registry_auth_file,
            "build": self._image_build(recipe, key) if recipe else {},
            "identity": identity,
            "run": run,
            "key": key,
            "dest": self._dest("image", key),
            "bytes": {"registry": pulled_bytes(self.spec.profile), "archive": 0, "build": BUILD_BYTES}[image.source],
        }

    def _recipe(self) -> dict[str, Any]:
        """The inputs that identify a built image, as recorded by trtllm_image_build."""
        facts, build = self.spec.release["image_build"], self.spec.image.build
        return {
            "sources": artifact_key(self._clone_inputs(whole=True)),
            "dockerfile": facts["dockerfile"],
            "target": facts.get("target", ""),
            "build_args": dict(build.args),
            "cuda_architectures": build.cuda_architectures or self._cuda_architecture(),
            "pip_constraints": facts.get("pip_constraints", []),
        }

    def _image_build(self, recipe: Mapping[str, Any], key: str) -> dict[str, Any]:
        """The recipe, and how to build it, which does not change the image."""
        build = self.spec.image.build
        return {
            **recipe,
            "directory": self.spec.release["image_build"].get("directory", ""),
            "clone": self._dest("backend", recipe["sources"]),
            "clone_sources": self.sources,
            "jobs": build.jobs or self._jobs(),
            "network": build.network,
            "timeout": build.timeout,
            "log": f"{self.spec.root}/logs/image-{key}.log",
        }

    def _cuda_architecture(self) -> str:
        """The architecture of the host's GPUs; empty for upstream's default, which is all architectures."""
        capability = self.host.capability
        return f"{capability[0]}{capability[1]}-real" if capability else ""

    def _jobs(self) -> int | None:
        """None for upstream's default, one per processor, if there is enough memory for it."""
        fitting = (self.host.memory or 0) // COMPILER_BYTES
        return max(1, fitting) if 0 < fitting < self.host.processors else None

    def _clone_inputs(self, whole: bool) -> dict[str, Any]:
        return {"sources": self.sources, "whole": whole}

    def _weights(self) -> dict[str, Any]:
        model, weights = self.spec.model, self.spec.weights
        at_hub = {"repository": model.repository, "revision": model.revision}
        key = weights_key(model.repository, model.revision, weights.path)
        dest = self._dest("weights", key)
        return {
            **at_hub,
            "endpoint": weights.endpoint,
            "path": weights.path,
            "offline": weights.offline,
            "key": key,
            "dest": dest,
            "bytes": weights_bytes(model),
        }

    def _tokenizer(self) -> dict[str, Any]:
        """The tokenizer comes with the weights, unless another one is set."""
        other = self.spec.tokenizer
        if other is None:
            own = {"repository": "", "revision": "", "path": "", "allow_patterns": []}
            return {**own, "separate": False, "key": self.weights["key"], "dest": self.weights["dest"]}
        inputs = snapshot_inputs(other.repository, other.revision, TOKENIZER_FILES)
        key = artifact_key({"src": other.path} if other.path else inputs)
        return {
            **asdict(other),
            "allow_patterns": TOKENIZER_FILES,
            "separate": True,
            "key": key,
            "dest": self._dest("weights", key),
        }

    def _backend(self) -> dict[str, Any]:
        """Templates and scripts: from the image if it contains them, otherwise from a clone of the sources."""
        layout = self.spec.release["layout"][self._layout_name()]
        in_image = layout["all_models"] is not None and layout["examples"] is not None
        folder = "inflight_batcher_llm" if self.spec.profile == "engine" else "llmapi"
        path = f"{layout['all_models']}/{folder}" if in_image else ""
        # The sources to build an image from also contain the templates.
        clone_inputs = self._clone_inputs(whole=self.spec.image.source == "build")
        key = artifact_key({"image": self.image["run"], "path": path} if in_image else clone_inputs)
        dest = self._dest("backend", key)
        clone = self.spec.release["layout"]["clone"]
        return {
            "source": "image" if in_image else "git",
            "key": key,
            "dest": dest,
            "image_path": path,
            "sources": self.sources,
            "all_models": f"{dest}/{folder if in_image else clone['all_models'] + '/' + folder}",
            "examples": layout["examples"] or f"{BACKEND_MOUNT}/{clone['examples']}",
        }

    def _convert(self) -> dict[str, Any]:
        converter, reason = choose(self.spec)
        made: dict[str, Any] = {"converter": converter, "reason": reason, "options": {}}
        if not converter:
            return {**SKIPPED, **made}
        argv: list[str] = []
        if converter == NATIVE:
            made["options"], inputs = native_step(self.spec, self.parallelism, self.weights["key"])
        else:
            argv = commands.convert_argv(self.spec, self.parallelism, self.backend["examples"])
            inputs = {**self._tool_inputs(self.weights["key"], argv), "converter": converter}
        key = artifact_key(inputs)
        dest = self._dest("checkpoint", key)
        return {**made, "argv": argv, "key": key, "dest": dest, "bytes": self._checkpoint_bytes()}

    def _tool_inputs(self, source: str, argv: list[str]) -> dict[str, Any]:
        return {
            "source": source,
            "image": self.image["identity"],
            "command": argv,
            "release": self.spec.release["release"],
        }

    def _checkpoint_bytes(self) -> int:
        return checkpoint_bytes(self.spec.model.shape, PRECISIONS[self.spec.precision], self.parallelism)

    def _build(self) -> dict[str, Any]:
        workers = max(1, min(len(self.host.gpus), self.parallelism.world_size))
        argv = commands.build_argv(self.spec, workers)
        gpu = self.host.gpus[0].name if self.host.gpus else ""
        key = artifact_key({**self._tool_inputs(self.convert["key"], argv), **({"gpu": gpu} if gpu else {})})
        return {
            "argv": argv,
            "gpu": gpu,
            "key": key,
            "dest": self._dest("engine", key),
            "bytes": self._checkpoint_bytes(),
        }

    def _repository(self) -> dict[str, dict[str, Any]]:
        if self.spec.profile == "engine":
            return commands.engine_repository(self.spec)
        return commands.llmapi_repository(self.spec, self.parallelism)

    def _launch(self) -> dict[str, Any]:
        server = self.spec.server
        # The LLM API starts the other ranks itself.
        world_size = self.parallelism.world_size if self.spec.profile == "engine" else 1
        ports = {kind: getattr(server, f"{kind}_port") for kind in ports_of_profile(self.spec.profile)}
        return {
            "argv": self._command(world_size),
            "world_size": world_size,
            "address": server.address,
            "ports": ports,
            "listen": [{"address": server.address, "port": port} for port in ports.values()],
            "shm_size": server.shm_size,
            # The LLM API compiles kernels into its home folder and loads them.
            "tmpfs": "/tmp:size=1g" if self.spec.profile == "engine" else "/tmp:exec,size=8g",
            **({"gpus": self.devices} if self.devices not in ([], list(ALL_GPUS)) else {}),
        }

    def _command(self, world_size: int) -> list[str]:
        crowded = 0 < self.host.processors < world_size
        spec, metrics = self.spec, commands.metrics_settings(self.spec)
        return commands.launch_argv(
            spec.release, world_size, spec.server, spec.stop_timeout, metrics=metrics, oversubscribe=crowded
        )

    def _proof(self) -> sections.Proof:
        if self.spec.profile == "engine":
            model, stream_model, field = "ensemble", commands.STREAM_MODEL, "max_tokens"
        else:
            model = stream_model = commands.TENSORRT_LLM
            field = self.spec.release["llmapi"]["max_tokens_input"]
        return sections.Proof(model, field, stream_model if self.spec.streaming else None)

    def _driver_to_check(self) -> str:
        return str(self.spec.known_image.get("driver") or "") if self.host.gpus and not self.host.driver else ""

    # --- size and steps ----------------------------------------------------------------------------------------------

    def _sized_artifacts(self) -> dict[str, dict[str, Any]]:
        """The artifacts that need disk space. A release consists of hard links and needs none."""
        made = {"image": self.image, "weights": self.weights, "checkpoint": self.convert, "engine": self.build}
        return {kind: step for kind, step in made.items() if step["bytes"]}

    def _exists(self, kind: str, step: Mapping[str, Any]) -> bool:
        return f"{kind}/{step['key']}" in self.host.artifacts

    def _disk(self) -> list[Disk]:
        return [
            Disk(DOCKER_ROOT if kind == "image" else step["dest"], step["bytes"], kind)
            for kind, step in self._sized_artifacts().items()
        ]

    def _budget(self) -> dict[str, Any]:
        made = self._sized_artifacts()
        return {
            "gpu": self.sized.budget.as_dict() if self.sized.budget else None,
            "host_memory": self._memory_to_convert(),
            "disk": [asdict(part) for part in self._disk()],
            "disk_total": sum(step["bytes"] for step in made.values()),
            "disk_missing": sum(step["bytes"] for kind, step in made.items() if not self._exists(kind, step)),
        }

    def _room_for_another(self) -> Iterator[str]:
        """A warning if the disk will not hold another release of this size beside this one."""
        made = {kind: step for kind, step in self._sized_artifacts().items() if kind != "image"}
        size = sum(step["bytes"] for step in made.values())
        missing = sum(step["bytes"] for kind, step in made.items() if not self._exists(kind, step))
        if not self.host.inspected or self.host.disk_free is None:
            return
        left = max(0, self.host.disk_free - missing)
        frees = prunable_bytes([step["dest"] for step in made.values()], self.spec.root, self.host)
        if left < size:
            prune = f"; prune would free {human_bytes(frees)} ({PRUNE})" if frees else ""
            yield (
                f"trtllm_root {self.spec.root}: with this release, {human_bytes(left)} stay free, but another one of "
                f"this size needs {human_bytes(size)}{prune}"
            )

    def _estimate(self) -> dict[str, Any]:
        """The speed of the deployment. `rows` is empty if it cannot be estimated."""
        spec, budget = self.spec, self.sized.budget
        gpu = self.host.gpus[0].name if self.host.gpus else ""
        key = {
            "model": [spec.model.repository, spec.model.revision, self.weights["path"]],
            "release": spec.release["release"],
            "profile": spec.profile,
            "precision": spec.precision,
            "parallelism": asdict(self.parallelism),
            "limits": asdict(spec.limits),
            "gpu": gpu,
        }
        precision = PRECISIONS[spec.precision]
        speed = speed_of(self.catalogue.gpus.get(gpu), precision)
        found: Mapping[str, Any] = {}
        if speed and budget:
            work = Work(spec.model.shape, precision, self.parallelism, budget.kv_bytes_per_token)
            found = estimates(work, speed, spec.limits, budget.kv_tokens)
        # A deployment pays for its GPUs, whether it uses all of them or not.
        price = None if spec.price_per_hour is None else spec.price_per_hour * self.share
        return {
            "key": artifact_key(key),
            "measured": False,
            "price_per_hour": price,
            **found,
            "rows": with_costs(found.get("rows", ()), price),
        }

    @property
    def _releases(self) -> str:
        return f"{DEPLOYMENTS}/{self.name}/{RELEASES}"

    def _steps(self, release_id: str, release_dir: str) -> list[dict[str, Any]]:
        """The steps of a run, in order."""
        fetch = {"registry": "pull", "archive": "load", "build": "build"}[self.image["source"]]
        templates = {"image": "extract", "git": "clone", "": ""}[self.backend["source"]]
        steps = []
        if self.image["build"] and templates == "extract":
            sources = {"key": self.image["build"]["sources"], "dest": self.image["build"]["clone"], "bytes": 0}
            steps.append(self._step("backend", "clone", sources, what="sources"))
        steps.append(self._step("image", fetch, self.image))
        if templates:
            steps.append(self._step("backend", templates, {**self.backend, "bytes": 0}))
        steps.append(self._step("weights", "link" if self.weights["path"] else "fetch", self.weights))
        if self.tokenizer["separate"]:
            steps.append(self._step("weights", "fetch", {**self.tokenizer, "bytes": 0}, what="tokenizer"))
        if self.build["argv"]:
            steps += [self._step("checkpoint", "convert", self.convert), self._step("engine", "build", self.build)]
        release = {"key": release_id, "dest": release_dir, "bytes": 0}
        current = self.host.serving.get(self.name)
        serve = "keep" if current == release_id else "switch" if current else "start"
        service = {"what": "service", "action": serve, "path": release["dest"], "bytes": 0}
        return [*steps, self._step(self._releases, "render", release, what="release"), service]

    def _step(self, kind: str, action: str, step: Mapping[str, Any], what: str = "") -> dict[str, Any]:
        exists = self._exists(kind, step)
        return {
            "what": what or kind,
            "action": "reuse" if exists else action,
            "path": step["dest"],
            "bytes": 0 if exists else step["bytes"],
        }


class _ServePlanner(_Planner):
    """trtllm-serve serves the weights without Triton, and so without templates and a model repository."""

    def plan(self, waived: list[str]) -> dict[str, Any]:
        options = {"reasoning": serve.REASONING_PARSER, "tools": serve.TOOL_PARSER}
        parsers = {name: serve.parser_of(self.spec, option) for name, option in options.items()}
        return {**super().plan(waived), "parsers": parsers, "defaults": list(defaults(self.spec))}

    def _served(self, launch: Mapping[str, Any]) -> dict[str, Any]:
        """A prompt can be as long as a sequence."""
        return {
            **super()._served(launch),
            "api": "openai",
            "model": self.spec.served_model_name,
            "prompt_tokens": self.spec.limits.max_seq_len,
            "paths": {"health": serve.HEALTH, "metrics": serve.METRICS},
        }

    def _request(self) -> dict[str, Any]:
        """A completion, which models without a chat template have as well."""
        body = {"model": self.spec.served_model_name, "prompt": PROMPT, "max_tokens": SHORT_ANSWER_TOKENS}
        return {"path": "/v1/completions", "body": body}

    def _backend(self) -> dict[str, Any]:
        return {"source": "", "key": "", "dest": ""}

    def _trtllm_backend(self) -> sections.TrtllmBackend:
        return self._image_section()

    def _release_inputs(self) -> dict[str, Any]:
        return {
            "config": serve.config_file(self.spec, self.parallelism),
            "environment": serve.ENVIRONMENT,
            "weights": self.weights["dest"],
        }

    def _recorded(self, launch: Mapping[str, Any]) -> dict[str, Any]:
        parts = (("endpoint", self._serve_endpoint(launch)), ("proof", self._serve_proof()))
        return {"service": {"api": "openai", **{name: as_options(part) for name, part in parts}}}

    def _release_sections(
        self, release_dir: str, launch: Mapping[str, Any], manifest: Mapping[str, Any]
    ) -> dict[str, Any]:
        service = sections.ServeService(
            root=self.spec.root,
            name=self.name,
            release_dir=release_dir,
            release=self._serve_release(release_dir, manifest),
            container=sections.ServeContainer(
                **self._container(launch), environment=serve.ENVIRONMENT, cache=self._cache
            ),
            endpoint=self._serve_endpoint(launch),
            proof=self._serve_proof(),
            stop_timeout=self.spec.stop_timeout,
        )
        return {"serve_service": as_options(service)}

    @property
    def _cache(self) -> str:
        """Another image may compile other kernels."""
        return f"{self.spec.root}/{DEPLOYMENTS}/{self.name}/{CACHE}/{self.image['key']}"

    def _serve_release(self, release_dir: str, manifest: Mapping[str, Any]) -> sections.ServeRelease:
        return sections.ServeRelease(
            dest=release_dir,
            version=self.spec.release["release"],
            weights=self.weights["dest"],
            model=serve.folder_of(self.spec),
            tokenizer=self.tokenizer["dest"] if self.tokenizer["separate"] else None,
            config=serve.config_file(self.spec, self.parallelism),
            image_digest=self.image["identity"],
            manifest=manifest,
        )

    def _serve_endpoint(self, launch: Mapping[str, Any]) -> sections.ServeEndpoint:
        return sections.ServeEndpoint(
            address=launch["address"],
            http_port=launch["ports"]["http"],
            ports=list(launch["ports"].values()),
            model=self.spec.served_model_name,
        )

    def _serve_proof(self) -> sections.ServeProof:
        """Reasoning comes before the answer, and needs tokens of its own."""
        reasoning = bool(serve.parser_of(self.spec, serve.REASONING_PARSER))
        wanted = REASONING_TOKENS if reasoning else ANSWER_TOKENS
        longest = self.spec.limits.max_seq_len
        most = max(1, min(wanted, longest // 2))
        return sections.ServeProof(serve.chats(self.spec), reasoning, most, longest)

    def _command(self, world_size: int) -> list[str]:
        return serve.serve_argv(self.spec, self.parallelism)


def _part(kind: Any, values: Mapping[str, Any]) -> Any:
    """A part of a section, from those of the values for which it has a field."""
    return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})
