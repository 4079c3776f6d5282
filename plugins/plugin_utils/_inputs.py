# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""What the planner cannot know by itself and the controller reads: recorded facts, and a model's config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote

from ansible.module_utils.common.yaml import yaml_load
from ansible.module_utils.urls import open_url
from yaml import YAMLError

HUB = "https://huggingface.co"


class InputError(Exception):
    """What keeps a file or a hub's answer from being read, in words a person can act on."""


@lru_cache(maxsize=None)
def _parsed(path: str) -> Any:
    try:
        return yaml_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as exc:
        raise InputError(f"cannot read {path}: {exc}") from exc


def recorded_facts(path: str, host: str) -> Any:
    """Facts of `host` in a JSON or YAML file: of every host by name below `hosts`, else of any host."""
    content = _parsed(path)
    if not isinstance(content, Mapping) or "hosts" not in content:
        return content
    hosts = content["hosts"]
    if not isinstance(hosts, Mapping) or host not in hosts:
        raise InputError(f"trtllm_host_facts_file {path} has no facts of {host}: record them, or plan for a shape")
    return hosts[host]


def with_config(request: Mapping[str, Any], token_file: str | None) -> Mapping[str, Any]:
    """The request; a model that states no shape gets its config.json, from the file it names or from the hub."""
    model = request.get("model")
    if not isinstance(model, Mapping) or "preset" in model or "shape" in model:
        return request
    config = model.get("config")
    if isinstance(config, str):
        config = _parsed(config)
    elif config is None:
        config = _from_hub(request, model, token_file)
    return {**request, "model": {**model, "config": config}} if config is not None else request


def _from_hub(request: Mapping[str, Any], model: Mapping[str, Any], token_file: str | None) -> Any:
    """None where the request does not say enough to ask: the planner says what is missing."""
    weights = request.get("weights")
    weights = weights if isinstance(weights, Mapping) else {}
    repository, revision = model.get("repository"), model.get("revision")
    if (
        weights.get("path")
        or weights.get("offline")
        or not isinstance(repository, str)
        or not isinstance(revision, str)
    ):
        return None
    endpoint = str(weights.get("endpoint") or HUB).rstrip("/")
    return _fetched(
        f"{endpoint}/{quote(str(repository))}/resolve/{quote(str(revision), safe='')}/config.json", token_file
    )


@lru_cache(maxsize=None)
def _fetched(url: str, token_file: str | None) -> Any:
    try:
        token = Path(token_file).read_text(encoding="utf-8").strip() if token_file else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with open_url(url, headers=headers, timeout=30, follow_redirects="all") as answer:
            return json.loads(answer.read())
    except (OSError, URLError, ValueError) as exc:
        way_out = "give trtllm_model.shape, or trtllm_model.config (a file with it, on the controller)"
        raise InputError(f"cannot read the model's shape from {url}: {exc}; {way_out}") from exc
