# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The spec: what a person asks for, checked against the catalogue. All problems are found, not only the first."""

from __future__ import annotations

import difflib
import re
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Callable, Iterable, Mapping, Sequence

from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import Catalogue

PRECISIONS = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Data types of the checkpoint and their bytes an element."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HOST_PATH = re.compile(r"/[^\0]*")


@dataclass(frozen=True)
class Refusal:
    """One reason why the request cannot work, and the variable to change."""

    variable: str
    value: Any
    message: str

    def as_dict(self) -> dict[str, Any]:
        return {"variable": self.variable, "value": self.value, "message": self.message}


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
    experts: int = 0
    head_size: int = 0
    tied_embeddings: bool = False

    @property
    def head_dim(self) -> int:
        return self.head_size or self.hidden // self.heads

    @property
    def parameters(self) -> int:
        """Number of weights of a checkpoint, which always carries its own lm_head."""
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        mlp = 3 * self.hidden * self.ffn * max(self.experts, 1) + self.hidden * self.experts
        return self.layers * (attention + mlp + 2 * self.hidden) + 2 * self.vocab * self.hidden + self.hidden


@dataclass(frozen=True)
class Model:
    """What is served: a repository on a hub at a revision, and its shape."""

    name: str
    repository: str
    revision: str
    architecture: str
    shape: Shape


@dataclass(frozen=True)
class Parallelism:
    """GPUs by tensor and pipeline parallelism; the expert split divides the tensor ranks (None: not asked for)."""

    tensor: int = 1
    pipeline: int = 1
    moe_tensor: int | None = None
    moe_expert: int | None = None

    @property
    def world_size(self) -> int:
        return self.tensor * self.pipeline


@dataclass(frozen=True)
class Limits:
    """What the engine is built for: sequences at once, tokens a prompt, tokens a sequence, tokens a step, beams."""

    max_batch_size: int = 8
    max_input_len: int = 1024
    max_seq_len: int = 2048
    max_num_tokens: int = 8192
    max_beam_width: int = 1


@dataclass(frozen=True)
class Image:
    """Where the backend image comes from. `digest` is a manifest digest (registry) or an image id (archive)."""

    source: str = "registry"
    reference: str = ""
    digest: str = ""
    archive: str = ""
    layout: str = ""


@dataclass(frozen=True)
class Server:
    """Addresses and sizes of the serving container. `shm_size` is Docker's notation."""

    address: str = "127.0.0.1"
    http_port: int = 8000
    grpc_port: int = 8001
    metrics_port: int = 8002
    shm_size: str = "2g"


@dataclass(frozen=True)
class Weights:
    """Where the weights come from: a hub (`endpoint`) or a folder on the host (`path`)."""

    endpoint: str = "https://huggingface.co"
    path: str = ""
    offline: bool = False


