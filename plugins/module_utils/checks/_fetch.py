# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""Requests a URL, and returns the status and headers of the response or the reason why there is none."""

from __future__ import annotations

import socket
import ssl
import typing as t
from http.client import HTTPException
from urllib.error import HTTPError, URLError

from ansible.module_utils.urls import ConnectionError as UrlsConnectionError
from ansible.module_utils.urls import SSLValidationError, open_url
from ansible_collections.tritonops.trtllm.plugins.module_utils._deadline import within

# A list of the files of a model, without their digests.
MAX_BODY_BYTES = 1 << 20
# With redirects, and hosts with several addresses, a request takes longer than the timeout of each step.
TIMEOUTS = 4


class Reply(t.NamedTuple):
    """Status and headers of a response; header names are in lower case. Without a response the status is 0."""

    status: int
    headers: t.Mapping[str, str] = {}
    failure: str = ""
    body: bytes = b""

    @property
    def reason(self) -> str:
        """The status with the reason, which Hugging Face sends in headers; or why there is no response."""
        parts = [f"HTTP {self.status}", self.headers.get("x-error-code"), self.headers.get("x-error-message")]
        return self.failure or " ".join(part for part in parts if part)

    @property
    def code(self) -> str:
        return self.headers.get("x-error-code", "")

    @property
    def is_page(self) -> bool:
        """Proxies respond with web pages, the API of a hub does not."""
        return "html" in self.headers.get("content-type", "")


# A function of the method and the URL.
Fetch = t.Callable[[str, str], Reply]


def fetcher(timeout: int, ca_bundle: str | None, token: str | None = None, read: bool = False) -> Fetch:
    """A function that sends one request; HEAD requests do not follow redirects, for example to a storage service.

    The body of a response is only read if `read` is true.
    """

    def send(method: str, url: str) -> Reply:
        headers = {"Authorization": "Bearer " + token} if token else None
        with open_url(
            url,
            method=method,
            headers=headers,
            timeout=timeout,
            ca_path=ca_bundle,
            follow_redirects="none" if method == "HEAD" else "safe",
            # The token must not be sent to the target of a redirect.
            unredirected_headers=["Authorization"],
            use_netrc=False,
        ) as reply:
            body = reply.read(MAX_BODY_BYTES) if read and method == "GET" else b""
            return Reply(reply.status, {name.lower(): value for name, value in reply.headers.items()}, body=body)

    def fetch(method: str, url: str) -> Reply:
        try:
            return within(TIMEOUTS * timeout, lambda: send(method, url))
        except HTTPError as exc:
            exc.close()
            return Reply(exc.code, {name.lower(): value for name, value in exc.headers.items()})
        except (URLError, SSLValidationError, UrlsConnectionError, ssl.SSLError, socket.timeout, OSError) as exc:
            return Reply(0, failure=str(getattr(exc, "reason", exc)) or type(exc).__name__)
        except HTTPException as exc:
            return Reply(0, failure=f"{type(exc).__name__}: {exc}")

    return fetch
