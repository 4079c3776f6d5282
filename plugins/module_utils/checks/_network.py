# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Whether the host can download the model from the hub, and reach the registry and other sources."""

from __future__ import annotations

import json
import os
import re
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from urllib.parse import quote, urljoin, urlsplit

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

GOOD, UNREACHABLE, MISSING, REFUSED, FAILING = "good", "unreachable", "missing", "refused", "failing"
MAX_REDIRECTS = 5
_CHECK_NETWORK = "check the host's network and proxy settings"


@dataclass(frozen=True)
class Storage:
    """The response of the host to which a hub redirects downloads of weights."""

    host: str
    reply: Reply


@dataclass(frozen=True)
class HubAnswer:
    """The hub's last response, and the file that was requested; empty for a request for the model."""

    reply: Reply
    path: str
    has_token: bool
    storage: Storage | None = None

    @property
    def outcome(self) -> str:
        if self.reply.failure:
            return UNREACHABLE
        if self.reply.status < 400:
            return GOOD
        # Without a token, Hugging Face also responds with 401 if something does not exist, but with an error code.
        if self.reply.status == 404 or self.reply.code.endswith("NotFound"):
            return MISSING
        return REFUSED if self.reply.status in (401, 403) and (self.reply.code or not self.reply.is_page) else FAILING


@dataclass(frozen=True)
class Network(Fact):
    """The responses. Downloads that are already complete were not requested."""

    hub: HubAnswer | None = None
    registry: Reply | None = None
    sources: t.Mapping[Source, Reply] | None = None

    @classmethod
    def gather(cls, host: LiveHost) -> Network:
        """Send all requests in parallel, because each of them may take until its timeout."""
        needs, timeout, trusted = host.needs, host.options["timeout"], host.options["ca_bundle"]
        fetch = fetcher(timeout, trusted)
        wanted = [source for source in needs.reach if not (source.unless and os.path.exists(source.unless))]
        with ThreadPoolExecutor(max_workers=len(wanted) + 2) as pool:
            hub = registry = None
            if needs.hub and not _is_downloaded(host, needs.hub.dest):
                token = _token(host, needs.hub)
                hub = pool.submit(ask_hub, needs.hub, bool(token), fetcher(timeout, trusted, token, read=True), fetch)
            if needs.registry:
                registry = pool.submit(ask_registry, needs.registry, fetch)
            sources = dict(zip(wanted, pool.map(lambda source: fetch("GET", source.url), wanted)))
            return cls(hub.result() if hub else None, registry.result() if registry else None, sources)


def _is_downloaded(host: LiveHost, dest: str) -> bool:
    return bool(dest) and not host.hung(dest) and is_complete(dest)


def _token(host: LiveHost, hub: Hub) -> str | None:
    token: str = host.options["token"] or (read_text(hub.token_file).strip() if hub.token_file else "")
    if token:
        # Ansible hides these values in the module's output.
        host.module.no_log_values.add(token)
    return token or None


# --- the hub -------------------------------------------------------------------------------------------------------


def ask_hub(hub: Hub, has_token: bool, fetch: Fetch, fetch_without_token: Fetch) -> HubAnswer:
    """Request the model and one of its files, because the model's description is public even if its files are not."""
    endpoint, model, revision = hub.endpoint.rstrip("/"), quote(hub.repository), quote(hub.revision, safe="")
    files = f"{endpoint}/{model}/resolve/{revision}"
    described = fetch("GET", f"{endpoint}/api/models/{model}/revision/{revision}")
    found = HubAnswer(described, "", has_token)
    for path in hub.files[:1] if found.outcome == GOOD else ():
        found = HubAnswer(fetch("HEAD", f"{files}/{quote(path)}"), path, has_token)
    weights = weights_file(described.body)
    if found.outcome != GOOD or weights is None:
        return found
    return replace(found, storage=ask_storage(f"{files}/{quote(weights)}", fetch, fetch_without_token))


