# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What a deployment needs on a host: the option `needs` of preflight_info, `preflight_needs` of the role preflight.

It is documented in the role's argument_specs. Empty needs are not checked.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import MISSING, Field, dataclass, field, fields

Spec = t.Dict[str, t.Any]
Record = t.TypeVar("Record")

_EMPTY = (None, "", ())
_REFERENCE = re.compile(r"O\(([a-z_.]+)\)")


def _option(kind: str, variable: str = "", record: type | None = None, elements: str = "") -> t.Mapping[str, t.Any]:
    """How a field is declared as an option. `variable` is the inventory variable that sets it."""
    return {"type": kind, "variable": variable, "record": record, "elements": elements}


def options_of(kind: t.Any) -> Spec:
    """The fields of a dataclass as an argument spec."""
    return {entry.name: _spec_of(entry) for entry in fields(kind)}


def _spec_of(entry: Field[t.Any]) -> Spec:
    spec: Spec = {"type": entry.metadata["type"]}
    if entry.metadata["elements"]:
        spec["elements"] = entry.metadata["elements"]
    if entry.metadata["record"]:
        spec["options"] = options_of(entry.metadata["record"])
    if entry.default is MISSING:
        spec["required"] = True
    elif entry.default not in _EMPTY:
        spec["default"] = list(entry.default) if isinstance(entry.default, tuple) else entry.default
    return spec


@dataclass(frozen=True)
class Port:
    port: int = field(metadata=_option("int"))
    address: str = field(default="127.0.0.1", metadata=_option("str"))
    what: str = field(default="", metadata=_option("str"))


@dataclass(frozen=True)
class Disk:
    path: str = field(metadata=_option("path"))
    bytes: int = field(metadata=_option("int"))
    what: str = field(default="data", metadata=_option("str"))


@dataclass(frozen=True)
class Shm:
    size: str = field(metadata=_option("str"))
    ranks: int = field(default=1, metadata=_option("int"))


@dataclass(frozen=True)
class Gpus:
    count: int = field(default=0, metadata=_option("int"))
    name: str = field(default="", metadata=_option("str"))
    memory_mib: int = field(default=0, metadata=_option("int"))
    compute_capability: str = field(default="", metadata=_option("str"))
    compute_capability_most: str = field(default="", metadata=_option("str"))
    driver: str = field(default="", metadata=_option("str"))
    driver_listed: str = field(default="", metadata=_option("str"))
    executable: str = field(default="nvidia-smi", metadata=_option("str"))


@dataclass(frozen=True)
class Hub:
    repository: str = field(metadata=_option("str", variable="trtllm_model"))
    revision: str = field(metadata=_option("str"))
    endpoint: str = field(default="https://huggingface.co", metadata=_option("str", variable="trtllm_weights.endpoint"))
    files: t.Sequence[str] = field(default=("config.json",), metadata=_option("list", elements="str"))
    token_file: str = field(default="", metadata=_option("path", variable="trtllm_token_file"))
    dest: str = field(default="", metadata=_option("path"))


@dataclass(frozen=True)
class Source:
    url: str = field(metadata=_option("str"))
    what: str = field(metadata=_option("str"))
    unless: str = field(default="", metadata=_option("path"))


@dataclass(frozen=True)
class Runtime:
    component: str = field(metadata=_option("str"))
    problem: str = field(metadata=_option("str"))
    fixed_in: t.Sequence[str] = field(metadata=_option("list", elements="str"))
    packages: t.Mapping[str, str] | None = field(default=None, metadata=_option("dict"))


@dataclass(frozen=True)
class Archive:
    path: str = field(metadata=_option("path"))
    digest: str = field(default="", metadata=_option("str"))


@dataclass(frozen=True)
class Engine:
    path: str = field(metadata=_option("path"))
    image_digest: str = field(metadata=_option("str"))


@dataclass(frozen=True)
class HAProxy:
    version: str = field(metadata=_option("str"))
    executable: str = field(metadata=_option("path"))
    package: bool = field(default=False, metadata=_option("bool"))


