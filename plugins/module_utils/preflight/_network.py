# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Asks all that a deployment will fetch from, at the same time: one that does not answer takes its whole time limit."""

from __future__ import annotations

import os
import socket
import ssl
import typing as t
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError, URLError

from ansible.module_utils.urls import ConnectionError as UrlsConnectionError
from ansible.module_utils.urls import SSLValidationError, open_url
from ansible_collections.tritonops.trtllm.plugins.module_utils.artifact._artifact import is_complete
from ansible_collections.tritonops.trtllm.plugins.module_utils.host._listeners import read_text
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._findings import Finding
from ansible_collections.tritonops.trtllm.plugins.module_utils.preflight._hub_access import (
    Fetch,
    Hub,
    Reply,
    Unreachable,
    check_hub,
    check_reach,
    check_registry,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Options = t.Mapping[str, t.Any]


def fetcher(timeout: int, ca_bundle: str | None, token: str | None = None) -> Fetch:
    """Asks for a URL once, without following redirects off to where the files are stored."""

    def fetch(method: str, url: str) -> Reply:
        headers = {"Authorization": "Bearer " + token} if token else None
        try:
            with open_url(
                url,
                method=method,
                headers=headers,
                timeout=timeout,
                ca_path=ca_bundle,
                follow_redirects="none" if method == "HEAD" else "safe",
                # The token is for the hub, not for whom it redirects to.
                unredirected_headers=["Authorization"],
                use_netrc=False,
            ) as reply:
                return Reply(reply.status, {name.lower(): value for name, value in reply.headers.items()})
        except HTTPError as exc:
            exc.close()
            return Reply(exc.code, {name.lower(): value for name, value in exc.headers.items()})
        except (URLError, SSLValidationError, UrlsConnectionError, ssl.SSLError, socket.timeout, OSError) as exc:
            raise Unreachable(str(getattr(exc, "reason", exc))) from exc

    return fetch


def read_token(module: AnsibleModule, hub: Options) -> str | None:
    if hub["token"]:
        return hub["token"]
    token = read_text(hub["token_file"]).strip() if hub["token_file"] else ""
    if token:
        # Whatever is returned is searched for these.
        module.no_log_values.add(token)
    return token or None


def _ask_hub(hub: Options, token: str | None, names: t.Mapping[str, str], timeout: int) -> list[Finding]:
    wanted = Hub(hub["endpoint"].rstrip("/"), hub["repository"], hub["revision"], hub["files"], bool(token), names)
    return check_hub(wanted, fetcher(timeout, hub["ca_bundle"], token))


def check_network(module: AnsibleModule, names: t.Mapping[str, str]) -> list[Finding]:
    """What is finished, or there already, is not asked for."""
    params, timeout = module.params, module.params["timeout"]
    asks: list[t.Callable[[], list[Finding]]] = []
    hub, registry = params["hub"], params["registry"]
    if hub and not (hub["dest"] and is_complete(hub["dest"])):
        token = read_token(module, hub)
        asks.append(lambda: _ask_hub(hub, token, names, timeout))
    if registry:
        asks.append(lambda: check_registry(registry["url"], names, fetcher(timeout, registry["ca_bundle"])))
    for source in params["reach"]:
        if not (source["unless"] and os.path.exists(source["unless"])):
            asks.append(_source_asker(source, names["reach"], timeout))
    if not asks:
        return []
    with ThreadPoolExecutor(max_workers=len(asks)) as pool:
        return [finding for found in pool.map(lambda ask: ask(), asks) for finding in found]


def _source_asker(source: Options, variable: str, timeout: int) -> t.Callable[[], list[Finding]]:
    fetch = fetcher(timeout, source["ca_bundle"])
    return lambda: check_reach(source["what"], source["url"], variable, fetch)
