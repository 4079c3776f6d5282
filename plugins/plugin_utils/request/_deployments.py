# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is PRIVATE to the collection: do not import it from outside.

"""The deployments of a host: `default`, which the flat variables describe, and those of `trtllm_deployments`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.tritonops.trtllm.plugins.module_utils.host._host import is_deployment_name
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.plan._planner import DEFAULT_DEPLOYMENT
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._refusal import (
    Checker,
    Refusal,
    as_mapping,
    not_a_mapping,
)
from ansible_collections.tritonops.trtllm.plugins.plugin_utils.request._variables import (
    INHERITED,
    MODEL,
    PREFIX,
    REQUEST,
    VARIABLES,
)

_SCOPES = {name: VARIABLES[f"{PREFIX}{name}"].request for name in REQUEST}
_OWN = tuple(name for name, scope in _SCOPES.items() if scope in (MODEL, INHERITED))
# They belong to the TensorRT-LLM version that the host's variables select.
_OF_RELEASE = ("image", "sources")


@dataclass(frozen=True)
class Deployment:
    """The request for a deployment. `own` are the options that a named deployment sets itself."""

    name: str
    request: Mapping[str, Any]
    own: frozenset[str] = frozenset()

    @property
    def path(self) -> str:
        """The variable that contains its options; empty for the flat variables."""
        return "" if self.name == DEFAULT_DEPLOYMENT else f"{PREFIX}deployments.{self.name}"

    def located(self, variable: str) -> str:
        """The name in the inventory of a variable of its request."""
        option = variable[len(PREFIX) :]
        top = option.partition(".")[0]
        is_own = _SCOPES.get(top) == MODEL or (_SCOPES.get(top) == INHERITED and top in self.own)
        return f"{self.path}.{option}" if self.path and is_own else variable


@dataclass(frozen=True)
class Deployments:
    """The default deployment first, then the others in the order of the inventory."""

    by_name: Mapping[str, Deployment]
    refusals: list[Refusal] = field(default_factory=list)


def request_of(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The request of the flat variables. The planner has defaults for those that are not set."""
    return {name: variables[f"{PREFIX}{name}"] for name in REQUEST if f"{PREFIX}{name}" in variables}


def deployments_of(variables: Mapping[str, Any]) -> Deployments:
    """`variables`: the `trtllm_*` of a host. Without a model, `default` only exists if there is no other."""
    flat, checker = request_of(variables), Checker()
    named = as_mapping(variables.get(f"{PREFIX}deployments") or {})
    if not isinstance(named, Mapping):
        checker.refuse("deployments", named, "must be a mapping of names to the options of each deployment")
        named = {}
    found = {}
    if flat.get("model") or not named:
        found[DEFAULT_DEPLOYMENT] = Deployment(DEFAULT_DEPLOYMENT, flat)
    for name, options in named.items():
        if _is_name(checker, name):
            deployment = _named(checker, name, as_mapping(options), flat)
            found.update({name: deployment} if deployment else {})
    return Deployments(found, checker.refusals)


def _is_name(checker: Checker, name: Any) -> bool:
    if name == DEFAULT_DEPLOYMENT:
        message = "is the deployment that the flat variables describe, such as trtllm_model: use another name"
        checker.refuse(f"deployments.{name}", None, message)
    elif not isinstance(name, str) or not is_deployment_name(name):
        message = "is not a valid name of a deployment: use at most 32 lower-case letters, digits and dashes"
        checker.refuse("deployments", name, message)
    else:
        return True
    return False


def _named(checker: Checker, name: str, options: Any, flat: Mapping[str, Any]) -> Deployment | None:
    """A deployment inherits the host's options, except those that describe the model of the default deployment."""
    path = f"deployments.{name}"
    if not isinstance(options, Mapping):
        checker.refuse(path, options, not_a_mapping(options, _OWN))
        return None
    before = len(checker.refusals)
    for key in options:
        if key in _SCOPES and key not in _OWN:
            checker.refuse(f"{path}.{key}", None, f"applies to all deployments of a host: set {PREFIX}{key}")
        else:
            checker.choice(f"{path}.{key}", key, _OWN, "option of a deployment")
    if len(checker.refusals) > before:
        return None
    inherited = {key: value for key, value in flat.items() if _SCOPES[key] != MODEL}
    if "release" in options:
        inherited = {key: value for key, value in inherited.items() if key not in _OF_RELEASE}
    return Deployment(name, {**inherited, **options, **_weights(inherited, options)}, frozenset(options))


def _weights(inherited: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The hub is inherited from the host, but not a folder with weights, which belongs to one model."""
    of_host, own = (as_mapping(options_of.get("weights") or {}) for options_of in (inherited, options))
    if not isinstance(of_host, Mapping) or not isinstance(own, Mapping):
        return {}
    merged = {**{key: value for key, value in of_host.items() if key != "path"}, **own}
    return {"weights": merged} if of_host or own else {}
