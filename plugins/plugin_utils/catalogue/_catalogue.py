# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The catalogue: facts about TensorRT-LLM versions, models, host shapes, vulnerabilities and failures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._version import version

CATALOGUE = Path(__file__).resolve().parents[3] / "catalogue"

Release = Mapping[str, Any]


class Entries(Mapping[str, Mapping[str, Any]]):
    """The files of a folder as a mapping by name. Files are loaded on first use, as a plan needs few of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = sorted((path.stem for path in folder.glob("*.yml")), key=release_order)
        self._read: dict[str, Mapping[str, Any]] = {}

    def __getitem__(self, name: str) -> Mapping[str, Any]:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._read:
            self._read[name] = self._load(name)
        return self._read[name]

    def _load(self, name: str) -> Mapping[str, Any]:
        entry: Mapping[str, Any] = _yaml(self._folder / f"{name}.yml")
        return entry

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Releases(Entries):
    """The `notes` of a version include those that it shares with other versions."""

    def _load(self, name: str) -> Release:
        release = super()._load(name)
        shared = _yaml(self._folder.parent / "notes.yml")["notes"]
        return {**release, "notes": [*release["notes"], *notes_on(name, shared)]}


class ServeVersions(Entries):
    """The versions of trtllm-serve, with the fields that the planner also reads of `releases`."""

    def _load(self, name: str) -> Release:
        entry, parsers = super()._load(name), _yaml(self._folder.parent / "parsers.yml")["families"]
        formats = _yaml(self._folder.parent / "checkpoint_formats.yml")
        # A version that Triton's images have as well lists the architectures of the LLM API there.
        of_llm_api = {} if "architectures" in entry else _yaml(self._folder.parent / f"releases/{name}.yml")["llmapi"]
        known = {item["name"]: item for item in formats["checkpoint_formats"]}
        cache = entry["config"]["nested"]["kv_cache_config"]
        return {
            "architectures": of_llm_api.get("architectures"),
            **entry,
            "release": name,
            "profiles": ["serve"],
            "images": [entry["image"]],
            "sources": {},
            "notes": [],
            "compute_capability": {"least": min((item["compute_capability"] for item in known.values()), key=version)},
            "runtime_defaults": {"tokens_per_block": cache.get("tokens_per_block", 32)},
            "checkpoint_formats": known,
            "unread": formats["unread"],
            "parsers": parsers,
        }


@dataclass(frozen=True)
class Catalogue:
    """Entries by name: `releases["0.17.0"]`, oldest first; `models["mixtral-8x7b"]`; `shapes["BM.GPU4.8"]`.

    `serve` has the versions of trtllm-serve, `releases` those of Triton's backend. `upstream`: what it still develops.
    """

    releases: Mapping[str, Release]
    serve: Mapping[str, Release]
    models: Mapping[str, Mapping[str, Any]]
    shapes: Mapping[str, Mapping[str, Any]]
    gpus: Mapping[str, Mapping[str, Any]]
    vulnerabilities: Sequence[Mapping[str, Any]]
    upstream: Mapping[str, Any]

    def versions(self, profile: str) -> Mapping[str, Release]:
        """The TensorRT-LLM versions to choose from; not each of them supports the profile."""
        return self.serve if profile == "serve" else self.releases

    def newest(self, profile: str) -> str:
        """The newest TensorRT-LLM version that supports `profile`."""
        versions = self.versions(profile)
        return next(name for name in reversed(list(versions)) if profile in versions[name]["profiles"])


@lru_cache(maxsize=None)
def load_catalogue(folder: Path = CATALOGUE) -> Catalogue:
    return Catalogue(
        releases=Releases(folder / "releases"),
        serve=ServeVersions(folder / "serve"),
        models=Entries(folder / "models"),
        shapes=Entries(folder / "shapes"),
        gpus=_yaml(folder / "gpus.yml")["gpus"],
        vulnerabilities=_yaml(folder / "vulnerabilities.yml")["vulnerabilities"],
        upstream=_yaml(folder / "upstream.yml"),
    )


@lru_cache(maxsize=None)
def load_log_patterns(folder: Path = CATALOGUE) -> Sequence[Mapping[str, Any]]:
    """Loaded separately, because a plan does not need them."""
    patterns: Sequence[Mapping[str, Any]] = _yaml(folder / "log_patterns.yml")["log_patterns"]
    return patterns


@lru_cache(maxsize=None)
def load_container_runtimes(folder: Path = CATALOGUE) -> Sequence[Mapping[str, Any]]:
    """Loaded separately, because they depend on the host, not on the request."""
    problems: Sequence[Mapping[str, Any]] = _yaml(folder / "container_runtimes.yml")["container_runtimes"]
    return problems


def _yaml(path: Path) -> Any:
    return yaml_load(path.read_text(encoding="utf-8"))


def notes_on(release: str, shared: Iterable[Mapping[str, str]]) -> list[str]:
    """The notes whose range of versions includes this one; without `last` the range is open."""
    number = version(release)
    return [
        entry["note"] for entry in shared if version(entry["first"]) <= number <= version(entry.get("last") or release)
    ]


def release_order(name: str) -> tuple[tuple[int, ...], str]:
    """Sort key that puts 0.9.0 before 0.12.0."""
    return version(name), name
