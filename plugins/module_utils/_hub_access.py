# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a model hub and an image registry let us in, asked before anything is changed."""

from __future__ import annotations

import re
import typing as t
from urllib.parse import quote

from ansible_collections.tritonops.trtllm.plugins.module_utils._preflight import Finding, error


class Unreachable(Exception):
    """There was no answer."""


class Reply(t.NamedTuple):
    """The part of an answer that matters. Header names are in lower case."""

    status: int
    headers: t.Mapping[str, str]

    @property
    def words(self) -> str:
        """The server's own reason; Hugging Face puts it into headers."""
        parts = ["HTTP %d" % self.status, self.headers.get("x-error-code"), self.headers.get("x-error-message")]
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
    page = "%s/%s" % (hub.endpoint, hub.repository)
    if hub.has_token:
        return error(
            "hub_token_refused",
            "the hub refuses %s to the token: %s" % (hub.repository, reply.words),
            "let the account of that token accept the licence at %s (a gated model), or put another token into %s"
            % (page, hub.names["token"]),
        )
    return error(
        "hub_token_missing",
        "the hub does not give %s without a token: %s" % (hub.repository, reply.words),
        "accept the licence at %s (a gated model) and put a token of that account into %s" % (page, hub.names["token"]),
    )


def _not_found(hub: Hub, reply: Reply, path: str | None) -> Finding:
    if path and reply.headers.get("x-error-code") in (None, "EntryNotFound"):
        message = "%s has no file %s at revision %s: %s" % (hub.repository, path, hub.revision, reply.words)
        return error("hub_not_found", message, "correct %s" % hub.names["repository"])
    return error(
        "hub_not_found",
        "the hub %s has no model %s at revision %s: %s" % (hub.endpoint, hub.repository, hub.revision, reply.words),
        "correct the model or the revision in %s%s"
        % (hub.names["repository"], "" if hub.has_token else "; for a private model put a token into " + hub.names["token"]),
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
    message = "the hub %s does not serve %s: %s" % (hub.endpoint, hub.repository, reply.words)
    return [error("hub_unreachable", message, "try again later, or name another hub in %s" % hub.names["endpoint"])]


def check_hub(hub: Hub, fetch: Fetch) -> list[Finding]:
    """The model's description is public even when its files are not: so ask for one file as well."""
    model = quote(hub.repository)
    revision = quote(hub.revision, safe="")
    try:
        found = _judge(hub, fetch("GET", "%s/api/models/%s/revision/%s" % (hub.endpoint, model, revision)))
        for path in [] if found else hub.files[:1]:
            url = "%s/%s/resolve/%s/%s" % (hub.endpoint, model, revision, quote(path))
            found = _judge(hub, fetch("HEAD", url), path)
    except Unreachable as exc:
        return [
            error(
                "hub_unreachable",
                "the hub %s does not answer: %s" % (hub.endpoint, exc),
                "check the network and the proxy of the host, the hub in %s and, for a certificate, the bundle in %s"
                % (hub.names["endpoint"], hub.names["ca_bundle"]),
            )
        ]
    return found


def check_registry(url: str, names: t.Mapping[str, str], fetch: Fetch) -> list[Finding]:
    """Any answer of the registry's API will do: it asks for credentials even of those it serves."""
    base = url if re.match(r"https?://", url) else "https://" + url
    try:
        reply = fetch("GET", base.rstrip("/") + "/v2/")
        problem = reply.words if reply.status >= 500 or reply.status == 404 else None
    except Unreachable as exc:
        problem = str(exc)
    if problem is None:
        return []
    message = "the image registry %s does not answer: %s" % (url, problem)
    remedy = "check the network and the proxy of the host, and the registry in %s" % names["registry"]
    return [error("registry_unreachable", message, remedy)]
