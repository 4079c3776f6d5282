# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The planner's input and output on the control node: recorded facts, and config.json of models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit

from ansible.module_utils.common.yaml import yaml_load
from ansible.module_utils.urls import open_url
from ansible_collections.tritonops.trtllm.plugins.module_utils._deadline import within
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.catalogue._catalogue import Catalogue
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._host_facts import facts_of_shape
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import (
    Checker,
    Refusal,
    as_mapping,
    hint,
    shown,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Weights
from yaml import YAMLError

# A config.json has a few kilobytes. The server that responds is not trusted to end.
MAX_CONFIG_BYTES = 1 << 20
MAX_SECONDS = 60.0

ReadToken = Callable[[str], str]
"""Reads the file with the hub's token, which may be encrypted."""


class InputError(Exception):
    """Why a file or the response of a hub cannot be read, and the variable that refers to it."""

    def __init__(self, variable: str, value: Any, message: str) -> None:
        super().__init__(f"{variable} = {value!r}: {message}")
        self.refusal = Refusal(variable, value, message)


@lru_cache(maxsize=None)
def _parsed(variable: str, path: str) -> Any:
    try:
        return _loaded(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError, RecursionError) as exc:
        raise InputError(variable, path, f"cannot be read: {exc}") from exc


def _loaded(text: str) -> Any:
    """The YAML parser also reads JSON, but is fifty times slower, which matters for the facts of a thousand hosts."""
    try:
        return json.loads(text)
    except ValueError:
        return yaml_load(text)


def read_facts(hosts: Sequence[str], file: str | None, shape: str | None, catalogue: Catalogue) -> dict[str, Any]:
    """Facts by host, from a file or of a shape. Hosts that are not in the file are left out."""
    if file is not None:
        return facts_from_file(file, hosts)
    if shape is None:
        return {}
    if shape not in catalogue.shapes:
        known = ", ".join(catalogue.shapes)
        message = f"is not a known shape{hint(shape, catalogue.shapes)}; use one of: {known}"
        raise InputError("trtllm_host_shape", shape, message)
    return dict.fromkeys(hosts, facts_of_shape(catalogue.shapes[shape]))


def facts_from_file(path: str, hosts: Sequence[str]) -> dict[str, Any]:
    """A JSON or YAML file contains facts by host below `hosts`, or the facts of one host, which apply to all hosts.

    The output of `ansible -m tritonops.trtllm.trtllm_host_info` is also accepted.
    """
    content = _parsed("trtllm_host_facts_file", path)
    if not isinstance(content, Mapping) or "hosts" not in content:
        return dict.fromkeys(hosts, _unwrapped(content))
    by_host = content["hosts"] if isinstance(content["hosts"], Mapping) else {}
    return {host: _unwrapped(by_host[host]) for host in hosts if host in by_host}


def saved_facts(path: str | None) -> Mapping[str, Any]:
    """The facts by host that earlier runs saved in this file."""
    if not path or not Path(path).is_file():
        return {}
    content = _parsed("trtllm_host_facts_save", path)
    by_host = content.get("hosts") if isinstance(content, Mapping) else None
    if not isinstance(by_host, Mapping):
        message = "does not contain facts by host, so nothing can be added to it: use another file, or remove it"
        raise InputError("trtllm_host_facts_save", path, message)
    return by_host


def read_benchmarks(path: str | None) -> dict[str, Any]:
    """What was measured, by the key of a plan's estimate."""
    if not path:
        return {}
    content, checker = _parsed("trtllm_benchmarks", path), Checker()
    if not isinstance(content, Mapping):
        raise InputError("trtllm_benchmarks", path, "must contain a mapping with what was measured, by key")
    found = {str(key): _benchmark(checker, entry) for key, entry in content.items()}
    if checker.refusals:
        wrong = "; ".join(f"{refusal.variable}: {refusal.text}" for refusal in checker.refusals[:5])
        raise InputError("trtllm_benchmarks", path, f"cannot be used: {wrong}")
    return found


def _benchmark(checker: Checker, raw: Any) -> dict[str, Any]:
    entry = raw if isinstance(raw, Mapping) else {}
    lengths = {
        name: checker.count(f"benchmarks.{name}", entry.get(name)) for name in ("prompt_tokens", "answer_tokens")
    }
    rows = [_benchmark_row(checker, row) for row in checker.items("benchmarks.rows", entry.get("rows"))]
    return {**lengths, "rows": rows}


def _benchmark_row(checker: Checker, raw: Any) -> dict[str, Any]:
    """Without a stream, there are no times of tokens."""
    row = raw if isinstance(raw, Mapping) else {}
    times = {name: row.get(name) for name in ("first_token", "between_tokens")}
    return {
        "at_once": checker.count("benchmarks.rows.at_once", row.get("at_once")),
        "tokens_per_second": checker.amount("benchmarks.rows.tokens_per_second", row.get("tokens_per_second")),
        **{
            name: None if value is None else checker.amount(f"benchmarks.rows.{name}", value)
            for name, value in times.items()
        },
    }


def _unwrapped(facts: Any) -> Any:
    return facts.get("host_facts", facts) if isinstance(facts, Mapping) else facts


@dataclass(frozen=True)
class Token:
    """The file on the control node with the hub's token. `problem`: why it cannot be read; empty if it can."""

    path: str = ""
    problem: str = ""

    @property
    def readable(self) -> str | None:
        """Its absolute path; None if there is no token."""
        return str(Path(self.path).expanduser().absolute()) if self.path and not self.problem else None


def token_of(given: Any) -> Token:
    """From the variable, whose path can be relative to the current folder."""
    if not given:
        return Token()
    return Token(given, _token_problem(given)) if isinstance(given, str) else Token(shown(given), "must be a path")


@lru_cache(maxsize=None)
def _token_problem(path: str) -> str:
    remedy = "correct it, or create the file on the control node"
    try:
        empty = not Path(path).expanduser().read_bytes().strip()
    except (OSError, ValueError, RuntimeError) as exc:
        return f"cannot be read: {exc}; {remedy}"
    return f"is empty: {remedy}" if empty else ""


def read_text(path: str) -> str:
    return Path(path).expanduser().read_text(encoding="utf-8")


def with_config(
    request: Mapping[str, Any], token_file: str | None, read_token: ReadToken = read_text
) -> Mapping[str, Any]:
    """The request; a model without a shape gets its config.json, from the file that it names or from the hub."""
    model = as_mapping(request.get("model"))
    if not isinstance(model, Mapping) or "preset" in model or "shape" in model:
        return request
    config = model.get("config")
    if isinstance(config, str):
        config = _parsed("trtllm_model.config", config)
    elif config is None:
        config = _from_hub(request, model, token_file, read_token)
    return {**request, "model": {**model, "config": config}} if config is not None else request


def _from_hub(
    request: Mapping[str, Any], model: Mapping[str, Any], token_file: str | None, read_token: ReadToken
) -> Any:
    """None if the request is incomplete: the planner reports what is missing."""
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
    url = f"{endpoint}/{quote(repository)}/resolve/{quote(revision, safe='')}/config.json"
    answer = _fetched(url, token_file, read_token)
    if isinstance(answer, InputError):
        raise answer
    return answer


@lru_cache(maxsize=None)
def _fetched(url: str, token_file: str | None, read_token: ReadToken) -> Any:
    """The hub's response, or why there is none. Cached, so that each host of a fleet does not wait for it again."""
    try:
        token = read_token(token_file).strip() if token_file else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return json.loads(within(MAX_SECONDS, lambda: _downloaded(url, headers)))
    except (OSError, HTTPException, ValueError, RecursionError) as exc:
        remedy = "set trtllm_model.shape, or trtllm_model.config (a copy of config.json on the control node)"
        message = f"the model's shape cannot be read from {url}: {_said(exc, url)}; {remedy}"
        return InputError("trtllm_model", None, message)


def _said(exc: Exception, url: str) -> str:
    """The error, with the host that responded if the hub redirected to it."""
    if not isinstance(exc, HTTPError) or urlsplit(exc.url).netloc == urlsplit(url).netloc:
        return str(exc)
    return f"{urlsplit(exc.url).netloc} responds {exc}"


def _downloaded(url: str, headers: Mapping[str, str]) -> bytes:
    # The token must not be sent to other hosts to which the hub redirects.
    with open_url(
        url, headers=headers, unredirected_headers=["Authorization"], timeout=30, follow_redirects="all"
    ) as answer:
        content: bytes = answer.read(MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        raise ValueError(f"the response has more than {MAX_CONFIG_BYTES} bytes")
    return content
