# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What the planner cannot know by itself and the controller reads: recorded facts, and a model's config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible.module_utils.common.yaml import yaml_load
from ansible.module_utils.urls import open_url
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._host_facts import facts_of_shape
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._refusal import Refusal, as_mapping, hint
from ansible_collections.tritonops.trtllm.plugins.plugin_utils._spec import Weights
from yaml import YAMLError


class InputError(Exception):
    """What keeps a file or a hub's answer from being read, and the variable that led there."""

    def __init__(self, variable: str, value: Any, message: str) -> None:
        super().__init__(f"{variable} = {value!r}: {message}")
        self.refusal = Refusal(variable, value, message)


@lru_cache(maxsize=None)
def _parsed(variable: str, path: str) -> Any:
    try:
        return _loaded(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError) as exc:
        raise InputError(variable, path, f"cannot be read: {exc}") from exc


def _loaded(text: str) -> Any:
    """YAML reads JSON as well, but fifty times slower: that counts with the facts of a thousand hosts."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml_load(text)


def read_facts(hosts: Sequence[str], file: str | None, shape: str | None, catalogue: Catalogue) -> dict[str, Any]:
    """Facts by host, as they were recorded in a file or those of a shape; hosts that the file lacks are left out."""
    if file is not None:
        return recorded_facts(file, hosts)
    if shape is None:
        return {}
    if shape not in catalogue.shapes:
        known = ", ".join(catalogue.shapes)
        raise InputError("trtllm_host_shape", shape, f"is not a known shape{hint(shape, catalogue.shapes)}: {known}")
    return dict.fromkeys(hosts, facts_of_shape(catalogue.shapes[shape]))


def recorded_facts(path: str, hosts: Sequence[str]) -> dict[str, Any]:
    """A JSON or YAML file has facts of each host by name below `hosts`, or facts of one, which go for every host.

    What `ansible -m tritonops.trtllm.trtllm_host_info` returned goes for facts as well.
    """
    content = _parsed("trtllm_host_facts_file", path)
    if not isinstance(content, Mapping) or "hosts" not in content:
        return dict.fromkeys(hosts, _unwrapped(content))
    by_host = content["hosts"] if isinstance(content["hosts"], Mapping) else {}
    return {host: _unwrapped(by_host[host]) for host in hosts if host in by_host}


def earlier_facts(path: str | None) -> Mapping[str, Any]:
    """What earlier runs have recorded in this file, by host."""
    if not path or not Path(path).is_file():
        return {}
    content = _parsed("trtllm_host_facts_save", path)
    by_host = content.get("hosts") if isinstance(content, Mapping) else None
    if not isinstance(by_host, Mapping):
        message = "has no facts by host, so nothing can be added to it: choose another file, or remove it"
        raise InputError("trtllm_host_facts_save", path, message)
    return by_host


def _unwrapped(facts: Any) -> Any:
    return facts.get("host_facts", facts) if isinstance(facts, Mapping) else facts


def with_config(request: Mapping[str, Any], token_file: str | None) -> Mapping[str, Any]:
    """The request; a model that states no shape gets its config.json, from the file it names or from the hub."""
    model = as_mapping(request.get("model"))
    if not isinstance(model, Mapping) or "preset" in model or "shape" in model:
        return request
    config = model.get("config")
    if isinstance(config, str):
        config = _parsed("trtllm_model.config", config)
    elif config is None:
        config = _from_hub(request, model, token_file)
    return {**request, "model": {**model, "config": config}} if config is not None else request


def _from_hub(request: Mapping[str, Any], model: Mapping[str, Any], token_file: str | None) -> Any:
    """None where the request does not say enough to ask: the planner says what is missing."""
    weights = as_mapping(request.get("weights"))
    weights = weights if isinstance(weights, Mapping) else {}
    repository, revision = model.get("repository"), model.get("revision")
    if (
        weights.get("path")
        or weights.get("offline")
        or not isinstance(repository, str)
        or not isinstance(revision, str)
    ):
        return None
    endpoint = str(weights.get("endpoint") or Weights.endpoint).rstrip("/")
    answer = _fetched(f"{endpoint}/{quote(repository)}/resolve/{quote(revision, safe='')}/config.json", token_file)
    if isinstance(answer, InputError):
        raise answer
    return answer


@lru_cache(maxsize=None)
def _fetched(url: str, token_file: str | None) -> Any:
    """What the hub says, or what keeps it from saying it: a fleet must not ask a thousand times, and wait each time."""
    try:
        token = Path(token_file).expanduser().read_text(encoding="utf-8").strip() if token_file else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # The token is for the hub, not for whom it may send us on to.
        with open_url(
            url, headers=headers, unredirected_headers=["Authorization"], timeout=30, follow_redirects="all"
        ) as answer:
            return json.loads(answer.read())
    except (OSError, HTTPException, ValueError) as exc:
        way_out = "give trtllm_model.shape, or trtllm_model.config (a file with it, on the controller)"
        return InputError("trtllm_model", url, f"the model's shape cannot be read there: {exc}; {way_out}")
