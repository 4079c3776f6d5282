# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The sections of a plan: the options of each role, without the role's name.

`image` of the section `engine_build` is the option `engine_build_image`, which is documented in the role's
argument_specs. Nested dataclasses are options with suboptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Needs


@dataclass(frozen=True)
class Preflight:
    needs: list[Needs]


@dataclass(frozen=True)
class ImageBuild:
    dockerfile: str
    directory: str
    target: str
    build_args: Mapping[str, str]
    cuda_architectures: str
    pip_constraints: list[str]
    jobs: int
    network: str
    timeout: int
    log: str


@dataclass(frozen=True)
class BackendImage:
    """`name` is the image's name in Docker. A tag is looked up on the host."""

    source: str
    name: str
    reference: str
    digest: str
    archive: str
    tag_moved: str
    registry_auth_file: str
    dest: str
    expected_bytes: int
    build: ImageBuild | None


@dataclass(frozen=True)
class Templates:
    """`path` is the folder in the image, and empty for a clone."""

    source: str
    path: str
    dest: str


@dataclass(frozen=True)
class Clone:
    sources: Mapping[str, Mapping[str, str]]
    whole: bool
    dest: str


@dataclass(frozen=True)
class TrtllmBackend:
    """`templates` is None for trtllm-serve, which needs none."""

    root: str
    image: BackendImage
    templates: Templates | None = None
    clone: Clone | None = None


@dataclass(frozen=True)
class Snapshot:
    """`src` is a folder on the host to link the files from, instead of downloading them from a hub."""

    repository: str
    revision: str
    src: str
    endpoint: str
    offline: bool
    dest: str
    allow_patterns: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ModelWeights:
    root: str
    snapshots: list[Snapshot]


@dataclass(frozen=True)
class Checkpoint:
    """`command` and `backend_files` are for the converter upstream, `dtype` and the sizes for native."""

    src: str
    dest: str
    converter: str
    expected_bytes: int
    dtype: str | None = None
    tp_size: int | None = None
    pp_size: int | None = None
    moe_tp_size: int | None = None
    moe_ep_size: int | None = None
    command: list[str] | None = None
    backend_files: str | None = None


@dataclass(frozen=True)
class Engine:
    dest: str
    command: list[str]
    gpu: str
    expected_bytes: int


@dataclass(frozen=True)
class EngineBuild:
    release: str
    image: str
    image_digest: str
    world_size: int
    gpus: list[str]
    shm_size: str
    checkpoint: Checkpoint
    engine: Engine


@dataclass(frozen=True)
class Release:
    dest: str
    src: str
    version: str
    parameters: Mapping[str, Mapping[str, Any]]
    llm_args: Mapping[str, Mapping[str, Any]]
    overrides: Mapping[str, Mapping[str, Any]]
    engine: str
    image_digest: str
    tokenizer: str
    weights: str
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class ModelRepo:
    release: Release


@dataclass(frozen=True)
class Container:
    """How to run the container of a release, and the `command` in it. `memory` is in bytes, None for no limit."""

    image: str
    command: list[str]
    gpus: list[str]
    shm_size: str
    tmpfs: str
    ulimits: list[str]
    memory: int | None


@dataclass(frozen=True)
class Endpoint:
    """Where to reach the server, and which Triton models must be ready."""

    address: str
    http_port: int
    ports: list[int]
    models: list[str]


@dataclass(frozen=True)
class Proof:
    """The Triton models to send the prompt to, and the name of their input for the number of tokens.

    `stream_model` is the one to stream from, None without streaming.
    """

    model: str
    max_tokens_field: str
    stream_model: str | None


@dataclass(frozen=True)
class TritonService:
    root: str
    name: str
    release_dir: str
    container: Container
    endpoint: Endpoint
    proof: Proof
    stop_timeout: int


@dataclass(frozen=True)
class ServeRelease:
    """`model` is the folder of the links to the weights, below `models` in the release, and `config` the content of
    `config.yml`.
    """

    dest: str
    version: str
    weights: str
    model: str
    tokenizer: str | None
    config: Mapping[str, Any]
    image_digest: str
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class ServeContainer(Container):
    """`cache` is a folder of the host for compiled kernels, which are then only compiled at the first start."""

    environment: Mapping[str, str]
    cache: str


@dataclass(frozen=True)
class ServeEndpoint:
    """Where to reach the server, and the model's name in the API."""

    address: str
    http_port: int
    ports: list[int]
    model: str


@dataclass(frozen=True)
class ServeProof:
    """`chat`: whether the model has a chat template; `reasoning`: whether an answer begins with reasoning.

    The KV cache must hold a sequence of `max_seq_len` tokens.
    """

    chat: bool
    reasoning: bool
    max_tokens: int
    max_seq_len: int


@dataclass(frozen=True)
class ServeService:
    root: str
    name: str
    release_dir: str
    release: ServeRelease
    container: ServeContainer
    endpoint: ServeEndpoint
    proof: ServeProof
    stop_timeout: int


@dataclass(frozen=True)
class EndpointDeployment:
    """The ports are on loopback, `health` and `metrics` are paths."""

    name: str
    port: int
    health: str
    metrics_port: int
    metrics: str


@dataclass(frozen=True)
class Exporter:
    """An exporter of metrics on loopback."""

    name: str
    port: int


@dataclass(frozen=True)
class HostEndpoint:
    """`names` are those in its certificate. `clients` are the names of gateways and of hosts that read metrics."""

    authority: str
    names: list[str]
    address: str
    port: int
    maxconn: int
    answer_timeout: int
    clients: list[str]
    deployments: list[EndpointDeployment]
    exporters: list[Exporter]


@dataclass(frozen=True)
class RouteServer:
    host: str
    deployment: str
    address: str
    port: int
    weight: int


@dataclass(frozen=True)
class Route:
    """The hosts of a model. `ceiling` is the largest number of tokens of an answer."""

    name: str
    api: str
    model: str
    ceiling: int
    session_header: str
    servers: list[RouteServer]


@dataclass(frozen=True)
class Peer:
    name: str
    address: str
    port: int


@dataclass(frozen=True)
class Gateway:
    authority: str
    name: str
    names: list[str]
    addresses: list[str]
    port: int
    certificate: str
    certificate_names: list[str]
    share: int
    peers: list[Peer]
    peer_address: str
    peer_port: int
    body_bytes: int
    maxconn: int
    answer_timeout: int
    queue_timeout: int
    metrics_address: str
    metrics_port: int
    routes: list[Route]


@dataclass(frozen=True)
class Watchdog:
    """Without what the record of the release says, so that a rollback changes it as well."""

    root: str
    name: str
    enabled: bool
    interval: int
    timeout: int
    failures: int
    patience: int
    start_deadline: int
    restarts: int
    window: int
    backoff: int
    prompt_timeout: int
    metrics_dir: str


def as_options(section: Any) -> dict[str, Any]:
    """A section as plain types, without None, for which the role has a default."""
    options: dict[str, Any] = _plain(section)
    return options


def _plain(value: Any) -> Any:
    """Like dataclasses.asdict, but without copies, because a fleet has many sections."""
    if is_dataclass(value):
        known = ((entry.name, getattr(value, entry.name)) for entry in fields(value))
        return {name: _plain(item) for name, item in known if item is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