@dataclass(frozen=True)
class Needs:
    """`root` is the root folder; `units` and `containers` are our own services, which may be running.

    `planned` is set if the needs are from a plan: remedies then name inventory variables instead of options.
    """

    architectures: t.Sequence[str] = field(default=(), metadata=_option("list", elements="str"))
    systems: t.Mapping[str, str] | None = field(default=None, metadata=_option("dict"))
    systemd: bool = field(default=False, metadata=_option("bool"))
    clock: bool = field(default=False, metadata=_option("bool"))
    runtimes: t.Sequence[Runtime] = field(
        default=(), metadata=_option("list", variable="trtllm_docker_source", record=Runtime, elements="dict")
    )
    root: str = field(default="", metadata=_option("path", variable="trtllm_root"))
    ports: t.Sequence[Port] = field(
        default=(),
        metadata=_option(
            "list", variable="trtllm_server, trtllm_endpoint or trtllm_gateway", record=Port, elements="dict"
        ),
    )
    units: t.Sequence[str] = field(default=(), metadata=_option("list", elements="str"))
    containers: t.Sequence[str] = field(default=(), metadata=_option("list", elements="str"))
    disk: t.Sequence[Disk] = field(
        default=(), metadata=_option("list", variable="trtllm_root", record=Disk, elements="dict")
    )
    memory_bytes: int = field(default=0, metadata=_option("int", variable="trtllm_model"))
    shm: Shm | None = field(default=None, metadata=_option("dict", variable="trtllm_server.shm_size", record=Shm))
    ulimits: t.Sequence[str] = field(
        default=(), metadata=_option("list", variable="trtllm_server.ulimits", elements="str")
    )
    gpus: Gpus | None = field(
        default=None, metadata=_option("dict", variable="trtllm_preflight_gpus or trtllm_parallelism", record=Gpus)
    )
    hub: Hub | None = field(default=None, metadata=_option("dict", record=Hub))
    registry: str = field(default="", metadata=_option("str", variable="trtllm_image.reference"))
    reach: t.Sequence[Source] = field(
        default=(),
        metadata=_option(
            "list",
            variable="trtllm_sources, docker_vendor_url or nvidia_ctk_repository_url",
            record=Source,
            elements="dict",
        ),
    )
    archive: Archive | None = field(
        default=None, metadata=_option("dict", variable="trtllm_image.archive", record=Archive)
    )
    engine: Engine | None = field(default=None, metadata=_option("dict", variable="trtllm_engine_dir", record=Engine))
    haproxy: HAProxy | None = field(default=None, metadata=_option("dict", variable="haproxy_source", record=HAProxy))
    planned: bool = field(default=False, metadata=_option("bool"))


def read(kind: type[Record], given: t.Mapping[str, t.Any]) -> Record:
    """The dataclass of validated options; options without a value have their defaults."""
    values: dict[str, t.Any] = {}
    for entry in fields(kind):  # type: ignore[arg-type]
        value, record = given.get(entry.name), entry.metadata["record"]
        if value is None:
            continue
        if record and isinstance(value, list):
            value = [read(record, item) for item in value]
        values[entry.name] = read(record, value) if record and isinstance(value, dict) else value
    return kind(**values)


def _variables(kind: t.Any, prefix: str = "") -> t.Iterator[tuple[str, str]]:
    for entry in fields(kind):
        name, record = prefix + entry.name, entry.metadata["record"]
        if entry.metadata["variable"]:
            yield name, entry.metadata["variable"]
        if record and not entry.metadata["elements"]:
            yield from _variables(record, f"{name}.")


VARIABLES = dict(_variables(Needs))
"""The inventory variable that sets a need, by its path, such as hub.endpoint."""

_OPTIONS = {"ca_bundle": "trtllm_ca_bundle"}
"""The inventory variable that sets another option of preflight_info."""


def named(text: str, planned: bool) -> str:
    """The text with references such as O(hub.endpoint) replaced by the name of the option or the variable."""

    def name_of(reference: t.Match[str]) -> str:
        name = reference.group(1)
        if name in _OPTIONS:
            return _OPTIONS[name] if planned else name
        return VARIABLES[name] if planned else f"needs.{name}"

    return _REFERENCE.sub(name_of, text)
