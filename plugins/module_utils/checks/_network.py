# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""What a deployment fetches: whether the host gets the model from the hub, and reaches everything else."""

from __future__ import annotations

import os
import re
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import is_complete
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._check import (
    Check,
    Fact,
    Finding,
    error,
    warning,
)
from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._fetch import Fetch, Reply, fetcher
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text

if t.TYPE_CHECKING:
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._live_host import LiveHost
    from ansible_collections.tritonops.trtllm.plugins.module_utils.checks._needs import Hub, Source

GOOD, SILENT, MISSING, REFUSED, FAILING = "good", "silent", "missing", "refused", "failing"
_CHECK_NETWORK = "check the network and the proxy of the host"


@dataclass(frozen=True)
class HubAnswer:
    """The last answer of the hub, and the file that it is about; none where it is about the model."""

    reply: Reply
    path: str
    has_token: bool

    @property
    def outcome(self) -> str:
        if self.reply.silence:
            return SILENT
        if self.reply.status < 400:
            return GOOD
        # Without a token Hugging Face answers 401 for what does not exist, too, but names the reason.
        if self.reply.status == 404 or self.reply.code.endswith("NotFound"):
            return MISSING
        return REFUSED if self.reply.status in (401, 403) else FAILING


@dataclass(frozen=True)
class Network(Fact):
    """The answers. What is finished, or there already, was not asked for."""

    hub: HubAnswer | None = None
    registry: Reply | None = None
    sources: t.Mapping[Source, Reply] | None = None

    @classmethod
    def look(cls, host: LiveHost) -> Network:
        """Asks all at once: each of them may take until its timeout."""
        needs, timeout, trusted = host.needs, host.options["timeout"], host.options["ca_bundle"]
        fetch = fetcher(timeout, trusted)
        wanted = [source for source in needs.reach if not (source.unless and os.path.exists(source.unless))]
        with ThreadPoolExecutor(max_workers=len(wanted) + 2) as pool:
            hub = registry = None
            if needs.hub and not (needs.hub.dest and is_complete(needs.hub.dest)):
                token = _token(host, needs.hub)
                hub = pool.submit(ask_hub, needs.hub, bool(token), fetcher(timeout, trusted, token))
            if needs.registry:
                registry = pool.submit(ask_registry, needs.registry, fetch)
            sources = dict(zip(wanted, pool.map(lambda source: fetch("GET", source.url), wanted)))
            return cls(hub.result() if hub else None, registry.result() if registry else None, sources)


def _token(host: LiveHost, hub: Hub) -> str | None:
    token: str = host.options["token"] or (read_text(hub.token_file).strip() if hub.token_file else "")
    if token:
        # Whatever is returned is searched for these.
        host.module.no_log_values.add(token)
    return token or None


# --- the hub -------------------------------------------------------------------------------------------------------


def ask_hub(hub: Hub, has_token: bool, fetch: Fetch) -> HubAnswer:
    """The model's description is public even when its files are not: so one file is asked for as well."""
    endpoint, model, revision = hub.endpoint.rstrip("/"), quote(hub.repository), quote(hub.revision, safe="")
    found = HubAnswer(fetch("GET", f"{endpoint}/api/models/{model}/revision/{revision}"), "", has_token)
    for path in hub.files[:1] if found.outcome == GOOD else ():
        found = HubAnswer(fetch("HEAD", f"{endpoint}/{model}/resolve/{revision}/{quote(path)}"), path, has_token)
    return found


def hub_token_missing(hub: Hub, network: Network) -> t.Iterator[Finding]:
    answer = network.hub
    if answer and answer.outcome == REFUSED and not answer.has_token:
        yield error(
            f"the hub does not give {hub.repository} without a token: {answer.reply.words}",
            f"accept the licence at {_page(hub)} (a gated model) and put a token of that account into"
            " O(hub.token_file)",
        )


