# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The spec: a request whose values were checked one by one. All mistakes are reported, not only the first."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import SECRET_NAME
from ansible_collections.tritonops.trtllm.plugins.module_utils.backend._dockerfile import ARCHITECTURES
from ansible_collections.tritonops.trtllm.plugins.module_utils.checkpoint import _decoder
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Gpus, options_of, read
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._registry import CHECKS, WAIVABLE
from ansible_collections.tritonops.trtllm.plugins.module_utils.docker._containers import ULIMITS
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._root_folder import (
    DEFAULT_ROOT,
    path_problem,
    service_problem,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue, Release
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._sizing import (
    MOST_GPUS,
    PRECISIONS,
    Limits,
    Shape,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._checkpoint_format import checkpoint_format_of
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import (
    Checker,
    Refusal,
    as_mapping,
    hint,
    is_plain,
    not_a_mapping,
    shown,
)

PROFILES = ("engine", "llmapi", "serve")
NATIVE, UPSTREAM = "native", "upstream"
"""Converters: the collection's own, and the script of the TensorRT-LLM version."""

TENSORRT_LLM = "tensorrt_llm"
"""The Triton model that computes. With the LLM API it is the only one."""

KINDS = ("base", "instruct")

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HOST_PATH = re.compile(r"/+[^/:][^:]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_HUB_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}")
_ULIMIT = re.compile(r"[a-z]{1,20}=-?[0-9]{1,19}(:-?[0-9]{1,19})?")
_SERVED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
# The APIs that neither clients nor the proof of a release need.
_CLOSABLE = ("shared-memory", "trace", "logging", "model-config", "statistics")
_ARGUMENT = re.compile(r"--[a-z0-9-]+=\S+")
_FLAG = re.compile(r"--[A-Za-z][A-Za-z0-9_-]{0,99}")
_SHM_SIZE = re.compile(r"[1-9][0-9]{0,14}[bkmgBKMG]?")
_INSTRUCT = re.compile(r"instruct|chat|[-_]it$", re.IGNORECASE)
_GPU_OPTIONS = options_of(Gpus)
# What a custom model needs, in messages.
_REQUIRED = {"revision": ": a commit hash"}
_OPTIONAL = ("quantization", "checkpoint_format")
# Names in trtllm_waive that have changed.
_RENAMED = {"disk": "disk_space", "host_memory": "memory"}


GUIDED_DECODING = ("xgrammar", "llguidance", "none")
KV_CACHE_TYPES = ("auto", "fp8", "nvfp4")
MOST_SERVED_NAME = 100
# HAProxy's.
MOST_WEIGHT = 256

MOST_STOP_TIMEOUT = 3600
"""Seconds that requests can get to finish when a server is stopped."""


@dataclass(frozen=True)
class Model:
    """The model to serve: a repository on a hub at a revision, and its shape. `dtype` is the data type of its files.

    `config` is its config.json, or what is known of it. `checkpoint_format` is the format of quantised weights.
    """

    name: str
    repository: str
    revision: str
    architecture: str
    shape: Shape
    kind: str
    dtype: str
    quantization: str
    checkpoint_format: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


_MODEL_KEYS = [item.name for item in fields(Model)]


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer other than that of the weights, from a repository or from a folder on the host (`path`)."""

    repository: str = ""
    revision: str = ""
    path: str = ""

    @property
    def kind(self) -> str:
        return kind_of(self.repository or self.path)


@dataclass(frozen=True)
class ParallelismRequest:
    """The parallel sizes that were requested; the planner chooses the others."""

    tensor: int | None = field(default=None, metadata={"most": MOST_GPUS})
    pipeline: int | None = field(default=None, metadata={"most": MOST_GPUS})
    moe_tensor: int | None = field(default=None, metadata={"most": MOST_GPUS})
    moe_expert: int | None = field(default=None, metadata={"most": MOST_GPUS})


@dataclass(frozen=True)
class Build:
    """How to build an image, in `timeout` seconds. By default `jobs` and `cuda_architectures` depend on the host."""

    cuda_architectures: str = ""
    jobs: int | None = None
    args: Mapping[str, str] = field(default_factory=dict)
    network: str = "default"
    timeout: int = 43200


@dataclass(frozen=True)
class Image:
    """Where the backend image comes from. `digest` is a manifest digest (registry) or an image id (archive).

    `registry_auth_file` is a file on the control node; `tag_moved` is what to do if a tag refers to another image now.
    """

    source: str = "registry"
    reference: str = ""
    digest: str = ""
    archive: str = ""
    layout: str = ""
    tag_moved: str = "refuse"
    registry_auth_file: str = ""
    build: Build = field(default=Build(), metadata={"record": Build})


@dataclass(frozen=True)
class Server:
    """Addresses, sizes and limits of the serving container. `shm_size` and `ulimits` are in Docker's notation.

    `closed_apis` are APIs of Triton that nobody can use, and `arguments` further ones of tritonserver.
    """

    address: str = "127.0.0.1"
    http_port: int = 8000
    grpc_port: int = 8001
    metrics_port: int = 8002
    shm_size: str = "2g"
    ulimits: tuple[str, ...] = ULIMITS
    closed_apis: tuple[str, ...] = ("shared-memory", "trace", "logging")
    arguments: tuple[str, ...] = ()

    @property
    def exposed(self) -> bool:
        return not ipaddress.ip_address(self.address).is_loopback


@dataclass(frozen=True)
class Serve:
    """How trtllm-serve generates. The parsers are chosen for the model if they are empty, and `none` is without one.

    `kv_cache_type` is the data type of the KV cache; auto is that of the weights.
    """

    reasoning_parser: str = ""
    tool_parser: str = ""
    guided_decoding_backend: str = "xgrammar"
    chunked_prefill: bool = False
    kv_cache_type: str = "auto"
    kv_cache_reuse: bool = True


_SECONDS: Mapping[str, Any] = {"most": 7 * 86400}


@dataclass(frozen=True)
class Watchdog:
    """When a server that does not answer is out of rotation and restarted. Times are in seconds.

    `metrics_dir` is a folder on the host for metrics; none are written without one.
    """

    enabled: bool = True
    interval: int = field(default=2, metadata=_SECONDS)
    timeout: int = field(default=3, metadata=_SECONDS)
    failures: int = 3
    patience: int = field(default=60, metadata=_SECONDS)
    start_deadline: int = field(default=1800, metadata=_SECONDS)
    restarts: int = 3
    window: int = field(default=7200, metadata=_SECONDS)
    backoff: int = field(default=60, metadata=_SECONDS)
    prompt_timeout: int = field(default=60, metadata=_SECONDS)
    metrics_dir: str = ""


@dataclass(frozen=True)
class Weights:
    """Where the weights come from: a hub (`endpoint`) or a folder on the host (`path`)."""

    endpoint: str = "https://huggingface.co"
    path: str = ""
    offline: bool = False


@dataclass(frozen=True)
class Source:
    """A repository to use instead of upstream's, such as a mirror; `ref` is a tag or branch with the commit."""

    repository: str
    commit: str
    ref: str = ""


@dataclass(frozen=True)
class Spec:
    """A valid request. `explicit_limits` are the names of the limits that were set.

    `gpus` is how many of the host's GPUs it gets, or their indexes; None for those that no other deployment uses.
    `build_options` and `convert_options` are further options of upstream's commands, by flag. `serve_config` has
    further keys of trtllm-serve's configuration file. `weight` is its share of the requests at gateways, and requests
    with the same `session_header` go to the same host. `given` are the names of the variables that were set.
    """

    model: Model
    release: Release
    profile: str
    root: str
    precision: str
    parallelism_request: ParallelismRequest
    limits: Limits
    explicit_limits: frozenset[str]
    image: Image
    sources: Mapping[str, Mapping[str, str]]
    server: Server
    weights: Weights
    converter: str
    tokenizer: Tokenizer | None
    streaming: bool
    stop_timeout: int
    price_per_hour: float | None
    gpus_required: bool
    gpus: int | tuple[int, ...] | None
    engine_dir: str
    expected_gpus: Gpus
    waived: frozenset[str]
    repository_parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    repository_overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    build_options: Mapping[str, Any] = field(default_factory=dict)
    convert_options: Mapping[str, Any] = field(default_factory=dict)
    served_model_name: str = ""
    serve: Serve = Serve()
    serve_config: Mapping[str, Any] = field(default_factory=dict)
    weight: int = 100
    session_header: str = ""
    watchdog: Watchdog = Watchdog()
    given: frozenset[str] = frozenset()

    @property
    def converts(self) -> bool:
        """Whether an engine is built from the weights."""
        return self.profile == "engine" and not self.engine_dir

    @property
    def models(self) -> list[str]:
        """The Triton models of the repository; trtllm-serve has none."""
        if self.profile == "serve":
            return []
        return list(self.release["placeholders"]) if self.profile == "engine" else [TENSORRT_LLM]

    @property
    def known_image(self) -> Mapping[str, Any]:
        """The catalogue's facts about the image: by its tag, or else about the newest image of the version."""
        images = self.release["images"]
        for image in images:
            if self.image.reference.endswith(image["reference"].rpartition("/")[2]):
                return dict(image)
        return dict(images[-1]) if images else {}


class Reader(Checker):
    """Reads a request option by option and collects all refusals."""

    def __init__(self, request: Mapping[str, Any], catalogue: Catalogue) -> None:
        super().__init__()
        self.request = request
        self.catalogue = catalogue

    def get(self, variable: str, default: Any) -> Any:
        """An option of the request. An empty value counts as unset."""
        value = self.request.get(variable)
        return default if value is None or value == "" else value

    def section(self, variable: str, kind: Callable[[], Any]) -> Any:
        """A mapping of the request as the dataclass `kind`; its defaults if the mapping is wrong, which is refused."""
        return self.record(variable, self.get(variable, {}), kind) or kind()

    def model(self) -> Model | None:
        """From a preset's name, `{preset: name, revision: …}`, or a mapping that describes a custom model."""
        entry = self._model_entry()
        return None if entry is None else self._model(entry)

    def model_source(self) -> tuple[str, str] | None:
        """Repository and revision, even if the rest of the model's description is wrong."""
        entry = self._model_entry() or {}
        repository, revision = entry.get("repository"), entry.get("revision")
        if isinstance(repository, str) and isinstance(revision, str) and repository and revision:
            return repository, revision
        return None

    def _model_entry(self) -> dict[str, Any] | None:
        """The description of the model, with the values of its preset."""
        given = as_mapping(self.request.get("model"))
        if isinstance(given, str):
            given = {"preset": given}
        if not isinstance(given, Mapping):
            self.refuse("model", given, self._model_message(given))
            return None
        entry = dict(given)
        if "preset" in entry:
            preset = entry.pop("preset")
            if not self._is_preset(preset):
                return None
            known = self.catalogue.models[preset]
            entry = {**{name: known.get(name, {} if name == "config" else "") for name in _MODEL_KEYS}, **entry}
        return entry

    def _model_message(self, given: Any) -> str:
        choices = f"the name of a preset ({', '.join(self.catalogue.models)}) or a mapping"
        if given is None:
            return f"is required: {choices}"
        other = "; further models of a host go into trtllm_deployments" if isinstance(given, (list, tuple)) else ""
        return f"must be {choices}{other}"

    def _is_preset(self, name: Any) -> bool:
        """Names on a hub, such as Qwen/Qwen2.5-7B, are a common mistake."""
        if not isinstance(name, str) or not _HUB_NAME.fullmatch(name):
            return self.choice("model", name, self.catalogue.models, "preset")
        same = next((key for key, model in self.catalogue.models.items() if model["repository"] == name), "")
        message = f"is not a preset; for a model on a hub, use {{repository: {name}, revision: COMMIT}}"
        self.refuse("model", name, f"{message}, or its preset, {same}" if same else message)
        return False

    def _model(self, entry: dict[str, Any]) -> Model | None:
        config = entry.pop("config", None)
        described = isinstance(config, Mapping)
        if described:
            entry = {**_described(config), **entry}
        elif config is not None:
            self.refuse("model.config", config, "must be the content of the model's config.json, or a file with it")
        value = entry.get("repository")
        repository = value if isinstance(value, str) else ""
        entry = {
            "name": repository.rsplit("/", maxsplit=1)[-1].lower(),
            "kind": kind_of(repository),
            "dtype": "bfloat16",
            "quantization": "",
            "checkpoint_format": checkpoint_format_of(
                config if described else {"quantization_config": {"quant_method": entry.get("quantization")}}
            ),
            **entry,
        }
        given = entry.pop("shape", None)
        names = [name for name in _MODEL_KEYS if name not in ("shape", "config")]
        shape = None
        if given is None and described:
            shape = self._shape_of_config(config, entry.get("architecture"))
        elif given is None and config is None and not entry.get("revision") and not self._has_weights():
            # With a revision they are read from the hub, so only the revision is missing.
            names = [name for name in names if name != "architecture" or entry.get(name)]
        else:
            shape = self._shape(given)
        for key in entry:
            self.choice(f"model.{key}", key, [*_MODEL_KEYS, "preset"], "key")
        texts = {name: self._model_text(name, entry.get(name)) for name in names}
        if shape is None or not all(texts[name] or self._is_optional(name) for name in names):
            return None
        # `quantization` has the others.
        stated = {
            key: value for key, value in (config.items() if described else ()) if key not in _decoder.QUANTIZATION
        }
        known = {**(_config_of(shape) if given else {}), **stated, "architectures": [texts["architecture"]]}
        is_read = texts["architecture"] in _decoder.ARCHITECTURES
        if given and stated and is_read and self._decoder(known) is None:
            return None
        return Model(shape=shape, config=known, **texts)

    def _model_text(self, name: str, value: Any) -> str:
        variable = f"model.{name}"
        if not value and not self._is_optional(name):
            self.refuse(variable, value, f"is required for a model that is not a preset{_REQUIRED.get(name, '')}")
            return ""
        text = self.text(variable, value) if value is not None else ""
        # Folders and releases are named after it.
        if text and name == "name" and not _NAME.fullmatch(text):
            self.refuse(variable, text, "must consist of at most 100 letters, digits, dots, dashes and underscores")
            return ""
        return text if name != "kind" or not text or self.choice(variable, text, KINDS, "kind") else ""

    def _is_optional(self, name: str) -> bool:
        return name in _OPTIONAL or (name == "revision" and self._has_weights())

    def _has_weights(self) -> bool:
        """The revision of weights in a folder on the host is not used."""
        weights = as_mapping(self.get("weights", {}))
        return isinstance(weights, Mapping) and bool(weights.get("path"))

    def _shape_of_config(self, config: Mapping[str, Any], architecture: Any) -> Shape | None:
        """With the given architecture, which may differ from that in config.json."""
        if not architecture or not isinstance(architecture, str):
            # Refused elsewhere.
            return None
        if architecture not in _decoder.ARCHITECTURES and self._converts():
            release = shown(self.get("release", self.catalogue.newest("engine"))).strip("'")
            message = unconvertible(architecture, release, _decoder.ARCHITECTURES, self.catalogue)
            self.refuse("model.architecture", architecture, message)
            return None
        decoder = self._decoder({**config, "architectures": [architecture]})
        return _shape_of(decoder) if decoder else None

    def _decoder(self, config: Mapping[str, Any]) -> _decoder.Decoder | None:
        try:
            return _decoder.describe(config)
        except _decoder.ConfigError as exc:
            self.refuse("model.config", None, f"{exc}; correct it, or set trtllm_model.shape")
            return None

    def _converts(self) -> bool:
        return self.get("profile", "engine") == "engine" and not self.get("engine_dir", "")

    def _shape(self, given: Any) -> Shape | None:
        if given is None:
            remedy = "set it, or trtllm_model.config (a file with the model's config.json on the control node)"
            self.refuse("model.shape", given, f"is required for a model that is not a preset: {remedy}")
            return None
        shape: Shape | None = self.record("model.shape", given, Shape)
        if shape and not shape.head_size and shape.hidden % shape.heads:
            message = f"is required, because {shape.heads} heads do not divide {shape.hidden}"
            self.refuse("model.shape.head_size", 0, message)
            return None
        return shape

    def release(self, profile: str, serve_version: str = "") -> Release | None:
        versions = self.catalogue.versions(profile)
        default = serve_version if profile == "serve" and serve_version else self.catalogue.newest(profile)
        given = self.get("release", default)
        what = "version of trtllm-serve" if profile == "serve" else "TensorRT-LLM version"
        name, names = given.removeprefix("v") if isinstance(given, str) else given, list(versions)
        if isinstance(name, (int, float)) and not isinstance(name, bool):
            self.refuse("release", name, 'is read as a number: write the whole version in quotes, such as "0.10.0"')
        elif isinstance(name, str) and version(name) > version(names[-1]):
            self.refuse("release", name, f"is not a known {what}; the newest is {names[-1]}")
        elif self.choice("release", name, names, what):
            return versions[name]
        return None

    def profile(self) -> str:
        profile = self.get("profile", "engine")
        return profile if self.choice("profile", profile, PROFILES, "serving profile") else "engine"

    def root(self) -> str:
        root = self.path("root", DEFAULT_ROOT)
        problem = (path_problem(root) or service_problem(root)) if root else None
        if problem:
            self.refuse("root", root, f"{problem}: use a separate folder, such as {DEFAULT_ROOT}")
        return root

    def price(self) -> float | None:
        """Of an hour of the host, in any currency; None if it is not known."""
        value = self.get("price_per_hour", None)
        return None if value is None else self.amount("price_per_hour", value)

    def path(self, variable: str, default: str = "") -> str:
        return self.host_path(variable, self.get(variable, default))

    def host_path(self, variable: str, value: Any) -> str:
        if value == "":
            return ""
        if not isinstance(value, str) or not value.isprintable() or not _HOST_PATH.fullmatch(value):
            self.refuse(variable, value, "must be an absolute path on the host below /, without a colon")
            return ""
        return value.rstrip("/")

    def image(self) -> Image:
        image: Image = self.section("image", Image)
        self.choice("image.source", image.source, ("registry", "archive", "build"), "image source")
        self.choice("image.layout", image.layout, ("", "ngc", "self_built"), "image layout")
        self.choice("image.tag_moved", image.tag_moved, ("refuse", "keep"), "value")
        architectures = image.build.cuda_architectures
        if architectures and not ARCHITECTURES.fullmatch(architectures):
            message = "must be of the form 80-real, or 80-real;90-real for more than one"
            self.refuse("image.build.cuda_architectures", architectures, message)
        for name in image.build.args:
            if SECRET_NAME.search(name):
                message = "looks like a secret, which the image's history would show: remove it"
                self.refuse(f"image.build.args.{name}", None, message)
        if image.source == "archive" and not image.archive.startswith("/"):
            self.refuse(
                "image.archive", image.archive, "must be the absolute path of a docker-save archive on the host"
            )
        if image.digest and not _DIGEST.fullmatch(image.digest):
            self.refuse("image.digest", image.digest, "must be sha256: and 64 hex digits")
        elif image.source == "archive" and not image.digest:
            self.refuse("image.digest", image.digest, "is required: the id of the image in the archive, sha256:…")
        return image

    def gpus(self) -> int | tuple[int, ...] | None:
        """How many GPUs of the host, or their indexes; None if not set."""
        given = self.get("gpus", None)
        if given is None:
            return None
        if not isinstance(given, (list, tuple)):
            return self.count("gpus", given, most=MOST_GPUS)
        indexes = tuple(self.count("gpus", index, least=0) for index in given)
        if not indexes or len(set(indexes)) < len(indexes):
            self.refuse("gpus", given, "must be a number of GPUs, or a list of different indexes")
        return indexes

    def watchdog(self) -> Watchdog:
        watchdog: Watchdog = self.section("watchdog", Watchdog)
        self.host_path("watchdog.metrics_dir", watchdog.metrics_dir)
        return watchdog

    def serve(self) -> Serve:
        serve: Serve = self.section("serve", Serve)
        self.choice("serve.guided_decoding_backend", serve.guided_decoding_backend, GUIDED_DECODING, "backend")
        self.choice("serve.kv_cache_type", serve.kv_cache_type, KV_CACHE_TYPES, "data type")
        return serve

    def served_model_name(self, model: Model | None) -> str:
        """The model's name in the API, by default that of the model."""
        name = self.text("served_model_name", self.get("served_model_name", model.name if model else ""))
        if name and (len(name) > MOST_SERVED_NAME or not _SERVED_NAME.fullmatch(name)):
            message = f"must consist of at most {MOST_SERVED_NAME} letters, digits, dots, dashes and underscores"
            self.refuse("served_model_name", name, f"{message}, with at most one slash")
        return name

    def session_header(self) -> str:
        name = self.text("session_header", self.get("session_header", ""))
        if name and not _HEADER.fullmatch(name):
            self.refuse("session_header", name, "must be the name of a header, of letters, digits and dashes")
        return name

    def serve_config(self) -> Mapping[str, Any]:
        given = as_mapping(self.get("serve_config", {}))
        if not isinstance(given, Mapping):
            self.refuse("serve_config", given, not_a_mapping(given, ()))
            return {}
        self._plain_values("serve_config", given)
        return given

    def given(self) -> frozenset[str]:
        return frozenset(str(name) for name, value in self.request.items() if value not in (None, "", {}, []))

    def server(self, profile: str = "engine") -> Server:
        server: Server = self.section("server", Server)
        used = ports_of_profile(profile)
        ports = {name: getattr(server, f"{name}_port") for name in ("http", "grpc", "metrics") if name in used}
        for name, port in ports.items():
            if port > 65535:
                self.refuse(f"server.{name}_port", port, "must be a port number up to 65535")
        if len(set(ports.values())) < len(ports):
            self.refuse("server", ports, "http_port, grpc_port and metrics_port must differ")
        if not _SHM_SIZE.fullmatch(server.shm_size):
            self.refuse("server.shm_size", server.shm_size, "must be a size in Docker's notation, such as 2g")
        for limit in server.ulimits:
            if not _ULIMIT.fullmatch(limit):
                self.refuse("server.ulimits", limit, "must be a limit in Docker's notation, such as memlock=-1")
        if not _is_address(server.address):
            message = "must be an IP address of the host, such as 127.0.0.1, not a name"
            self.refuse("server.address", server.address, message)
        self._server_flags(server)
        return server

    def _server_flags(self, server: Server) -> None:
        for api in server.closed_apis:
            self.choice("server.closed_apis", api, _CLOSABLE, "API that can be closed")
        if len(set(server.closed_apis)) < len(server.closed_apis):
            self.refuse("server.closed_apis", list(server.closed_apis), "must name each API once")
        for argument in server.arguments:
            if not _ARGUMENT.fullmatch(argument) or not argument.isprintable():
                message = "must have the form --flag=value, without spaces, such as --log-verbose=1"
                self.refuse("server.arguments", argument, message)

    def weights(self) -> Weights:
        weights: Weights = self.section("weights", Weights)
        self.host_path("weights.path", weights.path)
        if not re.fullmatch(r"https?://[^\s]+", weights.endpoint):
            self.refuse("weights.endpoint", weights.endpoint, "must be a URL, such as https://huggingface.co")
        return weights

    def converter(self) -> str:
        """Empty for the native converter if it can be used, otherwise upstream's."""
        converter = self.get("converter", "")
        known = converter == "" or self.choice("converter", converter, (NATIVE, UPSTREAM), "converter")
        return converter if known else ""

    def sources(self) -> Mapping[str, Mapping[str, str]]:
        """By name, the repositories to use instead of upstream's."""
        given, sources = as_mapping(self.get("sources", {})), {}
        if not isinstance(given, Mapping):
            self.refuse("sources", given, not_a_mapping(given, ("backend", "tensorrt_llm")))
            return {}
        for name, entry in given.items():
            if self.choice(f"sources.{name}", name, ("backend", "tensorrt_llm"), "repository"):
                source = self.record(f"sources.{name}", entry, Source)
                if source and not _COMMIT.fullmatch(source.commit):
                    self.refuse(f"sources.{name}.commit", source.commit, "must be a commit, 40 hex digits")
                elif source:
                    sources[name] = {key: value for key, value in asdict(source).items() if value}
        return sources

    def tokenizer(self) -> Tokenizer | None:
        given = as_mapping(self.get("tokenizer", None))
        if given is None:
            return None
        if isinstance(given, str):
            if not self.choice("tokenizer", given, self.catalogue.models, "model"):
                return None
            model = self.catalogue.models[given]
            return Tokenizer(model["repository"], model["revision"])
        tokenizer: Tokenizer | None = self.record("tokenizer", given, Tokenizer)
        if tokenizer and not tokenizer.path and not (tokenizer.repository and tokenizer.revision):
            self.refuse("tokenizer", given, "must have repository and revision, or path")
        if tokenizer:
            self.host_path("tokenizer.path", tokenizer.path)
        return tokenizer

    def per_model(self, variable: str) -> Mapping[str, Mapping[str, Any]]:
        """A mapping by Triton model."""
        given = as_mapping(self.get(variable, {}))
        if not isinstance(given, Mapping) or not all(isinstance(value, Mapping) for value in given.values()):
            self.refuse(variable, given, "must be a mapping of Triton models to mappings")
            return {}
        for model, values in given.items():
            self._plain_values(f"{variable}.{model}", values)
        return given

    def _plain_values(self, variable: str, value: Any) -> None:
        """Values are written to text files, so dates, and keys that are not strings, are mistakes."""
        if isinstance(value, Mapping):
            for key, item in value.items():
                if isinstance(key, str):
                    self._plain_values(f"{variable}.{key}", item)
                else:
                    self.refuse(variable, key, "has a key that is not a string: quote it")
        elif isinstance(value, (list, tuple)):
            for item in value:
                self._plain_values(variable, item)
        elif not is_plain(value) or "\0" in str(value):
            self.refuse(variable, value, "must be text, a number, true or false, or lists or mappings of these")

    def options(self, variable: str) -> Mapping[str, Any]:
        """Options of a command by flag; their names can be written without the dashes."""
        given, found = as_mapping(self.get(variable, {})), {}
        if not isinstance(given, Mapping):
            self.refuse(variable, given, "must be a mapping of options to values, such as {log_level: verbose}")
            return {}
        for name, value in given.items():
            words = value if isinstance(value, (list, tuple)) else [value]
            flag = f"--{name.lstrip('-')}" if isinstance(name, str) else ""
            option = f"{variable}.{flag[2:]}"
            if not _FLAG.fullmatch(flag):
                self.refuse(variable, name, "must have the names of options as its keys")
            elif not all(isinstance(word, (str, int, float)) and is_plain(word) for word in words):
                self.refuse(option, value, "must be text, a number, true or false, or a list of these")
            elif flag in found:
                self.refuse(option, value, "is set twice")
            else:
                found[flag] = value
        return found

    def expected_gpus(self) -> Gpus:
        """What is required of the GPUs in addition to what the plan needs."""
        given = as_mapping(self.get("preflight_gpus", {}))
        if not isinstance(given, Mapping):
            self.refuse("preflight_gpus", given, not_a_mapping(given, _GPU_OPTIONS))
            return Gpus()
        if not all(self.choice(f"preflight_gpus.{key}", key, _GPU_OPTIONS, "key") for key in given):
            return Gpus()
        checked = ArgumentSpecValidator(_GPU_OPTIONS).validate(dict(given))
        for message in checked.error_messages:
            self.refuse("preflight_gpus", given, message)
        return Gpus() if checked.error_messages else read(Gpus, checked.validated_parameters)

    def waived(self) -> frozenset[str]:
        given = self.get("waive", [])
        given = given.split(",") if isinstance(given, str) else given
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            self.refuse("waive", given, "must be a list of names, as shown in refusals and findings")
            return frozenset()
        names = frozenset(name.strip() for name in given)
        for name in sorted(names - set(WAIVABLE)):
            self.refuse("waive", name, _not_waivable(name))
        return names


def _is_address(text: str) -> bool:
    """Whether it is an IP address, and without a zone, which Docker does not take."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def ports_of_profile(profile: str) -> tuple[str, ...]:
    """The ports of a server. trtllm-serve has one, which also has the metrics."""
    return ("http",) if profile == "serve" else ("grpc", "http", "metrics")


def is_commit(revision: str) -> bool:
    return bool(_COMMIT.fullmatch(revision))


def _not_waivable(name: str) -> str:
    if name in _RENAMED:
        return f"is now called {_RENAMED[name]}"
    if name in [check.id for check in CHECKS]:
        return "cannot be waived, because nothing would work"
    return f"is not the name of a check{hint(name, WAIVABLE)}: docs/operations.md lists them"


def kind_of(repository: str) -> str:
    """Whether a model follows instructions (instruct) or not (base), judged by the name of its repository."""
    return "instruct" if _INSTRUCT.search(repository) else "base"


def _described(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a model's config.json contains about it, apart from its shape."""
    found = {
        "architecture": _decoder.architecture_of(config),
        "dtype": _decoder.dtype_of(config),
        "quantization": _decoder.quantization_of(config),
    }
    return {key: value for key, value in found.items() if value}


def unconvertible(architecture: str, release: str, known: Iterable[str], catalogue: Catalogue) -> str:
    """Why a model cannot be converted for this version, and what serves it without conversion."""
    first = first_serving(architecture, catalogue)
    other = f"serves it with TensorRT-LLM {first} and later" if first else "may serve it"
    converted = f"this collection converts {', '.join(known)}"
    return f"cannot be converted for TensorRT-LLM {release}: {converted}; trtllm_profile llmapi {other}"


def first_serving(architecture: str, catalogue: Catalogue) -> str:
    """The first version whose LLM API is known to serve the architecture; empty if there is none."""
    apis = {name: entry["llmapi"] for name, entry in catalogue.releases.items() if "llmapi" in entry}
    return next((name for name, api in apis.items() if architecture in api["architectures"]), "")


def _config_of(shape: Shape) -> dict[str, Any]:
    """What a shape says about config.json. A preset has the rest. No model has larger numbers than MAX_COUNT."""
    counts = {
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "vocab_size": shape.vocab,
        "max_position_embeddings": shape.max_positions,
        "num_local_experts": shape.experts,
        "num_experts_per_tok": shape.experts_per_token,
        "head_dim": shape.head_size,
    }
    found = {key: min(count, _decoder.MAX_COUNT) for key, count in counts.items() if count}
    return {**found, "tie_word_embeddings": shape.tied_embeddings, "sliding_window": None}


def _shape_of(decoder: _decoder.Decoder) -> Shape:
    return Shape(
        layers=decoder.layers,
        heads=decoder.heads,
        kv_heads=decoder.kv_heads,
        hidden=decoder.hidden,
        ffn=decoder.ffn,
        vocab=decoder.vocab,
        max_positions=decoder.positions,
        experts=decoder.experts,
        experts_per_token=decoder.experts_per_token,
        head_size=decoder.head_size,
        tied_embeddings=decoder.tied,
        qkv_bias=decoder.qkv_bias,
    )


def read_spec(
    request: Mapping[str, Any], catalogue: Catalogue, serve_version: str = ""
) -> tuple[Spec | None, list[Refusal]]:
    """`request` contains the `trtllm_*` variables without their prefix. The spec is None if anything is refused.

    `serve_version`: the version of trtllm-serve, if none was set; by default the newest.
    """
    reader = Reader(request, catalogue)
    profile = reader.profile()
    model, release = reader.model(), reader.release(profile, serve_version)
    precision = reader.get("precision", _natural_precision(model, profile))
    reader.choice("precision", precision, PRECISIONS, "precision")
    limits = reader.section("limits", Limits)
    set_limits = as_mapping(reader.get("limits", {}))
    explicit = frozenset(set_limits if isinstance(set_limits, Mapping) else ())
    parameters = reader.per_model("repository_parameters")
    stated = cache_fraction_of(parameters, profile)
    if stated and "kv_cache_fraction" not in explicit:
        limits = replace(limits, kv_cache_fraction=reader.fraction(*stated))
    rest: dict[str, Any] = {
        "root": reader.root(),
        "parallelism_request": reader.section("parallelism", ParallelismRequest),
        "limits": limits,
        "explicit_limits": explicit,
        "image": reader.image(),
        "sources": reader.sources(),
        "server": reader.server(profile),
        "weights": reader.weights(),
        "converter": reader.converter(),
        "tokenizer": reader.tokenizer(),
        "streaming": reader.boolean("streaming", reader.get("streaming", True)),
        "stop_timeout": reader.count("stop_timeout", reader.get("stop_timeout", 60), most=MOST_STOP_TIMEOUT),
        "price_per_hour": reader.price(),
        "gpus_required": reader.boolean("gpus_required", reader.get("gpus_required", True)),
        "gpus": reader.gpus(),
        "engine_dir": reader.path("engine_dir"),
        "expected_gpus": reader.expected_gpus(),
        "waived": reader.waived(),
        "repository_parameters": parameters,
        "repository_overrides": reader.per_model("repository_overrides"),
        "build_options": reader.options("build_options"),
        "convert_options": reader.options("convert_options"),
        "served_model_name": reader.served_model_name(model),
        "serve": reader.serve(),
        "watchdog": reader.watchdog(),
        "serve_config": reader.serve_config(),
        "weight": reader.count("weight", reader.get("weight", Spec.weight), least=0, most=MOST_WEIGHT),
        "session_header": reader.session_header(),
        "given": reader.given(),
    }
    if reader.refusals or model is None or release is None:
        return None, reader.refusals
    return Spec(model=model, release=release, profile=profile, precision=precision, **rest), []


def cache_fraction_of(parameters: Mapping[str, Mapping[str, Any]], profile: str) -> tuple[str, Any] | None:
    """The variable and value of the repository parameter for the KV cache's share of memory, if it is set."""
    of_llm_api = (TENSORRT_LLM, "kv_cache_config", "free_gpu_memory_fraction")
    path = (TENSORRT_LLM, "kv_cache_free_gpu_mem_fraction") if profile == "engine" else of_llm_api
    value: Any = parameters
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return None if value is None else (".".join(("repository_parameters", *path)), value)


def _natural_precision(model: Model | None, profile: str) -> str:
    """The LLM API serves weights as they are; engines use float16, as in the tutorial."""
    if model is None or profile == "engine":
        return "float16"
    own = "fp8" if model.quantization == "fp8" else model.dtype
    return own if own in PRECISIONS else "float16"


def placeholders(release: Release, model: str) -> list[str]:
    """All placeholders in the template of `model` in this version."""
    groups = release["placeholders"].get(model, {})
    return sorted({name for group in groups.values() for name in group})
