# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Reads a registry's credentials from text, for one pull: they are kept in memory and never written to disk."""

from __future__ import annotations

import base64
import binascii
import json
import typing as t

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import ArtifactError

DOCKER_HUB = "docker.io"
# Names of Docker Hub in the files that `docker login` writes.
HUB_NAMES = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", DOCKER_HUB)
FORMATS = "the config.json of `docker login`, or two lines: user name and password"


def registry_of(reference: str) -> str:
    """The registry in an image's name; Docker Hub if the name has none."""
    first, slash, _rest = reference.partition("/")
    is_registry = slash and ("." in first or ":" in first or first == "localhost")
    return first if is_registry else DOCKER_HUB


def credentials(text: str, registry: str) -> dict[str, str]:
    """The auth_config of the Docker SDK for the registry. No error message contains any of the text."""
    lines = text.strip().splitlines()
    if text.lstrip().startswith("{"):
        return _from_config(_parsed(text), registry)
    if len(lines) == 2 and all(line.strip() for line in lines):
        return {"username": lines[0].strip(), "password": lines[1].strip(), "serveraddress": registry}
    raise ArtifactError(f"the registry's credentials (registry_auth) must be {FORMATS}")


def _parsed(text: str) -> dict[str, t.Any]:
    try:
        config = json.loads(text)
    except ValueError as exc:
        raise ArtifactError("the registry's credentials (registry_auth) are not valid JSON") from exc
    entries = config.get("auths")
    return entries if isinstance(entries, dict) else {}


def _from_config(entries: t.Mapping[str, t.Any], registry: str) -> dict[str, str]:
    entry = next((value for name, value in entries.items() if _is_same(name, registry)), None)
    if entry is None:
        known = ", ".join(sorted(entries)) or "none"
        raise ArtifactError(
            f"the registry's credentials (registry_auth) have no entry for {registry}, only for: {known}; log in to"
            f" {registry} with `docker login`, or use a file with two lines: user name and password"
        )
    found = {name: entry[name] for name in ("username", "password", "identitytoken") if entry.get(name)}
    if entry.get("auth"):
        found = {**_decoded(entry["auth"], registry), **found}
    if not ("password" in found or "identitytoken" in found):
        raise ArtifactError(
            f"the registry's credentials (registry_auth) for {registry} are in a credential helper: use a file with"
            " two lines, user name and password"
        )
    return {**found, "serveraddress": registry}


def _is_same(name: str, registry: str) -> bool:
    if registry == DOCKER_HUB:
        return name in HUB_NAMES
    _scheme, _separator, rest = name.rpartition("://")
    return rest.partition("/")[0] == registry


def _decoded(auth: str, registry: str) -> dict[str, str]:
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError) as exc:
        raise ArtifactError(f"the registry's credentials (registry_auth) have an invalid entry for {registry}") from exc
    return {"username": user, "password": password} if colon else {}