def hub_token_refused(hub: Hub, network: Network) -> t.Iterator[Finding]:
    answer = network.hub
    if answer and answer.outcome == REFUSED and answer.has_token:
        yield error(
            f"the hub refuses {hub.repository} to the token: {answer.reply.words}",
            f"let the account of that token accept the licence at {_page(hub)} (a gated model), or put another token"
            " into O(hub.token_file)",
        )


def _page(hub: Hub) -> str:
    return f"{hub.endpoint.rstrip('/')}/{hub.repository}"


def hub_not_found(hub: Hub, network: Network) -> t.Iterator[Finding]:
    answer = network.hub
    if answer is None or answer.outcome != MISSING:
        return
    if answer.path and answer.reply.code in ("", "EntryNotFound"):
        message = f"{hub.repository} has no file {answer.path} at revision {hub.revision}: {answer.reply.words}"
        yield error(message, "correct O(hub.repository)")
        return
    private = "" if answer.has_token else "; for a private model put a token into O(hub.token_file)"
    yield error(
        f"the hub {hub.endpoint} has no model {hub.repository} at revision {hub.revision}: {answer.reply.words}",
        f"correct the model or the revision in O(hub.repository){private}",
    )


def hub_unreachable(hub: Hub, network: Network) -> t.Iterator[Finding]:
    answer = network.hub
    if answer and answer.outcome == SILENT:
        yield error(
            f"the hub {hub.endpoint} does not answer: {answer.reply.words}",
            f"{_CHECK_NETWORK}, the hub in O(hub.endpoint) and, for a certificate, the bundle in O(ca_bundle)",
        )
    elif answer and answer.outcome == FAILING:
        yield error(
            f"the hub {hub.endpoint} does not serve {hub.repository}: {answer.reply.words}",
            "try again later, or name another hub in O(hub.endpoint)",
        )


# --- registry and sources ------------------------------------------------------------------------------------------


def ask_registry(address: str, fetch: Fetch) -> Reply:
    base = address if re.match(r"https?://", address) else _scheme(address) + address
    return fetch("GET", base.rstrip("/") + "/v2/")


def _scheme(address: str) -> str:
    """The engine speaks without TLS to the host itself."""
    return "http://" if re.match(r"(localhost|127\.[\d.]+)(:|/|$)", address) else "https://"


def registry_certificate(address: str, network: Network) -> t.Iterator[Finding]:
    """The engine has certificates of its own for registries, and may get them later."""
    reply = network.registry
    if reply and _distrusted(reply):
        yield warning(
            f"the certificate of the image registry {address} is not trusted here: {reply.words}",
            "give its CA to the engine (docker_registry_ca_files), or to the host in O(ca_bundle)",
        )


def _distrusted(reply: Reply) -> bool:
    return "certificate" in reply.silence.lower()


def registry_unreachable(address: str, network: Network) -> t.Iterator[Finding]:
    """Any answer of the registry's API will do: it asks for credentials even of those it serves."""
    reply = network.registry
    if reply and not _distrusted(reply) and (reply.silence or reply.status >= 500 or reply.status == 404):
        yield error(
            f"the image registry {address} does not answer: {reply.words}",
            f"{_CHECK_NETWORK}, and the registry in O(registry)",
        )


def unreachable(sources: t.Sequence[Source], network: Network) -> t.Iterator[Finding]:
    """What a source says does not matter, unless it is the proxy that says no."""
    for source in sources:
        reply = (network.sources or {}).get(source)
        if reply and (reply.silence or reply.status >= 500 or reply.status == 407):
            yield error(
                f"{source.url} ({source.what}) does not answer: {reply.words}",
                "check network, name service and proxy of the host, or name another source in O(reach)",
            )


CHECKS = (
    Check(hub_token_missing, "hub", (Network,)),
    Check(hub_token_refused, "hub", (Network,)),
    Check(hub_not_found, "hub", (Network,)),
    Check(hub_unreachable, "hub", (Network,)),
    Check(registry_certificate, "registry", (Network,)),
    Check(registry_unreachable, "registry", (Network,)),
    Check(unreachable, "reach", (Network,)),
)
