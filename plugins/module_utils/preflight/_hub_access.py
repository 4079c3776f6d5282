# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a model hub and an image registry let us in, asked before anything is changed."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import quote

from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding, error, warning


class Unreachable(Exception):
    """There was no answer."""


class Reply(t.NamedTuple):
    """The part of an answer that matters. Header names are in lower case."""

    status: int
    headers: t.Mapping[str, str]

    @property
    def words(self) -> str:
        """The server's own reason; Hugging Face puts it into headers."""
        parts = [f"HTTP {self.status}", self.headers.get("x-error-code"), self.headers.get("x-error-message")]
        return " ".join(part for part in parts if part)


class Hub(t.NamedTuple):
    """What is to be fetched from where, and what the variables are called that say so."""

    endpoint: str
    repository: str
    revision: str
    files: t.Sequence[str]
    has_token: bool
    names: t.Mapping[str, str]


# Method and URL to an answer of any status; raises Unreachable.
Fetch = t.Callable[[str, str], Reply]


def _refusal(hub: Hub, reply: Reply) -> Finding:
    page = f"{hub.endpoint}/{hub.repository}"
    if hub.has_token:
        return error(
            "hub_token_refused",
            f"the hub refuses {hub.repository} to the token: {reply.words}",
            f"let the account of that token accept the licence at {page} (a gated model),"
            f" or put another token into {hub.names['token']}",
        )
    return error(
        "hub_token_missing",
        f"the hub does not give {hub.repository} without a token: {reply.words}",
        f"accept the licence at {page} (a gated model) and put a token of that account into {hub.names['token']}",
    )


def _not_found(hub: Hub, reply: Reply, path: str | None) -> Finding:
    if path and reply.headers.get("x-error-code") in (None, "EntryNotFound"):
        message = f"{hub.repository} has no file {path} at revision {hub.revision}: {reply.words}"
        return error("hub_not_found", message, f"correct {hub.names['repository']}")
    private = "" if hub.has_token else "; for a private model put a token into " + hub.names["token"]
    return error(
        "hub_not_found",
        f"the hub {hub.endpoint} has no model {hub.repository} at revision {hub.revision}: {reply.words}",
        f"correct the model or the revision in {hub.names['repository']}{private}",
    )


def _judge(hub: Hub, reply: Reply, path: str | None = None) -> list[Finding]:
    if reply.status < 400:
        return []
    code = reply.headers.get("x-error-code", "")
    # Without a token Hugging Face answers 401 for what does not exist, too, but names the reason.
    if reply.status == 404 or code.endswith("NotFound"):
        return [_not_found(hub, reply, path)]
    if reply.status in (401, 403):
        return [_refusal(hub, reply)]
    message = f"the hub {hub.endpoint} does not serve {hub.repository}: {reply.words}"
    remedy = f"try again later, or name another hub in {hub.names['endpoint']}"
    return [error("hub_unreachable", message, remedy)]


def check_hub(hub: Hub, fetch: Fetch) -> list[Finding]:
    """The model's description is public even when its files are not: so ask for one file as well."""
    model = quote(hub.repository)
    revision = quote(hub.revision, safe="")
    try:
        found = _judge(hub, fetch("GET", f"{hub.endpoint}/api/models/{model}/revision/{revision}"))
        for path in [] if found else hub.files[:1]:
            url = f"{hub.endpoint}/{model}/resolve/{revision}/{quote(path)}"
            found = _judge(hub, fetch("HEAD", url), path)
    except Unreachable as exc:
        return [
            error(
                "hub_unreachable",
                f"the hub {hub.endpoint} does not answer: {exc}",
                f"check the network and the proxy of the host, the hub in {hub.names['endpoint']}"
                f" and, for a certificate, the bundle in {hub.names['ca_bundle']}",
            )
        ]
    return found


def check_registry(url: str, names: t.Mapping[str, str], fetch: Fetch) -> list[Finding]:
    """Any answer of the registry's API will do: it asks for credentials even of those it serves."""
    base = url if re.match(r"https?://", url) else _scheme(url) + url
    try:
        reply = fetch("GET", base.rstrip("/") + "/v2/")
        problem = reply.words if reply.status >= 500 or reply.status == 404 else None
    except Unreachable as exc:
        problem = str(exc)
    if problem is None:
        return []
    if "certificate" in problem.lower():
        # The engine has certificates of its own for registries, and may get them later.
        message = f"the certificate of the image registry {url} is not trusted here: {problem}"
        remedy = f"give its CA to the engine (docker_registry_ca_files), or to the host in {names['ca_bundle']}"
        return [warning("registry_certificate", message, remedy)]
    message = f"the image registry {url} does not answer: {problem}"
    remedy = f"check the network and the proxy of the host, and the registry in {names['registry']}"
    return [error("registry_unreachable", message, remedy)]


def _scheme(address: str) -> str:
    """The engine speaks without TLS to the host itself."""
    return "http://" if re.match(r"(localhost|127\.[\d.]+)(:|/|$)", address) else "https://"


def check_reach(what: str, url: str, variable: str, fetch: Fetch) -> list[Finding]:
    """Whether anything answers there. What it says does not matter, unless it is the proxy that says no."""
    try:
        reply = fetch("GET", url)
        problem = reply.words if reply.status >= 500 or reply.status == 407 else None
    except Unreachable as exc:
        problem = str(exc)
    if problem is None:
        return []
    return [
        error(
            "unreachable",
            f"{url} ({what}) does not answer: {problem}",
            f"check network, name service and proxy of the host, or name another source in {variable}",
        )
    ]
