# Copyright (c) 2026 tritonops.trtllm contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: may change without notice.

"""A client for Triton's HTTP endpoint with a deadline for all requests."""

from __future__ import annotations

import json
import socket
import time
import traceback
import typing as t
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import quote

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
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return text


class TritonClient:
    def __init__(self, url: str, deadline: Deadline) -> None:
        self.url = url.rstrip("/")
        self.deadline = deadline
        self._session = requests.Session()
        # A proxy from the environment cannot reach this host's loopback.
        self._session.trust_env = not is_loopback(url)

    def is_live(self) -> bool:
        return self._status("/v2/health/live") == HTTPStatus.OK

    def is_ready(self) -> bool:
        return self._status("/v2/health/ready") == HTTPStatus.OK

    def is_model_ready(self, model: str) -> bool:
        return self._status(f"/v2/models/{quote(model, safe='')}/ready") == HTTPStatus.OK

    def server(self) -> dict[str, t.Any]:
        return self._json("GET", "/v2")

    def index(self) -> list[dict[str, t.Any]]:
        """All models in the repository, including those that are not loaded."""
        return self._json("POST", "/v2/repository/index", body={})

    def metadata(self, model: str) -> dict[str, t.Any]:
        return self._json("GET", f"/v2/models/{quote(model, safe='')}")

    def generate(self, model: str, body: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        path = f"/v2/models/{quote(model, safe='')}/generate"
        return self._json("POST", path, body=body, timeout=self.deadline.timeout(self.deadline.seconds))

    def generate_stream(self, model: str, body: t.Mapping[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
        """The server-sent events, as they arrive."""
        path = f"/v2/models/{quote(model, safe='')}/generate_stream"
        timeout = self.deadline.timeout(self.deadline.seconds)
        with self._request("POST", path, json=body, timeout=timeout, stream=True) as response, _reachable(self.url):
            if response.status_code != HTTPStatus.OK:
                raise Refused(parse_error(response.text), response.status_code)
            for line in response.iter_lines(decode_unicode=True):
                if self.deadline.left() <= 0:
                    raise Unreachable(f"the stream of {self.url} did not end within {self.deadline.seconds:g} s")
                if line.startswith("data:"):
                    yield _without_error(json.loads(line[len("data:") :]), response.status_code)

    def _status(self, path: str) -> int:
        with self._request("GET", path, timeout=self.deadline.timeout()) as response:
            return response.status_code

    def _json(
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
                return _without_error(response.json(), response.status_code)
            except ValueError as exc:
                words = f"the response of {path} is not JSON: {response.text[:200]}"
                raise Refused(words, response.status_code) from exc

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


def _without_error(answer: t.Any, status: int) -> t.Any:
    """Raise errors that Triton returns with status 200, as generate does for some failures."""
    if isinstance(answer, dict) and "error" in answer:
        raise Refused(str(answer["error"]), status)
    return answer