@dataclass(frozen=True)
class Spec:
    """A request without a mistake that can be told without a host."""

    model: Model
    release: Mapping[str, Any]
    root: str
    precision: str
    parallelism: Parallelism
    limits: Limits
    image: Image
    server: Server
    weights: Weights
    streaming: bool
    gpus_required: bool
    engine_dir: str
    repository_parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    repository_overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Reader:
    """Reads a request field by field and keeps every refusal."""

    def __init__(self, request: Mapping[str, Any], catalogue: Catalogue) -> None:
        self.request = request
        self.catalogue = catalogue
        self.refusals: list[Refusal] = []

    def refuse(self, variable: str, value: Any, message: str) -> None:
        self.refusals.append(Refusal(f"trtllm_{variable}", value, message))

    def choice(self, variable: str, value: Any, allowed: Iterable[str], what: str) -> bool:
        """True where `value` is one of `allowed`; a near miss is named."""
        names = list(allowed)
        if value in names:
            return True
        near = difflib.get_close_matches(str(value), names, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        self.refuse(variable, value, f"{value!r} is not a known {what}{hint}; known are: {', '.join(names)}")
        return False

    def section(self, variable: str, kind: Callable[..., Any]) -> Any:
        """A mapping of the request as the dataclass `kind`, its defaults filled in."""
        given = self.request.get(variable) or {}
        return self._fill(variable, given, kind) or kind()

    def _fill(self, variable: str, given: Any, kind: Any) -> Any:
        if not isinstance(given, Mapping):
            self.refuse(
                variable, given, f"must be a mapping with keys out of {', '.join(f.name for f in fields(kind))}"
            )
            return None
        known = {entry.name: entry for entry in fields(kind)}
        values: dict[str, Any] = {}
        for key, value in given.items():
            if not self.choice(f"{variable}.{key}", key, known, "key"):
                continue
            checked = self._scalar(f"{variable}.{key}", value, str(known[key].type))
            if checked is not None:
                values[key] = checked
        missing = [name for name, entry in known.items() if _required(entry) and name not in values]
        for name in missing:
            if name not in given:
                self.refuse(f"{variable}.{name}", None, "is missing")
        return None if missing else kind(**values)

    def _scalar(self, variable: str, value: Any, kind: str) -> Any:
        if value is None and "None" in kind:
            return None
        if "int" in kind:
            return self._count(variable, value)
        if kind == "bool":
            return self.boolean(variable, value)
        if not isinstance(value, str):
            self.refuse(variable, value, "must be a string")
            return None
        return value

    def boolean(self, variable: str, value: Any) -> bool | None:
        if not isinstance(value, bool):
            self.refuse(variable, value, "must be true or false")
            return None
        return value

    def _count(self, variable: str, value: Any) -> int | None:
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        least = 0 if variable.endswith((".experts", ".head_size")) else 1
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.refuse(variable, value, f"must be a whole number of at least {least}")
            return None
        return value

    def model(self) -> Model | None:
        """A preset's name, `{preset: name, revision: …}`, or a mapping with all fields."""
        given = self.request.get("model")
        if isinstance(given, str):
            given = {"preset": given}
        if not isinstance(given, Mapping):
            self.refuse(
                "model", given, f"must be the name of a preset ({', '.join(self.catalogue.models)}) or a mapping"
            )
            return None
        entry = dict(given)
        if "preset" in entry:
            preset = entry.pop("preset")
            if not self.choice("model", preset, self.catalogue.models, "model"):
                return None
            entry = {"name": preset, **self.catalogue.models[preset], **entry}
            entry.pop("gated", None)
        entry.setdefault("name", str(entry.get("repository", "")).rsplit("/", maxsplit=1)[-1].lower())
        return self._model(entry)

    def _model(self, entry: dict[str, Any]) -> Model | None:
        shape = self._fill("model.shape", entry.pop("shape", {}), Shape)
        known = [item.name for item in fields(Model) if item.name != "shape"]
        for key in entry:
            self.choice(f"model.{key}", key, [*known, "preset", "shape"], "key")
        missing = [key for key in known if not isinstance(entry.get(key), str) or not entry[key]]
        for key in missing:
            self.refuse(f"model.{key}", entry.get(key), "is missing: a model that is not a preset names it")
        if missing or shape is None:
            return None
        return Model(shape=shape, **{key: entry[key] for key in known})

    def release(self) -> Mapping[str, Any] | None:
        name = str(self.request.get("release", "")).removeprefix("v")
        if not self.choice("release", name, self.catalogue.releases, "release of the TensorRT-LLM backend"):
            return None
        return self.catalogue.releases[name]

    def path(self, variable: str, default: str = "") -> str:
        value = self.request.get(variable) or default
        if value and (not isinstance(value, str) or not _HOST_PATH.fullmatch(value)):
            self.refuse(variable, value, "must be an absolute path on the host")
            return ""
        return str(value).rstrip("/")

    def image(self) -> Image:
        image: Image = self.section("image", Image)
        self.choice("image.source", image.source, ("registry", "archive", "build"), "source of the image")
        self.choice("image.layout", image.layout, ("", "ngc", "self_built"), "layout of the image")
        if image.source == "registry" and not image.reference:
            self.refuse("image.reference", image.reference, "is missing: name the repository to pull from")
        if image.source == "archive" and not image.archive.startswith("/"):
            self.refuse(
                "image.archive", image.archive, "must be the absolute path of a docker-save archive on the host"
            )
        if image.source != "build" and not _DIGEST.fullmatch(image.digest):
            what = "the manifest's digest" if image.source == "registry" else "the image id"
            self.refuse("image.digest", image.digest, f"must be {what}, sha256: and 64 hex digits: images are pinned")
        return image

    def per_model(self, variable: str) -> Mapping[str, Mapping[str, Any]]:
        """A mapping of Triton model -> mapping."""
        given = self.request.get(variable) or {}
        if not isinstance(given, Mapping) or not all(isinstance(value, Mapping) for value in given.values()):
            self.refuse(variable, given, "must map a Triton model's name to a mapping")
            return {}
        return given


def _required(entry: Any) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def read_spec(request: Mapping[str, Any], catalogue: Catalogue) -> tuple[Spec | None, list[Refusal]]:
    """`request` has the `trtllm_*` variables without their prefix. Without refusals there is a spec."""
    reader = Reader(request, catalogue)
    model, release = reader.model(), reader.release()
    precision = request.get("precision") or "float16"
    reader.choice("precision", precision, PRECISIONS, "precision")
    reader.choice("profile", request.get("profile") or "engine", ("engine",), "serving profile")
    streaming = reader.boolean("streaming", request.get("streaming", True))
    gpus_required = reader.boolean("gpus_required", request.get("gpus_required", True))
    rest: dict[str, Any] = {
        "root": reader.path("root", "/opt/trtllm"),
        "parallelism": reader.section("parallelism", Parallelism),
        "limits": reader.section("limits", Limits),
        "image": reader.image(),
        "server": reader.section("server", Server),
        "weights": reader.section("weights", Weights),
        "engine_dir": reader.path("engine_dir"),
        "repository_parameters": reader.per_model("repository_parameters"),
        "repository_overrides": reader.per_model("repository_overrides"),
    }
    if reader.refusals or model is None or release is None:
        return None, reader.refusals
    spec = Spec(
        model=model,
        release=release,
        precision=precision,
        streaming=bool(streaming),
        gpus_required=bool(gpus_required),
        **rest,
    )
    return spec, misfits(spec)


def misfits(spec: Spec) -> list[Refusal]:
    """What cannot work although every single value is allowed."""
    found: list[Refusal] = []

    def refuse(variable: str, value: Any, message: str) -> None:
        found.append(Refusal(f"trtllm_{variable}", value, message))

    for check in (_parallelism_misfits, _limit_misfits, _parameter_misfits):
        check(spec, refuse)
    if spec.model.architecture not in spec.release["convert"]["scripts"]:
        known = ", ".join(spec.release["convert"]["scripts"])
        refuse(
            "model.architecture", spec.model.architecture, f"release {spec.release['release']} converts {known} only"
        )
    return found


Refuse = Callable[[str, Any, str], None]


def _parallelism_misfits(spec: Spec, refuse: Refuse) -> None:
    shape, parallelism = spec.model.shape, spec.parallelism
    tensor = parallelism.tensor
    if shape.heads % tensor:
        refuse(
            "parallelism.tensor",
            tensor,
            f"does not divide the {shape.heads} attention heads of {spec.model.name}; "
            f"these do: {_listed(legal_tensor_sizes(shape))}",
        )
    elif tensor not in legal_tensor_sizes(shape):
        refuse(
            "parallelism.tensor",
            tensor,
            f"neither divides nor is a multiple of the {shape.kv_heads} KV heads of {spec.model.name}, or does not "
            f"divide its feed-forward width {shape.ffn}; these work: {_listed(legal_tensor_sizes(shape))}",
        )
    if shape.layers % parallelism.pipeline:
        refuse("parallelism.pipeline", parallelism.pipeline, f"does not divide the {shape.layers} layers")
    asked = (parallelism.moe_tensor, parallelism.moe_expert)
    if any(asked) and not shape.experts:
        refuse(
            "parallelism.moe_expert", asked, f"{spec.model.name} has no experts: leave moe_tensor and moe_expert out"
        )
    elif any(asked) and (asked[0] or 1) * (asked[1] or 1) != tensor:
        refuse("parallelism.moe_tensor", asked, f"moe_tensor x moe_expert must be the tensor parallelism, {tensor}")
    elif asked[1] and shape.experts % asked[1]:
        refuse("parallelism.moe_expert", asked[1], f"does not divide the {shape.experts} experts")


def legal_tensor_sizes(shape: Shape, most: int = 64) -> list[int]:
    """Tensor parallel sizes that cut heads, KV heads (or repeat them) and the feed-forward width evenly."""
    return [
        size
        for size in range(1, most + 1)
        if not shape.heads % size and not shape.ffn % size and (not shape.kv_heads % size or not size % shape.kv_heads)
    ]


def _limit_misfits(spec: Spec, refuse: Refuse) -> None:
    limits, most = spec.limits, spec.model.shape.max_positions
    if limits.max_seq_len > most:
        refuse("limits.max_seq_len", limits.max_seq_len, f"{spec.model.name} has {most} positions")
    if limits.max_input_len >= limits.max_seq_len:
        refuse(
            "limits.max_input_len",
            limits.max_input_len,
            f"must be below max_seq_len, {limits.max_seq_len}: a sequence is the prompt and the answer",
        )
    if limits.max_num_tokens < limits.max_batch_size:
        refuse(
            "limits.max_num_tokens",
            limits.max_num_tokens,
            f"must be at least max_batch_size, {limits.max_batch_size}: a step makes one token a sequence",
        )


def _parameter_misfits(spec: Spec, refuse: Refuse) -> None:
    models = spec.release["placeholders"]
    for variable, given in (
        ("repository_parameters", spec.repository_parameters),
        ("repository_overrides", spec.repository_overrides),
    ):
        for model in given:
            if model not in models:
                refuse(f"{variable}.{model}", model, f"is not a model of this repository: {', '.join(models)}")
    for model, values in spec.repository_parameters.items():
        known = placeholders(spec.release, model)
        for name in values:
            if model in models and name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; it has: {', '.join(known)}"
                refuse(
                    f"repository_parameters.{model}.{name}",
                    values[name],
                    f"the template of {model} in release {spec.release['release']} has no placeholder {name}{hint}",
                )


def placeholders(release: Mapping[str, Any], model: str) -> list[str]:
    """Every placeholder that `model`'s template has in this release."""
    groups = release["placeholders"].get(model, {})
    return sorted({name for group in groups.values() for name in group})


def _listed(values: Sequence[int]) -> str:
    return ", ".join(str(value) for value in values)
