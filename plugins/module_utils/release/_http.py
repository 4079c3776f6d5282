# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""An HTTP client of a server on this host, with a deadline for all requests."""

from __future__ import annotations

import json
import socket
import time
import traceback
import typing as t
from contextlib import contextmanager
from http import HTTPStatus

from ansible_collections.tritonops.trtllm.plugins.module_utils._module import ModuleFailure
from ansible_collections.tritonops.trtllm.plugins.module_utils._url import is_loopback

REQUESTS_IMPORT_ERROR: str | None = None
try:
    import requests
except ImportError:
    REQUESTS_IMPORT_ERROR = traceback.format_exc()

# A running server responds to health requests immediately, a stopped process never does.
RESPONSE_SECONDS = 5.0
MIN_SECONDS = 0.1


class Unreachable(ModuleFailure):
    """Nobody answers: not started yet, gone, or stuck."""


class Refused(ModuleFailure):
    """The server answered, in its own words, that it will not."""

    def __init__(self, words: str, status: int) -> None:
        super().__init__(words)
        self.status = status


class Deadline:
    """A point in time that all requests of a run share."""

    def __init__(self, seconds: float) -> None:
        self.started = time.monotonic()
        self.seconds = seconds

    def waited(self) -> float:
        return time.monotonic() - self.started

    def left(self) -> float:
        return self.seconds - self.waited()

    def timeout(self, longest: float = RESPONSE_SECONDS) -> float:
        """The timeout of one request, in seconds."""
        return max(MIN_SECONDS, min(longest, self.left()))


def parse_error(body: str) -> str:
    """The message in the body of an error response, which is JSON or a server-sent event."""
    text = body.strip()
    if text.startswith("data:"):
        text = text[len("data:") :]
    try:
        return error_in(json.loads(text)) or text
    except ValueError:
        return text


def error_in(answer: t.Any) -> str:
    """The message in an error; empty if the answer is none. Servers have several forms of it."""
    if not isinstance(answer, dict):
        return ""
    if answer.get("object") == "error":
        return str(answer.get("message"))
    error = answer.get("error")
    return str(error.get("message") or error) if isinstance(error, dict) else str(error or "")


class HttpClient:
    def __init__(self, url: str, deadline: Deadline) -> None:
        self.url = url.rstrip("/")
        self.deadline = deadline
        self._session = requests.Session()
        # A proxy from the environment cannot reach this host's loopback.
        self._session.trust_env = not is_loopback(url)

    def status(self, path: str) -> int:
        with self._request("GET", path, timeout=self.deadline.timeout()) as response:
            return response.status_code

    def json(
        self,
        method: str,
        path: str,
        body: t.Mapping[str, t.Any] | None = None,
        timeout: float | None = None,
    ) -> t.Any:
        with self._request(method, path, json=body, timeout=timeout or self.deadline.timeout()) as response:
            if response.status_code != HTTPStatus.OK:
                raise Refused(parse_error(response.text), response.status_code)
            try:
                return without_error(response.json(), response.status_code)
            except ValueError as exc:
                words = f"the response of {path} is not JSON: {response.text[:200]}"
                raise Refused(words, response.status_code) from exc

    def events(self, path: str, body: t.Mapping[str, t.Any]) -> t.Iterator[str]:
        """The data of each server-sent event, as it arrives."""
        timeout = self.deadline.timeout(self.deadline.seconds)
        with self._request("POST", path, json=body, timeout=timeout, stream=True) as response, _reachable(self.url):
            if response.status_code != HTTPStatus.OK:
                raise Refused(parse_error(response.text), response.status_code)
            for line in response.iter_lines(decode_unicode=True):
                if self.deadline.left() <= 0:
                    raise Unreachable(f"the stream of {self.url} did not end within {self.deadline.seconds:g} s")
                if line.startswith("data:"):
                    yield line[len("data:") :].strip()

    def _request(self, method: str, path: str, **options: t.Any) -> t.Any:
        with _reachable(self.url):
            return self._session.request(method, self.url + path, **options)


@contextmanager
def _reachable(url: str) -> t.Iterator[None]:
    try:
        yield
    except requests.exceptions.RequestException as exc:
        causes = list(_causes(exc))
        # The class of exc does not show that: requests raises ConnectionError for a stream that stalls.
        if any(isinstance(cause, socket.timeout) for cause in causes):
            raise Unreachable(f"{url} accepted the request but did not respond in time") from exc
        # The operating system's message, which requests and urllib3 wrap several times.
        words = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
        raise Unreachable(f"{url} cannot be reached: {words[0] if words else exc}") from exc


def _causes(exc: BaseException) -> t.Iterator[BaseException]:
    cause: BaseException | None = exc
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def without_error(answer: t.Any, status: int) -> t.Any:
    """Raise errors that a server returns with status 200, as for some failures of generate and in streams."""
    error = error_in(answer)
    if error:
        raise Refused(error, status)
    return answer
