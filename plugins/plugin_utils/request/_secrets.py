# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""Secrets that variables must not contain, because plans, records and messages do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils._secrets import (
    has_login,
    is_readable_on_the_way,
    without_login,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._registry import UNENCRYPTED
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import Refusal, as_mapping
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._spec import Weights

# Its password is treated as a secret everywhere.
_PROTECTED = ("trtllm_proxy",)
# Where a login belongs instead, by what the path of the variable contains.
_REMEDIES = (
    ("git_mirrors", ", and write it to the file trtllm_git_auth_file"),
    ("sources", ", and write it to the file trtllm_git_auth_file"),
    ("image.", ", and write it to the file trtllm_image.registry_auth_file"),
    ("weights.", ", and write the hub's token to the file trtllm_token_file"),
)


def without_secrets(variables: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Refusal]]:
    """The variables without logins in URLs, so that nothing can show them, and why these are refused."""
    found: dict[str, Refusal] = {}
    checked = {name: value if name in _PROTECTED else _without(name, value, found) for name, value in variables.items()}
    return (checked, list(found.values())) if found else (variables, [])


def _without(path: str, value: Any, found: dict[str, Refusal]) -> Any:
    if isinstance(value, str) and has_login(value):
        remedy = next((remedy for part, remedy in _REMEDIES if part in path), "")
        message = f"has a URL with a user name or password, which would be stored and shown: remove it{remedy}"
        found[path] = Refusal(path, None, message)
        return without_login(value)
    if isinstance(value, Mapping):
        # A mirror's URL can be a key.
        keys = {key: _without(path, key, found) for key in value}
        return {keys[key]: _without(f"{path}.{keys[key]}", item, found) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without(path, item, found) for item in value]
    return value


def unencrypted_token(variables: Mapping[str, Any]) -> list[Refusal]:
    """Hubs to which the token would be sent in clear text."""
    # A value of a wrong type is refused elsewhere.
    if not variables.get("trtllm_token_file") or UNENCRYPTED in str(variables.get("trtllm_waive")):
        return []
    message = "the token would be sent without encryption: use https://, or do not set trtllm_token_file"
    return [
        Refusal(f"{path}.endpoint", endpoint, message, waive=UNENCRYPTED)
        for path, endpoint in _endpoints(variables)
        if is_readable_on_the_way(endpoint)
    ]


def _endpoints(variables: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The hubs of a host, by the path of the variable. Values of a wrong type are refused elsewhere."""
    named = as_mapping(variables.get("trtllm_deployments"))
    entries = {"trtllm_weights": variables.get("trtllm_weights")}
    for name, options in (named if isinstance(named, Mapping) else {}).items():
        options = as_mapping(options)
        if isinstance(options, Mapping):
            entries[f"trtllm_deployments.{name}.weights"] = options.get("weights")
    for path, weights in entries.items():
        weights = as_mapping(weights)
        if isinstance(weights, Mapping):
            yield path, str(weights.get("endpoint") or Weights.endpoint)