def weights_file(description: bytes) -> str | None:
    """A file that the hub keeps in its storage; None if the description of the model has none."""
    try:
        names = [str(entry["rfilename"]) for entry in json.loads(description)["siblings"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return next((name for name in names if name.endswith(".safetensors")), None)


def ask_storage(url: str, fetch: Fetch, fetch_without_token: Fetch) -> Storage | None:
    """Follow the redirects of a file; None if they do not lead to another host."""
    hub = urlsplit(url).netloc
    for _redirect in range(MAX_REDIRECTS):
        reply = (fetch if urlsplit(url).netloc == hub else fetch_without_token)("HEAD", url)
        if not (300 <= reply.status < 400 and "location" in reply.headers):
            break
        url = urljoin(url, reply.headers["location"])
    host = urlsplit(url).netloc
    if host == hub:
        return None
    if reply.status >= 400:
        # The signature in the URL may only be for GET. The body is not read.
        reply = fetch_without_token("GET", url)
    return Storage(host, reply)


def hub_token_missing(hub: Hub, network: Network) -> t.Iterator[Finding]:
    answer = network.hub
    if answer and answer.outcome == REFUSED and not answer.has_token:
        yield error(
            f"the hub requires a token for {hub.repository}: {answer.reply.reason}",
            f"accept the licence at {_page(hub)} (for a gated model) and set O(hub.token_file) to a token of that"
            " account",
        )


def hub_token_refused(hub: Hub, network: Network) -> t.Iterator[Finding]:
    answer = network.hub
    if answer and answer.outcome == REFUSED and answer.has_token:
        yield error(
            f"the hub refuses {hub.repository} with this token: {answer.reply.reason}",
            f"accept the licence at {_page(hub)} (for a gated model) with the token's account, or set another token in"
            " O(hub.token_file)",
        )


def _page(hub: Hub) -> str:
    return f"{hub.endpoint.rstrip('/')}/{hub.repository}"


def hub_not_found(hub: Hub, network: Network) -> t.Iterator[Finding]:
    answer = network.hub
    if answer is None or answer.outcome != MISSING:
        return
    if answer.path and answer.reply.code in ("", "EntryNotFound"):
        message = f"{hub.repository} has no file {answer.path} at revision {hub.revision}: {answer.reply.reason}"
        yield error(message, "correct O(hub.repository)")
        return
    private = "" if answer.has_token else "; for a private model set O(hub.token_file)"
    yield error(
        f"the hub {hub.endpoint} has no model {hub.repository} at revision {hub.revision}: {answer.reply.reason}",
        f"correct the model or the revision in O(hub.repository){private}",
    )


def hub_unreachable(hub: Hub, network: Network) -> t.Iterator[Finding]:
    answer = network.hub
    if answer and answer.outcome == UNREACHABLE:
        yield error(
            f"the hub {hub.endpoint} does not respond: {answer.reply.reason}",
            f"{_CHECK_NETWORK}, O(hub.endpoint) and, for a certificate error, O(ca_bundle)",
        )
    elif answer and answer.outcome == FAILING:
        yield error(
            f"the hub {hub.endpoint} does not serve {hub.repository}: {answer.reply.reason}",
            f"{_CHECK_NETWORK}, try again later, or set another hub in O(hub.endpoint)",
        )


def hub_storage_unreachable(hub: Hub, network: Network) -> t.Iterator[Finding]:
    storage = network.hub.storage if network.hub else None
    if storage and (storage.reply.failure or storage.reply.status >= 400):
        yield error(
            f"{storage.host}, to which the hub {hub.endpoint} redirects downloads, does not serve the weights of"
            f" {hub.repository}: {storage.reply.reason}",
            f"allow this host to reach {storage.host} ({_CHECK_NETWORK}), or set a mirror in O(hub.endpoint)",
        )


# --- registry and sources ------------------------------------------------------------------------------------------


def ask_registry(address: str, fetch: Fetch) -> Reply:
    base = address if re.match(r"https?://", address) else _scheme(address) + address
    return fetch("GET", base.rstrip("/") + "/v2/")


def _scheme(address: str) -> str:
    """Docker uses HTTP without TLS for a registry on the host itself."""
    return "http://" if re.match(r"(localhost|127\.[\d.]+)(:|/|$)", address) else "https://"


def registry_certificate(address: str, network: Network) -> t.Iterator[Finding]:
    """Only a warning, because Docker has its own certificates for registries, which may be added later."""
    reply = network.registry
    if reply and _is_untrusted(reply):
        yield warning(
            f"the host does not trust the certificate of the image registry {address}: {reply.reason}",
            "add its CA certificate to Docker (docker_registry_ca_files), or to the host (O(ca_bundle))",
        )


def _is_untrusted(reply: Reply) -> bool:
    return "certificate" in reply.failure.lower()


def registry_unreachable(address: str, network: Network) -> t.Iterator[Finding]:
    """Any response of the registry's API is fine, including one that requires credentials."""
    reply = network.registry
    if reply and not _is_untrusted(reply) and (reply.failure or reply.status >= 500 or reply.status == 404):
        yield error(
            f"the image registry {address} does not respond: {reply.reason}",
            f"{_CHECK_NETWORK}, and O(registry)",
        )


def unreachable(sources: t.Sequence[Source], network: Network) -> t.Iterator[Finding]:
    """Any response is fine, except a server error and a refusal by the proxy."""
    for source in sources:
        reply = (network.sources or {}).get(source)
        if reply and (reply.failure or reply.status >= 500 or reply.status == 407):
            yield error(
                f"{source.url} ({source.what}) does not respond: {reply.reason}",
                "check the host's network, DNS and proxy settings, or set another source in O(reach)",
            )


CHECKS = (
    Check(hub_token_missing, "hub", (Network,)),
    Check(hub_token_refused, "hub", (Network,)),
    Check(hub_not_found, "hub", (Network,)),
    Check(hub_unreachable, "hub", (Network,)),
    Check(hub_storage_unreachable, "hub", (Network,)),
    Check(registry_certificate, "registry", (Network,)),
    Check(registry_unreachable, "registry", (Network,)),
    Check(unreachable, "reach", (Network,)),
)
